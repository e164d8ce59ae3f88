/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_SNAPSHOT_H
#define PURSER_CORE_ROUTER_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>
#include "core/router/generations.h"
#include "core/router/router.h"

/*
 * The state of a router as a set of items (header with configuration, one per model and target,
 * pages of open decisions, ...), so that a snapshot writes only what changed since that generation
 * was last written. Generations take turns in the store; each is complete by itself.
 */
enum { ITEM_KEY_LEN = 5 }; /* type byte, index as big-endian u32 */

typedef void (*item_sink)(void *ctx, const uint8_t key[ITEM_KEY_LEN], const void *bytes, size_t n);

/* snapshot_write gives every item that changed since generation g was last written to the sink, the
 * header last, and marks them clean for g. Items never disappear. */
void snapshot_write(struct router *r, int g, item_sink sink, void *ctx);
/* snapshot_ahead gives, ahead of snapshot_write, up to `most` pages of open decisions that changed
 * likewise: the older ones first, and none that `left` further records could push out. `from` is 0,
 * then what the last call gave, until the snapshot is written: no page is passed twice. What is in
 * the store of g is no state until then. */
int64_t snapshot_ahead(struct router *r, int g, int64_t from, int64_t left, int most,
                       item_sink sink, void *ctx);
/* snapshot_header_key gives the key without which the items of a generation are no snapshot. */
void snapshot_header_key(uint8_t key[ITEM_KEY_LEN]);
/* snapshot_load takes one item of generation g into a fresh router (in key order: the header comes
 * first); snapshot_done checks that all fit together and rebuilds indexes. All items are
 * checksummed. */
MUST_CHECK enum status snapshot_load(struct router *r, int g, const uint8_t key[ITEM_KEY_LEN],
                                     const void *bytes, size_t n, struct problem *problem);
MUST_CHECK enum status snapshot_done(struct router *r, int g, struct problem *problem);
/* snapshot_digest hashes all items: equal digests = equal states, bit for bit. */
uint64_t snapshot_digest(struct router *r);

#endif
