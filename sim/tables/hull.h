/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_TABLES_HULL_H
#define PURSER_SIM_TABLES_HULL_H

#include <stddef.h>
#include <stdint.h>
#include "sim/tables/table.h"

/* Mean cost (USD per request) and mean quality of something that answers requests. */
struct point {
    double cost, quality;
};

/* A point and the model it belongs to; -1 for none (the oracle). */
struct pick {
    int model;
    struct point at;
};

/* hull_build writes the vertices of the static hull of n points, by rising cost, and gives their
 * number (<= n): the upper concave envelope up to the highest quality. out may not be points. */
int hull_build(const struct point *points, int n, struct point *out);
/* hull_value gives the hull's quality at a spend: linear between vertices, constant to the right.
 * Below the cheapest model nothing can be bought; the value there is the cheapest model's quality,
 * so that a router is never credited for spending less than any model costs. */
double hull_value(const struct point *hull, int n, double spend);

/* hull_fixed writes the point of every model over the given rows (n >= 1). */
void hull_fixed(const struct table *t, const uint32_t *rows, size_t n, struct point *out);
/* hull_oracle gives the best quality row by row, the cheapest model on ties. */
struct pick hull_oracle(const struct table *t, const uint32_t *rows, size_t n);
/* hull_oracle_within gives the best that knowing every outcome allows at a mean cost of at most
 * spend: row by row the model of highest quality - m cost, for the least price of money m >= 0 that
 * keeps to it. Below what the cheapest choices cost it gives those. */
struct pick hull_oracle_within(const struct table *t, const uint32_t *rows, size_t n, double spend);
/* hull_best_single gives the point of highest quality, the cheapest on ties. */
struct pick hull_best_single(const struct point *fixed, int n);

#endif
