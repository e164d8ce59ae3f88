/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_SERVER_STATE_H
#define PURSER_TRANSPORT_SERVER_STATE_H

#include <uv.h>
#include "core/config/config.h"
#include "store/writer.h"
#include "transport/control/control.h"
#include "transport/desk/desk.h"
#include "transport/gate.h"
#include "transport/http/http.h"
#include "transport/intake.h"
#include "transport/publish.h"
#include "transport/rpc.h"
#include "transport/server.h"

/* The service, shared by boot.c (start), server.c (serve) and drain.c (stop). Loop thread. */
enum server_phase { PHASE_SERVING, PHASE_DRAINING, PHASE_SEALING, PHASE_CLOSED };

struct server {
    uv_loop_t loop;
    const char *config_path;
    char data_dir[256];
    struct params params; /* scratch: of the file last read */
    struct settings settings;
    struct db *db;
    struct hands *hands; /* of the router; NULL = the loop's thread alone */
    struct router *router;
    struct desk *desk;
    struct gate *gate;
    struct writer *writer;
    struct rpc *route, *feedback, *control; /* NULL: off */
    struct intake *intake;                  /* NULL: off */
    struct publish *publish;                /* NULL: off */
    struct http *http;
    struct control desk_control;
    uv_prepare_t prepare;
    uv_timer_t second, retry, deadline, linger;
    uv_signal_t term, interrupt, hup;
    struct slot **ready; /* relaxed: replies that leave at the end of the loop turn */
    int64_t n_ready;
    enum server_phase phase;
    bool want_snapshot, sealed;
    bool lingered; /* the filling batch has waited long enough */
    int exit_code;
    int64_t ticks, commits, retry_ms, started_ms;
    int64_t commit_ns, commit_ns_sum; /* of the commit under way; of all */
};

/* boot.c */
/* boot_store reads the configuration, opens the store, recovers, and makes the start durable. */
MUST_CHECK enum status boot_store(struct server *s, const struct server_options *options,
                                  struct problem *problem);
/* boot_loop starts the writer, the handles and the sockets. */
MUST_CHECK enum status boot_loop(struct server *s, struct problem *problem);
/* boot_reload reads the configuration file again (SIGHUP). */
void boot_reload(struct server *s);

/* boot_http.c */
/* boot_http_addresses gives where HTTP is to listen; borrows of c. boot_http listens. */
void boot_http_addresses(const struct settings *c, struct http_address a[HTTP_DOORS]);
MUST_CHECK enum status boot_http(struct server *s, struct problem *problem);

/* server.c */
bool server_on_request(void *ctx, struct slot *slot, const void *bytes, size_t n);
void server_on_commit(void *ctx, struct batch *b, enum status status,
                      const struct problem *problem);
void server_on_prepare(uv_prepare_t *handle);
void server_on_second(uv_timer_t *handle);
void server_on_retry(uv_timer_t *handle);
void server_on_linger(uv_timer_t *handle);
void server_hold(struct server *s, struct slot *slot);
/* server_seat lets a connection of a key in that this bearer was shown last, and makes it its
 * bearer; THROTTLED: the key has as many as it may. */
MUST_CHECK enum status server_seat(struct server *s, const struct key *by, uint64_t *bearer,
                                   struct problem *problem);
void server_flush(struct server *s);
void server_fail(struct server *s, const char *what);

/* drain.c */
void drain_on_signal(uv_signal_t *handle, int number);
void drain_begin(struct server *s, const char *why);
/* drain_step moves a stopping server on when all its work is done. */
void drain_step(struct server *s);
/* drain_close ends what boot_loop and boot_store began, also half-way. */
void drain_close(struct server *s);

#endif
