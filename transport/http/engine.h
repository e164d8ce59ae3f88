/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_HTTP_ENGINE_H
#define PURSER_TRANSPORT_HTTP_ENGINE_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "core/status.h"

/*
 * One listening address served by libmicrohttpd on the service's loop. Loop thread. What a
 * connection does is bounded in time by phases, not by silence: whoever sends a byte now and then
 * is no better than who sends none.
 */
struct engine;

enum peer_phase {
    PEER_WAITING,  /* between requests, or a request's head is on its way */
    PEER_SENDING,  /* its body is */
    PEER_INSIDE,   /* the service has the request */
    PEER_READING,  /* the reply is on its way */
    PEER_STREAMING /* events, without end */
};

/* A connection. */
struct peer {
    struct peer *next, **link;
    enum peer_phase phase;
    uint64_t since_ms; /* of the loop's clock: begin of the phase */
    uint64_t bearer;   /* see struct slot_door, in transport/slot.h */
    int fd;
};

struct engine_options {
    int fd;                       /* listening; the engine's from here on, also on failure */
    int connections, per_address; /* at most */
    size_t head_bytes;            /* of a request's line and headers */
    uint64_t idle_ms;             /* bound on PEER_WAITING */
    uint64_t request_ms;          /* bound on PEER_SENDING, PEER_READING */
    MHD_AccessHandlerCallback on_access;
    MHD_RequestCompletedCallback on_completed;
    void *ctx; /* of both */
};

MUST_CHECK enum status engine_open(uv_loop_t *loop, const struct engine_options *options,
                                   struct engine **out, struct problem *problem);
/* engine_peer gives the connection's entry; engine_phase begins a phase. */
struct peer *engine_peer(struct MHD_Connection *connection);
void engine_phase(struct engine *e, struct peer *p, enum peer_phase phase);
/* engine_cut ends a connection: the service sees it as gone, later. */
void engine_cut(struct peer *p);
/* engine_resume lets a suspended connection go on with the next engine_turn. */
void engine_resume(struct engine *e, struct MHD_Connection *connection);
/* engine_turn does what is due now; true if it did something. */
bool engine_turn(struct engine *e);
/* engine_sweep cuts off who has overstayed. Call it once a second or so. */
void engine_sweep(struct engine *e);
/* engine_quiesce lets no one in any more. engine_close needs all connections resumed; its handles
 * are freed on the loop. Both accept NULL. */
void engine_quiesce(struct engine *e);
void engine_close(struct engine *e);
int engine_connections(const struct engine *e);
int engine_of(const struct engine *e, uint64_t who); /* those of one bearer */
int64_t engine_cuts(const struct engine *e);

#endif
