/* SPDX-License-Identifier: MIT */
/*
 * Durable events per second: feedback events through batch and db_commit, beside plain LMDB that
 * appends records of equal size, as many in each transaction. Both keep default sync. The two take
 * turns in short stretches within a round, so that a slow spell of the disk hits both.
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "store/db.h"
#include "tests/bench/bench.h"

enum { TURNS = 4 };

struct raw { /* LMDB and nothing else */
    MDB_env *env;
    MDB_dbi log;
    uint64_t seq;
    uint8_t value[4096];
    size_t n;
};

struct ours {
    struct db *db;
    struct batch *batch;
    struct event event;
};

static void check(int rc, const char *what)
{
    if (rc != 0)
        bench_fail("%s: %s", what, mdb_strerror(rc));
}

static void raw_open(struct raw *r, const char *dir)
{
    MDB_txn *txn;
    check(mkdir(dir, 0700), dir);
    check(mdb_env_create(&r->env), "mdb_env_create");
    check(mdb_env_set_mapsize(r->env, (size_t)1 << 30), "mdb_env_set_mapsize");
    check(mdb_env_open(r->env, dir, MDB_NOTLS, 0600), dir);
    check(mdb_txn_begin(r->env, NULL, 0, &txn), "mdb_txn_begin");
    check(mdb_dbi_open(txn, NULL, 0, &r->log), "mdb_dbi_open");
    check(mdb_txn_commit(txn), "mdb_txn_commit");
}

static void raw_commit(struct raw *r, int per_batch)
{
    MDB_txn *txn;
    check(mdb_txn_begin(r->env, NULL, 0, &txn), "mdb_txn_begin");
    for (int i = 0; i < per_batch; i++) {
        uint64_t big_endian = __builtin_bswap64(++r->seq);
        MDB_val key = {sizeof big_endian, &big_endian}, value = {r->n, r->value};
        check(mdb_put(txn, r->log, &key, &value, MDB_APPEND), "mdb_put");
    }
    check(mdb_txn_commit(txn), "mdb_txn_commit");
}

static void ours_open(struct ours *o, const char *dir)
{
    struct problem p;
    struct db_options options = {.map_gib = 1, .create = true, .seed = 1};
    if (db_open(dir, &options, &o->db, &p) != STATUS_OK)
        bench_fail("%s", p.text);
    o->batch = batch_new();
    if (!o->batch)
        bench_fail("no memory");
    memset(&o->event, 0, sizeof o->event);
    o->event.kind = EVENT_FEEDBACK;
    struct feedback *f = &o->event.feedback.feedback;
    f->epoch = 1700000000;
    f->seq = 1;
    (void)snprintf(f->source, sizeof f->source, "judge");
    f->has = FB_QUALITY | FB_PROMPT_TOKENS | FB_OUTPUT_TOKENS | FB_LATENCY;
    f->version = -1;
    f->quality = 0.5;
    f->prompt_tokens = 80, f->output_tokens = 200, f->latency_ms = 1500;
}

static void ours_commit(struct ours *o, int per_batch)
{
    struct problem p;
    batch_reset(o->batch);
    for (int i = 0; i < per_batch; i++) {
        struct event *e = &o->event;
        e->seq++;
        e->time_ms = 1700000000000 + (int64_t)e->seq;
        e->feedback.feedback.seq = (e->seq + 1) / 2;
        e->feedback.feedback.mac = e->seq * 0x9e3779b97f4a7c15u;
        if (batch_event(o->batch, e) != STATUS_OK)
            bench_fail("batch_event failed");
    }
    if (db_commit(o->db, o->batch, &p) != STATUS_OK)
        bench_fail("%s", p.text);
}

static void figure(int round, const char *what, int per_batch, double value)
{
    bench_figure(round, value, "store/%s/%d", what, per_batch);
}

static void measure(struct ours *o, struct raw *r, int round, int per_batch, long commits)
{
    double ns[2] = {0, 0};
    for (int turn = 0; turn < 2 * TURNS; turn++) {
        int side = (turn + turn / 2 + round) % 2; /* each goes first as often as the other */
        int64_t start = bench_ns();
        for (long i = 0; i < commits / TURNS; i++) {
            if (side == 0)
                ours_commit(o, per_batch);
            else
                raw_commit(r, per_batch);
        }
        ns[side] += (double)(bench_ns() - start);
    }
    double events = (double)(commits / TURNS * TURNS * per_batch);
    figure(round, "db_commit", per_batch, events / ns[0] * 1e9);
    figure(round, "lmdb", per_batch, events / ns[1] * 1e9);
}

/* How long one raw commit of 64 records takes, apart from the comparison. */
static void measure_commits(struct raw *r, int round, long commits)
{
    double *us = calloc((size_t)commits, sizeof *us);
    if (!us)
        bench_fail("no memory");
    for (long i = 0; i < commits; i++) {
        int64_t start = bench_ns();
        raw_commit(r, 64);
        us[i] = (double)(bench_ns() - start) / 1000;
    }
    bench_figure(round, bench_quantile(us, (size_t)commits, 0.5), "store/commit_p50_us");
    bench_figure(round, bench_quantile(us, (size_t)commits, 0.99), "store/commit_p99_us");
    free(us);
}

int main(int argc, char **argv)
{
    static struct ours ours;
    static struct raw raw;
    static const int sizes[] = {1, 8, 64};
    char path[512];
    const char *dir = bench_text(argc, argv, "--dir", ".");
    int rounds = (int)bench_number(argc, argv, "--rounds", 5);
    long commits = bench_number(argc, argv, "--commits", 400);
    (void)snprintf(path, sizeof path, "%s/ours", dir);
    ours_open(&ours, path);
    (void)snprintf(path, sizeof path, "%s/raw", dir);
    raw_open(&raw, path);
    ours.event.seq = 1;
    raw.n = event_encode(&ours.event, raw.value, sizeof raw.value);
    ours.event.seq = 0;
    if (raw.n == 0)
        bench_fail("the event does not fit");
    ours_commit(&ours, 1); /* both files exist and have grown */
    raw_commit(&raw, 1);
    for (int round = 0; round < rounds; round++) {
        bench_figure(round, (double)raw.n, "store/record_bytes");
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            measure(&ours, &raw, round, sizes[i], commits);
        measure_commits(&raw, round, commits);
    }
    batch_free(ours.batch);
    db_close(ours.db);
    mdb_env_close(raw.env);
    return 0;
}
