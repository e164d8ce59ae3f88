/* SPDX-License-Identifier: MIT */
/*
 * Every record is decoded, so its checksum is seen, and must stand under its own number. A record
 * that cannot be read ends what can be folded from before it; so the state to begin at is the one
 * of the empty state and the snapshots from which most can be folded, the empty state if it is
 * as good: then nothing but the log is needed.
 * Not done: looking for old copies of records on pages that are free. A transaction that was never
 * committed leaves some too, and nothing tells them apart.
 */
#include "store/salvage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "core/event/bytes.h"
#include "core/router/snapshot.h"

enum { OPEN_AT_FIRST = 64, FIRST_ROOM = 4096 };

static MDB_val val(const uint8_t *at, size_t n)
{
    return (MDB_val){n, (void *)(uintptr_t)at}; /* LMDB's type has no const */
}

static void on_record(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t n)
{
    struct salvage *s = ctx;
    struct event e;
    uint64_t seq = seq_of(val(key, key_len));
    if (event_decode(value, n, &e, NULL) != STATUS_OK || e.seq != seq || seq == 0 ||
        (s->n > 0 && s->record[s->n - 1].seq >= seq))
        return;
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : FIRST_ROOM;
        struct salvaged_record *more = reallocarray(s->record, cap, sizeof *more);
        s->no_memory |= more == NULL;
        if (more == NULL)
            return;
        s->record = more;
        s->cap = cap;
    }
    s->record[s->n++] = (struct salvaged_record){seq, value, n};
}

static bool named(const uint8_t *key, size_t n, const char *name)
{
    return n == strlen(name) && memcmp(key, name, n) == 0;
}

static void on_meta(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t n)
{
    struct salvage *s = ctx;
    MDB_val v = val(value, n);
    if (sealed_open(val(key, key_len), &v) != 0)
        return;
    struct reader r = reader_over(v.mv_data, v.mv_size);
    if (named(key, key_len, "identity") && v.mv_size == IDENTITY_LEN)
        s->identity = v.mv_data;
    if (named(key, key_len, "schema"))
        s->old = get_u32(&r) != SCHEMA;
    if (named(key, key_len, "head"))
        s->has_head = head_read(v.mv_data, v.mv_size, &s->head);
}

const struct salvaged_record *salvage_record(const struct salvage *s, uint64_t seq)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->record[middle].seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->n && s->record[low].seq == seq ? &s->record[low] : NULL;
}

/* ---- the state to begin at */

struct loading {
    struct router *router;
    int g;
    bool bad;
};

static void on_item(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t n)
{
    struct loading *l = ctx;
    MDB_val v = val(value, n);
    if (key_len != 1 + ITEM_KEY_LEN || key[0] != l->g || l->bad)
        return;
    l->bad = sealed_open(val(key, key_len), &v) != 0 ||
             snapshot_load(l->router, l->g, key + 1, v.mv_data, v.mv_size, NULL) != STATUS_OK;
}

static struct router *fresh(const struct salvage *s)
{
    struct reader r = reader_over(s->identity, IDENTITY_LEN);
    struct router_init init = {.max_open = OPEN_AT_FIRST};
    get_raw(&r, 16);
    memcpy(init.mac_key, get_raw(&r, 16), sizeof init.mac_key);
    init.seed = get_u64(&r);
    return router_new(&init);
}

/* The last record that can be folded after `seq`. */
static uint64_t reach(const struct salvage *s, uint64_t seq)
{
    const struct salvaged_record *r = salvage_record(s, seq + 1), *end = s->record + s->n;
    for (; r != NULL && r < end && r->seq == seq + 1; r++)
        seq++;
    return seq;
}

static void consider(struct salvage *s, struct router *router, int g)
{
    uint64_t seq = router_seq(router), far = reach(s, seq);
    if (s->base != NULL && (far < s->reach || (far == s->reach && seq < s->base_seq) ||
                            (far == s->reach && s->base_seq == 0))) {
        router_free(router);
        return;
    }
    router_free(s->base);
    s->base = router;
    s->base_g = g;
    s->base_seq = seq;
    s->reach = far;
}

static enum status choose(struct salvage *s, const char *dir, struct problem *problem)
{
    if (salvage_record(s, 1) != NULL) {
        struct router *empty = fresh(s);
        if (empty != NULL)
            consider(s, empty, -1);
        s->no_memory |= empty == NULL;
    }
    for (int g = 0; g < GENERATIONS; g++) {
        struct loading l = {fresh(s), g, false};
        s->no_memory |= l.router == NULL;
        if (l.router == NULL)
            continue;
        pages_walk(s->pages, "state", on_item, &l);
        if (!l.bad && snapshot_done(l.router, g, NULL) == STATUS_OK && router_seq(l.router) > 0) {
            consider(s, l.router, g);
            continue;
        }
        s->snapshot_bad[g] = s->has_head && s->head.snapshot_seq[g] > 0;
        router_free(l.router);
    }
    if (s->no_memory)
        return problem_set(problem, STATUS_UNAVAILABLE, dir, "%s: no memory to read it", dir);
    if (s->base == NULL)
        return problem_set(problem, STATUS_INTERNAL, dir,
                           "%s: neither the first record nor a whole snapshot can be read; restore "
                           "a backup",
                           dir);
    return STATUS_OK;
}

static void count_lost(struct salvage *s)
{
    uint64_t first = s->n > 0 ? s->record[0].seq : s->head.last_seq + 1;
    if (s->n > 0 && s->head.last_seq < s->record[s->n - 1].seq)
        s->head.last_seq = s->record[s->n - 1].seq;
    if (s->head.last_seq < s->reach)
        s->head.last_seq = s->reach;
    s->lost = s->head.last_seq + 1 - first - s->n;
}

enum status salvage_open(const char *dir, struct salvage *out, struct problem *problem)
{
    struct salvage s = {.head.current = -1};
    enum status st = pages_open(dir, &s.pages, problem);
    if (st != STATUS_OK)
        return st;
    pages_walk(s.pages, "meta", on_meta, &s);
    if (s.old)
        st = problem_set(problem, STATUS_BAD_REQUEST, dir,
                         "%s: written under another schema; use the program that wrote it", dir);
    else if (s.identity == NULL)
        st = problem_set(problem, STATUS_INTERNAL, dir,
                         "%s: its identity cannot be read, and without it no decision id can be "
                         "checked; restore a backup",
                         dir);
    if (st == STATUS_OK) {
        pages_walk(s.pages, "log", on_record, &s);
        st = choose(&s, dir, problem);
    }
    if (st == STATUS_OK) {
        count_lost(&s);
        *out = s;
    } else {
        salvage_close(&s);
    }
    return st;
}

void salvage_close(struct salvage *s)
{
    router_free(s->base);
    free(s->record);
    pages_close(s->pages);
    *s = (struct salvage){0};
}
