/* SPDX-License-Identifier: MIT */
/* The fold: what is decided, what is learned, and that replay and snapshots give the same state. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/policy/pmf.h"
#include "bandit/policy/policy.h"
#include "bandit/rng.h"
#include "core/budget/pacer.h"
#include "core/budget/pool_pacer.h"
#include "core/config/config.h"
#include "core/event/decision_id.h"
#include "core/router/router.h"
#include "core/router/snapshot.h"

static const char CONFIG[] =
    "{\"models\":["
    "{\"name\":\"small\",\"tier\":\"small\",\"usd_per_mtok_in\":0.1,\"usd_per_mtok_out\":0.1},"
    "{\"name\":\"mid\",\"tier\":\"medium\",\"usd_per_mtok_in\":0.5,\"usd_per_mtok_out\":1.5},"
    "{\"name\":\"big\",\"tier\":\"large\",\"usd_per_mtok_in\":2.5,\"usd_per_mtok_out\":10,"
    "\"context_tokens\":1000}]}";
enum { LOG_MAX = 20000, T0 = 1700000000 };

/* A host that keeps the log in memory, as encoded records. */
struct host {
    struct router *router;
    uint8_t *record[LOG_MAX];
    size_t len[LOG_MAX];
    uint64_t n;
    int64_t now;
    struct label_book evicted[LOG_MAX];
    char json[CONFIG_MAX];
    struct event ev;
    struct problem problem;
};

static const struct router_init INIT = {.seed = 42, .mac_key = {1, 2, 3}, .max_open = 1000};

static void on_evict(void *ctx, uint64_t seq, const struct label_book *book)
{
    ((struct host *)ctx)->evicted[seq] = *book;
}

static void log_event(struct host *h)
{
    static uint8_t bytes[EVENT_BYTES_MAX];
    if (h->ev.kind == EVENT_NONE)
        return;
    size_t n = event_encode(&h->ev, bytes, sizeof bytes);
    assert_true(n > 0);
    assert_int_equal(h->ev.seq, h->n + 1);
    h->n++;
    h->record[h->n] = malloc(n);
    memcpy(h->record[h->n], bytes, n);
    h->len[h->n] = n;
}

static void configure(struct host *h, const char *patch)
{
    struct params p;
    if (router_params(h->router)->catalog.n == 0)
        assert_int_equal(config_parse(CONFIG, strlen(CONFIG), &p, NULL, &h->problem), STATUS_OK);
    else
        p = *router_params(h->router);
    if (patch && config_patch(&p, patch, strlen(patch), &h->problem) != STATUS_OK)
        fail_msg("%s: %s", h->problem.path, h->problem.text);
    if (router_configure(h->router, h->now, &p, "test", 0, h->json, sizeof h->json, &h->ev,
                         &h->problem) != STATUS_OK)
        fail_msg("%s: %s", h->problem.path, h->problem.text);
    log_event(h);
}

static struct host *host_new(const char *patch, int64_t max_open)
{
    struct host *h = calloc(1, sizeof *h);
    struct router_init init = INIT;
    init.max_open = max_open;
    h->router = router_new(&init);
    h->now = (int64_t)T0 * 1000;
    router_on_evict(h->router, on_evict, h);
    router_start(h->router, h->now, &h->ev);
    log_event(h);
    configure(h, patch);
    return h;
}

static void host_free(struct host *h)
{
    router_free(h->router);
    for (uint64_t i = 1; i <= h->n; i++)
        free(h->record[i]);
    free(h);
}

static struct request *request_of(const char *id, const char *task, const char *prompt)
{
    static struct request r;
    memset(&r, 0, sizeof r);
    (void)snprintf(r.request_id, NAME_CAP, "%s", id);
    (void)snprintf(r.labels.tenant, NAME_CAP, "acme");
    (void)snprintf(r.labels.task, NAME_CAP, "%s", task);
    r.prompt = prompt;
    r.prompt_len = strlen(prompt);
    r.prompt_tokens = -1;
    r.value = 1;
    r.digest = hash64(prompt, r.prompt_len, hash64(task, strlen(task), 1));
    return &r;
}

static enum status route(struct host *h, const struct request *r, enum route_result *result)
{
    enum status s = router_route(h->router, h->now, r, &h->ev, result, &h->problem);
    if (s == STATUS_OK && *result == ROUTE_DECIDED)
        log_event(h);
    return s;
}

static struct feedback feedback_on(const struct host *h, uint64_t seq, double quality)
{
    struct feedback f = {.epoch = router_epoch(h->router),
                         .seq = seq,
                         .has = FB_QUALITY,
                         .quality = quality,
                         .version = -1};
    f.mac = decision_mac(f.epoch, f.seq, INIT.mac_key);
    f.digest = hash64(&quality, sizeof quality, seq);
    return f;
}

static enum status feed(struct host *h, const struct feedback *f, enum feedback_result *result)
{
    enum status s = router_feedback(h->router, h->now, f, NULL, &h->ev, result, &h->problem);
    if (s == STATUS_OK)
        log_event(h);
    return s;
}

static void follow(struct host *h)
{
    do {
        router_follow(h->router, h->now, &h->ev);
        log_event(h);
    } while (h->ev.kind != EVENT_NONE);
}

/* What the test world says: the small model fails on "hard" tasks. */
static double world_quality(int arm, bool hard, struct rng *g)
{
    double p = hard ? (arm == 0 ? 0.2 : arm == 1 ? 0.6 : 0.9) : 0.9;
    return rng_uniform(g) < p ? 1 : 0;
}

/* Plays n requests, half of them hard; gives the share of dear models on hard ones at the end. */
static void play(struct host *h, int n, uint64_t seed, double *hard_big, double *easy_cheap)
{
    struct rng g = rng_stream(seed, 1, 1);
    int late = 0, hard_n = 0, big = 0, cheap = 0;
    for (int i = 0; i < n; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "r%llu-%d", (unsigned long long)seed, i);
        bool hard = rng_uniform(&g) < 0.5;
        enum route_result rr;
        enum feedback_result fr;
        h->now += 1000;
        assert_int_equal(route(h, request_of(id, hard ? "fraud" : "balance", "what is it?"), &rr),
                         STATUS_OK);
        int arm = h->ev.decided.arm;
        if (i >= n / 2) {
            late++;
            hard_n += hard;
            big += hard && arm != 0;
            cheap += !hard && arm != 2;
        }
        struct feedback f = feedback_on(h, h->ev.seq, world_quality(arm, hard, &g));
        f.has |= FB_OUTPUT_TOKENS | FB_LATENCY;
        f.output_tokens = 100 + (int64_t)rng_below(&g, 200);
        f.latency_ms = 300;
        assert_int_equal(feed(h, &f, &fr), STATUS_OK);
        assert_int_equal(fr, FEEDBACK_APPLIED);
        follow(h);
        if (i % 50 == 0) {
            router_tick(h->router, h->now, &h->ev);
            log_event(h);
        }
    }
    if (hard_big)
        *hard_big = (double)big / hard_n;
    if (easy_cheap)
        *easy_cheap = (double)cheap / (late - hard_n);
}

static struct router *replay(const struct host *h, uint64_t until)
{
    static struct event ev;
    struct problem problem;
    struct router_init init = INIT;
    init.max_open = 7; /* the log, not the host, says how many stay in memory */
    struct router *r = router_new(&init);
    for (uint64_t i = 1; i <= until; i++) {
        assert_int_equal(event_decode(h->record[i], h->len[i], &ev, &problem), STATUS_OK);
        if (router_apply(r, &ev, &problem) != STATUS_OK)
            fail_msg("event %llu: %s", (unsigned long long)i, problem.text);
    }
    return r;
}

static void test_learns_and_replays(void **state)
{
    (void)state;
    struct host *h = host_new("{\"objective\":{\"cost\":0.3}}", 500);
    double hard_big, easy_cheap;
    play(h, 3000, 7, &hard_big, &easy_cheap);
    assert_true(hard_big > 0.85);
    assert_true(easy_cheap > 0.9);
    struct router *r = replay(h, h->n);
    assert_int_equal(snapshot_digest(r), snapshot_digest(h->router));
    router_free(r);
    host_free(h);
}

/* The pacer's window follows prices, weights and models at once. */
static void test_window_follows(void **state)
{
    (void)state;
    struct pacer *p = calloc(1, sizeof *p);
    struct pool_pacers *no_pools = calloc(1, sizeof *no_pools);
    struct params *was = malloc(sizeof *was), *now = malloc(sizeof *now);
    struct event_decided *d = calloc(1, sizeof *d);
    params_default(was);
    was->budget.usd_per_request = 0.01;
    was->catalog.n = 2;
    was->catalog.model[0] = (struct model){.active = true, .price.in = 100, .price.out = 1000};
    was->catalog.model[1] = (struct model){.active = true, .price.in = 1000, .price.out = 10000};
    d->eligible = 3;
    d->value = 1;
    d->prompt_tokens = 100;
    d->cost_scale_usd = 1;
    for (int a = 0; a < 2; a++)
        d->view[a] =
            (struct arm_view){.mean = {[TARGET_QUALITY] = a ? 0.9F : 0.5F, [TARGET_TOKENS] = 1000},
                              .cost_nano = a ? 20000000 : 2000000};
    pacer_configure(p, was, was);
    for (uint64_t i = 0; i < 300; i++)
        pacer_book(p, d, i, false, was);
    assert_true(pacer_solve(p, no_pools).multiplier > 0);
    *now = *was;
    now->catalog.model[1].price.in = 10;
    now->catalog.model[1].price.out = 100;
    now->objective.quality = 2;
    pacer_configure(p, was, now);
    assert_true(pacer_due(p));
    assert_true(fabs((double)p->window[0].cost_usd[1] - 0.0002) < 1e-9);
    assert_true(fabs((double)p->window[0].merit[1] - 1.8) < 1e-6);
    assert_true(pacer_solve(p, no_pools).multiplier <= 0);
    pacer_configure(p, now, was);
    assert_true(fabs((double)p->window[0].cost_usd[1] - 0.02) < 1e-8);
    was->catalog.model[1].active = false;
    pacer_configure(p, was, was);
    assert_true(pacer_solve(p, no_pools).multiplier <=
                0); /* what is left costs less than the budget */
    free(d);
    free(now);
    free(was);
    free(no_pools);
    free(p);
}

static void test_paced(void **state)
{
    (void)state;
    struct host *h =
        host_new("{\"budget\":{\"usd_per_request\":0.0004},\"objective\":{\"cost\":0}}", 500);
    play(h, 3000, 9, NULL, NULL);
    struct router_stats s;
    router_stats(h->router, &s);
    double per_request = (double)s.spent_nano * 1e-9 / 3000;
    assert_true(per_request > 0.8 * 0.0004 && per_request < 1.03 * 0.0004);
    struct router *r = replay(h, h->n);
    assert_int_equal(snapshot_digest(r), snapshot_digest(h->router));
    router_free(r);
    host_free(h);
}

/* ---- snapshots ---- */

struct items {
    uint8_t key[4096][ITEM_KEY_LEN];
    uint8_t *bytes[4096];
    size_t len[4096];
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

static struct router *load_items(const struct items *it, int g)
{
    struct problem problem;
    struct router *r = router_new(&INIT);
    for (int type = 0; type < 8; type++)
        for (int i = 0; i < it->n; i++)
            if (it->key[i][0] == type &&
                snapshot_load(r, g, it->key[i], it->bytes[i], it->len[i], &problem) != STATUS_OK)
                fail_msg("%s", problem.text);
    assert_int_equal(snapshot_done(r, g, &problem), STATUS_OK);
    return r;
}

static void free_items(struct items *it)
{
    for (int i = 0; i < it->n; i++)
        free(it->bytes[i]);
    free(it);
}

/* Generations written in turn while events go on, pages ahead of the rest: each, loaded, is the
 * state it was taken of, and continues to the same state as the original. */
static void test_snapshot_generations(void **state)
{
    (void)state;
    struct host *h = host_new("{\"learner\":{\"pool_labels\":64}}", 300);
    struct items *it[GENERATIONS];
    static struct event ev;
    for (int g = 0; g < GENERATIONS; g++)
        it[g] = calloc(1, sizeof **it);
    for (int round = 0; round < 9; round++) {
        int g = round % GENERATIONS;
        int64_t ahead = 0;
        for (int part = 0; part < 4; part++) {
            play(h, 34, 100 + (uint64_t)(round * 4 + part), NULL, NULL);
            int before = it[g]->n;
            ahead = snapshot_ahead(h->router, g, ahead, 34 * (3 - part), 1, keep_item, it[g]);
            assert_true(it[g]->n <= before + 1);
        }
        assert_true(ahead > 0);
        snapshot_write(h->router, g, keep_item, it[g]);
        uint64_t digest = snapshot_digest(h->router), at = h->n;
        struct router *r = load_items(it[g], g);
        assert_int_equal(snapshot_digest(r), digest);
        assert_int_equal(router_seq(r), at);
        if (round == 3)
            configure(h, "{\"objective\":{\"cost\":0.2},\"models\":[{\"name\":\"huge\","
                         "\"tier\":\"large\",\"usd_per_mtok_in\":5,\"usd_per_mtok_out\":25}]}");
        play(h, 61, 200 + (uint64_t)round, NULL, NULL);
        for (uint64_t i = at + 1; i <= h->n; i++) {
            struct problem problem;
            assert_int_equal(event_decode(h->record[i], h->len[i], &ev, &problem), STATUS_OK);
            assert_int_equal(router_apply(r, &ev, &problem), STATUS_OK);
        }
        assert_int_equal(snapshot_digest(r), snapshot_digest(h->router));
        router_free(r);
    }
    for (int g = 0; g < GENERATIONS; g++)
        free_items(it[g]);
    host_free(h);
}

/* After a restart every item is new to the other generation, even where nothing happened since. */
static void test_snapshot_after_load(void **state)
{
    (void)state;
    struct host *h = host_new("{\"budget\":{\"usd_per_request\":0.0004}}", 300);
    struct items *it[2] = {calloc(1, sizeof **it), calloc(1, sizeof **it)};
    play(h, 50, 1, NULL, NULL);
    snapshot_write(h->router, 1, keep_item, it[1]);
    play(h, 150, 2, NULL, NULL);
    snapshot_write(h->router, 0, keep_item, it[0]);
    struct router *r = load_items(it[0], 0);
    snapshot_write(r, 1, keep_item, it[1]);
    struct router *again = load_items(it[1], 1);
    assert_int_equal(snapshot_digest(again), snapshot_digest(h->router));
    router_free(r);
    router_free(again);
    free_items(it[0]);
    free_items(it[1]);
    host_free(h);
}

/* ---- idempotency and labels ---- */

static void test_retry_and_conflict(void **state)
{
    (void)state;
    struct host *h = host_new(NULL, 100);
    enum route_result rr;
    assert_int_equal(route(h, request_of("a", "t", "hello"), &rr), STATUS_OK);
    uint64_t seq = h->ev.seq, digest = snapshot_digest(h->router);
    assert_int_equal(route(h, request_of("a", "t", "hello"), &rr), STATUS_OK);
    assert_int_equal(rr, ROUTE_RETRY);
    assert_int_equal(h->ev.seq, seq);
    assert_int_equal(route(h, request_of("a", "t", "other"), &rr), STATUS_CONFLICT);
    struct request *dry = request_of("b", "t", "hello");
    dry->dry_run = true;
    assert_int_equal(route(h, dry, &rr), STATUS_OK);
    assert_int_equal(rr, ROUTE_DRY);
    assert_int_equal(snapshot_digest(h->router), digest);
    host_free(h);
}

/* covers: S10 S11 */
static void test_feedback_kinds(void **state)
{
    (void)state;
    struct host *h = host_new(NULL, 100);
    enum route_result rr;
    enum feedback_result fr;
    assert_int_equal(route(h, request_of("a", "t", "hello"), &rr), STATUS_OK);
    uint64_t seq = h->ev.seq, fresh = snapshot_digest(h->router);
    struct feedback f = feedback_on(h, seq, 0.5);
    (void)snprintf(f.feedback_id, NAME_CAP, "f1");
    assert_int_equal(feed(h, &f, &fr), STATUS_OK);
    assert_int_equal(fr, FEEDBACK_APPLIED);
    assert_true(snapshot_digest(h->router) != fresh);
    assert_int_equal(feed(h, &f, &fr), STATUS_OK);
    assert_int_equal(fr, FEEDBACK_DUPLICATE);
    f.digest++;
    assert_int_equal(feed(h, &f, &fr), STATUS_CONFLICT);
    struct feedback g = feedback_on(h, seq, 0.75);
    assert_int_equal(feed(h, &g, &fr), STATUS_OK);
    assert_int_equal(fr, FEEDBACK_AMENDED);
    struct router_stats s;
    router_stats(h->router, &s);
    assert_true(fabs(s.model[0].quality_sum + s.model[1].quality_sum + s.model[2].quality_sum -
                     0.75) < 1e-12);
    struct feedback back = {
        .epoch = g.epoch, .seq = seq, .mac = g.mac, .retract = true, .version = -1, .digest = 99};
    assert_int_equal(feed(h, &back, &fr), STATUS_OK);
    assert_int_equal(fr, FEEDBACK_RETRACTED);
    router_stats(h->router, &s);
    assert_int_equal(s.model[0].labels[TARGET_QUALITY] + s.model[1].labels[TARGET_QUALITY] +
                         s.model[2].labels[TARGET_QUALITY],
                     0);
    struct feedback forged = feedback_on(h, seq, 1);
    forged.mac ^= 1;
    assert_int_equal(feed(h, &forged, &fr), STATUS_UNKNOWN_DECISION);
    struct feedback none = feedback_on(h, seq + 1000, 1);
    assert_int_equal(feed(h, &none, &fr), STATUS_UNKNOWN_DECISION);
    h->now += (int64_t)721 * 3600 * 1000;
    struct feedback late = feedback_on(h, seq, 0.1);
    assert_int_equal(feed(h, &late, &fr), STATUS_OK);
    assert_int_equal(fr, FEEDBACK_LATE);
    host_free(h);
}

/* I8: versioned messages in any order, with repetitions, end in the same labels and sums. */
static void test_order_does_not_matter(void **state)
{
    (void)state;
    double reference[3] = {0};
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct host *h = host_new("{\"learner\":{\"pool_labels\":0}}", 100);
        enum route_result rr;
        enum feedback_result fr;
        uint64_t seq[20];
        for (int i = 0; i < 20; i++) {
            char id[16];
            (void)snprintf(id, sizeof id, "q%d", i);
            h->now += 1000;
            assert_int_equal(route(h, request_of(id, i % 2 ? "x" : "y", "prompt"), &rr), STATUS_OK);
            seq[i] = h->ev.seq;
        }
        int order[120];
        struct rng g = rng_stream(seed, 5, 5);
        for (int i = 0; i < 120; i++)
            order[i] = i;
        for (int i = 119; i > 0 && seed > 0; i--) {
            int j = (int)rng_below(&g, (uint64_t)i + 1), t = order[i];
            order[i] = order[j];
            order[j] = t;
        }
        for (int k = 0; k < 120; k++) {
            int i = order[k] % 20, kind = order[k] / 20;
            struct feedback f = feedback_on(h, seq[i], 0.1 * (kind + 1));
            f.version = kind % 3;
            f.digest = (uint64_t)(i * 10 + kind % 3) + 1;
            f.quality = 0.1 + 0.3 * (kind % 3);
            f.has |= kind % 3 == 2 ? FB_OUTPUT_TOKENS | FB_COST : 0;
            f.output_tokens = 50 + i;
            f.cost_nano = 1000 + i;
            f.retract = kind % 3 == 1 && i % 5 == 0;
            assert_int_equal(feed(h, &f, &fr), STATUS_OK);
        }
        struct router_stats s;
        router_stats(h->router, &s);
        router_tick(h->router, h->now, &h->ev);
        log_event(h);
        assert_int_equal(route(h, request_of("probe", "x", "prompt"), &rr), STATUS_OK);
        double probe[3] = {(double)h->ev.decided.view[0].mean[TARGET_QUALITY],
                           (double)h->ev.decided.view[1].mean[TARGET_TOKENS], (double)s.spent_nano};
        for (int i = 0; i < 3; i++) {
            if (seed == 0)
                reference[i] = probe[i];
            assert_true(fabs(probe[i] - reference[i]) <= 1e-6 * fabs(reference[i]));
        }
        host_free(h);
    }
}

/* A decision that left memory is learned from its record, once; the fold stays the same. covers:
 * R10 X7 */
static void test_recall(void **state)
{
    (void)state;
    struct host *h = host_new(NULL, 8);
    enum route_result rr;
    enum feedback_result fr;
    static struct recalled rec;
    assert_int_equal(route(h, request_of("first", "t", "hello"), &rr), STATUS_OK);
    uint64_t seq = h->ev.seq;
    struct feedback f = feedback_on(h, seq, 0.25);
    assert_int_equal(feed(h, &f, &fr), STATUS_OK);
    play(h, 20, 3, NULL, NULL);
    assert_false(router_has(h->router, seq));
    assert_int_equal(h->evicted[seq].n_seen, 1);
    assert_int_equal(event_decode(h->record[seq], h->len[seq], &rec.decided, &h->problem),
                     STATUS_OK);
    rec.book = h->evicted[seq];
    assert_int_equal(router_feedback(h->router, h->now, &f, &rec, &h->ev, &fr, &h->problem),
                     STATUS_OK);
    assert_int_equal(fr, FEEDBACK_DUPLICATE);
    struct feedback g = feedback_on(h, seq, 0.5);
    assert_int_equal(router_feedback(h->router, h->now, &g, &rec, &h->ev, &fr, &h->problem),
                     STATUS_OK);
    assert_int_equal(fr, FEEDBACK_AMENDED);
    log_event(h);
    assert_int_equal(h->evicted[seq].n_seen, 2);
    struct router *r = replay(h, h->n);
    assert_int_equal(snapshot_digest(r), snapshot_digest(h->router));
    router_free(r);
    host_free(h);
}

/* ---- the decision itself ---- */

/* What was drawn against what was logged, over decisions whose pmfs differ. */
struct draws {
    double expected[3];
    int count[3];
};

/* Exactly: the logged uniform draw names the model under the logged probabilities. */
static void count_draw(struct draws *c, const struct event_decided *d)
{
    double p[3];
    for (int a = 0; a < 3; a++) {
        p[a] = d->eligible >> a & 1 ? d->view[a].pmf : 0;
        c->expected[a] += p[a];
    }
    assert_int_equal(d->arm, pmf_draw(p, 3, d->u));
    c->count[d->arm]++;
}

/* With pmfs that differ the statistic is at most chi-square with 2 degrees of freedom: 99.9%. */
static void assert_fair(const struct draws *c, const char *name)
{
    double chi2 = 0;
    for (int a = 0; a < 3; a++) {
        double miss = c->count[a] - c->expected[a];
        if (c->expected[a] >= 5)
            chi2 += miss * miss / c->expected[a];
        else
            assert_true(c->count[a] <= 18); /* Poisson of mean 5: 1 in a million */
    }
    if (chi2 > 13.8)
        fail_msg("%s draws %d %d %d, logged %g %g %g", name, c->count[0], c->count[1], c->count[2],
                 c->expected[0], c->expected[1], c->expected[2]);
}

/* I4: the pmf sums to 1 over the eligible set, respects its floor, and the draw comes from it. */
static void test_pmf_invariants(void **state)
{
    (void)state;
    for (int k = 0; policy_at(k); k++) {
        const char *name = policy_at(k)->name;
        char patch[80];
        (void)snprintf(patch, sizeof patch, "{\"policy\":{\"name\":\"%s\"}}", name);
        struct host *h = host_new(patch, 100);
        enum route_result rr;
        struct draws draws = {0};
        double weight = 0;
        play(h, 200, 11, NULL, NULL);
        for (int i = 0; i < 2000; i++) {
            char id[24];
            (void)snprintf(id, sizeof id, "p%d", i);
            assert_int_equal(route(h, request_of(id, i % 2 ? "fraud" : "balance", "x"), &rr),
                             STATUS_OK);
            const struct event_decided *d = &h->ev.decided;
            double sum = 0;
            assert_int_equal(d->policy, k);
            assert_int_equal(d->floor > 0, policy_at(k)->explores);
            for (int a = 0; a < 3; a++) {
                assert_true(d->view[a].pmf >= d->floor * 1e-3);
                sum += d->view[a].pmf;
            }
            assert_true(fabs(sum - 1) < 1e-9);
            assert_true(d->view[d->arm].pmf > 0);
            weight += (d->arm == 1 ? 1 : 0) / d->view[d->arm].pmf; /* mean(pi/p) for "always 1" */
            count_draw(&draws, d);
        }
        assert_fair(&draws, name);
        if (policy_at(k)->explores)
            assert_true(fabs(weight / 2000 - 1) < 0.6);
        host_free(h);
    }
}

/* A mix looks at no request, and spends what it may with its exploration counted in. */
static void test_static_mix(void **state)
{
    (void)state;
    struct host *h =
        host_new("{\"policy\":{\"name\":\"static_mix\",\"floor\":0.1,\"floor_min\":0.1},"
                 "\"objective\":{\"cost\":0},\"budget\":{\"usd_per_request\":0.0005}}",
                 1000);
    static const char *const tasks[] = {"fraud", "balance"};
    enum route_result rr;
    double pmf[2][3], spent = 0;
    play(h, 1500, 31, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        struct request *r = request_of("", tasks[i], "what is it?");
        r->dry_run = true;
        assert_int_equal(route(h, r, &rr), STATUS_OK);
        for (int a = 0; a < 3; a++)
            pmf[i][a] = h->ev.decided.view[a].pmf;
        for (int a = 0; a < 3; a++)
            spent += pmf[i][a] * (double)h->ev.decided.view[a].cost_nano * 1e-9 / 2;
    }
    for (int a = 0; a < 3; a++)
        assert_true(fabs(pmf[0][a] - pmf[1][a]) < 0.02); /* the floor's shares go by cost */
    assert_true(fabs(spent / 0.0005 - 1) < 0.05);
    host_free(h);
}

/* covers: S4 */
static void test_constraints(void **state)
{
    (void)state;
    struct host *h = host_new(NULL, 100);
    enum route_result rr;
    struct request *r = request_of("", "t", "hello");
    r->constraints.n_deny = 1;
    r->constraints.deny[0] = "small";
    (void)snprintf(r->constraints.min_tier, NAME_CAP, "medium");
    for (int i = 0; i < 50; i++) {
        assert_int_equal(route(h, r, &rr), STATUS_OK);
        assert_true(h->ev.decided.arm != 0);
        assert_int_equal(h->ev.decided.eligible, 6);
        assert_true(h->ev.decided.reasons & REASON_CONSTRAINED);
    }
    r->prompt_tokens = 5000; /* beyond big's context */
    assert_int_equal(route(h, r, &rr), STATUS_OK);
    assert_int_equal(h->ev.decided.eligible, 2);
    r->constraints.max_cost_usd = 1e-9;
    assert_int_equal(route(h, r, &rr), STATUS_NO_ELIGIBLE_MODEL);
    assert_string_equal(h->problem.path, "/constraints/max_cost_usd");
    r->constraints.deny[0] = "smal";
    assert_int_equal(route(h, r, &rr), STATUS_UNKNOWN_MODEL);
    host_free(h);
}

/* I7: a change of price equals a restart with the new price. */
static void test_price_change(void **state)
{
    (void)state;
    struct host *h = host_new(NULL, 400);
    play(h, 300, 21, NULL, NULL);
    configure(h,
              "{\"models\":[{\"name\":\"small\",\"usd_per_mtok_in\":50,\"usd_per_mtok_out\":50}]}");
    enum route_result rr;
    struct request *r = request_of("", "balance", "what is it?");
    r->dry_run = true;
    assert_int_equal(route(h, r, &rr), STATUS_OK);
    struct event live = h->ev;
    struct router *again = replay(h, h->n);
    assert_int_equal(router_route(again, h->now, r, &h->ev, &rr, &h->problem), STATUS_OK);
    assert_memory_equal(&live.decided.view, &h->ev.decided.view, sizeof live.decided.view);
    assert_true(live.decided.view[0].cost_nano > 20 * 1000);
    router_free(again);
    host_free(h);
}

static double cost_unit(struct host *h)
{
    enum route_result rr;
    struct request *r = request_of("", "balance", "what is it?");
    r->dry_run = true;
    assert_int_equal(route(h, r, &rr), STATUS_OK);
    return h->ev.decided.cost_scale_usd;
}

static void configure_big(struct host *h, const char *fields)
{
    char json[160];
    (void)snprintf(json, sizeof json, "{\"models\":[{\"name\":\"big\",%s}]}", fields);
    configure(h, json);
}

/* I7: what the cost weight is in units of follows prices and models at once, there and back; a
 * model that leaves does not change it at once. */
static void test_cost_unit(void **state)
{
    (void)state;
    struct host *h = host_new(NULL, 1200);
    play(h, 300, 22, NULL, NULL);
    double before = cost_unit(h);
    configure_big(h, "\"usd_per_mtok_in\":1000,\"usd_per_mtok_out\":3000");
    double dear = cost_unit(h);
    assert_true(dear > 20 * before);
    play(h, 50, 23, NULL, NULL);
    assert_true(fabs(cost_unit(h) / dear - 1) < 0.3);
    configure_big(h, "\"usd_per_mtok_in\":2.5,\"usd_per_mtok_out\":10");
    assert_true(fabs(cost_unit(h) / before - 1) < 0.3);
    play(h, 50, 24, NULL, NULL);
    configure_big(h, "\"active\":false");
    assert_true(fabs(cost_unit(h) / before - 1) < 0.3);
    play(h, 500, 25, NULL, NULL);
    assert_true(cost_unit(h) < before / 2);
    configure_big(h, "\"active\":true");
    assert_true(fabs(cost_unit(h) / before - 1) < 0.3);
    host_free(h);
}

/* A model that leaves and comes back keeps what was learned; slots follow names. covers: S3 */
static void test_retired_model(void **state)
{
    (void)state;
    struct host *h = host_new(NULL, 400);
    play(h, 300, 31, NULL, NULL);
    struct router_stats before, after;
    router_stats(h->router, &before);
    configure(h, "{\"models\":[{\"name\":\"mid\",\"active\":false}]}");
    enum route_result rr;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(route(h, request_of("", "t", "x"), &rr), STATUS_OK);
        assert_int_equal(h->ev.decided.eligible, 5);
    }
    configure(h, "{\"models\":[{\"name\":\"mid\",\"active\":true}]}");
    router_stats(h->router, &after);
    assert_int_equal(after.model[1].labels[0], before.model[1].labels[0]);
    assert_true(fabs(after.model[1].quality_mean - before.model[1].quality_mean) < 0.05);
    host_free(h);
}

/* A model that silently gets worse is found, its evidence fades, and traffic moves; before that
 * nothing is alarmed. The whole is replayed bit for bit. */
static void test_drift(void **state)
{
    (void)state;
    struct host *h = host_new("{\"objective\":{\"cost\":0.05}}", 400);
    struct rng g = rng_stream(5, 5, 5);
    int alarms[2] = {0}, chosen[2] = {0};
    for (int i = 0; i < 4000; i++) {
        bool after = i >= 2500;
        enum route_result rr;
        enum feedback_result fr;
        h->now += 1000;
        assert_int_equal(route(h, request_of("", "t", "x"), &rr), STATUS_OK);
        int arm = h->ev.decided.arm;
        if (i >= 2000 && i < 2500)
            chosen[0] += arm == 1;
        if (i >= 3500)
            chosen[1] += arm == 1;
        double p = arm == 0 ? 0.5 : arm == 1 ? (after ? 0.6 : 0.9) : 0.88;
        struct feedback f = feedback_on(h, h->ev.seq, rng_uniform(&g) < p ? 1 : 0);
        assert_int_equal(feed(h, &f, &fr), STATUS_OK);
        do {
            router_follow(h->router, h->now, &h->ev);
            alarms[after] += h->ev.kind == EVENT_DRIFTED;
            log_event(h);
        } while (h->ev.kind != EVENT_NONE);
    }
    assert_int_equal(alarms[0], 0);
    assert_true(alarms[1] >= 1);
    assert_true(chosen[0] > 400);
    assert_true(chosen[1] < 100);
    struct router *r = replay(h, h->n);
    assert_int_equal(snapshot_digest(r), snapshot_digest(h->router));
    router_free(r);
    host_free(h);
}

/* A model that joins later is tried under its quota and adopted. */
static void test_onboarding(void **state)
{
    (void)state;
    struct host *h = host_new(NULL, 400);
    play(h, 600, 51, NULL, NULL);
    configure(h, "{\"models\":[{\"name\":\"new\",\"tier\":\"medium\",\"usd_per_mtok_in\":0.2,"
                 "\"usd_per_mtok_out\":0.2,\"typical_quality\":0.3}]}");
    enum route_result rr;
    assert_int_equal(route(h, request_of("", "fraud", "x"), &rr), STATUS_OK);
    assert_true(h->ev.decided.quota > 0);
    assert_true(h->ev.decided.view[3].pmf >= 0.015);
    int late = 0;
    struct rng g = rng_stream(6, 6, 6);
    for (int i = 0; i < 3000; i++) {
        enum feedback_result fr;
        h->now += 1000;
        assert_int_equal(route(h, request_of("", "fraud", "x"), &rr), STATUS_OK);
        int arm = h->ev.decided.arm;
        late += i >= 2500 && arm == 3;
        struct feedback f =
            feedback_on(h, h->ev.seq, rng_uniform(&g) < (arm == 3 ? 0.97 : 0.85) ? 1 : 0);
        assert_int_equal(feed(h, &f, &fr), STATUS_OK);
        follow(h);
    }
    assert_true(late > 400);
    host_free(h);
}

/* A budget below what the cheapest model costs: that model is served, and the multiplier stays one
 * that still tells models apart. */
static void test_unreachable_budget(void **state)
{
    (void)state;
    struct host *h =
        host_new("{\"budget\":{\"usd_per_request\":0.000001},\"objective\":{\"cost\":0}}", 500);
    play(h, 600, 61, NULL, NULL);
    struct router_stats s;
    router_stats(h->router, &s);
    assert_true(s.multiplier > 0 && s.multiplier < 1e7);
    assert_true(s.model[0].decisions > 500);
    host_free(h);
}

/* A budget holds from the first decision under it, with and without a window of earlier ones. */
static void test_paced_at_once(void **state)
{
    (void)state;
    for (int seen = 0; seen <= 200; seen += 200) {
        struct host *h = host_new("{\"objective\":{\"cost\":0}}", 500);
        enum route_result rr;
        if (seen)
            play(h, seen, 62, NULL, NULL);
        configure(h, "{\"budget\":{\"usd_per_request\":0.0002}}");
        assert_int_equal(route(h, request_of("", "faq", "what is it?"), &rr), STATUS_OK);
        const struct event_decided *d = &h->ev.decided;
        double expected = 0;
        assert_true(d->multiplier > 0);
        for (int a = 0; a < d->n_arms; a++)
            expected += d->view[a].pmf * (double)d->view[a].cost_nano * 1e-9;
        assert_true(expected < (seen ? 3 : 1.2) * 0.0002);
        host_free(h);
    }
}

/* Decisions that await their label narrow the widths, by the share that gets one, and move no mean.
 */
static void test_pending_narrows(void **state)
{
    (void)state;
    struct host *h =
        host_new("{\"policy\":{\"name\":\"uniform\"},\"learner\":{\"pool_labels\":0}}", 1000);
    enum route_result rr;
    double mean[2], sd[2];
    play(h, 150, 81, NULL, NULL);
    for (int k = 0; k < 2; k++) {
        router_tick(h->router, h->now, &h->ev);
        log_event(h);
        struct request *dry = request_of("", "fraud", "what is it?");
        dry->dry_run = true;
        assert_int_equal(route(h, dry, &rr), STATUS_OK);
        mean[k] = (double)h->ev.decided.view[0].mean[TARGET_QUALITY];
        sd[k] = (double)h->ev.decided.view[0].sd[TARGET_QUALITY];
        for (int i = 0; k == 0 && i < 300; i++)
            assert_int_equal(route(h, request_of("", "fraud", "what is it?"), &rr), STATUS_OK);
    }
    assert_true(sd[1] < 0.95 * sd[0]);
    assert_true(fabs(mean[1] - mean[0]) < 1e-6);
    host_free(h);
}

/* A decision chosen anew by the router that made it has the same probabilities, bit for bit; by one
 * of other settings, others; of other features, none. */
static void test_rescore(void **state)
{
    (void)state;
    static const char *const policy[] = {"lints", "greedy", "igw", "linucb", "softmax"};
    static struct event_decided again;
    enum route_result rr;
    double pmf[MODELS_MAX];
    for (size_t k = 0; k < sizeof policy / sizeof *policy; k++) {
        char patch[128];
        snprintf(patch, sizeof patch, "{\"policy\":{\"name\":\"%s\"},\"learner\":{\"quota\":0}}",
                 policy[k]);
        struct host *h = host_new(patch, 1000);
        play(h, 150, 81, NULL, NULL);
        struct request *dry = request_of("", "fraud", "what is it?");
        dry->dry_run = true;
        assert_int_equal(route(h, dry, &rr), STATUS_OK);
        const struct event_decided *d = &h->ev.decided;
        assert_true(router_rescore(h->router, &h->ev, &again, pmf));
        assert_int_equal(again.eligible, d->eligible);
        for (int a = 0; a < d->n_arms; a++) {
            assert_memory_equal(&pmf[a], &d->view[a].pmf, sizeof *pmf);
            assert_memory_equal(again.view[a].mean, d->view[a].mean, sizeof again.view[a].mean);
            assert_int_equal(again.view[a].cost_nano, d->view[a].cost_nano);
        }
        static struct event logged;
        logged = h->ev;
        configure(h, "{\"objective\":{\"cost\":3}}");
        assert_true(router_rescore(h->router, &logged, &again, pmf));
        bool same = true;
        for (int a = 0; a < logged.decided.n_arms; a++)
            same = same && fabs(pmf[a] - logged.decided.view[a].pmf) < 1e-9;
        assert_false(same);
        configure(h, "{\"features\":{\"dim_text\":4}}");
        assert_false(router_rescore(h->router, &logged, &again, pmf));
        host_free(h);
    }
}

/* Frozen, labels are kept but not learned; thawed, they are learned in order: as if nothing had
 * been. covers: S14 */
static void test_freeze(void **state)
{
    (void)state;
    struct router_stats stats[2];
    for (int freezes = 0; freezes < 2; freezes++) {
        struct host *h = host_new("{\"policy\":{\"name\":\"uniform\"}}", 2000);
        play(h, 100, 71, NULL, NULL);
        router_stats(h->router, &stats[0]);
        if (freezes)
            configure(h, "{\"learner\":{\"frozen\":true}}");
        play(h, 100, 72, NULL, NULL);
        router_stats(h->router, &stats[1]);
        assert_int_equal(stats[1].model[0].labels[0] == stats[0].model[0].labels[0], freezes);
        if (freezes)
            configure(h, "{\"learner\":{\"frozen\":false}}");
        struct router *r = replay(h, h->n);
        assert_int_equal(snapshot_digest(r), snapshot_digest(h->router));
        router_free(r);
        router_stats(h->router, &stats[1]);
        int64_t labels = 0;
        double quality = 0;
        for (int a = 0; a < 3; a++) {
            labels += stats[1].model[a].labels[TARGET_QUALITY];
            quality += stats[1].model[a].quality_sum;
        }
        assert_int_equal(labels, 200);
        assert_true(quality > 100 && quality < 200);
        host_free(h);
    }
}

/* An apprentice serves the baseline and tells what it would have done. */
static void test_apprentice(void **state)
{
    (void)state;
    struct host *h = host_new("{\"policy\":{\"apprentice\":true},\"baseline\":\"mid\"}", 400);
    enum route_result rr;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(route(h, request_of("", "t", "x"), &rr), STATUS_OK);
        assert_int_equal(h->ev.decided.arm, 1);
        assert_true(h->ev.decided.view[1].pmf > 1 - 1e-12);
        assert_true(h->ev.decided.reasons & REASON_APPRENTICE);
    }
    struct router_stats s;
    router_stats(h->router, &s);
    assert_true(s.agreed > 0 && s.agreed < 200);
    host_free(h);
}

/* The guard lets a policy loose only on what the baseline has earned. */
static void test_guard(void **state)
{
    (void)state;
    struct host *h = host_new("{\"guard\":{\"alpha\":0.05},\"baseline\":\"big\","
                              "\"policy\":{\"name\":\"uniform\",\"floor\":0,\"floor_min\":0}}",
                              400);
    struct rng g = rng_stream(8, 8, 8);
    double quality = 0;
    int baseline = 0;
    for (int i = 0; i < 3000; i++) {
        enum route_result rr;
        enum feedback_result fr;
        h->now += 1000;
        assert_int_equal(route(h, request_of("", "t", "x"), &rr), STATUS_OK);
        int arm = h->ev.decided.arm;
        double q = rng_uniform(&g) < (arm == 2 ? 0.9 : 0.5) ? 1 : 0;
        quality += q;
        baseline += arm == 2;
        struct feedback f = feedback_on(h, h->ev.seq, q);
        assert_int_equal(feed(h, &f, &fr), STATUS_OK);
    }
    assert_true(quality / 3000 > 0.9 * (1 - 0.05) - 0.02); /* uniform alone would give 0.63 */
    assert_true(baseline < 3000);
    struct router_stats s;
    router_stats(h->router, &s);
    assert_true(s.guard_ledger > -1);
    host_free(h);
}

/* An event that does not fit is refused and changes nothing. */
static void test_apply_is_total(void **state)
{
    (void)state;
    struct host *h = host_new(NULL, 50);
    play(h, 30, 41, NULL, NULL);
    uint64_t digest = snapshot_digest(h->router);
    static struct event ev;
    for (uint64_t i = 1; i <= h->n; i++) {
        assert_int_equal(event_decode(h->record[i], h->len[i], &ev, &h->problem), STATUS_OK);
        assert_int_equal(router_apply(h->router, &ev, &h->problem), STATUS_INTERNAL);
    }
    ev.seq = h->n + 1;
    ev.time_ms = 0;
    assert_int_equal(router_apply(h->router, &ev, &h->problem), STATUS_INTERNAL);
    assert_int_equal(snapshot_digest(h->router), digest);
    host_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns_and_replays),
        cmocka_unit_test(test_paced),
        cmocka_unit_test(test_window_follows),
        cmocka_unit_test(test_snapshot_generations),
        cmocka_unit_test(test_snapshot_after_load),
        cmocka_unit_test(test_retry_and_conflict),
        cmocka_unit_test(test_feedback_kinds),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_recall),
        cmocka_unit_test(test_pmf_invariants),
        cmocka_unit_test(test_static_mix),
        cmocka_unit_test(test_constraints),
        cmocka_unit_test(test_price_change),
        cmocka_unit_test(test_cost_unit),
        cmocka_unit_test(test_retired_model),
        cmocka_unit_test(test_unreachable_budget),
        cmocka_unit_test(test_paced_at_once),
        cmocka_unit_test(test_pending_narrows),
        cmocka_unit_test(test_rescore),
        cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_apprentice),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_apply_is_total),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_onboarding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
