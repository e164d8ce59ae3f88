/* SPDX-License-Identifier: MIT */
/*
 * Metrics of routing against published and hand-worked answers. RouteLLM's data is looked for in
 * the folder routellm2 below $PURSER_TEST_DATA (format: docs/man/purser-sim.1), else skipped.
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

#include "sim/metrics/curve.h"
#include "sim/metrics/outcome.h"

static void near(double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("%.12g, not %.12g", got, want);
}

/* RouterBench's own answers for its hull. */
static void test_envelope(void **state)
{
    (void)state;
    const struct point a[] = {{1, .5}, {2, .4}, {3, .9}, {5, .8}},
                       b[] = {{1, .6}, {2, .5}, {3, .4}};
    const struct point want[] = {{1, .5}, {2, .7}, {3, .9}};
    struct point out[4], hull[4];
    assert_int_equal(curve_envelope(a, 4, out), 3);
    for (int i = 0; i < 3; i++) {
        near(out[i].cost, want[i].cost, 0);
        near(out[i].quality, want[i].quality, 1e-12);
    }
    assert_int_equal(curve_envelope(b, 3, out), 1);
    near(out[0].cost, 1, 0);
    near(out[0].quality, .6, 0);
    near(curve_aiq(a, 4, 1, 5, hull), (1.4 + 1.8) / 4, 1e-12); /* .5 to .9 over 2, then .9 over 2 */
    near(curve_aiq(b, 3, 1, 3, hull), .6, 1e-12);
    assert_true(isnan(curve_aiq(b, 3, 1, 1, hull)));
}

/* Rows of RouterArena's leaderboard: accuracy, USD per 1000 requests, score. */
static void test_arena(void **state)
{
    (void)state;
    const double row[][3] = {{.6688, .15, .668994}, {.6809, .54, .666679}, {.7396, 10.02, .643157}};
    for (int i = 0; i < 3; i++)
        near(curve_arena(row[i][0], row[i][1]), row[i][2], 5e-7);
    near(curve_arena(.9, 200), 0, 0);
    near(curve_arena(.5, 1e-9), curve_arena(.5, .0044), 0);
    near(curve_arena(0, 1), 0, 0);
}

static void test_area(void **state)
{
    (void)state;
    const struct point p[] = {{1, .4}, {2, .6}, {4, .8}};
    near(curve_area(p, 3, 4), (.4 + .5 + 1.4) / 4, 1e-12); /* left of the first point: constant */
    near(curve_neutral_cost(p, 3, .7, 4), .75, 1e-12);
    near(curve_neutral_cost(p, 3, .4, 4), .25, 1e-12);
    assert_true(isnan(curve_neutral_cost(p, 3, .81, 4)));
    const struct point dips[] = {{1, .4}, {2, .7}, {3, .5}, {4, .8}};
    near(curve_neutral_cost(dips, 4, .65, 4), (1 + .25 / .3) / 4, 1e-12); /* the first crossing */
}

/* Ten rows, worked out by hand: the strong model is right on all, the weak on the lower five. */
static void test_deferral(void **state)
{
    (void)state;
    double score[11], weak[11], strong[11], upside[11];
    struct deferral c[DEFERRAL_POINTS];
    for (int i = 0; i < 11; i++) {
        score[i] = i;
        upside[i] = -i;
        weak[i] = i < 5;
        strong[i] = 1;
    }
    assert_int_equal(deferral_curve(score, weak, strong, 11, c), 11);
    near(c[0].share, 1, 0);
    near(c[9].share, 2 / 11., 1e-12);
    near(c[10].share, 0, 0); /* strictly above the highest */
    near(c[10].quality, 5 / 11., 1e-12);
    near(deferral_cpt(c, 11, 5 / 11., 1, .5), 3 / 11., 1e-12);
    near(deferral_cpt(c, 11, 5 / 11., 1, 1), 6 / 11., 1e-12);
    double good = deferral_apgr(c, 11, 5 / 11., 1);
    assert_int_equal(deferral_curve(upside, weak, strong, 11, c), 11);
    assert_true(good > .7 && deferral_apgr(c, 11, 5 / 11., 1) < .3);
    double same[11] = {0};
    assert_int_equal(deferral_curve(same, weak, strong, 11, c), 1);
    assert_true(isnan(deferral_apgr(c, 1, 5 / 11., 1)));
    near(metric_pgr(.7, .6, .8), .5, 1e-12);
    assert_true(isnan(metric_pgr(.7, .6, .6)));
}

/* ---- real data */

struct half {
    double *score, *weak, *strong, right[2];
    size_t n;
};

static void take(const struct table *t, const char *task, int weak, bool gap, struct half *h)
{
    h->n = 0;
    h->right[0] = h->right[1] = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (strncmp(table_task(t, i), task, strlen(task)) != 0)
            continue;
        h->weak[h->n] = t->q[table_cell(t, i, weak)];
        h->strong[h->n] = t->q[table_cell(t, i, !weak)];
        h->score[h->n] = gap ? h->strong[h->n] - h->weak[h->n] : (double)table_input_tokens(t, i);
        h->right[0] += h->weak[h->n];
        h->right[1] += h->strong[h->n++];
    }
}

static void check(const struct half *h, double apgr, double cpt50, double cpt80)
{
    struct deferral c[DEFERRAL_POINTS];
    double weak = h->right[0] / (double)h->n, strong = h->right[1] / (double)h->n;
    int n = deferral_curve(h->score, h->weak, h->strong, h->n, c);
    near(deferral_apgr(c, n, weak, strong), apgr, 1e-11);
    near(deferral_cpt(c, n, weak, strong, .5), cpt50, 1e-11);
    near(deferral_cpt(c, n, weak, strong, .8), cpt80, 1e-11);
}

/* RouteLLM's MMLU and GSM8K without contaminated prompts: 14037 and 1307 rows. Scores are the
 * length of the prompt, and which model is right; the answers are those of a second program. */
static void test_routellm(void **state)
{
    (void)state;
    const char *data = getenv("PURSER_TEST_DATA");
    char dir[4096];
    struct table t = {0};
    struct problem problem = {0};
    if (data == NULL) {
        print_message("RouteLLM: skipped, PURSER_TEST_DATA names no folder with routellm2\n");
        skip();
    }
    snprintf(dir, sizeof dir, "%s/routellm2", data);
    if (table_load(dir, &t, &problem) != STATUS_OK)
        fail_msg("%s: %s", problem.path, problem.text);
    int weak = strncmp(t.model[0].name, "gpt-4", 5) == 0;
    struct half h = {calloc(t.n, 8), calloc(t.n, 8), calloc(t.n, 8), {0}, 0};
    assert_true(h.score != NULL && h.weak != NULL && h.strong != NULL);
    take(&t, "mmlu", weak, false, &h);
    assert_int_equal(h.n, 14037);
    near(h.right[0], 9558, 0);
    near(h.right[1], 11312, 0);
    check(&h, .577810301639, .358640873084, .726309625930);
    take(&t, "mmlu", weak, true, &h);
    check(&h, .737946682530, .332789070049, .532462512079);
    take(&t, "gsm8k", weak, false, &h);
    assert_int_equal(h.n, 1307);
    near(h.right[0], 833, 0);
    near(h.right[1], 1121, 0);
    check(&h, .590085171725, .367781542609, .676027543994);
    free(h.score);
    free(h.weak);
    free(h.strong);
    table_free(&t);
}

/* ---- choices and predictions */

static void add(struct table *t, const char *id, double q0, double q1)
{
    struct table_cells c = {.q = {q0, q1}, .cost_nano = {1000000, 3000000}};
    assert_int_equal(table_add(t, id, "t", "p", 1, 0, &c, NULL), STATUS_OK);
}

static void test_choices(void **state)
{
    (void)state;
    struct table t = {.n_models = 2};
    assert_int_equal(table_set_model(&t, 0, "cheap", "", 1, 1, NULL), STATUS_OK);
    assert_int_equal(table_set_model(&t, 1, "dear", "", 3, 3, NULL), STATUS_OK);
    add(&t, "a", .8, .8);
    add(&t, "b", .2, 1);
    add(&t, "c", .9, .95);
    add(&t, "d", 0, 0);
    const uint32_t row[] = {0, 1, 2, 3};
    const int model[] = {1, 1, 0, 0};
    struct oracle_match s = metric_oracle_match(&t, row, model, 4, .1);
    near(s.lenient, 3 / 4., 1e-12); /* c falls short by .05 */
    near(s.strict, 2 / 4., 1e-12);  /* a is bought too dearly */
    near(s.near, 3 / 4., 1e-12);    /* b, c, d */
    near(s.optimal_selection, 1 / 3., 1e-12);
    near(s.optimal_cost, 1, 1e-12);
    near(s.optimal_accuracy, 2.7 / 2.75, 1e-12);
    double step[4], sum[4];
    near(metric_regret(&t, row, model, 4, step, sum), .05 / 4, 1e-12);
    near(step[2], .05, 1e-12);
    near(sum[1], 0, 1e-12);
    near(sum[3], .05, 1e-12);
    near(metric_regret_fixed(&t, row, model, 4), .05 / 4, 1e-12);
    table_free(&t);
}

static void test_compliance(void **state)
{
    (void)state;
    const double cost[] = {1, 1, 3, 1, 0, 0};
    double work[6];
    struct compliance s = metric_compliance(cost, 6, 1, 2, work);
    near(s.ratio, 1, 1e-12);
    near(s.window_most, 2, 1e-12);
    near(s.window_p99, 2, 1e-12);
    near(s.over, 2 / 5., 1e-12);
    assert_int_equal(s.exhausted_at, 4);
    s = metric_compliance(cost, 6, 2, 7, work);
    assert_int_equal(s.exhausted_at, -1);
    assert_true(isnan(s.window_most));
}

static void test_calibration(void **state)
{
    (void)state;
    const double p[] = {.1, .1, .9, 1}, y[] = {0, 1, 1, 1};
    struct reliability bin[10];
    struct calibration c = metric_calibration(p, y, 4, bin, 10);
    near(c.brier, (.01 + .81 + .01) / 4, 1e-12);
    near(c.ece, (.8 + .1) / 4, 1e-12);
    assert_int_equal(bin[1].n, 2);
    assert_int_equal(bin[9].n, 2);
    near(bin[1].observed, .5, 1e-12);
    near(bin[9].predicted, .95, 1e-12);
    assert_true(isnan(bin[0].observed));
    const double bill[] = {2, 0, 4}, told[] = {1, 5, 5};
    size_t used;
    near(metric_mape(told, bill, 3, &used), .375, 1e-12);
    assert_int_equal(used, 2);
}

static void test_over_time(void **state)
{
    (void)state;
    const double v[] = {1, 1, 0, 0, 1, 1, 0, 1, 1, 1};
    double work[10];
    assert_int_equal(metric_recovery(v, 10, 2, 2, 1), 7); /* the first time did not last */
    assert_int_equal(metric_recovery(v, 10, 2, 2, .5), 3);
    assert_int_equal(metric_recovery(v, 7, 2, 2, 1), -1);
    const int model[] = {0, 0, 0, 1, 0, 0, 1, 1, 1, 1};
    assert_int_equal(metric_adoption(model, 10, 1, 1, 2, .95, work), 7);
    assert_int_equal(metric_adoption(model, 10, 1, 2, 2, .95, work), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelope),   cmocka_unit_test(test_arena),
        cmocka_unit_test(test_area),       cmocka_unit_test(test_deferral),
        cmocka_unit_test(test_routellm),   cmocka_unit_test(test_choices),
        cmocka_unit_test(test_compliance), cmocka_unit_test(test_calibration),
        cmocka_unit_test(test_over_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
