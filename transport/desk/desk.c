/* SPDX-License-Identifier: MIT */
/*
 * Between the wire and the engine. Invariants: what the router applied is in the filling batch
 * before the answer is rendered; an answer is rendered from the record, never from anything beside
 * it, so a retry gets the same bytes; if an applied event cannot be put into the batch, memory and
 * log have parted and the desk is `broken` for good. When the store is full, routes are decided as
 * dry runs (nothing is applied, no decision id, marked not_recorded), except those that a strict
 * budget pays for, and everything that would have
 * to be recorded is refused with storage_full. Considered: one desk per socket. There is one log,
 * so there is one desk.
 */
#include "transport/desk/desk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/event/decision_id.h"
#include "core/router/snapshot.h"
#include "transport/desk/desk_inside.h"
#include "transport/log.h"

void desk_break(struct desk *d, const char *what)
{
    if (!d->broken)
        log_event(LOG_LEVEL_ERROR, "broken", "what", what, "seq", LOG_NUMBER(router_seq(d->router)),
                  NULL);
    d->broken = true;
}

static void on_evict(void *ctx, uint64_t seq, const struct label_book *book)
{
    struct desk *d = ctx;
    if (batch_book(d->filling.batch, seq, book) != STATUS_OK)
        desk_break(d, "no memory for a label book");
}

struct desk *desk_new(struct db *db, struct router *router)
{
    struct desk *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->db = db;
    d->router = router;
    d->filling.batch = batch_new();
    d->other.batch = batch_new();
    d->filling.alerts = calloc(1, sizeof *d->filling.alerts);
    d->other.alerts = calloc(1, sizeof *d->other.alerts);
    d->watch = pool_watch_new(router);
    d->suspicion = suspicion_new();
    if (!d->filling.batch || !d->other.batch || !d->filling.alerts || !d->other.alerts ||
        !d->watch || !d->suspicion) {
        desk_free(d);
        return NULL;
    }
    int64_t wall, mono;
    wallclock_read(&wall, &mono);
    wallclock_init(&d->clock, router_clock(router), wall, mono);
    router_on_evict(router, on_evict, d);
    desk_meter(d);
    return d;
}

void desk_free(struct desk *d)
{
    if (!d)
        return;
    audit_free(d->audit);
    leases_free(d->leases);
    batch_free(d->filling.batch);
    batch_free(d->other.batch);
    free(d->filling.alerts);
    free(d->other.alerts);
    pool_watch_free(d->watch);
    suspicion_free(d->suspicion);
    free(d);
}

/* Puts an applied event into the batch. */
void desk_append(struct desk *d, const struct event *ev)
{
    desk_alert(d, ev);
    desk_audit_event(d, ev);
    if (d->leases && ev->kind == EVENT_CONFIGURED)
        leases_configured(d->leases);
    if (!d->broken && ev->kind != EVENT_NONE && batch_event(d->filling.batch, ev) != STATUS_OK)
        desk_break(d, "no memory for an event");
}

/* What follows from what was just applied or from time: the pacer's next solution, fading after a
 * change, labels by silence. Of these thousands may be due at once; the rest waits for the next
 * turn of the loop, which the commit of this piece brings about. */
static void follow(struct desk *d, int64_t now)
{
    d->behind = true;
    for (int i = 0; d->behind && i < DESK_FOLLOW_MOST; i++) {
        router_follow(d->router, now, &d->extra);
        desk_append(d, &d->extra);
        d->behind = d->extra.kind != EVENT_NONE;
    }
}

void desk_follow(struct desk *d)
{
    if (d->behind && !d->full && !d->broken && !desk_crowded(d))
        follow(d, wallclock_now(&d->clock));
}

void desk_record(struct desk *d, int64_t now)
{
    desk_append(d, &d->event);
    follow(d, now);
}

static bool find_in(const struct tray *t, uint64_t seq, struct event *out)
{
    const uint8_t *bytes;
    size_t n;
    return batch_find_event(t->batch, seq, &bytes, &n) &&
           event_decode(bytes, n, out, NULL) == STATUS_OK;
}

enum status desk_read(struct desk *d, uint64_t seq, struct event *out, struct problem *problem)
{
    if (find_in(&d->filling, seq, out) || (d->flying && find_in(&d->other, seq, out)))
        return STATUS_OK;
    return db_read_event(d->db, seq, out, problem);
}

enum status desk_find(struct desk *d, uint64_t seq, struct event *out, struct problem *problem)
{
    enum status s = desk_read(d, seq, out, problem);
    if (s != STATUS_OK)
        return s;
    if (out->kind != EVENT_DECIDED)
        return problem_set(problem, STATUS_UNKNOWN_DECISION, "/decision_id",
                           "no decision has this id");
    return STATUS_OK;
}

static enum status find_book(struct desk *d, uint64_t seq, struct label_book *out)
{
    if (batch_find_book(d->filling.batch, seq, out) ||
        (d->flying && batch_find_book(d->other.batch, seq, out)))
        return STATUS_OK;
    enum status s = db_read_book(d->db, seq, out);
    if (s != STATUS_UNKNOWN_DECISION)
        return s;
    book_init(out); /* decided, but nobody has reported yet */
    return STATUS_OK;
}

enum status desk_storage_full(struct problem *p)
{
    enum status s = problem_set(p, STATUS_STORAGE_FULL, "",
                                "the store is full and nothing can be recorded: free space on the "
                                "data disk; retry then");
    p->retry_after_ms = 1000;
    return s;
}

/* Fetches the record and the labels of a decision. *out NULL: there is none. */
static enum status recall(struct desk *d, uint32_t epoch, uint64_t seq, const struct recalled **out,
                          struct problem *p)
{
    *out = NULL;
    enum status s = desk_find(d, seq, &d->recalled.decided, p);
    if (s == STATUS_UNKNOWN_DECISION)
        return STATUS_OK;
    if (s != STATUS_OK)
        return s;
    if (d->recalled.decided.decided.epoch != epoch)
        return STATUS_OK; /* that decision was lost with its epoch: this one is another */
    s = find_book(d, seq, &d->recalled.book);
    if (s != STATUS_OK)
        return problem_set(p, s, "/decision_id", "cannot read the labels of this decision");
    *out = &d->recalled;
    return STATUS_OK;
}

enum status desk_recall(struct desk *d, const struct feedback *f, const struct recalled **out,
                        struct problem *p)
{
    *out = NULL;
    return router_has(d->router, f->seq) ? STATUS_OK : recall(d, f->epoch, f->seq, out, p);
}

/* Decides for d->request: anew, or once more on a higher tier. */
static enum status decide(struct desk *d, int64_t now, enum route_result *result, struct problem *p)
{
    const struct decision_ref *of = &d->request.escalates;
    const struct recalled *from = NULL;
    if (of->seq == 0)
        return router_route(d->router, now, &d->request, &d->event, result, p);
    /* A guessed id costs no look-up. */
    if (decision_mac(of->epoch, of->seq, router_mac_key(d->router)) == of->mac) {
        enum status s = recall(d, of->epoch, of->seq, &from, p);
        if (s != STATUS_OK)
            return s;
    }
    return router_escalate(d->router, now, &d->request, from, &d->event, result, p);
}

/* What an escalation says of the decision that it comes from, which may have left memory by it. */
static void label_wanting(struct desk *d, int64_t now)
{
    const struct recalled *from;
    enum feedback_result result;
    router_wanting(d->router, &d->request, &d->feedback);
    if (desk_recall(d, &d->feedback, &from, NULL) != STATUS_OK ||
        router_feedback(d->router, now, &d->feedback, from, &d->extra, &result, NULL) != STATUS_OK)
        desk_break(d, "an escalated decision cannot be labelled");
    else
        desk_append(d, &d->extra);
}

static enum status route(struct desk *d, const struct message *m, int i, struct problem *p)
{
    enum route_result result;
    enum status s = wire_request(m, i, &d->request, p);
    if (s != STATUS_OK)
        return s;
    if (d->full)
        d->request.dry_run = true;
    int64_t now = wallclock_now(&d->clock);
    if (router_reprices(d->router, now) && !d->full)
        follow(d, now);
    s = decide(d, now, &result, p);
    if (s != STATUS_OK)
        return s;
    if (result == ROUTE_RETRY) {
        d->retried++;
        desk_ahead_repeated(d);
        return d->full ? desk_storage_full(p) : desk_find(d, d->event.seq, &d->event, p);
    }
    if (result == ROUTE_DECIDED) {
        desk_append(d, &d->event);
        desk_ahead_decided(d, now);
        if (d->request.escalates.seq > 0)
            label_wanting(d, now);
        follow(d, now);
    }
    /* What cannot be recorded does not bind: a strict pool would be exceeded. */
    return d->full && d->event.decided.charge.strict ? desk_storage_full(p) : STATUS_OK;
}

static void route_item(struct desk *d, const struct message *m, int i, struct text *t)
{
    struct problem p = {0};
    enum status s = route(d, m, i, &p);
    d->routed++;
    if (s != STATUS_OK) {
        d->refused++;
        desk_meter_refused(d, s);
        desk_alert_refused(d, s);
        reply_error(t, &p);
        return;
    }
    const struct reply_ask ask = {.explain = d->request.explain, .not_recorded = d->full};
    reply_decision(t, &d->event, &router_params(d->router)->catalog, router_mac_key(d->router),
                   &ask);
}

static enum status feed(struct desk *d, const struct message *m, int i,
                        enum feedback_result *result, struct problem *p)
{
    const struct recalled *recalled;
    struct feedback *f = &d->feedback;
    enum status s = wire_feedback(m, i, f, p);
    if (s != STATUS_OK)
        return s;
    /* A guessed id costs no look-up. */
    if (decision_mac(f->epoch, f->seq, router_mac_key(d->router)) != f->mac)
        return problem_set(p, STATUS_UNKNOWN_DECISION, "/decision_id",
                           "this service gave no decision this id");
    if (d->full)
        return desk_storage_full(p);
    s = desk_owned(d, m, f->seq, p);
    if (s != STATUS_OK)
        return s;
    s = desk_recall(d, f, &recalled, p);
    if (s != STATUS_OK)
        return s;
    int64_t now = wallclock_now(&d->clock);
    s = router_feedback(d->router, now, f, recalled, &d->event, result, p);
    if (s != STATUS_OK)
        return s;
    desk_record(d, now);
    return STATUS_OK;
}

static void feedback_item(struct desk *d, const struct message *m, int i, struct text *t)
{
    struct problem p = {0};
    enum feedback_result result;
    enum status s = feed(d, m, i, &result, &p);
    d->fed++;
    if (s != STATUS_OK) {
        d->refused++;
        d->unknown += s == STATUS_UNKNOWN_DECISION;
        reply_error(t, &p);
        return;
    }
    char id[DECISION_ID_CAP];
    decision_id_format(id, d->feedback.epoch, d->feedback.seq, router_mac_key(d->router));
    reply_answer(t, result, id);
}

void desk_feedback(struct desk *d, const struct message *m, int item)
{
    char scrap[1024];
    struct text t = text_over(scrap, sizeof scrap);
    feedback_item(d, m, item, &t);
}

void desk_error(struct outbuf *out, const struct problem *problem)
{
    outbuf_clear(out);
    if (outbuf_reserve(out, OUTBUF_ITEM))
        reply_error(&out->text, problem);
}

/* One item; if its answer does not fit, an error takes its place. */
static void answer_item(struct desk *d, const struct message *m, int i, struct text *t)
{
    size_t start = t->len;
    if (wire_routes(m->op))
        route_item(d, m, i, t);
    else if (m->op == WIRE_TEACH)
        desk_teach_item(d, m, i, t);
    else
        feedback_item(d, m, i, t);
    if (!t->full && !d->broken)
        return;
    struct problem p = {0};
    problem_set(&p, d->broken ? STATUS_UNAVAILABLE : STATUS_INTERNAL, "",
                d->broken ? "the service must restart; retry" : "the answer is too long");
    t->len = start;
    t->full = false;
    t->at[start] = '\0';
    reply_error(t, &p);
}

void desk_answer(struct desk *d, const struct message *m, struct outbuf *out)
{
    bool many = wire_is_many(m->op);
    struct problem p = {0};
    outbuf_clear(out);
    if (!outbuf_reserve(out, OUTBUF_ITEM))
        return; /* an empty reply: no memory even to say so */
    if (m->op == WIRE_TEACH && d->full) {
        desk_storage_full(&p);
        desk_error(out, &p);
        return;
    }
    d->repeated = router_taught(d->router, m->batch_id);
    if (!many) {
        answer_item(d, m, 0, &out->text);
        return;
    }
    reply_batch_begin(&out->text, m->items);
    for (int i = 0; i < m->items; i++) {
        /* Checked before the item is applied: what is applied can be answered. */
        if (!outbuf_reserve(out, OUTBUF_ITEM)) {
            problem_set(&p, STATUS_OVERLOADED, "/items",
                        "no memory to answer beyond item %d: send smaller batches; retry", i);
            desk_error(out, &p);
            return;
        }
        reply_batch_next(&out->text, i);
        answer_item(d, m, i, &out->text);
    }
    reply_batch_end(&out->text);
}

void desk_start(struct desk *d)
{
    router_start(d->router, wallclock_now(&d->clock), &d->event);
    if (router_seq(d->router) == d->event.seq)
        desk_append(d, &d->event);
    else
        desk_break(d, "no memory for the open decisions");
}

void desk_lend(struct desk *d, bool on)
{
    router_lend(d->router, wallclock_now(&d->clock), on, &d->event);
    desk_append(d, &d->event);
}

enum status desk_configure(struct desk *d, const struct params *params, const char *origin,
                           uint64_t file_hash, struct problem *problem)
{
    if (d->full)
        return desk_storage_full(problem);
    enum status s = router_configure(d->router, wallclock_now(&d->clock), params, origin, file_hash,
                                     d->json, sizeof d->json, &d->event, problem);
    if (s == STATUS_OK)
        desk_append(d, &d->event);
    return s;
}

enum status desk_lens(struct desk *d, const uint8_t *bytes, size_t n, const char *origin,
                      struct problem *problem)
{
    if (d->full)
        return desk_storage_full(problem);
    enum status s =
        router_set_lens(d->router, wallclock_now(&d->clock), bytes, n, origin, &d->event, problem);
    if (s == STATUS_OK)
        desk_append(d, &d->event);
    return s;
}

enum status desk_rename(struct desk *d, const char *old_name, const char *new_name,
                        const char *origin, struct problem *problem)
{
    if (d->full)
        return desk_storage_full(problem);
    enum status s = router_rename(d->router, wallclock_now(&d->clock), old_name, new_name, origin,
                                  d->json, sizeof d->json, &d->event, problem);
    if (s == STATUS_OK)
        desk_append(d, &d->event);
    return s;
}

void desk_tick(struct desk *d)
{
    if (d->full || d->broken)
        return;
    int64_t now = wallclock_now(&d->clock);
    batch_meter_due(d->filling.batch);
    router_tick(d->router, now, &d->event);
    desk_append(d, &d->event);
    follow(d, now);
    desk_alert_tick(d);
}

struct snapshot_sink {
    struct desk *desk;
    int g;
};

static void on_item(void *ctx, const uint8_t key[ITEM_KEY_LEN], const void *bytes, size_t n)
{
    struct snapshot_sink *s = ctx;
    if (batch_item(s->desk->filling.batch, s->g, key, ITEM_KEY_LEN, bytes, n) != STATUS_OK)
        desk_break(s->desk, "no memory for a snapshot");
}

void desk_snapshot(struct desk *d, int g)
{
    struct snapshot_sink sink = {d, g};
    snapshot_write(d->router, g, on_item, &sink);
    d->snapshot_seq = router_seq(d->router);
    d->begun = 0;
    batch_snapshot_end(d->filling.batch, g, d->snapshot_seq);
}

void desk_snapshot_ahead(struct desk *d, int g, int64_t left, int most)
{
    struct snapshot_sink sink = {d, g};
    d->begun = snapshot_ahead(d->router, g, d->begun, left, most, on_item, &sink);
}

/* The first record of [low, high) that is not older than `before`; high when all are. */
static uint64_t first_since(struct desk *d, uint64_t low, uint64_t high, int64_t before)
{
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (db_read_event(d->db, middle, &d->extra, NULL) != STATUS_OK)
            return low; /* leave alone what cannot be read */
        if (d->extra.time_ms < before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void desk_prune(struct desk *d, int64_t retention_ms, int64_t most)
{
    struct db_info info;
    int64_t before = d->clock.last_ms - retention_ms, first = db_first_time(d->db);
    if (d->full || d->broken || first == 0 || first >= before ||
        db_info(d->db, &info, NULL) != STATUS_OK)
        return;
    uint64_t covered = info.base < 0 ? 0 : info.snapshot_seq[info.base];
    if (covered <= info.first_seq)
        return;
    uint64_t below = first_since(d, info.first_seq, covered, before);
    if (below > info.first_seq)
        batch_prune(d->filling.batch, below, most);
}
