/* SPDX-License-Identifier: MIT */
/*
 * Previews held against what came of the changes, in short; the long runs are in docs/ope.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/config/config.h"
#include "sim/honesty/honesty.h"
#include "sim/setup.h"
#include "sim/world/world.h"

enum { CHANGES = 40, ROWS = 700 };

static void previews_tell_the_truth(void **state)
{
    (void)state;
    static struct world_spec spec;
    static struct honest_change c[CHANGES];
    struct world w;
    struct problem p = {0};
    struct params *params = calloc(1, sizeof *params);
    if (world_load(SOURCE_DIR "/sim/worlds/linear6.json", "", &spec, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    spec.requests = 5 * ROWS;
    assert_int_equal(world_make(&spec, 0, &w, &p), STATUS_OK);
    params_default(params);
    assert_int_equal(setup_pool(params, &w.table, &p), STATUS_OK);
    assert_int_equal(setup_set(params, "policy.floor=0.1", &p), STATUS_OK);
    assert_int_equal(setup_set(params, "policy.floor_min=0.1", &p), STATUS_OK);
    struct honesty h = {.table = &w.table,
                        .params = params,
                        .warm = 3 * ROWS,
                        .rows = ROWS,
                        .labelled = 1,
                        .changes = CHANGES,
                        .seed = 1,
                        .crew = {.workers = 2}};
    if (honesty_run(&h, c, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    for (int m = 0; m < HONEST_METRICS; m++) {
        struct honest_score s = honesty_score(c, CHANGES, m, false);
        print_message("metric %d: %d of %d within, error %g, width %g\n", m, s.within, s.n, s.error,
                      s.width);
        assert_true(s.n >= 10);
        assert_true(10 * s.within >= 9 * s.n);
    }
    world_free(&w);
    free(params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(previews_tell_the_truth)};
    return cmocka_run_group_tests_name("honesty", tests, NULL, NULL);
}
