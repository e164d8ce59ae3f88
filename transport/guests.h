/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_GUESTS_H
#define PURSER_TRANSPORT_GUESTS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "core/status.h"

/* Who is connected to one socket, by the number of the pipe: for how many sweeps nothing whole came
 * from there, and how many of its requests are inside. Any thread may call; no callback is made. */
struct guest {
    uint64_t since;  /* the sweep after which it came, or its last request began or was answered */
    uint64_t bearer; /* whose key it has shown last, of those with a limit; 0 = none */
    int id;          /* 0 = no guest */
    int inside;      /* requests not yet answered */
};

struct guests {
    uv_mutex_t lock;
    struct guest *table; /* open addressing, at most half full; NULL: not begun */
    uint32_t mask;
    int n, most;
    uint64_t sweeps; /* so far */
};

/* guests_init makes room for `most`. guests_fini also takes one that was never begun. */
MUST_CHECK enum status guests_init(struct guests *g, int most);
void guests_fini(struct guests *g);
/* guests_add lets one in; false: `most` are there. guests_remove: false = it was not. */
bool guests_add(struct guests *g, int id);
bool guests_remove(struct guests *g, int id);
/* guests_begin and guests_end frame a request; a guest that has left meanwhile is no matter. */
void guests_begin(struct guests *g, int id);
void guests_end(struct guests *g, int id);
/* guests_bearer makes who the bearer of a guest, unless who is 0, and gives who was before.
 * guests_of counts those of one bearer. */
uint64_t guests_bearer(struct guests *g, int id, uint64_t who);
int guests_of(struct guests *g, uint64_t who);
/* guests_sweep counts a sweep and gives up to cap of those who had nothing inside for more than
 * `most` of them. */
int guests_sweep(struct guests *g, uint64_t most, int *id, int cap);

#endif
