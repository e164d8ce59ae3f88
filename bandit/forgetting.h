/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_FORGETTING_H
#define PURSER_BANDIT_FORGETTING_H

#include <stdint.h>

/*
 * How fast evidence is forgotten: a half-life, and those that were in force before. A row weighs
 * what it has kept through all of them, so that a late row counts as it would have in time, and
 * what is taken out is what is in the sums. The last HALVES_MAX changes are told apart.
 * Zeros: nothing is forgotten. Times and half-lives are ms within 2^53, as doubles: they are state
 * that is saved as such.
 */
enum { HALVES_MAX = 4 };
struct forgetting {
    int64_t half_life_ms;                            /* <= 0: no forgetting */
    double until_ms[HALVES_MAX], was_ms[HALVES_MAX]; /* newest last; until 0 = none */
};

/* forgetting_age gives the half-lives from the epoch to a row's time, negative for an earlier row:
 * the row weighs 2^age as of the epoch, which must not lie before the last change. */
double forgetting_age(const struct forgetting *f, int64_t t_ms, int64_t epoch_ms);
/* forgetting_change has another half-life from now_ms on; sums must be rebased to now_ms. */
void forgetting_change(struct forgetting *f, int64_t half_life_ms, int64_t now_ms);

#endif
