/* SPDX-License-Identifier: MIT */
/*
 * Events for whoever listens by NNG: `purser log --follow`, alerts. PUB drops for slow readers (a
 * queue of 16 each) by design.
 */
#include "transport/publish.h"

#include <stdlib.h>
#include <nng/protocol/pubsub0/pub.h>

struct publish {
    nng_socket socket;
    struct endpoint_gate gate;
    int64_t sent;
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

bool publish_wanted(struct publish *p)
{
    return atomic_load(&p->gate.open) > 0;
}

void publish_line(struct publish *p, const struct text *t)
{
    nng_msg *msg = NULL;
    if (nng_msg_alloc(&msg, 0) != 0)
        return;
    /* PUB never waits: a full queue drops its oldest. */
    if (nng_msg_append(msg, t->at, t->len) != 0 ||
        nng_sendmsg(p->socket, msg, NNG_FLAG_NONBLOCK) != 0)
        nng_msg_free(msg);
    else
        p->sent++;
}

int64_t publish_sent(const struct publish *p)
{
    return p->sent;
}

void publish_drain(struct publish *p)
{
    endpoint_shut(&p->gate);
}

void publish_close(struct publish *p)
{
    if (!p)
        return;
    endpoint_close(p->socket, &p->gate);
    free(p);
}
