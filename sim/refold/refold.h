/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_REFOLD_REFOLD_H
#define PURSER_SIM_REFOLD_REFOLD_H

#include <stdbool.h>
#include <stdint.h>
#include "core/moment.h"
#include "core/router/router.h"
#include "core/status.h"

/* The messages to leave out: those that any of these names. NULL = none. */
struct refold_filter {
    const char *source, *tenant, *batch;
    struct moment until; /* labels and history recorded after it */
};

/* What a store's log amounts to, as it is and without some of its messages. */
struct refold {
    struct router *with, *without;    /* without: NULL when nothing is left out. Both settled: to be
                                         compared, not to go on with. */
    uint64_t first_seq, last_seq;     /* records of the log, at the beginning */
    uint64_t from_seq;                /* snapshot the fold began at, 0 = the empty state */
    uint64_t digest;                  /* of with, before it was settled */
    bool own;                         /* the store's own state has the same */
    int64_t feedback_out, taught_out; /* messages left out */
    int64_t unknown;                  /* whose decision's record, and so its tenant, is gone */
};

/* refold_store folds the log of the store in dir, also of a live one (short read transactions). The
 * log is taken as long as it is now. Decisions and configurations stay what they were; drift alarms
 * and the pacer are followed anew without the messages. A log that no longer begins at 1 is folded
 * from the older snapshot: what that one holds cannot be left out. refold_free accepts all zeros.
 */
MUST_CHECK enum status refold_store(const char *dir, const struct refold_filter *filter,
                                    void (*progress)(uint64_t done, uint64_t of),
                                    struct refold *out, struct problem *problem);
void refold_free(struct refold *f);

#endif
