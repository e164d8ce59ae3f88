/* SPDX-License-Identifier: MIT */
/* The two batches of the desk, and which replies may leave ahead of them. */
#include "transport/desk/desk_inside.h"

bool desk_crowded(const struct desk *d)
{
    return batch_events(d->filling.batch) >= DESK_EVENTS_MAX ||
           batch_bytes(d->filling.batch) >= DESK_BYTES_MAX;
}

struct batch *desk_launch(struct desk *d)
{
    struct tray t = d->filling;
    d->filling = d->other;
    d->other = t;
    d->flying = true;
    if (d->leases)
        leases_launched(d->leases);
    return t.batch;
}

void desk_landed(struct desk *d)
{
    batch_reset(d->other.batch);
    d->other.answered = 0;
    d->flying = false;
    if (d->leases)
        leases_landed(d->leases);
}

bool desk_ahead_begin(struct desk *d)
{
    d->ahead = true;
    if (!d->leases)
        d->leases = leases_new();
    return d->leases != NULL;
}

void desk_ahead_decided(struct desk *d, int64_t now)
{
    if (d->leases && !leases_take(d->leases, d->router, d->event.seq, now))
        d->ahead = false;
}

/* The reply to the first one may be waiting still. */
void desk_ahead_repeated(struct desk *d)
{
    if (d->leases && pools_promise(&router_pools(d->router)->config))
        d->ahead = false;
}
