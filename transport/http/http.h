/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_HTTP_HTTP_H
#define PURSER_TRANSPORT_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#include "core/event/event.h"
#include "core/status.h"
#include "transport/http/listen.h"
#include "transport/slot.h"

/*
 * HTTP: the same messages as over NNG, by the same path, and what only HTTP has: events as a
 * stream, health, metrics, a description of itself. Loop thread. NULL stands for a door that is
 * off.
 */
struct http;

enum http_door { HTTP_TCP, HTTP_UNIX, HTTP_METRICS, HTTP_DOORS };

struct http_limits {
    int connections, per_address, streams; /* at most, each door; streams: readers of events */
    size_t head_bytes, body_bytes;         /* of a request */
    uint64_t idle_ms, request_ms;          /* see transport/http/engine.h */
};

struct http_options {
    bool open; /* no key is asked for */
    struct http_address address[HTTP_DOORS];
    struct http_limits limits;
    /* As of struct rpc_options, in transport/rpc.h. */
    bool (*on_request)(void *ctx, struct slot *s, const void *bytes, size_t n);
    /* admit says whether a key (NULL: none was shown) may do an op that is not a message, over a
     * connection of this bearer (NULL: without memory), which may change. */
    enum status (*admit)(void *ctx, const char *key, const char *op, uint64_t *bearer,
                         struct problem *problem);
    /* state says in a word how the service is; *healthy: it serves at all, *ready: also what must
     * be recorded. metrics renders all of them. */
    const char *(*state)(void *ctx, bool *healthy, bool *ready);
    bool (*metrics)(void *ctx, struct outbuf *out);
    void *ctx;
};

/* http_open listens; NULL in *out if there is no address. On failure nothing is left behind but
 * handles that the loop closes. */
MUST_CHECK enum status http_open(uv_loop_t *loop, const struct http_options *options,
                                 struct http **out, struct problem *problem);
/* http_url gives where a door listens, "" = it is off. */
const char *http_url(const struct http *h, enum http_door door);
/* http_resume offers the requests that were put off. http_turn lets replies leave, and takes in
 * what comes with that. */
void http_resume(struct http *h);
void http_turn(struct http *h);
/* http_sweep cuts off who has overstayed, and shows streams that we live. Once a second. */
void http_sweep(struct http *h);
/* http_heard: somebody reads events. http_wants: somebody wants to read an event of this kind now;
 * alerts are of kind EVENT_NONE. http_event sends them one: a line of JSON. */
bool http_heard(const struct http *h);
bool http_wants(const struct http *h, enum event_kind kind);
void http_event(struct http *h, enum event_kind kind, uint64_t seq, const char *line, size_t n);
/* http_drain lets no one in any more, but to ask for health and metrics, and ends the streams.
 * http_idle: no request is inside. */
void http_drain(struct http *h);
bool http_idle(const struct http *h);
void http_close(struct http *h);

/* http_of counts connections by the key they have shown: see struct slot_door. */
int http_of(const struct http *h, uint64_t who);

struct http_stats {
    int64_t requests, replies[6]; /* by the hundreds of the status; 0: cut off before the reply */
    int64_t cuts;                 /* connections that overstayed */
    int64_t events, streams_dropped;
    int connections, streams, busy; /* busy: requests inside */
};
void http_stats(const struct http *h, struct http_stats *out);

#endif
