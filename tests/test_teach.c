/* SPDX-License-Identifier: MIT */
/*
 * Warm start: preferences to strengths, teach messages, what history does to the engine, renamed
 * models, and `purser train` against a running service.
 */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bandit/bradley_terry.h"
#include "core/config/config.h"
#include "core/event/decision_id.h"
#include "core/router/router.h"
#include "core/router/snapshot.h"
#include "core/wire/wire.h"
#include "tests/service.h"

/* ---- Bradley-Terry ---- */

/* Baseball, American League East 1987 (Agresti, Categorical Data Analysis, 1990, section 10.6):
 * rows won against columns. The published log strengths are relative to Baltimore. */
static void test_strengths(void **state)
{
    static const double win[49] = {0,  7, 9, 7,  7, 9, 11, 6, 0, 7, 5,  11, 9, 9, 4, 6, 0,
                                   7,  7, 8, 12, 6, 8, 6,  0, 6, 7, 10, 6,  2, 6, 7, 0, 7,
                                   12, 4, 4, 5,  6, 6, 0,  6, 2, 4, 1,  3,  1, 7, 0};
    static const double known[7] = {1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0};
    static const double two[4] = {0, 3, 1, 0}, never[4] = {0, 3, 0, 0};
    double s[7], product = 1;
    (void)state;
    assert_true(bradley_terry_fit(win, 7, 0, s));
    for (int i = 0; i < 7; i++) {
        assert_true(fabs(log(s[i] / s[6]) - known[i]) < 1e-4);
        product *= s[i];
    }
    assert_true(fabs(product - 1) < 1e-9);
    assert_true(bradley_terry_fit(two, 2, 0, s) && fabs(s[0] / s[1] - 3) < 1e-9);
    assert_false(bradley_terry_fit(never, 2, 0, s)); /* no maximum */
    assert_true(bradley_terry_fit(never, 2, 0.5, s) && s[0] > 1 && s[1] < 1 && isfinite(s[0]));
    assert_false(bradley_terry_fit(two, 0, 0, s));
    assert_false(bradley_terry_fit(two, BRADLEY_TERRY_MAX + 1, 0, s));
}

/* ---- the wire ---- */

#define TEACH(items) "{\"v\":1,\"op\":\"teach\",\"items\":[" items "]}"
#define ITEM(request, outcomes) "{\"request\":" request ",\"outcomes\":[" outcomes "]}"
#define GOOD "{\"model\":\"a\",\"quality\":1}"

static struct request request;
static struct feedback outcome;
static struct problem problem;
static char model[NAME_CAP];
static double weight;

/* Decodes item 0 and its outcomes; the last one stays in outcome and model. */
static enum status decode(const char *json)
{
    struct message m;
    memset(&problem, 0, sizeof problem);
    enum status s = wire_open(&m, json, strlen(json), &problem);
    if (s != STATUS_OK)
        return s;
    assert_int_equal(m.op, WIRE_TEACH);
    s = wire_teach(&m, 0, &request, &weight, &problem);
    for (int j = 0; s == STATUS_OK && j < wire_teach_count(&m, 0); j++)
        s = wire_teach_outcome(&m, 0, j, model, &outcome, &problem);
    wire_close(&m);
    return s;
}

static void test_wire(void **state)
{
    static const struct {
        const char *json;
        enum status status;
        const char *path;
    } cases[] = {
        {TEACH(ITEM("{}", GOOD)), STATUS_OK, ""},
        {TEACH(ITEM("{\"task\":\"t\",\"constraints\":{\"allow\":[\"b\"]}}", GOOD)), STATUS_OK, ""},
        {TEACH(""), STATUS_BAD_REQUEST, "/items"},
        {TEACH("7"), STATUS_BAD_REQUEST, "/items/0"},
        {TEACH("{}"), STATUS_BAD_REQUEST, "/items/0/outcomes"},
        {TEACH(ITEM("{}", "")), STATUS_BAD_REQUEST, "/items/0/outcomes"},
        {TEACH("{\"outcomes\":[" GOOD "]}"), STATUS_BAD_REQUEST, "/items/0/request"},
        {TEACH(ITEM("[]", GOOD)), STATUS_BAD_REQUEST, "/items/0/request"},
        {TEACH(ITEM("{\"tsk\":\"t\"}", GOOD)), STATUS_UNKNOWN_FIELD, "/items/0/request/tsk"},
        {TEACH(ITEM("{\"task\":\"a b\"}", GOOD)), STATUS_BAD_REQUEST, "/items/0/request/task"},
        {TEACH(ITEM("{\"prompt\":7}", GOOD)), STATUS_BAD_REQUEST, "/items/0/request/prompt"},
        {TEACH(ITEM("{\"features\":{\"k\":[]}}", GOOD)), STATUS_BAD_REQUEST,
         "/items/0/request/features/k"},
        {TEACH(ITEM("{\"op\":\"feedback\"}", GOOD)), STATUS_BAD_REQUEST, "/items/0/request/op"},
        {TEACH(ITEM("{}", GOOD ",7")), STATUS_BAD_REQUEST, "/items/0/outcomes/1"},
        {TEACH(ITEM("{}", "{\"quality\":1}")), STATUS_BAD_REQUEST, "/items/0/outcomes/0/model"},
        {TEACH(ITEM("{}", "{\"model\":\"a\"}")), STATUS_BAD_REQUEST, "/items/0/outcomes/0"},
        {TEACH(ITEM("{}", "{\"model\":\"a\",\"quality\":1.5}")), STATUS_BAD_REQUEST,
         "/items/0/outcomes/0/quality"},
        {TEACH(ITEM("{}", "{\"model\":\"a\",\"quality\":1,\"accepted\":true}")), STATUS_BAD_REQUEST,
         "/items/0/outcomes/0/accepted"},
        {TEACH(ITEM("{}", "{\"model\":\"a\",\"prompt_tokens\":1,\"cached_tokens\":2}")),
         STATUS_BAD_REQUEST, "/items/0/outcomes/0/cached_tokens"},
        {TEACH(ITEM("{}", "{\"model\":\"a\",\"quality\":1,\"retract\":true}")),
         STATUS_UNKNOWN_FIELD, "/items/0/outcomes/0/retract"},
        {TEACH(ITEM("{}", "{\"model\":\"a\",\"quality\":1,\"decision_id\":\"1\"}")),
         STATUS_UNKNOWN_FIELD, "/items/0/outcomes/0/decision_id"},
        {TEACH("{\"request\":{},\"outcomes\":[" GOOD "],\"weight\":0}"), STATUS_BAD_REQUEST,
         "/items/0/weight"},
        {TEACH("{\"request\":{},\"outcomes\":[" GOOD "],\"weight\":2}"), STATUS_BAD_REQUEST,
         "/items/0/weight"},
        {TEACH("{\"request\":{},\"outcomes\":[" GOOD "],\"wait\":1}"), STATUS_UNKNOWN_FIELD,
         "/items/0/wait"},
        {"{\"v\":1,\"op\":\"teach\",\"batch_id\":\"a b\",\"items\":[" ITEM("{}", GOOD) "]}",
         STATUS_BAD_REQUEST, "/batch_id"},
        {"{\"v\":1,\"op\":\"teach\",\"batch\":\"a\",\"items\":[" ITEM("{}", GOOD) "]}",
         STATUS_UNKNOWN_FIELD, "/batch"},
        {"{\"v\":1,\"op\":\"route_many\",\"reason\":\"a\",\"items\":[{}]}", STATUS_UNKNOWN_FIELD,
         "/reason"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum status s = decode(cases[i].json);
        if (s != cases[i].status || strcmp(problem.path, cases[i].path) != 0)
            fail_msg("%s: %s %s %s", cases[i].json, status_code(s), problem.path, problem.text);
    }
    assert_int_equal(decode("{\"v\":1,\"op\":\"teach\",\"key\":\"k\",\"reason\":\"why\","
                            "\"batch_id\":\"b\",\"items\":[{\"weight\":0.25,\"request\":{\"task\":"
                            "\"t\"},\"outcomes\":[{\"model\":\"m\",\"accepted\":true,"
                            "\"cost_usd\":0.5,\"failed\":false}]}]}"),
                     STATUS_OK);
    assert_string_equal(model, "m");
    assert_string_equal(request.labels.task, "t");
    assert_true(weight > 0.2499 && weight < 0.2501 && outcome.quality > 0.5);
    assert_int_equal(outcome.has, FB_QUALITY | FB_COST | FB_FAILED);
    assert_int_equal(outcome.cost_nano, 500000000);
}

/* A message of items with so many outcomes each. */
static enum status decode_many(int items, int outcomes)
{
    char *json = malloc(256 * 65 * 64), *at = json;
    at += sprintf(at, "{\"v\":1,\"op\":\"teach\",\"items\":[");
    for (int i = 0; i < items; i++) {
        at += sprintf(at, "%s{\"request\":{},\"outcomes\":[", i ? "," : "");
        for (int j = 0; j < outcomes; j++)
            at += sprintf(at, "%s" GOOD, j ? "," : "");
        at += sprintf(at, "]}");
    }
    strcpy(at, "]}");
    enum status s = decode(json);
    free(json);
    return s;
}

/* covers: S2 */
static void test_wire_bounds(void **state)
{
    (void)state;
    assert_int_equal(decode_many(1, MODELS_MAX), STATUS_OK);
    assert_int_equal(decode_many(1, MODELS_MAX + 1), STATUS_BAD_REQUEST);
    assert_int_equal(decode_many(BATCH_ITEMS_MAX, 8), STATUS_OK);
    assert_int_equal(decode_many(BATCH_ITEMS_MAX, 9), STATUS_TOO_LARGE);
    assert_string_equal(problem.path, "/items");
    assert_int_equal(decode_many(BATCH_ITEMS_MAX + 1, 1), STATUS_TOO_LARGE);
}

/* ---- the engine ---- */

static const char CONFIG[] =
    "{\"models\":["
    "{\"name\":\"small\",\"tier\":\"small\",\"usd_per_mtok_in\":0.1,\"usd_per_mtok_out\":0.1},"
    "{\"name\":\"big\",\"tier\":\"large\",\"usd_per_mtok_in\":2.5,\"usd_per_mtok_out\":10}],"
    "\"baseline\":\"big\",\"rules\":[{\"words\":[\"law\"],\"model\":\"big\"}]}";
enum { LOG_MAX = 4096, ROWS = 60 };
static const char *const names[] = {"small", "big"};

struct host {
    struct router *router;
    uint8_t *record[LOG_MAX];
    size_t len[LOG_MAX];
    uint64_t n;
    int64_t now;
    struct event ev;
    char json[CONFIG_MAX];
};

static const struct router_init INIT = {.seed = 5, .mac_key = {1}, .max_open = 1000};

static void note(struct host *h)
{
    static uint8_t bytes[EVENT_BYTES_MAX];
    if (h->ev.kind == EVENT_NONE)
        return;
    size_t n = event_encode(&h->ev, bytes, sizeof bytes);
    assert_true(n > 0 && h->ev.seq == h->n + 1 && h->n + 1 < LOG_MAX);
    h->record[++h->n] = malloc(n);
    memcpy(h->record[h->n], bytes, n);
    h->len[h->n] = n;
}

static struct host *host_new(void)
{
    struct host *h = calloc(1, sizeof *h);
    struct params p;
    h->router = router_new(&INIT);
    h->now = 1700000000000;
    router_start(h->router, h->now, &h->ev);
    note(h);
    assert_int_equal(config_parse(CONFIG, strlen(CONFIG), &p, NULL, &problem), STATUS_OK);
    assert_int_equal(router_configure(h->router, h->now, &p, "test", 0, h->json, sizeof h->json,
                                      &h->ev, &problem),
                     STATUS_OK);
    note(h);
    return h;
}

static void host_free(struct host *h)
{
    router_free(h->router);
    for (uint64_t i = 1; i <= h->n; i++)
        free(h->record[i]);
    free(h);
}

static const struct request *row_request(int row)
{
    static char prompt[64];
    memset(&request, 0, sizeof request);
    (void)snprintf(prompt, sizeof prompt, "question %d of %d", row % 7, row);
    strcpy(request.labels.task, row % 2 ? "hard" : "easy");
    request.prompt = prompt;
    request.prompt_len = strlen(prompt);
    request.prompt_tokens = 40 + row;
    request.value = 1;
    return &request;
}

static struct feedback row_outcome(int row, int m)
{
    return (struct feedback){.has = FB_QUALITY | FB_OUTPUT_TOKENS | FB_LATENCY | FB_COST,
                             .quality = m || row % 2 == 0 ? 0.9 : 0.1 + row % 3 * 0.1,
                             .output_tokens = 50 + 3 * row,
                             .latency_ms = 200 + 10 * m + row,
                             .cost_nano = 1000 * (1 + m),
                             .version = -1,
                             .digest = (uint64_t)(row * 2 + m + 1)};
}

static void settle(struct host *h)
{
    do {
        router_follow(h->router, h->now, &h->ev);
        note(h);
    } while (h->ev.kind != EVENT_NONE);
}

static void teach_row(struct host *h, int row, int m, double w, const char *batch)
{
    struct feedback f = row_outcome(row, m);
    (void)snprintf(f.feedback_id, sizeof f.feedback_id, "%s", batch);
    enum status s =
        router_teach(h->router, h->now, row_request(row), names[m], &f, w, &h->ev, &problem);
    if (s != STATUS_OK)
        fail_msg("%s %s", problem.path, problem.text);
    note(h);
    settle(h);
}

static void live_row(struct host *h, int row, int m)
{
    enum route_result rr;
    enum feedback_result fr;
    (void)row_request(row);
    request.constraints.allow[0] = names[m];
    request.constraints.n_allow = 1;
    assert_int_equal(router_route(h->router, h->now, &request, &h->ev, &rr, &problem), STATUS_OK);
    note(h);
    struct feedback f = row_outcome(row, m);
    f.epoch = router_epoch(h->router);
    f.seq = h->ev.seq;
    f.mac = decision_mac(f.epoch, f.seq, INIT.mac_key);
    settle(h);
    assert_int_equal(router_feedback(h->router, h->now, &f, NULL, &h->ev, &fr, &problem),
                     STATUS_OK);
    note(h);
    settle(h);
}

/* What is predicted for a row from all that was learned (solutions are refreshed only now and
 * then), without recording it. */
static struct event_decided predict(struct host *h, int row)
{
    enum route_result rr;
    router_tick(h->router, h->now, &h->ev);
    note(h);
    (void)row_request(row);
    request.dry_run = true;
    assert_int_equal(router_route(h->router, h->now, &request, &h->ev, &rr, &problem), STATUS_OK);
    return h->ev.decided;
}

static bool near(float a, float b)
{
    return fabs((double)a - (double)b) <= 1e-9 * fmax(1, fabs((double)a));
}

static void test_as_lived(void **state)
{
    struct host *lived = host_new(), *taught = host_new();
    (void)state;
    for (int row = 0; row < ROWS; row++)
        for (int m = 0; m < 2; m++) {
            live_row(lived, row, m);
            teach_row(taught, row, m, 1, "");
        }
    for (int row = 0; row < 8; row++) {
        struct event_decided a = predict(lived, row), b = predict(taught, row);
        for (int m = 0; m < 2; m++)
            for (int t = 0; t < TARGETS; t++)
                if (!near(a.view[m].mean[t], b.view[m].mean[t]) ||
                    !near(a.view[m].sd[t], b.view[m].sd[t]))
                    fail_msg("row %d model %d target %d: %.9g %.9g, %.9g %.9g", row, m, t,
                             (double)a.view[m].mean[t], (double)b.view[m].mean[t],
                             (double)a.view[m].sd[t], (double)b.view[m].sd[t]);
    }
    struct router_stats s;
    router_stats(taught->router, &s);
    assert_int_equal(s.taught, 2 * ROWS);
    assert_int_equal(s.decisions, 0);
    assert_int_equal(s.spent_nano, 0);
    assert_int_equal(s.model[1].labels[TARGET_QUALITY], ROWS);
    host_free(lived);
    host_free(taught);
}

static void reconfigure(struct host *h, const char *patch)
{
    struct params p = *router_params(h->router);
    assert_int_equal(config_patch(&p, patch, strlen(patch), &problem), STATUS_OK);
    assert_int_equal(router_configure(h->router, h->now, &p, "test", 0, h->json, sizeof h->json,
                                      &h->ev, &problem),
                     STATUS_OK);
    note(h);
}

/* Two rows of half the weight are one of the whole. (The prior that models share goes by the number
 * of labels, so it stays out of this.) */
static void test_weight(void **state)
{
    struct host *whole = host_new(), *halves = host_new();
    (void)state;
    reconfigure(whole, "{\"learner\":{\"pool_labels\":0}}");
    reconfigure(halves, "{\"learner\":{\"pool_labels\":0}}");
    for (int row = 0; row < 30; row++) {
        teach_row(whole, row, 0, 1, "");
        teach_row(halves, row, 0, 0.5, "");
    }
    float before = predict(whole, 1).view[0].sd[TARGET_QUALITY];
    assert_true(predict(halves, 1).view[0].sd[TARGET_QUALITY] > before * 1.05F);
    for (int row = 0; row < 30; row++)
        teach_row(halves, row, 0, 0.5, "");
    struct event_decided a = predict(whole, 1), b = predict(halves, 1);
    assert_true(near(a.view[0].mean[TARGET_QUALITY], b.view[0].mean[TARGET_QUALITY]));
    assert_true(near(a.view[0].sd[TARGET_QUALITY], b.view[0].sd[TARGET_QUALITY]));
    struct feedback f = row_outcome(0, 0);
    assert_int_equal(
        router_teach(whole->router, 0, row_request(0), "small", &f, 0, &whole->ev, &problem),
        STATUS_BAD_REQUEST);
    assert_int_equal(
        router_teach(whole->router, 0, row_request(0), "none", &f, 1, &whole->ev, &problem),
        STATUS_UNKNOWN_MODEL);
    host_free(whole);
    host_free(halves);
}

static enum status rename_to(struct host *h, const char *from, const char *to)
{
    enum status s = router_rename(h->router, h->now, from, to, "test", h->json, sizeof h->json,
                                  &h->ev, &problem);
    if (s == STATUS_OK)
        note(h);
    return s;
}

static void must_replay(const struct host *h)
{
    static struct event ev;
    struct router *r = router_new(&INIT);
    for (uint64_t i = 1; i <= h->n; i++) {
        assert_int_equal(event_decode(h->record[i], h->len[i], &ev, &problem), STATUS_OK);
        if (router_apply(r, &ev, &problem) != STATUS_OK)
            fail_msg("event %llu: %s", (unsigned long long)i, problem.text);
    }
    assert_int_equal(snapshot_digest(r), snapshot_digest(h->router));
    router_free(r);
}

static void test_rename(void **state)
{
    struct host *h = host_new();
    (void)state;
    for (int row = 0; row < ROWS; row++)
        teach_row(h, row, row % 2, 0.7, "batch");
    struct event_decided before = predict(h, 1);
    assert_int_equal(rename_to(h, "none", "x"), STATUS_UNKNOWN_MODEL);
    assert_int_equal(rename_to(h, "big", "small"), STATUS_CONFLICT);
    assert_int_equal(rename_to(h, "big", "big"), STATUS_CONFLICT);
    assert_int_equal(rename_to(h, "big", "not good"), STATUS_BAD_REQUEST);
    assert_int_equal(rename_to(h, "big", ""), STATUS_BAD_REQUEST);
    assert_int_equal(rename_to(h, "big", "bigger"), STATUS_OK);
    const struct params *p = router_params(h->router);
    assert_int_equal(catalog_find(&p->catalog, "bigger"), 1);
    assert_int_equal(catalog_find(&p->catalog, "big"), -1);
    assert_string_equal(p->baseline, "bigger");
    assert_string_equal(p->rule[0].model, "bigger");
    struct event_decided after = predict(h, 1);
    for (int m = 0; m < 2; m++)
        for (int t = 0; t < TARGETS; t++)
            assert_true(near(before.view[m].mean[t], after.view[m].mean[t]));
    /* The old name is free: a model of its own, in a slot of its own, that knows nothing. */
    reconfigure(h, "{\"models\":[{\"name\":\"big\",\"tier\":\"large\",\"usd_per_mtok_in\":1,"
                   "\"usd_per_mtok_out\":1}]}");
    struct router_stats s;
    router_stats(h->router, &s);
    assert_int_equal(catalog_find(&router_params(h->router)->catalog, "big"), 2);
    assert_int_equal(s.model[1].labels[TARGET_QUALITY], ROWS / 2);
    assert_int_equal(s.model[2].labels[TARGET_QUALITY], 0);
    must_replay(h);
    host_free(h);
}

/* The latest batches are known again, also by an engine that was replayed. */
static void test_batches(void **state)
{
    struct host *h = host_new();
    char name[32];
    (void)state;
    assert_false(router_taught(h->router, ""));
    for (int i = 0; i <= TEACH_BATCHES; i++) {
        (void)snprintf(name, sizeof name, "b-%d", i);
        assert_false(router_taught(h->router, name));
        teach_row(h, i, 0, 1, name);
        teach_row(h, i, 1, 1, name);
        assert_true(router_taught(h->router, name));
    }
    assert_false(router_taught(h->router, "b-0"));
    assert_true(router_taught(h->router, "b-1"));
    assert_false(router_taught(h->router, ""));
    must_replay(h);
    host_free(h);
}

/* What was taught is taken out again: the rest is as if it had come alone. Which rows are out is
 * told by the records, so a record that takes one out cannot be taken out itself. */
static void test_unteach(void **state)
{
    static struct event taught, other;
    struct host *both = host_new(), *one = host_new();
    uint64_t first[30];
    (void)state;
    reconfigure(both, "{\"learner\":{\"pool_labels\":0}}");
    reconfigure(one, "{\"learner\":{\"pool_labels\":0}}");
    for (int row = 0; row < 30; row++) {
        first[row] = both->n + 1;
        teach_row(both, row, row % 2, 0.7, "bad");
        teach_row(both, row + 30, row % 2, 1, "good");
        teach_row(one, row + 30, row % 2, 1, "good");
    }
    for (int row = 0; row < 30; row++) {
        uint64_t i = first[row];
        assert_int_equal(event_decode(both->record[i], both->len[i], &taught, &problem), STATUS_OK);
        assert_int_equal(router_unteach(both->router, both->now, &taught, &both->ev, &problem),
                         STATUS_OK);
        assert_int_equal(both->ev.feedback.feedback.seq, i);
        note(both);
        other = both->ev;
        settle(both);
    }
    assert_int_equal(router_unteach(both->router, both->now, &other, &both->ev, &problem),
                     STATUS_CONFLICT);
    (void)predict(both, 0); /* a tick: what is learned is estimated anew */
    (void)predict(one, 0);
    for (int m = 0; m < 2; m++)
        for (int k = 0; k < TARGETS; k++) {
            int d;
            const double *a = router_weights(both->router, m, (enum target)k, &d),
                         *b = router_weights(one->router, m, (enum target)k, &d);
            for (int j = 0; j < d; j++)
                assert_true(fabs(a[j] - b[j]) < 1e-9);
        }
    struct router_stats s;
    router_stats(both->router, &s);
    assert_int_equal(s.taught, 30);
    assert_int_equal(s.model[1].labels[TARGET_QUALITY], 15);
    assert_true(router_taught(both->router, "bad")); /* not to be learned again by a repetition */
    reconfigure(both, "{\"features\":{\"shape\":false}}");
    assert_int_equal(router_unteach(both->router, both->now, &taught, &both->ev, &problem),
                     STATUS_CONFLICT);
    must_replay(both);
    host_free(both);
    host_free(one);
}

/* The scales of the shared prior that lies brought about go with the lies. */
static void test_unteach_scales(void **state)
{
    static struct event taught;
    struct host *both = host_new(), *one = host_new();
    double most = 0;
    (void)state;
    reconfigure(both, "{\"learner\":{\"drift_threshold\":0}}");
    reconfigure(one, "{\"learner\":{\"drift_threshold\":0}}");
    for (int row = 0; row < 120; row++) {
        teach_row(both, row, 0, 1, "good");
        teach_row(both, row, 1, 1, "good");
        teach_row(one, row, 0, 1, "good");
        teach_row(one, row, 1, 1, "good");
    }
    uint64_t from = both->n + 1;
    for (int row = 0; row < 200; row++) /* noise: no feature helps */
        teach_row(both, row * 7, (row * row / 3) % 2, 1, "bad");
    uint64_t to = both->n;
    for (uint64_t i = from; i <= to; i++) {
        assert_int_equal(event_decode(both->record[i], both->len[i], &taught, &problem), STATUS_OK);
        if (taught.kind != EVENT_TAUGHT)
            continue;
        assert_int_equal(router_unteach(both->router, both->now, &taught, &both->ev, &problem),
                         STATUS_OK);
        note(both);
        settle(both);
        if (i % 16 == 0)
            (void)predict(both, 0); /* a tick: each moves the scales a step */
    }
    (void)predict(both, 0);
    must_replay(both);
    router_settle(one->router);
    for (int m = 0; m < 2; m++) {
        int d;
        const double *a = router_weights(both->router, m, TARGET_QUALITY, &d),
                     *b = router_weights(one->router, m, TARGET_QUALITY, &d);
        for (int j = 0; j < d; j++)
            most = fmax(most, fabs(a[j] - b[j]));
    }
    assert_true(most < 1e-9);
    host_free(both);
    host_free(one);
}

/* ---- the service ---- */

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *fmt, ...)
{
    char command[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    int code = system(command);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

/* How often the small model is chosen for a task, of 40. */
static int small_share(struct service *s, const char *task)
{
    int n = 0;
    for (int i = 0; i < 40; i++) {
        char json[256], chosen[NAME_CAP];
        snprintf(json, sizeof json, "{\"v\":1,\"op\":\"route\",\"task\":\"%s\"}", task);
        const char *reply = service_call(s, PURSER_CLIENT_ROUTE, json);
        assert_true(service_string(reply, "model", chosen, sizeof chosen));
        n += strcmp(chosen, "small-1") == 0;
    }
    return n;
}

static void write_history(const struct service *s)
{
    char path[256];
    snprintf(path, sizeof path, "%s/history.jsonl", s->dir);
    FILE *f = fopen(path, "we");
    for (int i = 0; i < 300; i++) {
        const char *task = i % 2 ? "hard" : "easy";
        double small = i % 2 ? 0.05 : 0.95;
        fprintf(f, "{\"id\":\"%d\",\"task\":\"%s\",\"prompt\":\"question %d\",\"in\":100,", i, task,
                i);
        fprintf(f, "\"q\":[%g,%g,%g],\"cost\":[1e-5,2e-4,1e-3],\"lat\":[0.2,0.4,0.8]}\n", small,
                (small + 0.95) / 2, 0.95);
    }
    fclose(f);
    snprintf(path, sizeof path, "%s/models.json", s->dir);
    f = fopen(path, "we");
    fputs("{\"models\":[{\"name\":\"tiny\"},{\"name\":\"mid-1\"},{\"name\":\"large-1\"}]}", f);
    fclose(f);
    snprintf(path, sizeof path, "%s/mixed.jsonl", s->dir);
    f = fopen(path, "we");
    fputs(
        "{\"prompt\":\"p\",\"outcomes\":{\"mid-1\":{\"quality\":0.5},\"tiny\":{\"failed\":true}}}\n"
        "\n"
        "{\"prompt\":\"p\",\"outcomes\":[{\"model\":\"mid-1\",\"accepted\":true}]}\n"
        "{\"features\":{\"n\":1},\"model\":\"large-1\",\"quality\":1,\"propensity\":0.25}\n"
        "{\"prompt\":\"p\",\"winner\":\"large-1\",\"loser\":\"tiny\",\"note\":1}\n"
        "{\"prompt\":\"p\",\"pair\":[\"mid-1\",\"tiny\"],\"preference\":0.75}\n"
        "{\"prompt\":\"p\",\"model\":\"mid-1\",\"quality\":1,\"propensity\":0}\n"
        "{\"prompt\":\"p\",\"model\":\"unheard\",\"quality\":1}\n"
        "{\"prompt\":\"p\",\"q\":[1,1]}\n"
        "{\"prompt\":\"p\",\"model\":\"mid-1\",\"quality\":7}\n"
        "{\"prompt\":\"p\",\"pair\":[\"mid-1\",\"mid-1\"],\"preference\":1}\n"
        "what?\n",
        f);
    fclose(f);
}

static void test_train(void **state)
{
    struct service s;
    (void)state;
    /* Greedy without exploration, so that the shares are those of what was learned, not of draws.
     */
    service_new(&s, "",
                "\"objective\":{\"cost\":0.2},\"policy\":{\"name\":\"greedy\","
                "\"floor\":0,\"floor_min\":0}");
    service_start(&s);
    write_history(&s);
    int before = small_share(&s, "easy");
    assert_int_equal(run("cd %s; %s train --control %s --from history.jsonl --models models.json "
                         "--map tiny=small-1 --n-eff 1000 --run r1 --json >out 2>&1",
                         s.dir, PURSER, s.url[2]),
                     0);
    assert_int_equal(run("grep -q '\"learned\":300,\"duplicate\":0,\"refused\":0,\"outcomes\":900' "
                         "%s/out",
                         s.dir),
                     0);
    int easy = small_share(&s, "easy"), hard = small_share(&s, "hard");
    if (!(hard <= 4 && easy >= 36 && easy > before))
        fail_msg("small model on easy tasks: %d of 40, then %d; on hard %d", before, easy, hard);
    const char *stats = service_call(&s, PURSER_CLIENT_CONTROL, "{\"v\":1,\"op\":\"stats\"}");
    assert_int_equal(service_int(stats, "taught"), 900);
    /* The same run again, after a crash, teaches nothing twice. */
    service_stop(&s, SIGKILL);
    service_start(&s);
    assert_int_equal(run("cd %s; %s train --control %s --from history.jsonl --models models.json "
                         "--map tiny=small-1 --n-eff 1000 --run r1 --json >out 2>&1",
                         s.dir, PURSER, s.url[2]),
                     0);
    assert_int_equal(run("grep -q '\"learned\":0,\"duplicate\":300' %s/out", s.dir), 0);
    stats = service_call(&s, PURSER_CLIENT_CONTROL, "{\"v\":1,\"op\":\"stats\"}");
    assert_int_equal(service_int(stats, "taught"), 900);
    assert_int_equal(service_stop(&s, SIGTERM), 0);
    assert_int_equal(run("%s verify --data %s >/dev/null", PURSER, s.data), 0);
    service_remove(&s);
}

static void test_train_commands(void **state)
{
    static const struct {
        const char *arguments;
        int code;
        const char *printed;
    } cases[] = {
        {"train --from mixed.jsonl --map tiny=small-1 --dry-run --json", 1, "\"learned\":6,"},
        {"train --from mixed.jsonl --map tiny=small-1 --json", 1, "\"ignored\":[\"note\"]"},
        {"train --from mixed.jsonl --map tiny=small-1", 1, "mixed.jsonl:8: unknown_model"},
        {"train --from mixed.jsonl --map tiny=small-1", 1, "mixed.jsonl:7: bad_request: /prop"},
        {"train --from mixed.jsonl --map tiny=small-1", 1,
         "mixed.jsonl:10: bad_request: "
         "/outcomes/0/quality"},
        {"train --from mixed.jsonl --map tiny=small-1", 1, "mixed.jsonl:12: bad_json"},
        {"train --from mixed.jsonl --map tiny=small-1 --skip 3 --limit 2", 0, "2 rows learned"},
        {"train --from mixed.jsonl --map tiny=small-1 --n-eff 1 --limit 5 --json", 0, "\"scale\""},
        {"train --from history.jsonl --models models.json --limit 10", 1, "10 refused"},
        {"train --from history.jsonl --limit 10", 1, "--models"},
        {"train --from history.jsonl --models nowhere", 1, "nowhere"},
        {"train --from nowhere", 1, "nowhere"},
        {"train", 64, "--from"},
        {"train --from mixed.jsonl --map nonsense", 64, "OLD=NEW"},
        {"train --from mixed.jsonl --n-eff 0", 64, "--n-eff"},
        {"train --from mixed.jsonl --run 'a b'", 64, "--run"},
        {"models rename small-1 tiny --reason vendor", 0, "tiny"},
        {"models rename small-1 other", 1, "unknown_model"},
        {"models rename tiny mid-1", 1, "conflict"},
        {"models rename tiny", 64, "OLD and NEW"},
        {"models set '{\"name\":\"small-1\",\"tier\":\"small\",\"usd_per_mtok_in\":1,"
         "\"usd_per_mtok_out\":1}'",
         0, "small-1"},
    };
    struct service s;
    (void)state;
    service_new(&s, "", "");
    service_start(&s);
    write_history(&s);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int code =
            run("cd %s; %s %s --control %s >out 2>&1", s.dir, PURSER, cases[i].arguments, s.url[2]);
        if (code != cases[i].code || run("grep -qF -- '%s' %s/out", cases[i].printed, s.dir)) {
            run("cat %s/out", s.dir);
            fail_msg("purser %s: exit %d, expected %d and %s", cases[i].arguments, code,
                     cases[i].code, cases[i].printed);
        }
    }
    assert_int_equal(service_stop(&s, SIGTERM), 0);
    assert_int_equal(run("%s verify --data %s >/dev/null", PURSER, s.data), 0);
    service_remove(&s);
}

#define CALL_TEACH(items) service_call(&s, PURSER_CLIENT_CONTROL, TEACH(items))

static void test_op(void **state)
{
    struct service s;
    (void)state;
    service_new(&s, "", "");
    service_start(&s);
    const char *r = CALL_TEACH(
        ITEM("{\"task\":\"t\"}",
             "{\"model\":\"mid-1\",\"quality\":1},"
             "{\"model\":\"none\",\"quality\":1}") "," ITEM("{}",
                                                            "{\"model\":\"mid-1\",\"quality\":1}"));
    assert_non_null(strstr(r, "\"code\":\"unknown_model\""));
    assert_non_null(strstr(r, "\"path\":\"/items/0/outcomes/1/model\""));
    assert_non_null(strstr(r, "{\"v\":1,\"status\":\"learned\",\"outcomes\":1}"));
    /* Of the item that was refused nothing was learned. */
    r = service_call(&s, PURSER_CLIENT_CONTROL, "{\"v\":1,\"op\":\"stats\"}");
    assert_int_equal(service_int(r, "taught"), 1);
    r = service_call(&s, PURSER_CLIENT_ROUTE, TEACH(ITEM("{}", GOOD)));
    assert_string_equal(r, "error:bad_request");
    if (getenv("PURSER_TEST_PRELOAD")) {
        fclose(fopen(s.full_flag, "we"));
        (void)CALL_TEACH(ITEM("{}", "{\"model\":\"mid-1\",\"quality\":1}"));
        r = CALL_TEACH(ITEM("{}", "{\"model\":\"mid-1\",\"quality\":1}"));
        assert_string_equal(r, "error:storage_full");
        unlink(s.full_flag);
    }
    assert_int_equal(service_stop(&s, SIGTERM), 0);
    service_remove(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strengths),      cmocka_unit_test(test_wire),
        cmocka_unit_test(test_wire_bounds),    cmocka_unit_test(test_as_lived),
        cmocka_unit_test(test_weight),         cmocka_unit_test(test_rename),
        cmocka_unit_test(test_batches),        cmocka_unit_test(test_train),
        cmocka_unit_test(test_unteach),        cmocka_unit_test(test_unteach_scales),
        cmocka_unit_test(test_train_commands), cmocka_unit_test(test_op),
    };
    cmocka_set_test_filter(getenv("PURSER_TEST")); /* one test by name */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
