/* SPDX-License-Identifier: MIT */
/* How much one report and one tenant may teach. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/learn/influence.h"
#include "core/learn/suspicion.h"
#include "tests/fold_fx.h"

static struct feedback usage(const struct fold *f, uint64_t seq, int64_t tokens, double ms)
{
    struct feedback r = fold_report(f, seq, "", 0);
    r.has = FB_OUTPUT_TOKENS | FB_LATENCY;
    r.output_tokens = tokens;
    r.latency_ms = ms;
    return r;
}

/* Plays n requests whose answers have so many tokens, give or take a tenth. */
static void play(struct fold *f, int n, int64_t tokens, double ms)
{
    struct rng g = rng_stream(3, 3, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        f->now += 1000;
        uint64_t seq = fold_route(f, "a", "t");
        double k = 0.9 + 0.2 * rng_uniform(&g);
        struct feedback r = usage(f, seq, (int64_t)(k * (double)tokens), k * ms);
        fold_feed(f, &r);
        fold_follow(f);
    }
    fold_tick(f);
}

/* What one report makes of the predictions. */
struct moved {
    double tokens, ms; /* factors */
    double ratio;      /* of cost, after */
};

enum absurdity { LONG, DEAR, LONG_AND_CHEAP, TAUGHT };

static struct feedback absurd(const struct fold *f, uint64_t seq, enum absurdity kind)
{
    const int64_t usual = 300000, very = 1000000; /* nanodollars of 200 tokens of mid */
    struct feedback r = usage(f, seq, kind == DEAR ? 200 : 200 * very, kind == DEAR ? 500 : 1e9);
    if (kind == DEAR || kind == LONG_AND_CHEAP) {
        r.has |= FB_COST;
        r.cost_nano = usual * very / (kind == DEAR ? 1 : 2);
    }
    return r;
}

static void one_report(enum absurdity kind, bool bound, struct moved *out)
{
    struct fold *f = fold_new("{\"policy\":{\"name\":\"fixed\",\"model\":\"mid\"}}", 1000);
    if (!bound)
        fold_configure(f, "{\"learner\":{\"most_off\":0}}");
    play(f, 40, 200, 500);
    out->tokens = 1 / fold_predict(f, "a", "t", 1, TARGET_TOKENS);
    out->ms = 1 / fold_predict(f, "a", "t", 1, TARGET_LATENCY);
    struct router_stats before, after;
    uint64_t seq = kind == TAUGHT ? 0 : fold_route(f, "a", "t");
    struct feedback r = absurd(f, seq, kind);
    router_stats(f->router, &before);
    if (kind == TAUGHT)
        fold_teach(f, "t", "mid", &r);
    else
        fold_feed(f, &r);
    fold_tick(f);
    router_stats(f->router, &after);
    out->tokens *= fold_predict(f, "a", "t", 1, TARGET_TOKENS);
    out->ms *= fold_predict(f, "a", "t", 1, TARGET_LATENCY);
    out->ratio = after.model[1].cost_ratio;
    if (r.has & FB_COST) /* spending is what was reported */
        assert_true(llabs(after.spent_nano - before.spent_nano - r.cost_nano) < 1000000);
    fold_check(f);
    fold_free(f);
}

/* One absurd report, without the bound and with it. covers: N13 N12 */
static void test_one_report(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double free_tokens, tokens; /* at least without, at most with the bound */
        double free_ms, ms;
        double ratio_low, ratio_high; /* with the bound; without it lies outside */
    } want[] = {[LONG] = {"a million times the tokens", 100, 3, 100, 3, 0.9, 1.1},
                [DEAR] = {"a million times the cost", 0, 1.2, 0, 1.2, 1, 3},
                [LONG_AND_CHEAP] = {"long, at half the price", 100, 3, 100, 3, 0.7, 1},
                [TAUGHT] = {"taught", 100, 3, 100, 3, 0.9, 1.1}};
    for (int kind = LONG; kind <= TAUGHT; kind++) {
        struct moved free_of, bound;
        one_report((enum absurdity)kind, false, &free_of);
        one_report((enum absurdity)kind, true, &bound);
        print_message("%s: predicted tokens x%.3g, ms x%.3g, cost ratio %.3g without the bound; "
                      "x%.3g, x%.3g, %.3g with\n",
                      want[kind].name, free_of.tokens, free_of.ms, free_of.ratio, bound.tokens,
                      bound.ms, bound.ratio);
        assert_true(free_of.tokens >= want[kind].free_tokens && bound.tokens <= want[kind].tokens);
        assert_true(free_of.ms >= want[kind].free_ms && bound.ms <= want[kind].ms);
        assert_true(bound.ratio >= want[kind].ratio_low && bound.ratio <= want[kind].ratio_high);
        if (kind == DEAR || kind == LONG_AND_CHEAP)
            assert_true(free_of.ratio < want[kind].ratio_low ||
                        free_of.ratio > want[kind].ratio_high);
    }
}

/* The bound is around what the decision itself predicted: in any order, the same. */
static void test_order(void **state)
{
    (void)state;
    double reference[3] = {0};
    for (int order = 0; order < 6; order++) {
        static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        struct fold *f = fold_new("{\"learner\":{\"pool_labels\":0}}", 1000);
        enum { DECISIONS = 20 };
        uint64_t seq[DECISIONS];
        for (int i = 0; i < DECISIONS; i++)
            seq[i] = fold_route(f, "a", "t");
        for (int k = 0; k < 3 * DECISIONS; k++) {
            int i = k % DECISIONS, v = orders[order][k / DECISIONS];
            struct feedback r = usage(f, seq[i], v == 1 ? 500000000 : 10 + i, v ? 200 : 1e9);
            r.has |= FB_COST;
            r.cost_nano = v == 1 ? 1 : (int64_t)5000000000 * (1 + v);
            r.version = v;
            r.digest = seq[i] * 3 + (uint64_t)v + 1000000;
            r.retract = v == 2 && i % 3 == 0;
            fold_feed(f, &r);
        }
        f->now += 1000;
        fold_tick(f);
        struct router_stats s;
        router_stats(f->router, &s);
        double got[3] = {fold_predict(f, "a", "t", 0, TARGET_TOKENS),
                         fold_predict(f, "a", "t", 1, TARGET_LATENCY), s.model[0].cost_ratio};
        for (int i = 0; i < 3; i++) {
            if (order == 0)
                reference[i] = got[i];
            assert_true(fabs(got[i] - reference[i]) <= 1e-6 * fabs(reference[i]));
        }
        fold_check(f);
        fold_free(f);
    }
}

/* A model whose typical values are a hundred times off is still learned, as soon as without a
 * bound.
 */
static void test_cold_start(void **state)
{
    (void)state;
    static const char *const patch[] = {"{\"learner\":{\"most_off\":0}}", NULL};
    double tokens[2], ms[2];
    for (int bound = 0; bound < 2; bound++) {
        struct fold *f = fold_new(patch[bound], 1000);
        fold_configure(f, "{\"policy\":{\"name\":\"fixed\",\"model\":\"mid\"},\"models\":["
                          "{\"name\":\"mid\",\"typical_output_tokens\":150,"
                          "\"typical_latency_ms\":20000}]}");
        play(f, 300, 15000, 200); /* 100 times longer, 100 times faster */
        tokens[bound] = fold_predict(f, "a", "t", 1, TARGET_TOKENS);
        ms[bound] = fold_predict(f, "a", "t", 1, TARGET_LATENCY);
        fold_check(f);
        fold_free(f);
    }
    print_message("typical 150 tokens, 20000 ms; true 15000, 200; predicted after 300 answers: "
                  "%.0f, %.1f without the bound, %.0f, %.1f with\n",
                  tokens[0], ms[0], tokens[1], ms[1]);
    assert_true(fabs(tokens[1] / 15000 - 1) < 0.1);
    assert_true(fabs(ms[1] / 200 - 1) < 0.5);
}

/* A frozen or changed bound leaves no residue: what was learned of a report is what is taken back.
 */
static void test_taken_back(void **state)
{
    (void)state;
    struct fold *f = fold_new("{\"learner\":{\"pool_labels\":0}}", 1000);
    struct router_stats before, after;
    play(f, 30, 200, 500);
    router_stats(f->router, &before);
    uint64_t seq = fold_route(f, "a", "t");
    struct feedback absurd = usage(f, seq, 900000000, 1e9);
    absurd.has |= FB_COST;
    absurd.cost_nano = 1000000000000;
    fold_feed(f, &absurd);
    fold_configure(f, "{\"learner\":{\"most_off\":2}}");
    struct feedback back = fold_report(f, seq, "", 0);
    back.has = 0;
    back.retract = true;
    fold_feed(f, &back);
    router_stats(f->router, &after);
    for (int a = 0; a < 3; a++)
        assert_true(fabs(after.model[a].cost_ratio - before.model[a].cost_ratio) < 1e-9);
    fold_check(f);
    fold_free(f);
}

/* ---- tenants ---- */

/* Counters against the truth: never above it, and near it for whoever asks much. */
static void test_shares(void **state)
{
    (void)state;
    static struct influence f;
    struct rng g = rng_stream(7, 7, 7);
    memset(&f, 0, sizeof f);
    for (int i = 0; i < 20000; i++) { /* half from one, half from a thousand others */
        char name[16];
        (void)snprintf(name, sizeof name, "t%d",
                       rng_below(&g, 2) ? 0 : 1 + (int)rng_below(&g, 1000));
        influence_count(&f, influence_tenant(name));
    }
    assert_int_equal(f.n, TENANTS_COUNTED);
    double w = influence_weight(&f, influence_tenant("t0"), 0.1);
    assert_true(fabs(0.1 / w - 0.5) < 0.05);
    for (int i = 1; i <= 1000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", i);
        assert_true(influence_weight(&f, influence_tenant(name), 0.02) == 1);
    }
    assert_true(influence_weight(&f, influence_tenant("t0"), 1) == 1);
    memset(&f, 0, sizeof f);
    for (int i = 0; i < 20000; i++) { /* nobody asks much: nobody is taken for one who does */
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", (int)rng_below(&g, 1000));
        assert_true(influence_weight(&f, influence_tenant(name), i < 1000 ? 1 : 0.01) == 1);
        influence_count(&f, influence_tenant(name));
    }
    for (int i = 0; i < 20000; i++) /* who has gone is forgotten */
        influence_count(&f, influence_tenant(i < 10000 ? "t0" : "other"));
    assert_true(influence_weight(&f, influence_tenant("t0"), 0.1) == 1);
}

/* A tenant with ten times the traffic says that every answer of the good model was bad. Gives what
 * the others are then predicted to get from it, in quality. */
static double flood(const char *patch, bool hostile)
{
    struct fold *f = fold_new(patch, 8000);
    struct rng g = rng_stream(21, 21, 21);
    for (int i = 0; i < 4400; i++) {
        f->now += 1000;
        bool flooding = i % 11 != 0;
        uint64_t seq = fold_route(f, flooding ? "flood" : "honest", "t");
        int arm = f->ev.decided.arm;
        double p = arm == 2 ? 0.9 : 0.5;
        double q = rng_uniform(&g) < p ? 1 : 0;
        struct feedback r = fold_report(f, seq, "", flooding && hostile && arm == 2 ? 0 : q);
        fold_feed(f, &r);
        fold_follow(f);
    }
    fold_tick(f);
    double quality = fold_predict(f, "honest", "t", 2, TARGET_QUALITY);
    fold_check(f);
    fold_free(f);
    return quality;
}

/* A tenant of share s counts as `most` against the 1 - s of the others. covers: S18 */
static void test_flood(void **state)
{
    (void)state;
    static const char *const patch[] = {
        "{\"policy\":{\"name\":\"uniform\"},\"learner\":{\"drift_threshold\":0}}",
        "{\"policy\":{\"name\":\"uniform\"},\"learner\":{\"drift_threshold\":0,"
        "\"tenant_share\":0.3}}",
        "{\"policy\":{\"name\":\"uniform\"},\"learner\":{\"drift_threshold\":0,"
        "\"tenant_share\":0.1}}"};
    double honest = flood(patch[0], false), moved[3];
    for (int i = 0; i < 3; i++)
        moved[i] = honest - flood(patch[i], true);
    print_message("quality of the good model for the others: %.3f; moved by a hostile tenant of "
                  "10/11 of the traffic: %.3f; with tenant_share 0.3: %.3f; 0.1: %.3f\n",
                  honest, moved[0], moved[1], moved[2]);
    assert_true(fabs(honest - 0.9) < 0.05);
    assert_true(fabs(moved[0] - honest * 10 / 11) < 0.05);
    assert_true(fabs(moved[1] - honest * 0.3 / (0.3 + 1.0 / 11)) < 0.05);
    assert_true(fabs(moved[2] - honest * 0.1 / (0.1 + 1.0 / 11)) < 0.05);
}

/* One of four tenants, with a third of the traffic, from half-way on tells of so many of its
 * answers the opposite of what it saw. Gives what the others are predicted to get from the good
 * model, and the alarms raised. */
static double poison(double hostile, bool trusted, int *alarms)
{
    struct fold *f = fold_new(trusted ? "{\"policy\":{\"name\":\"uniform\"}}"
                                      : "{\"policy\":{\"name\":\"uniform\"},\"learner\":"
                                        "{\"tenant_share\":0.1}}",
                              8000);
    struct rng g = rng_stream(33, 33, 33);
    for (int i = 0; i < 6000; i++) {
        static const char *const others[] = {"b", "c", "d"};
        f->now += 1000;
        bool bad = i % 3 == 0;
        uint64_t seq = fold_route(f, bad ? "bad" : others[i % 9 / 3], "t");
        double p = f->ev.decided.arm == 2 ? 0.9 : 0.5;
        double q = rng_uniform(&g) < p ? 1 : 0, turn = rng_uniform(&g);
        struct feedback r = fold_report(f, seq, "", bad && i > 3000 && turn < hostile ? 1 - q : q);
        fold_feed(f, &r);
        fold_follow(f);
    }
    fold_tick(f);
    double quality = fold_predict(f, "b", "t", 2, TARGET_QUALITY);
    *alarms = f->drifted;
    fold_check(f);
    fold_free(f);
    return quality;
}

/* What a share of hostile reports can do is their share of the evidence, and less with a bound on
 * tenants; a few of them cannot be told from noise, and so move little and alarm nobody; all of
 * them are a change that is found. That they can be taken back: test_unlearn.c. covers: S18 */
static void test_poison(void **state)
{
    static const double shares[] = {0, 0.01, 0.1, 1};
    double q[2][4];
    int alarms[2][4];
    (void)state;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 4; i++)
            q[k][i] = poison(shares[i], k == 0, &alarms[k][i]);
    for (int i = 0; i < 4; i++) {
        double most = shares[i] / 3 * 0.8 + 0.02; /* 0.9 turned over is 0.1 */
        print_message("hostile reports of a tenant of a third: %3.0f%%: quality of the good model "
                      "%.3f (moved %+.3f, alarms %d), with tenant_share 0.1 %.3f (%+.3f, %d)\n",
                      shares[i] * 100, q[0][i], q[0][i] - q[0][0], alarms[0][i], q[1][i],
                      q[1][i] - q[1][0], alarms[1][i]);
        if (i < 3)
            assert_true(fabs(q[0][i] - q[0][0]) < most &&
                        fabs(q[1][i] - q[1][0]) < most / 2 + 0.01);
    }
    assert_true(alarms[0][0] == 0 && alarms[0][1] == 0 && alarms[0][3] > 0);
}

/* ---- finding who ---- */

/* Labels of a model that answers well 0.9 of the time or, graded, with 0.9 give or take 0.1. */
struct poisoner {
    struct suspicion *s;
    struct rng g;
    double predicted, n; /* by the mean of all labels so far */
    bool graded, unlike; /* tenants differ in what they get */
    int64_t own;         /* labels of the hostile one, since it is */
};

static double normal(struct rng *g)
{
    double u = rng_uniform(g), v = rng_uniform(g);
    return sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v);
}

/* One label; true: somebody is found. */
static bool one_label(struct poisoner *p, double hostile, struct finding *out)
{
    static const char *const tenant[] = {"bad", "b", "c", "d"};
    static const double off[] = {0, 0.05, -0.1, 0.02};
    struct finding found[FINDINGS_MOST];
    uint64_t turn = rng_below(&p->g, 9);
    int t = turn < 3 ? 0 : 1 + (int)(turn - 3) / 2;
    double mean = 0.9 + (p->unlike ? off[t] : 0);
    double q = p->graded ? fmin(1, fmax(0, mean + 0.1 * normal(&p->g)))
                         : (rng_uniform(&p->g) < mean ? 1 : 0);
    if (t == 0 && hostile > 0) {
        p->own++;
        if (rng_uniform(&p->g) < hostile)
            q = 1 - q;
    }
    int n = suspicion_add(p->s, tenant[t], 0, q - p->predicted, found);
    p->n += 1;
    p->predicted += (q - p->predicted) / fmin(p->n, 5000);
    if (n > 0)
        *out = found[0];
    return n > 0;
}

/* After so many honest labels a share becomes hostile: its reports until somebody is found, -1:
 * nobody is within `most`; *early: false alarms before. */
static int64_t delay(int seed, bool graded, bool unlike, double hostile, int64_t honest,
                     int64_t most, int *early, struct finding *out)
{
    struct poisoner p = {.s = suspicion_new(), .graded = graded, .unlike = unlike};
    p.g = rng_stream(90 + (uint64_t)seed, 1, 1);
    int64_t found = -1;
    for (int64_t i = 0; i < honest; i++)
        *early += one_label(&p, 0, out);
    while (hostile > 0 && found < 0 && p.own < most)
        if (one_label(&p, hostile, out))
            found = p.own;
    suspicion_free(p.s);
    return found;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median delay over seeds; everybody who is found is the hostile one. */
static int64_t median_delay(int seeds, bool graded, double hostile, int64_t honest, int64_t most)
{
    int64_t d[20];
    int early = 0, missed = 0;
    struct finding f;
    for (int i = 0; i < seeds; i++) {
        d[i] = delay(i, graded, true, hostile, honest, most, &early, &f);
        missed += d[i] < 0;
        if (d[i] >= 0) {
            assert_string_equal(f.tenant, "bad");
            assert_true(f.unlike && (f.odd || f.moved < 0));
        } else {
            d[i] = most;
        }
    }
    qsort(d, (size_t)seeds, sizeof d[0], by_value);
    print_message("%s labels, %4.1f%% hostile after %lld labels of the model: found after %lld of "
                  "the tenant's reports (%lld to %lld), missed %d of %d, false alarms before %d\n",
                  graded ? "graded" : "binary", hostile * 100, (long long)honest,
                  (long long)d[seeds / 2], (long long)d[0], (long long)d[seeds - 1], missed, seeds,
                  early);
    assert_int_equal(early, 0);
    return missed > seeds / 2 ? -1 : d[seeds / 2];
}

/* Who tells of changes that nobody else sees is found, and nobody who does not. With
 * PURSER_POISON=1 the whole curve, minutes. covers: S18 */
static void test_found(void **state)
{
    (void)state;
    static const double shares[] = {1, 0.3, 0.1, 0.05, 0.02, 0.01};
    bool whole = getenv("PURSER_POISON") != NULL;
    for (int i = 0; i < 6 && whole; i++)
        for (int graded = 0; graded < 2; graded++)
            for (int64_t honest = 10000; honest <= (i > 3 ? 1000000 : 100000); honest *= 10)
                (void)median_delay(5, graded, shares[i], honest, 400000);
    assert_in_range(median_delay(5, false, 1, 5000, 4000), 1, 200);
    assert_in_range(median_delay(5, false, 0.1, 10000, 20000), 100, 4000);
    assert_in_range(median_delay(5, true, 0.01, 40000, 10000), 100, 6000);
    int early = 0;
    struct finding f;
    for (int seed = 0; seed < 20; seed++)
        for (int kind = 0; kind < 4; kind++)
            (void)delay(100 + seed, kind & 1, kind & 2, 0, whole ? 1000000 : 10000, 0, &early, &f);
    assert_int_equal(early, 0);
}

/* The same with the engine's own predictions: a tenth of one tenant's reports turned over is found,
 * what it could do until then is small. */
static void test_found_in_time(void **state)
{
    (void)state;
    double damage[2];
    for (int hostile = 0; hostile < 2; hostile++) {
        struct fold *f = fold_new("{\"policy\":{\"name\":\"fixed\",\"model\":\"big\"}}", 1000);
        struct suspicion *s = suspicion_new();
        struct finding found[FINDINGS_MOST];
        struct rng g = rng_stream(35, 35, 35);
        int n = 0, i = 0;
        for (; i < 18000 && n == 0; i++) {
            static const char *const others[] = {"b", "c", "d"};
            f->now += 1000;
            bool bad = i % 3 == 0, hard = rng_below(&g, 3) == 0;
            const char *tenant = bad ? "bad" : others[i % 9 / 3];
            uint64_t seq = fold_route(f, tenant, hard ? "hard" : "easy");
            double said = (double)f->ev.decided.view[2].mean[TARGET_QUALITY];
            double q = rng_uniform(&g) < (hard ? 0.8 : 0.95) ? 1 : 0, turn = rng_uniform(&g);
            if (hostile && bad && i > 7500 && turn < 0.1)
                q = 1 - q;
            struct feedback r = fold_report(f, seq, "", q);
            fold_feed(f, &r);
            fold_follow(f);
            n = suspicion_add(s, tenant, 2, q - said, found);
        }
        damage[hostile] = fold_predict(f, "b", "easy", 2, TARGET_QUALITY);
        assert_int_equal(n, hostile);
        if (hostile) {
            assert_string_equal(found[0].tenant, "bad");
            print_message(
                "the engine's predictions, 10%% hostile from report 2500 on: found at %d, "
                "when others' prediction had moved by %+.3f\n",
                i / 3, damage[1] - damage[0]);
            assert_true(fabs(damage[1] - damage[0]) < 0.03);
        }
        suspicion_free(s);
        fold_free(f);
    }
}

/* The weight of a decision is a fact of its record, the same when its label comes, changes and
 * goes: what was taken back leaves the state of decisions that nobody reported on. */
static void test_weights(void **state)
{
    (void)state;
    double mean[2], width[2];
    for (int reports = 0; reports < 2; reports++) {
        struct fold *f = fold_new("{\"learner\":{\"tenant_share\":0.1,\"pool_labels\":0}}", 1000);
        uint64_t seq[50];
        play(f, 100, 200, 500);
        for (int i = 0; i < 50; i++) {
            seq[i] = fold_route(f, "a", "t");
            assert_true(f->ev.decided.weight > 0.09f && f->ev.decided.weight < 0.11f);
        }
        for (int k = 0; k < 3 && reports; k++) {
            fold_configure(f, k ? "{\"learner\":{\"tenant_share\":1}}" : NULL);
            for (int i = 0; i < 50; i++) {
                struct feedback r = fold_report(f, seq[i], "", k ? 0.75 : 0.25);
                r.retract = k == 2;
                fold_feed(f, &r);
            }
        }
        fold_configure(f, "{\"learner\":{\"tenant_share\":1}}");
        fold_tick(f);
        fold_route(f, "a", "t");
        mean[reports] = (double)f->ev.decided.view[1].mean[TARGET_QUALITY];
        width[reports] = (double)f->ev.decided.view[1].sd[TARGET_QUALITY];
        assert_int_equal(fold_labels(f), 0);
        fold_check(f);
        fold_free(f);
    }
    assert_true(fabs(mean[1] - mean[0]) < 1e-6);
    assert_true(fabs(width[1] - width[0]) < 1e-6);
}

/* Ten decisions of weight 0.1 teach what one of weight 1 does: sums, pending rows and the share of
 * labels that is hoped for. */
static void test_weights_add_up(void **state)
{
    (void)state;
    double mean[2], width[2];
    for (int light = 0; light < 2; light++) {
        int times = light ? 10 : 1;
        struct fold *f = fold_new("{\"policy\":{\"name\":\"fixed\",\"model\":\"mid\"},\"learner\":{"
                                  "\"pool_labels\":0,\"half_life_hours\":0,\"drift_threshold\":0}}",
                                  16000);
        if (light)
            fold_configure(f, "{\"learner\":{\"tenant_share\":0.1}}");
        for (int i = 0; i < 800 * times; i++) { /* half of them are told of, the last 100 not yet */
            uint64_t seq = fold_route(f, "a", i / times % 3 ? "t" : "u");
            struct feedback r = fold_report(f, seq, "", i / times % 5 ? 0.9 : 0.4);
            if (i / times % 2 == 0 && i < 700 * times)
                fold_feed(f, &r);
        }
        fold_tick(f);
        fold_route(f, "a", "t");
        mean[light] = (double)f->ev.decided.view[1].mean[TARGET_QUALITY];
        width[light] = (double)f->ev.decided.view[1].sd[TARGET_QUALITY];
        fold_check(f);
        fold_free(f);
    }
    assert_true(fabs(mean[1] - mean[0]) < 1e-4);
    assert_true(fabs(width[1] / width[0] - 1) < 2e-3);
}

/* A tenant that weighs little is slow to make a model look changed. */
static void test_drift(void **state)
{
    (void)state;
    int drifted[2];
    for (int light = 0; light < 2; light++) {
        struct fold *f = fold_new("{\"policy\":{\"name\":\"fixed\",\"model\":\"mid\"}}", 1000);
        struct rng g = rng_stream(2, 2, 2);
        for (int i = 0; i < 360; i++) {
            if (i == 300 && light)
                fold_configure(f, "{\"learner\":{\"tenant_share\":0.1}}");
            uint64_t seq = fold_route(f, "a", "t");
            double q = rng_uniform(&g) < 0.8 ? 1 : 0;
            struct feedback r = fold_report(f, seq, "", i < 300 ? q : 0);
            fold_feed(f, &r);
            fold_follow(f);
            assert_true(i >= 300 || f->drifted == 0);
        }
        drifted[light] = f->drifted;
        fold_check(f);
        fold_free(f);
    }
    assert_true(drifted[0] > 0);
    assert_int_equal(drifted[1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_report),     cmocka_unit_test(test_order),
        cmocka_unit_test(test_cold_start),     cmocka_unit_test(test_taken_back),
        cmocka_unit_test(test_shares),         cmocka_unit_test(test_flood),
        cmocka_unit_test(test_poison),         cmocka_unit_test(test_found),
        cmocka_unit_test(test_found_in_time),  cmocka_unit_test(test_weights),
        cmocka_unit_test(test_weights_add_up), cmocka_unit_test(test_drift),
    };
    cmocka_set_test_filter(getenv("PURSER_TEST")); /* one test by name */
    return cmocka_run_group_tests_name("influence", tests, NULL, NULL);
}
