/* SPDX-License-Identifier: MIT */
/*
 * How a run got over a change. Quality is averaged over the seeds request by request, then over the
 * RECOVERY_WINDOW latest requests: a rolling mean that still holds requests from before a change
 * shortly after it, so it falls late and rises late, and none of that flatters a recovery.
 * Recovered is what stays so: from that request on, the rolling mean is never again below 95% of
 * the level within the phase. The level that can be reached under a change is not known from
 * outside; the mean of the same run over the last third of the phase stands for it, next to the
 * level before the change, which a router that has better models to turn to should come near.
 */
#include "sim/replay/recovery.h"

#include "sim/replay/shock_phases.h"

#include <math.h>
#include <stdlib.h>

static const double RECOVERED = 0.95;

/* Means over seeds, request by request. */
struct series {
    double *quality; /* [n] */
    double *share;   /* [n] of one model */
    size_t n;
};

static void average(const struct traces *t, int model, struct series *out)
{
    for (size_t i = 0; i < t->n; i++) {
        double quality = 0, share = 0;
        for (int s = 0; s < t->seeds; s++) {
            const struct play_step *step = &t->step[(size_t)s * t->n + i];
            quality += (double)step->quality;
            share += step->model == model;
        }
        out->quality[i] = quality / t->seeds;
        out->share[i] = share / t->seeds;
    }
}

static struct stretch over(const struct series *s, size_t from, size_t to)
{
    struct stretch sum = {0};
    for (size_t i = from; i < to; i++) {
        sum.quality += s->quality[i];
        sum.share += s->share[i];
    }
    double n = to > from ? (double)(to - from) : 1;
    return (struct stretch){sum.quality / n, sum.share / n};
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The window's worth of requests ahead of `to`, none of them before `from`. */
static struct stretch ahead_of(const struct series *s, size_t from, size_t to)
{
    return over(s, to - least(to - from, RECOVERY_WINDOW), to);
}

/* Requests from `from` on after which the rolling mean stays at the level until `to`; -1 if it does
 * not. */
static int64_t recovered(const struct series *s, size_t from, size_t to, double level)
{
    for (size_t i = to; i > from; i--) {
        if (ahead_of(s, 0, i).quality < RECOVERED * level)
            return i == to ? -1 : (int64_t)(i + 1 - from);
    }
    return 0;
}

/* Where what comes after a change ends: the next change of any model. */
static size_t calm_until(const struct traces *t, size_t end)
{
    size_t until = t->n;
    for (int c = 0; c < t->n_changes; c++) {
        if ((size_t)t->change[c].at >= end)
            until = least(until, (size_t)t->change[c].at);
    }
    return until;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* First alarms for the changed model while the change lasts; work is [seeds]. */
static void detect(const struct traces *t, struct recovery *r, int model, double *work)
{
    int found = 0;
    for (int s = 0; s < t->seeds; s++) {
        const struct play_result *p = &t->result[s];
        work[s] = INFINITY;
        for (int i = 0; i < p->n_alarms && i < ALARMS_MAX; i++) {
            const struct play_alarm *a = &p->alarm[i];
            if (a->model != model || a->at < r->change.at || (size_t)a->at >= r->end)
                continue;
            work[s] = (double)(a->at - r->change.at + 1);
            found++;
            break;
        }
    }
    qsort(work, (size_t)t->seeds, sizeof *work, by_value);
    double low = work[(t->seeds - 1) / 2], high = work[t->seeds / 2];
    r->detected = (double)found / t->seeds;
    r->detection = isinf(high) ? -1 : (low + high) / 2;
}

static double false_alarms(const struct traces *t)
{
    int n = 0;
    for (int s = 0; s < t->seeds; s++) {
        const struct play_result *p = &t->result[s];
        for (int i = 0; i < p->n_alarms && i < ALARMS_MAX; i++) {
            bool cause = false;
            for (int c = 0; c < t->n_changes; c++)
                cause = cause || (t->phases->model[c] == p->alarm[i].model &&
                                  t->change[c].at <= p->alarm[i].at);
            n += !cause;
        }
    }
    return (double)n / t->seeds;
}

static void windows(const struct series *s, struct recovery *r)
{
    r->width = RECOVERY_WINDOW;
    while (s->n > r->width * WINDOWS_MAX)
        r->width *= 2;
    r->n_windows = (int)((s->n + r->width - 1) / r->width);
    for (int w = 0; w < r->n_windows; w++)
        r->window[w] = over(s, (size_t)w * r->width, least(s->n, (size_t)(w + 1) * r->width));
}

/* Quality and spend under the change, and what the same money buys a mix that looks at nothing. */
static void sum_up(const struct traces *t, struct recovery *r, double *work)
{
    struct point fixed[MODELS_MAX], hull[MODELS_MAX];
    size_t at = (size_t)r->change.at;
    double n = (double)(r->end - at);
    for (int what = 0; what < 2; what++) {
        for (int i = 0; i < t->seeds; i++) {
            const struct play_step *step = &t->step[(size_t)i * t->n];
            work[i] = 0;
            for (size_t k = at; k < r->end; k++)
                work[i] += (double)(what == 0 ? step[k].quality : step[k].cost_usd) / n;
        }
        *(what == 0 ? &r->during : &r->spend) = interval_over(work, t->seeds);
    }
    phases_fixed(t->phases, t->row, t->given_order, at, r->end, fixed);
    int len = hull_build(fixed, t->phases->phase[0].table.n_models, hull);
    r->hull = hull_value(hull, len, r->spend.mean);
}

static void measure(const struct traces *t, int c, const struct series *s, double *work,
                    struct recovery *r)
{
    *r = (struct recovery){.change = t->change[c], .end = change_end(&t->change[c], t->n)};
    size_t at = (size_t)r->change.at, end = r->end, calm = calm_until(t, end);
    r->before = ahead_of(s, 0, at);
    r->first = over(s, at, least(end, at + RECOVERY_WINDOW));
    r->last = ahead_of(s, at, end);
    r->level = over(s, end - (end - at + 2) / 3, end).quality;
    r->to_level = recovered(s, at, end, r->level);
    r->to_before = recovered(s, at, end, r->before.quality);
    r->ends = calm > end;
    if (r->ends) {
        r->after = over(s, end, least(calm, end + RECOVERY_WINDOW));
        r->after_last = ahead_of(s, end, calm);
        r->after_to_before = recovered(s, end, calm, r->before.quality);
    }
    sum_up(t, r, work);
    detect(t, r, t->phases->model[c], work);
    windows(s, r);
}

enum status recovery_measure(const struct traces *t, struct shocks *out, struct problem *problem)
{
    struct series s = {.quality = malloc(t->n * sizeof *s.quality),
                       .share = malloc(t->n * sizeof *s.share),
                       .n = t->n};
    double *work = malloc((size_t)t->seeds * sizeof *work);
    bool ok = s.quality != NULL && s.share != NULL && work != NULL;
    out->n = 0;
    for (int c = 0; ok && c < t->n_changes; c++) {
        average(t, t->phases->model[c], &s);
        measure(t, c, &s, work, &out->change[out->n++]);
    }
    out->false_alarms = false_alarms(t);
    if (ok)
        shock_phases_measure(t, out, work);
    free(work);
    free(s.share);
    free(s.quality);
    return ok ? STATUS_OK : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
}

/* ---- telling ---- */

static void key_number(struct text *t, const char *name, double v)
{
    text_printf(t, ",\"%s\":", name);
    text_json_number(t, v, 9);
}

static void key_count(struct text *t, const char *name, int64_t v)
{
    text_printf(t, ",\"%s\":", name);
    if (v < 0)
        text_put(t, "null");
    else
        text_printf(t, "%lld", (long long)v);
}

static void key_stretch(struct text *t, const char *name, struct stretch s)
{
    text_printf(t, ",\"%s\":{\"quality\":", name);
    text_json_number(t, s.quality, 9);
    key_number(t, "share", s.share);
    text_put(t, "}");
}

static void key_interval(struct text *t, const char *name, struct interval v)
{
    text_printf(t, ",\"%s\":{\"mean\":", name);
    text_json_number(t, v.mean, 9);
    key_number(t, "low", v.low);
    key_number(t, "high", v.high);
    text_put(t, "}");
}

static void json_change(struct text *t, const struct recovery *r)
{
    text_put(t, "{\"model\":");
    text_json_string(t, r->change.name);
    key_count(t, "at", r->change.at);
    key_count(t, "until", (int64_t)r->end);
    key_number(t, "quality", r->change.quality);
    key_number(t, "cost", r->change.cost);
    key_number(t, "price", r->change.price);
    key_number(t, "failure", r->change.failure);
    text_printf(t, ",\"active\":%s", r->change.withdrawn ? "false" : "true");
    key_stretch(t, "before", r->before);
    key_stretch(t, "first", r->first);
    key_stretch(t, "last", r->last);
    if (r->ends) {
        key_stretch(t, "after", r->after);
        key_stretch(t, "after_last", r->after_last);
    }
    key_interval(t, "during", r->during);
    key_interval(t, "spend", r->spend);
    key_number(t, "hull_at_spend", r->hull);
    key_number(t, "level", r->level);
    key_count(t, "requests_to_level", r->to_level);
    key_count(t, "requests_to_before", r->to_before);
    if (r->ends)
        key_count(t, "requests_after_to_before", r->after_to_before);
    key_number(t, "detected", r->detected);
    key_number(t, "detection", r->detection < 0 ? (double)NAN : r->detection);
    key_count(t, "window", (int64_t)r->width);
    text_put(t, ",\"windows\":[");
    for (int w = 0; w < r->n_windows; w++) {
        text_put(t, w > 0 ? ",[" : "[");
        text_json_number(t, r->window[w].quality, 6);
        text_put(t, ",");
        text_json_number(t, r->window[w].share, 6);
        text_put(t, "]");
    }
    text_put(t, "]}");
}

void recovery_json(struct text *t, const struct shocks *s)
{
    text_put(t, ",\"changes\":[");
    for (int c = 0; c < s->n; c++) {
        text_put(t, c > 0 ? "," : "");
        json_change(t, &s->change[c]);
    }
    text_put(t, "]");
    key_number(t, "false_alarms", s->false_alarms);
    shock_phases_json(t, s);
}

static void stretch_line(struct text *t, const char *name, struct stretch s)
{
    text_printf(t, "  %-42s %8.4f %7.1f%%\n", name, s.quality, 100 * s.share);
}

static void recovered_line(struct text *t, const char *of, double level, int64_t after)
{
    text_printf(t, "  95%% of %s (%.4f): ", of, level);
    if (after < 0)
        text_put(t, "not within these requests\n");
    else
        text_printf(t, "after %lld requests\n", (long long)after);
}

static void table_change(struct text *t, const struct recovery *r)
{
    const struct change *c = &r->change;
    text_printf(t, "\n%s changes at request %lld, until %zu:", c->name, (long long)c->at, r->end);
    if (c->quality < 0 || c->quality > 0)
        text_printf(t, " quality %+g", c->quality);
    if (c->failure > 0)
        text_printf(t, " failing %g%%", 100 * c->failure);
    if (fabs(c->cost - 1) > 0)
        text_printf(t, " cost x%g", c->cost);
    if (fabs(c->price - 1) > 0)
        text_printf(t, " price x%g", c->price);
    if (c->withdrawn)
        text_put(t, " withdrawn");
    text_printf(t, "\n  %-42s %8s %8s\n", "", "quality", "share");
    stretch_line(t, "100 requests before", r->before);
    stretch_line(t, "first 100 of the change", r->first);
    stretch_line(t, "last 100 of the change", r->last);
    if (r->ends) {
        stretch_line(t, "first 100 after", r->after);
        stretch_line(t, "last 100 after", r->after_last);
    }
    recovered_line(t, "what the last third reaches", r->level, r->to_level);
    recovered_line(t, "what was before", r->before.quality, r->to_before);
    if (r->ends)
        recovered_line(t, "what was before, once it is over", r->before.quality,
                       r->after_to_before);
    text_printf(t, "  quality under the change %.4f (%.4f .. %.4f) for $%.3g a request\n",
                r->during.mean, r->during.low, r->during.high, r->spend.mean);
    text_printf(t, "  best fixed mix under the change, for the same money: %.4f\n", r->hull);
    text_printf(t, "  noticed in %.0f%% of the runs", 100 * r->detected);
    if (r->detection >= 0)
        text_printf(t, ", half of them within %.0f requests", r->detection);
    text_put(t, "\n");
}

void recovery_table(struct text *t, const struct shocks *s)
{
    for (int c = 0; c < s->n; c++)
        table_change(t, &s->change[c]);
    text_printf(t, "  false alarms in a run: %.2f\n", s->false_alarms);
    shock_phases_table(t, s);
}
