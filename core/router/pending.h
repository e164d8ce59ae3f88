/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_PENDING_H
#define PURSER_CORE_ROUTER_PENDING_H

#include <stdbool.h>
#include <stdint.h>
#include "core/event/event.h"
#include "core/router/generations.h"

/*
 * Decisions that may still receive feedback: a ring of the newest `cap`, in order of decision. What
 * leaves the ring is found again in the log by the host. Rows by sequence number are found by
 * binary search (the ring is sorted by construction), retries by an index over (tenant,
 * request_id).
 */
struct pending {
    int64_t cap;
    int64_t total;            /* decisions ever inserted; ring slot = ordinal % cap */
    int64_t first;            /* ordinal of the oldest row still held */
    int stride;               /* floats per context vector */
    struct decision_row *row; /* [cap] */
    float *x;                 /* [cap][stride] */
    uint8_t *small; /* [cap][BOOK_SMALL]: length and body of each book, see pending_book */
    struct label_book *large; /* [cap]: of those that do not fit there */
    struct index_slot *index; /* open addressing, index_cap a power of two */
    int64_t index_cap;
    uint8_t *dirty; /* per page, bit per snapshot generation */
};
enum { PENDING_PAGE = 64 }; /* rows in a snapshot item */
/* Bytes for a book as book_put writes it. Enough for one source's eight fields in one message or
 * seven in two, or for three with what the decision holds in one pool. */
enum { BOOK_SMALL = 224 };

/* pending_init allocates for cap rows of stride floats. False when memory is short. */
bool pending_init(struct pending *p, int64_t cap, int stride);
void pending_fini(struct pending *p);
/* pending_reshape drops the context vectors and makes room for others of `stride` floats. */
bool pending_reshape(struct pending *p, int stride);

/* pending_resize changes the bound, keeping the newest rows. Everything becomes dirty. */
bool pending_resize(struct pending *p, int64_t cap);

/* pending_insert adds a row at the newest end and gives its slot; the slot's former content is lost
 * (the caller saves it first: pending_oldest). */
int64_t pending_insert(struct pending *p, const struct decision_row *row, const float *x);
/* pending_victim gives the slot that the next insert overwrites, -1 while the ring is not full. */
int64_t pending_victim(const struct pending *p);
/* pending_find gives the slot of a decision, -1 if it is not in memory. */
int64_t pending_find(const struct pending *p, uint64_t seq);
/* pending_request gives the slot of the decision made for a request hash, -1 if none. */
int64_t pending_request(const struct pending *p, uint64_t request_hash);
/* pending_book gives the label book of a slot, pending_set_book replaces it. */
void pending_book(const struct pending *p, int64_t slot, struct label_book *out);
void pending_set_book(struct pending *p, int64_t slot, const struct label_book *b);
/* pending_hold gives a decision without reports a book with what it holds in its pools. */
void pending_hold(struct pending *p, int64_t slot, const struct pool_hold *hold);
int64_t pending_count(const struct pending *p);
void pending_touch(struct pending *p, int64_t slot);
/* pending_reindex rebuilds the request index from the rows, after a snapshot was loaded. */
void pending_reindex(struct pending *p);

#endif
