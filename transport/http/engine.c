/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd without a thread of its own: its epoll descriptor is watched by one uv_poll, what
 * it wants to do after a time by one uv_timer. Connections whose reply waits for the disk are
 * suspended; they are resumed in batches, and engine_turn runs libmicrohttpd once after each.
 * Invariant: whenever libmicrohttpd has something to do, the poll or the timer is about to fire.
 * Its own time-outs are not used: they count silence, so a request that drips in for ever would
 * keep its connection. Considered: its thread pool. Then every request would cross threads twice.
 */
#include "transport/http/engine.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* What libmicrohttpd keeps a connection beside the head: the read buffer of a body, and replies'
 * headers. */
enum { SPARE_BYTES = 8192 };

struct engine {
    struct MHD_Daemon *daemon;
    struct engine_options options;
    uv_loop_t *loop;
    uv_poll_t poll;
    uv_timer_t timer;
    struct peer *peers;
    int n_peers, handles;
    bool due; /* connections were resumed */
    int64_t cuts;
};

static void on_timer(uv_timer_t *handle);

/* libmicrohttpd closes what it gave up, such as a request with more arguments than its memory
 * holds, in the turn after; it asks for none. So there is one this long after the last event. */
enum { SWEEP_MS = 100 };

static void run(struct engine *e, bool sweep)
{
    MHD_UNSIGNED_LONG_LONG ms;
    e->due = false;
    MHD_run(e->daemon);
    if (MHD_get_timeout(e->daemon, &ms) == MHD_YES)
        uv_timer_start(&e->timer, on_timer, ms, 0);
    else if (sweep)
        uv_timer_start(&e->timer, on_timer, SWEEP_MS, 0);
    else
        uv_timer_stop(&e->timer);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    run(handle->data, true);
}

static void on_timer(uv_timer_t *handle)
{
    run(handle->data, false);
}

bool engine_turn(struct engine *e)
{
    if (!e || !e->due)
        return false;
    run(e, true);
    return true;
}

void engine_resume(struct engine *e, struct MHD_Connection *connection)
{
    MHD_resume_connection(connection);
    e->due = true;
}

/* ---- connections ---- */

struct peer *engine_peer(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

void engine_phase(struct engine *e, struct peer *p, enum peer_phase phase)
{
    if (!p)
        return;
    p->phase = phase;
    p->since_ms = uv_now(e->loop);
}

void engine_cut(struct peer *p)
{
    shutdown(p->fd, SHUT_RDWR); /* libmicrohttpd reads the end and closes */
}

static void begin(struct engine *e, struct MHD_Connection *connection, void **context)
{
    struct peer *p = calloc(1, sizeof *p);
    *context = p;
    e->n_peers++;
    if (!p)
        return; /* without bounds in time, then */
    p->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    engine_phase(e, p, PEER_WAITING);
    p->next = e->peers;
    p->link = &e->peers;
    if (p->next)
        p->next->link = &p->next;
    e->peers = p;
}

static void end(struct engine *e, void **context)
{
    struct peer *p = *context;
    e->n_peers--;
    if (!p)
        return;
    *p->link = p->next;
    if (p->next)
        p->next->link = p->link;
    free(p);
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        begin(ctx, connection, context);
    else
        end(ctx, context);
}

void engine_sweep(struct engine *e)
{
    if (!e)
        return;
    uint64_t now = uv_now(e->loop);
    for (struct peer *p = e->peers; p; p = p->next) {
        uint64_t most = p->phase == PEER_WAITING ? e->options.idle_ms : e->options.request_ms;
        if (p->phase == PEER_INSIDE || p->phase == PEER_STREAMING || now - p->since_ms <= most)
            continue;
        e->cuts++;
        engine_cut(p);
    }
}

/* ---- start and stop ---- */

/* Paths and arguments are read as they were sent: what is escaped in a path names nothing here. */
static size_t leave_escaped(void *ctx, struct MHD_Connection *connection, char *s)
{
    size_t n = 0;
    (void)ctx;
    (void)connection;
    while (s[n] != '\0')
        n++;
    return n;
}

static struct MHD_Daemon *start(struct engine *e)
{
    const struct engine_options *o = &e->options;
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, o->on_access,
                            o->ctx, MHD_OPTION_LISTEN_SOCKET, o->fd, MHD_OPTION_NOTIFY_COMPLETED,
                            o->on_completed, o->ctx, MHD_OPTION_NOTIFY_CONNECTION, on_connection, e,
                            MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->connections,
                            MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)o->per_address,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, o->head_bytes + SPARE_BYTES,
                            MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                            MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
}

enum status engine_open(uv_loop_t *loop, const struct engine_options *options, struct engine **out,
                        struct problem *problem)
{
    struct engine *e = calloc(1, sizeof *e);
    if (e) {
        e->options = *options;
        e->loop = loop;
        e->daemon = start(e);
    }
    if (!e || !e->daemon) {
        close(options->fd);
        free(e);
        return problem_set(problem, STATUS_UNAVAILABLE, "", "libmicrohttpd does not start");
    }
    int fd = MHD_get_daemon_info(e->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    uv_timer_init(loop, &e->timer);
    e->timer.data = e->poll.data = e;
    e->handles = 1;
    if (uv_poll_init(loop, &e->poll, fd) == 0)
        e->handles++;
    if (e->handles == 1 || uv_poll_start(&e->poll, UV_READABLE, on_poll) != 0) {
        engine_close(e);
        return problem_set(problem, STATUS_UNAVAILABLE, "", "cannot watch libmicrohttpd");
    }
    run(e, false);
    *out = e;
    return STATUS_OK;
}

void engine_quiesce(struct engine *e)
{
    int fd = e ? MHD_quiesce_daemon(e->daemon) : -1;
    if (fd >= 0)
        close(fd);
}

static void on_closed(uv_handle_t *handle)
{
    struct engine *e = handle->data;
    if (--e->handles == 0)
        free(e);
}

void engine_close(struct engine *e)
{
    if (!e)
        return;
    bool polled = e->handles > 1;
    if (polled)
        uv_poll_stop(&e->poll); /* before the descriptor goes */
    MHD_stop_daemon(e->daemon);
    if (polled)
        uv_close((uv_handle_t *)&e->poll, on_closed);
    uv_close((uv_handle_t *)&e->timer, on_closed);
}

int engine_connections(const struct engine *e)
{
    return e ? e->n_peers : 0;
}

int engine_of(const struct engine *e, uint64_t who)
{
    int n = 0;
    for (const struct peer *p = e ? e->peers : NULL; p; p = p->next)
        n += p->bearer == who;
    return n;
}

int64_t engine_cuts(const struct engine *e)
{
    return e ? e->cuts : 0;
}
