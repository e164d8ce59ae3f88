/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_ENDPOINT_H
#define PURSER_TRANSPORT_ENDPOINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <nng/nng.h>
#include "core/status.h"

/* What every listening socket of the service has in common: where, for whom, how many. */
struct endpoint_options {
    const char *url;             /* tcp://, tls+tcp:// or inproc:// (tests); ipc:// from NNG 1.6 */
    const char *where;           /* its JSON path in the configuration, for problems */
    const char *cert, *key, *ca; /* PEM files for tls+tcp://; "" = not given */
    bool require_client_certificate; /* refuse clients whose certificate ca does not vouch for */
    int max_connections;
    size_t max_message; /* bytes; a longer message closes its connection */
};

/* Connections of one socket: counted by NNG threads, read by the loop. */
enum { ENDPOINT_TURNED_AWAY = 64 };
struct endpoint_gate {
    atomic_int open;                                      /* connections now */
    atomic_int refused;                                   /* since the start */
    atomic_int limit;                                     /* 0 = let nobody in (draining) */
    int turned_away[ENDPOINT_TURNED_AWAY], n_turned_away; /* pipes refused, not yet buried */
};

/* endpoint_listen puts the gate in front of the socket and listens. The gate must outlive the
 * socket. The problem says which endpoint, what is wrong, what to do. */
MUST_CHECK enum status endpoint_listen(nng_socket socket, const struct endpoint_options *o,
                                       struct endpoint_gate *gate, struct problem *problem);
/* endpoint_check applies the rules on URLs alone, without opening anything (for --check). */
MUST_CHECK enum status endpoint_check(const struct endpoint_options *o, struct problem *problem);
/* endpoint_nng_before tells whether the running NNG is older than major.minor.patch. */
bool endpoint_nng_before(int major, int minor, int patch);
/* endpoint_status translates an NNG error. */
enum status endpoint_status(int nng_error);

#endif
