/* SPDX-License-Identifier: MIT */
/*
 * Mutant: replies do not wait for their batch. They leave in the loop turn that computed them, some
 * milliseconds before the commit that makes them true. Linked with --wrap=batch_hold.
 */
#include "store/batch.h"
#include "transport/slot.h"

enum status __wrap_batch_hold(struct batch *b, void *waiter);

enum status __wrap_batch_hold(struct batch *b, void *waiter)
{
    (void)b;
    slot_reply(waiter);
    return STATUS_OK;
}
