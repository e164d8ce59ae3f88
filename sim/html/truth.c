/* SPDX-License-Identifier: MIT */
/* What the engine believes beside what is true: off-policy estimates, and predicted qualities. */
#include "sim/html/draw.h"

#include <math.h>
#include <string.h>

static const char *const estimators[] = {"dm", "ips", "snips", "dr"};
static const double RARE = 0.002; /* share of the requests below which a bin is not drawn */
enum { ESTIMATORS = 4, DRAWN_IPS = 1, DRAWN_DR = 3 };

static void diagonal(struct plot *plot, const char *word)
{
    double low = fmax(plot->x0, plot->y0), high = fmin(plot->x1, plot->y1);
    plot_block(plot);
    plot_row(plot, (double[]){low, low}, 2);
    plot_row(plot, (double[]){high, high}, 2);
    plot_item(plot, plot_end(plot), "using 1:2 with lines lc rgb '%s' lw 1.5 dt 2",
              plot_ink(INK_AXIS));
    plot_beside(plot, high, INK_AXIS, word);
}

/* ---- off-policy estimates ---- */

/* Calls f for each target of each policy. */
static void each(const json_t *policies,
                 void (*f)(void *ctx, const json_t *policy, const json_t *o), void *ctx)
{
    for (size_t i = 0; i < json_array_size(policies); i++) {
        const json_t *policy = json_array_get(policies, i);
        const json_t *list = json_object_get(policy, "off_policy");
        for (size_t k = 0; k < json_array_size(list); k++)
            f(ctx, policy, json_array_get(list, k));
    }
}

struct census {
    int n;
    double worst[ESTIMATORS], claims[ESTIMATORS], covered[ESTIMATORS];
    struct range truth, value;
};

static void count(void *ctx, const json_t *policy, const json_t *o)
{
    struct census *c = ctx;
    double truth = page_number(o, "truth");
    (void)policy;
    c->n++;
    range_take(&c->truth, truth);
    for (int e = 0; e < ESTIMATORS; e++) {
        const json_t *v = json_object_get(o, estimators[e]);
        double error = page_number(v, "value") - truth;
        if (fabs(error) > fabs(c->worst[e]))
            c->worst[e] = error;
        double claims = page_number(v, "claims");
        c->claims[e] += claims > 0 ? claims : 0;
        c->covered[e] += claims > 0 ? claims * page_number(v, "covered") : 0;
        if (e == DRAWN_DR || e == DRAWN_IPS)
            range_take(&c->value, fmin(fmax(page_number(v, "value"), 0), 1));
    }
}

struct dots {
    struct plot *plot;
    int estimator;
    double shift; /* so that two estimators of one truth do not cover each other */
};

static void dot(void *ctx, const json_t *policy, const json_t *o)
{
    struct dots *d = ctx;
    const json_t *v = json_object_get(o, estimators[d->estimator]);
    double y0 = d->plot->y0, y1 = d->plot->y1, value = page_number(v, "value");
    (void)policy;
    if (value < y0 || value > y1) /* a policy that never tries a model cannot judge it */
        return;
    plot_row(d->plot,
             (double[]){page_number(o, "truth") + d->shift, value,
                        fmin(fmax(page_number(v, "low"), y0), y1),
                        fmin(fmax(page_number(v, "high"), y0), y1)},
             4);
}

static void dots(struct plot *plot, const json_t *policies, int estimator, int ink, double shift,
                 const char *word)
{
    struct dots d = {plot, estimator, shift * (plot->x1 - plot->x0)};
    plot_block(plot);
    each(policies, dot, &d);
    plot_item(plot, plot_end(plot), "using 1:2:3:4 with yerrorbars lc rgb '%s' lw 1.5 pt %d ps %g",
              plot_ink(ink), estimator == DRAWN_DR ? 7 : 9, 0.7);
    plot_beside(plot, plot->y1 - (estimator == DRAWN_DR ? 0.02 : 0.1) * (plot->y1 - plot->y0), ink,
                word);
}

static void row(void *ctx, const json_t *policy, const json_t *o)
{
    struct page *p = ctx;
    page_row(p, page_string(policy, "name"));
    page_word(p, page_string(o, "target"));
    page_cell(p, page_number(o, "rows"), "0f");
    page_cell(p, page_number(o, "effective_rows"), "0f");
    page_cell(p, page_number(o, "truth"), "4f");
    for (int e = 0; e < ESTIMATORS; e++) {
        const json_t *v = json_object_get(o, estimators[e]);
        page_cell(p, page_number(v, "value"), "4f");
        page_cell(p, page_number(v, "low"), "4f");
        page_cell(p, page_number(v, "high"), "4f");
        page_cell(p, 100 * page_number(v, "claims"), "0f");
        page_cell(p, 100 * page_number(v, "covered"), "0f");
    }
}

static void estimates(struct page *p, const json_t *run)
{
    const json_t *policies = json_object_get(run, "policies");
    struct census c = {.truth = {NAN, NAN}, .value = {NAN, NAN}};
    struct plot plot;
    each(policies, count, &c);
    if (c.n == 0)
        return;
    page_figure(
        p, "estimates",
        "Each policy's own decisions are asked what always using one model would have reached, "
        "and the answer is held against the outcomes that only the simulator knows. On the "
        "diagonal the estimate is true. Bars are 95% intervals, means over seeds. An interval "
        "claims nothing where too few effective rows are left for the target; the numbers have how "
        "often it claims, and holds the truth then.",
        c.claims[DRAWN_DR] > 0
            ? "Doubly robust estimates miss the truth by at most %.3f; of their 95%% intervals "
              "%.0f%% claim to hold it, and %.0f%% of these do"
            : "Doubly robust estimates miss the truth by at most %.3f; none of their intervals "
              "claims to hold it: the policies explore too little",
        fabs(c.worst[DRAWN_DR]), 100 * c.claims[DRAWN_DR] / c.n,
        100 * c.covered[DRAWN_DR] / c.claims[DRAWN_DR]);
    page_plot(p, &plot, 760, 360, "true quality of always using one model", "estimated");
    double low = fmin(c.truth.low, c.value.low), high = fmax(c.truth.high, c.value.high);
    plot_range(&plot, c.truth.low - 0.03, c.truth.high + 0.03, low - 0.05, high + 0.05);
    diagonal(&plot, "the truth");
    dots(&plot, policies, DRAWN_IPS, INK_SERIES + 1, 0.006, "inverse propensity");
    dots(&plot, policies, DRAWN_DR, INK_SERIES, -0.006, "doubly robust");
    page_draw(p, &plot);
    page_table(p,
               "_decisions of|_always|rows|effective|truth|dm|low|high|claims, %|holds, %|ips|low|"
               "high|claims, %|holds, %|snips|low|high|claims, %|holds, %|dr|low|high|claims, %|"
               "holds, %");
    each(policies, row, p);
    page_table_end(p);
    page_figure_end(p);
}

/* ---- calibration ---- */

/* Mean absolute distance of predicted from observed, by requests: the expected calibration error.
 */
static double calibration_error(const json_t *bins)
{
    double sum = 0, n = 0;
    for (size_t k = 0; k < json_array_size(bins); k++) {
        const json_t *b = json_array_get(bins, k);
        double requests = page_number(b, "requests");
        sum += requests * fabs(page_number(b, "predicted") - page_span(b, "observed").mean);
        n += requests;
    }
    return n > 0 ? sum / n : (double)NAN;
}

static void reliability(struct plot *plot, const json_t *policy, int ink)
{
    const json_t *bins = json_object_get(policy, "calibration");
    double last = NAN, all = 0;
    for (size_t k = 0; k < json_array_size(bins); k++)
        all += page_number(json_array_get(bins, k), "requests");
    plot_block(plot);
    for (size_t k = 0; k < json_array_size(bins); k++) {
        const json_t *b = json_array_get(bins, k);
        struct span o = page_span(b, "observed");
        if (page_number(b, "requests") < all * RARE)
            continue;
        plot_row(plot,
                 (double[]){page_number(b, "predicted"), o.mean,
                            isnan(o.low) ? o.mean : fmax(o.low, 0),
                            isnan(o.high) ? o.mean : fmin(o.high, 1),
                            0.4 + 1.6 * sqrt(page_number(b, "requests") / all)},
                 5);
        last = o.mean;
    }
    int block = plot_end(plot);
    plot_item(plot, block, "using 1:2:3:4 with yerrorbars lc rgb '%s' lw 1 pt 6 ps 0.1",
              plot_ink(ink));
    plot_item(plot, block, "using 1:2:5 with points lc rgb '%s' pt 7 ps variable", plot_ink(ink));
    plot_item(plot, block, "using 1:2 with lines lc rgb '%s' lw 1.2", plot_ink(ink));
    plot_beside(plot, last, ink, page_string(policy, "name"));
}

static void calibration(struct page *p, const json_t *run)
{
    const json_t *policies = json_object_get(run, "policies");
    size_t n = json_array_size(policies);
    n = n < DRAWN_MAX ? n : DRAWN_MAX;
    const json_t *last = json_array_get(policies, draw_main(policies));
    double error = calibration_error(json_object_get(last, "calibration"));
    struct plot plot;
    if (!isfinite(error))
        return;
    page_figure(
        p, "calibration",
        "Requests by the quality that was predicted for the model chosen, against what it "
        "turned out to be. Larger points: more requests; bins with less than 0.2% of them are only "
        "among the numbers. Bars are 95% intervals over seeds.",
        "Qualities that %s predicts are off by %.3f on average (expected calibration error)",
        page_string(last, "name"), error);
    page_plot(p, &plot, 760, 360, "predicted quality", "observed");
    plot_range(&plot, 0, 1, 0, 1);
    diagonal(&plot, "as predicted");
    for (size_t i = 0; i < n; i++)
        reliability(&plot, json_array_get(policies, i), INK_SERIES + (int)i);
    page_draw(p, &plot);
    page_table(p, "_policy|from|to|requests|predicted|observed|low|high");
    for (size_t i = 0; i < json_array_size(policies); i++) {
        const json_t *policy = json_array_get(policies, i),
                     *bins = json_object_get(policy, "calibration");
        for (size_t k = 0; k < json_array_size(bins); k++) {
            const json_t *b = json_array_get(bins, k);
            page_row(p, page_string(policy, "name"));
            page_cell(p, page_number(b, "from"), "1f");
            page_cell(p, page_number(b, "to"), "1f");
            page_cell(p, page_number(b, "requests"), "1f");
            page_cell(p, page_number(b, "predicted"), "4f");
            page_cells(p, page_span(b, "observed"), 1, "4f");
        }
    }
    page_table_end(p);
    page_figure_end(p);
}

void draw_truth(struct page *p, const json_t *run)
{
    estimates(p, run);
    calibration(p, run);
}
