/* SPDX-License-Identifier: MIT */
/* Trying configurations on a log: where its beginning is gone, and what points are drawn. What the
 * command finds: tests/tune/run. */
#include <math.h>
#include "core/config/config.h"
#include "sim/tune/tune.h"
#include "tests/store_fx.h"

static const double SPLIT = 0.5;

static double *scores(struct fx *fx, const struct tune_log *log, const struct tune_point *point)
{
    double *score = malloc(log->rows * TUNE_AIMS * sizeof *score);
    for (size_t i = 0; i < log->rows * TUNE_AIMS; i++)
        score[i] = NAN;
    ok(fx, tune_log_score(log, log->now, point, TUNE_LATER, 1, score, &fx->problem));
    return score;
}

static int told(const double *score, size_t rows)
{
    int n = 0;
    for (size_t i = 0; i < rows; i++)
        n += !isnan(score[i * TUNE_AIMS + TUNE_QUALITY]);
    return n;
}

/* The fold goes on from the snapshot where retention has removed what came before; records keep
 * finding their decisions although one record more stands ahead of them. */
static void test_log_without_beginning(void **state)
{
    struct fx *fx = *state;
    struct tune_log whole, rest;
    struct tune_point point;
    live_history(fx);
    ok(fx, tune_log_init(&whole, fx->dir, SPLIT, &fx->problem));
    tune_point_of(whole.now, &point);
    double *before = scores(fx, &whole, &point);
    assert_true(told(before, whole.rows) > 50);
    batch_prune(fx->batch, UINT64_MAX, INT64_MAX);
    commit(fx);
    assert_true(info(fx).first_seq > 1);
    ok(fx, tune_log_init(&rest, fx->dir, SPLIT, &fx->problem));
    assert_true(rest.rows < whole.rows);
    double *after = scores(fx, &rest, &point);
    assert_true(told(after, rest.rows) > 20);
    /* The same settings after the same records: the same scores, decision by decision, but for
     * weights that the configuration refreshes at another moment. */
    size_t off = whole.rows - rest.rows;
    for (size_t i = 0; i < rest.rows; i++) {
        const double *a = before + (i + off) * TUNE_AIMS, *b = after + i * TUNE_AIMS;
        assert_int_equal(whole.seq[i + off], rest.seq[i]);
        if (!isnan(b[TUNE_QUALITY]) && !isnan(a[TUNE_QUALITY]))
            assert_true(fabs(a[TUNE_QUALITY] - b[TUNE_QUALITY]) < 1e-3); /* 1.1e-4 seen */
    }
    free(before);
    free(after);
    tune_log_fini(&whole);
    tune_log_fini(&rest);
}

/* Points are a function of seed and number, within bounds that a configuration accepts; a knob that
 * the policy does not turn stays. */
static void test_points(void **state)
{
    (void)state;
    static struct params p, moved;
    static char json[CONFIG_MAX];
    struct problem problem;
    struct tune_point from, a, b;
    int same = 0, others = 0;
    const unsigned still = 1u << KNOB_FAILURE | 1u << KNOB_COST;
    bool turned = false, turned_all = false;
    static const char config[] =
        "{\"models\":[{\"name\":\"a\",\"tier\":\"small\",\"usd_per_mtok_in\":1,"
        "\"usd_per_mtok_out\":2}]}";
    assert_int_equal(config_parse(config, strlen(config), &p, NULL, &problem), STATUS_OK);
    tune_point_of(&p, &from);
    tune_point_draw(&from, 0, 1, 0, &a);
    assert_memory_equal(&a, &from, sizeof a);
    for (uint64_t i = 1; i < 500; i++) {
        tune_point_draw(&from, still, 1, i, &b);
        for (int k = 0; k < KNOBS; k++)
            assert_true(!(still & 1u << k) || fabs(b.knob[k] - from.knob[k]) <= 0);
        turned |= fabs(b.knob[KNOB_LATENCY] - from.knob[KNOB_LATENCY]) > 0;
        tune_point_draw(&from, 0, 1, i, &a);
        turned_all |= fabs(a.knob[KNOB_LATENCY] - from.knob[KNOB_LATENCY]) > 0 &&
                      fabs(a.knob[KNOB_FAILURE] - from.knob[KNOB_FAILURE]) > 0;
        tune_point_draw(&from, 0, 1, i, &b);
        assert_memory_equal(&a, &b, sizeof a);
        tune_point_draw(&from, 0, 2, i, &b);
        same += memcmp(&a, &b, sizeof a) == 0;
        others += strcmp(a.policy, from.policy) != 0;
        if (strcmp(a.policy, "igw") != 0)
            assert_true(fabs(a.knob[KNOB_GAMMA] - from.knob[KNOB_GAMMA]) <= 0);
        moved = p;
        tune_point_apply(&a, &moved);
        size_t n = config_render(&moved, json, sizeof json);
        assert_int_equal(config_parse(json, n, &moved, NULL, &problem), STATUS_OK);
        char room[4096];
        struct text patch = text_over(room, sizeof room);
        tune_point_patch(&patch, &moved, &a, &from);
        static struct params patched;
        patched = p;
        assert_int_equal(config_patch(&patched, patch.at, patch.len, &problem), STATUS_OK);
        static char again[CONFIG_MAX];
        assert_int_equal(config_render(&patched, again, sizeof again), n);
        assert_memory_equal(again, json, n);
    }
    assert_true(same < 25 && others > 100);
    assert_true(turned && turned_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_log_without_beginning),
        cmocka_unit_test(test_points),
    };
    return cmocka_run_group_tests_name("tune", tests, NULL, NULL);
}
