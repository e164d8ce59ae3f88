/* SPDX-License-Identifier: MIT */
/*
 * Maintenance. Verifying folds the log twice over the same stretch, once by the service (its newest
 * snapshot) and once here (from the older snapshot), and demands the same digest: if a record, an
 * item or the fold itself went wrong anywhere between, the two differ. Everything is pinned at the
 * start, so a service may go on writing meanwhile.
 * Restoring is copying (copies.h) the other way.
 * Rejected: cp of a live file (pages of two moments); trusting mdb_env_copy2 (it syncs nothing).
 */
#include "store/maintain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include "core/router/snapshot.h"
#include "store/copies.h"
#include "store/db_inside.h"
#include "store/pages.h"
#include "store/rollup.h"

enum {
    OPEN_AT_FIRST = 64
}; /* the log's STARTED records and the snapshots say how many it really is */

struct check {
    struct db *db;
    struct router *base, *current;
    struct head head;
    void (*progress)(void *ctx, uint64_t done, uint64_t of);
    void *ctx;
};

static bool keep_going(void *ctx, const struct event *e)
{
    (void)ctx, (void)e; /* scanning is checking */
    return true;
}

static enum status check_open(struct check *c, const char *dir, struct problem *problem)
{
    struct router_init init = {.max_open = OPEN_AT_FIRST};
    enum status s = pages_check(dir, problem); /* before LMDB follows what the pages say */
    if (s == STATUS_OK)
        s = db_open(dir, &(struct db_options){.read_only = true}, &c->db, problem);
    if (s != STATUS_OK)
        return s;
    db_init(c->db, &init);
    c->base = router_new(&init);
    c->current = router_new(&init);
    if (c->base == NULL || c->current == NULL)
        return problem_set(problem, STATUS_UNAVAILABLE, dir, "%s: no memory to verify it", dir);
    return db_recover_pair(c->db, c->base, c->current, &c->head, problem);
}

static void check_close(struct check *c)
{
    router_free(c->base);
    router_free(c->current);
    db_close(c->db);
}

/* Replays from the older snapshot to the newer one, compares, and goes on to the end. */
static enum status check_fold(struct check *c, struct verify_report *out, struct problem *problem)
{
    const struct head *head = &c->head;
    out->seq = head->last_seq;
    out->from_seq = router_seq(c->base);
    if (head->current >= 0) {
        enum status s = db_replay(c->db, head->snapshot_seq[head->current], c->base, c->progress,
                                  c->ctx, problem);
        if (s != STATUS_OK)
            return s;
        uint64_t replayed = snapshot_digest(c->base), stored = snapshot_digest(c->current);
        if (replayed != stored)
            return db_damaged(c->db, problem,
                              "at record %" PRIu64 " replay gives %016" PRIx64
                              ", the snapshot %016" PRIx64,
                              router_seq(c->base), replayed, stored);
    }
    enum status s = db_replay(c->db, head->last_seq, c->base, c->progress, c->ctx, problem);
    out->records = router_seq(c->base) - out->from_seq;
    out->digest = snapshot_digest(c->base);
    return s;
}

enum status store_verify(const char *dir, void (*progress)(void *ctx, uint64_t done, uint64_t of),
                         void *ctx, struct verify_report *out, struct problem *problem)
{
    struct check c = {.progress = progress, .ctx = ctx};
    struct verify_report report = {0};
    enum status s = check_open(&c, dir, problem);
    if (s == STATUS_OK)
        s = check_fold(&c, &report, problem);
    if (s == STATUS_OK && report.from_seq > 0) /* the records before it are not folded: read them */
        s = db_scan(c.db, 1, report.from_seq, keep_going, NULL, problem);
    if (s == STATUS_OK)
        s = rollup_check(c.db, &report.rollups, problem);
    check_close(&c);
    if (s != STATUS_OK)
        return s;
    report.ok = true;
    *out = report;
    return STATUS_OK;
}

/* ---- copies */

/* Copies the environment of db into the empty directory `to` and makes it durable. */
static enum status copy_into(void *ctx, const char *to, struct problem *problem)
{
    struct db *db = ctx;
    char path[PATH_CAP];
    enum status s = STATUS_OK;
    int rc = mdb_env_copy2(db->env, to, MDB_CP_COMPACT);
    int n = snprintf(path, sizeof path, "%s/data.mdb", to);
    if (rc == 0 && (n >= PATH_CAP || chmod(path, 0600) != 0))
        rc = errno;
    if (rc != 0)
        s = status_from_mdb(rc, db, "copying", problem);
    if (s == STATUS_OK)
        s = place_sync(path, problem);
    if (s == STATUS_OK)
        s = place_seal(to, db_store_id(db), problem);
    return s;
}

static enum status copy_directory(const char *from, const char *to, bool empty_ok,
                                  struct verify_report *out, struct problem *problem)
{
    struct db *db = NULL;
    enum status s = db_open(from, &(struct db_options){.read_only = true}, &db, problem);
    if (s != STATUS_OK)
        return s;
    s = copies_make(copy_into, db, to, empty_ok, out, problem);
    db_close(db);
    return s;
}

enum status store_backup(const char *dir, const char *to, struct verify_report *out,
                         struct problem *problem)
{
    return copy_directory(dir, to, false, out, problem);
}

enum status store_backup_open(struct db *db, const char *to, struct verify_report *out,
                              struct problem *problem)
{
    return copies_make(copy_into, db, to, false, out, problem);
}

enum status store_restore(const char *from, const char *dir, struct verify_report *out,
                          struct problem *problem)
{
    return copy_directory(from, dir, true, out, problem);
}
