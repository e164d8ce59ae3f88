/* SPDX-License-Identifier: MIT */
/*
 * The multiplier is the dual price of the budget: the smallest mu >= 0 at which the mean cost of
 *   argmax_a u_a(x) - mu c_a(x)
 * over the recent window is at most the target. Solving on the window replaces a gradient step,
 * whose size is the costliest tunable of a pacer.
 *
 * What was over- or underspent so far is carried, and worked off over two horizons. The short one
 * keeps any few hundred requests near the rate: over 200 of them the surplus is the change of the
 * carry, and that has a deviation of about sqrt(short horizon / 2) times the cost's. The long one
 * says what the budget is worth: mu may depart from its solution by SWING only, because where
 * models differ much in price a debt of one dear call would else be saved on every cheap one, at
 * any price.
 *
 * Bills differ from predictions by luck and by a bias. The bias, seen in the bills of the last few
 * hundred decisions, is taken out where it arises: decisions are booked at the prediction times it.
 * Luck comes into the carry little by little and within bounds: else booked spending would follow
 * it, above the rate for hundreds of requests after a few cheap answers.
 *
 * Where one call costs as much as dozens of others no multiplier keeps some hundred requests near
 * the rate: it makes such calls rarer, and three may come in a row. So while the budget binds a
 * call that costs more than the requests before it have left is priced out
 * (core/budget/pace_room.h), and once there is room it is soon let come: the target may exceed the
 * rate by much.
 *
 * What is not wanted is not hoarded: while the window would cost less than the rate without a
 * budget, what the rate leaves over only pays debts. Else a time of cheap models, in which nothing
 * needs saving, would pay for hundreds of dear calls when it ends. Likewise what cannot be avoided
 * is no debt: while even the cheapest models cost more than the rate (the others are withdrawn, or
 * dearer than they were) only what is spent beyond them is to be saved later. Else an outage would
 * be paid for by hundreds of poor answers after it.
 */
#include "core/budget/pacer.h"

#include <math.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/budget/pace_search.h"
#include "core/budget/pool_pacer.h"
#include "core/config/params.h"
#include "core/event/bytes.h"

enum { WANTED_FROM = 100 };     /* contexts that tell what would be spent without a budget */
static const double LONG = 200; /* requests over which a carry is worked off ... */
static const double SHORT = 12;
static const double LUCK = 500; /* and over which bills come into it that were not booked, */
static const double LUCK_AT_MOST = 0.02; /* of the rate, a request */
static const double BILLS = 400;         /* that tell how true predictions are */
static const double TRUST = 20;          /* bills as predicted that this starts from */
static const double OFF_AT_MOST = 0.25;
static const double SWING = 3;     /* factor between the two solutions */
static const double SPARE = 0.9;   /* of the rate: wanting less is not a matter of luck */
static const double AIM = 0.99;    /* of the rate: what noise adds at the end must find room */
static const double FASTEST = 3;   /* most that the target may exceed the rate */
static const double SLOWEST = 0.3; /* least, so that one dear call does not stop the service */

/* Nearly normal (sum of 12 uniforms - 6), by additions only: it reaches state. */
static double noise(uint64_t seq, int arm)
{
    struct rng g = rng_stream(0x70616365, seq, (uint64_t)arm);
    double z = -6;
    for (int i = 0; i < 12; i++)
        z += rng_uniform(&g);
    return z;
}

static double explored_usd(const struct pacer *p, const struct pace_entry *e)
{
    return pace_entry_explored(e, p->active, p->active, POOL_NANO, p->rate_usd);
}

static void derive(const struct pacer *p, const struct params *params, struct pace_entry *e)
{
    const struct objective *w = &params->objective;
    double quality = w->quality * (double)e->value, latency = w->latency / w->latency_scale_ms;
    for (uint64_t m = e->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        e->merit[a] = (float)(quality * (double)e->quality[a] - latency * (double)e->latency_ms[a] -
                              w->failure * (double)e->failure[a]);
    }
    e->explored_usd = (float)explored_usd(p, e);
}

void pacer_derive(struct pacer *p, const struct params *params)
{
    int64_t n = p->total < PACE_WINDOW ? p->total : PACE_WINDOW;
    for (int64_t i = 0; i < n; i++)
        derive(p, params, &p->window[i]);
}

/* Picodollars of a call's tokens by list price. */
static double list_price(const struct model *m, const struct pace_entry *e, int a)
{
    const struct rates *price = model_rates(m, e->batch);
    return (double)price->in * (double)e->fresh + (double)price->cached * (double)e->cached +
           (double)price->out * (double)e->tokens[a];
}

/* Costs are linear in prices. A model that had no price is taken at its list price; one that has
 * none any more goes on costing what it did. */
static void reprice(struct pacer *p, const struct model *was, const struct model *now, int a)
{
    int64_t n = p->total < PACE_WINDOW ? p->total : PACE_WINDOW;
    for (int64_t i = 0; i < n; i++) {
        struct pace_entry *e = &p->window[i];
        double before = list_price(was, e, a), after = list_price(now, e, a);
        if (!(e->eligible >> a & 1) || !(after > 0))
            continue;
        e->cost_usd[a] =
            (float)(before > 0 ? (double)e->cost_usd[a] * (after / before) : after * 1e-12);
    }
    p->dirty = DIRTY_ALL;
}

static void set_rate(struct pacer *p, double rate_usd)
{
    if (p->rate_usd != rate_usd) {
        p->carry_usd = p->owed_usd = 0;
        pace_room_begin(&p->room);
    }
    p->rate_usd = rate_usd;
    p->due = rate_usd > 0;
    if (rate_usd <= 0)
        p->mu = 0;
}

void pacer_configure(struct pacer *p, const struct params *was, const struct params *now)
{
    p->active = 0;
    for (int a = 0; a < now->catalog.n; a++) {
        const struct model *before = &was->catalog.model[a], *after = &now->catalog.model[a];
        p->active |= (uint64_t)after->active << a;
        if (a < was->catalog.n &&
            (memcmp(&before->price, &after->price, sizeof before->price) != 0 ||
             memcmp(&before->batch, &after->batch, sizeof before->batch) != 0))
            reprice(p, before, after, a);
    }
    set_rate(p, now->budget.usd_per_request);
    pacer_derive(p, now);
}

/* What the pacer keeps of a decision, without the policy's noise. */
void pacer_view(const struct event_decided *d, struct pace_entry *e)
{
    e->eligible = d->eligible;
    e->pools = d->charge.paced;
    e->floor = (float)d->floor;
    e->value = (float)d->value;
    e->fresh = (float)(d->prompt_tokens - d->cached_tokens);
    e->cached = (float)d->cached_tokens;
    e->batch = d->batch;
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        const struct arm_view *v = &d->view[a];
        e->quality[a] = v->mean[TARGET_QUALITY];
        e->latency_ms[a] = v->mean[TARGET_LATENCY];
        e->failure[a] = v->mean[TARGET_FAILURE];
        e->tokens[a] = v->mean[TARGET_TOKENS];
        e->cost_usd[a] = (float)((double)v->cost_nano * 1e-9);
        e->merit[a] = v->merit;
    }
}

/* The noise of a merit, whatever it stems from, stands with the quality. */
static void push(struct pacer *p, const struct event_decided *d, uint64_t seq, bool noisy,
                 const struct params *params)
{
    struct pace_entry *e = &p->window[p->total % PACE_WINDOW];
    double unit = params->objective.quality * d->value;
    pacer_view(d, e);
    e->active = p->active;
    for (uint64_t m = noisy && unit > 0 ? d->eligible : 0; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        e->quality[a] =
            (float)((double)e->quality[a] + noise(seq, a) * (double)d->view[a].merit_sd / unit);
    }
    derive(p, params, e);
    p->total++;
    p->dirty = DIRTY_ALL;
}

static double base_price(const struct event_decided *d)
{
    return d->weight_cost / d->cost_scale_usd;
}

void pacer_book(struct pacer *p, const struct event_decided *d, uint64_t seq, bool noisy,
                const struct params *params)
{
    if (d->eligible & (d->eligible - 1)) /* where there was a choice */
        push(p, d, seq, noisy, params);
    p->since++;
    p->base = base_price(d);
    if (!(p->rate_usd > 0))
        return;
    double part = p->owed_usd / LUCK;
    part = fmax(fmin(part, LUCK_AT_MOST * p->rate_usd), -LUCK_AT_MOST * p->rate_usd);
    p->owed_usd -= part;
    bool spare = p->wanted_usd > 0 && p->wanted_usd < SPARE * p->rate_usd; /* 0: not known yet */
    double most = spare ? fmax((1 - 1 / LONG) * p->carry_usd, 0) : LONG * p->rate_usd;
    double allowed = fmax(AIM * p->rate_usd, p->least_usd);
    p->carry_usd += allowed - (double)d->booked_nano * 1e-9 + part;
    p->carry_usd = fmin(p->carry_usd, most);
    double unavoidable = allowed - AIM * p->rate_usd;
    pace_room_book(&p->room, d->booked_nano - (int64_t)(unavoidable * 1e9 + 0.5));
}

double pacer_truth(const struct pacer *p)
{
    double prior = p->bills > 0 ? TRUST / p->bills * p->predicted_usd : 0;
    if (!(p->predicted_usd > 0))
        return 1;
    double q = (p->billed_usd + prior) / (p->predicted_usd + prior);
    return fmax(fmin(q, 1 + OFF_AT_MOST), 1 / (1 + OFF_AT_MOST));
}

void pacer_settle(struct pacer *p, int64_t before_nano, int64_t after_nano, int bill,
                  int64_t predicted_nano)
{
    double keep = bill > 0 ? 1 - 1 / BILLS : 1;
    p->bills = fmax(keep * p->bills + bill, 0);
    p->predicted_usd = fmax(keep * p->predicted_usd + bill * (double)predicted_nano * 1e-9, 0);
    int64_t billed_nano = (bill >= 0 ? after_nano : 0) - (bill <= 0 ? before_nano : 0);
    p->billed_usd = keep * p->billed_usd + (double)billed_nano * 1e-9;
    if (p->rate_usd > 0)
        p->owed_usd -= ((double)after_nano - (double)before_nano) * 1e-9;
}

int pacer_contexts(const struct pacer *p, const struct pace_entry **out, int most)
{
    int n = 0;
    int64_t first = p->total > PACE_WINDOW ? p->total - PACE_WINDOW : 0;
    for (int64_t i = p->total; i > first && n < most; i--) {
        const struct pace_entry *e = &p->window[(i - 1) % PACE_WINDOW];
        if (!(p->active & ~e->active))
            out[n++] = e;
    }
    return n;
}

static bool has_contexts(const struct pacer *p)
{
    const struct pace_entry *one[PACE_WINDOW];
    return pacer_contexts(p, one, 1) > 0;
}

bool pacer_due(const struct pacer *p)
{
    return p->rate_usd > 0 && (p->due || p->since >= PACE_EVERY) && has_contexts(p);
}

/* A target below what the cheapest models cost cannot be met: then aim a hair above that, so that
 * the multiplier stays finite and still tells models apart. */
static double target(const struct pacer *p, double horizon, double least)
{
    double t = AIM * p->rate_usd + p->carry_usd / horizon;
    t = fmax(fmin(t, FASTEST * p->rate_usd), SLOWEST * p->rate_usd);
    return fmax(t, 1.001 * least);
}

/* Fills one with the decision's own context, once for each of n draws of the policy's noise. */
static void own_contexts(const struct pacer *p, const struct event_decided *d, bool noisy,
                         struct pace_entry *one, int n)
{
    for (int i = 0; i < n; i++) {
        pacer_view(d, &one[i]);
        for (uint64_t m = noisy ? d->eligible : 0; m; m &= m - 1) {
            int a = __builtin_ctzll(m);
            one[i].merit[a] += (float)(noise((uint64_t)i, a) * (double)d->view[a].merit_sd);
        }
        one[i].explored_usd = (float)explored_usd(p, &one[i]);
    }
}

static struct event_paced solve(const struct pacer *p, const struct pace_entry *const *entry, int n,
                                double base, const struct pool_pacers *pools)
{
    struct pace_search s;
    struct event_paced out = {.pool = -1, .unit = POOL_NANO, .rate = p->rate_usd};
    double truth = pacer_truth(p);
    double guess = base + (p->mu > base ? 2 * p->mu : 0.01 / p->rate_usd);
    pace_search_begin(&s, POOL_NANO, p->active, p->active);
    for (int i = 0; i < n; i++)
        pace_search_add(&s, entry[i], pool_pacers_price(pools, entry[i]->pools),
                        (double)entry[i]->explored_usd);
    out.least = truth * pace_search_least(&s);
    double mu = pace_search_find(&s, base, target(p, LONG, out.least) / truth, guess,
                                 base + 1e6 / p->rate_usd, &out.wanted);
    double meet = target(p, SHORT, out.least) / truth;
    out.wanted *= n >= WANTED_FROM ? truth : 0;
    out.multiplier = mu > 0 ? pace_search_between(&s, mu / SWING, mu * SWING, meet) : 0;
    return out;
}

struct event_paced pacer_solve(const struct pacer *p, const struct pool_pacers *pools)
{
    const struct pace_entry *entry[PACE_WINDOW];
    return solve(p, entry, pacer_contexts(p, entry, PACE_WINDOW), p->base, pools);
}

static double multiplier(const struct pacer *p, const struct event_decided *d,
                         const struct pool_pacers *pools, bool noisy)
{
    struct pace_entry own[PACE_FEW];
    const struct pace_entry *entry[PACE_FEW];
    int n = pacer_contexts(p, entry, PACE_FEW);
    if (n == PACE_FEW)
        return p->due ? pacer_solve(p, pools).multiplier : p->mu;
    own_contexts(p, d, noisy, own, PACE_FEW - n);
    for (int i = n; i < PACE_FEW; i++)
        entry[i] = &own[i - n];
    return solve(p, entry, PACE_FEW, base_price(d), pools).multiplier;
}

double pacer_shortage(const struct pacer *p)
{
    double pays = p->rate_usd + fmax(p->carry_usd, 0) / LONG;
    return p->rate_usd > 0 && p->least_usd > pays ? 1 - pays / p->least_usd : 0;
}

double pacer_price(const struct pacer *p, const struct event_decided *d,
                   const struct pool_pacers *pools, bool noisy)
{
    if (!(p->rate_usd > 0))
        return p->mu;
    double mu = multiplier(p, d, pools, noisy);
    return mu > base_price(d) ? fmax(mu, pace_room_price(&p->room, d, p->rate_usd, pacer_truth(p)))
                              : mu;
}

void pacer_adopt(struct pacer *p, const struct event_paced *s)
{
    p->mu = s->multiplier;
    p->wanted_usd = s->wanted;
    p->least_usd = s->least;
    p->since = 0;
    p->due = false;
}

void pacer_renumber(struct pacer *p, const int8_t to[POOL_SPECS_MAX])
{
    int64_t n = p->total < PACE_WINDOW ? p->total : PACE_WINDOW;
    for (struct pace_entry *e = p->window; e < p->window + n; e++) {
        uint64_t now = 0;
        for (uint64_t m = e->pools; m; m &= m - 1) {
            int at = to[__builtin_ctzll(m)];
            now |= at >= 0 ? (uint64_t)1 << at : 0;
        }
        p->dirty = now != e->pools ? DIRTY_ALL : p->dirty;
        e->pools = now;
    }
}

/* ---- snapshots */

void pacer_put(struct filler *w, const struct pacer *p)
{
    put_f64(w, p->mu);
    put_f64(w, p->carry_usd);
    put_f64(w, p->owed_usd);
    put_f64(w, p->billed_usd);
    put_f64(w, p->predicted_usd);
    put_f64(w, p->bills);
    put_f64(w, p->wanted_usd);
    put_f64(w, p->least_usd);
    put_f64(w, p->base);
    put_i64(w, p->since);
    put_bool(w, p->due);
    put_i64(w, p->total);
}

void pacer_get(struct reader *in, struct pacer *p)
{
    p->mu = get_f64(in);
    p->carry_usd = get_f64(in);
    p->owed_usd = get_f64(in);
    p->billed_usd = get_f64(in);
    p->predicted_usd = get_f64(in);
    p->bills = get_f64(in);
    p->wanted_usd = get_f64(in);
    p->least_usd = get_f64(in);
    p->base = get_f64(in);
    p->since = get_i64(in);
    p->due = get_bool(in);
    p->total = get_i64(in);
}
