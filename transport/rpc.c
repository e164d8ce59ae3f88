/* SPDX-License-Identifier: MIT */
/*
 * One REP socket, N contexts. A slot walks IDLE -> RECV -> OPEN -> HELD -> SEND -> RECV; every move
 * goes through slot_move, which knows the allowed ones.
 * When a reply has gone, NNG's own thread has the slot listen again: the loop hears of requests
 * only, once for each. Two operations, one to receive and one to send, so that draining can cancel
 * the first without hitting the second. Draining races with the thread that begins to receive:
 * both first write what the other then reads, so at least one of them cancels.
 * Invariant: each slot that is not IDLE is with the loop, or comes back through the mailbox exactly
 * once: with a request, or, draining, with nothing.
 * Timeouts are set before each operation, because an aio remembers its first one. A send needs one:
 * a client that does not read would keep its slot for ever.
 * Considered: listening again at once, while the reply is still leaving. A client that does not
 * read would hold up the reply to another's request. NNG_OPT_RECVFD with uv_poll: it does not mix
 * with contexts (nng#938).
 */
#include "transport/rpc.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <nng/protocol/reqrep0/rep.h>
#include "transport/mailbox.h"

enum { KEPT_BYTES_MAX = 4096, READ_HERE_MAX = 32768 };
enum slot_state { SLOT_IDLE, SLOT_RECV, SLOT_OPEN, SLOT_HELD, SLOT_SEND, SLOT_STATES };

struct rpc_slot {
    struct mail mail; /* first: a mail is its slot */
    struct slot slot;
    struct rpc *rpc;
    _Atomic enum slot_state state;
    nng_ctx ctx;
    nng_aio *receive, *send;
    nng_msg *msg; /* the request while OPEN; a small one is kept to carry the reply */
    int pipe;     /* where it came from */
    struct arrival read;
};

struct rpc {
    nng_socket socket;
    struct mailbox box;
    struct rpc_options options;
    struct endpoint_gate gate;
    struct rpc_slot *slot;
    int n, idle;
    struct mail *late, **late_tail; /* requests put off */
    atomic_bool draining;
    bool resuming;
    int64_t requests, replies;
    atomic_llong send_failures;
    void (*on_closed)(void *ctx);
    void *closed_ctx;
};

/* The loop, but for SEND -> RECV. */
static void slot_move(struct rpc_slot *s, enum slot_state to)
{
    static const unsigned char allowed[SLOT_STATES] = {
        [SLOT_IDLE] = 1 << SLOT_RECV,
        [SLOT_RECV] = 1 << SLOT_OPEN | 1 << SLOT_IDLE,
        [SLOT_OPEN] = 1 << SLOT_HELD | 1 << SLOT_SEND,
        [SLOT_HELD] = 1 << SLOT_SEND,
        [SLOT_SEND] = 1 << SLOT_IDLE | 1 << SLOT_RECV,
    };
    enum slot_state from = atomic_load(&s->state);
    assert(allowed[from] & 1 << to);
    if (from == SLOT_IDLE || to == SLOT_IDLE)
        s->rpc->idle += (to == SLOT_IDLE) - (from == SLOT_IDLE);
    atomic_store(&s->state, to);
}

/* The loop or an NNG thread. */
static void rpc_listen(struct rpc_slot *s)
{
    slot_move(s, SLOT_RECV);
    nng_aio_set_timeout(s->receive, NNG_DURATION_INFINITE);
    nng_ctx_recv(s->ctx, s->receive);
    if (atomic_load(&s->rpc->draining))
        nng_aio_cancel(s->receive);
}

/* NNG thread. It reads the request, which needs nothing of ours; a long one is left to the loop,
 * since this thread serves other connections, too. */
static void rpc_on_received(void *arg)
{
    struct rpc_slot *s = arg;
    nng_msg *msg = nng_aio_result(s->receive) == 0 ? nng_aio_get_msg(s->receive) : NULL;
    if (msg && nng_msg_len(msg) <= READ_HERE_MAX)
        arrival_read(&s->read, nng_msg_body(msg), nng_msg_len(msg));
    mailbox_push(&s->rpc->box, &s->mail);
}

/* NNG thread. */
static void rpc_on_sent(void *arg)
{
    struct rpc_slot *s = arg;
    int e = nng_aio_result(s->send);
    nng_msg *msg = e != 0 ? nng_aio_get_msg(s->send) : NULL; /* a failed send leaves it with us */
    nng_aio_set_msg(s->send, NULL);
    if (msg)
        nng_msg_free(msg);
    if (e != 0)
        atomic_fetch_add(&s->rpc->send_failures, 1);
    if (e != NNG_ECLOSED && !atomic_load(&s->rpc->draining))
        rpc_listen(s);
    else
        mailbox_push(&s->rpc->box, &s->mail);
}

static bool rpc_offer(struct rpc_slot *s)
{
    const struct rpc_options *o = &s->rpc->options;
    nng_msg *msg = s->msg;
    bool small = nng_msg_len(msg) <= KEPT_BYTES_MAX;
    if (!o->on_request(o->ctx, &s->slot, nng_msg_body(msg), nng_msg_len(msg)))
        return false;
    if (s->msg && !small) { /* else it has left with the reply, or will */
        nng_msg_free(msg);
        s->msg = NULL;
    }
    return true;
}

static void put_off(struct rpc_slot *s)
{
    s->mail.next = NULL;
    *s->rpc->late_tail = &s->mail;
    s->rpc->late_tail = &s->mail.next;
}

static void rpc_on_request(struct rpc_slot *s)
{
    slot_move(s, SLOT_OPEN);
    s->rpc->requests++;
    s->msg = nng_aio_get_msg(s->receive);
    nng_aio_set_msg(s->receive, NULL);
    s->pipe = endpoint_begin(&s->rpc->gate, s->msg);
    outbuf_clear(&s->slot.out);
    if (s->rpc->late || !rpc_offer(s)) /* nobody overtakes who was put off */
        put_off(s);
}

/* The slot is the loop's again: with a request, or to rest. */
static void rpc_settle(struct rpc_slot *s)
{
    int e = atomic_load(&s->state) == SLOT_RECV ? nng_aio_result(s->receive) : NNG_ECLOSED;
    if (e == 0) {
        rpc_on_request(s);
        return;
    }
    slot_move(s, SLOT_IDLE);
    if (e != NNG_ECLOSED && !atomic_load(&s->rpc->draining))
        rpc_listen(s);
}

static void rpc_on_mail(void *ctx, struct mail *list)
{
    (void)ctx;
    while (list) {
        struct rpc_slot *s = (struct rpc_slot *)list;
        list = list->next;
        rpc_settle(s);
    }
}

static struct rpc_slot *of(struct slot *slot)
{
    return (struct rpc_slot *)(void *)((char *)slot - offsetof(struct rpc_slot, slot));
}

static void rpc_hold(struct slot *slot)
{
    slot_move(of(slot), SLOT_HELD);
}

/* The message that carries the reply; NULL: no memory. */
static nng_msg *reply_message(struct rpc_slot *s)
{
    const struct text *t = &s->slot.out.text;
    nng_msg *msg = s->msg;
    s->msg = NULL;
    if (msg)
        nng_msg_clear(msg);
    else if (nng_msg_alloc(&msg, 0) != 0)
        return NULL;
    if (nng_msg_append(msg, t->at ? t->at : "", t->len) == 0)
        return msg;
    nng_msg_free(msg);
    return NULL;
}

static void rpc_reply(struct slot *slot)
{
    struct rpc_slot *s = of(slot);
    slot_move(s, SLOT_SEND);
    s->rpc->replies++;
    arrival_close(&s->read);              /* of a request that was refused unread */
    endpoint_end(&s->rpc->gate, s->pipe); /* from here on the client may be idle, or not read */
    nng_msg *msg = reply_message(s);
    if (!msg) { /* no memory to answer: the client times out and retries by its id */
        atomic_fetch_add(&s->rpc->send_failures, 1);
        slot_move(s, SLOT_IDLE);
        if (!atomic_load(&s->rpc->draining))
            rpc_listen(s);
        return;
    }
    outbuf_clear(&s->slot.out);
    nng_aio_set_timeout(s->send, s->rpc->options.send_timeout_ms);
    nng_aio_set_msg(s->send, msg);
    nng_ctx_send(s->ctx, s->send);
}

static uint64_t rpc_bearer(struct slot *slot, uint64_t who)
{
    struct rpc_slot *s = of(slot);
    return endpoint_bearer(&s->rpc->gate, s->pipe, who);
}

static const struct slot_door rpc_door = {rpc_hold, rpc_reply, rpc_bearer, .prompt = false};

void rpc_resume(struct rpc *r)
{
    if (!r || r->resuming) /* on_request may lead back here */
        return;
    r->resuming = true;
    while (r->late) {
        struct rpc_slot *s = (struct rpc_slot *)r->late;
        struct mail *next = s->mail.next;
        if (!rpc_offer(s))
            break;
        r->late = next;
        if (!next)
            r->late_tail = &r->late;
    }
    r->resuming = false;
}

void rpc_drain(struct rpc *r)
{
    if (!r)
        return;
    atomic_store(&r->draining, true);
    endpoint_shut(&r->gate);
    for (int i = 0; i < r->n; i++)
        nng_aio_cancel(r->slot[i].receive); /* if a request wins the race, it is served */
}

void rpc_sweep(struct rpc *r)
{
    if (r)
        endpoint_sweep(&r->gate);
}

int rpc_of(struct rpc *r, uint64_t who)
{
    return r ? endpoint_of(&r->gate, who) : 0;
}

bool rpc_idle(const struct rpc *r)
{
    return !r || r->idle == r->n;
}

void rpc_stop(struct rpc *r)
{
    for (int i = 0; r && i < r->n; i++)
        if (r->slot[i].send) /* before what its end may begin */
            nng_aio_stop(r->slot[i].send);
    for (int i = 0; r && i < r->n; i++)
        if (r->slot[i].receive)
            nng_aio_stop(r->slot[i].receive);
}

/* A stopped operation leaves its message with us: unsent, or not yet settled. */
static void free_aio(nng_aio *aio)
{
    nng_msg *msg = aio ? nng_aio_get_msg(aio) : NULL;
    if (msg)
        nng_msg_free(msg);
    if (aio)
        nng_aio_free(aio);
}

static void free_slots(struct rpc *r)
{
    for (int i = 0; i < r->n; i++) {
        struct rpc_slot *s = &r->slot[i];
        free_aio(s->receive);
        free_aio(s->send);
        if (s->msg)
            nng_msg_free(s->msg);
        arrival_close(&s->read);
        outbuf_fini(&s->slot.out);
    }
}

static void on_box_closed(void *ctx)
{
    struct rpc *r = ctx;
    void (*on_closed)(void *) = r->on_closed;
    void *closed_ctx = r->closed_ctx;
    free(r->slot);
    free(r);
    if (on_closed)
        on_closed(closed_ctx);
}

void rpc_close(struct rpc *r, void (*on_closed)(void *ctx), void *ctx)
{
    if (!r)
        return;
    rpc_stop(r); /* all of them before the first is freed (nng#1543) */
    for (int i = 0; i < r->n; i++)
        if (nng_ctx_id(r->slot[i].ctx) > 0)
            nng_ctx_close(r->slot[i].ctx);
    endpoint_close(r->socket, &r->gate);
    free_slots(r);
    (void)mailbox_take(&r->box); /* slots that are gone */
    r->on_closed = on_closed;
    r->closed_ctx = ctx;
    mailbox_close(&r->box, on_box_closed);
}

static enum status open_slots(struct rpc *r, struct problem *problem)
{
    for (int i = 0; i < r->n; i++) {
        struct rpc_slot *s = &r->slot[i];
        s->rpc = r;
        s->slot.door = &rpc_door;
        s->slot.read = &s->read;
        s->slot.purpose = r->options.purpose;
        int e = nng_ctx_open(&s->ctx, r->socket);
        if (e == 0)
            e = nng_aio_alloc(&s->receive, rpc_on_received, s);
        if (e == 0)
            e = nng_aio_alloc(&s->send, rpc_on_sent, s);
        if (e != 0)
            return problem_set(problem, endpoint_status(e), "", "cannot open %d contexts: %s", r->n,
                               nng_strerror(e));
    }
    return STATUS_OK;
}

enum status rpc_open(uv_loop_t *loop, const struct rpc_options *options, struct rpc **out,
                     struct problem *problem)
{
    struct rpc *r = calloc(1, sizeof *r);
    if (!r || !(r->slot = calloc((size_t)options->slots, sizeof *r->slot))) {
        free(r);
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for %d slots",
                           options->slots);
    }
    r->options = *options;
    r->n = r->idle = options->slots;
    r->late_tail = &r->late;
    int e = nng_rep0_open(&r->socket);
    if (e != 0 || mailbox_init(&r->box, loop, rpc_on_mail, r) != STATUS_OK) {
        if (e == 0)
            nng_close(r->socket);
        free(r->slot);
        free(r);
        return problem_set(problem, STATUS_UNAVAILABLE, "", "cannot open a socket: %s",
                           e ? nng_strerror(e) : "no wake-up handle");
    }
    enum status s = open_slots(r, problem);
    if (s == STATUS_OK)
        s = endpoint_listen(r->socket, &r->options.endpoint, &r->gate, problem);
    if (s != STATUS_OK) {
        rpc_close(r, NULL, NULL);
        return s;
    }
    for (int i = 0; i < r->n; i++)
        rpc_listen(&r->slot[i]);
    *out = r;
    return STATUS_OK;
}

void rpc_stats(const struct rpc *r, struct rpc_stats *out)
{
    int busy = 0;
    for (int i = 0; i < r->n; i++)
        busy +=
            1 << atomic_load(&r->slot[i].state) & (1 << SLOT_OPEN | 1 << SLOT_HELD | 1 << SLOT_SEND)
                ? 1
                : 0;
    *out = (struct rpc_stats){.requests = r->requests,
                              .replies = r->replies,
                              .send_failures = atomic_load(&r->send_failures),
                              .busy = busy,
                              .connections = atomic_load(&r->gate.open),
                              .refused = atomic_load(&r->gate.refused),
                              .overstayed = r->gate.overstayed};
}
