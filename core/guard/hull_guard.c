/* SPDX-License-Identifier: MIT */
/*
 * State is integers and what + - * / make of logged facts; bounds (libm, GSL) only decide whether a
 * fact is logged. Rejected: clipped weights with a bound on the bias (for a policy without
 * exploration the bound is 1: it could never be put aside); bounds of the predictable kind, whose
 * weights follow the order of labels.
 */
#include "core/guard/hull_guard.h"

#include <math.h>
#include <string.h>
#include "bandit/ope/confseq.h"
#include "bandit/policy/policy.h"
#include "bandit/rng.h"

static const double UNIT = 1.0 / 16384; /* of psi; 2^31 labels of |psi| <= 201 fit an integer */
static const double ROUNDING = 1e-6;    /* of a float, and some; also tells 0 from "says nothing" */
static const double MEMORY = 256;       /* decisions that the mean spend goes back */

double hull_guard_blend(const double *most, const double *rest, int n, double share, double *out)
{
    double part = 0;
    for (int i = 0; i < n; i++) {
        double lack = share * rest[i] - most[i];
        if (lack > part * (rest[i] - most[i]))
            part = lack / (rest[i] - most[i]);
    }
    for (int i = 0; i < n; i++)
        out[i] = (1 - part) * most[i] + part * rest[i];
    return part;
}

/* ---- a decision ---- */

bool hull_guard_serve(const struct hull_guard *h, const struct params *p, const int *slots, int n,
                      double *pmf, struct hull_sides *out)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += h->mix[slots[i]];
    if (!p->guard.hull || !h->set || n < 2 || !(sum > 0))
        return false;
    for (int i = 0; i < n; i++) {
        out->policy[i] = pmf[i];
        out->mix[i] = h->mix[slots[i]] / sum;
    }
    double share = hull_guard_share(h, p);
    out->part = h->guarded ? hull_guard_blend(out->mix, out->policy, n, share, pmf)
                           : hull_guard_blend(out->policy, out->mix, n, share, pmf);
    return true;
}

struct hull_edge hull_guard_edge(const struct hull_sides *sides, const struct event_decided *d,
                                 const int *slots, int n)
{
    double point = d->weight_quality * d->value, direct = 0, ratio = 0, reach = 0;
    if (!(point > 0))
        return (struct hull_edge){.reach = 0};
    for (int i = 0; i < n; i++) {
        const struct arm_view *v = &d->view[slots[i]];
        double more = sides->policy[i] - sides->mix[i];
        direct += more * (double)v->merit / point;
        if (v->pmf > 0)
            reach = fmax(reach, fabs(more) / v->pmf);
        if (slots[i] == d->arm)
            ratio = more / v->pmf;
    }
    return (struct hull_edge){.direct = (float)fmin(fmax(direct, -1), 1),
                              .ratio = (float)ratio,
                              .reach = (float)((1 + ROUNDING) * reach + ROUNDING)};
}

/* Means over the pacer's window, of the models that may be served; gives their number. */
static int window_means(const struct pacer *w, const struct params *p, int *slots, double *value,
                        double *cost)
{
    int n = 0;
    int64_t entries = w->total < PACE_WINDOW ? w->total : PACE_WINDOW;
    for (int a = 0; a < p->catalog.n; a++) {
        double merit = 0, usd = 0, seen = 0;
        for (int64_t k = 0; k < entries && p->catalog.model[a].active; k++) {
            if (!(w->window[k].eligible >> a & 1))
                continue;
            merit += (double)w->window[k].merit[a];
            usd += (double)w->window[k].cost_usd[a];
            seen++;
        }
        if (!(seen > 0))
            continue;
        slots[n] = a;
        value[n] = merit / seen;
        cost[n++] = usd / seen;
    }
    return n;
}

bool hull_guard_solve(const struct hull_guard *h, const struct params *p, const struct pacer *pacer,
                      struct event_hull *out)
{
    int slots[MODELS_MAX];
    double value[MODELS_MAX], cost[MODELS_MAX], pmf[MODELS_MAX];
    double budget = p->budget.usd_per_request;
    int n = window_means(pacer, p, slots, value, cost);
    if (n == 0)
        return false;
    out->spend_usd = budget > 0 ? fmin(h->spend_usd, budget) : h->spend_usd;
    struct policy_view v = {
        .n = n, .mean = value, .overall = value, .overall_cost = cost, .rate = out->spend_usd};
    policy_static_mix_pmf(&v, pmf);
    memset(out->mix, 0, sizeof out->mix);
    for (int i = 0; i < n; i++)
        out->mix[slots[i]] = pmf[i];
    return true;
}

/* ---- the fold ---- */

static void begin(struct hull_guard *h, uint64_t seq)
{
    h->sequence[h->begun % HULL_SEQUENCES] =
        (struct hull_sequence){.since = seq, .ordinal = h->begun + 1};
    h->begun++;
}

static const struct hull_sequence *youngest(const struct hull_guard *h)
{
    return &h->sequence[(h->begun + HULL_SEQUENCES - 1) % HULL_SEQUENCES];
}

void hull_guard_decided(struct hull_guard *h, const struct event_decided *d)
{
    double usd = (double)d->policy_nano * 1e-9;
    h->spend_usd = h->spend_usd > 0 ? h->spend_usd + (usd - h->spend_usd) / MEMORY : usd;
    h->unsolved++;
    for (int i = 0; i < HULL_SEQUENCES; i++)
        if (h->sequence[i].reach < (double)d->edge.reach)
            h->sequence[i].reach = (double)d->edge.reach;
}

/* In units, within reach whatever the record says. */
static int64_t units_of(const struct decision_row *row, double y)
{
    double most = 1 + (double)row->edge.reach;
    double psi =
        (double)row->edge.direct + (double)row->edge.ratio * (y - (double)row->quality_mean);
    psi = psi > most ? most : psi < -most ? -most : psi;
    return (int64_t)(psi / UNIT + (psi < 0 ? -0.5 : 0.5));
}

static void count(struct hull_sequence *s, int64_t units, int sign)
{
    s->n += sign;
    s->sum += sign * units;
    s->squares += sign * units * units;
}

void hull_guard_label(struct hull_guard *h, const struct decision_row *row, bool had, double before,
                      bool has, double after)
{
    if (!(row->edge.reach > 0))
        return;
    for (int i = 0; i < HULL_SEQUENCES; i++) {
        struct hull_sequence *s = &h->sequence[i];
        if (s->ordinal == 0 || row->seq <= s->since)
            continue;
        if (had)
            count(s, units_of(row, before), -1);
        if (has)
            count(s, units_of(row, after), 1);
    }
}

static void restart(struct hull_guard *h, uint64_t seq)
{
    memset(h->sequence, 0, sizeof h->sequence);
    begin(h, seq);
}

void hull_guard_reset(struct hull_guard *h, uint64_t seq)
{
    h->guarded = false;
    restart(h, seq);
}

void hull_guard_apply(struct hull_guard *h, const struct event_hull *e, uint64_t seq)
{
    bool first = !h->set;
    memcpy(h->mix, e->mix, sizeof h->mix);
    h->set = true;
    h->unsolved = 0;
    if (e->turn != HULL_SOLVED) {
        h->guarded = e->turn == HULL_TRIPPED;
        h->trips += h->guarded;
        restart(h, seq);
    } else if (first || youngest(h)->n >= HULL_BLOCK) {
        begin(h, seq);
    }
}

uint64_t hull_guard_terms(const struct params *p)
{
    return hash64(&p->guard, sizeof p->guard, hash64(&p->policy, sizeof p->policy, 0));
}

/* ---- looking ---- */

double hull_guard_share(const struct hull_guard *h, const struct params *p)
{
    return h->guarded ? p->guard.hull_trial : p->guard.hull_control;
}

/* The sums of a sequence on its scale, and its part of the error. */
static struct confseq_sums sums_of(const struct hull_sequence *s, double most, double *alpha)
{
    double k = (double)s->ordinal, scale = most;
    for (int i = 1; i < HULL_SCALES && 1 + s->reach <= scale / 4; i++)
        scale /= 4;
    *alpha = HULL_ALPHA / (k * (k + 1) * HULL_SCALES);
    return (struct confseq_sums){.n = (double)s->n,
                                 .sum = (double)s->sum * UNIT,
                                 .squares = (double)s->squares * UNIT * UNIT,
                                 .reach = scale};
}

/* What |psi| cannot exceed. */
static double most_of(const struct hull_guard *h, const struct params *p)
{
    return 1 + (1 + ROUNDING) / hull_guard_share(h, p) + ROUNDING;
}

void hull_guard_look(const struct hull_guard *h, const struct params *p,
                     struct hull_guard_view *out)
{
    double most = most_of(h, p), alpha;
    *out = (struct hull_guard_view){.lower = -most, .upper = most};
    for (int i = 0; i < HULL_SEQUENCES; i++) {
        const struct hull_sequence *s = &h->sequence[i];
        if (s->n <= 0)
            continue;
        struct confseq_sums x = sums_of(s, most, &alpha);
        out->lower = fmax(out->lower, confseq_lower(&x, alpha));
        out->upper = fmin(out->upper, confseq_upper(&x, alpha));
        if (s->n > out->labels) {
            out->labels = s->n;
            out->mean = x.sum / x.n;
        }
    }
}

bool hull_guard_due(const struct hull_guard *h, const struct params *p)
{
    return p->guard.hull && h->unsolved >= HULL_EVERY;
}

/* Whether a sequence has put the mean on that side of the bar. */
static bool shown(const struct hull_guard *h, const struct params *p, double bar, bool above)
{
    double most = most_of(h, p), alpha;
    for (int i = 0; i < HULL_SEQUENCES; i++) {
        const struct hull_sequence *s = &h->sequence[i];
        if (s->n <= 0)
            continue;
        struct confseq_sums x = sums_of(s, most, &alpha);
        if (above ? confseq_above(&x, alpha, bar) : confseq_below(&x, alpha, bar))
            return true;
    }
    return false;
}

enum hull_turn hull_guard_turn(const struct hull_guard *h, const struct params *p)
{
    if (!p->guard.hull || !h->set)
        return HULL_SOLVED;
    double bar = -p->guard.hull_margin;
    if (h->guarded)
        return shown(h, p, bar - p->guard.hull_near, true) ? HULL_RETURNED : HULL_SOLVED;
    return shown(h, p, bar, false) ? HULL_TRIPPED : HULL_SOLVED;
}

/* ---- stored ---- */

void hull_guard_put(struct filler *w, const struct hull_guard *h)
{
    put_bool(w, h->guarded);
    put_bool(w, h->set);
    put_i64(w, h->unsolved);
    put_i64(w, h->begun);
    put_i64(w, h->trips);
    put_f64(w, h->spend_usd);
    for (int a = 0; a < MODELS_MAX; a++)
        put_f64(w, h->mix[a]);
    for (int i = 0; i < HULL_SEQUENCES; i++) {
        put_u64(w, h->sequence[i].since);
        put_i64(w, h->sequence[i].ordinal);
        put_f64(w, h->sequence[i].reach);
        put_i64(w, h->sequence[i].n);
        put_i64(w, h->sequence[i].sum);
        put_i64(w, h->sequence[i].squares);
    }
}

void hull_guard_get(struct reader *r, struct hull_guard *h)
{
    h->guarded = get_bool(r);
    h->set = get_bool(r);
    h->unsolved = get_i64(r);
    h->begun = get_i64(r);
    h->trips = get_i64(r);
    h->spend_usd = get_f64(r);
    for (int a = 0; a < MODELS_MAX; a++)
        h->mix[a] = get_f64(r);
    for (int i = 0; i < HULL_SEQUENCES; i++) {
        h->sequence[i].since = get_u64(r);
        h->sequence[i].ordinal = get_i64(r);
        h->sequence[i].reach = get_f64(r);
        h->sequence[i].n = get_i64(r);
        h->sequence[i].sum = get_i64(r);
        h->sequence[i].squares = get_i64(r);
    }
}
