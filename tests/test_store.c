/* SPDX-License-Identifier: MIT */
/*
 * The store in good health: what was committed comes back, whoever else is there; batches, pruning,
 * the writer's thread, verification and copies. Failing disks and damage: test_store_faults.c.
 */
#include "store_fx.h"

#include <sys/wait.h>
#include "store/writer.h"

/* ---- tests: the round trip */

static void test_empty(void **state)
{
    struct fx *fx = *state;
    ok(fx, open_store(fx, false));
    struct db_info i = info(fx);
    assert_int_equal(i.last_seq, 0);
    assert_int_equal(i.current, -1);
    assert_int_equal(db_next_generation(fx->db), 0);
    assert_int_equal(strlen(db_store_id(fx->db)), 32);
    assert_int_equal(db_first_time(fx->db), 0);
    struct router_init init = {0};
    db_init(fx->db, &init);
    assert_int_equal(init.seed, 5);
    struct router *r = fresh_router(fx);
    ok(fx, db_recover(fx->db, GENERATION_CURRENT, 0, r, NULL, NULL, &fx->problem));
    assert_int_equal(router_seq(r), 0);
    router_free(r);
    struct stat st;
    assert_int_equal(stat(fx->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void test_round_trip(void **state)
{
    struct fx *fx = *state;
    live_history(fx);
    uint64_t digest = snapshot_digest(fx->router), seq = router_seq(fx->router), last = 0;
    char id[33];
    strcpy(id, db_store_id(fx->db));
    close_store(fx);
    ok(fx, open_store(fx, false));
    assert_string_equal(db_store_id(fx->db), id);
    assert_int_equal(info(fx).last_seq, seq);
    assert_int_equal(info(fx).first_seq, 1);
    assert_true(recovered_digest(fx, GENERATION_CURRENT, 0) == digest);
    assert_true(recovered_digest(fx, GENERATION_BASE, 0) == digest);
    assert_true(recovered_digest(fx, GENERATION_BASE, seq - 5) ==
                recovered_digest(fx, GENERATION_CURRENT, seq - 5));
    ok(fx, db_scan(fx->db, 0, 0, count_visit, &last, &fx->problem));
    assert_int_equal(last, seq);
    last = 0;
    ok(fx, db_scan(fx->db, 10, 20, count_visit, &last, &fx->problem));
    assert_int_equal(last, 20);
    assert_int_equal(db_first_time(fx->db), 1700000000000);
    struct event e;
    ok(fx, db_read_event(fx->db, 3, &e, &fx->problem));
    assert_int_equal(e.kind, EVENT_DECIDED);
    assert_int_equal(db_read_event(fx->db, seq + 1, &e, NULL), STATUS_UNKNOWN_DECISION);
    struct label_book book;
    ok(fx, db_read_book(fx->db, 3, &book)); /* left memory: at most 50 are kept */
    assert_true(book.n_seen > 0);
    assert_int_equal(db_read_book(fx->db, seq, &book), STATUS_UNKNOWN_DECISION);
}

static void test_no_snapshot(void **state)
{
    struct fx *fx = *state;
    live_start(fx);
    live(fx, 20);
    commit(fx);
    uint64_t digest = snapshot_digest(fx->router);
    assert_true(recovered_digest(fx, GENERATION_BASE, 0) == digest);
    assert_true(recovered_digest(fx, GENERATION_CURRENT, 0) == digest);
    live_snapshot(fx);
    commit(fx);
    assert_int_equal(db_next_generation(fx->db), 1);
    assert_true(recovered_digest(fx, GENERATION_BASE, 0) == digest);
    assert_true(recovered_digest(fx, GENERATION_CURRENT, 0) == digest);
}

static void test_chunks(void **state)
{
    struct fx *fx = *state;
    ok(fx, open_store(fx, false));
    uint64_t last = 0, n = 2 * CHUNK_RECORDS + 1;
    for (uint64_t i = 1; i <= n; i++) {
        fx->ev = (struct event){.seq = i, .time_ms = (int64_t)i, .kind = EVENT_TICKED};
        fx_log(fx);
    }
    commit(fx);
    ok(fx, db_scan(fx->db, 1, 0, count_visit, &last, &fx->problem));
    assert_int_equal(last, n);
    last = 0;
    ok(fx, db_scan(fx->db, 1, CHUNK_RECORDS, count_visit, &last, &fx->problem));
    assert_int_equal(last, CHUNK_RECORDS);
    struct router *r = fresh_router(fx);
    ok(fx, db_recover(fx->db, GENERATION_BASE, 0, r, NULL, NULL, &fx->problem));
    assert_int_equal(router_seq(r), n);
    router_free(r);
}

static void test_batch(void **state)
{
    struct fx *fx = *state;
    struct label_book book, out;
    const uint8_t *bytes;
    size_t n;
    assert_true(batch_empty(fx->batch));
    for (uint64_t i = 100; i < 400; i++) {
        fx->ev = (struct event){.seq = i, .kind = EVENT_TICKED};
        fx_log(fx);
    }
    assert_int_equal(batch_events(fx->batch), 300);
    assert_int_equal(batch_last_seq(fx->batch), 399);
    assert_false(batch_find_event(fx->batch, 99, &bytes, &n));
    assert_false(batch_find_event(fx->batch, 400, &bytes, &n));
    assert_true(batch_find_event(fx->batch, 250, &bytes, &n));
    ok(fx, event_decode(bytes, n, &fx->ev, &fx->problem));
    assert_int_equal(fx->ev.seq, 250);
    book_init(&book);
    for (int64_t i = 0; i < 100; i++) { /* the last one wins */
        book.cost_nano = i;
        ok(fx, batch_book(fx->batch, (uint64_t)(1 + i % 10), &book));
    }
    assert_true(batch_find_book(fx->batch, 3, &out));
    assert_int_equal(out.cost_nano, 92);
    assert_false(batch_find_book(fx->batch, 11, &out));
    ok(fx, batch_hold(fx->batch, fx));
    assert_ptr_equal(batch_held(fx->batch, 0), fx);
    assert_null(batch_held(fx->batch, 1));
    batch_reset(fx->batch);
    assert_true(batch_empty(fx->batch));
    assert_int_equal(batch_bytes(fx->batch), 0);
    ok(fx, batch_hold(fx->batch, fx));
    assert_true(batch_empty(fx->batch));
}

/* covers: X7 */
static void test_prune(void **state)
{
    struct fx *fx = *state;
    struct label_book book;
    live_history(fx);
    uint64_t digest = snapshot_digest(fx->router);
    struct db_info before = info(fx);
    uint64_t base = before.snapshot_seq[before.base];
    batch_prune(fx->batch, 50, 10);
    commit(fx);
    assert_int_equal(info(fx).first_seq, 11);
    assert_int_equal(db_read_book(fx->db, 3, &book), STATUS_UNKNOWN_DECISION);
    assert_int_equal(db_read_book(fx->db, 9, &book), STATUS_UNKNOWN_DECISION);
    ok(fx, db_read_book(fx->db, 11, &book));
    batch_prune(fx->batch, UINT64_MAX, INT64_MAX); /* never beyond the older snapshot */
    commit(fx);
    assert_int_equal(info(fx).first_seq, base + 1);
    assert_int_equal(info(fx).last_seq, before.last_seq);
    assert_true(recovered_digest(fx, GENERATION_BASE, 0) == digest);
    assert_true(recovered_digest(fx, GENERATION_CURRENT, 0) == digest);
    live(fx, 5);
    commit(fx);
    assert_true(recovered_digest(fx, GENERATION_BASE, 0) == snapshot_digest(fx->router));
}

static bool has_header(struct fx *fx, int g)
{
    MDB_txn *txn;
    uint8_t at[1 + ITEM_KEY_LEN] = {(uint8_t)g};
    MDB_val key = {sizeof at, at}, value;
    snapshot_header_key(at + 1);
    assert_int_equal(mdb_txn_begin(fx->db->env, NULL, MDB_RDONLY, &txn), 0);
    int rc = mdb_get(txn, fx->db->state, &key, &value);
    mdb_txn_abort(txn);
    return rc == 0;
}

/* A page of a snapshot that is not yet due is written over one that was whole: the two newest stay
 * as they are, nobody takes the third for a snapshot, and in the end it is one. */
static void test_snapshot_ahead(void **state)
{
    struct fx *fx = *state;
    live_history(fx);
    live_snapshot(fx);
    commit(fx);
    struct db_info before = info(fx);
    int g = db_next_generation(fx->db);
    assert_true(before.snapshot_seq[g] > 0 && has_header(fx, g));
    uint8_t page[ITEM_KEY_LEN] = {3};
    live(fx, 5);
    ok(fx, batch_item(fx->batch, g, page, sizeof page, "ahead", 5));
    commit(fx);
    struct db_info half = info(fx);
    uint64_t digest = snapshot_digest(fx->router);
    assert_int_equal(half.snapshot_seq[g], 0);
    assert_int_equal(half.current, before.current);
    assert_int_equal(half.base, before.base);
    assert_int_equal(db_next_generation(fx->db), g);
    assert_false(has_header(fx, g));
    assert_true(recovered_digest(fx, GENERATION_BASE, 0) == digest);
    assert_true(recovered_digest(fx, GENERATION_CURRENT, 0) == digest);
    live_snapshot(fx);
    commit(fx);
    assert_int_equal(info(fx).current, g);
    assert_int_equal(info(fx).base, before.current);
    assert_true(has_header(fx, g));
    assert_true(recovered_digest(fx, GENERATION_CURRENT, 0) == digest);
}

static void test_prune_needs_two_snapshots(void **state)
{
    struct fx *fx = *state;
    live_start(fx);
    live(fx, 10);
    live_snapshot(fx);
    batch_prune(fx->batch, UINT64_MAX, INT64_MAX);
    commit(fx);
    assert_int_equal(info(fx).first_seq, 1);
}

/* ---- tests: who else is there */

/* covers: R14 */
static void test_second_writer(void **state)
{
    struct fx *fx = *state;
    struct db *second = NULL;
    char pid[32];
    int status;
    ok(fx, open_store(fx, false));
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_int_equal(db_open(fx->dir, &(struct db_options){0}, &second, &fx->problem),
                     STATUS_UNAVAILABLE);
    assert_non_null(strstr(fx->problem.text, pid));
    pid_t child = fork();
    if (child == 0)
        _exit(db_open(fx->dir, &(struct db_options){0}, &second, NULL) == STATUS_UNAVAILABLE ? 0
                                                                                             : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close_store(fx);
    ok(fx, open_store(fx, false));
}

/* Child: appends n ticks, one a commit, and leaves without closing. */
static void append_and_die(struct fx *fx, uint64_t n)
{
    if (open_store(fx, false) != STATUS_OK)
        _exit(1);
    for (uint64_t i = 1; i <= n; i++) {
        fx->ev = (struct event){.seq = i, .time_ms = (int64_t)i, .kind = EVENT_TICKED};
        if (batch_event(fx->batch, &fx->ev) != STATUS_OK ||
            db_commit(fx->db, fx->batch, NULL) != STATUS_OK)
            _exit(1);
        batch_reset(fx->batch);
    }
    _exit(0);
}

static void test_reader_beside_writer(void **state)
{
    struct fx *fx = *state;
    enum { N = 2000 };
    int status, scans = 0;
    ok(fx, open_store(fx, false));
    close_store(fx);
    pid_t child = fork();
    if (child == 0)
        append_and_die(fx, N);
    ok(fx, open_store(fx, true));
    for (uint64_t last = 0; last < N; scans++) {
        uint64_t seen = 0;
        ok(fx, db_scan(fx->db, 1, 0, count_visit, &seen, &fx->problem));
        assert_true(seen >= last);
        last = seen;
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct router *r = fresh_router(fx);
    ok(fx, db_recover(fx->db, GENERATION_CURRENT, 0, r, NULL, NULL, &fx->problem));
    assert_int_equal(router_seq(r), N);
    router_free(r);
}

/* ---- tests: maintenance */

/* covers: R15 */
static void test_verify(void **state)
{
    struct fx *fx = *state;
    struct verify_report report;
    live_history(fx);
    struct db_info i = info(fx);
    close_store(fx);
    ok(fx, store_verify(fx->dir, NULL, NULL, &report, &fx->problem));
    assert_true(report.ok);
    assert_int_equal(report.seq, router_seq(fx->router));
    assert_int_equal(report.from_seq, i.snapshot_seq[i.base]);
    assert_int_equal(report.records, report.seq - report.from_seq);
    assert_true(report.digest == snapshot_digest(fx->router));
}

/* A snapshot of another state than the log's is found out. */
static void test_verify_wrong_snapshot(void **state)
{
    struct fx *fx = *state;
    struct verify_report report;
    live_history(fx);
    struct router *good = fx->router;
    fx->router = fresh_router(fx);
    ok(fx, db_recover(fx->db, GENERATION_BASE, router_seq(good) - 1, fx->router, NULL, NULL,
                      &fx->problem));
    fx->now += 5;
    struct event e = {.seq = router_seq(good), .time_ms = fx->now, .kind = EVENT_TICKED};
    ok(fx, router_apply(fx->router, &e, &fx->problem)); /* not what the log says */
    live_snapshot(fx);
    commit(fx);
    close_store(fx);
    assert_int_equal(store_verify(fx->dir, NULL, NULL, &report, &fx->problem), STATUS_INTERNAL);
    assert_non_null(strstr(fx->problem.text, "replay gives"));
    router_free(good);
}

/* covers: D16 D17 D18 */
static void test_backup(void **state)
{
    struct fx *fx = *state;
    struct verify_report report;
    struct stat st;
    char path[128];
    live_history(fx);
    close_store(fx);
    ok(fx, store_backup(fx->dir, fx->other, &report, &fx->problem));
    assert_true(report.digest == snapshot_digest(fx->router));
    snprintf(path, sizeof path, "%s/data.mdb", fx->other);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(store_backup(fx->dir, fx->other, &report, &fx->problem), STATUS_CONFLICT);
    assert_int_equal(store_restore(fx->other, fx->dir, &report, &fx->problem), STATUS_CONFLICT);
    assert_int_equal(nftw(fx->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    assert_int_equal(mkdir(fx->dir, 0700), 0); /* an empty directory may be restored into */
    ok(fx, store_restore(fx->other, fx->dir, &report, &fx->problem));
    ok(fx, open_store(fx, false));
    assert_true(recovered_digest(fx, GENERATION_BASE, 0) == snapshot_digest(fx->router));
    live(fx, 3);
    commit(fx);
}

/* ---- tests: the writer */

struct loop_fx {
    struct fx *fx;
    struct writer *writer;
    uint64_t done;
    bool closed;
};

static void on_closed(void *ctx)
{
    ((struct loop_fx *)ctx)->closed = true;
}

static void submit_next(struct loop_fx *l)
{
    l->fx->ev = (struct event){.seq = l->done + 1, .kind = EVENT_TICKED};
    fx_log(l->fx);
    writer_submit(l->writer, l->fx->batch);
}

static void on_done(void *ctx, struct batch *b, enum status s, const struct problem *problem)
{
    struct loop_fx *l = ctx;
    l->fx->problem = *problem;
    ok(l->fx, s);
    assert_ptr_equal(b, l->fx->batch);
    assert_false(writer_busy(l->writer));
    batch_reset(b);
    if (++l->done < 100)
        submit_next(l);
    else
        writer_stop(l->writer, on_closed, l);
}

static void test_writer(void **state)
{
    struct fx *fx = *state;
    struct loop_fx l = {.fx = fx};
    uv_loop_t loop;
    ok(fx, open_store(fx, false));
    assert_int_equal(uv_loop_init(&loop), 0);
    ok(fx, writer_start(&loop, fx->db, on_done, &l, &l.writer, &fx->problem));
    submit_next(&l);
    assert_true(writer_busy(l.writer));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(l.closed);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(info(fx).last_seq, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_empty),          STORE_TEST(test_round_trip),
        STORE_TEST(test_no_snapshot),    STORE_TEST(test_chunks),
        STORE_TEST(test_batch),          STORE_TEST(test_prune),
        STORE_TEST(test_snapshot_ahead), STORE_TEST(test_prune_needs_two_snapshots),
        STORE_TEST(test_second_writer),  STORE_TEST(test_reader_beside_writer),
        STORE_TEST(test_verify),         STORE_TEST(test_verify_wrong_snapshot),
        STORE_TEST(test_backup),         STORE_TEST(test_writer),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
