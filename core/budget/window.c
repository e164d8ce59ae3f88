/* SPDX-License-Identifier: MIT */
/*
 * Local time may be repeated or skipped when an offset changes. Windows must nevertheless follow
 * each other without gap, overlap or return, or a budget would be given out twice. So dates are
 * read off the *furthest* local time reached by t, which never goes back, and a window begins at
 * the first moment whose local time has reached its date. The two are inverse to each other.
 *
 * Dates: days and eras of 400 years as in Hinnant, "chrono-compatible low-level date algorithms"
 * (days_from_civil, civil_from_days); a year begins in March there, so leap days come last.
 */
#include "core/budget/window.h"

#include <stdio.h>
#include <string.h>

static const int64_t minute_ms = 60000, hour_ms = 3600000, day_ms = 86400000;

static const char *const names[WINDOW_KINDS] = {
    "minute", "hour", "day", "week", "month", "quarter", "year", "rolling", "once",
};

const char *window_kind_name(int kind)
{
    return kind >= 0 && kind < WINDOW_KINDS ? names[kind] : NULL;
}

int window_kind_find(const char *name)
{
    for (int i = 0; i < WINDOW_KINDS; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t window_days(int64_t year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = floor_div(y, 400), of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct date {
    int64_t year;
    int month, day;
};

static struct date date_of(int64_t days)
{
    int64_t z = days + 719468, era = floor_div(z, 146097), d = z - era * 146097;
    int64_t y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
    int64_t of_year = d - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
    int month = (int)(m < 10 ? m + 3 : m - 9);
    return (struct date){era * 400 + y + (month <= 2), month,
                         (int)(of_year - (153 * m + 2) / 5 + 1)};
}

/* ---- zones ---- */

/* Segment i of a zone lies between changes i-1 and i. */
static int64_t offset_of(const struct zone *z, int i)
{
    return i == 0 ? z->offset_ms : z->change[i - 1].offset_ms;
}

int64_t zone_offset(const struct zone *zone, int64_t t)
{
    int i = 0;
    while (zone && i < zone->n && zone->change[i].at_ms <= t)
        i++;
    return zone ? offset_of(zone, i) : 0;
}

/* The furthest local time that any moment up to t has shown. */
static int64_t furthest(const struct zone *z, int64_t t)
{
    if (!z)
        return t;
    int64_t far = INT64_MIN;
    for (int i = 0; i <= z->n; i++) {
        bool last = i == z->n || z->change[i].at_ms > t;
        int64_t local = (last ? t : z->change[i].at_ms - 1) + offset_of(z, i);
        far = local > far ? local : far;
        if (last)
            break;
    }
    return far;
}

/* The first moment whose local time has reached `local`. */
static int64_t first_at(const struct zone *z, int64_t local)
{
    if (!z)
        return local;
    for (int i = 0;; i++) {
        if (i < z->n && z->change[i].at_ms - 1 + offset_of(z, i) < local)
            continue;
        int64_t t = local - offset_of(z, i);
        return i > 0 && t < z->change[i - 1].at_ms ? z->change[i - 1].at_ms : t;
    }
}

/* ---- windows ---- */

/* Gives the first day of the window that a day belongs to, or of one `later` windows behind it. */
static int64_t first_day(enum window_kind kind, int64_t day, int later)
{
    if (kind == WINDOW_DAY)
        return day + later;
    if (kind == WINDOW_WEEK) /* day 0 was a Thursday */
        return floor_div(day + 3, 7) * 7 - 3 + 7 * later;
    int months = kind == WINDOW_MONTH ? 1 : kind == WINDOW_QUARTER ? 3 : 12;
    struct date d = date_of(day);
    int64_t month = d.year * 12 + d.month - 1;
    month = (floor_div(month, months) + later) * months;
    int64_t year = floor_div(month, 12);
    return window_days(year, (int)(month - year * 12) + 1, 1);
}

static struct window fixed(int64_t t, int64_t length, int parts)
{
    int64_t start = floor_div(t, length) * length;
    return (struct window){start, start - parts * length, start + length};
}

/* Before, within and behind a period. */
static struct window period(int64_t from, int64_t until, int64_t t)
{
    if (t < from)
        return (struct window){INT64_MIN, INT64_MIN, from};
    if (t < until)
        return (struct window){from, from, until};
    return (struct window){until, until, INT64_MAX};
}

struct window window_at(const struct window_spec *spec, const struct zone *zone, int64_t t)
{
    switch (spec->kind) {
    case WINDOW_MINUTE:
        return fixed(t, minute_ms, 0);
    case WINDOW_HOUR:
        return fixed(t, hour_ms, 0);
    case WINDOW_ROLLING:
        return fixed(t, (spec->length_ms + WINDOW_PARTS - 1) / WINDOW_PARTS, WINDOW_PARTS);
    case WINDOW_ONCE:
        return period(spec->from_ms, spec->until_ms ? spec->until_ms : INT64_MAX, t);
    default:
        break;
    }
    int64_t day = floor_div(furthest(zone, t), day_ms);
    int64_t start = first_at(zone, first_day(spec->kind, day, 0) * day_ms);
    return (struct window){start, start, first_at(zone, first_day(spec->kind, day, 1) * day_ms)};
}

/* ---- times as text ---- */

static bool digits(const char *s, int n, int *out)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = 10 * v + (s[i] - '0');
    }
    *out = v;
    return true;
}

bool window_time_read(const char *s, int64_t *ms)
{
    int v[6];
    static const char ends[] = "--T::Z";
    const char *at = s;
    for (int i = 0; i < 6; i++) {
        int n = i == 0 ? 4 : 2;
        if (strlen(at) <= (size_t)n || !digits(at, n, &v[i]) || at[n] != ends[i])
            return false;
        at += n + 1;
    }
    int64_t days = window_days(v[0], v[1], v[2]);
    if (*at || v[0] < 1970 || v[1] < 1 || v[1] > 12 || v[2] < 1 || v[3] > 23 || v[4] > 59 ||
        v[5] > 59 || date_of(days).day != v[2])
        return false;
    *ms = days * day_ms + v[3] * hour_ms + v[4] * minute_ms + v[5] * 1000;
    return true;
}

void window_time_write(int64_t ms, char out[WINDOW_TIME_CAP])
{
    int64_t days = floor_div(ms, day_ms);
    int s = (int)((ms - days * day_ms) / 1000);
    struct date d = date_of(days);
    char full[64]; /* years beyond 9999 do not come in here; the compiler cannot know */
    snprintf(full, sizeof full, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)d.year, d.month, d.day,
             s / 3600, s / 60 % 60, s % 60);
    memcpy(out, full, WINDOW_TIME_CAP - 1);
    out[WINDOW_TIME_CAP - 1] = '\0';
}
