/* SPDX-License-Identifier: MIT */
/*
 * The oracles are what no router can pass: value_i x quality minus a price of money, row by row,
 * with every outcome known, at the price that meets the budget. The blind one chooses by quality
 * and is counted by value. The distance between them is all that values can bring, luck included.
 * Per-dollar figures at one budget differ by what is delivered alone, since both spend the same;
 * most of that the cheapest model would have delivered too. Therefore the second figure: what was
 * delivered beyond the cheapest model, for the dollars spent beyond it.
 */
#include "sim/worth/worth.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "sim/play/play.h"

static double row_value(const struct value_tables *v, const struct table *t, size_t row)
{
    struct labels labels = {.tenant = ""};
    table_identifier(labels.task, table_task(t, row));
    return value_of(v, &labels);
}

static void add(struct worth_point *p, const struct table *t, size_t cell, double value)
{
    p->cost += (double)t->cost_nano[cell] / 1e9 / (double)t->n;
    p->quality += t->q[cell] / (double)t->n;
    p->value += value * t->q[cell] / (double)t->n;
}

static struct worth_point fixed_at(const struct table *t, int m, const double *value)
{
    struct worth_point p = {0};
    for (size_t i = 0; i < t->n; i++)
        add(&p, t, table_cell(t, i, m), value[i]);
    return p;
}

/* The oracle at a price of money; weight NULL: it counts quality alone. */
static struct worth_point oracle_at(const struct table *t, const double *value,
                                    const double *weight, double price)
{
    struct worth_point p = {0};
    for (size_t i = 0; i < t->n; i++) {
        size_t best = table_cell(t, i, 0);
        double w = weight != NULL ? weight[i] : 1;
        for (int m = 1; m < t->n_models; m++) {
            size_t cell = table_cell(t, i, m);
            double more = w * (t->q[cell] - t->q[best]) -
                          price * (double)(t->cost_nano[cell] - t->cost_nano[best]) / 1e9;
            if (more > 0 || (more >= 0 && t->cost_nano[cell] < t->cost_nano[best]))
                best = cell;
        }
        add(&p, t, best, value[i]);
    }
    return p;
}

static struct worth_point oracle_within(const struct table *t, const double *value,
                                        const double *weight, double spend)
{
    double lo = 0, hi = 1;
    struct worth_point p = oracle_at(t, value, weight, 0);
    if (p.cost <= spend)
        return p;
    while (hi < 1e12 && oracle_at(t, value, weight, hi).cost > spend)
        hi *= 4;
    for (int i = 0; i < 60 && hi - lo > 1e-9 * hi; i++) {
        double mid = lo + (hi - lo) / 2;
        if (oracle_at(t, value, weight, mid).cost > spend)
            lo = mid;
        else
            hi = mid;
    }
    return oracle_at(t, value, weight, hi);
}

static int by_price(const struct table *t, double sign)
{
    int best = 0;
    for (int m = 1; m < t->n_models; m++)
        if (sign * (t->model[m].usd_in + t->model[m].usd_out - t->model[best].usd_in -
                    t->model[best].usd_out) >
            0)
            best = m;
    return best;
}

double worth_budget(const struct table *t, double share)
{
    int m = by_price(t, 1);
    double cost = 0;
    for (size_t i = 0; i < t->n; i++)
        cost += (double)t->cost_nano[table_cell(t, i, m)] / 1e9 / (double)t->n;
    return share * cost;
}

static void survey(struct worth_report *out, const struct table *t, const double *value)
{
    struct point fixed[MODELS_MAX], hull[MODELS_MAX];
    out->largest = fixed_at(t, by_price(t, 1), value);
    out->smallest = fixed_at(t, by_price(t, -1), value);
    for (int m = 0; m < t->n_models; m++) {
        struct worth_point p = fixed_at(t, m, value);
        fixed[m] = (struct point){p.cost, p.value};
    }
    int n = hull_build(fixed, t->n_models, hull);
    out->mix = (struct worth_point){.cost = out->budget, .value = hull_value(hull, n, out->budget)};
    for (int m = 0; m < t->n_models; m++)
        fixed[m].quality = fixed_at(t, m, value).quality;
    n = hull_build(fixed, t->n_models, hull);
    out->mix.quality = hull_value(hull, n, out->budget);
    out->oracle = oracle_within(t, value, value, out->budget);
    out->blind_oracle = oracle_within(t, value, NULL, out->budget);
    for (size_t i = 0; i < t->n; i++)
        out->mean_value += value[i] / (double)t->n;
}

static double per_usd(double value, double cost)
{
    return cost > 0 ? value / cost : 0;
}

static double extra_per_usd(const struct play_result *p, struct worth_point least)
{
    return per_usd(p->value - least.value, p->spend_usd - least.cost);
}

static void sum_up(struct worth_side *out, const struct play_result *p, int seeds,
                   struct worth_point least)
{
    double per[SEEDS_MAX], extra[SEEDS_MAX], value[SEEDS_MAX], quality[SEEDS_MAX], spend[SEEDS_MAX];
    for (int i = 0; i < seeds; i++) {
        per[i] = per_usd(p[i].value, p[i].spend_usd);
        extra[i] = extra_per_usd(&p[i], least);
        value[i] = p[i].value;
        quality[i] = p[i].quality;
        spend[i] = p[i].spend_usd;
    }
    *out = (struct worth_side){.spend = interval_over(spend, seeds),
                               .quality = interval_over(quality, seeds),
                               .value = interval_over(value, seeds),
                               .per_usd = interval_over(per, seeds),
                               .extra_per_usd = interval_over(extra, seeds)};
}

static void compare(struct worth_report *out, const struct play_result *aware,
                    const struct play_result *blind)
{
    double gain[SEEDS_MAX], extra[SEEDS_MAX];
    for (int i = 0; i < out->seeds; i++) {
        gain[i] = per_usd(aware[i].value, aware[i].spend_usd) /
                  per_usd(blind[i].value, blind[i].spend_usd);
        extra[i] =
            extra_per_usd(&aware[i], out->smallest) / extra_per_usd(&blind[i], out->smallest);
    }
    out->gain = interval_over(gain, out->seeds);
    out->extra_gain = interval_over(extra, out->seeds);
}

/* Plays one side; its results go to each. */
static enum status play_side(const struct replay *r, bool values, struct params *params,
                             struct play_result *each, struct problem *problem)
{
    struct replay side = *r;
    struct replay_report *report = malloc(sizeof *report);
    if (report == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    *params = *r->params;
    if (!values)
        memset(params->value.n, 0, sizeof params->value.n);
    side.params = params;
    side.worth = &r->params->value;
    side.each = each;
    enum status s = replay_run(&side, report, problem);
    free(report);
    return s;
}

enum status worth_measure(const struct replay *r, struct worth_report *out, struct problem *problem)
{
    size_t seeds = (size_t)r->seeds, n = r->table->n;
    struct play_result *each = calloc(2 * seeds, sizeof *each);
    double *value = calloc(n, sizeof *value);
    struct params *params = malloc(sizeof *params);
    enum status s = STATUS_OK;
    *out = (struct worth_report){
        .n = n, .seeds = r->seeds, .budget = r->params->budget.usd_per_request};
    if (each == NULL || value == NULL || params == NULL)
        s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s == STATUS_OK)
        s = play_side(r, true, params, each, problem);
    if (s == STATUS_OK)
        s = play_side(r, false, params, each + seeds, problem);
    if (s == STATUS_OK) {
        for (size_t i = 0; i < n; i++)
            value[i] = row_value(&r->params->value, r->table, i);
        survey(out, r->table, value);
        sum_up(&out->aware, each, r->seeds, out->smallest);
        sum_up(&out->blind, each + seeds, r->seeds, out->smallest);
        compare(out, each, each + seeds);
        s = worth_cap_measure(r, out->budget, &out->cap[WORTH_CAP_BUDGET], problem);
    }
    if (s == STATUS_OK)
        s = worth_cap_measure(r, out->budget / out->largest.cost * out->smallest.cost,
                              &out->cap[WORTH_CAP_SMALLEST], problem);
    free(params);
    free(value);
    free(each);
    return s;
}
