/* SPDX-License-Identifier: MIT */
/*
 * Mutant: the records of a batch are committed in one transaction, the head (last sequence number,
 * snapshots) in the next. A kill between the two leaves a log that is longer than its watermark
 * says, or a snapshot overwritten under the old number. Linked with --wrap=head_put and
 * --wrap=mdb_txn_commit. Writer thread only, like what it replaces.
 */
#include "store/db_inside.h"

int __wrap_head_put(MDB_txn *txn, const struct db *db, const struct head *head);
int __real_head_put(MDB_txn *txn, const struct db *db, const struct head *head);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __real_mdb_txn_commit(MDB_txn *txn);

static const struct db *put_off_db; /* NULL: no head is owed */
static struct head put_off;

int __wrap_head_put(MDB_txn *txn, const struct db *db, const struct head *head)
{
    (void)txn;
    put_off_db = db;
    put_off = *head;
    return 0;
}

int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    const struct db *db = put_off_db;
    put_off_db = NULL;
    int rc = __real_mdb_txn_commit(txn);
    if (rc != 0 || db == NULL)
        return rc;
    rc = mdb_txn_begin(db->env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = __real_head_put(txn, db, &put_off);
    if (rc == 0)
        return __real_mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}
