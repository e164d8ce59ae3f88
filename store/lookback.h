/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_LOOKBACK_H
#define PURSER_STORE_LOOKBACK_H

#include <stdbool.h>
#include <stdint.h>
#include "core/whatif/whatif.h"
#include "store/db.h"

/*
 * Feeds the log of a store to a what-if: from the first record at or after since_ms (0 = the
 * first there is) up to the last there is now, in short read transactions; safe beside a writer.
 * The configuration in force at the beginning goes ahead when the log still has it. Any thread.
 */
struct lookback {
    int64_t since_ms;
    uint64_t records; /* the newest so many are read, no more; 0 = however many there are */
    /* go_on (may be NULL) is called every 4096 records; false gives it up: UNAVAILABLE. */
    bool (*go_on)(void *ctx, uint64_t done, uint64_t of);
    void *ctx;
};
MUST_CHECK enum status lookback_run(struct db *db, const struct lookback *l, struct whatif *w,
                                    struct problem *problem);

#endif
