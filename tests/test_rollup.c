/* SPDX-License-Identifier: MIT */
/*
 * Rollups against the label books: after any mixture of decisions, late, amended, repeated and
 * retracted feedback the table holds what the books as they stand amount to, hour by hour; with a
 * bound on keys, with hours that have become days, and after a restart from a snapshot.
 */
#include "bandit/rng.h"
#include "core/config/config.h"
#include "core/event/decision_id.h"
#include "core/router/credit.h"
#include "store/rollup.h"
#include "tests/store_fx.h"

enum { DECISIONS = 400, TASKS = 7, HOURS = 60 };

/* What the test knows of a decision by itself. */
struct known {
    uint64_t seq;
    struct event ev;
    struct label_book book;
};
static struct known known[2 * DECISIONS];
static int n_known;

static void route(struct fx *fx, const char *tenant, const char *task, double value)
{
    enum route_result result;
    struct request *r = &fx->request;
    memset(r, 0, sizeof *r);
    snprintf(r->request_id, sizeof r->request_id, "r%d", n_known);
    snprintf(r->labels.tenant, sizeof r->labels.tenant, "%s", tenant);
    snprintf(r->labels.user, sizeof r->labels.user, "u%d", n_known % 2);
    snprintf(r->labels.task, sizeof r->labels.task, "%s", task);
    r->digest = (uint64_t)n_known + 1;
    r->prompt_tokens = 10 + n_known;
    r->value = value;
    ok(fx, router_route(fx->router, fx->now, r, &fx->ev, &result, &fx->problem));
    assert_int_equal(result, ROUTE_DECIDED);
    fx_log(fx);
    assert_true(n_known < 2 * DECISIONS);
    struct known *k = &known[n_known++];
    k->seq = fx->ev.seq;
    k->ev = fx->ev;
    book_init(&k->book);
}

/* Reports on a decision; what the service took, the test's own book takes too. */
static void feed(struct fx *fx, struct known *k, struct feedback f)
{
    enum feedback_result result, own;
    static struct recalled recalled;
    f.epoch = k->ev.decided.epoch;
    f.seq = k->seq;
    f.mac = decision_mac(f.epoch, f.seq, router_mac_key(fx->router));
    recalled.decided = k->ev;
    if (!batch_find_book(fx->batch, k->seq, &recalled.book) &&
        db_read_book(fx->db, k->seq, &recalled.book) != STATUS_OK)
        book_init(&recalled.book);
    ok(fx, router_feedback(fx->router, fx->now, &f, &recalled, &fx->ev, &result, &fx->problem));
    fx_log(fx);
    ok(fx, book_take(&k->book, &f, &own, &fx->problem));
}

static struct feedback some_feedback(struct rng *g, int i)
{
    static const char *const sources[] = {"", "judge", "user"};
    struct feedback f = {.digest = (uint64_t)i + 1000, .version = -1};
    snprintf(f.source, sizeof f.source, "%s", sources[rng_below(g, 3)]);
    f.has = 1 + (unsigned)rng_below(g, 255);
    f.quality = (double)rng_below(g, 1001) / 1000;
    f.prompt_tokens = (int64_t)rng_below(g, 5000);
    f.cached_tokens = (int64_t)rng_below(g, 100);
    f.output_tokens = (int64_t)rng_below(g, 900);
    f.reasoning_tokens = (int64_t)rng_below(g, 300);
    f.cost_nano = (int64_t)rng_below(g, 5000000);
    f.latency_ms = (double)rng_below(g, 100000) / 7;
    f.failed = rng_below(g, 5) == 0;
    f.retract = rng_below(g, 6) == 0;
    if (rng_below(g, 3) == 0)
        f.version = (int64_t)rng_below(g, 4);
    return f;
}

static void random_life(struct fx *fx, struct rng *g, int steps)
{
    for (int i = 0; i < steps; i++) {
        char tenant[NAME_CAP], task[NAME_CAP];
        fx->now += (int64_t)rng_below(g, 600000);
        snprintf(tenant, sizeof tenant, "t%d", (int)rng_below(g, 3));
        snprintf(task, sizeof task, "k%d", (int)rng_below(g, TASKS));
        if (n_known < DECISIONS)
            route(fx, tenant, task, 1 + (double)rng_below(g, 3));
        for (int m = (int)rng_below(g, 4); m > 0; m--) {
            struct known *k = &known[rng_below(g, (uint32_t)n_known)];
            if (k->book.n_seen < 9)
                feed(fx, k, some_feedback(g, i * 10 + m));
        }
        if (i % 7 == 0)
            commit(fx);
    }
    commit(fx);
}

/* ---- the same sums another way ---- */

struct want {
    struct meter rows;
    struct meter_sums total;
};

/* What a book amounts to, written out anew with plain averages. */
static double mean_of(const struct label_book *b, enum feedback_field field, bool *has)
{
    double v = 0;
    *has = credit_average(b, field, &v);
    return v;
}

static void add_known(struct want *w, const struct known *k)
{
    struct meter_sums s = {0};
    struct meter_key key;
    struct decision_row row;
    struct credit c;
    uint8_t bytes[METER_KEY_MAX];
    bool has, tokens, cost;
    row_from_decided(&k->ev, &row);
    credit_of(&k->book, &row, &c);
    meter_key_of(&k->ev, &key);
    s.v[METER_REQUESTS] = 1;
    s.v[METER_ATTEMPTS] = 1;
    s.v[METER_SETTLED] = c.has_cost;
    s.v[METER_COST] = c.has_cost ? c.cost_nano : row.booked_nano;
    s.v[METER_BASELINE] = k->ev.decided.baseline_nano;
    double v = mean_of(&k->book, FB_PROMPT_TOKENS, &has);
    s.v[METER_TOKENS_IN] = has ? (int64_t)(v + 0.5) : row.prompt_tokens;
    v = mean_of(&k->book, FB_CACHED_TOKENS, &has);
    s.v[METER_TOKENS_CACHED] = has ? (int64_t)(v + 0.5) : row.cached_tokens;
    v = mean_of(&k->book, FB_OUTPUT_TOKENS, &tokens);
    s.v[METER_TOKENS_OUT] = tokens ? (int64_t)(v + 0.5) : 0;
    bool thought;
    double reasoning = mean_of(&k->book, FB_REASONING_TOKENS, &thought);
    s.v[METER_TOKENS_REASON] = thought ? (int64_t)(reasoning + 0.5) : 0;
    double quality = c.label[TARGET_QUALITY];
    s.v[METER_LABELS] = c.has[TARGET_QUALITY];
    s.v[METER_QUALITY] = c.has[TARGET_QUALITY] ? (int64_t)(quality * 1e9 + 0.5) : 0;
    s.v[METER_VALUE] =
        c.has[TARGET_QUALITY] ? (int64_t)(quality * k->ev.decided.value * 1e6 + 0.5) : 0;
    v = mean_of(&k->book, FB_LATENCY, &has);
    s.v[METER_TIMED] = has;
    s.v[METER_LATENCY] = has ? (int64_t)(v * 1e3 + 0.5) : 0;
    v = mean_of(&k->book, FB_FAILED, &has);
    s.v[METER_FAILURES] = has && v >= 0.5;
    v = mean_of(&k->book, FB_COST, &cost);
    if (cost && tokens) {
        s.v[METER_REPORTED] = (int64_t)(v + 0.5);
        s.v[METER_COMPUTED] = c.computed_nano;
    }
    size_t n = meter_key_put(&key, bytes);
    assert_true(meter_add(&w->rows, bytes, n, &s, 0));
    meter_sums_add(&w->total, &s);
}

static struct want wanted(void)
{
    struct want w = {0};
    for (int i = 0; i < n_known; i++)
        add_known(&w, &known[i]);
    return w;
}

struct found {
    struct meter rows;
    struct meter_sums total;
    int hours, days, other;
};

static bool on_row(void *ctx, const struct meter_key *key, int hours, const struct meter_sums *s)
{
    struct found *f = ctx;
    uint8_t bytes[METER_KEY_MAX];
    size_t n = meter_key_put(key, bytes);
    assert_true(meter_add(&f->rows, bytes, n, s, 0));
    meter_sums_add(&f->total, s);
    f->hours += hours == 1;
    f->days += hours == 24;
    f->other += strcmp(key->tenant, METER_OTHER) == 0;
    return true;
}

static struct found found(struct fx *fx, struct rollup_state *state)
{
    struct found f = {0};
    ok(fx, rollup_scan(fx->db, 0, UINT32_MAX, on_row, &f, state, &fx->problem));
    assert_int_equal(state->seq, router_seq(fx->router));
    return f;
}

static void same_rows(const struct meter *a, const struct meter *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        const struct meter_entry *e = &a->entry[i];
        const struct meter_entry *o = meter_find(b, a->keys + e->key_at, e->key_len);
        assert_non_null(o);
        assert_memory_equal(&e->sums, &o->sums, sizeof e->sums);
    }
}

static void checked(struct fx *fx)
{
    int64_t rows;
    ok(fx, rollup_check(fx->db, &rows, &fx->problem));
    assert_true(rows > 0);
}

/* ---- tests */

static void begin(struct fx *fx)
{
    n_known = 0;
    live_start(fx);
}

static void test_exact(void **state)
{
    struct fx *fx = *state;
    struct rng g = rng_stream(1, 2, 3);
    struct rollup_state st;
    begin(fx);
    random_life(fx, &g, 500);
    struct want w = wanted();
    struct found f = found(fx, &st);
    assert_int_equal(st.since, 1);
    assert_int_equal(f.total.v[METER_REQUESTS], DECISIONS);
    assert_true(f.total.v[METER_LABELS] > 50 && f.total.v[METER_FAILURES] > 5);
    same_rows(&w.rows, &f.rows);
    checked(fx);
    struct router_stats s;
    router_stats(fx->router, &s);
    assert_int_equal(f.total.v[METER_COST], s.spent_nano);
    assert_int_equal(f.total.v[METER_BASELINE], s.baseline_nano);
    meter_fini(&w.rows);
    meter_fini(&f.rows);
}

/* Replaying at a start adds nothing; what comes afterwards is added once. */
static void test_restart(void **state)
{
    struct fx *fx = *state;
    struct rng g = rng_stream(4, 5, 6);
    struct rollup_state st;
    begin(fx);
    random_life(fx, &g, 60);
    live_snapshot(fx);
    commit(fx);
    random_life(fx, &g, 30);
    close_store(fx);
    router_free(fx->router);
    ok(fx, open_store(fx, false));
    fx->router = fresh_router(fx);
    ok(fx, db_recover(fx->db, GENERATION_CURRENT, 0, fx->router, NULL, NULL, &fx->problem));
    struct want w = wanted();
    struct found f = found(fx, &st);
    same_rows(&w.rows, &f.rows);
    checked(fx);
    meter_fini(&w.rows);
    meter_fini(&f.rows);
}

static void configure_keys(struct fx *fx, int64_t keys)
{
    static struct params params;
    params = *router_params(fx->router);
    params.meter.keys = keys;
    ok(fx, router_configure(fx->router, fx->now, &params, "test", 0, fx->json, sizeof fx->json,
                            &fx->ev, &fx->problem));
    fx_log(fx);
}

/* Beyond the bound sums go to "other", whole; a change of the bound on the way is followed. */
static void test_bound(void **state)
{
    struct fx *fx = *state;
    struct rng g = rng_stream(7, 8, 9);
    struct rollup_state st;
    begin(fx);
    configure_keys(fx, 2);
    random_life(fx, &g, 150);
    configure_keys(fx, 4);
    random_life(fx, &g, 100);
    struct want w = wanted();
    struct found f = found(fx, &st);
    assert_true(f.other > 5 && st.other > 5 && rollup_other(fx->db) == st.other);
    assert_memory_equal(&w.total, &f.total, sizeof w.total);
    for (size_t i = 0; i < f.rows.n; i++) { /* per hour: the bound, and an "other" per model */
        int same = 0;
        for (size_t k = 0; k < f.rows.n; k++)
            same += memcmp(f.rows.keys + f.rows.entry[i].key_at,
                           f.rows.keys + f.rows.entry[k].key_at, 4) == 0;
        assert_true(same <= 4 + 2);
    }
    checked(fx);
    meter_fini(&w.rows);
    meter_fini(&f.rows);
}

/* Hours become days, feedback for them still finds its place, old days go. */
static void test_days(void **state)
{
    struct fx *fx = *state;
    struct rng g = rng_stream(10, 11, 12);
    struct rollup_state st;
    begin(fx);
    random_life(fx, &g, 300);
    uint32_t now = (uint32_t)(fx->now / HOUR_MS);
    for (int i = 0; i < HOURS; i++) { /* an hour a commit */
        batch_meter_keep(fx->batch, now - 10, 0);
        live(fx, 0);
        fx->now += 1;
        route(fx, "t0", "k0", 1);
        commit(fx);
    }
    random_life(fx, &g, 100); /* amends decisions of all ages */
    struct want w = wanted();
    struct found f = found(fx, &st);
    assert_int_equal(st.folded, now - 10);
    assert_true(f.days > 3 && f.hours > 3);
    assert_memory_equal(&w.total, &f.total, sizeof w.total);
    checked(fx);
    batch_meter_keep(fx->batch, now - 10, now - 24);
    route(fx, "t0", "k0", 1);
    commit(fx);
    struct found less = found(fx, &st);
    assert_true(st.dropped > 0 && less.days < f.days);
    checked(fx);
    meter_fini(&w.rows);
    meter_fini(&f.rows);
    meter_fini(&less.rows);
}

/* A host that does not meter is noticed. */
static void test_check_notices(void **state)
{
    struct fx *fx = *state;
    struct rng g = rng_stream(13, 14, 15);
    int64_t rows;
    begin(fx);
    random_life(fx, &g, 20);
    router_on_meter(fx->router, NULL, NULL);
    route(fx, "t0", "k0", 1);
    commit(fx);
    assert_int_equal(rollup_check(fx->db, &rows, &fx->problem), STATUS_INTERNAL);
    assert_non_null(strstr(fx->problem.text, "requests"));
}

static void test_refused(void **state)
{
    struct fx *fx = *state;
    struct rollup_state st;
    struct labels l = {.tenant = "acme", .task = "faq"};
    begin(fx);
    commit(fx);
    assert_true(batch_empty(fx->batch));
    assert_true(meter_refused(batch_meter(fx->batch), fx->now, &l, 10));
    assert_true(batch_empty(fx->batch)); /* not worth a commit by itself ... */
    batch_meter_due(fx->batch);
    assert_false(batch_empty(fx->batch)); /* ... but in the end */
    commit(fx);
    struct found f = found(fx, &st);
    assert_int_equal(f.total.v[METER_REFUSED], 1);
    assert_int_equal(f.total.v[METER_REQUESTS], 0);
    meter_fini(&f.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_exact), STORE_TEST(test_restart),       STORE_TEST(test_bound),
        STORE_TEST(test_days),  STORE_TEST(test_check_notices), STORE_TEST(test_refused),
    };
    return cmocka_run_group_tests_name("rollup", tests, NULL, NULL);
}
