/* SPDX-License-Identifier: MIT */
/* Figures of the other results: replay, compare, ope, metrics. */
#include "sim/html/draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add_point(struct frontier *f, const json_t *o, const char *member, const char *name)
{
    const json_t *v = json_object_get(o, member);
    if (json_is_object(v))
        frontier_add(f, name, page_span(v, "cost"), page_span(v, "quality"), INK_AXIS, false);
}

static void table(struct page *p, const struct frontier *f)
{
    page_table(p, "_|quality|low|high|USD/1000|low|high");
    for (int i = 0; i < f->n; i++) {
        page_row(p, f->mark[i].name);
        page_cells(p, f->mark[i].quality, 1, "4f");
        page_cells(p, f->mark[i].cost, PER_THOUSAND, "4f");
    }
    page_table_end(p);
    page_figure_end(p);
}

/* ---- replay ---- */

/* A replay as the one policy of a run, with its changes as events; NULL = it has no series. */
static json_t *as_run(const json_t *replay)
{
    const json_t *changes = json_object_get(replay, "changes");
    json_t *policy = json_deep_copy(replay), *events = json_array();
    if (json_array_size(json_object_get(replay, "series")) == 0) {
        json_decref(policy);
        json_decref(events);
        return NULL;
    }
    json_object_set_new(policy, "name", json_string(page_string(replay, "policy")));
    for (size_t i = 0; i < json_array_size(changes); i++) {
        const json_t *c = json_array_get(changes, i);
        bool active = json_is_true(json_object_get(c, "active"));
        json_array_append_new(
            events, json_pack("{s:s,s:f,s:f,s:s}", "kind", active ? "change" : "withdrawn", "from",
                              page_number(c, "at"), "until", page_number(c, "until"), "model",
                              page_string(c, "model")));
    }
    return json_pack("{s:f,s:[o],s:o}", "n", page_number(replay, "n"), "policies", policy, "events",
                     events);
}

void draw_replay(struct page *p, const json_t *replay)
{
    struct frontier f = {.hull = json_object_get(replay, "hull")};
    struct span gain = page_span(replay, "gain_over_hull");
    const json_t *fixed = json_object_get(replay, "fixed");
    char below[200];
    snprintf(below, sizeof below, "%.0f requests counted, %.0f learned first, %.0f seeds.",
             page_number(replay, "n"), page_number(replay, "learned"),
             page_number(replay, "seeds"));
    page_section(p, "Replay", below);
    for (size_t i = 0; i < json_array_size(fixed); i++) {
        const json_t *m = json_array_get(fixed, i);
        frontier_add(&f, page_string(m, "model"), page_span(m, "cost"), page_span(m, "quality"),
                     INK_TEXT, false);
    }
    add_point(&f, replay, "oracle", "oracle");
    add_point(&f, replay, "rules", "keyword rules");
    frontier_add(&f, page_string(replay, "policy"), page_span(replay, "spend_per_request"),
                 page_span(replay, "quality"), INK_SERIES, true);
    page_figure(
        p, "frontier",
        "Up and to the left is better. The dashed line is what a random mix of fixed models "
        "reaches without looking at the request. Bars are 95% intervals over seeds.",
        gain.low > 0 ? "%s is %.3f above the best mix of fixed models at equal spend"
                     : "%s is not surely above the best mix of fixed models (%+.3f)",
        page_string(replay, "policy"), gain.mean);
    draw_frontier(p, &f);
    table(p, &f);
    json_t *run = as_run(replay);
    if (run != NULL) {
        draw_over_time(p, run);
        draw_shares(p, run);
        draw_truth(p, run);
    }
    json_decref(run);
}

/* ---- compare ---- */

static struct span flat_span(const json_t *o, const char *name)
{
    char low[64], high[64];
    snprintf(low, sizeof low, "%s_low", name);
    snprintf(high, sizeof high, "%s_high", name);
    return (struct span){page_number(o, name), page_number(o, low), page_number(o, high)};
}

void draw_compare(struct page *p, const json_t *const *cell, int n)
{
    struct matrix *m = calloc(1, sizeof *m);
    if (m == NULL)
        return;
    matrix_init(m);
    for (int i = 0; i < n; i++) {
        char world[64], table[64];
        const char *policy = page_string(cell[i], "policy");
        if (!json_is_true(json_object_get(cell[i], "counts")) || strcmp(policy, "ceiling") == 0)
            continue;
        draw_name(page_string(cell[i], "table"), table, sizeof table);
        snprintf(world, sizeof world, "%.30s %.10s %.12s", table, page_string(cell[i], "history"),
                 page_string(cell[i], "asked"));
        matrix_put(m, world, policy, flat_span(cell[i], "gain"));
    }
    draw_matrix(p, m, "Gain over the static hull at equal spend, of a table, history and budget");
    free(m);
}

/* ---- ope ---- */

static void estimators(struct page *p, const json_t *aim, const char *axis, double unit, int width)
{
    json_t *list = json_object_get(json_object_get(aim, "target"), "estimators");
    const char *name;
    json_t *v;
    struct range x = {NAN, NAN};
    struct plot plot;
    double logged = page_number(aim, "logged_mean") * unit;
    int n = (int)json_object_size(list), row = n;
    range_take(&x, logged);
    json_object_foreach(list, name, v)
    {
        const json_t *i = json_object_get(v, "student");
        range_take(&x, page_number(v, "value") * unit);
        range_take(&x, json_number_value(json_array_get(i, 0)) * unit);
        range_take(&x, json_number_value(json_array_get(i, 1)) * unit);
    }
    page_plot(p, &plot, width, 70 + 24 * n, axis, "");
    plot.left = 96.0 / width;
    plot.right = 0.97;
    plot.bare_y = true;
    plot_range(&plot, x.low - 0.03 * (x.high - x.low), x.high + 0.03 * (x.high - x.low), 0, n);
    plot.y0 = 0.2;
    plot.y1 = n + 0.8;
    plot_rule(&plot, logged, 0, "logged");
    plot_block(&plot);
    json_object_foreach(list, name, v)
    {
        const json_t *i = json_object_get(v, "student");
        plot_row(&plot,
                 (double[]){page_number(v, "value") * unit, row,
                            json_number_value(json_array_get(i, 0)) * unit,
                            json_number_value(json_array_get(i, 1)) * unit},
                 4);
        plot_name(&plot, plot.x0, row--, -0.8, 0, "right", INK_TEXT, name);
    }
    plot_item(&plot, plot_end(&plot),
              "using 1:2:3:4 with xerrorbars lc rgb '%s' lw 1.8 pt 7 ps 0.7", plot_ink(INK_SERIES));
    page_draw(p, &plot);
}

static void estimator_rows(struct page *p, const char *aim_name, const json_t *aim)
{
    json_t *list = json_object_get(json_object_get(aim, "target"), "estimators");
    const char *name;
    json_t *v;
    json_object_foreach(list, name, v)
    {
        page_row(p, aim_name);
        page_word(p, name);
        page_cell(p, page_number(v, "value"), "6g");
        for (size_t k = 0; k < 2; k++)
            page_cell(p, json_number_value(json_array_get(json_object_get(v, "student"), k)), "6g");
        page_cell(p, page_number(aim, "logged_mean"), "6g");
    }
}

void draw_ope(struct page *p, const json_t *ope)
{
    const json_t *aims = json_object_get(ope, "aims");
    const json_t *quality = json_object_get(aims, "quality"), *cost = json_object_get(aims, "cost");
    const json_t *dr =
        json_object_get(json_object_get(json_object_get(quality, "target"), "estimators"), "dr");
    bool passed = json_is_true(json_object_get(json_object_get(ope, "gate"), "promote"));
    char below[200];
    snprintf(below, sizeof below, "%.0f decisions of %.120s, effective sample size %.0f.",
             page_number(ope, "rows"), page_string(ope, "source"),
             page_number(json_object_get(ope, "health"), "ess"));
    page_section(p, "Off-policy evaluation", below);
    page_figure(
        p, "estimators",
        "What the target would have reached on logged decisions, by each estimator with its "
        "95% interval. The dashed line is what the logged decisions reached.",
        "Target %s would reach quality %.3f where the log has %.3f: the gate %s",
        page_string(ope, "target"), page_number(dr, "value"), page_number(quality, "logged_mean"),
        passed ? "lets it through" : "holds it back");
    estimators(p, quality, "quality (mean, 0 to 1)", 1, cost != NULL ? 560 : 760);
    if (cost != NULL)
        estimators(p, cost, "cost (USD per 1,000 requests)", PER_THOUSAND, 560);
    page_table(p, "_aim|_estimator|value|low|high|logged");
    estimator_rows(p, "quality", quality);
    estimator_rows(p, "cost (USD)", cost);
    page_table_end(p);
    page_figure_end(p);
}

/* ---- metrics ---- */

static void deferral(struct page *p, const json_t *metrics)
{
    const json_t *curve = json_object_get(metrics, "curve");
    struct range y = {NAN, NAN};
    struct plot plot;
    double weak = page_number(metrics, "weak"), strong = page_number(metrics, "strong");
    range_take(&y, weak);
    range_take(&y, strong);
    for (size_t i = 0; i < json_array_size(curve); i++)
        range_take(&y, page_number(json_array_get(curve, i), "quality"));
    page_figure(
        p, "deferral",
        "Quality when the highest scores go to the strong model. The dashed line is a random "
        "choice of as many.",
        "The router recovers %.0f%% of the gap on average (APGR %.3f); half of it needs %.0f%% "
        "strong calls",
        100 * page_number(metrics, "apgr"), page_number(metrics, "apgr"),
        100 * page_number(metrics, "cpt50"));
    page_plot(p, &plot, 760, 360, "calls of the strong model, %", "quality (mean)");
    plot_range(&plot, 0, 100, y.low, y.high);
    plot_block(&plot);
    plot_row(&plot, (double[]){0, weak}, 2);
    plot_row(&plot, (double[]){100, strong}, 2);
    plot_item(&plot, plot_end(&plot), "using 1:2 with lines lc rgb '%s' lw 1.5 dt 2",
              plot_ink(INK_AXIS));
    plot_beside(&plot, strong, INK_AXIS, "random / all strong");
    plot_block(&plot);
    for (size_t i = 0; i < json_array_size(curve); i++)
        plot_row(&plot,
                 (double[]){100 * page_number(json_array_get(curve, i), "share"),
                            page_number(json_array_get(curve, i), "quality")},
                 2);
    plot_item(&plot, plot_end(&plot), "using 1:2 with lines lc rgb '%s' lw 2",
              plot_ink(INK_SERIES));
    page_draw(p, &plot);
    page_table(p, "_strong calls, %|quality");
    for (size_t i = 0; i < json_array_size(curve); i++) {
        char share[32];
        snprintf(share, sizeof share, "%.1f", 100 * page_number(json_array_get(curve, i), "share"));
        page_row(p, share);
        page_cell(p, page_number(json_array_get(curve, i), "quality"), "4f");
    }
    page_table_end(p);
    page_figure_end(p);
}

void draw_metrics(struct page *p, const json_t *metrics, const char *name)
{
    page_section(p, name, "Metrics of a measured curve.");
    if (json_object_get(metrics, "curve") != NULL) {
        deferral(p, metrics);
        return;
    }
    struct frontier f = {.hull = json_object_get(metrics, "hull")};
    for (size_t i = 0; i < json_array_size(f.hull); i++) {
        const json_t *v = json_array_get(f.hull, i);
        frontier_add(&f, "", page_span(v, "cost"), page_span(v, "quality"), INK_SERIES, true);
    }
    page_figure(p, "frontier",
                "Vertices of the hull of the settings measured. Cost is in the file's unit, times "
                "1,000.",
                "AIQ %.4f, AUDC %.4f, QNC %.4f", page_number(metrics, "aiq"),
                page_number(metrics, "audc"), page_number(metrics, "qnc"));
    draw_frontier(p, &f);
    table(p, &f);
}
