/* SPDX-License-Identifier: MIT */
/*
 * Rollups on disk. A key is a kind, the hour and the labels (core/meter/meter.h), so an hour's rows
 * stand together and a range of time is a range of keys; a value is the sums. Each commit adds what
 * its batch has gathered to what is there: reading, adding and writing a few hundred neighbouring
 * rows costs little beside the sync. How many keys an hour has is a row of its own, so the bound
 * holds over restarts and costs no memory. Whole hours become days, oldest first, one a commit.
 * Rejected: sums in memory, written now and then (not the log's after a crash, or a replay at each
 * start); small numbers for labels (a second table and its bounds, to save bytes).
 */
#include "store/rollup.h"

#include <string.h>
#include "store/batch_inside.h"
#include "store/db_inside.h"

enum { KIND_DAY = 'd', KIND_HOUR = 'h', KIND_COUNT = 'n', KIND_STATE = 's' };
enum { ROW_KEY_MAX = 1 + METER_KEY_MAX, COUNT_KEY_LEN = 6, STATE_LEN = 32, DROP_MOST = 20000 };

struct row_key {
    uint8_t at[ROW_KEY_MAX];
    size_t n;
};

static MDB_val key_of(struct row_key *k)
{
    return (MDB_val){k->n, k->at};
}

static struct row_key row_key(int kind, const uint8_t *key, size_t n)
{
    struct row_key k = {.n = 1 + n};
    k.at[0] = (uint8_t)kind;
    if (n > 0) /* the whole kind has no key */
        memcpy(k.at + 1, key, n);
    return k;
}

static struct row_key row_key_of(int kind, const struct meter_key *key)
{
    uint8_t bytes[METER_KEY_MAX];
    size_t n = meter_key_put(key, bytes);
    return row_key(kind, bytes, n);
}

/* The first row of a kind from an hour on. */
static struct row_key row_from(int kind, uint32_t hour)
{
    uint8_t bytes[4] = {(uint8_t)(hour >> 24), (uint8_t)(hour >> 16), (uint8_t)(hour >> 8),
                        (uint8_t)hour};
    return row_key(kind, bytes, sizeof bytes);
}

/* ---- values */

static int sums_read(MDB_txn *txn, const struct db *db, struct row_key *k, struct meter_sums *out)
{
    MDB_val value;
    int rc = sealed_get(txn, db->rollup, key_of(k), &value);
    if (rc != 0)
        return rc;
    struct reader r = reader_over(value.mv_data, value.mv_size);
    sums_get(&r, out);
    return reader_done(&r) ? 0 : MDB_CORRUPTED;
}

static int sums_write(MDB_txn *txn, const struct db *db, struct row_key *k,
                      const struct meter_sums *sums)
{
    uint8_t bytes[METER_SUMS_LEN];
    struct filler w = filler_over(bytes, sizeof bytes);
    sums_put(&w, sums);
    return sealed_put(txn, db->rollup, key_of(k), bytes, sizeof bytes);
}

/* Adds to a row; MDB_NOTFOUND when there is none and `make` is false. */
static int row_add(MDB_txn *txn, const struct db *db, struct row_key *k,
                   const struct meter_sums *sums, bool make)
{
    struct meter_sums all;
    int rc = sums_read(txn, db, k, &all);
    if (rc == MDB_NOTFOUND && make) {
        memset(&all, 0, sizeof all);
        rc = 0;
    }
    if (rc != 0)
        return rc;
    meter_sums_add(&all, sums);
    return sums_write(txn, db, k, &all);
}

static int state_read(MDB_txn *txn, const struct db *db, struct rollup_state *out)
{
    MDB_val value;
    struct row_key k = row_key(KIND_STATE, NULL, 0);
    memset(out, 0, sizeof *out);
    int rc = sealed_get(txn, db->rollup, key_of(&k), &value);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    struct reader r = reader_over(value.mv_data, value.mv_size);
    out->seq = get_u64(&r);
    out->since = get_u64(&r);
    out->folded = get_u32(&r);
    out->dropped = get_u32(&r);
    out->other = get_i64(&r);
    return reader_done(&r) ? 0 : MDB_CORRUPTED;
}

static int state_write(MDB_txn *txn, const struct db *db, const struct rollup_state *s)
{
    uint8_t bytes[STATE_LEN];
    struct row_key k = row_key(KIND_STATE, NULL, 0);
    struct filler w = filler_over(bytes, sizeof bytes);
    put_u64(&w, s->seq);
    put_u64(&w, s->since);
    put_u32(&w, s->folded);
    put_u32(&w, s->dropped);
    put_i64(&w, s->other);
    return sealed_put(txn, db->rollup, key_of(&k), bytes, sizeof bytes);
}

/* ---- posting */

/* Counts one more key of an hour, if there is room. Refusals, which anybody can cause, have room of
 * their own. */
static int let_in(MDB_txn *txn, const struct db *db, const struct meter_key *k, int64_t most,
                  bool *in)
{
    MDB_val value;
    struct row_key count = row_from(KIND_COUNT, k->hour);
    count.at[count.n++] = k->arm == METER_NO_MODEL;
    int64_t n = 0;
    int rc = sealed_get(txn, db->rollup, key_of(&count), &value);
    if (rc == 0) {
        struct reader r = reader_over(value.mv_data, value.mv_size);
        n = get_i64(&r);
    } else if (rc != MDB_NOTFOUND) {
        return rc;
    }
    *in = n < most;
    if (!*in)
        return 0;
    uint8_t bytes[8];
    struct filler w = filler_over(bytes, sizeof bytes);
    put_i64(&w, n + 1);
    return sealed_put(txn, db->rollup, key_of(&count), bytes, sizeof bytes);
}

static int post_other(MDB_txn *txn, const struct db *db, int kind, const struct meter_key *k,
                      const struct meter_sums *sums, struct rollup_state *state)
{
    struct meter_key other;
    meter_key_other(k, &other);
    struct row_key row = row_key_of(kind, &other);
    state->other++;
    return row_add(txn, db, &row, sums, true);
}

static int post(MDB_txn *txn, const struct db *db, const struct meter *m,
                const struct meter_entry *e, struct rollup_state *state)
{
    struct meter_key k;
    bool in = false;
    if (!meter_key_get(m->keys + e->key_at, e->key_len, &k))
        return MDB_CORRUPTED;
    if (k.hour < state->dropped)
        return 0;
    bool day = k.hour < state->folded;
    if (day)
        k.hour -= k.hour % 24;
    struct row_key row = row_key_of(day ? KIND_DAY : KIND_HOUR, &k);
    int rc = row_add(txn, db, &row, &e->sums, false);
    if (rc != MDB_NOTFOUND)
        return rc;
    rc = day ? 0 : let_in(txn, db, &k, e->most, &in);
    if (rc != 0)
        return rc;
    return in ? row_add(txn, db, &row, &e->sums, true)
              : post_other(txn, db, day ? KIND_DAY : KIND_HOUR, &k, &e->sums, state);
}

/* ---- getting older */

/* Takes the oldest row of a kind below an hour out of the table; MDB_NOTFOUND when there is none.
 */
static int row_take(MDB_txn *txn, const struct db *db, int kind, uint32_t below,
                    struct meter_key *key, struct meter_sums *sums)
{
    struct row_key k = row_from(kind, 0);
    MDB_val at = key_of(&k), value;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, db->rollup, &cursor);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &at, &value, MDB_SET_RANGE);
    const uint8_t *bytes = at.mv_data;
    if (rc == 0 && bytes[0] != kind)
        rc = MDB_NOTFOUND;
    if (rc == 0 && !meter_key_get(bytes + 1, at.mv_size - 1, key))
        rc = MDB_CORRUPTED;
    if (rc == 0 && key->hour >= below)
        rc = MDB_NOTFOUND;
    if (rc == 0)
        rc = sealed_open(at, &value);
    if (rc == 0) {
        struct reader r = reader_over(value.mv_data, value.mv_size);
        sums_get(&r, sums);
        rc = mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
    return rc;
}

static int drop_count(MDB_txn *txn, const struct db *db, uint32_t hour, bool refusals)
{
    struct row_key count = row_from(KIND_COUNT, hour);
    count.at[count.n++] = refusals;
    MDB_val key = key_of(&count);
    int rc = mdb_del(txn, db->rollup, &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The oldest hour, as a whole, becomes part of its day: a day has at most the keys of its hours. */
static int fold_hour(MDB_txn *txn, const struct db *db, uint32_t below, struct rollup_state *state)
{
    struct meter_key k;
    struct meter_sums sums;
    int rc = row_take(txn, db, KIND_HOUR, below, &k, &sums);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    uint32_t hour = k.hour;
    while (rc == 0) {
        k.hour -= k.hour % 24;
        struct row_key row = row_key_of(KIND_DAY, &k);
        rc = row_add(txn, db, &row, &sums, true);
        if (rc == 0)
            rc = row_take(txn, db, KIND_HOUR, hour + 1, &k, &sums);
    }
    if (rc == MDB_NOTFOUND)
        rc = drop_count(txn, db, hour, false);
    if (rc == 0)
        rc = drop_count(txn, db, hour, true);
    if (hour + 1 > state->folded)
        state->folded = hour + 1;
    return rc;
}

static int drop_days(MDB_txn *txn, const struct db *db, uint32_t below, struct rollup_state *state)
{
    struct meter_key k;
    struct meter_sums sums;
    int rc = 0;
    for (int i = 0; rc == 0 && i < DROP_MOST; i++) {
        rc = row_take(txn, db, KIND_DAY, below, &k, &sums);
        if (rc == 0 && k.hour + 24 > state->dropped)
            state->dropped = k.hour + 24;
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int rollup_put(struct db *db, MDB_txn *txn, const struct batch *b, const struct head *before)
{
    struct rollup_state state;
    const struct meter *m = &b->meter;
    if (b->n_events == 0 && m->n == 0 && b->keep_hours == 0)
        return 0;
    int rc = state_read(txn, db, &state);
    int64_t other = state.other;
    if (rc == 0 && state.seq != before->last_seq)
        state.since = 0; /* somebody wrote records without adding them up */
    if (state.since == 0)
        state.since = before->last_seq + 1;
    for (size_t i = 0; rc == 0 && i < m->n; i++)
        rc = post(txn, db, m, &m->entry[i], &state);
    if (rc == 0 && b->keep_hours > 0)
        rc = fold_hour(txn, db, b->keep_hours, &state);
    if (rc == 0 && b->keep_days > 0)
        rc = drop_days(txn, db, b->keep_days, &state);
    state.seq = b->n_events > 0 ? batch_last_seq(b) : before->last_seq;
    atomic_fetch_add(&db->other, state.other - other);
    return rc == 0 ? state_write(txn, db, &state) : rc;
}

int64_t rollup_other(const struct db *db)
{
    return atomic_load(&db->other);
}

/* ---- reading */

typedef bool (*row_fn)(void *ctx, const struct meter_key *key, int hours,
                       const struct meter_sums *sums);

static int scan_kind(MDB_cursor *cursor, int kind, uint32_t from, uint32_t to, row_fn visit,
                     void *ctx)
{
    struct row_key k = row_from(kind, from);
    MDB_val at = key_of(&k), value;
    int rc = mdb_cursor_get(cursor, &at, &value, MDB_SET_RANGE);
    for (; rc == 0; rc = mdb_cursor_get(cursor, &at, &value, MDB_NEXT)) {
        struct meter_key key;
        struct meter_sums sums;
        const uint8_t *bytes = at.mv_data;
        if (bytes[0] != kind)
            break;
        if (!meter_key_get(bytes + 1, at.mv_size - 1, &key) || sealed_open(at, &value) != 0)
            return MDB_CORRUPTED;
        if (key.hour >= to)
            break;
        struct reader r = reader_over(value.mv_data, value.mv_size);
        sums_get(&r, &sums);
        if (!visit(ctx, &key, kind == KIND_DAY ? 24 : 1, &sums))
            return 0;
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

enum status rollup_scan(struct db *db, uint32_t from, uint32_t to, row_fn visit, void *ctx,
                        struct rollup_state *state, struct problem *problem)
{
    MDB_txn *txn;
    MDB_cursor *cursor = NULL;
    memset(state, 0, sizeof *state);
    if (!db->has_rollup)
        return STATUS_OK;
    int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return status_from_mdb(rc, db, "reading", problem);
    rc = state_read(txn, db, state);
    if (rc == 0)
        rc = mdb_cursor_open(txn, db->rollup, &cursor);
    if (rc == 0)
        rc = scan_kind(cursor, KIND_DAY, from, to, visit, ctx);
    if (rc == 0)
        rc = scan_kind(cursor, KIND_HOUR, from, to, visit, ctx);
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return rc != 0 ? status_from_mdb(rc, db, "reading the rollups", problem) : STATUS_OK;
}
