/* SPDX-License-Identifier: MIT */
/* What requests are worth: tables, overrides, what they change, and the account of it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/router/value.h"
#include "tests/fold_fx.h"

static const char TABLES[] =
    "{\"value\":{\"task\":{\"report\":4,\"mail\":0.5},\"user_tier\":{\"premium\":1.5},"
    "\"domain\":{\"play\":0.1},\"outcome\":{\"renewal\":2},\"least\":0.25,\"most\":5},"
    "\"learner\":{\"pool_labels\":0}}";

static double value_for(struct fold *f, const char *task, const char *tier, const char *domain,
                        const char *outcome, double own)
{
    struct request *r = fold_request("a", task);
    (void)snprintf(r->labels.user_tier, NAME_CAP, "%s", tier);
    (void)snprintf(r->labels.domain, NAME_CAP, "%s", domain);
    (void)snprintf(r->labels.outcome, NAME_CAP, "%s", outcome);
    r->value = own;
    fold_ask(f, r);
    return f->ev.decided.value;
}

static void test_tables(void **state)
{
    (void)state;
    struct fold *f = fold_new(TABLES, 100);
    assert_true(value_for(f, "other", "", "", "", 0) == 1);
    assert_true(value_for(f, "report", "", "", "", 0) == 4);
    assert_true(value_for(f, "mail", "premium", "", "", 0) == 0.75);
    assert_true(value_for(f, "mail", "premium", "", "renewal", 0) == 1.5);
    assert_true(value_for(f, "report", "premium", "", "", 0) == 5);       /* not 6: most */
    assert_true(value_for(f, "mail", "", "play", "", 0) == 0.25);         /* not 0.05: least */
    assert_true(value_for(f, "report", "premium", "", "", 0.02) == 0.02); /* its own word */
    assert_true(value_for(f, "other", "", "", "", 1) == 1);
    fold_configure(f, "{\"value\":{\"task\":{}}}"); /* replaces one table, keeps the others */
    assert_true(value_for(f, "report", "premium", "", "", 0) == 1.5);
    fold_check(f);
    fold_free(f);
}

/* The value multiplies what quality is worth, not what money is. */
static void test_utility(void **state)
{
    (void)state;
    struct fold *f = fold_new(TABLES, 100);
    double plain[3], merit[3];
    for (int k = 0; k < 2; k++) {
        value_for(f, "t", "", "", k ? "renewal" : "", 0);
        for (int a = 0; a < 3; a++) {
            const struct arm_view *v = &f->ev.decided.view[a];
            (k ? merit : plain)[a] = (double)v->merit + 0.5 * (double)v->mean[TARGET_FAILURE];
            assert_true(k == 0 || fabs(merit[a] - 2 * plain[a]) < 1e-6);
        }
    }
    fold_free(f);
}

/* Value delivered: labels count as much as their decisions are worth; retracted, they do not. */
static void test_account(void **state)
{
    (void)state;
    struct router_stats s;
    struct fold *f = fold_new(TABLES, 100);
    router_stats(f->router, &s);
    assert_true(isnan(router_value_per_usd(&s)));
    value_for(f, "report", "", "", "", 0);
    struct feedback first = fold_report(f, f->ev.seq, "judge", 0.5);
    value_for(f, "mail", "", "", "", 0);
    struct feedback second = fold_report(f, f->ev.seq, "judge", 1);
    second.has |= FB_COST;
    second.cost_nano = 1000000;
    value_for(f, "other", "", "", "", 0); /* nobody speaks of this one */
    struct feedback elsewhere = {.has = FB_QUALITY, .quality = 1, .version = -1};
    fold_teach(f, "report", "big", &elsewhere); /* history delivered nothing here */
    fold_feed(f, &first);
    fold_feed(f, &second);
    router_stats(f->router, &s);
    assert_true(s.value == 5.5 && s.value_labelled == 4.5 && s.value_quality == 2.5);
    double spent = (double)s.spent_nano * 1e-9;
    assert_true(fabs(router_value_per_usd(&s) - 2.5 / 4.5 * 5.5 / spent) < 1e-9);
    fold_check(f);
    fold_restart(f);
    first.retract = true;
    first.digest = 12345;
    fold_feed(f, &first);
    router_stats(f->router, &s);
    assert_true(s.value == 5.5 && s.value_labelled == 0.5 && s.value_quality == 0.5);
    fold_check(f);
    fold_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_utility),
        cmocka_unit_test(test_account),
    };
    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
