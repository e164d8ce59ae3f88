/* SPDX-License-Identifier: MIT */
#include "sim/scenario/show.h"

#include <math.h>
#include <stdio.h>

void show_cell(struct text *t, struct interval v, double unit, int digits, int width)
{
    char cell[64];
    if (isnan(v.mean))
        snprintf(cell, sizeof cell, "-");
    else if (isnan(v.low))
        snprintf(cell, sizeof cell, "%.*f", digits, unit * v.mean);
    else
        snprintf(cell, sizeof cell, "%.*f +-%.*f", digits, unit * v.mean, digits,
                 unit * (v.high - v.mean));
    text_printf(t, " %*s", width, cell);
}

/* ---- the policies, and what else could have been done ---- */

static void heads(struct text *t, bool latency)
{
    text_printf(t, "\n%-32s %15s %16s %15s", "", "quality %", "$ per 1000", "$ per 1M tokens");
    if (latency)
        text_printf(t, " %13s", "latency ms");
    text_printf(t, " %15s %12s\n", "right model %", "$ a month");
}

static void policy_row(struct text *t, const char *name, const struct run_policy *p, bool latency,
                       double monthly)
{
    text_printf(t, "%-32.32s", name);
    show_cell(t, p->whole.quality, 100, 2, 15);
    show_cell(t, p->whole.spend, 1000, 4, 16);
    show_cell(t, p->whole.usd_per_mtok, 1, 3, 15);
    if (latency)
        show_cell(t, p->whole.latency, 1, 0, 13);
    show_cell(t, p->whole.accuracy, 100, 1, 15);
    text_printf(t, " %12.0f\n", p->whole.spend.mean * monthly);
}

static void point_row(struct text *t, const char *name, struct point p, bool latency,
                      double monthly)
{
    text_printf(t, "%-32.32s %15.2f %16.4f %15s%s %15s %12.0f\n", name, 100 * p.quality,
                1000 * p.cost, "", latency ? "              " : "", "", p.cost * monthly);
}

/* Whether the answers take a time that is told. */
static bool timed(const struct experiment *e, const struct run_report *r)
{
    bool any = false;
    for (int i = 0; i < e->n_policies; i++)
        any = any || !isnan(r->policy[i].whole.latency.mean);
    return any;
}

static void policies(struct text *t, const struct experiment *e, const struct run_report *r,
                     double monthly)
{
    char name[TABLE_NAME_CAP + 32];
    bool latency = timed(e, r);
    const struct run_policy *last = &r->policy[e->n_policies - 1];
    struct pick best = hull_best_single(r->fixed, e->world.table.n_models);
    heads(t, latency);
    for (int i = 0; i < e->n_policies; i++)
        policy_row(t, e->policy[i].name, &r->policy[i], latency, monthly);
    snprintf(name, sizeof name, "best fixed model (%s)", e->world.table.model[best.model].name);
    point_row(t, name, best.at, latency, monthly);
    struct point hull = {last->whole.spend.mean, last->hull_at_spend.mean};
    snprintf(name, sizeof name, "static hull at the last's spend");
    point_row(t, name, hull, latency, monthly);
    point_row(t, "cheapest adequate model (oracle)", r->adequate, latency, monthly);
    point_row(t, "best model (oracle)", r->oracle.at, latency, monthly);
}

/* ---- parts: stretches between disturbances, groups ---- */

static void part_rows(struct text *t, const struct run_part *p)
{
    show_cell(t, p->quality, 100, 2, 15);
    show_cell(t, p->spend, 1000, 4, 16);
    show_cell(t, p->accuracy, 100, 1, 15);
    show_cell(t, p->refused, 100, 1, 12);
}

static void part_heads(struct text *t, const char *what)
{
    text_printf(t, "\n%-32s %15s %16s %15s %12s", what, "quality %", "$ per 1000", "right model %",
                "refused %");
}

static void stretches(struct text *t, const struct experiment *e, const struct run_report *r)
{
    for (int k = 0; r->n_stretches > 1 && k < r->n_stretches; k++) {
        char what[64];
        snprintf(what, sizeof what, "requests %zu to %zu",
                 k > 0 ? r->policy[0].stretch[k - 1].end + 1 : (size_t)1,
                 r->policy[0].stretch[k].end);
        part_heads(t, what);
        text_put(t, "   share of each model, %\n");
        for (int i = 0; i < e->n_policies; i++) {
            text_printf(t, "%-32.32s", e->policy[i].name);
            part_rows(t, &r->policy[i].stretch[k]);
            text_put(t, "  ");
            for (int m = 0; m < e->world.table.n_models; m++)
                text_printf(t, " %s %.1f", e->world.table.model[m].name,
                            100 * r->policy[i].stretch_share[k][m].mean);
            text_put(t, "\n");
        }
    }
}

static void groups(struct text *t, const struct experiment *e, const struct run_report *r)
{
    for (int g = 0; g < e->n_groups; g++) {
        char what[NAME_CAP + 32];
        snprintf(what, sizeof what, "group %s: %.0f requests", e->group[g],
                 r->policy[0].group[g].n);
        part_heads(t, what);
        text_put(t, "\n");
        for (int i = 0; i < e->n_policies; i++) {
            text_printf(t, "%-32.32s", e->policy[i].name);
            part_rows(t, &r->policy[i].group[g]);
            text_put(t, "\n");
        }
    }
}

void show_report(struct text *t, const struct scenario *s, const struct scenario_ask *ask,
                 const struct experiment *e, const struct run_report *r)
{
    text_printf(
        t, "%s: %s\n%zu requests, %lld seed%s, 95%% intervals over seeds, %.0f requests a month\n",
        s->name, s->summary, e->n, (long long)e->seeds, e->seeds == 1 ? "" : "s", ask->monthly);
    policies(t, e, r, ask->monthly);
    stretches(t, e, r);
    groups(t, e, r);
}

void show_json(struct text *t, const struct scenario *s, const struct scenario_ask *ask,
               const struct experiment *e, const struct run_report *r)
{
    text_put(t, "{\"scenario\":");
    text_json_string(t, s->name);
    text_put(t, ",\"summary\":");
    text_json_string(t, s->summary);
    text_printf(t, ",\"monthly\":%.0f,\"experiment\":", ask->monthly);
    run_json(t, e, r);
    text_put(t, "}\n");
}
