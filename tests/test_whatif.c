/* SPDX-License-Identifier: MIT */
/*
 * Previews: what a log of draws says of other settings, against what is known to be true of the
 * models it was drawn from.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/whatif/whatif_rows.h"
#include "tests/fold_fx.h"

/* Of small, mid and big: the chance of a good answer, by group; dollars are of 100 and 200 tokens.
 */
static const double truth[2][3] = {{.4, .6, .9}, {.7, .75, .8}};
static const char *const group[2] = {"eu", "us"};
static const double usd[3] = {3e-5, 3.5e-4, 2.25e-3};

/* Requests of two groups, drawn uniformly, every outcome reported. */
static struct fold *logged(int n)
{
    struct fold *f =
        fold_new("{\"policy\":{\"name\":\"uniform\"},\"objective\":{\"cost\":0}}", 4000);
    struct rng g = rng_stream(3, 1, 4);
    for (int i = 0; i < n; i++) {
        struct request *r = fold_request("acme", group[i % 2]);
        (void)snprintf(r->labels.group, NAME_CAP, "%s", group[i % 2]);
        r->prompt_tokens = 100;
        uint64_t seq = fold_ask(f, r);
        int arm = f->ev.decided.arm;
        struct feedback report = fold_report(f, seq, "", rng_uniform(&g) < truth[i % 2][arm]);
        report.has = FB_QUALITY | FB_PROMPT_TOKENS | FB_OUTPUT_TOKENS;
        report.prompt_tokens = 100;
        report.output_tokens = 200;
        fold_feed(f, &report);
        fold_follow(f);
        f->now += 1000;
    }
    return f;
}

static struct learner *known; /* today; NULL = by the record */

static enum status look(struct fold *f, const char *patch, struct whatif_report *out,
                        struct problem *p)
{
    static struct params now, then;
    static struct event e;
    struct whatif *w = NULL;
    now = then = *router_params(f->router);
    assert_int_equal(config_patch(&then, patch, strlen(patch), p), STATUS_OK);
    struct whatif_query q = {
        .now = &now, .then = &then, .seed = 42, .labels = fold_labels(f), .known = known};
    enum status s = whatif_new(&q, &w, p);
    for (uint64_t i = 1; s == STATUS_OK && i <= f->n; i++) {
        assert_int_equal(event_decode(f->record[i], f->len[i], &e, p), STATUS_OK);
        s = whatif_take(w, &e, p);
    }
    if (s == STATUS_OK)
        s = whatif_report(w, out, p);
    whatif_free(w);
    return s;
}

static void seen(struct fold *f, const char *patch, struct whatif_report *out)
{
    struct problem p = {0};
    if (look(f, patch, out, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
}

static void holds(const struct whatif_number *n, double value)
{
    if (!(n->low <= value && value <= n->high))
        fail_msg("%g is not within %g .. %g", value, n->low, n->high);
}

/* What changes nothing is told to change nothing, exactly: both sides are the same rows. */
static void no_change_is_none(void **state)
{
    (void)state;
    struct fold *f = logged(300);
    static struct whatif_report r;
    seen(f, "{\"objective\":{\"cost\":0}}", &r);
    assert_int_equal(r.rows, 300);
    assert_true(r.moved <= 0);
    for (int m = 0; m < WHATIF_METRICS; m++)
        assert_true(fabs(r.all.metric[m].change.value) < 1e-12);
    assert_int_equal(r.floor, WHATIF_NONE);
    fold_free(f);
}

/* A model for all, from a log that drew all three alike: the truth is within the intervals. */
static void fixed_models_are_told_truly(void **state)
{
    (void)state;
    struct fold *f = logged(1200);
    static const char *const name[3] = {"small", "mid", "big"};
    static struct whatif_report r;
    for (int m = 0; m < 3; m++) {
        char patch[128];
        (void)snprintf(patch, sizeof patch, "{\"policy\":{\"name\":\"fixed\",\"model\":\"%s\"}}",
                       name[m]);
        seen(f, patch, &r);
        const struct whatif_line *q = &r.all.metric[WHATIF_QUALITY];
        assert_true(q->enough);
        holds(&q->then, (truth[0][m] + truth[1][m]) / 2);
        assert_true(q->then.high - q->then.low < .15);
        assert_true(fabs(r.all.metric[WHATIF_COST].then.value - usd[m]) < .1 * usd[m]);
        assert_true(fabs(r.all.tier[m].then.value - 1) < 1e-9);
        assert_true(r.ess > 200 && r.ess < 600); /* a third of the rows agree */
    }
    fold_free(f);
}

static void withdrawn_models_serve_nobody(void **state)
{
    (void)state;
    struct fold *f = logged(600);
    static struct whatif_report r;
    seen(f, "{\"models\":[{\"name\":\"big\",\"active\":false}]}", &r);
    assert_true(r.all.tier[2].then.value <= 0);
    assert_true(fabs(r.all.tier[2].now.value - 1 / 3.) < .01);
    assert_true(r.moved > .3 && r.all.metric[WHATIF_COST].change.high < 0);
    holds(&r.all.metric[WHATIF_QUALITY].then, (.4 + .6 + .7 + .75) / 4);
    fold_free(f);
}

/* A policy that goes by what is known chooses as it would today, not as it would have in the
 * beginning; the interval has room for what learning has changed since. */
static void today_knows_better(void **state)
{
    (void)state;
    struct fold *f = logged(900);
    static const char greedy[] = "{\"policy\":{\"name\":\"greedy\",\"floor\":0,\"floor_min\":0}}";
    static struct whatif_report then, today;
    seen(f, greedy, &then);
    known = router_known(f->router);
    assert_non_null(known);
    seen(f, greedy, &today);
    learner_drop(known);
    known = NULL;
    assert_true(today.all.tier[2].then.value > then.all.tier[2].then.value + .02);
    const struct whatif_number *q = &today.all.metric[WHATIF_QUALITY].then;
    holds(q, .85); /* big for everybody */
    double moved = fabs(q->value - then.all.metric[WHATIF_QUALITY].then.value);
    assert_true(moved > 1e-4 && q->high - q->low > 2 * moved);
    fold_free(f);
}

/* Asked with the same settings and the same knowledge, it chooses as the service does, but for the
 * rounding of a record: the next decision is the one that the preview would have it be. Without
 * exploration, which is shared by what requests have cost so far: a preview begins to count anew.
 */
static void the_preview_is_the_service(void **state)
{
    (void)state;
    static const char patch[] = "{\"policy\":{\"name\":\"lints\",\"floor\":0,\"floor_min\":0},"
                                "\"objective\":{\"cost\":0.2},\"learner\":{\"quota\":0}}";
    struct fold *f = logged(400);
    static struct params now;
    struct problem p = {0};
    fold_configure(f, patch);
    for (int i = 0; i < 20; i++) {
        struct whatif *w = NULL;
        known = router_known(f->router);
        now = *router_params(f->router);
        int64_t labels = fold_labels(f);
        struct request *r = fold_request("acme", group[i % 2]);
        r->prompt_tokens = 100 + i;
        uint64_t seq = fold_ask(f, r);
        struct whatif_query q = {
            .now = &now, .then = &now, .seed = 42, .labels = labels, .known = known};
        assert_int_equal(whatif_new(&q, &w, &p), STATUS_OK);
        assert_int_equal(whatif_take(w, &f->ev, &p), STATUS_OK);
        for (int s = 0; s < ALL_SIDES; s++)
            if (!(fabs(whatif_row_at(w, 0)->weight[s] - 1) < 1e-4))
                fail_msg("side %d of decision %d: %.9g times as likely", s, i,
                         whatif_row_at(w, 0)->weight[s]);
        whatif_free(w);
        learner_drop(known);
        struct feedback report = fold_report(f, seq, "", i % 3 == 0);
        fold_feed(f, &report);
        fold_follow(f);
    }
    known = NULL;
    fold_free(f);
}

/* Halving prices halves what is expected, without one more label. (Exploring a model is shared by
 * its cost, so the draws are not the same to the last digit.) */
static void prices_are_linear(void **state)
{
    (void)state;
    struct fold *f = logged(300);
    static struct whatif_report r;
    seen(f,
         "{\"models\":[{\"name\":\"small\",\"usd_per_mtok_in\":0.05,\"usd_per_mtok_out\":0.05},"
         "{\"name\":\"mid\",\"usd_per_mtok_in\":0.25,\"usd_per_mtok_out\":0.75},"
         "{\"name\":\"big\",\"usd_per_mtok_in\":1.25,\"usd_per_mtok_out\":5}]}",
         &r);
    const struct whatif_line *cost = &r.all.metric[WHATIF_COST];
    assert_true(fabs(cost->then.value / cost->now.value - .5) < 1e-6);
    assert_true(fabs(r.all.metric[WHATIF_QUALITY].change.value) < 1e-3);
    fold_free(f);
}

/* What sinks a group below the declared floor is named; what is below already may stay. */
static void the_floor_of_groups_is_kept(void **state)
{
    (void)state;
    struct fold *f = logged(2400);
    static struct whatif_report r;
    seen(f,
         "{\"fairness\":{\"quality_floor\":0.5},\"policy\":{\"name\":\"fixed\",\"model\":\"small\"}"
         "}",
         &r);
    assert_int_equal(r.floor, WHATIF_BROKEN);
    assert_non_null(strstr(r.why, "\"eu\""));
    seen(f,
         "{\"fairness\":{\"quality_floor\":0.5},\"policy\":{\"name\":\"fixed\",\"model\":\"big\"}}",
         &r);
    assert_int_equal(r.floor, WHATIF_HELD);
    seen(f, "{\"fairness\":{\"quality_floor\":0.99}}", &r);
    assert_int_equal(r.floor, WHATIF_HELD);
    fold_free(f);
}

/* Policies that need what no log of decisions holds are refused, not guessed. */
static void what_no_log_tells_is_refused(void **state)
{
    (void)state;
    struct fold *f = logged(10);
    static struct whatif_report r;
    static const char *const policy[] = {"rules", "beta_ts"};
    for (int i = 0; i < 2; i++) {
        char patch[64];
        struct problem p = {0};
        (void)snprintf(patch, sizeof patch, "{\"policy\":{\"name\":\"%s\"}}", policy[i]);
        assert_int_equal(look(f, patch, &r, &p), STATUS_BAD_REQUEST);
        assert_string_equal(p.path, "/policy/name");
    }
    fold_free(f);
}

/* Budgets refuse what does not fit, as their books would have come out; those of others do not. */
static void pools_refuse(void **state)
{
    (void)state;
    static struct whatif_report r;
    enum { N = 1200 };
    struct fold *f = logged(N);
    double mean = (usd[0] + usd[1] + usd[2]) / 3;
    char patch[160];
    (void)snprintf(patch, sizeof patch, "{\"pools\":[{\"name\":\"all\",\"usd\":%.6f}]}",
                   mean * N / 4);
    seen(f, patch, &r);
    assert_true(fabs(r.all.refused.then.value - 0.75) < 0.05);
    assert_true(r.all.refused.now.value == 0);
    seen(f,
         "{\"pools\":[{\"name\":\"acme\",\"match\":{\"tenant\":\"acme\"},\"usd\":1000,\"kill\":"
         "true}]}",
         &r);
    assert_true(r.all.refused.then.value == 1);
    seen(f,
         "{\"pools\":[{\"name\":\"other\",\"match\":{\"tenant\":\"other\"},\"usd\":1000,\"kill\":"
         "true}]}",
         &r);
    assert_true(r.all.refused.then.value == 0 && r.moved == 0);
    /* A model's own: the others answer. */
    seen(
        f,
        "{\"pools\":[{\"name\":\"big\",\"match\":{\"model\":\"big\"},\"usd\":1000,\"kill\":true}]}",
        &r);
    assert_true(r.all.refused.then.value == 0 && r.all.tier[2].then.value == 0);
    assert_true(fabs(r.all.tier[0].then.value - 0.5) < 0.01);
    fold_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_change_is_none),
        cmocka_unit_test(fixed_models_are_told_truly),
        cmocka_unit_test(withdrawn_models_serve_nobody),
        cmocka_unit_test(today_knows_better),
        cmocka_unit_test(the_preview_is_the_service),
        cmocka_unit_test(prices_are_linear),
        cmocka_unit_test(the_floor_of_groups_is_kept),
        cmocka_unit_test(what_no_log_tells_is_refused),
        cmocka_unit_test(pools_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
