/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_HTTP_STREAMS_H
#define PURSER_TRANSPORT_HTTP_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/event/event.h"
#include "transport/http/engine.h"

/*
 * Readers of events, by server-sent events (text/event-stream): what the PUB socket sends, from the
 * moment of the request on. Each has a buffer; whoever is so slow that it is full is dropped, and
 * reads the log to find what it missed. Loop thread.
 */
struct streams;

/* What a reader asks for. All zeros: everything. */
struct wish {
    uint32_t kinds;  /* bits of enum event_kind, 0 = all */
    uint64_t gap_ms; /* between two events of a kind at least; those between are left out */
};
/* wish_argument reads an argument of the query: kinds=decided,drifted or gap_ms=1000. */
MUST_CHECK enum status wish_argument(struct wish *w, const char *name, const char *value,
                                     struct problem *problem);

struct streams *streams_new(int most);
/* streams_add gives the response for a new reader; NULL: there are as many as may be, or memory is
 * short. The reader goes when the connection does. */
struct MHD_Response *streams_add(struct streams *s, const struct wish *wish, struct engine *e,
                                 struct MHD_Connection *connection);
/* streams_want tells whether somebody wants an event of a kind now (a moment of the loop's clock);
 * streams_event sends it to those who do; streams_beat a comment, to those that nothing was sent
 * since the last beat but one. streams_end ends all streams. */
bool streams_want(const struct streams *s, enum event_kind kind, uint64_t now_ms);
void streams_event(struct streams *s, enum event_kind kind, uint64_t now_ms, uint64_t seq,
                   const char *line, size_t n);
void streams_beat(struct streams *s);
void streams_end(struct streams *s);
int streams_n(const struct streams *s);
int64_t streams_dropped(const struct streams *s);
/* streams_free: no connection may be left. */
void streams_free(struct streams *s);

#endif
