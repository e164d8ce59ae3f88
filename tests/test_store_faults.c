/* SPDX-License-Identifier: MIT */
/*
 * The store in trouble: a full disk can be waited out, a failed commit leaves nothing behind, what
 * is damaged is refused. Faults come from outside: calls are wrapped when linking (CMakeLists.txt).
 */
#include "store_fx.h"

#include <sys/statfs.h>
#include "bandit/rng.h"
#include "store/rollup.h"

/* ---- faults */

static struct {
    int puts_left, commits_left; /* calls until one fails; 0 = none fails */
    int rc;                      /* what it then returns */
    size_t mapsize;              /* 0 = as asked */
    uint32_t fs_magic;           /* 0 = as it is */
} fault;

int __real_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags);
int __wrap_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags);
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __real_mdb_env_set_mapsize(MDB_env *env, size_t size);
int __wrap_mdb_env_set_mapsize(MDB_env *env, size_t size);
int __real_statfs(const char *path, struct statfs *out);
int __wrap_statfs(const char *path, struct statfs *out);

/* Any call of LMDB that can fail on an open environment: the one that is `left` away does. */
static struct {
    int left; /* 0 = none fails */
    int rc;
} call;

static bool call_fails(void)
{
    return call.left > 0 && --call.left == 0;
}

#define CALL(name, takes, gives)                                                                   \
    int __real_##name takes;                                                                       \
    int __wrap_##name takes;                                                                       \
    int __wrap_##name takes                                                                        \
    {                                                                                              \
        return call_fails() ? call.rc : __real_##name gives;                                       \
    }

CALL(mdb_env_create, (MDB_env * *env), (env))
CALL(mdb_env_set_maxdbs, (MDB_env * env, MDB_dbi n), (env, n))
CALL(mdb_env_open, (MDB_env * env, const char *path, unsigned flags, mdb_mode_t mode),
     (env, path, flags, mode))
CALL(mdb_txn_begin, (MDB_env * env, MDB_txn *parent, unsigned flags, MDB_txn **out),
     (env, parent, flags, out))
CALL(mdb_dbi_open, (MDB_txn * txn, const char *name, unsigned flags, MDB_dbi *out),
     (txn, name, flags, out))
CALL(mdb_stat, (MDB_txn * txn, MDB_dbi dbi, MDB_stat *out), (txn, dbi, out))
CALL(mdb_get, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *out), (txn, dbi, key, out))
CALL(mdb_del, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *data), (txn, dbi, key, data))
CALL(mdb_cursor_open, (MDB_txn * txn, MDB_dbi dbi, MDB_cursor **out), (txn, dbi, out))
CALL(mdb_cursor_get, (MDB_cursor * cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op),
     (cursor, key, data, op))
CALL(mdb_cursor_del, (MDB_cursor * cursor, unsigned flags), (cursor, flags))

int __wrap_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags)
{
    if (call_fails())
        return call.rc;
    if (fault.puts_left > 0 && --fault.puts_left == 0)
        return fault.rc;
    return __real_mdb_put(txn, dbi, key, data, flags);
}

int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    bool any = call_fails();
    if (any || (fault.commits_left > 0 && --fault.commits_left == 0)) {
        mdb_txn_abort(txn); /* as the real one does when it fails */
        return any ? call.rc : fault.rc;
    }
    return __real_mdb_txn_commit(txn);
}

int __wrap_mdb_env_set_mapsize(MDB_env *env, size_t size)
{
    return __real_mdb_env_set_mapsize(env, fault.mapsize ? fault.mapsize : size);
}

int __wrap_statfs(const char *path, struct statfs *out)
{
    int rc = __real_statfs(path, out);
    if (fault.fs_magic != 0)
        out->f_type = fault.fs_magic;
    return rc;
}

/* ---- tests: full and failing disks */

/* covers: D8 */
static void test_map_full(void **state)
{
    struct fx *fx = *state;
    enum status s = STATUS_OK;
    fault.mapsize = 1 << 20;
    live_start(fx);
    commit(fx);
    uint64_t durable = 0, digest = 0;
    while (s == STATUS_OK) {
        durable = router_seq(fx->router);
        digest = snapshot_digest(fx->router);
        live(fx, 10);
        s = db_commit(fx->db, fx->batch, &fx->problem);
        if (s == STATUS_OK)
            batch_reset(fx->batch);
    }
    assert_int_equal(s, STATUS_STORAGE_FULL);
    assert_int_equal(db_commit(fx->db, fx->batch, &fx->problem), STATUS_STORAGE_FULL);
    assert_non_null(strstr(fx->problem.text, "map_gib"));
    assert_int_equal(info(fx).last_seq, durable);
    assert_true(recovered_digest(fx, GENERATION_CURRENT, 0) == digest);
    close_store(fx);
    fault.mapsize = 0;
    ok(fx, open_store(fx, false));
    commit(fx); /* the same batch */
    assert_true(recovered_digest(fx, GENERATION_CURRENT, 0) == snapshot_digest(fx->router));
}

/* A batch of all sorts: events, books, snapshot. */
static void mixed_batch(struct fx *fx)
{
    live(fx, 2);
    live_snapshot(fx);
    batch_prune(fx->batch, 5, 5);
}

static void test_full_at_every_call(void **state)
{
    struct fx *fx = *state;
    live_history(fx);
    uint64_t durable = router_seq(fx->router);
    mixed_batch(fx);
    enum status s = STATUS_STORAGE_FULL;
    int k = 1;
    for (; s != STATUS_OK && k < 1000; k++) {
        fault.rc = k % 2 ? MDB_MAP_FULL : ENOSPC;
        fault.puts_left = k;
        s = db_commit(fx->db, fx->batch, &fx->problem);
        if (s == STATUS_OK)
            break;
        assert_int_equal(s, STATUS_STORAGE_FULL);
        assert_int_equal(info(fx).last_seq, durable);
    }
    assert_true(k > 6 && k < 1000);
    fault.puts_left = 0;
    batch_reset(fx->batch);
    assert_true(recovered_digest(fx, GENERATION_BASE, 0) == snapshot_digest(fx->router));
    live(fx, 1);
    fault.commits_left = 1;
    fault.rc = ENOSPC;
    assert_int_equal(db_commit(fx->db, fx->batch, NULL), STATUS_STORAGE_FULL);
    commit(fx);
}

/* EIO: nothing of the batch is there, nothing more is written, and a restart finds the old state.
 */
static void fail_and_reopen(struct fx *fx)
{
    uint64_t durable = info(fx).last_seq, digest = recovered_digest(fx, GENERATION_CURRENT, 0);
    fault.rc = EIO;
    assert_int_equal(db_commit(fx->db, fx->batch, &fx->problem), STATUS_UNAVAILABLE);
    assert_int_equal(db_commit(fx->db, fx->batch, &fx->problem), STATUS_UNAVAILABLE);
    close_store(fx);
    ok(fx, open_store(fx, false));
    assert_int_equal(info(fx).last_seq, durable);
    assert_true(recovered_digest(fx, GENERATION_CURRENT, 0) == digest);
}

/* covers: D4 D5 D6 */
static void test_io_errors(void **state)
{
    struct fx *fx = *state;
    live_history(fx);
    mixed_batch(fx);
    for (int k = 1; k <= 4; k++) {
        fault.puts_left = k;
        fail_and_reopen(fx);
    }
    fault.commits_left = 1;
    fail_and_reopen(fx);
    commit(fx);
    assert_true(recovered_digest(fx, GENERATION_CURRENT, 0) == snapshot_digest(fx->router));
}

/* ---- tests: every call that can fail */

static bool any_row(void *ctx, const struct meter_key *key, int hours, const struct meter_sums *s)
{
    (void)ctx, (void)key, (void)hours, (void)s;
    return true;
}

static enum status do_open(struct fx *fx)
{
    close_store(fx);
    return open_store(fx, false);
}

static enum status do_look(struct fx *fx)
{
    close_store(fx);
    return open_store(fx, true);
}

static enum status do_commit(struct fx *fx)
{
    return db_commit(fx->db, fx->batch, &fx->problem);
}

static enum status do_info(struct fx *fx)
{
    struct db_info i;
    return db_info(fx->db, &i, &fx->problem);
}

static enum status do_scan(struct fx *fx)
{
    return db_scan(fx->db, 1, 0, count_visit, &(uint64_t){0}, &fx->problem);
}

static enum status do_read(struct fx *fx)
{
    return db_read_event(fx->db, 3, &fx->ev, &fx->problem);
}

static enum status do_rollup(struct fx *fx)
{
    struct rollup_state of;
    return rollup_scan(fx->db, 0, UINT32_MAX, any_row, NULL, &of, &fx->problem);
}

static enum status do_check(struct fx *fx)
{
    int64_t rows;
    return rollup_check(fx->db, &rows, &fx->problem);
}

static enum status recover_from(struct fx *fx, enum generation which)
{
    struct router *r = fresh_router(fx);
    enum status s = db_recover(fx->db, which, 0, r, NULL, NULL, &fx->problem);
    router_free(r);
    return s;
}

static enum status do_recover(struct fx *fx)
{
    return recover_from(fx, GENERATION_CURRENT);
}

static enum status do_recover_base(struct fx *fx)
{
    return recover_from(fx, GENERATION_BASE);
}

/* Fails every call of the work in turn (of long loops those that a growing step meets): each is
 * told, with words, and after a start the store has what it had before. The work that ends this is
 * the first in which no call was left to fail. */
static int fail_each(struct fx *fx, int at, enum status (*work)(struct fx *fx), int rc)
{
    uint64_t durable = info(fx).last_seq, digest = recovered_digest(fx, GENERATION_CURRENT, 0);
    for (int k = 1; k < 100000; k += 1 + (k > 20) * k / 4) {
        call.left = k;
        call.rc = rc;
        fx->problem.text[0] = '\0';
        enum status s = work(fx);
        bool failed = call.left == 0;
        call.left = 0;
        if (!failed) {
            ok(fx, s);
            return k - 1;
        }
        if (s == STATUS_OK)
            fail_msg("call %d of work %d failed by %d and nobody was told", k, at, rc);
        assert_true(fx->problem.text[0] != '\0');
        ok(fx, do_open(fx));
        assert_int_equal(info(fx).last_seq, durable);
        if (k < 4)
            assert_true(recovered_digest(fx, GENERATION_CURRENT, 0) == digest);
    }
    fail_msg("no end of calls");
    return 0;
}

/* covers: D4 D5 D6 */
static void test_calls_that_fail(void **state)
{
    struct fx *fx = *state;
    enum status (*const work[])(struct fx *) = {do_open,  do_look,    do_info,
                                                do_scan,  do_read,    do_rollup,
                                                do_check, do_recover, do_recover_base};
    static const int codes[] = {EIO, MDB_CORRUPTED, ENOMEM, EACCES};
    live_history(fx);
    for (size_t c = 0; c < sizeof codes / sizeof *codes; c++) /* ways to open have words for each */
        for (size_t i = 0; i < (c < 1 ? sizeof work / sizeof *work : 2); i++) {
            int n = fail_each(fx, (int)i, work[i], codes[c]);
            assert_true(n > 0);
            ok(fx, do_open(fx));
        }
    mixed_batch(fx);
    assert_true(fail_each(fx, -1, do_commit, EIO) > 6);
    batch_reset(fx->batch);
    assert_true(recovered_digest(fx, GENERATION_CURRENT, 0) == snapshot_digest(fx->router));
}

/* ---- tests: damage */

static char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*n + 1);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

static void spill(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* Both kinds of opening are refused and the file stays as it is. */
static void refused_untouched(struct fx *fx, const char *path)
{
    size_t n = 0, m = 0;
    struct stat st;
    bool file = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    char *before = file ? slurp(path, &n) : NULL;
    for (int read_only = 0; read_only <= 1; read_only++) {
        assert_int_equal(open_store(fx, read_only), STATUS_INTERNAL);
        assert_non_null(strstr(fx->problem.text, "data.mdb"));
        assert_non_null(strstr(fx->problem.text, "restore"));
    }
    assert_int_equal(file, stat(path, &st) == 0 && S_ISREG(st.st_mode));
    char *after = file ? slurp(path, &m) : NULL;
    assert_int_equal(n, m);
    if (file)
        assert_memory_equal(before, after, n);
    free(before);
    free(after);
}

/* A store whose very first write ended after one page: nobody who only reads may touch it, and who
 * starts a service on it begins anew. Once it was sealed the same bytes are damage. */
static void test_begun_only(void **state)
{
    struct fx *fx = *state;
    char path[128], marker[128];
    size_t n;
    live_history(fx);
    close_store(fx);
    snprintf(path, sizeof path, "%s/data.mdb", fx->dir);
    snprintf(marker, sizeof marker, "%s/INITIALISED", fx->dir);
    char *good = slurp(path, &n);
    spill(path, good, 4096);
    refused_untouched(fx, path);
    assert_int_equal(unlink(marker), 0);
    assert_int_not_equal(open_store(fx, true), STATUS_OK);
    assert_non_null(strstr(fx->problem.text, "second page"));
    size_t left;
    char *after = slurp(path, &left);
    assert_int_equal(left, 4096);
    assert_memory_equal(after, good, 4096);
    ok(fx, open_store(fx, false));
    assert_int_equal(info(fx).last_seq, 0);
    free(good);
    free(after);
}

/* covers: D9 */
static void test_damaged_file(void **state)
{
    struct fx *fx = *state;
    char path[128];
    size_t n;
    live_history(fx);
    size_t used = info(fx).file_bytes;
    close_store(fx);
    snprintf(path, sizeof path, "%s/data.mdb", fx->dir);
    char *good = slurp(path, &n), *bad = malloc(n);
    spill(path, good, 0);
    refused_untouched(fx, path);
    static const size_t cut[] = {1, 100, 4096, 4100, 8192, 20000};
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        spill(path, good, cut[i]);
        refused_untouched(fx, path);
    }
    spill(path, good, used - 1);
    refused_untouched(fx, path);
    memset(bad, 'x', n);
    spill(path, bad, n);
    refused_untouched(fx, path);
    for (size_t page = 0; page < 2; page++) {
        memcpy(bad, good, n);
        bad[page * 4096 + 16] ^= 1; /* magic */
        spill(path, bad, n);
        refused_untouched(fx, path);
    }
    assert_int_equal(unlink(path), 0);
    refused_untouched(fx, path);
    assert_int_equal(mkdir(path, 0700), 0);
    refused_untouched(fx, path);
    assert_int_equal(rmdir(path), 0);
    spill(path, good, used); /* the whole of it is enough */
    ok(fx, open_store(fx, false));
    assert_true(recovered_digest(fx, GENERATION_BASE, 0) == snapshot_digest(fx->router));
    free(good);
    free(bad);
}

static void test_flipped_bits(void **state)
{
    struct fx *fx = *state;
    struct rng rng = rng_stream(9, 0, 0);
    static uint8_t record[EVENT_BYTES_MAX];
    char path[128];
    size_t n;
    struct verify_report report;
    live_history(fx);
    uint64_t last = info(fx).last_seq;
    close_store(fx);
    ok(fx, store_backup(fx->dir, fx->other, &report, &fx->problem)); /* no old copies of pages */
    strcpy(fx->dir, fx->other);
    ok(fx, open_store(fx, true));
    snprintf(path, sizeof path, "%s/data.mdb", fx->dir);
    for (int i = 0; i < 200; i++) {
        struct event e;
        uint64_t seq = 3 + rng_below(&rng, last - 2);
        ok(fx, db_read_event(fx->db, seq, &e, &fx->problem));
        size_t len = event_encode(&e, record, sizeof record);
        close_store(fx);
        char *file = slurp(path, &n), *at = memmem(file, n, record, len);
        assert_non_null(at);
        uint64_t bit = rng_below(&rng, len * 8);
        int fd = open(path, O_WRONLY);
        char wrong = (char)(at[bit / 8] ^ (1 << bit % 8));
        off_t where = at - file + (off_t)(bit / 8);
        assert_int_equal(pwrite(fd, &wrong, 1, where), 1);
        ok(fx, open_store(fx, true));
        enum status s = db_scan(fx->db, 1, 0, count_visit, &(uint64_t){0}, &fx->problem);
        char name[32];
        snprintf(name, sizeof name, "record %llu", (unsigned long long)seq);
        assert_int_equal(s, STATUS_INTERNAL);
        assert_non_null(strstr(fx->problem.text, name));
        assert_int_equal(pwrite(fd, at + bit / 8, 1, where), 1);
        close(fd);
        free(file);
    }
}

/* Changes a table behind the store's back. */
static void meddle(struct fx *fx, bool log, MDB_val key, const void *value, size_t n)
{
    MDB_txn *txn;
    MDB_dbi dbi = log ? fx->db->log : fx->db->meta;
    assert_int_equal(mdb_txn_begin(fx->db->env, NULL, 0, &txn), 0);
    assert_int_equal(value ? sealed_put(txn, dbi, key, value, n) : mdb_del(txn, dbi, &key, NULL),
                     0);
    assert_int_equal(mdb_txn_commit(txn), 0);
}

/* covers: R16 */
static void test_missing_record(void **state)
{
    struct fx *fx = *state;
    live_history(fx);
    struct db_info i = info(fx);
    uint64_t gone = i.snapshot_seq[i.base] + 3;
    struct seq_key at = seq_key(gone);
    char want[64];
    meddle(fx, true, (MDB_val){8, at.at}, NULL, 0);
    struct router *r = fresh_router(fx);
    assert_int_equal(db_recover(fx->db, GENERATION_BASE, 0, r, NULL, NULL, &fx->problem),
                     STATUS_INTERNAL);
    snprintf(want, sizeof want, "records %llu to %llu", (unsigned long long)gone,
             (unsigned long long)gone);
    assert_non_null(strstr(fx->problem.text, want));
    router_free(r);
    recovered_digest(fx, GENERATION_CURRENT, 0); /* which does not need it */
    at = seq_key(router_seq(fx->router));
    meddle(fx, true, (MDB_val){8, at.at}, NULL, 0);
    assert_int_equal(db_info(fx->db, &i, &fx->problem), STATUS_INTERNAL);
    r = fresh_router(fx);
    assert_int_equal(db_recover(fx->db, GENERATION_CURRENT, 0, r, NULL, NULL, NULL),
                     STATUS_INTERNAL);
    router_free(r);
}

/* covers: R16 */
static void test_record_too_long(void **state)
{
    struct fx *fx = *state;
    static uint8_t bytes[EVENT_BYTES_MAX + 1];
    live_history(fx);
    struct seq_key at = seq_key(router_seq(fx->router));
    meddle(fx, true, (MDB_val){8, at.at}, bytes, sizeof bytes);
    for (int read_only = 0; read_only <= 1; read_only++) {
        uint64_t n = 0;
        close_store(fx);
        ok(fx, open_store(fx, read_only));
        assert_int_equal(db_scan(fx->db, 1, 0, count_visit, &n, &fx->problem), STATUS_INTERNAL);
        assert_int_equal(n, router_seq(fx->router) - 1);
    }
}

/* covers: U3 */
static void test_newer_schema(void **state)
{
    struct fx *fx = *state;
    char name[] = "schema";
    ok(fx, open_store(fx, false));
    meddle(fx, false, (MDB_val){6, name}, "\2\0\0\0", 4);
    close_store(fx);
    assert_int_equal(open_store(fx, false), STATUS_BAD_REQUEST);
    assert_non_null(strstr(fx->problem.text, "schema 2"));
    assert_int_equal(open_store(fx, true), STATUS_BAD_REQUEST);
}

/* covers: D12 D13 */
static void test_bad_places(void **state)
{
    struct fx *fx = *state;
    struct db *db = NULL;
    assert_int_equal(db_open(fx->dir, &(struct db_options){0}, &db, &fx->problem),
                     STATUS_BAD_REQUEST);
    assert_int_equal(open_store(fx, true), STATUS_BAD_REQUEST);
    assert_int_equal(db_open("/dev/null", &(struct db_options){.create = true}, &db, NULL),
                     STATUS_BAD_REQUEST);
    fault.fs_magic = 0x6969;
    assert_int_equal(open_store(fx, false), STATUS_BAD_REQUEST);
    assert_non_null(strstr(fx->problem.text, "NFS"));
    fault.fs_magic = 0;
    assert_int_equal(chmod(fx->dir, 0777), 0);
    assert_int_equal(open_store(fx, false), STATUS_BAD_REQUEST);
    assert_int_equal(chmod(fx->dir, 0700), 0);
    ok(fx, open_store(fx, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_map_full),        STORE_TEST(test_full_at_every_call),
        STORE_TEST(test_io_errors),       STORE_TEST(test_calls_that_fail),
        STORE_TEST(test_damaged_file),    STORE_TEST(test_begun_only),
        STORE_TEST(test_flipped_bits),    STORE_TEST(test_missing_record),
        STORE_TEST(test_record_too_long), STORE_TEST(test_newer_schema),
        STORE_TEST(test_bad_places),
    };
    return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
