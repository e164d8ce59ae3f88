/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_HTTP_STREAMS_H
#define PURSER_TRANSPORT_HTTP_STREAMS_H

#include <stddef.h>
#include <stdint.h>
#include "transport/http/engine.h"

/*
 * Readers of events, by server-sent events (text/event-stream): what the PUB socket sends, from the
 * moment of the request on. Each has a buffer; whoever is so slow that it is full is dropped, and
 * reads the log to find what it missed. Loop thread.
 */
struct streams;

struct streams *streams_new(int most);
/* streams_add gives the response for a new reader; NULL: there are as many as may be, or memory is
 * short. The reader goes when the connection does. */
struct MHD_Response *streams_add(struct streams *s, struct engine *e,
                                 struct MHD_Connection *connection);
/* streams_event sends an event to all; streams_beat a comment, to those that nothing was sent since
 * the last beat but one. streams_end ends all streams. */
void streams_event(struct streams *s, uint64_t seq, const char *line, size_t n);
void streams_beat(struct streams *s);
void streams_end(struct streams *s);
int streams_n(const struct streams *s);
int64_t streams_dropped(const struct streams *s);
/* streams_free: no connection may be left. */
void streams_free(struct streams *s);

#endif
