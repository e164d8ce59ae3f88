/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_PUBLISH_H
#define PURSER_TRANSPORT_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>
#include "core/encoding/text.h"
#include "core/status.h"
#include "transport/endpoint.h"

/* A PUB socket: what has become durable, one line of JSON an event. Loop thread. */
struct publish;

MUST_CHECK enum status publish_open(const struct endpoint_options *endpoint, struct publish **out,
                                    struct problem *problem);
/* publish_wanted: there are subscribers. publish_line sends them a line. */
bool publish_wanted(struct publish *p);
void publish_line(struct publish *p, const struct text *t);
int64_t publish_sent(const struct publish *p);
void publish_drain(struct publish *p);
void publish_close(struct publish *p);

#endif
