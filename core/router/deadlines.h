/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_DEADLINES_H
#define PURSER_CORE_ROUTER_DEADLINES_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What is due when: a binary heap of deadlines, earliest first, ties by sequence number. Whoever
 * waits is a holder, a number below `cap` (a ring slot, say), and has at most one deadline, so a
 * deadline that is no longer waited for can be dropped at once and the heap never outgrows its
 * room. A cache: it holds nothing that its owner could not put again from the records it keeps.
 */
struct deadline {
    int64_t due_ms;
    uint64_t seq;
    uint32_t holder;
};

struct deadlines {
    int64_t cap, n;
    struct deadline *heap; /* [cap] */
    uint32_t *place;       /* [cap]: 1 + a holder's position in the heap; 0 = it has none */
};

/* deadlines_init makes room for holders 0..cap-1, cap at most OPEN_MAX; false when memory is short.
 */
bool deadlines_init(struct deadlines *d, int64_t cap);
void deadlines_fini(struct deadlines *d);
/* deadlines_put sets the holder's deadline, in place of an earlier one; deadlines_drop takes it
 * out, if it has one. Both in logarithmic time. */
void deadlines_put(struct deadlines *d, int64_t holder, int64_t due_ms, uint64_t seq);
void deadlines_drop(struct deadlines *d, int64_t holder);
/* deadlines_first gives the earliest, valid until the next change; NULL when there is none. */
const struct deadline *deadlines_first(const struct deadlines *d);

#endif
