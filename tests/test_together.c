/* SPDX-License-Identifier: MIT */
/*
 * Where features meet: what is learned under one configuration and taken back under another, and
 * silence that is corrected. Each test is a sequence that once ended in a state which no sequence
 * should.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/limits.h"
#include "tests/fold_fx.h"

enum { HOUR = 3600000, MODELS = 3 };
#define PLAIN "\"learner\":{\"pool_labels\":0,\"drift_threshold\":0}"

/* ---- silence ---- */

/* A book that is full of reports and of what took them back still has room for silence. */
static void test_silence_in_full_book(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"silence\":[{\"quality\":1,\"after_hours\":1}]}", 100);
    uint64_t seq = fold_route(f, "a", "chat");
    for (int i = 0; i < SEEN_REPORTS; i++) {
        struct feedback r = fold_report(f, seq, "judge", 0.5);
        fold_feed(f, &r);
    }
    struct feedback back = fold_report(f, seq, "judge", 0);
    back.retract = true;
    fold_feed(f, &back);
    f->now += 2 * HOUR;
    assert_int_equal(fold_follow(f), 1);
    assert_true(fold_sum(f) == 1);
    fold_check(f);
    fold_free(f);
}

/* What silence said can be taken back, and does not come again. */
static void test_silence_taken_back(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"silence\":[{\"quality\":1,\"after_hours\":1}]}", 100);
    uint64_t seq = fold_route(f, "a", "chat");
    f->now += 2 * HOUR;
    assert_int_equal(fold_follow(f), 1);
    struct feedback back = fold_report(f, seq, SILENCE_SOURCE, 0);
    back.retract = true;
    assert_int_equal(fold_correct(f, &back), STATUS_OK);
    assert_int_equal(fold_labels(f), 0);
    for (int i = 0; i < 3; i++) {
        f->now += 2 * HOUR;
        router_follow(f->router, f->now, &f->ev);
        assert_int_equal(f->ev.kind, EVENT_NONE);
    }
    fold_restart(f);
    assert_int_equal(fold_follow(f), 0);
    struct feedback real = fold_report(f, seq, "judge", 0.5);
    fold_feed(f, &real);
    assert_true(fold_sum(f) == 0.5);
    fold_check(f);
    fold_free(f);
}

/* To ignore silence would have no effect: it is refused. */
static void test_silence_ignored(void **state)
{
    (void)state;
    static const char patch[] = "{\"feedback\":{\"ignore_sources\":[\"bot\",\"silence\"]}}";
    struct fold *f = fold_new("{" PLAIN "}", 100);
    struct params p = *router_params(f->router);
    assert_int_equal(config_patch(&p, patch, strlen(patch), &f->problem), STATUS_BAD_REQUEST);
    assert_string_equal(f->problem.path, "/feedback/ignore_sources/1");
    fold_free(f);
}

/* ---- taking back under another configuration ---- */

/* The quality predicted of all models for each tenant. */
struct view {
    double q[2][MODELS];
};

static struct view look(struct fold *f)
{
    static const char *const tenant[] = {"other", "acme"};
    struct view v;
    fold_tick(f);
    for (int t = 0; t < 2; t++)
        for (int a = 0; a < MODELS; a++)
            v.q[t][a] = fold_predict(f, tenant[t], "chat", a, TARGET_QUALITY);
    return v;
}

static void same(const struct view *a, const struct view *b)
{
    for (int t = 0; t < 2; t++)
        for (int m = 0; m < MODELS; m++)
            if (fabs(a->q[t][m] - b->q[t][m]) > 1e-4)
                fail_msg("tenant %d, model %d: %.6f, not %.6f", t, m, b->q[t][m], a->q[t][m]);
}

/* The fixture teaches for the tenant "acme". */
static void teach(struct fold *f, int n, double quality, uint64_t *seq)
{
    struct feedback out = {.has = FB_QUALITY | FB_OUTPUT_TOKENS | FB_COST,
                           .quality = quality,
                           .output_tokens = 100000,
                           .cost_nano = 7000000,
                           .version = -1};
    for (int i = 0; i < n; i++) {
        f->now += 1000;
        fold_teach_of(f, "acme", "chat", "mid", &out);
        seq[i] = f->ev.seq;
    }
}

static void live(struct fold *f, int n, double quality)
{
    for (int i = 0; i < n; i++) {
        f->now += 1000;
        uint64_t seq = fold_route(f, i % 2 ? "acme" : "other", "chat");
        struct feedback r = fold_report(f, seq, "judge", quality);
        fold_feed(f, &r);
        fold_follow(f);
    }
}

/* History goes out of the learners that it went into, whatever the tenant shares by then. */
static void test_history_and_sharing(void **state)
{
    (void)state;
    enum { ROWS = 40 };
    static const char *const shares[] = {"false", "true"};
    for (int was = 0; was < 2; was++) {
        uint64_t seq[ROWS];
        char patch[128];
        struct fold *f = fold_new("{" PLAIN "}", 100);
        (void)snprintf(patch, sizeof patch, "{\"learners\":[{\"tenant\":\"acme\",\"shares\":%s}]}",
                       shares[was]);
        fold_configure(f, patch);
        live(f, 60, 0.7);
        struct view before = look(f);
        teach(f, ROWS, 0, seq);
        (void)snprintf(patch, sizeof patch, "{\"learners\":[{\"tenant\":\"acme\",\"shares\":%s}]}",
                       shares[!was]);
        fold_configure(f, patch);
        struct view taught = look(f);
        for (int i = 0; i < ROWS; i++)
            assert_int_equal(fold_unteach(f, seq[i]), STATUS_OK);
        struct view after = look(f);
        if (was) { /* an isolated tenant moves nothing of others', what it shared before stays */
            memcpy(before.q[0], taught.q[0], sizeof before.q[0]);
            memcpy(before.q[1], after.q[1], sizeof before.q[1]);
        }
        same(&before, &after);
        fold_check(f);
        fold_free(f);
    }
}

/* History goes out as it came in, whatever the bounds are by then. */
static void test_history_and_bounds(void **state)
{
    (void)state;
    enum { ROWS = 40 };
    for (int wider = 0; wider < 2; wider++) {
        uint64_t seq[ROWS];
        struct fold *f = fold_new("{\"learner\":{\"pool_labels\":0,\"drift_threshold\":0,"
                                  "\"most_off\":10}}",
                                  100);
        live(f, 60, 0.7);
        fold_tick(f);
        double before = fold_predict(f, "acme", "chat", 1, TARGET_TOKENS);
        teach(f, ROWS, 0, seq);
        fold_configure(f,
                       wider ? "{\"learner\":{\"most_off\":0}}" : "{\"learner\":{\"most_off\":2}}");
        for (int i = 0; i < ROWS; i++)
            assert_int_equal(fold_unteach(f, seq[i]), STATUS_OK);
        fold_tick(f);
        double after = fold_predict(f, "acme", "chat", 1, TARGET_TOKENS);
        if (fabs(after / before - 1) > 1e-3)
            fail_msg("tokens %.2f, then %.2f", before, after);
        fold_check(f);
        fold_free(f);
    }
}

/* Features that went and came back know nothing of what was learned before they went: labels from
 * then are beyond reach. */
static void test_features_return(void **state)
{
    (void)state;
    enum { ROWS = 60, OPEN = 8 };
    struct fold *f = fold_new("{" PLAIN "}", OPEN);
    uint64_t seq[ROWS], taught[1];
    for (int i = 0; i < ROWS; i++) {
        f->now += 1000;
        seq[i] = fold_route(f, "a", "chat");
        struct feedback r = fold_report(f, seq[i], "bot", 0.1);
        fold_feed(f, &r);
    }
    teach(f, 1, 0, taught);
    fold_configure(f, "{\"features\":{\"shape\":false}}");
    fold_configure(f, "{\"features\":{\"shape\":true}}");
    live(f, 4, 0.7);
    struct view before = look(f);
    for (int i = 0; i < ROWS; i++) {
        struct feedback back = fold_report(f, seq[i], "bot", 0);
        back.retract = true;
        assert_int_equal(fold_correct(f, &back), STATUS_OK);
    }
    assert_int_equal(fold_unteach(f, taught[0]), STATUS_CONFLICT);
    struct view after = look(f);
    same(&before, &after);
    live(f, 60, 1); /* and it goes on learning */
    after = look(f);
    double moved = 0;
    for (int m = 0; m < MODELS; m++)
        moved += fabs(after.q[0][m] - before.q[0][m]);
    assert_true(moved > 0.05);
    fold_check(f);
    fold_free(f);
}

/* Forgetting that was made slower or faster: old rows weigh what they weighed. */
static void test_half_life_changes(void **state)
{
    (void)state;
    enum { ROWS = 60 };
    static const char *const then[] = {"{\"learner\":{\"half_life_hours\":0}}",
                                       "{\"learner\":{\"half_life_hours\":1000}}",
                                       "{\"learner\":{\"half_life_hours\":1}}"};
    static struct router_stats stats;
    for (size_t k = 0; k < sizeof then / sizeof then[0]; k++) {
        struct fold *f = fold_new("{\"learner\":{\"pool_labels\":0,\"drift_threshold\":0,"
                                  "\"half_life_hours\":3}}",
                                  1000);
        struct fold *clean = fold_new("{\"learner\":{\"pool_labels\":0,\"drift_threshold\":0,"
                                      "\"half_life_hours\":3}}",
                                      1000);
        uint64_t seq[ROWS];
        for (int i = 0; i < ROWS; i++) {
            f->now = clean->now += 1000;
            seq[i] = fold_route(f, "a", "chat");
            (void)fold_route(clean, "a", "chat");
            struct feedback r = fold_report(f, seq[i], "bot", 0);
            r.has |= FB_COST | FB_OUTPUT_TOKENS;
            r.cost_nano = 1000000;
            r.output_tokens = 10;
            fold_feed(f, &r);
        }
        f->now = clean->now += 30 * HOUR;
        fold_configure(f, then[k]);
        fold_configure(clean, then[k]);
        f->now = clean->now += HOUR;
        for (int i = 0; i < ROWS; i++) {
            struct feedback back = fold_report(f, seq[i], "bot", 0);
            back.retract = true;
            back.has = 0; /* all that it said */
            assert_int_equal(fold_correct(f, &back), STATUS_OK);
        }
        struct view a = look(clean), b = look(f);
        same(&a, &b);
        live(f, 30, 0.5); /* not from below nothing */
        router_stats(f->router, &stats);
        for (int m = 0; m < MODELS; m++)
            assert_true(fabs(stats.model[m].cost_ratio - 1) < 1e-6);
        fold_check(f);
        fold_free(f);
        fold_free(clean);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence_in_full_book), cmocka_unit_test(test_silence_taken_back),
        cmocka_unit_test(test_silence_ignored),      cmocka_unit_test(test_history_and_sharing),
        cmocka_unit_test(test_history_and_bounds),   cmocka_unit_test(test_features_return),
        cmocka_unit_test(test_half_life_changes),
    };
    cmocka_set_test_filter(getenv("PURSER_TEST")); /* one test by name */
    return cmocka_run_group_tests_name("together", tests, NULL, NULL);
}
