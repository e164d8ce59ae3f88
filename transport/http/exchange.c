/* SPDX-License-Identifier: MIT */
/*
 * A request over HTTP: its head is looked at, its body gathered, the message offered to the
 * service, its reply sent. While the service has it, the connection is suspended; what is
 * answered at once never is. The status of a reply is read from the reply: there is one way to
 * refuse something, the error object, whatever door it leaves by.
 * Invariants: a body is kept up to its limit and no further; a refusal that comes before the body
 * does closes the connection, since nobody will read on.
 */
#include "transport/http/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/wire/wire.h"
#include "transport/http/verdict.h"

enum { FREE_MOST = 256 };

const char json_type[] = "application/json";

/* ---- replies ---- */

static const char packed_type[] = "application/msgpack";

static void count(struct exchange *x, unsigned status)
{
    struct http_stats *st = &x->http->stats;
    st->replies[status / 100 < 6 ? status / 100 : 0]++;
}

void exchange_queue(struct exchange *x, unsigned status, struct MHD_Response *r)
{
    x->state = EXCHANGE_ANSWERED;
    count(x, status);
    engine_phase(x->door->engine, engine_peer(x->connection), PEER_READING);
    if (r) {
        MHD_queue_response(x->connection, status, r);
        MHD_destroy_response(r);
    } else {
        engine_cut(engine_peer(x->connection)); /* no memory to answer */
    }
    if (x->suspended) {
        x->suspended = false;
        engine_resume(x->door->engine, x->connection);
    }
}

void exchange_send(struct exchange *x, unsigned status, const char *type, const char *at, size_t n,
                   long retry_ms)
{
    char seconds[24];
    /* libmicrohttpd takes its buffer without const and does not write to it. */
    struct MHD_Response *r =
        MHD_create_response_from_buffer(n, (void *)(uintptr_t)at, MHD_RESPMEM_PERSISTENT);
    if (r) {
        if (n > 0)
            MHD_add_response_header(r, "Content-Type", type);
        MHD_add_response_header(r, "Cache-Control", "no-store");
        MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
        if (x->allow)
            MHD_add_response_header(r, "Allow", x->allow);
        if (x->http->draining)
            MHD_add_response_header(r, "Connection", "close");
        if (retry_ms > 0) {
            (void)snprintf(seconds, sizeof seconds, "%ld", (retry_ms + SECOND_MS - 1) / SECOND_MS);
            MHD_add_response_header(r, "Retry-After", seconds);
        }
    }
    exchange_queue(x, status, r);
}

/* Sends what is in the slot. */
static void send_out(struct exchange *x)
{
    long retry_ms;
    const struct text *t = &x->slot.out.text;
    unsigned status = verdict_of(t, &retry_ms);
    exchange_send(x, x->refused_status ? x->refused_status : status,
                  t->packed ? packed_type : json_type, t->at ? t->at : "", t->len, retry_ms);
}

void exchange_refuse(struct exchange *x)
{
    struct outbuf *o = &x->slot.out;
    outbuf_clear(o);
    if (outbuf_reserve(o, OUTBUF_ITEM))
        reply_error(&o->text, &x->problem);
    send_out(x);
}

static struct exchange *of(struct slot *s)
{
    return (struct exchange *)(void *)((char *)s - offsetof(struct exchange, slot));
}

static void on_hold(struct slot *s)
{
    (void)s; /* it is inside, and stays so */
}

static void on_reply(struct slot *s)
{
    struct exchange *x = of(s);
    x->http->inside--;
    send_out(x);
}

static uint64_t on_bearer(struct slot *s, uint64_t who)
{
    struct peer *p = engine_peer(of(s)->connection);
    uint64_t was = p ? p->bearer : who;
    if (p && who != 0)
        p->bearer = who;
    return was;
}

static const struct slot_door http_slot_door = {on_hold, on_reply, on_bearer, .prompt = true};

/* ---- what is asked for ---- */

bool exchange_offer(struct exchange *x)
{
    const struct http_options *o = &x->http->options;
    const struct text *t = &x->body.text;
    x->state = EXCHANGE_INSIDE;
    if (o->on_request(o->ctx, &x->slot, t->at ? t->at : "", t->len))
        return true;
    x->state = EXCHANGE_LATE;
    return false;
}

static void suspend(struct exchange *x)
{
    x->suspended = true;
    engine_phase(x->door->engine, engine_peer(x->connection), PEER_INSIDE);
    MHD_suspend_connection(x->connection);
}

/* The message is complete: the service gets it, now or, if others wait, after them. */
static void submit(struct exchange *x)
{
    struct http *h = x->http;
    x->slot.purpose = x->act->purpose;
    x->slot.op = x->act->op;
    x->slot.key = x->key[0] ? x->key : NULL;
    outbuf_clear(&x->slot.out);
    h->inside++;
    x->state = EXCHANGE_LATE;
    if (h->late || !exchange_offer(x)) {
        x->next = NULL;
        *(h->late ? &h->late_tail->next : &h->late) = x;
        h->late_tail = x;
    }
    if (x->state != EXCHANGE_ANSWERED)
        suspend(x);
}

struct reading {
    struct ask ask;
    struct problem *problem;
};

static enum MHD_Result on_argument(void *ctx, enum MHD_ValueKind kind, const char *key,
                                   const char *value)
{
    struct reading *r = ctx;
    (void)kind;
    return ask_argument(&r->ask, key, value, r->problem) == STATUS_OK ? MHD_YES : MHD_NO;
}

/* Makes the message of a question. */
static void compose(struct exchange *x, const struct route *route, const char *value)
{
    struct reading r = {.problem = &x->problem};
    if (!outbuf_reserve(&x->body, ASK_BYTES)) {
        problem_set(&x->problem, STATUS_OVERLOADED, "", "no memory for the request: retry");
        return;
    }
    if (ask_begin(&r.ask, x->act, route, value, &x->body.text, &x->problem) != STATUS_OK)
        return;
    MHD_get_connection_values(x->connection, MHD_GET_ARGUMENT_KIND, on_argument, &r);
    if (x->problem.code == STATUS_OK && ask_end(&r.ask, &x->problem) != STATUS_OK)
        return;
}

/* The request is here as a whole. */
static void answer(struct exchange *x)
{
    if (x->http->draining && !(x->act && x->door->which == HTTP_METRICS))
        problem_set(&x->problem, STATUS_UNAVAILABLE, "", "the service is stopping: retry");
    else if (x->too_long)
        problem_set(&x->problem, STATUS_TOO_LARGE, "", "the body has more than %zu bytes",
                    x->http->options.limits.body_bytes);
    if (x->problem.code != STATUS_OK) {
        exchange_refuse(x);
        return;
    }
    if (!x->act) { /* OPTIONS */
        exchange_send(x, 204, json_type, "", 0, 0);
        return;
    }
    if (x->act->serve == SERVE_MESSAGE || x->act->serve == SERVE_ASK)
        submit(x);
    else
        give(x);
}

/* ---- the head ---- */

static const char *header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

static void refuse(struct exchange *x, unsigned http, enum status code, const char *text)
{
    problem_set(&x->problem, code, "", "%s", text);
    x->refused_status = http;
}

static bool is_type(const char *type, const char *wanted)
{
    size_t n = strlen(wanted);
    return type && strncasecmp(type, wanted, n) == 0 &&
           (type[n] == '\0' || type[n] == ';' || type[n] == ' ');
}

/* Who asks: the one place where a request over HTTP gets its key. */
static void read_key(struct exchange *x)
{
    static const char bearer[] = "Bearer ";
    const char *said = header(x, "Authorization");
    if (!said)
        return;
    size_t n = strlen(said), skip = sizeof bearer - 1;
    if (strncasecmp(said, bearer, skip) != 0 || n - skip >= sizeof x->key)
        refuse(x, 0, STATUS_UNAUTHORIZED, "Authorization: expected Bearer and a key");
    else
        memcpy(x->key, said + skip, n - skip + 1);
}

static void read_body_head(struct exchange *x)
{
    const char *length = header(x, "Content-Length"), *type = header(x, "Content-Type");
    x->slot.packed = x->slot.out.text.packed = is_type(type, packed_type);
    if (!x->slot.packed && !is_type(type, json_type))
        refuse(x, 415, STATUS_BAD_REQUEST,
               "Content-Type: expected application/json or application/msgpack");
    else if (length && strtoull(length, NULL, 10) > x->http->options.limits.body_bytes)
        x->too_long = true;
}

static enum MHD_Result count_length(void *ctx, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    int *n = ctx;
    (void)kind, (void)value;
    *n += strcasecmp(key, "Content-Length") == 0 || strcasecmp(key, "Transfer-Encoding") == 0;
    return MHD_YES;
}

/* Whether it is said more than once how long the body is: a proxy in front may have believed the
 * other one, and taken for a body what would be a request here. */
static bool ambiguous(struct exchange *x)
{
    int n = 0;
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, count_length, &n);
    return n > 1;
}

/* Whether a Host may be this machine to a browser: an address, or a name that no name server of
 * somebody else's gives: without dots, or below localhost. */
static bool is_near(const char *host)
{
    static const char local[] = ".localhost";
    size_t n = strcspn(host, ":"), k = sizeof local - 1;
    return host[0] == '[' || strspn(host, "0123456789.") == n || !memchr(host, '.', n) ||
           (n > k && strncasecmp(host + n - k, local, k) == 0);
}

/* A page that made its own name lead here would be of one origin with us; where no key is asked for
 * that is all it needs. Metrics tell little and are scraped under all kinds of names. */
static bool may_be_rebound(const struct exchange *x)
{
    const char *host = header(x, "Host");
    return x->http->options.open && x->door->which == HTTP_TCP && host && !is_near(host);
}

static void read_head(struct exchange *x, const char *url, const char *method)
{
    const char *value;
    const struct route *r = route_find(url, x->door->which == HTTP_METRICS, &value);
    const union MHD_ConnectionInfo *head =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (head && head->header_size > x->http->options.limits.head_bytes) {
        refuse(x, 431, STATUS_TOO_LARGE, "the headers are too long");
        return;
    }
    if (ambiguous(x)) {
        refuse(x, 400, STATUS_BAD_REQUEST, "more than one header says how long the body is");
        return;
    }
    if (may_be_rebound(x)) {
        refuse(x, 0, STATUS_FORBIDDEN,
               "no key is asked for here, so this name is not answered to (Host): use 127.0.0.1 or "
               "localhost, or name a keys.file");
        return;
    }
    if (!r) {
        refuse(x, 404, STATUS_BAD_REQUEST,
               x->door->which == HTTP_METRICS
                   ? "there is no such path here: /healthz, /readyz and /metrics are"
                   : "there is no such path; /v1/openapi.json describes those there are");
        return;
    }
    x->head = strcmp(method, "HEAD") == 0;
    x->act = route_act(r, method);
    bool options = !x->act && strcmp(method, "OPTIONS") == 0;
    if (!x->act)
        x->allow = r->allow;
    if (options)
        return;
    if (!x->act)
        refuse(x, 405, STATUS_BAD_REQUEST, "this method does nothing here: see Allow");
    else if (x->act->serve == SERVE_MESSAGE)
        read_body_head(x);
    else if (x->act->serve == SERVE_ASK)
        compose(x, r, value);
    else if (x->act->serve == SERVE_PAGE && !(x->page = page_find(value ? value : "index.html")))
        refuse(x, 404, STATUS_BAD_REQUEST, "the dashboard has no such file");
    read_key(x);
}

/* ---- libmicrohttpd ---- */

static struct exchange *begin(struct door *d, struct MHD_Connection *connection)
{
    struct http *h = d->http;
    struct exchange *x = h->free;
    if (x) {
        h->free = x->next;
        h->n_free--;
    } else if (!(x = calloc(1, sizeof *x))) {
        return NULL;
    }
    *x = (struct exchange){.slot = {.door = &http_slot_door, .out = x->slot.out},
                           .http = h,
                           .door = d,
                           .connection = connection,
                           .body = x->body};
    x->slot.out.text.packed = false;
    outbuf_clear(&x->body);
    x->later = h->first;
    x->link = &h->first;
    if (x->later)
        x->later->link = &x->later;
    h->first = x;
    h->stats.requests++;
    engine_phase(d->engine, engine_peer(connection), PEER_SENDING);
    return x;
}

static bool has_body(const struct exchange *x)
{
    const char *length = header(x, "Content-Length");
    return header(x, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

static void take(struct exchange *x, const char *bytes, size_t n)
{
    x->taken += n;
    if (x->taken > x->http->options.limits.body_bytes || x->problem.code != STATUS_OK || !x->act ||
        x->act->serve != SERVE_MESSAGE) {
        x->too_long = x->taken > x->http->options.limits.body_bytes;
        return;
    }
    if (outbuf_reserve(&x->body, n))
        text_put_n(&x->body.text, bytes, n);
    else
        problem_set(&x->problem, STATUS_OVERLOADED, "", "no memory for the body: retry");
}

enum MHD_Result exchange_on_access(void *ctx, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_size, void **request)
{
    struct exchange *x = *request;
    (void)version;
    if (!x) {
        *request = x = begin(ctx, connection);
        if (!x)
            return MHD_NO;
        read_head(x, url, method);
        /* Nobody needs to send a body that will not be looked at. */
        if (has_body(x) && (x->problem.code != STATUS_OK || x->too_long || x->http->draining))
            answer(x);
        return MHD_YES;
    }
    if (*upload_size > 0) {
        take(x, upload, *upload_size);
        *upload_size = 0;
        /* Whoever sends far more than is allowed does not wait for an answer. */
        return x->taken > 2 * x->http->options.limits.body_bytes ? MHD_NO : MHD_YES;
    }
    if (x->state == EXCHANGE_TAKING)
        answer(x);
    return MHD_YES;
}

void exchange_on_completed(void *ctx, struct MHD_Connection *connection, void **request,
                           enum MHD_RequestTerminationCode code)
{
    struct door *d = ctx;
    struct http *h = d->http;
    struct exchange *x = *request;
    if (!x)
        return;
    (void)code;
    h->stats.replies[0] += x->state != EXCHANGE_ANSWERED;
    engine_phase(d->engine, engine_peer(connection), PEER_WAITING);
    *request = NULL;
    *x->link = x->later;
    if (x->later)
        x->later->link = x->link;
    if (h->n_free >= FREE_MOST) {
        exchange_free(x);
        return;
    }
    x->next = h->free;
    h->free = x;
    h->n_free++;
}

void exchange_abandon(struct exchange *x)
{
    if (x->suspended)
        MHD_resume_connection(x->connection);
    x->suspended = false;
}

void exchange_free(struct exchange *x)
{
    outbuf_fini(&x->body);
    outbuf_fini(&x->slot.out);
    free(x);
}
