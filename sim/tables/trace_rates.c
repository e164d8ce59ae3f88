/* SPDX-License-Identifier: MIT */
#include "sim/tables/rates.h"

#include "bandit/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { GAPS = 0x67617073 };

struct arrivals {
    struct arrival *item;
    size_t n, cap, most; /* most: where a burst beyond all measure ends */
};

static enum status no_memory(struct problem *problem)
{
    return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
}

static int by_client(const void *a, const void *b)
{
    const struct rate *x = a, *y = b;
    if (x->client != y->client)
        return x->client < y->client ? -1 : 1;
    if (x->at_s < y->at_s || x->at_s > y->at_s)
        return x->at_s < y->at_s ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

const char *rates_cell(int which, const char *cell, double *out)
{
    static const struct {
        double low, high;
        const char *what;
    } allowed[RATE_CELLS] = {{0, CLIENTS_MAX, "expected the number of a client, up to a million"},
                             {0, TIME_MOST, "expected seconds"},
                             {0, 1e9, "expected requests a second"},
                             {0, 1e4, "expected a coefficient of variation, 0 to 10000"}};
    bool is = csv_number(cell, out) && *out >= allowed[which].low && *out <= allowed[which].high;
    return is ? NULL : allowed[which].what;
}

bool rates_add(struct rate_list *r, const double v[RATE_CELLS], uint64_t line)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 4096;
        struct rate *more = reallocarray(r->item, cap, sizeof *more);
        if (!more)
            return false;
        r->item = more;
        r->cap = cap;
    }
    r->item[r->n++] =
        (struct rate){(uint32_t)v[RATE_CLIENT], v[RATE_AT], v[RATE_RPS], v[RATE_CV], line};
    return true;
}

size_t rates_order(struct rate_list *r)
{
    if (r->n > 0)
        qsort(r->item, r->n, sizeof *r->item, by_client);
    for (size_t i = 1; i < r->n; i++) {
        const struct rate *a = &r->item[i - 1], *b = &r->item[i];
        if (a->client != b->client)
            continue;
        if (!(b->at_s > a->at_s))
            return i;
        if (r->window_s <= 0 || b->at_s - a->at_s < r->window_s)
            r->window_s = b->at_s - a->at_s;
    }
    if (r->window_s <= 0)
        r->window_s = 1;
    return 0;
}

/* A gamma draw with scale 1 (Marsaglia and Tsang 2000); below shape 1 by way of shape + 1. */
static double gamma_draw(double shape, struct rng *g)
{
    double boost = 1;
    if (shape < 1) {
        boost = pow(1 - rng_uniform(g), 1 / shape);
        shape += 1;
    }
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = rng_normal(g), v = 1 + c * x;
        v = v * v * v;
        if (v > 0 && log(1 - rng_uniform(g)) < 0.5 * x * x + d - d * v + d * log(v))
            return boost * d * v;
    }
}

/* A gap in operational time, mean 1. */
static double gap(double cv, struct rng *g)
{
    if (cv < 0.01) /* as good as even */
        return 1;
    return gamma_draw(1 / (cv * cv), g) * cv * cv;
}

/* The variation of gaps when of the requests a share is kept at random: gaps of the kept are sums
 * of a geometric number of gaps, so their squared variation is 1 + share (cv^2 - 1). */
static double thinned(double cv, double share)
{
    return share < 1 ? sqrt(1 + share * (cv * cv - 1)) : cv;
}

/* The arrivals of one client, whose windows are rate[0..n-1], scaled; false without memory. */
static bool arrive(const struct rate *rate, size_t n, double window_s, double scale, uint64_t seed,
                   struct arrivals *out)
{
    struct rng g = rng_stream(seed, GAPS, rate->client);
    double left =
        rng_uniform(&g) * gap(thinned(rate->cv, scale), &g); /* the process did not begin here */
    for (size_t i = 0; i < n; i++) {
        double have = rate[i].rps * scale * window_s, used = 0;
        while (have - used >= left && have > 0 && out->n < out->most) {
            used += left;
            left = gap(thinned(rate[i].cv, scale), &g);
            if (out->n == out->cap) {
                size_t cap = out->cap ? out->cap * 2 : 4096;
                struct arrival *more = reallocarray(out->item, cap, sizeof *more);
                if (!more)
                    return false;
                out->item = more;
                out->cap = cap;
            }
            out->item[out->n++] = (struct arrival){.at_s = rate[i].at_s + used / have * window_s,
                                                   .client = rate->client};
        }
        left -= have - used;
    }
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct arrival *x = a, *y = b;
    if (x->at_s < y->at_s || x->at_s > y->at_s)
        return x->at_s < y->at_s ? -1 : 1;
    if (x->client != y->client)
        return x->client < y->client ? -1 : 1;
    if (x->in != y->in)
        return x->in < y->in ? -1 : 1;
    return x->out < y->out ? -1 : x->out > y->out;
}

static void take(struct arrivals *all, size_t n, struct trace *t)
{
    if (all->n > 0)
        qsort(all->item, all->n, sizeof *all->item, by_time);
    for (; t->n < all->n && t->n < n; t->n++) {
        const struct arrival *a = &all->item[t->n];
        t->at_ms[t->n] = llround((a->at_s - all->item[0].at_s) * 1000);
        t->client[t->n] = a->client;
        if (t->in != NULL) {
            t->in[t->n] = a->in;
            t->out[t->n] = a->out;
        }
    }
}

enum status rates_draw(const struct rate_list *r, size_t n, uint64_t seed,
                       enum status (*lengthen)(void *ctx, struct arrival *of, size_t n,
                                               struct problem *problem),
                       void *ctx, struct trace *t, struct problem *problem)
{
    struct arrivals all = {.most = 16 * n + 1024};
    double expected = 0;
    enum status s = STATUS_OK;
    for (size_t i = 0; i < r->n; i++)
        expected += r->item[i].rps * r->window_s;
    for (size_t i = 0, k; s == STATUS_OK && expected > 0 && i < r->n; i = k) {
        size_t before = all.n;
        for (k = i; k < r->n && r->item[k].client == r->item[i].client;)
            k++;
        if (!arrive(&r->item[i], k - i, r->window_s, (double)n / expected, seed, &all))
            s = no_memory(problem);
        if (s == STATUS_OK && lengthen != NULL && all.n > before)
            s = lengthen(ctx, all.item + before, all.n - before, problem);
    }
    if (s == STATUS_OK)
        s = trace_room(t, all.n, lengthen != NULL, true, problem);
    if (s == STATUS_OK)
        take(&all, n, t);
    free(all.item);
    return s;
}

/* ---- a file with columns ---- */

static enum status read_rate(struct csv *c, const int column[RATE_CELLS], struct rate_list *r)
{
    double v[RATE_CELLS];
    for (int i = 0; i < RATE_CELLS; i++) {
        const char *expected = rates_cell(i, c->cell[column[i]], &v[i]);
        if (expected != NULL)
            return csv_fault(c, column[i], expected);
    }
    return rates_add(r, v, c->line) ? STATUS_OK : no_memory(c->problem);
}

static enum status order(struct csv *c, struct rate_list *r)
{
    char text[96];
    size_t twice = rates_order(r);
    if (twice == 0)
        return STATUS_OK;
    snprintf(text, sizeof text, "client %u has this window twice, first in line %llu",
             r->item[twice].client, (unsigned long long)r->item[twice - 1].line);
    c->line = r->item[twice].line;
    return csv_fault(c, -1, text);
}

enum status rates_read(struct csv *c, size_t n, uint64_t seed, struct trace *t)
{
    int column[RATE_CELLS] = {csv_find(c, "client"), csv_find(c, "t_s"), csv_find(c, "rate_rps"),
                              csv_find(c, "cv")};
    struct rate_list r = {0};
    enum status s = STATUS_OK;
    for (int i = 0; i < RATE_CELLS; i++)
        if (column[i] < 0)
            s = csv_fault(c, -1, "needs columns client,t_s,rate_rps,cv");
    while (s == STATUS_OK && csv_next(c, &s))
        s = read_rate(c, column, &r);
    if (s == STATUS_OK)
        s = order(c, &r);
    if (s == STATUS_OK)
        s = rates_draw(&r, n, seed, NULL, NULL, t, c->problem);
    free(r.item);
    return s;
}
