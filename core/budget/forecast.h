/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_BUDGET_FORECAST_H
#define PURSER_CORE_BUDGET_FORECAST_H

#include <stdint.h>
#include "core/budget/window.h"
#include "core/event/bytes.h"

/*
 * How many requests are to come: a running mean of the requests in each hour of the week of a zone
 * (local Thursday 00:00 first), so that a working day stays one when clocks change. Bounded: 168
 * numbers. Part of the fold: additions and products only.
 */
enum { FORECAST_BINS = 168, FORECAST_BYTES = 8 * (FORECAST_BINS + 3) };
struct forecast {
    const struct zone *zone;   /* borrowed, of the configuration; NULL = UTC. Not stored */
    int64_t begun_ms;          /* of the first request; 0 = none yet */
    int64_t hour;              /* since the epoch, of the latest request */
    double count;              /* requests in it */
    double bin[FORECAST_BINS]; /* requests an hour; -1 = such an hour has not ended yet */
};

void forecast_init(struct forecast *f);
/* forecast_count notes a request; hours since the latest one have ended, some without any. */
void forecast_count(struct forecast *f, int64_t now_ms);
/* forecast_requests gives how many are expected from now until then. An hour not seen yet is as it
 * is in `like` (NULL: none), at the level of f; else like its hour of other days, else like the
 * mean of those seen, else like the requests so far. */
double forecast_requests(const struct forecast *f, const struct forecast *like, int64_t now_ms,
                         int64_t until_ms);

void forecast_put(struct filler *w, const struct forecast *f);
void forecast_get(struct reader *r, struct forecast *f);

#endif
