/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_CONTROL_DECISIONS_H
#define PURSER_TRANSPORT_CONTROL_CONTROL_DECISIONS_H

#include "core/encoding/json.h"
#include "transport/desk/desk.h"

/* control_decisions answers the op decisions: the latest ones, newest first, as they were answered;
 * of the tenant only, unless that is "". Why each was made is told by explain. */
MUST_CHECK enum status control_decisions(struct desk *d, const json_t *root, const char *tenant,
                                         struct outbuf *out, struct problem *p);

#endif
