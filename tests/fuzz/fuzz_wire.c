/* SPDX-License-Identifier: MIT */
/* Messages: whatever comes in is refused with words, or read the same each time. */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include "core/encoding/emit.h"
#include "core/event/decision_id.h"
#include "core/wire/wire.h"

/* The same in MessagePack. */
static size_t packed(const char *const *texts, int i, uint8_t *out, size_t cap)
{
    struct doc d;
    size_t n = fuzz_text(texts, i, out, cap);
    if (n == 0)
        return 0;
    PROMISE(doc_open_own(&d, out, n) == STATUS_OK);
    struct text t = text_over((char *)out, cap);
    t.packed = true;
    struct emit e = emit_over(&t);
    emit_doc(&e, d.value);
    doc_close(&d);
    return t.len;
}

size_t fuzz_seed(int i, uint8_t *out, size_t cap)
{
    static const char *const texts[] = {
        "{\"v\":1,\"op\":\"route\",\"request_id\":\"r-1\",\"tenant\":\"acme\",\"task\":\"t\","
        "\"domain\":\"legal\",\"user_tier\":\"premium\",\"group\":\"eu\",\"session\":\"s\","
        "\"prompt\":\"sum the bill \\u00e9\\n\",\"prompt_tokens\":812,\"cached_tokens\":0,"
        "\"max_output_tokens\":600,\"value\":2.5,\"constraints\":{\"allow\":[\"a\"],\"deny\":["
        "\"b\"],"
        "\"min_tier\":\"medium\",\"min_quality\":0.9,\"max_cost_usd\":0.01,\"max_latency_ms\":1500,"
        "\"needs\":[\"vision\"]},\"explain\":true,\"dry_run\":false,\"x_mine\":{\"a\":[1,2]}}",
        "{\"v\":1,\"op\":\"route\",\"features\":{\"k\":1.5,\"b\":true,\"s\":\"red\"},"
        "\"embedding\":[0.1,-2,3e-4]}",
        "{\"v\":1,\"op\":\"route\",\"embedding_b64\":\"AACAPwAAAEA=\",\"key\":\"id.secret\"}",
        "{\"v\":1,\"op\":\"escalate_many\",\"items\":[{\"decision_id\":\"1-2-0123456789abcdef\","
        "\"prompt\":\"a\"},{\"prompt\":\"b\"}]}",
        "{\"v\":1,\"op\":\"route_many\",\"items\":[{\"prompt\":\"a\"},{\"prompt\":\"b\",\"value\":"
        "2}]}",
        "{\"v\":1,\"op\":\"feedback\",\"decision_id\":\"1-2-0123456789abcdef\",\"feedback_id\":"
        "\"f\","
        "\"source\":\"judge\",\"attempt\":1,\"quality\":0.5,\"prompt_tokens\":1,\"output_tokens\":"
        "2,"
        "\"cost_usd\":0.0012,\"latency_ms\":3.5,\"failed\":false,\"version\":2}",
        "{\"v\":1,\"op\":\"feedback_many\",\"items\":[{\"decision_id\":\"1-2-0123456789abcdef\","
        "\"accepted\":true},{\"decision_id\":\"1-3-0123456789abcdef\",\"retract\":true}]}",
        "{\"v\":1,\"op\":\"teach\",\"batch_id\":\"b\",\"items\":[{\"prompt\":\"p\",\"weight\":0.5,"
        "\"outcomes\":[{\"model\":\"m\",\"quality\":1,\"cost_usd\":0.1}]}]}",
        "{\"v\":1,\"op\":\"weights.set\",\"weights\":{\"cost\":1},\"reason\":\"why\"}",
        NULL};
    const int n = sizeof texts / sizeof *texts - 1;
    return i < n ? fuzz_text(texts, i, out, cap) : packed(texts, i - n, out, cap);
}

static void request(const struct message *m, int i)
{
    static struct request a, b;
    struct problem p = {0};
    enum status s = wire_request(m, i, &a, &p);
    PROMISE(s == STATUS_OK ? p.text[0] == '\0' : p.code == s && p.text[0] != '\0');
    if (s != STATUS_OK)
        return;
    PROMISE(wire_request(m, i, &b, &p) == STATUS_OK && a.digest == b.digest);
    PROMISE(a.value >= 0 && a.prompt_tokens >= -1 && a.prompt_len <= MESSAGE_MAX);
    PROMISE(strlen(a.labels.tenant) > 0 && strlen(a.labels.tenant) < NAME_CAP);
}

static void feedback(const struct message *m, int i)
{
    struct feedback f;
    struct problem p = {0};
    enum status s = wire_feedback(m, i, &f, &p);
    PROMISE(s == STATUS_OK || (p.code == s && p.text[0] != '\0'));
    PROMISE(s != STATUS_OK || (f.cost_nano >= 0 && f.quality >= 0 && f.quality <= 1));
}

static void lesson(const struct message *m, int i)
{
    static struct request r;
    struct feedback f;
    struct problem p = {0};
    char model[NAME_CAP];
    double weight;
    int n = wire_teach_count(m, i);
    PROMISE(n >= 0 && n <= MODELS_MAX);
    if (wire_teach(m, i, &r, &weight, &p) != STATUS_OK)
        return;
    PROMISE(weight > 0 && weight <= 1);
    for (int j = 0; j < n; j++)
        if (wire_teach_outcome(m, i, j, model, &f, &p) == STATUS_OK)
            PROMISE(model[0] != '\0');
}

static void decision_id(const uint8_t *bytes, size_t n)
{
    static const uint8_t key[16] = {7};
    char text[DECISION_ID_CAP + 8] = "", again[DECISION_ID_CAP];
    uint32_t epoch;
    uint64_t seq, mac;
    memcpy(text, bytes, n < sizeof text ? n : sizeof text - 1);
    if (decision_id_parse(text, &epoch, &seq, &mac)) {
        decision_id_format(again, epoch, seq, key); /* one spelling, but for the code */
        PROMISE(strncmp(text, again, strlen(again) - 16) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct message m;
    struct problem p = {0};
    decision_id(bytes, n);
    enum status s = wire_open(&m, bytes, n, &p);
    if (s != STATUS_OK) {
        PROMISE(p.code == s && p.text[0] != '\0');
        return 0;
    }
    PROMISE(m.items >= 1 && m.op_name[0] != '\0');
    for (int i = 0; i < m.items; i++) {
        if (wire_routes(m.op))
            request(&m, i);
        else if (m.op == WIRE_TEACH)
            lesson(&m, i);
        else if (m.op != WIRE_CONTROL)
            feedback(&m, i);
    }
    wire_close(&m);
    return 0;
}
