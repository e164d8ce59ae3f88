/* SPDX-License-Identifier: MIT */
/*
 * Learners of tenants: what they serve, what they borrow, whom they teach, and that all of it is
 * replayed bit for bit. The world has two models of nearly one price, and a truth for each tenant.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/config/config.h"
#include "core/event/decision_id.h"
#include "core/router/router.h"
#include "core/router/snapshot.h"

static const char CONFIG[] =
    "{\"models\":["
    "{\"name\":\"a\",\"tier\":\"small\",\"usd_per_mtok_in\":1,\"usd_per_mtok_out\":1},"
    "{\"name\":\"b\",\"tier\":\"small\",\"usd_per_mtok_in\":1.1,\"usd_per_mtok_out\":1.1}]}";
enum { LOG_MAX = 30000 };

/* A host that keeps the log in memory, as encoded records. */
struct host {
    struct router *router;
    uint8_t *record[LOG_MAX];
    size_t len[LOG_MAX];
    uint64_t n;
    int64_t now, step; /* ms; what passes before each request */
    struct rng g;
    char json[CONFIG_MAX];
    struct event ev;
    struct problem problem;
};

static const struct router_init INIT = {.seed = 7, .mac_key = {3, 1, 4}, .max_open = 400};

static void log_event(struct host *h)
{
    static uint8_t bytes[EVENT_BYTES_MAX];
    if (h->ev.kind == EVENT_NONE)
        return;
    size_t n = event_encode(&h->ev, bytes, sizeof bytes);
    assert_true(n > 0 && h->ev.seq == h->n + 1 && h->ev.seq < LOG_MAX);
    h->n++;
    h->record[h->n] = malloc(n);
    memcpy(h->record[h->n], bytes, n);
    h->len[h->n] = n;
}

static void must(const struct host *h, enum status s)
{
    if (s != STATUS_OK)
        fail_msg("%s: %s", h->problem.path, h->problem.text);
}

/* A patch of what is in force, or with file a document of its own. */
static void configure(struct host *h, const char *file, const char *patch)
{
    static struct params p;
    if (file)
        must(h, config_parse(file, strlen(file), &p, NULL, &h->problem));
    else
        p = *router_params(h->router);
    if (patch)
        must(h, config_patch(&p, patch, strlen(patch), &h->problem));
    must(h, router_configure(h->router, h->now, &p, "test", 0, h->json, sizeof h->json, &h->ev,
                             &h->problem));
    log_event(h);
}

static struct host *host_new(const char *patch)
{
    struct host *h = calloc(1, sizeof *h);
    h->router = router_new(&INIT);
    h->now = 1700000000000;
    h->step = 1000;
    h->g = rng_stream(11, 12, 13);
    router_start(h->router, h->now, &h->ev);
    log_event(h);
    configure(h, CONFIG, patch);
    return h;
}

static void host_free(struct host *h)
{
    router_free(h->router);
    for (uint64_t i = 1; i <= h->n; i++)
        free(h->record[i]);
    free(h);
}

static struct request *request_of(const char *tenant)
{
    static struct request r;
    memset(&r, 0, sizeof r);
    (void)snprintf(r.labels.tenant, NAME_CAP, "%s", tenant);
    (void)snprintf(r.labels.task, NAME_CAP, "summary");
    r.prompt = "what is it?";
    r.prompt_len = strlen(r.prompt);
    r.prompt_tokens = 200;
    r.value = 1;
    return &r;
}

/* The decision is left in h->ev. */
static uint64_t route(struct host *h, const char *tenant)
{
    enum route_result rr;
    h->now += h->step;
    must(h, router_route(h->router, h->now, request_of(tenant), &h->ev, &rr, &h->problem));
    log_event(h);
    return h->ev.seq;
}

/* What a tenant would be served, without deciding anything. */
static struct event_decided *look(struct host *h, struct router *r, const char *tenant)
{
    static struct event ev;
    enum route_result rr;
    struct request *dry = request_of(tenant);
    dry->dry_run = true;
    must(h, router_route(r, h->now, dry, &ev, &rr, &h->problem));
    return &ev.decided;
}

static double predicted(struct host *h, const char *tenant, int arm)
{
    return (double)look(h, h->router, tenant)->view[arm].mean[TARGET_QUALITY];
}

static double deviation(struct host *h, const char *tenant, int arm)
{
    return (double)look(h, h->router, tenant)->view[arm].sd[TARGET_QUALITY];
}

static void follow(struct host *h)
{
    do {
        router_follow(h->router, h->now, &h->ev);
        log_event(h);
    } while (h->ev.kind != EVENT_NONE);
}

static void feed(struct host *h, uint64_t seq, double quality, int64_t output_tokens)
{
    enum feedback_result fr;
    struct feedback f = {.epoch = router_epoch(h->router),
                         .seq = seq,
                         .has = FB_QUALITY | FB_OUTPUT_TOKENS | FB_LATENCY | FB_COST,
                         .quality = quality,
                         .output_tokens = output_tokens,
                         .cost_nano = 3 * output_tokens,
                         .latency_ms = 300,
                         .version = -1};
    f.mac = decision_mac(f.epoch, f.seq, INIT.mac_key);
    f.digest = hash64(&quality, sizeof quality, seq);
    must(h, router_feedback(h->router, h->now, &f, NULL, &h->ev, &fr, &h->problem));
    log_event(h);
}

static void tick(struct host *h)
{
    router_tick(h->router, h->now, &h->ev);
    log_event(h);
}

/* One request with its labels: model 0 is right with probability good, model 1 with 1 - good. Gives
 * the quality served. */
static double turn(struct host *h, const char *tenant, double good)
{
    uint64_t seq = route(h, tenant);
    double p = h->ev.decided.arm == 0 ? good : 1 - good;
    double quality = rng_uniform(&h->g) < p ? 1 : 0;
    feed(h, seq, quality, 400 + (int64_t)rng_below(&h->g, 400));
    follow(h);
    if (h->n % 50 == 0)
        tick(h);
    return quality;
}

static double turns(struct host *h, const char *tenant, double good, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += turn(h, tenant, good);
    return sum / n;
}

static int64_t labels_of(const struct host *h, int index)
{
    struct learner_stats s;
    assert_true(router_learner_stats(h->router, index, &s));
    return s.quality_labels[0] + s.quality_labels[1];
}

static void apply_from(struct host *h, struct router *r, uint64_t first, uint64_t last)
{
    static struct event ev;
    for (uint64_t i = first; i <= last; i++) {
        must(h, event_decode(h->record[i], h->len[i], &ev, &h->problem));
        if (router_apply(r, &ev, &h->problem) != STATUS_OK)
            fail_msg("event %llu: %s", (unsigned long long)i, h->problem.text);
    }
}

static void assert_replays(struct host *h)
{
    struct router_init init = INIT;
    init.max_open = 9; /* the log, not the host, says how many stay in memory */
    struct router *r = router_new(&init);
    apply_from(h, r, 1, h->n);
    assert_int_equal(snapshot_digest(r), snapshot_digest(h->router));
    router_free(r);
}

/* ---- what they are for ---- */

/* Two tenants for whom opposite models are right. One learner for both sees two models of equal
 * quality. */
static void test_opposite_truths(void **state)
{
    (void)state;
    const char *const patch[] = {
        NULL, "{\"learners\":[{\"tenant\":\"red\"},{\"tenant\":\"blue\",\"shares\":false}]}"};
    double served[2];
    for (int own = 0; own < 2; own++) {
        struct host *h = host_new(patch[own]);
        double sum = 0;
        for (int i = 0; i < 800; i++) {
            double q = turn(h, "red", 0.9) + turn(h, "blue", 0.1);
            sum += i >= 400 ? q : 0;
        }
        served[own] = sum / 800;
        assert_replays(h);
        host_free(h);
    }
    print_message("quality served, two tenants of opposite truths: one learner %.3f, own learners "
                  "%.3f\n",
                  served[0], served[1]);
    assert_true(served[0] < 0.6);
    assert_true(served[1] > 0.85);
}

/* Where a new tenant begins, and that it ends at its own truth. */
static void test_borrows(void **state)
{
    (void)state;
    for (int borrows = 0; borrows < 2; borrows++) {
        struct host *h = host_new(NULL), *fresh = host_new(NULL);
        turns(h, "others", 0.9, 1200);
        tick(h);
        configure(h, NULL,
                  borrows ? "{\"learners\":[{\"tenant\":\"new\",\"borrows\":100}]}"
                          : "{\"learners\":[{\"tenant\":\"new\",\"borrows\":0}]}");
        double shared = predicted(h, "others", 0), start = predicted(h, "new", 0);
        double prior = predicted(fresh, "new", 0);
        double sd[] = {deviation(h, "others", 0), deviation(h, "new", 0),
                       deviation(fresh, "new", 0)};
        assert_true(fabs(shared - 0.9) < 0.05);
        assert_true(fabs(start - (borrows ? shared : prior)) < (borrows ? 0.05 : 1e-6));
        assert_true(sd[0] < sd[1] || !borrows);
        const struct event_decided *d = look(h, h->router, "others");
        double tokens = (double)d->view[0].mean[TARGET_TOKENS], cost = (double)d->view[0].cost_nano;
        d = look(h, h->router, "new"); /* the quotients are borrowed as well */
        assert_int_equal(fabs((double)d->view[0].mean[TARGET_TOKENS] / tokens - 1) < 0.01, borrows);
        assert_int_equal(fabs((double)d->view[0].cost_nano / cost - 1) < 0.02, borrows);
        assert_true(d->floor == look(h, h->router, "others")->floor); /* the shared counts */
        assert_true(borrows ? sd[1] < 0.5 * sd[2] : sd[1] > 0.5 * sd[2]);
        double wrong = 0;
        for (int i = 0; i < 40; i++) /* the first requests tell a good beginning from none */
            wrong += 1 - turn(h, "new", 0.9);
        double settled = predicted(h, "new", 0);
        configure(h, NULL, "{\"policy\":{\"name\":\"uniform\"}}");
        turns(h, "new", 0.2, 1500);
        print_message("borrows %d: starts at %.3f (sd %.3f), shared %.3f, prior %.3f; %.0f of the "
                      "first 40 wrong; at %.3f after 40 like the others, at %.3f after 1500 of "
                      "another truth, 0.2\n",
                      100 * borrows, start, sd[1], shared, prior, wrong, settled,
                      predicted(h, "new", 0));
        assert_true(fabs(predicted(h, "new", 0) - 0.2) < 0.06);
        assert_true(fabs(predicted(h, "new", 1) - 0.8) < 0.06);
        assert_replays(h);
        host_free(h);
        host_free(fresh);
    }
}

/* What is borrowed follows what the others learn, with the ticks. */
static void test_borrowing_follows(void **state)
{
    (void)state;
    struct host *h = host_new("{\"learners\":[{\"tenant\":\"late\",\"borrows\":1000}]}");
    double start = predicted(h, "late", 0);
    for (int i = 0; i < 100; i++) {
        uint64_t seq = route(h, "others");
        feed(h, seq, h->ev.decided.arm == 0 ? 1 : 0, 100);
    }
    assert_true(predicted(h, "late", 0) == start);
    tick(h);
    assert_true(predicted(h, "late", 0) > start + 0.2);
    assert_replays(h);
    host_free(h);
}

/* A tick renews so many regressions and no more; who had to wait is renewed by the next ones. */
static void test_ticks_are_bounded(void **state)
{
    (void)state;
    char patch[64 * 40] = "{\"learners\":[", name[NAME_CAP];
    for (int i = 0; i < LEARNERS_MAX; i++)
        (void)snprintf(patch + strlen(patch), sizeof patch - strlen(patch),
                       "%s{\"tenant\":\"t%d\"}%s", i ? "," : "", i,
                       i == LEARNERS_MAX - 1 ? "]}" : "");
    struct host *h = host_new(patch);
    double start = predicted(h, "t0", 0);
    for (int i = 0; i < 60; i++) {
        uint64_t seq = route(h, "others");
        feed(h, seq, h->ev.decided.arm == 0 ? 1 : 0, 100);
    }
    int moved[2] = {0};
    for (int k = 0; k < 2; k++) {
        tick(h);
        for (int i = 0; i < LEARNERS_MAX; i++) {
            (void)snprintf(name, sizeof name, "t%d", i);
            moved[k] += predicted(h, name, 0) > start + 0.05;
        }
        route(h, "others"); /* time passes for those who do something */
    }
    assert_true(moved[0] >= 16 && moved[0] < LEARNERS_MAX);
    assert_int_equal(moved[1], LEARNERS_MAX);
    assert_replays(h);
    host_free(h);
}

/* ---- isolation ---- */

struct seen {
    struct arm_view view[2];
    double scale, floor;
};

static struct seen see(struct host *h, const char *tenant)
{
    const struct event_decided *d = look(h, h->router, tenant);
    struct seen s = {.scale = d->cost_scale_usd, .floor = d->floor};
    memcpy(s.view, d->view, sizeof s.view);
    return s;
}

/* In no time: what time alone changes is none of its doing. */
static void hostile(struct host *h, int n)
{
    h->step = 0;
    for (int i = 0; i < n; i++) {
        uint64_t seq = route(h, "foe");
        feed(h, seq, h->ev.decided.arm == 0 ? 0 : 1, 9000);
        follow(h);
        if (i % 100 == 0)
            tick(h);
    }
    for (int i = 0; i < 100; i++) /* decisions that wait narrow widths, too */
        route(h, "foe");
    tick(h);
}

/* A thousand hostile labels of an isolated tenant change no bit of what others are served; those of
 * one that shares do. */
static void test_isolated(void **state)
{
    (void)state;
    for (int shares = 0; shares < 2; shares++) {
        struct host *h =
            host_new(shares ? "{\"learners\":[{\"tenant\":\"foe\"},{\"tenant\":\"friend\"}]}"
                            : "{\"learners\":[{\"tenant\":\"foe\",\"shares\":false},"
                              "{\"tenant\":\"friend\"}]}");
        turns(h, "others", 0.9, 300);
        turns(h, "friend", 0.8, 100);
        tick(h);
        double floor = look(h, h->router, "foe")->floor; /* by what its own learner knows */
        assert_int_equal(floor > look(h, h->router, "others")->floor, !shares);
        struct seen before[] = {see(h, "others"), see(h, "friend")};
        hostile(h, 1000);
        struct seen after[] = {see(h, "others"), see(h, "friend")};
        bool same = memcmp(before, after, sizeof before) == 0;
        assert_int_equal(same, !shares);
        double moved = (double)after[0].view[0].mean[TARGET_QUALITY] -
                       (double)before[0].view[0].mean[TARGET_QUALITY];
        print_message("1000 hostile labels, shares %s: the others' prediction moves by %.4f\n",
                      shares ? "true" : "false", moved);
        assert_true(!shares || moved < -0.1);
        assert_true(labels_of(h, 0) == (shares ? 1400 : 400) && labels_of(h, 1) == 1000);
        assert_replays(h);
        host_free(h);
    }
}

/* Who stops sharing cannot even amend what he once shared, nor is his open label waited for; and
 * when he shares again, only what is decided from then on counts. */
static void test_sharing_ends(void **state)
{
    (void)state;
    struct host *h = host_new("{\"learners\":[{\"tenant\":\"foe\"}]}");
    uint64_t labelled[20], open[20];
    turns(h, "others", 0.9, 100);
    for (int i = 0; i < 20; i++) {
        labelled[i] = route(h, "foe");
        feed(h, labelled[i], 1, 100);
        open[i] = route(h, "foe");
    }
    assert_int_equal(labels_of(h, 0), 120);
    tick(h);
    h->step = 0; /* so that time widens nothing */
    double waiting = deviation(h, "others", 0);
    configure(h, NULL, "{\"learners\":[{\"tenant\":\"foe\",\"shares\":false}]}");
    tick(h);
    assert_true(deviation(h, "others", 0) > waiting);
    struct seen before = see(h, "others");
    for (int i = 0; i < 20; i++) {
        feed(h, labelled[i], 0, 9000);
        feed(h, open[i], 0, 9000);
    }
    tick(h);
    struct seen after = see(h, "others");
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(labels_of(h, 1), 40);
    configure(h, NULL, "{\"learners\":[{\"tenant\":\"foe\",\"shares\":true}]}");
    for (int i = 0; i < 20; i++) {
        feed(h, labelled[i], 0.5, 9000);
        feed(h, open[i], 0.5, 9000);
    }
    tick(h);
    after = see(h, "others");
    assert_memory_equal(&before, &after, sizeof before);
    turns(h, "foe", 0.5, 7);
    assert_int_equal(labels_of(h, 0), 127);
    assert_replays(h);
    host_free(h);
}

/* ---- slots ---- */

/* A learner that is configured no more keeps its slot, decides nothing, takes late labels, and goes
 * on with all it knew. */
static void test_dormant(void **state)
{
    (void)state;
    struct host *h =
        host_new("{\"learners\":[{\"tenant\":\"one\"},{\"tenant\":\"two\",\"borrows\":0}]}");
    turns(h, "others", 0.9, 200);
    turns(h, "two", 0.1, 200);
    uint64_t late = route(h, "two");
    assert_int_equal(h->ev.decided.learner, 2);
    double knew = predicted(h, "two", 0);
    assert_true(knew < 0.3);
    configure(h, CONFIG, "{\"learners\":[{\"tenant\":\"three\"}]}");
    assert_false(router_params(h->router)->learners.spec[1].active);
    route(h, "two");
    assert_int_equal(h->ev.decided.learner, 0);
    route(h, "three");
    assert_int_equal(h->ev.decided.learner, 3);
    int64_t had = labels_of(h, 2), shared = labels_of(h, 0);
    feed(h, late, 0, 100);
    assert_true(labels_of(h, 2) == had + 1 && labels_of(h, 0) == shared + 1);
    assert_replays(h);
    configure(h, CONFIG, "{\"learners\":[{\"tenant\":\"two\",\"borrows\":0}]}");
    route(h, "two");
    assert_int_equal(h->ev.decided.learner, 2);
    assert_true(fabs(predicted(h, "two", 0) - knew) < 0.05);
    assert_replays(h);
    host_free(h);
}

static void test_full(void **state)
{
    (void)state;
    struct host *h = host_new(NULL);
    char patch[64];
    for (int i = 0; i < LEARNERS_MAX; i++) {
        (void)snprintf(patch, sizeof patch, "{\"learners\":[{\"tenant\":\"t%d\"}]}", i);
        configure(h, NULL, patch);
    }
    route(h, "t63");
    assert_int_equal(h->ev.decided.learner, 64);
    feed(h, h->ev.seq, 1, 100);
    tick(h);
    struct params p;
    must(h, config_parse(CONFIG, strlen(CONFIG), &p, NULL, &h->problem));
    const char one[] = "{\"learners\":[{\"tenant\":\"another\"}]}";
    must(h, config_patch(&p, one, sizeof one - 1, &h->problem));
    assert_int_equal(router_configure(h->router, h->now, &p, "test", 0, h->json, sizeof h->json,
                                      &h->ev, &h->problem),
                     STATUS_BAD_REQUEST);
    assert_string_equal(h->problem.path, "/learners");
    assert_replays(h);
    host_free(h);
}

/* ---- the fold ---- */

/* Another layout of x, models that join, a freeze: all learners follow. */
static void upheaval(struct host *h, int round)
{
    static const char *const patch[] = {
        "{\"features\":{\"dim_text\":5}}",
        "{\"models\":[{\"name\":\"c\",\"tier\":\"large\",\"usd_per_mtok_in\":2,"
        "\"usd_per_mtok_out\":2}],\"learners\":[{\"tenant\":\"new\",\"shares\":false}]}",
        "{\"learner\":{\"frozen\":true}}",
        "{\"learner\":{\"frozen\":false},\"learners\":[{\"tenant\":\"red\",\"active\":false}]}",
        "{\"learner\":{\"half_life_hours\":1},\"learners\":[{\"tenant\":\"blue\",\"shares\":false}]"
        "}",
        "{\"features\":{\"dim_text\":12,\"shape\":false},\"learners\":[{\"tenant\":\"red\","
        "\"active\":true},{\"tenant\":\"blue\",\"shares\":true}]}"};
    configure(h, NULL, patch[round]);
}

static void mixed_turns(struct host *h, int n)
{
    for (int i = 0; i < n; i++) {
        turn(h, "red", 0.9);
        turn(h, "blue", 0.1);
        turn(h, "new", 0.5);
        route(h, "red");
        turn(h, "others", 0.7);
    }
}

struct items {
    uint8_t key[8192][ITEM_KEY_LEN];
    uint8_t *bytes[8192];
    size_t len[8192];
    int n;
};

static void keep_item(void *ctx, const uint8_t key[ITEM_KEY_LEN], const void *bytes, size_t n)
{
    struct items *it = ctx;
    int i = 0;
    while (i < it->n && memcmp(it->key[i], key, ITEM_KEY_LEN) != 0)
        i++;
    if (i == it->n) {
        memcpy(it->key[it->n++], key, ITEM_KEY_LEN);
        it->bytes[i] = NULL;
    }
    free(it->bytes[i]);
    it->bytes[i] = malloc(n);
    memcpy(it->bytes[i], bytes, n);
    it->len[i] = n;
}

static struct router *load_items(struct host *h, const struct items *it, int g)
{
    struct router *r = router_new(&INIT);
    for (int type = 0; type < 8; type++)
        for (int i = 0; i < it->n; i++)
            if (it->key[i][0] == type)
                must(h, snapshot_load(r, g, it->key[i], it->bytes[i], it->len[i], &h->problem));
    must(h, snapshot_done(r, g, &h->problem));
    return r;
}

static void free_items(struct items *it)
{
    for (int i = 0; i < it->n; i++)
        free(it->bytes[i]);
    free(it);
}

/* Two generations in turn through every upheaval: each, loaded, is the state it was taken of, and
 * goes on to the same state as the original. */
static void test_snapshots(void **state)
{
    (void)state;
    struct host *h =
        host_new("{\"learners\":[{\"tenant\":\"red\"},{\"tenant\":\"blue\",\"borrows\":20}]}");
    struct items *it[2] = {calloc(1, sizeof **it), calloc(1, sizeof **it)};
    for (int round = 0; round < 6; round++) {
        int g = round % 2;
        mixed_turns(h, 40);
        snapshot_write(h->router, g, keep_item, it[g]);
        uint64_t at = h->n;
        struct router *r = load_items(h, it[g], g);
        assert_int_equal(snapshot_digest(r), snapshot_digest(h->router));
        snapshot_write(r, 1 - g, keep_item, it[1 - g]); /* complete for the other one, too */
        struct router *other = load_items(h, it[1 - g], 1 - g);
        assert_int_equal(snapshot_digest(other), snapshot_digest(h->router));
        upheaval(h, round);
        mixed_turns(h, 20);
        apply_from(h, r, at + 1, h->n);
        assert_int_equal(snapshot_digest(r), snapshot_digest(h->router));
        router_free(r);
        router_free(other);
    }
    assert_replays(h);
    free_items(it[0]);
    free_items(it[1]);
    host_free(h);
}

/* A model gets worse for one tenant only: its learner finds it, and fades its own evidence. */
static void test_drift(void **state)
{
    (void)state;
    struct host *h = host_new("{\"learners\":[{\"tenant\":\"red\"}]}");
    int alarms[2] = {0};
    for (int i = 0; i < 3000; i++) {
        double good = i < 1500 ? 0.9 : 0.3;
        uint64_t seq = route(h, "red");
        double p = h->ev.decided.arm == 0 ? good : 0.35;
        feed(h, seq, rng_uniform(&h->g) < p ? 1 : 0, 100);
        do {
            router_follow(h->router, h->now, &h->ev);
            if (h->ev.kind == EVENT_DRIFTED) {
                assert_int_equal(h->ev.drifted.learner, 1);
                alarms[i >= 1500]++;
            }
            log_event(h);
        } while (h->ev.kind != EVENT_NONE);
        turn(h, "others", 0.9);
    }
    assert_int_equal(alarms[0], 0);
    assert_true(alarms[1] >= 1);
    assert_replays(h);
    host_free(h);
}

/* History of a tenant reaches its learner and, when it shares, the shared one. */
static void test_taught(void **state)
{
    (void)state;
    struct host *h =
        host_new("{\"learners\":[{\"tenant\":\"red\"},{\"tenant\":\"blue\",\"shares\":false}]}");
    const char *const tenant[] = {"red", "blue", "others"};
    for (int i = 0; i < 90; i++) {
        struct feedback f = {.has = FB_QUALITY, .quality = 1, .version = -1};
        h->now += 1000;
        must(h, router_teach(h->router, h->now, request_of(tenant[i % 3]), "a", &f, 1, &h->ev,
                             &h->problem));
        log_event(h);
    }
    assert_int_equal(labels_of(h, 0), 60);
    assert_int_equal(labels_of(h, 1), 30);
    assert_int_equal(labels_of(h, 2), 30);
    assert_replays(h);
    host_free(h);
}

/* A record of a learner that the configuration does not have is refused and changes nothing. */
static void test_no_such_learner(void **state)
{
    (void)state;
    struct host *h = host_new("{\"learners\":[{\"tenant\":\"red\"}]}");
    route(h, "red");
    struct event ev = h->ev;
    uint64_t digest = snapshot_digest(h->router);
    ev.seq++;
    ev.decided.learner = 2;
    assert_int_equal(router_apply(h->router, &ev, &h->problem), STATUS_INTERNAL);
    ev = (struct event){.seq = h->n + 1, .time_ms = h->now, .kind = EVENT_DRIFTED};
    ev.drifted.learner = 2;
    assert_int_equal(router_apply(h->router, &ev, &h->problem), STATUS_INTERNAL);
    assert_int_equal(snapshot_digest(h->router), digest);
    host_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opposite_truths),
        cmocka_unit_test(test_borrows),
        cmocka_unit_test(test_borrowing_follows),
        cmocka_unit_test(test_ticks_are_bounded),
        cmocka_unit_test(test_isolated),
        cmocka_unit_test(test_sharing_ends),
        cmocka_unit_test(test_dormant),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_taught),
        cmocka_unit_test(test_no_such_learner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
