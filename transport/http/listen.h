/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_HTTP_LISTEN_H
#define PURSER_TRANSPORT_HTTP_LISTEN_H

#include <stdbool.h>
#include "core/status.h"

/* Where HTTP listens: http://HOST:PORT with a numeric host or a name, unix:///PATH, "auto" (the
 * usual address, if nobody else has it) or "" (nowhere). */
struct http_address {
    const char *url;   /* as configured */
    const char *usual; /* what auto stands for; NULL = auto is no address here */
    const char *where; /* JSON path in the configuration, for problems */
};

/* http_address_check applies the rules on addresses alone, without opening anything. */
MUST_CHECK enum status http_address_check(const struct http_address *a, struct problem *problem);
/* http_address_url gives the address itself, whatever auto stands for. */
const char *http_address_url(const struct http_address *a);
/* http_listen gives a non-blocking listening socket in *fd; -1: none is wanted, or auto found the
 * usual address taken. A unix socket that nobody listens on any more is replaced; it is open to its
 * owner and group. */
MUST_CHECK enum status http_listen(const struct http_address *a, int *fd, struct problem *problem);
/* http_unlisten removes the file of a unix socket. */
void http_unlisten(const struct http_address *a);

#endif
