/* SPDX-License-Identifier: MIT */
/*
 * Traces of real traffic. Of rates, each client is a renewal process with gamma-distributed gaps
 * (shape 1/cv^2) in operational time, the integral of its rate: a gap is drawn there and mapped
 * back, so that rates may change within a gap. Fewer requests than the rates amount to are a random
 * share of them, which makes gaps more even. Clients are merged by time. Not done: the token counts
 * of ServeGen's clients, which its rates do not carry.
 */
#include "sim/tables/trace.h"

#include "bandit/rng.h"
#include "core/moment.h"
#include "sim/tables/csv.h"
#include "sim/disturb/course.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAPS = 0x67617073, ORDER_TRACE = 5, CLIENTS_MAX = 1 << 20 };
#define TIME_MOST 1e11 /* seconds: some 3000 years */

void trace_free(struct trace *t)
{
    free(t->at_ms);
    free(t->in);
    free(t->out);
    free(t->client);
    *t = (struct trace){0};
}

uint64_t trace_digest(const struct trace *t, uint64_t h)
{
    h = hash64(t->at_ms, t->n * sizeof *t->at_ms, h);
    if (t->in != NULL)
        h = hash64(t->out, t->n * sizeof *t->out, hash64(t->in, t->n * sizeof *t->in, h));
    return t->client != NULL ? hash64(t->client, t->n * sizeof *t->client, h) : h;
}

static enum status no_memory(struct problem *problem)
{
    return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
}

static enum status room(struct trace *t, size_t n, bool tokens, bool clients,
                        struct problem *problem)
{
    n += n == 0;
    t->at_ms = malloc(n * sizeof *t->at_ms);
    t->in = tokens ? malloc(n * sizeof *t->in) : NULL;
    t->out = tokens ? malloc(n * sizeof *t->out) : NULL;
    t->client = clients ? malloc(n * sizeof *t->client) : NULL;
    bool ok = t->at_ms && (!tokens || (t->in && t->out)) && (!clients || t->client);
    return ok ? STATUS_OK : no_memory(problem);
}

/* ---- requests ---- */

/* Seconds: a number, or a date and time with any number of decimals, in UTC. */
static bool read_seconds(const char *cell, double *out)
{
    char day[20];
    struct moment m = {0};
    size_t n = strlen(cell);
    if (csv_number(cell, out))
        return fabs(*out) <= TIME_MOST;
    if (n < 19)
        return false;
    memcpy(day, cell, 19);
    day[19] = '\0';
    if (!moment_parse(day, &m) || m.seq != 0)
        return false;
    const char *rest = cell + 19;
    double fraction = 0, unit = 1;
    for (rest += *rest == '.'; *rest >= '0' && *rest <= '9'; rest++)
        fraction += (*rest - '0') * (unit /= 10);
    *out = (double)m.time_ms / 1000 + fraction;
    return *rest == '\0' || strcmp(rest, "Z") == 0 || strcmp(rest, "+00:00") == 0;
}

static int either(const struct csv *c, const char *name, const char *other)
{
    int at = csv_find(c, name);
    return at >= 0 ? at : csv_find(c, other);
}

static enum status read_tokens(const struct csv *c, int column, int32_t *out)
{
    double v;
    if (!csv_number(c->cell[column], &v) || v < 0 || v > 1e9)
        return csv_fault(c, column, "expected a number of tokens, 0 to 1e9");
    *out = (int32_t)lround(v);
    return STATUS_OK;
}

static enum status read_requests(struct csv *c, size_t n, struct trace *t)
{
    int at = either(c, "TIMESTAMP", "t_s"), in = either(c, "ContextTokens", "in_tokens"),
        out = either(c, "GeneratedTokens", "out_tokens");
    double first = 0, last = 0, s = 0;
    if (at < 0 || in < 0 || out < 0)
        return csv_fault(c, -1,
                         "needs columns TIMESTAMP,ContextTokens,GeneratedTokens or "
                         "t_s,in_tokens,out_tokens or client,t_s,rate_rps,cv");
    enum status status = room(t, n, true, false, c->problem);
    while (status == STATUS_OK && t->n < n && csv_next(c, &status)) {
        if (!read_seconds(c->cell[at], &s))
            return csv_fault(c, at, "expected seconds, or a date and time in UTC");
        if (t->n > 0 && s < last)
            return csv_fault(c, at, "is earlier than the request before it");
        last = s;
        first = t->n == 0 ? s : first;
        t->at_ms[t->n] = llround((s - first) * 1000);
        status = read_tokens(c, in, &t->in[t->n]);
        if (status == STATUS_OK)
            status = read_tokens(c, out, &t->out[t->n]);
        t->n += status == STATUS_OK;
    }
    return status;
}

/* ---- rates ---- */

struct rate {
    uint32_t client;
    double at_s, rps, cv;
    uint64_t line;
};
struct rate_list {
    struct rate *item;
    size_t n, cap;
    double window_s; /* the least step of a client */
};

static int by_client(const void *a, const void *b)
{
    const struct rate *x = a, *y = b;
    if (x->client != y->client)
        return x->client < y->client ? -1 : 1;
    if (x->at_s < y->at_s || x->at_s > y->at_s)
        return x->at_s < y->at_s ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static enum status read_rate(struct csv *c, const int column[4], struct rate_list *r)
{
    static const struct {
        double low, high;
        const char *what;
    } allowed[4] = {{0, CLIENTS_MAX, "expected the number of a client, up to a million"},
                    {0, TIME_MOST, "expected seconds"},
                    {0, 1e9, "expected requests a second"},
                    {0, 1e4, "expected a coefficient of variation, 0 to 10000"}};
    double v[4];
    for (int i = 0; i < 4; i++)
        if (!csv_number(c->cell[column[i]], &v[i]) || v[i] < allowed[i].low ||
            v[i] > allowed[i].high)
            return csv_fault(c, column[i], allowed[i].what);
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 4096;
        struct rate *more = reallocarray(r->item, cap, sizeof *more);
        if (!more)
            return no_memory(c->problem);
        r->item = more;
        r->cap = cap;
    }
    r->item[r->n++] = (struct rate){(uint32_t)v[0], v[1], v[2], v[3], c->line};
    return STATUS_OK;
}

/* Sorts by client and time and finds the length of windows; a window told twice is refused. */
static enum status order_rates(struct csv *c, struct rate_list *r)
{
    char text[96];
    qsort(r->item, r->n, sizeof *r->item, by_client);
    for (size_t i = 1; i < r->n; i++) {
        const struct rate *a = &r->item[i - 1], *b = &r->item[i];
        if (a->client != b->client)
            continue;
        if (!(b->at_s > a->at_s)) {
            snprintf(text, sizeof text, "client %u has this window twice, first in line %llu",
                     b->client, (unsigned long long)a->line);
            c->line = b->line;
            return csv_fault(c, -1, text);
        }
        if (r->window_s <= 0 || b->at_s - a->at_s < r->window_s)
            r->window_s = b->at_s - a->at_s;
    }
    if (r->window_s <= 0)
        r->window_s = 1;
    return STATUS_OK;
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

struct arrival {
    double at_s;
    uint32_t client;
};
struct arrivals {
    struct arrival *item;
    size_t n, cap, most; /* most: where a burst beyond all measure ends */
};

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
            out->item[out->n++] =
                (struct arrival){rate[i].at_s + used / have * window_s, rate->client};
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
    return x->client < y->client ? -1 : x->client > y->client;
}

static enum status draw(struct csv *c, const struct rate_list *r, size_t n, uint64_t seed,
                        struct trace *t)
{
    struct arrivals all = {.most = 16 * n + 1024};
    double expected = 0;
    bool ok = true;
    for (size_t i = 0; i < r->n; i++)
        expected += r->item[i].rps * r->window_s;
    for (size_t i = 0, k; ok && expected > 0 && i < r->n; i = k) {
        for (k = i; k < r->n && r->item[k].client == r->item[i].client;)
            k++;
        ok = arrive(&r->item[i], k - i, r->window_s, (double)n / expected, seed, &all);
    }
    enum status s = ok ? room(t, all.n, false, true, c->problem) : no_memory(c->problem);
    if (s == STATUS_OK && all.n > 0)
        qsort(all.item, all.n, sizeof *all.item, by_time);
    for (; s == STATUS_OK && t->n < all.n && t->n < n; t->n++) {
        t->at_ms[t->n] = llround((all.item[t->n].at_s - all.item[0].at_s) * 1000);
        t->client[t->n] = all.item[t->n].client;
    }
    free(all.item);
    return s;
}

static enum status read_rates(struct csv *c, size_t n, uint64_t seed, struct trace *t)
{
    int column[4] = {csv_find(c, "client"), csv_find(c, "t_s"), csv_find(c, "rate_rps"),
                     csv_find(c, "cv")};
    struct rate_list r = {0};
    enum status s = STATUS_OK;
    for (int i = 0; i < 4; i++)
        if (column[i] < 0)
            s = csv_fault(c, -1, "needs columns client,t_s,rate_rps,cv");
    while (s == STATUS_OK && csv_next(c, &s))
        s = read_rate(c, column, &r);
    if (s == STATUS_OK)
        s = order_rates(c, &r);
    if (s == STATUS_OK)
        s = draw(c, &r, n, seed, t);
    free(r.item);
    return s;
}

enum status trace_load(const char *path, size_t n, uint64_t seed, struct trace *out,
                       struct problem *problem)
{
    struct csv c;
    struct trace t = {0};
    enum status s = csv_open(&c, path, problem);
    if (s == STATUS_OK)
        s = csv_find(&c, "rate_rps") >= 0 ? read_rates(&c, n, seed, &t) : read_requests(&c, n, &t);
    if (s == STATUS_OK && t.n == 0)
        s = csv_fault(&c, -1, "no requests below the header");
    csv_close(&c);
    if (s == STATUS_OK)
        *out = t;
    else
        trace_free(&t);
    return s;
}

/* ---- onto a table ---- */

static double mean_of(const int32_t *v, int n)
{
    double sum = 0;
    for (int m = 0; m < n; m++)
        sum += v[m] > 0 ? v[m] : 0;
    return sum / n;
}

static int32_t scaled(int32_t of, double mean, int32_t by)
{
    double v = mean > 0 ? round((double)by * of / mean) : by;
    return (int32_t)fmin(fmax(v, 0), 1e9);
}

/* Nanodollars by the list price: a dollar per million tokens is 1000 of them a token. */
static double list_cost(const struct table_model *m, double in, double out)
{
    return 1000 * (m->usd_in * in + m->usd_out * out);
}

static void lengthen(const struct table *from, size_t row, int32_t in, int32_t out,
                     struct table_cells *cells)
{
    int k = from->n_models;
    double mean_in = mean_of(cells->in, k), mean_out = mean_of(cells->out, k);
    bool told = true;
    for (int m = 0; m < k; m++)
        told = told && cells->out[m] != TABLE_UNKNOWN;
    for (int m = 0; m < k; m++) {
        const struct table_model *model = &from->model[m];
        size_t cell = table_cell(from, row, m);
        double was = list_cost(model, from->in[cell], told ? from->out[cell] : 0);
        cells->in[m] = scaled(cells->in[m], mean_in, in);
        cells->out[m] = told ? scaled(cells->out[m], mean_out, out) : out;
        double now = list_cost(model, cells->in[m], cells->out[m]);
        double ratio = told && was > 0 ? (double)from->cost_nano[cell] / was : 1;
        cells->cost_nano[m] = llround(now * ratio);
    }
}

static void copy_cells(const struct table *from, size_t row, struct table_cells *cells)
{
    for (int m = 0; m < from->n_models; m++) {
        size_t cell = table_cell(from, row, m);
        cells->in[m] = from->in[cell];
        cells->out[m] = from->out[cell];
        cells->q[m] = from->q[cell];
        cells->cost_nano[m] = from->cost_nano[cell];
        cells->lat_ms[m] = from->lat_ms[cell];
    }
}

void trace_lengthen(const struct trace *trace, size_t i, struct table *of, size_t row)
{
    struct table_cells cells;
    if (trace->in == NULL)
        return;
    copy_cells(of, row, &cells);
    lengthen(of, row, trace->in[i], trace->out[i], &cells);
    for (int m = 0; m < of->n_models; m++) {
        size_t cell = table_cell(of, row, m);
        of->in[cell] = cells.in[m];
        of->out[cell] = cells.out[m];
        of->cost_nano[cell] = cells.cost_nano[m];
    }
}

enum status trace_onto(const struct trace *trace, const struct table *from, const uint32_t *row,
                       size_t n, uint64_t seed, struct table *out, struct problem *problem)
{
    struct table t = {.n_models = from->n_models};
    uint32_t *order = malloc(n * sizeof *order);
    if (order == NULL)
        return no_memory(problem);
    memcpy(t.model, from->model, sizeof t.model);
    memcpy(order, row, n * sizeof *order);
    course_shuffle(order, n, seed, ORDER_TRACE);
    enum status s = STATUS_OK;
    for (size_t i = 0; s == STATUS_OK && i < trace->n; i++) {
        struct table_cells cells;
        uint32_t at = order[i % n];
        copy_cells(from, at, &cells);
        if (trace->in != NULL)
            lengthen(from, at, trace->in[i], trace->out[i], &cells);
        s = table_add(&t, table_id(from, at), table_task(from, at), table_prompt(from, at),
                      from->row[at].prompt_len, from->row[at].line, &cells, problem);
    }
    free(order);
    if (s == STATUS_OK)
        *out = t;
    else
        table_free(&t);
    return s;
}

void trace_tenant(const struct trace *t, size_t i, char tenant[NAME_CAP])
{
    if (t->client != NULL)
        snprintf(tenant, NAME_CAP, "c%u", t->client[i]);
}
