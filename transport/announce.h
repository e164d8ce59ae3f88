/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_ANNOUNCE_H
#define PURSER_TRANSPORT_ANNOUNCE_H

#include "store/batch.h"
#include "transport/alert.h"
#include "transport/http/http.h"
#include "transport/publish.h"

/* Tells whoever listens of a committed batch's events: one line of JSON each, the same to
 * subscribers of the PUB socket and to readers over HTTP. Either may be NULL. Costs nothing without
 * any. Loop thread. */
void announce_batch(const struct batch *b, struct publish *p, struct http *h);
/* announce_alerts does the same for what is to be told with a batch, writes it to the process log
 * and into `past`, and empties the queue. */
void announce_alerts(struct alert_queue *q, struct alert_past *past, struct publish *p,
                     struct http *h);

#endif
