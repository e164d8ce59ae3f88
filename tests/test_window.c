/* SPDX-License-Identifier: MIT */
/* Windows against a calendar that is walked day by day, and through summer times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/budget/window.h"

static const int64_t minute = 60000, hour = 3600000, day = 86400000;

static int64_t at(const char *s)
{
    int64_t ms = -1;
    assert_true(window_time_read(s, &ms));
    return ms;
}

static struct window of(enum window_kind kind, const struct zone *zone, const char *s)
{
    struct window_spec spec = {.kind = kind};
    return window_at(&spec, zone, at(s));
}

static void check(enum window_kind kind, const struct zone *zone, const char *t, const char *start,
                  const char *end)
{
    struct window w = of(kind, zone, t);
    char text[WINDOW_TIME_CAP];
    window_time_write(w.start, text);
    assert_string_equal(text, start);
    window_time_write(w.end, text);
    assert_string_equal(text, end);
    assert_int_equal(w.since, w.start);
}

static void calendar(void **state)
{
    (void)state;
    check(WINDOW_MONTH, NULL, "2024-02-29T23:59:59Z", "2024-02-01T00:00:00Z",
          "2024-03-01T00:00:00Z");
    check(WINDOW_MONTH, NULL, "2100-02-28T23:59:59Z", "2100-02-01T00:00:00Z",
          "2100-03-01T00:00:00Z"); /* no leap year */
    check(WINDOW_MONTH, NULL, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z",
          "2027-01-01T00:00:00Z");
    check(WINDOW_QUARTER, NULL, "2026-11-24T12:00:00Z", "2026-10-01T00:00:00Z",
          "2027-01-01T00:00:00Z");
    check(WINDOW_YEAR, NULL, "2106-02-07T06:28:16Z", "2106-01-01T00:00:00Z",
          "2107-01-01T00:00:00Z"); /* behind 2^32 seconds */
    check(WINDOW_WEEK, NULL, "2026-11-24T12:00:00Z", "2026-11-23T00:00:00Z",
          "2026-11-30T00:00:00Z");
    check(WINDOW_DAY, NULL, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z");
    check(WINDOW_HOUR, NULL, "2016-12-31T23:59:59Z", "2016-12-31T23:00:00Z",
          "2017-01-01T00:00:00Z"); /* before a leap second */
    check(WINDOW_MINUTE, NULL, "2026-11-24T12:00:59Z", "2026-11-24T12:00:00Z",
          "2026-11-24T12:01:00Z");
    struct window_spec week = {.kind = WINDOW_WEEK};
    assert_int_equal(window_at(&week, NULL, 0).start, -3 * day); /* a Monday in 1969 */
}

static bool leap(int y)
{
    return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

/* Every day from 1970 to 2110, by counting. */
static void walked(void **state)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct window_spec month = {.kind = WINDOW_MONTH}, quarter = {.kind = WINDOW_QUARTER},
                       year = {.kind = WINDOW_YEAR}, week = {.kind = WINDOW_WEEK};
    int64_t d = 0, month_at = 0, quarter_at = 0, year_at = 0;
    (void)state;
    for (int y = 1970; y <= 2110; y++) {
        year_at = d;
        for (int m = 0; m < 12; m++) {
            month_at = d;
            quarter_at = m % 3 == 0 ? d : quarter_at;
            for (int k = 1; k <= length[m] + (m == 1 && leap(y)); k++, d++) {
                int64_t t = d * day + (int64_t)k * 1000 * minute / 60; /* somewhere in the day */
                assert_int_equal(window_days(y, m + 1, k), d);
                assert_int_equal(window_at(&month, NULL, t).start, month_at * day);
                assert_int_equal(window_at(&quarter, NULL, t).start, quarter_at * day);
                assert_int_equal(window_at(&year, NULL, t).start, year_at * day);
                assert_int_equal((window_at(&week, NULL, t).start / day + 3) % 7, 0);
                assert_int_equal(window_at(&month, NULL, month_at * day - 1).end, month_at * day);
            }
        }
    }
}

static struct zone zone_of(int64_t offset_min, int n, const char *const *changes,
                           const int64_t *minutes)
{
    struct zone z = {.offset_ms = offset_min * minute, .n = n};
    for (int i = 0; i < n; i++) {
        z.change[i].at_ms = at(changes[i]);
        z.change[i].offset_ms = minutes[i] * minute;
    }
    return z;
}

static void summer_time(void **state)
{
    static const char *const berlin[] = {"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"};
    static const int64_t to[] = {120, 60};
    struct zone z = zone_of(60, 2, berlin, to);
    (void)state;
    check(WINDOW_DAY, &z, "2026-03-28T23:30:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    check(WINDOW_DAY, &z, "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    check(WINDOW_MONTH, &z, "2026-03-31T21:59:59Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
    check(WINDOW_QUARTER, &z, "2026-12-01T00:00:00Z", "2026-09-30T22:00:00Z",
          "2026-12-31T23:00:00Z");
    check(WINDOW_HOUR, &z, "2026-10-25T01:10:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z");
    struct zone india = {.offset_ms = 330 * minute};
    check(WINDOW_DAY, &india, "2026-11-24T18:30:00Z", "2026-11-24T18:30:00Z",
          "2026-11-25T18:30:00Z");
}

/* A midnight that is skipped, one that comes twice, a day that does not exist. */
static void odd_midnights(void **state)
{
    static const char *const skipped[] = {"2026-03-10T23:00:00Z"};
    static const int64_t forward[] = {120};
    struct zone z = zone_of(60, 1, skipped, forward); /* 24:00 becomes 01:00 */
    (void)state;
    check(WINDOW_DAY, &z, "2026-03-10T22:59:59Z", "2026-03-09T23:00:00Z", "2026-03-10T23:00:00Z");
    check(WINDOW_DAY, &z, "2026-03-10T23:00:00Z", "2026-03-10T23:00:00Z", "2026-03-11T22:00:00Z");
    static const char *const twice[] = {"2026-10-24T22:30:00Z"};
    static const int64_t back[] = {60};
    z = zone_of(120, 1, twice, back); /* 00:30 becomes 23:30 */
    check(WINDOW_DAY, &z, "2026-10-24T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    check(WINDOW_DAY, &z, "2026-10-24T22:45:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    static const char *const dropped[] = {"2011-12-30T10:00:00Z"};
    static const int64_t samoa[] = {14 * 60};
    z = zone_of(-10 * 60, 1, dropped, samoa);
    check(WINDOW_DAY, &z, "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z");
    check(WINDOW_DAY, &z, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z");
}

/* Whatever the offsets: windows follow each other without gap, overlap or return. */
static void partition(void **state)
{
    struct rng g = rng_stream(5, 0, 0);
    (void)state;
    for (int round = 0; round < 300; round++) {
        struct zone z = {.offset_ms = ((int64_t)rng_below(&g, 96) - 48) * 15 * minute, .n = 8};
        int64_t t = at("2026-01-30T00:00:00Z"), end = t;
        for (int i = 0; i < z.n; i++) {
            t += (int64_t)rng_below(&g, 12 * 24 * 4) * 15 * minute + minute;
            z.change[i].at_ms = t;
            z.change[i].offset_ms = ((int64_t)rng_below(&g, 96) - 48) * 15 * minute;
        }
        for (int kind = 0; kind <= WINDOW_YEAR; kind++) {
            struct window_spec spec = {.kind = (enum window_kind)kind};
            struct window was = window_at(&spec, &z, end);
            for (int64_t s = end; s < end + 60 * day; s += 47 * minute) {
                struct window w = window_at(&spec, &z, s);
                assert_true(w.start <= s && s < w.end);
                assert_true(w.start == was.start ? w.end == was.end : w.start >= was.end);
                assert_int_equal(window_at(&spec, &z, w.start).start, w.start);
                assert_int_equal(window_at(&spec, &z, w.end - 1).start, w.start);
                assert_int_equal(window_at(&spec, &z, w.end).start, w.end);
                was = w;
            }
        }
    }
}

static void rolling_and_once(void **state)
{
    struct window_spec r = {.kind = WINDOW_ROLLING, .length_ms = hour + 1};
    struct rng g = rng_stream(6, 0, 0);
    (void)state;
    for (int i = 0; i < 10000; i++) {
        int64_t t = at("2026-11-24T00:00:00Z") + (int64_t)rng_below(&g, 1000000000);
        struct window w = window_at(&r, NULL, t);
        int64_t first = t - r.length_ms + 1; /* the oldest moment of the last hour */
        assert_true(window_at(&r, NULL, first).start >= w.since);
        assert_true(w.since > t - r.length_ms - 2 * (r.length_ms / WINDOW_PARTS + 1));
    }
    struct window_spec once = {.kind = WINDOW_ONCE, .from_ms = 1000, .until_ms = 2000};
    assert_int_equal(window_at(&once, NULL, 999).end, 1000);
    assert_int_equal(window_at(&once, NULL, 1000).start, 1000);
    assert_int_equal(window_at(&once, NULL, 1999).end, 2000);
    assert_int_equal(window_at(&once, NULL, 2000).start, 2000);
    once.until_ms = 0;
    assert_true(window_at(&once, NULL, INT64_MAX - 1).end == INT64_MAX);
}

static void times(void **state)
{
    static const char *const bad[] = {"",
                                      "2026-11-24",
                                      "2026-11-24T00:00:00",
                                      "2026-11-24T00:00:00Z ",
                                      "2026-02-29T00:00:00Z",
                                      "2026-04-31T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-01-00T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T23:60:00Z",
                                      "2026-01-01T23:59:60Z",
                                      "1969-12-31T23:59:59Z",
                                      "2026-1-01T00:00:00Z"};
    int64_t ms;
    char text[WINDOW_TIME_CAP];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(window_time_read(bad[i], &ms));
    assert_int_equal(at("1970-01-01T00:00:01Z"), 1000);
    assert_int_equal(at("2001-09-09T01:46:40Z"), 1000000000000);
    window_time_write(at("9999-12-31T23:59:59Z"), text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    for (int k = 0; k < WINDOW_KINDS; k++)
        assert_int_equal(window_kind_find(window_kind_name(k)), k);
    assert_int_equal(window_kind_find("fortnight"), -1);
    assert_null(window_kind_name(WINDOW_KINDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calendar),    cmocka_unit_test(walked),
        cmocka_unit_test(summer_time), cmocka_unit_test(odd_midnights),
        cmocka_unit_test(partition),   cmocka_unit_test(rolling_and_once),
        cmocka_unit_test(times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
