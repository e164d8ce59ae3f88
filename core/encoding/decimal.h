/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ENCODING_DECIMAL_H
#define PURSER_CORE_ENCODING_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

enum { DECIMAL_CAP = 48 };

/* decimal_write writes a finite double other than 0 as "%.*g" would with the fewest of 6..digits
 * (digits: 1..17) that say as much as `digits` of them, with a point whatever the locale; gives the
 * length. decimal_int writes an integer. */
size_t decimal_write(char out[DECIMAL_CAP], double v, int digits);
size_t decimal_int(char out[DECIMAL_CAP], int64_t v);

#endif
