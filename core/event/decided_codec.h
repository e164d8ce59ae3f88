/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_EVENT_DECIDED_CODEC_H
#define PURSER_CORE_EVENT_DECIDED_CODEC_H

#include "core/event/bytes.h"
#include "core/event/event.h"

/* Private to core/event/event.c. A reader that runs out or finds a count too large is bad from
 * there on.
 */
void decided_put(struct filler *w, const struct event_decided *d);
void decided_get(struct reader *r, struct event_decided *d);
/* Context vectors of d entries. */
void x_put(struct filler *w, const float *x, int d);
uint8_t x_get(struct reader *r, float *x);

#endif
