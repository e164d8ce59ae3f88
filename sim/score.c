/* SPDX-License-Identifier: MIT */
/*
 * What a service chose, against the alternatives on the very same requests: one model for all,
 * the keyword rules, the best mix that ignores the request (static hull, at the money that was
 * really spent), and the oracle. The table knows what every model would have done, so nothing is
 * estimated. The first half of the choices is when the service still learns; the second is what it
 * is like afterwards.
 * The choices file is not trusted to be complete: what is in it is weighed, and how many that is,
 * is said.
 */
#include "sim/score.h"

#include "core/router/rules.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows by id, for bsearch. */
struct by_id {
    const char *id;
    uint32_t row;
};

static int compare_ids(const void *a, const void *b)
{
    const struct by_id *x = a, *y = b;
    return strcmp(x->id, y->id);
}

static int find_model(const struct table *t, const char *name)
{
    for (int m = 0; m < t->n_models; m++)
        if (strcmp(t->model[m].engine_name, name) == 0 || strcmp(t->model[m].name, name) == 0)
            return m;
    return -1;
}

static enum status fault(struct problem *problem, const char *path, int line, const char *what,
                         const char *value)
{
    enum status s = problem_set(problem, STATUS_BAD_REQUEST, "", "%s:%d: %s%s%.60s", path, line,
                                what, value[0] != '\0' ? " " : "", value);
    if (problem != NULL)
        problem->line = line;
    return s;
}

/* Adds the choice of one line; lines about something else pass. */
static enum status add_line(const struct table *t, const struct by_id *index, const json_t *o,
                            struct choices *c, const char *path, int line, struct problem *problem)
{
    const char *id = json_string_value(json_object_get(o, "id"));
    const char *model = json_string_value(json_object_get(o, "model"));
    if (!json_is_object(o))
        return fault(problem, path, line, "not a JSON object", "");
    if (id == NULL || model == NULL)
        return STATUS_OK;
    struct by_id key = {.id = id};
    const struct by_id *hit = bsearch(&key, index, t->n, sizeof *index, compare_ids);
    int m = find_model(t, model);
    if (hit == NULL)
        return fault(problem, path, line, "the table has no row with id", id);
    if (m < 0)
        return fault(problem, path, line, "the table has no model", model);
    if ((c->n & (c->n - 1)) == 0) { /* room doubles at powers of two */
        size_t cap = c->n == 0 ? 1 : 2 * c->n;
        uint32_t *row = reallocarray(c->row, cap, sizeof *row);
        c->row = row != NULL ? row : c->row;
        int *models = row == NULL ? NULL : reallocarray(c->model, cap, sizeof *models);
        c->model = models != NULL ? models : c->model;
        if (models == NULL)
            return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    }
    c->row[c->n] = hit->row;
    c->model[c->n++] = m;
    return STATUS_OK;
}

static enum status read_lines(FILE *f, const char *path, const struct table *t,
                              const struct by_id *index, struct choices *c, struct problem *problem)
{
    char *text = NULL;
    size_t cap = 0;
    int line = 0;
    enum status s = STATUS_OK;
    for (ssize_t n; s == STATUS_OK && (n = getline(&text, &cap, f)) >= 0;) {
        line++;
        if (strspn(text, " \t\r\n") == (size_t)n)
            continue;
        json_t *o = json_loadb(text, (size_t)n, 0, NULL);
        s = add_line(t, index, o, c, path, line, problem);
        json_decref(o);
    }
    free(text);
    if (s == STATUS_OK && !feof(f)) /* getline also stops for want of memory */
        s = problem_set(problem, STATUS_BAD_REQUEST, "", "%s: cannot be read", path);
    if (s == STATUS_OK && c->n == 0)
        s = problem_set(problem, STATUS_BAD_REQUEST, "", "%s: no choices in it", path);
    return s;
}

enum status score_read(const char *path, const struct table *t, struct choices *out,
                       struct problem *problem)
{
    struct choices c = {0};
    struct by_id *index = malloc(t->n * sizeof *index);
    if (index == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    for (size_t i = 0; i < t->n; i++)
        index[i] = (struct by_id){table_id(t, i), (uint32_t)i};
    qsort(index, t->n, sizeof *index, compare_ids);
    FILE *f = fopen(path, "r");
    enum status s =
        f == NULL ? problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", path, strerror(errno))
                  : read_lines(f, path, t, index, &c, problem);
    if (f != NULL)
        fclose(f);
    free(index);
    if (s == STATUS_OK)
        *out = c;
    else
        score_free(&c);
    return s;
}

void score_free(struct choices *c)
{
    free(c->row);
    free(c->model);
    *c = (struct choices){0};
}

/* Sums of one line while rows are counted. */
struct sum {
    double quality;
    int64_t cost_nano;
    size_t chosen[MODELS_MAX];
};

static void count(struct sum *sum, const struct table *t, size_t row, int model)
{
    size_t cell = table_cell(t, row, model);
    sum->quality += t->q[cell];
    sum->cost_nano += t->cost_nano[cell];
    sum->chosen[model]++;
}

static struct score_line line_of(const struct sum *sum, size_t n)
{
    struct score_line l = {
        .at = {(double)sum->cost_nano / 1e9 / (double)n, sum->quality / (double)n}};
    for (int m = 0; m < MODELS_MAX; m++)
        l.share[m] = (double)sum->chosen[m] / (double)n;
    return l;
}

/* The model that the keyword rules would have taken. */
static int by_rules(const struct table *t, size_t row, const struct params *p, struct request *r)
{
    r->prompt = table_prompt(t, row);
    r->prompt_len = t->row[row].prompt_len;
    r->prompt_tokens = table_input_tokens(t, row);
    table_identifier(r->labels.task, table_task(t, row));
    int slot = rules_model(p, r, r->prompt_tokens, NULL);
    int m = slot < 0 ? -1 : find_model(t, p->catalog.model[slot].name);
    assert(m >= 0); /* the catalog was made from the table */
    return m;
}

/* The mix that makes the hull at a spend: shares of the two vertices beside it. */
static void hull_mix(const struct point *fixed, int n_fixed, const struct point *hull, int n,
                     struct score_line *line)
{
    int right = 0;
    while (right < n - 1 && hull[right].cost < line->at.cost)
        right++;
    int left = right > 0 && hull[right].cost > line->at.cost ? right - 1 : right;
    double share = left == right
                       ? 1
                       : (line->at.cost - hull[left].cost) / (hull[right].cost - hull[left].cost);
    for (int m = n_fixed - 1; m >= 0; m--) {
        bool is_right = memcmp(&fixed[m], &hull[right], sizeof *fixed) == 0;
        bool is_left = memcmp(&fixed[m], &hull[left], sizeof *fixed) == 0;
        line->share[m] = is_right ? share : is_left ? 1 - share : 0;
    }
}

static struct score_part weigh_part(const struct table *t, const struct choices *c, size_t from,
                                    size_t to, const struct params *params)
{
    struct score_part part = {.n = to - from};
    struct sum purser = {0}, rules = {0};
    struct point fixed[MODELS_MAX], hull[MODELS_MAX];
    struct request request = {.value = 1};
    if (part.n == 0)
        return part;
    for (size_t i = from; i < to; i++) {
        count(&purser, t, c->row[i], c->model[i]);
        if (params->n_rules > 0)
            count(&rules, t, c->row[i], by_rules(t, c->row[i], params, &request));
    }
    part.purser = line_of(&purser, part.n);
    part.rules = line_of(&rules, part.n);
    hull_fixed(t, c->row + from, part.n, fixed);
    int n = hull_build(fixed, t->n_models, hull);
    double spend = part.purser.at.cost;
    part.hull.at = (struct point){spend, hull_value(hull, n, spend)};
    hull_mix(fixed, t->n_models, hull, n, &part.hull);
    int dear = rules_extreme(&params->catalog, true),
        cheap = rules_extreme(&params->catalog, false);
    dear = find_model(t, params->catalog.model[dear].name);
    cheap = find_model(t, params->catalog.model[cheap].name);
    part.largest = (struct pick){dear, fixed[dear]};
    part.smallest = (struct pick){cheap, fixed[cheap]};
    part.oracle = hull_oracle(t, c->row + from, part.n);
    return part;
}

void score_weigh(const struct table *t, const struct choices *c, const struct params *params,
                 double monthly, struct score *out)
{
    size_t half = c->n / 2;
    *out = (struct score){.table = t, .has_rules = params->n_rules > 0, .monthly = monthly};
    out->part[SCORE_ALL] = weigh_part(t, c, 0, c->n, params);
    out->part[SCORE_FIRST] = weigh_part(t, c, 0, half, params);
    out->part[SCORE_SECOND] = weigh_part(t, c, half, c->n, params);
}
