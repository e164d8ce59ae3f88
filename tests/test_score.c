/* SPDX-License-Identifier: MIT */
/* Scores of recorded choices, on a table small enough to work out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/config/config.h"
#include "sim/score.h"
#include "sim/setup.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

struct fx {
    struct table table;
    struct params params;
    char path[64];
};

static void add(struct table *t, const char *id, const char *prompt, double q0, double q1)
{
    struct table_cells c = {.in = {10, 10},
                            .out = {TABLE_UNKNOWN, TABLE_UNKNOWN},
                            .q = {q0, q1},
                            .cost_nano = {1000000, 3000000},
                            .lat_ms = {TABLE_UNKNOWN, TABLE_UNKNOWN}};
    assert_int_equal(table_add(t, id, "t", prompt, strlen(prompt), 0, &c, NULL), STATUS_OK);
}

static int setup(void **state)
{
    struct fx *f = calloc(1, sizeof *f);
    struct table *t = &f->table;
    assert_non_null(f);
    t->n_models = 2;
    assert_int_equal(table_set_model(t, 0, "cheap one", "small", 1, 1, NULL), STATUS_OK);
    assert_int_equal(table_set_model(t, 1, "dear", "large", 3, 3, NULL), STATUS_OK);
    add(t, "a", "easy", 0.8, 0.8);
    add(t, "b", "hard", 0.2, 1.0);
    add(t, "c", "easy", 0.9, 0.8);
    add(t, "d", "hard", 0.1, 0.8);
    params_default(&f->params);
    assert_int_equal(setup_pool(&f->params, t, NULL), STATUS_OK);
    strcpy(f->path, "/tmp/purser-score.XXXXXX");
    close(mkstemp(f->path));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fx *f = *state;
    unlink(f->path);
    table_free(&f->table);
    free(f);
    return 0;
}

static void write_choices(const struct fx *f, const char *text)
{
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const char four[] = "{\"id\":\"a\",\"model\":\"cheap_one\",\"x\":1}\n"
                           "{\"feedback_id\":\"f\",\"status\":\"applied\"}\n\n"
                           "{\"id\":\"b\",\"model\":\"cheap one\"}\n"
                           "{\"id\":\"c\",\"model\":\"cheap_one\"}\n"
                           "{\"id\":\"d\",\"model\":\"dear\"}\n";

static void weighs(void **state)
{
    struct fx *f = *state;
    struct choices c;
    struct score s;
    write_choices(f, four);
    assert_int_equal(
        setup_text(&f->params, "{\"rules\":[{\"words\":[\"hard\"],\"tier\":\"large\"}]}", NULL),
        STATUS_OK);
    assert_int_equal(score_read(f->path, &f->table, &c, NULL), STATUS_OK);
    assert_int_equal(c.n, 4);
    score_weigh(&f->table, &c, &f->params, 1000, &s);
    score_free(&c);
    const struct score_part *all = &s.part[SCORE_ALL], *second = &s.part[SCORE_SECOND];
    assert_int_equal(all->n, 4);
    NEAR(all->purser.at.quality, (0.8 + 0.2 + 0.9 + 0.8) / 4);
    NEAR(all->purser.at.cost, 0.0015);
    NEAR(all->purser.share[0], 0.75);
    assert_int_equal(all->largest.model, 1);
    NEAR(all->largest.at.quality, 0.85);
    NEAR(all->smallest.at.cost, 0.001);
    NEAR(all->rules.at.quality, (0.8 + 1.0 + 0.9 + 0.8) / 4);
    NEAR(all->rules.share[1], 0.5);
    NEAR(all->oracle.at.quality, (0.8 + 1.0 + 0.9 + 0.8) / 4);
    NEAR(all->hull.at.quality, 0.5 + 0.25 * (0.85 - 0.5)); /* a quarter of the way */
    NEAR(all->hull.share[1], 0.25);
    NEAR(second->purser.at.quality, 0.85);
    NEAR(second->purser.at.cost, 0.002);
    assert_int_equal(s.part[SCORE_FIRST].n, 2);
}

static void tells(void **state)
{
    struct fx *f = *state;
    struct choices c;
    struct score s;
    char room[8192];
    write_choices(f, four);
    assert_int_equal(score_read(f->path, &f->table, &c, NULL), STATUS_OK);
    score_weigh(&f->table, &c, &f->params, 1000000, &s);
    score_free(&c);
    struct text t = text_over(room, sizeof room);
    score_json(&t, &s);
    assert_false(t.full);
    assert_null(strstr(room, "rules"));
    assert_non_null(strstr(room, "\"all\":{\"n\":4,\"purser\":{\"quality\":0.675,"));
    assert_non_null(strstr(room, "\"saved\":0.5,\"saved_usd_per_month\":1500,"));
    t = text_over(room, sizeof room);
    score_table(&t, &s);
    assert_false(t.full);
    assert_non_null(strstr(room, "saved 33% of what the largest model costs: $1,000 a\n"));
}

static void refuses(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {{"{\"id\":\"a\",\"model\":\"dear\"}\n{\"id\":\"z\",\"model\":\"dear\"}\n",
                ":2: the table has no row with id z"},
               {"{\"id\":\"a\",\"model\":\"other\"}\n", ":1: the table has no model other"},
               {"[\n", ":1: not a JSON object"},
               {"", "no choices"}};
    struct fx *f = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct choices c;
        struct problem p = {0};
        write_choices(f, bad[i].text);
        assert_int_equal(score_read(f->path, &f->table, &c, &p), STATUS_BAD_REQUEST);
        assert_non_null(strstr(p.text, bad[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(weighs, setup, teardown),
        cmocka_unit_test_setup_teardown(tells, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
