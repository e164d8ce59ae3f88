/* SPDX-License-Identifier: MIT */
/* Messages in, replies out. Cases carry the codes of the list of bad inputs: P protocol, J JSON,
 * N numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>
#include "bandit/rng.h"
#include "core/event/decision_id.h"
#include "core/wire/wire.h"

#define HEAD "{\"v\":1,\"op\":\"route\""
#define FB "{\"v\":1,\"op\":\"feedback\",\"decision_id\":\"1-2-0123456789abcdef\""
#define SECRET "my secret prompt"

static struct request request, request2;
static struct feedback feedback, feedback2;
static struct problem problem;
static const uint8_t key[16] = {1};

/* Opens and decodes item i; the message is closed again, so borrowed strings are gone. */
static enum status decode(const char *json, size_t n, int i, void *out)
{
    struct message m = {0};
    memset(&problem, 0, sizeof problem);
    enum status st = wire_open(&m, json, n, &problem);
    if (st != STATUS_OK)
        return st;
    if (wire_routes(m.op))
        st = wire_request(&m, i, out, &problem);
    else if (m.op != WIRE_CONTROL)
        st = wire_feedback(&m, i, out, &problem);
    wire_close(&m);
    wire_close(&m);
    return st;
}

static enum status route(const char *json, struct request *out)
{
    return decode(json, strlen(json), 0, out);
}

static void must_route(const char *json, struct request *out)
{
    enum status st = route(json, out);
    if (st != STATUS_OK)
        fail_msg("%s: %s %s", json, problem.path, problem.text);
}

static void must_feed(const char *json, struct feedback *out)
{
    enum status st = decode(json, strlen(json), 0, out);
    if (st != STATUS_OK)
        fail_msg("%s: %s %s", json, problem.path, problem.text);
}

static const struct refusal {
    const char *name, *json, *path, *words;
    enum status code;
} refusals[] = {
    {"P24 unknown version", "{\"v\":999,\"op\":\"route\"}", "/v", "found 999",
     STATUS_UNSUPPORTED_VERSION},
    {"P24 missing version", "{\"op\":\"route\"}", "/v", "found nothing",
     STATUS_UNSUPPORTED_VERSION},
    {"P24 version as text", "{\"v\":\"1\",\"op\":\"route\"}", "/v", "a string",
     STATUS_UNSUPPORTED_VERSION},
    {"P24 missing op", "{\"v\":1}", "/op", "missing", STATUS_BAD_REQUEST},
    {"P24 op of wrong type", "{\"v\":1,\"op\":1}", "/op", "a name", STATUS_BAD_REQUEST},
    {"J1 empty", "", "", "empty", STATUS_BAD_JSON},
    {"J2 null", "null", "", "", STATUS_BAD_JSON},
    {"J2 number", "5", "", "", STATUS_BAD_JSON},
    {"J2 string", "\"x\"", "", "", STATUS_BAD_JSON},
    {"J2 array", "[]", "", "expected an object", STATUS_BAD_JSON},
    {"J3 trailing bytes", "{} x", "", "follows the end", STATUS_BAD_JSON},
    {"J4 two documents", "{}{}", "", "follows the end", STATUS_BAD_JSON},
    {"J5 duplicate", HEAD ",\"task\":\"a\",\"task\":\"b\"}", "", "duplicate", STATUS_BAD_JSON},
    {"J5 nested duplicate", HEAD ",\"features\":{\"a\":1,\"a\":2}}", "", "duplicate",
     STATUS_BAD_JSON},
    {"J6 unknown", HEAD ",\"constraints\":{\"max_cost_us\":1}}", "/constraints/max_cost_us",
     "did you mean \"max_cost_usd\"", STATUS_UNKNOWN_FIELD},
    {"J6 unknown and ugly",
     HEAD ",\"a\\u001b\\n\xe2\x80\xaexxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\":1}",
     "/a?????xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...", "\"a?????xxx", STATUS_UNKNOWN_FIELD},
    {"J7 feedback without id", "{\"v\":1,\"op\":\"feedback\",\"quality\":1}", "/decision_id",
     "found nothing", STATUS_BAD_REQUEST},
    {"J7 feedback without values", FB "}", "", "says nothing", STATUS_BAD_REQUEST},
    {"J8 fraction for integer", HEAD ",\"prompt_tokens\":1.5}", "/prompt_tokens", "found 1.5",
     STATUS_BAD_REQUEST},
    {"J8 boolean as 1", HEAD ",\"explain\":1}", "/explain", "true or false", STATUS_BAD_REQUEST},
    {"J12 bytes ff", HEAD ",\"prompt\":\"\xff\"}", "", "UTF-8", STATUS_BAD_JSON},
    {"J12 overlong", HEAD ",\"prompt\":\"\xc0\x80\"}", "", "UTF-8", STATUS_BAD_JSON},
    {"J12 surrogate", HEAD ",\"prompt\":\"\xed\xa0\x80\"}", "", "UTF-8", STATUS_BAD_JSON},
    {"J12 beyond", HEAD ",\"prompt\":\"\xf4\x90\x80\x80\"}", "", "UTF-8", STATUS_BAD_JSON},
    {"J12 byte order mark", "\xef\xbb\xbf{}", "", "", STATUS_BAD_JSON},
    {"J13 lone surrogate", HEAD ",\"prompt\":\"\\ud800\"}", "", "", STATUS_BAD_JSON},
    {"J14 zero in value", HEAD ",\"prompt\":\"a\\u0000b\"}", "", "\\u0000", STATUS_BAD_JSON},
    {"J14 zero in key", HEAD ",\"a\\u0000b\":1}", "", "\\u0000", STATUS_BAD_JSON},
    {"J15 newline", HEAD ",\"request_id\":\"a\\nb\"}", "/request_id", "a string of 3 bytes",
     STATUS_BAD_REQUEST},
    {"J15 escape", HEAD ",\"tenant\":\"a\\u001b\"}", "/tenant", "a name", STATUS_BAD_REQUEST},
    {"J15 bidi", HEAD ",\"group\":\"a\xe2\x80\xae\"}", "/group", "a name", STATUS_BAD_REQUEST},
    {"J15 empty", HEAD ",\"task\":\"\"}", "/task", "1 to 64", STATUS_BAD_REQUEST},
    {"J15 65 bytes",
     HEAD ",\"session\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
     "/session", "found a string of 65 bytes", STATUS_BAD_REQUEST},
    {"J17 NaN", HEAD ",\"value\":NaN}", "", "", STATUS_BAD_JSON},
    {"J17 Infinity", HEAD ",\"value\":Infinity}", "", "", STATUS_BAD_JSON},
    {"J17 -Infinity", HEAD ",\"value\":-Infinity}", "", "", STATUS_BAD_JSON},
    {"J17 nan", HEAD ",\"value\":nan}", "", "", STATUS_BAD_JSON},
    {"J18 comment", HEAD "/* x */}", "", "", STATUS_BAD_JSON},
    {"J18 single quotes", "{'v':1}", "", "", STATUS_BAD_JSON},
    {"J18 trailing comma", HEAD ",}", "", "", STATUS_BAD_JSON},
    {"J18 unterminated", HEAD ",\"prompt\":\"" SECRET, "", "", STATUS_BAD_JSON},
    {"J18 backslash at the end", HEAD ",\"prompt\":\"\\", "", "", STATUS_BAD_JSON},
    {"N1 feature", HEAD ",\"features\":{\"f\":1e308}}", "/features/f", "1e6", STATUS_BAD_REQUEST},
    {"N1 negative", HEAD ",\"features\":{\"f\":-1000000.1}}", "/features/f", "1e6",
     STATUS_BAD_REQUEST},
    {"N1 embedding", HEAD ",\"embedding\":[0,1e308]}", "/embedding/1", "1e6", STATUS_BAD_REQUEST},
    {"N6 value low", HEAD ",\"value\":0.009}", "/value", "0.01 to 100", STATUS_BAD_REQUEST},
    {"N6 value high", HEAD ",\"value\":100.1}", "/value", "0.01 to 100", STATUS_BAD_REQUEST},
    {"N6 quality low", FB ",\"quality\":-0.001}", "/quality", "0 to 1", STATUS_BAD_REQUEST},
    {"N6 quality high", FB ",\"quality\":1.001}", "/quality", "0 to 1", STATUS_BAD_REQUEST},
    {"N7 1e309", FB ",\"quality\":1e309}", "", "too large", STATUS_BAD_JSON},
    {"N7 2^63", FB ",\"output_tokens\":9223372036854775808}", "", "too large", STATUS_BAD_JSON},
    {"N7 2^63-1", FB ",\"output_tokens\":9223372036854775807}", "/output_tokens", "1000000000",
     STATUS_BAD_REQUEST},
    {"N8 cost", FB ",\"cost_usd\":-0.01}", "/cost_usd", "from 0", STATUS_BAD_REQUEST},
    {"N8 cost high", FB ",\"cost_usd\":9223372036854775807}", "/cost_usd", "to 1000000",
     STATUS_BAD_REQUEST},
    {"N8 tokens", HEAD ",\"prompt_tokens\":-1}", "/prompt_tokens", "from 0", STATUS_BAD_REQUEST},
    {"both embeddings", HEAD ",\"embedding\":[1],\"embedding_b64\":\"AAAAAA==\"}", "/embedding_b64",
     "not both", STATUS_BAD_REQUEST},
    {"empty embedding", HEAD ",\"embedding\":[]}", "/embedding", "1 to 4096", STATUS_BAD_REQUEST},
    {"base64 length", HEAD ",\"embedding_b64\":\"AAAA\"}", "/embedding_b64", "base64",
     STATUS_BAD_REQUEST},
    {"base64 padding", HEAD ",\"embedding_b64\":\"AAAAAA\"}", "/embedding_b64", "base64",
     STATUS_BAD_REQUEST},
    {"base64 unused bits", HEAD ",\"embedding_b64\":\"AAAAAB==\"}", "/embedding_b64", "base64",
     STATUS_BAD_REQUEST},
    {"base64 alphabet", HEAD ",\"embedding_b64\":\"AAAA-A==\"}", "/embedding_b64", "base64",
     STATUS_BAD_REQUEST},
    {"base64 of NaN", HEAD ",\"embedding_b64\":\"AADAfw==\"}", "/embedding_b64", "entry 0",
     STATUS_BAD_REQUEST},
    {"cached over prompt", HEAD ",\"prompt_tokens\":5,\"cached_tokens\":6}", "/cached_tokens",
     "more than", STATUS_BAD_REQUEST},
    {"feedback cached", FB ",\"prompt_tokens\":5,\"cached_tokens\":6}", "/cached_tokens",
     "more than", STATUS_BAD_REQUEST},
    {"feature without name", HEAD ",\"features\":{\"\":1}}", "/features/", "found 0",
     STATUS_BAD_REQUEST},
    {"feature text", HEAD ",\"features\":{\"f\":[]}}", "/features/f", "a boolean",
     STATUS_BAD_REQUEST},
    {"needs", HEAD ",\"constraints\":{\"needs\":\"vision\"}}", "/constraints/needs", "at most 32",
     STATUS_BAD_REQUEST},
    {"zero limit", HEAD ",\"constraints\":{\"max_cost_usd\":0}}", "/constraints/max_cost_usd",
     "found 0", STATUS_BAD_REQUEST},
    {"allow entry", HEAD ",\"constraints\":{\"allow\":[\"a\",\"b c\"]}}", "/constraints/allow/1",
     "a name", STATUS_BAD_REQUEST},
    {"as silence", FB ",\"quality\":1,\"source\":\"silence\"}", "/source", "reserved",
     STATUS_BAD_REQUEST},
    {"as silence in a batch",
     "{\"v\":1,\"op\":\"feedback_many\",\"items\":[{\"decision_id\":\"1-2-0123456789abcdef\","
     "\"retract\":true,\"source\":\"silence\"}]}",
     "/items/0/source", "reserved", STATUS_BAD_REQUEST},
    {"quality and accepted", FB ",\"quality\":1,\"accepted\":true}", "/accepted", "not both",
     STATUS_BAD_REQUEST},
    {"not an id", "{\"v\":1,\"op\":\"feedback\",\"decision_id\":\"zz\",\"quality\":1}",
     "/decision_id", "no decision", STATUS_UNKNOWN_DECISION},
    {"batch without items", "{\"v\":1,\"op\":\"route_many\"}", "/items", "found nothing",
     STATUS_BAD_REQUEST},
    {"batch of none", "{\"v\":1,\"op\":\"route_many\",\"items\":[]}", "/items", "1 to 256",
     STATUS_BAD_REQUEST},
    {"batch of an object", "{\"v\":1,\"op\":\"route_many\",\"items\":{}}", "/items", "an object",
     STATUS_BAD_REQUEST},
    {"batch with a field", "{\"v\":1,\"op\":\"route_many\",\"items\":[{}],\"tenant\":\"a\"}",
     "/tenant", "unknown", STATUS_UNKNOWN_FIELD},
};

/* covers: P24 J1 J2 J3 J4 J5 J6 J7 J9 J10 J11 J12 J13 J14 J15 J16 J17 J18 N1 N6 N7 N8 S9 */
static void refused(void **state)
{
    (void)state;
    static char out[sizeof(struct request)];
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *r = &refusals[i];
        enum status st = decode(r->json, strlen(r->json), 0, out);
        if (st != r->code || problem.code != st || strcmp(problem.path, r->path) != 0 ||
            !strstr(problem.text, r->words))
            fail_msg("%s: got %s %s \"%s\"", r->name, status_code(st), problem.path, problem.text);
        assert_null(strstr(problem.text, SECRET));
    }
    static const char raw[] = HEAD ",\0}";
    assert_int_equal(decode(raw, sizeof raw - 1, 0, out), STATUS_BAD_JSON);
}

/* J8: every field refuses every type that is not its own, and says where. covers: J8 */
static void wrong_types(void **state)
{
    (void)state;
    static const char *const values[] = {"null", "true", "7", "7.5", "\"a\"", "[[]]", "{\"b\":[]}"};
    enum { NUL = 1, TRU = 2, INT = 4, REA = 8, STR = 16, ARR = 32, OBJ = 64 };
    static const struct {
        const char *head, *field;
        unsigned good;
    } fields[] = {
        {HEAD, "request_id", STR},    {HEAD, "tenant", STR},
        {HEAD, "task", STR},          {HEAD, "domain", STR},
        {HEAD, "user_tier", STR},     {HEAD, "group", STR},
        {HEAD, "session", STR},       {HEAD, "outcome", STR},
        {HEAD, "key", STR},           {HEAD, "prompt", STR},
        {HEAD, "features", 0},        {HEAD, "embedding", 0},
        {HEAD, "embedding_b64", 0},   {HEAD, "prompt_tokens", INT},
        {HEAD, "cached_tokens", INT}, {HEAD, "max_output_tokens", INT},
        {HEAD, "value", INT | REA},   {HEAD, "explain", TRU},
        {HEAD, "dry_run", TRU},       {HEAD, "constraints", 0},
        {FB, "feedback_id", STR},     {FB, "source", STR},
        {FB, "attempt", INT},         {FB, "quality", 0},
        {FB, "accepted", TRU},        {FB, "prompt_tokens", INT},
        {FB, "cached_tokens", INT},   {FB, "output_tokens", INT},
        {FB, "cost_usd", INT | REA},  {FB, "latency_ms", INT | REA},
        {FB, "failed", TRU},          {FB, "retract", TRU},
        {FB, "version", INT},         {FB, "key", STR},
    };
    static char out[sizeof(struct request)];
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        for (int t = 0; t < 7; t++) {
            char json[256];
            const char *more =
                strcmp(fields[i].head, FB) == 0 && strcmp(fields[i].field, "failed") != 0
                    ? ",\"failed\":true"
                    : "";
            snprintf(json, sizeof json, "%s%s,\"%s\":%s}", fields[i].head, more, fields[i].field,
                     values[t]);
            bool ok = decode(json, strlen(json), 0, out) == STATUS_OK;
            if (ok != (fields[i].good >> t & 1))
                fail_msg("J8 %s: %s %s", json, problem.path, problem.text);
            if (!ok)
                assert_memory_equal(problem.path + 1, fields[i].field, strlen(fields[i].field));
        }
    }
}

static char *repeat(const char *head, const char *unit, size_t n, const char *tail)
{
    size_t a = strlen(head), u = strlen(unit), z = strlen(tail);
    char *s = malloc(a + u * n + z + 1);
    memcpy(s, head, a);
    for (size_t i = 0; i < n; i++)
        memcpy(s + a + i * u, unit, u);
    memcpy(s + a + n * u, tail, z + 1);
    return s;
}

static void too_large(void **state)
{
    (void)state;
    static const struct {
        const char *name, *head, *unit;
        size_t n;
        const char *tail;
        enum status code;
    } cases[] = {
        {"J9 depth 8", HEAD ",\"x_\":", "[", 7, "]]]]]]]}", STATUS_OK},
        {"J9 depth 9", HEAD ",\"x_\":", "[", 8, "]]]]]]]]}", STATUS_TOO_LARGE},
        {"J9 depth 2048", "", "[", 2048, "", STATUS_TOO_LARGE},
        {"J9 depth 2049", "", "[", 2049, "", STATUS_TOO_LARGE},
        {"J9 depth 100000", "", "{\"a\":", 100000, "", STATUS_TOO_LARGE},
        {"J10 elements", "{\"v\":1,\"x_\":[", "{},", 21845, "{}]}", STATUS_TOO_LARGE},
        {"J10 deeper elements", "{\"v\":1,\"x_\":[[", "{},", 21845, "{}]]}", STATUS_TOO_LARGE},
        {"J11 keys", "{\"v\":1", ",\"x_\":1", 100000, "}", STATUS_TOO_LARGE},
        {"J16 string", HEAD ",\"prompt\":\"", "a", 1048576, "\"}", STATUS_TOO_LARGE},
        {"J16 number", HEAD ",\"value\":1", "0", 1000000, "}", STATUS_BAD_JSON},
        {"J16 number in bounds", HEAD ",\"value\":1.", "0", 60, "}", STATUS_OK},
        {"a prompt of a quarter", HEAD ",\"prompt\":\"", "a,{[", 262000, "\"}", STATUS_OK},
        {"spaces", HEAD "}", " ", 1048576, "", STATUS_TOO_LARGE},
        {"full embedding", HEAD ",\"embedding\":[0", ",1", 4095, "]}", STATUS_OK},
        {"embedding too long", HEAD ",\"embedding\":[0", ",1", 4096, "]}", STATUS_BAD_REQUEST},
        {"256 items", "{\"v\":1,\"op\":\"route_many\",\"items\":[{}", ",{}", 255, "]}", STATUS_OK},
        {"257 items", "{\"v\":1,\"op\":\"route_many\",\"items\":[{}", ",{}", 256, "]}",
         STATUS_TOO_LARGE},
        {"257 numbers", "{\"v\":1,\"op\":\"route_many\",\"items\":[{}", ",1", 256, "]}",
         STATUS_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *json = repeat(cases[i].head, cases[i].unit, cases[i].n, cases[i].tail);
        enum status st = route(json, &request);
        free(json);
        if (st != cases[i].code)
            fail_msg("%s: got %s \"%s\"", cases[i].name, status_code(st), problem.text);
    }
}

/* A batch may be larger than a request, an item of it may not. covers: X13 */
static void large_batches(void **state)
{
    (void)state;
    char *prompt = repeat("{\"prompt\":\"", "a", 1000000, "\"}");
    char *three = malloc(4000000);
    int n = snprintf(three, 4000000, "{\"v\":1,\"op\":\"route_many\",\"items\":[%s,%s,%s]}", prompt,
                     prompt, prompt);
    assert_int_equal(decode(three, (size_t)n, 2, &request), STATUS_OK);
    assert_int_equal(request.prompt_len, 1000000);
    n = snprintf(three, 4000000, "{\"v\":1,\"op\":\"weights.get\",\"items\":[%s,%s]}", prompt,
                 prompt);
    assert_int_equal(decode(three, (size_t)n, 0, &request), STATUS_TOO_LARGE);
    free(prompt);
    prompt = repeat("{\"prompt\":\"", "a", 1048576, "\"}");
    n = snprintf(three, 4000000, "{\"v\":1,\"op\":\"route_many\",\"items\":[{},%s]}", prompt);
    assert_int_equal(decode(three, (size_t)n, 0, &request), STATUS_TOO_LARGE);
    free(three);
    free(prompt);
}

static void route_reads_everything(void **state)
{
    (void)state;
    static const char json[] =
        "{\"v\":1,\"op\":\"route\",\"request_id\":\"r1\",\"tenant\":\"acme\",\"task\":"
        "\"mmlu:abstract_algebra\",\"domain\":\"legal\",\"user_tier\":\"premium\",\"key\":\"k.s\","
        "\"group\":\"eu\",\"session\":\"s-81\",\"outcome\":\"renewal\",\"prompt\":\"h\xc3\xa9\","
        "\"features\":{\"n\":-2.5,"
        "\"b\":true,\"s\":\"x y\",\"x_f\":1},\"embedding\":[1,-0.0,0.5],\"prompt_tokens\":812.0,"
        "\"cached_tokens\":12,\"max_output_tokens\":600,\"value\":2.5,\"constraints\":{\"allow\":["
        "\"google/gemini-2.5-pro\"],\"deny\":[],\"min_tier\":\"medium\",\"min_quality\":0.9,"
        "\"max_cost_usd\":0.01,\"max_latency_ms\":1500,\"needs\":[\"vision\"]},\"explain\":true,"
        "\"dry_run\":false,\"x_mine\":{\"a\":[1]}}";
    struct message m;
    assert_int_equal(wire_open(&m, json, sizeof json - 1, &problem), STATUS_OK);
    assert_int_equal(m.op, WIRE_ROUTE);
    assert_int_equal(m.items, 1);
    assert_int_equal(wire_request(&m, 0, &request, &problem), STATUS_OK);
    assert_string_equal(request.request_id, "r1");
    assert_string_equal(request.labels.tenant, "acme");
    assert_string_equal(request.labels.task, "mmlu:abstract_algebra");
    assert_string_equal(request.labels.session, "s-81");
    assert_string_equal(request.labels.outcome, "renewal");
    assert_string_equal(request.prompt, "h\xc3\xa9");
    assert_int_equal(request.prompt_len, 3);
    assert_int_equal(request.n_features, 4);
    assert_true(request.feature[0].value == -2.5 && request.feature[1].value == 1);
    assert_int_equal(request.feature[0].hash, hash64("n", 1, 0));
    assert_int_equal(request.feature[2].hash, hash64("s=x y", 5, 0));
    assert_string_equal(request.feature[3].name, "x_f");
    assert_int_equal(request.n_embedding, 3);
    assert_false(signbit(request.embedding[1]));
    assert_int_equal(request.prompt_tokens, 812);
    assert_int_equal(request.cached_tokens, 12);
    assert_int_equal(request.max_output_tokens, 600);
    assert_true(request.value == 2.5);
    assert_int_equal(request.constraints.n_allow, 1);
    assert_string_equal(request.constraints.allow[0], "google/gemini-2.5-pro");
    assert_string_equal(request.constraints.needs[0], "vision");
    assert_true(request.constraints.max_cost_usd == 0.01);
    assert_true(request.explain);
    assert_false(request.dry_run);
    wire_close(&m);
    must_route(HEAD "}", &request);
    assert_string_equal(request.labels.tenant, "default");
    assert_null(request.prompt);
    assert_int_equal(request.prompt_tokens, -1);
    assert_true(request.value == 0); /* not said */
}

/* covers: N5 */
static void embeddings_agree(void **state)
{
    (void)state;
    must_route(HEAD ",\"embedding\":[1,-2.5]}", &request);
    must_route(HEAD ",\"embedding_b64\":\"AACAPwAAIMA=\"}", &request2);
    assert_int_equal(request2.n_embedding, 2);
    assert_memory_equal(request.embedding, request2.embedding, 8);
    assert_int_equal(request.digest, request2.digest);
    char *full = repeat(HEAD ",\"embedding_b64\":\"", "AACA", 5461, "AA==\"}");
    assert_int_equal(route(full, &request), STATUS_OK);
    assert_int_equal(request.n_embedding, 4096);
    free(full);
    char *more = repeat(HEAD ",\"embedding_b64\":\"", "AAAA", 5464, "\"}");
    assert_int_equal(route(more, &request), STATUS_BAD_REQUEST);
    free(more);
}

/* covers: N2 N3 */
static void small_numbers(void **state)
{
    (void)state;
    must_route(HEAD ",\"features\":{\"f\":1e-320},\"embedding\":[1e-320]}", &request); /* N2 */
    assert_true(isfinite(request.feature[0].value) && request.embedding[0] == 0);
    must_route(HEAD ",\"features\":{\"f\":0},\"embedding\":[0]}", &request);
    static const char *const zeros[] = {"-0.0", "-0", "0.0", "1e-400"}; /* N3 */
    for (int i = 0; i < 4; i++) {
        char json[128];
        snprintf(json, sizeof json, HEAD ",\"features\":{\"f\":%s},\"embedding\":[%s]}", zeros[i],
                 zeros[i]);
        must_route(json, &request2);
        assert_int_equal(request.digest, request2.digest);
        assert_false(signbit(request2.feature[0].value));
    }
    must_feed(FB ",\"quality\":0}", &feedback); /* N6: both ends are in */
    must_feed(FB ",\"quality\":-0.0}", &feedback2);
    assert_int_equal(feedback.digest, feedback2.digest);
    must_feed(FB ",\"quality\":1}", &feedback);
    must_feed(FB ",\"cost_usd\":0}", &feedback); /* N8 */
    assert_int_equal(feedback.cost_nano, 0);
    must_feed(FB ",\"cost_usd\":0.0000000374}", &feedback);
    assert_int_equal(feedback.cost_nano, 37);
    must_feed(FB ",\"cost_usd\":0.0000000375}", &feedback);
    assert_int_equal(feedback.cost_nano, 38);
    must_feed(FB ",\"cost_usd\":1000000}", &feedback);
    assert_int_equal(feedback.cost_nano, 1000000000000000);
}

/* covers: J19 */
static void digests(void **state)
{
    (void)state;
#define C "\"constraints\":{\"allow\":[\"a\",\"b\"],\"min_quality\":0.5}"
    must_route(HEAD ",\"task\":\"t\",\"prompt\":\"p\",\"features\":{\"a\":1,\"b\":\"c\"}," C "}",
               &request);
    static const char *const same[] = {
        "{" C ",\"features\":{\"b\":\"c\",\"a\":1.0},\"prompt\":\"p\",\"op\":\"route\","
        "\"task\":\"t\",\"v\":1}",
        HEAD ",\"task\":\"t\",\"prompt\":\"\\u0070\",\"features\":{\"a\":1,\"b\":\"c\"},"
             "\"constraints\":{\"allow\":[\"b\",\"a\"],\"min_quality\":0.5,\"deny\":[]},"
             "\"tenant\":\"default\",\"key\":\"k\",\"explain\":true,\"x_a\":1}",
    };
    static const char *const differ[] = {
        HEAD ",\"task\":\"t\",\"prompt\":\"q\",\"features\":{\"a\":1,\"b\":\"c\"}," C "}",
        HEAD ",\"domain\":\"t\",\"prompt\":\"p\",\"features\":{\"a\":1,\"b\":\"c\"}," C "}",
        HEAD ",\"task\":\"t\",\"prompt\":\"p\",\"features\":{\"a\":2,\"b\":\"c\"}," C "}",
        HEAD ",\"task\":\"t\",\"prompt\":\"p\",\"features\":{\"a\":1,\"b\":\"d\"}," C "}",
        HEAD ",\"task\":\"t\",\"prompt\":\"p\",\"features\":{\"a\":1,\"b\":\"c\"}}",
        HEAD ",\"task\":\"t\",\"prompt\":\"p\",\"features\":{\"a\":1,\"b\":\"c\"}," C
             ",\"value\":2}",
        HEAD ",\"task\":\"t\",\"prompt\":\"p\",\"features\":{\"a\":1,\"b\":\"c\"}," C
             ",\"value\":1}", /* not the same as leaving it to the tables */
        HEAD ",\"task\":\"t\",\"prompt\":\"p\",\"features\":{\"a\":1,\"b\":\"c\"}," C
             ",\"outcome\":\"o\"}",
        HEAD ",\"task\":\"t\",\"features\":{\"a\":1,\"b\":\"c\"}," C "}",
        HEAD ",\"task\":\"t\",\"prompt\":\"p\",\"features\":{\"a\":1,\"b\":\"c\"}," C
             ",\"prompt_tokens\":0}",
        HEAD ",\"task\":\"t\",\"prompt\":\"p\",\"features\":{\"a\":1,\"b\":\"c\"}," C
             ",\"embedding\":[0]}",
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        must_route(same[i], &request2);
        assert_int_equal(request.digest, request2.digest);
    }
    for (size_t i = 0; i < sizeof differ / sizeof differ[0]; i++) {
        must_route(differ[i], &request2);
        assert_int_not_equal(request.digest, request2.digest);
    }
#undef C
    /* J19: keys that look alike are different features. */
    must_route(HEAD ",\"features\":{\"\xc3\xa9\":1}}", &request);
    must_route(HEAD ",\"features\":{\"e\xcc\x81\":1}}", &request2);
    assert_int_not_equal(request.feature[0].hash, request2.feature[0].hash);
}

static void feedback_reads_everything(void **state)
{
    (void)state;
    must_feed(FB ",\"feedback_id\":\"f1\",\"source\":\"judge-1\",\"attempt\":2,\"quality\":0.25,"
                 "\"prompt_tokens\":10,\"cached_tokens\":5,\"output_tokens\":20,\"cost_usd\":0.5,"
                 "\"latency_ms\":12.5,\"failed\":false,\"retract\":false,\"version\":"
                 "1764000000000000000,\"key\":\"k\"}",
              &feedback);
    assert_int_equal(feedback.epoch, 1);
    assert_int_equal(feedback.seq, 2);
    assert_int_equal(feedback.mac, 0x0123456789abcdef);
    assert_string_equal(feedback.feedback_id, "f1");
    assert_string_equal(feedback.source, "judge-1");
    assert_int_equal(feedback.has, 127);
    assert_int_equal(feedback.attempt, 2);
    assert_true(feedback.quality == 0.25 && feedback.latency_ms == 12.5);
    assert_int_equal(feedback.cost_nano, 500000000);
    assert_int_equal(feedback.version, 1764000000000000000);
    must_feed(FB ",\"accepted\":true}", &feedback);
    assert_int_equal(feedback.has, FB_QUALITY);
    assert_true(feedback.quality == 1);
    assert_int_equal(feedback.version, -1);
    assert_string_equal(feedback.source, "default");
    must_feed(FB ",\"quality\":1.0,\"source\":\"default\",\"failed\":false}", &feedback2);
    assert_int_equal(feedback2.has, FB_QUALITY | FB_FAILED);
    assert_int_not_equal(feedback.digest, feedback2.digest);
    must_feed(FB ",\"quality\":1.0,\"source\":\"default\"}", &feedback2);
    assert_int_equal(feedback.digest, feedback2.digest);
    must_feed(FB ",\"retract\":true}", &feedback);
    assert_true(feedback.retract && feedback.has == 0);
}

static void batches_fail_item_by_item(void **state)
{
    (void)state;
    static const char json[] =
        "{\"v\":1,\"op\":\"route_many\",\"key\":\"k\",\"items\":[{\"task\":\"a\"},{\"task\":7},3,"
        "{\"v\":1,\"op\":\"route\",\"constraints\":{\"deny\":[1]}},{\"v\":2},{\"op\":\"feedback\"},"
        "{\"v\":1,\"op\":\"route\",\"task\":\"b\"}]}";
    static const char *const paths[] = {
        NULL,         "/items/1/task", "/items/2", "/items/3/constraints/deny/0",
        "/items/4/v", "/items/5/op",   NULL};
    struct message m;
    assert_int_equal(wire_open(&m, json, sizeof json - 1, &problem), STATUS_OK);
    assert_int_equal(m.op, WIRE_ROUTE_MANY);
    assert_int_equal(m.items, 7);
    for (int i = 0; i < m.items; i++) {
        enum status st = wire_request(&m, i, &request, &problem);
        assert_int_equal(st == STATUS_OK, paths[i] == NULL);
        if (paths[i])
            assert_string_equal(problem.path, paths[i]);
    }
    assert_string_equal(request.labels.task, "b");
    wire_close(&m);
    static const char many[] = "{\"v\":1,\"op\":\"feedback_many\",\"items\":[{\"decision_id\":"
                               "\"1-2-0123456789abcdef\",\"failed\":true},{}]}";
    assert_int_equal(decode(many, sizeof many - 1, 0, &feedback), STATUS_OK);
    assert_true(feedback.failed);
    assert_int_equal(decode(many, sizeof many - 1, 1, &feedback), STATUS_BAD_REQUEST);
    assert_string_equal(problem.path, "/items/1");
}

static void other_ops_are_control(void **state)
{
    (void)state;
    struct message m;
    static const char *const ops[] = {"weights.get", "ROUTE", "no_such_op"}; /* P24: server's */
    for (int i = 0; i < 3; i++) {
        char json[128];
        int n = snprintf(json, sizeof json, "{\"v\":1.0,\"op\":\"%s\",\"any\":1}", ops[i]);
        assert_int_equal(wire_open(&m, json, (size_t)n, &problem), STATUS_OK);
        assert_int_equal(m.op, WIRE_CONTROL);
        assert_string_equal(m.op_name, ops[i]);
        wire_close(&m);
    }
}

/* Cut, flip and splice valid messages: whatever comes out, no crash and no leak (J20 in small).
 * covers: J20 */
static void mutations_are_survived(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        HEAD ",\"prompt\":\"h\\u00e9 \xc3\xa9\",\"features\":{\"a\":1e5,\"b\":\"c\"},\"embedding\":"
             "[1,-2.5e-3],\"constraints\":{\"allow\":[\"a\"],\"needs\":[]},\"value\":2}",
        FB ",\"quality\":0.5,\"cost_usd\":0.001,\"version\":3,\"retract\":false}",
        "{\"v\":1,\"op\":\"route_many\",\"items\":[{\"task\":\"a\"},{\"embedding_b64\":"
        "\"AACAPwAAIMA=\"}]}"};
    struct rng r = rng_stream(1, 2, 3);
    static char out[sizeof(struct request)];
    for (int i = 0; i < 60000; i++) {
        char json[512];
        size_t n = strlen(seeds[i % 3]);
        memcpy(json, seeds[i % 3], n);
        for (uint64_t k = rng_below(&r, 4); k > 0; k--)
            json[rng_below(&r, n)] = "{}[],:\"\\0-e\xff\x01 u"[rng_below(&r, 15)];
        if (rng_below(&r, 4) == 0)
            n = rng_below(&r, n);
        char *exact = malloc(n + 1); /* so that a sanitizer sees a read past the end */
        memcpy(exact, json, n);
        enum status st = decode(exact, n, (int)(i % 2 && i % 3 == 2), out);
        assert_true(st < STATUS_COUNT);
        free(exact);
    }
}

static struct event sample_event(void)
{
    struct event e = {.seq = 18, .kind = EVENT_DECIDED};
    struct event_decided *d = &e.decided;
    d->epoch = 1;
    d->n_arms = 3;
    d->arm = 1;
    d->baseline = 1;
    d->n_fallbacks = 1;
    d->eligible = 3;
    d->reasons = REASON_COLD_START | REASON_CONSTRAINED;
    d->price_out = 15000000;
    d->cost_scale_usd = 0.01;
    d->weight_quality = 1;
    d->weight_cost = 0.05;
    d->value = 2.5;
    d->u = 0.3333333333333333;
    d->floor = 0.02;
    d->schema = 0xfedcba9876543210;
    d->config_seq = 7;
    d->multiplier = 100;
    d->view[0] = (struct arm_view){.pmf = 0.25, .mean = {0.5f, 10, 100, 0}, .cost_nano = 1};
    d->view[1] = (struct arm_view){.pmf = 0.75,
                                   .mean = {0.98f, 100, 1000, 0.125f},
                                   .sd = {0.03125f, 10, 100, 0},
                                   .cost_nano = 2000000};
    return e;
}

static const struct catalog *sample_catalog(void)
{
    static struct catalog c = {.n = 3,
                               .n_tiers = 2,
                               .model = {{.name = "a"}, {.name = "v/b", .tier = 1}, {.name = "c"}},
                               .tier = {"small", "large"}};
    return &c;
}

static void decision_text(void **state)
{
    (void)state;
    static char out[16384];
    struct event e = sample_event();
    struct text t = text_over(out, sizeof out);
    reply_decision(&t, &e, sample_catalog(), key, &(struct reply_ask){.explain = false});
    char id[DECISION_ID_CAP], expected[1024];
    decision_id_format(id, 1, 18, key);
    snprintf(expected, sizeof expected,
             "{\"v\":1,\"decision_id\":\"%s\",\"model\":\"v/b\",\"tier\":\"large\",\"propensity\":"
             "0.75,\"fallbacks\":[\"a\"],\"policy\":\"lints\",\"baseline\":\"v/b\",\"expected\":{"
             "\"quality\":{\"mean\":0.98,\"low\":0.918751,\"high\":1},\"cost_usd\":{\"mean\":0.002,"
             "\"low\":0.001706005,\"high\":0.002293995},\"latency_ms\":{\"mean\":1000,\"low\":"
             "804.004,\"high\":1196},\"output_tokens\":{\"mean\":100,\"low\":80.4004,\"high\":"
             "119.6}},\"budget\":{\"pool\":\"default\",\"pressure\":0.5,\"action\":\"paced\"},"
             "\"reasons\":[\"cold_start\",\"constrained\"]}",
             id);
    assert_string_equal(out, expected);
}

static void explanation_is_json(void **state)
{
    (void)state;
    static char out[65536];
    struct event e = sample_event();
    e.seq = 0;
    e.decided.view[0].mean[TARGET_LATENCY] = (float)NAN;
    struct text t = text_over(out, sizeof out);
    reply_decision(&t, &e, sample_catalog(), key, &(struct reply_ask){.explain = true});
    json_t *doc = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(doc);
    assert_true(json_is_true(json_object_get(doc, "dry_run")));
    assert_null(json_object_get(doc, "decision_id"));
    json_t *explain = json_object_get(doc, "explain"), *arms = json_object_get(explain, "arms");
    assert_int_equal(json_array_size(arms), 3);
    assert_true(json_is_false(json_object_get(json_array_get(arms, 2), "eligible")));
    assert_true(json_is_null(json_object_get(json_array_get(arms, 0), "latency_ms")));
    assert_true(json_real_value(json_object_get(explain, "u")) == e.decided.u);
    assert_string_equal(json_string_value(json_object_get(explain, "schema")), "fedcba9876543210");
    assert_int_equal(json_integer_value(json_object_get(explain, "config_seq")), 7);
    assert_non_null(json_object_get(json_object_get(explain, "weights"), "cost_scale_usd"));
    json_decref(doc);
    t = text_over(out, 300);
    reply_decision(&t, &e, sample_catalog(), key, &(struct reply_ask){.explain = true});
    assert_true(t.full && strlen(out) < 300);
}

static void other_replies(void **state)
{
    (void)state;
    char out[1024];
    struct text t = text_over(out, sizeof out);
    struct problem p;
    problem_set(&p, STATUS_OVERLOADED, "", "try %s", "\"later\"");
    p.retry_after_ms = 50;
    reply_batch_begin(&t, 3);
    reply_batch_next(&t, 0);
    reply_answer(&t, FEEDBACK_LATE, "1-2-3");
    reply_batch_next(&t, 1);
    reply_error(&t, &p);
    reply_batch_next(&t, 2);
    problem_set(&p, STATUS_BAD_REQUEST, "/value", "no");
    reply_error(&t, &p);
    reply_batch_end(&t);
    assert_string_equal(
        out, "{\"v\":1,\"items\":[{\"v\":1,\"status\":\"late\",\"decision_id\":\"1-2-3\"},{\"v\":1,"
             "\"error\":{\"code\":\"overloaded\",\"message\":\"try \\\"later\\\"\","
             "\"retry_after_ms\":50}},{\"v\":1,\"error\":{\"code\":\"bad_request\",\"message\":"
             "\"no\",\"path\":\"/value\"}}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(too_large),
        cmocka_unit_test(large_batches),
        cmocka_unit_test(route_reads_everything),
        cmocka_unit_test(embeddings_agree),
        cmocka_unit_test(small_numbers),
        cmocka_unit_test(digests),
        cmocka_unit_test(feedback_reads_everything),
        cmocka_unit_test(batches_fail_item_by_item),
        cmocka_unit_test(other_ops_are_control),
        cmocka_unit_test(mutations_are_survived),
        cmocka_unit_test(decision_text),
        cmocka_unit_test(explanation_is_json),
        cmocka_unit_test(other_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
