/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_BATCH_H
#define PURSER_STORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/event/event.h"
#include "core/status.h"

/*
 * What one transaction will write, gathered by one thread and handed over whole: encoded events in
 * log order, items of a snapshot, label books, and the replies that wait for it. Grows to what it
 * has needed and is then reused.
 */
struct batch;

struct batch *batch_new(void);
void batch_free(struct batch *b);
/* batch_reset empties it, keeping its memory. */
void batch_reset(struct batch *b);

/* batch_event encodes and appends one event; its seq must follow the last one. UNAVAILABLE = no
 * memory. */
MUST_CHECK enum status batch_event(struct batch *b, const struct event *e);
/* batch_book stores a label book under its decision (the last one of a sequence number wins). */
MUST_CHECK enum status batch_book(struct batch *b, uint64_t seq, const struct label_book *book);
/* batch_item stores one snapshot item in generation g, the same for all of a batch;
 * batch_snapshot_end marks g complete as of seq. Until then, through batches, it is no snapshot. */
MUST_CHECK enum status batch_item(struct batch *b, int g, const uint8_t *key, size_t key_len,
                                  const void *bytes, size_t n);
void batch_snapshot_end(struct batch *b, int g, uint64_t seq);
/* batch_prune asks to delete log records with seq < below, at most `most` of them (and their
 * books). */
void batch_prune(struct batch *b, uint64_t below, int64_t most);
/* batch_audit adds an entry of the audit (store/audit.h); numbers follow one another. */
MUST_CHECK enum status batch_audit(struct batch *b, uint64_t number, const void *bytes, size_t n);

/* batch_meter gives what is metered within the batch, to add to: it goes to the rollups with the
 * batch, whose being empty it does not count for (refusals alone need not be written at once),
 * unless batch_meter_due says that it should be written now. batch_meter_keep asks to make the
 * oldest hour, if it is before `hours`, part of its day, and to forget days before `days` (both in
 * hours since 1970, 0 = leave them). */
struct meter;
struct meter *batch_meter(struct batch *b);
void batch_meter_due(struct batch *b);
void batch_meter_keep(struct batch *b, uint32_t hours, uint32_t days);

/* batch_find_event / batch_find_book look into the batch for a decision not yet on disk (recall).
 */
bool batch_find_event(const struct batch *b, uint64_t seq, const uint8_t **bytes, size_t *n);
bool batch_find_book(const struct batch *b, uint64_t seq, struct label_book *out);

/* batch_hold keeps an opaque pointer until the batch is durable; batch_held gives the i-th, NULL
 * past the end. batch_let_go forgets them and keeps the rest: what is metered, of refusals say, may
 * be in a batch that is empty. */
MUST_CHECK enum status batch_hold(struct batch *b, void *waiter);
void *batch_held(const struct batch *b, size_t i);
void batch_let_go(struct batch *b);

size_t batch_events(const struct batch *b);
size_t batch_bytes(const struct batch *b);
uint64_t batch_last_seq(const struct batch *b); /* 0 = no event */
bool batch_empty(const struct batch *b); /* neither puts nor prune (held replies do not count) */

#endif
