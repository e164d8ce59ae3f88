/* SPDX-License-Identifier: MIT */
/* The legal cascade: what ships is what it says, through the engine's own decide and escalate. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/config/config.h"
#include "sim/scenario/cascade.h"

static void test_documents(void **state)
{
    (void)state;
    static struct cascade_document a, b;
    int errs = 0;
    for (size_t i = 0; i < 2000; i++) {
        memset(&a, 0, sizeof a);
        memset(&b, 0, sizeof b);
        cascade_document(3, i, &a);
        cascade_document(3, i, &b);
        assert_memory_equal(&a, &b, sizeof a);
        assert_true(strlen(a.prompt) < sizeof a.prompt - 1);
        for (int m = 0; m < CASCADE_MODELS; m++) {
            assert_true(a.answer[m].quality >= 0 && a.answer[m].quality <= 1);
            assert_true(m == 0 || a.answer[m].cost_nano > a.answer[m - 1].cost_nano);
            errs += a.answer[m].flagged == (a.answer[m].quality > 0.75);
        }
    }
    assert_true(errs > 90 && errs < 240); /* the checker is wrong in some three of a hundred */
}

/* Half a dollar becomes some twelve cents at the same quality, and less than going up step by step
 * takes; the oracle is what is left. */
static void test_cascade(void **state)
{
    (void)state;
    struct scenario_ask ask = {.seeds = 6, .first_seed = 1, .crew = {.workers = 1}};
    struct cascade_report r;
    struct problem problem;
    assert_int_equal(cascade_measure(&ask, &r, &problem), STATUS_OK);
    const struct cascade_side *purser = &r.way[CASCADE_PURSER], *naive = &r.way[CASCADE_NAIVE];
    assert_true(fabs(r.way[CASCADE_ALWAYS_LARGE].cost_usd.mean - 0.5) < 0.02);
    assert_true(fabs(purser->cost_usd.mean - 0.12) < 0.01);
    assert_true(purser->cost_usd.mean < naive->cost_usd.mean);
    assert_true(purser->cost_usd.mean > r.way[CASCADE_ORACLE].cost_usd.mean);
    assert_true(purser->quality_less_large.mean > -0.005);
    assert_true(r.way[CASCADE_ALWAYS_SMALL].quality_less_large.mean < -0.05);
    assert_true(purser->attempts.mean > 1 && purser->attempts.mean < naive->attempts.mean);
    for (int w = 0; w < CASCADE_WAYS; w++) {
        double begun = 0, ended = 0;
        for (int m = 0; m < CASCADE_MODELS; m++) {
            begun += r.way[w].begun[m].mean;
            ended += r.way[w].ended[m].mean;
        }
        assert_true(fabs(begun - 1) < 1e-9 && fabs(ended - 1) < 1e-9);
    }
}

/* The same bytes whoever plays it. */
static void test_report(void **state)
{
    (void)state;
    enum { CAP = 16384 };
    char *bytes[2] = {calloc(1, CAP), calloc(1, CAP)};
    struct problem problem;
    for (int json = 0; json < 2; json++) {
        for (int i = 0; i < 2; i++) {
            struct scenario_ask ask = {
                .seeds = 2, .first_seed = 1, .rows = 300, .json = json, .crew = {.workers = 1 + i}};
            struct text t = text_over(bytes[i], CAP);
            assert_int_equal(cascade_scenario(&ask, &t, &problem), STATUS_OK);
            assert_false(t.full);
        }
        assert_string_equal(bytes[0], bytes[1]);
    }
    assert_non_null(strstr(bytes[0], "\"purser\":{\"usd_per_document\":{\"mean\":"));
    free(bytes[0]);
    free(bytes[1]);
}

static void test_config(void **state)
{
    (void)state;
    static struct params p;
    struct problem problem;
    if (config_parse(cascade_config(), strlen(cascade_config()), &p, NULL, &problem) != STATUS_OK)
        fail_msg("%s: %s", problem.path, problem.text);
    for (int m = 0; m < CASCADE_MODELS; m++)
        assert_string_equal(p.catalog.model[m].name, cascade_model(m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_cascade),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
