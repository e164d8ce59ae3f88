/* SPDX-License-Identifier: MIT */
/*
 * Reading: records in short transactions (a reader that stays holds old pages and the file grows),
 * and recovery, which is a snapshot and the log after it folded again. Every record is decoded, so
 * its checksum is seen, and its own sequence number must be that of its key. Recovery also demands
 * that no number is missing: a gap would be silently wrong state.
 * What is read is pinned by number, not by transaction: records never change, they only go away
 * from the old end, and the end is read once at the start. Rejected: one transaction for a whole
 * recovery (minutes, for a log of 10^8 records).
 */
#include "store/db_inside.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "core/router/snapshot.h"

typedef bool (*visit_fn)(void *ctx, const struct event *e);

static enum status read_begin(struct db *db, MDB_txn **txn, struct problem *problem)
{
    int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, txn);
    return rc != 0 ? status_from_mdb(rc, db, "reading", problem) : STATUS_OK;
}

static enum status decode(struct db *db, MDB_val key, MDB_val value, struct event *e,
                          struct problem *problem)
{
    struct problem why = {0};
    uint64_t seq = seq_of(key);
    if (event_decode(value.mv_data, value.mv_size, e, &why) != STATUS_OK)
        return db_damaged(db, problem, "record %" PRIu64 ": %s", seq, why.text);
    if (e->seq != seq)
        return db_damaged(db, problem, "record %" PRIu64 " says it is %" PRIu64, seq, e->seq);
    return STATUS_OK;
}

enum status db_head(struct db *db, struct head *out, struct problem *problem)
{
    MDB_txn *txn;
    enum status s = read_begin(db, &txn, problem);
    if (s != STATUS_OK)
        return s;
    int rc = head_get(txn, db, out);
    mdb_txn_abort(txn);
    return rc != 0 ? status_from_mdb(rc, db, "reading its head", problem) : STATUS_OK;
}

int db_next_generation(const struct db *db)
{
    MDB_txn *txn;
    struct head head = {.current = -1};
    if (mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn) == 0) {
        int rc = head_get(txn, db, &head);
        mdb_txn_abort(txn);
        if (rc != 0)
            head.current = -1; /* the commit, which reads it too, will say so */
    }
    return head_next(&head);
}

/* ---- scan */

/* Records copied out of the store. Room for the longest, so one always fits; what is longer is
 * damaged, and its beginning is enough to be told so. */
struct copies {
    int n;
    size_t used;
    struct {
        uint64_t seq;
        size_t at, len;
    } record[BESIDE_RECORDS];
    uint8_t bytes[EVENT_BYTES_MAX];
};

static bool copy(struct copies *c, MDB_val key, MDB_val value)
{
    size_t len = value.mv_size < sizeof c->bytes ? value.mv_size : sizeof c->bytes;
    if (c->n == BESIDE_RECORDS || len > sizeof c->bytes - c->used)
        return false;
    memcpy(c->bytes + c->used, value.mv_data, len);
    c->record[c->n].seq = seq_of(key);
    c->record[c->n].at = c->used;
    c->record[c->n++].len = len;
    c->used += len;
    return true;
}

/* Visits some records from *from on, or, with copies, copies them; leaves in *from where to go on,
 * 0 = finished. */
static enum status scan_chunk(struct db *db, MDB_txn *txn, uint64_t *from, uint64_t to,
                              visit_fn visit, void *ctx, struct copies *copies,
                              struct problem *problem)
{
    struct seq_key at = seq_key(*from);
    MDB_val key = {sizeof at.at, at.at}, value;
    MDB_cursor *cursor;
    struct event e;
    enum status s = STATUS_OK;
    int rc = mdb_cursor_open(txn, db->log, &cursor);
    if (rc != 0)
        return status_from_mdb(rc, db, "reading the log", problem);
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (int n = 0; rc == 0; n++) {
        uint64_t seq = seq_of(key);
        bool past = to > 0 && seq > to;
        if (past || (copies ? !copy(copies, key, value) : n == CHUNK_RECORDS)) {
            *from = past ? 0 : seq;
            break;
        }
        if (!copies)
            s = decode(db, key, value, &e, problem);
        if (s != STATUS_OK || (!copies && !visit(ctx, &e))) {
            *from = 0;
            break;
        }
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (rc == MDB_NOTFOUND)
        *from = 0;
    else if (rc != 0)
        return status_from_mdb(rc, db, "reading the log", problem);
    return s;
}

static enum status visit_copies(struct db *db, struct copies *c, uint64_t *from, visit_fn visit,
                                void *ctx, struct problem *problem)
{
    enum status s = STATUS_OK;
    for (int i = 0; s == STATUS_OK && i < c->n; i++) {
        struct event e;
        struct seq_key at = seq_key(c->record[i].seq);
        s = decode(db, (MDB_val){sizeof at.at, at.at},
                   (MDB_val){c->record[i].len, c->bytes + c->record[i].at}, &e, problem);
        if (s == STATUS_OK && !visit(ctx, &e)) {
            *from = 0;
            break;
        }
    }
    c->n = 0;
    c->used = 0;
    return s;
}

/* When the service is another process, records are copied first and looked at after the
 * transaction: while one reads, pages that commits free are not used again, and a reader of low
 * priority may be put aside in the middle of it for long. */
enum status db_scan(struct db *db, uint64_t from, uint64_t to, visit_fn visit, void *ctx,
                    struct problem *problem)
{
    enum status s = STATUS_OK;
    struct copies *copies = NULL;
    MDB_txn *txn = NULL;
    if (db->read_only && (copies = calloc(1, sizeof *copies)) == NULL)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    if (from == 0)
        from = 1;
    while (s == STATUS_OK && from > 0) {
        int rc = txn ? mdb_txn_renew(txn) : 0;
        s = rc != 0 ? status_from_mdb(rc, db, "reading", problem)
            : txn   ? STATUS_OK
                    : read_begin(db, &txn, problem);
        if (s != STATUS_OK)
            break;
        s = scan_chunk(db, txn, &from, to, visit, ctx, copies, problem);
        mdb_txn_reset(txn); /* keeps its place in the table of readers, which has a lock */
        if (s == STATUS_OK && copies)
            s = visit_copies(db, copies, &from, visit, ctx, problem);
    }
    mdb_txn_abort(txn);
    free(copies);
    return s;
}

/* ---- single records */

enum status db_read_event(struct db *db, uint64_t seq, struct event *out, struct problem *problem)
{
    struct seq_key at = seq_key(seq);
    MDB_val key = {sizeof at.at, at.at}, value;
    MDB_txn *txn;
    struct event e;
    enum status s = read_begin(db, &txn, problem);
    if (s != STATUS_OK)
        return s;
    int rc = mdb_get(txn, db->log, &key, &value);
    if (rc == MDB_NOTFOUND)
        s = problem_set(problem, STATUS_UNKNOWN_DECISION, "", "there is no record %" PRIu64, seq);
    else if (rc != 0)
        s = status_from_mdb(rc, db, "reading the log", problem);
    else
        s = decode(db, key, value, &e, problem);
    mdb_txn_abort(txn);
    if (s != STATUS_OK)
        return s;
    if (e.kind == EVENT_CONFIGURED)
        e.configured.json = NULL; /* its bytes went with the transaction: scan for them */
    if (e.kind == EVENT_LEARNED)
        e.learned.bytes = NULL; /* likewise */
    *out = e;
    return STATUS_OK;
}

enum status db_read_book(struct db *db, uint64_t seq, struct label_book *out)
{
    struct seq_key at = seq_key(seq);
    MDB_val key = {sizeof at.at, at.at}, value;
    MDB_txn *txn;
    enum status s = read_begin(db, &txn, NULL);
    if (s != STATUS_OK)
        return s;
    int rc = sealed_get(txn, db->outcome, key, &value);
    if (rc == MDB_NOTFOUND)
        s = STATUS_UNKNOWN_DECISION;
    else if (rc != 0)
        s = status_from_mdb(rc, db, "reading an outcome", NULL);
    else
        s = book_decode(value.mv_data, value.mv_size, out);
    mdb_txn_abort(txn);
    return s;
}

/* ---- about the store */

/* Gives the ends of the log, 0 when it is empty. */
static int log_ends(MDB_txn *txn, const struct db *db, uint64_t *first, uint64_t *last)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    *first = *last = 0;
    int rc = mdb_cursor_open(txn, db->log, &cursor);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    if (rc == 0) {
        *first = seq_of(key);
        rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    }
    if (rc == 0)
        *last = seq_of(key);
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

enum status db_info(struct db *db, struct db_info *out, struct problem *problem)
{
    MDB_txn *txn;
    MDB_envinfo env;
    MDB_stat st;
    struct head head;
    enum status s = read_begin(db, &txn, problem);
    if (s != STATUS_OK)
        return s;
    struct db_info info = {.schema = SCHEMA};
    int rc = head_get(txn, db, &head);
    if (rc == 0)
        rc = log_ends(txn, db, &info.first_seq, &info.last_seq);
    mdb_txn_abort(txn);
    if (rc == 0)
        rc = mdb_env_info(db->env, &env);
    if (rc == 0)
        rc = mdb_env_stat(db->env, &st);
    if (rc != 0)
        return status_from_mdb(rc, db, "reading", problem);
    if (info.last_seq != head.last_seq)
        return db_damaged(db, problem, "the log ends at %" PRIu64 " instead of %" PRIu64,
                          info.last_seq, head.last_seq);
    memcpy(info.snapshot_seq, head.snapshot_seq, sizeof info.snapshot_seq);
    info.current = head.current;
    info.base = head_base(&head);
    info.file_bytes = ((uint64_t)env.me_last_pgno + 1) * st.ms_psize;
    *out = info;
    return STATUS_OK;
}

static bool keep_time(void *ctx, const struct event *e)
{
    *(int64_t *)ctx = e->time_ms;
    return false;
}

int64_t db_first_time(struct db *db)
{
    int64_t time_ms = 0;
    return db_scan(db, 1, 0, keep_time, &time_ms, NULL) == STATUS_OK ? time_ms : 0;
}

/* ---- recovery */

/* Loads all items of a generation into a fresh router, which must then stand at `seq`. */
static enum status load_generation(struct db *db, MDB_txn *txn, int g, uint64_t seq,
                                   struct router *router, struct problem *problem)
{
    uint8_t prefix = (uint8_t)g;
    MDB_val key = {1, &prefix}, value;
    MDB_cursor *cursor;
    enum status s = STATUS_OK;
    int rc = mdb_cursor_open(txn, db->state, &cursor);
    if (rc != 0)
        return status_from_mdb(rc, db, "reading the snapshot", problem);
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; rc == 0 && s == STATUS_OK; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        const uint8_t *k = key.mv_data;
        if (k[0] != prefix)
            break;
        if (key.mv_size != 1 + ITEM_KEY_LEN || sealed_open(key, &value) != 0)
            s = db_damaged(db, problem, "snapshot %d: an item has a wrong checksum", g);
        else
            s = snapshot_load(router, g, k + 1, value.mv_data, value.mv_size, problem);
    }
    mdb_cursor_close(cursor);
    if (s == STATUS_OK && rc != 0 && rc != MDB_NOTFOUND)
        return status_from_mdb(rc, db, "reading the snapshot", problem);
    if (s == STATUS_OK)
        s = snapshot_done(router, g, problem);
    if (s == STATUS_OK && router_seq(router) != seq)
        s = db_damaged(db, problem, "snapshot %d stands at %" PRIu64 " instead of %" PRIu64, g,
                       router_seq(router), seq);
    return s;
}

/* The generation to begin at; -1 = the empty state. */
static int pick(const struct head *head, enum generation which)
{
    return which == GENERATION_BASE ? head_base(head) : head->current;
}

static enum status load(struct db *db, MDB_txn *txn, const struct head *head, int g,
                        struct router *router, struct problem *problem)
{
    assert(router_seq(router) == 0);
    return g < 0 ? STATUS_OK : load_generation(db, txn, g, head->snapshot_seq[g], router, problem);
}

enum status db_recover_pair(struct db *db, struct router *base, struct router *current,
                            struct head *head, struct problem *problem)
{
    MDB_txn *txn;
    enum status s = read_begin(db, &txn, problem);
    if (s != STATUS_OK)
        return s;
    int rc = head_get(txn, db, head);
    s = rc != 0 ? status_from_mdb(rc, db, "reading its head", problem) : STATUS_OK;
    if (s == STATUS_OK && base != NULL)
        s = load(db, txn, head, pick(head, GENERATION_BASE), base, problem);
    if (s == STATUS_OK && current != NULL)
        s = load(db, txn, head, pick(head, GENERATION_CURRENT), current, problem);
    mdb_txn_abort(txn);
    return s;
}

struct replay {
    struct db *db;
    struct router *router;
    void (*progress)(void *ctx, uint64_t done, uint64_t of);
    void *ctx;
    uint64_t begin, until;
    enum status status;
    struct problem *problem;
};

static bool replay_visit(void *ctx, const struct event *e)
{
    struct replay *p = ctx;
    uint64_t next = router_seq(p->router) + 1;
    struct problem why = {0};
    if (e->seq != next)
        p->status = db_damaged(p->db, p->problem,
                               "records %" PRIu64 " to %" PRIu64 " are missing from the log", next,
                               e->seq - 1);
    else if (router_apply(p->router, e, &why) != STATUS_OK)
        p->status = db_damaged(p->db, p->problem, "record %" PRIu64 " cannot be applied: %s",
                               e->seq, why.text);
    if (p->progress != NULL && (e->seq - p->begin) % CHUNK_RECORDS == 0)
        p->progress(p->ctx, e->seq - p->begin, p->until - p->begin);
    return p->status == STATUS_OK;
}

enum status db_replay(struct db *db, uint64_t until, struct router *router,
                      void (*progress)(void *ctx, uint64_t done, uint64_t of), void *ctx,
                      struct problem *problem)
{
    uint64_t begin = router_seq(router);
    struct replay p = {db, router, progress, ctx, begin, until, STATUS_OK, problem};
    if (begin > until)
        return problem_set(problem, STATUS_BAD_REQUEST, db->dir,
                           "%s: the snapshot stands at %" PRIu64 ", after record %" PRIu64, db->dir,
                           begin, until);
    if (begin == until)
        return STATUS_OK;
    enum status s = db_scan(db, begin + 1, until, replay_visit, &p, problem);
    if (s == STATUS_OK)
        s = p.status;
    if (s == STATUS_OK && router_seq(router) != until)
        s = db_damaged(db, problem, "records %" PRIu64 " to %" PRIu64 " are missing from the log",
                       router_seq(router) + 1, until);
    return s;
}

enum status db_recover(struct db *db, enum generation which, uint64_t until, struct router *router,
                       void (*progress)(void *ctx, uint64_t done, uint64_t of), void *ctx,
                       struct problem *problem)
{
    struct head head;
    bool base = which == GENERATION_BASE;
    enum status s = db_recover_pair(db, base ? router : NULL, base ? NULL : router, &head, problem);
    if (s != STATUS_OK)
        return s;
    if (until == 0 || until > head.last_seq)
        until = head.last_seq;
    return db_replay(db, until, router, progress, ctx, problem);
}
