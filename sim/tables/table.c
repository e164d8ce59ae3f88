/* SPDX-License-Identifier: MIT */
/*
 * A table in memory: outcome arrays row by row, all text in one growing block, so that 15 thousand
 * rows of 12 models take a few large allocations. Rows hold offsets, never pointers: the block
 * moves as it grows. Every cell of q and cost is known (that is what full information means); out
 * and latency may be missing. Reading files is table_read.c.
 * Not done: memory-mapping or streaming the table at replay. Each seed visits all rows in an order
 * of its own, and the largest real set takes 20 MB.
 */
#include "sim/tables/table.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void table_free(struct table *t)
{
    free(t->row);
    free(t->in);
    free(t->out);
    free(t->q);
    free(t->cost_nano);
    free(t->lat_ms);
    free(t->text);
    *t = (struct table){0};
}

static bool identifier_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("._:/@-", c) != NULL);
}

void table_identifier(char out[NAME_CAP], const char *s)
{
    size_t n = 0;
    for (; s[n] != '\0' && n < NAME_LEN; n++)
        out[n] = identifier_byte(s[n]) ? s[n] : '_';
    out[n] = '\0';
}

enum status table_set_model(struct table *t, int i, const char *name, const char *tier,
                            double usd_in, double usd_out, struct problem *problem)
{
    assert(i >= 0 && i < MODELS_MAX);
    struct table_model m = {.usd_in = usd_in, .usd_out = usd_out};
    if (name[0] == '\0' || strlen(name) >= sizeof m.name)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "model %d: a name has 1 to %d bytes", i,
                           TABLE_NAME_CAP - 1);
    memcpy(m.name, name, strlen(name) + 1);
    table_identifier(m.engine_name, name);
    table_identifier(m.tier, tier);
    for (int j = 0; j < i; j++) {
        if (strcmp(t->model[j].engine_name, m.engine_name) == 0)
            return problem_set(problem, STATUS_BAD_REQUEST, "",
                               "models %d and %d are both called %s", j, i, m.engine_name);
    }
    t->model[i] = m;
    return STATUS_OK;
}

/* Grows one array; on failure the old one stays valid and owned. */
static bool grow(void **array, size_t count, size_t size)
{
    void *p = reallocarray(*array, count, size);
    if (p == NULL)
        return false;
    *array = p;
    return true;
}

static bool grow_rows(struct table *t)
{
    if (t->n < t->row_cap)
        return true;
    size_t cap = t->row_cap == 0 ? 1024 : t->row_cap * 2;
    size_t cells = cap * (size_t)t->n_models;
    void *row = t->row, *in = t->in, *out = t->out, *q = t->q, *cost = t->cost_nano,
         *lat = t->lat_ms;
    bool ok = grow(&row, cap, sizeof *t->row) && grow(&in, cells, sizeof *t->in) &&
              grow(&out, cells, sizeof *t->out) && grow(&q, cells, sizeof *t->q) &&
              grow(&cost, cells, sizeof *t->cost_nano) && grow(&lat, cells, sizeof *t->lat_ms);
    t->row = row;
    t->in = in;
    t->out = out;
    t->q = q;
    t->cost_nano = cost;
    t->lat_ms = lat;
    if (ok)
        t->row_cap = cap;
    return ok;
}

static bool grow_text(struct table *t, size_t more)
{
    if (t->text_cap - t->text_len >= more)
        return true;
    size_t cap = t->text_cap * 2 > t->text_len + more ? t->text_cap * 2 : t->text_len + more;
    cap = cap < 65536 ? 65536 : cap;
    void *text = t->text;
    if (!grow(&text, cap, 1))
        return false;
    t->text = text;
    t->text_cap = cap;
    return true;
}

static size_t keep(struct table *t, const char *s, size_t n)
{
    size_t at = t->text_len;
    memcpy(t->text + at, s, n);
    t->text[at + n] = '\0';
    t->text_len += n + 1;
    return at;
}

enum status table_add(struct table *t, const char *id, const char *task, const char *prompt,
                      size_t prompt_len, uint32_t line, const struct table_cells *cells,
                      struct problem *problem)
{
    assert(t->n_models >= 1 && t->n_models <= MODELS_MAX);
    size_t n_id = strlen(id), n_task = strlen(task);
    if (!grow_rows(t) || !grow_text(t, n_id + n_task + prompt_len + 3))
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory at row %zu", t->n);
    struct table_row *row = &t->row[t->n];
    *row = (struct table_row){.prompt_len = prompt_len, .line = line};
    row->id = keep(t, id, n_id);
    row->task = keep(t, task, n_task);
    row->prompt = keep(t, prompt, prompt_len);
    size_t k = (size_t)t->n_models, at = t->n * k;
    memcpy(&t->in[at], cells->in, k * sizeof *t->in);
    memcpy(&t->out[at], cells->out, k * sizeof *t->out);
    memcpy(&t->q[at], cells->q, k * sizeof *t->q);
    memcpy(&t->cost_nano[at], cells->cost_nano, k * sizeof *t->cost_nano);
    memcpy(&t->lat_ms[at], cells->lat_ms, k * sizeof *t->lat_ms);
    t->n++;
    return STATUS_OK;
}

const char *table_id(const struct table *t, size_t row)
{
    assert(row < t->n);
    return t->text + t->row[row].id;
}

const char *table_task(const struct table *t, size_t row)
{
    assert(row < t->n);
    return t->text + t->row[row].task;
}

const char *table_prompt(const struct table *t, size_t row)
{
    assert(row < t->n);
    return t->text + t->row[row].prompt;
}

size_t table_cell(const struct table *t, size_t row, int model)
{
    assert(row < t->n && model >= 0 && model < t->n_models);
    return row * (size_t)t->n_models + (size_t)model;
}

int64_t table_input_tokens(const struct table *t, size_t row)
{
    int64_t sum = 0;
    for (int m = 0; m < t->n_models; m++)
        sum += t->in[table_cell(t, row, m)];
    return (sum + t->n_models / 2) / t->n_models;
}
