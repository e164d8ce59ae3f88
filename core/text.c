/* SPDX-License-Identifier: MIT */
/*
 * Bounded output. A piece is written whole or not at all, and after the first that does not fit
 * nothing more is: a reply is complete or visibly `full`, never subtly cut.
 *
 * Numbers go through printf and back through strtod to find the shortest exact form. Both follow
 * the locale's decimal point, so the comparison is made first and the point replaced afterwards.
 * A shortest-digits algorithm (Ryu) would be faster; a reply holds some thirty numbers, which does
 * not pay for its tables.
 */
#include "core/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text text_over(char *at, size_t cap)
{
    at[0] = '\0';
    return (struct text){.at = at, .cap = cap};
}

void text_put_n(struct text *t, const char *s, size_t n)
{
    if (t->full || n >= t->cap - t->len) {
        t->full = true;
        return;
    }
    memcpy(t->at + t->len, s, n);
    t->len += n;
    t->at[t->len] = '\0';
}

void text_put(struct text *t, const char *s)
{
    text_put_n(t, s, strlen(s));
}

void text_printf(struct text *t, const char *fmt, ...)
{
    if (t->full)
        return;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->at + t->len, t->cap - t->len, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < t->cap - t->len) {
        t->len += (size_t)n;
        return;
    }
    t->at[t->len] = '\0';
    t->full = true;
}

/* Decodes one UTF-8 sequence (Unicode 15, table 3-7): gives its bytes, 0 when it is none. */
static size_t utf8_next(const unsigned char *s, unsigned *point)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (n == 0 || s[0] > 0xf4)
        return 0;
    unsigned c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) /* also ends at the terminating zero */
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *point = c;
    return n;
}

/* What could end a line, move a cursor or reverse the text around it. */
static bool must_escape(unsigned c)
{
    return c < ' ' || c == '"' || c == '\\' || (c >= 0x7f && c <= 0x9f) || c == 0x2028 ||
           c == 0x2029 || c == 0x61c || c == 0x200e || c == 0x200f ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void put_escaped(struct text *t, unsigned c)
{
    if (c == '"' || c == '\\')
        text_printf(t, "\\%c", (char)c);
    else if (c == '\n')
        text_put(t, "\\n");
    else
        text_printf(t, "\\u%04x", c);
}

void text_json_string(struct text *t, const char *s)
{
    size_t start = t->len;
    text_put(t, "\"");
    while (*s) {
        unsigned c = 0;
        size_t n = utf8_next((const unsigned char *)s, &c);
        if (n == 0)
            text_put(t, "\xef\xbf\xbd");
        else if (must_escape(c))
            put_escaped(t, c);
        else
            text_put_n(t, s, n);
        s += n > 0 ? n : 1;
    }
    text_put(t, "\"");
    if (t->full && t->len > start) {
        t->len = start;
        t->at[start] = '\0';
    }
}

/* Whatever is neither digit, sign nor exponent is the locale's decimal point, of any length. */
static void plain_point(char *s)
{
    char *point = s + strspn(s, "+-0123456789eE");
    if (*point == '\0')
        return;
    char *rest = point + strcspn(point, "0123456789");
    *point = '.';
    memmove(point + 1, rest, strlen(rest) + 1);
}

static double read_back(double v, int digits)
{
    char s[48];
    snprintf(s, sizeof s, "%.*g", digits, v);
    return strtod(s, NULL);
}

/* The fewest of 6..digits that say the same. The neighbours of a double are equally far on both
 * sides unless it is a power of two, so what more digits cannot give back, fewer cannot either: a
 * full double, the common case, is settled by looking at 15 and 16. */
static int digits_needed(double v, int digits)
{
    int p = 6, exponent;
    double same = digits == 17 ? v : read_back(v, digits);
    if (digits == 17 && fabs(frexp(v, &exponent)) != 0.5 && read_back(v, 15) != v)
        p = 16;
    while (p < digits && read_back(v, p) != same)
        p++;
    return p;
}

void text_json_number(struct text *t, double v, int digits)
{
    char s[48];
    if (!isfinite(v) || v == 0) { /* -0 is written 0: readers would make it an integer anyway */
        text_put(t, v == 0 ? "0" : "null");
        return;
    }
    digits = digits < 1 ? 1 : digits > 17 ? 17 : digits;
    if (digits > 6)
        digits = digits_needed(v, digits);
    snprintf(s, sizeof s, "%.*g", digits, v);
    plain_point(s);
    text_put(t, s);
}

void text_usd(struct text *t, int64_t nano)
{
    char s[32];
    uint64_t n = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano;
    int len =
        snprintf(s, sizeof s, "%s%llu.%09llu", nano < 0 ? "-" : "",
                 (unsigned long long)(n / 1000000000u), (unsigned long long)(n % 1000000000u));
    while (s[len - 1] == '0')
        len--;
    len -= s[len - 1] == '.';
    text_put_n(t, s, (size_t)len);
}
