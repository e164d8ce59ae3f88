/* SPDX-License-Identifier: MIT */
/*
 * Numbers as text. The correct digits are those of the exact value, which takes wide integers; but
 * a product with an exact power of ten in 64 bits of mantissa is wrong by at most half a unit of
 * its last bit, which decides the rounding to 17 digits in 99 of 100 cases and to fewer in nearly
 * all. Those are done here, in some 30 ns; where the product is too close to the middle between two
 * candidates to tell, or out of range, printf and strtod do it, in some 300 ns and with the same
 * result. Both of these follow the locale's point.
 * Considered: Ryu and its like. They need no exceptions, but tables of 10 KB.
 */
#include "core/encoding/decimal.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Powers of ten that 64 bits of mantissa hold exactly. */
enum { TEN_MOST = 27, EXACT_MOST = 22 /* in a double */ };
static const long double ten[TEN_MOST + 1] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,
                                              1e7L,  1e8L,  1e9L,  1e10L, 1e11L, 1e12L, 1e13L,
                                              1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L,
                                              1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};

/* v rounded to some number of digits: whole * 10^(exponent - digits + 1). */
struct rounded {
    uint64_t whole;
    int exponent, digits;
};

/* How wrong a product or quotient can be, for its size; twice, to be safe. */
static const long double doubt = 2 * LDBL_EPSILON;

/* Whether the rounding could be done with certainty; v > 0. */
static bool round_to(double v, int digits, struct rounded *out)
{
    int two;
    (void)frexp(v, &two);
    int exponent = (int)floor((two - 1) * 0.30102999566398120); /* or one less than it is */
    for (int tries = 0; LDBL_MANT_DIG >= 64 && tries < 2; tries++, exponent++) {
        int scale = digits - 1 - exponent;
        if (scale < -TEN_MOST || scale > TEN_MOST)
            return false;
        long double x = scale < 0 ? (long double)v / ten[-scale] : (long double)v * ten[scale];
        uint64_t whole = (uint64_t)x;
        long double rest = x - (long double)whole, unsure = doubt * x;
        if (fabsl(rest - 0.5L) <= unsure)
            return false;
        whole += rest > 0.5L;
        if (whole < (uint64_t)ten[digits]) {
            *out = (struct rounded){whole, exponent, digits};
            return true;
        }
    }
    return false;
}

/* The nearest double, as strtod would give it; false where 64 bits cannot tell. */
static bool read_back(const struct rounded *r, double *out)
{
    int scale = r->exponent - r->digits + 1;
    if (scale < -TEN_MOST || scale > TEN_MOST)
        return false;
    if (r->whole <= 1ull << DBL_MANT_DIG && scale >= -EXACT_MOST && scale <= EXACT_MOST) {
        double whole = (double)r->whole; /* both are exact: one rounding */
        *out = scale < 0 ? whole / (double)ten[-scale] : whole * (double)ten[scale];
        return true;
    }
    long double x = (long double)r->whole, y = scale < 0 ? x / ten[-scale] : x * ten[scale];
    double near = (double)y;
    long double off = fabsl(y - (long double)near), half = (nextafter(near, HUGE_VAL) - near) / 2;
    *out = near;
    return fabsl(off - half) > doubt * y && fabsl(off - half / 2) > doubt * y;
}

/* As the slow way does, so that both stop at the same digits. The neighbours of a double are
 * equally far on both sides unless it is a power of two, so what more digits cannot give back,
 * fewer cannot either: a full double, the common case, is settled by looking at 15 and 16. */
static bool fewest(double v, int digits, struct rounded *out)
{
    int two, first = 6;
    double same = v, back;
    if (digits < 17 && (!round_to(v, digits, out) || !read_back(out, &same)))
        return false;
    if (digits == 17 && frexp(v, &two) != 0.5) {
        if (!round_to(v, 15, out) || !read_back(out, &back))
            return false;
        first = back == v ? 6 : 16;
    }
    for (int p = first; p <= digits; p++) {
        if (!round_to(v, p, out) || (p < digits && !read_back(out, &back)))
            return false;
        if (p == digits || back == same)
            return true;
    }
    return false;
}

static size_t put_exponent(char *out, int e)
{
    char *p = out;
    *p++ = 'e';
    *p++ = e < 0 ? '-' : '+';
    e = abs(e);
    if (e >= 100)
        *p++ = (char)('0' + e / 100);
    *p++ = (char)('0' + e / 10 % 10);
    *p++ = (char)('0' + e % 10);
    return (size_t)(p - out);
}

/* The layout of %g. */
static size_t layout(char *out, const struct rounded *r)
{
    char digit[20], *p = out;
    uint64_t whole = r->whole;
    int n = r->digits, e = r->exponent, at = 0;
    for (int i = n - 1; i >= 0; i--, whole /= 10)
        digit[i] = (char)('0' + whole % 10);
    while (n > 1 && digit[n - 1] == '0')
        n--;
    bool scientific = e < -4 || e >= r->digits;
    if (!scientific && e < 0) {
        memcpy(p, "0.0000", 6);
        p += 1 - e;
    }
    int before = scientific ? 1 : e + 1; /* digits before the point */
    for (; at < before; at++)
        *p++ = at < n ? digit[at] : '0';
    if (at < n && before > 0)
        *p++ = '.';
    for (; at < n; at++)
        *p++ = digit[at];
    return (size_t)(p - out) + (scientific ? put_exponent(p, e) : 0);
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

static double print_back(double v, int digits)
{
    char s[DECIMAL_CAP];
    int n = snprintf(s, sizeof s, "%.*g", digits, v); /* at most 25 bytes and the point */
    return n < DECIMAL_CAP ? strtod(s, NULL) : v;
}

static size_t write_slowly(char out[DECIMAL_CAP], double v, int digits)
{
    int p = digits < 6 ? digits : 6;
    double same = digits == 17 ? v : print_back(v, digits);
    while (p < digits && print_back(v, p) != same)
        p++;
    int n = snprintf(out, DECIMAL_CAP, "%.*g", p, v);
    plain_point(out);
    return n < DECIMAL_CAP ? strlen(out) : 0;
}

size_t decimal_write(char out[DECIMAL_CAP], double v, int digits)
{
    struct rounded r;
    bool negative = v < 0;
    bool done = digits <= 6 ? round_to(fabs(v), digits, &r) : fewest(fabs(v), digits, &r);
    if (!done)
        return write_slowly(out, v, digits);
    out[0] = '-';
    return negative + layout(out + negative, &r);
}

size_t decimal_int(char out[DECIMAL_CAP], int64_t v)
{
    char digit[20];
    size_t n = 0, len = 0;
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        digit[n++] = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0)
        out[len++] = '-';
    while (n > 0)
        out[len++] = digit[--n];
    return len;
}
