/* SPDX-License-Identifier: MIT */
/*
 * What is answered at once and by the door alone: health, metrics, events, the description of the
 * interface, the dashboard's files. The files tell nothing of this service, so they need no key;
 * what the dashboard shows it asks like anybody else, with the key its user has given it. It may
 * load and ask nothing elsewhere, run no script but its own, and stand in nobody's frame.
 */
#include <string.h>
#include "transport/http/exchange.h"
#include "transport/http/openapi.h"

static const char page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static void send_state(struct exchange *x, bool readiness)
{
    const struct http_options *o = &x->http->options;
    bool healthy, ready;
    const char *word = o->state(o->ctx, &healthy, &ready);
    struct outbuf *out = &x->slot.out;
    outbuf_clear(out);
    if (outbuf_reserve(out, OUTBUF_ITEM))
        text_printf(&out->text, "{\"v\":1,\"status\":\"%s\"}", word);
    bool well = readiness ? ready : healthy;
    exchange_send(x, well ? 200 : 503, json_type, out->text.at ? out->text.at : "", out->text.len,
                  well ? 0 : SECOND_MS);
}

static void send_metrics(struct exchange *x)
{
    const struct http_options *o = &x->http->options;
    struct outbuf *out = &x->slot.out;
    outbuf_clear(out);
    bool ok = o->metrics(o->ctx, out);
    exchange_send(x, ok ? 200 : 503, "text/plain; version=0.0.4; charset=utf-8",
                  ok ? out->text.at : "", ok ? out->text.len : 0, ok ? 0 : SECOND_MS);
}

struct wishing {
    struct wish wish;
    struct problem *problem;
};

static enum MHD_Result on_wish(void *ctx, enum MHD_ValueKind kind, const char *key,
                               const char *value)
{
    struct wishing *w = ctx;
    (void)kind;
    return wish_argument(&w->wish, key, value, w->problem) == STATUS_OK ? MHD_YES : MHD_NO;
}

static void send_stream(struct exchange *x)
{
    const struct http_options *o = &x->http->options;
    struct wishing w = {.problem = &x->problem};
    MHD_get_connection_values(x->connection, MHD_GET_ARGUMENT_KIND, on_wish, &w);
    struct peer *peer = engine_peer(x->connection);
    if (o->admit(o->ctx, x->key[0] ? x->key : NULL, "events.read", peer ? &peer->bearer : NULL,
                 &x->problem) != STATUS_OK ||
        x->problem.code != STATUS_OK) {
        exchange_refuse(x);
        return;
    }
    struct MHD_Response *r =
        x->http->draining || x->head
            ? NULL
            : streams_add(x->http->streams, &w.wish, x->door->engine, x->connection);
    if (r) {
        MHD_add_response_header(r, "Content-Type", "text/event-stream");
        MHD_add_response_header(r, "Cache-Control", "no-store");
        exchange_queue(x, 200, r);
        engine_phase(x->door->engine, engine_peer(x->connection), PEER_STREAMING);
    } else if (x->head && !x->http->draining) {
        exchange_send(x, 200, "text/event-stream", "", 0, 0);
    } else {
        problem_set(&x->problem, STATUS_OVERLOADED, "",
                    "there are %d readers of events, no more are let in: retry later",
                    streams_n(x->http->streams));
        exchange_refuse(x);
    }
}

/* Whoever has the file already is told so: after an upgrade it is another one. */
static void send_page(struct exchange *x)
{
    const struct page *p = x->page;
    const char *has = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "If-None-Match");
    bool same = has && strcmp(has, p->tag) == 0;
    /* libmicrohttpd takes its buffer without const and does not write to it. */
    struct MHD_Response *r = MHD_create_response_from_buffer(
        same ? 0 : *p->n, (void *)(uintptr_t)p->at, MHD_RESPMEM_PERSISTENT);
    if (r) {
        MHD_add_response_header(r, "Content-Type", p->type);
        MHD_add_response_header(r, "ETag", p->tag);
        MHD_add_response_header(r, "Cache-Control", "no-cache");
        MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
        MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
        MHD_add_response_header(r, "Content-Security-Policy", page_policy);
    }
    exchange_queue(x, same ? 304 : 200, r);
}

void give(struct exchange *x)
{
    switch (x->act->serve) {
    case SERVE_EVENTS:
        send_stream(x);
        break;
    case SERVE_OPENAPI:
        exchange_send(x, 200, json_type, openapi_json, openapi_json_n, 0);
        break;
    case SERVE_PAGE:
        send_page(x);
        break;
    case SERVE_HEALTH:
    case SERVE_READY:
        send_state(x, x->act->serve == SERVE_READY);
        break;
    case SERVE_METRICS:
        send_metrics(x);
        break;
    case SERVE_MESSAGE: /* those are the service's */
    case SERVE_ASK:
        break;
    }
}
