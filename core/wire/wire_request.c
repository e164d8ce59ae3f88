/* SPDX-License-Identifier: MIT */
/*
 * Route requests. The prompt is borrowed from the document and never copied, logged or quoted in
 * a message; of its content only features and a digest leave this file's caller.
 *
 * The digest covers what a decision depends on: not `key` (who asks does not change the answer's
 * content), and not `explain` and `dry_run` (they change the reply, so a retry may ask for more).
 * Lists and features count as sets: their parts are summed, so their order does not matter.
 *
 * A limit of 0 dollars or milliseconds is refused instead of meaning "none": whoever writes it
 * wants something no model can do.
 */
#include "core/encoding/base64.h"
#include "core/wire/wire_item.h"

#include <math.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/encoding/fields.h"

static const double value_max = 1e6; /* of features and embedding entries, either sign */

enum { SAID_CACHED = 1, SAID_PROMPT_TOKENS = 2 };

#define R(member) .offset = offsetof(struct request, member)
#define ID .kind = FIELD_NAME, .min = 1, .max = NAME_LEN

/* What is not a plain field, of part 1; the head first. */
struct request_parts {
    struct wire_head head;
    const struct doc_value *prompt, *features, *embedding, *embedding_b64, *allow, *deny, *needs;
};
#define VALUE(member)                                                                              \
    .kind = FIELD_VALUE, .part = 1, .offset = offsetof(struct request_parts, member)

static const struct field rows[] = {
    WIRE_HEAD(v),
    WIRE_HEAD(op),
    WIRE_HEAD(key),
    {.path = "request_id", ID, R(request_id)},
    {.path = "tenant", ID, R(labels.tenant), .text = "default"},
    {.path = "user", ID, R(labels.user)},
    {.path = "task", ID, R(labels.task)},
    {.path = "domain", ID, R(labels.domain)},
    {.path = "user_tier", ID, R(labels.user_tier)},
    {.path = "group", ID, R(labels.group)},
    {.path = "session", ID, R(labels.session)},
    {.path = "outcome", ID, R(labels.outcome)},
    {.path = "prompt", VALUE(prompt)},
    {.path = "features", VALUE(features)},
    {.path = "embedding", VALUE(embedding)},
    {.path = "embedding_b64", VALUE(embedding_b64)},
    {.path = "prompt_tokens",
     .kind = FIELD_INT,
     R(prompt_tokens),
     .max = 1e9,
     .number = -1,
     .bit = SAID_PROMPT_TOKENS},
    {.path = "cached_tokens", .kind = FIELD_INT, R(cached_tokens), .max = 1e9, .bit = SAID_CACHED},
    {.path = "max_output_tokens", .kind = FIELD_INT, R(max_output_tokens), .max = 1e9},
    {.path = "batch", .kind = FIELD_BOOL, R(batch)},
    {.path = "value", .kind = FIELD_REAL, R(value), .min = 0.01, .max = 100},
    {.path = "constraints/allow", VALUE(allow)},
    {.path = "constraints/deny", VALUE(deny)},
    {.path = "constraints/needs", VALUE(needs)},
    {.path = "constraints/min_tier", ID, R(constraints.min_tier)},
    {.path = "constraints/min_quality", .kind = FIELD_REAL, R(constraints.min_quality), .max = 1},
    {.path = "constraints/max_cost_usd",
     .kind = FIELD_REAL,
     R(constraints.max_cost_usd),
     .min = 1e-9,
     .max = 1e6},
    {.path = "constraints/max_latency_ms",
     .kind = FIELD_REAL,
     R(constraints.max_latency_ms),
     .min = 1e-3,
     .max = 1e9},
    {.path = "explain", .kind = FIELD_BOOL, R(explain)},
    {.path = "dry_run", .kind = FIELD_BOOL, R(dry_run)},
    WIRE_HEAD(decision_id),
};
/* A route request is all but the decision that an escalation comes from. */
enum { ROWS = sizeof rows / sizeof rows[0] };
static const struct field_table table = {rows, ROWS - 1}, escalate_table = {rows, ROWS};

static enum status expected(struct problem *p, const struct json_at *at, const char *what,
                            const struct doc_value *v)
{
    char found[FOUND_CAP];
    return json_fail(p, STATUS_BAD_REQUEST, at, "expected %s, found %s", what, doc_found(found, v));
}

static enum status read_prompt(const struct wire_item *it, const struct doc_value *v,
                               struct request *r, struct problem *p)
{
    struct json_at at = {.up = it->at, .key = "prompt"};
    if (!v)
        return STATUS_OK;
    if (v->kind != DOC_STRING)
        return expected(p, &at, "a string", v);
    r->prompt = v->text;
    r->prompt_len = v->n;
    return STATUS_OK;
}

/* A string feature is a category: its text is part of the name, its value 1. */
static enum status read_feature(const struct doc_value *key, const struct doc_value *v,
                                const struct json_at *at, struct named_feature *out,
                                struct problem *p)
{
    size_t n = key->n;
    if (n < 1 || n > NAME_LEN)
        return json_fail(p, STATUS_BAD_REQUEST, at, "expected a key of 1 to %d bytes, found %zu",
                         NAME_LEN, n);
    memset(out->name, 0, sizeof out->name);
    memcpy(out->name, key->text, n);
    out->hash = hash64(key->text, n, 0);
    if (v->kind == DOC_TRUE || v->kind == DOC_FALSE) {
        out->value = v->kind == DOC_TRUE ? 1 : 0;
    } else if (doc_is_number(v)) {
        out->value = doc_number(v) + 0.0;
        if (!(fabs(out->value) <= value_max))
            return expected(p, at, "a number from -1e6 to 1e6", v);
    } else if (v->kind == DOC_STRING && v->n <= NAME_LEN) {
        char both[2 * NAME_LEN + 1];
        memcpy(both, key->text, n);
        both[n] = '=';
        memcpy(both + n + 1, v->text, v->n);
        out->hash = hash64(both, n + 1 + v->n, 0);
        out->value = 1;
    } else {
        return expected(p, at, "a number, a boolean or a string of at most 64 bytes", v);
    }
    return STATUS_OK;
}

static enum status read_features(const struct wire_item *it, const struct doc_value *object,
                                 struct request *r, struct problem *p)
{
    struct json_at at = {.up = it->at, .key = "features"};
    if (!object)
        return STATUS_OK;
    if (object->kind != DOC_OBJECT || object->n > FEATURES_MAX)
        return expected(p, &at, "an object of at most 64 members", object);
    const struct doc_value *key = object + 1;
    for (uint32_t i = 0; i < object->n; i++, key = doc_next(key + 1)) {
        struct json_at here = {.up = &at, .key = key->text};
        enum status st = read_feature(key, key + 1, &here, &r->feature[i], p);
        if (st != STATUS_OK)
            return st;
    }
    r->n_features = (int)object->n;
    return STATUS_OK;
}

static enum status read_embedding(const struct doc_value *array, const struct json_at *at,
                                  struct request *r, struct problem *p)
{
    size_t n = doc_size(array);
    if (n < 1 || n > EMBEDDING_MAX)
        return expected(p, at, "an array of 1 to 4096 numbers", array);
    const struct doc_value *v = array + 1;
    for (size_t i = 0; i < n; i++, v = doc_next(v)) {
        struct json_at here = {.up = at, .index = (int)i};
        double x = doc_number(v);
        if (!doc_is_number(v) || !(fabs(x) <= value_max))
            return expected(p, &here, "a number from -1e6 to 1e6", v);
        r->embedding[i] = (float)x + 0.0f;
    }
    r->n_embedding = (int)n;
    return STATUS_OK;
}

static enum status read_floats(const unsigned char *bytes, size_t n, const struct json_at *at,
                               struct request *r, struct problem *p)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char *b = bytes + 4 * i;
        uint32_t word = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        float x;
        memcpy(&x, &word, sizeof x);
        if (!(fabs((double)x) <= value_max)) /* false for NaN too */
            return json_fail(p, STATUS_BAD_REQUEST, at,
                             "entry %zu is not a number from -1e6 to 1e6", i);
        r->embedding[i] = x + 0.0f;
    }
    r->n_embedding = (int)n;
    return STATUS_OK;
}

static enum status read_embedding_b64(const struct doc_value *v, const struct json_at *at,
                                      struct request *r, struct problem *p)
{
    unsigned char bytes[EMBEDDING_MAX * 4];
    size_t n = v->kind == DOC_STRING ? base64_decode(v->text, v->n, bytes, sizeof bytes) : 0;
    if (n == 0 || n % 4 != 0)
        return expected(p, at, "standard base64 of 1 to 4096 little-endian float32", v);
    return read_floats(bytes, n / 4, at, r, p);
}

static enum status read_embedding_bytes(const struct doc_value *v, const struct json_at *at,
                                        struct request *r, struct problem *p)
{
    if (v->n < 4 || v->n > 4 * EMBEDDING_MAX || v->n % 4 != 0)
        return expected(p, at, "1 to 4096 little-endian float32", v);
    return read_floats((const unsigned char *)v->text, v->n / 4, at, r, p);
}

static enum status read_embeddings(const struct wire_item *it, const struct request_parts *parts,
                                   struct request *r, struct problem *p)
{
    struct json_at array_at = {.up = it->at, .key = "embedding"},
                   b64_at = {.up = it->at, .key = "embedding_b64"};
    if (parts->embedding && parts->embedding_b64)
        return json_fail(p, STATUS_BAD_REQUEST, &b64_at,
                         "give embedding or embedding_b64, not both");
    if (doc_is(parts->embedding, DOC_BYTES))
        return read_embedding_bytes(parts->embedding, &array_at, r, p);
    if (parts->embedding)
        return read_embedding(parts->embedding, &array_at, r, p);
    return parts->embedding_b64 ? read_embedding_b64(parts->embedding_b64, &b64_at, r, p)
                                : STATUS_OK;
}

static enum status read_list(const struct wire_item *it, const char *key, const struct doc_value *v,
                             int most, const char **out, int *n, struct problem *p)
{
    struct json_at up = {.up = it->at, .key = "constraints"}, at = {.up = &up, .key = key};
    if (!v)
        return STATUS_OK;
    if (v->kind != DOC_ARRAY || v->n > (uint32_t)most)
        return expected(
            p, &at,
            most == NEEDS_MAX ? "an array of at most 32 names" : "an array of at most 64 names", v);
    const struct doc_value *entry = v + 1;
    for (uint32_t i = 0; i < v->n; i++, entry = doc_next(entry)) {
        struct json_at here = {.up = &at, .index = (int)i};
        if (entry->kind != DOC_STRING || !json_name_ok(entry->text))
            return expected(p, &here, "a name of 1 to 64 of [A-Za-z0-9._:/@-]", entry);
        out[i] = entry->text;
    }
    *n = (int)v->n;
    return STATUS_OK;
}

static enum status read_lists(const struct wire_item *it, const struct request_parts *parts,
                              struct request *r, struct problem *p)
{
    enum status st = read_list(it, "allow", parts->allow, MODELS_MAX, r->constraints.allow,
                               &r->constraints.n_allow, p);
    if (st == STATUS_OK)
        st = read_list(it, "deny", parts->deny, MODELS_MAX, r->constraints.deny,
                       &r->constraints.n_deny, p);
    if (st == STATUS_OK)
        st = read_list(it, "needs", parts->needs, NEEDS_MAX, r->constraints.needs,
                       &r->constraints.n_needs, p);
    return st;
}

static uint64_t digest_name(uint64_t h, const char *s)
{
    return digest_text(h, s, strlen(s));
}

static uint64_t digest_set(uint64_t h, const char *const *names, int n)
{
    uint64_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += digest_name(0, names[i]);
    return digest_int(h + (uint64_t)n, (int64_t)sum);
}

static uint64_t digest_features(uint64_t h, const struct request *r)
{
    uint64_t sum = 0;
    for (int i = 0; i < r->n_features; i++)
        sum += digest_real(r->feature[i].hash, r->feature[i].value);
    h = digest_int(digest_int(h, r->n_features), (int64_t)sum);
    h = digest_int(h, r->n_embedding);
    return digest_text(h, (const char *)r->embedding,
                       (size_t)r->n_embedding * sizeof *r->embedding);
}

static uint64_t request_digest(const struct request *r)
{
    const char *const names[] = {r->request_id,          r->labels.tenant,    r->labels.task,
                                 r->labels.domain,       r->labels.user_tier, r->labels.group,
                                 r->labels.session,      r->labels.user,      r->labels.outcome,
                                 r->constraints.min_tier};
    uint64_t h = 0, said = 0; /* most are not: which are tells "a","" from "","a" */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i][0] == '\0')
            continue;
        said |= 1u << i;
        h = digest_name(h, names[i]);
    }
    h = digest_int(h, (int64_t)said);
    h = digest_int(h, r->prompt != NULL);
    h = r->prompt ? digest_text(h, r->prompt, r->prompt_len) : h;
    h = digest_features(h, r);
    h = digest_int(digest_int(h, r->prompt_tokens), r->cached_tokens);
    h = digest_real(digest_int(h, r->max_output_tokens), r->value);
    h = digest_int(h, r->batch);
    h = digest_set(h, r->constraints.allow, r->constraints.n_allow);
    h = digest_set(h, r->constraints.deny, r->constraints.n_deny);
    h = digest_set(h, r->constraints.needs, r->constraints.n_needs);
    h = digest_real(digest_real(h, r->constraints.min_quality), r->constraints.max_cost_usd);
    if (r->escalates.seq > 0)
        h = digest_int(digest_int(h, r->escalates.epoch), (int64_t)r->escalates.seq);
    return digest_real(h, r->constraints.max_latency_ms);
}

static enum status read_all(const struct wire_item *it, bool escalates, struct request *r,
                            struct problem *p)
{
    struct json_at cached_at = {.up = it->at, .key = "cached_tokens"};
    struct request_parts parts = {.prompt = NULL};
    unsigned seen = 0;
    void *base[] = {r, &parts};
    enum status st =
        fields_take(escalates ? escalate_table : table, it->object, it->at, base, &seen, p);
    if (st == STATUS_OK)
        st = wire_item_head(it, &parts.head, escalates ? "escalate" : "route", p);
    if (st == STATUS_OK && escalates)
        st = wire_decision_read(it, parts.head.decision_id, &r->escalates, p);
    if (st == STATUS_OK)
        st = read_prompt(it, parts.prompt, r, p);
    if (st == STATUS_OK)
        st = read_features(it, parts.features, r, p);
    if (st == STATUS_OK)
        st = read_embeddings(it, &parts, r, p);
    if (st == STATUS_OK)
        st = read_lists(it, &parts, r, p);
    unsigned both = SAID_CACHED | SAID_PROMPT_TOKENS;
    if (st == STATUS_OK && (seen & both) == both && r->cached_tokens > r->prompt_tokens)
        st = json_fail(p, STATUS_BAD_REQUEST, &cached_at, "more than prompt_tokens");
    return st;
}

static enum status read_request(const struct wire_item *it, bool escalates, struct request *out,
                                struct problem *problem)
{
    memset(out, 0, offsetof(struct request, feature)); /* what is behind is counted before it */
    fields_default(table, 0, out);
    enum status st = read_all(it, escalates, out, problem);
    if (st == STATUS_OK)
        out->digest = request_digest(out);
    return st;
}

/* A sender that speaks for one tenant need not name it, and cannot name another. */
static enum status speak_for(const struct message *m, const struct wire_item *it,
                             struct request *out, struct problem *problem)
{
    struct json_at at = {.up = it->at, .key = "tenant"};
    if (doc_get(it->object, "tenant") && strcmp(out->labels.tenant, m->tenant) != 0)
        return json_fail(problem, STATUS_FORBIDDEN, &at, "this key speaks for another tenant");
    strcpy(out->labels.tenant, m->tenant);
    out->digest = request_digest(out);
    return STATUS_OK;
}

enum status wire_request_read(const struct wire_item *it, struct request *out,
                              struct problem *problem)
{
    return read_request(it, false, out, problem);
}

enum status wire_request(const struct message *m, int i, struct request *out,
                         struct problem *problem)
{
    struct wire_item it;
    enum status st = wire_item_open(m, i, &it, problem);
    if (st == STATUS_OK)
        st = read_request(&it, wire_escalates(m->op), out, problem);
    return st == STATUS_OK && m->tenant[0] ? speak_for(m, &it, out, problem) : st;
}
