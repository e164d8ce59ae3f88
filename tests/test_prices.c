/* SPDX-License-Identifier: MIT */
/* Prices: what follows what, prices to come, batch and reasoning tokens, models without prices. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/budget/window.h"
#include "tests/fold_fx.h"

#define MID "{\"models\":[{\"name\":\"mid\","

static const struct model *model_of(const struct fold *f, const char *name)
{
    const struct catalog *c = &router_params(f->router)->catalog;
    int slot = catalog_find(c, name);
    assert_true(slot >= 0);
    return &c->model[slot];
}

static void assert_rates(const struct rates *r, int64_t in, int64_t cached, int64_t out,
                         int64_t reasoning)
{
    assert_int_equal(r->in, in);
    assert_int_equal(r->cached, cached);
    assert_int_equal(r->out, out);
    assert_int_equal(r->reasoning, reasoning);
}

/* A price that was not said follows the one it hangs on, one that was said stays. */
static void test_follow(void **state)
{
    (void)state;
    struct fold *f = fold_new("{}", 100);
    fold_configure(f, MID "\"usd_per_mtok_in\":4,\"usd_per_mtok_out\":8}]}");
    assert_rates(&model_of(f, "mid")->price, 4000000, 4000000, 8000000, 8000000);
    assert_rates(&model_of(f, "mid")->batch, 4000000, 4000000, 8000000, 8000000);
    fold_configure(f, MID "\"usd_per_mtok_cached_in\":1,\"usd_per_mtok_batch_in\":2,"
                          "\"usd_per_mtok_batch_out\":4}]}");
    assert_rates(&model_of(f, "mid")->price, 4000000, 1000000, 8000000, 8000000);
    assert_rates(&model_of(f, "mid")->batch, 2000000, 1000000, 4000000, 4000000);
    fold_configure(f, MID "\"usd_per_mtok_in\":6,\"usd_per_mtok_out\":10,"
                          "\"usd_per_mtok_reasoning\":12}]}");
    assert_rates(&model_of(f, "mid")->price, 6000000, 1000000, 10000000, 12000000);
    assert_rates(&model_of(f, "mid")->batch, 2000000, 1000000, 4000000, 4000000);
    fold_configure(f, MID "\"usd_per_mtok_cached_in\":3}]}");
    assert_rates(&model_of(f, "mid")->batch, 2000000, 2000000, 4000000, 4000000);
    fold_check(f);
    fold_free(f);
}

static enum status refused(struct fold *f, const char *patch)
{
    struct params p = *router_params(f->router);
    return config_patch(&p, patch, strlen(patch), &f->problem);
}

static void test_refused(void **state)
{
    (void)state;
    struct fold *f = fold_new("{}", 100);
    assert_int_equal(refused(f, MID "\"prices\":[{\"from\":\"soon\",\"usd_per_mtok_in\":1,"
                                    "\"usd_per_mtok_out\":1}]}]}"),
                     STATUS_BAD_REQUEST);
    assert_string_equal(f->problem.path, "/models/0/prices/0/from");
    assert_int_equal(
        refused(f, MID "\"prices\":[{\"from\":\"2030-01-01T00:00:00Z\",\"usd_per_mtok_in\":1}]}]}"),
        STATUS_BAD_REQUEST);
    assert_string_equal(f->problem.path, "/models/0/prices/0/usd_per_mtok_out");
    assert_int_equal(refused(f, MID
                             "\"prices\":[{\"from\":\"2030-01-01T00:00:00Z\",\"usd_per_mtok_in\":1,"
                             "\"usd_per_mtok_out\":1},{\"from\":\"2029-01-01T00:00:00Z\","
                             "\"usd_per_mtok_in\":1,\"usd_per_mtok_out\":1}]}]}"),
                     STATUS_BAD_REQUEST);
    assert_string_equal(f->problem.path, "/models/0/prices/1");
    assert_int_equal(refused(f, MID "\"from\":\"2030-01-01T00:00:00Z\"}]}"), STATUS_UNKNOWN_FIELD);
    fold_free(f);
}

static void teach_lengths(struct fold *f, int n)
{
    for (int i = 0; i < n; i++) {
        f->now += 1000;
        uint64_t seq = fold_route(f, "a", "t");
        struct feedback r = fold_report(f, seq, "", 0.8);
        r.has |= FB_OUTPUT_TOKENS;
        r.output_tokens = 300;
        fold_feed(f, &r);
        fold_follow(f);
    }
    fold_tick(f);
}

/* A price to come takes effect at its time, as a fact, with nothing relearned; a decision at that
 * very moment has it, and replay and a snapshot have the same state. */
static void test_to_come(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"policy\":{\"name\":\"fixed\",\"model\":\"mid\"},"
                              "\"budget\":{\"usd_per_request\":0.001}}",
                              1000);
    char at[WINDOW_TIME_CAP], patch[512];
    f->now = 1900000000000;
    teach_lengths(f, 30);
    int64_t was = model_of(f, "mid")->price.out, from = f->now + 60000;
    window_time_write(from, at);
    (void)snprintf(patch, sizeof patch,
                   MID "\"prices\":[{\"from\":\"%s\",\"usd_per_mtok_in\":1,"
                       "\"usd_per_mtok_out\":50,\"usd_per_mtok_batch_out\":25},"
                       "{\"from\":\"2040-01-01T00:00:00Z\",\"usd_per_mtok_in\":2,"
                       "\"usd_per_mtok_out\":3}]}]}",
                   at);
    fold_configure(f, patch);
    fold_follow(f);
    f->now = from - 1;
    assert_false(router_reprices(f->router, f->now));
    fold_route(f, "a", "t");
    assert_int_equal(f->ev.decided.price_out, was);
    fold_restart(f);
    f->now = from;
    assert_true(router_reprices(f->router, f->now));
    int64_t labels = fold_labels(f);
    double tokens = fold_predict(f, "a", "t", 1, TARGET_TOKENS);
    fold_follow(f);
    assert_rates(&model_of(f, "mid")->price, 1000000, 1000000, 50000000, 50000000);
    assert_rates(&model_of(f, "mid")->batch, 1000000, 1000000, 25000000, 25000000);
    assert_int_equal(model_of(f, "mid")->n_later, 1);
    assert_int_equal(labels, fold_labels(f));
    assert_true(fabs(fold_predict(f, "a", "t", 1, TARGET_TOKENS) / tokens - 1) < 1e-5); /* time */
    fold_route(f, "a", "t");
    assert_int_equal(f->ev.decided.price_out, 50000000);
    assert_true(f->ev.decided.booked_nano > 10000000); /* some 300 tokens, $50 per million */
    /* The same file again, late: what is over is not brought back. */
    fold_configure(f, patch);
    assert_rates(&model_of(f, "mid")->price, 1000000, 1000000, 50000000, 50000000);
    assert_int_equal(model_of(f, "mid")->n_later, 1);
    fold_check(f);
    fold_free(f);
}

static void test_batch(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"policy\":{\"name\":\"fixed\",\"model\":\"mid\"}}", 1000);
    fold_configure(f, MID "\"usd_per_mtok_in\":4,\"usd_per_mtok_out\":8,"
                          "\"usd_per_mtok_batch_in\":2,\"usd_per_mtok_batch_out\":4}]}");
    teach_lengths(f, 30);
    struct request *r = fold_request("a", "t");
    fold_ask(f, r);
    int64_t booked = f->ev.decided.booked_nano;
    r = fold_request("a", "t");
    r->batch = true;
    r->digest++;
    fold_ask(f, r);
    assert_true(f->ev.decided.batch);
    assert_int_equal(f->ev.decided.price_in, 2000000);
    assert_int_equal(f->ev.decided.price_out, 4000000);
    assert_true(llabs(2 * f->ev.decided.booked_nano - booked) < booked / 50);
    fold_check(f);
    fold_free(f);
}

/* Reasoning tokens are output tokens at a price of their own; what is expected follows. */
static void test_reasoning(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"policy\":{\"name\":\"fixed\",\"model\":\"mid\"}}", 1000);
    struct router_stats before, after;
    fold_configure(f, MID "\"usd_per_mtok_in\":0,\"usd_per_mtok_out\":10,"
                          "\"usd_per_mtok_reasoning\":30}]}");
    for (int i = 0; i < 60; i++) {
        f->now += 1000;
        uint64_t seq = fold_route(f, "a", "t");
        struct feedback r = fold_report(f, seq, "", 0);
        r.has = FB_OUTPUT_TOKENS | FB_REASONING_TOKENS;
        r.output_tokens = 200;
        r.reasoning_tokens = 100;
        router_stats(f->router, &before);
        int64_t booked = f->ev.decided.booked_nano;
        fold_feed(f, &r);
        router_stats(f->router, &after);
        /* 100 x $10 + 100 x $30 per million */
        assert_int_equal(after.spent_nano - before.spent_nano, 4000000 - booked);
        fold_follow(f);
    }
    fold_tick(f);
    fold_route(f, "a", "t");
    assert_true(f->ev.decided.booked_nano > 3600000 && f->ev.decided.booked_nano < 4400000);
    fold_check(f);
    fold_free(f);
}

/* In a strict pool of dollars a model without prices has no worst case, unless 0 is meant. */
static void test_unpriced(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"pools\":[{\"name\":\"all\",\"mode\":\"strict\","
                              "\"window\":\"day\",\"usd\":1}]}",
                              1000);
    fold_configure(f, MID "\"usd_per_mtok_in\":0,\"usd_per_mtok_out\":0}]}");
    assert_true(model_unpriced(model_of(f, "mid")));
    struct request *r = fold_request("a", "t");
    r->max_output_tokens = 100;
    fold_ask(f, r);
    assert_false(f->ev.decided.eligible >> 1 & 1);
    assert_true(f->ev.decided.reasons & REASON_BUDGET);
    r->constraints.n_allow = 1;
    r->constraints.allow[0] = "mid";
    r->digest++;
    (void)snprintf(r->request_id, NAME_CAP, "%s", "another");
    assert_int_equal(fold_try(f, r), STATUS_BUDGET_EXHAUSTED);
    assert_non_null(strstr(f->problem.text, "has no prices"));
    fold_configure(f, MID "\"free\":true}]}");
    assert_int_equal(fold_try(f, r), STATUS_OK);
    assert_int_equal(f->ev.decided.arm, 1);
    fold_check(f);
    fold_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follow),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_to_come),   cmocka_unit_test(test_batch),
        cmocka_unit_test(test_reasoning), cmocka_unit_test(test_unpriced),
    };
    return cmocka_run_group_tests_name("prices", tests, NULL, NULL);
}
