/* SPDX-License-Identifier: MIT */
#include "transport/learned_doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/encoding/base64.h"
#include "core/event/bytes.h"
#include "core/learn/learned.h"

static const char FORMAT[] = "purser-learned-state";
static const char *const head_name[RIDGE_BLOCK_HEAD] = {"rows", "weight", "weight_squared",
                                                        "squares"};
static const char *const ratio_name[] = {"numerator", "denominator", "weight"};
static const char *const scale_name[] = {"declared", "text", "shared"};
enum { THREE = 3, NUMBERS_MAX = LEARNED_BYTES_MAX / 8 };

/* ---- out ---- */

static size_t numbers_of(const json_t *b64, double *out)
{
    static uint8_t bytes[LEARNED_BYTES_MAX];
    const char *s = json_string_value(b64);
    size_t n = s ? base64_decode(s, json_string_length(b64), bytes, sizeof bytes) / 8 : 0;
    struct reader r = reader_over(bytes, 8 * n);
    for (size_t i = 0; i < n; i++)
        out[i] = get_f64(&r);
    return n;
}

static json_t *named(const char *const *names, const double *v, size_t n)
{
    json_t *o = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(o, names[i], json_real(v[i]));
    return o;
}

static json_t *list(const double *v, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, json_real(v[i]));
    return a;
}

static json_t *rows_of(const double *v, size_t n, size_t d, bool smeared)
{
    json_t *o = named(head_name, v, RIDGE_BLOCK_HEAD);
    json_object_set_new(o, "rows", json_integer((json_int_t)v[0]));
    json_object_set_new(o, "moments", list(v + RIDGE_BLOCK_HEAD, d));
    json_object_set_new(o, "products",
                        list(v + RIDGE_BLOCK_HEAD + d, n - RIDGE_BLOCK_HEAD - d - THREE));
    if (smeared)
        json_object_set_new(o, "smearing", named(ratio_name, v + n - THREE, THREE));
    return o;
}

static int entries(const json_t *doc)
{
    json_int_t d = json_integer_value(json_object_get(doc, "entries"));
    return d >= 1 && d <= DIM_MAX ? (int)d : 0;
}

json_t *learned_doc_new(const json_t *summary, const char *made_by)
{
    static double v[NUMBERS_MAX];
    static const char *const same[] = {"store_id", "seq",     "time_ms", "tenant",
                                       "schema",   "entries", "lens",    "features"};
    json_t *doc = json_pack("{s:s,s:i,s:s}", "format", FORMAT, "version", LEARNED_DOC_VERSION,
                            "made_by", made_by);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        json_object_set(doc, same[i], json_object_get(summary, same[i]));
    const json_t *prior = json_object_get(summary, "prior");
    int d = entries(doc);
    if (prior && numbers_of(prior, v) == THREE + (size_t)d) {
        json_t *o = json_pack("{s:o,s:o}", "scale", named(scale_name, v, THREE), "quality",
                              list(v + THREE, (size_t)d));
        json_object_set_new(doc, "prior", o);
    }
    json_object_set_new(doc, "models", json_array());
    if (d > 0)
        return doc;
    json_decref(doc);
    return NULL;
}

bool learned_doc_add(json_t *doc, const json_t *model)
{
    static double v[NUMBERS_MAX];
    int d = entries(doc);
    const json_t *parts = json_object_get(model, "parts");
    json_t *o = json_object();
    json_object_set(o, "name", json_object_get(model, "model"));
    json_object_set(o, "time_ms", json_object_get(model, "time_ms"));
    for (int part = 0; part < LEARNED_PRIOR; part++) {
        const char *name = learned_part_name(part);
        size_t n = numbers_of(json_object_get(parts, name), v);
        if (n != learned_len(part, d) / 8) {
            json_decref(o);
            return false;
        }
        json_object_set_new(
            o, name,
            part == LEARNED_COST
                ? named(ratio_name, v, THREE)
                : rows_of(v, n, (size_t)d, part == TARGET_TOKENS || part == TARGET_LATENCY));
    }
    return json_array_append_new(json_object_get(doc, "models"), o) == 0;
}

/* ---- in ---- */

/* Numbers gathered on the way from the document; `path` is where the reader is. */
struct gather {
    double v[NUMBERS_MAX];
    size_t n;
    char path[160];
    struct problem *problem;
    enum status status;
};

static void refuse(struct gather *g, const char *at, const char *what)
{
    if (g->status != STATUS_OK)
        return;
    char path[sizeof g->problem->path];
    (void)snprintf(path, sizeof path, "%.*s/%s", (int)sizeof path - 40, g->path, at);
    g->status = problem_set(g->problem, STATUS_BAD_REQUEST, path, "%s", what);
}

static void number(struct gather *g, const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    if (!json_is_number(v))
        refuse(g, name, "a number is needed");
    else if (g->status == STATUS_OK && g->n < NUMBERS_MAX)
        g->v[g->n++] = json_number_value(v);
}

static void several(struct gather *g, const json_t *o, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        number(g, o, names[i]);
}

static void numbers(struct gather *g, const json_t *o, const char *name, size_t n)
{
    const json_t *a = json_object_get(o, name);
    char text[80];
    (void)snprintf(text, sizeof text, "a list of %zu numbers is needed", n);
    if (json_array_size(a) != n)
        refuse(g, name, text);
    for (size_t i = 0; i < n && g->status == STATUS_OK; i++) {
        const json_t *v = json_array_get(a, i);
        if (!json_is_number(v))
            refuse(g, name, text);
        else if (g->n < NUMBERS_MAX)
            g->v[g->n++] = json_number_value(v);
    }
}

static json_t *encoded(const struct gather *g)
{
    static uint8_t bytes[LEARNED_BYTES_MAX];
    struct filler w = filler_over(bytes, sizeof bytes);
    for (size_t i = 0; i < g->n; i++)
        put_f64(&w, g->v[i]);
    char *text = malloc(base64_length(8 * g->n) + 1);
    if (text)
        base64_encode(bytes, 8 * g->n, text);
    json_t *out = text ? json_string(text) : NULL;
    free(text);
    return out;
}

static void gather_part(struct gather *g, const json_t *part, int which, int d)
{
    static const double none[THREE];
    g->n = 0;
    if (which == LEARNED_COST) {
        several(g, part, ratio_name, THREE);
        return;
    }
    several(g, part, head_name, RIDGE_BLOCK_HEAD);
    numbers(g, part, "moments", (size_t)d);
    numbers(g, part, "products", (size_t)d * ((size_t)d + 1) / 2);
    const json_t *smearing = json_object_get(part, "smearing");
    if (smearing) {
        several(g, smearing, ratio_name, THREE);
        return;
    }
    memcpy(g->v + g->n, none, sizeof none);
    g->n += THREE;
}

enum status learned_doc_check(const json_t *doc, struct problem *p)
{
    const char *format = json_string_value(json_object_get(doc, "format"));
    if (!format || strcmp(format, FORMAT) != 0)
        return problem_set(p, STATUS_BAD_REQUEST, "/format",
                           "\"%s\" is needed: this is no learned state", FORMAT);
    json_int_t version = json_integer_value(json_object_get(doc, "version"));
    if (version != LEARNED_DOC_VERSION)
        return problem_set(p, STATUS_UNSUPPORTED_VERSION, "/version",
                           "version %lld; this program reads version %d", (long long)version,
                           LEARNED_DOC_VERSION);
    if (entries(doc) == 0)
        return problem_set(p, STATUS_BAD_REQUEST, "/entries", "1 to %d are needed", DIM_MAX);
    if (!json_is_string(json_object_get(doc, "schema")))
        return problem_set(p, STATUS_BAD_REQUEST, "/schema", "text is needed");
    if (!json_is_object(json_object_get(doc, "features")))
        return problem_set(p, STATUS_BAD_REQUEST, "/features", "an object is needed");
    if (!json_is_array(json_object_get(doc, "models")))
        return problem_set(p, STATUS_BAD_REQUEST, "/models", "a list is needed");
    return STATUS_OK;
}

static struct gather *gathering(struct problem *p)
{
    static struct gather g; /* the command line has one thread */
    g.n = 0;
    g.problem = p;
    g.status = STATUS_OK;
    return &g;
}

enum status learned_doc_model(const json_t *doc, size_t i, const char **name, json_t **parts,
                              struct problem *p)
{
    const json_t *model = json_array_get(json_object_get(doc, "models"), i);
    struct gather *g = gathering(p);
    *name = json_string_value(json_object_get(model, "name"));
    (void)snprintf(g->path, sizeof g->path, "/models/%zu", i);
    if (!*name)
        refuse(g, "name", "text is needed");
    *parts = json_object();
    for (int part = 0; part < LEARNED_PRIOR && g->status == STATUS_OK; part++) {
        const char *key = learned_part_name(part);
        (void)snprintf(g->path, sizeof g->path, "/models/%zu/%s", i, key);
        gather_part(g, json_object_get(model, key), part, entries(doc));
        json_object_set_new(*parts, key, encoded(g));
    }
    if (g->status == STATUS_OK)
        return STATUS_OK;
    json_decref(*parts);
    *parts = NULL;
    return g->status;
}

enum status learned_doc_prior(const json_t *doc, json_t **prior, struct problem *p)
{
    const json_t *o = json_object_get(doc, "prior");
    struct gather *g = gathering(p);
    *prior = NULL;
    if (!o)
        return STATUS_OK;
    (void)snprintf(g->path, sizeof g->path, "/prior/scale");
    several(g, json_object_get(o, "scale"), scale_name, THREE);
    (void)snprintf(g->path, sizeof g->path, "/prior");
    numbers(g, o, "quality", (size_t)entries(doc));
    if (g->status == STATUS_OK)
        *prior = encoded(g);
    return g->status;
}
