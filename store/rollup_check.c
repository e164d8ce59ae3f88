/* SPDX-License-Identifier: MIT */
/*
 * The rollups against the log, added up again from its first record. Hours are compared row by row,
 * every sum. Days are compared by model: which keys found room is decided hour by hour, and late
 * feedback for an hour that has become part of its day meets the keys of the whole day, so that
 * beyond the bound the split among keys depends on when the hour was folded; the sums do not.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "core/meter/meter_fold.h"
#include "store/db_inside.h"
#include "store/rollup.h"

struct comparison {
    struct db *db;
    struct rollup_state state;
    struct meter stored, summed;
    struct meter_fold *fold;
    uint64_t next; /* record that must come next */
    enum status status;
    struct problem *problem;
};

static enum status no_memory(struct comparison *c)
{
    return problem_set(c->problem, STATUS_UNAVAILABLE, "", "no memory to check the rollups");
}

/* What is compared under which key: refusals are not in the log. */
static bool take(struct meter *m, const struct meter_key *key, bool day,
                 const struct meter_sums *sums)
{
    struct meter_key k = *key;
    struct meter_sums s = *sums;
    uint8_t bytes[METER_KEY_MAX];
    s.v[METER_REFUSED] = 0;
    if (k.arm == METER_NO_MODEL)
        return true;
    if (day) {
        k = (struct meter_key){.hour = k.hour - k.hour % 24, .arm = k.arm, .tenant = "day"};
    }
    size_t n = meter_key_put(&k, bytes);
    return meter_add(m, bytes, n, &s, 0);
}

static bool on_row(void *ctx, const struct meter_key *key, int hours, const struct meter_sums *sums)
{
    struct comparison *c = ctx;
    if (!take(&c->stored, key, hours == 24, sums))
        c->status = no_memory(c);
    return c->status == STATUS_OK;
}

static enum status recall(void *ctx, uint64_t seq, struct event *out, struct problem *problem)
{
    struct comparison *c = ctx;
    return db_read_event(c->db, seq, out, problem);
}

static bool on_record(void *ctx, const struct event *e)
{
    struct comparison *c = ctx;
    if (e->seq == c->next)
        c->status = meter_fold_event(c->fold, e, recall, c, c->problem);
    c->next += e->seq == c->next;
    return c->status == STATUS_OK && e->seq < c->next;
}

static enum status fold_log(struct comparison *c)
{
    enum status s = db_scan(c->db, 1, c->state.seq, on_record, c, c->problem);
    if (s == STATUS_OK)
        s = c->status;
    const struct meter *rows = &meter_fold_ledger(c->fold)->rows;
    for (size_t i = 0; s == STATUS_OK && i < rows->n; i++) {
        const struct meter_entry *e = &rows->entry[i];
        struct meter_key k;
        if (!meter_key_get(rows->keys + e->key_at, e->key_len, &k) || k.hour < c->state.dropped)
            continue;
        if (!take(&c->summed, &k, k.hour < c->state.folded, &e->sums))
            s = no_memory(c);
    }
    return s;
}

static enum status differ(struct comparison *c, const struct meter_entry *a,
                          const struct meter_entry *b)
{
    struct meter_key k = {0};
    static const struct meter_sums nothing;
    const struct meter_sums *in = a ? &a->sums : &nothing, *log = b ? &b->sums : &nothing;
    const struct meter *m = a ? &c->stored : &c->summed;
    int f = 0;
    while (f < METER_FIELDS - 1 && in->v[f] == log->v[f])
        f++;
    (void)meter_key_get(m->keys + (a ? a : b)->key_at, (a ? a : b)->key_len, &k);
    return db_damaged(c->db, c->problem,
                      "rollup of hour %u, tenant %.20s, task %.20s: %s %" PRId64
                      ", the log gives %" PRId64,
                      k.hour, k.tenant, k.task, meter_field_name(f), in->v[f], log->v[f]);
}

/* Every row of a that is not all zeros must be in b, the same. */
static enum status compare(struct comparison *c, const struct meter *a, const struct meter *b)
{
    static const struct meter_sums nothing;
    for (size_t i = 0; i < a->n; i++) {
        const struct meter_entry *e = &a->entry[i];
        const struct meter_entry *o = meter_find(b, a->keys + e->key_at, e->key_len);
        if (memcmp(&e->sums, o ? &o->sums : &nothing, sizeof e->sums) != 0)
            return a == &c->stored ? differ(c, e, o) : differ(c, o, e);
    }
    return STATUS_OK;
}

static enum status check(struct comparison *c, int64_t *rows)
{
    enum status s = rollup_scan(c->db, 0, UINT32_MAX, on_row, c, &c->state, c->problem);
    if (s != STATUS_OK || c->status != STATUS_OK)
        return s != STATUS_OK ? s : c->status;
    if (c->state.since != 1)
        return STATUS_OK;
    c->fold = meter_fold_new();
    if (c->fold == NULL)
        return no_memory(c);
    s = fold_log(c);
    if (s != STATUS_OK || c->next <= c->state.seq)
        return s; /* pruned: the log does not begin at the beginning, or went away meanwhile */
    s = compare(c, &c->stored, &c->summed);
    if (s == STATUS_OK)
        s = compare(c, &c->summed, &c->stored);
    *rows = (int64_t)c->stored.n;
    return s;
}

enum status rollup_check(struct db *db, int64_t *rows, struct problem *problem)
{
    struct comparison c = {.db = db, .next = 1, .problem = problem};
    *rows = -1;
    enum status s = check(&c, rows);
    meter_fini(&c.stored);
    meter_fini(&c.summed);
    meter_fold_free(c.fold);
    return s;
}
