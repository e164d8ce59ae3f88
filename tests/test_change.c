/* SPDX-License-Identifier: MIT */
/* Changes in the middle of a replay: what they do to outcomes, that the router is told of nothing
 * but prices, and the measures of recovery on runs whose answer is known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/config/config.h"
#include "sim/replay/replay.h"
#include "sim/report.h"
#include "sim/scenario/fintech.h"
#include "sim/setup.h"

static void near(double got, double want, double tolerance)
{
    if (!(got >= want - tolerance && got <= want + tolerance))
        fail_msg("got %.12g, expected %.12g within %g", got, want, tolerance);
}

static void changes_are_read(void **state)
{
    (void)state;
    struct change c;
    assert_true(change_parse("model=a/b,at=608,until=1216,quality=-0.2", &c));
    assert_string_equal(c.name, "a/b");
    assert_int_equal(c.at, 608);
    assert_int_equal(c.until, 1216);
    near(c.quality, -.2, 1e-15), near(c.cost, 1, 0), near(c.price, 1, 0), near(c.failure, 0, 0);
    assert_int_equal(change_end(&c, 5000), 1216);
    assert_int_equal(change_end(&c, 700), 700);
    assert_true(change_parse("at=0,price=x0.01,cost=x3,failure=0.5,model=m", &c));
    near(c.price, .01, 1e-15), near(c.cost, 3, 0), near(c.failure, .5, 0);
    assert_int_equal(change_end(&c, 700), 700);
    assert_true(change_parse("model=m,at=0,active=false", &c) && c.withdrawn);
    const char *const bad[] = {"",
                               "model=a,quality=-0.2",         /* when? */
                               "at=3,quality=-0.2",            /* who? */
                               "model=a,at=3",                 /* what? */
                               "model=a,at=3,quality=0",       /* nothing */
                               "model=a,at=3,until=3,cost=x2", /* never */
                               "model=a,at=-1,cost=x2",
                               "model=a,at=3,cost=2",
                               "model=a,at=3,cost=x0",
                               "model=a,at=3,quality=-1.5",
                               "model=a,at=3,failure=2",
                               "model=a,at=3,speed=x2",
                               "model=a,at=3,active=true",
                               "model=a,at=3,quality=-0.2,",
                               "model=a,at=3x,quality=-0.2",
                               "model=a,at=3,quality=-0.2 foo"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (change_parse(bad[i], &c))
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

/* --- outcomes ------------------------------------------------------------------------------ */

enum { ROWS = 100 };

/* Model 0 has quality 0 on a fifth of the rows and 1 on the others, model 1 spreads from 0 to 1. */
static int table_setup(void **state)
{
    struct table *t = calloc(1, sizeof *t);
    char id[16];
    t->n_models = 2;
    if (table_set_model(t, 0, "a/b c", "", 1, 1, NULL) != STATUS_OK ||
        table_set_model(t, 1, "b", "", 2, 2, NULL) != STATUS_OK)
        return -1;
    for (int i = 0; i < ROWS; i++) {
        struct table_cells cells = {.in = {10, 10},
                                    .out = {TABLE_UNKNOWN, TABLE_UNKNOWN},
                                    .q = {i % 5 > 0, (i + .5) / ROWS},
                                    .cost_nano = {1000, 3000},
                                    .lat_ms = {TABLE_UNKNOWN, TABLE_UNKNOWN}};
        snprintf(id, sizeof id, "%d", i);
        if (table_add(t, id, "t", "p", 1, 0, &cells, NULL) != STATUS_OK)
            return -1;
    }
    *state = t;
    return 0;
}

static int table_teardown(void **state)
{
    table_free(*state);
    free(*state);
    return 0;
}

static struct change change_of(const char *text)
{
    struct change c;
    if (!change_parse(text, &c))
        fail_msg("\"%s\" was not taken", text);
    return c;
}

static void every_row(uint32_t row[ROWS])
{
    for (uint32_t i = 0; i < ROWS; i++)
        row[i] = i;
}

static double mean_of(const struct phase *p, int model)
{
    double sum = 0;
    for (size_t i = 0; i < ROWS; i++)
        sum += p->table.q[table_cell(&p->table, i, model)] / ROWS;
    return sum;
}

static void shifts_keep_their_mean(void **state)
{
    const struct table *t = *state;
    uint32_t row[ROWS];
    every_row(row);
    const double shift[] = {-.2, -.6, .1, -.9, .9};
    const double want[2][5] = {{.6, .2, .9, 0, 1}, {.3, 0, .6, 0, 1}}; /* as far as it goes */
    for (int m = 0; m < 2; m++) {
        for (int i = 0; i < 5; i++) {
            struct change c = {.at = 0, .quality = shift[i], .cost = 1, .price = 1};
            struct phases p;
            strcpy(c.name, t->model[m].name);
            assert_int_equal(phases_build(&p, &c, 1, t, row, ROWS, NULL), STATUS_OK);
            assert_int_equal(p.n, 1);
            near(mean_of(&p.phase[0], m), want[m][i], 1e-9);
            near(mean_of(&p.phase[0], !m), m == 0 ? .5 : .8, 1e-12);
            for (size_t k = 0; k < ROWS; k++) {
                double q = p.phase[0].table.q[table_cell(t, k, m)];
                assert_true(q >= 0 && q <= 1);
            }
            phases_free(&p);
        }
    }
}

static void phases_follow_one_another(void **state)
{
    const struct table *t = *state;
    uint32_t row[ROWS];
    struct phases p;
    every_row(row);
    const struct change c[] = {change_of("model=x,at=3,cost=x2"),
                               change_of("model=b,at=20,until=60,quality=-0.2,price=x0.5"),
                               change_of("model=b,at=50,until=1000,failure=0.3,cost=x3")};
    struct change named = c[0];
    strcpy(named.name, t->model[0].engine_name); /* as the engine calls it */
    const struct change change[] = {named, c[1], c[2]};
    assert_int_equal(phases_build(&p, change, 3, t, row, ROWS, NULL), STATUS_OK);
    const size_t from[] = {0, 3, 20, 50, 60};
    assert_int_equal(p.n, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(p.phase[i].from, from[i]);
        assert_int_equal(p.phase[i].n, (i < 4 ? from[i + 1] : ROWS) - from[i]);
        assert_int_equal(p.phase[i].table.cost_nano[0], i == 0 ? 1000 : 2000);
        assert_true(p.phase[i].may_fail[1] == (i >= 3) && !p.phase[i].may_fail[0]);
    }
    assert_int_equal(p.phase[2].table.cost_nano[1], 1500);
    assert_int_equal(p.phase[3].table.cost_nano[1], 4500);
    assert_int_equal(p.phase[4].table.cost_nano[1], 9000);
    near(p.phase[2].price[1], .5, 0), near(p.phase[4].price[1], 1, 0);
    near(mean_of(&p.phase[2], 1), .3, 1e-9);
    int failed = 0;
    for (size_t i = 0; i < ROWS; i++) {
        size_t cell = table_cell(t, i, 1);
        failed += p.phase[4].failed[cell];
        assert_true(!p.phase[4].failed[cell] || p.phase[4].table.q[cell] <= 0);
    }
    assert_in_range(failed, 15, 45);
    near(t->q[1], .005, 1e-12); /* the table itself stays */
    assert_int_equal(t->cost_nano[1], 3000);
    phases_free(&p);
    struct problem problem;
    struct change late = change_of("model=b,at=100,cost=x2");
    assert_int_equal(phases_build(&p, &late, 1, t, row, ROWS, &problem), STATUS_BAD_REQUEST);
    assert_non_null(strstr(problem.text, "100"));
    phases_free(&p);
    struct change stranger = change_of("model=z,at=1,cost=x2");
    assert_int_equal(phases_build(&p, &stranger, 1, t, row, ROWS, &problem), STATUS_UNKNOWN_MODEL);
    phases_free(&p);
}

/* --- recovery ------------------------------------------------------------------------------ */

/* Quality 0.9 before; from 300 on 0.5, from 400 on 0.8, from 600, where it ends, 0.92. The model is
 * chosen always, then never, then, from 640 on, by one of the two seeds. */
static void recovery_is_measured(void **state)
{
    enum { N = 900, SEEDS = 2 };
    static struct play_step step[SEEDS * N];
    static struct play_result result[SEEDS];
    static struct shocks shocks;
    for (int i = 0; i < SEEDS * N; i++) {
        int at = i % N;
        step[i].quality = at < 300 ? .9F : at >= 600 ? .92F : at < 400 ? .5F : .8F;
        step[i].cost_usd = at < 450 ? 1e-6F : 3e-6F;
        step[i].model = (int16_t)(at < 300 ? 1 : at < 640 ? 0 : i / N);
    }
    result[0] = (struct play_result){.n_alarms = 3,
                                     .alarm = {{100, 1, true}, {309, 1, false}, {320, 1, false}}};
    result[1] = (struct play_result){.n_alarms = 2, .alarm = {{329, 1, false}, {700, 2, true}}};
    struct change c = {.name = "b", .at = 300, .until = 600, .quality = -.4, .cost = 1, .price = 1};
    const struct table *table = *state;
    uint32_t row[N];
    struct phases p;
    for (uint32_t i = 0; i < N; i++)
        row[i] = i % ROWS;
    assert_int_equal(phases_build(&p, &c, 1, table, row, N, NULL), STATUS_OK);
    struct traces t = {.change = &c,
                       .n_changes = 1,
                       .phases = &p,
                       .row = row,
                       .step = step,
                       .result = result,
                       .seeds = SEEDS,
                       .n = N};
    assert_int_equal(recovery_measure(&t, &shocks, NULL), STATUS_OK);
    const struct recovery *r = &shocks.change[0];
    assert_int_equal(shocks.n, 1);
    near(r->before.quality, .9, 1e-6), near(r->before.share, 1, 0);
    near(r->first.quality, .5, 1e-6), near(r->first.share, 0, 0);
    near(r->last.quality, .8, 1e-6), near(r->level, .8, 1e-6);
    near(r->after_last.share, .5, 1e-12);
    near(r->during.mean, .7, 1e-6);
    near(r->spend.mean, 2e-6, 1e-12);
    near(r->hull, .8, 1e-9); /* model 1 is dearer, and worse under the change */
    /* At 400+k the mean over 100 is .5 + .3 k/100: .76 is reached with k = 87. */
    assert_int_equal(r->to_level, 187);
    assert_int_equal(r->to_before, -1); /* .855 never */
    /* From 600 on it is .8 + .12 k/100: .855 with k = 46. */
    assert_int_equal(r->after_to_before, 46);
    near(r->detected, 1, 0), near(r->detection, (10 + 30) / 2.0, 1e-12);
    near(shocks.false_alarms, 1, 1e-12); /* one too early, one for another model, of two runs */
    assert_int_equal(r->n_windows, 9);
    near(r->window[3].quality, .5, 1e-6);
    assert_true(isnan(shocks.phase[0].to_move));
    near(shocks.phase[1].to_move, MOVE_WINDOW, 0);
    near(shocks.phase[2].to_move, 40 + .9 * MOVE_WINDOW, 0);
    result[1].n_alarms = 0;
    assert_int_equal(recovery_measure(&t, &shocks, NULL), STATUS_OK);
    near(r->detected, .5, 0), near(r->detection, -1, 0);
    phases_free(&p);
}

/* --- replays ------------------------------------------------------------------------------- */

struct fx {
    struct table table;
    struct params *params;
    struct replay replay;
    struct replay_report report;
    struct shocks shocks;
};

static int fx_setup(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    fx->params = malloc(sizeof *fx->params);
    params_default(fx->params);
    if (fintech_table(3, 1500, &fx->table, NULL) != STATUS_OK ||
        setup_pool(fx->params, &fx->table, NULL) != STATUS_OK)
        return -1;
    fx->replay = (struct replay){.table = &fx->table,
                                 .params = fx->params,
                                 .seeds = 3,
                                 .first_seed = 1,
                                 .n_changes = 1,
                                 .crew = {.workers = crew_cores()}};
    *state = fx;
    return 0;
}

static int fx_teardown(void **state)
{
    struct fx *fx = *state;
    table_free(&fx->table);
    free(fx->params);
    free(fx);
    return 0;
}

static const struct recovery *play(struct fx *fx, const char *change)
{
    struct problem p = {0};
    struct change c = change_of(change);
    fx->replay.change = &c;
    if (replay_run_shocks(&fx->replay, &fx->report, &fx->shocks, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    return &fx->shocks.change[0];
}

static void a_worse_model_is_left(void **state)
{
    struct fx *fx = *state;
    fx->replay.given_order = true;
    const struct recovery *r = play(fx, "model=fin-large,at=600,until=1200,quality=-0.4");
    assert_true(r->before.share > .2);
    assert_true(r->last.share < r->before.share / 2);
    assert_true(r->first.quality < r->before.quality - .02);
    assert_true(r->last.quality > r->first.quality);
    near(r->detected, 1, 0);
    assert_true(r->detection > 0 && r->detection < 600);
    assert_true(fx->report.alarms >= 1);
    fx->params->learner.drift_threshold = 0;
    play(fx, "model=fin-large,at=600,until=1200,quality=-0.4");
    near(r->detected, 0, 0), near(fx->report.alarms, 0, 0);
}

/* The same decisions until the change begins: nothing of it is known before. */
static void the_future_is_not_known(void **state)
{
    struct fx *fx = *state;
    double before = play(fx, "model=fin-medium,at=600,quality=-0.4")->window[5].quality;
    double worse = fx->shocks.change[0].window[8].quality;
    const struct recovery *r = play(fx, "model=fin-medium,at=600,quality=0.05");
    near(r->window[5].quality, before, 0);
    assert_true(r->window[8].quality > worse);
}

/* A price that is announced moves choices at once; one that only invoices show, once they come. */
static void prices_are_announced(void **state)
{
    struct fx *fx = *state;
    fx->params->objective.cost = 0.3;
    fx->replay.delay.mean = 300;
    const struct recovery *r = play(fx, "model=fin-large,at=700,price=x0.01");
    double announced = r->first.share - r->before.share, spend = fx->report.spend.mean;
    play(fx, "model=fin-large,at=700,cost=x0.01");
    assert_true(announced > .3);
    near(r->first.share, r->before.share, .1);
    assert_true(spend > 0);
}

static void fixed_models_change_too(void **state)
{
    struct fx *fx = *state;
    strcpy(fx->params->policy.name, "fixed");
    strcpy(fx->params->policy.model, "fin-large");
    fx->replay.given_order = true;
    const struct recovery *r = play(fx, "model=fin-large,at=500,until=1000,quality=-0.5,cost=x2");
    near(r->window[4].share, 1, 0);
    near(fx->report.quality.mean, fx->report.fixed[2].quality, 1e-9);
    near(fx->report.spend.mean, fx->report.fixed[2].cost, 1e-12);
    near(fx->report.quality.low, fx->report.quality.high, 1e-12); /* all seeds alike */
    assert_true(r->during.mean < r->before.quality - .4);
    fx->replay.n_changes = 0;
    play(fx, "model=fin-large,at=500,cost=x2");
    assert_true(fx->report.quality.mean > .9);
}

/* A time in which the dear model costs next to nothing does not pay for the time after it. */
static void cheap_times_are_not_hoarded(void **state)
{
    struct fx *fx = *state;
    fx->params->budget.usd_per_request = 0.0005;
    fx->replay.split = 0.2;
    fx->replay.delay.mean = 20;
    play(fx, "model=fin-large,at=400,until=800,price=x0.01");
    const struct shock_phase *p = fx->shocks.phase;
    assert_int_equal(fx->shocks.n_phases, 3);
    assert_true(p[1].budget_ratio.mean < .8); /* it does not bind */
    assert_true(p[2].budget_ratio.mean > .9 && p[2].budget_ratio.mean < 1.02);
    assert_true(isnan(p[0].moved));
    assert_true(p[1].moved > .5 * p[1].settled && p[1].settled > .1);
    assert_true(p[2].moved > .5 * p[2].settled && p[2].settled > .1);
}

static void withdrawn_models_are_not_chosen(void **state)
{
    struct fx *fx = *state;
    fx->params->budget.usd_per_request = 0.0005;
    fx->replay.split = 0.2;
    const struct recovery *r = play(fx, "model=fin-large,at=400,until=800,active=false");
    assert_true(r->before.share > .02 && r->after_last.share > .02);
    near(r->first.share, 0, 0), near(r->last.share, 0, 0);
    assert_true(fx->shocks.phase[1].budget_ratio.mean < 1.02);
    assert_true(fx->shocks.phase[2].budget_ratio.mean < 1.02);
}

static void reports_tell_of_changes(void **state)
{
    struct fx *fx = *state;
    static char room[2][1 << 16];
    for (int i = 0; i < 2; i++) {
        struct text t = text_over(room[i], sizeof room[i]);
        fx->replay.crew.workers = 1 + i;
        play(fx, "model=fin-small,at=700,failure=0.5,quality=-0.1");
        report_json(&t, &fx->replay, &fx->report, NULL, &fx->shocks);
        assert_false(t.full);
    }
    assert_string_equal(room[0], room[1]); /* whatever the workers */
    assert_non_null(strstr(room[0], "\"changes\":[{\"model\":\"fin-small\",\"at\":700"));
    assert_non_null(strstr(room[0], "\"requests_to_level\":"));
    assert_non_null(strstr(room[0], "\"phases\":[{\"from\":0,\"until\":700,"));
    assert_non_null(strstr(room[0], "\"moved_within_50\":"));
    struct text t = text_over(room[0], sizeof room[0]);
    report_table(&t, &fx->replay, &fx->report, NULL, &fx->shocks);
    assert_non_null(strstr(room[0], "quality -0.1 failing 50%"));
    assert_non_null(strstr(room[0], "noticed in"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_read),
        cmocka_unit_test_setup_teardown(shifts_keep_their_mean, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(phases_follow_one_another, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(recovery_is_measured, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(a_worse_model_is_left, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(the_future_is_not_known, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(prices_are_announced, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(fixed_models_change_too, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(cheap_times_are_not_hoarded, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(withdrawn_models_are_not_chosen, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(reports_tell_of_changes, fx_setup, fx_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
