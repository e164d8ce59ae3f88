/* SPDX-License-Identifier: MIT */
/* Not sealed like other values: the chain of hashes is the stronger seal, and what is damaged must
 * be readable to be named. */
#include "store/audit.h"

#include "store/batch_inside.h"
#include "store/db_inside.h"

static enum status begin(struct db *db, MDB_txn **txn, MDB_cursor **cursor, struct problem *problem)
{
    int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, txn);
    if (rc == 0) {
        rc = mdb_cursor_open(*txn, db->audit, cursor);
        if (rc != 0)
            mdb_txn_abort(*txn);
    }
    return rc != 0 ? status_from_mdb(rc, db, "reading the audit", problem) : STATUS_OK;
}

enum status audit_scan(struct db *db, uint64_t from, uint64_t to,
                       bool (*visit)(void *ctx, uint64_t number, const uint8_t *bytes, size_t n),
                       void *ctx, uint64_t *last, struct problem *problem)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    struct seq_key at = seq_key(from);
    MDB_val key, value;
    *last = 0;
    if (!db->has_audit)
        return STATUS_OK;
    enum status s = begin(db, &txn, &cursor, problem);
    if (s != STATUS_OK)
        return s;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    if (rc == 0) {
        *last = seq_of(key);
        key = (MDB_val){sizeof at.at, at.at};
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    }
    while (rc == 0 && (to == 0 || seq_of(key) <= to) &&
           visit(ctx, seq_of(key), value.mv_data, value.mv_size))
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return rc == 0 || rc == MDB_NOTFOUND ? STATUS_OK
                                         : status_from_mdb(rc, db, "reading the audit", problem);
}

int audit_put(struct db *db, MDB_txn *txn, const struct batch *b)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < b->n_audits; i++) {
        struct seq_key at = seq_key(b->audit[i].number);
        MDB_val key = {sizeof at.at, at.at};
        MDB_val value = {b->audit[i].bytes.n, b->arena.at + b->audit[i].bytes.at};
        rc = mdb_put(txn, db->audit, &key, &value, MDB_APPEND);
    }
    return rc;
}
