/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_CONTROL_ALERTS_H
#define PURSER_TRANSPORT_CONTROL_CONTROL_ALERTS_H

#include "transport/desk/desk.h"

/* control_alerts answers the op alerts: what somebody should look at now, gravest first, and what
 * was notable since the service started (struct notes). */
MUST_CHECK enum status control_alerts(struct desk *d, struct outbuf *out, struct problem *p);

#endif
