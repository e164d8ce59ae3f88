/* SPDX-License-Identifier: MIT */
/*
 * An experiment's report. JSON and table render from the same struct without computing anything;
 * CSV has one line per policy and window, for whoever draws better curves than a terminal can.
 */
#include "sim/report_key.h"
#include "sim/run/run.h"

#include <math.h>
#include <stdio.h>

/* ---- JSON ---- */

static void point(struct text *t, const char *name, struct point p)
{
    text_printf(t, ",\"%s\":{", name);
    report_number(t, "quality", p.quality);
    report_number(t, "cost", p.cost);
    text_put(t, "}");
}

/* The members of a part behind its name or end. */
static void json_part(struct text *t, const struct run_part *p)
{
    report_interval(t, "routing_accuracy", p->accuracy);
    report_interval(t, "quality", p->quality);
    report_interval(t, "spend_per_request", p->spend);
}

static void json_more(struct text *t, const struct run_part *p)
{
    report_interval(t, "usd_per_mtok", p->usd_per_mtok);
    report_interval(t, "latency_ms", p->latency);
    report_interval(t, "refused", p->refused);
}

static void json_curve(struct text *t, const struct run_policy *p, int n_windows)
{
    text_put(t, ",\"curve\":[");
    for (int k = 0; k < n_windows; k++) {
        text_printf(t, "%s{\"requests\":%zu", k > 0 ? "," : "", p->window[k].end);
        json_part(t, &p->window[k]);
        text_put(t, "}");
    }
    text_put(t, "]");
}

static void json_share(struct text *t, const struct experiment *e, const struct interval *share)
{
    text_put(t, ",\"share\":{");
    for (int m = 0; m < e->world.table.n_models; m++)
        report_interval(t, e->world.table.model[m].engine_name, share[m]);
    text_put(t, "}");
}

/* Between disturbances, and by group: each only where there are any. */
static void json_parts(struct text *t, const struct experiment *e, const struct run_report *r,
                       const struct run_policy *p)
{
    text_put(t, ",\"stretches\":[");
    for (int k = 0; r->n_stretches > 1 && k < r->n_stretches; k++) {
        text_printf(t, "%s{\"requests\":%zu", k > 0 ? "," : "", p->stretch[k].end);
        json_part(t, &p->stretch[k]);
        json_more(t, &p->stretch[k]);
        json_share(t, e, p->stretch_share[k]);
        report_interval(t, "recovered", p->recovered[k]);
        report_number(t, "recovered_share", k > 0 ? p->recovered_share[k] : (double)NAN);
        report_interval(t, "adopted", p->adopted[k]);
        text_put(t, "}");
    }
    text_put(t, "],\"groups\":[");
    for (int k = 0; k < e->n_groups; k++) {
        text_put(t, k > 0 ? ",{\"group\":" : "{\"group\":");
        text_json_string(t, e->group[k]);
        report_number(t, "n", p->group[k].n);
        json_part(t, &p->group[k]);
        json_more(t, &p->group[k]);
        text_put(t, "}");
    }
    text_put(t, "]");
}

static void json_policy(struct text *t, const struct experiment *e, const struct run_report *r,
                        int i)
{
    const struct run_policy *p = &r->policy[i];
    text_put(t, i > 0 ? ",{\"name\":" : "{\"name\":");
    text_json_string(t, e->policy[i].name);
    report_number(t, "labelled", (double)e->policy[i].labelled);
    report_number(t, "budget",
                  e->policy[i].params->budget.usd_per_request > 0
                      ? e->policy[i].params->budget.usd_per_request
                      : (double)NAN);
    report_interval(t, "quality", p->whole.quality);
    report_interval(t, "spend_per_request", p->whole.spend);
    json_more(t, &p->whole);
    report_interval(t, "utility", p->utility);
    report_interval(t, "hull_at_spend", p->hull_at_spend);
    report_interval(t, "gain_over_hull", p->gain);
    report_interval(t, "regret", p->regret);
    report_interval(t, "routing_accuracy", p->whole.accuracy);
    report_interval(t, "routing_accuracy_last_fifth", p->accuracy_last);
    report_number(t, "converged_at", p->converged_at < 0 ? (double)NAN : (double)p->converged_at);
    json_share(t, e, p->share);
    measures_json(t, &p->measures);
    json_parts(t, e, r, p);
    json_curve(t, p, r->n_windows);
    series_json(t, &r->series[i], &e->world.table);
    text_put(t, "}");
}

/* What happens on the way, in requests. */
static void json_events(struct text *t, const struct experiment *e)
{
    text_put(t, ",\"events\":[");
    for (int i = 0; i < e->disturbances.n; i++) {
        const struct disturbance *d = &e->disturbances.item[i];
        text_printf(t, "%s{\"kind\":\"%s\",\"from\":%zu,\"until\":%zu", i > 0 ? "," : "",
                    disturbance_name(d->kind), disturbance_at(d->at, e->n),
                    disturbance_at(d->until, e->n));
        if (d->model >= 0) {
            report_key(t, "model");
            text_json_string(t, e->world.table.model[d->model].engine_name);
        }
        text_put(t, "}");
    }
    text_put(t, "]");
}

void run_json(struct text *t, const struct experiment *e, const struct run_report *r)
{
    text_put(t, "{\"source\":");
    text_json_string(t, e->source);
    text_printf(t,
                ",\"n\":%zu,\"seeds\":%lld,\"first_seed\":%lld,\"delay\":%lld,\"adequate\":\"%s\"",
                e->n, (long long)e->seeds, (long long)e->first_seed, (long long)e->delay,
                e->by_mean ? "mean" : "realised");
    point(t, "cheapest_adequate", r->adequate);
    point(t, "oracle", r->oracle.at);
    text_put(t, ",\"fixed\":{");
    for (int m = 0; m < e->world.table.n_models; m++) {
        text_printf(t, "%s\"%s\":{", m > 0 ? "," : "", e->world.table.model[m].engine_name);
        report_number(t, "quality", r->fixed[m].quality);
        report_number(t, "cost", r->fixed[m].cost);
        text_put(t, "}");
    }
    text_put(t, "}");
    report_points(t, "hull", r->hull, r->n_hull);
    json_events(t, e);
    text_put(t, ",\"policies\":[");
    for (int i = 0; i < e->n_policies; i++)
        json_policy(t, e, r, i);
    text_put(t, "]}\n");
}

/* ---- CSV ---- */

static void csv_interval(struct text *t, struct interval v)
{
    text_printf(t, ",%.9g,", v.mean);
    if (!isnan(v.low))
        text_printf(t, "%.9g", v.low);
    text_put(t, ",");
    if (!isnan(v.high))
        text_printf(t, "%.9g", v.high);
}

void run_csv(struct text *t, const struct experiment *e, const struct run_report *r)
{
    text_put(t, "policy,requests,accuracy,accuracy_low,accuracy_high,quality,quality_low,"
                "quality_high,usd_per_request,usd_low,usd_high\n");
    for (int i = 0; i < e->n_policies; i++) {
        for (int k = 0; k < r->n_windows; k++) {
            const struct run_part *w = &r->policy[i].window[k];
            text_printf(t, "%s,%zu", e->policy[i].name, w->end);
            csv_interval(t, w->accuracy);
            csv_interval(t, w->quality);
            csv_interval(t, w->spend);
            text_put(t, "\n");
        }
    }
}

/* ---- for people ---- */

enum { PLOT_HEIGHT = 11 };

static char mark(int policy)
{
    return (char)(policy < 26 ? 'a' + policy : 'A' + policy - 26);
}

static void table_policies(struct text *t, const struct experiment *e, const struct run_report *r)
{
    text_printf(t, "\n%-30s %8s %12s %8s %8s %9s %11s %10s\n", "", "quality", "USD/request", "gain",
                "regret", "accuracy", "last fifth", "99% from");
    for (int i = 0; i < e->n_policies; i++) {
        const struct run_policy *p = &r->policy[i];
        text_printf(t, "%c %-28.28s %8.4f %12.8f %+8.4f %8.4f %8.2f%% %10.2f%%", mark(i),
                    e->policy[i].name, p->whole.quality.mean, p->whole.spend.mean, p->gain.mean,
                    p->regret.mean, 100 * p->whole.accuracy.mean, 100 * p->accuracy_last.mean);
        if (p->converged_at >= 0)
            text_printf(t, " %10lld\n", p->converged_at);
        else
            text_printf(t, " %10s\n", "never");
    }
    text_printf(t, "%-30s %8.4f %12.8f\n", "cheapest adequate model", r->adequate.quality,
                r->adequate.cost);
    text_printf(t, "%-30s %8.4f %12.8f\n", "best model (oracle)", r->oracle.at.quality,
                r->oracle.at.cost);
    for (int m = 0; m < e->world.table.n_models; m++)
        text_printf(t, "%-30.30s %8.4f %12.8f\n", e->world.table.model[m].name, r->fixed[m].quality,
                    r->fixed[m].cost);
}

static void table_curve(struct text *t, const struct experiment *e, const struct run_report *r)
{
    text_put(t, "\naccuracy in the window that ends at this request, percent (95% interval)\n");
    text_printf(t, "%9s", "request");
    for (int i = 0; i < e->n_policies; i++)
        text_printf(t, "  %-22.22s", e->policy[i].name);
    for (int k = 0; k < r->n_windows; k++) {
        text_printf(t, "\n%9zu", r->policy[0].window[k].end);
        for (int i = 0; i < e->n_policies; i++) {
            struct interval v = r->policy[i].window[k].accuracy;
            text_printf(t, "  %6.2f", 100 * v.mean);
            if (isnan(v.low))
                text_printf(t, "%16s", "");
            else
                text_printf(t, " (%5.1f..%5.1f) ", 100 * v.low, fmin(100 * v.high, 100));
        }
    }
    text_put(t, "\n");
}

static void table_measures(struct text *t, const struct experiment *e, const struct run_report *r)
{
    const char *name[EXPERIMENT_POLICIES_MAX];
    const struct measures_over *m[EXPERIMENT_POLICIES_MAX];
    for (int i = 0; i < e->n_policies; i++) {
        name[i] = e->policy[i].name;
        m[i] = &r->policy[i].measures;
    }
    measures_table(t, name, m, e->n_policies);
}

static void table_events(struct text *t, const struct experiment *e, const struct run_report *r)
{
    for (int k = 1; k < r->n_stretches; k++) {
        text_printf(t, "\nfrom request %zu on, requests until\n",
                    r->policy[0].stretch[k - 1].end + 1);
        for (int i = 0; i < e->n_policies; i++) {
            const struct run_policy *p = &r->policy[i];
            text_printf(t, "  %-28.28s", e->policy[i].name);
            if (isnan(p->recovered[k].mean))
                text_put(t, " quality is back at 95%: never");
            else
                text_printf(t, " quality is back at 95%%: %.0f (%.0f%% of the seeds)",
                            p->recovered[k].mean, 100 * p->recovered_share[k]);
            if (!isnan(p->adopted[k].mean))
                text_printf(t, "; the new model is adopted: %.0f", p->adopted[k].mean);
            text_put(t, "\n");
        }
    }
}

/* The line of the plot on which a policy's accuracy in a window lies. */
static int level(const struct run_policy *p, int k, double low)
{
    double v = (p->window[k].accuracy.mean - low) / (1 - low);
    return (int)lround(fmax(v, 0) * (PLOT_HEIGHT - 1));
}

static void plot(struct text *t, const struct experiment *e, const struct run_report *r)
{
    double low = 1;
    for (int i = 0; i < e->n_policies; i++)
        for (int k = 0; k < r->n_windows; k++)
            low = fmin(low, r->policy[i].window[k].accuracy.mean);
    low = fmin(floor(low * 10) / 10, 0.9);
    text_put(t, "\n");
    for (int line = PLOT_HEIGHT - 1; line >= 0; line--) {
        text_printf(t, "%8.0f%% |", 100 * (low + (1 - low) * line / (PLOT_HEIGHT - 1)));
        for (int k = 0; k < r->n_windows; k++) {
            char c = ' ';
            for (int i = e->n_policies - 1; i >= 0; i--)
                c = level(&r->policy[i], k, low) == line ? mark(i) : c;
            text_printf(t, "  %c", c);
        }
        text_put(t, "\n");
    }
    text_printf(t, "          +%zu .. %zu requests, logarithmic\n", r->policy[0].window[0].end,
                e->n);
}

void run_table(struct text *t, const struct experiment *e, const struct run_report *r)
{
    text_printf(t, "%s: %zu requests, %lld seed%s, judged by %s\n", e->source, e->n,
                (long long)e->seeds, e->seeds == 1 ? "" : "s",
                e->by_mean ? "true means" : "realised outcomes");
    table_policies(t, e, r);
    table_curve(t, e, r);
    plot(t, e, r);
    table_measures(t, e, r);
    table_events(t, e, r);
}
