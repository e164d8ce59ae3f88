/* SPDX-License-Identifier: MIT */
/*
 * Specifications of experiments. Rows to be taught come behind the counted ones of a world, so the
 * counted ones are the same whatever is taught; of a table they are those with the smallest hash of
 * the id. A policy is a name, what it is taught, and a patch of the configuration over the
 * experiment's own, through the service's own door (setup.c).
 */
#include "sim/run/experiment.h"

#include "bandit/rng.h"
#include "core/config/config.h"
#include "core/encoding/fields.h"
#include "sim/replay/replay.h"
#include "sim/setup.h"
#include "sim/spec.h"
#include "sim/tables/trace.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define E(member) .offset = offsetof(struct experiment, member)
#define P(member) .offset = offsetof(struct experiment_policy, member)
#define TABLE(rows) ((struct field_table){rows, sizeof rows / sizeof rows[0]})

static const struct field rows[] = {
    {.path = "world", .help = "a world: its name, its path, or itself", .kind = FIELD_OTHER},
    {.path = "table",
     .help = "a folder or CSV file with a full-information table",
     .kind = FIELD_OTHER},
    {.path = "trace",
     .kind = FIELD_OTHER,
     .help = "a CSV file of when requests come and how long they are"},
    {.path = "adequate",
     .help = "by what a request is judged: its outcomes, or the true means of a world",
     .kind = FIELD_CHOICE,
     E(by_mean),
     .text = "realised|mean"},
    {.path = "seeds",
     .help = "how many",
     .kind = FIELD_INT,
     E(seeds),
     .min = 1,
     .max = SEEDS_MAX,
     .number = 20},
    {.path = "first_seed",
     .help = "the first of them",
     .kind = FIELD_INT,
     E(first_seed),
     .max = 9e15,
     .number = 1},
    {.path = "delay",
     .help = "requests until feedback arrives",
     .kind = FIELD_INT,
     E(delay),
     .max = 1e7},
    {.path = "max_output_tokens",
     .help = "the limit each request has; strict pools need one; 0: none",
     .kind = FIELD_INT,
     E(max_output_tokens),
     .max = 1e9},
    {.path = "disturbances",
     .help = "what happens on the way, one after another",
     .kind = FIELD_OTHER},
    {.path = "params", .help = "configuration, over what is there already", .kind = FIELD_OTHER},
    {.path = "policies", .other = "required", .help = "what is compared", .kind = FIELD_OTHER},
};

enum policy_bit { HAS_NAME = 1 };
static const struct field policy_rows[] = {
    {.path = "name",
     .other = "required",
     .help = "by which it is known",
     .kind = FIELD_NAME,
     P(name),
     .min = 1,
     .max = NAME_LEN,
     .bit = HAS_NAME},
    {.path = "labelled",
     .help = "requests taught beforehand, with the outcomes of all models",
     .kind = FIELD_INT,
     P(labelled),
     .max = WORLD_ROWS_MAX},
    {.path = "params", .help = "configuration, over what is there already", .kind = FIELD_OTHER},
};

void experiment_free(struct experiment *e)
{
    for (int i = 0; i < e->n_policies; i++)
        free(e->policy[i].params);
    free(e->count);
    free(e->reserve);
    world_free(&e->world);
    free(e->spec);
    if (e->trace != NULL)
        trace_free(e->trace);
    free(e->trace);
    *e = (struct experiment){.n = 0};
}

/* Puts the place of a patch in front of a path within it. */
static enum status below(struct problem *problem, const struct json_at *at, enum status s)
{
    if (s == STATUS_OK || problem == NULL)
        return s;
    struct problem inner = *problem;
    json_fail(problem, s, at, "%s", inner.text);
    size_t n = strlen(problem->path);
    snprintf(problem->path + n, sizeof problem->path - n, "%.*s",
             (int)(sizeof problem->path - n - 1), inner.path);
    return s;
}

/* Patches params with the document under key "params" of object, if there is one. */
static enum status patch(const json_t *object, const struct json_at *at, struct params *p,
                         struct problem *problem)
{
    struct json_at here = {.up = at, .key = "params"};
    const json_t *v = json_object_get(object, "params");
    char found[FOUND_CAP];
    if (v == NULL)
        return STATUS_OK;
    if (!json_is_object(v))
        return json_fail(problem, STATUS_BAD_REQUEST, &here, "expected an object, found %s",
                         json_found(found, v));
    char *json = json_dumps(v, JSON_COMPACT);
    enum status s = json != NULL ? below(problem, &here, setup_text(p, json, problem))
                                 : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    free(json);
    return s;
}

static enum status read_policy(json_t *v, const struct json_at *at, struct experiment *e, int i,
                               struct problem *problem)
{
    struct experiment_policy *p = &e->policy[i];
    struct json_at name_at = {.up = at, .key = "name"};
    void *base[] = {p};
    unsigned seen = 0;
    fields_default(TABLE(policy_rows), 0, p);
    enum status s = fields_read(TABLE(policy_rows), v, at, base, &seen, problem);
    if (s == STATUS_OK && (seen & HAS_NAME) == 0)
        s = json_fail(problem, STATUS_BAD_REQUEST, at, "needs a name");
    for (int j = 0; s == STATUS_OK && j < i; j++)
        if (strcmp(e->policy[j].name, p->name) == 0)
            s = json_fail(problem, STATUS_BAD_REQUEST, &name_at, "already that of policy %d", j);
    return s;
}

static enum status read_policies(json_t *root, struct experiment *e, struct problem *problem)
{
    struct json_at list = {.key = "policies"};
    const json_t *v = json_object_get(root, "policies");
    enum status s = spec_list(v, &list, 1, EXPERIMENT_POLICIES_MAX, problem);
    int n = s == STATUS_OK ? (int)json_array_size(v) : 0;
    for (int i = 0; s == STATUS_OK && i < n; i++) {
        struct json_at here = {.index = i, .up = &list};
        e->n_policies = i + 1;
        s = read_policy(json_array_get(v, (size_t)i), &here, e, i, problem);
        if (s == STATUS_OK && e->policy[i].labelled > (int64_t)e->n_reserve)
            e->n_reserve = (size_t)e->policy[i].labelled;
    }
    return s;
}

/* The params of all policies, once the models are known. */
static enum status set_up(json_t *root, struct experiment *e, struct params *common,
                          struct problem *problem)
{
    struct json_at list = {.key = "policies"};
    params_default(common);
    enum status s = setup_pool(common, &e->world.table, problem);
    if (s == STATUS_OK)
        s = patch(root, NULL, common, problem);
    e->cost_weight = common->objective.cost;
    for (int i = 0; s == STATUS_OK && i < e->n_policies; i++) {
        struct json_at here = {.index = i, .up = &list};
        struct params *p = e->policy[i].params = malloc(sizeof *p);
        if (p == NULL)
            return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
        *p = *common;
        s = patch(json_array_get(json_object_get(root, "policies"), (size_t)i), &here, p, problem);
        if (s == STATUS_OK)
            s = below(problem, &here, setup_check(p, &e->world.table, problem));
    }
    return s;
}

static enum status set_up_all(json_t *root, struct experiment *e, struct problem *problem)
{
    struct params *common = malloc(sizeof *common);
    enum status s = common != NULL ? set_up(root, e, common, problem)
                                   : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    free(common);
    return s;
}

static enum status make_world(json_t *v, const char *near, struct experiment *e,
                              struct problem *problem)
{
    struct json_at at = {.key = "world"};
    char found[FOUND_CAP];
    struct world_spec *spec = e->spec = calloc(1, sizeof *spec);
    if (spec == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    enum status s;
    if (json_is_string(v)) {
        s = below(problem, &at, world_load(json_string_value(v), near, spec, problem));
        snprintf(e->source, sizeof e->source, "%s", json_string_value(v));
    } else if (json_is_object(v)) {
        s = world_read(v, &at, near, spec, problem);
        const char *base = json_string_value(json_object_get(v, "base"));
        snprintf(e->source, sizeof e->source, "%s%s", base != NULL ? "a variant of " : "inline",
                 base != NULL ? base : "");
    } else {
        s = json_fail(problem, STATUS_BAD_REQUEST, &at,
                      "expected a name, a path or an object, found %s", json_found(found, v));
    }
    if (s == STATUS_OK)
        s = world_make(spec, e->n_reserve, &e->world, problem);
    return s;
}

static enum status load_table(const json_t *v, const char *near, struct experiment *e,
                              struct problem *problem)
{
    struct json_at at = {.key = "table"};
    char found[FOUND_CAP], dir[SPEC_PATH_CAP];
    const char *name = json_string_value(v);
    if (name == NULL)
        return json_fail(problem, STATUS_BAD_REQUEST, &at, "expected a folder, found %s",
                         json_found(found, v));
    if (e->by_mean)
        return json_fail(problem, STATUS_BAD_REQUEST, &(struct json_at){.key = "adequate"},
                         "a table does not tell true means: \"realised\" is what it has");
    snprintf(e->source, sizeof e->source, "%s", name);
    int n = name[0] == '/' || near[0] == '\0' ? snprintf(dir, sizeof dir, "%s", name)
                                              : snprintf(dir, sizeof dir, "%s/%s", near, name);
    if (n >= (int)sizeof dir)
        return json_fail(problem, STATUS_BAD_REQUEST, &at, "the folder's name is too long");
    return below(problem, &at, table_load(dir, &e->world.table, problem));
}

static enum status make_requests(json_t *root, const char *near, struct experiment *e,
                                 struct problem *problem)
{
    json_t *world = json_object_get(root, "world"), *table = json_object_get(root, "table");
    if ((world != NULL) == (table != NULL))
        return problem_set(problem, STATUS_BAD_REQUEST, "",
                           "needs a world or a table, one of the two");
    return world != NULL ? make_world(world, near, e, problem)
                         : load_table(table, near, e, problem);
}

/* As many requests as the trace has, if it has fewer. */
static enum status follow_trace(const json_t *root, const char *near, struct experiment *e,
                                struct problem *problem)
{
    struct json_at at = {.key = "trace"};
    const json_t *v = json_object_get(root, "trace");
    char path[SPEC_PATH_CAP], found[FOUND_CAP];
    if (v == NULL)
        return STATUS_OK;
    if (!json_is_string(v))
        return json_fail(problem, STATUS_BAD_REQUEST, &at, "expected a file, found %s",
                         json_found(found, v));
    for (int i = 0; i < e->disturbances.n; i++)
        if (e->disturbances.item[i].kind == DISTURB_ARRIVALS)
            return json_fail(
                problem, STATUS_BAD_REQUEST, &at,
                "arrivals among the disturbances say when requests come: one of the two");
    e->trace = calloc(1, sizeof *e->trace);
    enum status s = e->trace != NULL ? spec_find(json_string_value(v), near, "", path, problem)
                                     : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s == STATUS_OK)
        s = below(problem, &at, trace_load(path, e->n, 1, e->trace, problem));
    if (s == STATUS_OK && e->trace->n < e->n) /* of all rows, not of those that come first */
        course_shuffle(e->count, e->n, 1, ORDER_COUNT);
    if (s == STATUS_OK)
        e->n = e->trace->n;
    return s;
}

/* ---- groups ---- */

static int find_group(const struct experiment *e, const char *name)
{
    for (int g = 0; g < e->n_groups; g++)
        if (strcmp(e->group[g], name) == 0)
            return g;
    return -1;
}

static void add_group(struct experiment *e, const char *name)
{
    if (name[0] != '\0' && find_group(e, name) < 0 && e->n_groups < GROUPS_MAX)
        snprintf(e->group[e->n_groups++], NAME_CAP, "%s", name);
}

static void name_groups(struct experiment *e)
{
    for (int c = 0; e->spec != NULL && c < e->spec->n_clusters; c++)
        add_group(e, e->spec->cluster[c].group);
    for (int k = 0; e->n_groups == 0 && k < e->disturbances.n; k++) {
        const struct disturbance *d = &e->disturbances.item[k];
        for (int64_t t = 1; d->kind == DISTURB_TENANTS && t <= d->n && t <= GROUPS_MAX; t++)
            snprintf(e->group[e->n_groups++], NAME_CAP, "t%lld", (long long)t);
        if (d->kind == DISTURB_TENANTS && d->n > GROUPS_MAX)
            snprintf(e->group[GROUPS_MAX - 1], NAME_CAP, "others");
    }
}

int experiment_group(const struct experiment *e, const struct course *c, size_t i)
{
    if (e->n_groups == 0)
        return -1;
    int cluster = e->world.cluster != NULL ? e->world.cluster[c->source[i]] : -1;
    if (cluster >= 0 && e->spec->cluster[cluster].group[0] != '\0')
        return find_group(e, e->spec->cluster[cluster].group);
    if (c->tenant == NULL)
        return -1;
    return c->tenant[i] <= GROUPS_MAX ? c->tenant[i] - 1 : GROUPS_MAX - 1;
}

/* ---- what a job depends on ---- */

static uint64_t digest_json(const json_t *v, uint64_t h)
{
    char *text = v != NULL ? json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    h = text != NULL ? hash64(text, strlen(text), h) : mix64(h);
    free(text);
    return h;
}

/* The rows themselves, not the document they came from: a world may name another file. */
static uint64_t digest(const json_t *root, const struct experiment *e)
{
    const struct table *t = &e->world.table;
    size_t cells = t->n * (size_t)t->n_models;
    uint64_t h = hash64(PURSER_VERSION, strlen(PURSER_VERSION), 2);
    h = hash64(t->text, t->text_len, h);
    h = hash64(t->q, cells * sizeof *t->q, h);
    h = hash64(t->cost_nano, cells * sizeof *t->cost_nano, h);
    h = hash64(t->out, cells * sizeof *t->out, h);
    h = hash64(t->lat_ms, cells * sizeof *t->lat_ms, h);
    if (e->world.mean != NULL)
        h = hash64(e->world.mean, cells * sizeof *e->world.mean, h);
    h = digest_json(json_object_get(root, "disturbances"), h);
    if (e->trace != NULL)
        h = trace_digest(e->trace, h);
    int64_t how[] = {(int64_t)e->n, e->delay, e->by_mean, e->max_output_tokens};
    return hash64(how, sizeof how, h);
}

uint64_t experiment_job_digest(const struct experiment *e, int policy, uint64_t seed)
{
    const struct experiment_policy *p = &e->policy[policy];
    char *json = malloc(CONFIG_MAX);
    size_t n = json != NULL ? config_render(p->params, json, CONFIG_MAX) : 0;
    uint64_t h = hash64(json, n, e->digest);
    uint64_t how[] = {(uint64_t)p->labelled, seed};
    free(json);
    return n > 0 ? hash64(how, sizeof how, h) | 1 : 0;
}

enum status experiment_read(json_t *root, const char *near, struct experiment *out,
                            struct problem *problem)
{
    struct experiment e = {.n = 0};
    void *base[] = {&e};
    fields_default(TABLE(rows), 0, &e);
    enum status s = fields_read(TABLE(rows), root, NULL, base, NULL, problem);
    if (s == STATUS_OK)
        s = read_policies(root, &e, problem);
    if (s == STATUS_OK)
        s = make_requests(root, near, &e, problem);
    if (s == STATUS_OK)
        s = disturbances_read(json_object_get(root, "disturbances"), NULL, &e.world.table,
                              &e.disturbances, problem);
    if (s == STATUS_OK)
        s = set_up_all(root, &e, problem);
    if (s == STATUS_OK)
        s = experiment_part(&e, problem);
    if (s == STATUS_OK)
        s = follow_trace(root, near, &e, problem);
    if (s != STATUS_OK) {
        experiment_free(&e);
        return s;
    }
    name_groups(&e);
    e.digest = digest(root, &e);
    *out = e;
    return STATUS_OK;
}

/* Puts another number of requests into the document's world, which may be named or written out. */
static void set_requests(json_t *root, int64_t requests)
{
    json_t *world = json_object_get(root, "world");
    json_t *n = json_integer((json_int_t)requests);
    if (json_is_string(world))
        json_object_set_new(root, "world", json_pack("{s:O,s:o}", "base", world, "requests", n));
    else
        json_object_set_new(world, "requests", n);
}

enum status experiment_load(const char *name, int64_t requests, struct experiment *out,
                            struct problem *problem)
{
    char path[SPEC_PATH_CAP], folder[SPEC_PATH_CAP];
    json_t *root = NULL;
    enum status s = spec_find(name, "", ".experiment.json", path, problem);
    if (s == STATUS_OK)
        s = spec_open(path, &root, problem);
    if (s != STATUS_OK)
        return s;
    if (requests > 0)
        set_requests(root, requests);
    spec_folder(path, folder);
    s = spec_blame(problem, path, experiment_read(root, folder, out, problem));
    json_decref(root);
    return s;
}

/* What a shape says as text, on the heap; NULL when memory is short. */
static char *shape(const char *ahead, void (*write)(struct text *out), const char *behind)
{
    enum { CAP = 1 << 16 };
    char *room = malloc(CAP);
    if (room == NULL)
        return NULL;
    struct text t = text_over(room, CAP);
    text_put(&t, ahead);
    write(&t);
    text_put(&t, behind);
    assert(!t.full);
    return room;
}

size_t experiment_schema(char *out, size_t cap)
{
    char *world = shape("\"oneOf\":[{\"type\":\"string\"},{", world_schema, "}]");
    char *list = shape("\"type\":\"array\",\"items\":{\"oneOf\":[", disturbance_schema, "]}");
    const struct field_shape shapes[] = {
        {.path = "world", .json = world},
        {.path = "table", .json = "\"type\":\"string\""},
        {.path = "trace", .json = "\"type\":\"string\""},
        {.path = "disturbances", .json = list},
        {.path = "params", .json = "\"$ref\":\"configuration.schema.json\""},
        {.path = "policies", .table = TABLE(policy_rows), .most = EXPERIMENT_POLICIES_MAX},
        {0}};
    struct text t = text_over(out, cap);
    if (world != NULL && list != NULL) {
        text_put(&t, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\n"
                     "\"$id\":\"urn:purser:experiment:1\",\n"
                     "\"title\":\"Experiment of purser-sim, version 1\",\n"
                     "\"oneOf\":[{\"required\":[\"world\"]},{\"required\":[\"table\"]}],\n");
        fields_schema(TABLE(rows), shapes, &t);
        text_put(&t, "}\n");
    }
    bool ok = world != NULL && list != NULL && !t.full;
    free(world);
    free(list);
    return ok ? t.len : 0;
}
