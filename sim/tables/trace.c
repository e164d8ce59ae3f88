/* SPDX-License-Identifier: MIT */
/* Traces of real traffic that are a line a request, and what a trace makes of a table. Those that
 * are rates: trace_rates.c. */
#include "sim/tables/trace.h"

#include "bandit/rng.h"
#include "core/moment.h"
#include "sim/disturb/course.h"
#include "sim/tables/csv.h"
#include "sim/tables/rates.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ORDER_TRACE = 5 };

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

enum status trace_room(struct trace *t, size_t n, bool tokens, bool clients,
                       struct problem *problem)
{
    n += n == 0;
    t->at_ms = malloc(n * sizeof *t->at_ms);
    t->in = tokens ? malloc(n * sizeof *t->in) : NULL;
    t->out = tokens ? malloc(n * sizeof *t->out) : NULL;
    t->client = clients ? malloc(n * sizeof *t->client) : NULL;
    bool ok = t->at_ms && (!tokens || (t->in && t->out)) && (!clients || t->client);
    return ok ? STATUS_OK : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
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
                         "t_s,in_tokens,out_tokens or client,t_s,rate_rps,cv, or to be a "
                         "folder of chunk-N-trace.csv");
    enum status status = trace_room(t, n, true, false, c->problem);
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

enum status trace_load(const char *path, size_t n, uint64_t seed, struct trace *out,
                       struct problem *problem)
{
    struct csv c;
    struct trace t = {0};
    if (chunks_are(path))
        return chunks_load(path, n, seed, out, problem);
    enum status s = csv_open(&c, path, problem);
    if (s == STATUS_OK)
        s = csv_find(&c, "rate_rps") >= 0 ? rates_read(&c, n, seed, &t) : read_requests(&c, n, &t);
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
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
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
