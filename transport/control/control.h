/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_CONTROL_H
#define PURSER_TRANSPORT_CONTROL_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "core/config/config.h"
#include "core/wire/wire.h"
#include "transport/desk/desk.h"
#include "transport/rpc.h"

/* The operators' socket: read and change the running service. Loop thread. */
struct control {
    struct desk *desk;
    const struct settings *settings;
    const char *data_dir;
    uv_loop_t *loop;
    /* gauges gives the counters of sockets and commits as a JSON object's members ("a":1,"b":2). */
    void (*gauges)(void *ctx, struct text *out);
    void (*snapshot)(void *ctx); /* take one with the next commit */
    /* done gives back a slot whose answer came later; it holds it like any other. */
    void (*done)(void *ctx, struct slot *slot);
    void *ctx;
    int jobs;             /* under way in the thread pool, of all kinds: */
    int queries;          /* questions for spending, */
    bool copying;         /* a backup, */
    bool looking;         /* a what-if, */
    atomic_bool stopping; /* which gives up when the service stops */
};

/* control_answer handles a control message for slot. True: the reply is written. False: it will
 * come by done. */
bool control_answer(struct control *c, const struct message *m, struct slot *slot);

/* control_op gives the name of its i-th op, NULL past the end. */
const char *control_op(size_t i);

#endif
