/* SPDX-License-Identifier: MIT */
#include "transport/control/control_learned.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/config/config.h"
#include "core/encoding/base64.h"
#include "core/encoding/json.h"
#include "core/encoding/text.h"
#include "core/learn/imports.h"
#include "core/learn/learned.h"

/* ---- out ---- */

static const char *tenant_of(const struct router *r, int learner)
{
    return learner == 0 ? "" : router_params(r)->learners.spec[learner - 1].tenant;
}

static enum status find_learner(const struct router *r, const json_t *root, int *learner,
                                struct problem *p)
{
    const json_t *t = json_object_get(root, "tenant");
    const char *tenant = t ? json_string_value(t) : "";
    *learner = tenant ? router_learned_by(r, tenant) : -1;
    return *learner >= 0
               ? STATUS_OK
               : problem_set(p, STATUS_BAD_REQUEST, "/tenant",
                             "a tenant that has a learner of its own, or none for the shared one; "
                             "learners.get lists them");
}

static enum status find_model(const struct router *r, const json_t *root, int *arm,
                              struct problem *p)
{
    const char *name = json_string_value(json_object_get(root, "model"));
    *arm = name ? catalog_find(&router_params(r)->catalog, name) : -1;
    return *arm >= 0 ? STATUS_OK
                     : problem_set(p, STATUS_UNKNOWN_MODEL, "/model",
                                   "there is no model %.64s; models.list names those there are",
                                   name ? name : "without a name");
}

static bool put_piece(struct outbuf *out, const uint8_t *bytes, size_t n)
{
    if (!outbuf_reserve(out, base64_length(n) + 256))
        return false;
    char *text = malloc(base64_length(n) + 1);
    if (text) {
        base64_encode(bytes, n, text);
        text_json_string(&out->text, text);
    }
    free(text);
    return text != NULL;
}

static bool put_part(struct outbuf *out, const struct router *r, int learner, int part, int arm)
{
    static const size_t most = LEARNED_BYTES_MAX;
    int d;
    uint8_t *bytes = malloc(most);
    (void)router_learned_schema(r, &d);
    if (bytes)
        router_learned_take(r, learner, part, arm, bytes);
    bool ok = bytes && put_piece(out, bytes, learned_len(part, d));
    free(bytes);
    return ok;
}

/* The features of the configuration: what the numbers are about, in words. */
static bool put_features(struct outbuf *out, const struct router *r)
{
    char *doc = malloc(CONFIG_MAX);
    size_t n = doc ? config_render(router_params(r), doc, CONFIG_MAX) : 0;
    json_t *root = n ? json_loadb(doc, n, 0, NULL) : NULL;
    char *features = json_dumps(json_object_get(root, "features"), JSON_COMPACT | JSON_SORT_KEYS);
    bool ok = features && outbuf_reserve(out, OUTBUF_ITEM);
    if (ok)
        text_put(&out->text, features);
    free(features);
    json_decref(root);
    free(doc);
    return ok;
}

static void put_import(struct text *t, const struct import *in, const struct router *r)
{
    const struct catalog *c = &router_params(r)->catalog;
    bool first = true;
    text_put(t, "{\"import\":");
    text_json_string(t, in->name);
    text_put(t, ",\"tenant\":");
    text_json_string(t, tenant_of(r, in->learner));
    text_printf(t, ",\"prior\":%s,\"models\":[", in->seq[MODELS_MAX] ? "true" : "false");
    for (int a = 0; a < c->n; a++) {
        if (!in->seq[a])
            continue;
        text_put(t, first ? "" : ",");
        text_json_string(t, c->model[a].name);
        first = false;
    }
    text_put(t, "]}");
}

static bool put_summary(struct outbuf *out, const struct router *r, int learner)
{
    const struct catalog *c = &router_params(r)->catalog;
    const struct imports *in = router_imports(r);
    const struct lens *lens = router_lens(r);
    struct text *t = &out->text;
    int d;
    uint64_t schema = router_learned_schema(r, &d);
    text_printf(t, ",\"schema\":\"%016" PRIx64 "\",\"entries\":%d,\"labels\":%" PRId64 ",\"lens\":",
                schema, d, router_learned_rows(r, learner));
    if (lens)
        text_printf(t, "\"%016" PRIx64 "\"", lens->id);
    else
        text_put(t, "null");
    text_put(t, ",\"features\":");
    if (!put_features(out, r) || !outbuf_reserve(out, OUTBUF_ITEM))
        return false;
    text_put(t, ",\"models\":[");
    for (int a = 0; a < c->n; a++) {
        text_put(t, a ? "," : "");
        text_json_string(t, c->model[a].name);
    }
    text_put(t, "],\"imports\":[");
    for (int i = 0; i < in->n; i++) {
        text_put(t, i ? "," : "");
        put_import(t, &in->at[i], r);
    }
    text_put(t, "]");
    if (learner > 0) /* it takes its prior from the shared one */
        return true;
    text_put(t, ",\"prior\":");
    return put_part(out, r, learner, LEARNED_PRIOR, 0);
}

static bool put_model(struct outbuf *out, const struct router *r, int learner, int arm)
{
    text_put(&out->text, ",\"model\":");
    text_json_string(&out->text, router_params(r)->catalog.model[arm].name);
    text_put(&out->text, ",\"parts\":{");
    for (int part = 0; part < LEARNED_PRIOR; part++) {
        text_printf(&out->text, "%s\"%s\":", part ? "," : "", learned_part_name(part));
        if (!put_part(out, r, learner, part, arm))
            return false;
    }
    text_put(&out->text, "}");
    return true;
}

enum status control_learned_get(const struct router *r, const char *store_id, const json_t *root,
                                struct outbuf *out, struct problem *problem)
{
    int learner, arm = -1;
    enum status s = find_learner(r, root, &learner, problem);
    if (s == STATUS_OK && json_object_get(root, "model"))
        s = find_model(r, root, &arm, problem);
    if (s != STATUS_OK)
        return s;
    bool ok = outbuf_reserve(out, OUTBUF_ITEM);
    if (ok) {
        text_printf(&out->text,
                    "{\"v\":1,\"store_id\":\"%s\",\"seq\":%" PRIu64 ",\"time_ms\":%" PRId64
                    ",\"tenant\":",
                    store_id, router_seq(r), router_clock(r));
        text_json_string(&out->text, tenant_of(r, learner));
        ok = arm >= 0 ? put_model(out, r, learner, arm) : put_summary(out, r, learner);
        text_put(&out->text, "}");
    }
    return ok ? STATUS_OK
              : problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the answer");
}

/* ---- in ---- */

/* A message read: where it goes, and its pieces. */
struct incoming {
    struct event_learned piece[LEARNED_PARTS];
    uint8_t *bytes[LEARNED_PARTS];
    int n, learner, arm;
    bool replaces;
    double share;
    int64_t as_of_ms;
    const char *name;
};

static enum status read_piece(struct incoming *in, const struct router *r, const json_t *v,
                              int part, struct problem *p)
{
    int d;
    char path[NAME_CAP];
    (void)router_learned_schema(r, &d);
    snprintf(path, sizeof path, part == LEARNED_PRIOR ? "/%s" : "/parts/%s",
             learned_part_name(part));
    const char *b64 = json_string_value(v);
    uint8_t *bytes = in->bytes[in->n] = malloc(LEARNED_BYTES_MAX);
    if (!bytes)
        return problem_set(p, STATUS_UNAVAILABLE, "", "no memory for what was learned");
    size_t n = b64 ? base64_decode(b64, json_string_length(v), bytes, LEARNED_BYTES_MAX) : 0;
    in->piece[in->n] = (struct event_learned){.turn = LEARNED_ADDED,
                                              .part = (uint8_t)part,
                                              .learner = (uint8_t)in->learner,
                                              .arm = (uint8_t)(in->arm < 0 ? 0 : in->arm),
                                              .as_of_ms = in->as_of_ms,
                                              .share = in->share,
                                              .bytes = bytes,
                                              .len = (uint32_t)n};
    (void)snprintf(in->piece[in->n].name, NAME_CAP, "%s", in->name);
    in->n++;
    enum status s = n == 0 ? problem_set(p, STATUS_BAD_REQUEST, "", "base64 of doubles is needed")
                           : learned_fits(part, d, bytes, n, p);
    if (s != STATUS_OK)
        snprintf(p->path, sizeof p->path, "%s", path);
    return s;
}

static enum status read_pieces(struct incoming *in, const struct router *r, const json_t *root,
                               struct problem *p)
{
    const json_t *prior = json_object_get(root, "prior"), *parts = json_object_get(root, "parts");
    if (prior && !parts && in->learner == 0)
        return read_piece(in, r, prior, LEARNED_PRIOR, p);
    if (prior || json_object_size(parts) != LEARNED_PRIOR)
        return problem_set(p, STATUS_BAD_REQUEST, "/parts",
                           "the five parts of a model are needed, or the prior of the shared "
                           "learner, as learned.get gives them");
    enum status s = find_model(r, root, &in->arm, p);
    for (int part = 0; s == STATUS_OK && part < LEARNED_PRIOR; part++)
        s = read_piece(in, r, json_object_get(parts, learned_part_name(part)), part, p);
    return s;
}

static enum status read_name(const json_t *root, const char **name, struct problem *p)
{
    *name = json_string_value(json_object_get(root, "import"));
    return *name && json_name_ok(*name)
               ? STATUS_OK
               : problem_set(p, STATUS_BAD_REQUEST, "/import",
                             "a name is needed, by which it can be taken back: 1 to 64 of "
                             "A-Z a-z 0-9 . _ : / @ -");
}

static enum status read_terms(struct incoming *in, const struct router *r, const json_t *root,
                              struct problem *p)
{
    int d;
    char schema[17];
    const json_t *share = json_object_get(root, "share"),
                 *as_of = json_object_get(root, "as_of_ms");
    const char *theirs = json_string_value(json_object_get(root, "schema"));
    snprintf(schema, sizeof schema, "%016" PRIx64, router_learned_schema(r, &d));
    in->share = share ? json_number_value(share) : 1;
    in->as_of_ms = json_integer_value(as_of);
    in->replaces = json_is_true(json_object_get(root, "replace"));
    if (!theirs || strcmp(theirs, schema) != 0)
        return problem_set(p, STATUS_CONFLICT, "/schema",
                           "it is about other features (%.16s) than those in force (%s): make "
                           "/features and the lens of the two the same",
                           theirs ? theirs : "none", schema);
    if (!(in->share > 0 && in->share <= 1))
        return problem_set(p, STATUS_BAD_REQUEST, "/share",
                           "above 0, at most 1: what a row counts");
    if (!json_is_integer(as_of) || in->as_of_ms < 0)
        return problem_set(p, STATUS_BAD_REQUEST, "/as_of_ms",
                           "Unix milliseconds are needed: when it was known");
    return STATUS_OK;
}

static const char *place_name(const struct router *r, int place)
{
    return place == MODELS_MAX ? "prior" : router_params(r)->catalog.model[place].name;
}

static void note(struct desk *d, const char *op, const char *name, int learner, int place,
                 const json_t *terms)
{
    char path[2 * NAME_CAP];
    snprintf(path, sizeof path, "/learned/%s", place_name(d->router, place));
    json_t *what = json_pack("{s:s}", "import", name);
    if (learner > 0)
        json_object_set_new(what, "tenant", json_string(tenant_of(d->router, learner)));
    for (int i = 0; i < 2; i++) {
        static const char *const kept[] = {"share", "replace"};
        json_t *v = json_object_get(terms, kept[i]);
        if (v)
            json_object_set(what, kept[i], v);
    }
    desk_audit_note(d, op, json_pack("[{s:s,s:o}]", "path", path, terms ? "to" : "from", what));
}

static void answer(struct text *out, const char *status, uint64_t seq)
{
    text_printf(out, "{\"v\":1,\"status\":\"%s\",\"seq\":%" PRIu64 "}", status, seq);
}

static enum status take_in(struct desk *d, const struct incoming *in, const json_t *root,
                           struct text *out, struct problem *p)
{
    int place = in->piece[0].part == LEARNED_PRIOR ? MODELS_MAX : in->arm;
    const struct import *had = imports_find(router_imports(d->router), in->name, in->learner);
    if (had && had->seq[place]) {
        answer(out, "duplicate", had->seq[place]);
        return STATUS_OK;
    }
    enum status s = desk_learned(d, in->piece, in->n, in->replaces, p);
    if (s != STATUS_OK)
        return s;
    note(d, "learned.set", in->name, in->learner, place, root);
    answer(out, "imported", router_seq(d->router));
    return STATUS_OK;
}

enum status control_learned_set(struct desk *d, const json_t *root, struct text *out,
                                struct problem *problem)
{
    struct incoming in = {.arm = -1};
    enum status s = read_name(root, &in.name, problem);
    if (s == STATUS_OK)
        s = find_learner(d->router, root, &in.learner, problem);
    if (s == STATUS_OK)
        s = read_terms(&in, d->router, root, problem);
    if (s == STATUS_OK)
        s = read_pieces(&in, d->router, root, problem);
    if (s == STATUS_OK)
        s = take_in(d, &in, root, out, problem);
    for (int i = 0; i < in.n; i++)
        free(in.bytes[i]);
    return s;
}

enum status control_learned_undo(struct desk *d, const json_t *root, struct text *out,
                                 struct problem *problem)
{
    const char *name;
    int learner, place = MODELS_MAX;
    enum status s = read_name(root, &name, problem);
    if (s == STATUS_OK)
        s = find_learner(d->router, root, &learner, problem);
    if (s == STATUS_OK && json_object_get(root, "model")) /* without: the prior */
        s = find_model(d->router, root, &place, problem);
    if (s != STATUS_OK)
        return s;
    const struct import *in = imports_find(router_imports(d->router), name, learner);
    if (!in || !in->seq[place]) {
        answer(out, "not_there", router_seq(d->router));
        return STATUS_OK;
    }
    char kept[NAME_CAP]; /* the table of imports may move */
    snprintf(kept, sizeof kept, "%s", name);
    s = desk_unlearned(d, kept, learner, place, problem);
    if (s != STATUS_OK)
        return s;
    note(d, "learned.undo", kept, learner, place, NULL);
    answer(out, "taken_back", router_seq(d->router));
    return STATUS_OK;
}
