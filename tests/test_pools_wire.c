/* SPDX-License-Identifier: MIT */
/* What operators do with budgets, on the real service: lending and clawing back, an override that
 * runs out, kill switches for a pool, a user, a session and a model. Each request reserves, and
 * keeps, 200 microdollars. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <time.h>
#include "tests/service.h"

static const enum purser_client_door R = PURSER_CLIENT_ROUTE, C = PURSER_CLIENT_CONTROL;

static const char pools[] =
    "\"pools\":["
    "{\"name\":\"org\",\"match\":{\"group\":\"g\"},\"usd\":0.002,\"window\":\"year\"},"
    "{\"name\":\"busy\",\"parent\":\"org\",\"match\":{\"tenant\":\"busy\"},\"usd\":0.001,"
    "\"borrow\":true},"
    "{\"name\":\"calm\",\"parent\":\"org\",\"match\":{\"tenant\":\"calm\"},\"usd\":0.001,"
    "\"keep\":0.2},"
    "{\"name\":\"each\",\"match\":{\"tenant\":\"many\"},\"each\":\"user\",\"usd\":0.0004,"
    "\"window\":\"year\"}]";

static const char *ask(struct service *s, const char *members)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"v\":1,\"op\":\"route\",\"prompt_tokens\":1000,\"max_output_tokens\":1000,%s}",
             members);
    return service_call(s, R, json);
}

/* How many of n requests to the cheapest model are admitted; the others must be refused as `code`
 * says. */
static int admitted(struct service *s, const char *labels, int n, const char *code)
{
    char members[256], error[64];
    int ok = 0;
    snprintf(members, sizeof members, "%s,\"constraints\":{\"allow\":[\"small-1\"]}", labels);
    snprintf(error, sizeof error, "error:%s", code);
    for (int i = 0; i < n; i++) {
        const char *reply = ask(s, members);
        bool routed = strstr(reply, "\"decision_id\"") != NULL;
        ok += routed;
        if (!routed)
            assert_string_equal(reply, error);
    }
    return ok;
}

static const char *control(struct service *s, const char *op, const char *members)
{
    char json[512];
    snprintf(json, sizeof json, "{\"v\":1,\"op\":\"%s\",%s}", op, members);
    return service_call(s, C, json);
}

static void change(struct service *s, const char *op, const char *members)
{
    assert_null(strstr(control(s, op, members), "error:"));
}

static void expect_pool(struct service *s, const char *pool, const char *text)
{
    char name[64];
    snprintf(name, sizeof name, "\"pool\":\"%s\"", pool);
    const char *list = control(s, "pools.list", name);
    if (!strstr(list, text))
        fail_msg("no %s in %s", text, list);
}

static const char busy[] = "\"tenant\":\"busy\",\"group\":\"g\"",
                  calm[] = "\"tenant\":\"calm\",\"group\":\"g\"", exhausted[] = "budget_exhausted";

static int setup(void **state)
{
    return service_begin(state, pools);
}

/* Its own 5 and the 4 that calm does not keep; what was spent on credit stays spent, the parent
 * holds for both. */
static void test_lend(void **state)
{
    struct service *s = *state;
    expect_pool(s, "busy", "\"cap_usd\":0.001,\"left_usd\":0.0018");
    assert_int_equal(admitted(s, busy, 20, exhausted), 9);
    expect_pool(s, "busy", "\"used_usd\":0.0018");
    expect_pool(s, "busy", "\"left_usd\":0");
    expect_pool(s, "calm", "\"used_usd\":0,");
    assert_int_equal(admitted(s, calm, 5, exhausted), 1); /* the last of org */
    expect_pool(s, "org", "\"used_usd\":0.002,");
}

/* What the lender spends, it does not lend any more. */
static void test_lender_spends(void **state)
{
    struct service *s = *state;
    assert_int_equal(admitted(s, calm, 3, exhausted), 3);
    expect_pool(s, "busy", "\"left_usd\":0.0012");
    assert_int_equal(admitted(s, busy, 20, exhausted), 6);
    assert_int_equal(admitted(s, calm, 20, exhausted), 1); /* org is full */
}

/* Called back while it is lent: what is not spent returns at once, and for good over a kill. */
static void test_claw_back(void **state)
{
    struct service *s = *state;
    assert_int_equal(admitted(s, busy, 6, exhausted), 6); /* one on credit */
    expect_pool(s, "busy", "\"left_usd\":0.0006");
    change(s, "pools.set", "\"pool\":\"calm\",\"set\":{\"keep\":0.8}"); /* lends one */
    expect_pool(s, "busy", "\"left_usd\":0,");
    assert_int_equal(admitted(s, busy, 5, exhausted), 0);
    assert_int_equal(service_stop(s, SIGKILL), -SIGKILL);
    service_start(s);
    assert_int_equal(admitted(s, busy, 5, exhausted), 0);
    assert_int_equal(admitted(s, calm, 20, exhausted), 4); /* what org has left of its ten */
    /* Nobody may lend to a pool that borrows no more. */
    assert_string_equal(control(s, "pools.set", "\"pool\":\"calm\",\"set\":{\"keep\":1}"),
                        "error:bad_request");
}

static void until(char out[32], int seconds)
{
    struct timespec now; /* time() may lag some milliseconds behind */
    clock_gettime(CLOCK_REALTIME, &now);
    time_t at = now.tv_sec + seconds;
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void lift(struct service *s, const char *end)
{
    char members[256];
    snprintf(
        members, sizeof members,
        "\"pool\":\"each\",\"set\":{\"override\":{\"for\":\"ann\",\"usd\":1,\"until\":\"%s\"}}",
        end);
    change(s, "pools.set", members);
}

/* For one user of a pool for each, until a moment. */
static void test_override(void **state)
{
    struct service *s = *state;
    const char *ann = "\"tenant\":\"many\",\"user\":\"ann\"",
               *bob = "\"tenant\":\"many\",\"user\":\"bob\"";
    char now[32], end[32];
    assert_int_equal(admitted(s, ann, 5, exhausted), 2);
    assert_int_equal(admitted(s, bob, 5, exhausted), 2);
    until(end, 3600);
    lift(s, end);
    assert_int_equal(admitted(s, ann, 3, exhausted), 3);
    assert_int_equal(admitted(s, bob, 3, exhausted), 0);
    expect_pool(s, "each", "\"cap_usd\":1,");
    until(end, 2);
    lift(s, end);
    for (int64_t stop = service_ms() + 30000;
         admitted(s, ann, 1, exhausted) == 1 && service_ms() < stop;)
        ;
    until(now, 0);
    assert_true(strcmp(now, end) >= 0);                  /* not before its time */
    assert_int_equal(admitted(s, ann, 3, exhausted), 0); /* and by itself */
}

static void test_kill_pool(void **state)
{
    struct service *s = *state;
    assert_int_equal(admitted(s, busy, 1, "throttled"), 1);
    change(s, "pools.set", "\"pool\":\"org\",\"set\":{\"kill\":true}");
    assert_int_equal(admitted(s, busy, 2, "throttled"), 0); /* with all below it */
    assert_int_equal(admitted(s, calm, 2, "throttled"), 0);
    assert_int_equal(admitted(s, "\"tenant\":\"other\"", 1, "throttled"), 1);
    assert_int_equal(service_stop(s, SIGKILL), -SIGKILL);
    service_start(s); /* it stays */
    assert_int_equal(admitted(s, busy, 2, "throttled"), 0);
    change(s, "pools.set", "\"pool\":\"org\",\"set\":{\"kill\":null}");
    assert_int_equal(admitted(s, busy, 1, "throttled"), 1);
    expect_pool(s, "org", "\"used_usd\":0.0004");
}

/* A switch for a user or a session is a pool that matches it, made and removed live. */
static void test_kill_user_and_session(void **state)
{
    struct service *s = *state;
    const char *mallory = "\"tenant\":\"t\",\"user\":\"mallory\"",
               *loop = "\"tenant\":\"t\",\"session\":\"loop-1\"", *other = "\"tenant\":\"t\"";
    change(s, "pools.set",
           "\"pool\":\"stop-mallory\",\"add\":true,"
           "\"set\":{\"match\":{\"user\":\"mallory\"},\"kill\":true}");
    change(s, "pools.set",
           "\"pool\":\"stop-loop\",\"add\":true,"
           "\"set\":{\"match\":{\"session\":\"loop-1\"},\"kill\":true}");
    assert_string_equal(control(s, "pools.set", "\"pool\":\"stop-loop\",\"add\":true,\"set\":{}"),
                        "error:bad_request");
    assert_int_equal(admitted(s, mallory, 2, "throttled"), 0);
    assert_int_equal(admitted(s, loop, 2, "throttled"), 0);
    assert_int_equal(admitted(s, other, 2, "throttled"), 2);
    change(s, "pools.set", "\"pool\":\"stop-mallory\",\"remove\":true");
    assert_string_equal(control(s, "pools.set", "\"pool\":\"stop-mallory\",\"remove\":true"),
                        "error:bad_request");
    assert_int_equal(admitted(s, mallory, 2, "throttled"), 2);
    assert_int_equal(admitted(s, loop, 2, "throttled"), 0);
    assert_true(service_logged(s, "event=kill_on pool=stop-mallory"));
    assert_true(service_logged(s, "event=kill_off pool=stop-mallory"));
}

/* A model: withdrawn, or stopped by a pool that matches it; the others serve on. */
static void test_kill_model(void **state)
{
    struct service *s = *state;
    const char *fields = "\"models\":[{\"name\":\"small-1\",\"tier\":\"small\","
                         "\"usd_per_mtok_in\":0.1,\"usd_per_mtok_out\":0.1%s}]";
    char members[256];
    change(s, "pools.set",
           "\"pool\":\"stop-small\",\"add\":true,"
           "\"set\":{\"match\":{\"model\":\"small-1\"},\"kill\":true}");
    assert_int_equal(admitted(s, "\"tenant\":\"t\"", 2, "throttled"), 0);
    for (int i = 0; i < 20; i++)
        assert_null(strstr(ask(s, "\"tenant\":\"t\""), "\"model\":\"small-1\""));
    change(s, "pools.set", "\"pool\":\"stop-small\",\"remove\":true");
    snprintf(members, sizeof members, fields, ",\"active\":false");
    change(s, "models.set", members);
    assert_int_equal(admitted(s, "\"tenant\":\"t\"", 2, "no_eligible_model"), 0);
    for (int i = 0; i < 20; i++)
        assert_null(strstr(ask(s, "\"tenant\":\"t\""), "\"model\":\"small-1\""));
    snprintf(members, sizeof members, fields, ",\"active\":true");
    change(s, "models.set", members);
    assert_int_equal(admitted(s, "\"tenant\":\"t\"", 2, "no_eligible_model"), 2);
}

/* Replies ahead of the disk: a stop in order takes nothing, a kill the leases of what was in use,
 * until the window has passed. */
static void test_relaxed(void **state)
{
    struct service *s = *state;
    assert_int_equal(service_stop(s, SIGTERM), 0);
    s->store = "\"map_gib\":1,\"durability\":\"relaxed\"";
    service_configure(s, "", pools);
    service_start(s);
    assert_int_equal(admitted(s, busy, 2, exhausted), 2);
    expect_pool(s, "busy", "\"used_usd\":0.0004,");
    assert_int_equal(service_stop(s, SIGTERM), 0);
    service_start(s);
    assert_null(strstr(control(s, "pools.list", "\"pool\":\"busy\""), "stranded"));
    expect_pool(s, "busy", "\"used_usd\":0.0004,");
    assert_int_equal(admitted(s, busy, 1, exhausted), 1);
    expect_pool(s, "busy", "\"used_usd\":0.0006,"); /* by then it is on the disk */
    (void)service_stop(s, SIGKILL);
    service_start(s);
    assert_true(service_logged(s, "event=leases_lost"));
    expect_pool(s, "busy", "\"used_usd\":0.00061,"); /* a hundredth of the cap */
    expect_pool(s, "busy", "\"stranded_usd\":0.00001,");
    expect_pool(s, "org", "\"stranded_usd\":0.00002,");
    change(s, "pools.set", "\"pool\":\"late\",\"add\":true,\"set\":{\"usd\":1}");
    assert_int_equal(admitted(s, "\"user\":\"n\"", 2, exhausted), 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, service_end)
    const struct CMUnitTest tests[] = {
        T(test_lend),      T(test_lender_spends),         T(test_claw_back),  T(test_override),
        T(test_kill_pool), T(test_kill_user_and_session), T(test_kill_model), T(test_relaxed)};
#undef T
    cmocka_set_test_filter(getenv("PURSER_TEST")); /* one test by name */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
