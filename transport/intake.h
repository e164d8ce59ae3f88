/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_INTAKE_H
#define PURSER_TRANSPORT_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#include "core/status.h"
#include "transport/endpoint.h"

/* A PULL socket: feedback whose senders do not wait for an answer. Loop thread. */
struct intake;

struct intake_options {
    struct endpoint_options endpoint;
    /* on_message takes one message; false = not now: offered again after intake_resume, and nothing
     * else is received meanwhile, so TCP pushes back on the senders. */
    bool (*on_message)(void *ctx, const void *bytes, size_t n);
    void *ctx;
};

MUST_CHECK enum status intake_open(uv_loop_t *loop, const struct intake_options *options,
                                   struct intake **out, struct problem *problem);
void intake_resume(struct intake *in);
/* intake_sweep closes connections that have sent nothing for too long; each second. */
void intake_sweep(struct intake *in);
/* intake_drain receives no more; intake_idle: nothing is under way. */
void intake_drain(struct intake *in);
bool intake_idle(const struct intake *in);
int64_t intake_messages(const struct intake *in);
void intake_close(struct intake *in);

#endif
