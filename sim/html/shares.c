/* SPDX-License-Identifier: MIT */
/* Who answers, over time: for each policy its models' shares, stacked. */
#include "sim/html/draw.h"

#include <math.h>
#include <string.h>

enum { STACK_MAX = SERIES_INKS, NAMES_MAX = 64 };

/* Models in the order of the stack; from the eighth on they are one, "others". */
struct stack {
    int n;
    const char *name[STACK_MAX];
};

static struct stack stack_of(const json_t *first)
{
    struct stack s = {0};
    const char *name;
    json_t *v;
    json_object_foreach(json_object_get(first, "share"), name, v)
    {
        if (s.n < STACK_MAX)
            s.name[s.n] = name;
        s.n++;
    }
    if (s.n > STACK_MAX) {
        s.name[STACK_MAX - 1] = "others";
        s.n = STACK_MAX;
    }
    return s;
}

/* Shares of a piece; what the stack does not name goes to its last entry. */
static void shares(const struct stack *s, const json_t *part, double out[STACK_MAX])
{
    const char *name;
    json_t *v;
    memset(out, 0, STACK_MAX * sizeof *out);
    json_object_foreach(json_object_get(part, "share"), name, v)
    {
        int m = 0;
        while (m < s->n - 1 && strcmp(s->name[m], name) != 0)
            m++;
        out[m] += json_number_value(v);
    }
}

static void layer(struct plot *plot, const struct stack *s, const json_t *series, int m)
{
    double from = 0, below = 0, most = 0;
    size_t n = json_array_size(series);
    plot_block(plot);
    for (size_t k = 0; k < n; k++) {
        double share[STACK_MAX], low = 0;
        const json_t *part = json_array_get(series, k);
        double end = page_number(part, "requests");
        shares(s, part, share);
        for (int i = 0; i < m; i++)
            low += share[i];
        /* steps: a piece is level from its beginning to its end */
        plot_row(plot, (double[]){from, 100 * low, 100 * (low + share[m])}, 3);
        plot_row(plot, (double[]){end, 100 * low, 100 * (low + share[m])}, 3);
        from = end;
        below = 100 * (low + share[m] / 2);
        most = fmax(most, share[m]);
    }
    plot_item(plot, plot_end(plot),
              "using 1:2:3 with filledcurves lc rgb '%s' fs transparent solid 0.75 noborder",
              plot_ink(INK_SERIES + m));
    if (most >= 0.005)
        plot_beside(plot, below, INK_SERIES + m, s->name[m]);
}

static void one(struct page *p, const json_t *run, const json_t *policy, bool wide)
{
    const json_t *series = json_object_get(policy, "series");
    struct stack s = stack_of(json_array_get(series, 0));
    struct plot plot;
    char axis[128];
    snprintf(axis, sizeof axis, "%s: %% of requests", page_string(policy, "name"));
    page_plot(p, &plot, wide ? 760 : 470, wide ? 300 : 240, "request", axis);
    plot_range(&plot, 0, page_number(run, "n"), 0, 100);
    plot.y0 = 0;
    plot.y1 = 100;
    for (int m = 0; m < s.n; m++)
        layer(&plot, &s, series, m);
    page_draw(p, &plot);
}

/* Share of the requests in some pieces, of every model. */
static void mean(const struct stack *s, const json_t *series, size_t from, size_t to,
                 double out[STACK_MAX])
{
    memset(out, 0, STACK_MAX * sizeof *out);
    for (size_t k = from; k < to; k++) {
        double here[STACK_MAX];
        shares(s, json_array_get(series, k), here);
        for (int m = 0; m < s->n; m++)
            out[m] += here[m] / (double)(to - from);
    }
}

static void title(struct page *p, const json_t *policy)
{
    const json_t *series = json_object_get(policy, "series");
    struct stack s = stack_of(json_array_get(series, 0));
    size_t n = json_array_size(series), tenth = n / 10 > 0 ? n / 10 : 1;
    double early[STACK_MAX], late[STACK_MAX];
    int most = 0;
    mean(&s, series, 0, tenth, early);
    mean(&s, series, n - tenth, n, late);
    for (int m = 1; m < s.n; m++)
        if (fabs(late[m] - early[m]) > fabs(late[most] - early[most]))
            most = m;
    page_figure(
        p, "shares",
        "Share of the requests that each model answers, one drawing for each policy. What is "
        "missing to 100% was refused.",
        "%s sends %.0f%% of the first tenth of the requests to %s, and %.0f%% of the last",
        page_string(policy, "name"), 100 * early[most], s.name[most], 100 * late[most]);
}

static void numbers(struct page *p, const json_t *policies, size_t n)
{
    char columns[1024] = "_policy|up to request";
    const json_t *first = json_object_get(json_array_get(policies, 0), "series");
    struct stack s = stack_of(json_array_get(first, 0));
    for (int m = 0; m < s.n; m++) {
        size_t len = strlen(columns);
        snprintf(columns + len, sizeof columns - len, "|%s, %%", s.name[m]);
    }
    page_table(p, columns);
    for (size_t i = 0; i < n; i++) {
        const json_t *policy = json_array_get(policies, i);
        const json_t *series = json_object_get(policy, "series");
        for (size_t k = 0; k < json_array_size(series); k++) {
            double share[STACK_MAX];
            shares(&s, json_array_get(series, k), share);
            page_row(p, page_string(policy, "name"));
            page_cell(p, page_number(json_array_get(series, k), "requests"), "0f");
            for (int m = 0; m < s.n; m++)
                page_cell(p, 100 * share[m], "2f");
        }
    }
    page_table_end(p);
    page_figure_end(p);
}

void draw_shares(struct page *p, const json_t *run)
{
    const json_t *policies = json_object_get(run, "policies");
    size_t n = json_array_size(policies);
    n = n < DRAWN_MAX ? n : DRAWN_MAX;
    if (n == 0 || json_array_size(json_object_get(json_array_get(policies, 0), "series")) == 0)
        return;
    title(p, json_array_get(policies, draw_main(policies)));
    for (size_t i = 0; i < n; i++)
        one(p, run, json_array_get(policies, i), n == 1);
    numbers(p, policies, n);
}
