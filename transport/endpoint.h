/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_ENDPOINT_H
#define PURSER_TRANSPORT_ENDPOINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <nng/nng.h>
#include "core/status.h"
#include "transport/guests.h"

/* What every listening socket of the service has in common: where, for whom, how many. */
struct endpoint_options {
    const char *url;             /* tcp://, tls+tcp:// or inproc:// (tests); ipc:// from NNG 1.6 */
    const char *where;           /* its JSON path in the configuration, for problems */
    const char *cert, *key, *ca; /* PEM files for tls+tcp://; "" = not given */
    bool require_client_certificate; /* refuse clients whose certificate ca does not vouch for */
    int max_connections;
    int idle_ms;        /* without a request until endpoint_sweep closes a connection */
    size_t max_message; /* bytes; a longer message closes its connection */
};

/* Connections of one socket: let in by NNG threads, watched by the loop. */
struct endpoint_gate {
    struct guests guests;
    atomic_int open;    /* connections now */
    atomic_int refused; /* since the start */
    atomic_bool shut;   /* let nobody in (draining) */
    int idle_ms;
    int64_t overstayed; /* closed by endpoint_sweep since the start; loop thread */
};

/* endpoint_listen puts the gate in front of the socket and listens. The gate must outlive the
 * socket. The problem says which endpoint, what is wrong, what to do. */
MUST_CHECK enum status endpoint_listen(nng_socket socket, const struct endpoint_options *o,
                                       struct endpoint_gate *gate, struct problem *problem);
/* endpoint_shut lets nobody in any more; who is inside stays. */
void endpoint_shut(struct endpoint_gate *gate);
/* endpoint_begin and endpoint_end frame a request that came by a pipe (its number; begin gives that
 * of a message), endpoint_sweep, once a second, closes connections that had none for too long. Loop
 * thread. */
int endpoint_begin(struct endpoint_gate *gate, nng_msg *msg);
void endpoint_end(struct endpoint_gate *gate, int pipe);
void endpoint_sweep(struct endpoint_gate *gate);
/* endpoint_bearer and endpoint_of are guests_bearer and guests_of. Loop thread. */
uint64_t endpoint_bearer(struct endpoint_gate *gate, int pipe, uint64_t who);
int endpoint_of(struct endpoint_gate *gate, uint64_t who);
/* endpoint_close closes the socket (one that was never opened is left alone) and what the gate has.
 */
void endpoint_close(nng_socket socket, struct endpoint_gate *gate);
/* endpoint_check applies the rules on URLs alone, without opening anything (for --check). */
MUST_CHECK enum status endpoint_check(const struct endpoint_options *o, struct problem *problem);
/* endpoint_nng_before tells whether the running NNG is older than major.minor.patch. */
bool endpoint_nng_before(int major, int minor, int patch);
/* endpoint_status translates an NNG error. */
enum status endpoint_status(int nng_error);

#endif
