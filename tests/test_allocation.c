/* SPDX-License-Identifier: MIT */
/* The engine asks for no memory while it serves: calls of malloc and its kin are counted (--wrap)
 * around routes, reports, ticks and what follows, under each policy, with sessions, pools, a
 * tenant's own learner, pacing, silence and changes of model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/policy/policy.h"
#include "bandit/rng.h"
#include "core/config/config.h"
#include "core/encoding/emit.h"
#include "core/event/decision_id.h"
#include "core/router/router.h"
#include "core/wire/wire.h"

static long calls;
static bool counting;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
    calls += counting;
    return __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t size)
{
    calls += counting;
    return __real_calloc(n, size);
}
void *__wrap_realloc(void *p, size_t n)
{
    calls += counting;
    return __real_realloc(p, n);
}

enum { OPEN = 512, REQUESTS = 3000, REPORTED_AFTER = 40 };
static const struct router_init init = {.seed = 42, .mac_key = {1}, .max_open = OPEN};
static struct router *router;
static struct event ev;
static struct problem problem;
static int64_t now_ms;

static void follow(void)
{
    for (int i = 0; i < 200; i++) {
        router_follow(router, now_ms, &ev);
        if (ev.kind == EVENT_NONE)
            return;
    }
}

static void start(const char *policy)
{
    static char json[4096], scratch[CONFIG_MAX];
    static struct params params;
    int n = snprintf(
        json, sizeof json,
        "{\"policy\":{\"name\":\"%s\"},\"models\":[{\"name\":\"small\",\"tier\":\"small\","
        "\"usd_per_mtok_in\":0.1,\"usd_per_mtok_out\":0.4},{\"name\":\"mid\",\"tier\":\"medium\","
        "\"usd_per_mtok_in\":0.5,\"usd_per_mtok_out\":1.5},{\"name\":\"big\",\"tier\":\"large\","
        "\"usd_per_mtok_in\":2.5,\"usd_per_mtok_out\":10}],\"budget\":{\"usd_per_request\":0.001},"
        "\"learners\":[{\"tenant\":\"acme\"}],\"pools\":[{\"name\":\"p\",\"match\":{\"tenant\":"
        "\"acme\"},\"usd\":100}],\"silence\":[{\"after_hours\":0.01,\"quality\":0.8}]}",
        policy);
    now_ms = 1700000000000;
    router = router_new(&init);
    assert_non_null(router);
    router_start(router, now_ms, &ev);
    if (config_parse(json, (size_t)n, &params, NULL, &problem) != STATUS_OK ||
        router_configure(router, now_ms, &params, "test", 0, scratch, sizeof scratch, &ev,
                         &problem) != STATUS_OK)
        fail_msg("%s: %s", problem.path, problem.text);
}

static uint64_t route(int i)
{
    static struct request r;
    static const char prompt[] = "explain why revenue fell by seven percent, in polite French";
    enum route_result result;
    memset(&r, 0, sizeof r);
    snprintf(r.request_id, sizeof r.request_id, "r%d", i);
    snprintf(r.labels.tenant, sizeof r.labels.tenant, "%s", i % 3 ? "default" : "acme");
    snprintf(r.labels.task, sizeof r.labels.task, "qa:part%d", i % 7);
    snprintf(r.labels.session, sizeof r.labels.session, "s%d", i / 4);
    r.digest = (uint64_t)i + 1;
    r.prompt = prompt;
    r.prompt_len = sizeof prompt - 1;
    r.prompt_tokens = -1;
    r.max_output_tokens = 500;
    r.value = 1;
    now_ms += 500;
    if (router_route(router, now_ms, &r, &ev, &result, &problem) != STATUS_OK)
        fail_msg("%s: %s", problem.path, problem.text);
    uint64_t seq = ev.seq;
    follow();
    return seq;
}

static void report(uint64_t seq, int i)
{
    struct feedback f = {.epoch = router_epoch(router),
                         .seq = seq,
                         .mac = decision_mac(router_epoch(router), seq, init.mac_key),
                         .has = FB_QUALITY | FB_OUTPUT_TOKENS | FB_LATENCY | FB_COST,
                         .quality = i < REQUESTS / 2 ? 0.9 : 0.1, /* drift is found */
                         .output_tokens = 200 + i % 50,
                         .cost_nano = 100000,
                         .latency_ms = 300,
                         .version = -1,
                         .digest = seq};
    enum feedback_result result;
    if (router_feedback(router, now_ms, &f, NULL, &ev, &result, &problem) != STATUS_OK)
        fail_msg("%s: %s", problem.path, problem.text);
    follow();
}

static void serve(const char *policy)
{
    static uint64_t seq[REQUESTS];
    start(policy);
    calls = 0;
    counting = true;
    for (int i = 0; i < REQUESTS; i++) {
        seq[i] = route(i);
        if (i >= REPORTED_AFTER && i % 5) /* the others are labelled by silence, or leave memory */
            report(seq[i - REPORTED_AFTER], i);
        if (i % 10 == 0) {
            router_tick(router, now_ms, &ev);
            follow();
        }
    }
    counting = false;
    router_free(router);
    if (calls > 0)
        fail_msg("%s: %ld allocations in %d requests", policy, calls, REQUESTS);
}

static void no_policy_allocates(void **state)
{
    (void)state;
    for (int i = 0; policy_at(i); i++)
        serve(policy_at(i)->name);
}

/* Decoding takes a block for the values and one for the strings, rendering none. */
static void messages_take_two_blocks(void **state)
{
    (void)state;
    static const char json[] = "{\"v\":1,\"op\":\"route\",\"tenant\":\"acme\",\"prompt\":\"a b c\","
                               "\"constraints\":{\"allow\":[\"a\"]},\"features\":{\"x\":1.5}}";
    static struct request r;
    struct message m;
    char out[4096];
    struct text t = text_over(out, sizeof out);
    calls = 0;
    counting = true;
    assert_int_equal(wire_open(&m, json, sizeof json - 1, &problem), STATUS_OK);
    assert_int_equal(wire_request(&m, 0, &r, &problem), STATUS_OK);
    reply_answer(&t, FEEDBACK_APPLIED, "1-2-3");
    wire_close(&m);
    counting = false;
    assert_int_equal(calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_policy_allocates),
        cmocka_unit_test(messages_take_two_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
