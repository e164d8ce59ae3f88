/* SPDX-License-Identifier: MIT */
/* An experiment: what its policies came to, on the frontier. */
#include "sim/html/draw.h"

#include <math.h>
#include <string.h>

static int ink_of(size_t i)
{
    return INK_SERIES + (int)(i % DRAWN_MAX);
}

static void fixed(struct frontier *f, const json_t *run)
{
    const char *name;
    json_t *v;
    json_object_foreach(json_object_get(run, "fixed"), name, v)
        frontier_add(f, name, page_span(v, "cost"), page_span(v, "quality"), INK_TEXT, false);
    v = json_object_get(run, "oracle");
    frontier_add(f, "oracle", page_span(v, "cost"), page_span(v, "quality"), INK_AXIS, false);
    v = json_object_get(run, "cheapest_adequate");
    frontier_add(f, "cheapest adequate", page_span(v, "cost"), page_span(v, "quality"), INK_AXIS,
                 false);
}

/* The policy that gains most over the static hull, of those whose names begin so; n if there is
 * none. */
static size_t foremost(const json_t *policies, const char *begin)
{
    size_t n = json_array_size(policies), best = n;
    double most = (double)-INFINITY;
    for (size_t i = 0; i < n; i++) {
        const json_t *p = json_array_get(policies, i);
        double gain = page_span(p, "gain_over_hull").mean;
        if (gain > most && strncmp(page_string(p, "name"), begin, strlen(begin)) == 0) {
            best = i;
            most = gain;
        }
    }
    return best;
}

size_t draw_main(const json_t *policies)
{
    size_t n = json_array_size(policies), best = foremost(policies, "purser");
    best = best < n ? best : foremost(policies, "");
    return best < n && best < DRAWN_MAX ? best : 0;
}

static void title(struct page *p, const json_t *policies)
{
    static const char read[] =
        "Up and to the left is better. The dashed line is what a random mix of fixed models "
        "reaches "
        "without looking at the request. Bars are 95% intervals over seeds. The oracle knows every "
        "outcome beforehand.";
    const json_t *best = json_array_get(policies, foremost(policies, ""));
    struct span gain = page_span(best, "gain_over_hull");
    if (gain.low > 0)
        page_figure(p, "frontier", read,
                    "%s is %.3f above the best mix of fixed models at equal spend (%.3f to %.3f)",
                    page_string(best, "name"), gain.mean, gain.low, gain.high);
    else if (gain.mean > 0)
        page_figure(p, "frontier", read,
                    "No policy is surely above the best mix of fixed models; the nearest is %s: "
                    "%+.3f",
                    page_string(best, "name"), gain.mean);
    else
        page_figure(p, "frontier", read, "No policy is above the best mix of fixed models");
}

static void table(struct page *p, const struct frontier *f, const json_t *policies)
{
    page_table(p, "_|quality|low|high|USD/1000|low|high|gain over hull|low|high|regret");
    for (size_t i = 0; i < json_array_size(policies); i++) {
        const json_t *v = json_array_get(policies, i);
        page_row(p, page_string(v, "name"));
        page_cells(p, page_span(v, "quality"), 1, "4f");
        page_cells(p, page_span(v, "spend_per_request"), PER_THOUSAND, "4f");
        page_cells(p, page_span(v, "gain_over_hull"), 1, "4f");
        page_cell(p, page_span(v, "regret").mean, "4f");
    }
    for (int i = 0; i < f->n; i++) {
        if (f->mark[i].router)
            continue;
        page_row(p, f->mark[i].name);
        page_cells(p, f->mark[i].quality, 1, "4f");
        page_cells(p, f->mark[i].cost, PER_THOUSAND, "4f");
    }
    page_table_end(p);
}

static void frontier(struct page *p, const json_t *run)
{
    const json_t *policies = json_object_get(run, "policies");
    struct frontier f = {.hull = json_object_get(run, "hull")};
    fixed(&f, run);
    for (size_t i = 0; i < json_array_size(policies); i++) {
        const json_t *v = json_array_get(policies, i);
        frontier_add(&f, i < DRAWN_MAX ? page_string(v, "name") : "",
                     page_span(v, "spend_per_request"), page_span(v, "quality"),
                     i < DRAWN_MAX ? ink_of(i) : INK_AXIS, true);
    }
    title(p, policies);
    draw_frontier(p, &f);
    table(p, &f, policies);
    page_figure_end(p);
}

void draw_name(const char *path, char *out, size_t cap)
{
    const char *slash = strrchr(path, '/'), *base = slash != NULL && slash[1] ? slash + 1 : path;
    size_t len = strlen(base);
    if (len > 5 && strcmp(base + len - 5, ".json") == 0)
        len -= 5;
    snprintf(out, cap, "%.*s", (int)len, base);
}

void draw_run(struct page *p, const json_t *run, const char *name)
{
    char below[400];
    size_t n = json_array_size(json_object_get(run, "policies"));
    snprintf(below, sizeof below, "%.200s: %.0f requests, %.0f seeds, %zu policies%s.",
             page_string(run, "source"), page_number(run, "n"), page_number(run, "seeds"), n,
             n > DRAWN_MAX ? "; over time the first 8 are drawn" : "");
    page_section(p, name, below);
    frontier(p, run);
    draw_over_time(p, run);
    draw_shares(p, run);
    draw_truth(p, run);
}
