/* SPDX-License-Identifier: MIT */
/* The host of store_fx.h: what purserd does around router and store, without sockets. */
#include "store_fx.h"

#include "core/config/config.h"
#include "core/event/decision_id.h"

static const char CONFIG[] =
    "{\"models\":["
    "{\"name\":\"small\",\"tier\":\"small\",\"usd_per_mtok_in\":0.1,\"usd_per_mtok_out\":0.1},"
    "{\"name\":\"big\",\"tier\":\"large\",\"usd_per_mtok_in\":2.5,\"usd_per_mtok_out\":10}]}";

void ok(struct fx *fx, enum status s)
{
    if (s != STATUS_OK)
        fail_msg("%s: %s %s", status_code(s), fx->problem.path, fx->problem.text);
}

int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

int setup(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    strcpy(fx->root, "/tmp/purser_store_XXXXXX");
    if (mkdtemp(fx->root) == NULL)
        return -1;
    snprintf(fx->dir, sizeof fx->dir, "%s/data", fx->root);
    snprintf(fx->other, sizeof fx->other, "%s/other", fx->root);
    fx->batch = batch_new();
    fx->now = 1700000000000;
    *state = fx;
    return 0;
}

int teardown(void **state)
{
    struct fx *fx = *state;
    router_free(fx->router);
    db_close(fx->db);
    batch_free(fx->batch);
    nftw(fx->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(fx);
    return 0;
}

enum status open_store(struct fx *fx, bool read_only)
{
    return db_open(
        fx->dir,
        &(struct db_options){.create = true, .read_only = read_only, .seed = 5, .map_gib = 1},
        &fx->db, &fx->problem);
}

void close_store(struct fx *fx)
{
    db_close(fx->db);
    fx->db = NULL;
}

struct router *fresh_router(struct fx *fx)
{
    struct router_init init = {.max_open = 50};
    db_init(fx->db, &init);
    return router_new(&init);
}

void commit(struct fx *fx)
{
    ok(fx, db_commit(fx->db, fx->batch, &fx->problem));
    batch_reset(fx->batch);
}

void fx_log(struct fx *fx)
{
    if (fx->ev.kind != EVENT_NONE)
        ok(fx, batch_event(fx->batch, &fx->ev));
}

static void on_evict(void *ctx, uint64_t seq, const struct label_book *book)
{
    struct fx *fx = ctx;
    ok(fx, batch_book(fx->batch, seq, book));
}

static void on_item(void *ctx, const uint8_t key[ITEM_KEY_LEN], const void *bytes, size_t n)
{
    struct fx *fx = ctx;
    ok(fx, batch_item(fx->batch, db_next_generation(fx->db), key, ITEM_KEY_LEN, bytes, n));
}

/* As the desk does it: the sums go with the batch, the decision's record is read again. */
static void on_meter(void *ctx, const struct event *ev, const struct label_book *before,
                     const struct label_book *after)
{
    struct fx *fx = ctx;
    struct meter_sums delta;
    const uint8_t *bytes;
    size_t n;
    struct meter *m = batch_meter(fx->batch);
    int64_t most = router_params(fx->router)->meter.keys;
    if (ev->kind == EVENT_DECIDED) {
        assert_true(meter_decided(m, ev, most, &delta));
        return;
    }
    uint64_t seq = ev->feedback.feedback.seq;
    if (batch_find_event(fx->batch, seq, &bytes, &n))
        ok(fx, event_decode(bytes, n, &fx->decided, &fx->problem));
    else
        ok(fx, db_read_event(fx->db, seq, &fx->decided, &fx->problem));
    assert_true(meter_feedback(m, &fx->decided, before, after, most, &delta));
}

/* Opens the store and starts a router on it, its first events in the batch. */
void live_start(struct fx *fx)
{
    struct params params;
    ok(fx, open_store(fx, false));
    fx->router = fresh_router(fx);
    router_on_evict(fx->router, on_evict, fx);
    router_on_meter(fx->router, on_meter, fx);
    router_start(fx->router, fx->now, &fx->ev);
    fx_log(fx);
    ok(fx, config_parse(CONFIG, strlen(CONFIG), &params, NULL, &fx->problem));
    ok(fx, router_configure(fx->router, fx->now, &params, "test", 0, fx->json, sizeof fx->json,
                            &fx->ev, &fx->problem));
    fx_log(fx);
}

void live_route(struct fx *fx, uint64_t i)
{
    static const char prompt[] = "Summarise the quarterly report.";
    enum route_result result;
    struct request *r = &fx->request;
    memset(r, 0, sizeof *r);
    snprintf(r->request_id, sizeof r->request_id, "r%llu", (unsigned long long)i);
    strcpy(r->labels.tenant, i % 2 ? "acme" : "zenith");
    r->digest = i;
    r->prompt = prompt;
    r->prompt_len = strlen(prompt);
    r->prompt_tokens = (int64_t)(10 + i % 100);
    r->value = 1;
    ok(fx, router_route(fx->router, fx->now, r, &fx->ev, &result, &fx->problem));
    assert_int_equal(result, ROUTE_DECIDED);
    fx_log(fx);
}

void live_feedback(struct fx *fx, uint64_t seq, double quality)
{
    enum feedback_result result;
    struct feedback f = {
        .epoch = router_epoch(fx->router),
        .seq = seq,
        .mac = decision_mac(router_epoch(fx->router), seq, router_mac_key(fx->router)),
        .digest = seq + 77,
        .has = FB_QUALITY | FB_COST | FB_OUTPUT_TOKENS,
        .version = -1,
        .quality = quality,
        .output_tokens = 100,
        .cost_nano = 1000};
    ok(fx, router_feedback(fx->router, fx->now, &f, NULL, &fx->ev, &result, &fx->problem));
    fx_log(fx);
}

/* Adds n decisions with feedback to the batch. */
void live(struct fx *fx, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        fx->now += 1000;
        live_route(fx, router_seq(fx->router));
        live_feedback(fx, fx->ev.seq, i % 3 ? 1 : 0);
    }
}

/* Adds a snapshot to the batch. */
void live_snapshot(struct fx *fx)
{
    int g = db_next_generation(fx->db);
    snapshot_write(fx->router, g, on_item, fx);
    batch_snapshot_end(fx->batch, g, router_seq(fx->router));
}

/* A store of about 500 records with two snapshots and a tail; 50 decisions stay in memory. */
void live_history(struct fx *fx)
{
    live_start(fx);
    for (int i = 0; i < 24; i++) {
        live(fx, 10);
        if (i == 8 || i == 16)
            live_snapshot(fx);
        commit(fx);
    }
}

uint64_t recovered_digest(struct fx *fx, enum generation which, uint64_t until)
{
    struct router *r = fresh_router(fx);
    ok(fx, db_recover(fx->db, which, until, r, NULL, NULL, &fx->problem));
    if (until > 0)
        assert_int_equal(router_seq(r), until);
    uint64_t digest = snapshot_digest(r);
    router_free(r);
    return digest;
}

struct db_info info(struct fx *fx)
{
    struct db_info i;
    ok(fx, db_info(fx->db, &i, &fx->problem));
    return i;
}

bool count_visit(void *ctx, const struct event *e)
{
    uint64_t *last = ctx;
    assert_true(*last == 0 || e->seq == *last + 1);
    *last = e->seq;
    return true;
}
