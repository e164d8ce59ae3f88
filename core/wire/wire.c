/* SPDX-License-Identifier: MIT */
/*
 * Messages: which operation, which items, and feedback. Requests are read in wire_request.c, what
 * is taught in wire_teach.c.
 *
 * A batch's items are decoded one by one and fail one by one. What makes the whole batch fail is
 * only what makes it unreadable: bad JSON, no items, an unknown field beside them.
 *
 * A message larger than one request may be is accepted only if no item of it is larger, which is
 * seen before anything is read.
 */
#include "core/wire/wire.h"

#include <string.h>
#include "bandit/rng.h"
#include "core/encoding/fields.h"
#include "core/event/decision_id.h"
#include "core/router/credit.h"
#include "core/wire/wire_item.h"

/* A request with a full embedding has EMBEDDING_MAX elements in that alone, 64 outcomes have some
 * 600. */
static const struct doc_bounds bounds = {.bytes = BATCH_MESSAGE_MAX,
                                         .item_bytes = MESSAGE_MAX,
                                         .elements = EMBEDDING_MAX + 1024,
                                         .items = BATCH_ITEMS_MAX};

static const char *const op_names[] = {[WIRE_ROUTE] = "route",
                                       [WIRE_ROUTE_MANY] = "route_many",
                                       [WIRE_FEEDBACK] = "feedback",
                                       [WIRE_FEEDBACK_MANY] = "feedback_many",
                                       [WIRE_TEACH] = "teach",
                                       [WIRE_ESCALATE] = "escalate",
                                       [WIRE_ESCALATE_MANY] = "escalate_many"};

bool wire_is_many(enum wire_op op)
{
    return op == WIRE_ROUTE_MANY || op == WIRE_FEEDBACK_MANY || op == WIRE_TEACH ||
           op == WIRE_ESCALATE_MANY;
}

bool wire_escalates(enum wire_op op)
{
    return op == WIRE_ESCALATE || op == WIRE_ESCALATE_MANY;
}

bool wire_routes(enum wire_op op)
{
    return op == WIRE_ROUTE || op == WIRE_ROUTE_MANY || wire_escalates(op);
}

static bool is_one(const struct doc_value *v)
{
    return doc_number(v) == 1;
}

static enum status open_head(struct message *m, struct problem *p)
{
    static const struct field op_name = {.kind = FIELD_NAME, .min = 1, .max = NAME_LEN};
    struct json_at v_at = {.key = "v"}, op_at = {.key = "op"};
    char found[FOUND_CAP];
    const struct doc_value *v = doc_get(m->doc.value, "v"), *op = doc_get(m->doc.value, "op");
    if (!is_one(v))
        return json_fail(p, STATUS_UNSUPPORTED_VERSION, &v_at, "expected 1, found %s",
                         v ? doc_found(found, v) : "nothing");
    if (!op)
        return json_fail(p, STATUS_BAD_REQUEST, &op_at,
                         "missing: the operation, such as \"route\" or \"feedback\"");
    enum status st = field_take(&op_name, op, &op_at, m->op_name, p);
    m->op = WIRE_CONTROL;
    for (int i = 0; i < WIRE_CONTROL; i++) {
        if (st == STATUS_OK && strcmp(m->op_name, op_names[i]) == 0)
            m->op = (enum wire_op)i;
    }
    return st;
}

static enum status open_batch(struct message *m, struct problem *p)
{
    static const struct field rows[] = {{.path = "v", .kind = FIELD_OTHER},
                                        {.path = "op", .kind = FIELD_OTHER},
                                        {.path = "key", .kind = FIELD_OTHER},
                                        {.path = "items", .kind = FIELD_OTHER},
                                        /* of teach: */
                                        {.path = "reason", .kind = FIELD_OTHER},
                                        {.path = "batch_id",
                                         .kind = FIELD_NAME,
                                         .offset = offsetof(struct message, batch_id),
                                         .min = 1,
                                         .max = NAME_LEN}};
    bool teach = m->op == WIRE_TEACH;
    struct json_at items_at = {.key = "items"};
    char found[FOUND_CAP];
    void *base[] = {m};
    enum status st =
        fields_take((struct field_table){rows, teach ? 6 : 4}, m->doc.value, NULL, base, NULL, p);
    if (st != STATUS_OK)
        return st;
    const struct doc_value *items = doc_get(m->doc.value, "items");
    size_t n = doc_size(items); /* 0 for whatever is not an array */
    if (n < 1 || n > BATCH_ITEMS_MAX)
        return json_fail(p, n > 1 ? STATUS_TOO_LARGE : STATUS_BAD_REQUEST, &items_at,
                         "expected an array of 1 to %d, found %s", BATCH_ITEMS_MAX,
                         items ? doc_found(found, items) : "nothing");
    m->items = (int)n;
    return teach ? wire_teach_bound(items, p) : STATUS_OK;
}

enum status wire_open(struct message *m, const void *bytes, size_t n, struct problem *problem)
{
    *m = (struct message){.items = 1};
    enum status st = doc_open(&m->doc, bytes, n, &bounds, problem);
    if (st != STATUS_OK)
        return st;
    st = open_head(m, problem);
    if (st == STATUS_OK && wire_is_many(m->op))
        st = open_batch(m, problem);
    else if (st == STATUS_OK && n > MESSAGE_MAX)
        st = json_fail(problem, STATUS_TOO_LARGE, NULL, "%zu bytes, at most %d are allowed", n,
                       MESSAGE_MAX);
    if (st != STATUS_OK)
        doc_close(&m->doc);
    return st;
}

void wire_close(struct message *m)
{
    doc_close(&m->doc);
}

const char *wire_key(const struct message *m)
{
    const struct doc_value *key = doc_get(m->doc.value, "key");
    return doc_is(key, DOC_STRING) ? key->text : NULL;
}

enum status wire_item_open(const struct message *m, int i, struct wire_item *out,
                           struct problem *problem)
{
    *out =
        (struct wire_item){.object = m->doc.value, .items = {.key = "items"}, .item = {.index = i}};
    if (!wire_is_many(m->op))
        return STATUS_OK;
    out->item.up = &out->items;
    out->at = &out->item;
    out->object = doc_at(doc_get(m->doc.value, "items"), (size_t)i);
    char found[FOUND_CAP];
    if (doc_is(out->object, DOC_OBJECT))
        return STATUS_OK;
    return json_fail(problem, STATUS_BAD_REQUEST, out->at, "expected an object, found %s",
                     doc_found(found, out->object));
}

enum status wire_item_head(const struct wire_item *it, const struct wire_head *head, const char *op,
                           struct problem *problem)
{
    struct json_at v_at = {.up = it->at, .key = "v"}, op_at = {.up = it->at, .key = "op"},
                   key_at = {.up = it->at, .key = "key"};
    const struct doc_value *said = head->op;
    if (head->key && head->key->kind != DOC_STRING) /* never told to anybody */
        return json_fail(problem, STATUS_BAD_REQUEST, &key_at, "expected a string");
    if (head->v && !is_one(head->v))
        return json_fail(problem, STATUS_UNSUPPORTED_VERSION, &v_at, "expected 1");
    if (said && !(said->kind == DOC_STRING && strcmp(said->text, op) == 0))
        return json_fail(problem, STATUS_BAD_REQUEST, &op_at, "expected \"%s\" or nothing", op);
    return STATUS_OK;
}

uint64_t digest_int(uint64_t h, int64_t v)
{
    return mix64(mix64(h) ^ (uint64_t)v);
}

uint64_t digest_real(uint64_t h, double v)
{
    int64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return digest_int(h, bits);
}

uint64_t digest_text(uint64_t h, const char *s, size_t n)
{
    return hash64(s, n, h);
}

enum { SAID_ACCEPTED = 256, SAID_MODEL = 512, VALUES = 255 };

struct feedback_doc {
    struct feedback f;
    bool accepted;
    char model[NAME_CAP]; /* of an outcome that is taught */
};

#define F(member) .offset = offsetof(struct feedback_doc, member)
#define ID .kind = FIELD_NAME, .min = 1, .max = NAME_LEN
#define TOKENS .kind = FIELD_INT, .max = 1e9

static const struct field feedback_rows[] = {
    WIRE_HEAD(v),
    WIRE_HEAD(op),
    WIRE_HEAD(key),
    WIRE_HEAD(decision_id),
    {.path = "feedback_id", ID, F(f.feedback_id)},
    {.path = "source", ID, F(f.source), .text = "default"},
    {.path = "attempt", .kind = FIELD_INT, F(f.attempt), .max = 1e6, .number = 1},
    {.path = "retract", .kind = FIELD_BOOL, F(f.retract)},
    {.path = "version", .kind = FIELD_INT, F(f.version), .max = 9e18, .number = -1},
    {.path = "quality", .kind = FIELD_REAL, F(f.quality), .max = 1, .bit = FB_QUALITY},
    {.path = "accepted", .kind = FIELD_BOOL, F(accepted), .bit = SAID_ACCEPTED},
    {.path = "prompt_tokens", TOKENS, F(f.prompt_tokens), .bit = FB_PROMPT_TOKENS},
    {.path = "cached_tokens", TOKENS, F(f.cached_tokens), .bit = FB_CACHED_TOKENS},
    {.path = "output_tokens", TOKENS, F(f.output_tokens), .bit = FB_OUTPUT_TOKENS},
    {.path = "reasoning_tokens", TOKENS, F(f.reasoning_tokens), .bit = FB_REASONING_TOKENS},
    {.path = "cost_usd",
     .kind = FIELD_MONEY,
     F(f.cost_nano),
     .max = 1e6,
     .unit = 1e9,
     .bit = FB_COST},
    {.path = "latency_ms", .kind = FIELD_REAL, F(f.latency_ms), .max = 1e9, .bit = FB_LATENCY},
    {.path = "failed", .kind = FIELD_BOOL, F(f.failed), .bit = FB_FAILED},
    {.path = "model", ID, F(model), .bit = SAID_MODEL},
};
/* A report is all but the model; an outcome the values and the model. */
enum { ROWS = sizeof feedback_rows / sizeof feedback_rows[0], VALUES_FROM = 9 };
static const struct field_table feedback_table = {feedback_rows, ROWS - 1};
static const struct field_table outcome_table = {feedback_rows + VALUES_FROM, ROWS - VALUES_FROM};

/* What is not valid as an id is answered like an id that nobody knows: there is no third case. */
enum status wire_decision_read(const struct wire_item *it, const struct doc_value *v,
                               struct decision_ref *out, struct problem *p)
{
    struct json_at at = {.up = it->at, .key = "decision_id"};
    char found[FOUND_CAP];
    if (!doc_is(v, DOC_STRING))
        return json_fail(p, STATUS_BAD_REQUEST, &at, "expected a string, found %s",
                         v ? doc_found(found, v) : "nothing");
    if (!decision_id_parse(v->text, &out->epoch, &out->seq, &out->mac))
        return json_fail(p, STATUS_UNKNOWN_DECISION, &at, "no decision has this id");
    return STATUS_OK;
}

static uint64_t feedback_digest(const struct feedback *f)
{
    uint64_t h = digest_text(0, f->feedback_id, strlen(f->feedback_id));
    h = digest_text(h, f->source, strlen(f->source));
    h = digest_int(digest_int(h, f->epoch), (int64_t)f->seq);
    h = digest_int(digest_int(h, f->has), f->retract);
    h = digest_int(digest_int(h, f->version), f->attempt);
    h = digest_real(digest_real(h, f->quality), f->latency_ms);
    h = digest_int(digest_int(h, f->prompt_tokens), f->cached_tokens);
    h = digest_int(digest_int(h, f->output_tokens), f->cost_nano);
    return digest_int(digest_int(h, f->failed), f->reasoning_tokens);
}

/* Quality is said directly or as accepted. */
static void take_values(struct feedback_doc *doc, unsigned seen)
{
    doc->f.has = seen & VALUES;
    if (!(seen & SAID_ACCEPTED))
        return;
    doc->f.has |= FB_QUALITY;
    doc->f.quality = doc->accepted ? 1 : 0;
}

static enum status feedback_check(const struct feedback *f, unsigned seen, bool corrects,
                                  const struct wire_item *it, struct problem *p)
{
    struct json_at source_at = {.up = it->at, .key = "source"},
                   accepted_at = {.up = it->at, .key = "accepted"},
                   cached_at = {.up = it->at, .key = "cached_tokens"},
                   reasoning_at = {.up = it->at, .key = "reasoning_tokens"};
    if (source_reserved(f->source) && !corrects)
        return json_fail(
            p, STATUS_BAD_REQUEST, &source_at,
            "\"%s\" is reserved for labels that nobody reported: name the reporter, or "
            "see %s",
            f->source,
            strcmp(f->source, SILENCE_SOURCE) == 0 ? "/silence in the configuration"
                                                   : "the op escalate");
    if ((seen & FB_QUALITY) && (seen & SAID_ACCEPTED))
        return json_fail(p, STATUS_BAD_REQUEST, &accepted_at, "give quality or accepted, not both");
    if (f->has == 0 && !f->retract)
        return json_fail(p, STATUS_BAD_REQUEST, it->at,
                         "says nothing: give quality, accepted, tokens, cost_usd, latency_ms, "
                         "failed%s",
                         seen & SAID_MODEL ? "" : " or retract");
    if ((f->has & FB_PROMPT_TOKENS) && f->cached_tokens > f->prompt_tokens)
        return json_fail(p, STATUS_BAD_REQUEST, &cached_at, "more than prompt_tokens");
    if ((f->has & FB_OUTPUT_TOKENS) && f->reasoning_tokens > f->output_tokens)
        return json_fail(p, STATUS_BAD_REQUEST, &reasoning_at, "more than output_tokens");
    return STATUS_OK;
}

enum status wire_feedback(const struct message *m, int i, struct feedback *out,
                          struct problem *problem)
{
    struct wire_item it;
    struct feedback_doc doc;
    struct decision_ref of = {0};
    memset(&doc, 0, sizeof doc);
    fields_default(feedback_table, 0, &doc);
    unsigned seen = 0;
    struct wire_head head = {NULL, NULL, NULL, NULL};
    void *base[] = {&doc, &head};
    enum status st = wire_item_open(m, i, &it, problem);
    if (st == STATUS_OK)
        st = fields_take(feedback_table, it.object, it.at, base, &seen, problem);
    if (st == STATUS_OK)
        st = wire_item_head(&it, &head, op_names[WIRE_FEEDBACK], problem);
    if (st != STATUS_OK)
        return st;
    take_values(&doc, seen);
    st = feedback_check(&doc.f, seen, m->corrects, &it, problem);
    if (st == STATUS_OK)
        st = wire_decision_read(&it, head.decision_id, &of, problem);
    if (st != STATUS_OK)
        return st;
    doc.f.epoch = of.epoch;
    doc.f.seq = of.seq;
    doc.f.mac = of.mac;
    doc.f.digest = feedback_digest(&doc.f);
    *out = doc.f;
    return STATUS_OK;
}

enum status wire_outcome_read(const struct wire_item *it, char model[NAME_CAP],
                              struct feedback *out, struct problem *problem)
{
    struct json_at model_at = {.up = it->at, .key = "model"};
    struct feedback_doc doc;
    memset(&doc, 0, sizeof doc);
    fields_default(feedback_table, 0, &doc);
    unsigned seen = 0;
    void *base[] = {&doc};
    enum status st = fields_take(outcome_table, it->object, it->at, base, &seen, problem);
    if (st != STATUS_OK)
        return st;
    if (!(seen & SAID_MODEL))
        return json_fail(problem, STATUS_BAD_REQUEST, &model_at, "missing: whose outcome this is");
    take_values(&doc, seen);
    st = feedback_check(&doc.f, seen, false, it, problem);
    if (st != STATUS_OK)
        return st;
    doc.f.digest = feedback_digest(&doc.f);
    *out = doc.f;
    memcpy(model, doc.model, NAME_CAP);
    return STATUS_OK;
}
