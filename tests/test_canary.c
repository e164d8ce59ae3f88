/* SPDX-License-Identifier: MIT */
/*
 * Settings on trial: both sides' share, what a label says of their difference, verdicts that come
 * when there is evidence and hardly ever without, and a trial that goes on over restarts.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/policy/pmf.h"
#include "bandit/rng.h"
#include "core/guard/canary.h"
#include "tests/fold_fx.h"

enum { ARMS = 3 };
static const int SLOTS[ARMS] = {0, 1, 2};

/* ---- evidence ---- */

/* A decision by a side that the share draws, of models of these predicted qualities. */
static struct hull_edge drawn(const double *pi, const double *m, double share, struct rng *g,
                              int *arm, struct event_decided *d)
{
    double predicted[ARMS] = {.3, .5, .6};
    memset(d, 0, sizeof *d);
    d->weight_quality = 2;
    d->value = 1;
    d->cost_scale_usd = 1;
    for (int a = 0; a < ARMS; a++) {
        d->view[a].merit = (float)(2 * predicted[a]);
        d->view[a].mean[TARGET_QUALITY] = (float)predicted[a];
    }
    const double *side = rng_uniform(g) < share ? pi : m;
    *arm = SLOTS[pmf_draw(side, ARMS, rng_uniform(g))];
    return canary_edge(d, SLOTS, ARMS, pi, m, *arm, share);
}

/* Means of what labels say are the true differences, though the predictions are wrong. */
static void labels_say_the_difference(void **state)
{
    (void)state;
    enum { N = 400000 };
    static struct event_decided d;
    const double truth[ARMS] = {.5, .4, .9}, pi[ARMS] = {.1, .2, .7}, m[ARMS] = {.6, .3, .1};
    struct rng g = rng_stream(3, 1, 1);
    double want = 0, reward = 0, quality = 0;
    for (int a = 0; a < ARMS; a++)
        want += (pi[a] - m[a]) * truth[a];
    for (int i = 0; i < N; i++) {
        int arm;
        struct hull_edge e = drawn(pi, m, .1, &g, &arm, &d);
        double y = rng_uniform(&g) < truth[arm], q = (double)d.view[arm].mean[TARGET_QUALITY];
        assert_true(fabs((double)e.ratio) <= (double)e.reach && (double)e.reach <= 10.1);
        reward += ((double)e.direct + (double)e.ratio * (y - q)) / N;
        quality += (double)e.ratio * (y - .5) / N;
    }
    assert_true(fabs(reward - want) < .01);
    assert_true(fabs(quality - want) < .01);
}

static void trial_of(struct params *p, struct canary *c, double share)
{
    params_default(p);
    p->canary.share = share;
    canary_begin(c, p, 1);
}

static enum canary_turn run(struct rng *g, const double *truth, const double *pi, const double *m,
                            int labels)
{
    static struct event_decided d;
    static struct params p;
    struct canary c;
    trial_of(&p, &c, .05);
    for (int i = 1; i <= labels; i++) {
        int arm;
        struct decision_row row = {.seq = (uint64_t)i + 1};
        row.edge = d.edge = drawn(pi, m, .05, g, &arm, &d);
        row.quality_mean = d.view[arm].mean[TARGET_QUALITY];
        canary_decided(&c, &d);
        canary_label(&c, &row, false, 0, true, rng_uniform(g) < truth[arm]);
        if (i % 20 == 0 && canary_turn(&c, &p) != CANARY_OPEN)
            return canary_turn(&c, &p);
    }
    return CANARY_OPEN;
}

/* Equal models: neither side is better, whatever they draw. */
static void verdicts_without_cause_are_rare(void **state)
{
    (void)state;
    enum { RUNS = 400, LABELS = 4000 };
    const double truth[ARMS] = {.6, .6, .6}, pi[ARMS] = {.1, .2, .7}, m[ARMS] = {.5, .3, .2};
    int wrong = 0;
    for (int i = 0; i < RUNS; i++) {
        struct rng g = rng_stream(5, 2, (uint64_t)i);
        wrong += run(&g, truth, pi, m, LABELS) != CANARY_OPEN;
    }
    if (wrong > RUNS / 20)
        fail_msg("a verdict without cause in %d runs of %d", wrong, RUNS);
}

static void evidence_is_found(void **state)
{
    (void)state;
    const double truth[ARMS] = {.3, .5, .9}, well[ARMS] = {0, .1, .9}, ill[ARMS] = {.8, .2, 0},
                 m[ARMS] = {.3, .4, .3};
    struct rng g = rng_stream(7, 2, 1);
    assert_int_equal(run(&g, truth, well, m, 20000), CANARY_PROMOTED);
    enum canary_turn t = run(&g, truth, ill, m, 20000);
    assert_true(t == CANARY_WORSE || t == CANARY_HARMS);
    assert_int_equal(run(&g, truth, m, m, 20000), CANARY_OPEN); /* alike: nothing is said */
}

/* Amended, retracted, in any order: the same sums. */
static void evidence_is_exact(void **state)
{
    (void)state;
    static struct params p;
    struct canary a, b;
    struct decision_row row[50];
    struct rng g = rng_stream(1, 2, 3);
    trial_of(&p, &a, .1);
    trial_of(&p, &b, .1);
    for (int i = 0; i < 50; i++) {
        row[i] = (struct decision_row){.seq = (uint64_t)i, .quality_mean = .3f};
        row[i].edge = (struct hull_edge){.direct = (float)rng_uniform(&g) / 3,
                                         .ratio = (float)rng_uniform(&g) - .5f,
                                         .reach = 1};
        canary_label(&a, &row[i], false, 0, true, i % 7 / 6.);
        canary_label(&b, &row[i], false, 0, true, i % 3 / 2.);
    }
    for (int i = 49; i >= 0; i--) {
        canary_label(&b, &row[i], true, i % 3 / 2., false, 0);
        canary_label(&b, &row[i], false, 0, true, i % 7 / 6.);
    }
    assert_int_equal(a.labels, 48); /* two were decided before it began */
    assert_memory_equal(&a, &b, sizeof a);
}

/* ---- the router ---- */

struct course {
    int decided, canary;
    const char *verdict; /* origin of what ended it; "" = it goes on */
};

static struct course play(struct fold *f, int n, const double *quality, struct rng *g)
{
    static char verdict[NAME_CAP];
    struct course c = {.verdict = ""};
    for (int i = 0; i < n; i++) {
        f->now += 1000;
        uint64_t seq = fold_route(f, "", "t");
        const struct event_decided *d = &f->ev.decided;
        double pmf[MODELS_MAX];
        for (int a = 0; a < d->n_arms; a++)
            pmf[a] = d->eligible >> a & 1 ? d->view[a].pmf : 0;
        assert_int_equal(pmf_draw(pmf, d->n_arms, d->u), d->arm);
        c.decided++;
        c.canary += (d->reasons & REASON_CANARY) != 0;
        struct feedback r = fold_report(f, seq, "", rng_uniform(g) < quality[d->arm] ? 1 : 0);
        r.has |= FB_OUTPUT_TOKENS;
        r.output_tokens = 200;
        fold_feed(f, &r);
        do {
            router_follow(f->router, f->now, &f->ev);
            fold_keep(f);
            if (f->ev.kind == EVENT_CONFIGURED && canary_why(f->ev.configured.origin))
                c.verdict = strcpy(verdict, f->ev.configured.origin);
        } while (f->ev.kind != EVENT_NONE);
        if (c.verdict[0])
            break;
    }
    return c;
}

static const char START[] =
    "{\"objective\":{\"cost\":1.2},\"policy\":{\"floor\":0.1,\"floor_min\":0.1}}";
static const double QUALITY[ARMS] = {.3, .6, .9};

/* A cost weight that has everything answered by the smallest; on trial one that pays for quality.
 */
static void a_better_one_is_promoted(void **state)
{
    (void)state;
    struct fold *f = fold_new(START, 1000);
    struct rng g = rng_stream(4, 4, 4);
    play(f, 600, QUALITY, &g);
    fold_configure(f, "{\"canary\":{\"share\":0.1,\"objective\":{\"cost\":0.02},"
                      "\"policy\":{\"floor\":0.1,\"floor_min\":0.1}}}");
    struct course c = play(f, 300, QUALITY, &g);
    assert_true(c.canary > 10 && c.canary < 60);
    struct router_stats s;
    router_stats(f->router, &s);
    if (c.verdict[0] == '\0') { /* in the middle of it: fold, snapshot, restart */
        assert_true(s.canary_on && s.canary.decisions[1] == c.canary && s.canary.labels == 300);
        fold_check(f);
        fold_restart(f);
        c = play(f, 10000, QUALITY, &g);
    }
    assert_string_equal(c.verdict, "canary.promoted");
    const struct params *p = router_params(f->router);
    assert_true(fabs(p->objective.cost - .02) < 1e-12 && p->canary.share <= 0);
    assert_int_equal(play(f, 200, QUALITY, &g).canary, 0);
    fold_check(f);
    fold_free(f);
}

/* What saves money by its own weights, but costs more quality than it may. */
static void one_that_harms_is_taken_back(void **state)
{
    (void)state;
    struct fold *f = fold_new(
        "{\"objective\":{\"cost\":0.02},\"policy\":{\"floor\":0.1,\"floor_min\":0.1}}", 1000);
    struct rng g = rng_stream(4, 4, 4);
    play(f, 600, QUALITY, &g);
    fold_configure(f, "{\"canary\":{\"share\":0.1,\"objective\":{\"cost\":3},"
                      "\"policy\":{\"floor\":0.1,\"floor_min\":0.1}}}");
    struct course c = play(f, 10000, QUALITY, &g);
    assert_string_equal(c.verdict, "canary.harms");
    const struct params *p = router_params(f->router);
    assert_true(fabs(p->objective.cost - .02) < 1e-12 && p->canary.share <= 0);
    fold_check(f);
    fold_free(f);
}

/* A policy that draws anything is worse by the very weights that it is to serve. */
static void a_worse_one_is_taken_back(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"objective\":{\"cost\":0.02}}", 1000);
    struct rng g = rng_stream(8, 4, 4);
    play(f, 600, QUALITY, &g);
    fold_configure(f, "{\"canary\":{\"share\":0.1,\"objective\":{\"cost\":0.02},"
                      "\"policy\":{\"name\":\"uniform\"},\"quality_margin\":1}}");
    struct course c = play(f, 10000, QUALITY, &g);
    assert_string_equal(c.verdict, "canary.worse");
    fold_check(f);
    fold_free(f);
}

static void without_a_verdict_it_ends(void **state)
{
    (void)state;
    struct fold *f = fold_new(START, 1000);
    struct rng g = rng_stream(8, 4, 4);
    fold_configure(f, "{\"canary\":{\"share\":0.2,\"objective\":{\"cost\":1.2},\"decisions\":400,"
                      "\"policy\":{\"floor\":0.1,\"floor_min\":0.1}}}");
    struct course c = play(f, 10000, QUALITY, &g);
    assert_string_equal(c.verdict, "canary.undecided");
    assert_int_equal(c.decided, 400);
    /* Sessions are left alone; a change of weights begins the trial anew, one of prices does not.
     */
    fold_configure(f, "{\"canary\":{\"share\":0.5,\"objective\":{\"cost\":1}}}");
    for (int i = 0; i < 50; i++) {
        struct request *r = fold_request("", "t");
        (void)snprintf(r->labels.session, NAME_CAP, "s%d", i);
        fold_ask(f, r);
        assert_true(!(f->ev.decided.reasons & REASON_CANARY) && f->ev.decided.edge.reach <= 0);
    }
    play(f, 50, QUALITY, &g);
    struct router_stats s;
    fold_configure(f, "{\"models\":[{\"name\":\"mid\",\"usd_per_mtok_out\":1.6}]}");
    router_stats(f->router, &s);
    assert_int_equal(s.canary.labels, 50);
    fold_configure(f, "{\"objective\":{\"cost\":1.1}}");
    router_stats(f->router, &s);
    assert_true(s.canary_on && s.canary.labels == 0);
    fold_check(f);
    fold_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_say_the_difference),
        cmocka_unit_test(verdicts_without_cause_are_rare),
        cmocka_unit_test(evidence_is_found),
        cmocka_unit_test(evidence_is_exact),
        cmocka_unit_test(a_better_one_is_promoted),
        cmocka_unit_test(one_that_harms_is_taken_back),
        cmocka_unit_test(a_worse_one_is_taken_back),
        cmocka_unit_test(without_a_verdict_it_ends),
    };
    return cmocka_run_group_tests_name("canary", tests, NULL, NULL);
}
