/* SPDX-License-Identifier: MIT */
/* The pacer of the average spend: what bills say of predictions, the first decisions under a
 * budget, and spending as booked over stretches of it, with outcomes that come late. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/budget/pacer.h"
#include "core/budget/pool_pacer.h"
#include "core/config/params.h"
#include "tests/fold_fx.h"

enum { MODELS = 3, WINDOW = 200, REQUESTS = 1500, LATE = 100 };
static const char *const model_name[MODELS] = {"small", "mid", "big"};
static const double quality[MODELS] = {0.6, 0.75, 0.9};

/* ---- bills ---- */

static void bills_correct_predictions(void **state)
{
    (void)state;
    static struct pacer p;
    p = (struct pacer){.mu = 0};
    assert_true(fabs(pacer_truth(&p) - 1) < 1e-12);
    pacer_settle(&p, 1000, 1100, 1, 1000);
    assert_true(pacer_truth(&p) < 1.01); /* one bill says little */
    for (int i = 0; i < 3000; i++)
        pacer_settle(&p, 1050, 1100, 1, 1000); /* whatever was booked */
    assert_true(fabs(pacer_truth(&p) - 1.1) < 0.01);
    double before = pacer_truth(&p);
    pacer_settle(&p, 1100, 101100, 0, 1000); /* another bill for the last one */
    assert_true(pacer_truth(&p) > before + 0.1);
    pacer_settle(&p, 101100, 1050, -1, 1000); /* which is retracted */
    assert_true(fabs(pacer_truth(&p) - before) < 1e-3);
    for (int i = 0; i < 3000; i++)
        pacer_settle(&p, 1000, 9000, 1, 1000);
    assert_true(pacer_truth(&p) <= 1.25); /* it is the learner that must find out */
    for (int i = 0; i < 3000; i++)
        pacer_settle(&p, 1000, 10, 1, 1000);
    assert_true(pacer_truth(&p) >= 0.8);
}

/* ---- debts and savings ---- */

/* Two models of equal requests, at 2 and 20 thousandths of a dollar. */
static struct params two;
static struct event_decided ask(void)
{
    struct event_decided d = {.eligible = 3, .value = 1, .prompt_tokens = 100, .cost_scale_usd = 1};
    for (int a = 0; a < 2; a++)
        d.view[a] =
            (struct arm_view){.mean = {[TARGET_QUALITY] = a ? 0.9F : 0.5F, [TARGET_TOKENS] = 1000},
                              .cost_nano = a ? 20000000 : 2000000};
    return d;
}

static void spend(struct pacer *p, const struct event_decided *d, int n)
{
    static const struct pool_pacers no_pools;
    for (int i = 0; i < n; i++) {
        pacer_book(p, d, (uint64_t)i, false, &two);
        if (!pacer_due(p))
            continue;
        struct event_paced s = pacer_solve(p, &no_pools);
        pacer_adopt(p, &s);
    }
}

static void begin(struct pacer *p, double rate_usd)
{
    static struct params none;
    *p = (struct pacer){.mu = 0};
    params_default(&two);
    params_default(&none);
    two.budget.usd_per_request = rate_usd;
    two.catalog.n = 2;
    two.catalog.model[0] = (struct model){.active = true, .price.in = 100, .price.out = 1000};
    two.catalog.model[1] = (struct model){.active = true, .price.in = 1000, .price.out = 10000};
    pacer_configure(p, &none, &two);
}

/* The cheap model is withdrawn: what the dear one costs more than the rate cannot be helped. */
static void what_cannot_be_avoided_is_no_debt(void **state)
{
    (void)state;
    static struct pacer p;
    static struct params gone;
    struct event_decided d = ask();
    begin(&p, 0.01);
    d.booked_nano = 10000000;
    spend(&p, &d, 300);
    double before = p.carry_usd;
    gone = two;
    gone.catalog.model[0].active = false;
    pacer_configure(&p, &two, &gone);
    two = gone;
    d.eligible = 2;
    d.booked_nano = 20000000;
    spend(&p, &d, 200);
    assert_true(p.carry_usd > before - 5 * 0.01);
    d.booked_nano = 30000000; /* while what is spent beyond it is one */
    spend(&p, &d, 100);
    assert_true(p.carry_usd < before - 90 * 0.01);
}

/* The objective's own price of money keeps to the cheap model: the budget is not what saves. */
static void what_is_not_wanted_is_not_hoarded(void **state)
{
    (void)state;
    static struct pacer p;
    struct event_decided d = ask();
    begin(&p, 0.01);
    d.booked_nano = 2000000;
    d.weight_cost = 100; /* points per dollar: 0.018 dollars cost more than 0.4 points */
    spend(&p, &d, 400);
    assert_true(p.carry_usd < 110 * 0.01);
    double most = p.carry_usd;
    spend(&p, &d, 400);
    assert_true(p.carry_usd < most / 4);
}

/* ---- spending ---- */

static struct feedback outcome(const struct fold *f, uint64_t seq, int arm, struct rng *g)
{
    struct feedback r = fold_report(f, seq, "", 0);
    r.has = FB_QUALITY | FB_PROMPT_TOKENS | FB_OUTPUT_TOKENS;
    r.quality = rng_uniform(g) < quality[arm] ? 1 : 0;
    r.prompt_tokens = 100;
    r.output_tokens = 50 + (int64_t)rng_below(g, 300);
    return r;
}

/* A router that knows its models, and has decided nothing yet. */
static struct fold *learned(double usd_per_request, int outcomes)
{
    char patch[256];
    (void)snprintf(patch, sizeof patch,
                   "{\"objective\":{\"cost\":0},\"learner\":{\"pool_labels\":0},"
                   "\"budget\":{\"usd_per_request\":%.9f}}",
                   usd_per_request);
    struct fold *f = fold_new(patch, 1000);
    struct rng g = rng_stream(3, 1, 1);
    for (int i = 0; i < outcomes; i++) {
        struct feedback r = outcome(f, 0, i % MODELS, &g);
        fold_teach(f, "chat", model_name[i % MODELS], &r);
    }
    fold_tick(f);
    return f;
}

struct run {
    double booked[REQUESTS]; /* over the budget */
    double spent;            /* likewise, mean of what was billed */
};

static void play(double usd, int outcomes, int late, struct run *out)
{
    static struct feedback due[REQUESTS];
    struct fold *f = learned(usd, outcomes);
    struct rng g = rng_stream(4, 2, 2);
    struct router_stats stats;
    for (int i = 0; i < REQUESTS; i++) {
        struct request *r = fold_request("acme", "chat");
        r->prompt_tokens = 100;
        r->value = 0.5 + 1.5 * rng_uniform(&g);
        f->now += 1000;
        if (fold_try(f, r) != STATUS_OK)
            fail_msg("%s", f->problem.text);
        out->booked[i] = (double)f->ev.decided.booked_nano * 1e-9 / usd;
        due[i] = outcome(f, f->ev.seq, f->ev.decided.arm, &g);
        fold_follow(f);
        if (i >= late)
            fold_feed(f, &due[i - late]);
        fold_follow(f);
    }
    for (int i = REQUESTS - late; i < REQUESTS; i++)
        fold_feed(f, &due[i]);
    router_stats(f->router, &stats);
    out->spent = (double)stats.spent_nano * 1e-9 / REQUESTS / usd;
    fold_check(f);
    fold_free(f);
}

static double mean(const double *v, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[i] / n;
    return sum;
}

/* Nothing has been decided, so nothing is known of what requests are like. */
static void the_first_decisions_do_not_splurge(void **state)
{
    (void)state;
    static struct run run;
    play(4e-5, 90, 0, &run); /* small costs 3e-5, big a hundred times that */
    print_message("first 25: %.2f of the budget\n", mean(run.booked, 25));
    assert_true(mean(run.booked, 25) < 1.4);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void stretches_keep_to_the_budget(void **state)
{
    (void)state;
    static struct run run;
    static double window[REQUESTS];
    const int late[] = {0, LATE};
    for (size_t k = 0; k < sizeof late / sizeof *late; k++) {
        play(1e-3, 900, late[k], &run);
        int n = REQUESTS - WINDOW + 1;
        for (int i = 0; i < n; i++)
            window[i] = mean(run.booked + i, WINDOW);
        qsort(window, (size_t)n, sizeof *window, by_size);
        print_message("%d late: spent %.3f of the budget, p99 of %d requests as booked %.3f\n",
                      late[k], run.spent, WINDOW, window[n * 99 / 100]);
        assert_true(run.spent > 0.97 && run.spent <= 1.005);
        assert_true(window[n * 99 / 100] <= 1.03);
    }
}

/* ---- calls that cost dozens of others ---- */

static const double RATE = 1e-3;

/* A request whose dear model, of 16 times the rate, is better by a gain that varies; the other
 * costs three quarters of the rate. Books the choice and gives its cost. */
static double decide_dear(struct pacer *p, struct rng *g, uint64_t seq)
{
    static const struct pool_pacers no_pools;
    struct event_decided d = ask();
    d.view[0].cost_nano = 750000;
    d.view[1].cost_nano = 16000000;
    d.view[0].merit = 0.5F;
    d.view[1].merit = d.view[1].mean[TARGET_QUALITY] =
        (float)(0.5 - 0.02 * log(1 - rng_uniform(g)));
    double price = pacer_price(p, &d, &no_pools, false);
    double dear = (double)d.view[1].merit - price * 16e-3, cheap = 0.5 - price * 0.75e-3;
    d.booked_nano = d.view[dear > cheap].cost_nano;
    pacer_book(p, &d, seq, false, &two);
    if (pacer_due(p)) {
        struct event_paced s = pacer_solve(p, &no_pools);
        pacer_adopt(p, &s);
    }
    return (double)d.booked_nano * 1e-9;
}

static void dear_calls_come_one_by_one(void **state)
{
    (void)state;
    static struct pacer p;
    static double booked[REQUESTS], window[REQUESTS];
    struct rng g = rng_stream(4, 4, 4);
    begin(&p, RATE);
    for (int i = 0; i < REQUESTS; i++)
        booked[i] = decide_dear(&p, &g, (uint64_t)i) / RATE;
    int n = REQUESTS - WINDOW + 1;
    for (int i = 0; i < n; i++)
        window[i] = mean(booked + i, WINDOW);
    qsort(window, (size_t)n, sizeof *window, by_size);
    print_message("dear calls: spent %.3f of the budget, p99 of %d requests as booked %.3f\n",
                  mean(booked, REQUESTS), WINDOW, window[n * 99 / 100]);
    assert_true(mean(booked, REQUESTS) > 0.97 && mean(booked, REQUESTS) <= 1);
    assert_true(window[n * 99 / 100] <= 1.05);
}

static void room_is_what_others_leave(void **state)
{
    (void)state;
    static struct pace_room r;
    struct event_decided d = ask(); /* 2 and 20 thousandths of a dollar */
    d.view[0].merit = 0.5F;
    d.view[1].merit = 0.9F;
    pace_room_begin(&r);
    assert_true(pace_room_price(&r, &d, 0.01, 1) <= 0); /* not many times the rate */
    double price = pace_room_price(&r, &d, 0.0025, 1);  /* 0.4 more for 18 thousandths more */
    assert_true(price > 0.4 / 0.018 && price < 0.401 / 0.018);
    for (int i = 0; i < 500; i++)
        pace_room_book(&r, 2400000);
    double left = pace_room_left(&r, 0.0025);
    assert_true(fabs(left - (1.03 * 0.5 - 199 * 0.0024)) < 1e-9);
    assert_true(pace_room_price(&r, &d, 0.0025, 1) <= 0);
    assert_true(pace_room_price(&r, &d, 0.0025, 2) > 0); /* when predictions are half the bill */
    pace_room_book(&r, 21000000);
    assert_true(pace_room_price(&r, &d, 0.0025, 1) > 0);
    d.view[1].cost_nano = 95000000; /* would not fit whenever it came */
    assert_true(pace_room_price(&r, &d, 0.0025, 1) > 0);
    for (int i = 0; i < 200; i++)
        pace_room_book(&r, 2400000);
    assert_true(pace_room_price(&r, &d, 0.0025, 1) <= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bills_correct_predictions),
        cmocka_unit_test(what_cannot_be_avoided_is_no_debt),
        cmocka_unit_test(what_is_not_wanted_is_not_hoarded),
        cmocka_unit_test(the_first_decisions_do_not_splurge),
        cmocka_unit_test(stretches_keep_to_the_budget),
        cmocka_unit_test(dear_calls_come_one_by_one),
        cmocka_unit_test(room_is_what_others_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
