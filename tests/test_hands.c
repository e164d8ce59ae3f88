/* SPDX-License-Identifier: MIT */
/* Threads that share out a decision: every index once, and the same log as one thread makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>
#include "core/encoding/text.h"
#include "tests/fold_fx.h"
#include "transport/hands.h"

enum { LOOPS = 20000, LENGTH_MOST = 64, DECISIONS = 120, MODELS = 24 };

struct counts {
    _Atomic int times[LENGTH_MOST];
};

static void count(void *arg, int i)
{
    struct counts *c = arg;
    assert_in_range(i, 0, LENGTH_MOST - 1);
    atomic_fetch_add_explicit(&c->times[i], 1, memory_order_relaxed);
}

/* Loops of many lengths, one right behind the other, for threads that come late to find another. */
static void test_each_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 5; threads += 2) {
        struct hands *h = hands_new(threads);
        assert_non_null(h);
        struct parallel *parallel = hands_parallel(h);
        for (int k = 0; k < LOOPS; k++) {
            struct counts c = {0};
            int n = k * 7 % (LENGTH_MOST + 1);
            parallel->each(parallel, n, count, &c);
            for (int i = 0; i < LENGTH_MOST; i++)
                assert_int_equal(c.times[i], i < n ? 1 : 0);
        }
        hands_free(h);
    }
}

static int used;
static struct hands *lent;

static void note_use(struct parallel *parallel, int n, void (*job)(void *arg, int i), void *arg)
{
    (void)parallel;
    used++;
    struct parallel *real = hands_parallel(lent);
    real->each(real, n, job, arg);
}

/* Many models and numbers, so that a decision is worth sharing. */
static struct fold *many(void)
{
    static char patch[8192];
    struct text t = text_over(patch, sizeof patch);
    text_put(&t,
             "{\"features\":{\"dim_declared\":35,\"dim_text\":32,\"dim_caller\":32},\"models\":[");
    for (int a = 0; a < MODELS; a++)
        text_printf(&t,
                    "%s{\"name\":\"m%d\",\"tier\":\"small\",\"usd_per_mtok_in\":%d,\"usd_per_mtok_"
                    "out\":%d}",
                    a ? "," : "", a, 1 + a, 2 + a);
    text_put(&t, "]}");
    return fold_new(patch, 1000);
}

static void play(struct fold *f)
{
    for (int i = 0; i < DECISIONS; i++) {
        struct request *ask = fold_request(i % 3 ? "acme" : "globex", i % 2 ? "chat" : "summary");
        ask->digest = (uint64_t)i + 1; /* the fixture's are new ones each time */
        (void)snprintf(ask->request_id, sizeof ask->request_id, "%d", i);
        uint64_t seq = fold_ask(f, ask);
        struct feedback r = fold_report(f, seq, "", (double)(i % 5) / 4);
        r.digest = (uint64_t)i + 1;
        fold_feed(f, &r);
    }
}

static void test_same_log(void **state)
{
    (void)state;
    struct fold *alone = many(), *shared = many();
    struct parallel parallel = {note_use};
    lent = hands_new(3);
    router_parallel(shared->router, &parallel);
    play(alone);
    play(shared);
    assert_true(used >= DECISIONS);
    assert_int_equal(alone->n, shared->n);
    for (uint64_t i = 0; i < alone->n; i++) {
        assert_int_equal(alone->len[i], shared->len[i]);
        assert_memory_equal(alone->record[i], shared->record[i], alone->len[i]);
    }
    fold_free(alone);
    fold_free(shared);
    hands_free(lent);
}

static double us_each(struct fold *f)
{
    struct request *ask = fold_request("acme", "chat");
    ask->dry_run = true;
    ask->request_id[0] = '\0';
    enum { TIMES = 300 };
    uint64_t began = uv_hrtime();
    for (int i = 0; i < TIMES; i++)
        (void)fold_try(f, ask);
    return (double)(uv_hrtime() - began) / 1000 / TIMES;
}

/* Only told: how much sooner depends on the machine, and on what else it does. */
static void test_sooner(void **state)
{
    (void)state;
    struct fold *f = many();
    play(f);
    double alone = us_each(f);
    lent = hands_new(2);
    router_parallel(f->router, hands_parallel(lent));
    printf(
        "a decision among %d models by 128 numbers: %.1f us alone, %.1f us with a second thread\n",
        MODELS + 3, alone, us_each(f));
    fold_free(f);
    hands_free(lent);
}

static void test_wanted(void **state)
{
    (void)state;
    static const int most[][2] = {{1, 1}, {2, 1}, {3, 1}, {4, 2}, {6, 4}, {64, 4}};
    for (size_t i = 0; i < sizeof most / sizeof *most; i++)
        assert_int_equal(hands_wanted(most[i][0]), most[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once),
        cmocka_unit_test(test_same_log),
        cmocka_unit_test(test_sooner),
        cmocka_unit_test(test_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
