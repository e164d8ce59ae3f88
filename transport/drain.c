/* SPDX-License-Identifier: MIT */
/*
 * Stopping, in the order that loses nothing:
 *   1. let nobody in, cancel the slots that wait for a request (a request that wins the race is
 *      served as ever);
 *   2. wait until all slots are idle, nothing is in flight, the filling batch is empty; a timer and
 *      a second signal bound the wait;
 *   3. final snapshot; stop the writer; close the store. From here on nothing can be lost;
 *   4. a moment for the last replies to leave the kernel's door, then the sockets;
 *   5. handles last, when no thread can call in any more.
 * Listeners stay open until 4, because closing one cuts its connections and with them the replies
 * still owed. NNG before 1.7.3 may hang in nng_close (5 of 15 stops under load, measured), so there
 * the process ends after 3; a sanitizer build closes everything under an alarm instead.
 */
#include "transport/server_state.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "transport/hands.h"
#include "transport/log.h"

enum { GRACE_MS = 50, CLOSE_SECONDS = 10 };

#ifndef __has_feature /* clang's word; gcc has macros */
#define __has_feature(x) 0
#endif
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool close_all = true;
#else
static const bool close_all = false;
#endif

static void on_deadline(uv_timer_t *handle)
{
    struct server *s = handle->data;
    log_event(LOG_LEVEL_WARN, "drain_timeout", "after_ms", LOG_NUMBER(s->settings.drain_ms), NULL);
    s->phase = PHASE_SEALING;
    if (s->desk->full && s->exit_code == EXIT_CODE_OK)
        s->exit_code = EXIT_CODE_IO; /* what was kept in memory was never acknowledged */
}

void drain_begin(struct server *s, const char *why)
{
    if (s->phase != PHASE_SERVING)
        return;
    s->phase = PHASE_DRAINING;
    log_event(LOG_LEVEL_INFO, "draining", "why", why, NULL);
    uv_timer_stop(&s->second);
    rpc_drain(s->route);
    rpc_drain(s->feedback);
    rpc_drain(s->control);
    if (s->intake)
        intake_drain(s->intake);
    if (s->publish)
        publish_drain(s->publish);
    http_drain(s->http);
    atomic_store(&s->desk_control.stopping, true);
    uv_timer_start(&s->deadline, on_deadline, (uint64_t)s->settings.drain_ms, 0);
}

void drain_on_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;
    if (number == SIGHUP)
        boot_reload(s);
    else if (s->phase == PHASE_SERVING)
        drain_begin(s, number == SIGTERM ? "SIGTERM" : "SIGINT");
    else if (s->phase == PHASE_DRAINING) {
        log_event(LOG_LEVEL_WARN, "drain_skipped", NULL);
        on_deadline(&s->deadline);
    }
}

static bool quiet(const struct server *s)
{
    const struct desk *d = s->desk;
    bool slots = rpc_idle(s->route) && rpc_idle(s->feedback) && rpc_idle(s->control) &&
                 http_idle(s->http) &&
                 (!s->intake || intake_idle(s->intake) || d->full || d->broken);
    bool written =
        d->broken ? !writer_busy(s->writer) : !d->flying && batch_empty(d->filling.batch);
    return slots && written && s->desk_control.jobs == 0;
}

static void on_grace_over(uv_timer_t *handle)
{
    struct server *s = handle->data;
    s->phase = PHASE_CLOSED;
    uv_stop(&s->loop);
}

/* Everything is on disk that will be. */
static void seal(struct server *s)
{
    if (writer_busy(s->writer))
        return; /* its thread cannot be interrupted: come back when it is done */
    writer_stop(s->writer, NULL, NULL);
    s->writer = NULL;
    if (s->desk_control.jobs == 0) { /* else a backup still reads, and drain_close ends it */
        db_close(s->db);
        s->db = NULL;
    }
    s->sealed = true;
    log_event(LOG_LEVEL_INFO, "stopped", "seq", LOG_NUMBER(router_seq(s->router)), "exit",
              LOG_NUMBER(s->exit_code), NULL);
    uv_prepare_stop(&s->prepare);
    uv_timer_stop(&s->retry);
    uv_timer_stop(&s->linger);
    uv_timer_start(&s->deadline, on_grace_over, GRACE_MS, 0);
}

void drain_step(struct server *s)
{
    struct desk *d = s->desk;
    if (s->sealed)
        return;
    if (s->phase == PHASE_SEALING) {
        seal(s);
        return;
    }
    if (!quiet(s))
        return;
    if (!d->broken && router_lends(s->router))
        desk_lend(d, false); /* nothing is told any more that the snapshot below would not have */
    if (!d->broken && d->snapshot_seq != router_seq(s->router)) {
        s->want_snapshot = true;
        server_flush(s);
        return; /* quiet again when it is durable */
    }
    s->phase = PHASE_SEALING;
    seal(s);
}

static volatile sig_atomic_t alarm_code;

static void on_alarm(int number)
{
    (void)number;
    _exit(alarm_code); /* the store is closed: only NNG's own shutdown hangs */
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_own_handles(struct server *s)
{
    uv_handle_t *const own[] = {
        (uv_handle_t *)&s->prepare,  (uv_handle_t *)&s->second, (uv_handle_t *)&s->retry,
        (uv_handle_t *)&s->deadline, (uv_handle_t *)&s->term,   (uv_handle_t *)&s->interrupt,
        (uv_handle_t *)&s->hup,      (uv_handle_t *)&s->linger,
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (own[i]->type != UV_UNKNOWN_HANDLE)
            close_handle(own[i], NULL);
}

static void close_sockets(struct server *s)
{
    struct rpc *rpcs[] = {s->route, s->feedback, s->control};
    for (size_t i = 0; i < 3; i++)
        rpc_stop(rpcs[i]);
    for (size_t i = 0; i < 3; i++)
        rpc_close(rpcs[i], NULL, NULL);
    if (s->intake)
        intake_close(s->intake);
    publish_close(s->publish);
    http_close(s->http);
}

void drain_close(struct server *s)
{
    if (s->writer)
        writer_stop(s->writer, NULL, NULL);
    if (s->desk_control.jobs > 0)
        _exit(
            s->exit_code); /* its thread cannot be interrupted; what it leaves is named .partial */
    db_close(s->db);
    if (!close_all && endpoint_nng_before(1, 7, 3) && s->phase == PHASE_CLOSED)
        _exit(s->exit_code);
    alarm_code = s->exit_code;
    signal(SIGALRM, on_alarm);
    alarm(CLOSE_SECONDS);
    close_sockets(s);
    close_own_handles(s);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&s->loop);
    assert(left == 0);
    desk_free(s->desk);
    gate_close(s->gate);
    router_free(s->router);
    hands_free(s->hands);
    nng_fini();
    alarm(0);
}

int server_run(const struct server_options *options)
{
    struct problem p = {0};
    struct server *s = calloc(1, sizeof *s);
    if (!s || uv_loop_init(&s->loop) != 0) {
        free(s);
        return EXIT_CODE_FAILED;
    }
    signal(SIGPIPE, SIG_IGN);
    enum status st = boot_store(s, options, &p);
    if (st == STATUS_OK)
        st = boot_loop(s, &p);
    if (st == STATUS_OK) {
        log_event(LOG_LEVEL_INFO, "ready", "route", s->settings.listen_route, "feedback",
                  s->settings.listen_feedback, "control", s->settings.listen_control, "events",
                  s->settings.listen_events, "intake", s->settings.listen_intake, "http",
                  http_url(s->http, HTTP_TCP), "metrics", http_url(s->http, HTTP_METRICS), "data",
                  s->data_dir, "seq", LOG_NUMBER(router_seq(s->router)), "nng", nng_version(),
                  NULL);
        uv_run(&s->loop, UV_RUN_DEFAULT);
    } else {
        log_event(LOG_LEVEL_ERROR, "start_failed", "code", status_code(st), "config",
                  options->config_path, "line", LOG_NUMBER(p.line), "at", p.path, "text", p.text,
                  NULL);
    }
    int code = s->exit_code;
    drain_close(s);
    free(s->ready);
    free(s);
    return code;
}
