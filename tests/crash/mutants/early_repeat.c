/* SPDX-License-Identifier: MIT */
/*
 * Mutant: a reply that brings no event of its own (a retry, a duplicate, `stats`) does not wait,
 * though it may tell of events that are still in memory. No reply may reveal what is not durable.
 * Linked with --wrap=batch_hold. Loop thread only.
 */
#include "store/batch.h"
#include "transport/slot.h"

enum status __wrap_batch_hold(struct batch *b, void *waiter);
enum status __real_batch_hold(struct batch *b, void *waiter);

enum status __wrap_batch_hold(struct batch *b, void *waiter)
{
    static uint64_t held; /* the last event that a reply waits for */
    if (batch_last_seq(b) > held) {
        held = batch_last_seq(b);
        return __real_batch_hold(b, waiter);
    }
    slot_reply(waiter);
    return STATUS_OK;
}
