/* SPDX-License-Identifier: MIT */
/*
 * A reader is a ring of bytes between the service, which writes whole events, and libmicrohttpd,
 * which reads what the socket takes. A connection with an empty ring is suspended. Invariants: an
 * event is in the ring whole or not at all; memory is streams times RING_BYTES, whatever readers
 * do. Considered: one ring for all, with a place in it for each reader. It would be dropped bytes
 * that a slow reader finds out about, and needs the same bound.
 */
#include "transport/http/streams.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RING_BYTES = 256 * 1024, BLOCK_BYTES = 16 * 1024 };

struct reader {
    struct reader *next, **link;
    struct streams *streams;
    struct engine *engine;
    struct MHD_Connection *connection;
    bool suspended, ended;
    bool quiet;      /* nothing was sent since the last beat */
    size_t at, used; /* of the ring */
    char ring[RING_BYTES];
};

struct streams {
    struct reader *first;
    int n, most;
    int64_t dropped;
};

struct streams *streams_new(int most)
{
    struct streams *s = calloc(1, sizeof *s);
    if (s)
        s->most = most;
    return s;
}

static void put(struct reader *r, const char *s, size_t n)
{
    size_t end = (r->at + r->used) % RING_BYTES;
    size_t first = n < RING_BYTES - end ? n : RING_BYTES - end;
    memcpy(r->ring + end, s, first);
    memcpy(r->ring, s + first, n - first);
    r->used += n;
}

static void wake(struct reader *r)
{
    if (!r->suspended)
        return;
    r->suspended = false;
    engine_resume(r->engine, r->connection);
}

/* libmicrohttpd asks for what the socket takes. */
static ssize_t on_read(void *ctx, uint64_t pos, char *buf, size_t most)
{
    struct reader *r = ctx;
    (void)pos;
    if (r->used == 0 && r->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (r->used == 0) {
        r->suspended = true;
        MHD_suspend_connection(r->connection);
        return 0;
    }
    size_t n = r->used < most ? r->used : most;
    if (n > RING_BYTES - r->at)
        n = RING_BYTES - r->at;
    memcpy(buf, r->ring + r->at, n);
    r->at = (r->at + n) % RING_BYTES;
    r->used -= n;
    return (ssize_t)n;
}

/* The connection is gone. */
static void on_free(void *ctx)
{
    struct reader *r = ctx;
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    r->streams->n--;
    free(r);
}

struct MHD_Response *streams_add(struct streams *s, struct engine *e,
                                 struct MHD_Connection *connection)
{
    static const char hello[] = ": events as they become durable\n\n";
    struct reader *r = s->n < s->most ? malloc(sizeof *r) : NULL;
    if (!r)
        return NULL;
    memset(r, 0, offsetof(struct reader, ring));
    r->streams = s;
    r->engine = e;
    r->connection = connection;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_read, r, on_free);
    if (!response) {
        free(r);
        return NULL;
    }
    r->next = s->first;
    r->link = &s->first;
    if (r->next)
        r->next->link = &r->next;
    s->first = r;
    s->n++;
    put(r, hello, sizeof hello - 1);
    return response;
}

/* Too slow: what is in the ring is not sent any more either. */
static void drop(struct reader *r)
{
    if (!r->ended)
        r->streams->dropped++;
    r->ended = true;
    engine_cut(engine_peer(r->connection));
}

void streams_event(struct streams *s, uint64_t seq, const char *line, size_t n)
{
    char head[64];
    int head_n = snprintf(head, sizeof head, "id: %" PRIu64 "\ndata: ", seq);
    for (struct reader *r = s->first, *next; r; r = next) {
        next = r->next;
        if (r->used + (size_t)head_n + n + 2 > RING_BYTES) {
            drop(r);
            continue;
        }
        put(r, head, (size_t)head_n);
        put(r, line, n);
        put(r, "\n\n", 2);
        r->quiet = false;
        wake(r);
    }
}

void streams_beat(struct streams *s)
{
    for (struct reader *r = s->first; r; r = r->next) {
        if (r->quiet && r->used == 0) {
            put(r, ":\n\n", 3);
            wake(r);
        }
        r->quiet = true;
    }
}

void streams_end(struct streams *s)
{
    for (struct reader *r = s->first; r; r = r->next) {
        r->ended = true;
        wake(r);
    }
}

int streams_n(const struct streams *s)
{
    return s->n;
}

int64_t streams_dropped(const struct streams *s)
{
    return s->dropped;
}

void streams_free(struct streams *s)
{
    free(s);
}
