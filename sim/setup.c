/* SPDX-License-Identifier: MIT */
/*
 * What the engine runs under in a replay. All changes go through config_patch, the service's own
 * door, so a replay can only be set up as a service could be, with the same defaults, bounds and
 * messages. Tiers: models.json may name them; else the distinct mean prices, in order, are split
 * into up to three (equal prices never part). Filling struct params by hand was tried first and
 * dropped: defaults of a model depend on its tier, and that knowledge belongs to config.c.
 */
#include "sim/setup.h"

#include "core/config/config.h"
#include "core/encoding/text.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATCH_CAP = 32768 };

static double price(const struct table_model *m)
{
    return (m->usd_in + m->usd_out) / 2;
}

/* Number of distinct prices below x among the models; with_all counts all distinct prices. */
static int price_rank(const struct table *t, double x)
{
    int rank = 0;
    for (int i = 0; i < t->n_models; i++) {
        bool first = true;
        for (int j = 0; j < i; j++)
            first = first && (price(&t->model[j]) < price(&t->model[i]) ||
                              price(&t->model[j]) > price(&t->model[i]));
        rank += first && price(&t->model[i]) < x;
    }
    return rank;
}

/* Tier names by price: of n distinct prices the one of this rank. */
static const char *tier_by_rank(int rank, int n)
{
    static const char *const three[] = {"small", "medium", "large"};
    static const char *const two[] = {"small", "large"};
    if (n >= 3)
        return three[rank * 3 / n];
    return two[rank];
}

static bool names_tiers(const struct table *t, int *how_many)
{
    *how_many = 0;
    for (int i = 0; i < t->n_models; i++)
        *how_many += t->model[i].tier[0] != '\0';
    return *how_many == t->n_models;
}

/* The tiers in order: of each, its cheapest model's price decides. */
static int tiers_in_order(const struct table *t, const char *tier_of[], const char *order[])
{
    double low[MODELS_MAX];
    int n = 0;
    for (int i = 0; i < t->n_models; i++) {
        double x = price(&t->model[i]);
        int at = 0;
        while (at < n && strcmp(order[at], tier_of[i]) != 0)
            at++;
        if (at == n) {
            order[n] = tier_of[i];
            low[n++] = x;
        }
        low[at] = x < low[at] ? x : low[at];
    }
    for (int i = 1; i < n; i++) {
        for (int j = i; j > 0 && low[j] < low[j - 1]; j--) {
            const char *name = order[j];
            double x = low[j];
            order[j] = order[j - 1], low[j] = low[j - 1];
            order[j - 1] = name, low[j - 1] = x;
        }
    }
    return n;
}

static void pool_text(const struct table *t, const char *tier_of[], const char *order[],
                      int n_tiers, struct text *out)
{
    text_put(out, "{\"tiers\":[");
    for (int i = 0; i < n_tiers; i++) {
        text_put(out, i > 0 ? "," : "");
        text_json_string(out, order[i]);
    }
    text_put(out, "],\"models\":[");
    for (int i = 0; i < t->n_models; i++) {
        text_put(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        text_json_string(out, t->model[i].engine_name);
        text_put(out, ",\"tier\":");
        text_json_string(out, tier_of[i]);
        text_put(out, ",\"usd_per_mtok_in\":");
        text_json_number(out, t->model[i].usd_in, 12);
        text_put(out, ",\"usd_per_mtok_out\":");
        text_json_number(out, t->model[i].usd_out, 12);
        text_put(out, "}");
    }
    text_put(out, "]}");
}

enum status setup_pool(struct params *p, const struct table *t, struct problem *problem)
{
    const char *tier_of[MODELS_MAX], *order[MODELS_MAX];
    int named;
    bool own = names_tiers(t, &named);
    if (!own && named > 0)
        return problem_set(problem, STATUS_BAD_REQUEST, "",
                           "models.json names a tier for %d of %d models: name all or none", named,
                           t->n_models);
    int n_prices = price_rank(t, 1e300);
    for (int i = 0; i < t->n_models; i++)
        tier_of[i] =
            own ? t->model[i].tier : tier_by_rank(price_rank(t, price(&t->model[i])), n_prices);
    int n_tiers = tiers_in_order(t, tier_of, order);
    char *json = malloc(PATCH_CAP);
    if (json == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    struct text text = text_over(json, PATCH_CAP);
    pool_text(t, tier_of, order, n_tiers, &text);
    enum status s = text.full ? problem_set(problem, STATUS_TOO_LARGE, "", "too many models")
                              : config_patch(p, text.at, text.len, problem);
    free(json);
    return s;
}

enum status setup_text(struct params *p, const char *json, struct problem *problem)
{
    return config_patch(p, json, strlen(json), problem);
}

/* Patches with a document of n bytes, leaving out what only the service reads. A text that is not
 * JSON goes through as it is: config_patch says best what is wrong with it. */
static enum status patch_engine_part(struct params *p, const char *json, size_t n,
                                     struct problem *problem)
{
    static const char *const service[] = {"listen", "store", "limits"};
    json_t *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
    for (size_t i = 0; i < sizeof service / sizeof *service; i++)
        json_object_del(root, service[i]);
    char *rest = json_is_object(root) ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    enum status s = rest != NULL ? config_patch(p, rest, strlen(rest), problem)
                                 : config_patch(p, json, n, problem);
    free(rest);
    return s;
}

enum status setup_file(struct params *p, const char *path, struct problem *problem)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", path, strerror(errno));
    char *json = malloc(CONFIG_MAX + 1);
    enum status s = STATUS_OK;
    size_t n = json == NULL ? 0 : fread(json, 1, CONFIG_MAX + 1, f);
    if (json == NULL)
        s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    else if (ferror(f))
        s = problem_set(problem, STATUS_BAD_REQUEST, "", "%s: cannot be read", path);
    else if (n > CONFIG_MAX)
        s = problem_set(problem, STATUS_TOO_LARGE, "", "%s: more than %d bytes", path, CONFIG_MAX);
    else
        s = patch_engine_part(p, json, n, problem);
    free(json);
    fclose(f);
    return s;
}

enum status setup_set(struct params *p, const char *assignment, struct problem *problem)
{
    const char *equals = strchr(assignment, '=');
    char path[256];
    if (equals == NULL || equals == assignment || (size_t)(equals - assignment) >= sizeof path)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "--set takes a.b=VALUE, not \"%s\"",
                           assignment);
    memcpy(path, assignment, (size_t)(equals - assignment));
    path[equals - assignment] = '\0';
    json_t *value = json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (value == NULL)
        value = json_string(equals + 1);
    /* Wrap from the innermost key outwards. */
    for (char *dot = path; value != NULL && dot != NULL;) {
        dot = strrchr(path, '.');
        value = json_pack("{s:o}", dot == NULL ? path : dot + 1, value);
        if (dot != NULL)
            *dot = '\0';
    }
    char *json = value == NULL ? NULL : json_dumps(value, JSON_COMPACT);
    enum status s = json == NULL ? problem_set(problem, STATUS_BAD_REQUEST, "",
                                               "--set %s: not valid UTF-8", assignment)
                                 : setup_text(p, json, problem);
    free(json);
    json_decref(value);
    return s;
}

enum status setup_features(struct params *p, const char *list, struct problem *problem)
{
    bool declared = false, text = false, shape = false, lens = false;
    for (const char *at = list; strcmp(list, "none") != 0;) {
        size_t n = strcspn(at, ",");
        if (n == 8 && memcmp(at, "declared", n) == 0)
            declared = true;
        else if (n == 4 && memcmp(at, "text", n) == 0)
            text = shape = true;
        else if (n == 5 && memcmp(at, "shape", n) == 0)
            shape = true;
        else if (n == 4 && memcmp(at, "lens", n) == 0)
            lens = true;
        else
            return problem_set(problem, STATUS_BAD_REQUEST, "",
                               "--features takes a list of declared, text, shape, lens, not \"%s\"",
                               list);
        if (at[n] == '\0')
            break;
        at += n + 1;
    }
    p->features.declared = declared;
    p->features.text = text;
    p->features.shape = shape;
    p->features.lens = lens;
    p->features.caller = false;
    return STATUS_OK;
}

enum status setup_check(const struct params *p, const struct table *t, struct problem *problem)
{
    int active = 0;
    for (int i = 0; i < p->catalog.n; i++) {
        const struct model *m = &p->catalog.model[i];
        bool known = false;
        for (int j = 0; j < t->n_models; j++)
            known = known || strcmp(m->name, t->model[j].engine_name) == 0;
        if (m->active && !known)
            return problem_set(problem, STATUS_UNKNOWN_MODEL, "",
                               "the configuration has model %s, the table has no outcomes for it",
                               m->name);
        active += m->active;
    }
    if (active != t->n_models)
        return problem_set(problem, STATUS_UNKNOWN_MODEL, "",
                           "the configuration has %d of the table's %d models", active,
                           t->n_models);
    return STATUS_OK;
}
