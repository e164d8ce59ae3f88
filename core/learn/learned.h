/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_LEARN_LEARNED_H
#define PURSER_CORE_LEARN_LEARNED_H

#include "core/learn/learner.h"

/*
 * What a learner knows, in pieces that another learner of the same features can take in: sums of
 * rows and quotients, which add up, and the prior that all models share, which does not. A piece is
 * one part of one model (the prior: of all) as doubles, little-endian:
 *   a target  rows, weight, weight of squares, squared labels, moments (d), products (d(d+1)/2,
 *             the lower triangle by columns), then of the smearing quotient numerator, denominator,
 *             weight
 *   cost      numerator, denominator, weight
 *   prior     scales of declared, text, shared, then the shared mean of quality (d)
 */
enum { LEARNED_BYTES_MAX = 8 * (RIDGE_BLOCK_HEAD + DIM_MAX + DIM_MAX * (DIM_MAX + 1) / 2 + 3) };

/* learned_part_name gives what a part is called: a target's name, cost, prior. */
const char *learned_part_name(int part);
/* learned_numbers tells whether bytes are finite doubles, no more than a piece may have. */
bool learned_numbers(const uint8_t *bytes, size_t n);
/* learned_len gives the bytes of a part's piece of d features. */
size_t learned_len(int part, int d);
/* learned_take writes what l knows, as of now_ms; learned_len bytes. */
void learned_take(const struct learner *l, int part, int arm, int64_t now_ms, uint8_t *out);
/* learned_fits refuses a piece that no rows of d features can have led to. */
MUST_CHECK enum status learned_fits(int part, int d, const uint8_t *bytes, size_t n,
                                    struct problem *problem);
/* learned_apply does what a record says that fits l in schema and length; now_ms is its time. */
void learned_apply(struct learner *l, const struct params *p, const struct event_learned *e,
                   int64_t now_ms);

#endif
