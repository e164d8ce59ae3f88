/* SPDX-License-Identifier: MIT */
/*
 * Serving: a message becomes an answer and perhaps events; the answer waits with the batch that
 * makes them durable. THE RULE: no reply may reveal what is not yet durable. So every reply, also
 * one without an event, is held by the batch being filled when it was computed. server_flush runs
 * after all callbacks of a loop turn and either lets the writer have the batch, or (when there is
 * nothing to write and nothing in flight) lets the replies go. While one batch commits the other
 * fills: batch size adapts to the disk without a knob. A batch for which nobody waits may fill for
 * some milliseconds.
 * With relaxed durability route replies, and only they, leave at the end of the turn, as far as the
 * leases of strict pools reach (leases.h).
 * Considered: committing per message. One fsync each is a ceiling of some hundreds per second.
 */
#include "transport/server_state.h"

#include <string.h>
#include "transport/announce.h"
#include "transport/log.h"

enum { RETRY_FIRST_MS = 100, RETRY_MOST_MS = 5000, PRUNE_EACH_TICKS = 10, PRUNE_MOST = 2000 };
enum { EVENTS_A_PAGE_AHEAD = 16, LINGER_MS = 5, LINGER_EVENTS = 64 };

static void refuse(struct slot *slot, enum status code, const char *text)
{
    struct problem p = {0};
    problem_set(&p, code, "", "%s", text);
    desk_error(slot_out(slot), &p);
}

void server_hold(struct server *s, struct slot *slot)
{
    struct desk *d = s->desk;
    slot_hold(slot);
    if (d->full || d->broken)
        slot_reply(slot); /* nothing it could wait for; its content allows for that */
    else if (batch_hold(d->filling.batch, slot) != STATUS_OK) {
        refuse(slot, STATUS_UNAVAILABLE, "no memory to keep the reply: retry with the same id");
        slot_reply(slot);
    }
}

/* Whether a door serves an op. */
static bool belongs(const struct slot *slot, const struct message *m)
{
    static const enum purpose purpose[] = {
        [WIRE_ROUTE] = PURPOSE_ROUTE,       [WIRE_ROUTE_MANY] = PURPOSE_ROUTE,
        [WIRE_ESCALATE] = PURPOSE_ROUTE,    [WIRE_ESCALATE_MANY] = PURPOSE_ROUTE,
        [WIRE_FEEDBACK] = PURPOSE_FEEDBACK, [WIRE_FEEDBACK_MANY] = PURPOSE_FEEDBACK,
        [WIRE_TEACH] = PURPOSE_CONTROL,     [WIRE_CONTROL] = PURPOSE_CONTROL};
    return purpose[m->op] == slot->purpose && (!slot->op || strcmp(m->op_name, slot->op) == 0);
}

/* A connection is known by what it asks, so it is counted from its first request with a key on; one
 * that is turned away holds no place. The doors are walked when a key is new to a connection, not
 * for each request. */
enum status server_seat(struct server *s, const struct key *by, uint64_t *bearer,
                        struct problem *problem)
{
    enum { RETRY_MS = 1000 };
    struct rpc *const rpcs[] = {s->route, s->feedback, s->control};
    uint64_t who = keyring_bearer(by);
    int64_t most = by->connections ? by->connections : s->settings.key_connections;
    if (most == 0 || *bearer == who)
        return STATUS_OK;
    int64_t n = http_of(s->http, who);
    for (int i = 0; i < 3; i++)
        n += rpc_of(rpcs[i], who);
    if (n < most) {
        *bearer = who;
        return STATUS_OK;
    }
    problem_set(problem, STATUS_THROTTLED, "/key",
                "this key may have %lld connections open at once, and has: use one of them again, "
                "close some, or ask the operator for more",
                (long long)most);
    if (problem)
        problem->retry_after_ms = RETRY_MS;
    return STATUS_THROTTLED;
}

/* Who asks: the key that the door was told, or the one in the message; two must be the same. */
static enum status admit(struct server *s, struct slot *slot, struct message *m, struct problem *p)
{
    const char *said = wire_key(m), *key = slot->key ? slot->key : said;
    if (slot->key && said && strcmp(slot->key, said) != 0)
        return problem_set(p, STATUS_UNAUTHORIZED, "/key",
                           "not the key of the Authorization header: send one of them");
    const struct key *by;
    enum status st = gate_admit(s->gate, m, key, wallclock_now(&s->desk->clock), &by, p);
    if (st != STATUS_OK || !by)
        return st;
    uint64_t was = slot->door->bearer(slot, 0), is = was;
    st = server_seat(s, by, &is, p);
    if (is != was)
        slot->door->bearer(slot, is);
    return st;
}

enum answered { ANSWERED, ANSWERED_AT_THE_DOOR, ANSWERED_LATER };

/* Writes the reply, or it will come later. What is turned away at the door has told nothing and
 * learns nothing of what is not yet durable: it need not wait for the disk, and does not keep a
 * slot that somebody else could use. */
static enum answered answer(struct server *s, struct slot *slot, struct arrival *r)
{
    struct message *m = &r->message;
    struct problem p = {0};
    if (r->status != STATUS_OK) {
        s->desk->refused++;
        desk_error(slot_out(slot), &r->problem);
        return ANSWERED_AT_THE_DOOR;
    }
    enum answered done = ANSWERED;
    if (admit(s, slot, m, &p) != STATUS_OK) {
        s->desk->refused++;
        desk_error(slot_out(slot), &p);
        done = ANSWERED_AT_THE_DOOR;
    } else if (!belongs(slot, m)) {
        problem_set(&p, STATUS_BAD_REQUEST, "/op",
                    "op %s is unknown here: route, route_many go to the route address, feedback, "
                    "feedback_many to the feedback address, all others to control (over HTTP: "
                    "/v1/route, /v1/feedback, /v1/control)",
                    m->op_name);
        s->desk->refused++;
        desk_error(slot_out(slot), &p);
    } else if (m->op == WIRE_CONTROL) {
        done = control_answer(&s->desk_control, m, slot) ? ANSWERED : ANSWERED_LATER;
    } else {
        desk_answer(s->desk, m, slot_out(slot));
    }
    return done;
}

bool server_on_request(void *ctx, struct slot *slot, const void *bytes, size_t n)
{
    struct server *s = ctx;
    if (!s->desk->broken && !s->desk->full && desk_crowded(s->desk))
        return false;
    slot_asked(slot, bytes, n);
    if (s->desk->broken) {
        refuse(slot, STATUS_UNAVAILABLE, "the service is about to restart: retry");
        slot_reply(slot);
        return true;
    }
    bool relaxed =
        s->settings.relaxed && slot->purpose == PURPOSE_ROUTE && desk_ahead_begin(s->desk);
    struct arrival here = {.done = false}, *r = slot->read && slot->read->done ? slot->read : &here;
    if (r == &here)
        arrival_read(r, bytes, n);
    enum answered done = answer(s, slot, r);
    if (r == &here ||
        done != ANSWERED_LATER) /* else its reply, with which the slot is the door's */
        arrival_close(r);
    if (done == ANSWERED_LATER)
        return true;
    if (done == ANSWERED_AT_THE_DOOR) {
        slot_reply(slot);
    } else if (relaxed && s->desk->ahead) {
        slot_hold(slot);
        if (slot->door->prompt)
            slot_reply(slot);
        else
            s->ready[s->n_ready++] = slot;
    } else
        server_hold(s, slot);
    if (s->desk->broken)
        server_fail(s, "engine and log have parted");
    return true;
}

/* Sends what waits for t; with a problem, sends that instead. */
static void release(struct tray *t, const struct problem *instead)
{
    struct slot *slot;
    while ((slot = batch_held(t->batch, t->answered)) != NULL) {
        t->answered++;
        if (instead)
            desk_error(slot_out(slot), instead);
        slot_reply(slot);
    }
}

static void resume(struct server *s)
{
    rpc_resume(s->feedback);
    rpc_resume(s->route);
    rpc_resume(s->control);
    http_resume(s->http);
    if (s->intake)
        intake_resume(s->intake);
}

/* Puts what is due of a snapshot into the batch: all that is left, or in the second half of the
 * time between two some pages, with what is written anyway. */
static void snapshot_some(struct server *s)
{
    struct desk *d = s->desk;
    int64_t every = s->settings.snapshot_events;
    int64_t left = every - (int64_t)(router_seq(s->router) - d->snapshot_seq);
    size_t events = batch_events(d->filling.batch);
    if (s->want_snapshot || left <= 0) {
        s->want_snapshot = false;
        desk_snapshot(d, db_next_generation(s->db));
    } else if (left < every / 2 && events > 0) {
        desk_snapshot_ahead(d, db_next_generation(s->db), left,
                            1 + (int)(events / EVENTS_A_PAGE_AHEAD));
    }
}

/* Of a batch for which nobody waits (relaxed routes, feedback without a reply, ticks): a commit for
 * each message of a quiet service would take more CPU than the message. */
static bool lingers(const struct server *s)
{
    const struct batch *b = s->desk->filling.batch;
    return s->phase == PHASE_SERVING && !s->want_snapshot && !s->lingered && batch_events(b) > 0 &&
           batch_events(b) < LINGER_EVENTS && !batch_held(b, 0);
}

/* The turn of the loop that this belongs to goes on to flush. */
void server_on_linger(uv_timer_t *handle)
{
    struct server *s = handle->data;
    s->lingered = true;
}

void server_flush(struct server *s)
{
    struct desk *d = s->desk;
    if (d->flying || d->broken)
        return;
    if (lingers(s)) {
        if (!uv_is_active((uv_handle_t *)&s->linger))
            uv_timer_start(&s->linger, server_on_linger, LINGER_MS, 0);
        return;
    }
    uv_timer_stop(&s->linger);
    s->lingered = false;
    snapshot_some(s);
    if (batch_empty(d->filling.batch)) {
        announce_alerts(d->filling.alerts, &d->told, s->publish, s->http);
        if (batch_held(d->filling.batch, 0)) {
            release(&d->filling, NULL);
            batch_let_go(d->filling.batch);
            d->filling.answered = 0;
        }
        return;
    }
    bool crowded = desk_crowded(d);
    s->commit_ns = (int64_t)uv_hrtime();
    writer_submit(s->writer, desk_launch(d));
    if (crowded)
        resume(s);
}

/* The disk or the map is full: nothing was written, the batch stays as it is and is tried again. */
static void on_full(struct server *s, const struct problem *problem)
{
    struct desk *d = s->desk;
    struct problem p = {0};
    if (!d->full)
        log_event(LOG_LEVEL_ERROR, "storage_full", "text", problem->text, "action",
                  "free space on the data disk; serving decide-only until then", NULL);
    d->full = true;
    problem_set(&p, STATUS_STORAGE_FULL, "",
                "the store is full: free space on the data disk; retry with the same id");
    p.retry_after_ms = 1000;
    release(&d->other, &p);
    release(&d->filling, &p);
    s->retry_ms = s->retry_ms ? s->retry_ms * 2 : RETRY_FIRST_MS;
    if (s->retry_ms > RETRY_MOST_MS)
        s->retry_ms = RETRY_MOST_MS;
    uv_timer_start(&s->retry, server_on_retry, (uint64_t)s->retry_ms, 0);
    resume(s);
}

void server_on_retry(uv_timer_t *handle)
{
    struct server *s = handle->data;
    if (s->sealed || s->phase == PHASE_SEALING)
        return;
    s->commit_ns = (int64_t)uv_hrtime();
    writer_submit(s->writer, s->desk->other.batch);
}

/* Something that only a restart from disk can mend: let everybody know, then stop. */
void server_fail(struct server *s, const char *what)
{
    struct problem p = {0};
    log_event(LOG_LEVEL_ERROR, "failed", "text", what, "action",
              "stopping; restart folds from disk", NULL);
    s->desk->broken = true;
    s->exit_code = EXIT_CODE_FAILED;
    problem_set(&p, STATUS_UNAVAILABLE, "", "could not be recorded: retry with the same id");
    p.retry_after_ms = 1000;
    if (s->desk->flying && !writer_busy(s->writer))
        release(&s->desk->other, &p);
    release(&s->desk->filling, &p);
    resume(s);
    drain_begin(s, "failure");
}

static void on_durable(struct server *s)
{
    struct desk *d = s->desk;
    if (d->full)
        log_event(LOG_LEVEL_INFO, "storage_back", "seq", LOG_NUMBER(batch_last_seq(d->other.batch)),
                  NULL);
    d->full = false;
    s->retry_ms = 0;
    s->commits++;
    s->commit_ns_sum += (int64_t)uv_hrtime() - s->commit_ns;
    release(&d->other, NULL);
    announce_batch(d->other.batch, s->publish, s->http);
    announce_alerts(d->other.alerts, &d->told, s->publish, s->http);
    desk_landed(d);
    server_flush(s); /* the next commit starts at once */
}

void server_on_commit(void *ctx, struct batch *b, enum status status, const struct problem *problem)
{
    struct server *s = ctx;
    (void)b;
    if (status == STATUS_OK)
        on_durable(s);
    else if (status == STATUS_STORAGE_FULL)
        on_full(s, problem);
    else
        server_fail(s, problem->text);
}

/* A send wakes a thread of NNG's that wants this one's CPU: decide all that has come in, then send.
 */
static void release_ready(struct server *s)
{
    for (int64_t i = 0; i < s->n_ready; i++)
        slot_reply(s->ready[i]);
    s->n_ready = 0;
}

void server_on_prepare(uv_prepare_t *handle)
{
    struct server *s = handle->data;
    if (s->phase == PHASE_SERVING)
        desk_follow(s->desk);
    http_turn(s->http); /* what a commit has released, and the requests behind */
    release_ready(s);   /* before the writer wants a CPU */
    server_flush(s);
    http_turn(s->http); /* what waited for nothing */
    if (s->phase != PHASE_SERVING)
        drain_step(s);
}

void server_on_second(uv_timer_t *handle)
{
    struct server *s = handle->data;
    desk_tick(s->desk);
    if (gate_refresh(s->gate))
        desk_audit_keys(s->desk, gate_keys(s->gate));
    http_sweep(s->http);
    struct rpc *const rpcs[] = {s->route, s->feedback, s->control};
    for (int i = 0; i < 3; i++)
        rpc_sweep(rpcs[i]);
    if (s->intake)
        intake_sweep(s->intake); /* not the events: who reads them has nothing to say */
    s->desk->invoice_tolerance = s->settings.invoice_tolerance;
    if (++s->ticks % PRUNE_EACH_TICKS == 0) {
        desk_meter_keep(s->desk, s->settings.meter_hour_days, s->settings.meter_day_days);
        desk_prune(s->desk, (int64_t)(s->settings.retention_days * 86400e3), PRUNE_MOST);
    }
    if (s->desk->broken && s->phase == PHASE_SERVING)
        server_fail(s, "engine and log have parted");
}
