/* SPDX-License-Identifier: MIT */
/*
 * Lines: one REQ socket per address. A line on which an attempt has timed out is left for a fresh
 * one: with NNG 1.5.2 a socket can stop reconnecting for good when a timeout meets a breaking
 * connection, and then hangs in nng_close too. So such a line is closed by a thread of its own
 * there, once its last user has left it, and only a few such threads may exist.
 */
#include "transport/client/client_line.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>

enum { FAREWELLS_MAX = 8 };

/* Sockets of all clients that are being closed by a thread of their own. */
static atomic_int farewells;

int client_fail(struct purser_client_error *e, const char *code, bool retryable, const char *fmt,
                ...)
{
    if (!e)
        return -1;
    *e = (struct purser_client_error){.retryable = retryable};
    snprintf(e->code, sizeof e->code, "%s", code);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
    return -1;
}

static bool close_may_hang(void)
{
    int a = 0, b = 0, c = 0;
    return sscanf(nng_version(), "%d.%d.%d", &a, &b, &c) < 2 ||
           a * 1000000 + b * 1000 + c < 1007003;
}

static void *farewell(void *arg)
{
    struct line *l = arg;
    nng_close(l->socket);
    free(l);
    atomic_fetch_sub(&farewells, 1);
    return NULL;
}

/* Nobody uses the line any more. One line that hangs makes NNG 1.5.2 hang for all that are closed
 * after it, ill or not, so there none is closed by the caller's own thread. */
void client_line_close(struct line *l)
{
    pthread_t thread;
    struct timespec until;
    bool ill = l->ill;
    if (!close_may_hang()) {
        nng_close(l->socket);
        free(l);
    } else if (atomic_fetch_add(&farewells, 1) < FAREWELLS_MAX &&
               pthread_create(&thread, NULL, farewell, l) == 0) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++; /* a line that seems well is closed when the caller goes on */
        if (ill || pthread_timedjoin_np(thread, NULL, &until) != 0)
            pthread_detach(thread);
    } else {
        atomic_fetch_sub(&farewells, 1);
        free(l); /* the socket stays open: better than to hang */
    }
}

static int set_tls(nng_dialer d, const struct purser_client *c, const char *url)
{
    nng_tls_config *tls;
    int e = nng_tls_config_alloc(&tls, NNG_TLS_MODE_CLIENT);
    if (e != 0)
        return e;
    char host[256] = "";
    sscanf(url, "tls+tcp://%255[^:/]", host);
    if ((e = nng_tls_config_server_name(tls, host)) == 0 && c->tls_ca)
        e = nng_tls_config_ca_file(tls, c->tls_ca);
    if (e == 0 && c->tls_cert)
        e = nng_tls_config_cert_key_file(tls, c->tls_cert, NULL);
    /* Without an authority to ask the service stays unverified, but the line is encrypted. */
    if (e == 0)
        e = nng_tls_config_auth_mode(tls, c->tls_ca ? NNG_TLS_AUTH_MODE_REQUIRED
                                                    : NNG_TLS_AUTH_MODE_NONE);
    if (e == 0)
        e = nng_dialer_set_ptr(d, NNG_OPT_TLS_CONFIG, tls);
    nng_tls_config_free(tls);
    return e;
}

struct line *client_line_open(const struct purser_client *c, const char *url,
                              struct purser_client_error *error)
{
    nng_dialer d = NNG_DIALER_INITIALIZER;
    struct line *l = calloc(1, sizeof *l);
    int e = l ? nng_req0_open(&l->socket) : NNG_ENOMEM;
    if (e != 0) {
        free(l);
        client_fail(error, "no_memory", true, "cannot open a socket: %s", nng_strerror(e));
        return NULL;
    }
    if ((e = nng_socket_set_ms(l->socket, NNG_OPT_REQ_RESENDTIME, -1)) != 0 ||
        (e = nng_socket_set_ms(l->socket, NNG_OPT_RECONNMINT, 50)) != 0 ||
        (e = nng_socket_set_ms(l->socket, NNG_OPT_RECONNMAXT, 1000)) != 0 ||
        (e = nng_socket_set_size(l->socket, NNG_OPT_RECVMAXSZ, 0)) != 0 ||
        (e = nng_dialer_create(&d, l->socket, url)) != 0)
        goto out;
    (void)nng_dialer_set_bool(d, NNG_OPT_TCP_NODELAY, true);
    (void)nng_dialer_set_bool(d, NNG_OPT_TCP_KEEPALIVE, true);
    if (strncmp(url, "tls+tcp://", 10) == 0 && (e = set_tls(d, c, url)) != 0)
        goto out;
    e = nng_dialer_start(d, NNG_FLAG_NONBLOCK);
out:
    if (e == 0)
        return l;
    client_fail(error, "connection", false, "cannot use %s: %s", url, nng_strerror(e));
    client_line_close(l);
    return NULL;
}

/* A line for one attempt, and back again. The first attempt that times out replaces the line. */
struct line *client_line_take(struct purser_client *c, enum purser_client_door door)
{
    pthread_mutex_lock(&c->lock);
    struct line *l = c->door[door];
    l->users++;
    pthread_mutex_unlock(&c->lock);
    return l;
}

void client_line_give(struct purser_client *c, enum purser_client_door door, struct line *l,
                      bool timed_out)
{
    pthread_mutex_lock(&c->lock);
    l->ill = timed_out || l->left;
    if (timed_out && c->door[door] == l && atomic_load(&farewells) < FAREWELLS_MAX) {
        struct line *fresh = client_line_open(c, c->url[door], NULL);
        l->left = fresh != NULL;
        c->door[door] = fresh ? fresh : l;
    }
    bool last = --l->users == 0 && l->left;
    pthread_mutex_unlock(&c->lock);
    if (last)
        client_line_close(l);
}
