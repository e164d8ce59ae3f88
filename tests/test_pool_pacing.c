/* SPDX-License-Identifier: MIT */
/* Pools that spread their budget over a window: a week of traffic with days and nights, in virtual
 * time, against the same week with the cap alone; forecasts; throttling by value. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/budget/forecast.h"
#include "core/budget/pools.h"
#include "tests/fold_fx.h"

enum { HOUR = 3600000, DAY = 24, WEEK = 7 * DAY, MODELS = 3 };
static const int64_t MONDAY = INT64_C(1700438400000); /* 2023-11-20T00:00:00Z */

static const char *const model_name[MODELS] = {"small", "mid", "big"};
static const double quality[MODELS] = {0.6, 0.75, 0.9};
static int64_t wordy[MODELS] = {1, 1, 1}; /* how much longer answers are than the smallest one's */

/* ---- forecasts ---- */

/* Requests in an hour of the week: days above nights, a quiet weekend. */
static double traffic(int64_t hour_of_week)
{
    double day = 1 + 0.8 * sin(2 * 3.14159265358979 * (double)(hour_of_week % DAY - 9) / DAY);
    return (hour_of_week >= 5 * DAY ? 6 : 15) * day;
}

static double traffic_of_week(void)
{
    double sum = 0;
    for (int h = 0; h < WEEK; h++)
        sum += traffic(h);
    return sum;
}

static void hours_are_learned(void **state)
{
    (void)state;
    static struct forecast f;
    forecast_init(&f);
    for (int h = 0; h < 2 * WEEK; h++)
        for (int i = 0; i < (int)traffic(h % WEEK); i++)
            forecast_count(&f, MONDAY + (int64_t)h * HOUR + i * 60000);
    int64_t now = MONDAY + (int64_t)2 * WEEK * HOUR;
    forecast_count(&f, now);
    double week = forecast_requests(&f, NULL, now, now + (int64_t)WEEK * HOUR);
    assert_true(week > 0.93 * traffic_of_week() && week < 1.01 * traffic_of_week());
    double day = forecast_requests(&f, NULL, now + 9 * HOUR, now + 21 * HOUR);
    double night = forecast_requests(&f, NULL, now + 21 * HOUR, now + 33 * HOUR);
    assert_true(day > 3 * night);
    double month = forecast_requests(&f, NULL, now, now + (int64_t)4 * WEEK * HOUR);
    assert_true(fabs(month - 4 * week) < 1e-6 * month);
    assert_true(forecast_requests(&f, NULL, now, now) <= 0);
    double half = forecast_requests(&f, NULL, now + HOUR / 2, now + HOUR);
    assert_true(fabs(half - forecast_requests(&f, NULL, now, now + HOUR) / 2) < 1e-9);
}

/* Before anything is known, what has come so far goes on; silence is learned too. */
static void unseen_hours_have_a_sane_start(void **state)
{
    (void)state;
    static struct forecast f;
    forecast_init(&f);
    assert_true(forecast_requests(&f, NULL, MONDAY, MONDAY + HOUR) > 0);
    for (int i = 0; i < 600; i++)
        forecast_count(&f, MONDAY + i * 3000); /* 1200 an hour, for half of it */
    double hour = forecast_requests(&f, NULL, MONDAY + HOUR / 2, MONDAY + 3 * HOUR / 2);
    assert_true(hour > 1000 && hour < 1300);
    forecast_count(&f, MONDAY + 5 * HOUR);
    hour =
        forecast_requests(&f, NULL, MONDAY + 25 * HOUR, MONDAY + 26 * HOUR); /* silent yesterday */
    assert_true(hour < 1);
    hour = forecast_requests(&f, NULL, MONDAY + 24 * HOUR, MONDAY + 25 * HOUR); /* busy yesterday */
    assert_true(hour > 500 && hour < 700);
}

/* A pool that is new has the week of all traffic, at its own level. */
static void a_new_pool_has_the_week_of_the_others(void **state)
{
    (void)state;
    static struct forecast all, f;
    forecast_init(&all);
    forecast_init(&f);
    for (int h = 0; h < 2 * WEEK; h++)
        for (int i = 0; i < (int)(10 * traffic(h % WEEK)); i++)
            forecast_count(&all, MONDAY + (int64_t)h * HOUR + i * 6000);
    int64_t now = MONDAY + (int64_t)2 * WEEK * HOUR;
    for (int h = 0; h < 4; h++) { /* a tenth of it */
        for (int i = 0; i < (int)traffic(h); i++)
            forecast_count(&f, now + h * (int64_t)HOUR + i * 60000);
        double week =
            forecast_requests(&f, &all, now + (h + 1) * (int64_t)HOUR, now + (int64_t)WEEK * HOUR);
        assert_true(week > 0.6 * traffic_of_week() && week < 1.5 * traffic_of_week());
    }
    double day =
        forecast_requests(&f, &all, now + 5 * DAY * (int64_t)HOUR, now + 6 * DAY * (int64_t)HOUR);
    double monday =
        forecast_requests(&f, &all, now + WEEK * (int64_t)HOUR, now + (WEEK + DAY) * (int64_t)HOUR);
    assert_true(day < 0.6 * monday); /* a quiet Saturday */
}

/* Local hours: when clocks change, so do the hours of the people, and of a zone half an hour off.
 */
static void hours_are_local(void **state)
{
    (void)state;
    static const struct zone zone = {
        .offset_ms = HOUR, .n = 1, .change = {{MONDAY + WEEK * (int64_t)HOUR, 2 * HOUR}}};
    static struct forecast f, utc;
    forecast_init(&f);
    forecast_init(&utc);
    f.zone = &zone;
    for (int h = 0; h < WEEK; h++) { /* from eight to nine, local, ten times as many */
        int n = (h + 1) % DAY == 8 ? 60 : 6;
        for (int i = 0; i < n; i++) {
            forecast_count(&f, MONDAY + (int64_t)h * HOUR + i * 60000);
            forecast_count(&utc, MONDAY + (int64_t)h * HOUR + i * 60000);
        }
    }
    int64_t summer = MONDAY + WEEK * (int64_t)HOUR;
    forecast_count(&f, summer);
    forecast_count(&utc, summer);
    assert_true(forecast_requests(&f, NULL, summer + 6 * HOUR, summer + 7 * HOUR) > 50);
    assert_true(forecast_requests(&f, NULL, summer + 7 * HOUR, summer + 8 * HOUR) < 10);
    assert_true(forecast_requests(&utc, NULL, summer + 7 * HOUR, summer + 8 * HOUR) > 50);
    /* A new pool of the zone takes the shape of all, which is kept in UTC, at the right hours. */
    static struct forecast young;
    forecast_init(&young);
    young.zone = &zone;
    forecast_count(&young, summer);
    forecast_count(&young, summer + HOUR);
    double busy = forecast_requests(&young, &utc, summer + 7 * HOUR, summer + 8 * HOUR);
    assert_true(busy > 5 * forecast_requests(&young, &utc, summer + 6 * HOUR, summer + 7 * HOUR));
}

/* ---- a week ---- */

static int users; /* more than 0: requests are of so many, the last of them with the most */
struct week {
    double spent_usd;
    int big[7]; /* served by the best model */
    int64_t tokens;
    int refused, throttled, requests;
    double quality[7];    /* mean of each day, refusals at 0 */
    double value_refused; /* highest value among the throttled ones */
    int degraded, paced;
    struct pace_state thursday; /* how the pool stood at its end */
};

/* How the instance in a slot stands. */
static bool standing(const struct fold *f, int64_t slot, struct pace_state *out)
{
    struct pool_path path;
    return router_pools(f->router)->used > slot &&
           pools_path_of(router_pools(f->router), slot, f->now, &path) &&
           router_pace(f->router, &path, out);
}

static struct feedback outcome(const struct fold *f, uint64_t seq, int arm, struct rng *g)
{
    struct feedback r = fold_report(f, seq, "", 0);
    r.has = FB_QUALITY | FB_PROMPT_TOKENS | FB_OUTPUT_TOKENS;
    r.quality = rng_uniform(g) < quality[arm] ? 1 : 0;
    r.prompt_tokens = 100;
    r.output_tokens = wordy[arm] * (150 + (int64_t)rng_below(g, 100));
    return r;
}

static struct fold *learned(const char *patch)
{
    struct fold *f = fold_new(patch, 200);
    struct rng g = rng_stream(1, 1, 1);
    f->now = MONDAY - (int64_t)WEEK * HOUR - HOUR;
    for (int i = 0; i < 300; i++) {
        struct feedback r = outcome(f, 0, i % MODELS, &g);
        r.seq = 0;
        fold_teach(f, "chat", model_name[i % MODELS], &r);
    }
    fold_tick(f);
    return f;
}

static void one(struct fold *f, struct rng *g, int day, struct week *out)
{
    struct request *r = fold_request("acme", "chat");
    r->prompt_tokens = 100;
    r->value = 0.5 + 1.5 * rng_uniform(g);
    if (users > 0) /* by the square root: user k has a part that grows like k */
        (void)snprintf(r->labels.user, NAME_CAP, "u%d", (int)(users * sqrt(rng_uniform(g))));
    out->requests++;
    enum status s = fold_try(f, r);
    if (s != STATUS_OK) {
        out->refused += s == STATUS_BUDGET_EXHAUSTED;
        out->throttled += s == STATUS_THROTTLED;
        if (s == STATUS_THROTTLED) {
            assert_in_range(f->problem.retry_after_ms, 1000, HOUR);
            out->value_refused = fmax(out->value_refused, r->value);
        }
        return;
    }
    int arm = f->ev.decided.arm;
    uint64_t seq = f->ev.seq;
    out->degraded += (f->ev.decided.reasons & REASON_DEGRADED) != 0;
    out->paced += decided_binds(&f->ev.decided);
    out->quality[day] += quality[arm];
    out->big[day] += arm == 2;
    fold_follow(f);
    struct feedback told = outcome(f, seq, arm, g);
    out->tokens += told.prompt_tokens + told.output_tokens;
    fold_feed(f, &told);
    fold_follow(f);
}

static struct week play(struct fold *f, int64_t start, uint64_t seed, double busy)
{
    struct week w = {0};
    struct rng g = rng_stream(seed, 5, 5);
    struct router_stats before, after;
    router_stats(f->router, &before);
    for (int day = 0; day < 7; day++) {
        int requests = w.requests;
        for (int h = day * DAY; h < (day + 1) * DAY; h++) {
            int n = (int)(busy * traffic(h) + rng_uniform(&g));
            for (int i = 0; i < n; i++) {
                f->now = start + (int64_t)h * HOUR + (int64_t)HOUR * i / n;
                one(f, &g, day, &w);
            }
        }
        w.quality[day] /= w.requests - requests;
        if (day == 3)
            (void)standing(f, 0, &w.thursday);
        fold_tick(f);
    }
    router_stats(f->router, &after);
    w.spent_usd = (double)(after.spent_nano - before.spent_nano) * 1e-9;
    return w;
}

static void tell(const char *name, const struct week *w, double cap)
{
    print_message("%s: %d requests, spent %.4f of the cap, %d refused, %d throttled, %d degraded, "
                  "quality %.3f %.3f %.3f %.3f %.3f %.3f %.3f\n",
                  name, w->requests, cap > 0 ? w->spent_usd / cap : w->spent_usd, w->refused,
                  w->throttled, w->degraded, w->quality[0], w->quality[1], w->quality[2],
                  w->quality[3], w->quality[4], w->quality[5], w->quality[6]);
}

#define QUIET "\"objective\":{\"cost\":0},\"learner\":{\"pool_labels\":0}"

static struct fold *with_pool(double usd, const char *more)
{
    char patch[512];
    (void)snprintf(patch, sizeof patch,
                   "{" QUIET ",\"pools\":[{\"name\":\"all\",\"usd\":%.6f,\"window\":\"week\","
                   "\"mode\":\"quantile\"%s}]}",
                   usd, more);
    return learned(patch);
}

static double natural(void)
{
    struct fold *f = learned("{" QUIET "}");
    struct week w = play(f, MONDAY, 1, 1);
    tell("natural", &w, 0);
    fold_free(f);
    return w.spent_usd;
}

static double least_of(const double *v, int n)
{
    double least = v[0];
    for (int i = 1; i < n; i++)
        least = fmin(least, v[i]);
    return least;
}

/* At 60% of what would be spent: without pacing the money is gone on Thursday. */
static void a_week_without_the_wall(void **state)
{
    (void)state;
    double cap = round(0.6 * natural() * 1e6) / 1e6;
    struct fold *f = with_pool(cap, "");
    struct week wall = play(f, MONDAY, 1, 1);
    tell("capped", &wall, cap);
    assert_true(wall.refused > wall.requests / 10);
    assert_true(least_of(wall.quality, 7) < 0.1);
    fold_free(f);
    f = with_pool(cap, ",\"pace\":true");
    for (int i = 0; i < 2; i++) { /* the first week does not know how quiet weekends are */
        struct week w = play(f, MONDAY + i * (int64_t)WEEK * HOUR, 1 + (uint64_t)i, 1);
        tell("paced", &w, cap);
        assert_int_equal(w.refused + w.throttled, 0);
        assert_true(w.spent_usd > (i == 0 ? 0.85 : 0.97) * cap && w.spent_usd <= cap);
        assert_true(w.paced > w.requests / 2 && w.degraded > 0);
        double worst = least_of(w.quality, 7), sum = 0;
        for (int d = 0; d < 7; d++)
            sum += w.quality[d] / 7;
        assert_true(worst > sum - 0.06);
        const struct pace_state *at = &w.thursday;
        assert_true(at->step == PACE_PACED && at->multiplier[POOL_NANO] > 0);
        assert_true(at->unit[POOL_NANO] && !at->unit[POOL_TOKENS] && at->shortage <= 0);
        assert_true(at->rate[POOL_NANO] > at->least[POOL_NANO] && at->least[POOL_NANO] > 0);
        assert_true(at->requests > 0.2 * w.requests && at->requests < 0.7 * w.requests);
        if (i == 0)
            fold_restart(f);
    }
    fold_check(f);
    fold_free(f);
}

/* The service has seen a week before the pool is made: its first one is spread as later ones are.
 */
static void a_new_pool_in_a_running_service(void **state)
{
    (void)state;
    char patch[256];
    double cap = round(0.6 * natural() * 1e6) / 1e6;
    struct fold *f = learned("{" QUIET "}");
    (void)play(f, MONDAY - (int64_t)WEEK * HOUR, 2, 1);
    (void)snprintf(patch, sizeof patch,
                   "{\"pools\":[{\"name\":\"all\",\"usd\":%.6f,\"window\":\"week\",\"mode\":"
                   "\"quantile\",\"pace\":true}]}",
                   cap);
    fold_configure(f, patch);
    fold_restart(f);
    struct week w = play(f, MONDAY, 1, 1);
    tell("new pool", &w, cap);
    assert_int_equal(w.refused, 0);
    assert_true(w.spent_usd > 0.96 * cap && w.spent_usd <= cap);
    fold_check(f);
    fold_free(f);
}

/* Where even the cheapest models are too dear for all: what is worth least waits, far fewer meet
 * the wall, and what is worth the declared value or more is never put off. */
static void little_value_waits(void **state)
{
    (void)state;
    double cap = round(0.005 * natural() * 1e6) / 1e6;
    struct fold *f = with_pool(cap, ",\"pace\":true");
    struct week paced = play(f, MONDAY, 1, 1);
    tell("paced", &paced, cap);
    assert_true(paced.refused > 0 && paced.throttled == 0);
    fold_free(f);
    f = with_pool(cap, ",\"pace\":true,\"throttle\":1.5");
    struct week w = play(f, MONDAY, 1, 1);
    tell("throttled", &w, cap);
    assert_true(w.throttled > w.requests / 10);
    assert_true(w.value_refused < 1.5 && w.value_refused > 0.5);
    assert_true(w.refused < paced.refused / 2);
    assert_true(w.thursday.step == PACE_THROTTLING && w.thursday.shortage > 0);
    fold_check(f);
    fold_free(f);
}

/* The average per request likewise, which has no window: where the cheapest model costs twice as
 * much, all of less than the declared value wait, and none where it pays. */
static void little_value_waits_for_the_average(void **state)
{
    (void)state;
    struct fold *f = learned("{" QUIET ",\"policy\":{\"name\":\"fixed\",\"model\":\"small\"}}");
    struct week least = play(f, MONDAY, 1, 1);
    double rate = least.spent_usd / least.requests;
    fold_free(f);
    for (int part = 4; part >= 2; part -= 2) {
        char patch[256];
        (void)snprintf(patch, sizeof patch,
                       "{" QUIET ",\"budget\":{\"usd_per_request\":%.9f,\"throttle\":1.5}}",
                       rate * part / 4 * 1.02);
        f = learned(patch);
        struct week w = play(f, MONDAY, 1, 1);
        tell("average, throttled", &w, rate * w.requests);
        if (part == 4)
            assert_true(w.throttled < w.requests / 20);
        else
            assert_true(w.throttled > w.requests / 2 && w.value_refused > 1.2 &&
                        w.value_refused < 1.5);
        assert_int_equal(w.refused, 0);
        fold_check(f);
        fold_free(f);
    }
}

/* A day that rolls, at 60% of what would be spent: nobody is refused, and days are alike. */
static void a_window_that_rolls(void **state)
{
    (void)state;
    double cap = round(0.6 * natural() / 7 * 1e6) / 1e6;
    char patch[256];
    struct week week[2];
    for (int pace = 0; pace < 2; pace++) {
        (void)snprintf(patch, sizeof patch,
                       "{" QUIET ",\"pools\":[{\"name\":\"all\",\"usd\":%.6f,\"window\":"
                       "\"rolling\",\"length_s\":86400,\"mode\":\"quantile\",\"pace\":%s}]}",
                       cap, pace ? "true" : "false");
        struct fold *f = learned(patch);
        week[pace] = play(f, MONDAY, 1, 1);
        tell(pace ? "rolling, paced" : "rolling, capped", &week[pace], 7 * cap);
        fold_check(f);
        fold_free(f);
    }
    assert_true(week[0].refused > week[0].requests / 10);
    assert_int_equal(week[1].refused, 0);
    assert_true(week[1].paced > week[1].requests / 3);
    assert_true(week[1].spent_usd > 0.8 * week[0].spent_usd);
    for (int day = 0; day < 5; day++)
        assert_true(week[1].quality[day] > 0.72);
}

/* A pool of tokens, where the best model is the one that says most. */
static void tokens_are_paced(void **state)
{
    (void)state;
    wordy[2] = 4;
    struct fold *f = learned("{" QUIET "}");
    struct week free = play(f, MONDAY, 1, 1), week[2];
    fold_free(f);
    int64_t cap = free.tokens * 6 / 10;
    for (int pace = 0; pace < 2; pace++) {
        char patch[256];
        (void)snprintf(patch, sizeof patch,
                       "{" QUIET ",\"pools\":[{\"name\":\"all\",\"tokens\":%lld,\"window\":"
                       "\"week\",\"mode\":\"quantile\",\"pace\":%s}]}",
                       (long long)cap, pace ? "true" : "false");
        f = learned(patch);
        for (int i = 0; i < 1 + pace; i++)
            week[pace] = play(f, MONDAY + i * (int64_t)WEEK * HOUR, 1 + (uint64_t)i, 1);
        print_message("tokens: %.3f of the cap, %d refused\n",
                      (double)week[pace].tokens / (double)cap, week[pace].refused);
        fold_check(f);
        fold_free(f);
    }
    wordy[2] = 1;
    assert_true(week[0].refused > week[0].requests / 10);
    assert_int_equal(week[1].refused, 0);
    assert_true(week[1].tokens <= cap && (double)week[1].tokens > 0.95 * (double)cap);
    const struct pace_state *at = &week[1].thursday;
    assert_true(at->unit[POOL_TOKENS] && !at->unit[POOL_NANO] && at->multiplier[POOL_TOKENS] > 0);
}

/* A pool for each of twelve users, of which the last asks 23 times as often as the first: alike
 * caps are plenty for some and short for others. Hours are of another zone. */
static void each_has_its_own_pace(void **state)
{
    (void)state;
    double free_usd = natural(), cap = round(0.8 * free_usd / 12 * 1e6) / 1e6;
    struct week week[2][2];
    users = 12;
    for (int pace = 0; pace < 2; pace++) {
        char patch[512];
        (void)snprintf(patch, sizeof patch,
                       "{" QUIET ",\"zones\":[{\"name\":\"there\",\"utc_offset_minutes\":300}],"
                       "\"pools\":[{\"name\":\"org\",\"usd\":1000,\"window\":\"week\",\"zone\":"
                       "\"there\",\"mode\":\"quantile\"},{\"name\":\"user\",\"parent\":\"org\","
                       "\"each\":\"user\",\"usd\":%.6f,\"mode\":\"quantile\",\"pace\":%s}]}",
                       cap, pace ? "true" : "false");
        struct fold *f = learned(patch);
        for (int i = 0; i < 2; i++) {
            week[pace][i] = play(f, MONDAY + i * (int64_t)WEEK * HOUR, 1 + (uint64_t)i, 1);
            tell(pace ? "each, paced" : "each, capped", &week[pace][i], 12 * cap);
            if (i == 0)
                fold_restart(f);
        }
        struct pace_state few, many;
        const struct pools *p = router_pools(f->router);
        for (int64_t at = 0; at < p->cap && pace; at++) {
            struct pace_state *out = strcmp(p->pool[at].value, "u0") == 0    ? &few
                                     : strcmp(p->pool[at].value, "u11") == 0 ? &many
                                                                             : NULL;
            assert_true(!out || standing(f, at, out));
        }
        if (pace)
            assert_true(few.multiplier[POOL_NANO] <= 0 && many.multiplier[POOL_NANO] > 0);
        fold_check(f);
        fold_free(f);
    }
    users = 0;
    for (int i = 0; i < 2; i++) {
        assert_true(week[0][i].refused > week[0][i].requests / 10);
        assert_true(week[1][i].refused < week[1][i].requests / 100);
        assert_true(week[1][i].spent_usd > 0.9 * week[0][i].spent_usd);
        assert_true(least_of(week[1][i].quality, 7) > 0.75);
    }
}

/* A pool of the dear model alone, at half of what would be spent on it: nobody is refused in any
 * case, since others serve; with the cap alone the model is gone by the middle of the week. */
static void a_pool_of_one_model(void **state)
{
    (void)state;
    double cap = round(0.5 * natural() * 1e6) / 1e6;
    struct week week[2];
    for (int pace = 0; pace < 2; pace++) {
        char patch[512];
        (void)snprintf(patch, sizeof patch,
                       "{" QUIET ",\"pools\":[{\"name\":\"dear\",\"match\":{\"model\":\"big\"},"
                       "\"usd\":%.6f,\"window\":\"week\",\"mode\":\"quantile\",\"pace\":%s}]}",
                       cap, pace ? "true" : "false");
        struct fold *f = learned(patch);
        for (int i = 0; i <= pace; i++)
            week[pace] = play(f, MONDAY + i * (int64_t)WEEK * HOUR, 1 + (uint64_t)i, 1);
        tell(pace ? "one model, paced" : "one model, capped", &week[pace], cap);
        fold_check(f);
        fold_free(f);
    }
    assert_int_equal(week[0].refused + week[1].refused, 0);
    assert_int_equal(week[0].big[5] + week[0].big[6], 0);
    assert_true(week[0].degraded == 0 && week[1].degraded > week[1].requests / 10);
    for (int day = 0; day < 7; day++)
        assert_true(week[1].big[day] > week[1].requests / 7 / 10);
    assert_true(week[1].spent_usd > 0.9 * week[0].spent_usd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hours_are_learned),
        cmocka_unit_test(unseen_hours_have_a_sane_start),
        cmocka_unit_test(a_new_pool_has_the_week_of_the_others),
        cmocka_unit_test(hours_are_local),
        cmocka_unit_test(a_week_without_the_wall),
        cmocka_unit_test(a_new_pool_in_a_running_service),
        cmocka_unit_test(little_value_waits),
        cmocka_unit_test(little_value_waits_for_the_average),
        cmocka_unit_test(a_window_that_rolls),
        cmocka_unit_test(tokens_are_paced),
        cmocka_unit_test(each_has_its_own_pace),
        cmocka_unit_test(a_pool_of_one_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
