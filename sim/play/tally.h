/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_PLAY_TALLY_H
#define PURSER_SIM_PLAY_TALLY_H

#include <stddef.h>
#include <stdint.h>
#include "sim/play/play.h"

/*
 * Sums of a run's counted rows. Two views of the same money: what calls turned out to cost, which
 * no pacer can know beforehand; and what was booked, the expected cost of the model chosen, which
 * is what the pacer steers by. The latter is kept for requests under a budget that binds
 * (multiplier above 0).
 */
struct tally {
    size_t rows; /* that will be counted */
    double quality, best;
    double value; /* sum of value x quality */
    int64_t right, right_last;
    int64_t cost_nano, window_nano, worst_nano;
    int64_t window[PLAY_WINDOW]; /* ring of the last costs */
    double *booked;              /* USD, of binding requests in their order; [rows] */
    size_t binding;
};

/* tally_init gives false when memory is short. */
bool tally_init(struct tally *a, size_t rows);
void tally_fini(struct tally *a);
/* tally_add counts the i-th request from 0, decided for a model of the table; -1 = refused. */
void tally_add(struct tally *a, const struct table *t, uint32_t row, int model, size_t i);
/* tally_book notes the booked cost of a request whose budget binds. */
void tally_book(struct tally *a, double usd);
/* tally_result writes what of the result is sums. */
void tally_result(struct tally *a, struct play_result *out);

#endif
