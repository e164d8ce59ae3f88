/* SPDX-License-Identifier: MIT */
/*
 * Bits that a disk flips, and what is left after: each flip anywhere in a store's file is found or
 * does no harm, and a repair saves what can be saved, says what cannot, and never touches the
 * original. PURSER_FLIPS says how many (1000 is the long run).
 * covers: D10 U9
 */
#include <inttypes.h>
#include "bandit/rng.h"
#include "store/audit.h"
#include "store/repair.h"
#include "tests/store_fx.h"

enum { FLIPS = 150 };

struct file {
    char *bytes;
    size_t n;
};

static void path_of(const char *dir, char out[128])
{
    snprintf(out, 128, "%s/data.mdb", dir);
}

static struct file slurp(const char *dir)
{
    char path[128];
    struct stat st;
    path_of(dir, path);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    struct file out = {malloc((size_t)st.st_size), (size_t)st.st_size};
    assert_int_equal(fread(out.bytes, 1, out.n, f), out.n);
    fclose(f);
    return out;
}

static void flip(const char *dir, size_t bit)
{
    char path[128];
    path_of(dir, path);
    int fd = open(path, O_RDWR);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
    byte ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
    close(fd);
}

static void remove_tree(const char *dir)
{
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Where a record is in the file: its first bit. */
static size_t bit_of(struct fx *fx, uint64_t seq)
{
    static uint8_t record[EVENT_BYTES_MAX];
    struct event e;
    ok(fx, open_store(fx, true));
    ok(fx, db_read_event(fx->db, seq, &e, &fx->problem));
    size_t len = event_encode(&e, record, sizeof record);
    close_store(fx);
    struct file f = slurp(fx->dir);
    char *at = memmem(f.bytes, f.n, record, len);
    assert_non_null(at);
    size_t bit = (size_t)(at - f.bytes + 8) * 8;
    free(f.bytes);
    return bit;
}

/* Without old copies of pages, so that the bytes of a record are in the file once. */
static void compact(struct fx *fx, struct verify_report *whole)
{
    close_store(fx);
    ok(fx, store_backup(fx->dir, fx->other, whole, &fx->problem));
    remove_tree(fx->dir);
    assert_int_equal(rename(fx->other, fx->dir), 0);
}

static void untouched(struct fx *fx, struct file before)
{
    struct file now = slurp(fx->dir);
    assert_int_equal(now.n, before.n);
    assert_memory_equal(now.bytes, before.bytes, before.n);
    free(now.bytes);
    free(before.bytes);
}

static enum status repair(struct fx *fx, bool drop, struct repair_report *r)
{
    struct file before = slurp(fx->dir);
    remove_tree(fx->other);
    enum status s = store_repair(fx->dir, fx->other, drop, r, &fx->problem);
    struct stat st;
    assert_int_equal(s == STATUS_OK, stat(fx->other, &st) == 0);
    untouched(fx, before);
    return s;
}

/* A flip anywhere: verification finds it, or finds the same state from the same records. */
static void test_bit_rot(void **state)
{
    struct fx *fx = *state;
    struct rng rng = rng_stream(17, 0, 0);
    struct verify_report whole, now;
    struct repair_report r;
    int flips = getenv("PURSER_FLIPS") ? atoi(getenv("PURSER_FLIPS")) : FLIPS;
    int each = getenv("PURSER_FLIPS") ? 1 : 5, found = 0, tried = 0, repaired = 0, cut = 0;
    live_history(fx);
    size_t bits = info(fx).file_bytes * 8;
    close_store(fx);
    ok(fx, store_verify(fx->dir, NULL, NULL, &whole, &fx->problem));
    for (int i = 0; i < flips; i++) {
        size_t bit = rng_below(&rng, bits);
        flip(fx->dir, bit);
        enum status s = store_verify(fx->dir, NULL, NULL, &now, &fx->problem);
        if (s == STATUS_OK) {
            assert_true(now.ok && now.seq == whole.seq && now.digest == whole.digest);
            assert_int_equal(now.rollups, whole.rollups);
        } else {
            assert_true(strlen(fx->problem.text) > 20);
            if (found++ % each == 0) {
                tried++;
                s = repair(fx, true, &r);
                if (s == STATUS_OK && r.cut_from == 0)
                    assert_true(r.verified.digest == whole.digest && r.verified.seq == whole.seq);
                repaired += s == STATUS_OK;
                cut += s == STATUS_OK && r.cut_from > 0;
            }
        }
        flip(fx->dir, bit);
    }
    print_message("%d flips: %d found, %d of %d repaired (%d of these with records cut off)\n",
                  flips, found, repaired, tried, cut);
    assert_true(found > flips / 20 && repaired > tried * 8 / 10);
    ok(fx, store_verify(fx->dir, NULL, NULL, &now, &fx->problem));
}

/* A record after the last snapshot: what follows goes too, only if that is allowed, and is told. */
static void test_tail(void **state)
{
    struct fx *fx = *state;
    struct verify_report whole;
    struct repair_report r;
    char text[64];
    live_history(fx);
    uint64_t last = info(fx).last_seq, bad = last - 9;
    uint64_t before = recovered_digest(fx, GENERATION_CURRENT, bad - 1);
    compact(fx, &whole);
    flip(fx->dir, bit_of(fx, bad));
    assert_int_equal(store_verify(fx->dir, NULL, NULL, &whole, &fx->problem), STATUS_INTERNAL);
    snprintf(text, sizeof text, "record %" PRIu64 ":", bad);
    assert_non_null(strstr(fx->problem.text, text));
    assert_int_equal(repair(fx, false, &r), STATUS_CONFLICT);
    ok(fx, repair(fx, true, &r));
    assert_int_equal(r.lost_records, 1);
    assert_int_equal(r.lost_first, bad);
    assert_int_equal(r.cut_from, bad);
    assert_int_equal(r.cut_decisions + r.cut_feedbacks + r.cut_others, 9);
    assert_true(r.cut_decisions >= 4 && r.cut_nano > 0);
    assert_int_equal(r.verified.seq, bad - 1);
    assert_true(r.verified.digest == before && r.rebuilt && r.verified.rollups > 0);
}

static bool on_entry(void *ctx, uint64_t number, const uint8_t *bytes, size_t n)
{
    uint64_t *entries = ctx;
    assert_int_equal(number, *entries + 1);
    assert_true(n == 5 && memcmp(bytes, number == 1 ? "first" : "other", 5) == 0);
    *entries = number;
    return true;
}

static void has_audit(struct fx *fx, const char *dir)
{
    struct db *db = NULL;
    struct db_options o = {.read_only = true};
    uint64_t entries = 0, last = 0;
    ok(fx, db_open(dir, &o, &db, &fx->problem));
    ok(fx, audit_scan(db, 1, 0, on_entry, &entries, &last, &fx->problem));
    assert_true(entries == 2 && last == 2);
    db_close(db);
}

/* Whatever becomes of the log, the audit goes with what is left of it. */
static void test_audit(void **state)
{
    struct fx *fx = *state;
    struct verify_report whole;
    struct repair_report r;
    live_history(fx);
    ok(fx, batch_audit(fx->batch, 1, "first", 5));
    ok(fx, batch_audit(fx->batch, 2, "other", 5));
    commit(fx);
    uint64_t last = info(fx).last_seq;
    compact(fx, &whole);
    flip(fx->dir, bit_of(fx, 40)); /* covered by a snapshot */
    ok(fx, repair(fx, true, &r));
    assert_false(r.rebuilt);
    has_audit(fx, fx->other);
    remove_tree(fx->other);
    flip(fx->dir, bit_of(fx, last - 9)); /* and one that none covers: all is made again, or cut */
    ok(fx, repair(fx, true, &r));
    has_audit(fx, fx->other);
}

/* A record that snapshots cover: the state is whole, the record alone is gone. */
static void test_covered(void **state)
{
    struct fx *fx = *state;
    struct verify_report whole, now;
    struct repair_report r;
    live_history(fx);
    compact(fx, &whole);
    flip(fx->dir, bit_of(fx, 40));
    assert_int_equal(repair(fx, false, &r), STATUS_CONFLICT);
    ok(fx, repair(fx, true, &r));
    assert_int_equal(r.lost_records, 1);
    assert_int_equal(r.lost_first, 40);
    assert_int_equal(r.cut_from, 0);
    assert_true(!r.rebuilt && r.base_seq > 40 && r.lost_books == 0 && r.lost_rollups == 0);
    assert_true(r.verified.digest == whole.digest && r.verified.seq == whole.seq);
    ok(fx, store_verify(fx->other, NULL, NULL, &now, &fx->problem));
}

static void prune_first(struct fx *fx, uint64_t below)
{
    batch_prune(fx->batch, below, 1000);
    commit(fx);
    assert_int_equal(info(fx).first_seq, below);
}

/* The log has been pruned and the newer snapshot cannot be read: the older one does. Nothing is
 * lost, so nobody needs to allow it. */
static void test_older_snapshot(void **state)
{
    struct fx *fx = *state;
    struct verify_report whole;
    struct repair_report r;
    live_history(fx);
    prune_first(fx, 100);
    struct db_info i = info(fx);
    char prefix = (char)i.current;
    compact(fx, &whole);
    ok(fx, open_store(fx, true));
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key = {1, &prefix}, value;
    assert_int_equal(mdb_txn_begin(fx->db->env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_cursor_open(txn, fx->db->state, &cursor), 0);
    assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE), 0);
    char item[64];
    memcpy(item, value.mv_data, sizeof item);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    close_store(fx);
    struct file f = slurp(fx->dir);
    int times = 0; /* the header of either generation may begin alike */
    for (char *at = f.bytes; (at = memmem(at, f.n - (size_t)(at - f.bytes), item, sizeof item));
         at++, times++)
        flip(fx->dir, (size_t)(at - f.bytes + 20) * 8);
    free(f.bytes);
    assert_int_equal(times, 1);
    assert_int_equal(store_verify(fx->dir, NULL, NULL, &whole, &fx->problem), STATUS_INTERNAL);
    struct verify_report was = whole;
    ok(fx, repair(fx, false, &r));
    assert_int_equal(r.lost_records, 0);
    assert_int_equal(r.base_seq, i.snapshot_seq[i.base]);
    assert_true(!r.rebuilt && r.verified.digest == was.digest && r.verified.seq == was.seq);
}

/* One meta page gone: LMDB refuses the file, the repair reads what the other one shows. */
static void test_meta_page(void **state)
{
    struct fx *fx = *state;
    struct repair_report r;
    live_history(fx);
    uint64_t last = info(fx).last_seq;
    close_store(fx);
    for (size_t page = 0; page < 2; page++) {
        flip(fx->dir, (page * 4096 + 16) * 8);
        assert_int_equal(open_store(fx, true), STATUS_INTERNAL);
        enum status s = repair(fx, true, &r);
        ok(fx, s);
        assert_true(r.faults > 0 && r.verified.seq + 30 > last);
        flip(fx->dir, (page * 4096 + 16) * 8);
    }
    /* A newest meta page that says it is old: LMDB would take the other, and lose a commit. */
    for (size_t page = 0; page < 2; page++) {
        flip(fx->dir, (page * 4096 + 16 + 128) * 8 + 3);
        assert_int_equal(open_store(fx, false), STATUS_INTERNAL);
        flip(fx->dir, (page * 4096 + 16 + 128) * 8 + 3);
    }
    ok(fx, open_store(fx, true));
}

/* A store in use is left alone; a target that exists too. */
static void test_refused(void **state)
{
    struct fx *fx = *state;
    struct repair_report r;
    live_history(fx);
    assert_int_equal(store_repair(fx->dir, fx->other, true, &r, &fx->problem), STATUS_UNAVAILABLE);
    assert_non_null(strstr(fx->problem.text, "in use"));
    close_store(fx);
    assert_int_equal(mkdir(fx->other, 0700), 0);
    assert_int_equal(store_repair(fx->dir, fx->other, true, &r, &fx->problem), STATUS_CONFLICT);
    assert_int_equal(rmdir(fx->other), 0);
    ok(fx, store_repair(fx->dir, fx->other, false, &r, &fx->problem)); /* of a whole one: a copy */
    assert_int_equal(r.lost_records + r.cut_from + r.faults, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_bit_rot),        STORE_TEST(test_tail),      STORE_TEST(test_covered),
        STORE_TEST(test_older_snapshot), STORE_TEST(test_meta_page), STORE_TEST(test_refused),
        STORE_TEST(test_audit),
    };
    cmocka_set_test_filter(getenv("PURSER_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
