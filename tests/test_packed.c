/* SPDX-License-Identifier: MIT */
/* Two encodings, one protocol: a message means the same in JSON and in MessagePack, also when it is
 * refused, and so does the answer. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/encoding/base64.h"
#include "core/encoding/emit.h"
#include "core/wire/wire.h"

enum { CAP = 1 << 16 };

/* JSON as MessagePack; gives its length. */
static size_t pack(const char *json, char out[CAP])
{
    struct doc d;
    assert_int_equal(doc_open_own(&d, json, strlen(json)), STATUS_OK);
    struct text t = text_over(out, CAP);
    t.packed = true;
    struct emit e = emit_over(&t);
    emit_doc(&e, d.value);
    doc_close(&d);
    assert_false(t.full);
    return t.len;
}

struct outcome {
    enum status status;
    struct problem problem;
    struct request request;
    struct feedback feedback;
    double weight;
    char prompt[512];
};

static void read_item(const struct message *m, int i, struct outcome *o)
{
    if (m->op == WIRE_CONTROL)
        return;
    if (m->op == WIRE_TEACH)
        o->status = wire_teach(m, i, &o->request, &o->weight, &o->problem);
    else if (m->op == WIRE_FEEDBACK || m->op == WIRE_FEEDBACK_MANY)
        o->status = wire_feedback(m, i, &o->feedback, &o->problem);
    else
        o->status = wire_request(m, i, &o->request, &o->problem);
    if (o->status != STATUS_OK)
        return;
    snprintf(o->prompt, sizeof o->prompt, "%s", o->request.prompt ? o->request.prompt : "");
    for (int k = 0; m->op == WIRE_TEACH && k < wire_teach_count(m, i); k++) {
        char model[NAME_CAP];
        if (o->status == STATUS_OK)
            o->status = wire_teach_outcome(m, i, k, model, &o->feedback, &o->problem);
    }
}

/* Reads item i, or what is wrong with the message. */
static int read_message(const char *bytes, size_t n, int i, struct outcome *o)
{
    struct message m;
    memset(o, 0, sizeof *o);
    o->status = wire_open(&m, bytes, n, &o->problem);
    if (o->status != STATUS_OK)
        return 0;
    int items = m.items;
    read_item(&m, i, o);
    wire_close(&m);
    return items;
}

static void same(const char *json)
{
    static char packed[CAP];
    static struct outcome a, b;
    size_t n = pack(json, packed);
    int items = 1;
    assert_true(doc_is_packed(packed, n) && !doc_is_packed(json, strlen(json)));
    for (int i = 0; i < items; i++) {
        items = read_message(json, strlen(json), i, &a);
        if (read_message(packed, n, i, &b) != items || a.status != b.status ||
            strcmp(a.problem.text, b.problem.text) != 0 ||
            strcmp(a.problem.path, b.problem.path) != 0)
            fail_msg("%s: %s %s, packed %s %s", json, a.problem.path, a.problem.text,
                     b.problem.path, b.problem.text);
        const struct request *q = &a.request, *r = &b.request;
        assert_true(q->digest == r->digest && q->explain == r->explain && q->dry_run == r->dry_run);
        assert_true(q->n_features == r->n_features && q->n_embedding == r->n_embedding);
        assert_string_equal(a.prompt, b.prompt);
        assert_true(a.feedback.digest == b.feedback.digest && a.feedback.has == b.feedback.has);
        assert_true(a.weight == b.weight);
    }
}

/* Members of a message, right and wrong; @ stands for a random number. */
static const char *const members[] = {
    "\"request_id\":\"r-1\"",
    "\"tenant\":\"acme\"",
    "\"tenant\":\"\"",
    "\"task\":7",
    "\"prompt\":\"sum up \\u00e9 \\\"x\\\"\\n\"",
    "\"prompt\":null",
    "\"features\":{\"n\":-2.5,\"b\":true,\"s\":\"red\"}",
    "\"features\":{\"n\":[]}",
    "\"embedding\":[1,-0.0,@]",
    "\"embedding\":[]",
    "\"embedding_b64\":\"AACAPwAAAEA=\"",
    "\"prompt_tokens\":@",
    "\"prompt_tokens\":812.0",
    "\"cached_tokens\":1.5",
    "\"value\":@",
    "\"constraints\":{\"allow\":[\"a\",\"b\"],\"max_cost_usd\":0.01}",
    "\"constraints\":{\"allow\":[1]}",
    "\"constraints\":{\"max_cost_us\":1}",
    "\"constraints\":3",
    "\"explain\":true",
    "\"dry_run\":1",
    "\"x_mine\":{\"deep\":[1,[2,{\"a\":null}]]}",
    "\"decision_id\":\"1-2-0123456789abcdef\"",
    "\"decision_id\":5",
    "\"quality\":@",
    "\"accepted\":true",
    "\"cost_usd\":0.0012",
    "\"latency_ms\":@",
    "\"failed\":false",
    "\"retract\":true",
    "\"version\":9007199254740993",
    "\"weight\":0.5",
    "\"key\":\"id.secret\"",
    "\"key\":[]",
    "\"outcomes\":[{\"model\":\"m\",\"quality\":0.5},{\"model\":\"n\",\"failed\":true}]",
    "\"request\":{\"prompt\":\"p\"}",
    "\"reques\":1",
};
enum { MEMBERS = sizeof members / sizeof *members };

/* Some of the members, none twice. */
static void put_members(struct text *t, struct rng *g, bool first)
{
    static const char *const numbers[] = {"0", "1", "0.25", "-3", "812", "1e3", "1e-3", "0.1"};
    char seen[MEMBERS][24] = {{0}};
    int n = (int)rng_below(g, 7), k = 0;
    for (int i = 0; i < n; i++) {
        const char *m = members[rng_below(g, MEMBERS)], *at = strchr(m, '@');
        snprintf(seen[k], sizeof seen[k], "%.*s", (int)strcspn(m + 1, "\""), m + 1);
        bool twice = false;
        for (int j = 0; j < k; j++)
            twice |= strcmp(seen[j], seen[k]) == 0;
        if (twice)
            continue;
        k++;
        text_put(t, first ? "" : ",");
        first = false;
        text_put_n(t, m, at ? (size_t)(at - m) : strlen(m));
        text_put(t, at ? numbers[rng_below(g, 8)] : "");
        text_put(t, at ? at + 1 : "");
    }
}

static void requests_mean_the_same(void **state)
{
    (void)state;
    static const char *const ops[] = {"route",         "route_many", "feedback", "escalate",
                                      "feedback_many", "teach",      "stats",    "Nothing like it"};
    struct rng g = rng_stream(5, 0, 0);
    static char json[CAP];
    for (int i = 0; i < 20000; i++) {
        const char *op = ops[rng_below(&g, 8)];
        struct text t = text_over(json, sizeof json);
        text_printf(&t, "{\"v\":%s,\"op\":\"%s\"", i % 50 ? "1" : "2", op);
        if (strstr(op, "many") || strcmp(op, "teach") == 0) {
            text_put(&t, ",\"items\":[");
            for (int k = (int)rng_below(&g, 4); k >= 0; k--) {
                text_put(&t, "{");
                put_members(&t, &g, true);
                text_put(&t, k ? "}," : "}");
            }
            text_put(&t, "]");
        } else {
            put_members(&t, &g, false);
        }
        text_put(&t, "}");
        same(json);
    }
}

static void bounds_are_the_same(void **state)
{
    (void)state;
    static char json[CAP];
    struct text t = text_over(json, sizeof json);
    text_put(&t, "{\"v\":1,\"op\":\"route\",\"x_\":[");
    for (int i = 0; i < EMBEDDING_MAX + 1024 + 10; i++)
        text_put(&t, i ? ",1" : "1");
    text_put(&t, "]}");
    same(json);
    same("{\"v\":1,\"op\":\"route\",\"x_\":[[[[[[[]]]]]]]}");
    same("{\"v\":1,\"op\":\"route\",\"x_\":[[[[[[[[]]]]]]]]}");
    for (int n = BATCH_ITEMS_MAX; n <= BATCH_ITEMS_MAX + 1; n++) {
        t = text_over(json, sizeof json);
        text_put(&t, "{\"v\":1,\"op\":\"route_many\",\"items\":[");
        for (int i = 0; i < n; i++)
            text_put(&t, i ? ",{}" : "{}");
        text_put(&t, "]}");
        same(json);
    }
}

/* What MessagePack can say and JSON cannot. */
static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *words;
    } cases[] = {
#define CASE(bytes, words) {bytes, sizeof bytes - 1, words}
        CASE("\x81\xa1v\xcb\x7f\xf8\0\0\0\0\0\0", "not finite"),
        CASE("\x81\xa1v\xca\x7f\x80\0\0", "not finite"),
        CASE("\x81\xa1v\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "too large"),
        CASE("\x81\x01\x02", "not valid MessagePack"),
        CASE("\x81\xa1v\xc1", "not valid MessagePack"),
        CASE("\x81\xa1v\xd4\x01x", "not valid MessagePack"),
        CASE("\x82\xa1v\x01\xa1v\x02", "duplicate key"),
        CASE("\x81\xa1v\xa2\xc3\x28", "UTF-8"),
        CASE("\x81\xa1v\xa2\x61\0", "\\u0000"),
        CASE("\x81\xa1v\x01\x01", "follows the end"),
        CASE("\x81\xa1v", "too early"),
        CASE("\xdf\xff\xff\xff\xff", "too early"),
        CASE("\x81\xa1v\xdd\xff\xff\xff\xff", "too early"),
        CASE("\x81\xa1v\xdb\xff\xff\xff\xff", "too early"),
    };
    struct message m;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct problem p = {0};
        assert_int_equal(wire_open(&m, cases[i].bytes, cases[i].n, &p), STATUS_BAD_JSON);
        if (!strstr(p.text, cases[i].words) || p.line != 0)
            fail_msg("case %zu: %s", i, p.text);
    }
}

/* A request with an embedding of n floats as binary. */
static size_t with_bytes(char *out, const unsigned char *bytes, size_t n)
{
    static const char head[] = "\x83\xa1v\x01\xa2op\xa5route\xa9"
                               "embedding\xc5";
    memcpy(out, head, sizeof head - 1);
    out[sizeof head - 1] = (char)(n >> 8);
    out[sizeof head] = (char)n;
    memcpy(out + sizeof head + 1, bytes, n);
    return sizeof head + 1 + n;
}

static void embeddings_are_the_same(void **state)
{
    (void)state;
    static unsigned char bytes[4 * 384];
    static char text[4096], json[CAP], packed[CAP];
    static struct outcome a, b;
    for (int i = 0; i < 384; i++) {
        float x = (float)(i - 200) / 7;
        memcpy(bytes + 4 * i, &x, sizeof x);
    }
    base64_encode(bytes, sizeof bytes, text);
    snprintf(json, sizeof json, "{\"v\":1,\"op\":\"route\",\"embedding_b64\":\"%s\"}", text);
    read_message(json, strlen(json), 0, &a);
    read_message(packed, with_bytes(packed, bytes, sizeof bytes), 0, &b);
    assert_int_equal(a.status, STATUS_OK);
    assert_int_equal(b.status, STATUS_OK);
    assert_true(a.request.digest == b.request.digest && b.request.n_embedding == 384);
    assert_memory_equal(a.request.embedding, b.request.embedding, sizeof bytes);
    read_message(packed, with_bytes(packed, bytes, 7), 0, &b);
    assert_string_equal(b.problem.path, "/embedding");
    assert_non_null(strstr(b.problem.text, "found 7 bytes of binary"));
    memcpy(bytes, "\0\0\xc0\x7f", 4);
    read_message(packed, with_bytes(packed, bytes, 8), 0, &b);
    assert_non_null(strstr(b.problem.text, "entry 0"));
}

/* Equal but for the digits that JSON leaves out. */
static void alike(const struct doc_value *a, const struct doc_value *b)
{
    const struct doc_value *in = a + 1, *of = b + 1;
    if (doc_is_number(a)) {
        assert_true(doc_is_number(b));
        double x = doc_number(a), y = doc_number(b);
        assert_true(fabs(x - y) <= 6e-6 * fabs(x));
        return;
    }
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->n, b->n);
    if (a->kind == DOC_STRING)
        assert_memory_equal(a->text, b->text, a->n);
    if (a->kind != DOC_OBJECT && a->kind != DOC_ARRAY)
        return;
    for (uint32_t i = 0; i < a->n * (a->kind == DOC_OBJECT ? 2 : 1); i++) {
        alike(in, of);
        in = doc_next(in);
        of = doc_next(of);
    }
}

static void random_decision(struct rng *g, struct event *e)
{
    struct event_decided *d = &e->decided;
    memset(e, 0, sizeof *e);
    e->kind = EVENT_DECIDED;
    e->seq = rng_below(g, 5);
    d->epoch = 3;
    d->n_arms = 3; /* of the catalog below */
    d->arm = (uint8_t)rng_below(g, 3);
    d->n_fallbacks = (uint8_t)rng_below(g, 3);
    d->eligible = 1 + rng_below(g, 7);
    d->reasons = (uint32_t)rng_below(g, 1 << 14);
    d->price_out = (int64_t)rng_below(g, 1000000);
    d->multiplier = rng_uniform(g) < 0.5 ? 0 : rng_uniform(g) * 1000;
    d->cost_scale_usd = 0.01;
    d->u = rng_uniform(g);
    d->schema = rng_next(g);
    d->attempt.from = rng_below(g, 2);
    d->charge.n = (uint8_t)rng_below(g, 2);
    d->charge.left[POOL_NANO] = (int64_t)rng_below(g, 1000000000000) - 1;
    d->charge.left[POOL_TOKENS] = -1;
    for (int i = 0; i < 3; i++) {
        d->view[i].pmf = rng_uniform(g);
        d->view[i].cost_nano = (int64_t)rng_below(g, 1000000000);
        for (int t = 0; t < TARGETS; t++) {
            d->view[i].mean[t] = (float)(rng_normal(g) * pow(10, (double)rng_below(g, 8) - 3));
            d->view[i].sd[t] = (float)rng_uniform(g);
        }
    }
}

static void open_reply(struct doc *d, const struct text *t)
{
    assert_false(t->full);
    assert_int_equal(doc_open_own(d, t->at, t->len), STATUS_OK);
}

static void replies_say_the_same(void **state)
{
    (void)state;
    static const struct catalog c = {.n = 3,
                                     .n_tiers = 1,
                                     .model = {{.name = "a"}, {.name = "v/b"}, {.name = "c"}},
                                     .tier = {"small"}};
    static const uint8_t key[16] = {9};
    static char out[2][CAP];
    static struct event e;
    struct rng g = rng_stream(6, 0, 0);
    for (int i = 0; i < 3000; i++) {
        struct doc d[2];
        random_decision(&g, &e);
        const struct reply_ask ask = {.explain = i % 2 == 0, .not_recorded = i % 3 == 0};
        for (int k = 0; k < 2; k++) {
            struct text t = text_over(out[k], CAP);
            struct problem p;
            t.packed = k;
            problem_set(&p, STATUS_BAD_REQUEST, "/value", "odd \xff and \"quoted\"");
            p.retry_after_ms = i % 4;
            reply_batch_begin(&t, 4);
            reply_batch_next(&t, 0);
            reply_decision(&t, &e, &c, key, &ask);
            reply_batch_next(&t, 1);
            reply_answer(&t, FEEDBACK_LATE, "1-2-3");
            reply_batch_next(&t, 2);
            reply_taught(&t, true, 7);
            reply_batch_next(&t, 3);
            reply_error(&t, &p);
            reply_batch_end(&t);
            open_reply(&d[k], &t);
        }
        const struct doc_value *list[] = {doc_get(d[0].value, "items"),
                                          doc_get(d[1].value, "items")};
        for (size_t item = 0; item < 3; item++)
            alike(doc_at(list[0], item), doc_at(list[1], item));
        assert_int_equal(doc_size(list[1]), 4);
        const struct doc_value *error = doc_get(doc_at(list[1], 3), "error");
        assert_string_equal(doc_get(error, "message")->text, "odd ? and \"quoted\"");
        assert_string_equal(doc_get(error, "path")->text, "/value");
        doc_close(&d[0]);
        doc_close(&d[1]);
    }
}

static void a_full_text_stays_whole(void **state)
{
    (void)state;
    char out[64];
    for (size_t cap = 1; cap < sizeof out; cap++) {
        struct text t = text_over(out, cap);
        t.packed = true;
        reply_answer(&t, FEEDBACK_APPLIED, "1-2-0123456789abcdef0123456789abcdef");
        assert_true(t.full && t.len < cap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_mean_the_same),
        cmocka_unit_test(bounds_are_the_same),
        cmocka_unit_test(refused),
        cmocka_unit_test(embeddings_are_the_same),
        cmocka_unit_test(replies_say_the_same),
        cmocka_unit_test(a_full_text_stays_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
