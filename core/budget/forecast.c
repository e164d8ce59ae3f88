/* SPDX-License-Identifier: MIT */
/*
 * By hour of week, because traffic of people has days and weekends, and a mean over everything
 * would leave half of a week's budget for a Sunday night. Considered: seasonal smoothing with level
 * and trend. Who divides what is left by what is to come corrects a wrong level by itself, hour by
 * hour; only the shape must come from somewhere.
 */
#include "core/budget/forecast.h"

#include <math.h>
#include <stdbool.h>

enum { HOUR_MS = 3600 * 1000, DAY = 24 };
static const double LATEST = 0.3; /* weight of the latest such hour */
/* While nothing is known: as if there had been one request in the minute before the first. */
static const int64_t HEAD_MS = 60 * 1000;

/* Where an hour since the epoch stands in the week. */
static int bin_of(const struct forecast *f, int64_t hour)
{
    int64_t start = hour * HOUR_MS;
    return (int)((start + zone_offset(f->zone, start)) / HOUR_MS % FORECAST_BINS);
}

void forecast_init(struct forecast *f)
{
    *f = (struct forecast){.hour = 0};
    for (int b = 0; b < FORECAST_BINS; b++)
        f->bin[b] = -1;
}

/* The first hour was not seen from its beginning. */
static double ended(const struct forecast *f)
{
    int64_t end = (f->hour + 1) * HOUR_MS, from = f->hour * HOUR_MS;
    if (f->begun_ms <= from)
        return f->count;
    return f->count * HOUR_MS / (double)(end - f->begun_ms + HEAD_MS);
}

static void learn(struct forecast *f, int64_t hour, double requests)
{
    double *bin = &f->bin[bin_of(f, hour)];
    *bin = *bin < 0 ? requests : *bin + LATEST * (requests - *bin);
}

void forecast_count(struct forecast *f, int64_t now_ms)
{
    int64_t hour = now_ms / HOUR_MS;
    if (f->begun_ms == 0) {
        f->begun_ms = now_ms;
        f->hour = hour;
    }
    if (hour > f->hour) {
        learn(f, f->hour, ended(f));
        /* More than some weeks of silence say no more than some weeks. */
        int64_t idle = f->hour + 1;
        idle = hour - idle > 8 * FORECAST_BINS ? hour - 8 * FORECAST_BINS : idle;
        for (; idle < hour; idle++)
            learn(f, idle, 0);
        f->hour = hour;
        f->count = 0;
    }
    f->count++;
}

/* Mean of the bins seen, in steps from the first; -1 without any. */
static double mean_of(const struct forecast *f, int first, int step)
{
    double sum = 0;
    int n = 0;
    for (int b = first; b < FORECAST_BINS; b += step) {
        sum += f->bin[b] < 0 ? 0 : f->bin[b];
        n += f->bin[b] >= 0;
    }
    return n > 0 ? sum / n : -1;
}

static double so_far(const struct forecast *f, int64_t now_ms)
{
    int64_t begun = f->begun_ms == 0 ? now_ms : f->begun_ms;
    return (f->count + 1) * HOUR_MS / (double)(now_ms - begun + HEAD_MS);
}

/* Requests of f for each of like, over the hours of a week that both have seen; before there are
 * any, over the running one. -1: not known. */
static double level(const struct forecast *f, const struct forecast *like, int64_t now_ms)
{
    double mine = 0, theirs = 0;
    int64_t now = now_ms / HOUR_MS;
    for (int h = 0; h < FORECAST_BINS; h++) {
        double a = f->bin[bin_of(f, now + h)], b = like->bin[bin_of(like, now + h)];
        bool both = a >= 0 && b >= 0;
        mine += both ? a : 0;
        theirs += both ? b : 0;
    }
    if (theirs > 0)
        return mine / theirs;
    double hour = like->bin[bin_of(like, now)];
    return hour > 0 ? so_far(f, now_ms) / hour : -1;
}

/* Requests in each hour of the week that begins with the present one, unseen ones filled in. */
static void fill_in(const struct forecast *f, const struct forecast *like, int64_t now_ms,
                    double per_hour[FORECAST_BINS])
{
    double part = like != NULL ? level(f, like, now_ms) : -1;
    double all = mean_of(f, 0, 1), day[DAY];
    for (int h = 0; h < DAY; h++) {
        day[h] = mean_of(f, h, DAY);
        day[h] = day[h] >= 0 ? day[h] : all >= 0 ? all : so_far(f, now_ms);
    }
    for (int h = 0; h < FORECAST_BINS; h++) {
        int64_t hour = now_ms / HOUR_MS + h;
        int b = bin_of(f, hour);
        double theirs = part >= 0 ? like->bin[bin_of(like, hour)] : -1;
        per_hour[h] = f->bin[b] >= 0 ? f->bin[b] : theirs >= 0 ? part * theirs : day[b % DAY];
    }
}

double forecast_requests(const struct forecast *f, const struct forecast *like, int64_t now_ms,
                         int64_t until_ms)
{
    double per_hour[FORECAST_BINS], week = 0, sum = 0;
    int64_t hour = now_ms / HOUR_MS, last = until_ms / HOUR_MS;
    if (until_ms <= now_ms)
        return 0;
    fill_in(f, like, now_ms, per_hour);
    for (int b = 0; b < FORECAST_BINS; b++)
        week += per_hour[b];
    int64_t weeks = (last - hour) / FORECAST_BINS;
    sum = (double)weeks * week;
    int64_t rest = last - hour - weeks * FORECAST_BINS;
    for (int64_t h = 0; h < rest; h++)
        sum += per_hour[h];
    sum += per_hour[rest] * (double)(until_ms % HOUR_MS) / HOUR_MS;
    return fmax(sum - per_hour[0] * (double)(now_ms % HOUR_MS) / HOUR_MS, 0);
}

void forecast_put(struct filler *w, const struct forecast *f)
{
    put_i64(w, f->begun_ms);
    put_i64(w, f->hour);
    put_f64(w, f->count);
    for (int b = 0; b < FORECAST_BINS; b++)
        put_f64(w, f->bin[b]);
}

void forecast_get(struct reader *r, struct forecast *f)
{
    f->begun_ms = get_i64(r);
    f->hour = get_i64(r);
    f->count = get_f64(r);
    for (int b = 0; b < FORECAST_BINS; b++)
        f->bin[b] = get_f64(r);
}
