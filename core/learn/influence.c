/* SPDX-License-Identifier: MIT */
/*
 * Bounds are functions of the decision's row and the label book alone, so the order of messages
 * cannot matter. A label beyond them is moved to the bound, not refused: where the typical values
 * of a model are far off, each label still moves the prediction, and the bound moves along.
 *
 * A tenant's share is counted from below (count - excess), so that a tenant who asks rarely is
 * never taken for one who asks much. Additions, multiplications and divisions only: the table is
 * state.
 *
 * With weight most / share a tenant of share s counts as `most` against the 1 - s of all others, so
 * its part of the evidence is most / (most + 1 - s), not most. Considered: the weight that makes it
 * most, (1 - s) most / (s (1 - most)). It goes to 0 with the others' traffic: a service with one
 * large tenant and few requests of others would hardly learn any more.
 */
#include "core/learn/influence.h"

#include <string.h>
#include "bandit/repro.h"
#include "bandit/rng.h"

/* ---- tenants ---- */

static const double KEEP = 1 - 1.0 / INFLUENCE_SPAN;

uint64_t influence_tenant(const char *name)
{
    return hash64(name, strlen(name), 2);
}

static int find(const struct influence *f, uint64_t tenant)
{
    for (int i = 0; i < f->n; i++)
        if (f->tenant[i].tenant == tenant)
            return i;
    return -1;
}

double influence_weight(const struct influence *f, uint64_t tenant, double most)
{
    int i = find(f, tenant);
    double own = i < 0 ? 0 : f->tenant[i].count - f->tenant[i].excess;
    double share = (own * KEEP + 1) / (f->total * KEEP + 1);
    return share > most ? most / share : 1;
}

/* The place of a tenant that is not in the table: free, or the least one's. */
static int place(struct influence *f)
{
    if (f->n < TENANTS_COUNTED)
        return f->n++;
    int least = 0;
    for (int i = 1; i < f->n; i++)
        if (f->tenant[i].count < f->tenant[least].count)
            least = i;
    return least;
}

void influence_count(struct influence *f, uint64_t tenant)
{
    f->total = f->total * KEEP + 1;
    for (int i = 0; i < f->n; i++) {
        f->tenant[i].count *= KEEP;
        f->tenant[i].excess *= KEEP;
    }
    int i = find(f, tenant);
    if (i < 0) {
        i = place(f);
        f->tenant[i].tenant = tenant;
        f->tenant[i].excess = f->tenant[i].count;
    }
    f->tenant[i].count += 1;
}

void influence_put(struct filler *w, const struct influence *f)
{
    put_f64(w, f->total);
    put_u8(w, (uint8_t)f->n);
    for (int i = 0; i < f->n; i++) {
        put_u64(w, f->tenant[i].tenant);
        put_f64(w, f->tenant[i].count);
        put_f64(w, f->tenant[i].excess);
    }
}

void influence_get(struct reader *r, struct influence *f)
{
    memset(f, 0, sizeof *f);
    f->total = get_f64(r);
    f->n = get_u8(r);
    if (f->n > TENANTS_COUNTED) {
        f->n = 0;
        r->bad = true;
    }
    for (int i = 0; i < f->n; i++) {
        f->tenant[i].tenant = get_u64(r);
        f->tenant[i].count = get_f64(r);
        f->tenant[i].excess = get_f64(r);
    }
}

/* ---- reports ---- */

static double within(double v, double middle, double factor)
{
    double low = middle / factor, high = middle * factor;
    return v < low ? low : v > high ? high : v;
}

/* A label is log(1 + y), so a factor of 1 + y is a distance. */
static void bound_log(struct credit *c, enum target t, double middle, double off)
{
    if (!c->has[t])
        return;
    double low = middle > off ? middle - off : 0, high = middle + off;
    double v = c->label[t];
    c->label[t] = v < low ? low : v > high ? high : v;
}

/* What the decision would cost at its raw prediction of tokens, nanodollars. */
static double expected_nano(const struct decision_row *row)
{
    double cached = (double)row->cached_tokens, in = (double)row->prompt_tokens;
    double pico = (double)row->price_in * (in > cached ? in - cached : 0) +
                  (double)row->price_cached * cached +
                  (double)row->price_out * (row->tokens_raw > 0 ? (double)row->tokens_raw : 0);
    return pico / 1000;
}

static int64_t saturated(double nano)
{
    return nano >= 9.2e18 ? INT64_MAX : (int64_t)(nano + 0.5);
}

/* A cost beyond the bound weighs no more than one at the bound, and keeps its ratio to the computed
 * one as far as that is within bounds itself. Where nothing can be computed (a model without
 * prices) the bound is around what was booked. */
static void bound_cost(struct credit *c, const struct decision_row *row, double most_off)
{
    double priced = (double)c->priced_nano, reported = (double)c->learned_nano;
    double expected = expected_nano(row), booked = (double)row->booked_nano;
    if (priced > 0 && expected > 0) {
        double kept = within(priced, expected, most_off);
        reported = within(reported * (kept / priced), kept, most_off);
        c->priced_nano = saturated(kept);
        c->learned_nano = saturated(reported);
    } else if (booked > 0) {
        c->learned_nano = saturated(within(reported, booked, most_off));
    }
}

void influence_bound(struct credit *c, const struct decision_row *row, double most_off)
{
    if (!(most_off > 0))
        return;
    double tokens = (double)row->tokens_raw, ms = (double)row->latency_raw;
    double log[] = {most_off, 1 + (tokens > 0 ? tokens : 0), 1 + (ms > 0 ? ms : 0)};
    repro_logs(log, 3);
    bound_log(c, TARGET_TOKENS, log[1], log[0]);
    bound_log(c, TARGET_LATENCY, log[2], log[0]);
    if (c->has_cost)
        bound_cost(c, row, most_off);
}
