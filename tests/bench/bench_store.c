/* SPDX-License-Identifier: MIT */
/*
 * Durable events per second: feedback events through batch and db_commit, beside plain LMDB that
 * appends records of equal size, as many in each transaction. Both keep default sync. And the same
 * feedback metered as the service does: the decision's record decoded again, its label book before
 * and after, the sums added to the rollups in the transaction (32 combinations of labels, one
 * hour). All take turns in short stretches within a round, so that a slow spell of the disk hits
 * all. Beside events per second the CPU time of an event, which the disk does not hide.
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "core/config/config.h"
#include "core/meter/meter.h"
#include "core/router/router.h"
#include "store/db.h"
#include "tests/bench/bench.h"

enum { DECIDED_MOST = 16384 };
enum { TURNS = 4, SIDES = 3, TENANTS = 8, TASKS = 4, KEYS = 4096 };

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
    /* metered: records of decisions, and what is made of one */
    size_t n[TENANTS * TASKS];
    uint8_t record[TENANTS * TASKS][DECIDED_MOST];
    struct event decided;
    struct label_book before, after;
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

/* ---- metering ---- */

/* Decisions as they stand in the log, of different labels. */
static void metered_open(struct ours *o, const char *dir)
{
    static const char json[] =
        "{\"models\":[{\"name\":\"a\",\"tier\":\"small\",\"usd_per_mtok_in\":0.1,"
        "\"usd_per_mtok_out\":0.4},{\"name\":\"b\",\"tier\":\"medium\",\"usd_per_mtok_in\":1,"
        "\"usd_per_mtok_out\":4},{\"name\":\"c\",\"tier\":\"large\",\"usd_per_mtok_in\":3,"
        "\"usd_per_mtok_out\":12}]}";
    static const struct router_init init = {.seed = 42, .mac_key = {1, 2, 3}, .max_open = 64};
    static struct params params;
    static char scratch[CONFIG_MAX];
    static struct request request;
    struct problem p;
    enum route_result result;
    struct router *r = router_new(&init);
    ours_open(o, dir);
    if (!r || config_parse(json, sizeof json - 1, &params, NULL, &p) != STATUS_OK)
        bench_fail("%s", r ? p.text : "no memory");
    router_start(r, 1700000000000, &o->decided);
    if (router_configure(r, 1700000000000, &params, "bench", 0, scratch, sizeof scratch,
                         &o->decided, &p) != STATUS_OK)
        bench_fail("%s", p.text);
    for (int i = 0; i < TENANTS * TASKS; i++) {
        request.prompt_tokens = 80;
        (void)snprintf(request.labels.tenant, sizeof request.labels.tenant, "t%d", i % TENANTS);
        (void)snprintf(request.labels.task, sizeof request.labels.task, "k%d", i / TENANTS);
        if (router_route(r, 1700000000000, &request, &o->decided, &result, &p) != STATUS_OK)
            bench_fail("%s", p.text);
        o->n[i] = event_encode(&o->decided, o->record[i], sizeof o->record[i]);
        if (o->n[i] == 0)
            bench_fail("the decision does not fit");
    }
    router_free(r);
}

/* Label books as a message with quality, tokens and latency leaves them. */
static void books(struct ours *o)
{
    const struct feedback *f = &o->event.feedback.feedback;
    const double value[CELLS] = {f->quality, 0, 0, 200, 1500, 0};
    book_init(&o->before);
    book_init(&o->after);
    o->after.n_sources = 1;
    o->after.source[0] = 7;
    for (int i = 0; i < CELLS; i++)
        if (f->has >> i & 1)
            o->after.cell[0][i] =
                (struct label_cell){.version = 1, .value = value[i], .set = true, .present = true};
}

static void meter_one(struct ours *o)
{
    struct meter_sums delta;
    size_t i = o->event.seq % (TENANTS * TASKS);
    if (event_decode(o->record[i], o->n[i], &o->decided, NULL) != STATUS_OK ||
        !meter_feedback(batch_meter(o->batch), &o->decided, &o->before, &o->after, KEYS, &delta))
        bench_fail("cannot meter");
}

static void ours_commit(struct ours *o, int per_batch, bool metered)
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
        if (metered)
            meter_one(o);
    }
    if (db_commit(o->db, o->batch, &p) != STATUS_OK)
        bench_fail("%s", p.text);
}

static void figure(int round, const char *what, int per_batch, double value)
{
    bench_figure(round, value, "store/%s/%d", what, per_batch);
}

struct bench {
    struct ours ours, metered;
    struct raw raw;
};

static void commit(struct bench *b, int side, int per_batch)
{
    if (side == 0)
        ours_commit(&b->ours, per_batch, false);
    else if (side == 1)
        raw_commit(&b->raw, per_batch);
    else
        ours_commit(&b->metered, per_batch, true);
}

static void measure(struct bench *b, int round, int per_batch, long commits)
{
    static const char *const names[SIDES] = {"db_commit", "lmdb", "metered"};
    double ns[SIDES] = {0}, cpu[SIDES] = {0};
    for (int turn = 0; turn < SIDES * TURNS; turn++) {
        int side = (turn + turn / SIDES + round) % SIDES; /* each is first as often as another */
        int64_t start = bench_ns(), cpu_start = bench_cpu_ns();
        for (long i = 0; i < commits / TURNS; i++)
            commit(b, side, per_batch);
        ns[side] += (double)(bench_ns() - start);
        cpu[side] += (double)(bench_cpu_ns() - cpu_start);
    }
    double events = (double)(commits / TURNS * TURNS * per_batch);
    for (int side = 0; side < SIDES; side++) {
        char name[32];
        figure(round, names[side], per_batch, events / ns[side] * 1e9);
        (void)snprintf(name, sizeof name, "cpu_us/%s", names[side]);
        figure(round, name, per_batch, cpu[side] / events / 1e3);
    }
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
    static struct bench b;
    static const int sizes[] = {1, 8, 64};
    char path[512];
    const char *dir = bench_text(argc, argv, "--dir", ".");
    int rounds = (int)bench_number(argc, argv, "--rounds", 5);
    long commits = bench_number(argc, argv, "--commits", 400);
    (void)snprintf(path, sizeof path, "%s/ours", dir);
    ours_open(&b.ours, path);
    (void)snprintf(path, sizeof path, "%s/metered", dir);
    metered_open(&b.metered, path);
    books(&b.metered);
    (void)snprintf(path, sizeof path, "%s/raw", dir);
    raw_open(&b.raw, path);
    b.ours.event.seq = 1;
    b.raw.n = event_encode(&b.ours.event, b.raw.value, sizeof b.raw.value);
    b.ours.event.seq = 0;
    if (b.raw.n == 0)
        bench_fail("the event does not fit");
    for (int side = 0; side < SIDES; side++)
        commit(&b, side, 1); /* all files exist and have grown */
    for (int round = 0; round < rounds; round++) {
        bench_figure(round, (double)b.raw.n, "store/record_bytes");
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            measure(&b, round, sizes[i], commits);
        measure_commits(&b.raw, round, commits);
    }
    batch_free(b.ours.batch);
    batch_free(b.metered.batch);
    db_close(b.ours.db);
    db_close(b.metered.db);
    mdb_env_close(b.raw.env);
    return 0;
}
