/* SPDX-License-Identifier: MIT */
/*
 * Events for whoever listens: dashboards, `purser log --follow`, alerts. Sent from the commit
 * callback only, so nobody learns of what a crash could take back. PUB drops for slow readers (a
 * queue of 16 each) by design: the log in the store is the record, this is a hint that it grew.
 * Considered: publishing from the writer thread, which already has the batch. Decoding and
 * rendering there would delay the next commit.
 */
#include "transport/publish.h"

#include <stdlib.h>
#include <string.h>
#include <nng/protocol/pubsub0/pub.h>
#include "core/event.h"
#include "core/text.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

struct publish {
    nng_socket socket;
    struct endpoint_gate gate;
    int64_t sent;
    struct event event;
    char line[LINE_MAX_BYTES];
};

enum status publish_open(const struct endpoint_options *endpoint, struct publish **out,
                         struct problem *problem)
{
    struct publish *p = calloc(1, sizeof *p);
    if (!p)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the events socket");
    int e = nng_pub0_open(&p->socket);
    enum status s = e == 0 ? endpoint_listen(p->socket, endpoint, &p->gate, problem)
                           : problem_set(problem, endpoint_status(e), "",
                                         "cannot open the events socket: %s", nng_strerror(e));
    if (s != STATUS_OK) {
        publish_close(p);
        return s;
    }
    *out = p;
    return STATUS_OK;
}

static void publish_line(struct publish *p, const struct text *t)
{
    nng_msg *msg = NULL;
    if (t->full || nng_msg_alloc(&msg, 0) != 0)
        return;
    /* PUB never waits: a full queue drops its oldest. */
    if (nng_msg_append(msg, t->at, t->len) != 0 ||
        nng_sendmsg(p->socket, msg, NNG_FLAG_NONBLOCK) != 0)
        nng_msg_free(msg);
    else
        p->sent++;
}

void publish_batch(struct publish *p, const struct batch *b)
{
    if (atomic_load(&p->gate.open) == 0)
        return;
    uint64_t last = batch_last_seq(b);
    for (uint64_t seq = last + 1 - batch_events(b); seq <= last && last; seq++) {
        const uint8_t *bytes;
        size_t n;
        if (!batch_find_event(b, seq, &bytes, &n) ||
            event_decode(bytes, n, &p->event, NULL) != STATUS_OK || p->event.kind == EVENT_TICKED)
            continue;
        struct text t = text_over(p->line, sizeof p->line);
        event_describe(&p->event, &t);
        publish_line(p, &t);
    }
}

int64_t publish_sent(const struct publish *p)
{
    return p->sent;
}

void publish_drain(struct publish *p)
{
    atomic_store(&p->gate.limit, 0);
}

void publish_close(struct publish *p)
{
    if (!p)
        return;
    if (nng_socket_id(p->socket) > 0)
        nng_close(p->socket);
    free(p);
}
