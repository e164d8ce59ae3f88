/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_PUBLISH_H
#define PURSER_TRANSPORT_PUBLISH_H

#include <stdint.h>
#include "core/status.h"
#include "store/batch.h"
#include "transport/endpoint.h"

/* A PUB socket: what has become durable, one line of JSON an event. Loop thread. */
struct publish;

MUST_CHECK enum status publish_open(const struct endpoint_options *endpoint, struct publish **out,
                                    struct problem *problem);
/* publish_batch tells subscribers of a committed batch's events. Costs nothing without any. */
void publish_batch(struct publish *p, const struct batch *b);
int64_t publish_sent(const struct publish *p);
void publish_drain(struct publish *p);
void publish_close(struct publish *p);

#endif
