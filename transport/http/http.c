/* SPDX-License-Identifier: MIT */
/*
 * The doors of HTTP and what they have in common: requests that were put off, readers of events,
 * counters. Considered: health and metrics on the main address. They must answer when that one is
 * full, and they tell more than an application should see; so they have an address of their own,
 * on loopback by default, and are served there only.
 */
#include "transport/http/http.h"

#include <stdlib.h>
#include "transport/http/exchange.h"
#include "transport/log.h"

enum { BEAT_SWEEPS = 15 };

static enum status open_door(struct http *h, enum http_door which, struct problem *problem)
{
    struct door *d = &h->door[which];
    const struct http_limits *l = &h->options.limits;
    int fd;
    d->http = h;
    d->which = which;
    d->address = h->options.address[which];
    enum status s = http_listen(&d->address, &fd, problem);
    if (s != STATUS_OK || fd < 0) {
        if (s == STATUS_OK && d->address.url[0])
            log_event(LOG_LEVEL_WARN, "http_off", "address", http_address_url(&d->address), "at",
                      d->address.where, "action", "taken by another process: set an address", NULL);
        return s;
    }
    struct engine_options o = {.fd = fd,
                               .connections = l->connections,
                               .per_address = l->per_address,
                               .head_bytes = l->head_bytes,
                               .idle_ms = l->idle_ms,
                               .request_ms = l->request_ms,
                               .on_access = exchange_on_access,
                               .on_completed = exchange_on_completed,
                               .ctx = d};
    return engine_open(h->loop, &o, &d->engine, problem);
}

enum status http_open(uv_loop_t *loop, const struct http_options *options, struct http **out,
                      struct problem *problem)
{
    struct http *h = calloc(1, sizeof *h);
    if (h)
        h->streams = streams_new(options->limits.streams);
    if (!h || !h->streams) {
        free(h);
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for HTTP");
    }
    h->loop = loop;
    h->options = *options;
    for (int i = 0; i < HTTP_DOORS; i++) {
        enum status s = open_door(h, (enum http_door)i, problem);
        if (s != STATUS_OK) {
            http_close(h);
            return s;
        }
    }
    *out = h;
    return STATUS_OK;
}

const char *http_url(const struct http *h, enum http_door door)
{
    return h && h->door[door].engine ? http_address_url(&h->door[door].address) : "";
}

void http_resume(struct http *h)
{
    if (!h || h->resuming) /* on_request may lead back here */
        return;
    h->resuming = true;
    while (h->late) {
        struct exchange *x = h->late, *next = x->next;
        if (!exchange_offer(x))
            break;
        h->late = next;
    }
    h->resuming = false;
}

void http_turn(struct http *h)
{
    for (int i = 0; h && i < HTTP_DOORS; i++)
        engine_turn(h->door[i].engine);
}

int http_of(const struct http *h, uint64_t who)
{
    int n = 0;
    for (int i = 0; h && i < HTTP_DOORS; i++)
        n += engine_of(h->door[i].engine, who);
    return n;
}

void http_sweep(struct http *h)
{
    if (!h)
        return;
    for (int i = 0; i < HTTP_DOORS; i++)
        engine_sweep(h->door[i].engine);
    if (++h->sweeps % BEAT_SWEEPS == 0)
        streams_beat(h->streams);
}

bool http_heard(const struct http *h)
{
    return h && streams_n(h->streams) > 0;
}

bool http_wants(const struct http *h, enum event_kind kind)
{
    return http_heard(h) && streams_want(h->streams, kind, uv_now(h->loop));
}

void http_event(struct http *h, enum event_kind kind, uint64_t seq, const char *line, size_t n)
{
    h->stats.events++;
    streams_event(h->streams, kind, uv_now(h->loop), seq, line, n);
}

static void close_entrance(struct door *d)
{
    if (!d->engine)
        return;
    http_unlisten(&d->address); /* now, since a successor may be about to listen there */
    engine_quiesce(d->engine);
}

void http_drain(struct http *h)
{
    if (!h)
        return;
    h->draining = true;
    for (int i = 0; i < HTTP_METRICS; i++)
        close_entrance(&h->door[i]);
    streams_end(h->streams);
}

bool http_idle(const struct http *h)
{
    return !h || h->inside == 0;
}

/* libmicrohttpd must not be stopped with connections suspended: those of requests that nobody will
 * answer any more are let go. Their exchanges are found by the connections' end. */
static void abandon(struct http *h)
{
    streams_end(h->streams);
    for (struct exchange *x = h->first; x; x = x->later)
        exchange_abandon(x);
}

void http_close(struct http *h)
{
    if (!h)
        return;
    abandon(h);
    for (int i = 0; i < HTTP_DOORS; i++) {
        if (!h->draining || i == HTTP_METRICS)
            close_entrance(&h->door[i]);
        engine_close(h->door[i].engine);
    }
    while (h->free) {
        struct exchange *x = h->free;
        h->free = x->next;
        exchange_free(x);
    }
    streams_free(h->streams);
    free(h);
}

void http_stats(const struct http *h, struct http_stats *out)
{
    *out = h->stats;
    out->busy = h->inside;
    out->streams = streams_n(h->streams);
    out->streams_dropped = streams_dropped(h->streams);
    for (int i = 0; i < HTTP_DOORS; i++) {
        out->connections += engine_connections(h->door[i].engine);
        out->cuts += engine_cuts(h->door[i].engine);
    }
}
