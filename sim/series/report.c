/* SPDX-License-Identifier: MIT */
/* Series over seeds, and their JSON. */
#include "sim/series/series.h"

#include "sim/report_key.h"

#include <math.h>

/* The runs to be added up. */
struct runs {
    const struct series *(*at)(const void *ctx, int i);
    const void *ctx;
    int seeds;
    double *work;
};

static struct interval over(const struct runs *r, int n)
{
    return n > 0 ? interval_over(r->work, n) : (struct interval){NAN, NAN, NAN};
}

static void part(const struct runs *r, int k, int n_models, struct series_part *out)
{
    double all = 0, refused = 0, chosen[MODELS_MAX] = {0};
    for (int i = 0; i < r->seeds; i++) {
        const struct series_bucket *b = &r->at(r->ctx, i)->bucket[k];
        all += (double)b->n;
        refused += (double)b->refused;
        for (int m = 0; m < n_models; m++)
            chosen[m] += b->chosen[m];
        r->work[i] = b->quality / (double)b->n;
    }
    out->quality = over(r, r->seeds);
    out->refused = refused / all;
    for (int m = 0; m < n_models; m++)
        out->share[m] = chosen[m] / all;
    for (int i = 0; i < r->seeds; i++) {
        const struct series_bucket *b = &r->at(r->ctx, i)->bucket[k];
        r->work[i] = (double)b->cost_nano / 1e9 / (double)b->n;
    }
    out->spend = over(r, r->seeds);
    int n = 0;
    for (int i = 0; i < r->seeds; i++) {
        const struct series_bucket *b = &r->at(r->ctx, i)->bucket[k];
        if (b->n > b->refused)
            r->work[n++] = b->multiplier / (double)(b->n - b->refused);
    }
    out->multiplier = over(r, n);
    for (int i = 0; i < r->seeds; i++) {
        r->work[i] = 0;
        for (int j = 0; j <= k; j++) {
            const struct series_bucket *b = &r->at(r->ctx, i)->bucket[j];
            r->work[i] += b->best - b->quality;
        }
    }
    out->regret = over(r, r->seeds);
}

static void bin(const struct runs *r, int k, struct series_report *out)
{
    double count = 0, predicted = 0;
    int n = 0;
    for (int i = 0; i < r->seeds; i++) {
        const struct series_bin *b = &r->at(r->ctx, i)->bin[k];
        count += (double)b->n;
        predicted += b->predicted;
        if (b->n > 0)
            r->work[n++] = b->observed / (double)b->n;
    }
    out->bin[k].n = count / r->seeds;
    out->bin[k].predicted = count > 0 ? predicted / count : (double)NAN;
    out->bin[k].observed = over(r, n);
}

static void ope(const struct runs *r, int m, struct series_report *out)
{
    int n = 0;
    double rows = 0, truth = 0, effective = 0;
    double value[SERIES_ESTIMATORS] = {0}, low[SERIES_ESTIMATORS] = {0},
           high[SERIES_ESTIMATORS] = {0}, claims[SERIES_ESTIMATORS] = {0},
           covered[SERIES_ESTIMATORS] = {0};
    for (int i = 0; i < r->seeds; i++) {
        const struct series_ope *o = &r->at(r->ctx, i)->ope[m];
        if (o->rows == 0)
            continue;
        n++;
        rows += (double)o->rows;
        truth += o->truth;
        effective += o->effective;
        for (int e = 0; e < SERIES_ESTIMATORS; e++) {
            value[e] += o->value[e];
            low[e] += o->low[e];
            high[e] += o->high[e];
            bool claim = series_claims(o, (enum series_estimator)e);
            claims[e] += claim;
            covered[e] += claim && o->low[e] <= o->truth && o->truth <= o->high[e];
        }
    }
    if (n == 0)
        return;
    out->ope[m].rows = rows / n;
    out->ope[m].truth = truth / n;
    out->ope[m].effective = effective / n;
    for (int e = 0; e < SERIES_ESTIMATORS; e++) {
        out->ope[m].value[e] = value[e] / n;
        out->ope[m].low[e] = low[e] / n;
        out->ope[m].high[e] = high[e] / n;
        out->ope[m].claims[e] = claims[e] / n;
        out->ope[m].covered[e] = claims[e] > 0 ? covered[e] / claims[e] : (double)NAN;
    }
}

void series_sum_up(const struct series *(*at)(const void *ctx, int i), const void *ctx, int seeds,
                   size_t n, int n_models, double *work, struct series_report *out)
{
    const struct runs runs = {at, ctx, seeds, work};
    size_t end[SERIES_BUCKETS];
    *out = (struct series_report){.n = series_buckets(n, end)};
    for (int k = 0; k < out->n; k++) {
        out->part[k].end = end[k];
        part(&runs, k, n_models, &out->part[k]);
    }
    for (int k = 0; k < SERIES_BINS; k++)
        bin(&runs, k, out);
    for (int m = 0; m < n_models; m++)
        ope(&runs, m, out);
}

static void json_part(struct text *t, const struct series_part *p, const struct table *models)
{
    text_printf(t, "{\"requests\":%zu", p->end);
    report_interval(t, "quality", p->quality);
    report_interval(t, "spend_per_request", p->spend);
    report_interval(t, "multiplier", p->multiplier);
    report_interval(t, "regret_sum", p->regret);
    report_number(t, "refused", p->refused);
    text_put(t, ",\"share\":{");
    for (int m = 0; m < models->n_models; m++)
        report_number(t, models->model[m].engine_name, p->share[m]);
    text_put(t, "}}");
}

static void json_ope(struct text *t, const struct series_report *r, int m)
{
    report_number(t, "rows", r->ope[m].rows);
    report_number(t, "truth", r->ope[m].truth);
    report_number(t, "effective_rows", r->ope[m].effective);
    for (int e = 0; e < SERIES_ESTIMATORS; e++) {
        report_key(t, series_estimator_name((enum series_estimator)e));
        text_put(t, "{");
        report_number(t, "value", r->ope[m].value[e]);
        report_number(t, "low", r->ope[m].low[e]);
        report_number(t, "high", r->ope[m].high[e]);
        report_number(t, "claims", r->ope[m].claims[e]);
        report_number(t, "covered", r->ope[m].covered[e]);
        text_put(t, "}");
    }
}

void series_json(struct text *t, const struct series_report *r, const struct table *models)
{
    text_put(t, ",\"series\":[");
    for (int k = 0; k < r->n; k++) {
        text_put(t, k > 0 ? "," : "");
        json_part(t, &r->part[k], models);
    }
    text_put(t, "],\"calibration\":[");
    for (int k = 0, n = 0; k < SERIES_BINS; k++) {
        if (!(r->bin[k].n > 0))
            continue;
        text_put(t, n++ > 0 ? ",{" : "{");
        report_number(t, "from", (double)k / SERIES_BINS);
        report_number(t, "to", (double)(k + 1) / SERIES_BINS);
        report_number(t, "requests", r->bin[k].n);
        report_number(t, "predicted", r->bin[k].predicted);
        report_interval(t, "observed", r->bin[k].observed);
        text_put(t, "}");
    }
    text_put(t, "],\"off_policy\":[");
    for (int m = 0, n = 0; m < models->n_models; m++) {
        if (!(r->ope[m].rows > 0))
            continue;
        text_put(t, n++ > 0 ? ",{\"target\":" : "{\"target\":");
        text_json_string(t, models->model[m].engine_name);
        json_ope(t, r, m);
        text_put(t, "}");
    }
    text_put(t, "]");
}
