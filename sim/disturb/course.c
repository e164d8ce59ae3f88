/* SPDX-License-Identifier: MIT */
/*
 * A row's value under the disturbances is its true mean where a world tells it: the outcome is then
 * drawn again with the same luck (world_outcome), so that what is 0 or 1 stays so and spread is
 * kept. Of a table the outcome itself is moved. A model that cannot be had has quality 0 for
 * nothing: it is then neither best nor adequate, and a plan that relies on it leaves requests
 * unanswered.
 */
#include "sim/disturb/course.h"

#include "bandit/rng.h"
#include "sim/tables/trace.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Streams of (seed, purpose, position); per model where they need be. */
enum purpose { STREAM_FAIL = 0x1000, STREAM_TAIL = 0x2000, STREAM_TENANT = 0x3000 };

/* A request under way to its outcomes. */
struct moment {
    const struct course_of *of;
    uint64_t seed;
    size_t i;                   /* position, of of->n */
    double value[MODELS_MAX];   /* mean, or quality of a table */
    double tokens[MODELS_MAX];  /* factor on the output */
    double price[MODELS_MAX];   /* factor */
    double latency[MODELS_MAX]; /* factor */
    bool moved, fails[MODELS_MAX], absent[MODELS_MAX];
};

static double clip(double q)
{
    return fmin(fmax(q, 0), 1);
}

/* ---- what a disturbance does to a moment ---- */

/* How much of the other model's behaviour is taken over at request i. */
static double drift_weight(const struct disturbance *d, size_t i, size_t n)
{
    double since = (double)i / (double)n - d->at;
    switch (d->shape) {
    case DRIFT_GRADUAL:
        return d->weight * fmin(since / d->over, 1);
    case DRIFT_SEASONAL:
        return d->weight * (0.5 - 0.5 * cos(2 * 3.14159265358979323846 * since / d->over));
    case DRIFT_ALTERNATING:
        return (int64_t)floor(since / d->over) % 2 == 0 ? d->weight : 0;
    default:
        return d->weight;
    }
}

static void drift(const struct disturbance *d, struct moment *at)
{
    int k = at->of->world->table.n_models;
    double was[MODELS_MAX], w = drift_weight(d, at->i, at->of->n);
    memcpy(was, at->value, sizeof was);
    for (int m = 0; m < k; m++)
        at->value[m] = (1 - w) * was[m] + w * was[(m + d->turn) % k];
    at->moved = at->moved || w > 0;
}

/* A Pareto draw with mean 1: (a-1)/a (1-u)^(-1/a). The same for all models: how long an answer is
 * lies in the request. */
static double tail(const struct disturbance *d, const struct moment *at)
{
    struct rng g = rng_stream(at->seed, STREAM_TAIL, at->i);
    return (d->tail - 1) / d->tail * pow(1 - rng_uniform(&g), -1 / d->tail);
}

static bool hits(double share, uint64_t purpose, const struct moment *at)
{
    struct rng g = rng_stream(at->seed, purpose, at->i);
    return rng_uniform(&g) < share;
}

static void disturb_model(const struct disturbance *d, struct moment *at, int m)
{
    switch (d->kind) {
    case DISTURB_REGRESSION:
        at->value[m] = clip(at->value[m] + d->shift);
        at->moved = true;
        break;
    case DISTURB_PRICE:
        at->price[m] *= d->factor;
        break;
    case DISTURB_OUTAGE:
        at->fails[m] = at->fails[m] || hits(d->share, STREAM_FAIL + (uint64_t)m, at);
        at->latency[m] *= d->factor;
        break;
    case DISTURB_ABSENT:
        at->absent[m] = true;
        break;
    case DISTURB_TOKENS:
        at->tokens[m] *= tail(d, at);
        break;
    default:
        break;
    }
}

static void disturb(const struct disturbance *d, struct moment *at)
{
    if (!disturbance_on(d, at->i, at->of->n))
        return;
    if (d->kind == DISTURB_DRIFT)
        drift(d, at);
    for (int m = 0; m < at->of->world->table.n_models; m++)
        if (d->model < 0 || d->model == m)
            disturb_model(d, at, m);
}

static void look(const struct course_of *of, uint64_t seed, size_t i, uint32_t row,
                 struct moment *at)
{
    const struct table *t = &of->world->table;
    const double *value = of->spec != NULL ? of->world->mean : t->q;
    *at = (struct moment){.of = of, .seed = seed, .i = i};
    for (int m = 0; m < t->n_models; m++) {
        at->value[m] = value[table_cell(t, row, m)];
        at->tokens[m] = at->price[m] = at->latency[m] = 1;
    }
    for (int k = 0; k < of->disturbances->n; k++)
        disturb(&of->disturbances->item[k], at);
}

/* ---- from moments to outcomes ---- */

/* What the answer costs; only the output is longer, and the price may be another. */
static int64_t cost_of(const struct table *t, size_t cell, int m, int32_t out,
                       const struct moment *at)
{
    double nano = (double)t->cost_nano[cell];
    if (t->out[cell] != TABLE_UNKNOWN) /* dollars per million tokens are 1000 nanodollars a token */
        nano += (double)(out - t->out[cell]) * t->model[m].usd_out * 1000;
    return llround(fmax(nano, 0) * at->price[m]);
}

static void settle(struct course *c, const struct moment *at, uint32_t row, int m)
{
    const struct table *t = &at->of->world->table;
    size_t from = table_cell(t, row, m), cell = table_cell(t, at->i, m);
    bool gone = at->absent[m] || at->fails[m];
    double q = !at->moved             ? t->q[from]
               : at->of->spec != NULL ? world_outcome(at->of->spec, row, m, at->value[m])
                                      : at->value[m];
    int32_t out = t->out[from];
    if (out != TABLE_UNKNOWN)
        out = (int32_t)fmin(fmax(round(out * at->tokens[m]), 1), 1e9);
    c->table.in[cell] = t->in[from];
    c->table.out[cell] = out;
    c->table.q[cell] = gone ? 0 : q;
    c->table.cost_nano[cell] = at->absent[m] ? 0 : cost_of(t, from, m, out, at);
    c->table.lat_ms[cell] =
        t->lat_ms[from] < 0 ? t->lat_ms[from] : t->lat_ms[from] * (float)at->latency[m];
    c->failed[cell] = at->fails[m];
    if (c->mean != NULL)
        c->mean[cell] = gone ? 0 : at->value[m];
}

/* ---- who, and when ---- */

static void name_tenants(struct course *c, const struct disturbance *d, uint64_t seed, size_t n)
{
    double sum = 0;
    for (int64_t k = 1; k <= d->n; k++)
        sum += pow((double)k, -d->skew);
    for (size_t i = 0; i < n; i++) {
        struct rng g = rng_stream(seed, STREAM_TENANT, i);
        double left = rng_uniform(&g) * sum;
        int64_t k = 1;
        for (; k < d->n && (left -= pow((double)k, -d->skew)) >= 0;)
            k++;
        c->tenant[i] = (uint16_t)k;
    }
}

static void set_clock(struct course *c, const struct disturbance *d, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++) {
        double phase = 2 * 3.14159265358979323846 * (double)i / (double)d->day;
        c->clock_ms[i] = llround(s * 1000);
        s += d->gap_s / (1 + d->swing * sin(phase));
    }
}

static bool wants(const struct course_of *of, enum disturbance_kind kind)
{
    bool any = false;
    for (int i = 0; i < of->disturbances->n; i++)
        any = any || of->disturbances->item[i].kind == kind;
    return any;
}

/* ---- phases: what the configuration says ---- */

static int by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Where disturbances of some kinds begin and end, sorted, from 0 and below n. */
static int boundaries(const struct disturbances *d, bool (*of)(enum disturbance_kind), size_t n,
                      size_t *out, int most)
{
    size_t all[2 * DISTURBANCES_MAX + 1] = {0};
    int len = 1, unique = 0;
    for (int i = 0; i < d->n; i++) {
        if (!of(d->item[i].kind))
            continue;
        all[len++] = disturbance_at(d->item[i].at, n);
        all[len++] = disturbance_at(d->item[i].until, n);
    }
    qsort(all, (size_t)len, sizeof *all, by_size);
    for (int i = 0; i < len && unique < most; i++)
        if (all[i] < n && (unique == 0 || all[i] > out[unique - 1]))
            out[unique++] = all[i];
    return unique;
}

static bool announced(enum disturbance_kind kind)
{
    return kind == DISTURB_PRICE || kind == DISTURB_ABSENT;
}

static bool any(enum disturbance_kind kind)
{
    (void)kind;
    return true;
}

int course_stretches(const struct disturbances *d, size_t n, size_t from[STRETCHES_MAX])
{
    return boundaries(d, any, n, from, STRETCHES_MAX);
}

static void set_phases(struct course *c, const struct course_of *of, uint64_t seed)
{
    size_t from[PHASES_MAX];
    c->n_phases = boundaries(of->disturbances, announced, of->n, from, PHASES_MAX);
    for (int p = 0; p < c->n_phases; p++) {
        size_t end = p + 1 < c->n_phases ? from[p + 1] : of->n;
        struct phase *h = &c->phase[p];
        struct moment at;
        look(of, seed, from[p], c->source[from[p]], &at);
        *h = (struct phase){
            .from = from[p], .n = end - from[p], .table = c->table, .failed = c->failed};
        for (int m = 0; m < c->table.n_models; m++) {
            h->price[m] = at.price[m];
            h->absent[m] = at.absent[m];
            h->may_fail[m] = wants(of, DISTURB_OUTAGE);
        }
    }
}

/* ---- the whole ---- */

static bool make_room(struct course *c, const struct course_of *of)
{
    size_t n = of->n, cells = n * (size_t)of->world->table.n_models;
    struct table *t = &c->table;
    *c = (struct course){.table = of->world->table};
    t->n = t->row_cap = n;
    t->row = malloc(n * sizeof *t->row);
    t->in = malloc(cells * sizeof *t->in);
    t->out = malloc(cells * sizeof *t->out);
    t->q = malloc(cells * sizeof *t->q);
    t->cost_nano = malloc(cells * sizeof *t->cost_nano);
    t->lat_ms = malloc(cells * sizeof *t->lat_ms);
    c->row = malloc(n * sizeof *c->row);
    c->source = malloc(n * sizeof *c->source);
    c->failed = malloc(cells);
    c->phase = malloc(PHASES_MAX * sizeof *c->phase);
    bool ok = t->row && t->in && t->out && t->q && t->cost_nano && t->lat_ms && c->row &&
              c->source && c->failed && c->phase;
    if (of->spec != NULL)
        ok = (c->mean = malloc(cells * sizeof *c->mean)) != NULL && ok;
    if (wants(of, DISTURB_TENANTS))
        ok = (c->tenant = malloc(n * sizeof *c->tenant)) != NULL && ok;
    if (wants(of, DISTURB_ARRIVALS) || of->trace != NULL)
        ok = (c->clock_ms = malloc(n * sizeof *c->clock_ms)) != NULL && ok;
    return ok;
}

enum status course_make(const struct course_of *of, uint64_t seed, struct course *out,
                        struct problem *problem)
{
    struct course c;
    assert(of->n > 0);
    if (!make_room(&c, of)) {
        course_free(&c);
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    }
    memcpy(c.source, of->row, of->n * sizeof *c.source);
    course_shuffle(c.source, of->n, seed, ORDER_COUNT);
    for (size_t i = 0; i < of->n; i++) {
        struct moment at;
        look(of, seed, i, c.source[i], &at);
        c.row[i] = (uint32_t)i;
        c.table.row[i] = of->world->table.row[c.source[i]];
        for (int m = 0; m < c.table.n_models; m++)
            settle(&c, &at, c.source[i], m);
        if (of->trace != NULL) {
            trace_lengthen(of->trace, i, &c.table, i);
            c.clock_ms[i] = of->trace->at_ms[i];
        }
    }
    c.trace = of->trace;
    for (int k = 0; k < of->disturbances->n; k++) {
        const struct disturbance *d = &of->disturbances->item[k];
        if (d->kind == DISTURB_TENANTS)
            name_tenants(&c, d, seed, of->n);
        if (d->kind == DISTURB_ARRIVALS)
            set_clock(&c, d, of->n);
    }
    set_phases(&c, of, seed);
    *out = c;
    return STATUS_OK;
}

void course_free(struct course *c)
{
    free(c->table.row);
    free(c->table.in);
    free(c->table.out);
    free(c->table.q);
    free(c->table.cost_nano);
    free(c->table.lat_ms);
    free(c->mean);
    free(c->row);
    free(c->source);
    free(c->failed);
    free(c->tenant);
    free(c->clock_ms);
    free(c->phase);
    *c = (struct course){.n_phases = 0};
}

void course_tenant(const struct course *c, size_t i, char out[NAME_CAP])
{
    out[0] = '\0';
    if (c->trace != NULL)
        trace_tenant(c->trace, i, out);
    if (c->tenant != NULL)
        snprintf(out, NAME_CAP, "t%d", c->tenant[i]);
}

void course_shuffle(uint32_t *row, size_t n, uint64_t seed, uint64_t purpose)
{
    struct rng g = rng_stream(seed, purpose, 0);
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(&g, i);
        uint32_t t = row[i - 1];
        row[i - 1] = row[j];
        row[j] = t;
    }
}
