/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_DB_INSIDE_H
#define PURSER_STORE_DB_INSIDE_H

#include <lmdb.h>
#include <stdatomic.h>
#include "core/router/generations.h"
#include "store/db.h"

/*
 * What the files of the store share: the body of a db, and sealed values. db_place looks after the
 * directory, db after the environment and meta, db_commit writes, db_read reads and recovers.
 */
enum { SCHEMA = 1, PATH_CAP = 512, CHUNK_RECORDS = 4096, BESIDE_RECORDS = 128 };

/* The moving part of meta: written by every commit, so one value. */
struct head {
    uint64_t last_seq;
    uint64_t snapshot_seq[GENERATIONS]; /* 0 = none, or none that is whole */
    int current;                        /* the newest; -1 = none */
};
enum { HEAD_LEN = 9 + 8 * GENERATIONS };
/* head_read takes a head out of its bytes; false: it is none. head_base gives the generation before
 * the newest, -1 = none; head_next the one to be written next: what it holds is needed least. */
bool head_read(const void *bytes, size_t n, struct head *out);
int head_base(const struct head *head);
int head_next(const struct head *head);

struct db {
    MDB_env *env;
    MDB_dbi log, state, outcome, meta, rollup, audit;
    atomic_llong other;         /* additions to "other" in the rollups */
    bool has_rollup, has_audit; /* false: a store of before, opened to be read */
    char dir[PATH_CAP];
    int lock_fd; /* -1 = read only */
    bool read_only;
    atomic_bool broken;  /* a commit failed for good */
    uint64_t commits;    /* writer thread: for the reader check now and then */
    uint64_t file_reach; /* writer thread: bytes that the data file is known to have */
    uint64_t seed;
    uint8_t mac_key[16];
    char store_id[33];
};

/* status_from_mdb translates an LMDB or errno code (not 0), the only place that does. */
enum status status_from_mdb(int rc, const struct db *db, const char *doing,
                            struct problem *problem);
/* db_damaged says that the store's contents are wrong. */
enum status db_damaged(const struct db *db, struct problem *problem, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Sealed values are followed by the CRC-32C of key and value: a value under the wrong key is
 * detected like a flipped bit. sealed_put fits values up to SEALED_MAX. sealed_get gives the value
 * (borrowed from the transaction) in *value, or an mdb code; MDB_CORRUPTED when the seal is wrong.
 */
int sealed_put(MDB_txn *txn, MDB_dbi dbi, MDB_val key, const void *bytes, size_t n);
int sealed_get(MDB_txn *txn, MDB_dbi dbi, MDB_val key, MDB_val *value);
int sealed_open(MDB_val key, MDB_val *value);

struct seq_key {
    uint8_t at[8]; /* big-endian: the order of bytes is the order of numbers */
};
struct seq_key seq_key(uint64_t seq);
uint64_t seq_of(MDB_val key); /* 0 if it is not a key of the log */

int head_get(MDB_txn *txn, const struct db *db, struct head *out);
int head_put(MDB_txn *txn, const struct db *db, const struct head *head);
/* rollup_put adds what the batch has metered to the rollups (rollup.c); before: the head before it.
 */
struct batch;
int rollup_put(struct db *db, MDB_txn *txn, const struct batch *b, const struct head *before);
/* audit_put writes the batch's entries of the audit (audit.c). */
int audit_put(struct db *db, MDB_txn *txn, const struct batch *b);
/* db_grow makes sure that the data file covers its last page and `more` bytes beyond. */
int db_grow(struct db *db, uint64_t more);

/* identity_put gives a new store the identity of another. */
enum { IDENTITY_LEN = 40 };
int identity_put(MDB_txn *txn, struct db *db, const uint8_t identity[IDENTITY_LEN]);

/* place_check refuses a directory or data file that must not be opened; place_lock keeps a second
 * writer out (gives the descriptor); place_renew, under that lock, empties a data file that an
 * earlier start did not get beyond its first page of, so that it never held anything; place_seal
 * makes a new store's names durable and leaves the marker. */
enum status place_check(const char *dir, const struct db_options *options, struct problem *problem);
enum status place_lock(const char *dir, int *fd, struct problem *problem);
void place_renew(const char *dir);
/* place_held keeps writers out while a store is read that nobody may write to meanwhile; it writes
 * nothing. place_let_go ends it; -1 is let go of already. */
enum status place_held(const char *dir, int *fd, struct problem *problem);
void place_let_go(int fd);
enum status place_seal(const char *dir, const char *store_id, struct problem *problem);
enum status place_sync(const char *path, struct problem *problem);

/* db_recover_pair loads both snapshots (base may be the empty state) in one transaction. */
enum status db_recover_pair(struct db *db, struct router *base, struct router *current,
                            struct head *head, struct problem *problem);
/* db_replay applies the log after the router's seq up to `until`, which must exist. */
enum status db_replay(struct db *db, uint64_t until, struct router *router,
                      void (*progress)(void *ctx, uint64_t done, uint64_t of), void *ctx,
                      struct problem *problem);
/* db_head reads the head in a transaction of its own. */
enum status db_head(struct db *db, struct head *out, struct problem *problem);

#endif
