/* SPDX-License-Identifier: MIT */
/*
 * Off-policy estimators and intervals against numbers worked out elsewhere: an eight-row log to
 * nine places, intervals of Vowpal Wabbit's estimators and of the package confseq, and identities.
 */
#include "bandit/ope/anytime.h"
#include "bandit/ope/confseq.h"
#include "bandit/ope/ope.h"
#include "bandit/ope/ope_gate.h"
#include "bandit/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define assert_close(a, b, tolerance) check_close((a), (b), (tolerance), __LINE__)

static void check_close(double a, double b, double tolerance, int line)
{
    if (fabs(a - b) <= tolerance)
        return;
    print_error("line %d: %.17g against %.17g\n", line, a, b);
    fail();
}

/* ---- the eight rows ---- */

enum { G = 8, K = 3 };
static const int g_action[G] = {0, 1, 2, 0, 1, 0, 2, 1};
static const double g_label[G] = {1, 0, 1, .5, 1, 0, 0, .25};
static const double g_p[G] = {.5, .25, .25, .5, .2, .8, .1, .6};
static const double g_pi[G][K] = {
    {.2, .3, .5}, {.1, .8, .1},   {0, 0, 1},      {.6, .2, .2},
    {.3, .6, .1}, {.9, .05, .05}, {.25, .25, .5}, {1. / 3, 1. / 3, 1. / 3}};
static const double g_q[G][K] = {{.6, .4, .7}, {.5, .2, .3}, {.4, .4, .8}, {.55, .3, .6},
                                 {.2, .9, .5}, {.3, .3, .3}, {.1, .6, .2}, {.4, .35, .5}};

struct golden {
    double weight[G], q_logged[G], q_target[G];
    struct ope_log log;
};

static void golden(struct golden *g)
{
    for (int i = 0; i < G; i++) {
        g->weight[i] = g_pi[i][g_action[i]] / g_p[i];
        g->q_logged[i] = g_q[i][g_action[i]];
        g->q_target[i] = 0;
        for (int a = 0; a < K; a++)
            g->q_target[i] += g_pi[i][a] * g_q[i][a];
    }
    g->log = (struct ope_log){G, g->weight, g_label, g->q_logged, g->q_target, NULL, NULL, G};
}

static void golden_log(void **state)
{
    (void)state;
    static const struct {
        enum ope_estimator e;
        double value;
    } known[] = {
        {OPE_IPS, 1.017361111111},  {OPE_CLIPPED, .642361111111}, {OPE_SNIPS, .440402825793},
        {OPE_SGIPS, .842004890393}, {OPE_DM, .472708333333},      {OPE_DR, .368576388889},
        {OPE_SNDR, .427630924646},  {OPE_SWITCH, .436076388889},  {OPE_DROS, .450611161626},
        {OPE_SGDR, .391011471520},
    };
    const struct ope_tuning t = {.clip = 2, .tau = 2, .dros = 2, .sg = .1, .reject = 10};
    struct golden g;
    golden(&g);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_close(ope_estimate(&g.log, known[i].e, &t, NULL).value, known[i].value, 1e-9);
    assert_close(ope_estimate(&g.log, OPE_IPS, &t, NULL).variance, .308198233576, 1e-9);
    assert_close(ope_estimate(&g.log, OPE_SNIPS, &t, NULL).variance, .043848351282, 1e-9);
    assert_close(ope_health(&g.log).ess, 5.385711290725, 1e-9); /* by fractions */
}

/* ---- identities ---- */

enum { N = 4000 };
struct made {
    double weight[N], label[N], q_logged[N], q_target[N];
    uint32_t cluster[N];
    struct ope_log log;
};

/* Two arms drawn evenly; the target takes arm 1 with probability .8; rates .3 and .7. */
static void make(struct made *m, uint64_t seed)
{
    struct rng r = rng_stream(seed, 1, 0);
    for (size_t i = 0; i < N; i++) {
        int a = rng_uniform(&r) < .5;
        m->weight[i] = a ? 1.6 : .4;
        m->label[i] = rng_uniform(&r) < (a ? .7 : .3);
        m->q_logged[i] = a ? .6 : .4;
        m->q_target[i] = .8 * .6 + .2 * .4;
        m->cluster[i] = (uint32_t)(i / 4);
    }
    m->log = (struct ope_log){N, m->weight, m->label, m->q_logged, m->q_target, NULL, NULL, N};
}

static void identities(void **state)
{
    (void)state;
    static struct made m;
    make(&m, 3);
    struct ope_tuning t = ope_tune(&m.log, 1);
    double mean = 0;
    for (int i = 0; i < N; i++)
        mean += m.label[i] / N;
    for (int i = 0; i < N; i++) { /* the policy itself */
        m.weight[i] = 1;
        m.q_target[i] = m.q_logged[i];
    }
    m.log.embed = m.weight;
    t.reject = 1;
    for (int e = 0; e < OPE_ESTIMATORS; e++)
        if (e != OPE_DM && e != OPE_CLIPPED && e != OPE_DROS) /* a model; weights that are cut */
            assert_close(ope_estimate(&m.log, (enum ope_estimator)e, &t, NULL).value, mean, 1e-12);
    assert_close(ope_health(&m.log).mean_z, 0, 0);
    assert_close(ope_health(&m.log).ess, N, 1e-6);
    make(&m, 3);
    for (int i = 0; i < N; i++)
        m.label[i] = .25;
    struct ope_estimate constant = ope_estimate(&m.log, OPE_SNIPS, &t, NULL);
    assert_close(constant.value, .25, 1e-12);
    assert_close(constant.variance, 0, 1e-20);
    for (int i = 0; i < N; i++)
        m.label[i] = m.q_logged[i]; /* an exact model */
    assert_close(ope_estimate(&m.log, OPE_DR, &t, NULL).value,
                 ope_estimate(&m.log, OPE_DM, &t, NULL).value, 1e-12);
}

/* Var IPS in closed form: (sum over a of pi^2 / p * E r^2) - V^2, over n; scaled labels scale. */
static void closed_form(void **state)
{
    (void)state;
    static struct made m;
    double variance = 0, value = .8 * .7 + .2 * .3, k = 3;
    const struct ope_tuning t = {0};
    for (uint64_t s = 0; s < 50; s++) {
        make(&m, 100 + s);
        variance += ope_estimate(&m.log, OPE_IPS, &t, NULL).variance / 50;
    }
    assert_close(variance * N / (.64 / .5 * .7 + .04 / .5 * .3 - value * value), 1, .01);
    struct ope_estimate before = ope_estimate(&m.log, OPE_IPS, &t, NULL);
    for (int i = 0; i < N; i++)
        m.label[i] *= k;
    struct ope_estimate after = ope_estimate(&m.log, OPE_IPS, &t, NULL);
    assert_close(after.value, k * before.value, 1e-12);
    assert_close(after.variance, k * k * before.variance, 1e-12);
}

/* Rows said four times carry no more than once: with clusters the variance knows it. */
static void clusters(void **state)
{
    (void)state;
    static struct made m;
    make(&m, 5);
    const struct ope_tuning t = {.reject = 2};
    for (int i = 0; i < N; i++) {
        m.weight[i] = m.weight[i / 4 * 4];
        m.label[i] = m.label[i / 4 * 4];
    }
    double naive = ope_estimate(&m.log, OPE_IPS, &t, NULL).variance;
    struct ope_bootstrap alone, together;
    assert_true(ope_bootstrap(&m.log, NULL, &t, .05, 7, &alone));
    m.log.cluster = m.cluster;
    m.log.n_clusters = N / 4;
    assert_close(ope_estimate(&m.log, OPE_IPS, &t, NULL).variance / naive, 4, .02);
    assert_true(ope_bootstrap(&m.log, NULL, &t, .05, 7, &together));
    double ratio = (together.a[OPE_SNIPS].high - together.a[OPE_SNIPS].low) /
                   (alone.a[OPE_SNIPS].high - alone.a[OPE_SNIPS].low);
    assert_close(ratio, 2, .2);
    struct ope_estimate e = ope_estimate(&m.log, OPE_SNIPS, &t, NULL);
    struct ope_interval student = ope_student(&e, .05);
    assert_close((together.a[OPE_SNIPS].high - together.a[OPE_SNIPS].low) /
                     (student.high - student.low),
                 1, .08);
}

/* Where two policies agree they cancel: the difference is known better than either. */
static void differences(void **state)
{
    (void)state;
    static struct made m;
    static double near[N], psi_a[N], psi_b[N];
    make(&m, 9);
    const struct ope_tuning t = {.reject = 2};
    for (int i = 0; i < N; i++)
        near[i] = m.weight[i] > 1 ? 1.64 : .36; /* .82 of arm 1 */
    struct ope_log b = m.log;
    b.weight = near;
    struct ope_estimate x = ope_estimate(&m.log, OPE_IPS, &t, psi_a),
                        y = ope_estimate(&b, OPE_IPS, &t, psi_b),
                        d = ope_difference(&m.log, &x, psi_a, &y, psi_b);
    assert_close(d.value, y.value - x.value, 1e-15);
    assert_true(d.variance < x.variance / 100);
    struct ope_interval student = ope_student(&d, .05);
    struct ope_bootstrap boot;
    assert_true(ope_bootstrap(&m.log, &b, &t, .05, 7, &boot));
    assert_close(boot.difference[OPE_IPS].low, student.low, .1 * (student.high - student.low));
    assert_true(isnan(boot.difference[OPE_MIPS].low));
}

/* ---- intervals ---- */

/* 1000 rows, two arms drawn evenly, labels 1 and 0, the target's probabilities .2 and .8. */
static void intervals(void **state)
{
    (void)state;
    static double weight[1000], label[1000];
    for (int i = 0; i < 1000; i++) {
        label[i] = i % 2 == 0;
        weight[i] = i % 2 == 0 ? .4 : 1.6;
    }
    struct ope_log log = {1000, weight, label, NULL, NULL, NULL, NULL, 1000};
    struct ope_bounds b = {0, INFINITY, 0, 1};
    struct ope_interval c = ope_cressie_read(&log, &b, .05);
    assert_close(c.low, .189329, 1e-5);
    assert_close(c.high, .242685, 1e-5);
    b.weight_high = 2;
    c = ope_cressie_read(&log, &b, .05);
    assert_close(c.low, .198425, 1e-5);
    assert_close(c.high, .206300, 1e-5);
    b.weight_high = 1.6;
    c = ope_clopper_pearson(&log, &b, .05);
    assert_close(c.low, .169319, 1e-5);
    assert_close(c.high, .233546, 1e-5);
    struct ope_estimate e = ope_estimate(&log, OPE_IPS, &(struct ope_tuning){0}, NULL);
    c = ope_student(&e, .05);
    assert_close(c.low, .187598, 3e-5); /* there by the normal distribution */
    assert_close(c.high, .212402, 3e-5);
    c = ope_anytime(&log, &b, .05);
    assert_true(c.low > .15 && c.low < .2 && c.high > .2 && c.high < .33);
    struct ope_interval loose = ope_bernstein(&log, &b, .05);
    assert_true(loose.low < .2 && loose.high > .2 && loose.low > .1);
}

/* With many rows it is the normal interval of the control variate; it once gave up and said 0 to 1.
 */
static void many_rows(void **state)
{
    enum { MANY = 400000 };
    double *weight = malloc(2 * MANY * sizeof *weight), *label = weight + MANY;
    struct ope_bounds b = {0, 2, 0, 1};
    (void)state;
    assert_non_null(weight);
    for (int i = 0; i < MANY; i++) {
        weight[i] = i % 2 == 0 ? .5 : 1.5;
        label[i] = i % 4 < 2;
    }
    struct ope_log log = {MANY, weight, label, NULL, NULL, NULL, NULL, MANY};
    struct ope_interval c = ope_cressie_read(&log, &b, .05);
    assert_true(c.low < .5 && c.high > .5);
    assert_close(c.high - c.low, 2 * 1.96 * sqrt(.3125 - .0625) / sqrt(MANY), 1e-3);
    assert_true(c.high - c.low > .002);
    free(weight);
}

/* ---- sequences of others, from their papers: what ours is held against ---- */

/* Howard et al. (2021), equation 10: pieces of lines under a curve, with eta 2 and s 1.4. */
static double stitched(double v, double alpha, double v_min, double c)
{
    const double s = 1.4, zeta = 3.105547277948, eta = 2; /* the zeta function at s */
    double k1 = (pow(eta, .25) + pow(eta, -.25)) / sqrt(2), k2 = (sqrt(eta) + 1) / 2;
    double x = fmax(v, v_min);
    double l = s * log(log(eta * x / v_min)) + log(zeta / (alpha * pow(log(eta), s)));
    return sqrt(k1 * k1 * x * l + k2 * k2 * c * c * l * l) + k2 * c * l;
}

/* The beta-binomial mixture of k successes in n at a rate p, its logarithm (proposition 7). */
static double beta_binomial(double k, double n, double p, double n_best, double alpha)
{
    double most = 2 * log(1 / alpha), pq = p * (1 - p);
    double r = n_best * pq / (most + log1p(most)) - pq, a = r / (1 - p), b = r / p;
    return lgamma(a + k) + lgamma(b + n - k) - lgamma(a + b + n) -
           (lgamma(a) + lgamma(b) - lgamma(a + b)) - k * log(p) - (n - k) * log1p(-p);
}

static double binomial_end(double from, double to)
{
    for (int i = 0; i < 60; i++) {
        double p = (from + to) / 2;
        *(beta_binomial(700, 1000, p, 100, .05) > log(1 / .05) ? &from : &to) = p;
    }
    return from;
}

/* The boundaries of the package confseq: ours is its gamma-exponential mixture, with the normal one
 * in the limit; what it is chosen over is wider for bounded numbers, or for rates only. */
static void boundaries(void **state)
{
    (void)state;
    assert_close(confseq_boundary(100, .05, 100, 2), 33.02017, 1e-4);
    assert_close(confseq_boundary(100, .05, 100, 1e-3), 27.66071, 5e-3);
    assert_close(stitched(100, .05, 10, 3), 64.48755, 1e-5);
    assert_true(confseq_boundary(100, .05, 100, 3) < .6 * stitched(100, .05, 10, 3));
    double low = binomial_end(1e-6, .7), high = binomial_end(1 - 1e-6, .7);
    assert_close(low, .651629, 1e-6);
    assert_close(high, .745949, 1e-6);
    const struct confseq_sums rate = {1000, 700 * .3 - 300 * .7, 700 * .09 + 300 * .49, .7};
    double below = .7 + confseq_lower(&rate, .025), above = .7 + confseq_upper(&rate, .025);
    print_message("700 of 1000: %.4f to %.4f, rates only %.4f to %.4f\n", below, above, low, high);
    assert_true(below < .7 && above > .7);
    assert_true(above - below < 1.3 * (high - low)); /* any bounded numbers, not rates alone */
}

/* What Vowpal Wabbit's sequence says of the same numbers, and ours. */
static void sequences(void **state)
{
    enum { N_VW = 1000 };
    static double one[N_VW], label[N_VW];
    const struct ope_bounds b = {0, INFINITY, 0, 1};
    (void)state;
    for (int i = 0; i < N_VW; i++) {
        one[i] = 1;
        label[i] = (double[]){.5, .6, .7, .8}[i % 4];
    }
    struct ope_log log = {N_VW, one, label, NULL, NULL, NULL, NULL, N_VW};
    struct ope_interval c = ope_anytime(&log, &b, .05);
    print_message("four values: %.4f to %.4f, theirs .4215 to .7908\n", c.low, c.high);
    assert_true(c.low < .65 && c.high > .65 && c.high - c.low < .7907692 - .4215480);
    for (int i = 0; i < N_VW; i++) {
        label[i] = i % 2 == 0;
        one[i] = i % 2 == 0 ? .4 : 1.6;
    }
    c = ope_anytime(&log, &b, .05);
    print_message("two values: %.4f to %.4f, theirs .1757 to .2964\n", c.low, c.high);
    assert_true(c.low < .2 && c.high > .2 && c.high - c.low < 1.2 * (.296355 - .175724));
}

/*
 * A log whose policy follows what it has seen: greedy on running means with a floor of .1, so that
 * weights and labels depend on each other over time. The sequence must not be false at any row in
 * more than 5% of the runs, both sides together.
 */
static bool ever_false(uint64_t seed, double *width)
{
    enum { ROWS = 400 };
    static double weight[ROWS], label[ROWS];
    const double rate[2] = {.6, .4}, pi[2] = {.3, .7}, truth = .3 * .6 + .7 * .4;
    double sum[2] = {.5, .5}, n[2] = {1, 1};
    struct rng r = rng_stream(seed, 2, 0);
    struct anytime low = {.scale = 1, .alpha = .025}, high = low;
    bool wrong = false;
    for (int i = 0; i < ROWS; i++) {
        double p1 = sum[1] / n[1] > sum[0] / n[0] ? .9 : .1;
        int a = rng_uniform(&r) < p1;
        label[i] = rng_uniform(&r) < rate[a];
        weight[i] = pi[a] / (a ? p1 : 1 - p1);
        sum[a] += label[i];
        n[a]++;
        anytime_add(&low, weight[i] * label[i]);
        anytime_add(&high, weight[i] * (1 - label[i]));
        wrong = wrong || anytime_lower(&low) > truth || 1 - anytime_lower(&high) < truth;
    }
    *width += 1 - anytime_lower(&high) - anytime_lower(&low);
    return wrong;
}

/* By a program of its own, from the formula: a hundred numbers of a cycle, and shifted ones. */
static void anytime_vector(void **state)
{
    struct anytime a = {.scale = 1, .alpha = .025};
    struct anytime b = {.floor = -.3, .scale = 1.7, .alpha = .05};
    (void)state;
    for (int i = 0; i < 200; i++) {
        double x = (i * 7 % 11) / 10.0 * 1.5;
        anytime_add(&a, x);
        anytime_add(&b, x - .3);
    }
    assert_close(anytime_lower(&a), .6290777923255585, 1e-12);
    assert_close(anytime_lower(&b), .34322522938979466, 1e-12);
}

static void at_any_time(void **state)
{
    (void)state;
    enum { RUNS = 1000 };
    int wrong = 0;
    double width = 0;
    for (uint64_t s = 0; s < RUNS; s++)
        wrong += ever_false(s, &width);
    print_message("false at some time in %d of %d runs; mean width %.3f\n", wrong, RUNS,
                  width / RUNS);
    assert_true(wrong <= RUNS / 20);
    assert_true(width / RUNS < .8); /* and it says something */
}

static void gate(void **state)
{
    (void)state;
    struct ope_gate g = {.quality_low = -.001,
                         .utility_low = .01,
                         .cost_high = 0,
                         .cost_allowed = 0,
                         .quality_margin = .002,
                         .segment_margin = .01,
                         .health = {.n = 4000, .ess = 1000, .max_share = .01, .mean_z = 1},
                         .segment_low = -.005};
    assert_int_equal(ope_gate(&g), 0);
    g.quality_low = NAN;
    g.cost_high = 1e-9;
    g.health.ess = 299;
    assert_int_equal(ope_gate(&g), GATE_QUALITY | GATE_COST | GATE_SAMPLE);
    g.health = (struct ope_health){.n = 10000, .ess = 400, .max_share = .06, .mean_z = -4};
    g.quality_low = 1;
    g.cost_high = 0;
    g.unsupported = .006;
    g.segment_low = -.02;
    g.dr = (struct ope_estimate){.5, 1e-4, 100, true};
    g.snips = (struct ope_estimate){.53, 1e-4, 100, true};
    assert_int_equal(ope_gate(&g), GATE_SAMPLE | GATE_ONE_ROW | GATE_PROPENSITY | GATE_UNSUPPORTED |
                                       GATE_DISAGREE | GATE_SEGMENT);
    for (int i = 0; i < GATE_FAULTS; i++)
        assert_true(strlen(ope_gate_reason(i)) > 10);
    assert_close(ope_needed(1, .1), 784.886, .01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_log),  cmocka_unit_test(identities),
        cmocka_unit_test(closed_form), cmocka_unit_test(clusters),
        cmocka_unit_test(differences), cmocka_unit_test(intervals),
        cmocka_unit_test(many_rows),   cmocka_unit_test(anytime_vector),
        cmocka_unit_test(gate),        cmocka_unit_test(boundaries),
        cmocka_unit_test(sequences),   cmocka_unit_test(at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
