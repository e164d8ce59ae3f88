/* SPDX-License-Identifier: MIT */
/*
 * Times on command lines, without the C library's calendar: that one knows time zones, and the same
 * option must mean the same record wherever it is typed.
 */
#include "core/moment.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Days from 1970-01-01 (H. Hinnant, chrono-compatible low-level date algorithms). */
static int64_t days_from(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Reads n digits; *v is their number. */
static bool digits(const char **s, int n, int64_t *v)
{
    *v = 0;
    for (int i = 0; i < n; i++, (*s)++) {
        if (!isdigit((unsigned char)**s))
            return false;
        *v = *v * 10 + (**s - '0');
    }
    return true;
}

static bool skip(const char **s, const char *any)
{
    bool ok = **s != '\0' && strchr(any, **s) != NULL;
    *s += ok;
    return ok;
}

static int64_t month_days(int64_t y, int64_t m)
{
    static const char length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return length[m - 1] + (m == 2 && leap);
}

static bool read_date(const char **s, int64_t *days)
{
    int64_t y, m, d;
    if (!digits(s, 4, &y) || !skip(s, "-") || !digits(s, 2, &m) || !skip(s, "-") ||
        !digits(s, 2, &d) || m < 1 || m > 12 || d < 1 || d > month_days(y, m))
        return false;
    *days = days_from(y, m, d);
    return true;
}

/* HH:MM[:SS[.fraction]]; milliseconds of the day. */
static bool read_clock(const char **s, int64_t *ms)
{
    int64_t h, m, sec = 0, fraction = 0;
    if (!digits(s, 2, &h) || !skip(s, ":") || !digits(s, 2, &m) || h > 23 || m > 59)
        return false;
    if (skip(s, ":") && (!digits(s, 2, &sec) || sec > 59))
        return false;
    if (skip(s, ".,"))
        for (int64_t unit = 100; isdigit((unsigned char)**s); unit /= 10, (*s)++)
            fraction += (**s - '0') * unit;
    *ms = ((h * 60 + m) * 60 + sec) * 1000 + fraction;
    return true;
}

bool moment_parse(const char *s, struct moment *out)
{
    struct moment m = {.given = true};
    int64_t days, ms = 0;
    char *end;
    size_t n = strlen(s);
    if (n > 0 && n < 19 && strspn(s, "0123456789") == n) {
        m.seq = strtoull(s, &end, 10);
        *out = m;
        return m.seq > 0;
    }
    if (!read_date(&s, &days) || (skip(&s, "T ") && !read_clock(&s, &ms)))
        return false;
    (void)skip(&s, "Z");
    m.time_ms = days * 86400000 + ms;
    *out = m;
    return *s == '\0';
}

bool moment_before(const struct moment *m, uint64_t seq, int64_t time_ms)
{
    return m->given && (m->seq ? seq < m->seq : time_ms < m->time_ms);
}

bool moment_after(const struct moment *m, uint64_t seq, int64_t time_ms)
{
    return m->given && (m->seq ? seq > m->seq : time_ms > m->time_ms);
}
