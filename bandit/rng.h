/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_RNG_H
#define PURSER_BANDIT_RNG_H

#include <stdint.h>

/*
 * Counter-based randomness. A draw is a pure function of (seed, purpose, index, position), so a
 * decision can be drawn again years later and adding a consumer changes nothing for the others.
 * The mixing function is the finaliser of SplitMix64 (Steele, Lea, Flood 2014), applied twice.
 */
struct rng {
    uint64_t key;
    uint64_t counter;
};

/* rng_stream gives the stream of one purpose and index under a seed. Streams do not overlap. */
struct rng rng_stream(uint64_t seed, uint64_t purpose, uint64_t index);
/* rng_next gives the next 64 random bits. */
uint64_t rng_next(struct rng *r);
/* rng_uniform gives a double in [0, 1), a multiple of 2^-53. */
double rng_uniform(struct rng *r);
/* rng_below gives an integer in [0, n), n > 0, without modulo bias. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* rng_normal gives a standard normal draw (libm: for simulated worlds, never for the fold). */
double rng_normal(struct rng *r);

/* mix64 scrambles 64 bits; a bijection. hash64 folds bytes into 64 bits under a seed. */
static inline uint64_t mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
uint64_t hash64(const void *bytes, uint64_t n, uint64_t seed);

#endif
