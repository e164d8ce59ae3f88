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
#include "transport/http/routes.h"

enum { RING_BYTES = 256 * 1024, BLOCK_BYTES = 16 * 1024 };

struct listener {
    struct listener *next, **link;
    struct streams *streams;
    struct engine *engine;
    struct MHD_Connection *connection;
    bool suspended, ended;
    struct wish wish;
    uint64_t due_ms[EVENT_KINDS]; /* from when an event of the kind is sent again */
    bool quiet;                   /* nothing was sent since the last beat */
    size_t at, used;              /* of the ring */
    char ring[RING_BYTES];
};

struct streams {
    struct listener *first;
    int n, most;
    int64_t dropped;
};

/* ---- wishes ---- */

static enum status read_kinds(struct wish *w, char *list, struct problem *problem)
{
    for (char *word = list, *comma; word; word = comma ? comma + 1 : NULL) {
        comma = strchr(word, ',');
        if (comma)
            *comma = '\0';
        int kind = strcmp(word, "alert") == 0 ? EVENT_NONE : EVENT_STARTED; /* http_wants */
        while (kind != EVENT_NONE && kind < EVENT_KINDS &&
               strcmp(event_kind_name((enum event_kind)kind), word) != 0)
            kind++;
        if (kind == EVENT_KINDS)
            return problem_set(problem, STATUS_BAD_REQUEST, "/kinds",
                               "no event is of kind %.40s; the kind of an event is its field kind",
                               word);
        w->kinds |= 1u << kind;
    }
    return STATUS_OK;
}

enum status wish_argument(struct wish *w, const char *name, const char *value,
                          struct problem *problem)
{
    char plain[VALUE_CAP];
    bool kinds = strcmp(name, "kinds") == 0, gap = strcmp(name, "gap_ms") == 0;
    if (!kinds && !gap)
        return problem_set(problem, STATUS_UNKNOWN_FIELD, "",
                           "unknown argument %.40s; /v1/openapi.json names those of each path",
                           name);
    if (!value || !route_unescape(plain, value))
        return problem_set(problem, STATUS_BAD_REQUEST, kinds ? "/kinds" : "/gap_ms",
                           "expected a value");
    if (kinds)
        return read_kinds(w, plain, problem);
    size_t n = strlen(plain);
    if (n == 0 || n > 8 || strspn(plain, "0123456789") != n)
        return problem_set(problem, STATUS_BAD_REQUEST, "/gap_ms",
                           "expected a whole number of milliseconds, at most 8 digits");
    w->gap_ms = strtoull(plain, NULL, 10);
    return STATUS_OK;
}

struct streams *streams_new(int most)
{
    struct streams *s = calloc(1, sizeof *s);
    if (s)
        s->most = most;
    return s;
}

static void put(struct listener *r, const char *s, size_t n)
{
    size_t end = (r->at + r->used) % RING_BYTES;
    size_t first = n < RING_BYTES - end ? n : RING_BYTES - end;
    memcpy(r->ring + end, s, first);
    memcpy(r->ring, s + first, n - first);
    r->used += n;
}

static void wake(struct listener *r)
{
    if (!r->suspended)
        return;
    r->suspended = false;
    engine_resume(r->engine, r->connection);
}

/* libmicrohttpd asks for what the socket takes. */
static ssize_t on_read(void *ctx, uint64_t pos, char *buf, size_t most)
{
    struct listener *r = ctx;
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
    struct listener *r = ctx;
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    r->streams->n--;
    free(r);
}

struct MHD_Response *streams_add(struct streams *s, const struct wish *wish, struct engine *e,
                                 struct MHD_Connection *connection)
{
    static const char hello[] = ": events as they become durable\n\n";
    struct listener *r = s->n < s->most ? malloc(sizeof *r) : NULL;
    if (!r)
        return NULL;
    memset(r, 0, offsetof(struct listener, ring));
    r->streams = s;
    r->wish = *wish;
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
static void drop(struct listener *r)
{
    if (!r->ended)
        r->streams->dropped++;
    r->ended = true;
    engine_cut(engine_peer(r->connection));
}

static bool wants(const struct listener *r, enum event_kind kind, uint64_t now_ms)
{
    return (r->wish.kinds == 0 || r->wish.kinds >> kind & 1) && now_ms >= r->due_ms[kind];
}

bool streams_want(const struct streams *s, enum event_kind kind, uint64_t now_ms)
{
    for (const struct listener *r = s->first; r; r = r->next)
        if (wants(r, kind, now_ms))
            return true;
    return false;
}

void streams_event(struct streams *s, enum event_kind kind, uint64_t now_ms, uint64_t seq,
                   const char *line, size_t n)
{
    char head[64];
    int head_n = snprintf(head, sizeof head, "id: %" PRIu64 "\ndata: ", seq);
    for (struct listener *r = s->first, *next; r; r = next) {
        next = r->next;
        if (!wants(r, kind, now_ms))
            continue;
        if (r->used + (size_t)head_n + n + 2 > RING_BYTES) {
            drop(r);
            continue;
        }
        put(r, head, (size_t)head_n);
        put(r, line, n);
        put(r, "\n\n", 2);
        r->quiet = false;
        if (kind != EVENT_NONE) /* no alert is left out */
            r->due_ms[kind] = now_ms + r->wish.gap_ms;
        wake(r);
    }
}

void streams_beat(struct streams *s)
{
    for (struct listener *r = s->first; r; r = r->next) {
        if (r->quiet && r->used == 0) {
            put(r, ":\n\n", 3);
            wake(r);
        }
        r->quiet = true;
    }
}

void streams_end(struct streams *s)
{
    for (struct listener *r = s->first; r; r = r->next) {
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
