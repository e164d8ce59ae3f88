/* SPDX-License-Identifier: MIT */
#include "sim/metrics/measure_sum.h"

#include <math.h>

#include "sim/report_key.h"

static const struct measures *at(const struct measures *first, size_t stride, int i)
{
    return (const struct measures *)(const void *)((const char *)first + (size_t)i * stride);
}

static struct interval over(const struct measures *first, size_t stride, int n, int m, double *work)
{
    int have = 0;
    for (int i = 0; i < n; i++) {
        work[have] = at(first, stride, i)->value[m];
        have += !isnan(work[have]);
    }
    return have > 0 ? interval_over(work, have) : (struct interval){NAN, NAN, NAN};
}

static void add_bin(struct reliability_bin *to, const struct reliability_bin *one)
{
    if (!(one->n > 0))
        return;
    to->n += one->n;
    to->predicted += one->n * one->predicted;
    to->observed += one->n * one->observed;
}

void measures_sum(const struct measures *first, size_t stride, int n, double *work,
                  struct measures_over *out)
{
    *out = (struct measures_over){.curve = {{0}}};
    for (int m = 0; m < MEASURES; m++)
        out->value[m] = over(first, stride, n, m, work);
    for (int i = 0; i < n; i++) {
        const struct measures *one = at(first, stride, i);
        for (int k = 0; k < MEASURE_POINTS; k++) {
            out->curve[k].cost += one->curve[k].cost / n;
            out->curve[k].quality += one->curve[k].quality / n;
        }
        for (int b = 0; b < MEASURE_BINS; b++)
            add_bin(&out->bin[b], &one->bin[b]);
    }
    for (int b = 0; b < MEASURE_BINS; b++) {
        out->bin[b].predicted /= out->bin[b].n; /* NaN when it is empty */
        out->bin[b].observed /= out->bin[b].n;
    }
}

void measures_json(struct text *t, const struct measures_over *m)
{
    text_put(t, ",\"measures\":{");
    for (int k = 0; k < MEASURES; k++)
        report_interval(t, measure_name((enum measure)k), m->value[k]);
    text_put(t, "},\"deferral_curve\":[");
    for (int k = 0; k < MEASURE_POINTS; k++) {
        text_put(t, k > 0 ? ",{" : "{");
        report_number(t, "cost", m->curve[k].cost);
        report_number(t, "quality", m->curve[k].quality);
        text_put(t, "}");
    }
    text_put(t, "],\"bins\":[");
    for (int b = 0; b < MEASURE_BINS; b++) {
        text_put(t, b > 0 ? ",{" : "{");
        report_number(t, "n", m->bin[b].n);
        report_number(t, "predicted", m->bin[b].predicted);
        report_number(t, "observed", m->bin[b].observed);
        text_put(t, "}");
    }
    text_put(t, "]");
}

void measures_table(struct text *t, const char *const *name, const struct measures_over *const *m,
                    int columns)
{
    text_printf(t, "\n%-20s", "");
    for (int i = 0; i < columns; i++)
        text_printf(t, " %14.14s", name[i]);
    for (int k = 0; k < MEASURES; k++) {
        bool any = false;
        for (int i = 0; i < columns; i++)
            any = any || !isnan(m[i]->value[k].mean);
        if (!any)
            continue;
        text_printf(t, "\n%-20s", measure_name((enum measure)k));
        for (int i = 0; i < columns; i++) {
            if (isnan(m[i]->value[k].mean))
                text_printf(t, " %14s", "-");
            else
                text_printf(t, " %14.5g", m[i]->value[k].mean);
        }
        text_printf(t, "   %s", measure_means((enum measure)k));
    }
    text_put(t, "\n");
}

enum status measures_rows_begin(struct measures_rows *r, const struct sheet_place *to,
                                struct problem *problem)
{
    static const char *const curve[] = {"policy", "seed", "point", "usd_per_request", "quality"};
    static const char *const bins[] = {"policy",   "seed",      "bin",
                                       "requests", "predicted", "observed"};
    enum status s = sheet_begin(&r->curve, to, "curve", problem);
    if (s == STATUS_OK)
        s = sheet_begin(&r->bins, to, "bins", problem);
    sheet_columns(&r->curve, curve, sizeof curve / sizeof *curve);
    sheet_columns(&r->bins, bins, sizeof bins / sizeof *bins);
    return s;
}

static void whose(struct sheet *s, const char *policy, int64_t seed, int number)
{
    sheet_text(s, policy);
    sheet_count(s, seed);
    sheet_count(s, number);
}

void measures_rows_put(struct measures_rows *r, const char *policy, int64_t seed,
                       const struct measures *m)
{
    for (int k = 0; k < MEASURE_POINTS; k++) {
        whose(&r->curve, policy, seed, k + 1);
        sheet_number(&r->curve, m->curve[k].cost);
        sheet_number(&r->curve, m->curve[k].quality);
    }
    for (int k = 0; k < MEASURE_BINS; k++) {
        whose(&r->bins, policy, seed, k + 1);
        sheet_count(&r->bins, (int64_t)m->bin[k].n);
        sheet_number(&r->bins, m->bin[k].predicted);
        sheet_number(&r->bins, m->bin[k].observed);
    }
}

enum status measures_rows_end(struct measures_rows *r, enum status s, struct problem *problem)
{
    s = sheet_end(&r->curve, s, problem);
    return sheet_end(&r->bins, s, problem);
}
