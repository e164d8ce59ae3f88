/* SPDX-License-Identifier: MIT */
/*
 * A new store out of what is left of a damaged one: the log is folded again from the state from
 * which it reaches furthest (salvage.c), by the code that folds it in the service. If that is the
 * empty state, books and rollups are made again with it; else they are taken over as they are. The
 * original is never written to. Nothing is guessed: a record is whole or it is lost.
 */
#include "store/repair.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/event/bytes.h"
#include "core/meter/meter.h"
#include "core/router/snapshot.h"
#include "store/batch.h"
#include "store/copies.h"
#include "store/salvage.h"

enum { BATCH_EVENTS = 2000 };

struct repair {
    struct salvage from;
    struct repair_report *report;
    struct db *db;
    struct batch *batch;
    struct event event, decided;
    enum status status;
    struct problem *problem;
};

static bool failed(struct repair *r, enum status s)
{
    if (s != STATUS_OK && r->status == STATUS_OK)
        r->status = s;
    return r->status != STATUS_OK;
}

static bool no_memory(struct repair *r)
{
    return failed(r, problem_set(r->problem, STATUS_UNAVAILABLE, "", "no memory for the repair"));
}

/* ---- what is lost */

static void count_cut(struct repair_report *out, const struct event *e)
{
    if (e->kind == EVENT_DECIDED) {
        out->cut_decisions++;
        out->cut_nano += e->decided.booked_nano;
    } else if (e->kind == EVENT_FEEDBACK) {
        out->cut_feedbacks++;
    } else {
        out->cut_others++;
    }
}

static void say_lost(struct repair *r)
{
    const struct salvage *s = &r->from;
    struct repair_report *out = r->report;
    const char *first;
    out->faults = pages_faults(s->pages, &first);
    snprintf(out->first_fault, sizeof out->first_fault, "%s", first);
    out->last_seq = s->head.last_seq;
    out->lost_records = s->lost;
    out->base_seq = s->base_seq;
    out->rebuilt = s->base_seq == 0;
    uint64_t next = s->n > 0 ? s->record[0].seq : s->head.last_seq;
    for (size_t i = 0; i < s->n && s->record[i].seq == next; i++)
        next++;
    out->lost_first = s->lost > 0 ? next : 0;
    out->cut_from = s->reach < s->head.last_seq ? s->reach + 1 : 0;
    for (size_t i = s->n; out->cut_from > 0 && i > 0 && s->record[i - 1].seq > s->reach; i--)
        if (event_decode(s->record[i - 1].at, s->record[i - 1].n, &r->event, NULL) == STATUS_OK)
            count_cut(out, &r->event);
}

/* ---- folding */

static void on_evict(void *ctx, uint64_t seq, const struct label_book *book)
{
    struct repair *r = ctx;
    failed(r, batch_book(r->batch, seq, book));
}

/* The record of a decision; NULL: it cannot be read. */
static const struct event *decision(struct repair *r, uint64_t seq)
{
    const struct salvaged_record *found = salvage_record(&r->from, seq);
    if (found == NULL || event_decode(found->at, found->n, &r->decided, NULL) != STATUS_OK)
        return NULL;
    return &r->decided;
}

static void on_meter(void *ctx, const struct event *ev, const struct label_book *before,
                     const struct label_book *after)
{
    struct repair *r = ctx;
    struct meter_sums delta;
    struct meter *m = batch_meter(r->batch);
    int64_t most = router_params(r->from.base)->meter.keys;
    const struct event *of =
        ev->kind == EVENT_DECIDED ? ev : decision(r, ev->feedback.feedback.seq);
    if (of != NULL && !(of == ev ? meter_decided(m, ev, most, &delta)
                                 : meter_feedback(m, of, before, after, most, &delta)))
        no_memory(r);
}

static bool commit(struct repair *r)
{
    if (r->status != STATUS_OK || failed(r, db_commit(r->db, r->batch, r->problem)))
        return false;
    batch_reset(r->batch);
    return true;
}

static void put_item(void *ctx, const uint8_t key[ITEM_KEY_LEN], const void *bytes, size_t n)
{
    struct repair *r = ctx;
    failed(r, batch_item(r->batch, db_next_generation(r->db), key, ITEM_KEY_LEN, bytes, n));
}

static bool snapshot(struct repair *r)
{
    int g = db_next_generation(r->db);
    snapshot_write(r->from.base, g, put_item, r);
    batch_snapshot_end(r->batch, g, router_seq(r->from.base));
    return commit(r);
}

static bool fold(struct repair *r)
{
    struct router *router = r->from.base;
    router_on_evict(router, on_evict, r);
    if (r->report->rebuilt)
        router_on_meter(router, on_meter, r);
    for (uint64_t seq = router_seq(router) + 1; seq <= r->from.reach; seq++) {
        const struct salvaged_record *found = salvage_record(&r->from, seq);
        struct problem why = {0};
        if (event_decode(found->at, found->n, &r->event, NULL) != STATUS_OK ||
            router_apply(router, &r->event, &why) != STATUS_OK)
            return !failed(r, problem_set(r->problem, STATUS_INTERNAL, "",
                                          "record %" PRIu64 " cannot be applied: %s; restore a "
                                          "backup",
                                          seq, why.text));
        if (failed(r, batch_event(r->batch, &r->event)))
            return false;
        if (batch_events(r->batch) >= BATCH_EVENTS && !commit(r))
            return false;
    }
    return commit(r) && snapshot(r);
}

/* ---- what is taken over */

struct copying {
    struct repair *r;
    MDB_txn *txn;
    MDB_dbi to;
    uint64_t lost;
    int g; /* of the state: only this generation; else -1 */
    int rc;
};

static void copy_sealed(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                        size_t n)
{
    struct copying *c = ctx;
    MDB_val k = {key_len, (void *)(uintptr_t)key}, v = {n, (void *)(uintptr_t)value};
    if (c->g >= 0 && (key_len == 0 || key[0] != c->g))
        return;
    if (sealed_open(k, &v) != 0)
        c->lost++;
    else if (c->rc == 0)
        c->rc = sealed_put(c->txn, c->to, k, v.mv_data, v.mv_size);
}

static int copy_tables(struct repair *r, MDB_txn *txn)
{
    struct copying c = {.r = r, .txn = txn, .to = r->db->outcome};
    c.g = -1;
    pages_walk(r->from.pages, "outcome", copy_sealed, &c);
    r->report->lost_books = c.lost;
    c.to = r->db->rollup;
    c.lost = 0;
    pages_walk(r->from.pages, "rollup", copy_sealed, &c);
    r->report->lost_rollups = c.lost;
    c.to = r->db->state;
    c.g = r->from.base_g;
    pages_walk(r->from.pages, "state", copy_sealed, &c);
    return c.rc;
}

static int copy_records(struct repair *r, MDB_txn *txn)
{
    for (size_t i = 0; i < r->from.n && r->from.record[i].seq <= r->from.base_seq; i++) {
        struct seq_key at = seq_key(r->from.record[i].seq);
        MDB_val key = {sizeof at.at, at.at};
        MDB_val value = {r->from.record[i].n, (void *)(uintptr_t)r->from.record[i].at};
        int rc = mdb_put(txn, r->db->log, &key, &value, MDB_APPEND);
        if (rc != 0)
            return rc;
    }
    struct head head = {.last_seq = r->from.base_seq, .current = r->from.base_g};
    head.snapshot_seq[r->from.base_g] = r->from.base_seq;
    return head_put(txn, r->db, &head);
}

/* The audit's entries are chained, not sealed: what is damaged or gone, `purser audit --verify`
 * says of the new store as it would of the old one. */
static void copy_audit(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                       size_t n)
{
    struct copying *c = ctx;
    MDB_val k = {key_len, (void *)(uintptr_t)key}, v = {n, (void *)(uintptr_t)value};
    if (c->rc == 0)
        c->rc = mdb_put(c->txn, c->to, &k, &v, 0);
}

/* The identity, the audit, and what stands before the state that the fold begins at. */
static bool take_over(struct repair *r)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(r->db->env, NULL, 0, &txn);
    if (rc == 0)
        rc = identity_put(txn, r->db, r->from.identity);
    if (rc == 0) {
        struct copying c = {.r = r, .txn = txn, .to = r->db->audit};
        (void)pages_walk(r->from.pages, "audit", copy_audit, &c); /* none in a store of before */
        rc = c.rc;
    }
    if (rc == 0 && !r->report->rebuilt) {
        rc = copy_records(r, txn);
        if (rc == 0)
            rc = copy_tables(r, txn);
    }
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    else if (txn != NULL)
        mdb_txn_abort(txn);
    return rc == 0 || !failed(r, status_from_mdb(rc, r->db, "writing the new store", r->problem));
}

/* Refused requests are in no record, only in the sums: those that can be read are added again. */
static void on_rollup(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t n)
{
    struct repair *r = ctx;
    MDB_val v = {n, (void *)(uintptr_t)value};
    struct meter_sums all, refused = {0};
    struct meter_key k;
    if (key_len < 2 || !meter_key_get(key + 1, key_len - 1, &k))
        return;
    if (sealed_open((MDB_val){key_len, (void *)(uintptr_t)key}, &v) != 0) {
        r->report->lost_rollups++;
        return;
    }
    struct reader in = reader_over(v.mv_data, v.mv_size);
    sums_get(&in, &all);
    refused.v[METER_REFUSED] = all.v[METER_REFUSED];
    if (reader_done(&in) && refused.v[METER_REFUSED] > 0 &&
        !meter_add(batch_meter(r->batch), key + 1, key_len - 1, &refused,
                   router_params(r->from.base)->meter.keys))
        no_memory(r);
}

/* The marker that opening a new store has left names an identity that it no longer has. */
static bool reseal(struct repair *r, const char *dir)
{
    char marker[PATH_CAP];
    int n = snprintf(marker, sizeof marker, "%s/INITIALISED", dir);
    if (n < PATH_CAP)
        unlink(marker);
    return !failed(r, place_seal(dir, db_store_id(r->db), r->problem));
}

static enum status build(void *ctx, const char *dir, struct problem *problem)
{
    struct repair *r = ctx;
    struct db_options o = {.create = true};
    r->status = db_open(dir, &o, &r->db, problem);
    if (r->status != STATUS_OK)
        return r->status;
    r->batch = batch_new();
    if (r->batch == NULL)
        no_memory(r);
    else if (take_over(r) && reseal(r, dir) && fold(r) && r->report->rebuilt) {
        pages_walk(r->from.pages, "rollup", on_rollup, r);
        batch_meter_due(r->batch);
        (void)commit(r);
    }
    batch_free(r->batch);
    db_close(r->db);
    return r->status;
}

enum status store_repair(const char *dir, const char *to, bool drop, struct repair_report *out,
                         struct problem *problem)
{
    struct repair *r = calloc(1, sizeof *r);
    int lock = -1;
    *out = (struct repair_report){0};
    if (r == NULL)
        return problem_set(problem, STATUS_UNAVAILABLE, dir, "no memory for the repair");
    r->report = out;
    r->problem = problem;
    enum status s = place_held(dir, &lock, problem);
    if (s == STATUS_OK)
        s = salvage_open(dir, &r->from, problem);
    if (s == STATUS_OK)
        say_lost(r);
    if (s == STATUS_OK && !drop && (out->lost_records > 0 || out->cut_from > 0))
        s = problem_set(problem, STATUS_CONFLICT, dir,
                        "%s: records would be lost; --drop says that they may be", dir);
    if (s == STATUS_OK)
        s = copies_make(build, r, to, false, &out->verified, problem);
    salvage_close(&r->from);
    place_let_go(lock);
    free(r);
    return s;
}
