/* SPDX-License-Identifier: MIT */
/*
 * Reading a table from files. Strict: a wrong type, length or range, an unknown model count or a
 * repeated id stops the load with file:line, since a replay over half a table is a wrong number
 * that looks right. One line is held at a time. Keys the format does not name (split, metric, ...)
 * are notes and pass. Blank lines pass too: editors leave one at the end.
 */
#include "sim/tables/table.h"

#include "bandit/rng.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The place of what is being read, for messages. */
struct place {
    const char *file;
    int line;
    struct problem *problem;
};

static enum status fault(const struct place *at, const char *what)
{
    enum status s =
        problem_set(at->problem, STATUS_BAD_REQUEST, "", "%s:%d: %s", at->file, at->line, what);
    if (at->problem != NULL)
        at->problem->line = at->line;
    return s;
}

static enum status fault_key(const struct place *at, const char *key, const char *what)
{
    char text[160];
    snprintf(text, sizeof text, "\"%s\" %s", key, what);
    return fault(at, text);
}

/* Reads one number within [low, high]. */
static enum status read_number(const struct place *at, const char *key, const json_t *v, double low,
                               double high, double *out)
{
    char text[80];
    if (!json_is_number(v))
        return fault_key(at, key, "must be a number");
    double x = json_number_value(v);
    if (!(x >= low && x <= high)) {
        snprintf(text, sizeof text, "is %g, allowed is %g to %g", x, low, high);
        return fault_key(at, key, text);
    }
    *out = x;
    return STATUS_OK;
}

/* Reads a list with one number per model. When optional, an absent key or a null gives -1. */
static enum status read_list(const struct place *at, const json_t *row, const char *key,
                             int n_models, double high, bool optional, double *out)
{
    const json_t *v = json_object_get(row, key);
    if (optional && (v == NULL || json_is_null(v))) {
        for (int m = 0; m < n_models; m++)
            out[m] = TABLE_UNKNOWN;
        return STATUS_OK;
    }
    if (v == NULL)
        return fault_key(at, key, "is missing");
    if (!json_is_array(v) || json_array_size(v) != (size_t)n_models) {
        char text[96];
        snprintf(text, sizeof text, "must be a list of %d numbers, one per model of models.json",
                 n_models);
        return fault_key(at, key, text);
    }
    for (int m = 0; m < n_models; m++) {
        const json_t *x = json_array_get(v, (size_t)m);
        out[m] = TABLE_UNKNOWN;
        if (optional && json_is_null(x))
            continue;
        enum status s = read_number(at, key, x, 0, high, &out[m]);
        if (s != STATUS_OK)
            return s;
    }
    return STATUS_OK;
}

/* "in" is one number for all models or a list. */
static enum status read_input(const struct place *at, const json_t *row, int n_models, double *out)
{
    const json_t *v = json_object_get(row, "in");
    if (json_is_array(v) || v == NULL)
        return read_list(at, row, "in", n_models, 1e9, false, out);
    enum status s = read_number(at, "in", v, 0, 1e9, &out[0]);
    for (int m = 1; s == STATUS_OK && m < n_models; m++)
        out[m] = out[0];
    return s;
}

static enum status read_cells(const struct place *at, const json_t *row, int n_models,
                              struct table_cells *cells)
{
    double in[MODELS_MAX], out[MODELS_MAX], cost[MODELS_MAX], lat[MODELS_MAX];
    enum status s = read_input(at, row, n_models, in);
    if (s == STATUS_OK)
        s = read_list(at, row, "q", n_models, 1, false, cells->q);
    if (s == STATUS_OK)
        s = read_list(at, row, "cost", n_models, 1e4, false, cost);
    if (s == STATUS_OK)
        s = read_list(at, row, "out", n_models, 1e9, true, out);
    if (s == STATUS_OK)
        s = read_list(at, row, "lat", n_models, 1e6, true, lat);
    for (int m = 0; s == STATUS_OK && m < n_models; m++) {
        cells->in[m] = (int32_t)lround(in[m]);
        cells->out[m] = (int32_t)lround(out[m]);
        cells->cost_nano[m] = llround(cost[m] * 1e9);
        cells->lat_ms[m] = lat[m] < 0 ? TABLE_UNKNOWN : (float)(lat[m] * 1000);
    }
    return s;
}

static enum status read_string(const struct place *at, const json_t *row, const char *key,
                               const char **out)
{
    const json_t *v = json_object_get(row, key);
    if (!json_is_string(v))
        return fault_key(at, key, v == NULL ? "is missing" : "must be a string");
    *out = json_string_value(v);
    return STATUS_OK;
}

static enum status read_row(const struct place *at, const json_t *row, struct table *t)
{
    struct table_cells cells;
    const char *id = "", *task = "", *prompt = "";
    if (!json_is_object(row))
        return fault(at, "a row is a JSON object");
    enum status s = read_string(at, row, "id", &id);
    if (s == STATUS_OK && id[0] == '\0')
        s = fault_key(at, "id", "is empty");
    if (s == STATUS_OK)
        s = read_string(at, row, "task", &task);
    if (s == STATUS_OK)
        s = read_string(at, row, "prompt", &prompt);
    if (s == STATUS_OK)
        s = read_cells(at, row, t->n_models, &cells);
    if (s != STATUS_OK)
        return s;
    return table_add(t, id, task, prompt, json_string_length(json_object_get(row, "prompt")),
                     (uint32_t)at->line, &cells, at->problem);
}

static enum status read_line(const struct place *at, const char *line, size_t n, struct table *t)
{
    json_error_t error;
    if (strspn(line, " \t\r\n") == n)
        return STATUS_OK;
    json_t *row = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (row == NULL) {
        char text[160];
        snprintf(text, sizeof text, "not JSON: %.100s (column %d)", error.text, error.column);
        return fault(at, text);
    }
    enum status s = read_row(at, row, t);
    json_decref(row);
    return s;
}

static enum status read_rows(const char *path, struct table *t, struct problem *problem)
{
    struct place at = {.file = path, .problem = problem};
    char *line = NULL;
    size_t cap = 0;
    enum status s = STATUS_OK;
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", path, strerror(errno));
    for (ssize_t n; s == STATUS_OK && (n = getline(&line, &cap, f)) >= 0;) {
        at.line++;
        s = read_line(&at, line, (size_t)n, t);
    }
    if (s == STATUS_OK && !feof(f)) /* getline also stops for want of memory */
        s = problem_set(problem, STATUS_BAD_REQUEST, "", "%s: cannot be read", path);
    if (s == STATUS_OK && t->n == 0)
        s = problem_set(problem, STATUS_BAD_REQUEST, "", "%s: no rows", path);
    free(line);
    fclose(f);
    return s;
}

static enum status read_model(const struct place *at, const json_t *model, struct table *t, int i)
{
    const char *name = "", *tier = "";
    double in = 0, out = 0;
    if (!json_is_object(model))
        return fault_key(at, "models", "must hold objects");
    enum status s = read_string(at, model, "name", &name);
    if (s == STATUS_OK)
        s = read_number(at, "usd_per_mtok_in", json_object_get(model, "usd_per_mtok_in"), 0, 1e5,
                        &in);
    if (s == STATUS_OK)
        s = read_number(at, "usd_per_mtok_out", json_object_get(model, "usd_per_mtok_out"), 0, 1e5,
                        &out);
    if (s == STATUS_OK && json_object_get(model, "tier") != NULL)
        s = read_string(at, model, "tier", &tier);
    if (s != STATUS_OK)
        return s;
    struct problem inner = {0};
    s = table_set_model(t, i, name, tier, in, out, &inner);
    return s == STATUS_OK ? s : fault(at, inner.text);
}

enum status table_read_models(const char *path, struct table *t, struct problem *problem)
{
    struct place at = {.file = path, .line = 1, .problem = problem};
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        at.line = error.line > 0 ? error.line : 1;
        return fault(&at, error.text);
    }
    const json_t *models = json_object_get(root, "models");
    size_t n = json_array_size(models);
    enum status s = STATUS_OK;
    if (n < 1 || n > MODELS_MAX)
        s = fault_key(&at, "models", "must be a list of 1 to 64 models");
    for (size_t i = 0; s == STATUS_OK && i < n; i++)
        s = read_model(&at, json_array_get(models, i), t, (int)i);
    t->n_models = (int)n;
    json_decref(root);
    return s;
}

struct id_key {
    uint64_t hash;
    size_t row;
};

static int by_hash(const void *a, const void *b)
{
    const struct id_key *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Equal hashes are neighbours after sorting; 64 bits make unequal ids with one hash a miracle, and
 * the comparison below keeps even that from being an error. */
enum status table_check_ids(const char *path, const struct table *t, struct problem *problem)
{
    struct id_key *key = malloc(t->n * sizeof *key);
    if (key == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    for (size_t i = 0; i < t->n; i++)
        key[i] = (struct id_key){hash64(table_id(t, i), strlen(table_id(t, i)), 0), i};
    qsort(key, t->n, sizeof *key, by_hash);
    enum status s = STATUS_OK;
    for (size_t i = 1; s == STATUS_OK && i < t->n; i++) {
        size_t first = key[i - 1].row, again = key[i].row;
        if (key[i].hash != key[i - 1].hash || strcmp(table_id(t, first), table_id(t, again)) != 0)
            continue;
        struct place at = {path, (int)t->row[again].line, problem};
        char text[120];
        snprintf(text, sizeof text, "id \"%.60s\" is already that of line %u", table_id(t, again),
                 t->row[first].line);
        s = fault(&at, text);
    }
    free(key);
    return s;
}

enum status table_load(const char *dir, struct table *out, struct problem *problem)
{
    char models[4096], rows[4096];
    struct table t = {0};
    if (table_is_file(dir))
        return table_load_csv(dir, NULL, out, problem);
    if (snprintf(models, sizeof models, "%s/models.json", dir) >= (int)sizeof models)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "the folder's name is too long");
    snprintf(rows, sizeof rows, "%.4000s/prompts.jsonl", dir);
    enum status s = table_read_models(models, &t, problem);
    if (s == STATUS_OK)
        s = read_rows(rows, &t, problem);
    if (s == STATUS_OK)
        s = table_check_ids(rows, &t, problem);
    if (s == STATUS_OK)
        *out = t;
    else
        table_free(&t);
    return s;
}
