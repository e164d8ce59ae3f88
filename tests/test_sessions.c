/* SPDX-License-Identifier: MIT */
/* Sessions: the table, and conversations that keep their model until there is a reason. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/router/sessions.h"
#include "tests/fold_fx.h"

enum { MODELS = 3 };

/* ---- the table ---- */

/* Against a plain list, with sessions used at random and the bound moved. */
static void test_table(void **state)
{
    (void)state;
    enum { STEPS = 20000, KEYS = 60 };
    struct sessions s;
    uint64_t used[KEYS] = {0};
    int64_t most = 30;
    struct rng g = rng_stream(1, 2, 3);
    assert_true(sessions_init(&s));
    assert_null(sessions_find(&s, 0));
    for (uint64_t i = 1; i <= STEPS; i++) {
        uint64_t k = rng_below(&g, KEYS);
        if (rng_below(&g, 500) == 0) {
            most = 1 + (int64_t)rng_below(&g, 50);
            sessions_bound(&s, most);
        }
        used[k] = i;
        sessions_note(&s, most, &(struct session){.key = k + 1, .used = i, .arm = (uint8_t)k});
        if (i % 1000 == 0)
            assert_true(sessions_reindex(&s));
        for (;;) { /* the reference forgets what is over the bound, longest unused first */
            int n = 0, oldest = -1;
            for (int j = 0; j < KEYS; j++)
                if (used[j]) {
                    n++;
                    oldest = oldest < 0 || used[j] < used[oldest] ? j : oldest;
                }
            if (n <= most)
                break;
            used[oldest] = 0;
        }
        for (uint64_t j = 0; j < KEYS; j++) {
            const struct session *found = sessions_find(&s, j + 1);
            assert_true(found ? found->used == used[j] && found->arm == j : used[j] == 0);
        }
    }
    sessions_fini(&s);
}

/* ---- decisions ---- */

static int ask(struct fold *f, const char *session, int64_t tokens, int64_t cached)
{
    struct request *r = fold_request("a", "t");
    (void)snprintf(r->labels.session, NAME_CAP, "%s", session);
    r->prompt_tokens = tokens;
    r->cached_tokens = cached;
    fold_ask(f, r);
    const struct event_decided *d = &f->ev.decided;
    double sum = 0, below = 0; /* what is logged is what is drawn from */
    int drawn = -1;
    for (int a = 0; a < MODELS; a++)
        if (d->eligible >> a & 1) {
            sum += d->view[a].pmf;
            drawn = drawn < 0 && d->u < below + d->view[a].pmf ? a : drawn;
            below += d->view[a].pmf;
        }
    assert_true(fabs(sum - 1) < 1e-9);
    assert_int_equal(drawn, d->arm);
    if (d->reasons & REASON_SESSION) {
        assert_true(d->view[d->arm].pmf == 1 && d->floor == 0 && d->quota == 0);
        assert_false(d->reasons & REASON_EXPLORED);
    }
    return d->arm;
}

/* Reports on the latest decision. */
static void tell(struct fold *f, double quality)
{
    struct feedback r = fold_report(f, f->ev.seq, "judge", quality);
    fold_feed(f, &r);
    fold_follow(f);
}

/* Every conversation keeps its first model while labels come in with noise of their own; requests
 * without a session go on exploring. */
static void test_keeps(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"objective\":{\"cost\":0}}", 1000);
    struct rng g = rng_stream(5, 6, 7);
    int model[10], flips = 0, explored = 0;
    for (int i = 0; i < 600; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "s%d", i % 10);
        int a = ask(f, name, 1000, 0);
        assert_int_equal(!(f->ev.decided.reasons & REASON_SESSION), i < 10);
        flips += i >= 10 && a != model[i % 10];
        model[i % 10] = a;
        tell(f, 0.5 + 0.3 * (rng_uniform(&g) - 0.5));
        ask(f, "", 1000, 0);
        assert_false(f->ev.decided.reasons & REASON_SESSION);
        for (int k = 0; k < MODELS; k++)
            explored |= f->ev.decided.view[k].pmf > 0 && f->ev.decided.view[k].pmf < 1;
        if (i % 100 == 99)
            fold_tick(f);
    }
    assert_int_equal(flips, 0);
    assert_true(explored);
    fold_check(f);
    fold_restart(f); /* remembered */
    assert_int_equal(ask(f, "s3", 1000, 0), model[3]);
    assert_true(f->ev.decided.reasons & REASON_SESSION);
    fold_free(f);
}

static void teach(struct fold *f, const char *model, double quality)
{
    for (int i = 0; i < 60; i++) {
        struct feedback r = {.has = FB_QUALITY, .quality = quality, .version = -1};
        fold_teach(f, "t", model, &r);
    }
    fold_follow(f);
    fold_tick(f);
    fold_follow(f);
}

static struct fold *taught(const char *patch)
{
    struct fold *f = fold_new(patch, 1000);
    teach(f, "small", 0.5);
    teach(f, "mid", 0.8);
    teach(f, "big", 0.5);
    return f;
}

static void test_reasons_to_switch(void **state)
{
    (void)state;
    struct fold *f = taught("{\"learner\":{\"pool_labels\":0},\"policy\":{\"floor\":0,"
                            "\"floor_min\":0}}");
    assert_int_equal(ask(f, "x", 1000, 0), 1);
    assert_int_equal(ask(f, "x", 1200, 0), 1);
    teach(f, "small", 1); /* quality: clearly better now, after as many labels again */
    teach(f, "small", 1);
    teach(f, "small", 1);
    assert_int_equal(ask(f, "x", 1400, 0), 0);
    assert_true(f->ev.decided.reasons & REASON_SESSION);
    assert_int_equal(ask(f, "x", 1400, 0), 0);
    fold_configure(f, "{\"objective\":{\"cost\":1},\"models\":[{\"name\":\"small\",\"tier\":"
                      "\"small\",\"usd_per_mtok_in\":90,\"usd_per_mtok_out\":90}]}");
    assert_int_equal(ask(f, "x", 1400, 0), 1); /* price */
    fold_configure(f, "{\"models\":[{\"name\":\"mid\",\"active\":false}]}");
    int other = ask(f, "x", 1400, 0); /* availability: drawn anew */
    assert_int_not_equal(other, 1);
    assert_false(f->ev.decided.reasons & REASON_SESSION);
    assert_int_equal(ask(f, "x", 1400, 0), other);
    fold_check(f);
    fold_free(f);
}

/* What another model would read at full price is in its expected cost. */
static void test_switch_cost(void **state)
{
    (void)state;
    struct fold *f = fold_new(
        "{\"models\":[{\"name\":\"small\",\"usd_per_mtok_cached_in\":0.05},{\"name\":\"mid\","
        "\"usd_per_mtok_cached_in\":0.1},{\"name\":\"big\",\"usd_per_mtok_cached_in\":0.5}],"
        "\"session\":{\"inertia\":1000}}",
        100);
    static const double price[MODELS] = {0.1, 0.5, 2.5}, cached[MODELS] = {0.05, 0.1, 0.5};
    int64_t fresh[MODELS];
    ask(f, "", 100000, 0);
    for (int a = 0; a < MODELS; a++)
        fresh[a] = f->ev.decided.view[a].cost_nano;
    int kept = ask(f, "x", 80000, 0);
    assert_int_equal(ask(f, "x", 100000, 50000), kept); /* the request says what is cached */
    assert_int_equal(f->ev.decided.cached_tokens, 50000);
    for (int a = 0; a < MODELS; a++) {
        double saved = a == kept ? (price[a] - cached[a]) * 50000 * 1e3 : 0;
        assert_true(fabs((double)(fresh[a] - f->ev.decided.view[a].cost_nano) - saved) < 10);
    }
    int64_t baseline = f->ev.decided.baseline_nano; /* would have it cached, had it been kept to */
    assert_true(fabs((double)(fresh[2] - baseline) - 2.0 * 50000 * 1e3) < 10);
    ask(f, "x", 100000, 0); /* it does not: the context so far, all of the last prompt */
    for (int a = 0; a < MODELS; a++) {
        double saved = a == kept ? (price[a] - cached[a]) * 100000 * 1e3 : 0;
        assert_true(fabs((double)(fresh[a] - f->ev.decided.view[a].cost_nano) - saved) < 10);
    }
    struct request *r = fold_request("a", "t"); /* forced elsewhere: nothing is cached there */
    strcpy(r->labels.session, "x");
    r->prompt_tokens = 100000;
    r->cached_tokens = 50000;
    static const char *const name[MODELS] = {"small", "mid", "big"};
    r->constraints.n_deny = 1;
    r->constraints.deny[0] = name[kept];
    fold_ask(f, r);
    assert_int_equal(f->ev.decided.cached_tokens, 0);
    fold_check(f);
    fold_free(f);
}

/* The bound holds, whoever asks, and 0 turns it all off. */
static void test_bound(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"session\":{\"most\":3}}", 100);
    char name[16];
    for (int i = 0; i < 5; i++) {
        (void)snprintf(name, sizeof name, "s%d", i);
        ask(f, name, 100, 0);
    }
    for (int i = 0; i < 5; i++) { /* asked from the newest: the older ones have been forgotten */
        (void)snprintf(name, sizeof name, "s%d", 4 - i);
        ask(f, name, 100, 0);
        assert_int_equal((f->ev.decided.reasons & REASON_SESSION) != 0, i < 3);
    }
    fold_check(f);
    fold_configure(f, "{\"session\":{\"most\":1}}");
    fold_check(f);
    ask(f, "s0", 100, 0);
    assert_true(f->ev.decided.reasons & REASON_SESSION);
    fold_restart(f);
    fold_configure(f, "{\"session\":{\"most\":0}}");
    ask(f, "s0", 100, 0);
    assert_false(f->ev.decided.reasons & REASON_SESSION);
    fold_check(f);
    fold_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_keeps),
        cmocka_unit_test(test_reasons_to_switch),
        cmocka_unit_test(test_switch_cost),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
