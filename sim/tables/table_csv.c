/* SPDX-License-Identifier: MIT */
/*
 * A table from one CSV file, in the shapes that two benchmarks are published in:
 *   RouteLLM     prompt, MODEL (True or False) ..., MODEL_response ...
 *   RouterBench  sample_id, prompt, eval_name, MODEL (a score), MODEL|model_response,
 *                MODEL|total_cost ..., oracle_model_to_route_to
 * Columns that are none of these names are models. Neither shape has tokens: four bytes of UTF-8
 * are taken for one, an answer that was not kept for a single one where it matters. What the file
 * does not price is priced by --prices, or by a models.json beside it; with costs and without
 * prices, a model's price is what its calls cost by the token, in and out alike.
 */
#include "sim/tables/table.h"

#include "sim/tables/csv.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES_PER_TOKEN = 4 };
#define PRICE_UNKNOWN (-1.0)

/* Where the parts of a row are; -1 = the file does not have them. */
struct layout {
    struct csv csv;
    int id, task, prompt;
    int n; /* models */
    int quality[MODELS_MAX], cost[MODELS_MAX], response[MODELS_MAX];
};

/* The column of a model's part, by any of two endings. */
static int part(const struct csv *c, int model, const char *ending, const char *other)
{
    char name[TABLE_NAME_CAP + 32];
    snprintf(name, sizeof name, "%s%s", c->name[model], ending);
    int at = csv_find(c, name);
    if (at >= 0 || other == NULL)
        return at;
    snprintf(name, sizeof name, "%s%s", c->name[model], other);
    return csv_find(c, name);
}

static bool ends(const char *s, const char *ending)
{
    size_t n = strlen(s), k = strlen(ending);
    return n > k && strcmp(s + n - k, ending) == 0;
}

static bool is_model(const struct layout *l, int i)
{
    static const char *const passed[] = {"", "Unnamed: 0", "oracle_model_to_route_to"};
    const char *name = l->csv.name[i];
    for (size_t k = 0; k < sizeof passed / sizeof *passed; k++)
        if (strcmp(name, passed[k]) == 0)
            return false;
    return i != l->id && i != l->task && i != l->prompt && !ends(name, "|model_response") &&
           !ends(name, "|total_cost") && !ends(name, "_response");
}

static int either(const struct csv *c, const char *name, const char *other)
{
    int at = csv_find(c, name);
    return at >= 0 ? at : csv_find(c, other);
}

static enum status read_layout(struct layout *l, struct table *t)
{
    struct csv *c = &l->csv;
    struct problem inner = {0};
    l->id = either(c, "sample_id", "id");
    l->task = either(c, "eval_name", "task");
    l->prompt = csv_find(c, "prompt");
    if (l->prompt < 0)
        return csv_fault(c, -1, "there is no column prompt");
    for (int i = 0; i < c->n; i++) {
        if (!is_model(l, i))
            continue;
        if (l->n == MODELS_MAX)
            return csv_fault(c, i, "one model too many: 64 are allowed");
        if (table_set_model(t, l->n, c->name[i], "", PRICE_UNKNOWN, PRICE_UNKNOWN, &inner) !=
            STATUS_OK)
            return csv_fault(c, i, inner.text);
        l->quality[l->n] = i;
        l->cost[l->n] = part(c, i, "|total_cost", NULL);
        l->response[l->n] = part(c, i, "|model_response", "_response");
        if (l->n > 0 && (l->cost[l->n] < 0) != (l->cost[0] < 0))
            return csv_fault(c, i,
                             "has no |total_cost beside it, or others have none: all or "
                             "none");
        l->n++;
    }
    t->n_models = l->n;
    return l->n > 0 ? STATUS_OK : csv_fault(c, -1, "there is no column of a model");
}

static int32_t tokens_of(const char *text)
{
    size_t n = (strlen(text) + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
    return n < 1 ? 1 : n > 1000000000 ? 1000000000 : (int32_t)n;
}

static bool read_quality(const char *cell, double *q)
{
    if (strcasecmp(cell, "true") == 0 || strcasecmp(cell, "false") == 0) {
        *q = cell[0] == 't' || cell[0] == 'T';
        return true;
    }
    return csv_number(cell, q) && *q >= 0 && *q <= 1;
}

static enum status read_cells(const struct layout *l, struct table_cells *cells)
{
    const struct csv *c = &l->csv;
    char text[96];
    for (int m = 0; m < l->n; m++) {
        double cost = 0;
        cells->in[m] = tokens_of(c->cell[l->prompt]);
        cells->out[m] = l->response[m] >= 0 ? tokens_of(c->cell[l->response[m]])
                        : l->cost[m] < 0    ? 1
                                            : TABLE_UNKNOWN;
        cells->lat_ms[m] = TABLE_UNKNOWN;
        snprintf(text, sizeof text, "expected True, False or 0 to 1, found \"%.40s\"",
                 c->cell[l->quality[m]]);
        if (!read_quality(c->cell[l->quality[m]], &cells->q[m]))
            return csv_fault(c, l->quality[m], text);
        if (l->cost[m] >= 0 &&
            !(csv_number(c->cell[l->cost[m]], &cost) && cost >= 0 && cost <= 1e4))
            return csv_fault(c, l->cost[m], "expected dollars, 0 to 10000");
        cells->cost_nano[m] = llround(cost * 1e9);
    }
    return STATUS_OK;
}

static enum status read_row(const struct layout *l, struct table *t)
{
    const struct csv *c = &l->csv;
    struct table_cells cells;
    char id[32];
    snprintf(id, sizeof id, "line-%llu", (unsigned long long)c->line);
    const char *name = l->id >= 0 ? c->cell[l->id] : id;
    if (name[0] == '\0')
        return csv_fault(c, l->id, "is empty");
    enum status s = read_cells(l, &cells);
    if (s != STATUS_OK)
        return s;
    const char *prompt = c->cell[l->prompt];
    return table_add(t, name, l->task >= 0 ? c->cell[l->task] : "", prompt, strlen(prompt),
                     (uint32_t)c->line, &cells, c->problem);
}

/* ---- prices ---- */

static int find_model(const struct table *t, const char *name, size_t n)
{
    for (int m = 0; m < t->n_models; m++)
        if (strlen(t->model[m].name) == n && memcmp(t->model[m].name, name, n) == 0)
            return m;
    return -1;
}

/* Takes NAME=IN:OUT,... */
static enum status take_prices(struct table *t, const char *list, struct problem *problem)
{
    while (*list != '\0') {
        size_t n = strcspn(list, ",");
        const char *equals = memchr(list, '=', n);
        char *end = NULL;
        int m = equals != NULL ? find_model(t, list, (size_t)(equals - list)) : -1;
        if (m < 0)
            return problem_set(problem, STATUS_BAD_REQUEST, "--prices",
                               "\"%.60s\" does not begin with NAME= of a model of the table", list);
        double in = strtod(equals + 1, &end), out = *end == ':' ? strtod(end + 1, &end) : -1;
        if (end != list + n || !(in >= 0 && in <= 1e5) || !(out >= 0 && out <= 1e5))
            return problem_set(problem, STATUS_BAD_REQUEST, "--prices",
                               "expected NAME=IN:OUT, dollars per million tokens, at \"%.60s\"",
                               list);
        t->model[m].usd_in = in;
        t->model[m].usd_out = out;
        list += n + (list[n] == ',');
    }
    return STATUS_OK;
}

/* Takes the prices of a models.json in the folder of the file, if there is one. */
static enum status take_beside(struct table *t, const char *path, struct problem *problem)
{
    char beside[4096];
    const char *slash = strrchr(path, '/');
    struct table list = {0};
    int n = snprintf(beside, sizeof beside, "%.*smodels.json",
                     slash != NULL ? (int)(slash - path + 1) : 0, path);
    if (n >= (int)sizeof beside || access(beside, F_OK) != 0)
        return STATUS_OK;
    enum status s = table_read_models(beside, &list, problem);
    for (int i = 0; s == STATUS_OK && i < list.n_models; i++) {
        int m = find_model(t, list.model[i].name, strlen(list.model[i].name));
        if (m < 0)
            continue;
        t->model[m].usd_in = list.model[i].usd_in;
        t->model[m].usd_out = list.model[i].usd_out;
        memcpy(t->model[m].tier, list.model[i].tier, sizeof t->model[m].tier);
    }
    table_free(&list);
    return s;
}

/* What a token of the model cost on average, in dollars per million: in and out alike. */
static double price_paid(const struct table *t, int m)
{
    double usd = 0, tokens = 0;
    for (size_t i = 0; i < t->n; i++) {
        size_t cell = table_cell(t, i, m);
        usd += (double)t->cost_nano[cell] * 1e-9;
        tokens += t->in[cell] + (t->out[cell] > 0 ? t->out[cell] : 0);
    }
    return fmin(usd / tokens * 1e6, 1e5);
}

static enum status settle(const struct layout *l, struct table *t, struct problem *problem)
{
    for (int m = 0; m < t->n_models; m++) {
        struct table_model *model = &t->model[m];
        if (model->usd_in < 0 && l->cost[m] >= 0)
            model->usd_in = model->usd_out = price_paid(t, m);
        if (model->usd_in < 0)
            return problem_set(problem, STATUS_BAD_REQUEST, "",
                               "%.60s has neither costs nor a price: name it by --prices "
                               "NAME=IN:OUT,... or in a models.json beside the file",
                               model->name);
        for (size_t i = 0; l->cost[m] < 0 && i < t->n; i++) {
            size_t cell = table_cell(t, i, m); /* dollars per million are 1000 nanodollars each */
            t->cost_nano[cell] = llround(1000 * (model->usd_in * (double)t->in[cell] +
                                                 model->usd_out * (double)t->out[cell]));
        }
    }
    return STATUS_OK;
}

bool table_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

enum status table_load_csv(const char *path, const char *prices, struct table *out,
                           struct problem *problem)
{
    struct table t = {0};
    struct layout *l = calloc(1, sizeof *l);
    if (l == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    enum status s = csv_open(&l->csv, path, problem);
    if (s == STATUS_OK)
        s = read_layout(l, &t);
    while (s == STATUS_OK && csv_next(&l->csv, &s))
        s = read_row(l, &t);
    if (s == STATUS_OK && t.n == 0)
        s = csv_fault(&l->csv, -1, "no rows below the header");
    if (s == STATUS_OK && l->id >= 0)
        s = table_check_ids(path, &t, problem);
    if (s == STATUS_OK)
        s = take_beside(&t, path, problem);
    if (s == STATUS_OK && prices != NULL)
        s = take_prices(&t, prices, problem);
    if (s == STATUS_OK)
        s = settle(l, &t, problem);
    csv_close(&l->csv);
    free(l);
    if (s == STATUS_OK)
        *out = t;
    else
        table_free(&t);
    return s;
}
