/* SPDX-License-Identifier: MIT */
/*
 * One pool with a single window over all requests, in quantile mode, since rows have no
 * max_output_tokens. The price of money that the objective has stays: without a pacer it is what
 * keeps a router from calling the largest model for everything.
 */
#include "sim/worth/worth_cap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/budget/window.h"
#include "core/config/config.h"
#include "sim/play/play.h"

enum side { AWARE, BLIND, WALL, SIDES };

static enum status set_pool(const struct replay *r, enum side side, double usd, struct params *p,
                            struct problem *problem)
{
    char until[WINDOW_TIME_CAP], json[512];
    char throttle[48] = "";
    window_time_write(PLAY_EPOCH_MS + (int64_t)r->table->n * PLAY_STEP_MS, until);
    if (side == AWARE)
        (void)snprintf(throttle, sizeof throttle, ",\"throttle\":%.6g", r->params->value.most);
    int n = snprintf(json, sizeof json,
                     "{\"budget\":{\"usd_per_request\":0},\"pools\":[{\"name\":\"all\","
                     "\"usd\":%.9f,\"window\":\"once\",\"until\":\"%s\",\"mode\":\"quantile\","
                     "\"pace\":%s%s}]}",
                     usd, until, side == WALL ? "false" : "true", throttle);
    *p = *r->params;
    if (side != AWARE)
        memset(p->value.n, 0, sizeof p->value.n);
    return config_patch(p, json, (size_t)n, problem);
}

static enum status play_side(const struct replay *r, enum side k, double usd, struct params *params,
                             struct play_result *each, struct problem *problem)
{
    struct replay side = *r;
    struct replay_report *report = malloc(sizeof *report);
    if (report == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    side.params = params;
    side.worth = &r->params->value;
    side.each = each;
    enum status s = set_pool(r, k, usd, params, problem);
    if (s == STATUS_OK)
        s = replay_run(&side, report, problem);
    free(report);
    return s;
}

static double per_usd(const struct play_result *p)
{
    return p->spend_usd > 0 ? p->value / p->spend_usd : 0;
}

static void sum_up(struct worth_capped *out, const struct play_result *p, int seeds, size_t n)
{
    double spend[SEEDS_MAX], value[SEEDS_MAX], per[SEEDS_MAX], served[SEEDS_MAX];
    for (int i = 0; i < seeds; i++) {
        spend[i] = p[i].spend_usd;
        value[i] = p[i].value;
        per[i] = per_usd(&p[i]);
        served[i] = 1 - (double)p[i].refused / (double)n;
    }
    *out = (struct worth_capped){.spend = interval_over(spend, seeds),
                                 .value = interval_over(value, seeds),
                                 .per_usd = interval_over(per, seeds),
                                 .served = interval_over(served, seeds)};
}

static struct interval over(const struct play_result *a, const struct play_result *b, int seeds)
{
    double ratio[SEEDS_MAX];
    for (int i = 0; i < seeds; i++)
        ratio[i] = per_usd(&a[i]) / per_usd(&b[i]);
    return interval_over(ratio, seeds);
}

enum status worth_cap_measure(const struct replay *r, double budget, struct worth_cap *out,
                              struct problem *problem)
{
    size_t seeds = (size_t)r->seeds, n = r->table->n;
    struct play_result *each = calloc(SIDES * seeds, sizeof *each);
    struct params *params = malloc(sizeof *params);
    enum status s = STATUS_OK;
    *out = (struct worth_cap){.budget = budget};
    if (each == NULL || params == NULL)
        s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    for (int k = 0; k < SIDES && s == STATUS_OK; k++)
        s = play_side(r, (enum side)k, budget * (double)n, params, each + (size_t)k * seeds,
                      problem);
    if (s == STATUS_OK) {
        struct worth_capped *side[SIDES] = {&out->aware, &out->blind, &out->wall};
        for (int k = 0; k < SIDES; k++)
            sum_up(side[k], each + (size_t)k * seeds, r->seeds, n);
        out->over_blind = over(each, each + BLIND * seeds, r->seeds);
        out->over_wall = over(each, each + WALL * seeds, r->seeds);
    }
    free(params);
    free(each);
    return s;
}
