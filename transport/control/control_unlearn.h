/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_CONTROL_UNLEARN_H
#define PURSER_TRANSPORT_CONTROL_CONTROL_UNLEARN_H

#include "core/encoding/json.h"
#include "transport/desk/desk.h"

/* Op unlearn: take back, or put back, what was said or taught. Loop thread. */
/* control_unlearn does the items of a message (root: its tree), at most BATCH_ITEMS_MAX, one by
 * one: feedback items, or {"taught":SEQ} for a record of history. Answers name the model. dry_run
 * only looks; settle has everything that was learned estimated anew afterwards. Items of history
 * need seen_to, the record up to which the sender has read the log: what was taken out since then
 * is not taken out twice. */
MUST_CHECK enum status control_unlearn(struct desk *d, const struct message *m, const json_t *root,
                                       struct outbuf *out, struct problem *problem);

#endif
