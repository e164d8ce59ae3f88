/* SPDX-License-Identifier: MIT */
/*
 * Off-policy evaluation of whole logs. The Open Bandit Dataset's small files are looked for in the
 * folder obd_small below $PURSER_TEST_DATA, else skipped; what they must give is here.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "sim/ope/evaluate.h"
#include "sim/ope/fit.h"
#include "sim/ope/read.h"

static void near(double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("%.15g, not %.15g", got, want);
}

/* Answers what a target and a bound on weights come to on a log. */
static void evaluate(const char *path, const char *target, struct ope_rows *rows,
                     struct ope_report *report)
{
    struct ope_question q = {.alpha = .05, .seed = 1, .candidates = 1, .tuning = {.clip = 10}};
    struct ope_source source = {.path = path, .format = FORMAT_CSV};
    struct problem p = {0};
    assert_true(target_parse(target, &q.target) && target_parse("logged", &q.against));
    memset(rows, 0, sizeof *rows);
    source.target = &q.target;
    if (ope_read(&source, rows, &p) != STATUS_OK)
        fail_msg("%s: %s", path, p.text);
    assert_int_equal(fit_crossed(rows, &p), STATUS_OK);
    static const double quality[AIM_UTILITY] = {1, 0, 0, 0};
    rows_weigh(rows, quality);
    assert_int_equal(ope_evaluate(rows, &q, 0, report, &p), STATUS_OK);
}

static double value(const struct ope_report *r, enum ope_estimator e)
{
    return r->aim[AIM_QUALITY].side[SIDE_TARGET].estimate[e].value;
}

/* The uniform policy from logs of Bernoulli Thompson sampling, and its own logs beside. */
static void open_bandit(void **state)
{
    static const struct {
        const char *name;
        size_t arms;
        double ips, snips, ess, most, clip10;
    } known[] = {{"men", 34, .0030086263272565, .0031894231622774, 655.71, NAN, NAN},
                 {"women", 46, .0074375775419232, .0023730461434477, 2.08, 21740, .00438366918613}};
    const char *data = getenv("PURSER_TEST_DATA");
    char path[4096];
    (void)state;
    snprintf(path, sizeof path, "%s/obd_small/bts_men.csv", data ? data : "");
    if (data == NULL || access(path, R_OK) != 0) {
        print_message("skipped: PURSER_TEST_DATA names no folder with obd_small\n");
        skip();
    }
    for (int k = 0; k < 2; k++) {
        struct ope_rows rows;
        struct ope_report r;
        snprintf(path, sizeof path, "%s/obd_small/bts_%s.csv", data, known[k].name);
        evaluate(path, "uniform", &rows, &r);
        assert_int_equal(rows.n, 10000);
        assert_int_equal(rows.arms.n, known[k].arms);
        near(value(&r, OPE_IPS), known[k].ips, 1e-12);
        near(value(&r, OPE_SNIPS), known[k].snips, 1e-12);
        near(r.health[SIDE_TARGET].ess, known[k].ess, .005);
        if (!isnan(known[k].most)) {
            near(r.health[SIDE_TARGET].max_weight, known[k].most, 1);
            near(value(&r, OPE_CLIPPED), known[k].clip10, 1e-12);
        }
        assert_true(r.faults != 0); /* nothing to promote on two effective rows */
        ope_report_fini(&r);
        rows_fini(&rows);
        snprintf(path, sizeof path, "%s/obd_small/random_%s.csv", data, known[k].name);
        evaluate(path, "logged", &rows, &r);
        near(r.aim[AIM_QUALITY].logged, .0046, 1e-12);
        near(value(&r, OPE_IPS), .0046, 1e-12);
        ope_report_fini(&r);
        rows_fini(&rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_bandit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
