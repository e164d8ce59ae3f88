/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_DISTURB_CHANNEL_H
#define PURSER_SIM_DISTURB_CHANNEL_H

#include "sim/disturb/disturbance.h"

/* What is heard of an outcome, when, and how often. A function of seed, position and outcome: the
 * same for every policy that chose the same model. */
struct channel {
    const struct disturbances *disturbances;
    size_t n; /* counted requests */
    uint64_t seed;
};

/* An outcome to be told of. */
struct parcel {
    size_t i; /* counted request */
    int model;
    const char *tenant;
    double quality;
};

enum { LETTERS_MAX = 2 };
struct letters {
    int n;                      /* that carry the same message, >= 1 */
    int64_t delay[LETTERS_MAX]; /* requests, beyond what the player delays */
    bool told;                  /* quality is in it; what calls cost always is */
    double quality;
};

void channel_carry(const struct channel *c, const struct parcel *p, struct letters *out);
/* channel_most gives the longest delay in requests, to make room for. */
size_t channel_most(const struct disturbances *d);

#endif
