/* SPDX-License-Identifier: MIT */
/*
 * Bounded output. A piece is written whole or not at all, and after the first that does not fit
 * nothing more is: a reply is complete or visibly `full`, never subtly cut.
 */
#include "core/encoding/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/encoding/decimal.h"

struct text text_over(char *at, size_t cap)
{
    at[0] = '\0';
    return (struct text){.at = at, .cap = cap};
}

char *text_room(struct text *t, size_t n)
{
    if (t->full || n >= t->cap - t->len) {
        t->full = true;
        return NULL;
    }
    char *at = t->at + t->len;
    t->len += n;
    at[n] = '\0';
    return at;
}

void text_put_n(struct text *t, const char *s, size_t n)
{
    char *at = text_room(t, n);
    if (at)
        memcpy(at, s, n);
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

/* Bytes from s on, of which the first n are known to, that stand for themselves. */
static size_t plain_run(const char *s, size_t n)
{
    while (s[n] >= ' ' && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
        n++;
    return n;
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
            text_put_n(t, s, n = plain_run(s, n));
        s += n > 0 ? n : 1;
    }
    text_put(t, "\"");
    if (t->full && t->len > start) {
        t->len = start;
        t->at[start] = '\0';
    }
}

void text_mend(char *s)
{
    while (*s) {
        unsigned c;
        size_t n = utf8_next((const unsigned char *)s, &c);
        if (n == 0)
            *s = '?';
        s += n > 0 ? n : 1;
    }
}

void text_json_number(struct text *t, double v, int digits)
{
    char s[DECIMAL_CAP];
    if (!isfinite(v) || v == 0) { /* -0 is written 0: readers would make it an integer anyway */
        text_put(t, v == 0 ? "0" : "null");
        return;
    }
    text_put_n(t, s, decimal_write(s, v, digits < 1 ? 1 : digits > 17 ? 17 : digits));
}

void text_int(struct text *t, int64_t v)
{
    char s[DECIMAL_CAP];
    text_put_n(t, s, decimal_int(s, v));
}

void text_usd(struct text *t, int64_t nano)
{
    char s[DECIMAL_CAP];
    const uint64_t unit = 1000000000u;
    uint64_t n = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano, rest = n % unit;
    size_t len = nano < 0;
    s[0] = '-';
    len += decimal_int(s + len, (int64_t)(n / unit));
    if (rest > 0)
        s[len++] = '.';
    for (uint64_t place = unit / 10; rest > 0; rest %= place, place /= 10)
        s[len++] = (char)('0' + rest / place);
    text_put_n(t, s, len);
}
