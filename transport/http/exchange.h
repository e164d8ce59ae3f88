/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_HTTP_EXCHANGE_H
#define PURSER_TRANSPORT_HTTP_EXCHANGE_H

#include "core/encoding/text.h"
#include "core/limits.h"
#include "transport/http/engine.h"
#include "transport/http/http.h"
#include "transport/http/page.h"
#include "transport/http/routes.h"
#include "transport/http/streams.h"

/* What http.c, exchange.c, give.c share. Private to them. */

enum { KEY_CAP = 256, SECOND_MS = 1000 };
extern const char json_type[];

/* A request and its reply. Kept for reuse when it is over. */
struct exchange {
    struct slot slot;
    struct http *http;
    struct door *door;
    struct MHD_Connection *connection;
    const struct act *act;   /* what is asked for; NULL: nothing that we have */
    const struct page *page; /* of SERVE_PAGE */
    struct outbuf body;      /* of the request, or the message made of its arguments */
    enum { EXCHANGE_TAKING, EXCHANGE_LATE, EXCHANGE_INSIDE, EXCHANGE_ANSWERED } state;
    bool suspended;
    bool head;                      /* asked by HEAD */
    bool too_long;                  /* body: not kept */
    struct problem problem;         /* found in the head; code OK = none */
    unsigned refused_status;        /* for it; 0 = as the code says */
    const char *allow;              /* for 405 and OPTIONS: methods that the path has */
    char key[KEY_CAP];              /* of Authorization; "" = none */
    size_t taken;                   /* bytes of the body that have come in */
    struct exchange *next;          /* free, or put off */
    struct exchange *later, **link; /* all that are not free */
};

struct door {
    struct http *http;
    enum http_door which;
    struct engine *engine;
    struct http_address address;
};

struct http {
    uv_loop_t *loop;
    struct http_options options;
    struct door door[HTTP_DOORS];
    struct exchange *first, *free, *late, *late_tail;
    struct streams *streams;
    int n_free, inside;
    unsigned sweeps;
    bool draining, resuming;
    struct http_stats stats;
};

/* The callbacks of libmicrohttpd; ctx is a door. */
enum MHD_Result exchange_on_access(void *ctx, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_size, void **request);
void exchange_on_completed(void *ctx, struct MHD_Connection *connection, void **request,
                           enum MHD_RequestTerminationCode code);
/* exchange_offer gives the message to the service; false: not now. */
bool exchange_offer(struct exchange *x);
/* exchange_abandon lets go of a connection whose request will not be answered. */
void exchange_abandon(struct exchange *x);
void exchange_free(struct exchange *x);

/* exchange_queue sends a response (NULL: no memory for it), which is given up; exchange_send bytes
 * that live until the exchange is over, retry_ms 0 = not to be retried; exchange_refuse what is in
 * x->problem. */
void exchange_queue(struct exchange *x, unsigned status, struct MHD_Response *r);
void exchange_send(struct exchange *x, unsigned status, const char *type, const char *at, size_t n,
                   long retry_ms);
void exchange_refuse(struct exchange *x);
/* give answers what is asked for without a message: what only HTTP has. */
void give(struct exchange *x);

#endif
