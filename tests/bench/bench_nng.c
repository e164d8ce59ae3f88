/* SPDX-License-Identifier: MIT */
/*
 * A load generator over plain NNG request contexts, and the two servers that bound what any service
 * on NNG can do: a REP echo that answers in the completion, and one that hands each message to a
 * libuv loop by the service's own mailbox.
 *
 *   bench_nng echo URL | mailbox URL
 *   bench_nng load --kind echo|route --url URL [--feedback URL] [--packed 1]
 *                  --inflight N --connections C [--rate N] [--ids FILE] ...
 *   bench_nng push --url URL --ids FILE | pull --url URL --n N
 *
 * The load is closed: N contexts over C sockets of one connection each, a context sends the next
 * request when its reply is in; the server's CPU time a message is read from outside. Everything
 * runs in NNG's completions, the same code for every server. Clients and servers share the
 * machine's CPUs; ratios to the echo allow for that. Considered: an open load of fixed rate. It
 * shows queueing, not what the service can do. But --rate has each context send at its own pace, to
 * see latencies below what is the most.
 */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include "core/encoding/emit.h"
#include "tests/bench/bench.h"
#include "transport/mailbox.h"

enum { CONTEXTS = 256, MESSAGE = 300, ID_CAP = 64, IDS_MAX = 400000 };

static void check(int rc, const char *what)
{
    if (rc != 0)
        bench_fail("%s: %s", what, nng_strerror(rc));
}

/* ---- the two echo servers ---- */

struct echo {
    struct mail mail; /* first: a mail is its context */
    struct mailbox *box;
    nng_ctx ctx;
    nng_aio *aio;
    bool sending;
};

static void echo_step(struct echo *e)
{
    if (e->sending && nng_aio_result(e->aio) != 0 && nng_aio_get_msg(e->aio))
        nng_msg_free(nng_aio_get_msg(e->aio));
    bool arrived = !e->sending && nng_aio_result(e->aio) == 0;
    e->sending = arrived;
    if (arrived) { /* the message is still on the aio: send it as it is */
        nng_ctx_send(e->ctx, e->aio);
        return;
    }
    nng_aio_set_msg(e->aio, NULL);
    nng_ctx_recv(e->ctx, e->aio);
}

/* NNG thread. */
static void echo_on_aio(void *arg)
{
    struct echo *e = arg;
    if (e->box)
        mailbox_push(e->box, &e->mail);
    else
        echo_step(e);
}

static void echo_on_mail(void *ctx, struct mail *list)
{
    (void)ctx;
    while (list) {
        struct echo *e = (struct echo *)list;
        list = list->next;
        echo_step(e);
    }
}

static int serve(const char *url, bool handed)
{
    static struct echo echo[CONTEXTS];
    static struct mailbox box;
    nng_socket socket;
    uv_loop_t *loop = uv_default_loop();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    check(nng_rep0_open(&socket), "nng_rep0_open");
    if (handed && mailbox_init(&box, loop, echo_on_mail, NULL) != STATUS_OK)
        bench_fail("mailbox_init failed");
    check(nng_listen(socket, url, NULL, 0), url);
    for (int i = 0; i < CONTEXTS; i++) {
        struct echo *e = &echo[i];
        e->box = handed ? &box : NULL;
        check(nng_ctx_open(&e->ctx, socket), "nng_ctx_open");
        check(nng_aio_alloc(&e->aio, echo_on_aio, e), "nng_aio_alloc");
        nng_ctx_recv(e->ctx, e->aio);
    }
    puts("ready");
    fflush(stdout);
    if (handed)
        return uv_run(loop, UV_RUN_DEFAULT);
    for (;;)
        pause();
}

/* ---- the load ---- */

enum kind { KIND_ECHO, KIND_ROUTE, KIND_FEEDBACK };

struct load {
    enum kind kind;
    const char *name; /* of the figures */
    bool packed;      /* MessagePack */
    uint64_t base;    /* of request ids: no two runs share one */
    int64_t from, until;
    int64_t period;     /* of a lane's requests; 0 = the next when the last is answered */
    pid_t server;       /* whose CPU time is measured */
    atomic_ullong next; /* request */
    atomic_int active;
    atomic_ullong refused;
    char (*id)[ID_CAP]; /* decisions: written by KIND_ROUTE, reported on by KIND_FEEDBACK */
    atomic_ullong ids;
};

struct lane {
    struct load *load;
    nng_ctx ctx;
    nng_aio *aio;
    enum { LANE_SENDS, LANE_RECEIVES, LANE_WAITS } state;
    int64_t start;
    double *us; /* latencies of replies within the measured time */
    size_t n, cap;
};

/* Route requests made beforehand, so that the client's work is little and the same for every
 * server; only the request id is put in. */
enum { TEMPLATES = 64, ID_DIGITS = 16 };
static struct template
{
    char at[MESSAGE + 1];
    size_t n, id;
}
templates[TEMPLATES];

static void templates_make(bool packed)
{
    for (uint64_t i = 0; i < TEMPLATES; i++) {
        struct template *t = &templates[i];
        char json[MESSAGE + 1], id[ID_DIGITS + 2];
        struct doc d;
        bench_route(json, MESSAGE, i);
        struct text text = text_over(t->at, sizeof t->at);
        struct emit e = emit_over(&text);
        text.packed = true;
        if (doc_open_own(&d, json, MESSAGE) != STATUS_OK)
            bench_fail("a message cannot be read");
        if (packed)
            emit_doc(&e, d.value);
        else
            text_put_n(&text, json, MESSAGE);
        doc_close(&d);
        t->n = text.len;
        (void)snprintf(id, sizeof id, "b%016llx", (unsigned long long)i);
        const char *at = memmem(t->at, t->n, id, ID_DIGITS + 1);
        if (!at)
            bench_fail("a message without an id");
        t->id = (size_t)(at - t->at) + 1;
    }
}

static void template_fill(char *text, uint64_t i, uint64_t id, size_t *n)
{
    const struct template *t = &templates[i % TEMPLATES];
    memcpy(text, t->at, t->n);
    *n = t->n;
    for (int k = ID_DIGITS - 1; k >= 0; k--, id >>= 4)
        text[t->id + (size_t)k] = "0123456789abcdef"[id & 15];
}

/* A report in MessagePack, of the bytes that its members take. */
static size_t packed_feedback(char *text, const char *decision_id, uint64_t i)
{
    char json[MESSAGE + 1];
    struct doc d;
    struct text t = text_over(text, MESSAGE + 1);
    struct emit e = emit_over(&t);
    t.packed = true;
    bench_feedback(json, MESSAGE, decision_id, i);
    if (doc_open_own(&d, json, MESSAGE) != STATUS_OK)
        bench_fail("a message cannot be read");
    emit_doc(&e, d.value);
    doc_close(&d);
    return t.len;
}

static bool lane_fill(struct lane *l, nng_msg **out)
{
    struct load *d = l->load;
    char text[MESSAGE + 1];
    uint64_t i = atomic_fetch_add(&d->next, 1);
    if (d->kind == KIND_FEEDBACK && i >= atomic_load(&d->ids))
        return false;
    size_t n = MESSAGE;
    if (d->kind == KIND_FEEDBACK && d->packed)
        n = packed_feedback(text, d->id[i], i);
    else if (d->kind == KIND_FEEDBACK)
        bench_feedback(text, MESSAGE, d->id[i], i);
    else
        template_fill(text, i, d->base + i, &n);
    check(nng_msg_alloc(out, 0), "nng_msg_alloc");
    check(nng_msg_append(*out, text, n), "nng_msg_append");
    return true;
}

static void lane_next(struct lane *l)
{
    nng_msg *msg;
    if (bench_ns() >= l->load->until || !lane_fill(l, &msg)) {
        atomic_fetch_sub(&l->load->active, 1);
        return;
    }
    l->state = LANE_SENDS;
    l->start = bench_ns();
    nng_aio_set_msg(l->aio, msg);
    nng_ctx_send(l->ctx, l->aio);
}

/* Keeps the decision id of a reply for the feedback load; false when it is not what was asked. */
static bool take_reply(struct load *d, const char *body, size_t n)
{
    static const char plain[] = "\"decision_id\":\"", packed[] = "\xab"
                                                                 "decision_id";
    if (d->kind == KIND_ECHO)
        return n > MESSAGE / 2;
    const char *at = d->packed ? memmem(body, n, packed, sizeof packed - 1)
                               : memmem(body, n, plain, sizeof plain - 1);
    if (!at || d->kind == KIND_FEEDBACK)
        return at != NULL;
    at += d->packed ? sizeof packed : sizeof plain - 1; /* behind the quote, or the length */
    const char *end =
        d->packed ? at + ((unsigned char)at[-1] & 0x1f) : memchr(at, '"', n - (size_t)(at - body));
    if (!end || end - at >= ID_CAP)
        return false;
    uint64_t k = atomic_load(&d->ids);
    while (k < IDS_MAX && !atomic_compare_exchange_weak(&d->ids, &k, k + 1))
        ;
    if (k < IDS_MAX)
        memcpy(d->id[k], at, (size_t)(end - at));
    return true;
}

static void lane_arrived(struct lane *l)
{
    int64_t now = bench_ns();
    nng_msg *msg = nng_aio_get_msg(l->aio);
    nng_aio_set_msg(l->aio, NULL);
    if (!take_reply(l->load, nng_msg_body(msg), nng_msg_len(msg)))
        atomic_fetch_add(&l->load->refused, 1);
    nng_msg_free(msg);
    if (now < l->load->from || now >= l->load->until)
        return;
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 1024;
        l->us = realloc(l->us, l->cap * sizeof *l->us);
        if (!l->us)
            bench_fail("no memory");
    }
    l->us[l->n++] = (double)(now - l->start) / 1000;
}

/* NNG thread. */
static void lane_on_aio(void *arg)
{
    struct lane *l = arg;
    check(nng_aio_result(l->aio), l->load->name);
    if (l->state == LANE_SENDS) {
        l->state = LANE_RECEIVES;
        nng_ctx_recv(l->ctx, l->aio);
        return;
    }
    int64_t wait_ms = 0;
    if (l->state == LANE_RECEIVES) {
        lane_arrived(l);
        wait_ms = l->load->period > 0 ? (l->start + l->load->period - bench_ns()) / 1000000 : 0;
    }
    if (wait_ms > 0) {
        l->state = LANE_WAITS;
        nng_sleep_aio((nng_duration)wait_ms, l->aio);
        return;
    }
    lane_next(l);
}

/* CPU time that the server has used, in microseconds. */
static double server_us(const struct load *d)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(d->server, &clock) != 0 || clock_gettime(clock, &t) != 0)
        bench_fail("%s: no process %d", d->name, (int)d->server);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void report(struct load *d, struct lane *lanes, int n, double seconds, int round)
{
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += lanes[i].n;
    double *all = malloc((total ? total : 1) * sizeof *all);
    if (!all || total == 0 || atomic_load(&d->refused) > 0)
        bench_fail("%s: %zu replies, %llu refused", d->name, total,
                   (unsigned long long)atomic_load(&d->refused));
    for (size_t i = 0, at = 0; i < (size_t)n; i++) {
        memcpy(all + at, lanes[i].us, lanes[i].n * sizeof *all);
        at += lanes[i].n;
        free(lanes[i].us);
    }
    bench_figure(round, (double)total / seconds, "nng/%s/rate", d->name);
    bench_figure(round, bench_quantile(all, total, 0.5), "nng/%s/p50_us", d->name);
    bench_figure(round, bench_quantile(all, total, 0.99), "nng/%s/p99_us", d->name);
    free(all);
}

/* Runs one load to its end. Feedback ends early when every decision has been reported on. */
static void run(struct load *d, const char *url, int connections, int inflight, double seconds,
                int round)
{
    struct lane *lanes = calloc((size_t)inflight, sizeof *lanes);
    nng_socket *sockets = calloc((size_t)connections, sizeof *sockets);
    int64_t length = (int64_t)(seconds * 1e9);
    if (!lanes || !sockets)
        bench_fail("no memory");
    for (int c = 0; c < connections; c++) {
        check(nng_req0_open(&sockets[c]), "nng_req0_open");
        check(nng_dial(sockets[c], url, NULL, 0), url);
    }
    for (int i = 0; i < inflight; i++) {
        lanes[i].load = d;
        check(nng_ctx_open(&lanes[i].ctx, sockets[i % connections]), "nng_ctx_open");
        check(nng_aio_alloc(&lanes[i].aio, lane_on_aio, &lanes[i]), "nng_aio_alloc");
        nng_aio_set_timeout(lanes[i].aio, 20000);
    }
    double busy = server_us(d);
    d->from = bench_ns() + length / 5; /* the first fifth warms up */
    d->until = d->from + length;
    atomic_store(&d->active, inflight);
    for (int i = 0; i < inflight; i++) {
        lane_next(&lanes[i]);
        if (d->period > 0) /* spread over a period */
            nng_msleep((nng_duration)(d->period * (i + 1) / inflight / 1000000 -
                                      d->period * i / inflight / 1000000));
    }
    while (atomic_load(&d->active) > 0)
        nng_msleep(2);
    int64_t end = bench_ns();
    double measured = (double)((end < d->until ? end : d->until) - d->from) / 1e9;
    for (int i = 0; i < inflight; i++) {
        nng_aio_stop(lanes[i].aio);
        nng_aio_free(lanes[i].aio);
        nng_ctx_close(lanes[i].ctx);
    }
    double each = (server_us(d) - busy) / (double)atomic_load(&d->next); /* with the warm-up */
    bench_figure(round, each, "nng/%s/server_us", d->name);
    report(d, lanes, inflight, measured, round);
    free(lanes);
    free(sockets); /* not closed: nng_close may hang before NNG 1.7.3, and the process ends soon */
}

/* The decisions made, a line each, for `push`. */
static void write_ids(const struct load *d, const char *path)
{
    FILE *f = path ? fopen(path, "w") : NULL;
    if (path && !f)
        bench_fail("cannot write %s", path);
    for (uint64_t i = 0; f && i < atomic_load(&d->ids); i++)
        fprintf(f, "%s\n", d->id[i]);
    if (f)
        fclose(f);
}

/* Reports on decisions that nobody acknowledges, over one connection as fast as they go. */
static int push(int argc, char **argv)
{
    FILE *f = fopen(bench_text(argc, argv, "--ids", ""), "r");
    const char *url = bench_text(argc, argv, "--url", "");
    bool packed = bench_number(argc, argv, "--packed", 0) != 0;
    char id[ID_CAP], text[MESSAGE + 1];
    nng_socket socket;
    if (!f)
        bench_fail("--ids: no such file");
    check(nng_push0_open(&socket), "nng_push0_open");
    check(nng_dial(socket, url, NULL, 0), url);
    for (uint64_t i = 0; fgets(id, sizeof id, f); i++) {
        nng_msg *msg;
        size_t n = MESSAGE;
        id[strcspn(id, "\n")] = '\0';
        if (packed)
            n = packed_feedback(text, id, i);
        else
            bench_feedback(text, MESSAGE, id, i);
        check(nng_msg_alloc(&msg, 0), "nng_msg_alloc");
        check(nng_msg_append(msg, text, n), "nng_msg_append");
        check(nng_sendmsg(socket, msg, 0), "nng_sendmsg");
    }
    fclose(f);
    nng_msleep(2000); /* nobody tells when the last has left */
    _exit(0);
}

/* Takes n messages and prints how many came a second, between the first and the last. */
static int pull(int argc, char **argv)
{
    long n = bench_number(argc, argv, "--n", 1000);
    nng_socket socket;
    int64_t from = 0;
    check(nng_pull0_open(&socket), "nng_pull0_open");
    check(nng_listen(socket, bench_text(argc, argv, "--url", ""), NULL, 0), "nng_listen");
    puts("ready");
    fflush(stdout);
    for (long i = 0; i < n; i++) {
        nng_msg *msg;
        check(nng_recvmsg(socket, &msg, 0), "nng_recvmsg");
        from = i == 0 ? bench_ns() : from;
        nng_msg_free(msg);
    }
    bench_figure((int)bench_number(argc, argv, "--round", 0),
                 (double)n / ((double)(bench_ns() - from) / 1e9), "nng/pull/rate");
    _exit(0);
}

static int load(int argc, char **argv)
{
    static struct load d, back;
    char name[2][64];
    const char *label = bench_text(argc, argv, "--label", "echo");
    const char *feedback = bench_text(argc, argv, "--feedback", NULL);
    const char *url = bench_text(argc, argv, "--url", "tcp://127.0.0.1:7601");
    int connections = (int)bench_number(argc, argv, "--connections", 8);
    int inflight = (int)bench_number(argc, argv, "--inflight", 64);
    int round = (int)bench_number(argc, argv, "--round", 0);
    double seconds = (double)bench_number(argc, argv, "--ms", 1000) / 1000;
    (void)snprintf(name[0], sizeof name[0], "%s", label);
    (void)snprintf(name[1], sizeof name[1], "%s_feedback", label);
    d.kind = strcmp(bench_text(argc, argv, "--kind", "echo"), "echo") == 0 ? KIND_ECHO : KIND_ROUTE;
    d.packed = back.packed = bench_number(argc, argv, "--packed", 0) != 0;
    templates_make(d.packed);
    d.name = name[0];
    int rate = (int)bench_number(argc, argv, "--rate", 0);
    d.period = back.period = rate > 0 ? 1000000000LL * inflight / rate : 0;
    d.server = back.server = (pid_t)bench_number(argc, argv, "--server", 0);
    d.base = (uint64_t)bench_ns(); /* runs are longer than requests are many */
    d.id = calloc(IDS_MAX, sizeof *d.id);
    if (!d.id)
        bench_fail("no memory");
    run(&d, url, connections, inflight, seconds, round);
    if (feedback && d.kind == KIND_ROUTE) {
        back.kind = KIND_FEEDBACK;
        back.name = name[1];
        back.id = d.id;
        atomic_store(&back.ids, atomic_load(&d.ids));
        run(&back, feedback, connections, inflight, seconds, round);
    }
    write_ids(&d, bench_text(argc, argv, "--ids", NULL));
    free(d.id);
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv)
{
    if (argc >= 3 && (strcmp(argv[1], "echo") == 0 || strcmp(argv[1], "mailbox") == 0))
        return serve(argv[2], argv[1][0] == 'm');
    if (argc >= 2 && strcmp(argv[1], "load") == 0)
        return load(argc, argv);
    if (argc >= 2 && strcmp(argv[1], "push") == 0)
        return push(argc, argv);
    if (argc >= 2 && strcmp(argv[1], "pull") == 0)
        return pull(argc, argv);
    bench_fail("usage: bench_nng echo URL | mailbox URL | load|push|pull --url URL ...");
}
