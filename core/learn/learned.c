/* SPDX-License-Identifier: MIT */
/*
 * What was put aside is gone from the sums, so decisions of before it teach the model no more, also
 * when it is put back: their later amendments and retractions would take rows out of sums that do
 * not have them (learner.since_ms).
 *
 * The shared prior is an estimate over all models and does not add up. It comes along where nothing
 * is known yet, so that predictions are those of the other store to rounding, and is estimated anew
 * where rows are added to rows.
 */
#include "core/learn/learned.h"

#include <math.h>
#include <string.h>
#include "core/event/bytes.h"

enum { RATIO = 3, SCALES = 3, WORK = LEARNED_BYTES_MAX / 8 };
static const double scale_least = 1e-6, scale_most = 1e6;

const char *learned_part_name(int part)
{
    static const char *const names[LEARNED_PARTS] = {"quality", "output_tokens", "latency_ms",
                                                     "failure", "cost",          "prior"};
    return names[part];
}

static double number_at(const uint8_t *bytes, size_t i)
{
    struct reader r = reader_over(bytes + 8 * i, 8);
    return get_f64(&r);
}

static void numbers(const uint8_t *bytes, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = number_at(bytes, i);
}

bool learned_numbers(const uint8_t *bytes, size_t n)
{
    if (n == 0 || n % 8 != 0 || n > LEARNED_BYTES_MAX)
        return false;
    for (size_t i = 0; i < n / 8; i++)
        if (!isfinite(number_at(bytes, i)))
            return false;
    return true;
}

size_t learned_len(int part, int d)
{
    size_t n = part == LEARNED_COST    ? RATIO
               : part == LEARNED_PRIOR ? SCALES + (size_t)d
                                       : ridge_block_len(d) + RATIO;
    return 8 * n;
}

/* ---- giving ---- */

static const struct ratio *ratio_of(const struct learner *l, int part, int arm)
{
    return part == LEARNED_COST ? &l->cost[arm] : &l->smear[arm][part];
}

static size_t take_prior(const struct learner *l, double *out)
{
    out[0] = l->scale.declared;
    out[1] = l->scale.text;
    out[2] = l->scale.shared;
    memcpy(out + SCALES, l->pooled[TARGET_QUALITY], (size_t)l->d * sizeof *out);
    return SCALES + (size_t)l->d;
}

void learned_take(const struct learner *l, int part, int arm, int64_t now_ms, uint8_t *out)
{
    double work[WORK];
    size_t n = 0;
    if (part == LEARNED_PRIOR) {
        n = take_prior(l, work);
    } else {
        struct ratio q = ratio_block(ratio_of(l, part, arm), &l->forgets, now_ms);
        if (part < TARGETS) {
            ridge_block(l->ridge[arm][part], now_ms, work);
            n = ridge_block_len(l->d);
        }
        work[n++] = q.num;
        work[n++] = q.den;
        work[n++] = q.weight;
    }
    struct filler w = filler_over(out, 8 * n);
    for (size_t i = 0; i < n; i++)
        put_f64(&w, work[i]);
}

/* ---- taking ---- */

static bool ratio_fits(const double *q)
{
    for (int i = 0; i < RATIO; i++)
        if (!(q[i] >= 0) || q[i] > 1e30)
            return false;
    return q[2] > 0 || (q[0] == 0 && q[1] == 0);
}

static bool prior_fits(const double *v, int d)
{
    for (int i = 0; i < SCALES; i++)
        if (!(v[i] >= scale_least) || v[i] > scale_most)
            return false;
    for (int i = 0; i < d; i++)
        if (!(fabs(v[SCALES + i]) <= 1e6))
            return false;
    return true;
}

enum status learned_fits(int part, int d, const uint8_t *bytes, size_t n, struct problem *problem)
{
    double v[WORK];
    if (n != learned_len(part, d))
        return problem_set(problem, STATUS_BAD_REQUEST, "",
                           "%zu numbers, with %d features it has "
                           "%zu",
                           n / 8, d, learned_len(part, d) / 8);
    numbers(bytes, n / 8, v);
    bool ok = part == LEARNED_PRIOR  ? prior_fits(v, d)
              : part == LEARNED_COST ? ratio_fits(v)
                                     : ridge_block_fits(d, v) && ratio_fits(v + ridge_block_len(d));
    return ok ? STATUS_OK
              : problem_set(problem, STATUS_BAD_REQUEST, "",
                            "no evidence can have led to these numbers: the file was changed, or "
                            "made by something else");
}

static void apply_prior(struct learner *l, const struct params *p, const struct event_learned *e,
                        const double *v, int64_t now_ms)
{
    if (e->turn == LEARNED_PUT_ASIDE || e->turn == LEARNED_TAKEN_BACK)
        return; /* what comes in its place says what it is now */
    l->scale.declared = v[0];
    l->scale.text = v[1];
    l->scale.shared = v[2];
    memcpy(l->pooled[TARGET_QUALITY], v + SCALES, (size_t)l->d * sizeof *v);
    l->tuned_at = l->labels[TARGET_QUALITY];
    l->since_pool[TARGET_QUALITY] = 0;
    for (int a = 0; a < l->n_arms; a++)
        learner_renew(l, p, a, TARGET_QUALITY, now_ms);
}

/* Not since_pool: an import brings its prior, behind its models, and taking it back the one that
 * was there before. A tick in between must not choose another, which would then be taken for that.
 */
static void count(struct learner *l, const struct event_learned *e, int64_t rows)
{
    l->labels[e->part] += rows;
    if (e->part == TARGET_QUALITY)
        l->arm_labels[e->arm] += rows;
}

static void apply_rows(struct learner *l, const struct event_learned *e, const double *v,
                       double share)
{
    struct ridge *r = l->ridge[e->arm][e->part];
    if (e->turn == LEARNED_PUT_ASIDE) {
        count(l, e, -ridge_count(r));
        ridge_block_clear(r);
        drift_reset(&l->drift[e->arm][e->part]);
        return;
    }
    const struct block_time when = {e->as_of_ms, e->added_ms};
    ridge_block_add(r, v, &when, share);
    count(l, e, ridge_block_rows(v, share));
}

static void apply_ratio(struct learner *l, const struct event_learned *e, const double *v,
                        double share)
{
    struct ratio *q = e->part == LEARNED_COST ? &l->cost[e->arm] : &l->smear[e->arm][e->part];
    const struct ratio block = {.num = v[0], .den = v[1], .weight = v[2]};
    if (e->turn == LEARNED_PUT_ASIDE)
        *q = (struct ratio){0};
    else
        ratio_block_add(q, &l->forgets, &block, e->as_of_ms, share);
}

void learned_apply(struct learner *l, const struct params *p, const struct event_learned *e,
                   int64_t now_ms)
{
    double v[WORK], share = e->turn == LEARNED_TAKEN_BACK ? -e->share : e->share;
    numbers(e->bytes, e->len / 8, v);
    if (e->part == LEARNED_PRIOR) {
        apply_prior(l, p, e, v, now_ms);
        return;
    }
    size_t n = 0;
    if (e->part < TARGETS) {
        apply_rows(l, e, v, share);
        n = ridge_block_len(l->d);
    }
    apply_ratio(l, e, v + n, share);
    if (e->turn == LEARNED_PUT_ASIDE)
        l->since_ms[e->arm] = now_ms;
    if (e->part < TARGETS)
        learner_renew(l, p, e->arm, (enum target)e->part, now_ms);
}
