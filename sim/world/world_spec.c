/* SPDX-License-Identifier: MIT */
/*
 * Specifications of worlds, read by tables of fields like configurations: strict, with a JSON path
 * in every complaint. "base" names another specification that is read first, so that a variant
 * (other noise, other size) says only how it differs; lists are replaced whole.
 */
#include "sim/world/world.h"

#include "core/encoding/fields.h"
#include "sim/spec.h"

#include <stdlib.h>
#include <string.h>

enum { BASES_MAX = 4 }; /* a longer chain is a circle or a riddle */

#define NAME .kind = FIELD_NAME, .min = 1, .max = NAME_LEN
#define REAL .kind = FIELD_REAL
#define W(member) .offset = offsetof(struct world_spec, member)
#define M(member) .offset = offsetof(struct world_model, member)
#define C(member) .offset = offsetof(struct world_cluster, member)

static const struct field world_rows[] = {
    {.path = "base",
     .help = "another world, of which this one says only what differs",
     .kind = FIELD_OTHER},
    {.path = "family",
     .help = "clusters, linear, misspecified, logistic, neighbours or mlp",
     NAME,
     W(family),
     .text = "clusters"},
    {.path = "seed",
     .help = "of everything that is drawn",
     .kind = FIELD_INT,
     W(seed),
     .max = 9e15,
     .number = 1},
    {.path = "requests",
     .help = "how many rows it has",
     .kind = FIELD_INT,
     W(requests),
     .min = 1,
     .max = WORLD_ROWS_MAX,
     .number = 10000},
    {.path = "declared",
     .help = "the name of the cluster goes along as the task of the request",
     .kind = FIELD_BOOL,
     W(declared),
     .number = 1},
    {.path = "outcome",
     .help = "the mean, give or take noise; or 0 or 1",
     .kind = FIELD_CHOICE,
     W(bernoulli),
     .text = "graded|bernoulli"},
    {.path = "noise", .help = "half the width of what is added to means", REAL, W(noise), .max = 1},
    {.path = "prompt/words",
     .help = "in a mean prompt",
     .kind = FIELD_INT,
     W(prompt_words),
     .min = 1,
     .max = WORLD_WORDS_MAX / 2,
     .number = 20},
    {.path = "prompt/vocabulary",
     .help = "words of a task or topic",
     .kind = FIELD_INT,
     W(vocabulary),
     .min = 1,
     .max = 100000,
     .number = 40},
    {.path = "prompt/topical",
     .help = "share of the words that tell the task or topic",
     REAL,
     W(topical),
     .max = 1,
     .number = 0.5},
    {.path = "context_tokens",
     .help = "input beside the prompt",
     REAL,
     W(context_tokens),
     .max = 1e6,
     .number = 200},
    {.path = "tokens_spread",
     .help = "deviation of the log of lengths, one draw for all models",
     REAL,
     W(tokens_spread),
     .max = 3},
    {.path = "latents",
     .help = "number of topics",
     .kind = FIELD_INT,
     W(latents),
     .max = WORLD_LATENTS_MAX},
    {.path = "models", .help = "what can be chosen", .kind = FIELD_OTHER},
    {.path = "clusters", .help = "kinds of requests", .kind = FIELD_OTHER},
};

enum model_bit { HAS_NAME = 1, HAS_IN = 2, HAS_OUT = 4, HAS_ALL = 7 };
static const struct field model_rows[] = {
    {.path = "name",
     .other = "required",
     .help = "by which it is known",
     NAME,
     M(name),
     .bit = HAS_NAME},
    {.path = "tier", .help = "class of models; else by price", NAME, M(tier), .text = ""},
    {.path = "usd_per_mtok_in",
     .other = "required",
     .help = "dollars per million tokens",
     REAL,
     M(usd_in),
     .max = 1e5,
     .bit = HAS_IN},
    {.path = "usd_per_mtok_out",
     .other = "required",
     .help = "dollars per million tokens",
     REAL,
     M(usd_out),
     .max = 1e5,
     .bit = HAS_OUT},
    {.path = "output_tokens",
     .help = "length of a mean answer",
     REAL,
     M(output_tokens),
     .min = 1,
     .max = 1e6,
     .number = 150},
    {.path = "latency_ms",
     .help = "until the first token; 0: not told",
     REAL,
     M(latency_ms),
     .max = 1e6},
    {.path = "ms_per_token", .help = "of output", REAL, M(ms_per_token), .max = 1e4},
    {.path = "intercept", .help = "of quality", REAL, M(intercept), .min = -10, .max = 10},
    {.path = "weights", .help = "of the topics", .kind = FIELD_OTHER},
    {.path = "squares", .help = "of the squared shares of topics", .kind = FIELD_OTHER},
};

enum cluster_bit { CLUSTER_NAME = 1 };
static const struct field cluster_rows[] = {
    {.path = "name",
     .other = "required",
     .help = "by which it is known",
     NAME,
     C(name),
     .bit = CLUSTER_NAME},
    {.path = "group", .help = "of the people who ask", NAME, C(group), .text = ""},
    {.path = "share", .help = "of the requests, relative", REAL, C(share), .max = 1e6, .number = 1},
    {.path = "length",
     .help = "of answers, relative",
     REAL,
     C(length),
     .min = 1e-3,
     .max = 1e3,
     .number = 1},
    {.path = "quality", .other = "required", .help = "mean, by model", .kind = FIELD_OTHER},
};

#define TABLE(rows) ((struct field_table){rows, sizeof rows / sizeof rows[0]})

static enum status read_model(json_t *v, const struct json_at *at, int64_t latents,
                              struct world_model *m, struct problem *p)
{
    void *base[] = {m};
    unsigned seen = 0;
    const json_t *weights = json_object_get(v, "weights"), *squares = json_object_get(v, "squares");
    struct json_at weights_at = {.up = at, .key = "weights"},
                   squares_at = {.up = at, .key = "squares"};
    *m = (struct world_model){.usd_in = 0};
    fields_default(TABLE(model_rows), 0, m);
    enum status s = fields_read(TABLE(model_rows), v, at, base, &seen, p);
    if (s == STATUS_OK && seen % 8 != HAS_ALL)
        s = json_fail(p, STATUS_BAD_REQUEST, at,
                      "needs name, usd_per_mtok_in and usd_per_mtok_out");
    if (s == STATUS_OK && weights != NULL)
        s = spec_reals(weights, &weights_at, (int)latents, -10, 10, m->weight, p);
    if (s == STATUS_OK && squares != NULL)
        s = spec_reals(squares, &squares_at, (int)latents, -10, 10, m->square, p);
    return s;
}

static enum status read_models(const json_t *v, const struct json_at *at, struct world_spec *w,
                               struct problem *p)
{
    struct json_at list = {.up = at, .key = "models"};
    if (v == NULL)
        return STATUS_OK;
    enum status s = spec_list(v, &list, 1, MODELS_MAX, p);
    w->n_models = s == STATUS_OK ? (int)json_array_size(v) : 0;
    for (int i = 0; s == STATUS_OK && i < w->n_models; i++) {
        struct json_at here = {.up = &list, .index = i}, name_at = {.up = &here, .key = "name"};
        s = read_model(json_array_get(v, (size_t)i), &here, w->latents, &w->model[i], p);
        for (int j = 0; s == STATUS_OK && j < i; j++)
            if (strcmp(w->model[j].name, w->model[i].name) == 0)
                s = json_fail(p, STATUS_BAD_REQUEST, &name_at, "already that of model %d", j);
    }
    return s;
}

static enum status read_clusters(const json_t *v, const struct json_at *at, struct world_spec *w,
                                 struct problem *p)
{
    struct json_at list = {.up = at, .key = "clusters"};
    if (v == NULL)
        return STATUS_OK;
    enum status s = spec_list(v, &list, 0, WORLD_CLUSTERS_MAX, p);
    w->n_clusters = s == STATUS_OK ? (int)json_array_size(v) : 0;
    for (int i = 0; s == STATUS_OK && i < w->n_clusters; i++) {
        struct world_cluster *c = &w->cluster[i];
        json_t *object = json_array_get(v, (size_t)i);
        struct json_at here = {.up = &list, .index = i},
                       quality_at = {.up = &here, .key = "quality"};
        void *base[] = {c};
        unsigned seen = 0;
        *c = (struct world_cluster){.share = 0};
        fields_default(TABLE(cluster_rows), 0, c);
        s = fields_read(TABLE(cluster_rows), object, &here, base, &seen, p);
        if (s == STATUS_OK && (seen & CLUSTER_NAME) == 0)
            s = json_fail(p, STATUS_BAD_REQUEST, &here, "needs a name");
        if (s == STATUS_OK) /* checked against the models below */
            s = spec_reals(json_object_get(object, "quality"), &quality_at, w->n_models, 0, 1,
                           c->quality, p);
    }
    return s;
}

static enum status check(const struct world_spec *w, const struct json_at *at, struct problem *p)
{
    struct json_at family_at = {.up = at, .key = "family"}, models_at = {.up = at, .key = "models"};
    const struct world_family *f = world_family(w->family);
    if (f == NULL) {
        char known[200], quoted[QUOTE_CAP];
        struct text t = text_over(known, sizeof known);
        for (int i = 0; world_family_at(i) != NULL; i++)
            text_printf(&t, "%s%s", i > 0 ? ", " : "", world_family_at(i)->name);
        return json_fail(p, STATUS_BAD_REQUEST, &family_at, "no family \"%s\"; families are: %s",
                         json_quote(quoted, w->family), known);
    }
    if (w->bernoulli && w->noise > 0) {
        struct json_at noise_at = {.up = at, .key = "noise"};
        return json_fail(p, STATUS_BAD_REQUEST, &noise_at,
                         "outcomes of 0 or 1 have no other noise: leave it out, or set it to 0");
    }
    if (w->n_models == 0)
        return json_fail(p, STATUS_BAD_REQUEST, &models_at, "missing: name at least one model");
    return f->check(w, at, p);
}

static enum status read_over(json_t *object, const struct json_at *at, const char *near, int bases,
                             struct world_spec *w, struct problem *p);

/* Reads a file over w; its own relative names are looked for beside it. */
static enum status load_over(const char *name, const char *near, int bases, struct world_spec *w,
                             struct problem *p)
{
    char path[SPEC_PATH_CAP], folder[SPEC_PATH_CAP];
    json_t *root = NULL;
    enum status s = spec_find(name, near, ".json", path, p);
    if (s == STATUS_OK)
        s = spec_open(path, &root, p);
    if (s != STATUS_OK)
        return s;
    spec_folder(path, folder);
    s = spec_blame(p, path, read_over(root, NULL, folder, bases, w, p));
    json_decref(root);
    return s;
}

static enum status read_base(const json_t *v, const struct json_at *at, const char *near, int bases,
                             struct world_spec *w, struct problem *p)
{
    struct json_at here = {.up = at, .key = "base"};
    char found[FOUND_CAP];
    if (v == NULL)
        return STATUS_OK;
    if (!json_is_string(v))
        return json_fail(p, STATUS_BAD_REQUEST, &here, "expected a name or path, found %s",
                         json_found(found, v));
    if (bases == BASES_MAX)
        return json_fail(p, STATUS_BAD_REQUEST, &here, "more than %d bases below each other",
                         BASES_MAX);
    return load_over(json_string_value(v), near, bases + 1, w, p);
}

static enum status read_over(json_t *object, const struct json_at *at, const char *near, int bases,
                             struct world_spec *w, struct problem *p)
{
    void *base[] = {w};
    const json_t *models = json_object_get(object, "models"),
                 *clusters = json_object_get(object, "clusters");
    enum status s = read_base(json_object_get(object, "base"), at, near, bases, w, p);
    int64_t latents = w->latents;
    int n_models = w->n_models;
    if (s == STATUS_OK)
        s = fields_read(TABLE(world_rows), object, at, base, NULL, p);
    if (s == STATUS_OK)
        s = read_models(models, at, w, p);
    if (s == STATUS_OK)
        s = read_clusters(clusters, at, w, p);
    if (s == STATUS_OK && w->n_clusters > 0 && clusters == NULL && w->n_models != n_models)
        s = json_fail(p, STATUS_BAD_REQUEST, at,
                      "other models than the base's need clusters of their own");
    if (s == STATUS_OK && n_models > 0 && models == NULL && w->latents != latents)
        s = json_fail(p, STATUS_BAD_REQUEST, at,
                      "other latents than the base's need models of their own");
    return s == STATUS_OK ? check(w, at, p) : s;
}

/* Into a copy, which is kept only if all of it is right. */
enum status world_read(json_t *object, const struct json_at *at, const char *near,
                       struct world_spec *spec, struct problem *problem)
{
    struct world_spec *w = calloc(1, sizeof *w);
    if (w == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    fields_default(TABLE(world_rows), 0, w);
    enum status s = read_over(object, at, near, 0, w, problem);
    if (s == STATUS_OK)
        *spec = *w;
    free(w);
    return s;
}

enum status world_load(const char *name, const char *near, struct world_spec *spec,
                       struct problem *problem)
{
    json_t *root = json_pack("{s:s}", "base", name);
    if (root == NULL)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "a name that is not valid UTF-8");
    enum status s = world_read(root, NULL, near, spec, problem);
    json_decref(root);
    return s;
}

void world_schema(struct text *out)
{
    static const char numbers[] = "\"type\":\"array\",\"items\":{\"type\":\"number\"}";
    const struct field_shape shapes[] = {
        {.path = "base", .json = "\"type\":\"string\""},
        {.path = "models", .table = TABLE(model_rows), .most = MODELS_MAX},
        {.path = "clusters", .table = TABLE(cluster_rows), .most = WORLD_CLUSTERS_MAX},
        {.path = "weights", .json = numbers},
        {.path = "squares", .json = numbers},
        {.path = "quality", .json = numbers},
        {0}};
    fields_schema(TABLE(world_rows), shapes, out);
}
