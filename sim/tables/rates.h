/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_TABLES_RATES_H
#define PURSER_SIM_TABLES_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sim/tables/csv.h"
#include "sim/tables/trace.h"

/*
 * Traces that tell how many requests clients sent, window by window. Each client is a renewal
 * process with gamma-distributed gaps (shape 1/cv^2) in operational time, the integral of its rate:
 * a gap is drawn there and mapped back, so that rates may change within a gap. Fewer requests than
 * the rates amount to are a random share of them, which makes gaps more even. Clients are merged by
 * time. Not done: ServeGen's fitted Weibull gaps; theirs have this mean and variation.
 */
enum { CLIENTS_MAX = 1 << 20 };
#define TIME_MOST 1e11 /* seconds: some 3000 years */

enum { RATE_CLIENT, RATE_AT, RATE_RPS, RATE_CV, RATE_CELLS };
struct rate {
    uint32_t client;
    double at_s, rps, cv;
    uint64_t line;
};
struct rate_list {
    struct rate *item; /* owned: free */
    size_t n, cap;
    double window_s; /* the least step of a client */
};
struct arrival {
    double at_s;
    uint32_t client;
    int32_t in, out; /* tokens */
};

/* rates_cell reads one number of a window; NULL when it is within bounds, else what was expected.
 */
const char *rates_cell(int which, const char *cell, double *out);
/* rates_add appends a window, false without memory. */
bool rates_add(struct rate_list *r, const double v[RATE_CELLS], uint64_t line);
/* rates_order sorts by client and time and finds the length of windows: the number of an item that
 * is the same window as the one before it, 0 = none is. */
size_t rates_order(struct rate_list *r);
/* rates_draw makes about n requests of them. `lengthen`, unless NULL, gives the n arrivals of a
 * client, in order of time, their tokens. */
MUST_CHECK enum status rates_draw(const struct rate_list *r, size_t n, uint64_t seed,
                                  enum status (*lengthen)(void *ctx, struct arrival *of, size_t n,
                                                          struct problem *problem),
                                  void *ctx, struct trace *t, struct problem *problem);
/* rates_read reads a file with columns client,t_s,rate_rps,cv. */
MUST_CHECK enum status rates_read(struct csv *c, size_t n, uint64_t seed, struct trace *t);

/* chunks_are tells whether a path is a folder of chunks, or one: chunk-N-trace.csv. chunks_load
 * reads it (trace_load). */
bool chunks_are(const char *path);
MUST_CHECK enum status chunks_load(const char *path, size_t n, uint64_t seed, struct trace *out,
                                   struct problem *problem);

/* trace_room takes memory for n requests; what was taken is the caller's in any case (trace_free).
 */
MUST_CHECK enum status trace_room(struct trace *t, size_t n, bool tokens, bool clients,
                                  struct problem *problem);

#endif
