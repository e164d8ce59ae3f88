/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_EVENT_HULL_CODEC_H
#define PURSER_CORE_EVENT_HULL_CODEC_H

#include "core/event/bytes.h"
#include "core/event/event.h"

/* Binary form of what the guard against the static hull puts into records: a decision's edge, and
 * the hull's own event, of whose mix only the slots with a part in it are stored. */
void hull_edge_put(struct filler *w, const struct hull_edge *e);
void hull_edge_get(struct reader *r, struct hull_edge *e);
void hull_event_put(struct filler *w, const struct event_hull *h);
void hull_event_get(struct reader *r, struct event_hull *h);

#endif
