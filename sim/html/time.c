/* SPDX-License-Identifier: MIT */
/* An experiment over time: regret, quality, cost, price of money, spend over budget. */
#include "sim/html/draw.h"

#include <math.h>
#include <string.h>

enum { TIME_HEIGHT = 300, WORD_CAP = 64 };

/* One quantity of all policies over time. */
struct view {
    const json_t *run, *policies;
    const char *key; /* of a series' part */
    double unit;
    const char *axis, *format;
    int n; /* policies drawn */
};

static struct view view_of(const json_t *run, const char *key, double unit, const char *axis,
                           const char *format)
{
    const json_t *policies = json_object_get(run, "policies");
    size_t n = json_array_size(policies);
    return (struct view){
        run, policies, key, unit, axis, format, (int)(n < DRAWN_MAX ? n : DRAWN_MAX)};
}

static const json_t *series(const json_t *policies, int i)
{
    return json_object_get(json_array_get(policies, (size_t)i), "series");
}

static const char *name(const struct view *v, int i)
{
    return page_string(json_array_get(v->policies, (size_t)i), "name");
}

static struct span at(const struct view *v, int policy, size_t k)
{
    struct span s = page_span(json_array_get(series(v->policies, policy), k), v->key);
    return (struct span){s.mean * v->unit, s.low * v->unit, s.high * v->unit};
}

static size_t parts(const struct view *v)
{
    return json_array_size(series(v->policies, 0));
}

static double end_of(const struct view *v, int policy, size_t k)
{
    return page_number(json_array_get(series(v->policies, policy), k), "requests");
}

/* Axes over all means, and over bands unless one alone would squeeze the rest flat. */
static void fit(const struct view *v, struct plot *plot)
{
    struct range y = {NAN, NAN}, band = {NAN, NAN};
    for (int i = 0; i < v->n; i++)
        for (size_t k = 0; k < parts(v); k++) {
            struct span s = at(v, i, k);
            range_take(&y, s.mean);
            range_take(&band, s.low);
            range_take(&band, s.high);
        }
    double spread = y.high - y.low;
    if (isfinite(band.low)) {
        band.low = y.low >= 0 ? fmax(band.low, 0) : band.low;
        if (strcmp(v->key, "quality") == 0)
            band.high = fmin(band.high, 1);
        y.low = fmax(band.low, y.low - spread * 0.5);
        y.high = fmin(band.high, y.high + spread * 0.5);
    }
    plot_range(plot, 0, page_number(v->run, "n"), y.low, y.high);
}

/* What happens on the way, as words at dashed lines. */
static void events(const struct view *v, struct plot *plot)
{
    const json_t *list = json_object_get(v->run, "events");
    double n = page_number(v->run, "n");
    int row = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        double from = page_number(e, "from"), until = page_number(e, "until");
        const char *model = page_string(e, "model");
        char word[WORD_CAP];
        snprintf(word, sizeof word, "%s%s%s", page_string(e, "kind"), model[0] ? ": " : "", model);
        if (from > 0 && from < n)
            plot_rule(plot, from, row++ % 4, word);
        snprintf(word, sizeof word, "end of %s", page_string(e, "kind"));
        if (until < n && until > from)
            plot_rule(plot, until, row++ % 4, word);
    }
}

static void line(const struct view *v, struct plot *plot, int i)
{
    int ink = INK_SERIES + i;
    bool band = false;
    double last = NAN, from = 0;
    plot_block(plot);
    for (size_t k = 0; k < parts(v); k++) {
        struct span s = at(v, i, k);
        double end = end_of(v, i, k), low = fmax(s.low, plot->y0), high = fmin(s.high, plot->y1);
        double x = strcmp(v->key, "regret_sum") == 0 ? end : (from + end) / 2;
        band = band || s.high > s.low;
        plot_row(plot, (double[]){x, s.mean, fmin(low, plot->y1), fmax(high, plot->y0)}, 4);
        last = isnan(s.mean) ? last : s.mean;
        from = end;
    }
    int block = plot_end(plot);
    if (band)
        plot_item(plot, block,
                  "using 1:3:4 with filledcurves lc rgb '%s' fs transparent solid 0.16 noborder",
                  plot_ink(ink));
    plot_item(plot, block, "using 1:2 with lines lc rgb '%s' lw 2 dt %d", plot_ink(ink),
              i < 4 ? 1 : 2);
    plot_beside(plot, last, ink, name(v, i));
}

static void lines(struct page *p, const struct view *v, int height)
{
    struct plot plot;
    page_plot(p, &plot, 760, height, "request", v->axis);
    fit(v, &plot);
    events(v, &plot);
    for (int i = 0; i < v->n; i++)
        line(v, &plot, i);
    page_draw(p, &plot);
}

/* The end of each piece, and its numbers for all policies that are drawn. */
static void numbers(struct page *p, const struct view *views, int n)
{
    char columns[256] = "_policy|up to request";
    size_t len = strlen(columns);
    for (int q = 0; q < n; q++)
        len += (size_t)snprintf(columns + len, sizeof columns - len, "|%s|low|high", views[q].axis);
    page_table(p, columns);
    for (int i = 0; i < views[0].n; i++)
        for (size_t k = 0; k < parts(&views[0]); k++) {
            page_row(p, name(&views[0], i));
            page_cell(p, end_of(&views[0], i, k), "0f");
            for (int q = 0; q < n; q++)
                page_cells(p, at(&views[q], i, k), 1, views[q].format);
        }
    page_table_end(p);
    page_figure_end(p);
}

static void regret(struct page *p, const json_t *run)
{
    struct view v = view_of(run, "regret_sum", 1, "regret since the first request", "2f");
    size_t n = parts(&v);
    int who = (int)draw_main(v.policies);
    double all = at(&v, who, n - 1).mean, early = at(&v, who, n / 5 > 0 ? n / 5 - 1 : 0).mean;
    page_figure(
        p, "regret",
        "Quality points that knowing every outcome would have had more, added up; money is not "
        "counted. Bands are 95% intervals over seeds. The steeper, the more is being lost.",
        "%s loses %.0f quality points to the oracle over the run, %.0f%% of them in its first "
        "fifth",
        name(&v, who), all, all > 0 ? 100 * early / all : 0);
    lines(p, &v, TIME_HEIGHT + 40);
    numbers(p, &v, 1);
}

/* Mean of a quantity over pieces [from, to), of a policy. */
static double mean(const struct view *v, int i, double from, double to)
{
    double sum = 0, n = 0, begin = 0;
    for (size_t k = 0; k < parts(v); k++) {
        double end = end_of(v, i, k), here = fmin(end, to) - fmax(begin, from),
               m = at(v, i, k).mean;
        if (here > 0 && isfinite(m)) {
            sum += here * m;
            n += here;
        }
        begin = end;
    }
    return n > 0 ? sum / n : (double)NAN;
}

static void title(struct page *p, const struct view *v)
{
    static const char read[] =
        "Means over even pieces of the run with 95% bands over seeds. Dashed lines: something "
        "begins "
        "or ends. The price of money is the pacer's multiplier: 0 where no budget binds.";
    const json_t *list = json_object_get(v->run, "events");
    double n = page_number(v->run, "n"), from = NAN, until = NAN;
    const char *kind = "";
    for (size_t i = 0; i < json_array_size(list) && isnan(from); i++) {
        const json_t *e = json_array_get(list, i);
        if (page_number(e, "from") > 0) {
            from = page_number(e, "from");
            until = page_number(e, "until");
            kind = page_string(e, "kind");
        }
    }
    int who = (int)draw_main(v->policies);
    if (isnan(from)) {
        page_figure(p, "rolling", read,
                    "%s goes from quality %.3f in its first tenth to %.3f in its last",
                    name(v, who), mean(v, who, 0, n / 10), mean(v, who, n * 0.9, n));
        return;
    }
    page_figure(
        p, "rolling", read,
        "%s under \"%s\": quality %.3f before it, %.3f in the first fifth of it, %.3f in the "
        "last",
        name(v, who), kind, mean(v, who, 0, from), mean(v, who, from, from + (until - from) / 5),
        mean(v, who, until - (until - from) / 5, until));
}

static bool any_above(const struct view *v, double level)
{
    for (int i = 0; i < v->n; i++)
        for (size_t k = 0; k < parts(v); k++)
            if (at(v, i, k).mean > level)
                return true;
    return false;
}

static void rolling(struct page *p, const json_t *run)
{
    struct view v[3] = {
        view_of(run, "quality", 1, "quality (0 to 1)", "4f"),
        view_of(run, "spend_per_request", PER_THOUSAND, "USD per 1,000 requests", "4f"),
        view_of(run, "multiplier", 1, "price of money (points of quality per USD)", "4g")};
    int n = any_above(&v[2], 0) ? 3 : 2;
    title(p, &v[0]);
    for (int i = 0; i < n; i++)
        lines(p, &v[i], TIME_HEIGHT);
    numbers(p, v, n);
}

/* ---- spend over budget ---- */

static double budget_of(const struct view *v, int i)
{
    return page_number(json_array_get(v->policies, (size_t)i), "budget");
}

/* Spend since the first request over what the budget allowed until then. */
static double ratio(const struct view *v, int i, size_t k)
{
    return mean(v, i, 0, end_of(v, i, k)) / budget_of(v, i);
}

static void budget_line(const struct view *v, struct plot *plot, int i)
{
    plot_block(plot);
    for (size_t k = 0; k < parts(v); k++)
        plot_row(plot, (double[]){end_of(v, i, k), fmin(100 * ratio(v, i, k), plot->y1)}, 2);
    plot_item(plot, plot_end(plot), "using 1:2 with lines lc rgb '%s' lw 2",
              plot_ink(INK_SERIES + i));
    plot_beside(plot, 100 * ratio(v, i, parts(v) - 1), INK_SERIES + i, name(v, i));
}

static void budget(struct page *p, const json_t *run)
{
    struct view v = view_of(run, "spend_per_request", 1, "", "");
    struct range y = {100, 100};
    struct plot plot;
    int last = -1;
    size_t n = parts(&v);
    for (int i = 0; i < v.n; i++)
        if (budget_of(&v, i) > 0) {
            last = i;
            for (size_t k = n / 10; k < n; k++)
                range_take(&y, 100 * ratio(&v, i, k));
        }
    if (last < 0)
        return;
    page_figure(
        p, "budget",
        "Spend since the first request over what the budget allowed until then. 100% is the "
        "budget.",
        "%s spends %.1f%% of its budget", name(&v, last), 100 * ratio(&v, last, n - 1));
    page_plot(p, &plot, 760, TIME_HEIGHT, "request", "spent, % of the budget");
    plot_range(&plot, 0, page_number(run, "n"), y.low, y.high);
    events(&v, &plot);
    plot_block(&plot);
    plot_row(&plot, (double[]){plot.x0, 100}, 2);
    plot_row(&plot, (double[]){plot.x1, 100}, 2);
    plot_item(&plot, plot_end(&plot), "using 1:2 with lines lc rgb '%s' lw 1.5 dt 2",
              plot_ink(INK_AXIS));
    plot_beside(&plot, 100, INK_AXIS, "budget");
    for (int i = 0; i < v.n; i++)
        if (budget_of(&v, i) > 0)
            budget_line(&v, &plot, i);
    page_draw(p, &plot);
    page_table(p, "_policy|up to request|spent, USD per 1000|% of the budget");
    for (int i = 0; i < v.n; i++)
        for (size_t k = 0; budget_of(&v, i) > 0 && k < n; k++) {
            page_row(p, name(&v, i));
            page_cell(p, end_of(&v, i, k), "0f");
            page_cell(p, mean(&v, i, 0, end_of(&v, i, k)) * PER_THOUSAND, "4f");
            page_cell(p, 100 * ratio(&v, i, k), "2f");
        }
    page_table_end(p);
    page_figure_end(p);
}

void draw_over_time(struct page *p, const json_t *run)
{
    struct view v = view_of(run, "quality", 1, "", "");
    if (v.n == 0 || parts(&v) == 0)
        return;
    regret(p, run);
    rolling(p, run);
    budget(p, run);
}
