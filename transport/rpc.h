/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_RPC_H
#define PURSER_TRANSPORT_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#include "core/status.h"
#include "transport/endpoint.h"
#include "transport/slot.h"

/*
 * A REP socket with a fixed number of slots: at most that many requests are inside at once, the
 * rest waits in TCP. All calls on the loop thread. NULL stands for a socket that is off: it is
 * idle, and whatever is asked of it is done.
 */
struct rpc;

struct rpc_options {
    struct endpoint_options endpoint;
    enum purpose purpose;
    int slots;
    int send_timeout_ms; /* for a client that does not read its replies */
    /* on_request gets a request in slot s; the bytes live until it returns true. It must end in
     * slot_hold or slot_reply, now or (if it keeps the slot) later. False = not now: it is called
     * again, in order of arrival, after rpc_resume. */
    bool (*on_request)(void *ctx, struct slot *s, const void *bytes, size_t n);
    void *ctx;
};

/* rpc_open listens and arms all slots. On failure nothing is left behind. */
MUST_CHECK enum status rpc_open(uv_loop_t *loop, const struct rpc_options *options,
                                struct rpc **out, struct problem *problem);
/* rpc_resume offers the requests that were put off. */
void rpc_resume(struct rpc *r);
/* rpc_sweep closes connections that have asked nothing for too long; to be called each second. */
void rpc_sweep(struct rpc *r);
/* rpc_of counts connections by the key they have shown: see struct slot_door. */
int rpc_of(struct rpc *r, uint64_t who);
/* rpc_drain lets no one in any more; slots without a request fall idle. rpc_idle: all have. */
void rpc_drain(struct rpc *r);
bool rpc_idle(const struct rpc *r);
/* rpc_stop ends all operations for good; rpc_close frees, on_closed runs when it has. A lost
 * deadline in nng_close (NNG before 1.7.3 may hang) is the caller's to guard. */
void rpc_stop(struct rpc *r);
void rpc_close(struct rpc *r, void (*on_closed)(void *ctx), void *ctx);

struct rpc_stats {
    int64_t requests, replies, send_failures;
    int busy; /* slots with a request inside */
    int connections, refused;
    int64_t overstayed; /* connections closed by rpc_sweep */
};
void rpc_stats(const struct rpc *r, struct rpc_stats *out);

#endif
