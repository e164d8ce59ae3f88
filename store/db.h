/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_DB_H
#define PURSER_STORE_DB_H

#include <stdbool.h>
#include <stdint.h>
#include "core/event/event.h"
#include "core/router/generations.h"
#include "core/router/router.h"
#include "core/status.h"
#include "store/batch.h"

/*
 * One LMDB environment, used synchronously: default sync (a commit returns when it is on disk), no
 * WRITEMAP, NOTLS readers, own flock on a file LOCK, directory fsynced at creation. Tables: log
 * (seq -> record), state (generation, item -> bytes), outcome (seq -> label book), rollup
 * (rollup.h), audit (audit.h), meta. The only file besides batch.c that includes <lmdb.h>.
 */
struct db;

struct db_options {
    int64_t map_gib; /* address space, default 64 */
    bool read_only;  /* another process may be writing */
    bool create;     /* make the directory and the store if absent */
    uint64_t seed;   /* for a new store; 0 = random */
};

/* db_open opens (or creates) the store in dir. Refuses, with a problem that says what and what to
 * do: a second writer, a network file system, a store of a newer schema, a damaged or emptied data
 * file. */
MUST_CHECK enum status db_open(const char *dir, const struct db_options *options, struct db **out,
                               struct problem *problem);
void db_close(struct db *db);

/* db_init gives what a router of this store is made of (seed and mac key from meta). */
void db_init(const struct db *db, struct router_init *init);
/* db_store_id gives the store's random identity in hexadecimal (33 bytes). */
const char *db_store_id(const struct db *db);

enum generation { GENERATION_CURRENT, GENERATION_BASE }; /* newest, the one before */
/* db_recover loads the chosen snapshot (if any) into a fresh router and replays the log after it,
 * up to `until` (0 = the end). Every record is checked (CRC, sequence without gaps); the problem
 * names the record. progress (may be NULL) is called now and then with records done and expected.
 */
MUST_CHECK enum status db_recover(struct db *db, enum generation which, uint64_t until,
                                  struct router *router,
                                  void (*progress)(void *ctx, uint64_t done, uint64_t of),
                                  void *ctx, struct problem *problem);
/* db_next_generation gives the generation that the next snapshot must write. */
int db_next_generation(const struct db *db);

/* db_commit writes the batch in one transaction and returns when it is durable. STORAGE_FULL:
 * nothing was written, the same batch may be committed again later. UNAVAILABLE: the environment
 * must not be used further: stop and restart. */
MUST_CHECK enum status db_commit(struct db *db, const struct batch *b, struct problem *problem);

/* db_scan calls visit for each record from..to (inclusive, 0 = end) in short read transactions;
 * visit returns false to stop. Safe beside a writer, in this or another process. Pruned records are
 * skipped. */
MUST_CHECK enum status db_scan(struct db *db, uint64_t from, uint64_t to,
                               bool (*visit)(void *ctx, const struct event *e), void *ctx,
                               struct problem *problem);
/* db_read_event and db_read_book read one record; UNKNOWN_DECISION if there is none. Of a
 * CONFIGURED record the document is left out (json NULL), of a LEARNED one the numbers: db_scan
 * gives them. */
MUST_CHECK enum status db_read_event(struct db *db, uint64_t seq, struct event *out,
                                     struct problem *problem);
MUST_CHECK enum status db_read_book(struct db *db, uint64_t seq, struct label_book *out);

struct db_info {
    uint64_t first_seq, last_seq;       /* of the log; 0 = empty */
    uint64_t snapshot_seq[GENERATIONS]; /* 0 = none, or none that is whole */
    int current, base; /* generations of the newest snapshot and the one before; -1 = none */
    uint64_t file_bytes;
    int schema;
};
MUST_CHECK enum status db_info(struct db *db, struct db_info *out, struct problem *problem);
/* db_first_time gives the time of the oldest record, 0 if none (for retention). */
int64_t db_first_time(struct db *db);

#endif
