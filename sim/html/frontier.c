/* SPDX-License-Identifier: MIT */
#include "sim/html/draw.h"

#include <math.h>

void frontier_add(struct frontier *f, const char *name, struct span cost, struct span quality,
                  int ink, bool router)
{
    if (f->n < MARKS_MAX && isfinite(cost.mean) && isfinite(quality.mean))
        f->mark[f->n++] = (struct mark){name, cost, quality, ink, router};
}

/* Half an interval beyond the picture tells nothing: axes follow means, and intervals that are not
 * wider than all means together. */
static void fit(const struct frontier *f, struct plot *plot)
{
    struct range x = {NAN, NAN}, y = {NAN, NAN};
    for (int i = 0; i < f->n; i++) {
        range_take(&x, f->mark[i].cost.mean * PER_THOUSAND);
        range_take(&y, f->mark[i].quality.mean);
    }
    struct range wide_x = {0, x.high * 1.15}, wide_y = {y.low - (y.high - y.low), 1};
    for (int i = 0; i < f->n; i++) {
        const struct mark *m = &f->mark[i];
        if (m->cost.high * PER_THOUSAND < wide_x.high)
            range_take(&x, m->cost.high * PER_THOUSAND);
        if (m->quality.low > wide_y.low)
            range_take(&y, m->quality.low);
        if (m->quality.high < wide_y.high)
            range_take(&y, m->quality.high);
    }
    plot_range(plot, 0, x.high * 1.04, y.low, y.high);
}

static void hull(struct plot *plot, const json_t *list)
{
    size_t n = json_array_size(list);
    double last = NAN, cost = NAN;
    if (n == 0)
        return;
    plot_block(plot);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        cost = page_number(v, "cost") * PER_THOUSAND;
        last = page_number(v, "quality");
        plot_row(plot, (double[]){cost, last}, 2);
    }
    plot_row(plot, (double[]){plot->x1, last}, 2); /* more money buys no more of a fixed mix */
    plot_item(plot, plot_end(plot), "using 1:2 with lines lc rgb '%s' lw 1.5 dt 2",
              plot_ink(INK_AXIS));
    plot_beside(plot, last, INK_AXIS, "static hull");
}

/* Marks that lie on each other share a name. */
static bool same_place(const struct plot *plot, const struct mark *a, const struct mark *b)
{
    return fabs(a->cost.mean - b->cost.mean) * PER_THOUSAND < 0.01 * (plot->x1 - plot->x0) &&
           fabs(a->quality.mean - b->quality.mean) < 0.02 * (plot->y1 - plot->y0);
}

/* The name of the i-th mark with those of later ones at its place; "" when an earlier one has it.
 */
static void join(const struct frontier *f, const struct plot *plot, int i, char *out, size_t cap)
{
    const struct mark *m = &f->mark[i];
    size_t len = (size_t)snprintf(out, cap, "%s", m->name);
    for (int k = 0; !m->router && k < f->n; k++) {
        const struct mark *other = &f->mark[k];
        if (k == i || other->router || !same_place(plot, m, other))
            continue;
        if (k < i)
            out[0] = '\0';
        else if (len < cap && out[0] != '\0')
            len += (size_t)snprintf(out + len, cap - len, ", %s", other->name);
    }
}

static void mark(struct plot *plot, const struct mark *m, const char *name)
{
    double x = m->cost.mean * PER_THOUSAND, y = m->quality.mean;
    plot_block(plot);
    plot_row(plot,
             (double[]){x, y, isnan(m->cost.low) ? x : fmax(m->cost.low * PER_THOUSAND, plot->x0),
                        isnan(m->cost.high) ? x : fmin(m->cost.high * PER_THOUSAND, plot->x1),
                        isnan(m->quality.low) ? y : fmax(m->quality.low, plot->y0),
                        isnan(m->quality.high) ? y : fmin(m->quality.high, plot->y1)},
             6);
    int block = plot_end(plot);
    if (m->router && (m->cost.high > m->cost.low || m->quality.high > m->quality.low))
        plot_item(plot, block, "using 1:2:3:4:5:6 with xyerrorbars lc rgb '%s' lw 1.5 pt 6 ps 0.1",
                  plot_ink(m->ink));
    plot_item(plot, block, "using 1:2 with points lc rgb '%s' pt %d ps %g", plot_ink(m->ink),
              m->router ? 7 : 13, m->router ? 0.9 : 0.8);
    if (name[0] == '\0')
        return;
    if (m->router) {
        plot_beside_from(plot, x, y, m->ink, name);
    } else {
        bool low = y < plot->y0 + 0.12 * (plot->y1 - plot->y0);
        bool right = x > plot->x0 + 0.8 * (plot->x1 - plot->x0);
        plot_name(plot, x, y, right ? -0.9 : 0.9, low ? 0.75 : -0.75, right ? "right" : "left",
                  m->ink, name);
    }
}

void draw_frontier(struct page *p, const struct frontier *f)
{
    struct plot plot;
    if (f->n == 0)
        return;
    page_plot(p, &plot, 760, 400, "cost (USD per 1,000 requests)", "quality (mean, 0 to 1)");
    fit(f, &plot);
    hull(&plot, f->hull);
    for (int i = 0; i < f->n; i++) {
        char name[128];
        join(f, &plot, i, name, sizeof name);
        mark(&plot, &f->mark[i], name);
    }
    page_draw(p, &plot);
}
