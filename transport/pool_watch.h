/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_POOL_WATCH_H
#define PURSER_TRANSPORT_POOL_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include "core/router/router.h"
#include "transport/alert.h"

/*
 * What is to be told of budgets, from their books before and after a record. Loop thread.
 * - soft: use has risen above the soft limit. Told again in the next window; in a rolling one when
 *   use had fallen to nine tenths of the limit.
 * - exhausted, overrun: once a window; a rolling window's length apart.
 * - fuse: tripped and reset, each time.
 * - kill: switched on and off, by the configuration.
 * What was told is not kept over a restart: a soft limit that is passed already is not told again,
 * a refusal may be, once.
 */
struct pool_watch;

/* pool_watch_new borrows the router and takes what it finds as known. NULL when memory is short. */
struct pool_watch *pool_watch_new(struct router *r);
void pool_watch_free(struct pool_watch *w);

/* pool_watch_event looks at what an applied event has changed; pool_watch_refused at a request that
 * a pool has refused, with the labels and the pool that the router left in d. pool_watch_tick
 * looks for fuses that have reset with time. */
void pool_watch_event(struct pool_watch *w, const struct event *ev, struct alert_queue *q);
void pool_watch_refused(struct pool_watch *w, const struct event_decided *d, int64_t now_ms,
                        struct alert_queue *q);
void pool_watch_tick(struct pool_watch *w, int64_t now_ms, struct alert_queue *q);

/* What stands of an instance now: above its soft limit, told to be exhausted in this window. */
struct pool_standing {
    bool soft, exhausted;
};
struct pool_standing pool_watch_standing(const struct pool_watch *w, int64_t slot, int64_t now_ms);

#endif
