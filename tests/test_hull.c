/* SPDX-License-Identifier: MIT */
/*
 * The policy against the static hull: bounds that hold at every moment, evidence that is exact in
 * any order, and a router that serves the best mix of fixed models once its policy is shown to be
 * worse.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/ope/confseq.h"
#include "bandit/policy/pmf.h"
#include "bandit/rng.h"
#include "core/guard/hull_guard.h"
#include "tests/fold_fx.h"

/* ---- bounds ---- */

static double integral(double s, double v, double rho)
{
    enum { STEPS = 200000 };
    double sum = 0;
    for (int i = 0; i < STEPS; i++) { /* over u = 1 - L */
        double u = (i + 0.5) / STEPS;
        sum += exp((1 - u) * (s + v) + v * log(u) + (rho - 1) * log(u) - rho * u) / STEPS;
    }
    return sum;
}

/* The closed form is the mixture that it claims to be, and the normal mixture where the scale
 * vanishes: 27.66071 is normal_mixture_bound(100, .05, 100) of the package confseq (Howard et al.).
 */
static void test_known_answers(void **state)
{
    (void)state;
    const double most = 2 * log(1 / 0.1), rho = 50 / (most + log(1 + most));
    const double at[][2] = {{0, 10}, {5, 10}, {20, 60}, {12, 0}, {60, 400}};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        double s = at[i][0], v = at[i][1];
        double want = log(integral(s, v, rho)) - log(integral(0, 0, rho));
        double got = confseq_log_mixture(s, v, 50, 0.05, 1);
        if (!(fabs(got - want) < 1e-6))
            fail_msg("at %g, %g: %.9g, integrated %.9g", s, v, got, want);
    }
    assert_true(fabs(confseq_boundary(100, 0.05, 100, 1e-3) - 27.66071) < 0.005);
    assert_true(confseq_boundary(100, 0.05, 100, 1) > 27.7); /* numbers that are only bounded */
    double b = confseq_boundary(7, 0.01, 3, 1);
    assert_true(fabs(confseq_log_mixture(b, 7, 3, 0.01, 1) - log(100)) < 1e-9);
}

/* What a bound must bear, in [-1,1], each with mean zero given the past. */
static double draw(int kind, int i, double sum, struct rng *g)
{
    double u = rng_uniform(g);
    switch (kind) {
    case 0:
        return u < 0.5 ? 1 : -1;
    case 1: /* one label in fifty weighs fifty times */
        return u < 0.02 ? 0.98 : -0.02;
    case 2:
        return u < 0.02 ? -0.98 : 0.02;
    case 3:
        return 0.1 * (2 * u - 1);
    case 4: /* as wide as the past is bad */
        return (sum < 0 ? 1 : 0.05) * (u < 0.5 ? 1 : -1);
    default: /* changes its ways */
        return i / 500 % 2 ? (u < 0.9 ? 0.1 : -0.9) : 0.3 * (2 * u - 1);
    }
}

/* Of 1,000 runs that are looked at all the time, few may ever be wrong. */
static void test_coverage(void **state)
{
    (void)state;
    enum { RUNS = 1000, LENGTH = 3000, EVERY = 10 };
    for (int kind = 0; kind < 6; kind++) {
        int wrong[2] = {0};
        for (int run = 0; run < RUNS; run++) {
            struct rng g = rng_stream(77, (uint64_t)kind, (uint64_t)run);
            struct confseq_sums x = {.reach = 1};
            bool above = false, below = false;
            for (int i = 1; i <= LENGTH; i++) {
                double v = draw(kind, i, x.sum, &g);
                x.n++;
                x.sum += v;
                x.squares += v * v;
                if (i % EVERY == 0) {
                    above = above || confseq_above(&x, 0.05, 0);
                    below = below || confseq_below(&x, 0.05, 0);
                }
            }
            wrong[0] += above;
            wrong[1] += below;
            assert_true(confseq_lower(&x, 0.05) <= x.sum / x.n);
            assert_true(confseq_upper(&x, 0.05) >= x.sum / x.n);
            assert_int_equal(confseq_below(&x, 0.05, 0), confseq_upper(&x, 0.05) < 0);
        }
        if (wrong[0] > RUNS / 20 || wrong[1] > RUNS / 20)
            fail_msg("kind %d: %d and %d runs of %d are wrong", kind, wrong[0], wrong[1], RUNS);
    }
}

/* ---- evidence ---- */

/* The blend has as much of the rest as the share asks for and no more. */
static void test_blend(void **state)
{
    (void)state;
    struct rng g = rng_stream(1, 1, 1);
    for (int i = 0; i < 10000; i++) {
        double most[4], rest[4], out[4], sum = 0, share = 0.01 + 0.4 * rng_uniform(&g);
        for (int k = 0; k < 4; k++) {
            most[k] = rng_below(&g, 3) ? rng_uniform(&g) : 0;
            rest[k] = rng_below(&g, 2) ? rng_uniform(&g) : 0;
        }
        most[rng_below(&g, 4)] += 0.1;
        rest[rng_below(&g, 4)] += 0.1;
        pmf_normalise(most, 4);
        pmf_normalise(rest, 4);
        double part = hull_guard_blend(most, rest, 4, share, out);
        bool tight = false;
        assert_true(part >= 0 && part <= share + 1e-15);
        for (int k = 0; k < 4; k++) {
            assert_true(out[k] >= share * rest[k] - 1e-15);
            tight = tight || fabs(out[k] - share * rest[k]) < 1e-12;
            sum += out[k];
        }
        assert_true(fabs(sum - 1) < 1e-12);
        assert_true(part <= 0 || tight);
    }
}

enum { ARMS = 4 };
static const int SLOTS[ARMS] = {0, 1, 2, 3};

/* One decision between four models whose quality is predicted wrongly; gives its row. */
static void decision(struct hull_guard *h, const struct params *p, const double *policy,
                     uint64_t seq, double u, struct decision_row *row)
{
    static struct event_decided d;
    struct hull_sides sides;
    double pmf[ARMS];
    memset(&d, 0, sizeof d);
    memcpy(pmf, policy, sizeof pmf);
    d.weight_quality = d.value = 1;
    assert_true(hull_guard_serve(h, p, SLOTS, ARMS, pmf, &sides));
    d.arm = (uint8_t)pmf_draw(pmf, ARMS, u);
    for (int a = 0; a < ARMS; a++) {
        d.view[a].pmf = pmf[a];
        d.view[a].mean[TARGET_QUALITY] = d.view[a].merit = (float)(0.2 + 0.2 * a);
    }
    d.edge = hull_guard_edge(&sides, &d, SLOTS, ARMS);
    hull_guard_decided(h, &d);
    *row = (struct decision_row){.seq = seq,
                                 .arm = d.arm,
                                 .edge = d.edge,
                                 .quality_mean = d.view[d.arm].mean[TARGET_QUALITY]};
}

static void guarding(struct params *p, struct hull_guard *h, int best)
{
    struct event_hull e = {.turn = HULL_SOLVED};
    params_default(p);
    p->guard.hull = true;
    memset(h, 0, sizeof *h);
    e.mix[best] = 1;
    hull_guard_apply(h, &e, 0);
}

/* In expectation the score is what policy and mix differ by, whatever was predicted. */
static void test_unbiased(void **state)
{
    (void)state;
    static struct params p;
    static struct hull_guard h;
    const double truth[ARMS] = {0.9, 0.5, 0.7, 0.1};
    const double policy[3][ARMS] = {{0.25, 0.25, 0.25, 0.25}, {0, 1, 0, 0}, {0.01, 0.5, 0.09, 0.4}};
    for (int guarded = 0; guarded < 2; guarded++) {
        for (int i = 0; i < 3; i++) {
            enum { GRID = 100000 };
            double sum = 0, want = -truth[2];
            guarding(&p, &h, 2);
            h.guarded = guarded;
            for (int a = 0; a < ARMS; a++)
                want += policy[i][a] * truth[a];
            for (int k = 0; k < GRID; k++) {
                struct decision_row row;
                decision(&h, &p, policy[i], 1, (k + 0.5) / GRID, &row);
                sum += (double)row.edge.direct +
                       (double)row.edge.ratio * (truth[row.arm] - (double)row.quality_mean);
                assert_true(fabs((double)row.edge.ratio) <= (double)row.edge.reach);
            }
            if (fabs(sum / GRID - want) > 1e-3)
                fail_msg("policy %d: %.5f for %.5f", i, sum / GRID, want);
        }
    }
}

/* Labels in any order, amended, taken back: the same bits as those that stay, once. */
static void test_any_order(void **state)
{
    (void)state;
    enum { N = 400 };
    static struct params p;
    static struct hull_guard h[2];
    static struct decision_row row[N];
    const double policy[ARMS] = {0.4, 0.3, 0.2, 0.1};
    struct rng g = rng_stream(5, 5, 5);
    double y[N], first[N];
    guarding(&p, &h[0], 2);
    for (int i = 0; i < N; i++) {
        decision(&h[0], &p, policy, (uint64_t)i + 1, rng_uniform(&g), &row[i]);
        y[i] = rng_uniform(&g);
        first[i] = rng_uniform(&g);
    }
    h[1] = h[0];
    for (int i = 0; i < N; i++)
        if (i % 5)
            hull_guard_label(&h[0], &row[i], false, 0, true, y[i]);
    for (int i = N - 1; i >= 0; i--)
        hull_guard_label(&h[1], &row[i], false, 0, true, first[i]);
    for (int i = 0; i < N; i++) {
        int k = i * 7 % N;
        hull_guard_label(&h[1], &row[k], true, first[k], k % 5 != 0, y[k]);
    }
    assert_int_equal(h[0].sequence[0].n, N * 4 / 5);
    assert_memory_equal(&h[0], &h[1], sizeof h[0]);
}

/* Models equally good, so policy and mix are: over many blocks the policy is hardly ever put aside
 * in 1,000 runs. */
static void test_false_alarms(void **state)
{
    (void)state;
    enum { RUNS = 1000, LABELS = 10000, EVERY = 25 };
    static struct params p;
    static struct hull_guard h;
    const double policy[3][ARMS] = {{0.25, 0.25, 0.25, 0.25}, {0, 1, 0, 0}, {0.7, 0.2, 0.09, 0.01}};
    int wrong = 0, begun = 0;
    for (int run = 0; run < RUNS; run++) {
        struct rng g = rng_stream(9, 9, (uint64_t)run);
        struct event_hull solved = {.turn = HULL_SOLVED};
        bool tripped = false;
        guarding(&p, &h, 2);
        solved.mix[2] = 1;
        for (int i = 1; i <= LABELS && !tripped; i++) {
            struct decision_row row;
            decision(&h, &p, policy[run % 3], (uint64_t)i, rng_uniform(&g), &row);
            hull_guard_label(&h, &row, false, 0, true, rng_uniform(&g) < 0.6 ? 1 : 0);
            if (i % EVERY == 0) {
                tripped = hull_guard_turn(&h, &p) == HULL_TRIPPED;
                hull_guard_apply(&h, &solved, (uint64_t)i);
            }
        }
        wrong += tripped;
        begun += h.begun > 2;
    }
    assert_true(begun > RUNS * 9 / 10);
    if (wrong > RUNS / 20)
        fail_msg("put aside without cause in %d runs of %d", wrong, RUNS);
}

/* ---- the router ---- */

struct course {
    int guarded, policy_draws, trips, returns, trip_labels;
    double quality;
};

/* Plays n requests of models with these qualities; keeps what is common to all of them. */
static struct course play(struct fold *f, int n, const double *quality, struct rng *g)
{
    struct course c = {0};
    for (int i = 0; i < n; i++) {
        f->now += 1000;
        uint64_t seq = fold_route(f, "", "t");
        const struct event_decided *d = &f->ev.decided;
        double pmf[MODELS_MAX], sum = 0;
        for (int a = 0; a < d->n_arms; a++) {
            pmf[a] = d->eligible >> a & 1 ? d->view[a].pmf : 0;
            sum += pmf[a];
        }
        assert_true(fabs(sum - 1) < 1e-12);
        assert_int_equal(pmf_draw(pmf, d->n_arms, d->u), d->arm);
        c.guarded += (d->reasons & REASON_HULL) != 0;
        double y = rng_uniform(g) < quality[d->arm] ? 1 : 0;
        c.quality += quality[d->arm] / n;
        struct feedback r = fold_report(f, seq, "", y);
        fold_feed(f, &r);
        do {
            router_follow(f->router, f->now, &f->ev);
            fold_keep(f);
            if (f->ev.kind == EVENT_HULL && f->ev.hull.turn == HULL_TRIPPED && c.trips++ == 0)
                c.trip_labels = (int)f->ev.hull.labels;
            c.returns += f->ev.kind == EVENT_HULL && f->ev.hull.turn == HULL_RETURNED;
        } while (f->ev.kind != EVENT_NONE);
    }
    return c;
}

static const char UNIFORM[] = "{\"policy\":{\"name\":\"uniform\"},\"guard\":{\"hull\":true}}";

/* A policy below the hull is put aside, over a restart too; the operator brings it back. */
static void test_put_aside(void **state)
{
    (void)state;
    const double quality[] = {0.3, 0.9, 0.5}; /* mid is better and cheaper than big */
    struct fold *f = fold_new(UNIFORM, 1000);
    struct rng g = rng_stream(4, 4, 4);
    struct router_stats s;
    struct course c = play(f, 1200, quality, &g);
    assert_int_equal(c.trips, 1);
    assert_true(c.trip_labels < 600);
    fold_check(f);
    fold_restart(f);
    c = play(f, 500, quality, &g);
    assert_int_equal(c.guarded, 500);
    assert_int_equal(c.trips, 0);
    assert_true(c.quality > 0.85); /* uniform alone: 0.567 */
    router_stats(f->router, &s);
    assert_true(s.hull.guarded && s.hull.trips == 1 && s.hull.lower < s.hull.upper);
    fold_check(f);
    fold_configure(f, "{\"guard\":{\"hull_margin\":0.9}}");
    router_stats(f->router, &s);
    assert_true(!s.hull.guarded);
    c = play(f, 500, quality, &g);
    assert_int_equal(c.guarded, 0);
    fold_check(f);
    fold_free(f);
}

/* Without the guard, or with nothing to hold against it, nothing is put aside. */
static void test_let_be(void **state)
{
    (void)state;
    const double good[] = {0.3, 0.9, 0.5};
    struct rng g = rng_stream(4, 4, 4);
    struct fold *f =
        fold_new("{\"policy\":{\"name\":\"uniform\"},\"guard\":{\"hull\":false}}", 1000);
    assert_int_equal(play(f, 1200, good, &g).guarded, 0);
    fold_free(f);
    f = fold_new("{\"policy\":{\"name\":\"lints\"},\"guard\":{\"hull\":true}}", 1000);
    assert_int_equal(play(f, 2500, good, &g).guarded, 0);
    fold_check(f);
    fold_free(f);
}

/* A fixed model that turns out bad, and later good: evidence alone takes it away and gives it back.
 */
static void test_returns(void **state)
{
    (void)state;
    const double before[] = {0.9, 0.8, 0.3}, after[] = {0.2, 0.2, 0.9};
    struct fold *f = fold_new("{\"policy\":{\"name\":\"uniform\"}}", 1000);
    struct rng g = rng_stream(6, 6, 6);
    struct course c = play(f, 200, before, &g); /* what nobody has tried nobody can prefer */
    fold_configure(f, "{\"policy\":{\"name\":\"fixed\",\"model\":\"big\"},"
                      "\"guard\":{\"hull\":true,\"hull_control\":0.1,\"hull_trial\":0.1}}");
    c = play(f, 2000, before, &g);
    assert_int_equal(c.trips, 1);
    assert_true(c.guarded > 1000);
    c = play(f, 4000, after, &g); /* the present is seen one block later at most */
    assert_int_equal(c.returns, 1);
    assert_true(c.guarded < 3600);
    fold_check(f);
    fold_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers), cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_blend),         cmocka_unit_test(test_unbiased),
        cmocka_unit_test(test_any_order),     cmocka_unit_test(test_false_alarms),
        cmocka_unit_test(test_put_aside),     cmocka_unit_test(test_let_be),
        cmocka_unit_test(test_returns),
    };
    return cmocka_run_group_tests_name("hull", tests, NULL, NULL);
}
