/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_CONTROL_POOLS_H
#define PURSER_TRANSPORT_CONTROL_CONTROL_POOLS_H

#include <jansson.h>
#include "core/status.h"
#include "transport/desk/desk.h"
#include "transport/outbuf.h"

/* The ops on budgets. control_pools_list writes the books as of the fold's clock: of all instances,
 * or of those of "pool"; "from" and "limit" page through the table, "next" says where to go on. */
MUST_CHECK enum status control_pools_list(const struct desk *d, const json_t *root,
                                          struct outbuf *out, struct problem *problem);
/* control_pools_patch gives (new) the list of pools of a configuration document with one changed:
 * "set" is merged into it, null takes a field out; "rearm" closes its fuse as of now_ms. NULL: the
 * problem says why. */
json_t *control_pools_patch(const json_t *document, const json_t *root, int64_t now_ms,
                            struct problem *problem);
/* control_pools_totals writes the line of stats. */
void control_pools_totals(const struct router *r, struct text *t);

#endif
