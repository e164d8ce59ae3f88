/* SPDX-License-Identifier: MIT */
/*
 * Listeners, set up in one place: size limit, connection cap, keepalive, TLS. What NNG leaves open
 * by default would let one peer take the service down: messages of any size, any number of
 * connections, peers that are dead or never say anything whole for ever. ipc:// and ws:// are
 * refused on an NNG older than 1.6: there one connect and close makes an ipc listener deaf for good
 * (nng#1518), and its HTTP server reads past a buffer (nng#1595). The gate never closes a listener
 * to stop newcomers: closing it would also cut the connections that still wait for their replies.
 */
#include "transport/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <nng/supplemental/tls/tls.h>

enum { PEM_MAX = 65536, SWEEP_MOST = 1024 };

bool endpoint_nng_before(int major, int minor, int patch)
{
    int a = 0, b = 0, c = 0;
    if (sscanf(nng_version(), "%d.%d.%d", &a, &b, &c) < 2)
        return true;
    if (a != major)
        return a < major;
    return b != minor ? b < minor : c < patch;
}

enum status endpoint_status(int nng_error)
{
    switch (nng_error) {
    case 0:
        return STATUS_OK;
    case NNG_EMSGSIZE:
        return STATUS_TOO_LARGE;
    case NNG_EINVAL:
    case NNG_EADDRINVAL:
    case NNG_ENOTSUP:
        return STATUS_BAD_REQUEST;
    default:
        return STATUS_UNAVAILABLE;
    }
}

static bool has_scheme(const char *url, const char *scheme)
{
    return strncmp(url, scheme, strlen(scheme)) == 0;
}

enum status endpoint_check(const struct endpoint_options *o, struct problem *problem)
{
    const char *url = o->url;
    bool old = endpoint_nng_before(1, 6, 0);
    if (old && (has_scheme(url, "ipc://") || has_scheme(url, "unix://") ||
                has_scheme(url, "abstract://") || has_scheme(url, "ws")))
        return problem_set(problem, STATUS_BAD_REQUEST, o->where,
                           "%s needs NNG 1.6 or newer, this is %s: use tcp:// or tls+tcp://", url,
                           nng_version());
    if (has_scheme(url, "tls+tcp://") && (!o->cert[0] || !o->key[0]))
        return problem_set(problem, STATUS_BAD_REQUEST, o->where,
                           "%s needs tls.cert and tls.key (PEM files)", url);
    if (has_scheme(url, "tls+tcp://") && o->require_client_certificate && !o->ca[0])
        return problem_set(problem, STATUS_BAD_REQUEST, o->where,
                           "%s: tls.require_client_cert needs tls.ca, the authority of clients",
                           url);
    if (!has_scheme(url, "tls+tcp://") && !has_scheme(url, "tcp://") &&
        (old || !strstr(url, "://")) && !has_scheme(url, "inproc://"))
        return problem_set(problem, STATUS_BAD_REQUEST, o->where,
                           "%s is no address: write tcp://HOST:PORT or tls+tcp://HOST:PORT", url);
    return STATUS_OK;
}

/* Reads a PEM file whole. A key that others may read is refused: it is no secret. */
static enum status read_pem(const char *path, bool secret, char out[PEM_MAX],
                            struct problem *problem)
{
    FILE *f = fopen(path, "re");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) {
        if (f)
            fclose(f);
        return problem_set(problem, STATUS_BAD_REQUEST, "/tls", "cannot read %s: %s", path,
                           strerror(errno));
    }
    size_t n = fread(out, 1, PEM_MAX - 1, f);
    bool whole = feof(f) != 0;
    fclose(f);
    out[n] = '\0';
    if (!whole)
        return problem_set(problem, STATUS_BAD_REQUEST, "/tls", "%s is longer than %d bytes", path,
                           PEM_MAX - 1);
    if (secret && (st.st_mode & (S_IROTH | S_IWOTH)))
        return problem_set(problem, STATUS_BAD_REQUEST, "/tls",
                           "%s may be read by everybody: chmod o-rwx it", path);
    return STATUS_OK;
}

static enum status set_tls(nng_listener l, const struct endpoint_options *o,
                           struct problem *problem)
{
    char *cert = calloc(2, PEM_MAX), *key = cert ? cert + PEM_MAX : NULL;
    nng_tls_config *tls = NULL;
    enum status s = STATUS_UNAVAILABLE;
    int e = 0;
    if (!cert || (e = nng_tls_config_alloc(&tls, NNG_TLS_MODE_SERVER)) != 0)
        goto out;
    if ((s = read_pem(o->cert, false, cert, problem)) != STATUS_OK ||
        (s = read_pem(o->key, true, key, problem)) != STATUS_OK)
        goto done;
    s = STATUS_BAD_REQUEST;
    if ((e = nng_tls_config_own_cert(tls, cert, key, NULL)) != 0)
        goto out;
    if (o->ca[0] && (e = nng_tls_config_ca_file(tls, o->ca)) != 0)
        goto out;
    enum nng_tls_auth_mode mode =
        o->require_client_certificate ? NNG_TLS_AUTH_MODE_REQUIRED : NNG_TLS_AUTH_MODE_NONE;
    if ((e = nng_tls_config_auth_mode(tls, mode)) != 0 ||
        (e = nng_listener_set_ptr(l, NNG_OPT_TLS_CONFIG, tls)) != 0)
        goto out;
    s = STATUS_OK;
out:
    if (s != STATUS_OK)
        problem_set(problem, s, "/tls", "cannot use cert %s, key %s, ca %s: %s", o->cert, o->key,
                    o->ca[0] ? o->ca : "(none)", e ? nng_strerror(e) : "out of memory");
done:
    if (tls)
        nng_tls_config_free(tls); /* the listener holds its own reference */
    if (key)
        explicit_bzero(key, PEM_MAX);
    free(cert);
    return s;
}

/* NNG thread, with the lock of the socket held: nothing but a look at the list. A pipe that is
 * turned away never gets on it, so its end frees no place. */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *ctx)
{
    struct endpoint_gate *gate = ctx;
    int id = nng_pipe_id(pipe);
    if (event == NNG_PIPE_EV_REM_POST) {
        if (guests_remove(&gate->guests, id))
            atomic_fetch_sub(&gate->open, 1);
        return;
    }
    if (!atomic_load(&gate->shut) && guests_add(&gate->guests, id)) {
        atomic_fetch_add(&gate->open, 1);
        return;
    }
    atomic_fetch_add(&gate->refused, 1);
    nng_pipe_close(pipe);
}

void endpoint_shut(struct endpoint_gate *gate)
{
    atomic_store(&gate->shut, true);
}

int endpoint_begin(struct endpoint_gate *gate, nng_msg *msg)
{
    int id = nng_pipe_id(nng_msg_get_pipe(msg));
    guests_begin(&gate->guests, id);
    return id;
}

void endpoint_end(struct endpoint_gate *gate, int pipe)
{
    guests_end(&gate->guests, pipe);
}

uint64_t endpoint_bearer(struct endpoint_gate *gate, int pipe, uint64_t who)
{
    return guests_bearer(&gate->guests, pipe, who);
}

int endpoint_of(struct endpoint_gate *gate, uint64_t who)
{
    return guests_of(&gate->guests, who);
}

void endpoint_sweep(struct endpoint_gate *gate)
{
    int id[SWEEP_MOST];
    int n = guests_sweep(&gate->guests, ((uint64_t)gate->idle_ms + 999) / 1000, id, SWEEP_MOST);
    for (int i = 0; i < n; i++) /* outside the list's lock: closing leads to on_pipe */
        gate->overstayed += nng_pipe_close((nng_pipe){.id = (uint32_t)id[i]}) == 0;
}

void endpoint_close(nng_socket socket, struct endpoint_gate *gate)
{
    if (nng_socket_id(socket) > 0)
        nng_close(socket);
    guests_fini(&gate->guests);
}

enum status endpoint_listen(nng_socket socket, const struct endpoint_options *o,
                            struct endpoint_gate *gate, struct problem *problem)
{
    nng_listener l = NNG_LISTENER_INITIALIZER;
    enum status s = endpoint_check(o, problem);
    if (s != STATUS_OK)
        return s;
    gate->idle_ms = o->idle_ms;
    if (guests_init(&gate->guests, o->max_connections) != STATUS_OK)
        return problem_set(problem, STATUS_UNAVAILABLE, o->where, "no memory for %d connections",
                           o->max_connections);
    int e;
    if ((e = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, o->max_message)) != 0 ||
        (e = nng_pipe_notify(socket, NNG_PIPE_EV_ADD_PRE, on_pipe, gate)) != 0 ||
        (e = nng_pipe_notify(socket, NNG_PIPE_EV_REM_POST, on_pipe, gate)) != 0 ||
        (e = nng_listener_create(&l, socket, o->url)) != 0)
        goto fail;
    /* Not every transport knows these; tcp and tls do. */
    (void)nng_listener_set_bool(l, NNG_OPT_TCP_KEEPALIVE, true);
    (void)nng_listener_set_bool(l, NNG_OPT_TCP_NODELAY, true);
    if (has_scheme(o->url, "tls+tcp://") && (s = set_tls(l, o, problem)) != STATUS_OK)
        return s;
    if ((e = nng_listener_start(l, 0)) == 0)
        return STATUS_OK;
fail:
    return problem_set(problem, endpoint_status(e), o->where,
                       "cannot listen on %s: %s (is it in use, or not an address of this host?)",
                       o->url, nng_strerror(e));
}
