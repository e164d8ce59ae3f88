/* SPDX-License-Identifier: MIT */
/* Escalation in the fold: the next attempt on a higher tier, and the label of the one before. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/limits.h"
#include "core/meter/meter.h"
#include "core/wire/wire.h"
#include "tests/fold_fx.h"

enum { HOUR = 3600000, SMALL = 0, MID = 1, BIG = 2 };
static const char PLAIN[] = "{\"learner\":{\"pool_labels\":0}}";

/* A request under an id, to be answered by one model ("" = any). */
static struct request *ask(const char *id, const char *model)
{
    static const char *only;
    struct request *r = fold_request("acme", "chat");
    (void)snprintf(r->request_id, NAME_CAP, "%s", id);
    r->digest = hash64(id, strlen(id), 7);
    only = model;
    r->constraints.n_allow = model[0] ? 1 : 0;
    r->constraints.allow[0] = only;
    return r;
}

static uint64_t first(struct fold *f, const char *id, const char *model)
{
    uint64_t seq = fold_ask(f, ask(id, model));
    assert_int_equal(f->ev.decided.attempt.from, 0);
    assert_int_equal(f->ev.decided.reasons & REASON_ESCALATED, 0);
    return seq;
}

static uint64_t again(struct fold *f, uint64_t seq, const char *id)
{
    if (fold_escalate(f, seq, ask(id, "")) != STATUS_OK)
        fail_msg("%s: %s", f->problem.path, f->problem.text);
    assert_int_equal(f->routed, ROUTE_DECIDED);
    assert_true(f->ev.decided.reasons & REASON_ESCALATED);
    assert_int_equal(f->ev.decided.attempt.from, seq);
    return f->ev.seq;
}

static void refused(struct fold *f, uint64_t seq, struct request *r, enum status why)
{
    uint64_t digest = snapshot_digest(f->router), n = f->n;
    assert_int_equal(fold_escalate(f, seq, r), why);
    assert_int_equal(snapshot_digest(f->router), digest); /* and nothing has changed */
    assert_int_equal(f->n, n);
}

/* Up the tiers, whatever is drawn; the last has nothing above it. */
static void test_upwards(void **state)
{
    (void)state;
    struct fold *f = fold_new(PLAIN, 100);
    for (int i = 0; i < 40; i++) {
        char id[4][NAME_CAP];
        int tier = SMALL, attempt = 1;
        for (int k = 0; k < 4; k++)
            (void)snprintf(id[k], NAME_CAP, "r%d.%d", i, k);
        uint64_t seq = first(f, id[0], "small");
        while (tier < BIG) {
            seq = again(f, seq, id[attempt]);
            assert_int_equal(f->ev.decided.attempt.tier, tier);
            assert_int_equal(f->ev.decided.attempt.earlier, attempt++);
            assert_true(f->ev.decided.arm > tier);
            assert_int_equal(f->ev.decided.eligible & ((2u << tier) - 1), 0);
            for (int k = 0; k < f->ev.decided.n_fallbacks; k++) /* the ordered ones too */
                assert_true(f->ev.decided.fallback[k] > tier);
            tier = f->ev.decided.arm;
        }
        refused(f, seq, ask("over", ""), STATUS_NO_ELIGIBLE_MODEL);
        assert_string_equal(f->problem.path, "/decision_id");
        assert_non_null(strstr(f->problem.text, "higher tier"));
    }
    fold_check(f);
    fold_free(f);
}

/* The label is learned once; a report displaces it, in any order; silence does not. */
static void test_label(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"escalation\":{\"quality\":0.25},\"learner\":{\"pool_labels\":0},"
                              "\"silence\":[{\"quality\":1,\"after_hours\":1}]}",
                              100);
    uint64_t a = first(f, "a", "small"), b = first(f, "b", "small"), c = first(f, "c", "small");
    again(f, a, "a2");
    assert_int_equal(fold_labels(f), 1);
    assert_true(fold_sum(f) == 0.25);
    f->now += 2 * HOUR;
    assert_int_equal(fold_follow(f), 3); /* b, c and the second attempt, but not a */
    assert_true(fold_sum(f) == 3.25);
    again(f, b, "b2"); /* silence has spoken: it yields */
    assert_int_equal(fold_labels(f), 4);
    assert_true(fold_sum(f) == 2.5);
    struct feedback real = fold_report(f, c, "judge", 0.5);
    fold_feed(f, &real);
    again(f, c, "c2"); /* a real label stands: it stays */
    assert_true(fold_sum(f) == 2);
    real = fold_report(f, a, "judge", 0.75);
    fold_feed(f, &real);
    assert_true(fold_sum(f) == 2.5);
    fold_feed(f, &real);
    assert_int_equal(f->result, FEEDBACK_DUPLICATE);
    struct feedback back = fold_report(f, a, "judge", 0);
    back.retract = true;
    fold_feed(f, &back);
    assert_true(fold_sum(f) == 2);
    fold_check(f);
    fold_restart(f);
    fold_check(f);
    fold_free(f);
}

/* The same message twice is one escalation; another one of the same decision is refused. */
static void test_once(void **state)
{
    (void)state;
    struct fold *f = fold_new(PLAIN, 100);
    uint64_t a = first(f, "a", "small"), b = again(f, a, "a2"), n = f->n;
    uint64_t digest = snapshot_digest(f->router);
    assert_int_equal(fold_escalate(f, a, ask("a2", "")), STATUS_OK);
    assert_int_equal(f->routed, ROUTE_RETRY);
    assert_int_equal(f->ev.seq, b);
    assert_int_equal(f->n, n);
    assert_int_equal(snapshot_digest(f->router), digest);
    refused(f, a, ask("a3", ""), STATUS_CONFLICT);
    struct request *r = ask("a2", ""); /* a first attempt under the second one's id */
    r->digest++;
    refused(f, a, r, STATUS_CONFLICT);
    assert_string_equal(f->problem.path, "/request_id");
    r = ask("dry", "");
    r->dry_run = true;
    uint64_t c = first(f, "c", "small");
    digest = snapshot_digest(f->router);
    r = ask("dry", "");
    r->dry_run = true;
    assert_int_equal(fold_escalate(f, c, r), STATUS_OK);
    assert_int_equal(f->routed, ROUTE_DRY);
    assert_int_equal(snapshot_digest(f->router), digest);
    again(f, c, "c2"); /* a dry run has not escalated it */
    fold_check(f);
    fold_free(f);
}

static void test_unknown(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"learner\":{\"join_window_hours\":2,\"pool_labels\":0}}", 100);
    uint64_t a = first(f, "a", "small");
    struct request *other = ask("x", "");
    strcpy(other->labels.tenant, "other");
    refused(f, a, other, STATUS_UNKNOWN_DECISION);
    refused(f, 1, ask("x", ""), STATUS_UNKNOWN_DECISION); /* a record, but no decision */
    refused(f, 1000, ask("x", ""), STATUS_UNKNOWN_DECISION);
    f->now += 3 * HOUR;
    refused(f, a, ask("x", ""), STATUS_UNKNOWN_DECISION);
    assert_non_null(strstr(f->problem.text, "route"));
    fold_free(f);
}

/* A decision that has left memory is escalated like any other, and once. */
static void test_recalled(void **state)
{
    (void)state;
    struct fold *f = fold_new(PLAIN, 2);
    uint64_t a = first(f, "a", "small");
    for (int i = 0; i < 5; i++)
        fold_route(f, "acme", "chat");
    assert_false(router_has(f->router, a));
    again(f, a, "a2");
    assert_true(fold_labels(f) == 1 && fold_sum(f) == 0);
    for (int i = 0; i < 5; i++)
        fold_route(f, "acme", "chat");
    refused(f, a, ask("a3", ""), STATUS_CONFLICT);
    fold_check(f);
    fold_free(f);
}

/* The new decision may be what makes the earlier one leave memory: its labels are not lost. */
static void test_makes_room(void **state)
{
    (void)state;
    struct fold *f = fold_new(PLAIN, 1);
    uint64_t a = first(f, "a", "small");
    struct feedback real = fold_report(f, a, "judge", 0.5);
    fold_feed(f, &real);
    again(f, a, "a2");
    assert_false(router_has(f->router, a));
    assert_true(fold_labels(f) == 1 && fold_sum(f) == 0.5);
    fold_feed(f, &real);
    assert_int_equal(f->result, FEEDBACK_DUPLICATE);
    struct feedback back = fold_report(f, a, "judge", 0);
    back.retract = true;
    fold_feed(f, &back);
    assert_true(fold_labels(f) == 1 && fold_sum(f) == 0);
    refused(f, a, ask("a3", ""), STATUS_CONFLICT);
    fold_check(f);
    fold_free(f);
}

/* Rules, hard constraints and budgets hold for the next attempt as for the first. */
static void test_limits(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"learner\":{\"pool_labels\":0},\"policy\":{\"name\":\"rules\"},"
                              "\"rules\":[{\"task\":\"chat\",\"model\":\"big\"}]}",
                              100);
    uint64_t a = first(f, "a", "small");
    again(f, a, "a2");
    assert_int_equal(f->ev.decided.arm, BIG); /* what the rule names, not the next tier */
    assert_true(f->ev.decided.reasons & REASON_RULE);
    fold_configure(f, "{\"rules\":[{\"task\":\"chat\",\"model\":\"small\"}]}");
    uint64_t b = first(f, "b", "small");
    again(f, b, "b2"); /* a rule that names what was found wanting does not */
    assert_true(f->ev.decided.arm > SMALL);
    fold_configure(f, "{\"policy\":{\"name\":\"lints\"}}");
    uint64_t c = first(f, "c", "small");
    refused(f, c, ask("c2", "small"), STATUS_NO_ELIGIBLE_MODEL);
    struct request *r = ask("c2", "");
    strcpy(r->constraints.min_tier, "large");
    assert_int_equal(fold_escalate(f, c, r), STATUS_OK);
    assert_int_equal(f->ev.decided.arm, BIG);
    uint64_t d = first(f, "d", "small");
    r = ask("d2", "");
    r->constraints.n_deny = 2;
    r->constraints.deny[0] = "mid";
    r->constraints.deny[1] = "big";
    refused(f, d, r, STATUS_NO_ELIGIBLE_MODEL);
    fold_check(f);
    fold_free(f);
}

/* "legal never below large": under every policy, at the first attempt and at the next. */
static void test_rules(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"learner\":{\"pool_labels\":0},\"rules\":["
                              "{\"task\":\"chat\",\"model\":\"small\"},"
                              "{\"words\":[\"what\"],\"task\":\"legal\",\"min_tier\":\"large\"},"
                              "{\"task\":\"legal\",\"min_tier\":\"medium\"}]}",
                              100);
    static const char *const policies[] = {"{\"policy\":{\"name\":\"lints\"}}",
                                           "{\"policy\":{\"name\":\"rules\"}}",
                                           "{\"policy\":{\"name\":\"fixed\",\"model\":\"small\"}}",
                                           "{\"policy\":{\"name\":\"uniform\"}}"};
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        fold_configure(f, policies[i]);
        for (int k = 0; k < 10; k++) {
            fold_route(f, "acme", "legal"); /* both rules match: the higher one binds */
            assert_int_equal(f->ev.decided.eligible, 1u << BIG);
            assert_true(f->ev.decided.reasons & REASON_RULE);
            struct request *r = fold_request("acme", "legal");
            r->prompt = "who?";
            r->prompt_len = 4;
            uint64_t seq = fold_ask(f, r);
            assert_int_equal(f->ev.decided.eligible, 1u << MID | 1u << BIG);
            if (f->ev.decided.arm != MID)
                continue;
            r = fold_request("acme", "legal");
            assert_int_equal(fold_escalate(f, seq, r), STATUS_OK);
            assert_int_equal(f->ev.decided.arm, BIG);
        }
    }
    fold_route(f, "acme", "chat");
    assert_int_equal(f->ev.decided.eligible, 7);
    struct request *r = ask("", "small"); /* hard against hard: nothing is relaxed */
    strcpy(r->labels.task, "legal");
    assert_int_equal(fold_try(f, r), STATUS_NO_ELIGIBLE_MODEL);
    assert_string_equal(f->problem.path, "/rules");
    uint64_t seq = first(f, "a", "small"); /* it was a chat, and becomes a legal matter */
    r = ask("a2", "");
    strcpy(r->labels.task, "legal");
    assert_int_equal(fold_escalate(f, seq, r), STATUS_OK);
    assert_int_equal(f->ev.decided.eligible, 1u << BIG);
    fold_check(f);
    fold_free(f);
}

/* What the one pool's reservations and bills come to. */
static int64_t used_nano(const struct fold *f)
{
    const struct pools *p = router_pools(f->router);
    int64_t sum = 0;
    for (int64_t i = 0; i < p->cap; i++)
        for (int b = 0; p->pool[i].born != 0 && b < p->pool[i].n_books; b++)
            sum += p->pool[i].book[b].sum[BOOK_RESERVED][POOL_NANO] +
                   p->pool[i].book[b].sum[BOOK_SETTLED][POOL_NANO];
    return sum;
}

static void test_budget(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"learner\":{\"pool_labels\":0},\"pools\":[{\"name\":\"all\","
                              "\"usd\":0.00012}]}",
                              100);
    struct request *r = ask("a", "small");
    r->prompt_tokens = 10;
    r->max_output_tokens = 100;
    uint64_t a = fold_ask(f, r);
    int64_t before = used_nano(f);
    assert_true(before > 0);
    r = ask("a2", "");
    r->prompt_tokens = 10;
    r->max_output_tokens = 1000; /* on any model above more than is left */
    refused(f, a, r, STATUS_BUDGET_EXHAUSTED);
    r = ask("a2", "mid");
    r->prompt_tokens = 10;
    r->max_output_tokens = 10;
    assert_int_equal(fold_escalate(f, a, r), STATUS_OK); /* the same id: nothing was decided */
    assert_true(used_nano(f) > before);                  /* both attempts are charged */
    fold_check(f);
    fold_free(f);
}

/* The conversation goes on with the model above. */
static void test_session(void **state)
{
    (void)state;
    struct fold *f = fold_new(PLAIN, 100);
    struct request *r = ask("a", "small");
    strcpy(r->labels.session, "talk");
    uint64_t a = fold_ask(f, r);
    r = ask("a2", "");
    strcpy(r->labels.session, "talk");
    assert_int_equal(fold_escalate(f, a, r), STATUS_OK);
    int arm = f->ev.decided.arm;
    assert_true(arm > SMALL);
    r = ask("b", "");
    strcpy(r->labels.session, "talk");
    fold_ask(f, r);
    assert_int_equal(f->ev.decided.arm, arm);
    assert_true(f->ev.decided.reasons & REASON_SESSION);
    fold_check(f);
    fold_free(f);
}

/* ---- looking ahead ---- */

/* What the models look like to a request, and what a dollar counts. */
static double views(struct fold *f, struct arm_view out[3])
{
    enum route_result result;
    struct request *r = ask("look", "");
    r->dry_run = true;
    assert_int_equal(router_route(f->router, f->now, r, &f->ev, &result, &f->problem), STATUS_OK);
    memcpy(out, f->ev.decided.view, 3 * sizeof *out);
    return decided_price(&f->ev.decided) * 1e-9;
}

/* With a share of wanting answers that are escalated, merits have the utility of the best model
 * above, as often as the answer is wanting; costs are those of the attempt. */
static void test_ahead(void **state)
{
    (void)state;
    struct fold *f = fold_new(PLAIN, 100);
    struct arm_view was[3], is[3];
    for (int i = 0; i < 30; i++) {
        uint64_t seq = first(f, "", i % 3 == 0 ? "small" : i % 3 == 1 ? "mid" : "big");
        struct feedback real = fold_report(f, seq, "judge", i % 3 == 2 ? 1 : 0.25);
        fold_feed(f, &real);
    }
    fold_configure(f, "{\"objective\":{\"cost\":0.5}}");
    double price = views(f, was);
    fold_configure(f, "{\"escalation\":{\"share\":0.5}}");
    views(f, is);
    double best = 0;
    for (int a = BIG; a >= SMALL; a--) {
        double want = (double)was[a].merit + 0.5 * (1 - (double)was[a].mean[TARGET_QUALITY]) * best;
        assert_true(fabs((double)is[a].merit - want) < 1e-6);
        assert_int_equal(is[a].cost_nano, was[a].cost_nano);
        best = fmax(best, (double)is[a].merit - price * (double)is[a].cost_nano);
    }
    assert_true(is[BIG].merit == was[BIG].merit && is[SMALL].merit > was[SMALL].merit);
    assert_true(is[SMALL].merit_sd < was[SMALL].merit_sd); /* less hangs on it */
    fold_check(f);
    fold_free(f);
}

/* ---- metering ---- */

static struct fold *metered;
static struct meter meter;

static void on_meter(void *ctx, const struct event *ev, const struct label_book *before,
                     const struct label_book *after)
{
    static struct event decided;
    struct meter_sums delta;
    uint64_t seq = ev->feedback.feedback.seq;
    (void)ctx;
    if (ev->kind == EVENT_DECIDED) {
        assert_true(meter_decided(&meter, ev, 100, &delta));
        return;
    }
    assert_int_equal(event_decode(metered->record[seq], metered->len[seq], &decided, NULL),
                     STATUS_OK);
    assert_true(meter_feedback(&meter, &decided, before, after, 100, &delta));
}

/* One request, two attempts; both are paid for, and what counts is the quality of the last. */
static void test_metered(void **state)
{
    (void)state;
    struct fold *f = metered = fold_new(PLAIN, 100);
    router_on_meter(f->router, on_meter, NULL);
    uint64_t a = first(f, "a", "small");
    int64_t booked = f->ev.decided.booked_nano, baseline = f->ev.decided.baseline_nano;
    struct feedback real = fold_report(f, a, "judge", 0.5);
    fold_feed(f, &real);
    uint64_t b = again(f, a, "a2");
    booked += f->ev.decided.booked_nano;
    real = fold_report(f, b, "judge", 1);
    fold_feed(f, &real);
    struct meter_sums sum = {0};
    for (size_t i = 0; i < meter.n; i++)
        meter_sums_add(&sum, &meter.entry[i].sums);
    assert_int_equal(sum.v[METER_REQUESTS], 1);
    assert_int_equal(sum.v[METER_ATTEMPTS], 2);
    assert_int_equal(sum.v[METER_COST], booked);
    assert_int_equal(sum.v[METER_BASELINE], baseline); /* it would have been asked once */
    struct router_stats s;
    router_stats(f->router, &s);
    assert_int_equal(s.baseline_nano, baseline);
    assert_int_equal(sum.v[METER_LABELS], 1);
    assert_int_equal(sum.v[METER_QUALITY], 1000000000);
    meter_fini(&meter);
    fold_free(f);
}

/* ---- the book ---- */

/* However many have spoken, there is a place for the label of an escalation. */
static void test_full_book(void **state)
{
    (void)state;
    struct fold *f = fold_new(PLAIN, 100);
    uint64_t a = first(f, "a", "small");
    for (int i = 0; i < SEEN_REPORTS; i++) {
        char source[NAME_CAP];
        (void)snprintf(source, sizeof source, "s%d", i % (SOURCES_MAX - 2));
        struct feedback r = fold_report(f, a, source, 0.5);
        fold_feed(f, &r);
    }
    again(f, a, "a2");
    assert_true(fold_sum(f) == 0.5);
    fold_check(f);
    fold_free(f);
}

/* ---- the wire ---- */

static enum status read_wire(const char *json, struct request *out)
{
    struct message m;
    struct problem p;
    enum status s = wire_open(&m, json, strlen(json), &p);
    if (s != STATUS_OK)
        return s;
    s = wire_request(&m, 0, out, &p);
    wire_close(&m);
    return s;
}

static void test_wire(void **state)
{
    (void)state;
    static struct request a, b;
#define ESC "{\"v\":1,\"op\":\"escalate\",\"request_id\":\"r\""
    assert_int_equal(read_wire(ESC ",\"decision_id\":\"1-2-00000000000000ff\"}", &a), STATUS_OK);
    assert_true(a.escalates.epoch == 1 && a.escalates.seq == 2 && a.escalates.mac == 255);
    assert_int_equal(read_wire(ESC ",\"decision_id\":\"1-3-00000000000000ff\"}", &b), STATUS_OK);
    assert_true(a.digest != b.digest);
    assert_int_equal(read_wire("{\"v\":1,\"op\":\"route\",\"request_id\":\"r\"}", &b), STATUS_OK);
    assert_true(a.digest != b.digest && b.escalates.seq == 0);
    assert_int_equal(read_wire(ESC "}", &a), STATUS_BAD_REQUEST);
    assert_int_equal(read_wire(ESC ",\"decision_id\":7}", &a), STATUS_BAD_REQUEST);
    assert_int_equal(read_wire(ESC ",\"decision_id\":\"nonsense\"}", &a), STATUS_UNKNOWN_DECISION);
    assert_int_equal(
        read_wire("{\"v\":1,\"op\":\"route\",\"decision_id\":\"1-2-00000000000000ff\"}", &a),
        STATUS_UNKNOWN_FIELD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upwards),  cmocka_unit_test(test_label),
        cmocka_unit_test(test_once),     cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_recalled), cmocka_unit_test(test_makes_room),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_rules),
        cmocka_unit_test(test_budget),   cmocka_unit_test(test_session),
        cmocka_unit_test(test_metered),  cmocka_unit_test(test_full_book),
        cmocka_unit_test(test_wire),     cmocka_unit_test(test_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
