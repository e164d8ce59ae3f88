/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_ROLLUP_H
#define PURSER_STORE_ROLLUP_H

#include <stdint.h>
#include "core/meter/meter.h"
#include "core/status.h"
#include "store/db.h"

/*
 * The table of rollups: what was metered, by hour and key, later by day and key. Written in the
 * transaction of the records that it sums up, so after any crash it stands at the head of the log.
 */
struct rollup_state {
    uint64_t seq;     /* last record that is in the sums */
    uint64_t since;   /* first one, 1 unless the store is older than its metering; 0 = empty */
    uint32_t folded;  /* hours before this one have become days */
    uint32_t dropped; /* hours before this one have been forgotten */
    int64_t other;    /* additions to "other", for want of room */
};

/* rollup_scan visits the rows of [from, to) hours, hours and days alike, in one read transaction,
 * and gives the state that they are of; a day counts by its first hour. visit returns false to
 * stop; hours is 1 or 24. Safe beside a writer and from any thread. */
MUST_CHECK enum status rollup_scan(struct db *db, uint32_t from, uint32_t to,
                                   bool (*visit)(void *ctx, const struct meter_key *key, int hours,
                                                 const struct meter_sums *sums),
                                   void *ctx, struct rollup_state *state, struct problem *problem);

/* rollup_other gives how often, since the store was opened, something was added to "other". Any
 * thread. */
int64_t rollup_other(const struct db *db);

/* rollup_check adds up the log again and compares. *rows gives the rows compared, -1 when the log
 * does not reach back to where the sums began. INTERNAL: they differ, and where. */
MUST_CHECK enum status rollup_check(struct db *db, int64_t *rows, struct problem *problem);

#endif
