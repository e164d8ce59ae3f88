/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_LEASES_H
#define PURSER_TRANSPORT_LEASES_H

#include <stdbool.h>
#include <stdint.h>
#include "core/router/router.h"

/*
 * Which replies may leave ahead of the disk (store.durability relaxed): those whose spending, with
 * all that left early and is not durable yet, stays within the leases of their strict pools
 * (core/budget/pools.h). Batches are numbered as they are filled; at most two are not durable. Not
 * state: after a start nothing is known, and the first decision of each pool waits for the disk.
 * Memory: 80 bytes per pool slot, when first asked. Loop thread.
 */
struct leases;
struct leases *leases_new(void); /* NULL when memory is short */
void leases_free(struct leases *l);

/* leases_take tells whether the reply to a decision that has just been applied may leave early; if
 * so, what it spends counts until its batch is durable. */
bool leases_take(struct leases *l, const struct router *r, uint64_t seq, int64_t now_ms);
/* leases_configured: the filling batch changes the configuration, so until it is durable nobody
 * knows which blocks a start would settle. */
void leases_configured(struct leases *l);
/* leases_launched: the filling batch goes to the disk; leases_landed: it is there. */
void leases_launched(struct leases *l);
void leases_landed(struct leases *l);

#endif
