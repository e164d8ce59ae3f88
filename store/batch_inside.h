/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_BATCH_INSIDE_H
#define PURSER_STORE_BATCH_INSIDE_H

#include "core/meter/meter.h"
#include "core/router/snapshot.h"
#include "store/batch.h"

/* The body of a batch: for batch.c, which fills it, and db_commit.c, which walks it. */

struct slice { /* of the arena */
    size_t at, n;
};
struct batch_book_entry {
    uint64_t seq;
    struct slice bytes;
};
struct batch_audit_entry {
    uint64_t number;
    struct slice bytes;
};
struct batch_item_entry {
    uint8_t key[1 + ITEM_KEY_LEN]; /* generation, item key: the key of the state table */
    struct slice bytes;
};

struct batch {
    struct {
        uint8_t *at;
        size_t n, cap;
    } arena;            /* all the bytes */
    uint64_t first_seq; /* of event[0] */
    struct slice *event;
    struct batch_book_entry *book; /* in order of arrival: a later one overwrites an earlier */
    struct batch_item_entry *item;
    struct batch_audit_entry *audit;
    void **held;
    size_t n_events, n_books, n_items, n_held, n_audits;
    size_t cap_events, cap_books, cap_items, cap_held, cap_audits;
    int snapshot_g; /* generation that this batch completes, -1 = none */
    uint64_t snapshot_seq;
    uint64_t prune_below; /* 0 = nothing */
    int64_t prune_most;
    struct meter meter;
    bool meter_due;
    uint32_t keep_hours, keep_days; /* 0 = nothing is asked for */
};

#endif
