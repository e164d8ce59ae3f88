/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_BUDGET_WINDOW_H
#define PURSER_CORE_BUDGET_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/limits.h"

/*
 * Budget windows: which stretch of time a moment belongs to. Times are Unix milliseconds (UTC, leap
 * seconds do not exist). The arithmetic is the proleptic Gregorian calendar in integers; the C
 * library's clock and time zones are not consulted.
 */
enum window_kind {
    WINDOW_MINUTE,
    WINDOW_HOUR, /* minutes and hours begin on those of UTC: a changed offset neither cuts nor
                    stretches them */
    WINDOW_DAY,  /* local midnight */
    WINDOW_WEEK, /* local Monday */
    WINDOW_MONTH,
    WINDOW_QUARTER,
    WINDOW_YEAR,
    WINDOW_ROLLING, /* the last length_ms, see window_at */
    WINDOW_ONCE,    /* [from_ms, until_ms); what lies before and behind are windows too */
    WINDOW_KINDS
};

/* A time zone as a table: offset_ms (local minus UTC) until the first change, then theirs. Whoever
 * knows named zones writes the table; the engine only reads it. */
enum { ZONE_CHANGES_MAX = 64 };
struct zone {
    char name[NAME_CAP];
    int64_t offset_ms;
    int n;
    struct {
        int64_t at_ms, offset_ms;
    } change[ZONE_CHANGES_MAX]; /* at_ms ascending */
};

struct window_spec {
    enum window_kind kind;
    int64_t length_ms;         /* rolling: > 0 */
    int64_t from_ms, until_ms; /* once: until_ms 0 = no end */
};

/*
 * What counts at a moment t: everything that happened in windows with a start >= since.
 * Rolling windows are counted in parts of length/12, rounded up: start is t's part, since the
 * twelfth before it. So every stretch of length_ms is covered whole, wherever it begins, and what
 * was spent comes free between length_ms and length_ms + one part later: never sooner.
 */
enum { WINDOW_PARTS = 12 };
struct window {
    int64_t start; /* of the window or part that t belongs to: its id */
    int64_t since;
    int64_t end; /* the first moment that belongs to the next one; INT64_MAX = never */
};

/* window_at gives the window of t. zone NULL = UTC. Starts never go back as t advances, whatever
 * the offsets do: a local hour that is repeated belongs to the window that was running, a midnight
 * that is skipped counts as the first moment behind it. */
struct window window_at(const struct window_spec *spec, const struct zone *zone, int64_t t);

/* zone_offset gives local minus UTC at t; zone NULL = UTC. */
int64_t zone_offset(const struct zone *zone, int64_t t);

/* window_kind_name gives "minute", "hour", ... NULL outside; window_kind_find the kind or -1. */
const char *window_kind_name(int kind);
int window_kind_find(const char *name);

/* window_days gives the days from 1970-01-01 to a civil date (month 1..12; day may be outside). */
int64_t window_days(int64_t year, int month, int day);
/* window_time_read reads YYYY-MM-DDTHH:MM:SSZ, years 1970 to 9999; false = not such. Written back
 * by window_time_write (whole seconds; 21 bytes with the zero). */
enum { WINDOW_TIME_CAP = 21 };
bool window_time_read(const char *s, int64_t *ms);
void window_time_write(int64_t ms, char out[WINDOW_TIME_CAP]);

#endif
