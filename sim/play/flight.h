/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_PLAY_FLIGHT_H
#define PURSER_SIM_PLAY_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sim/replay/change.h"

/* How late feedback comes: always `mean`, or exponentially distributed about it; in requests, or in
 * seconds of virtual time after the answer is there. */
struct delay {
    int64_t mean; /* >= 0 */
    bool random, seconds;
};

/* delay_parse reads "N" or "exp:N", N <= DELAY_MAX; with an "s" behind N it is seconds. */
enum { DELAY_MAX = 10000000 };
bool delay_parse(const char *text, struct delay *out);
/* delay_draw gives the delay of a request: a function of seed and index alone, so that every policy
 * waits equally long for the same request. At most DELAY_MOST means (log of
 * 2^53). */
enum { DELAY_MOST = 37 };
int64_t delay_draw(struct delay d, uint64_t seed, uint64_t index);

/* delay_due says when the outcome of a request is told: so many requests later, or in Unix ms, so
 * many seconds after its answer, answer_ms after now (< 0: not known, at once). */
int64_t delay_due(struct delay d, uint64_t seed, int64_t step, int64_t now_ms, double answer_ms);
/* delay_most gives how many of n outcomes can be under way at once, and one more. */
size_t delay_most(struct delay d, size_t n);

/* An outcome on its way back. */
struct outcome {
    uint64_t seq;              /* of the decision: breaks ties, so that the order is one */
    const struct phase *phase; /* in which it was decided; NULL: the table as it is */
    uint32_t epoch;
    uint32_t row;
    int model;      /* of the table in play */
    int64_t due;    /* a request, or a time in ms where delays are seconds */
    bool untold;    /* of a channel: nobody says how good it was; */
    double quality; /* else what is told */
};

/* Outcomes in flight, the one due first on top: a binary heap. */
struct flight {
    struct outcome *heap;
    size_t cap, len;
};

/* flight_init gives false when memory is short. */
bool flight_init(struct flight *f, size_t cap);
void flight_fini(struct flight *f);
/* flight_push adds an outcome; there must be room. */
void flight_push(struct flight *f, const struct outcome *o);
/* flight_pop takes the outcome due first if it is due by now; false when none is. */
bool flight_pop(struct flight *f, int64_t now, struct outcome *out);

#endif
