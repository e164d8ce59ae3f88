/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_METRICS_H
#define PURSER_TRANSPORT_METRICS_H

#include "transport/server_state.h"

/* metrics_render writes what the service counts in the text format of Prometheus, version 0.0.4.
 * False: no memory. Loop thread. */
MUST_CHECK bool metrics_render(const struct server *s, struct outbuf *out);

#endif
