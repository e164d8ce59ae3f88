/* SPDX-License-Identifier: MIT */
/*
 * Mutant: after a restart the index of request ids is empty. A request that is sent again gets a
 * second decision. Linked with --wrap=pending_reindex (the call from snapshot_done; the one inside
 * pending.c stays).
 */
#include "core/router/pending.h"

void __wrap_pending_reindex(struct pending *p);

void __wrap_pending_reindex(struct pending *p)
{
    (void)p;
}
