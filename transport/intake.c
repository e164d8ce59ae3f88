/* SPDX-License-Identifier: MIT */
/*
 * Unacknowledged feedback: PUSH on the client's side, PULL here. What arrives is treated like any
 * feedback, except that nobody is told. NNG promises nothing here: messages in the buffers of a
 * connection that breaks are lost without an error (958 of 200,000 measured over 10 restarts), so
 * the documentation offers it for telemetry only.
 * Invariant: one receive is under way, or one message is in hand, or we are draining. While the
 * message in hand waits for room nothing is received, and TCP slows the senders down.
 */
#include "transport/intake.h"

#include <stdlib.h>
#include <nng/protocol/pipeline0/pull.h>
#include "transport/mailbox.h"

struct intake {
    struct mail mail; /* first */
    struct mailbox box;
    struct intake_options options;
    struct endpoint_gate gate;
    nng_socket socket;
    nng_aio *aio;
    nng_msg *msg; /* in hand */
    int pipe;     /* where it came from */
    bool receiving, draining;
    int64_t messages;
};

/* NNG thread. */
static void on_aio(void *arg)
{
    struct intake *in = arg;
    mailbox_push(&in->box, &in->mail);
}

static void receive(struct intake *in)
{
    if (in->draining || in->receiving)
        return;
    in->receiving = true;
    nng_aio_set_timeout(in->aio, NNG_DURATION_INFINITE);
    nng_recv_aio(in->socket, in->aio);
}

void intake_resume(struct intake *in)
{
    if (!in->msg)
        return;
    if (!in->options.on_message(in->options.ctx, nng_msg_body(in->msg), nng_msg_len(in->msg)))
        return;
    in->messages++;
    endpoint_end(&in->gate, in->pipe);
    nng_msg_free(in->msg);
    in->msg = NULL;
    receive(in);
}

static void on_mail(void *ctx, struct mail *list)
{
    struct intake *in = ctx;
    (void)list;
    in->receiving = false;
    int e = nng_aio_result(in->aio);
    if (e == 0) {
        in->msg = nng_aio_get_msg(in->aio);
        nng_aio_set_msg(in->aio, NULL);
        in->pipe = endpoint_begin(&in->gate, in->msg);
        intake_resume(in);
    } else if (e != NNG_ECLOSED) {
        receive(in);
    }
}

enum status intake_open(uv_loop_t *loop, const struct intake_options *options, struct intake **out,
                        struct problem *problem)
{
    struct intake *in = calloc(1, sizeof *in);
    if (!in || mailbox_init(&in->box, loop, on_mail, in) != STATUS_OK) {
        free(in);
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the intake socket");
    }
    in->options = *options;
    enum status s;
    int e = nng_pull0_open(&in->socket);
    if (e == 0)
        e = nng_aio_alloc(&in->aio, on_aio, in);
    if (e != 0)
        s = problem_set(problem, endpoint_status(e), "", "cannot open the intake socket: %s",
                        nng_strerror(e));
    else
        s = endpoint_listen(in->socket, &in->options.endpoint, &in->gate, problem);
    if (s != STATUS_OK) {
        intake_close(in);
        return s;
    }
    receive(in);
    *out = in;
    return STATUS_OK;
}

void intake_drain(struct intake *in)
{
    in->draining = true;
    endpoint_shut(&in->gate);
    if (in->receiving)
        nng_aio_cancel(in->aio);
}

void intake_sweep(struct intake *in)
{
    if (!in->msg) /* else it is we who keep the others waiting */
        endpoint_sweep(&in->gate);
}

bool intake_idle(const struct intake *in)
{
    return !in->receiving && !in->msg;
}

int64_t intake_messages(const struct intake *in)
{
    return in->messages;
}

static void on_closed(void *ctx)
{
    free(ctx);
}

void intake_close(struct intake *in)
{
    if (!in)
        return;
    if (in->aio)
        nng_aio_stop(in->aio);
    endpoint_close(in->socket, &in->gate);
    if (in->aio) {
        nng_msg *msg = nng_aio_get_msg(in->aio);
        if (msg)
            nng_msg_free(msg);
        nng_aio_free(in->aio);
    }
    if (in->msg)
        nng_msg_free(in->msg);
    (void)mailbox_take(&in->box);
    mailbox_close(&in->box, on_closed);
}
