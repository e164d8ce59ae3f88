/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_EVENT_ROW_H
#define PURSER_CORE_EVENT_ROW_H

#include <stdint.h>
#include "core/event/bytes.h"
#include "core/event/event.h"

/* What the fold keeps of a decision. row_from_decided, which makes one, is in core/event/event.h.
 */

/* request_hash names a (tenant, request_id) pair; 0 if and only if request_id is "". */
uint64_t request_hash(const char *tenant, const char *request_id);
/* row_put and row_get are the codec of a row, without its length d, which goes with the vector. */
void row_put(struct filler *w, const struct decision_row *row);
void row_get(struct reader *r, struct decision_row *row);

#endif
