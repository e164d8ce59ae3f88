/* SPDX-License-Identifier: MIT */
/*
 * Decimal numbers as scaled integers. Prices are decimal: 2.5e-06 dollars are 2,500,000
 * picodollars, and no product of doubles gets a say. A double printed with 15 digits is the decimal
 * that it was parsed from, if that had no more digits (DBL_DIG), so what jansson has read is taken
 * back to text. Considered: to multiply and round. It is right for the lists of today, but hides
 * that a price was not a whole number of picodollars.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include "transport/cli/cli_import.h"

enum { DIGITS = 18, EXPONENT_MAX = 400 };
static const int64_t most = 100000000000000000; /* 10^17 */

struct digits {
    int64_t value;  /* the first digits, without the point */
    int exponent;   /* times ten to this */
    int seen;       /* significant digits in value */
    bool any, rest; /* digits at all; others than zero that did not fit */
};

static void put_digit(struct digits *d, int digit, bool fraction)
{
    d->any = true;
    if (d->seen == DIGITS) {
        d->rest |= digit != 0;
        d->exponent += !fraction;
        return;
    }
    d->value = d->value * 10 + digit;
    d->seen += d->value > 0;
    d->exponent -= fraction;
}

/* Multiplies by ten to the exponent; false when that is too large. */
static bool settle(struct digits *d, int64_t *out, bool *exact)
{
    bool half = false;
    *exact = !d->rest;
    for (; d->exponent > 0 && d->value > 0; d->exponent--) {
        if (d->value > most / 10)
            return false;
        d->value *= 10;
    }
    for (; d->exponent < 0 && (d->value > 0 || half); d->exponent++) {
        *exact &= d->value % 10 == 0;
        half = d->value % 10 >= 5; /* the last digit to go decides: half up */
        d->value /= 10;
    }
    *out = d->value + half;
    return *out <= most;
}

bool import_decimal(const char *s, int shift, int64_t *out, bool *exact)
{
    struct digits d = {.exponent = shift};
    bool fraction = false;
    s += *s == '+';
    for (; isdigit((unsigned char)*s) || (*s == '.' && !fraction); s++) {
        if (*s == '.')
            fraction = true;
        else
            put_digit(&d, *s - '0', fraction);
    }
    if (!d.any)
        return false;
    if (*s == 'e' || *s == 'E') {
        char *end;
        long e = strtol(s + 1, &end, 10);
        if (end == s + 1 || e < -EXPONENT_MAX || e > EXPONENT_MAX)
            return false;
        d.exponent += (int)e;
        s = end;
    }
    return *s == '\0' && settle(&d, out, exact);
}

bool import_number(const json_t *v, int shift, int64_t *out, bool *exact)
{
    char s[48];
    if (json_is_string(v))
        return import_decimal(json_string_value(v), shift, out, exact);
    if (json_is_integer(v))
        snprintf(s, sizeof s, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        snprintf(s, sizeof s, "%.15g", json_real_value(v));
    else
        return false;
    return import_decimal(s, shift, out, exact);
}
