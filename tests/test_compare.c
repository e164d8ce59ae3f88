/* SPDX-License-Identifier: MIT */
/* The grid of replays: a cell is what a replay says, budgets are shares of the best fixed model, an
 * interrupted run resumes to the same result, and full information is worth something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/config/config.h"
#include "sim/replay/compare.h"
#include "sim/scenario/fintech.h"
#include "sim/setup.h"

enum { ROWS = 600 };

static void near(double got, double want, double tolerance)
{
    if (!(got >= want - tolerance && got <= want + tolerance))
        fail_msg("got %.12g, expected %.12g within %g", got, want, tolerance);
}

static void lists_are_checked(void **state)
{
    (void)state;
    struct grid g = {0};
    assert_true(grid_policies(&g, "all"));
    assert_in_range(g.n_policies, 10, GRID_POLICIES_MAX);
    assert_true(grid_policies(&g, "greedy,lints"));
    assert_int_equal(g.n_policies, 2);
    assert_string_equal(g.policy[1], "lints");
    assert_true(grid_budgets(&g, "none,25%,0.001"));
    assert_int_equal(g.n_budgets, 3);
    near(g.budget[1].share, .25, 1e-12);
    near(g.budget[2].usd, .001, 1e-12);
    assert_true(grid_histories(&g, "cold,full"));
    assert_int_equal(g.n_histories, 2);
    assert_int_equal(g.history[1], HISTORY_FULL);
    const char *const bad[] = {"",        "lints,", ",lints", "nosuch",
                               "none,-1", "0",      "5%%",    "cold,warm"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(grid_policies(&g, bad[i]));
        assert_false(grid_budgets(&g, bad[i]));
        assert_false(grid_histories(&g, bad[i]));
    }
}

static void put_row(struct table *t, const char *id, double q0, double q1, int64_t c0, int64_t c1)
{
    struct table_cells cells = {.in = {10, 10},
                                .out = {TABLE_UNKNOWN, TABLE_UNKNOWN},
                                .q = {q0, q1},
                                .cost_nano = {c0, c1},
                                .lat_ms = {TABLE_UNKNOWN, TABLE_UNKNOWN}};
    assert_int_equal(table_add(t, id, "t", "p", 1, 0, &cells, NULL), STATUS_OK);
}

/* Two rows where the dear model gains .5 for 2 and .3 for 1, one where it loses. */
static void oracle_keeps_to_a_spend(void **state)
{
    (void)state;
    struct table t = {.n_models = 2};
    const uint32_t rows[] = {0, 1, 2};
    assert_int_equal(table_set_model(&t, 0, "a", "", 1, 1, NULL), STATUS_OK);
    assert_int_equal(table_set_model(&t, 1, "b", "", 2, 2, NULL), STATUS_OK);
    put_row(&t, "0", .5, 1, 1000000000, 3000000000);
    put_row(&t, "1", .5, .8, 1000000000, 2000000000);
    put_row(&t, "2", .5, .1, 1000000000, 2000000000);
    struct pick all = hull_oracle_within(&t, rows, 3, 2);
    near(all.at.quality, 2.3 / 3, 1e-12), near(all.at.cost, 2, 1e-12);
    struct pick one = hull_oracle_within(&t, rows, 3, 1.9); /* 0.3 a dollar beats 0.25 */
    near(one.at.quality, 1.8 / 3, 1e-12), near(one.at.cost, 4.0 / 3, 1e-12);
    struct pick none = hull_oracle_within(&t, rows, 3, 1.2);
    near(none.at.quality, .5, 1e-12), near(none.at.cost, 1, 1e-12);
    near(hull_oracle_within(&t, rows, 3, .5).at.cost, 1, 1e-12);
    table_free(&t);
}

static void stars_are_for_whole_intervals(void **state)
{
    (void)state;
    struct cell c = {.done = true, .history = "full", .gain = {-.004, -.0055, -.0025}};
    assert_true(cell_below(&c));
    c.history = "cold";
    assert_false(cell_below(&c));
    c.history = "bandit", c.gain.high = -.0015;
    assert_false(cell_below(&c));
    c.gain.high = -.0025, c.done = false;
    assert_false(cell_below(&c));
}

/* --- the grid ------------------------------------------------------------------------------ */

static enum status set_up(void *ctx, const char *dir, struct table *t, struct params *p,
                          struct problem *problem)
{
    (void)ctx;
    params_default(p);
    enum status s = fintech_table((uint64_t)atoi(dir), ROWS, t, problem);
    if (s == STATUS_OK)
        s = setup_pool(p, t, problem);
    return s;
}

struct fx {
    char resume[64], csv[80];
    char *out;
    size_t len;
    struct grid grid;
};

static char *dirs[] = {(char[]){"3"}, (char[]){"4"}};

static int fx_setup(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    int fd = -1;
    if (fx == NULL)
        return -1;
    strcpy(fx->resume, "/tmp/purser-compare-XXXXXX");
    fd = mkstemp(fx->resume);
    close(fd);
    snprintf(fx->csv, sizeof fx->csv, "%s.csv", fx->resume);
    fx->grid = (struct grid){
        .dir = dirs,
        .n_dirs = 1,
        .replay = {.split = 0.5, .seeds = 3, .first_seed = 1, .crew = {.workers = crew_cores()}},
        .set_up = set_up,
        .json = true};
    *state = fx;
    return grid_policies(&fx->grid, "lints,uniform") && grid_budgets(&fx->grid, "none,25%,1e-7") &&
                   grid_histories(&fx->grid, "cold,full")
               ? 0
               : -1;
}

static int fx_teardown(void **state)
{
    struct fx *fx = *state;
    unlink(fx->resume);
    unlink(fx->csv);
    free(fx->out);
    free(fx);
    return 0;
}

/* Runs the grid; what it printed is in fx->out until the next run. */
static const char *run(struct fx *fx)
{
    struct problem p = {0};
    free(fx->out);
    fx->grid.out = open_memstream(&fx->out, &fx->len);
    if (grid_run(&fx->grid, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    fclose(fx->grid.out);
    return fx->out;
}

static int lines_of(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

/* The line of a cell of the first table. */
static const char *find(const char *out, const char *history, const char *policy, const char *asked)
{
    char want[160];
    snprintf(want, sizeof want,
             "\"table\":\"3\",\"history\":\"%s\",\"policy\":\"%s\",\"asked\":\"%s\"", history,
             policy, asked);
    const char *at = strstr(out, want);
    if (at == NULL)
        fail_msg("no cell %s", want);
    return at;
}

static double number_of(const char *line, const char *name)
{
    char want[64];
    snprintf(want, sizeof want, "\"%s\":", name);
    const char *at = strstr(line, want);
    assert_non_null(at);
    return strtod(at + strlen(want), NULL);
}

static void cells_are_replays(void **state)
{
    struct fx *fx = *state;
    struct table t;
    struct params *p = malloc(sizeof *p);
    struct replay_report report;
    const char *out = run(fx);
    assert_int_equal(lines_of(out), 3 + 2 * 3 * 2);
    assert_int_equal(set_up(NULL, "3", &t, p, NULL), STATUS_OK);
    struct replay r = fx->grid.replay;
    r.table = &t;
    r.params = p;
    r.full_history = true;
    assert_int_equal(replay_survey(&r, &report, NULL), STATUS_OK);
    double budget = 0.25 * report.best_single.at.cost;
    p->budget.usd_per_request = budget;
    assert_int_equal(replay_run(&r, &report, NULL), STATUS_OK);
    const char *line = find(out, "full", "lints", "25%");
    near(number_of(line, "budget"), budget, 1e-15);
    near(number_of(line, "quality"), report.quality.mean, 1e-12);
    near(number_of(line, "gain_low"), report.gain.low, 1e-12);
    near(number_of(line, "spend_over_budget"), report.budget_ratio.mean, 1e-12);
    near(number_of(line, "hull_at_budget"), report.hull_at_budget, 1e-12);
    near(number_of(line, "budget_met"), report.met, 0);
    const char *cold = find(out, "cold", "lints", "25%");
    near(number_of(cold, "learned"), 0, 0);
    near(number_of(cold, "n"), (double)report.n, 0);
    assert_true(number_of(cold, "quality") < number_of(line, "quality"));
    near(number_of(find(out, "full", "uniform", "25%"), "budget_met"), 0, 0);
    const char *tiny = find(out, "full", "lints", "1e-7"), *end = strchr(tiny, '\n');
    assert_true(strstr(tiny, "\"counts\":false") < end);
    assert_true(strstr(tiny, "\"quality\":null") < end);
    free(p);
    table_free(&t);
}

static void full_information_is_the_ceiling(void **state)
{
    struct fx *fx = *state;
    assert_true(grid_histories(&fx->grid, "cold"));
    const char *out = run(fx), *ceiling = find(out, "all", "ceiling", "25%");
    double gain = number_of(ceiling, "gain_low");
    assert_true(gain > number_of(find(out, "cold", "lints", "25%"), "gain_high"));
    /* Paced: unpaced it takes over twice the budget. The first 16 of 300 requests are not. */
    near(number_of(ceiling, "spend_over_budget"), 1, 0.2);
    assert_true(number_of(ceiling, "quality") < number_of(ceiling, "oracle_quality"));
}

/* Told all outcomes after each decision, a greedy engine that began with nothing learns as much as
 * it does by exploring, and more. */
static void revealed_rows_teach(void **state)
{
    (void)state;
    struct table t;
    struct params *p = malloc(sizeof *p);
    struct replay_report report[2];
    assert_int_equal(set_up(NULL, "3", &t, p, NULL), STATUS_OK);
    strcpy(p->policy.name, "trained");
    p->budget.usd_per_request = FINTECH_BUDGET_USD;
    for (int i = 0; i < 2; i++) {
        struct replay r = {.table = &t,
                           .params = p,
                           .reveal_all = i == 1,
                           .delay = {.mean = 3},
                           .seeds = 3,
                           .crew = {.workers = 1}};
        assert_int_equal(replay_run(&r, &report[i], NULL), STATUS_OK);
    }
    assert_true(report[1].gain.low > report[0].gain.mean);
    free(p);
    table_free(&t);
}

static void interrupted_runs_resume(void **state)
{
    struct fx *fx = *state;
    char *whole = strdup(run(fx));
    fx->grid.resume = fx->resume;
    fx->grid.csv = fx->csv;
    assert_string_equal(run(fx), whole);
    char *journal = slurp(fx->resume), *csv = slurp(fx->csv);
    assert_string_equal(journal, whole);
    assert_int_equal(lines_of(csv), lines_of(whole) + 1);
    /* Cut off within the eighth line. */
    char *at = journal;
    for (int i = 0; i < 7; i++)
        at = strchr(at, '\n') + 1;
    assert_int_equal(truncate(fx->resume, at - journal + 100), 0);
    fx->grid.replay.crew.workers = 1;
    assert_string_equal(run(fx), whole);
    free(journal);
    journal = slurp(fx->resume);
    assert_int_equal(lines_of(journal), lines_of(whole) + 1);
    /* All is known now: the same result at once; other seeds are other cells. */
    assert_string_equal(run(fx), whole);
    fx->grid.replay.first_seed = 2;
    assert_string_not_equal(run(fx), whole);
    free(journal);
    free(csv);
    free(whole);
}

static void tables_are_for_people(void **state)
{
    struct fx *fx = *state;
    fx->grid.json = false;
    fx->grid.n_dirs = 2;
    const char *out = run(fx);
    assert_non_null(strstr(out, "3, history full"));
    assert_non_null(strstr(out, "4, history cold"));
    assert_non_null(strstr(out, "below 1.1 x cheapest"));
    assert_non_null(strstr(out, "ceiling"));
    assert_non_null(strstr(out, "oracle"));
    assert_non_null(strstr(out, "* the whole interval")); /* uniform */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_checked),
        cmocka_unit_test(oracle_keeps_to_a_spend),
        cmocka_unit_test(stars_are_for_whole_intervals),
        cmocka_unit_test_setup_teardown(cells_are_replays, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(full_information_is_the_ceiling, fx_setup, fx_teardown),
        cmocka_unit_test(revealed_rows_teach),
        cmocka_unit_test_setup_teardown(interrupted_runs_resume, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(tables_are_for_people, fx_setup, fx_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
