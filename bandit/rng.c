/* SPDX-License-Identifier: MIT */
/*
 * Counter-based randomness. Draw number c of a stream is mix(mix(c*G) ^ key) with G the golden
 * increment: a bijection of c, so a stream repeats no word, and because the key is xored in between
 * the two rounds no stream is a shifted copy of another (which key + c*G would allow).
 * Not cryptographic: a caller who must not be predictable needs a secret seed at the least.
 */
#include "bandit/rng.h"

#include <math.h>

static const uint64_t golden = 0x9e3779b97f4a7c15u; /* 2^64 / phi, the increment of SplitMix64 */

/* Reads n <= 8 bytes, little end first, so that the hash does not depend on the CPU. */
static uint64_t load_le(const unsigned char *p, uint64_t n)
{
    uint64_t word = 0;
    for (uint64_t i = 0; i < n; i++)
        word |= (uint64_t)p[i] << (8 * i);
    return word;
}

uint64_t hash64(const void *bytes, uint64_t n, uint64_t seed)
{
    const unsigned char *p = bytes;
    uint64_t h = mix64(seed + golden) ^ n; /* the length tells "a" from "a\0" */
    uint64_t left = n;
    for (; left >= 8; left -= 8, p += 8)
        h = mix64((h ^ load_le(p, 8)) + golden);
    if (left > 0)
        h = mix64((h ^ load_le(p, left)) + golden);
    return mix64(h + golden);
}

struct rng rng_stream(uint64_t seed, uint64_t purpose, uint64_t index)
{
    /* Each step is a bijection of its own argument: two indices never share a key. */
    uint64_t key = mix64(seed + golden);
    key = mix64((key ^ purpose) + golden);
    key = mix64((key ^ index) + golden);
    return (struct rng){.key = key, .counter = 0};
}

uint64_t rng_next(struct rng *r)
{
    r->counter++;
    return mix64(mix64(r->counter * golden) ^ r->key);
}

double rng_uniform(struct rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1p-53;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    /* 2^64 mod n words at the low end would make small results likelier: draw again. */
    uint64_t excess = (UINT64_C(0) - n) % n;
    uint64_t word = rng_next(r);
    while (word < excess)
        word = rng_next(r);
    return word % n;
}

double rng_normal(struct rng *r)
{
    /* Box and Muller (1958), one of the pair: every call moves the counter by exactly two. */
    double radius = sqrt(-2.0 * log(1.0 - rng_uniform(r)));
    double angle = 6.283185307179586 * rng_uniform(r);
    return radius * cos(angle);
}
