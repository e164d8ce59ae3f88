/* SPDX-License-Identifier: MIT */
/* Rows for other programs: form, and that everything is in them; measures against hand-worked
 * answers. */
#include <jansson.h>
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

#include "sim/metrics/curve.h"
#include "sim/metrics/measure.h"
#include "sim/run/run.h"
#include "sim/sheet.h"
#include "sim/tables/csv.h"

enum { TEXT_CAP = 1 << 21 };

struct folder {
    char dir[64], *text[2];
};

static int setup(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->dir, "/tmp/purser_sheets_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->text[0] = malloc(TEXT_CAP);
    f->text[1] = malloc(TEXT_CAP);
    assert_true(f->text[0] && f->text[1]);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    static const char *const name[] = {"x",         "steps", "seeds", "windows",
                                       "stretches", "curve", "bins"};
    struct folder *f = *state;
    char path[128];
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        for (int k = 0; k < 2; k++) {
            snprintf(path, sizeof path, "%s/%s.%s", f->dir, name[i], k ? "jsonl" : "csv");
            unlink(path);
        }
    assert_int_equal(rmdir(f->dir), 0); /* no part is left */
    free(f->text[0]);
    free(f->text[1]);
    free(f);
    return 0;
}

static const char *slurp(const struct folder *f, const char *file, int which)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->dir, file);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    size_t n = fread(f->text[which], 1, TEXT_CAP - 1, in);
    assert_true(n < TEXT_CAP - 1);
    f->text[which][n] = '\0';
    fclose(in);
    return f->text[which];
}

static void forms(void **state)
{
    struct folder *f = *state;
    struct problem p = {0};
    static const char *const column[] = {"a \"b\"", "n", "v"};
    static const char *const want[] = {
        "\"a \"\"b\"\"\",n,v\nplain,-7,0.1\n\"x,\"\"y\"\"\nz\",9007199254740993,\n",
        "{\"a \\\"b\\\"\":\"plain\",\"n\":-7,\"v\":0.1}\n"
        "{\"a \\\"b\\\"\":\"x,\\\"y\\\"\\u000az\",\"n\":9007199254740993,\"v\":null}\n"};
    for (int k = 0; k < 2; k++) {
        struct sheet_place to = {f->dir, k == 1};
        struct sheet s;
        assert_int_equal(sheet_begin(&s, &to, "x", &p), STATUS_OK);
        sheet_columns(&s, column, 3);
        sheet_text(&s, "plain"), sheet_count(&s, -7), sheet_number(&s, 0.1);
        sheet_text(&s, "x,\"y\"\nz"), sheet_count(&s, 9007199254740993), sheet_number(&s, NAN);
        assert_int_equal(sheet_end(&s, STATUS_OK, &p), STATUS_OK);
        assert_string_equal(slurp(f, k ? "x.jsonl" : "x.csv", 0), want[k]);
    }
    struct sheet none;
    assert_int_equal(sheet_begin(&none, &(struct sheet_place){NULL, false}, "x", &p), STATUS_OK);
    sheet_columns(&none, column, 3);
    sheet_text(&none, "nowhere");
    assert_int_equal(sheet_end(&none, STATUS_OK, &p), STATUS_OK);
    assert_int_not_equal(
        sheet_begin(&none, &(struct sheet_place){"/nowhere/at/all", false}, "x", &p), STATUS_OK);
}

/* Four requests, two models of 1 and 10 cents; the last is refused. */
static void measures_known_answers(void **state)
{
    (void)state;
    struct table t = {.n_models = 2};
    static const double q[4][2] = {{1, 1}, {0, 1}, {0.5, 1}, {1, 0}};
    static const double said[4][2] = {{0.9, 0.95}, {0.2, 0.8}, {0.6, 0.9}, {0, 0}};
    static const int model[] = {0, 1, 0, -1};
    static const double usd[] = {0.02, 0.08};
    struct measures m;
    for (int i = 0; i < 4; i++) {
        struct table_cells cells = {.q = {q[i][0], q[i][1]}, .cost_nano = {10000000, 100000000}};
        char id[] = {(char)('a' + i), '\0'};
        assert_int_equal(table_add(&t, id, "", "", 0, 0, &cells, NULL), STATUS_OK);
    }
    struct recorder *r = recorder_new(&t, 4);
    assert_non_null(r);
    for (uint32_t i = 0; i < 4; i++)
        recorder_take(r, &t,
                      &(struct choice){.i = i,
                                       .row = i,
                                       .model = model[i],
                                       .table = &t,
                                       .quality = said[i],
                                       .cost_usd = usd});
    assert_true(recorder_result(r, 0.04, &m));
    const struct {
        enum measure m;
        double want;
    } known[] = {
        {MEASURE_LENIENT, 2.0 / 4},
        {MEASURE_STRICT, 2.0 / 4},
        {MEASURE_SELECTION, 2.0 / 4},
        {MEASURE_COST, (0.01 + 0.1 + 0.1 + 0.01) / 0.12},
        {MEASURE_ACCURACY, 2.5 / 4},
        {MEASURE_ARENA, curve_arena(2.5 / 4, 30)},
        {MEASURE_REGRET_FIXED, 3.0 / 4 - 2.5 / 4},
        {MEASURE_REGRET_BUDGET, 0}, /* a large call more is a cent too much */
        {MEASURE_BRIER, (0.01 + 0.04 + 0.01) / 3},
        {MEASURE_ECE, (0.1 + 0.2 + 0.1) / 3},
        {MEASURE_COST_MAPE, (1 + 0.2 + 1) / 3},
        {MEASURE_UNDERSPENT, 0.125 / 0.09 * 0.01}, /* hull (.01,.625) to (.1,.75): .04 less .03 */
        {MEASURE_PEAK, 3.0 / 4},
        {MEASURE_QNC, (0.01 + 0.1 + 0.1) / 4 / 0.1}, /* the first row gains nothing */
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!(fabs(m.value[known[i].m] - known[i].want) < 1e-9))
            fail_msg("%s: %.9g, expected %.9g", measure_name(known[i].m), m.value[known[i].m],
                     known[i].want);
    /* Without a price of quality all three go to the large model; at the end none does. */
    assert_true(fabs(m.curve[0].quality - 3.0 / 4) < 1e-12 &&
                fabs(m.curve[0].cost - 0.075) < 1e-12);
    const struct point *last = &m.curve[MEASURE_POINTS - 1];
    assert_true(fabs(last->quality - 1.5 / 4) < 1e-12 && fabs(last->cost - 0.0075) < 1e-12);
    /* The second row has the most to gain, then the third: half the gap of .5 by the first. */
    assert_true(m.value[MEASURE_CPT50] <= 0.5);
    assert_true(m.value[MEASURE_APGR] > 0.5);
    assert_true(isnan(m.value[MEASURE_EXHAUSTED]) && isnan(m.value[MEASURE_OVER]));
    assert_true(fabs(m.bin[9].n - 1) < 1e-12 && fabs(m.bin[9].observed - 1) < 1e-12);
    recorder_free(r);
    table_free(&t);
}

static void recovery_and_adoption(void **state)
{
    enum { N = 900, AT = 300 };
    struct table t = {.n_models = 2};
    struct table_cells cells = {.q = {1, 0}, .cost_nano = {1, 1}};
    double usd[] = {1, 1}, said[] = {1, 1}, back, taken;
    (void)state;
    assert_int_equal(table_add(&t, "a", "", "", 0, 0, &cells, NULL), STATUS_OK);
    struct recorder *r = recorder_new(&t, N);
    assert_non_null(r);
    for (size_t i = 0; i < N; i++) /* bad from 300 to 399 */
        recorder_take(r, &t,
                      &(struct choice){.i = i,
                                       .row = 0,
                                       .model = i >= AT && i < AT + 100 ? 1 : 0,
                                       .table = &t,
                                       .quality = said,
                                       .cost_usd = usd});
    recorder_after(r, 0, AT, N, 0, &back, &taken);
    assert_true(fabs(back - 195) < 1e-9);  /* 95 of the latest 100 are good again */
    assert_true(fabs(taken - 190) < 1e-9); /* 90% of a share of 1 */
    recorder_after(r, 0, AT, AT + 150, -1, &back, &taken);
    assert_true(isnan(back) && isnan(taken));
    recorder_free(r);
    table_free(&t);
}

static const char two_policies[] =
    "{\"world\":{\"base\":\"clusters12\",\"requests\":300},\"seeds\":2,"
    "\"disturbances\":[{\"kind\":\"regression\",\"model\":\"large\",\"at\":0.5}],"
    "\"policies\":[{\"name\":\"a\"},{\"name\":\"b\",\"params\":{\"policy\":{\"name\":\"uniform\"}}}"
    "]}";

static void play(struct folder *f, int workers, bool jsonl, struct run_report *r)
{
    struct problem p = {0};
    struct experiment *e = calloc(1, sizeof *e);
    json_t *root = json_loads(two_policies, 0, NULL);
    struct run_plan plan = {.crew = {.workers = workers}, .shards = 1, .sheets = {f->dir, jsonl}};
    bool complete;
    assert_non_null(e);
    if (experiment_read(root, "", e, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    assert_int_equal(run_plan_play(e, &plan, r, &complete, &p), STATUS_OK);
    assert_true(complete);
    experiment_free(e);
    json_decref(root);
    free(e);
}

/* Steps add up to what seeds say, and the report is the mean of the seeds. */
static void everything_is_there(void **state)
{
    static const struct {
        const char *name;
        int rows;
    } sheet[] = {{"steps", 4 * 300},
                 {"seeds", 4},
                 {"windows", 4 * 11},
                 {"stretches", 4 * 2},
                 {"curve", 4 * MEASURE_POINTS},
                 {"bins", 4 * MEASURE_BINS}};
    struct folder *f = *state;
    struct run_report *r = calloc(1, sizeof *r);
    struct problem p = {0};
    double usd[2] = {0}, quality[2] = {0}, v;
    char path[128];
    play(f, 1, false, r);
    for (size_t i = 0; i < sizeof sheet / sizeof *sheet; i++) {
        struct csv c;
        enum status s;
        int rows = 0;
        snprintf(path, sizeof path, "%s/%s.csv", f->dir, sheet[i].name);
        assert_int_equal(csv_open(&c, path, &p), STATUS_OK);
        for (; csv_next(&c, &s); rows++) {
            int which = strcmp(c.cell[0], "b") == 0;
            if (i == 0) {
                assert_true(csv_number(c.cell[csv_find(&c, "usd")], &v));
                usd[which] += v / 600;
            } else if (i == 1) {
                assert_true(csv_number(c.cell[csv_find(&c, "quality")], &v));
                quality[which] += v / 2;
            }
        }
        assert_int_equal(s, STATUS_OK);
        if (rows != sheet[i].rows)
            fail_msg("%s: %d rows, expected %d", sheet[i].name, rows, sheet[i].rows);
        csv_close(&c);
    }
    for (int k = 0; k < 2; k++) {
        assert_true(fabs(usd[k] - r->policy[k].whole.spend.mean) < 1e-12);
        assert_true(fabs(quality[k] - r->policy[k].whole.quality.mean) < 1e-12);
        assert_true(r->policy[k].measures.value[MEASURE_BRIER].mean > 0);
    }
    run_free(r);
    free(r);
}

static void workers_change_no_byte(void **state)
{
    struct folder *f = *state;
    struct run_report *r = calloc(1, sizeof *r);
    play(f, 1, true, r);
    run_free(r);
    slurp(f, "steps.jsonl", 0);
    play(f, 3, true, r);
    run_free(r);
    assert_string_equal(slurp(f, "steps.jsonl", 1), f->text[0]);
    free(r);
    for (char *line = f->text[0], *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        json_t *row = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
        assert_int_equal(json_object_size(row), 12);
        json_decref(row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(forms, setup, teardown),
        cmocka_unit_test(measures_known_answers),
        cmocka_unit_test(recovery_and_adoption),
        cmocka_unit_test_setup_teardown(everything_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(workers_change_no_byte, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
