/* SPDX-License-Identifier: MIT */
/*
 * Messages, in microseconds of CPU: a route request of 406 bytes read, and its decision rendered,
 * in both encodings; the same with an embedding of 384 numbers. The limits are libraries that do no
 * more than read the bytes (jansson, msgpack-c), and one snprintf; of embeddings a copy of the
 * floats.
 */
#include <jansson.h>
#include <msgpack.h>
#include <stdio.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/encoding/base64.h"
#include "core/encoding/emit.h"
#include "core/wire/wire.h"
#include "tests/bench/bench.h"

enum { REQUESTS = 64, MESSAGE = 406, LONG = 8192, FLOATS = 384 };

struct bytes {
    char at[LONG];
    size_t n;
};
static struct bytes plain[REQUESTS], packed[REQUESTS], based, numbers, binary;
static float floats[FLOATS];
static volatile double sink; /* keeps results alive */

static void pack(const struct bytes *from, struct bytes *to)
{
    struct doc d;
    struct text t = text_over(to->at, sizeof to->at);
    struct emit e = emit_over(&t);
    t.packed = true;
    if (doc_open_own(&d, from->at, from->n) != STATUS_OK)
        bench_fail("a message cannot be read");
    emit_doc(&e, d.value);
    doc_close(&d);
    to->n = t.len;
}

static void make(void)
{
    static char text[LONG];
    for (int i = 0; i < FLOATS; i++)
        floats[i] = (float)(i - 190) / 77;
    for (uint64_t i = 0; i < REQUESTS; i++) {
        bench_route(plain[i].at, MESSAGE, i);
        plain[i].n = MESSAGE;
        pack(&plain[i], &packed[i]);
    }
    base64_encode((const unsigned char *)floats, sizeof floats, text);
    based.n = (size_t)snprintf(based.at, LONG,
                               "{\"v\":1,\"op\":\"route\",\"embedding_b64\":\"%s\"}", text);
    struct text t = text_over(numbers.at, LONG);
    text_put(&t, "{\"v\":1,\"op\":\"route\",\"embedding\":[");
    for (int i = 0; i < FLOATS; i++) {
        text_put(&t, i ? "," : "");
        text_json_number(&t, (double)floats[i], 9);
    }
    text_put(&t, "]}");
    numbers.n = t.len;
    msgpack_sbuffer b;
    msgpack_packer p;
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&p, &b, msgpack_sbuffer_write);
    msgpack_pack_map(&p, 3);
    msgpack_pack_str_with_body(&p, "v", 1);
    msgpack_pack_int(&p, 1);
    msgpack_pack_str_with_body(&p, "op", 2);
    msgpack_pack_str_with_body(&p, "route", 5);
    msgpack_pack_str_with_body(&p, "embedding", 9);
    msgpack_pack_bin_with_body(&p, floats, sizeof floats);
    memcpy(binary.at, b.data, b.size);
    binary.n = b.size;
    msgpack_sbuffer_destroy(&b);
}

static void measure(int round, const char *name, void (*step)(int i), int n)
{
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < n; i++)
        step(i);
    bench_figure(round, (double)(bench_cpu_ns() - start) / 1000 / n, "wire/%s", name);
}

static void decode(const struct bytes *b)
{
    static struct request out;
    struct message m;
    struct problem p;
    if (wire_open(&m, b->at, b->n, &p) != STATUS_OK || wire_request(&m, 0, &out, &p) != STATUS_OK)
        bench_fail("request: %s %s", p.path, p.text);
    sink = (double)out.digest;
    wire_close(&m);
}

static void decode_json(int i)
{
    decode(&plain[i % REQUESTS]);
}
static void decode_packed(int i)
{
    decode(&packed[i % REQUESTS]);
}
static void decode_based(int i)
{
    (void)i;
    decode(&based);
}
static void decode_numbers(int i)
{
    (void)i;
    decode(&numbers);
}
static void decode_binary(int i)
{
    (void)i;
    decode(&binary);
}
static void by_jansson(int i)
{
    json_decref(json_loadb(plain[i % REQUESTS].at, MESSAGE, 0, NULL));
}
static void by_msgpack(int i)
{
    msgpack_unpacked u;
    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, packed[i % REQUESTS].at, packed[i % REQUESTS].n, NULL) !=
        MSGPACK_UNPACK_SUCCESS)
        bench_fail("msgpack-c does not read it");
    msgpack_unpacked_destroy(&u);
}
static void by_memcpy(int i)
{
    static float copy[FLOATS];
    memcpy(copy, floats, sizeof copy);
    sink = (double)copy[i % FLOATS];
}

/* ---- replies ---- */

static struct event ev;
static const struct catalog catalog = {
    .n = 3,
    .n_tiers = 3,
    .model = {{.name = "small-1"}, {.name = "mid-1", .tier = 1}, {.name = "large-1", .tier = 2}},
    .tier = {"small", "medium", "large"}};

static void decided(void)
{
    struct event_decided *d = &ev.decided;
    struct rng g = rng_stream(4, 4, 4);
    ev.kind = EVENT_DECIDED;
    ev.seq = 123456;
    d->epoch = 3;
    d->n_arms = 3;
    d->n_fallbacks = 2;
    d->fallback[0] = 1;
    d->fallback[1] = 2;
    d->eligible = 7;
    d->price_out = 400;
    d->cost_scale_usd = 0.01;
    for (int a = 0; a < 3; a++) {
        struct arm_view *v = &d->view[a];
        v->pmf = rng_uniform(&g);
        v->cost_nano = 100000 + (int64_t)rng_below(&g, 1000000);
        for (int t = 0; t < TARGETS; t++) {
            v->mean[t] = (float)(rng_uniform(&g) * (t == TARGET_QUALITY ? 1 : 1000));
            v->sd[t] = (float)rng_uniform(&g);
        }
    }
}

static size_t reply(bool in_msgpack)
{
    static char out[LONG];
    static const uint8_t key[16] = {1, 2, 3};
    static const struct reply_ask ask = {.explain = false};
    struct text t = text_over(out, sizeof out);
    t.packed = in_msgpack;
    reply_decision(&t, &ev, &catalog, key, &ask);
    return t.len;
}
static void reply_json(int i)
{
    (void)i;
    sink = (double)reply(false);
}
static void reply_packed(int i)
{
    (void)i;
    sink = (double)reply(true);
}

/* What one snprintf takes for a reply of as many members. */
static void by_snprintf(int i)
{
    static char out[LONG];
    const struct event_decided *d = &ev.decided;
    const struct arm_view *v = &d->view[i % 3];
    (void)snprintf(
        out, sizeof out,
        "{\"v\":1,\"decision_id\":\"%x-%llx-%016llx\",\"request_id\":\"%s\","
        "\"model\":\"m%d\",\"tier\":\"small\",\"propensity\":%.6g,\"policy\":\"lints\","
        "\"quality\":{\"mean\":%.6g,\"low\":%.6g,\"high\":%.6g},"
        "\"cost_usd\":{\"mean\":%.6g,\"low\":%.6g,\"high\":%.6g},"
        "\"latency_ms\":{\"mean\":%.6g,\"low\":%.6g,\"high\":%.6g},"
        "\"output_tokens\":{\"mean\":%.6g,\"low\":%.6g,\"high\":%.6g}}",
        d->epoch, (unsigned long long)ev.seq, (unsigned long long)d->request_digest, d->request_id,
        d->arm, v->pmf, (double)v->mean[0], (double)(v->mean[0] - v->sd[0]),
        (double)(v->mean[0] + v->sd[0]), (double)v->cost_nano * 1e-9, (double)v->cost_nano * 0.8e-9,
        (double)v->cost_nano * 1.2e-9, (double)v->mean[2], (double)(v->mean[2] - v->sd[2]),
        (double)(v->mean[2] + v->sd[2]), (double)v->mean[1], (double)(v->mean[1] - v->sd[1]),
        (double)(v->mean[1] + v->sd[1]));
    sink = (double)out[20];
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*step)(int i);
    } all[] = {{"decode", decode_json},
               {"packed_decode", decode_packed},
               {"jansson", by_jansson},
               {"msgpack", by_msgpack},
               {"reply", reply_json},
               {"packed_reply", reply_packed},
               {"snprintf", by_snprintf},
               {"embedding_numbers", decode_numbers},
               {"embedding_b64", decode_based},
               {"packed_embedding", decode_binary},
               {"memcpy", by_memcpy}};
    int rounds = (int)bench_number(argc, argv, "--rounds", 9);
    int n = (int)bench_number(argc, argv, "--calls", 20000);
    const char *only = bench_text(argc, argv, "--only", NULL); /* for a profile */
    make();
    decided();
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            if (!only || strcmp(only, all[i].name) == 0)
                measure(round, all[i].name, all[i].step, n);
        bench_figure(round, (double)reply(false), "wire/reply_bytes");
        bench_figure(round, (double)reply(true), "wire/packed_reply_bytes");
    }
    return 0;
}
