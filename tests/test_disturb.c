/* SPDX-License-Identifier: MIT */
/* Disturbances: each has the property it is named for, courses depend on seed and position alone,
 * and what comes of them is the same for any number of processes, shards and interruptions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <math.h>

#include "sim/disturb/channel.h"
#include "sim/disturb/course.h"
#include "sim/run/experiment.h"
#include "sim/run/run.h"
#include "sim/scenario/scenario.h"

static void near(double got, double want, double tolerance)
{
    if (!(got >= want - tolerance && got <= want + tolerance))
        fail_msg("got %.12g, expected %.12g within %g", got, want, tolerance);
}

#define MODELS                                                                                     \
    "\"models\":[{\"name\":\"s\",\"tier\":\"small\",\"usd_per_mtok_in\":0.1,"                      \
    "\"usd_per_mtok_out\":0.4,\"latency_ms\":100},{\"name\":\"l\",\"tier\":\"large\","             \
    "\"usd_per_mtok_in\":2,\"usd_per_mtok_out\":8,\"latency_ms\":400}]"
#define TASKS                                                                                      \
    "\"clusters\":[{\"name\":\"a\",\"quality\":[0.9,0.8]},{\"name\":\"b\",\"share\":2,"            \
    "\"quality\":[0.3,0.7]}]"

static struct experiment *read_experiment(const char *how, const char *disturbances,
                                          const char *policies)
{
    char text[8192];
    struct problem p = {0};
    struct experiment *e = calloc(1, sizeof *e);
    snprintf(text, sizeof text,
             "{\"world\":{%s," MODELS "," TASKS
             "},\"adequate\":\"mean\",\"seeds\":3,\"max_output_tokens\":400,"
             "\"disturbances\":[%s],\"policies\":[%s]}",
             how, disturbances, policies);
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail_msg("%s: %s", text, error.text);
    assert_non_null(e);
    if (experiment_read(root, "", e, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    json_decref(root);
    return e;
}

static void done(struct experiment *e)
{
    experiment_free(e);
    free(e);
}

static struct course make(const struct experiment *e, uint64_t seed)
{
    const struct course_of of = {&e->world, e->spec, &e->disturbances, e->count, e->n, NULL};
    struct course c;
    assert_int_equal(course_make(&of, seed, &c, NULL), STATUS_OK);
    return c;
}

static struct run_report *play(const struct experiment *e, const struct run_plan *plan,
                               bool *complete)
{
    struct problem p = {0};
    struct run_report *r = calloc(1, sizeof *r);
    assert_non_null(r);
    if (run_plan_play(e, plan, r, complete, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    return r;
}

static struct run_report *play_all(const struct experiment *e)
{
    bool complete;
    struct run_report *r =
        play(e, &(struct run_plan){.crew = {.workers = 2}, .shards = 1}, &complete);
    assert_true(complete);
    return r;
}

static void drop(struct run_report *r)
{
    run_free(r);
    free(r);
}

#define COLD "{\"name\":\"p\"}"

/* ---- courses ---- */

static void nothing_disturbs_nothing(void **state)
{
    (void)state;
    struct experiment *e = read_experiment("\"requests\":500,\"outcome\":\"bernoulli\"", "", COLD);
    struct course c = make(e, 7);
    bool moved = false;
    assert_int_equal(c.n_phases, 1);
    for (size_t i = 0; i < 500; i++) {
        size_t from = table_cell(&e->world.table, c.source[i], 0), to = table_cell(&c.table, i, 0);
        moved = moved || c.source[i] != i;
        assert_memory_equal(&c.table.q[to], &e->world.table.q[from], 2 * sizeof *c.table.q);
        assert_memory_equal(&c.mean[to], &e->world.mean[from], 2 * sizeof *c.mean);
        assert_memory_equal(&c.table.cost_nano[to], &e->world.table.cost_nano[from],
                            2 * sizeof *c.table.cost_nano);
    }
    assert_true(moved); /* the seed decides the order */
    course_free(&c);
    done(e);
}

/* Mean quality of the small model in the course's task b, whose means are .3 and .7. */
static double small_at(const struct course *c, size_t i)
{
    return c->mean[table_cell(&c->table, i, 0)];
}

static bool is_b(const struct course *c, size_t i)
{
    return table_task(&c->table, i)[0] == 'b';
}

static void drift_has_its_shape(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        double at[5]; /* weight of the other model's behaviour at .1, .3, .55, .7, .9 */
    } shape[] = {
        {"\"shape\":\"abrupt\",\"at\":0.5", {0, 0, 1, 1, 1}},
        {"\"shape\":\"abrupt\",\"at\":0.2,\"until\":0.6,\"weight\":0.5", {0, 0.5, 0.5, 0, 0}},
        {"\"shape\":\"gradual\",\"at\":0.5,\"over\":0.4", {0, 0, 0.125, 0.5, 1}},
        {"\"shape\":\"alternating\",\"over\":0.2", {1, 0, 1, 0, 1}},
        {"\"shape\":\"seasonal\",\"over\":0.4", {0.5, 0.5, 0.85355339, 0.5, 0.5}},
    };
    static const double at[5] = {0.1, 0.3, 0.55, 0.7, 0.9};
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
        char json[200];
        snprintf(json, sizeof json, "{\"kind\":\"drift\",%s}", shape[s].json);
        struct experiment *e = read_experiment("\"requests\":1000", json, COLD);
        struct course c = make(e, 1);
        for (int k = 0; k < 5; k++) {
            size_t i = (size_t)lround(at[k] * 1000);
            while (!is_b(&c, i))
                i++;
            near(small_at(&c, i), 0.3 + 0.4 * shape[s].at[k], 0.03);
        }
        course_free(&c);
        done(e);
    }
}

static void regression_shifts_one_model_with_the_same_luck(void **state)
{
    (void)state;
    struct experiment *plain =
        read_experiment("\"requests\":4000,\"outcome\":\"bernoulli\"", "", COLD);
    struct experiment *e = read_experiment(
        "\"requests\":4000,\"outcome\":\"bernoulli\"",
        "{\"kind\":\"regression\",\"model\":\"l\",\"shift\":-0.4,\"at\":0.5}", COLD);
    struct course was = make(plain, 3), is = make(e, 3);
    double lost = 0;
    for (size_t i = 0; i < 4000; i++) {
        size_t s = table_cell(&is.table, i, 0), l = table_cell(&is.table, i, 1);
        near(is.table.q[s], was.table.q[s], 0);
        assert_true(is.table.q[l] <= was.table.q[l]); /* who failed before fails now */
        assert_true(is.table.q[l] <= 0 || is.table.q[l] >= 1);
        near(is.mean[l], was.mean[l] - (i < 2000 ? 0 : 0.4), 1e-12);
        lost += was.table.q[l] - is.table.q[l];
    }
    near(lost / 2000, 0.4, 0.05);
    course_free(&was);
    course_free(&is);
    done(plain);
    done(e);
}

static void prices_and_absence_are_phases(void **state)
{
    (void)state;
    struct experiment *plain = read_experiment("\"requests\":1000", "", COLD);
    struct experiment *e = read_experiment(
        "\"requests\":1000",
        "{\"kind\":\"price\",\"model\":\"l\",\"factor\":0.1,\"at\":0.2,\"until\":0.6},"
        "{\"kind\":\"absent\",\"model\":\"s\",\"at\":0.4,\"until\":0.8}",
        COLD);
    struct course was = make(plain, 1), is = make(e, 1);
    static const size_t from[] = {0, 200, 400, 600, 800};
    static const double price[] = {1, 0.1, 0.1, 1, 1};
    static const bool gone[] = {false, false, true, true, false};
    assert_int_equal(is.n_phases, 5);
    for (int p = 0; p < 5; p++) {
        assert_int_equal(is.phase[p].from, from[p]);
        near(is.phase[p].price[1], price[p], 0);
        assert_int_equal(is.phase[p].absent[0], gone[p]);
        for (size_t i = from[p]; i < from[p] + is.phase[p].n; i++) {
            size_t s = table_cell(&is.table, i, 0), l = table_cell(&is.table, i, 1);
            near((double)is.table.cost_nano[l], price[p] * (double)was.table.cost_nano[l], 0.51);
            near(is.table.q[s], gone[p] ? 0 : was.table.q[s], 0);
            assert_true(!gone[p] || is.table.cost_nano[s] == 0);
        }
    }
    struct run_report *r = play_all(e);
    near(r->policy[0].stretch_share[2][0].mean, 0, 0); /* nobody is sent where nobody is */
    assert_true(r->policy[0].stretch_share[4][0].mean > 0);
    drop(r);
    course_free(&was);
    course_free(&is);
    done(plain);
    done(e);
}

static void outages_fail_calls(void **state)
{
    (void)state;
    struct experiment *e = read_experiment(
        "\"requests\":4000",
        "{\"kind\":\"outage\",\"model\":\"l\",\"share\":0.3,\"factor\":5,\"at\":0.5}", COLD);
    struct course c = make(e, 1);
    double failed[2] = {0};
    for (size_t i = 0; i < 4000; i++) {
        size_t l = table_cell(&c.table, i, 1);
        failed[i >= 2000] += c.failed[l];
        assert_true(!c.failed[l] || c.table.q[l] <= 0);
        assert_int_equal(c.failed[table_cell(&c.table, i, 0)], 0);
        near((double)c.table.lat_ms[l], i >= 2000 ? 2000 : 400, 1e-3);
    }
    near(failed[0], 0, 0);
    near(failed[1] / 2000, 0.3, 0.05);
    course_free(&c);
    done(e);
}

static void tails_are_heavy_with_the_same_mean(void **state)
{
    (void)state;
    struct experiment *e =
        read_experiment("\"requests\":20000", "{\"kind\":\"tokens\",\"tail\":3}", COLD);
    struct course c = make(e, 1);
    double sum = 0, most = 0;
    for (size_t i = 0; i < 20000; i++) {
        size_t s = table_cell(&c.table, i, 0);
        double ratio = c.table.out[s] / 150.0;
        sum += ratio / 20000;
        most = fmax(most, ratio);
        near((double)c.table.cost_nano[s], 0.1e3 * c.table.in[s] + 0.4e3 * c.table.out[s],
             1); /* billed as they are */
    }
    near(sum, 1, 0.03);
    assert_true(most > 8);
    course_free(&c);
    done(e);
}

static void tenants_follow_zipf_and_days_have_nights(void **state)
{
    (void)state;
    struct experiment *e =
        read_experiment("\"requests\":20000",
                        "{\"kind\":\"tenants\",\"n\":3,\"skew\":1},{\"kind\":\"arrivals\","
                        "\"day\":2000,\"swing\":0.8,\"gap_s\":2}",
                        COLD);
    struct course c = make(e, 1);
    double n[4] = {0}, day = 0, night = 0;
    char name[NAME_CAP];
    for (size_t i = 0; i < 20000; i++) {
        n[c.tenant[i]]++;
        if (i == 0)
            continue;
        double gap = (double)(c.clock_ms[i] - c.clock_ms[i - 1]);
        assert_true(gap > 0);
        *(i % 2000 < 1000 ? &day : &night) += gap;
    }
    for (int k = 1; k <= 3; k++)
        near(n[k] / 20000, 1 / (double)k / (1 + 0.5 + 1 / 3.0), 0.02);
    assert_true(night > 2 * day);
    course_tenant(&c, 0, name);
    assert_int_equal(name[0], 't');
    assert_int_equal(e->n_groups, 3);
    course_free(&c);
    done(e);
}

/* ---- the channel ---- */

static struct disturbances list_of(const char *json)
{
    struct experiment *e = read_experiment("\"requests\":10", json, COLD);
    struct disturbances d = e->disturbances;
    done(e);
    return d;
}

/* Means over reports of quality q: delay, share told, quality told. */
static void carry(const char *json, double q, double *delay, double *told, double *quality)
{
    enum { N = 20000 };
    struct disturbances d = list_of(json);
    const struct channel c = {&d, N, 5};
    *delay = *told = *quality = 0;
    for (size_t i = 0; i < N; i++) {
        struct letters l;
        channel_carry(&c, &(struct parcel){.i = i, .tenant = "t1", .quality = q}, &l);
        *delay += (double)l.delay[0] / N;
        *told += (double)l.told / N;
        *quality += l.quality / N;
        assert_true(l.delay[0] >= 0 && (size_t)l.delay[0] <= channel_most(&d));
    }
}

static void channels_do_what_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        double q, delay, told, quality, slack;
    } c[] = {
        {"{\"kind\":\"delay\",\"law\":\"fixed\",\"mean\":40}", 0.6, 40, 1, 0.6, 0},
        {"{\"kind\":\"delay\",\"mean\":40}", 0.6, 39.5, 1, 0.6, 1},
        {"{\"kind\":\"delay\",\"law\":\"lognormal\",\"mean\":40}", 0.6, 39.5, 1, 0.6, 2},
        {"{\"kind\":\"delay\",\"law\":\"batch\",\"mean\":40}", 0.6, 20.5, 1, 0.6, 0.1},
        {"{\"kind\":\"delay\",\"law\":\"reward\",\"mean\":40}", 1, 19.5, 1, 1, 1},
        {"{\"kind\":\"delay\",\"law\":\"reward\",\"mean\":40}", 0, 59.5, 1, 0, 2},
        {"{\"kind\":\"missing\",\"share\":0.3}", 0.6, 0, 0.7, 0.6, 0.02},
        {"{\"kind\":\"missing\",\"high\":0.5}", 0.6, 0, 1, 0.6, 0},
        {"{\"kind\":\"missing\",\"high\":0.5}", 0.4, 0, 0, 0.4, 0},
        {"{\"kind\":\"judge\",\"noise\":0.3}", 0.6, 0, 1, 0.6, 0.01},
        {"{\"kind\":\"judge\",\"shift\":0.2}", 0.6, 0, 1, 0.7, 0.001},
        {"{\"kind\":\"poison\",\"tenant\":\"t1\",\"at\":0.5}", 0.9, 0, 1, 0.5, 0},
        {"{\"kind\":\"poison\",\"tenant\":\"t2\"}", 0.9, 0, 1, 0.9, 0},
        {"{\"kind\":\"poison\",\"share\":0.25}", 1, 0, 1, 0.75, 0.02},
        {"{\"kind\":\"repeat\",\"mean\":10}", 0.6, 5, 1, 0.6, 0.1},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        double delay, told, quality;
        carry(c[i].json, c[i].q, &delay, &told, &quality);
        near(delay, c[i].delay, c[i].slack + 1e-9);
        near(told, c[i].told, c[i].slack + 1e-9);
        near(quality, c[i].quality, c[i].slack + 1e-9);
    }
}

/* What is heard never changes what counts, and repetitions change nothing at all. */
static void hearing_is_not_happening(void **state)
{
    (void)state;
    static const char uniform[] = "{\"name\":\"p\",\"params\":{\"policy\":{\"name\":\"uniform\"}}}";
    struct experiment *plain = read_experiment("\"requests\":800", "", uniform),
                      *e = read_experiment(
                          "\"requests\":800",
                          "{\"kind\":\"poison\"},{\"kind\":\"judge\",\"shift\":0.5},"
                          "{\"kind\":\"repeat\",\"mean\":30},{\"kind\":\"missing\","
                          "\"share\":0.5},{\"kind\":\"delay\",\"mean\":50}",
                          uniform);
    struct run_report *was = play_all(plain), *is = play_all(e);
    near(is->fixed[0].quality, was->fixed[0].quality, 1e-12);
    near(is->oracle.at.quality, was->oracle.at.quality, 1e-12);
    near(is->policy[0].whole.quality.mean, was->policy[0].whole.quality.mean, 0.02);
    drop(was);
    drop(is);
    done(plain);
    done(e);
}

/* ---- the host ---- */

static void a_kept_restart_is_none(void **state)
{
    (void)state;
    static const char sure[] = /* no draw: a new epoch draws others */
        "{\"name\":\"p\",\"labelled\":200,\"params\":{\"policy\":{\"name\":\"trained\"}}}";
    static const char *const how[] = {"", "{\"kind\":\"restart\",\"at\":0.5}",
                                      "{\"kind\":\"restart\",\"at\":0.5,\"keep\":false}"};
    struct interval quality[3];
    for (int i = 0; i < 3; i++) {
        struct experiment *e = read_experiment("\"requests\":600,\"noise\":0.1", how[i], sure);
        struct run_report *r = play_all(e);
        quality[i] = r->policy[0].whole.quality;
        drop(r);
        done(e);
    }
    assert_memory_equal(&quality[0], &quality[1], sizeof quality[0]);
    assert_true(quality[2].mean < quality[0].mean - 0.01);
}

static void short_memory_loses_late_reports(void **state)
{
    (void)state;
    static const char *const how[] = {
        "{\"kind\":\"delay\",\"law\":\"fixed\",\"mean\":100}",
        "{\"kind\":\"delay\",\"law\":\"fixed\",\"mean\":100},{\"kind\":\"memory\",\"open\":50}"};
    double accuracy[2];
    for (int i = 0; i < 2; i++) {
        struct experiment *e = read_experiment("\"requests\":1500", how[i], COLD);
        struct run_report *r = play_all(e);
        accuracy[i] = r->policy[0].accuracy_last.mean;
        drop(r);
        done(e);
    }
    assert_true(accuracy[0] > 0.95);
    assert_true(accuracy[1] < 0.8); /* nothing was ever learned */
}

static void starved_pools_refuse(void **state)
{
    (void)state;
    static const char pooled[] =
        "{\"name\":\"free\"},{\"name\":\"capped\",\"params\":{\"pools\":[{\"name\":\"day\","
        "\"window\":\"day\",\"usd\":0.02}]}}";
    struct experiment *e = read_experiment("\"requests\":600", "", pooled);
    struct run_report *r = play_all(e);
    near(r->policy[0].whole.refused.mean, 0, 0);
    assert_true(r->policy[1].whole.refused.mean > 0.1);
    assert_true(r->policy[1].whole.spend.mean * 600 <= 0.0205);
    drop(r);
    done(e);
}

/* ---- optima ---- */

/* The best known choices of an experiment follow from its specification. */
static void optima_are_those_of_the_specification(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        double best; /* mean over tasks (1:2) and time of the best mean */
    } c[] = {
        {"", (0.9 + 2 * 0.7) / 3},
        {"{\"kind\":\"drift\",\"at\":0.5}", (0.9 + 2 * 0.7) / 3}, /* the same, by the other model */
        {"{\"kind\":\"drift\",\"weight\":0.5}", (0.85 + 2 * 0.5) / 3},
        {"{\"kind\":\"regression\",\"model\":\"l\",\"shift\":-0.2,\"at\":0.5}",
         (0.9 + 2 * 0.6) / 3},
        {"{\"kind\":\"absent\",\"model\":\"l\",\"at\":0.5}", (0.9 + 2 * 0.5) / 3},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        struct experiment *e = read_experiment("\"requests\":3000", c[i].json, COLD);
        struct run_report *r = play_all(e);
        near(r->oracle.at.quality, c[i].best, 0.01);
        near(r->adequate.quality, c[i].best, 0.02);
        near(r->policy[0].regret.mean, r->oracle.at.quality - r->policy[0].whole.quality.mean,
             1e-9);
        assert_true(r->policy[0].regret.mean > -1e-9);
        drop(r);
        done(e);
    }
}

/* ---- families ---- */

static void families_have_their_form(void **state)
{
    (void)state;
    static const char logistic[] =
        "{\"family\":\"logistic\",\"requests\":400,\"latents\":2,\"models\":[{\"name\":\"s\","
        "\"usd_per_mtok_in\":1,\"usd_per_mtok_out\":1,\"intercept\":-2,\"weights\":[0,5]}]}";
    static const char neighbours[] =
        "{\"family\":\"neighbours\",\"requests\":400,\"latents\":3,\"models\":[{\"name\":\"s\","
        "\"usd_per_mtok_in\":1,\"usd_per_mtok_out\":1}],\"clusters\":[{\"name\":\"a\","
        "\"quality\":[0.2]},{\"name\":\"b\",\"quality\":[0.5]},{\"name\":\"c\","
        "\"quality\":[0.9]}]}";
    struct world_spec *spec = malloc(sizeof *spec);
    struct world w;
    double low = 1, high = 0;
    int n[3] = {0};
    assert_non_null(spec);
    json_t *root = json_loads(logistic, 0, NULL);
    assert_int_equal(world_read(root, NULL, "", spec, NULL), STATUS_OK);
    json_decref(root);
    assert_int_equal(world_make(spec, 0, &w, NULL), STATUS_OK);
    for (size_t i = 0; i < 400; i++) {
        low = fmin(low, w.mean[i]);
        high = fmax(high, w.mean[i]);
    }
    near(low, 1 / (1 + exp(2)), 1e-12); /* prompts of one topic alone are the ends */
    near(high, 1 / (1 + exp(-3)), 1e-12);
    world_free(&w);
    /* The same with a hidden layer: no longer between the ends, for each model in another way, and
     * the same again under the same seed. */
    root = json_loads(logistic, 0, NULL);
    json_object_set_new(root, "family", json_string("mlp"));
    json_array_append(json_object_get(root, "models"),
                      json_array_get(json_object_get(root, "models"), 0));
    json_array_set_new(json_object_get(root, "models"), 1,
                       json_pack("{s:s,s:i,s:i,s:i,s:[i,i]}", "name", "t", "usd_per_mtok_in", 1,
                                 "usd_per_mtok_out", 1, "intercept", -2, "weights", 0, 5));
    assert_int_equal(world_read(root, NULL, "", spec, NULL), STATUS_OK);
    json_decref(root);
    struct world again;
    size_t beyond = 0;
    assert_int_equal(world_make(spec, 0, &w, NULL), STATUS_OK);
    assert_int_equal(world_make(spec, 0, &again, NULL), STATUS_OK);
    assert_memory_equal(w.mean, again.mean, 800 * sizeof *w.mean);
    for (size_t i = 0; i < 400; i++) {
        assert_true(w.mean[2 * i] > 0 && w.mean[2 * i] < 1);
        assert_true(fabs(w.mean[2 * i] - w.mean[2 * i + 1]) > 1e-9);
        beyond += w.mean[2 * i] < low || w.mean[2 * i] > high;
    }
    assert_true(beyond > 0);
    world_free(&again);
    world_free(&w);
    root = json_loads(neighbours, 0, NULL);
    assert_int_equal(world_read(root, NULL, "", spec, NULL), STATUS_OK);
    json_decref(root);
    assert_int_equal(world_make(spec, 0, &w, NULL), STATUS_OK);
    for (size_t i = 0; i < 400; i++) {
        near(w.mean[i], spec->cluster[w.cluster[i]].quality[0], 0);
        n[w.cluster[i]]++;
    }
    assert_true(n[0] > 0 && n[1] > 0 && n[2] > 0);
    world_free(&w);
    free(spec);
}

/* ---- any machine, any number of them ---- */

static const char everything[] =
    "{\"kind\":\"drift\",\"shape\":\"gradual\",\"at\":0.5},{\"kind\":\"regression\","
    "\"model\":\"l\",\"at\":0.2,\"until\":0.4},{\"kind\":\"price\",\"model\":\"l\",\"at\":0.3,"
    "\"until\":0.6,\"factor\":0.1},{\"kind\":\"outage\",\"model\":\"s\",\"share\":0.5,\"at\":0.1,"
    "\"until\":0.3},{\"kind\":\"absent\",\"model\":\"s\",\"until\":0.05},{\"kind\":\"tokens\"},"
    "{\"kind\":\"tenants\"},{\"kind\":\"arrivals\"},{\"kind\":\"delay\",\"law\":\"lognormal\"},"
    "{\"kind\":\"missing\",\"share\":0.3},{\"kind\":\"repeat\",\"share\":0.5},{\"kind\":\"judge\","
    "\"noise\":0.1},{\"kind\":\"poison\",\"tenant\":\"t1\"},{\"kind\":\"restart\",\"at\":0.7},"
    "{\"kind\":\"restart\",\"at\":0.8,\"keep\":false}";
static const char three[] = "{\"name\":\"a\"},{\"name\":\"b\",\"labelled\":50},"
                            "{\"name\":\"c\",\"params\":{\"policy\":{\"name\":\"beta_ts\"}}}";
enum { CAP = 1 << 20 };

static void tell(const struct experiment *e, const struct run_report *r, char *out)
{
    struct text t = text_over(out, CAP);
    run_json(&t, e, r);
    run_table(&t, e, r);
    run_csv(&t, e, r);
    assert_false(t.full);
}

static void shards_and_workers_change_no_byte(void **state)
{
    (void)state;
    char *want = malloc(CAP), *got = malloc(CAP), dir[] = "/tmp/purser_shards_XXXXXX";
    char path[3][64], *const also[] = {path[0], path[1], path[2]};
    bool complete;
    struct experiment *e = read_experiment("\"requests\":600,\"noise\":0.1", everything, three);
    assert_non_null(mkdtemp(dir));
    struct run_report *r =
        play(e, &(struct run_plan){.crew = {.workers = 1}, .shards = 1}, &complete);
    tell(e, r, want);
    drop(r);
    for (int workers = 2; workers <= 3; workers++) {
        r = play(e, &(struct run_plan){.crew = {.workers = workers}, .shards = 1}, &complete);
        tell(e, r, got);
        assert_string_equal(got, want);
        drop(r);
    }
    for (int i = 0; i < 3; i++) {
        snprintf(path[i], sizeof path[i], "%s/%d", dir, i);
        r = play(e,
                 &(struct run_plan){
                     .crew = {.workers = 1 + i}, .shard = i, .shards = 3, .journal = path[i]},
                 &complete);
        assert_false(complete);
        drop(r);
    }
    r = play(e, &(struct run_plan){.shards = 1, .also = also, .n_also = 2, .read_only = true},
             &complete);
    assert_false(complete);
    drop(r);
    r = play(e, &(struct run_plan){.shards = 1, .also = also, .n_also = 3, .read_only = true},
             &complete);
    assert_true(complete);
    tell(e, r, got);
    assert_string_equal(got, want);
    drop(r);
    for (int i = 0; i < 3; i++)
        unlink(path[i]);
    rmdir(dir);
    free(want);
    free(got);
    done(e);
}

static void a_run_goes_on_where_it_was_cut(void **state)
{
    (void)state;
    char *want = malloc(CAP), *got = malloc(CAP), path[] = "/tmp/purser_journal_XXXXXX";
    bool complete;
    struct experiment *e = read_experiment("\"requests\":300", "", three);
    struct run_plan plan = {.crew = {.workers = 1}, .shards = 1, .journal = path};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct run_report *r = play(e, &plan, &complete);
    tell(e, r, want);
    drop(r);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_int_equal(ftruncate(fd, size / 2), 0); /* in the middle of a line */
    r = play(e, &plan, &complete);
    tell(e, r, got);
    assert_string_equal(got, want);
    drop(r);
    size = lseek(fd, 0, SEEK_END);
    r = play(e, &plan, &complete); /* all is known: nothing is played, nothing is added */
    assert_int_equal(lseek(fd, 0, SEEK_END), size);
    drop(r);
    done(e);
    e = read_experiment("\"requests\":300,\"noise\":0.2", "",
                        three); /* another experiment: nothing is */
    r = play(e, &plan, &complete);
    assert_true(lseek(fd, 0, SEEK_END) > size);
    drop(r);
    done(e);
    close(fd);
    unlink(path);
    free(want);
    free(got);
}

static void errors_have_a_path(void **state)
{
    (void)state;
    static const struct {
        const char *json, *path, *want;
    } bad[] = {
        {"{}", "/disturbances/0/kind", "none of drift, regression"},
        {"{\"kind\":\"storm\"}", "/disturbances/0/kind", "\"storm\" is none of"},
        {"{\"kind\":\"drift\",\"shap\":\"abrupt\"}", "/disturbances/0/shap", "mean \"shape\""},
        {"{\"kind\":\"drift\",\"shape\":\"round\"}", "/disturbances/0/shape", "seasonal"},
        {"{\"kind\":\"drift\",\"at\":1.5}", "/disturbances/0/at", "found 1.5"},
        {"{\"kind\":\"drift\",\"at\":0.5,\"until\":0.4}", "/disturbances/0/until", "later"},
        {"{\"kind\":\"price\",\"model\":\"x\"}", "/disturbances/0/model", "no model x"},
        {"{\"kind\":\"absent\"}", "/disturbances/0/model", "which model"},
        {"{\"kind\":\"delay\",\"law\":\"slow\"}", "/disturbances/0/law", "lognormal"},
        {"{\"kind\":\"tokens\",\"tail\":1}", "/disturbances/0/tail", "found 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[2048];
        struct experiment e;
        struct problem p = {0};
        snprintf(text, sizeof text,
                 "{\"world\":{" MODELS "," TASKS "},\"disturbances\":[%s],\"policies\":[" COLD "]}",
                 bad[i].json);
        json_t *root = json_loads(text, 0, NULL);
        assert_int_not_equal(experiment_read(root, "", &e, &p), STATUS_OK);
        json_decref(root);
        if (strcmp(p.path, bad[i].path) != 0 || strstr(p.text, bad[i].want) == NULL)
            fail_msg("%s: got %s: %s", bad[i].json, p.path, p.text);
    }
}

/* ---- scenarios ---- */

#ifdef __SANITIZE_ADDRESS__
enum { SCENARIO_ROWS = 60 }; /* each row is some thirty times as slow */
#else
enum { SCENARIO_ROWS = 200 };
#endif

static void scenarios_run(void **state)
{
    (void)state;
    char *one = malloc(1 << 22), *two = malloc(1 << 22);
    for (int i = 0; scenario_at(i) != NULL; i++) {
        const struct scenario *s = scenario_at(i);
        for (int json = 0; json < 2; json++) {
            struct problem p = {0};
            struct scenario_ask ask = {.seeds = 1,
                                       .first_seed = 1,
                                       .rows = SCENARIO_ROWS,
                                       .monthly = 1e6,
                                       .json = json == 1,
                                       .crew = {.workers = 1}};
            struct text t = text_over(one, 1 << 22), u = text_over(two, 1 << 22);
            if (scenario_play(s, &ask, &t, &p) != STATUS_OK)
                fail_msg("%s: %s %s", s->name, p.path, p.text);
            ask.crew.workers = 2;
            if (json == 1 && scenario_play(s, &ask, &u, &p) == STATUS_OK)
                assert_string_equal(t.at, u.at);
            assert_false(t.full);
            json_t *root = json_loads(t.at, 0, NULL);
            assert_int_equal(root != NULL, json == 1);
            if (json == 1)
                assert_string_equal(json_string_value(json_object_get(root, "scenario")), s->name);
            json_decref(root);
        }
        assert_ptr_equal(scenario_find(s->name), s);
    }
    struct text t = text_over(one, 1 << 22);
    scenario_list(&t, true);
    json_t *root = json_loads(t.at, 0, NULL);
    assert_true(json_array_size(root) >= 8);
    json_decref(root);
    assert_null(scenario_find("none"));
    free(one);
    free(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_disturbs_nothing),
        cmocka_unit_test(drift_has_its_shape),
        cmocka_unit_test(regression_shifts_one_model_with_the_same_luck),
        cmocka_unit_test(prices_and_absence_are_phases),
        cmocka_unit_test(outages_fail_calls),
        cmocka_unit_test(tails_are_heavy_with_the_same_mean),
        cmocka_unit_test(tenants_follow_zipf_and_days_have_nights),
        cmocka_unit_test(channels_do_what_they_say),
        cmocka_unit_test(hearing_is_not_happening),
        cmocka_unit_test(a_kept_restart_is_none),
        cmocka_unit_test(short_memory_loses_late_reports),
        cmocka_unit_test(starved_pools_refuse),
        cmocka_unit_test(optima_are_those_of_the_specification),
        cmocka_unit_test(families_have_their_form),
        cmocka_unit_test(shards_and_workers_change_no_byte),
        cmocka_unit_test(a_run_goes_on_where_it_was_cut),
        cmocka_unit_test(errors_have_a_path),
        cmocka_unit_test(scenarios_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
