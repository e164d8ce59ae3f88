/* SPDX-License-Identifier: MIT */
#include "core/router/counters_codec.h"

void counters_put(struct filler *w, const struct counters *c, int n)
{
    put_i64(w, c->decisions);
    put_i64(w, c->feedbacks);
    put_i64(w, c->spent_nano);
    put_i64(w, c->baseline_nano);
    put_i64(w, c->explored_nano);
    put_i64(w, c->taught);
    put_i64(w, c->agreed);
    put_f64(w, c->shadow_gain);
    put_f64(w, c->value);
    put_f64(w, c->value_labelled);
    put_f64(w, c->value_quality);
    put_i64(w, c->batches);
    for (int i = 0; i < TEACH_BATCHES; i++)
        put_u64(w, c->batch[i]);
    for (int a = 0; a < n; a++) {
        put_i64(w, c->model[a].decisions);
        put_i64(w, c->model[a].feedbacks);
        put_i64(w, c->model[a].spent_nano);
        for (int t = 0; t < TARGETS; t++)
            put_i64(w, c->model[a].labels[t]);
        put_f64(w, c->model[a].quality_sum);
    }
}

void counters_get(struct reader *r, struct counters *c, int n)
{
    c->decisions = get_i64(r);
    c->feedbacks = get_i64(r);
    c->spent_nano = get_i64(r);
    c->baseline_nano = get_i64(r);
    c->explored_nano = get_i64(r);
    c->taught = get_i64(r);
    c->agreed = get_i64(r);
    c->shadow_gain = get_f64(r);
    c->value = get_f64(r);
    c->value_labelled = get_f64(r);
    c->value_quality = get_f64(r);
    c->batches = get_i64(r);
    for (int i = 0; i < TEACH_BATCHES; i++)
        c->batch[i] = get_u64(r);
    for (int a = 0; a < n; a++) {
        c->model[a].decisions = get_i64(r);
        c->model[a].feedbacks = get_i64(r);
        c->model[a].spent_nano = get_i64(r);
        for (int t = 0; t < TARGETS; t++)
            c->model[a].labels[t] = get_i64(r);
        c->model[a].quality_sum = get_f64(r);
    }
}
