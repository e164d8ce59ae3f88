/* SPDX-License-Identifier: MIT */
#include "tests/fold_fx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/event/decision_id.h"

static const char CONFIG[] =
    "{\"models\":["
    "{\"name\":\"small\",\"tier\":\"small\",\"usd_per_mtok_in\":0.1,\"usd_per_mtok_out\":0.1},"
    "{\"name\":\"mid\",\"tier\":\"medium\",\"usd_per_mtok_in\":0.5,\"usd_per_mtok_out\":1.5},"
    "{\"name\":\"big\",\"tier\":\"large\",\"usd_per_mtok_in\":2.5,\"usd_per_mtok_out\":10}]}";
static const struct router_init INIT = {.seed = 42, .mac_key = {1, 2, 3}, .max_open = 1000};
static const char PROMPT[] = "what is it?";

enum { ITEMS_MAX = 4096 };
struct fold_items {
    uint8_t key[ITEMS_MAX][ITEM_KEY_LEN];
    uint8_t *bytes[ITEMS_MAX];
    size_t len[ITEMS_MAX];
    int n;
};

static void drop_items(struct fold_items *it)
{
    for (int i = 0; i < it->n; i++)
        free(it->bytes[i]);
    free(it);
}

static void on_evict(void *ctx, uint64_t seq, const struct label_book *book)
{
    ((struct fold *)ctx)->evicted[seq] = *book;
}

void fold_keep(struct fold *f)
{
    static uint8_t bytes[EVENT_BYTES_MAX];
    if (f->ev.kind == EVENT_NONE)
        return;
    size_t n = event_encode(&f->ev, bytes, sizeof bytes);
    assert_true(n > 0);
    assert_int_equal(f->ev.seq, f->n + 1);
    f->n++;
    assert_true(f->n < FOLD_LOG_MAX);
    f->record[f->n] = malloc(n);
    memcpy(f->record[f->n], bytes, n);
    f->len[f->n] = n;
}

void fold_configure(struct fold *f, const char *patch)
{
    struct params p;
    if (router_params(f->router)->catalog.n == 0)
        assert_int_equal(config_parse(CONFIG, strlen(CONFIG), &p, NULL, &f->problem), STATUS_OK);
    else
        p = *router_params(f->router);
    if (patch && config_patch(&p, patch, strlen(patch), &f->problem) != STATUS_OK)
        fail_msg("%s: %s", f->problem.path, f->problem.text);
    if (router_configure(f->router, f->now, &p, "test", 0, f->json, sizeof f->json, &f->ev,
                         &f->problem) != STATUS_OK)
        fail_msg("%s: %s", f->problem.path, f->problem.text);
    fold_keep(f);
}

void fold_rename(struct fold *f, const char *old_name, const char *new_name)
{
    if (router_rename(f->router, f->now, old_name, new_name, "test", f->json, sizeof f->json,
                      &f->ev, &f->problem) != STATUS_OK)
        fail_msg("%s: %s", f->problem.path, f->problem.text);
    fold_keep(f);
}

struct fold *fold_new(const char *patch, int64_t max_open)
{
    struct fold *f = calloc(1, sizeof *f);
    f->items = calloc(1, sizeof *f->items);
    struct router_init init = INIT;
    init.max_open = max_open;
    f->router = router_new(&init);
    f->now = 1700000000000;
    router_on_evict(f->router, on_evict, f);
    router_start(f->router, f->now, &f->ev);
    fold_keep(f);
    fold_configure(f, patch);
    return f;
}

void fold_free(struct fold *f)
{
    router_free(f->router);
    for (uint64_t i = 1; i <= f->n; i++)
        free(f->record[i]);
    drop_items(f->items);
    free(f);
}

static void fill_request(const char *tenant, const char *task, struct request *r)
{
    memset(r, 0, sizeof *r);
    (void)snprintf(r->labels.tenant, NAME_CAP, "%s", tenant);
    (void)snprintf(r->labels.task, NAME_CAP, "%s", task);
    r->prompt = PROMPT;
    r->prompt_len = strlen(PROMPT);
    r->prompt_tokens = -1;
    r->value = 1;
}

enum status fold_try(struct fold *f, const struct request *r)
{
    enum route_result result;
    enum status s = router_route(f->router, f->now, r, &f->ev, &result, &f->problem);
    if (s == STATUS_OK && result == ROUTE_DECIDED)
        fold_keep(f);
    return s;
}

struct request *fold_request(const char *tenant, const char *task)
{
    static struct request r;
    fill_request(tenant, task, &r);
    return &r;
}

uint64_t fold_route(struct fold *f, const char *tenant, const char *task)
{
    return fold_ask(f, fold_request(tenant, task));
}

uint64_t fold_ask(struct fold *f, const struct request *request)
{
    enum route_result result;
    if (router_route(f->router, f->now, request, &f->ev, &result, &f->problem) != STATUS_OK)
        fail_msg("%s: %s", f->problem.path, f->problem.text);
    assert_int_equal(result, ROUTE_DECIDED);
    fold_keep(f);
    return f->ev.seq;
}

struct feedback fold_report(const struct fold *f, uint64_t seq, const char *source, double quality)
{
    static uint64_t messages;
    struct feedback r = {.epoch = router_epoch(f->router),
                         .seq = seq,
                         .digest = ++messages,
                         .has = FB_QUALITY,
                         .quality = quality,
                         .version = -1};
    (void)snprintf(r.source, NAME_CAP, "%s", source);
    r.mac = decision_mac(r.epoch, r.seq, INIT.mac_key);
    return r;
}

static const struct recalled *recorded(const struct fold *f, uint64_t seq)
{
    static struct recalled out;
    assert_int_equal(event_decode(f->record[seq], f->len[seq], &out.decided, NULL), STATUS_OK);
    out.book = f->evicted[seq];
    return &out;
}

/* Recalls a decision that has left memory, as a service does. */
static const struct recalled *recall(const struct fold *f, uint64_t seq)
{
    return router_has(f->router, seq) ? NULL : recorded(f, seq);
}

enum status fold_escalate(struct fold *f, uint64_t seq, struct request *r)
{
    struct decision_ref *ref = &r->escalates;
    struct feedback wanting;
    *ref = (struct decision_ref){.epoch = router_epoch(f->router), .seq = seq};
    ref->mac = decision_mac(ref->epoch, ref->seq, INIT.mac_key);
    enum status s = router_escalate(f->router, f->now, r, seq <= f->n ? recorded(f, seq) : NULL,
                                    &f->ev, &f->routed, &f->problem);
    if (s != STATUS_OK || f->routed != ROUTE_DECIDED)
        return s;
    fold_keep(f);
    uint64_t decided = f->ev.seq;
    router_wanting(f->router, r, &wanting);
    fold_feed(f, &wanting);
    assert_int_equal(f->ev.kind, EVENT_FEEDBACK);
    f->ev = recorded(f, decided)->decided;
    return s;
}

void fold_feed(struct fold *f, const struct feedback *report)
{
    if (router_feedback(f->router, f->now, report, recall(f, report->seq), &f->ev, &f->result,
                        &f->problem) != STATUS_OK)
        fail_msg("%s: %s", f->problem.path, f->problem.text);
    fold_keep(f);
}

enum status fold_correct(struct fold *f, const struct feedback *report)
{
    enum status s = router_correct(f->router, f->now, report, recall(f, report->seq), &f->ev,
                                   &f->result, &f->problem);
    if (s == STATUS_OK)
        fold_keep(f);
    return s;
}

enum status fold_unteach(struct fold *f, uint64_t taught)
{
    static struct event record;
    assert_int_equal(event_decode(f->record[taught], f->len[taught], &record, NULL), STATUS_OK);
    enum status s = router_unteach(f->router, f->now, &record, &f->ev, &f->problem);
    if (s == STATUS_OK)
        fold_keep(f);
    return s;
}

void fold_teach(struct fold *f, const char *task, const char *model, const struct feedback *outcome)
{
    fold_teach_of(f, "", task, model, outcome);
}

void fold_teach_of(struct fold *f, const char *tenant, const char *task, const char *model,
                   const struct feedback *outcome)
{
    static struct request r;
    fill_request(tenant, task, &r);
    if (router_teach(f->router, f->now, &r, model, outcome, 1, &f->ev, &f->problem) != STATUS_OK)
        fail_msg("%s: %s", f->problem.path, f->problem.text);
    fold_keep(f);
}

int fold_follow(struct fold *f)
{
    int silent = 0;
    do {
        router_follow(f->router, f->now, &f->ev);
        fold_keep(f);
        silent += f->ev.kind == EVENT_FEEDBACK;
        f->drifted += f->ev.kind == EVENT_DRIFTED;
    } while (f->ev.kind != EVENT_NONE);
    return silent;
}

void fold_tick(struct fold *f)
{
    router_tick(f->router, f->now, &f->ev);
    fold_keep(f);
}

int64_t fold_labels(const struct fold *f)
{
    struct router_stats s;
    int64_t n = 0;
    router_stats(f->router, &s);
    for (int a = 0; a < s.n_models; a++)
        n += s.model[a].labels[TARGET_QUALITY];
    return n;
}

double fold_sum(const struct fold *f)
{
    struct router_stats s;
    double sum = 0;
    router_stats(f->router, &s);
    for (int a = 0; a < s.n_models; a++)
        sum += s.model[a].quality_sum;
    return sum;
}

double fold_predict(struct fold *f, const char *tenant, const char *task, int arm, enum target t)
{
    static struct request r;
    static struct event ev;
    enum route_result result;
    fill_request(tenant, task, &r);
    r.dry_run = true;
    assert_int_equal(router_route(f->router, f->now, &r, &ev, &result, &f->problem), STATUS_OK);
    return (double)ev.decided.view[arm].mean[t];
}

/* ---- folding again ---- */

static void keep_item(void *ctx, const uint8_t key[ITEM_KEY_LEN], const void *bytes, size_t n)
{
    struct fold_items *it = ctx;
    int i = 0;
    while (i < it->n && memcmp(it->key[i], key, ITEM_KEY_LEN) != 0)
        i++;
    if (i == it->n)
        memcpy(it->key[it->n++], key, ITEM_KEY_LEN);
    assert_true(it->n < ITEMS_MAX);
    free(it->bytes[i]);
    it->bytes[i] = malloc(n + 1);
    memcpy(it->bytes[i], bytes, n);
    it->len[i] = n;
}

static struct router *loaded(struct fold *f, struct router *from, int g, struct fold_items *it)
{
    struct router *r = router_new(&INIT);
    snapshot_write(from, g, keep_item, it);
    for (int type = 0; type < 8; type++)
        for (int i = 0; i < it->n; i++)
            if (it->key[i][0] == type &&
                snapshot_load(r, g, it->key[i], it->bytes[i], it->len[i], &f->problem) != STATUS_OK)
                fail_msg("%s", f->problem.text);
    assert_int_equal(snapshot_done(r, g, &f->problem), STATUS_OK);
    return r;
}

static struct router *from_snapshot(struct fold *f)
{
    return loaded(f, f->router, 0, f->items);
}

static struct router *from_log(struct fold *f)
{
    static struct event ev;
    struct router_init init = INIT;
    init.max_open = 7; /* the log, not the host, says how many stay in memory */
    struct router *r = router_new(&init);
    for (uint64_t i = 1; i <= f->n; i++) {
        assert_int_equal(event_decode(f->record[i], f->len[i], &ev, &f->problem), STATUS_OK);
        if (router_apply(r, &ev, &f->problem) != STATUS_OK)
            fail_msg("event %llu: %s", (unsigned long long)i, f->problem.text);
    }
    return r;
}

void fold_check(struct fold *f)
{
    struct router *r = from_log(f);
    assert_int_equal(snapshot_digest(r), snapshot_digest(f->router));
    router_free(r);
    r = from_snapshot(f);
    assert_int_equal(snapshot_digest(r), snapshot_digest(f->router));
    router_free(r);
}

void fold_restart(struct fold *f)
{
    uint64_t digest = snapshot_digest(f->router);
    struct router *r = from_snapshot(f);
    assert_int_equal(snapshot_digest(r), digest);
    struct fold_items *other = calloc(1, sizeof *other); /* whole for every other generation, too */
    struct router *again = loaded(f, r, 1, other);
    assert_int_equal(snapshot_digest(again), digest);
    router_free(again);
    drop_items(other);
    router_free(f->router);
    f->router = r;
    router_on_evict(r, on_evict, f);
}
