/* SPDX-License-Identifier: MIT */
/*
 * The service as one deterministic machine: server, desk, gate, engine and batches as they are,
 * with a store in memory, a writer that finishes when the seed says so, a clock that the seed
 * moves, and clients that the seed makes ask, ask again and go. Commits are late, fail, find the
 * disk full, or end with the process just before or after them; the process ends at any step and
 * starts again from the newest snapshot and the log. At every reply: what it tells of is in the
 * store, once, as it was told. At every start: snapshot and tail give the state that the whole log
 * gives. A seed that fails prints itself; the same seed does the same again, step by step (every
 * tenth is run twice to show it). test_seeds [--seeds N] [--first S] [--steps N] [--trace] Calls of
 * the store, the writer and the clock are taken over when linking (CMakeLists.txt). covers: R3 R4
 * R5 R6 D1 D2 D7 D20
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/event/decision_id.h"
#include "core/router/snapshot.h"
#include "store/batch_inside.h"
#include "store/db_inside.h"
#include "transport/server_state.h"

enum { RECORDS_MAX = 20000, ITEMS_MAX = 4096, SLOTS = 12, ASKS_MAX = 4000, OPEN = 24, SAFE = 16 };

static const char config[] =
    "{\"v\":1,\"store\":{\"snapshot_events\":60,\"seed\":3},\"models\":["
    "{\"name\":\"small\",\"tier\":\"small\",\"usd_per_mtok_in\":0.1,\"usd_per_mtok_out\":0.1},"
    "{\"name\":\"large\",\"tier\":\"large\",\"usd_per_mtok_in\":2.5,\"usd_per_mtok_out\":10}],"
    "\"budget\":{\"usd_per_request\":0.001},\"silence\":[{\"quality\":0.5,\"after_hours\":0.001}],"
    "\"pools\":[{\"name\":\"all\",\"usd\":100,\"mode\":\"quantile\"}]}";

/* ---- the store: what a real one would have on disk */

struct blob {
    uint8_t *at;
    size_t n;
};

/* What a record says, as far as it is asked for often. */
struct told {
    int kind;
    uint64_t decision; /* of a report */
    int64_t tokens;    /* its number */
};

static struct disk {
    struct told told[RECORDS_MAX + 1];
    struct blob record[RECORDS_MAX + 1], book[RECORDS_MAX + 1];
    struct {
        uint8_t key[1 + ITEM_KEY_LEN];
        struct blob bytes;
    } item[ITEMS_MAX];
    uint64_t n;
    struct head head;
    int items;
} disk;

static struct sim {
    uint64_t seed;
    int step;
    bool trace;
    struct rng rng;
    int64_t now;
    struct server *server;
    struct batch *flying; /* with the writer */
    uv_loop_t loop;
    uint32_t story; /* checksum over all that clients were told */
    int64_t replies, restarts, fulls;
} sim;

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    printf("seed %" PRIu64 ", step %d: ", sim.seed, sim.step);
    vprintf(fmt, args);
    printf("\n  again: test_seeds --first %" PRIu64 " --seeds 1 --trace\n", sim.seed);
    va_end(args);
    exit(1);
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
    va_list args;
    if (!sim.trace)
        return;
    va_start(args, fmt);
    printf("%5d ", sim.step);
    vprintf(fmt, args);
    printf("\n");
    va_end(args);
}

static uint64_t draw(uint64_t below)
{
    return rng_below(&sim.rng, below);
}

static void keep(struct blob *b, const void *bytes, size_t n)
{
    free(b->at);
    b->at = malloc(n + 1);
    memcpy(b->at, bytes, n);
    b->n = n;
}

static void put_item(const struct batch_item_entry *e, const uint8_t *bytes)
{
    int i = 0;
    while (i < disk.items && memcmp(disk.item[i].key, e->key, sizeof e->key) != 0)
        i++;
    if (i == ITEMS_MAX)
        die("more items than expected");
    disk.items += i == disk.items;
    memcpy(disk.item[i].key, e->key, sizeof e->key);
    keep(&disk.item[i].bytes, bytes, e->bytes.n);
}

static struct told read_told(const struct blob *b)
{
    static struct event e;
    if (event_decode(b->at, b->n, &e, NULL) != STATUS_OK)
        die("a record that does not decode was written");
    struct told t = {.kind = (int)e.kind};
    if (e.kind == EVENT_FEEDBACK) {
        t.decision = e.feedback.feedback.seq;
        t.tokens =
            e.feedback.feedback.has & FB_OUTPUT_TOKENS ? e.feedback.feedback.output_tokens : 0;
    }
    return t;
}

static void write_batch(const struct batch *b)
{
    if (b->n_events > 0 && b->first_seq != disk.n + 1)
        die("a batch begins at %" PRIu64 ", the log ends at %" PRIu64, b->first_seq, disk.n);
    for (size_t i = 0; i < b->n_events; i++) {
        if (disk.n == RECORDS_MAX)
            die("more records than expected");
        keep(&disk.record[++disk.n], b->arena.at + b->event[i].at, b->event[i].n);
        disk.told[disk.n] = read_told(&disk.record[disk.n]);
    }
    for (size_t i = 0; i < b->n_books; i++)
        keep(&disk.book[b->book[i].seq], b->arena.at + b->book[i].bytes.at, b->book[i].bytes.n);
    for (size_t i = 0; i < b->n_items; i++)
        put_item(&b->item[i], b->arena.at + b->item[i].bytes.at);
    if (b->snapshot_g >= 0) {
        disk.head.current = b->snapshot_g;
        disk.head.snapshot_seq[b->snapshot_g] = b->snapshot_seq;
    } else if (b->n_items > 0) {
        disk.head.snapshot_seq[b->item[0].key[0]] = 0;
    }
}

static void disk_format(void)
{
    for (uint64_t i = 0; i <= disk.n; i++) {
        free(disk.record[i].at);
        free(disk.book[i].at);
    }
    for (int i = 0; i < disk.items; i++)
        free(disk.item[i].bytes.at);
    memset(&disk, 0, sizeof disk);
    disk.head.current = -1;
}

/* ---- in the place of db.c, writer.c and wallclock.c */

enum status __wrap_db_read_event(struct db *db, uint64_t seq, struct event *out,
                                 struct problem *problem);
enum status __wrap_db_read_event(struct db *db, uint64_t seq, struct event *out,
                                 struct problem *problem)
{
    (void)db;
    if (seq == 0 || seq > disk.n)
        return problem_set(problem, STATUS_UNKNOWN_DECISION, "", "there is no such record");
    return event_decode(disk.record[seq].at, disk.record[seq].n, out, problem);
}

enum status __wrap_db_read_book(struct db *db, uint64_t seq, struct label_book *out);
enum status __wrap_db_read_book(struct db *db, uint64_t seq, struct label_book *out)
{
    (void)db;
    if (seq == 0 || seq > disk.n || disk.book[seq].at == NULL)
        return STATUS_UNKNOWN_DECISION;
    return book_decode(disk.book[seq].at, disk.book[seq].n, out);
}

int __wrap_db_next_generation(const struct db *db);
int __wrap_db_next_generation(const struct db *db)
{
    (void)db;
    return head_next(&disk.head);
}

int64_t __wrap_db_first_time(struct db *db);
int64_t __wrap_db_first_time(struct db *db)
{
    (void)db;
    return 0; /* nothing is old enough to be pruned */
}

int64_t __wrap_rollup_other(const struct db *db);
int64_t __wrap_rollup_other(const struct db *db)
{
    (void)db;
    return 0;
}

void __wrap_writer_submit(struct writer *w, struct batch *b);
void __wrap_writer_submit(struct writer *w, struct batch *b)
{
    (void)w;
    if (sim.flying)
        die("two batches in flight");
    sim.flying = b;
}

bool __wrap_writer_busy(const struct writer *w);
bool __wrap_writer_busy(const struct writer *w)
{
    (void)w;
    return sim.flying != NULL;
}

int64_t __wrap_wallclock_now(struct wallclock *c);
int64_t __wrap_wallclock_now(struct wallclock *c)
{
    if (c->last_ms < sim.now)
        c->last_ms = sim.now;
    return c->last_ms;
}

void __wrap_wallclock_read(int64_t *wall_ms, int64_t *mono_ms);
void __wrap_wallclock_read(int64_t *wall_ms, int64_t *mono_ms)
{
    *wall_ms = *mono_ms = sim.now;
}

/* ---- clients */

/* What a client wants: it is asked as often as it takes. */
struct ask {
    bool route;
    int n;                    /* its number, in the body and in the record */
    char body[256];           /* sent */
    char id[DECISION_ID_CAP]; /* a route's answer; a report's decision */
    uint64_t seq;             /* of that decision, once told */
    bool answered;
};

static struct ask asks[ASKS_MAX];
static int n_asks;

static struct call {
    struct slot slot;
    struct ask *ask; /* NULL: free */
    bool deaf;       /* the client has gone */
} calls[SLOTS];

static bool find_text(const char *json, const char *name, char *out, size_t cap)
{
    char key[40];
    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *p = strstr(json, key), *end = p ? strchr(p + strlen(key), '"') : NULL;
    if (!end)
        return false;
    snprintf(out, cap, "%.*s", (int)(end - p - (long)strlen(key)), p + strlen(key));
    return true;
}

/* A decision was told: it is in the store, it is of this request, and it is the one of before. */
static void judge_route(struct ask *a, const char *id)
{
    static struct event e;
    uint32_t epoch;
    uint64_t seq, mac;
    char request_id[32];
    snprintf(request_id, sizeof request_id, "r-%d", a->n);
    if (!decision_id_parse(id, &epoch, &seq, &mac))
        die("%s is no decision id", id);
    if (__wrap_db_read_event(NULL, seq, &e, NULL) != STATUS_OK)
        die("decision %s was told before it was durable: the log ends at %" PRIu64, id, disk.n);
    if (e.kind != EVENT_DECIDED || e.decided.epoch != epoch ||
        strcmp(e.decided.request_id, request_id) != 0)
        die("decision %s is another in the log", id);
    if (a->answered && strcmp(a->id, id) != 0) {
        uint64_t since = 0; /* decisions after it: beyond OPEN it may have been forgotten */
        for (uint64_t i = a->seq + 1; i <= seq; i++)
            since += disk.told[i].kind == EVENT_DECIDED;
        if (since < SAFE)
            die("request %s was decided as %s and again as %s", request_id, a->id, id);
    }
    snprintf(a->id, sizeof a->id, "%s", id);
    a->seq = seq;
    a->answered = true;
}

/* A report was taken: it is in the store, once. */
static void judge_feedback(struct ask *a, const char *status)
{
    int found = 0;
    if (strcmp(status, "late") == 0 || strcmp(status, "superseded") == 0)
        return;
    for (uint64_t i = a->seq + 1; i <= disk.n; i++)
        found += disk.told[i].decision == a->seq && disk.told[i].tokens == a->n;
    if (found != 1)
        die("report %d, answered %s, is %d times in the log", a->n, status, found);
    a->answered = true;
}

static void on_hold(struct slot *s)
{
    (void)s;
}

static void on_reply(struct slot *s)
{
    struct call *c = (struct call *)(void *)s; /* its first member */
    const char *text = s->out.text.at ? s->out.text.at : "";
    char word[64];
    struct ask *a = c->ask;
    if (!a)
        die("a slot was answered twice");
    sim.replies++;
    sim.story = crc32c(text, strlen(text), sim.story);
    say("reply to %s %d: %.70s", a->route ? "route" : "report", a->n, text);
    c->ask = NULL;
    if (strstr(text, "\"error\"") || strstr(text, "\"not_recorded\""))
        return;
    if (a->route && find_text(text, "decision_id", word, sizeof word))
        judge_route(a, word);
    else if (!a->route && find_text(text, "status", word, sizeof word))
        judge_feedback(a, word);
    else if (a->n > 0)
        die("no answer: %s", text);
}

static const struct slot_door doors[2] = {{on_hold, on_reply, .prompt = false},
                                          {on_hold, on_reply, .prompt = true}};

/* A request or report that is new, or one of before once more. */
static struct ask *pick(void)
{
    uint64_t all = (uint64_t)n_asks, near = all < 40 || draw(4) == 0 ? all : 40;
    struct ask *old = all > 0 ? &asks[all - 1 - draw(near)] : NULL;
    uint64_t what = draw(10);
    if (n_asks == ASKS_MAX || (what < 3 && old))
        return old;
    struct ask *a = &asks[n_asks];
    if (what < 6 || !old || !old->route || !old->answered) {
        *a = (struct ask){.route = true, .n = ++n_asks};
        snprintf(a->body, sizeof a->body,
                 "{\"v\":1,\"op\":\"route\",\"request_id\":\"r-%d\",\"tenant\":\"%s\","
                 "\"prompt\":\"%.*s\"}",
                 a->n, a->n % 3 ? "acme" : "zenith", 1 + a->n % 20, "sum up this long letter");
        return a;
    }
    *a = (struct ask){.n = ++n_asks, .seq = old->seq};
    char id[DECISION_ID_CAP];
    memcpy(id, old->id, sizeof id);
    memcpy(a->id, id, sizeof id);
    snprintf(a->body, sizeof a->body,
             "{\"v\":1,\"op\":\"feedback\",\"decision_id\":\"%s\",\"quality\":%d.%d,"
             "\"output_tokens\":%d%s}",
             id, a->n % 7 == 0, a->n % 7 == 0 ? 0 : a->n % 10, a->n,
             a->n % 4 ? "" : ",\"source\":\"judge\"");
    return a;
}

static void send_one(void)
{
    int i = 0;
    while (i < SLOTS && calls[i].ask)
        i++;
    if (i == SLOTS)
        return;
    struct call *c = &calls[i];
    c->ask = pick();
    c->slot.door = &doors[draw(2)];
    c->slot.purpose = c->ask->route ? PURPOSE_ROUTE : PURPOSE_FEEDBACK;
    outbuf_clear(&c->slot.out);
    say("%s %d is asked", c->ask->route ? "route" : "report", c->ask->n);
    if (!server_on_request(sim.server, &c->slot, c->ask->body, strlen(c->ask->body)))
        die("put off, with hardly anything inside");
}

static void operate(void)
{
    static struct ask nobody; /* its number is 0 */
    int i = 0;
    char body[128];
    while (i < SLOTS && calls[i].ask)
        i++;
    if (i == SLOTS)
        return;
    struct call *c = &calls[i];
    c->ask = &nobody;
    c->slot.door = &doors[0];
    c->slot.purpose = PURPOSE_CONTROL;
    outbuf_clear(&c->slot.out);
    int n =
        snprintf(body, sizeof body, "{\"v\":1,\"op\":\"weights.set\",\"weights\":{\"cost\":0.%d}}",
                 1 + (int)draw(9));
    (void)server_on_request(sim.server, &c->slot, body, (size_t)n);
}

/* ---- lives */

static const struct router_init init = {.seed = 3, .mac_key = {7}, .max_open = OPEN};

static void replay(struct router *r)
{
    static struct event e;
    struct problem p = {0};
    while (router_seq(r) < disk.n) {
        const struct blob *b = &disk.record[router_seq(r) + 1];
        if (event_decode(b->at, b->n, &e, &p) != STATUS_OK || router_apply(r, &e, &p) != STATUS_OK)
            die("record %" PRIu64 ": %s", router_seq(r) + 1, p.text);
    }
}

static struct router *load_snapshot(void)
{
    struct router *r = router_new(&init);
    struct problem p = {0};
    for (int type = 0; disk.head.current >= 0 && type < 256; type++)
        for (int i = 0; i < disk.items; i++)
            if (disk.item[i].key[0] == disk.head.current && disk.item[i].key[1] == type &&
                snapshot_load(r, disk.head.current, disk.item[i].key + 1, disk.item[i].bytes.at,
                              disk.item[i].bytes.n, &p) != STATUS_OK)
                die("snapshot: %s", p.text);
    if (disk.head.current >= 0 && snapshot_done(r, disk.head.current, &p) != STATUS_OK)
        die("snapshot: %s", p.text);
    return r;
}

static void start(void)
{
    struct problem p = {0};
    struct server *s = sim.server = calloc(1, sizeof *s);
    s->router = load_snapshot();
    replay(s->router);
    struct router *whole = router_new(&init);
    replay(whole);
    if (snapshot_digest(whole) != snapshot_digest(s->router))
        die("the snapshot at %" PRIu64 " and the log after it are not the whole log's state",
            disk.head.current < 0 ? 0 : disk.head.snapshot_seq[disk.head.current]);
    router_free(whole);
    s->desk = desk_new(NULL, s->router);
    s->desk->snapshot_seq = disk.head.current < 0 ? 0 : disk.head.snapshot_seq[disk.head.current];
    if (config_parse(config, strlen(config), &s->params, &s->settings, &p) != STATUS_OK ||
        gate_open("", &s->gate, &p) != STATUS_OK)
        die("%s", p.text);
    desk_start(s->desk);
    if (router_file_hash(s->router) != 1 &&
        desk_configure(s->desk, &s->params, "file", 1, &p) != STATUS_OK)
        die("%s", p.text);
    write_batch(s->desk->filling.batch);
    batch_reset(s->desk->filling.batch);
    s->desk_control = (struct control){.desk = s->desk, .settings = &s->settings, .ctx = s};
    uv_timer_init(&sim.loop, &s->second);
    uv_timer_init(&sim.loop, &s->retry);
    uv_timer_init(&sim.loop, &s->deadline);
    uv_timer_init(&sim.loop, &s->linger);
    s->prepare.data = s->second.data = s->retry.data = s->deadline.data = s->linger.data = s;
    sim.restarts++;
}

static void close_timer(uv_timer_t *t)
{
    uv_close((uv_handle_t *)t, NULL);
}

/* The process is gone, and with it all that was not in the store. */
static void end(void)
{
    struct server *s = sim.server;
    close_timer(&s->second);
    close_timer(&s->retry);
    close_timer(&s->deadline);
    close_timer(&s->linger);
    uv_run(&sim.loop, UV_RUN_NOWAIT);
    gate_close(s->gate);
    desk_free(s->desk);
    router_free(s->router);
    free(s);
    sim.flying = NULL;
    for (int i = 0; i < SLOTS; i++)
        calls[i].ask = NULL;
}

static void crash(void)
{
    if (sim.flying && draw(2))
        write_batch(sim.flying); /* it was durable, and nobody heard of it */
    say("crash, the log ends at %" PRIu64, disk.n);
    end();
    start();
}

/* The writer is done, one way or another. */
static void finish(void)
{
    struct batch *b = sim.flying;
    struct problem p = {0};
    uint64_t how = draw(40);
    sim.flying = NULL;
    if (how < 3) {
        say("commit: full");
        sim.fulls++;
        problem_set(&p, STATUS_STORAGE_FULL, "", "full");
        server_on_commit(sim.server, b, STATUS_STORAGE_FULL, &p);
    } else if (how == 3) {
        if (draw(2))
            write_batch(b);
        say("commit: failed");
        problem_set(&p, STATUS_UNAVAILABLE, "", "an error of the disk");
        server_on_commit(sim.server, b, STATUS_UNAVAILABLE, &p);
    } else {
        write_batch(b);
        say("commit: the log ends at %" PRIu64, disk.n);
        server_on_commit(sim.server, b, STATUS_OK, &p);
    }
}

/* The timer fires. */
static void try_again(void)
{
    uv_timer_stop(&sim.server->retry);
    server_on_retry(&sim.server->retry);
}

static void one_step(void)
{
    struct server *s = sim.server;
    uint64_t what = draw(100);
    if (s->phase != PHASE_SERVING)
        crash(); /* it has told everybody and would end now */
    else if (what < 45)
        send_one();
    else if (what < 70) {
        if (uv_is_active((uv_handle_t *)&s->linger) && draw(2) == 0)
            server_on_linger(&s->linger);
        server_on_prepare(&s->prepare);
    } else if (what < 85 && sim.flying)
        finish();
    else if (what < 88 && uv_is_active((uv_handle_t *)&s->retry) && !sim.flying)
        try_again();
    else if (what < 93)
        sim.now += (int64_t)draw(3000);
    else if (what < 95)
        server_on_second(&s->second);
    else if (what < 96)
        s->want_snapshot = true;
    else if (what < 97)
        operate();
    else if (what == 97 && draw(3) == 0)
        crash();
}

/* What is under way is finished, then nobody may be left without an answer. */
static void settle(void)
{
    for (int i = 0; i < 1000; i++) {
        struct server *s = sim.server;
        bool left = sim.flying != NULL || s->phase != PHASE_SERVING || s->desk->full;
        for (int k = 0; k < SLOTS; k++)
            left |= calls[k].ask != NULL;
        if (!left)
            return;
        sim.step++;
        if (s->phase != PHASE_SERVING)
            crash();
        else if (sim.flying)
            finish();
        else if (uv_is_active((uv_handle_t *)&s->retry) && s->desk->full)
            try_again();
        else
            server_on_prepare(&s->prepare);
    }
    die("somebody waits for ever");
}

static void play(uint64_t seed, int steps)
{
    sim.seed = seed;
    sim.rng = rng_stream(seed, 5, 5);
    sim.now = 1700000000000;
    sim.story = 0;
    n_asks = 0;
    disk_format();
    start();
    for (sim.step = 0; sim.step < steps; sim.step++)
        one_step();
    settle();
    crash(); /* a last start: the store is what it should be */
    end();
}

int main(int argc, char **argv)
{
    uint64_t seeds = 100, first = 1;
    int steps = 300;
    for (int i = 1; i < argc; i++) {
        uint64_t v = i + 1 < argc ? strtoull(argv[i + 1], NULL, 10) : 0;
        if (strcmp(argv[i], "--seeds") == 0)
            seeds = v;
        if (strcmp(argv[i], "--first") == 0)
            first = v;
        if (strcmp(argv[i], "--steps") == 0)
            steps = (int)v;
        sim.trace |= strcmp(argv[i], "--trace") == 0;
    }
    if (!freopen("/dev/null", "w", stderr) || uv_loop_init(&sim.loop) != 0)
        return 2;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        play(seed, steps);
        uint32_t story = sim.story;
        if (seed % 10 == 0) {
            play(seed, steps);
            if (sim.story != story)
                die("the same seed, another story");
        }
    }
    disk_format();
    for (int i = 0; i < SLOTS; i++)
        outbuf_fini(&calls[i].slot.out);
    uv_loop_close(&sim.loop);
    printf("%" PRIu64 " seeds from %" PRIu64 ": %" PRId64 " replies, %" PRId64 " starts, %" PRId64
           " full disks\n",
           seeds, first, sim.replies, sim.restarts, sim.fulls);
    return 0;
}
