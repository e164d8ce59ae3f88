/* SPDX-License-Identifier: MIT */
/*
 * The environment: opened once at its full size, with default durability (a commit has synced data,
 * then its meta page). Table meta holds `schema` (read before anything else, so that a newer store
 * is named and not misread), `identity` (store id, seed, key of decision ids; never changes) and
 * `head` (last sequence number and the snapshots, changed by every commit in its transaction).
 * No state is cached that a commit changes: readers on other threads take it from a transaction.
 * Rejected: NOMETASYNC (lost acknowledged records in 633 of 1,406 simulated power cuts), WRITEMAP
 * (SIGBUS on a full disk), a "closed cleanly" marker (recovery checks everything anyway).
 */
#include "store/db_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/event/bytes.h"

enum { NO_GENERATION = 255, READERS = 512 };
static const uint64_t gib = 1u << 30;

enum status status_from_mdb(int rc, const struct db *db, const char *doing, struct problem *problem)
{
    const char *dir = db->dir;
    switch (rc) {
    case MDB_MAP_FULL:
        return problem_set(problem, STATUS_STORAGE_FULL, dir,
                           "%s: %s: the map is full; raise map_gib and restart, or shorten "
                           "retention_days",
                           dir, doing);
    case ENOSPC:
    case EDQUOT:
        return problem_set(problem, STATUS_STORAGE_FULL, dir,
                           "%s: %s: the disk is full; free some space, service resumes by itself",
                           dir, doing);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_NOTFOUND:
        return problem_set(problem, STATUS_INTERNAL, dir,
                           "%s: %s: the store is damaged (%s); restore a backup", dir, doing,
                           mdb_strerror(rc));
    case EACCES:
    case EPERM:
    case EROFS:
        return problem_set(problem, STATUS_BAD_REQUEST, dir,
                           "%s: %s: %s; give this user access to it", dir, doing, mdb_strerror(rc));
    case ENOMEM:
        return problem_set(
            problem, STATUS_UNAVAILABLE, dir,
            "%s: %s: out of memory or address space; lower map_gib or raise the limit", dir, doing);
    default:
        return problem_set(problem, STATUS_UNAVAILABLE, dir,
                           "%s: %s: %s; restart when it is mended", dir, doing, mdb_strerror(rc));
    }
}

enum status db_damaged(const struct db *db, struct problem *problem, const char *fmt, ...)
{
    char what[160];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return problem_set(problem, STATUS_INTERNAL, db->dir, "%s: %s; restore a backup", db->dir,
                       what);
}

/* ---- values */

struct seq_key seq_key(uint64_t seq)
{
    struct seq_key k;
    for (int i = 0; i < 8; i++)
        k.at[i] = (uint8_t)(seq >> (56 - 8 * i));
    return k;
}

uint64_t seq_of(MDB_val key)
{
    const uint8_t *p = key.mv_data;
    uint64_t seq = 0;
    for (size_t i = 0; key.mv_size == 8 && i < 8; i++)
        seq = seq << 8 | p[i];
    return seq;
}

static uint32_t seal(MDB_val key, const void *bytes, size_t n)
{
    return crc32c(bytes, n, crc32c(key.mv_data, key.mv_size, 0));
}

int sealed_put(MDB_txn *txn, MDB_dbi dbi, MDB_val key, const void *bytes, size_t n)
{
    MDB_val value = {n + 4, NULL};
    int rc = mdb_put(txn, dbi, &key, &value, MDB_RESERVE);
    if (rc != 0)
        return rc;
    struct filler w = filler_over(value.mv_data, n + 4);
    put_raw(&w, bytes, n);
    put_u32(&w, seal(key, bytes, n));
    return 0;
}

int sealed_open(MDB_val key, MDB_val *value)
{
    if (value->mv_size < 4)
        return MDB_CORRUPTED;
    size_t n = value->mv_size - 4;
    struct reader r = reader_over((const uint8_t *)value->mv_data + n, 4);
    if (get_u32(&r) != seal(key, value->mv_data, n))
        return MDB_CORRUPTED;
    value->mv_size = n;
    return 0;
}

int sealed_get(MDB_txn *txn, MDB_dbi dbi, MDB_val key, MDB_val *value)
{
    int rc = mdb_get(txn, dbi, &key, value);
    return rc != 0 ? rc : sealed_open(key, value);
}

static MDB_val name_key(const char *name)
{
    /* LMDB never writes through a key; its type has no const. */
    union {
        const char *in;
        void *out;
    } cast = {.in = name};
    return (MDB_val){strlen(name), cast.out};
}

bool head_read(const void *bytes, size_t n, struct head *out)
{
    struct reader r = reader_over(bytes, n);
    int generations = n == HEAD_LEN ? GENERATIONS : GENERATIONS - 1; /* a store of before */
    *out = (struct head){.last_seq = get_u64(&r)};
    for (int g = 0; g < generations; g++)
        out->snapshot_seq[g] = get_u64(&r);
    uint8_t current = get_u8(&r);
    out->current = current == NO_GENERATION ? -1 : current;
    return reader_done(&r) && out->current < generations;
}

int head_base(const struct head *head)
{
    int base = -1;
    for (int g = 0; g < GENERATIONS; g++)
        if (g != head->current && head->snapshot_seq[g] > 0 &&
            (base < 0 || head->snapshot_seq[g] > head->snapshot_seq[base]))
            base = g;
    return base;
}

int head_next(const struct head *head)
{
    int next = -1;
    for (int g = 0; g < GENERATIONS; g++)
        if (g != head->current && (next < 0 || head->snapshot_seq[g] < head->snapshot_seq[next]))
            next = g;
    return next;
}

int head_get(MDB_txn *txn, const struct db *db, struct head *out)
{
    MDB_val value;
    int rc = sealed_get(txn, db->meta, name_key("head"), &value);
    if (rc != 0)
        return rc;
    return head_read(value.mv_data, value.mv_size, out) ? 0 : MDB_CORRUPTED;
}

int head_put(MDB_txn *txn, const struct db *db, const struct head *head)
{
    uint8_t bytes[HEAD_LEN];
    struct filler w = filler_over(bytes, sizeof bytes);
    put_u64(&w, head->last_seq);
    for (int g = 0; g < GENERATIONS; g++)
        put_u64(&w, head->snapshot_seq[g]);
    put_u8(&w, (uint8_t)(head->current < 0 ? NO_GENERATION : head->current));
    return sealed_put(txn, db->meta, name_key("head"), bytes, sizeof bytes);
}

/* ---- identity */

static void identity_keep(struct db *db, const uint8_t *bytes)
{
    struct reader r = reader_over(bytes, IDENTITY_LEN);
    const uint8_t *id = get_raw(&r, 16);
    for (int i = 0; i < 16; i++)
        snprintf(db->store_id + 2 * i, 3, "%02x", id[i]);
    memcpy(db->mac_key, get_raw(&r, 16), 16);
    db->seed = get_u64(&r);
}

int identity_put(MDB_txn *txn, struct db *db, const uint8_t identity[IDENTITY_LEN])
{
    identity_keep(db, identity);
    return sealed_put(txn, db->meta, name_key("identity"), identity, IDENTITY_LEN);
}

/* Writes meta of a new store. */
static int identity_make(struct db *db, MDB_txn *txn, uint64_t seed)
{
    uint8_t identity[IDENTITY_LEN], schema[4];
    struct filler w = filler_over(schema, sizeof schema);
    put_u32(&w, SCHEMA);
    if (getrandom(identity, sizeof identity, 0) != (ssize_t)sizeof identity)
        return errno != 0 ? errno : EIO;
    if (seed != 0) {
        w = filler_over(identity + 32, 8);
        put_u64(&w, seed);
    }
    int rc = sealed_put(txn, db->meta, name_key("schema"), schema, sizeof schema);
    if (rc == 0)
        rc = identity_put(txn, db, identity);
    if (rc == 0)
        rc = head_put(txn, db, &(struct head){.current = -1});
    return rc;
}

static enum status identity_read(struct db *db, MDB_txn *txn, MDB_val schema,
                                 struct problem *problem)
{
    MDB_val value;
    struct head head;
    struct reader r = reader_over(schema.mv_data, schema.mv_size);
    uint32_t known = get_u32(&r);
    if (known != SCHEMA)
        return problem_set(problem, STATUS_BAD_REQUEST, db->dir,
                           "%s: written under schema %u, this program knows %d; use the program "
                           "that wrote it, or a newer one",
                           db->dir, known, SCHEMA);
    int rc = sealed_get(txn, db->meta, name_key("identity"), &value);
    if (rc == 0 && value.mv_size != IDENTITY_LEN)
        rc = MDB_CORRUPTED;
    if (rc != 0)
        return status_from_mdb(rc, db, "reading its identity", problem);
    identity_keep(db, value.mv_data);
    rc = head_get(txn, db, &head);
    if (rc != 0)
        return status_from_mdb(rc, db, "reading its head", problem);
    return STATUS_OK;
}

/* ---- opening */

static int tables_open(struct db *db, MDB_txn *txn)
{
    unsigned flags = db->read_only ? 0 : MDB_CREATE;
    int rc = mdb_dbi_open(txn, "meta", flags, &db->meta);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "log", flags, &db->log);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "state", flags, &db->state);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "outcome", flags, &db->outcome);
    if (rc != 0)
        return rc;
    rc = mdb_dbi_open(txn, "rollup", flags, &db->rollup);
    db->has_rollup = rc == 0;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    rc = mdb_dbi_open(txn, "audit", flags, &db->audit);
    db->has_audit = rc == 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Opens the tables and reads meta, or makes both; in one transaction, so that a store is whole or
 * not there. */
static enum status contents_open(struct db *db, uint64_t seed, struct problem *problem)
{
    MDB_txn *txn = NULL;
    MDB_val schema;
    enum status s = STATUS_OK;
    int rc = mdb_txn_begin(db->env, NULL, db->read_only ? MDB_RDONLY : 0, &txn);
    if (rc == 0)
        rc = tables_open(db, txn);
    if (rc == 0) {
        rc = sealed_get(txn, db->meta, name_key("schema"), &schema);
        MDB_stat log = {0};
        if (rc == 0)
            s = identity_read(db, txn, schema, problem);
        else if (rc == MDB_NOTFOUND && !db->read_only && mdb_stat(txn, db->log, &log) == 0 &&
                 log.ms_entries == 0)
            rc = identity_make(db, txn, seed);
    }
    if (rc != 0 || s != STATUS_OK) {
        if (txn != NULL)
            mdb_txn_abort(txn);
        return s != STATUS_OK ? s : status_from_mdb(rc, db, "opening", problem);
    }
    rc = mdb_txn_commit(txn);
    return rc != 0 ? status_from_mdb(rc, db, "opening", problem) : STATUS_OK;
}

static int env_open(struct db *db, const struct db_options *options)
{
    int64_t map = options->map_gib > 0 ? options->map_gib : 64;
    int rc = mdb_env_create(&db->env);
    if (rc != 0)
        return rc;
    mdb_env_set_maxdbs(db->env, 8);
    rc = mdb_env_set_maxreaders(db->env, READERS);
    if (rc == 0 && !db->read_only) /* a reader takes the size that the writer recorded */
        rc = mdb_env_set_mapsize(db->env, (size_t)map * gib);
    if (rc == 0)
        rc = mdb_env_open(db->env, db->dir, MDB_NOTLS | (db->read_only ? MDB_RDONLY : 0), 0600);
    mdb_filehandle_t fd;
    if (rc == 0 && mdb_env_get_fd(db->env, &fd) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        rc = errno;
    int dead;
    if (rc == 0)
        rc = mdb_reader_check(db->env, &dead);
    return rc;
}

static enum status open_all(struct db *db, const struct db_options *options,
                            struct problem *problem)
{
    enum status s = STATUS_OK;
    if (!db->read_only)
        s = place_lock(db->dir, &db->lock_fd, problem);
    if (s != STATUS_OK)
        return s;
    if (!db->read_only)
        place_renew(db->dir);
    int rc = env_open(db, options);
    if (rc == 0 && !db->read_only)
        rc = db_grow(db, 0);
    if (rc != 0)
        return status_from_mdb(rc, db, "opening", problem);
    s = contents_open(db, options->seed, problem);
    if (s == STATUS_OK && !db->read_only)
        s = place_seal(db->dir, db->store_id, problem);
    return s;
}

enum status db_open(const char *dir, const struct db_options *options, struct db **out,
                    struct problem *problem)
{
    enum status s = place_check(dir, options, problem);
    if (s != STATUS_OK)
        return s;
    struct db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory to open %s", dir);
    snprintf(db->dir, sizeof db->dir, "%s", dir);
    db->read_only = options->read_only;
    db->lock_fd = -1;
    s = open_all(db, options, problem);
    if (s != STATUS_OK) {
        db_close(db);
        return s;
    }
    *out = db;
    return STATUS_OK;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    if (db->env != NULL)
        mdb_env_close(db->env);
    if (db->lock_fd >= 0)
        close(db->lock_fd); /* last: the next writer may come in now */
    free(db);
}

void db_init(const struct db *db, struct router_init *init)
{
    init->seed = db->seed;
    memcpy(init->mac_key, db->mac_key, sizeof init->mac_key);
}

const char *db_store_id(const struct db *db)
{
    return db->store_id;
}
