/* SPDX-License-Identifier: MIT */
/* Budgets in the fold: what decisions reserve, what reports settle, what nobody reports; every test
 * ends with the log folded again and a snapshot loaded. The ledger by itself is in test_pools.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/budget/pools.h"
#include "core/wire/wire.h"
#include "tests/fold_fx.h"

static struct fold *f;
static struct request request;

static int teardown(void **state)
{
    (void)state;
    fold_check(f);
    fold_free(f);
    return 0;
}

/* A request of ten tokens with a limit: with the models of the fixture its worst case on `small` is
 * (10 + most) * 100 nanodollars. */
static const struct request *ask(const char *tenant, const char *user, int64_t most)
{
    request = *fold_request(tenant, "chat");
    (void)snprintf(request.labels.user, NAME_CAP, "%s", user);
    request.prompt_tokens = 10;
    request.max_output_tokens = most;
    return &request;
}

static uint64_t decide(const char *tenant, const char *user, int64_t most)
{
    if (fold_try(f, ask(tenant, user, most)) != STATUS_OK)
        fail_msg("%s: %s", f->problem.path, f->problem.text);
    return f->ev.seq;
}

static struct feedback tokens(uint64_t seq, int64_t output)
{
    struct feedback r = fold_report(f, seq, "app", 0);
    r.has = FB_OUTPUT_TOKENS;
    r.output_tokens = output;
    return r;
}

static struct feedback cost(uint64_t seq, int64_t nano)
{
    struct feedback r = fold_report(f, seq, "app", 0);
    r.has = FB_COST;
    r.cost_nano = nano;
    return r;
}

static void feed(struct feedback r)
{
    fold_feed(f, &r);
}

/* What a column of an instance comes to over all its books. */
static int64_t column(const char *pool, const char *value, enum pool_column c, enum pool_unit u)
{
    const struct pools *p = router_pools(f->router);
    int64_t sum = 0;
    for (int64_t i = 0; i < p->cap; i++) {
        const struct pool *at = &p->pool[i];
        if (at->born == 0 || strcmp(p->config.spec[at->spec].name, pool) != 0 ||
            strcmp(at->value, value) != 0)
            continue;
        for (int b = 0; b < at->n_books; b++)
            sum += at->book[b].sum[c][u];
    }
    return sum;
}

static int64_t settled(const char *pool)
{
    return column(pool, "", BOOK_SETTLED, POOL_NANO) + column(pool, "", BOOK_OVER, POOL_NANO);
}

static int64_t reserved(const char *pool)
{
    return column(pool, "", BOOK_RESERVED, POOL_NANO);
}

#define FIXED "\"policy\":{\"name\":\"fixed\",\"model\":\"small\"},"

static void reserved_and_settled(void **state)
{
    (void)state;
    f = fold_new("{" FIXED "\"pools\":[{\"name\":\"all\",\"usd\":1,\"window\":\"day\"}]}", 100);
    uint64_t seq = decide("acme", "", 90);
    assert_int_equal(reserved("all"), 10000);
    assert_int_equal(column("all", "", BOOK_RESERVED, POOL_TOKENS), 100);
    feed(tokens(seq, 40));
    assert_int_equal(reserved("all"), 0);
    assert_int_equal(settled("all"), 5000);
    assert_int_equal(column("all", "", BOOK_SETTLED, POOL_TOKENS), 50);
    struct feedback twice = cost(seq, 4321);
    feed(twice);
    feed(twice);
    assert_int_equal(f->result, FEEDBACK_DUPLICATE);
    assert_int_equal(settled("all"), 4321);
    struct feedback back = cost(seq, 0);
    back.retract = true;
    back.has = 0;
    feed(back); /* nobody says any more what it cost: the worst is assumed */
    assert_int_equal(settled("all"), 10000);
}

/* A call that failed may have cost something; who knows says so. */
static void nobody_reports(void **state)
{
    (void)state;
    f = fold_new("{" FIXED "\"budget\":{\"expire_after_s\":60},\"pools\":[{\"name\":\"all\","
                 "\"usd\":1}]}",
                 100);
    uint64_t silent = decide("acme", "", 90), failed = decide("acme", "", 90);
    struct feedback r = cost(failed, 0);
    r.has = FB_FAILED;
    r.failed = true;
    feed(r);
    assert_int_equal(reserved("all"), 20000);
    f->now += 59999;
    fold_follow(f);
    assert_int_equal(reserved("all"), 20000);
    uint64_t later = decide("acme", "", 90);
    fold_restart(f); /* what is due is found again */
    f->now += 1;
    fold_follow(f);
    assert_int_equal(reserved("all"), 10000);
    assert_int_equal(settled("all"), 20000);
    feed(cost(silent, 7)); /* late, but known now */
    assert_int_equal(settled("all"), 10007);
    feed(cost(failed, 0));
    assert_int_equal(settled("all"), 7);
    feed(cost(later, 8));
    assert_int_equal(settled("all"), 15);
    assert_int_equal(reserved("all"), 0);
}

/* What leaves memory with a reservation counts as spent; a late report still finds the hold. */
static void leaves_memory(void **state)
{
    (void)state;
    f = fold_new("{" FIXED "\"pools\":[{\"name\":\"all\",\"usd\":1}]}", 4);
    uint64_t first = decide("acme", "", 90);
    for (int i = 0; i < 6; i++)
        feed(cost(decide("acme", "", 90), 1));
    assert_false(router_has(f->router, first));
    assert_int_equal(reserved("all"), 0);
    assert_int_equal(settled("all"), 10006);
    feed(cost(first, 500));
    assert_int_equal(settled("all"), 506);
    feed(cost(first, 400)); /* recalled with what it has booked */
    assert_int_equal(settled("all"), 406);
}

static void last_unit(void **state)
{
    (void)state;
    f = fold_new("{" FIXED "\"pools\":[{\"name\":\"all\",\"usd\":0.00002,\"window\":\"hour\"}]}",
                 100);
    int won = 0;
    feed(tokens(decide("acme", "", 90), 90)); /* half of it is spent */
    for (int i = 0; i < 1000; i++) {
        enum status s = fold_try(f, ask("acme", "", 90));
        won += s == STATUS_OK;
        if (s == STATUS_OK)
            continue;
        assert_int_equal(s, STATUS_BUDGET_EXHAUSTED);
        assert_non_null(strstr(f->problem.text, "pool all is short of 0.00001 dollars"));
        assert_true(f->problem.retry_after_ms > 0 && f->problem.retry_after_ms <= 3600000);
    }
    assert_int_equal(won, 1);
    assert_int_equal(router_refusals(f->router)[0], 999);
    f->now += f->problem.retry_after_ms;
    assert_int_equal(fold_try(f, ask("acme", "", 90)), STATUS_OK);
}

/* The dear model drops out, the cheap one is drawn from what is left; nothing is reserved for
 * nothing. */
static void dear_models_drop_out(void **state)
{
    (void)state;
    f = fold_new("{\"pools\":[{\"name\":\"all\",\"usd\":0.0002,\"soft\":0.01}]}", 100);
    ask("acme", "", 90);
    request.dry_run = true;
    assert_int_equal(fold_try(f, &request), STATUS_OK);
    assert_int_equal(reserved("all"), 0);
    decide("acme", "", 90); /* big may cost 925000, mid 140000, small 10000 */
    const struct event_decided *d = &f->ev.decided;
    assert_int_equal(d->eligible, 3);
    assert_true(d->reasons & REASON_BUDGET);
    assert_true(d->reasons & REASON_SOFT_LIMIT);
    assert_string_equal(d->charge.pool, "all");
    assert_int_equal(d->charge.left[POOL_NANO], 200000 - reserved("all"));
    assert_int_equal(d->charge.left[POOL_TOKENS], -1);
    static char bytes[65536];
    struct text t = text_over(bytes, sizeof bytes);
    reply_decision(&t, &f->ev, &router_params(f->router)->catalog, router_mac_key(f->router),
                   &(struct reply_ask){.explain = false});
    assert_non_null(strstr(bytes, "\"pool\":\"all\""));
    char left[64];
    struct text l = text_over(left, sizeof left);
    text_put(&l, "\"remaining_usd\":");
    text_usd(&l, d->charge.left[POOL_NANO]);
    assert_non_null(strstr(bytes, left));
    assert_non_null(strstr(bytes, "\"action\":\"soft_limit\""));
    /* A fallback is paid from the same reservation. */
    for (int i = 0; i < 40; i++) {
        if (fold_try(f, ask("acme", "", 10)) != STATUS_OK)
            break;
        for (int k = 0; k < f->ev.decided.n_fallbacks; k++)
            assert_true(f->ev.decided.fallback[k] < f->ev.decided.arm);
        feed(cost(f->ev.seq, 1));
    }
}

static void expect_refused(enum status wanted, const char *path, const char *text)
{
    assert_int_equal(fold_try(f, &request), wanted);
    assert_string_equal(f->problem.path, path);
    if (!strstr(f->problem.text, text))
        fail_msg("%s", f->problem.text);
}

static void refusals(void **state)
{
    (void)state;
    f = fold_new("{\"pools\":[{\"name\":\"s\",\"usd\":1,\"match\":{\"tenant\":\"strict\"}},"
                 "{\"name\":\"k\",\"kill\":true,\"match\":{\"tenant\":\"killed\"}},"
                 "{\"name\":\"f\",\"match\":{\"tenant\":\"fused\"},\"mode\":\"quantile\",\"fuse\":{"
                 "\"usd\":0.000001,\"usd_per_hour\":0.000001}},{\"name\":\"e\",\"each\":\"user\","
                 "\"match\":{\"tenant\":\"each\"},\"tokens\":1000}],"
                 "\"budget\":{\"pool_instances\":4}}",
                 100);
    ask("strict", "", 0);
    expect_refused(STATUS_BAD_REQUEST, "/max_output_tokens", "pool s is strict");
    request.max_output_tokens = 5;
    request.prompt = NULL;
    request.prompt_tokens = -1;
    expect_refused(STATUS_BAD_REQUEST, "/prompt_tokens", "pool s is strict");
    ask("killed", "", 5);
    expect_refused(STATUS_THROTTLED, "", "pool k is switched off");
    (void)decide("fused", "", 0); /* trips it */
    expect_refused(STATUS_THROTTLED, "", "fuse of pool f");
    for (int i = 0; i < 3; i++) {
        char user[16];
        (void)snprintf(user, sizeof user, "u%d", i);
        (void)decide("each", user, 5);
    }
    ask("each", "u3", 5);
    expect_refused(STATUS_OVERLOADED, "", "budget.pool_instances");
    (void)decide("nobody", "", 0); /* no pool is asked */
    assert_int_equal(f->ev.decided.charge.n, 0);
}

/* A worst case far above what is used freezes a strict pool, not a quantile pool. */
static void big_limits(void **state)
{
    (void)state;
    int admitted[2];
    for (int quantile = 0; quantile < 2; quantile++) {
        char patch[256];
        (void)snprintf(patch, sizeof patch,
                       "{" FIXED "\"pools\":[{\"name\":\"all\",\"usd\":0.05,\"mode\":\"%s\"}]}",
                       quantile ? "quantile" : "strict");
        if (f && quantile)
            fold_free(f);
        f = fold_new(patch, 1000);
        struct rng g = rng_stream(5, 0, 0);
        for (int i = 0; i < 300; i++) { /* others teach it how long answers are */
            request = *fold_request("other", "chat");
            struct feedback said = tokens(1, 100 + (int64_t)rng_below(&g, 200));
            fold_teach(f, "chat", "small", &said);
        }
        fold_tick(f);
        admitted[quantile] = 0;
        for (int i = 0; i < 900; i++) /* all of them in flight at once */
            admitted[quantile] += fold_try(f, ask("acme", "", 100000)) == STATUS_OK;
    }
    print_message("admitted of 900 in flight with max_output_tokens 100000 and $0.05: strict %d, "
                  "quantile %d\n",
                  admitted[0], admitted[1]);
    assert_int_equal(admitted[0], 4);
    assert_int_equal(admitted[1], 900);
}

static void windows_and_prices(void **state)
{
    (void)state;
    f = fold_new("{" FIXED "\"pools\":[{\"name\":\"m\",\"usd\":0.00001,\"window\":\"minute\"}]}",
                 100);
    f->now = 1700000040000; /* begins a minute */
    uint64_t seq = decide("acme", "", 90);
    assert_int_equal(fold_try(f, ask("acme", "", 90)), STATUS_BUDGET_EXHAUSTED);
    f->now += 60000;
    fold_configure(f, "{\"models\":[{\"name\":\"small\",\"usd_per_mtok_in\":0.2,"
                      "\"usd_per_mtok_out\":0.2}]}");
    assert_int_equal(fold_try(f, ask("acme", "", 90)), STATUS_BUDGET_EXHAUSTED); /* dearer now */
    (void)decide("acme", "", 40);
    feed(tokens(seq, 40)); /* at the prices and in the window of the decision */
    assert_int_equal(column("m", "", BOOK_SETTLED, POOL_NANO), 5000);
    assert_int_equal(reserved("m"), 10000);
    assert_int_equal(fold_try(f, ask("acme", "", 1)), STATUS_BUDGET_EXHAUSTED);
    fold_configure(f, "{\"pools\":[]}");
    assert_int_equal(fold_try(f, ask("acme", "", 90)), STATUS_OK);
    feed(tokens(seq, 41)); /* its pool is gone */
}

static void renamed_model(void **state)
{
    (void)state;
    f = fold_new("{" FIXED "\"pools\":[{\"name\":\"per\",\"each\":\"model\",\"usd\":0.00001},{"
                 "\"name\":\"one\",\"match\":{\"model\":\"small\"},\"usd\":0.00001}]}",
                 100);
    (void)decide("acme", "", 90);
    assert_int_equal(column("per", "small", BOOK_RESERVED, POOL_NANO), 10000);
    ask("acme", "", 90);
    request.constraints.allow[0] = "small";
    request.constraints.n_allow = 1;
    assert_int_equal(fold_try(f, &request), STATUS_BUDGET_EXHAUSTED);
    fold_rename(f, "small", "tiny");
    request.constraints.allow[0] = "tiny";
    assert_int_equal(fold_try(f, &request), STATUS_BUDGET_EXHAUSTED);
    assert_int_equal(column("per", "tiny", BOOK_RESERVED, POOL_NANO), 10000);
}

/* ---- a random run ---- */

enum { STEPS = 3000, OPEN = 40 };
static struct {
    uint64_t seq;
    int64_t most, spent;
    int reports;
} open[OPEN];

static int64_t caps_watched;

/* Of every strict pool: what counts in the window does not exceed the cap, now or ever. */
static void watch_caps(void)
{
    static const char *const users[] = {"", "ann", "bob", "cy"};
    const struct pools *p = router_pools(f->router);
    for (int i = 0; i < 4; i++) {
        struct pool_labels labels = {
            .of = {[POOL_TENANT] = "acme", [POOL_TASK] = "chat", [POOL_USER] = users[i]}};
        struct pool_path path;
        pools_path(p, &labels, router_clock(f->router), &path);
        for (int e = 0; e < path.n; e++) {
            if (!(path.strict >> e & 1))
                continue;
            for (int u = 0; u < POOL_UNITS; u++) {
                int64_t used = pools_used(p, &path.entry[e], (enum pool_unit)u);
                if (path.entry[e].cap[u] >= 0)
                    assert_true(used <= path.entry[e].cap[u]);
                caps_watched++;
            }
        }
    }
}

static void step(struct rng *g, int *refused)
{
    static const char *const users[] = {"ann", "bob", "cy"};
    int what = (int)rng_below(g, 100), at = (int)rng_below(g, OPEN);
    f->now += (int64_t)rng_below(g, 900);
    if (what < 55) {
        int64_t most = 1 + (int64_t)rng_below(g, 60);
        enum status s = fold_try(f, ask("acme", users[rng_below(g, 3)], most));
        *refused += s == STATUS_BUDGET_EXHAUSTED;
        if (s == STATUS_OK) {
            open[at].seq = f->ev.seq;
            open[at].reports = 0;
            open[at].most = open[at].spent = most;
        }
    } else if (what < 95 && open[at].seq && open[at].reports++ < 6) {
        struct feedback r =
            tokens(open[at].seq, (int64_t)rng_below(g, (uint64_t)open[at].spent + 1));
        open[at].spent = r.output_tokens; /* amended downwards only: see core/budget/pools.h */
        feed(r);
        if (rng_below(g, 3) == 0)
            feed(r);
    } else if (what == 96) {
        char patch[128];
        (void)snprintf(patch, sizeof patch,
                       "{\"models\":[{\"name\":\"small\",\"usd_per_mtok_out\":%d}]}",
                       1 + (int)rng_below(g, 9));
        fold_configure(f, patch);
    } else if (what == 97) {
        fold_restart(f);
    } else {
        fold_tick(f);
    }
    fold_follow(f);
}

static void random_run(void **state)
{
    (void)state;
    f = fold_new("{\"budget\":{\"expire_after_s\":20},\"pools\":["
                 "{\"name\":\"org\",\"usd\":0.004,\"tokens\":3000,\"window\":\"minute\"},"
                 "{\"name\":\"acme\",\"parent\":\"org\",\"match\":{\"tenant\":\"acme\"},"
                 "\"usd\":0.003},"
                 "{\"name\":\"user\",\"parent\":\"acme\",\"each\":\"user\",\"usd\":0.0012,"
                 "\"window\":\"rolling\",\"length_s\":120},"
                 "{\"name\":\"soft\",\"match\":{\"task\":\"chat\"},\"usd\":0.5,"
                 "\"mode\":\"quantile\"}]}",
                 30);
    struct rng g = rng_stream(11, 0, 0);
    int refused = 0;
    memset(open, 0, sizeof open);
    for (int i = 0; i < STEPS; i++) {
        step(&g, &refused);
        watch_caps();
        if (i % 500 == 0)
            fold_check(f);
    }
    assert_true(refused > STEPS / 20);
    print_message("%d refused, %lld caps watched\n", refused, (long long)caps_watched);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
        TEST(reserved_and_settled), TEST(nobody_reports),
        TEST(leaves_memory),        TEST(last_unit),
        TEST(dear_models_drop_out), TEST(refusals),
        TEST(big_limits),           TEST(windows_and_prices),
        TEST(renamed_model),        TEST(random_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
