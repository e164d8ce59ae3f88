/* SPDX-License-Identifier: MIT */
/*
 * Forms of history, told apart by a member that only they have: q (full information, lists by
 * model), outcomes (by name), winner or pair (a preference), model (a logged decision).
 *
 * A preference says who was better, not how good either was. The strengths of all compared models
 * are fitted over the whole file (Bradley-Terry), which gives each model's chance against an
 * average one, b. The outcome is half that and half what was observed: quality (b + preference) /
 * 2, with half the weight of a label. So a model that wins everywhere ends near 1 and one that
 * loses everywhere near 0; only the order and the distance among models mean something.
 *
 * Propensities of logged decisions are checked and dropped: a regression per model is not biased by
 * who was asked more often given the features, and dividing by small propensities would only add
 * noise. They serve evaluation.
 */
#include "transport/history.h"

#include <math.h>
#include <string.h>
#include "bandit/bradley_terry.h"
#include "transport/cli/cli.h"

static const double pair_base = 0.5;  /* evidence in one side of a preference */
static const double pair_prior = 0.5; /* wins and losses against an average model, per model */

static const char *const request_keys[] = {
    "tenant",    "task",          "domain",        "user_tier",     "group",
    "session",   "user",          "outcome",       "prompt",        "features",
    "embedding", "embedding_b64", "prompt_tokens", "cached_tokens", "max_output_tokens",
    "value"};
static const char *const value_keys[] = {"quality",  "accepted",   "output_tokens",
                                         "cost_usd", "latency_ms", "failed"};
static const char *const other_keys[] = {"id",   "in",         "q",         "cost",   "out",
                                         "lat",  "outcomes",   "model",     "winner", "loser",
                                         "pair", "preference", "propensity"};
#define COUNT(list) (sizeof list / sizeof list[0])

void history_init(struct history *h)
{
    memset(h, 0, sizeof *h);
    for (int i = 0; i < MODELS_MAX; i++)
        h->strength[i] = 1;
}

bool history_map(struct history *h, const char *assignment)
{
    const char *eq = strchr(assignment, '=');
    if (!eq || eq == assignment || eq - assignment > NAME_LEN || !json_name_ok(eq + 1) ||
        h->n_map == MODELS_MAX)
        return false;
    memcpy(h->map[h->n_map][0], assignment, (size_t)(eq - assignment));
    memcpy(h->map[h->n_map++][1], eq + 1, strlen(eq + 1) + 1);
    return true;
}

static const char *mapped(const struct history *h, const char *name)
{
    for (int i = 0; i < h->n_map; i++)
        if (strcmp(h->map[i][0], name) == 0)
            return h->map[i][1];
    return name;
}

/* The index of a model named in the file. */
static enum status find_model(struct history *h, const char *said, int *out, struct problem *p)
{
    const char *name = said ? mapped(h, said) : "";
    if (!json_name_ok(name))
        return problem_set(p, STATUS_BAD_REQUEST, "/model",
                           "expected a model's name of 1 to %d of [A-Za-z0-9._:/@-]; --map OLD=NEW "
                           "translates others",
                           NAME_LEN);
    for (*out = 0; *out < h->n_models; ++*out)
        if (strcmp(h->name[*out], name) == 0)
            return STATUS_OK;
    if (h->n_models == MODELS_MAX)
        return problem_set(p, STATUS_BAD_REQUEST, "/model", "more than %d models", MODELS_MAX);
    memcpy(h->name[h->n_models++], name, strlen(name) + 1);
    return STATUS_OK;
}

enum status history_columns(struct history *h, const json_t *models, struct problem *problem)
{
    size_t n = json_array_size(models);
    if (n == 0 || n > MODELS_MAX)
        return problem_set(problem, STATUS_BAD_REQUEST, "/models",
                           "expected a list of 1 to %d models", MODELS_MAX);
    for (size_t i = 0; i < n; i++) {
        const json_t *m = json_array_get(models, i);
        const char *said = json_is_string(m) ? json_string_value(m) : cli_text(m, "name");
        char name[NAME_CAP];
        cli_identifier(name, said);
        enum status s =
            find_model(h, strcmp(mapped(h, said), said) ? said : name, &h->column[i], problem);
        if (s != STATUS_OK)
            return s;
    }
    h->n_columns = (int)n;
    return STATUS_OK;
}

/* ---- one line */

static json_t *copy_members(const json_t *from, const char *const *keys, size_t n)
{
    json_t *o = json_object();
    for (size_t i = 0; i < n; i++) {
        json_t *v = json_object_get(from, keys[i]);
        if (v && !json_is_null(v))
            json_object_set(o, keys[i], v);
    }
    return o;
}

static bool among(const char *key, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static void note_ignored(struct history *h, json_t *line)
{
    const char *key;
    json_t *v;
    json_object_foreach(line, key, v)
    {
        bool told = strncmp(key, "x_", 2) == 0 || among(key, request_keys, COUNT(request_keys)) ||
                    among(key, value_keys, COUNT(value_keys)) ||
                    among(key, other_keys, COUNT(other_keys));
        for (int i = 0; i < h->n_ignored; i++)
            told |= strncmp(h->ignored[i], key, NAME_LEN) == 0;
        if (!told && h->n_ignored < (int)COUNT(h->ignored))
            strncpy(h->ignored[h->n_ignored++], key, NAME_LEN);
    }
}

/* Takes values. */
static enum status add_at(const struct history *h, struct history_row *row, int at, double base,
                          json_t *values, struct problem *p)
{
    enum status s = STATUS_OK;
    if (row->n == MODELS_MAX)
        s = problem_set(p, STATUS_BAD_REQUEST, "/outcomes", "at most %d outcomes in a line",
                        MODELS_MAX);
    else if (json_object_set_new(values, "model", json_string(h->name[at])) != 0)
        s = problem_set(p, STATUS_BAD_REQUEST, "/outcomes", "expected an object for %s",
                        h->name[at]);
    if (s != STATUS_OK) {
        json_decref(values);
        return s;
    }
    row->outcome[row->n].model = at;
    row->outcome[row->n].base = base;
    row->outcome[row->n++].values = values;
    return STATUS_OK;
}

static enum status add(struct history *h, struct history_row *row, const char *model, double base,
                       json_t *values, struct problem *p)
{
    int at;
    enum status s = find_model(h, model, &at, p);
    if (s == STATUS_OK)
        return add_at(h, row, at, base, values, p);
    json_decref(values);
    return s;
}

/* A table's value for column m: lists have one per model, a number stands for all. */
static const json_t *cell(const json_t *line, const char *key, int m)
{
    const json_t *v = json_object_get(line, key);
    return json_is_array(v) ? json_array_get(v, (size_t)m) : v;
}

static json_t *whole(const json_t *v)
{
    return json_integer((json_int_t)floor(json_number_value(v) + 0.5));
}

static json_t *table_values(const json_t *line, int m)
{
    const json_t *q = cell(line, "q", m), *cost = cell(line, "cost", m), *in = cell(line, "in", m),
                 *out = cell(line, "out", m), *lat = cell(line, "lat", m);
    json_t *v = json_object();
    if (json_is_number(q))
        json_object_set_new(v, "quality", json_real(json_number_value(q)));
    if (json_is_number(cost))
        json_object_set_new(v, "cost_usd", json_real(json_number_value(cost)));
    if (json_is_number(in) && json_is_number(out))
        json_object_set_new(v, "prompt_tokens", whole(in));
    if (json_is_number(out))
        json_object_set_new(v, "output_tokens", whole(out));
    if (json_is_number(lat))
        json_object_set_new(v, "latency_ms", json_real(json_number_value(lat) * 1000));
    return v;
}

/* Every model's outcome, by the columns of a table. */
static enum status read_table(struct history *h, const json_t *line, struct history_row *row,
                              struct problem *p)
{
    double in = 0;
    char task[NAME_CAP];
    if (json_array_size(json_object_get(line, "q")) != (size_t)h->n_columns)
        return problem_set(p, STATUS_BAD_REQUEST, "/q",
                           h->n_columns
                               ? "expected a list of %d, as models.json has models"
                               : "--models MODELS.json must say whose columns these %d lists have",
                           h->n_columns);
    cli_identifier(task, cli_text(line, "task"));
    if (task[0])
        json_object_set_new(row->request, "task", json_string(task));
    for (int m = 0; m < h->n_columns; m++)
        in += json_number_value(cell(line, "in", m));
    if (in > 0)
        json_object_set_new(row->request, "prompt_tokens",
                            json_integer((json_int_t)(in / h->n_columns + 0.5)));
    enum status s = STATUS_OK;
    for (int m = 0; s == STATUS_OK && m < h->n_columns; m++) {
        json_t *values = table_values(line, m);
        if (json_object_size(values) > 0)
            s = add_at(h, row, h->column[m], 1, values, p);
        else
            json_decref(values);
    }
    return s;
}

static enum status read_outcomes(struct history *h, json_t *outcomes, struct history_row *row,
                                 struct problem *p)
{
    enum status s = STATUS_OK;
    const char *key;
    json_t *v;
    if (json_is_object(outcomes)) {
        json_object_foreach(outcomes, key, v)
        {
            s = add(h, row, key, 1, json_deep_copy(v), p);
            if (s != STATUS_OK)
                return s;
        }
    }
    for (size_t i = 0; s == STATUS_OK && i < json_array_size(outcomes); i++) {
        v = json_array_get(outcomes, i);
        s = add(h, row, json_string_value(json_object_get(v, "model")), 1, json_deep_copy(v), p);
    }
    return s;
}

static enum status read_logged(struct history *h, const json_t *line, struct history_row *row,
                               struct problem *p)
{
    const json_t *propensity = json_object_get(line, "propensity");
    double v = json_number_value(propensity);
    if (propensity && !(json_is_number(propensity) && v > 0 && v <= 1))
        return problem_set(p, STATUS_BAD_REQUEST, "/propensity", "expected a number in (0,1]");
    return add(h, row, json_string_value(json_object_get(line, "model")), 1,
               copy_members(line, value_keys, COUNT(value_keys)), p);
}

/* The chance against an average model, and what was seen, in equal parts. */
static void set_quality(const struct history *h, struct history_row *row, int k, double preference)
{
    double s = h->strength[row->outcome[k].model];
    json_object_set_new(row->outcome[k].values, "quality",
                        json_real((s / (s + 1) + preference) / 2));
}

static enum status read_pair(struct history *h, const json_t *line, struct history_row *row,
                             struct problem *p)
{
    const json_t *pair = json_object_get(line, "pair"), *said = json_object_get(line, "preference");
    const char *a = json_string_value(json_object_get(line, "winner")),
               *b = json_string_value(json_object_get(line, "loser"));
    row->pair = true;
    row->preference = 1;
    if (pair) {
        a = json_string_value(json_array_get(pair, 0));
        b = json_string_value(json_array_get(pair, 1));
        row->preference = json_is_number(said) ? json_number_value(said) : (double)NAN;
    }
    if (!(row->preference >= 0 && row->preference <= 1))
        return problem_set(p, STATUS_BAD_REQUEST, "/preference",
                           "expected a number from 0 to 1: how much the first was preferred");
    if (!a || !b || strcmp(mapped(h, a), mapped(h, b)) == 0)
        return problem_set(p, STATUS_BAD_REQUEST, pair ? "/pair" : "/winner",
                           "expected two different models");
    enum status s = add(h, row, a, pair_base, json_object(), p);
    if (s == STATUS_OK)
        s = add(h, row, b, pair_base, json_object(), p);
    if (s != STATUS_OK)
        return s;
    set_quality(h, row, 0, row->preference);
    set_quality(h, row, 1, 1 - row->preference);
    return STATUS_OK;
}

static enum status read_form(struct history *h, json_t *line, struct history_row *row,
                             struct problem *p)
{
    if (json_object_get(line, "q"))
        return read_table(h, line, row, p);
    if (json_object_get(line, "outcomes"))
        return read_outcomes(h, json_object_get(line, "outcomes"), row, p);
    if (json_object_get(line, "winner") || json_object_get(line, "pair"))
        return read_pair(h, line, row, p);
    if (json_object_get(line, "model"))
        return read_logged(h, line, row, p);
    return problem_set(p, STATUS_BAD_REQUEST, "",
                       "says nothing of a model: give q, outcomes, model, winner and loser, or "
                       "pair and preference");
}

enum status history_read(struct history *h, const char *line, size_t n, struct history_row *row,
                         struct problem *problem)
{
    static const struct doc_bounds bounds = {.bytes = MESSAGE_MAX,
                                             .item_bytes = MESSAGE_MAX,
                                             .elements = 2 * EMBEDDING_MAX,
                                             .items = BATCH_ITEMS_MAX};
    json_t *root = NULL;
    memset(row, 0, sizeof *row);
    enum status s = json_open(line, n, &bounds, &root, problem);
    if (s != STATUS_OK)
        return s;
    note_ignored(h, root);
    row->request = copy_members(root, request_keys, COUNT(request_keys));
    s = read_form(h, root, row, problem);
    if (s == STATUS_OK && row->n == 0)
        s = problem_set(problem, STATUS_BAD_REQUEST, "/outcomes", "no outcome of any model");
    json_decref(root);
    return s;
}

void history_clear(struct history_row *row)
{
    json_decref(row->request);
    for (int k = 0; k < row->n; k++)
        json_decref(row->outcome[k].values);
    memset(row, 0, sizeof *row);
}

/* ---- all lines */

void history_count(struct history *h, const struct history_row *row)
{
    for (int k = 0; k < row->n; k++)
        h->evidence[row->outcome[k].model] += row->outcome[k].base;
    if (!row->pair)
        return;
    int a = row->outcome[0].model, b = row->outcome[1].model;
    h->win[a * MODELS_MAX + b] += row->preference;
    h->win[b * MODELS_MAX + a] += 1 - row->preference;
    h->pairs++;
}

/* Only compared models take part: the others keep the average strength. */
bool history_fit(struct history *h)
{
    int who[MODELS_MAX], n = 0;
    double win[MODELS_MAX * MODELS_MAX], strength[MODELS_MAX];
    for (int a = 0; a < h->n_models; a++) {
        double compared = 0;
        for (int b = 0; b < h->n_models; b++)
            compared += h->win[a * MODELS_MAX + b] + h->win[b * MODELS_MAX + a];
        if (compared > 0)
            who[n++] = a;
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            win[i * n + j] = h->win[who[i] * MODELS_MAX + who[j]];
    if (n > 0 && !bradley_terry_fit(win, n, pair_prior, strength))
        return false;
    for (int i = 0; i < n; i++)
        h->strength[who[i]] = strength[i];
    return true;
}

double history_weight(const struct history *h, const struct history_row *row, int k, double n_eff)
{
    double base = row->outcome[k].base, evidence = h->evidence[row->outcome[k].model];
    return n_eff > 0 && evidence > n_eff ? base * n_eff / evidence : base;
}
