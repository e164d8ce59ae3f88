/* SPDX-License-Identifier: MIT */
#include "sim/series/journal.h"

/* What a bucket and a target consist of, in the order of their arrays; models follow a bucket. */
enum { BUCKET_CELLS = 6, BIN_CELLS = 3, OPE_CELLS = 4 + 3 * SERIES_ESTIMATORS };

static void put_bucket(struct text *t, const struct series_bucket *b, int n_models)
{
    text_printf(t, "[%lld,%lld,%lld,%.17g,%.17g,%.17g", (long long)b->n, (long long)b->refused,
                (long long)b->cost_nano, b->quality, b->best, b->multiplier);
    for (int m = 0; m < n_models; m++)
        text_printf(t, ",%d", b->chosen[m]);
    text_put(t, "]");
}

static void put_ope(struct text *t, const struct series_ope *o)
{
    text_printf(t, "[%lld,%.17g,%.17g,%.17g", (long long)o->rows, o->truth, o->effective, o->off);
    for (int e = 0; e < SERIES_ESTIMATORS; e++)
        text_printf(t, ",%.17g,%.17g,%.17g", o->value[e], o->low[e], o->high[e]);
    text_put(t, "]");
}

void series_put(struct text *t, const struct series *s, size_t n, int n_models)
{
    size_t end[SERIES_BUCKETS];
    int buckets = series_buckets(n, end);
    text_put(t, ",\"series\":[");
    for (int k = 0; k < buckets; k++) {
        text_put(t, k > 0 ? "," : "");
        put_bucket(t, &s->bucket[k], n_models);
    }
    text_put(t, "],\"calibration\":[");
    for (int k = 0; k < SERIES_BINS; k++)
        text_printf(t, "%s[%lld,%.17g,%.17g]", k > 0 ? "," : "", (long long)s->bin[k].n,
                    s->bin[k].predicted, s->bin[k].observed);
    text_put(t, "],\"off_policy\":[");
    for (int m = 0; m < n_models; m++) {
        text_put(t, m > 0 ? "," : "");
        put_ope(t, &s->ope[m]);
    }
    text_put(t, "]");
}

static double real(const json_t *list, size_t i)
{
    return json_number_value(json_array_get(list, i));
}

static int64_t whole(const json_t *list, size_t i)
{
    return json_integer_value(json_array_get(list, i));
}

static bool get_bucket(const json_t *v, int n_models, struct series_bucket *b)
{
    *b = (struct series_bucket){.n = whole(v, 0),
                                .refused = whole(v, 1),
                                .cost_nano = whole(v, 2),
                                .quality = real(v, 3),
                                .best = real(v, 4),
                                .multiplier = real(v, 5)};
    for (int m = 0; m < n_models; m++)
        b->chosen[m] = (int32_t)whole(v, (size_t)(BUCKET_CELLS + m));
    return json_array_size(v) == (size_t)(BUCKET_CELLS + n_models);
}

static bool get_ope(const json_t *v, struct series_ope *o)
{
    o->rows = whole(v, 0);
    o->truth = real(v, 1);
    o->effective = real(v, 2);
    o->off = real(v, 3);
    for (size_t e = 0; e < SERIES_ESTIMATORS; e++) {
        o->value[e] = real(v, 4 + 3 * e);
        o->low[e] = real(v, 5 + 3 * e);
        o->high[e] = real(v, 6 + 3 * e);
    }
    return json_array_size(v) == OPE_CELLS;
}

bool series_get(const json_t *line, size_t n, int n_models, struct series *out)
{
    size_t end[SERIES_BUCKETS];
    size_t buckets = (size_t)series_buckets(n, end);
    const json_t *series = json_object_get(line, "series");
    const json_t *bins = json_object_get(line, "calibration");
    const json_t *ope = json_object_get(line, "off_policy");
    bool ok = json_array_size(series) == buckets && json_array_size(bins) == SERIES_BINS &&
              json_array_size(ope) == (size_t)n_models;
    for (size_t k = 0; ok && k < buckets; k++)
        ok = get_bucket(json_array_get(series, k), n_models, &out->bucket[k]);
    for (size_t k = 0; ok && k < SERIES_BINS; k++) {
        const json_t *v = json_array_get(bins, k);
        out->bin[k] = (struct series_bin){whole(v, 0), real(v, 1), real(v, 2)};
        ok = json_array_size(v) == BIN_CELLS;
    }
    for (int m = 0; ok && m < n_models; m++)
        ok = get_ope(json_array_get(ope, (size_t)m), &out->ope[m]);
    return ok;
}
