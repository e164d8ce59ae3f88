/* SPDX-License-Identifier: MIT */
/*
 * A replay's report as JSON for programs and as a table for people. Both render from the same
 * struct without computing anything, so they cannot disagree. Numbers carry six (money nine)
 * significant digits: more would be noise, fewer would hide a difference of 1e-4.
 */
#include "sim/report.h"
#include "sim/report_key.h"
#include "sim/series/series.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void key_null(struct text *t, const char *name)
{
    report_key(t, name);
    text_put(t, "null");
}

static void pick_body(struct text *t, const struct table *table, struct pick p)
{
    text_put(t, "{");
    report_key(t, "model");
    if (p.model < 0)
        text_put(t, "null");
    else
        text_json_string(t, table->model[p.model].name);
    report_number(t, "quality", p.at.quality);
    report_number(t, "cost", p.at.cost);
    text_put(t, "}");
}

static void key_pick(struct text *t, const char *name, const struct table *table, struct pick p)
{
    report_key(t, name);
    pick_body(t, table, p);
}

static void key_point(struct text *t, const char *name, struct point p)
{
    report_key(t, name);
    text_put(t, "{");
    report_number(t, "quality", p.quality);
    report_number(t, "cost", p.cost);
    text_put(t, "}");
}

static void json_budget(struct text *t, const struct replay_report *p)
{
    if (!p->has_budget) {
        key_null(t, "budget");
        key_null(t, "budget_ratio");
        key_null(t, "worst_window_ratio");
        key_null(t, "booked_window_p99");
        key_null(t, "booked_window_worst");
        key_null(t, "binding");
        key_null(t, "hull_at_budget");
        return;
    }
    report_number(t, "budget", p->budget);
    report_interval(t, "budget_ratio", p->budget_ratio);
    report_interval(t, "worst_window_ratio", p->worst_window_ratio);
    report_interval(t, "booked_window_p99", p->booked_p99);
    report_interval(t, "booked_window_worst", p->booked_worst);
    report_number(t, "binding", p->binding);
    report_interval(t, "hull_at_budget",
                    (struct interval){p->hull_at_budget, p->hull_at_budget, p->hull_at_budget});
}

static void json_pool(struct text *t, const struct table *table, const struct replay_report *p)
{
    report_key(t, "share");
    text_put(t, "{");
    for (int m = 0; m < p->n_models; m++)
        report_number(t, table->model[m].name, p->share[m].mean);
    text_put(t, "}");
    report_key(t, "fixed");
    text_put(t, "[");
    for (int m = 0; m < p->n_models; m++) {
        text_put(t, m > 0 ? "," : "");
        pick_body(t, table, (struct pick){m, p->fixed[m]});
    }
    text_put(t, "]");
    report_points(t, "hull", p->hull, p->n_hull);
}

static const char *history_of(const struct replay *r)
{
    return r->cold ? "cold" : r->full_history ? "full" : "bandit";
}

void report_json(struct text *t, const struct replay *r, const struct replay_report *p,
                 const struct baselines *base, const struct shocks *shocks)
{
    text_put(t, "{");
    report_number(t, "n", (double)p->n);
    report_number(t, "learned", (double)p->learned);
    report_number(t, "seeds", r->seeds);
    report_number(t, "first_seed", (double)r->first_seed);
    report_key(t, "policy");
    text_json_string(t, r->params->policy.name);
    report_key(t, "history");
    text_json_string(t, history_of(r));
    report_number(t, "delay", (double)r->delay.mean);
    report_key(t, "delay_kind");
    text_put(t, r->delay.random ? "\"exponential\"" : "\"fixed\"");
    report_key(t, "delay_unit");
    text_put(t, r->delay.seconds ? "\"seconds\"" : "\"requests\"");
    report_interval(t, "quality", p->quality);
    report_interval(t, "spend_per_request", p->spend);
    json_budget(t, p);
    report_interval(t, "hull_at_spend", p->hull_at_spend);
    report_interval(t, "gain_over_hull", p->gain);
    report_interval(t, "refused_share", p->refused);
    report_interval(t, "regret", p->regret);
    report_interval(t, "value_quality", p->value);
    report_interval(t, "value_quality_per_usd", p->value_per_usd);
    report_interval(t, "routing_accuracy", p->accuracy);
    report_interval(t, "routing_accuracy_last_fifth", p->accuracy_last);
    report_interval(t, "multiplier", p->multiplier);
    key_pick(t, "best_single", r->table, p->best_single);
    key_pick(t, "oracle", r->table, p->oracle);
    key_pick(t, "always_largest", r->table, p->largest);
    key_pick(t, "always_smallest", r->table, p->smallest);
    if (base != NULL && base->has_rules)
        key_point(t, "rules", base->rules);
    json_pool(t, r->table, p);
    measures_json(t, &p->measures);
    report_number(t, "alarms", p->alarms);
    report_number(t, "hull_trips", p->trips);
    report_number(t, "hull_tripped_share", p->tripped);
    report_number(t, "hull_trip_labels", p->trip_labels);
    if (shocks != NULL)
        recovery_json(t, shocks);
    if (r->series != NULL)
        series_json(t, r->series, r->table);
    text_put(t, "}\n");
}

/* One line: a mean over seeds and its interval. */
static void line(struct text *t, const char *name, struct interval v, const char *format)
{
    char number[3][32];
    snprintf(number[0], sizeof number[0], format, v.mean);
    text_printf(t, "%-22s %12s", name, number[0]);
    if (!isnan(v.low)) {
        snprintf(number[1], sizeof number[1], format, v.low);
        snprintf(number[2], sizeof number[2], format, v.high);
        text_printf(t, "   %s .. %s", number[1], number[2]);
    }
    text_put(t, "\n");
}

static void row(struct text *t, const char *name, struct point p, const char *note)
{
    text_printf(t, "%-44.44s %8.4f %14.9f  %s\n", name, p.quality, p.cost, note);
}

static void table_baselines(struct text *t, const struct replay *r, const struct replay_report *p,
                            const struct baselines *base)
{
    text_printf(t, "\n%-44s %8s %14s  %s\n", "on the same requests", "quality", "USD/request",
                "share of requests");
    row(t, "purser", (struct point){p->spend.mean, p->quality.mean}, "");
    row(t, "best fixed mix at that spend (static hull)",
        (struct point){p->spend.mean, p->hull_at_spend.mean}, "");
    if (base != NULL && base->has_rules)
        row(t, "keyword rules", base->rules, "");
    row(t, "oracle (every outcome known, luck included)", p->oracle.at, "");
    for (int m = 0; m < p->n_models; m++) {
        char note[64];
        snprintf(note, sizeof note, "%5.1f%%%s%s", 100 * p->share[m].mean,
                 m == p->largest.model ? "  largest" : "",
                 m == p->smallest.model ? "  smallest" : "");
        row(t, r->table->model[m].name, p->fixed[m], note);
    }
}

void report_table(struct text *t, const struct replay *r, const struct replay_report *p,
                  const struct baselines *base, const struct shocks *shocks)
{
    text_printf(
        t, "%zu requests counted, %zu learned from first (%s history), policy %s, %d seed%s\n\n",
        p->n, p->learned, history_of(r), r->params->policy.name, r->seeds,
        r->seeds == 1 ? "" : "s");
    text_printf(t, "%-22s %12s   %s\n", "", "mean", "95% interval over seeds");
    line(t, "quality", p->quality, "%.4f");
    line(t, "USD per request", p->spend, "%.9f");
    line(t, "value per USD", p->value_per_usd, "%.2f");
    if (p->has_budget) {
        line(t, "spend / budget", p->budget_ratio, "%.4f");
        line(t, "worst 200 requests", p->worst_window_ratio, "%.3f");
        text_printf(t, "%-22s %11.1f%%\n", "budget binds", 100 * p->binding);
        if (!isnan(p->booked_p99.mean)) {
            line(t, "booked, p99 of 200", p->booked_p99, "%.3f");
            line(t, "booked, worst 200", p->booked_worst, "%.3f");
        }
        text_printf(t, "%-22s %12.4f\n", "hull at the budget", p->hull_at_budget);
    }
    line(t, "hull at that spend", p->hull_at_spend, "%.4f");
    line(t, "gain over the hull", p->gain, "%+.4f");
    if (p->refused.mean > 0)
        line(t, "refused, share", p->refused, "%.4f");
    table_baselines(t, r, p, base);
    const struct measures_over *measures = &p->measures;
    measures_table(t, (const char *const[]){r->params->policy.name}, &measures, 1);
    if (shocks != NULL)
        recovery_table(t, shocks);
}
