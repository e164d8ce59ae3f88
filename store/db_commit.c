/* SPDX-License-Identifier: MIT */
/*
 * The one place that writes: a batch becomes one transaction, events, books, snapshot items,
 * rollups, pruning and the head together, so no crash can leave one without the others. Nothing is
 * acknowledged before mdb_txn_commit has returned 0. Full disk or full map: the transaction is
 * aborted, nothing was written, the environment goes on. Any other failure: LMDB or the kernel may
 * be of two minds about what is on disk, so the db refuses to write again and the process should
 * restart from what the disk says. For tests, the calls that can be made to lie are real calls
 * across objects: link with -Wl,--wrap=mdb_txn_commit,--wrap=mdb_put,--wrap=head_put and the like.
 * A mutant that writes the head in a transaction of its own, for one, wraps head_put; one that
 * acknowledges early wraps mdb_txn_commit.
 */
#include "store/db_inside.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "store/batch_inside.h"

enum { READER_CHECK_COMMITS = 1024, GROW_STEP = 4 << 20 };

/* LMDB leaves pages unwritten that a transaction took from the end of the file and freed again, so
 * the file may end before its last page. Extending it ahead (a hole: no blocks are used) keeps
 * "the file is shorter than its contents" a certain sign of truncation. */
int db_grow(struct db *db, uint64_t more)
{
    MDB_envinfo info;
    MDB_stat st;
    mdb_filehandle_t fd;
    if (mdb_env_info(db->env, &info) != 0 || mdb_env_stat(db->env, &st) != 0)
        return EINVAL;
    uint64_t want = ((uint64_t)info.me_last_pgno + 1) * st.ms_psize + more;
    if (want <= db->file_reach)
        return 0;
    struct stat file;
    int rc = mdb_env_get_fd(db->env, &fd);
    if (rc != 0 || fstat(fd, &file) != 0)
        return rc != 0 ? rc : errno;
    want = (want / GROW_STEP + 2) * GROW_STEP;
    if (want > (uint64_t)file.st_size && ftruncate(fd, (off_t)want) != 0)
        return errno == EFBIG ? ENOSPC : errno;
    db->file_reach = want;
    return 0;
}

static int put_events(struct db *db, MDB_txn *txn, const struct batch *b, struct head *head)
{
    for (size_t i = 0; i < b->n_events; i++) {
        struct seq_key at = seq_key(b->first_seq + i);
        MDB_val key = {sizeof at.at, at.at};
        MDB_val value = {b->event[i].n, b->arena.at + b->event[i].at};
        int rc = mdb_put(txn, db->log, &key, &value, MDB_APPEND);
        if (rc != 0)
            return rc;
    }
    if (b->n_events > 0)
        head->last_seq = batch_last_seq(b);
    return 0;
}

static int put_books(struct db *db, MDB_txn *txn, const struct batch *b)
{
    for (size_t i = 0; i < b->n_books; i++) {
        struct seq_key at = seq_key(b->book[i].seq);
        struct slice s = b->book[i].bytes;
        int rc =
            sealed_put(txn, db->outcome, (MDB_val){sizeof at.at, at.at}, b->arena.at + s.at, s.n);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Items ahead of their snapshot: what the generation held is none any more, also for who reads the
 * items without the head. */
static int begin_generation(struct db *db, MDB_txn *txn, int g, struct head *head)
{
    uint8_t at[1 + ITEM_KEY_LEN] = {(uint8_t)g};
    MDB_val key = {sizeof at, at};
    assert(g != head->current);
    head->snapshot_seq[g] = 0;
    snapshot_header_key(at + 1);
    int rc = mdb_del(txn, db->state, &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int put_items(struct db *db, MDB_txn *txn, const struct batch *b, struct head *head)
{
    for (size_t i = 0; i < b->n_items; i++) {
        struct batch_item_entry *item = &b->item[i];
        assert(item->key[0] == b->item[0].key[0]);
        int rc = sealed_put(txn, db->state, (MDB_val){sizeof item->key, item->key},
                            b->arena.at + item->bytes.at, item->bytes.n);
        if (rc != 0)
            return rc;
    }
    if (b->snapshot_g >= 0) {
        assert(b->snapshot_seq <= head->last_seq);
        head->snapshot_seq[b->snapshot_g] = b->snapshot_seq;
        head->current = b->snapshot_g;
    }
    return b->n_items > 0 && b->snapshot_g < 0 ? begin_generation(db, txn, b->item[0].key[0], head)
                                               : 0;
}

/* Everything after the older snapshot is kept, or the replay from it would have a gap; a missing
 * snapshot counts as one at 0, the empty state. The last record always stays. */
static uint64_t prune_limit(const struct head *head, uint64_t below)
{
    int base = head_base(head);
    uint64_t limit = (base < 0 ? 0 : head->snapshot_seq[base]) + 1;
    if (limit > head->last_seq)
        limit = head->last_seq;
    return below < limit ? below : limit;
}

static int prune_book(struct db *db, MDB_txn *txn, MDB_val key)
{
    int rc = mdb_del(txn, db->outcome, &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int prune(struct db *db, MDB_txn *txn, uint64_t limit, int64_t most)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, db->log, &cursor);
    if (rc != 0)
        return rc;
    for (int64_t i = 0; i < most; i++) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        uint64_t seq = rc == 0 ? seq_of(key) : 0;
        if (rc != 0 || seq >= limit)
            break;
        struct seq_key at = seq_key(seq);
        rc = mdb_cursor_del(cursor, 0);
        if (rc == 0)
            rc = prune_book(db, txn, (MDB_val){sizeof at.at, at.at});
        if (rc != 0)
            break;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int write_all(struct db *db, MDB_txn *txn, const struct batch *b, struct head *head)
{
    int rc = rollup_put(db, txn, b, head); /* first: it is told where the log ends so far */
    if (rc == 0)
        rc = put_events(db, txn, b, head);
    if (rc == 0)
        rc = put_books(db, txn, b);
    if (rc == 0)
        rc = put_items(db, txn, b, head);
    if (rc == 0)
        rc = audit_put(db, txn, b);
    if (rc == 0 && b->prune_below > 0)
        rc = prune(db, txn, prune_limit(head, b->prune_below), b->prune_most);
    if (rc == 0)
        rc = head_put(txn, db, head);
    return rc;
}

/* True when the batch continues the log that is on disk. */
static bool continues(const struct head *head, const struct batch *b)
{
    return b->n_events == 0 || b->first_seq == head->last_seq + 1;
}

/* After ENOSPC from a commit: the page write failed (harmless) or the meta write (LMDB has poisoned
 * the environment, every begin fails from now on). */
static bool poisoned(struct db *db)
{
    MDB_txn *txn;
    if (mdb_txn_begin(db->env, NULL, 0, &txn) != 0)
        return true;
    mdb_txn_abort(txn);
    return false;
}

/* A generous estimate of the bytes by which the batch can lengthen the file. */
static uint64_t growth(const struct batch *b)
{
    uint64_t deletes = b->prune_most < 10000 ? (uint64_t)b->prune_most : 10000;
    uint64_t puts = b->n_events + b->n_books + b->n_items + b->n_audits + b->meter.n;
    uint64_t pages = 64 + 3 * puts + 2 * deletes;
    return 2 * b->arena.n + pages * 4096;
}

/* A disk that fills up within a write makes it short, and LMDB calls a short write EIO. Nothing of
 * the transaction counts then, as after ENOSPC. */
static bool ran_full(const struct db *db, const struct batch *b)
{
    struct statvfs fs;
    mdb_filehandle_t fd;
    return mdb_env_get_fd(db->env, &fd) == 0 && fstatvfs(fd, &fs) == 0 &&
           (uint64_t)fs.f_bavail * fs.f_frsize < growth(b);
}

static enum status fail(struct db *db, const struct batch *b, int rc, struct problem *problem)
{
    struct problem p = {0};
    if (rc == EIO && ran_full(db, b))
        rc = ENOSPC;
    enum status s = status_from_mdb(rc, db, "committing", &p);
    if (s == STATUS_STORAGE_FULL && !poisoned(db)) {
        if (problem != NULL)
            *problem = p;
        return s;
    }
    atomic_store(&db->broken, true);
    return problem_set(problem, STATUS_UNAVAILABLE, db->dir,
                       "%s: committing: %s; nothing more is written, restart", db->dir,
                       mdb_strerror(rc));
}

enum status db_commit(struct db *db, const struct batch *b, struct problem *problem)
{
    MDB_txn *txn = NULL;
    struct head head;
    int dead;
    assert(!db->read_only);
    if (atomic_load(&db->broken))
        return problem_set(problem, STATUS_UNAVAILABLE, db->dir,
                           "%s: an earlier commit failed; restart", db->dir);
    if (db->commits++ % READER_CHECK_COMMITS == 0)
        mdb_reader_check(db->env, &dead);
    int rc = db_grow(db, growth(b));
    if (rc == 0)
        rc = mdb_txn_begin(db->env, NULL, 0, &txn);
    if (rc == 0)
        rc = head_get(txn, db, &head);
    if (rc == 0 && !continues(&head, b))
        rc = MDB_CORRUPTED;
    if (rc == 0)
        rc = write_all(db, txn, b, &head);
    if (rc == 0)
        rc = mdb_txn_commit(txn); /* frees txn whatever it returns */
    else if (txn != NULL)
        mdb_txn_abort(txn);
    return rc == 0 ? STATUS_OK : fail(db, b, rc, problem);
}
