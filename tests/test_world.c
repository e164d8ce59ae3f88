/* SPDX-License-Identifier: MIT */
/* Worlds and experiments: rows that depend on nothing but the specification, outcomes with the
 * means that are told, strict reading, and runs that are the same for any number of processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "sim/play/play.h"
#include "sim/run/experiment.h"
#include "sim/run/run.h"
#include "sim/scenario/fintech.h"
#include "sim/spec.h"

static void near(double got, double want, double tolerance)
{
    if (!(got >= want - tolerance && got <= want + tolerance))
        fail_msg("got %.12g, expected %.12g within %g", got, want, tolerance);
}

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail_msg("%s: %s", text, error.text);
    return root;
}

#define MODELS                                                                                     \
    "\"models\":[{\"name\":\"s\",\"tier\":\"small\",\"usd_per_mtok_in\":0.1,"                      \
    "\"usd_per_mtok_out\":0.4},{\"name\":\"l\",\"tier\":\"large\",\"usd_per_mtok_in\":2,"          \
    "\"usd_per_mtok_out\":8}]"
#define TASKS                                                                                      \
    "\"clusters\":[{\"name\":\"a\",\"quality\":[0.9,0.9]},{\"name\":\"b\",\"share\":2,"            \
    "\"quality\":[0.3,0.8]}]"

static void read_world(const char *text, struct world_spec *spec)
{
    struct problem p = {0};
    json_t *root = parse(text);
    if (world_read(root, NULL, "", spec, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    json_decref(root);
}

static void make(const struct world_spec *spec, size_t more, struct world *w)
{
    struct problem p = {0};
    if (world_make(spec, more, w, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
}

/* --- worlds -------------------------------------------------------------------------------- */

static void rows_do_not_depend_on_their_number(void **state)
{
    (void)state;
    static const char *const name[] = {"clusters12", "linear6", "misspecified6"};
    struct world_spec *spec = malloc(sizeof *spec);
    assert_non_null(spec);
    for (int i = 0; i < 3; i++) {
        struct world few, many;
        struct problem p = {0};
        if (world_load(name[i], "", spec, &p) != STATUS_OK)
            fail_msg("%s: %s", p.path, p.text);
        spec->requests = 100;
        make(spec, 0, &few);
        spec->requests = 250;
        make(spec, 50, &many);
        assert_int_equal(few.table.n, 100);
        assert_int_equal(many.table.n, 300);
        size_t cells = 100 * (size_t)spec->n_models;
        assert_memory_equal(few.table.q, many.table.q, cells * sizeof *few.table.q);
        assert_memory_equal(few.mean, many.mean, cells * sizeof *few.mean);
        assert_memory_equal(few.table.cost_nano, many.table.cost_nano,
                            cells * sizeof *few.table.cost_nano);
        for (size_t row = 0; row < 100; row++) {
            assert_string_equal(table_prompt(&few.table, row), table_prompt(&many.table, row));
            assert_string_equal(table_task(&few.table, row), table_task(&many.table, row));
        }
        for (size_t row = 0; row < 99; row++)
            assert_string_not_equal(table_prompt(&few.table, row),
                                    table_prompt(&few.table, row + 1));
        world_free(&few);
        world_free(&many);
    }
    free(spec);
}

/* The share of rows of a task for which the model is the cheapest adequate one. */
static double right_share(const struct world *w, const char *task, int model)
{
    double right = 0, n = 0;
    for (uint32_t row = 0; row < w->table.n; row++) {
        if (strcmp(table_task(&w->table, row), task) != 0)
            continue;
        right += play_cheapest_adequate(&w->table, row, model);
        n++;
    }
    assert_true(n > 0);
    return right / n;
}

static void flagship_has_one_right_model_a_task(void **state)
{
    (void)state;
    struct world w;
    struct world_spec *spec = malloc(sizeof *spec);
    assert_non_null(spec);
    assert_int_equal(world_load("clusters12", "", spec, NULL), STATUS_OK);
    assert_int_equal(spec->n_clusters, 12);
    int right_for[3] = {0};
    spec->requests = 3000;
    make(spec, 0, &w);
    for (int c = 0; c < 12; c++) {
        int right = -1;
        for (int m = 0; m < 3; m++) {
            double share = right_share(&w, spec->cluster[c].name, m);
            assert_true(share <= 0 || share >= 1);
            if (share >= 1 && right < 0)
                right = m;
            else
                assert_true(share <= 0);
        }
        assert_true(right >= 0);
        right_for[right]++;
    }
    for (int m = 0; m < 3; m++)
        assert_int_equal(right_for[m], 4);
    world_free(&w);
    free(spec);
}

static void outcomes_have_the_means_that_are_told(void **state)
{
    (void)state;
    static const char *const how[] = {"\"outcome\":\"bernoulli\"", "\"noise\":0.3"};
    struct world_spec *spec = malloc(sizeof *spec);
    assert_non_null(spec);
    for (int i = 0; i < 2; i++) {
        char text[1024];
        struct world w;
        double n[2] = {0}, sum[2][2] = {{0}};
        snprintf(text, sizeof text, "{\"requests\":40000,%s," MODELS "," TASKS "}", how[i]);
        read_world(text, spec);
        make(spec, 0, &w);
        for (size_t row = 0; row < w.table.n; row++) {
            int task = table_task(&w.table, row)[0] - 'a';
            n[task]++;
            for (int m = 0; m < 2; m++) {
                size_t cell = table_cell(&w.table, row, m);
                near(w.mean[cell], spec->cluster[task].quality[m], 0);
                sum[task][m] += w.table.q[cell];
                if (i == 0)
                    assert_true(w.table.q[cell] <= 0 || w.table.q[cell] >= 1);
                assert_true(w.table.q[cell] >= 0 && w.table.q[cell] <= 1);
            }
        }
        near(n[1] / n[0], 2, 0.1); /* shares 1 : 2 */
        for (int c = 0; c < 2; c++)
            for (int m = 0; m < 2; m++) /* five standard errors of a coin */
                near(sum[c][m] / n[c], spec->cluster[c].quality[m], 0.021);
        world_free(&w);
    }
    free(spec);
}

static void linear_is_linear_in_the_words(void **state)
{
    (void)state;
    struct world w;
    struct world_spec *spec = malloc(sizeof *spec);
    assert_non_null(spec);
    /* One word a topic: shares can be counted again. Topic 1 is good for s, topic 0 is not. */
    read_world("{\"family\":\"linear\",\"requests\":300,\"latents\":2,\"prompt\":{\"vocabulary\":1,"
               "\"topical\":1},\"models\":[{\"name\":\"s\",\"usd_per_mtok_in\":1,"
               "\"usd_per_mtok_out\":1,\"intercept\":0.2,\"weights\":[0,0.6]}]}",
               spec);
    make(spec, 0, &w);
    char words[2][32] = {"", ""};
    for (size_t row = 0; row < w.table.n; row++) {
        if (w.mean[row] < 0.21 || w.mean[row] > 0.79) /* a prompt of one topic alone */
            sscanf(table_prompt(&w.table, row), "%31s", words[w.mean[row] > 0.5]);
    }
    assert_true(words[0][0] != '\0' && words[1][0] != '\0');
    for (size_t row = 0; row < w.table.n; row++) {
        char prompt[8192], *rest = NULL;
        double n[2] = {0};
        snprintf(prompt, sizeof prompt, "%s", table_prompt(&w.table, row));
        for (char *at = strtok_r(prompt, " ", &rest); at; at = strtok_r(NULL, " ", &rest)) {
            assert_true(strcmp(at, words[0]) == 0 || strcmp(at, words[1]) == 0);
            n[strcmp(at, words[1]) == 0]++;
        }
        near(w.mean[row], 0.2 + 0.6 * n[1] / (n[0] + n[1]), 1e-12);
    }
    world_free(&w);
    free(spec);
}

static void world_errors_have_a_path(void **state)
{
    (void)state;
    static const struct {
        const char *text, *path, *want;
    } bad[] = {
        {"{}", "/w/models", "missing"},
        {"{\"familiy\":\"clusters\"}", "/w/familiy", "did you mean \"family\"?"},
        {"{\"family\":\"square\"," MODELS "}", "/w/family", "clusters, linear, misspecified"},
        {"{" MODELS "}", "/w/clusters", "at least one"},
        {"{" MODELS "," TASKS ",\"latents\":2}", "/w/latents", "not of this family"},
        {"{\"requests\":0}", "/w/requests", "an integer from 1"},
        {"{\"outcome\":\"maybe\"}", "/w/outcome", "graded|bernoulli"},
        {"{\"outcome\":\"bernoulli\",\"noise\":0.1," MODELS "," TASKS "}", "/w/noise",
         "no other noise"},
        {"{\"prompt\":{\"word\":3}}", "/w/prompt/word", "did you mean \"words\"?"},
        {"{\"models\":[{\"name\":\"a\"}]}", "/w/models/0", "needs name, usd_per_mtok_in"},
        {"{\"models\":[1]}", "/w/models/0", "expected an object"},
        {"{" MODELS ",\"clusters\":[{\"name\":\"a\",\"quality\":[1]}]}", "/w/clusters/0/quality",
         "expected an array of 2"},
        {"{" MODELS ",\"clusters\":[{\"name\":\"a\",\"quality\":[1,1.5]}]}",
         "/w/clusters/0/quality/1", "from 0 to 1, found 1.5"},
        {"{" MODELS ",\"clusters\":[{\"quality\":[1,1]}]}", "/w/clusters/0", "needs a name"},
        {"{" MODELS ",\"clusters\":[{\"name\":\"a\",\"share\":0,\"quality\":[1,1]}]}",
         "/w/clusters", "sum to 0"},
        {"{\"family\":\"linear\"," MODELS "}", "/w/latents", "missing"},
        {"{\"family\":\"linear\",\"latents\":1,\"models\":[{\"name\":\"a\",\"usd_per_mtok_in\":1,"
         "\"usd_per_mtok_out\":1,\"intercept\":1,\"weights\":[0.2]}]}",
         "/w/models/0", "quality 1.2"},
        {"{\"family\":\"linear\",\"latents\":1,\"models\":[{\"name\":\"a\",\"usd_per_mtok_in\":1,"
         "\"usd_per_mtok_out\":1,\"squares\":[0.2]}]}",
         "/w/models/0", "misspecified"},
        {"{\"base\":\"no-such-world\"}", "", "no file no-such-world"},
        {"{\"base\":\"clusters12\"," MODELS "}", "/w", "clusters of their own"},
        {"{\"base\":\"linear6\",\"latents\":3}", "/w", "models of their own"},
    };
    struct json_at at = {.key = "w"};
    struct world_spec *spec = malloc(sizeof *spec);
    assert_non_null(spec);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct problem p = {0};
        json_t *root = parse(bad[i].text);
        assert_int_not_equal(world_read(root, &at, "", spec, &p), STATUS_OK);
        json_decref(root);
        if (strcmp(p.path, bad[i].path) != 0 || strstr(p.text, bad[i].want) == NULL)
            fail_msg("%s: got %s: %s", bad[i].text, p.path, p.text);
    }
    free(spec);
}

/* --- experiments --------------------------------------------------------------------------- */

#define WORLD "\"world\":{\"requests\":1500," MODELS "," TASKS "}"

static struct experiment *read_experiment(const char *text)
{
    struct problem p = {0};
    struct experiment *e = calloc(1, sizeof *e);
    json_t *root = parse(text);
    assert_non_null(e);
    if (experiment_read(root, "", e, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    json_decref(root);
    return e;
}

static struct run_report *run(const struct experiment *e, int workers)
{
    struct problem p = {0};
    struct run_report *r = calloc(1, sizeof *r);
    assert_non_null(r);
    if (run_experiment(e, &(struct crew){.workers = workers}, r, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    return r;
}

static void done(struct experiment *e, struct run_report *r)
{
    experiment_free(e);
    free(e);
    if (r != NULL)
        run_free(r);
    free(r);
}

static void experiment_errors_have_a_path(void **state)
{
    (void)state;
    static const struct {
        const char *text, *path, *want;
    } bad[] = {
        {"{}", "/policies", "an array of 1 to 32, found nothing"},
        {"{\"policies\":[]}", "/policies", "an array of 1 to 32"},
        {"{\"policy\":1}", "/policy", "unknown field"},
        {"{\"policies\":[{\"name\":\"a\"}]}", "", "a world or a table"},
        {"{\"world\":1,\"policies\":[{\"name\":\"a\"}]}", "/world", "expected a name, a path"},
        {"{\"world\":\"none\",\"policies\":[{\"name\":\"a\"}]}", "/world", "no file none"},
        {"{\"world\":{\"noise\":2},\"policies\":[{\"name\":\"a\"}]}", "/world/noise", "found 2"},
        {"{\"table\":\"none\",\"policies\":[{\"name\":\"a\"}]}", "/table", "none/models.json"},
        {"{\"table\":\"none\",\"adequate\":\"mean\",\"policies\":[{\"name\":\"a\"}]}", "/adequate",
         "does not tell true means"},
        {"{\"seeds\":0}", "/seeds", "from 1 to 10000"},
        {"{" WORLD ",\"policies\":[{}]}", "/policies/0", "needs a name"},
        {"{" WORLD ",\"policies\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "/policies/1/name",
         "already that of policy 0"},
        {"{" WORLD ",\"policies\":[{\"name\":\"a\",\"labeled\":1}]}", "/policies/0/labeled",
         "did you mean \"labelled\"?"},
        {"{" WORLD ",\"policies\":[{\"name\":\"a\",\"params\":{\"policy\":{\"flor\":1}}}]}",
         "/policies/0/params/policy/flor", "did you mean \"floor\"?"},
        {"{" WORLD ",\"params\":{\"objective\":{\"cost\":-1}},\"policies\":[{\"name\":\"a\"}]}",
         "/params/objective/cost", "found -1"},
        {"{" WORLD ",\"params\":3,\"policies\":[{\"name\":\"a\"}]}", "/params",
         "expected an object"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct problem p = {0};
        struct experiment e;
        json_t *root = parse(bad[i].text);
        assert_int_not_equal(experiment_read(root, "", &e, &p), STATUS_OK);
        json_decref(root);
        if (strcmp(p.path, bad[i].path) != 0 || strstr(p.text, bad[i].want) == NULL)
            fail_msg("%s: got %s: %s", bad[i].text, p.path, p.text);
    }
}

static void shipped_experiments_are_read(void **state)
{
    (void)state;
    static const char *const name[] = {"accuracy", "noise", "luck", "linear"};
    for (int i = 0; i < 4; i++) {
        struct problem p = {0};
        struct experiment *e = calloc(1, sizeof *e);
        assert_non_null(e);
        if (experiment_load(name[i], 0, e, &p) != STATUS_OK)
            fail_msg("%s: %s", p.path, p.text);
        assert_int_equal(e->n, 20000);
        assert_int_equal(e->seeds, 20);
        assert_int_equal(e->n_reserve, 10000);
        done(e, NULL);
    }
}

static void files_are_named_in_errors(void **state)
{
    (void)state;
    char path[] = "/tmp/purser_world_XXXXXX";
    struct experiment e;
    struct problem p = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char text[] = "{\"world\":\"clusters12\",\n\"policies\":[{\"nam\":\"a\"}]}";
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
    assert_int_equal(experiment_load(path, 0, &e, &p), STATUS_UNKNOWN_FIELD);
    if (strstr(p.text, path) == NULL || strstr(p.text, ": /policies/0/nam: unknown") == NULL)
        fail_msg("got %s", p.text);
    unlink(path);
    assert_int_equal(experiment_load("no-such", 0, &e, &p), STATUS_BAD_REQUEST);
}

static void windows_grow(void **state)
{
    (void)state;
    static const size_t want[] = {10, 15, 20, 30, 40, 60, 80, 100, 150, 200, 300, 350};
    size_t end[RUN_WINDOWS_MAX];
    assert_int_equal(run_windows(350, end), 12);
    assert_memory_equal(end, want, sizeof want);
    assert_int_equal(run_windows(3, end), 1);
    assert_int_equal(end[0], 3);
    assert_int_equal(run_windows(10, end), 1);
    assert_in_range(run_windows(WORLD_ROWS_MAX, end), 30, RUN_WINDOWS_MAX);
}

static const char two_policies[] = "{" WORLD ",\"seeds\":3,\"delay\":4,\"policies\":["
                                   "{\"name\":\"cold\"},{\"name\":\"warm\",\"labelled\":300}]}";

static void workers_change_no_byte(void **state)
{
    (void)state;
    enum { CAP = 65536 };
    char *text[2] = {malloc(CAP), malloc(CAP)};
    struct experiment *e = read_experiment(two_policies);
    for (int workers = 1; workers <= 5; workers += 2) {
        struct run_report *r = run(e, workers);
        struct text t = text_over(text[workers > 1], CAP);
        run_json(&t, e, r);
        run_csv(&t, e, r);
        run_table(&t, e, r);
        assert_false(t.full);
        run_free(r);
        free(r);
        if (workers > 1)
            assert_string_equal(text[0], text[1]);
    }
    done(e, NULL);
    free(text[0]);
    free(text[1]);
}

/* Accuracy over the first windows, up to a hundred requests. */
static double early(const struct run_policy *p)
{
    double right = 0;
    size_t from = 0;
    for (int k = 0; from < 100; from = p->window[k++].end)
        right += p->window[k].accuracy.mean * (double)(p->window[k].end - from);
    return right / 100;
}

static void accuracy_converges_and_labels_start_it_there(void **state)
{
    (void)state;
    struct experiment *e = read_experiment(two_policies);
    struct run_report *r = run(e, 2);
    const struct run_policy *cold = &r->policy[0], *warm = &r->policy[1];
    assert_int_equal(e->n, 1500);
    assert_true(early(cold) < 0.9);
    assert_true(cold->accuracy_last.mean > 0.98);
    assert_true(early(warm) > 0.97);
    assert_true(warm->whole.accuracy.mean > 0.98);
    assert_true(warm->whole.accuracy.mean > cold->whole.accuracy.mean);
    assert_true(cold->converged_at > 0);
    near(cold->accuracy_last.mean, cold->window[r->n_windows - 1].accuracy.mean, 0.02);
    /* The whole is its windows. */
    double sum = 0;
    for (int k = 0; k < r->n_windows; k++)
        sum += cold->window[k].quality.mean *
               (double)(cold->window[k].end - (k > 0 ? cold->window[k - 1].end : 0));
    near(sum / 1500, cold->whole.quality.mean, 1e-12);
    near(cold->gain.mean, cold->whole.quality.mean - cold->hull_at_spend.mean, 1e-12);
    near(r->adequate.quality, r->oracle.at.quality, 1e-12); /* here the best are all adequate */
    assert_true(r->adequate.cost <= r->oracle.at.cost);
    done(e, r);
}

static void policies_meet_the_same_requests(void **state)
{
    (void)state;
    struct experiment *e = read_experiment(
        "{" WORLD ",\"seeds\":2,\"params\":{\"policy\":{\"name\":\"fixed\",\"model\":\"l\"}},"
        "\"policies\":[{\"name\":\"x\"},{\"name\":\"y\",\"labelled\":50,"
        "\"params\":{\"objective\":{\"cost\":0.5}}}]}");
    struct run_report *r = run(e, 1);
    for (int k = 0; k < r->n_windows; k++) {
        const struct run_part *x = &r->policy[0].window[k], *y = &r->policy[1].window[k];
        assert_memory_equal(&x->quality, &y->quality, sizeof x->quality);
        assert_memory_equal(&x->spend, &y->spend, sizeof x->spend);
        assert_memory_equal(&x->accuracy, &y->accuracy, sizeof x->accuracy);
    }
    near(r->policy[0].whole.quality.mean, r->fixed[1].quality, 1e-9);
    near(r->policy[0].share[1].mean, 1, 0);
    done(e, r);
}

static void luck_is_judged_by_the_means(void **state)
{
    (void)state;
    char text[1024];
    struct run_report *r[2];
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text,
                 "{\"world\":{\"requests\":1500,\"outcome\":\"bernoulli\"," MODELS "," TASKS "},"
                 "\"adequate\":\"%s\",\"seeds\":2,\"policies\":[{\"name\":\"x\","
                 "\"labelled\":2000}]}",
                 i == 0 ? "realised" : "mean");
        struct experiment *e = read_experiment(text);
        r[i] = run(e, 2);
        done(e, NULL);
    }
    near(r[1]->fixed[0].quality, 0.5, 0.02); /* a third of .9 and two of .3 */
    near(r[0]->fixed[0].quality, 0.5, 0.05);
    assert_true(r[1]->policy[0].whole.accuracy.mean > 0.9);
    assert_true(r[0]->policy[0].whole.accuracy.mean < 0.8); /* nobody foresees a coin */
    assert_memory_equal(&r[0]->policy[0].whole.spend, &r[1]->policy[0].whole.spend,
                        sizeof r[0]->policy[0].whole.spend);
    for (int i = 0; i < 2; i++) {
        run_free(r[i]);
        free(r[i]);
    }
}

static void a_table_keeps_taught_rows_apart(void **state)
{
    (void)state;
    char dir[] = "/tmp/purser_world_XXXXXX", text[512], path[64];
    struct table t;
    struct problem p = {0};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(fintech_table(1, 400, &t, &p), STATUS_OK);
    assert_int_equal(fintech_write(dir, &t, &p), STATUS_OK);
    table_free(&t);
    snprintf(text, sizeof text,
             "{\"table\":\"%s\",\"seeds\":1,\"policies\":[{\"name\":\"x\"},"
             "{\"name\":\"y\",\"labelled\":100}]}",
             dir);
    struct experiment *e = read_experiment(text);
    bool seen[400] = {false};
    assert_int_equal(e->n, 300);
    assert_int_equal(e->n_reserve, 100);
    for (size_t i = 0; i < 400; i++) {
        uint32_t row = i < 300 ? e->count[i] : e->reserve[i - 300];
        assert_true(row < 400 && !seen[row]);
        seen[row] = true;
    }
    uint64_t low = UINT64_MAX, high = 0; /* the smallest hashes are taught, in any experiment */
    for (size_t i = 0; i < 400; i++) {
        const char *id = table_id(&e->world.table, i < 300 ? e->count[i] : e->reserve[i - 300]);
        uint64_t hash = hash64(id, strlen(id), 0);
        low = i < 300 && hash < low ? hash : low;
        high = i >= 300 && hash > high ? hash : high;
    }
    assert_true(high < low);
    done(e, run(e, 1));
    snprintf(text, sizeof text,
             "{\"table\":\"%s\",\"policies\":[{\"name\":\"y\",\"labelled\":400}]}", dir);
    struct experiment none;
    json_t *root = parse(text);
    assert_int_equal(experiment_read(root, "", &none, &p), STATUS_BAD_REQUEST);
    assert_non_null(strstr(p.text, "leave none to count"));
    json_decref(root);
    static const char *const file[] = {"models.json", "prompts.jsonl", "purser.json"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, file[i]);
        unlink(path);
    }
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_do_not_depend_on_their_number),
        cmocka_unit_test(flagship_has_one_right_model_a_task),
        cmocka_unit_test(outcomes_have_the_means_that_are_told),
        cmocka_unit_test(linear_is_linear_in_the_words),
        cmocka_unit_test(world_errors_have_a_path),
        cmocka_unit_test(experiment_errors_have_a_path),
        cmocka_unit_test(shipped_experiments_are_read),
        cmocka_unit_test(files_are_named_in_errors),
        cmocka_unit_test(windows_grow),
        cmocka_unit_test(workers_change_no_byte),
        cmocka_unit_test(accuracy_converges_and_labels_start_it_there),
        cmocka_unit_test(policies_meet_the_same_requests),
        cmocka_unit_test(luck_is_judged_by_the_means),
        cmocka_unit_test(a_table_keeps_taught_rows_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
