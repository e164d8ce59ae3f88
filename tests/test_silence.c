/* SPDX-License-Identifier: MIT */
/* What silence means: deadlines, the labels they bring, and reports that come before or after. */
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
#include "core/router/deadlines.h"
#include "tests/fold_fx.h"

enum { HOUR = 3600000, MODELS = 3, HOLDERS = 100 };
static const char DECLARED[] =
    "{\"silence\":[{\"task\":\"chat\",\"quality\":1,\"after_hours\":24},"
    "{\"tenant\":\"mute\",\"quality\":0.25,\"after_hours\":1},"
    "{\"task\":\"mail\",\"quality\":0.5,\"after_hours\":168}],\"learner\":{\"pool_labels\":0}}";

/* ---- the heap ---- */

/* Takes all out, which must come in order, and puts it back. */
static void drain_and_refill(struct deadlines *d)
{
    static struct deadline out[HOLDERS];
    int n = 0;
    for (const struct deadline *f; (f = deadlines_first(d)) != NULL; n++) {
        out[n] = *f;
        assert_true(n == 0 || out[n].due_ms > out[n - 1].due_ms ||
                    (out[n].due_ms == out[n - 1].due_ms && out[n].seq > out[n - 1].seq));
        deadlines_drop(d, f->holder);
    }
    while (n-- > 0)
        deadlines_put(d, out[n].holder, out[n].due_ms, out[n].seq);
}

/* Against a plain search, with deadlines set, moved and dropped at random. */
static void test_deadlines(void **state)
{
    (void)state;
    enum { STEPS = 20000 };
    struct deadlines d;
    int64_t due[HOLDERS] = {0};
    struct rng g = rng_stream(1, 2, 3);
    assert_true(deadlines_init(&d, HOLDERS));
    assert_null(deadlines_first(&d));
    for (int i = 0; i < STEPS; i++) {
        int h = (int)rng_below(&g, HOLDERS), first = -1;
        due[h] = rng_below(&g, 3) ? 1 + (int64_t)rng_below(&g, 50) : 0; /* many ties */
        if (due[h])
            deadlines_put(&d, h, due[h], (uint64_t)h);
        else
            deadlines_drop(&d, h);
        for (int k = 0; k < HOLDERS; k++)
            if (due[k] && (first < 0 || due[k] < due[first]))
                first = k;
        const struct deadline *got = deadlines_first(&d);
        assert_int_equal(got ? (int)got->holder : -1, first);
        if (got)
            assert_int_equal(got->due_ms, due[first]);
        if (i % 20 == 0)
            drain_and_refill(&d);
    }
    deadlines_fini(&d);
}

/* ---- labels ---- */

static void test_label(void **state)
{
    (void)state;
    struct fold *f = fold_new(DECLARED, 100);
    uint64_t chat = fold_route(f, "a", "chat");
    assert_int_equal(f->ev.decided.silence_due_ms, f->now + 24 * HOUR);
    assert_true(f->ev.decided.silence_quality == 1);
    fold_route(f, "mute", "code");
    assert_int_equal(f->ev.decided.silence_due_ms, f->now + HOUR);
    fold_route(f, "mute", "chat"); /* the first that fits */
    assert_int_equal(f->ev.decided.silence_due_ms, f->now + 24 * HOUR);
    fold_route(f, "a", "code");
    assert_int_equal(f->ev.decided.silence_due_ms, 0);
    f->now += HOUR - 1;
    assert_int_equal(fold_follow(f), 0);
    f->now += 1;
    fold_tick(f);
    assert_int_equal(fold_follow(f), 1);
    assert_true(fold_sum(f) == 0.25);
    f->now += 100 * HOUR;
    assert_int_equal(fold_follow(f), 2);
    assert_true(fold_sum(f) == 2.25);
    assert_int_equal(fold_labels(f), 3);
    assert_int_equal(fold_follow(f), 0);
    struct feedback real = fold_report(f, chat, "", 0.5); /* late by days, and it counts */
    fold_feed(f, &real);
    assert_true(fold_sum(f) == 1.75);
    assert_int_equal(fold_labels(f), 3);
    fold_feed(f, &real);
    assert_int_equal(f->result, FEEDBACK_DUPLICATE);
    fold_check(f);
    fold_free(f);
}

/* A report in time: silence has nothing to say, until that report is taken back. */
static void test_retraction(void **state)
{
    (void)state;
    for (int when = 0; when < 2; when++) { /* retracted before the deadline, or after */
        struct fold *f = fold_new(DECLARED, 100);
        uint64_t seq = fold_route(f, "a", "chat");
        struct feedback real = fold_report(f, seq, "judge", 0.5);
        fold_feed(f, &real);
        struct feedback back = fold_report(f, seq, "judge", 0);
        back.retract = true;
        f->now += (when ? 25 : 1) * HOUR;
        assert_int_equal(fold_follow(f), 0);
        fold_feed(f, &back);
        assert_int_equal(f->result, FEEDBACK_RETRACTED);
        fold_restart(f);
        assert_int_equal(fold_follow(f), when ? 1 : 0);
        f->now += 25 * HOUR;
        assert_int_equal(fold_follow(f), when ? 0 : 1);
        assert_true(fold_sum(f) == 1);
        /* and once more: displaced and back again, without another event */
        struct feedback again = fold_report(f, seq, "judge", 0.25);
        fold_feed(f, &again);
        assert_true(fold_sum(f) == 0.25);
        back = fold_report(f, seq, "judge", 0);
        back.retract = true;
        fold_feed(f, &back);
        assert_int_equal(fold_follow(f), 0);
        assert_true(fold_sum(f) == 1);
        fold_check(f);
        fold_free(f);
    }
}

/* A failed call says nothing about quality, and neither does nobody. */
static void test_failed(void **state)
{
    (void)state;
    struct fold *f = fold_new(DECLARED, 100);
    uint64_t before = fold_route(f, "a", "chat"), after = fold_route(f, "a", "chat");
    struct feedback failed = fold_report(f, before, "", 0);
    failed.has = FB_FAILED;
    failed.failed = true;
    fold_feed(f, &failed);
    f->now += 25 * HOUR;
    assert_int_equal(fold_follow(f), 1);
    assert_int_equal(fold_labels(f), 1);
    failed = fold_report(f, after, "", 0);
    failed.has = FB_FAILED;
    failed.failed = true;
    fold_feed(f, &failed);
    assert_int_equal(fold_labels(f), 0);
    failed = fold_report(f, before, "", 0);
    failed.has = FB_FAILED;
    failed.retract = true;
    fold_feed(f, &failed);
    assert_int_equal(fold_follow(f), 1); /* it was not a failure after all */
    assert_int_equal(fold_labels(f), 1);
    fold_check(f);
    fold_free(f);
}

/* The same reports with silence between them at different times: the same sums. */
static void test_order(void **state)
{
    (void)state;
    double reference[MODELS] = {0};
    for (uint64_t seed = 0; seed < 12; seed++) {
        enum { DECISIONS = 60 };
        struct fold *f = fold_new(DECLARED, 1000);
        struct rng g = rng_stream(seed, 4, 4);
        uint64_t seq[DECISIONS];
        bool told[DECISIONS] = {false};
        int silent = 0;
        for (int i = 0; i < DECISIONS; i++) {
            f->now += 1000;
            seq[i] = fold_route(f, "a", i % 2 ? "chat" : "mail");
        }
        int64_t start = f->now;
        for (int i = 0; i < DECISIONS; i++) { /* a third is told at once, a third after all */
            if (i % 3 == 0 && rng_below(&g, 2)) {
                struct feedback real = fold_report(f, seq[i], "", 0.1 + 0.01 * i);
                fold_feed(f, &real);
                told[i] = true;
            }
        }
        f->now = start + 200 * HOUR;
        silent = fold_follow(f);
        for (int i = 0; i < DECISIONS; i++) {
            if (i % 3 == 0 && !told[i]) {
                struct feedback real = fold_report(f, seq[i], "", 0.1 + 0.01 * i);
                fold_feed(f, &real);
            }
        }
        assert_true(silent >= 40 && silent <= 60);
        assert_int_equal(fold_labels(f), DECISIONS);
        fold_tick(f);
        for (int a = 0; a < MODELS; a++) {
            double q = fold_predict(f, "a", "chat", a, TARGET_QUALITY);
            if (seed == 0)
                reference[a] = q;
            assert_true(fabs(q - reference[a]) <= 1e-6); /* predictions are logged as floats */
        }
        double sum = fold_sum(f), want = 0;
        for (int i = 0; i < DECISIONS; i++)
            want += i % 3 == 0 ? 0.1 + 0.01 * i : i % 2 ? 1 : 0.5;
        assert_true(fabs(sum - want) <= 1e-9 * want);
        fold_check(f);
        fold_free(f);
    }
}

/* Any mix of deadlines is noticed in order, each at its time, through restarts and a smaller ring.
 */
static void test_restart(void **state)
{
    (void)state;
    struct fold *f = fold_new(DECLARED, 5000);
    struct rng g = rng_stream(9, 9, 9);
    int silent = 0, due = 0;
    for (int i = 0; i < 2000; i++) {
        static const char *const tasks[] = {"chat", "mail", "code"};
        f->now += (int64_t)rng_below(&g, HOUR / 2);
        uint64_t seq = fold_route(f, rng_below(&g, 3) ? "a" : "mute", tasks[rng_below(&g, 3)]);
        bool waits = f->ev.decided.silence_due_ms > 0, told = rng_below(&g, 3) == 0;
        due += waits && !told;
        if (told) {
            struct feedback real = fold_report(f, seq, "", 0.5);
            fold_feed(f, &real);
        }
        if (i % 7 == 0)
            silent += fold_follow(f);
        if (i % 300 == 299)
            fold_restart(f);
    }
    fold_check(f);
    f->now += 200 * HOUR;
    silent += fold_follow(f);
    assert_int_equal(silent, due);
    fold_check(f);
    fold_free(f);
}

/* A decision that leaves memory before its deadline is not labelled; one that was, keeps its label
 * in its book, where a report displaces it. */
static void test_leaves_memory(void **state)
{
    (void)state;
    struct fold *f = fold_new(DECLARED, 4);
    uint64_t spoken = fold_route(f, "mute", "code");
    f->now += 2 * HOUR;
    assert_int_equal(fold_follow(f), 1);
    for (int i = 0; i < 8; i++)
        fold_route(f, "a", "chat");
    assert_false(router_has(f->router, spoken));
    f->now += 24 * HOUR;
    assert_int_equal(fold_follow(f), 4);
    assert_int_equal(fold_labels(f), 5);
    struct feedback real = fold_report(f, spoken, "", 0.75);
    fold_feed(f, &real);
    assert_int_equal(fold_labels(f), 5);
    assert_true(fabs(fold_sum(f) - 4.75) < 1e-12);
    assert_int_equal(fold_follow(f), 0);
    fold_check(f);
    fold_free(f);
}

/* However many messages and sources a decision has, there is room for silence, and for no more of
 * the callers' than before. */
static void test_room(void **state)
{
    (void)state;
    struct fold *f = fold_new(DECLARED, 100);
    for (int spoken = 0; spoken < 2; spoken++) {
        uint64_t seq = fold_route(f, "a", "chat");
        if (spoken) {
            f->now += 25 * HOUR;
            assert_int_equal(fold_follow(f), 1);
        }
        for (int i = 0; i < 12; i++) {
            char source[16];
            (void)snprintf(source, sizeof source, "s%d", i % 4);
            struct feedback cost = fold_report(f, seq, source, 0);
            cost.has = FB_LATENCY;
            cost.latency_ms = 100 + i;
            fold_feed(f, &cost);
        }
        struct feedback one_more = fold_report(f, seq, "s0", 0.5);
        assert_int_equal(
            router_feedback(f->router, f->now, &one_more, NULL, &f->ev, &f->result, &f->problem),
            STATUS_CONFLICT);
        f->now += 25 * HOUR;
        assert_int_equal(fold_follow(f), spoken ? 0 : 1);
    }
    uint64_t seq = fold_route(f, "a", "chat");
    for (int i = 0; i < 4; i++) {
        char source[16];
        (void)snprintf(source, sizeof source, "s%d", i);
        struct feedback r = fold_report(f, seq, source, 0.5);
        fold_feed(f, &r);
    }
    struct feedback fifth = fold_report(f, seq, "s4", 0.5);
    assert_int_equal(
        router_feedback(f->router, f->now, &fifth, NULL, &f->ev, &f->result, &f->problem),
        STATUS_CONFLICT);
    fold_check(f);
    fold_free(f);
}

/* What was declared when the decision was made holds, whatever is configured later; frozen, the
 * label is kept and learned after. */
static void test_configuration(void **state)
{
    (void)state;
    struct fold *f = fold_new(DECLARED, 100);
    fold_route(f, "a", "chat");
    fold_configure(f, "{\"silence\":[],\"learner\":{\"frozen\":true}}");
    fold_route(f, "a", "chat");
    assert_int_equal(f->ev.decided.silence_due_ms, 0);
    f->now += 25 * HOUR;
    assert_int_equal(fold_follow(f), 1);
    assert_int_equal(fold_labels(f), 0);
    fold_configure(f, "{\"learner\":{\"frozen\":false}}");
    assert_int_equal(fold_labels(f), 1);
    fold_check(f);
    fold_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadlines),     cmocka_unit_test(test_label),
        cmocka_unit_test(test_retraction),    cmocka_unit_test(test_failed),
        cmocka_unit_test(test_order),         cmocka_unit_test(test_restart),
        cmocka_unit_test(test_leaves_memory), cmocka_unit_test(test_room),
        cmocka_unit_test(test_configuration),
    };
    return cmocka_run_group_tests_name("silence", tests, NULL, NULL);
}
