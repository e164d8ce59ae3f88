/* SPDX-License-Identifier: MIT */
/*
 * Learned state of one engine in another: the same predictions, once, and gone again; live state =
 * replayed state throughout (fold_check).
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
#include "core/learn/imports.h"
#include "core/learn/learned.h"
#include "tests/fold_fx.h"

enum { ARMS = 3, TASKS = 3 };
static const char *const task_name[TASKS] = {"summary", "code", "legal"};
static uint8_t piece[LEARNED_BYTES_MAX];

/* So many decisions with everything reported; what is good at what depends on `turn`. */
static void live(struct fold *f, int decisions, int turn)
{
    for (int i = 0; i < decisions; i++) {
        struct rng g = rng_stream(7, (uint64_t)i, (uint64_t)turn);
        f->now += 60000;
        uint64_t seq = fold_route(f, i % 3 ? "acme" : "initech", task_name[i % TASKS]);
        int arm = f->ev.decided.arm;
        struct feedback r = fold_report(f, seq, "", (arm + i + turn) % 3 ? 0.9 : 0.2);
        r.has |= FB_OUTPUT_TOKENS | FB_LATENCY | FB_COST | FB_FAILED;
        r.output_tokens = 50 + (int64_t)rng_below(&g, 400) * (arm + 1);
        r.latency_ms = 100 + 300 * arm + (double)rng_below(&g, 100);
        r.cost_nano = 20000 * (arm + 1) + (int64_t)rng_below(&g, 9000);
        r.failed = turn > 0 && rng_below(&g, 20) == 0; /* then its quality is still awaited */
        fold_feed(f, &r);
        (void)fold_follow(f);
    }
    fold_tick(f);
}

/* Every prediction of every model for every task, as a request finds it now. */
struct seen {
    double v[TASKS][ARMS][2 * TARGETS + 1];
};

static struct seen look(struct fold *f)
{
    struct seen s;
    for (int k = 0; k < TASKS; k++) {
        static struct event ev;
        enum route_result result;
        struct request *r = fold_request("acme", task_name[k]);
        r->dry_run = true;
        assert_int_equal(router_route(f->router, f->now, r, &ev, &result, &f->problem), STATUS_OK);
        for (int a = 0; a < ARMS; a++) {
            const struct arm_view *view = &ev.decided.view[a];
            for (int t = 0; t < TARGETS; t++) {
                s.v[k][a][2 * t] = (double)view->mean[t];
                s.v[k][a][2 * t + 1] = (double)view->sd[t];
            }
            s.v[k][a][2 * TARGETS] = (double)view->cost_nano;
        }
    }
    return s;
}

/* The largest difference of two, relative to what differs. */
static double apart(const struct seen *a, const struct seen *b)
{
    double most = 0;
    for (int k = 0; k < TASKS; k++)
        for (int arm = 0; arm < ARMS; arm++)
            for (int i = 0; i <= 2 * TARGETS; i++) {
                double x = a->v[k][arm][i], y = b->v[k][arm][i];
                most = fmax(most, fabs(x - y) / fmax(1, fabs(x)));
            }
    return most;
}

static enum status take_in(struct fold *to, const struct event_learned *e)
{
    enum status s = router_learned(to->router, to->now, e, &to->ev, &to->problem);
    if (s == STATUS_OK)
        fold_keep(to);
    return s;
}

static void put(struct fold *to, const char *name, int turn, int part, int arm, double share,
                int64_t as_of_ms)
{
    int d;
    (void)router_learned_schema(to->router, &d);
    struct event_learned e = {.turn = (uint8_t)turn,
                              .part = (uint8_t)part,
                              .arm = (uint8_t)arm,
                              .as_of_ms = as_of_ms,
                              .share = share,
                              .bytes = piece,
                              .len = (uint32_t)learned_len(part, d)};
    (void)snprintf(e.name, NAME_CAP, "%s", name);
    if (take_in(to, &e) != STATUS_OK)
        fail_msg("%s", to->problem.text);
}

/* All that one knows into another; with replace, in the place of what that one knows. */
static void carry(struct fold *from, struct fold *to, const char *name, bool replace, double share)
{
    for (int arm = 0; arm < ARMS; arm++)
        for (int part = 0; part < LEARNED_PRIOR; part++) {
            if (replace) {
                router_learned_take(to->router, 0, part, arm, piece);
                put(to, name, LEARNED_PUT_ASIDE, part, arm, 1, to->now);
            }
            router_learned_take(from->router, 0, part, arm, piece);
            put(to, name, LEARNED_ADDED, part, arm, share, from->now);
        }
}

static void carry_prior(struct fold *from, struct fold *to, const char *name)
{
    router_learned_take(to->router, 0, LEARNED_PRIOR, 0, piece);
    put(to, name, LEARNED_PUT_ASIDE, LEARNED_PRIOR, 0, 1, to->now);
    router_learned_take(from->router, 0, LEARNED_PRIOR, 0, piece);
    put(to, name, LEARNED_ADDED, LEARNED_PRIOR, 0, 1, from->now);
}

/* Takes an import out again by its records, as a service does that reads its log. */
static void take_back(struct fold *f, const char *name)
{
    const struct import *in = imports_find(router_imports(f->router), name, 0);
    static struct event rec[2 * LEARNED_PARTS];
    assert_non_null(in);
    struct import was = *in;
    for (int a = 0; a <= MODELS_MAX; a++) {
        int n = 0;
        for (uint64_t s = was.seq[a]; s != 0 && s <= f->n && n < 2 * LEARNED_PARTS; s++, n++) {
            assert_int_equal(event_decode(f->record[s], f->len[s], &rec[n], NULL), STATUS_OK);
            if (rec[n].kind != EVENT_LEARNED || strcmp(rec[n].learned.name, name) != 0 ||
                (a == MODELS_MAX) != (rec[n].learned.part == LEARNED_PRIOR) ||
                (a < MODELS_MAX && rec[n].learned.arm != a))
                break;
        }
        while (n-- > 0) {
            struct event_learned e = rec[n].learned;
            e.turn = e.turn == LEARNED_ADDED ? LEARNED_TAKEN_BACK : LEARNED_PUT_BACK;
            assert_int_equal(take_in(f, &e), STATUS_OK);
        }
    }
    for (int a = 0; a <= MODELS_MAX; a++)
        assert_int_equal(imports_find(router_imports(f->router), name, 0)->seq[a], 0);
}

/* Into an engine that knows nothing: it predicts what the first does, to rounding. */
static void test_empty(void **state)
{
    (void)state;
    struct fold *a = fold_new("{\"learner\":{\"half_life_hours\":0}}", 1000);
    struct fold *b = fold_new("{\"learner\":{\"half_life_hours\":0}}", 1000);
    live(a, 400, 0);
    b->now = a->now;
    struct seen before = look(b), first = look(a);
    assert_true(apart(&before, &first) > 0.05);
    carry(a, b, "a", false, 1);
    carry_prior(a, b, "a");
    fold_tick(b);
    struct seen second = look(b);
    double off = apart(&first, &second);
    if (!(off <= 1e-9))
        fail_msg("off by %.3g", off);
    fold_check(b);
    fold_restart(b);
    assert_true(imports_find(router_imports(b->router), "a", 0)->seq[0] > 0);
    /* they go on alike */
    live(a, 50, 1);
    live(b, 50, 1);
    fold_check(b);
    take_back(b, "a");
    fold_check(b);
    fold_free(a);
    fold_free(b);
}

/* Added to what is known and taken out again, in whole or in the place of it: what remains is what
 * was there before. */
static void test_undo(void **state)
{
    (void)state;
    static const char patch[] = "{\"learner\":{\"half_life_hours\":0,\"pool_labels\":0}}";
    struct fold *a = fold_new(patch, 1000), *b = fold_new(patch, 1000);
    live(a, 300, 0);
    live(b, 200, 1);
    struct seen before = look(b);
    carry(a, b, "one", false, 0.5);
    struct seen with = look(b);
    assert_true(apart(&before, &with) > 0.01);
    take_back(b, "one");
    struct seen after = look(b);
    assert_true(apart(&before, &after) < 1e-6);
    uint64_t open = fold_route(b, "acme", "code");
    int arm = b->ev.decided.arm;
    carry(a, b, "two", true, 1);
    struct seen other = look(a), swapped = look(b);
    assert_true(apart(&other, &swapped) < 0.2); /* the clocks and the prior are others */
    /* what befell decisions of before it is not learned any more */
    struct feedback late = fold_report(b, open, "", 0.0);
    double q = fold_predict(b, "acme", "code", arm, TARGET_QUALITY);
    fold_feed(b, &late);
    fold_tick(b);
    assert_true(fabs(q - fold_predict(b, "acme", "code", arm, TARGET_QUALITY)) < 1e-9);
    fold_check(b);
    take_back(b, "two");
    after = look(b);
    assert_true(apart(&before, &after) < 1e-6);
    fold_check(b);
    fold_restart(b);
    fold_free(a);
    fold_free(b);
}

/* What is forgotten, and what fades, after an import is taken out as faded. */
static void test_fade(void **state)
{
    (void)state;
    static const char patch[] = "{\"learner\":{\"pool_labels\":0,\"half_life_hours\":48}}";
    struct fold *a = fold_new(patch, 1000), *b = fold_new(patch, 1000);
    struct fold *c = fold_new(patch, 1000);
    live(a, 60, 0);
    live(b, 200, 1);
    live(c, 200, 1);
    b->now += 1000;
    c->now += 1000;
    carry(a, b, "one", false, 1);
    struct fold *both[] = {b, c};
    for (int i = 0; i < 2; i++) { /* the log's own fact: a model is found to have changed */
        both[i]->now += 1000;
        static struct event ev;
        ev = (struct event){.seq = router_seq(both[i]->router) + 1,
                            .time_ms = both[i]->now,
                            .kind = EVENT_DRIFTED,
                            .drifted = {.arm = 1, .target = TARGET_QUALITY}};
        assert_int_equal(router_apply(both[i]->router, &ev, &both[i]->problem), STATUS_OK);
        both[i]->ev = ev;
        fold_keep(both[i]);
    }
    take_back(b, "one");
    fold_check(b);
    router_settle(b->router); /* both as of now: what is looked at is the evidence, not its age */
    router_settle(c->router);
    struct seen x = look(b), y = look(c);
    assert_true(apart(&x, &y) < 1e-6);
    fold_free(a);
    fold_free(b);
    fold_free(c);
}

/* What stats tell of a month, and of a model: that is what is predicted of it for the average
 * request: here tasks are asked for equally often. The bias alone, which no request has for itself,
 * is somewhere else. */
static void test_average(void **state)
{
    (void)state;
    static struct router_stats st;
    struct fold *f = fold_new("{\"learner\":{\"half_life_hours\":0}}", 1000);
    live(f, 300, 0);
    router_stats(f->router, &st);
    struct seen s = look(f);
    double bias = 0;
    for (int a = 0; a < ARMS; a++) {
        int d;
        double q = 0;
        for (int k = 0; k < TASKS; k++)
            q += s.v[k][a][2 * TARGET_QUALITY] / TASKS;
        assert_true(fabs(st.model[a].quality_mean - q) < 0.01);
        bias = fmax(bias, fabs(router_weights(f->router, a, TARGET_QUALITY, &d)[0] - q));
    }
    assert_true(bias > 0.05);
    /* a request a minute so far: so many until the month ends, at what one has cost */
    double left = (double)(st.month.end_ms - st.clock_ms) / 60000;
    assert_true(fabs(st.month.requests / left - 1) < 0.05);
    double mean = (double)st.spent_nano * 1e-9 / (double)st.decisions;
    assert_true(fabs(st.month.usd / st.month.requests / mean - 1) <
                0.5); /* it began with guesses */
    fold_free(f);
    f = fold_new(NULL, 1000);
    live(f, 30, 0);
    router_stats(f->router, &st);
    assert_true(isnan(st.month.usd) && st.month.start_ms < f->now && f->now < st.month.end_ms);
    fold_free(f);
}

/* Numbers that no rows can have led to are refused, and nothing has happened. */
static void test_refused(void **state)
{
    (void)state;
    struct fold *f = fold_new(NULL, 1000);
    int d;
    live(f, 100, 0);
    (void)router_learned_schema(f->router, &d);
    uint64_t digest = snapshot_digest(f->router), n = f->n;
    for (size_t at = 0; at < learned_len(TARGET_QUALITY, d) / 8; at++) {
        router_learned_take(f->router, 0, TARGET_QUALITY, 1, piece);
        double v = at == RIDGE_BLOCK_HEAD ? 1e9 : -1e6; /* b_0 beyond what labels allow */
        struct event_learned e = {.name = "x",
                                  .turn = LEARNED_ADDED,
                                  .arm = 1,
                                  .as_of_ms = f->now,
                                  .share = 1,
                                  .bytes = piece,
                                  .len = (uint32_t)learned_len(TARGET_QUALITY, d)};
        memcpy(piece + 8 * at, &v, 8);
        assert_int_equal(take_in(f, &e), STATUS_BAD_REQUEST);
    }
    router_learned_take(f->router, 0, TARGET_QUALITY, 1, piece);
    struct event_learned e = {
        .name = "x", .turn = LEARNED_ADDED, .share = 1, .bytes = piece, .len = 8};
    assert_int_equal(take_in(f, &e), STATUS_BAD_REQUEST);
    assert_int_equal(snapshot_digest(f->router), digest);
    assert_int_equal(f->n, n);
    fold_free(f);
}

/* The table of imports forgets the oldest. */
static void test_imports(void **state)
{
    (void)state;
    struct imports i = {0};
    char name[NAME_CAP];
    for (int k = 0; k <= IMPORTS_MAX; k++) {
        (void)snprintf(name, sizeof name, "import-%d", k);
        imports_note(&i, name, 0)->seq[0] = (uint64_t)k + 1;
    }
    assert_null(imports_find(&i, "import-0", 0));
    assert_null(imports_find(&i, "import-1", 1));
    assert_int_equal(imports_find(&i, "import-8", 0)->seq[0], 9);
    assert_int_equal(i.n, IMPORTS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),   cmocka_unit_test(test_undo),
        cmocka_unit_test(test_fade),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_imports), cmocka_unit_test(test_average),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
