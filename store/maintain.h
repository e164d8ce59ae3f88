/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_MAINTAIN_H
#define PURSER_STORE_MAINTAIN_H

#include <stdint.h>
#include "core/status.h"

/* What an operator does with a store as a whole: check it, copy it, put it back. */
struct verify_report {
    uint64_t seq;      /* last record */
    uint64_t from_seq; /* snapshot the replay began at, 0 = empty state */
    uint64_t records;  /* replayed and checked */
    uint64_t digest;   /* of the state at seq */
    int64_t rollups;   /* rows of rollups compared with the log, -1 = it no longer reaches back */
    bool ok;           /* replay from the oldest snapshot = newest snapshot, every checksum right */
};
/* store_verify replays the log of the store in dir from its oldest snapshot, compares with the
 * newest one bit by bit, checks every record, and adds up the rollups again where the log is still
 * whole. Read only; safe beside a running service. */
MUST_CHECK enum status store_verify(const char *dir,
                                    void (*progress)(void *ctx, uint64_t done, uint64_t of),
                                    void *ctx, struct verify_report *out, struct problem *problem);
/* store_backup copies a live store into a new directory `to`: copy to a temporary name, verify,
 * fsync, rename. Refuses an existing target. */
MUST_CHECK enum status store_backup(const char *dir, const char *to, struct verify_report *out,
                                    struct problem *problem);
/* store_backup_open does the same from a store that this process has open, also for writing and
 * also from another thread. A process must never open a store twice: closing the second one would
 * drop the locks of the first. db stays the caller's. */
struct db;
MUST_CHECK enum status store_backup_open(struct db *db, const char *to, struct verify_report *out,
                                         struct problem *problem);
/* store_restore copies a backup into `dir`, which must not hold a store. */
MUST_CHECK enum status store_restore(const char *from, const char *dir, struct verify_report *out,
                                     struct problem *problem);

#endif
