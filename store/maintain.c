/* SPDX-License-Identifier: MIT */
/*
 * Maintenance. Verifying folds the log twice over the same stretch, once by the service (its newest
 * snapshot) and once here (from the older snapshot), and demands the same digest: if a record, an
 * item or the fold itself went wrong anywhere between, the two differ. Everything is pinned at the
 * start, so a service may go on writing meanwhile.
 * A copy is made under a temporary name beside its target, verified there, synced, then renamed:
 * the target either does not exist or is whole and proven. Restoring is copying the other way.
 * Rejected: cp of a live file (pages of two moments); trusting mdb_env_copy2 (it syncs nothing).
 */
#include "store/maintain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/snapshot.h"
#include "store/db_inside.h"
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
    enum status s = db_open(dir, &(struct db_options){.read_only = true}, &c->db, problem);
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

static void remove_file(const char *dir, const char *name)
{
    char path[PATH_CAP];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (n > 0 && n < PATH_CAP)
        unlink(path);
}

static void remove_copy(const char *dir)
{
    remove_file(dir, "data.mdb");
    remove_file(dir, "lock.mdb");
    remove_file(dir, "INITIALISED");
    rmdir(dir);
}

/* Copies the environment of db into the empty directory `to` and makes it durable. */
static enum status copy_into(struct db *db, const char *to, struct problem *problem)
{
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

static enum status refuse_target(const char *to, int error, struct problem *problem)
{
    bool taken = error == EEXIST || error == ENOTEMPTY || error == ENOTDIR;
    return problem_set(problem, taken ? STATUS_CONFLICT : STATUS_UNAVAILABLE, to, "%s: %s; %s", to,
                       strerror(error),
                       taken ? "name a directory that does not exist yet" : "nothing was changed");
}

/* Puts the copy in its place. Over an empty directory only if `empty_ok`. */
static enum status place_copy(const char *temp, const char *to, bool empty_ok,
                              struct problem *problem)
{
    char parent[PATH_CAP];
    int rc =
        empty_ok ? rename(temp, to) : renameat2(AT_FDCWD, temp, AT_FDCWD, to, RENAME_NOREPLACE);
    if (rc != 0)
        return refuse_target(to, errno, problem);
    int n = snprintf(parent, sizeof parent, "%s/..", to);
    return n < PATH_CAP ? place_sync(parent, problem) : STATUS_OK;
}

/* The early answer for a target that the rename would refuse, before hours of copying. */
static enum status check_target(const char *to, bool empty_ok, struct problem *problem)
{
    struct stat st;
    if (lstat(to, &st) != 0)
        return errno == ENOENT ? STATUS_OK : refuse_target(to, errno, problem);
    DIR *d = empty_ok ? opendir(to) : NULL;
    if (d == NULL)
        return refuse_target(to, empty_ok ? errno : EEXIST, problem);
    bool empty = true;
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        empty = empty && e->d_name[strspn(e->d_name, ".")] == 0;
    closedir(d);
    return empty ? STATUS_OK : refuse_target(to, ENOTEMPTY, problem);
}

static enum status copy_store(struct db *from, const char *to, bool empty_ok,
                              struct verify_report *out, struct problem *problem)
{
    char temp[PATH_CAP];
    size_t n = strlen(to);
    while (n > 1 && to[n - 1] == '/')
        n--;
    enum status s = check_target(to, empty_ok, problem);
    if (s != STATUS_OK)
        return s;
    int written = snprintf(temp, sizeof temp, "%.*s.partial-XXXXXX", (int)n, to);
    if (n == 0 || n > PATH_CAP - 64 || written >= PATH_CAP)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "target: path of %zu bytes", n);
    if (mkdtemp(temp) == NULL) /* mode 0700 */
        return refuse_target(temp, errno, problem);
    s = copy_into(from, temp, problem);
    if (s == STATUS_OK)
        s = store_verify(temp, NULL, NULL, out, problem);
    remove_file(temp, "lock.mdb");
    if (s == STATUS_OK)
        s = place_sync(temp, problem);
    if (s == STATUS_OK)
        s = place_copy(temp, to, empty_ok, problem);
    if (s != STATUS_OK)
        remove_copy(temp);
    return s;
}

static enum status copy_directory(const char *from, const char *to, bool empty_ok,
                                  struct verify_report *out, struct problem *problem)
{
    struct db *db = NULL;
    enum status s = db_open(from, &(struct db_options){.read_only = true}, &db, problem);
    if (s != STATUS_OK)
        return s;
    s = copy_store(db, to, empty_ok, out, problem);
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
    return copy_store(db, to, false, out, problem);
}

enum status store_restore(const char *from, const char *dir, struct verify_report *out,
                          struct problem *problem)
{
    return copy_directory(from, dir, true, out, problem);
}
