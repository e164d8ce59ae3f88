/* SPDX-License-Identifier: MIT */
/* The simulator: known answers of the hull, the strictness of the loader, and replays that must not
 * depend on how many processes played them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "bandit/rng.h"
#include "core/config/config.h"
#include "sim/play/flight.h"
#include "sim/play/tally.h"
#include "sim/replay/replay.h"
#include "sim/report.h"
#include "sim/run/crew.h"
#include "sim/scenario/fintech.h"
#include "sim/setup.h"
#include "sim/tables/hull.h"
#include "sim/tables/table.h"
#include "sim/worth/worth.h"

static void near(double got, double want, double tolerance)
{
    if (!(got >= want - tolerance && got <= want + tolerance))
        fail_msg("got %.12g, expected %.12g within %g", got, want, tolerance);
}

/* --- hull ---------------------------------------------------------------------------------- */

static void hull_known_answers(void **state)
{
    (void)state;
    struct point out[MODELS_MAX];
    const struct point a[] = {{3, .9}, {2, .4}, {5, .8}, {1, .5}};
    assert_int_equal(hull_build(a, 4, out), 2);
    near(out[0].cost, 1, 0), near(out[0].quality, .5, 0);
    near(out[1].cost, 3, 0), near(out[1].quality, .9, 0);
    near(hull_value(out, 2, 2), .7, 1e-12);
    near(hull_value(out, 2, 3), .9, 1e-12);
    near(hull_value(out, 2, 9), .9, 0);
    near(hull_value(out, 2, .5), .5, 0);
    const struct point b[] = {{1, .6}, {2, .5}, {3, .4}};
    assert_int_equal(hull_build(b, 3, out), 1);
    near(out[0].cost, 1, 0), near(out[0].quality, .6, 0);
}

static void hull_is_concave_and_above(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10000; seed++) {
        struct rng rng = rng_stream(seed, 1, 0);
        struct point p[12], hull[12];
        int n = 1 + (int)rng_below(&rng, 12);
        for (int i = 0; i < n; i++)
            p[i] = (struct point){(double)rng_below(&rng, 9), (double)rng_below(&rng, 9) / 8};
        int h = hull_build(p, n, hull);
        assert_in_range(h, 1, n);
        for (int i = 0; i < n; i++)
            assert_true(hull_value(hull, h, p[i].cost) >= p[i].quality - 1e-12);
        for (int i = 1; i < h; i++)
            assert_true(hull[i].cost > hull[i - 1].cost && hull[i].quality > hull[i - 1].quality);
        for (int i = 2; i < h; i++)
            assert_true((hull[i].quality - hull[i - 1].quality) /
                            (hull[i].cost - hull[i - 1].cost) <
                        (hull[i - 1].quality - hull[i - 2].quality) /
                            (hull[i - 1].cost - hull[i - 2].cost));
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

static void oracle_takes_cheapest_on_ties(void **state)
{
    (void)state;
    struct table t = {.n_models = 2};
    put_row(&t, "a", 1, 1, 300, 100); /* tie: the second is cheaper */
    put_row(&t, "b", 1, 0, 300, 100);
    put_row(&t, "c", .2, .7, 300, 500);
    const uint32_t rows[] = {0, 1, 2};
    struct pick best = hull_oracle(&t, rows, 3);
    near(best.at.quality, 2.7 / 3, 1e-12);
    near(best.at.cost, 300e-9, 1e-18);
    assert_int_equal(best.model, -1);
    const struct point fixed[] = {{3, .8}, {2, .8}, {1, .7}};
    assert_int_equal(hull_best_single(fixed, 3).model, 1);
    table_free(&t);
}

static void interval_is_students(void **state)
{
    (void)state;
    const double v[] = {1, 2, 3, 4, 5};
    struct interval i = interval_over(v, 5); /* t(.975,4) = 2.776445, s = 1.581139 */
    near(i.mean, 3, 1e-12);
    near(i.low, 3 - 2.776445 * 1.581139 / 2.236068, 1e-5);
    near(i.high, 3 + 2.776445 * 1.581139 / 2.236068, 1e-5);
    assert_true(interval_over(v, 1).low != interval_over(v, 1).low); /* NaN */
}

/* --- loader -------------------------------------------------------------------------------- */

struct folder {
    char dir[64];
};

static int folder_setup(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->dir, "/tmp/purser_sim_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    return 0;
}

static void put_file(const struct folder *f, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static int folder_teardown(void **state)
{
    struct folder *f = *state;
    static const char *const name[] = {"models.json", "prompts.jsonl", "purser.json", "c.json"};
    char path[128];
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        snprintf(path, sizeof path, "%s/%s", f->dir, name[i]);
        unlink(path);
    }
    rmdir(f->dir);
    free(f);
    return 0;
}

static const char two_models[] =
    "{\"models\":[{\"name\":\"big one\",\"usd_per_mtok_in\":2,\"usd_per_mtok_out\":8},\n"
    "{\"name\":\"s\",\"usd_per_mtok_in\":0.1,\"usd_per_mtok_out\":0.1}],\"note\":1}";

static void loader_reads_the_format(void **state)
{
    struct folder *f = *state;
    struct table t;
    struct problem p = {0};
    put_file(f, "models.json", two_models);
    put_file(f, "prompts.jsonl",
             "{\"id\":\"a\",\"task\":\"x y\",\"prompt\":\"h\\u00e9\",\"in\":13,\"q\":[1,0.25],"
             "\"cost\":[3.73e-05,0],\"extra\":1}\n"
             "\n"
             "{\"id\":\"b\",\"task\":\"z\",\"prompt\":\"\",\"in\":[3,4],\"q\":[0,1],\"cost\":[1,2],"
             "\"out\":[7,null],\"lat\":[1.5,null]}");
    assert_int_equal(table_load(f->dir, &t, &p), STATUS_OK);
    assert_int_equal(t.n, 2);
    assert_string_equal(t.model[0].name, "big one");
    assert_string_equal(t.model[0].engine_name, "big_one");
    assert_string_equal(table_task(&t, 0), "x y");
    assert_string_equal(table_prompt(&t, 0), "h\xc3\xa9");
    assert_int_equal(t.cost_nano[0], 37300);
    assert_int_equal(t.in[1], 13);
    assert_int_equal(t.out[0], TABLE_UNKNOWN);
    assert_int_equal(t.out[2], 7);
    assert_int_equal(t.out[3], TABLE_UNKNOWN);
    near((double)t.lat_ms[2], 1500, 0);
    assert_int_equal(table_input_tokens(&t, 1), 4);
    assert_int_equal(t.row[1].line, 3);
    table_free(&t);
}

static void loader_names_file_and_line(void **state)
{
    struct folder *f = *state;
    static const struct {
        const char *line, *want;
    } bad[] = {
        {"{", "not JSON"},
        {"[]", "a row is a JSON object"},
        {"{\"task\":\"t\"}", "\"id\" is missing"},
        {"{\"id\":\"\",\"task\":\"t\"}", "\"id\" is empty"},
        {"{\"id\":1}", "\"id\" must be a string"},
        {"{\"id\":\"x\",\"prompt\":\"\"}", "\"task\" is missing"},
        {"{\"id\":\"x\",\"task\":\"t\"}", "\"prompt\" is missing"},
#define HEAD "{\"id\":\"x\",\"task\":\"t\",\"prompt\":\"p\","
        {HEAD "\"q\":[1,1],\"cost\":[1,1]}", "\"in\" is missing"},
        {HEAD "\"in\":-1,\"q\":[1,1],\"cost\":[1,1]}", "\"in\" is -1"},
        {HEAD "\"in\":1,\"q\":[1],\"cost\":[1,1]}", "\"q\" must be a list of 2"},
        {HEAD "\"in\":1,\"q\":[1,1.5],\"cost\":[1,1]}", "\"q\" is 1.5"},
        {HEAD "\"in\":1,\"q\":[1,null],\"cost\":[1,1]}", "\"q\" must be a number"},
        {HEAD "\"in\":1,\"q\":[1,1],\"cost\":[1,-1]}", "\"cost\" is -1"},
        {HEAD "\"in\":1,\"q\":[1,1],\"cost\":[1,1],\"out\":[1]}", "\"out\" must be a list"},
        {HEAD "\"in\":1,\"q\":[1,1],\"cost\":[1,1],\"lat\":[1,\"2\"]}", "\"lat\" must be a number"},
        {HEAD "\"in\":1,\"q\":[1,1],\"q\":[1,1],\"cost\":[1,1]}", "duplicate"},
        {"{\"id\":\"a\",\"task\":\"t\",\"prompt\":\"p\",\"in\":1,\"q\":[1,1],\"cost\":[1,1]}",
         "id \"a\" is already that of line 1"},
    };
    put_file(f, "models.json", two_models);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[1024];
        struct table t;
        struct problem p = {0};
        snprintf(text, sizeof text,
                 "{\"id\":\"a\",\"task\":\"t\",\"prompt\":\"p\",\"in\":1,\"q\":[1,1],"
                 "\"cost\":[1,1]}\n%s\n",
                 bad[i].line);
        put_file(f, "prompts.jsonl", text);
        assert_int_equal(table_load(f->dir, &t, &p), STATUS_BAD_REQUEST);
        if (strstr(p.text, bad[i].want) == NULL || strstr(p.text, "prompts.jsonl:2: ") == NULL)
            fail_msg("%s: got \"%s\", expected \"%s\"", bad[i].line, p.text, bad[i].want);
    }
}

static void loader_checks_models(void **state)
{
    struct folder *f = *state;
    static const struct {
        const char *text, *want;
    } bad[] = {
        {"{", "models.json:1"},
        {"{}", "\"models\" must be a list of 1 to 64"},
        {"{\"models\":[1]}", "must hold objects"},
        {"{\"models\":[{\"name\":\"a\",\"usd_per_mtok_in\":1}]}",
         "\"usd_per_mtok_out\" must be a number"},
        {"{\"models\":[{\"name\":\"a b\",\"usd_per_mtok_in\":1,\"usd_per_mtok_out\":1},"
         "{\"name\":\"a_b\",\"usd_per_mtok_in\":1,\"usd_per_mtok_out\":1}]}",
         "both called a_b"},
    };
    put_file(f, "prompts.jsonl", "{}");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct table t;
        struct problem p = {0};
        put_file(f, "models.json", bad[i].text);
        assert_int_equal(table_load(f->dir, &t, &p), STATUS_BAD_REQUEST);
        if (strstr(p.text, bad[i].want) == NULL)
            fail_msg("%s: got \"%s\"", bad[i].text, p.text);
    }
    struct table t;
    struct problem p = {0};
    put_file(f, "models.json", two_models);
    put_file(f, "prompts.jsonl", "\n");
    assert_int_equal(table_load(f->dir, &t, &p), STATUS_BAD_REQUEST);
    assert_non_null(strstr(p.text, "no rows"));
    assert_int_equal(table_load("/nowhere", &t, &p), STATUS_BAD_REQUEST);
}

/* --- scenario and set-up ------------------------------------------------------------------- */

static void scenario_survives_the_file(void **state)
{
    struct folder *f = *state;
    struct table made, read;
    struct problem p = {0};
    assert_int_equal(fintech_table(3, 200, &made, &p), STATUS_OK);
    assert_int_equal(fintech_write(f->dir, &made, &p), STATUS_OK);
    assert_int_equal(table_load(f->dir, &read, &p), STATUS_OK);
    size_t cells = made.n * (size_t)made.n_models;
    assert_int_equal(read.n, made.n);
    assert_memory_equal(read.in, made.in, cells * sizeof *made.in);
    assert_memory_equal(read.out, made.out, cells * sizeof *made.out);
    assert_memory_equal(read.q, made.q, cells * sizeof *made.q);
    assert_memory_equal(read.cost_nano, made.cost_nano, cells * sizeof *made.cost_nano);
    assert_memory_equal(read.lat_ms, made.lat_ms, cells * sizeof *made.lat_ms);
    for (size_t i = 0; i < made.n; i++) {
        assert_string_equal(table_id(&read, i), table_id(&made, i));
        assert_string_equal(table_prompt(&read, i), table_prompt(&made, i));
        assert_string_equal(table_task(&read, i), table_task(&made, i));
    }
    table_free(&read);
    table_free(&made);
}

static double mean_quality(const struct table *t, const char *task, int model)
{
    double sum = 0, n = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(table_task(t, i), task) != 0)
            continue;
        sum += t->q[table_cell(t, i, model)];
        n++;
    }
    return sum / n;
}

static void scenario_is_what_it_says(void **state)
{
    (void)state;
    struct table a, b;
    assert_int_equal(fintech_table(1, 3000, &a, NULL), STATUS_OK);
    assert_int_equal(fintech_table(1, 300, &b, NULL), STATUS_OK);
    for (size_t i = 0; i < b.n; i++) /* a row does not depend on how many there are */
        assert_string_equal(table_prompt(&a, i), table_prompt(&b, i));
    assert_memory_equal(a.q, b.q, b.n * 3 * sizeof *a.q);
    assert_true(mean_quality(&a, "support", 0) > 0.80);
    assert_true(mean_quality(&a, "fraud", 0) < 0.60);
    assert_true(mean_quality(&a, "fraud", 2) > 0.85);
    assert_int_equal(fintech_table(1, 0, &b, NULL), STATUS_BAD_REQUEST);
    table_free(&a);
    table_free(&b);
}

static void pool_has_tiers_by_price(void **state)
{
    (void)state;
    struct table t = {.n_models = 4};
    static const struct {
        const char *name;
        double usd;
        const char *tier;
    } m[] = {{"a", 2, "medium"}, {"b", .1, "small"}, {"c", 9, "large"}, {"d", 2, "medium"}};
    struct params *p = malloc(sizeof *p);
    assert_non_null(p);
    for (int i = 0; i < 4; i++)
        assert_int_equal(table_set_model(&t, i, m[i].name, "", m[i].usd, m[i].usd, NULL),
                         STATUS_OK);
    struct problem problem = {0};
    params_default(p);
    if (setup_pool(p, &t, &problem) != STATUS_OK)
        fail_msg("%s: %s", problem.path, problem.text);
    assert_int_equal(p->catalog.n, 4);
    for (int i = 0; i < 4; i++) {
        int slot = catalog_find(&p->catalog, m[i].name);
        assert_true(slot >= 0);
        assert_string_equal(p->catalog.tier[p->catalog.model[slot].tier], m[i].tier);
        assert_int_equal(p->catalog.model[slot].price.in, (int64_t)(m[i].usd * 1e6 + .5));
    }
    assert_int_equal(setup_set(p, "objective.cost=0.25", &problem), STATUS_OK);
    near(p->objective.cost, 0.25, 0);
    assert_int_equal(setup_set(p, "policy.model=c", &problem), STATUS_OK);
    assert_string_equal(p->policy.model, "c");
    assert_int_not_equal(setup_set(p, "objective.kost=1", &problem), STATUS_OK);
    assert_int_equal(setup_set(p, "=1", &problem), STATUS_BAD_REQUEST);
    assert_int_equal(setup_features(p, "declared", &problem), STATUS_OK);
    assert_true(p->features.declared && !p->features.text && !p->features.shape);
    assert_int_equal(setup_features(p, "text", &problem), STATUS_OK);
    assert_true(!p->features.declared && p->features.text && p->features.shape);
    assert_int_equal(setup_features(p, "declared,words", &problem), STATUS_BAD_REQUEST);
    assert_int_equal(setup_check(p, &t, &problem), STATUS_OK);
    t.n_models = 3;
    assert_int_equal(setup_check(p, &t, &problem), STATUS_UNKNOWN_MODEL);
    free(p);
}

static void file_may_be_the_services(void **state)
{
    struct folder *f = *state;
    char path[128];
    struct table t;
    struct problem problem = {0};
    struct params *p = malloc(sizeof *p);
    assert_non_null(p);
    assert_int_equal(fintech_table(1, 1, &t, NULL), STATUS_OK);
    params_default(p);
    assert_int_equal(setup_pool(p, &t, &problem), STATUS_OK);
    put_file(f, "c.json", "{\"listen\":{\"route\":\"\"},\"objective\":{\"cost\":0.5}}");
    snprintf(path, sizeof path, "%s/c.json", f->dir);
    if (setup_file(p, path, &problem) != STATUS_OK)
        fail_msg("%s: %s", problem.path, problem.text);
    near(p->objective.cost, 0.5, 0);
    put_file(f, "c.json", "{\"objective\":{\"cost\":}}");
    assert_int_equal(setup_file(p, path, &problem), STATUS_BAD_JSON);
    free(p);
    table_free(&t);
}

/* --- replay -------------------------------------------------------------------------------- */

struct fx {
    struct table table;
    struct params *params;
    struct replay replay;
};

static int fx_setup(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    assert_non_null(fx);
    fx->params = malloc(sizeof *fx->params);
    assert_non_null(fx->params);
    struct problem p = {0};
    assert_int_equal(fintech_table(FINTECH_SEED, 3000, &fx->table, &p), STATUS_OK);
    params_default(fx->params);
    if (setup_pool(fx->params, &fx->table, &p) != STATUS_OK ||
        setup_text(fx->params, fintech_config(), &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    fx->replay = (struct replay){.table = &fx->table,
                                 .params = fx->params,
                                 .seeds = 4,
                                 .first_seed = 1,
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

static void play(const struct replay *r, struct replay_report *out)
{
    struct problem p = {0};
    if (replay_run(r, out, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
}

static void workers_change_nothing(void **state)
{
    struct fx *fx = *state;
    char text[3][16384];
    const int workers[] = {1, 2, 7};
    fx->replay.split = 0.5;
    fx->replay.delay.mean = 5;
    fx->params->budget.usd_per_request = FINTECH_BUDGET_USD;
    for (int i = 0; i < 3; i++) {
        struct replay_report report;
        fx->replay.crew.workers = workers[i];
        play(&fx->replay, &report);
        struct text t = text_over(text[i], sizeof text[i]);
        report_json(&t, &fx->replay, &report, NULL, NULL);
        assert_false(t.full);
    }
    assert_string_equal(text[0], text[1]);
    assert_string_equal(text[0], text[2]);
}

static void split_is_by_id_alone(void **state)
{
    struct fx *fx = *state;
    struct replay_report half, none;
    fx->replay.seeds = 1;
    fx->replay.split = 0.5;
    play(&fx->replay, &half);
    assert_int_equal(half.n + half.learned, fx->table.n);
    assert_in_range(half.n, 1350, 1650);
    size_t first = 0;
    for (size_t i = 0; i < fx->table.n; i++)
        first += replay_learned_first(table_id(&fx->table, i), 0.5);
    assert_int_equal(half.learned, first);
    fx->replay.split = 0;
    play(&fx->replay, &none);
    assert_int_equal(none.n, fx->table.n);
    assert_int_equal(none.learned, 0);
}

/* Feedback comes back in the order in which it is due, after delays of the mean asked for. */
static void feedback_in_flight(void **state)
{
    (void)state;
    struct delay d;
    struct flight f;
    struct outcome o;
    double sum = 0;
    int64_t before = -1, n = 0;
    assert_true(delay_parse("20", &d) && !d.random && d.mean == 20);
    assert_int_equal(delay_draw(d, 1, 7), 20);
    assert_false(delay_parse("exp:", &d) || delay_parse("-1", &d) || delay_parse("5x", &d));
    assert_true(delay_parse("exp:50", &d) && d.random && d.mean == 50);
    assert_true(flight_init(&f, 4000));
    for (uint64_t i = 0; i < 4000; i++) {
        int64_t late = delay_draw(d, 1, i);
        assert_int_equal(late, delay_draw(d, 1, i));
        sum += (double)late;
        flight_push(&f, &(struct outcome){.seq = i, .due = late});
    }
    near(sum / 4000, 50, 3);
    assert_false(flight_pop(&f, -1, &o));
    for (; flight_pop(&f, INT64_MAX, &o); n++) {
        assert_true(o.due >= before);
        before = o.due;
    }
    assert_int_equal(n, 4000);
    flight_fini(&f);
}

/* Windows of 200 binding requests: one dear request among 400 cheap ones is in 200 of 201. */
static void booked_windows_are_ranked(void **state)
{
    (void)state;
    struct tally a;
    struct play_result out = {0};
    assert_true(tally_init(&a, 400));
    for (int i = 0; i < 400; i++)
        tally_book(&a, i == 200 ? 201 : 1);
    tally_result(&a, &out);
    near(out.booked_p99, 2, 1e-12);
    near(out.booked_worst, 2, 1e-12);
    near(out.binding, 1, 0);
    tally_fini(&a);
    assert_true(tally_init(&a, 400));
    for (int i = 0; i < 199; i++)
        tally_book(&a, 1);
    tally_result(&a, &out);
    assert_true(isnan(out.booked_p99));
    tally_fini(&a);
}

static void budget_is_held_and_hull_beaten(void **state)
{
    struct fx *fx = *state;
    struct replay_report report;
    fx->replay.seeds = 5;
    fx->replay.split = 0.5;
    fx->params->budget.usd_per_request = FINTECH_BUDGET_USD;
    play(&fx->replay, &report);
    assert_true(report.has_budget);
    near(report.budget_ratio.mean, 1, 0.05);
    assert_true(report.binding > 0.9);
    assert_true(report.booked_p99.mean > 0.9 && report.booked_p99.mean < 1.1);
    assert_true(report.gain.low > 0.01);
    near(report.gain.mean, report.quality.mean - report.hull_at_spend.mean, 1e-12);
    assert_true(report.quality.mean < report.oracle.at.quality);
    double share = 0;
    for (int m = 0; m < report.n_models; m++)
        share += report.share[m].mean;
    near(share, 1, 1e-12);
}

static void full_history_tells_more(void **state)
{
    struct fx *fx = *state;
    struct replay_report full, bandit;
    fx->params->budget.usd_per_request = FINTECH_BUDGET_USD;
    fx->replay.split = 0.15; /* few rows: where it matters */
    play(&fx->replay, &bandit);
    fx->replay.full_history = true;
    play(&fx->replay, &full);
    assert_int_equal(full.n, bandit.n);
    assert_true(full.gain.mean > bandit.gain.mean - 0.005);
}

static void fixed_policy_is_the_fixed_model(void **state)
{
    struct fx *fx = *state;
    struct replay_report report;
    strcpy(fx->params->policy.name, "fixed");
    strcpy(fx->params->policy.model, "fin-medium");
    fx->replay.seeds = 2;
    fx->replay.delay.mean = 4000; /* longer than the run: nothing ever comes back in time */
    play(&fx->replay, &report);
    near(report.quality.mean, report.fixed[1].quality, 1e-9);
    near(report.spend.mean, report.fixed[1].cost, 1e-12);
    near(report.share[1].mean, 1, 0);
}

static void learning_table_may_have_fewer_models(void **state)
{
    struct fx *fx = *state;
    struct table learn;
    struct replay_report report;
    assert_int_equal(fintech_table(9, 500, &learn, NULL), STATUS_OK);
    strcpy(learn.model[0].engine_name, "fin-new"); /* a model that the counted table lacks */
    fx->replay.learn = &learn;
    for (int i = 0; i < 2; i++) {
        fx->replay.full_history = i == 1;
        play(&fx->replay, &report);
        assert_int_equal(report.n, fx->table.n);
        assert_int_equal(report.learned, 500);
    }
    table_free(&learn);
}

static void baselines_are_in_order(void **state)
{
    struct fx *fx = *state;
    struct baselines b;
    assert_int_equal(replay_baselines(&fx->replay, FINTECH_BUDGET_USD, &b, NULL), STATUS_OK);
    assert_int_equal(b.largest.model, 2);
    assert_int_equal(b.smallest.model, 0);
    assert_true(b.has_rules);
    assert_true(b.smallest.at.quality < b.rules.quality);
    assert_true(b.rules.quality < b.largest.at.quality);
    assert_true(b.largest.at.quality < b.oracle.at.quality);
    assert_true(b.hull.quality < b.largest.at.quality);
}

/* Knowing what requests are worth delivers more of it for the same money, within the oracle's
 * bound; and a replay counts by the values that it is under. */
static void values_are_worth_knowing(void **state)
{
    struct fx *fx = *state;
    struct worth_report w;
    struct replay_report report;
    struct problem p = {0};
    assert_int_equal(setup_text(fx->params, fintech_values(), &p), STATUS_OK);
    fx->params->budget.usd_per_request = worth_budget(&fx->table, 0.15);
    assert_int_equal(worth_measure(&fx->replay, &w, &p), STATUS_OK);
    assert_true(w.gain.low > 1.03 && w.extra_gain.mean > w.gain.mean);
    assert_true(w.aware.value.mean < w.oracle.value && w.blind.value.mean < w.blind_oracle.value);
    assert_true(w.blind_oracle.value < w.oracle.value && w.mix.value < w.blind.value.mean);
    near(w.aware.spend.mean, w.budget, 0.03 * w.budget);
    near(w.blind.spend.mean, w.budget, 0.03 * w.budget);
    /* under caps: whom to serve counts for more, pacing for more still */
    const struct worth_cap *cap = &w.cap[WORTH_CAP_BUDGET];
    assert_true(cap->over_blind.low > 1 && cap->over_wall.low > 1.3);
    struct worth_cap tight;
    double share = 0.4 * w.smallest.cost;
    assert_int_equal(worth_cap_measure(&fx->replay, share, &tight, &p), STATUS_OK);
    print_message("over blind %.3f, served %.3f, spent %.3f of the cap\n", tight.over_blind.mean,
                  tight.aware.served.mean, tight.aware.spend.mean / share);
    assert_true(tight.over_blind.mean > 1.3 && tight.aware.served.mean < 0.9);
    assert_true(tight.aware.spend.mean <= 1.001 * share);
    assert_int_equal(replay_run(&fx->replay, &report, &p), STATUS_OK);
    near(report.value.mean, w.aware.value.mean, 1e-12);
    near(report.value_per_usd.mean, w.aware.per_usd.mean, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hull_known_answers),
        cmocka_unit_test(hull_is_concave_and_above),
        cmocka_unit_test(oracle_takes_cheapest_on_ties),
        cmocka_unit_test(interval_is_students),
        cmocka_unit_test_setup_teardown(loader_reads_the_format, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(loader_names_file_and_line, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(loader_checks_models, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(scenario_survives_the_file, folder_setup, folder_teardown),
        cmocka_unit_test(scenario_is_what_it_says),
        cmocka_unit_test(pool_has_tiers_by_price),
        cmocka_unit_test_setup_teardown(file_may_be_the_services, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(workers_change_nothing, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(split_is_by_id_alone, fx_setup, fx_teardown),
        cmocka_unit_test(feedback_in_flight),
        cmocka_unit_test(booked_windows_are_ranked),
        cmocka_unit_test_setup_teardown(budget_is_held_and_hull_beaten, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(full_history_tells_more, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(fixed_policy_is_the_fixed_model, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(learning_table_may_have_fewer_models, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(baselines_are_in_order, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(values_are_worth_knowing, fx_setup, fx_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
