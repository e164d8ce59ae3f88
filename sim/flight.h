/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_FLIGHT_H
#define PURSER_SIM_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sim/change.h"

/* How late feedback comes, in requests: always `mean`, or exponentially distributed about it. */
struct delay {
    int64_t mean; /* >= 0 */
    bool random;
};

/* delay_parse reads "N" or "exp:N", N <= DELAY_MAX. */
enum { DELAY_MAX = 10000000 };
bool delay_parse(const char *text, struct delay *out);
/* delay_draw gives the delay of a request: a function of seed and index alone, so that every policy
 * waits equally long for the same request. At most DELAY_MOST means (log of
 * 2^53). */
enum { DELAY_MOST = 37 };
int64_t delay_draw(struct delay d, uint64_t seed, uint64_t index);

/* An outcome on its way back. */
struct outcome {
    uint64_t seq;              /* of the decision: breaks ties, so that the order is one */
    const struct phase *phase; /* in which it was decided; NULL: the table as it is */
    uint32_t epoch;
    uint32_t row;
    int model; /* of the table in play */
    int64_t due;
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
