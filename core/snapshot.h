/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_SNAPSHOT_H
#define PURSER_CORE_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>
#include "core/router.h"

/*
 * The state of a router as a set of items (header with configuration, one per model and target,
 * pages of open decisions, ...), so that a snapshot writes only what changed since that generation
 * was last written. Two generations alternate in the store; each is complete by itself.
 */
enum { ITEM_KEY_LEN = 5 }; /* type byte, index as big-endian u32 */

typedef void (*item_sink)(void *ctx, const uint8_t key[ITEM_KEY_LEN], const void *bytes, size_t n);

/* snapshot_write gives every item that changed since generation g (0 or 1) was last written to the
 * sink, the header last, and marks them clean for g. Items never disappear. */
void snapshot_write(struct router *r, int g, item_sink sink, void *ctx);
/* snapshot_load takes one item of generation g into a fresh router (in key order: the header comes
 * first); snapshot_done checks that all fit together and rebuilds indexes. All items are
 * checksummed. */
MUST_CHECK enum status snapshot_load(struct router *r, int g, const uint8_t key[ITEM_KEY_LEN],
                                     const void *bytes, size_t n, struct problem *problem);
MUST_CHECK enum status snapshot_done(struct router *r, int g, struct problem *problem);
/* snapshot_digest hashes all items: equal digests = equal states, bit for bit. */
uint64_t snapshot_digest(struct router *r);

#endif
