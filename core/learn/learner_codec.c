/* SPDX-License-Identifier: MIT */
/* What a learner knows beside its regressions, as bytes: an item of the snapshot. */
#include "core/event/bytes.h"
#include "core/learn/learner.h"

static void put_ratio(struct filler *w, const struct ratio *q)
{
    put_f64(w, q->num);
    put_f64(w, q->den);
    put_f64(w, q->weight);
    put_i64(w, q->epoch_ms);
}

static void get_ratio(struct reader *r, struct ratio *q)
{
    q->num = get_f64(r);
    q->den = get_f64(r);
    q->weight = get_f64(r);
    q->epoch_ms = get_i64(r);
}

void learner_put(struct filler *w, const struct learner *l)
{
    put_u64(w, features_schema(&l->layout));
    put_u64(w, l->schema);
    put_u8(w, (uint8_t)l->d);
    put_u8(w, (uint8_t)l->n_arms);
    put_f64(w, l->scale.declared);
    put_f64(w, l->scale.text);
    put_f64(w, l->scale.shared);
    put_i64(w, l->tuned_at);
    put_f64(w, l->label_rate);
    put_u64(w, l->shares_since);
    for (int i = 0; i < HALVES_MAX; i++) {
        put_f64(w, l->forgets.until_ms[i]);
        put_f64(w, l->forgets.was_ms[i]);
    }
    for (int t = 0; t < TARGETS; t++) {
        put_i64(w, l->labels[t]);
        put_i64(w, l->since_pool[t]);
        for (int i = 0; i < l->d; i++)
            put_f64(w, l->pooled[t][i]);
    }
    put_i64(w, l->alarm);
    put_bool(w, l->alarm_up);
    for (int a = 0; a < l->n_arms; a++) {
        put_i64(w, l->arm_labels[a]);
        put_i64(w, l->quota_until[a]);
        for (int t = 0; t < TARGETS; t++) {
            put_f64(w, l->drift[a][t].up);
            put_f64(w, l->drift[a][t].down);
        }
        for (int t = 0; t < TARGETS; t++)
            put_ratio(w, &l->smear[a][t]);
        put_ratio(w, &l->cost[a]);
    }
    for (int a = 0; a < l->n_arms; a++)
        put_i64(w, l->since_ms[a]);
}

bool learner_get(struct reader *r, struct learner *l)
{
    if (get_u64(r) != features_schema(&l->layout))
        return false;
    l->schema = get_u64(r);
    if (get_u8(r) != l->d || get_u8(r) != l->n_arms)
        return false;
    l->scale.declared = get_f64(r);
    l->scale.text = get_f64(r);
    l->scale.shared = get_f64(r);
    l->tuned_at = get_i64(r);
    l->label_rate = get_f64(r);
    l->shares_since = get_u64(r);
    for (int i = 0; i < HALVES_MAX; i++) {
        l->forgets.until_ms[i] = get_f64(r);
        l->forgets.was_ms[i] = get_f64(r);
    }
    for (int t = 0; t < TARGETS; t++) {
        l->labels[t] = get_i64(r);
        l->since_pool[t] = get_i64(r);
        for (int i = 0; i < l->d; i++)
            l->pooled[t][i] = get_f64(r);
    }
    l->alarm = (int)get_i64(r);
    l->alarm_up = get_bool(r);
    for (int a = 0; a < l->n_arms; a++) {
        l->arm_labels[a] = get_i64(r);
        l->quota_until[a] = get_i64(r);
        for (int t = 0; t < TARGETS; t++) {
            l->drift[a][t].up = get_f64(r);
            l->drift[a][t].down = get_f64(r);
        }
        for (int t = 0; t < TARGETS; t++)
            get_ratio(r, &l->smear[a][t]);
        get_ratio(r, &l->cost[a]);
    }
    for (int a = 0; a < l->n_arms && reader_left(r) > 0; a++) /* older ones end here */
        l->since_ms[a] = get_i64(r);
    return true;
}
