/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_CONTROL_SPEND_H
#define PURSER_TRANSPORT_CONTROL_CONTROL_SPEND_H

#include "core/encoding/json.h"
#include "transport/control/control.h"

/* control_spend answers the op spend.get in libuv's thread pool, by control->done; at most
 * SPEND_JOBS at once. When it is not OK nothing will come. */
enum { SPEND_JOBS = 4, SPEND_ROWS_MAX = 20000 };
MUST_CHECK enum status control_spend(struct control *c, struct slot *slot, const json_t *root,
                                     struct problem *p);

#endif
