/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_CONTROL_LOG_H
#define PURSER_TRANSPORT_CONTROL_CONTROL_LOG_H

#include "core/encoding/json.h"
#include "transport/desk/desk.h"

/* The log, over the control address: ops log and labels. Loop thread. */
/* control_log writes records from..to as purser log shows them, `limit` at most, and where to go
 * on.
 */
MUST_CHECK enum status control_log(struct desk *d, const json_t *root, struct outbuf *out,
                                   struct problem *problem);
/* control_labels writes what was said about decisions, `from` on: of a source, on decisions of a
 * tenant; with `batch` or `history` what was taught. A bounded stretch of the log, in few bytes. */
MUST_CHECK enum status control_labels(struct desk *d, const json_t *root, struct outbuf *out,
                                      struct problem *problem);

#endif
