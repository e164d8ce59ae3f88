/* SPDX-License-Identifier: MIT */
/*
 * Considered: the mean of the canary's rewards against that of the others', each with bounds of its
 * own. With one request in twenty on trial, and most of them decided alike by both sides, that
 * takes ten times the labels: what both sides would have done alike tells nothing but noise.
 */
#include "core/guard/canary.h"

#include <math.h>
#include <string.h>
#include "bandit/ope/confseq.h"
#include "bandit/rng.h"

static const double UNIT = 1.0 / 16384; /* as in hull_guard.c */
static const double ROUNDING = 1e-6;    /* of a float, and some; also tells 0 from "says nothing" */
static const uint64_t STREAM = 0xca9a27ull; /* keys the draws of sides apart from those of models */

static const struct {
    const char *origin, *why;
} verdicts[] = {
    [CANARY_OPEN] = {NULL, NULL},
    [CANARY_PROMOTED] = {"canary.promoted",
                         "more reward under its weights, quality within the margin"},
    [CANARY_WORSE] = {"canary.worse", "less reward under its weights"},
    [CANARY_HARMS] = {"canary.harms", "quality below the margin"},
    [CANARY_UNDECIDED] = {"canary.undecided", "no verdict within canary/decisions"},
};

const char *canary_origin(enum canary_turn turn)
{
    return verdicts[turn].origin;
}

const char *canary_why(const char *origin)
{
    for (int i = CANARY_PROMOTED; i <= CANARY_UNDECIDED; i++)
        if (strcmp(verdicts[i].origin, origin) == 0)
            return verdicts[i].why;
    return NULL;
}

void canary_settings(const struct params *p, struct params *out)
{
    *out = *p;
    out->objective = p->canary.objective;
    out->policy = p->canary.policy;
}

bool canary_draws(uint64_t seed, uint32_t epoch, uint64_t seq, double share)
{
    struct rng g = rng_stream(hash64(&seed, sizeof seed, STREAM), epoch, seq);
    return rng_uniform(&g) < share;
}

struct hull_edge canary_edge(const struct event_decided *d, const int *slots, int n,
                             const double *pi, const double *m, int arm, double share)
{
    double point = d->weight_quality * d->value, direct = 0, ratio = 0, reach = 0;
    if (!(point > 0))
        return (struct hull_edge){.reach = 0};
    for (int i = 0; i < n; i++) {
        double more = pi[i] - m[i], mu = share * pi[i] + (1 - share) * m[i];
        direct += more * decided_utility(d, slots[i]) / point;
        if (mu > 0)
            reach = fmax(reach, fabs(more) / mu);
        if (slots[i] == arm)
            ratio = more / mu;
    }
    return (struct hull_edge){.direct = (float)fmin(fmax(direct, -1), 1),
                              .ratio = (float)ratio,
                              .reach = (float)((1 + ROUNDING) * reach + ROUNDING)};
}

/* ---- the fold ---- */

uint64_t canary_terms(const struct params *p)
{
    uint64_t own = hash64(&p->canary, sizeof p->canary, 0);
    return hash64(&p->objective, sizeof p->objective, hash64(&p->policy, sizeof p->policy, own));
}

void canary_begin(struct canary *c, const struct params *p, uint64_t seq)
{
    *c = (struct canary){.since = p->canary.share > 0 ? seq : 0};
}

void canary_decided(struct canary *c, const struct event_decided *d)
{
    if (c->since == 0 || !(d->edge.reach > 0))
        return;
    c->decisions[d->reasons & REASON_CANARY ? 1 : 0]++;
    if (c->reach < (double)d->edge.reach)
        c->reach = (double)d->edge.reach;
}

/* Within +-most whatever the record says. */
static int64_t units_of(double x, double most)
{
    x = x > most ? most : x < -most ? -most : x;
    return (int64_t)(x / UNIT + (x < 0 ? -0.5 : 0.5));
}

static void add(struct canary_sums *s, int64_t units, int sign)
{
    s->sum += sign * units;
    s->squares += sign * units * units;
}

static void count(struct canary *c, const struct decision_row *row, double y, int sign)
{
    const struct hull_edge *e = &row->edge;
    double reward = (double)e->direct + (double)e->ratio * (y - (double)row->quality_mean);
    c->labels += sign;
    add(&c->reward, units_of(reward, 1 + (double)e->reach), sign);
    add(&c->quality, units_of((double)e->ratio * (y - 0.5), (double)e->reach), sign);
}

void canary_label(struct canary *c, const struct decision_row *row, bool had, double before,
                  bool has, double after)
{
    if (c->since == 0 || row->seq <= c->since || !(row->edge.reach > 0))
        return;
    if (had)
        count(c, row, before, -1);
    if (has)
        count(c, row, after, 1);
}

/* ---- looking ---- */

/* Sums on the least scale that all decisions so far are within, and the part of the error of one
 * bound on it. most: what no number can exceed; reach: what none has exceeded. */
static struct confseq_sums sums_of(const struct canary *c, const struct canary_sums *s, double most,
                                   double reach, double *alpha)
{
    double scale = most;
    for (int i = 1; i < CANARY_SCALES && reach <= scale / 4; i++)
        scale /= 4;
    *alpha = CANARY_ALPHA / (4 * CANARY_SCALES);
    return (struct confseq_sums){.n = (double)c->labels,
                                 .sum = (double)s->sum * UNIT,
                                 .squares = (double)s->squares * UNIT * UNIT,
                                 .reach = scale};
}

static struct confseq_sums reward_of(const struct canary *c, const struct params *p, double *alpha)
{
    double most = 1 + (1 + ROUNDING) / p->canary.share + ROUNDING;
    return sums_of(c, &c->reward, most, 1 + c->reach, alpha);
}

static struct confseq_sums quality_of(const struct canary *c, const struct params *p, double *alpha)
{
    double most = (1 + ROUNDING) / p->canary.share + ROUNDING;
    return sums_of(c, &c->quality, most, c->reach, alpha);
}

static struct canary_bounds bounds_of(const struct confseq_sums *x, double alpha)
{
    return (struct canary_bounds){.mean = x->n > 0 ? x->sum / x->n : 0,
                                  .lower = confseq_lower(x, alpha),
                                  .upper = confseq_upper(x, alpha)};
}

void canary_look(const struct canary *c, const struct params *p, struct canary_view *out)
{
    double alpha;
    *out =
        (struct canary_view){.decisions = {c->decisions[0], c->decisions[1]}, .labels = c->labels};
    if (!(p->canary.share > 0))
        return;
    struct confseq_sums x = reward_of(c, p, &alpha);
    out->reward = bounds_of(&x, alpha);
    x = quality_of(c, p, &alpha);
    out->quality = bounds_of(&x, alpha);
}

enum canary_turn canary_turn(const struct canary *c, const struct params *p)
{
    double alpha, margin = p->canary.quality_margin;
    if (c->since == 0 || !(p->canary.share > 0))
        return CANARY_OPEN;
    if (c->labels > 0) {
        struct confseq_sums reward = reward_of(c, p, &alpha), quality = quality_of(c, p, &alpha);
        if (confseq_below(&quality, alpha, -margin))
            return CANARY_HARMS;
        if (confseq_below(&reward, alpha, 0))
            return CANARY_WORSE;
        if (confseq_above(&reward, alpha, 0) && confseq_above(&quality, alpha, -margin))
            return CANARY_PROMOTED;
    }
    return c->decisions[0] + c->decisions[1] >= p->canary.decisions ? CANARY_UNDECIDED
                                                                    : CANARY_OPEN;
}

void canary_settle(struct params *p, enum canary_turn turn)
{
    if (turn == CANARY_PROMOTED) {
        p->objective = p->canary.objective;
        p->policy = p->canary.policy;
    }
    p->canary.share = 0;
}

/* ---- stored ---- */

void canary_put(struct filler *w, const struct canary *c)
{
    put_u64(w, c->since);
    put_i64(w, c->decisions[0]);
    put_i64(w, c->decisions[1]);
    put_f64(w, c->reach);
    put_i64(w, c->labels);
    put_i64(w, c->reward.sum);
    put_i64(w, c->reward.squares);
    put_i64(w, c->quality.sum);
    put_i64(w, c->quality.squares);
}

void canary_get(struct reader *r, struct canary *c)
{
    c->since = get_u64(r);
    c->decisions[0] = get_i64(r);
    c->decisions[1] = get_i64(r);
    c->reach = get_f64(r);
    c->labels = get_i64(r);
    c->reward.sum = get_i64(r);
    c->reward.squares = get_i64(r);
    c->quality.sum = get_i64(r);
    c->quality.squares = get_i64(r);
}
