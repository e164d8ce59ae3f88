/* SPDX-License-Identifier: MIT */
/*
 * The desk's part of learned state from elsewhere. The pieces of a message are records one behind
 * the other in one transaction, so a model has come in whole or not at all, and an import is found
 * in the log from its first record on.
 */
#include <stdlib.h>
#include <string.h>
#include "core/learn/imports.h"
#include "core/learn/learned.h"
#include "transport/desk/desk_inside.h"

enum { RECORDS_MOST = 2 * LEARNED_PARTS };

static enum status put(struct desk *d, const struct event_learned *e, int64_t now,
                       struct problem *p)
{
    enum status s = router_learned(d->router, now, e, &d->event, p);
    if (s == STATUS_OK)
        desk_append(d, &d->event);
    return s;
}

static enum status put_aside(struct desk *d, const struct event_learned *e, int64_t now,
                             struct problem *p)
{
    static uint8_t bytes[LEARNED_BYTES_MAX]; /* loop thread only */
    struct event_learned was = *e;
    router_learned_take(d->router, e->learner, e->part, e->arm, bytes);
    was.turn = LEARNED_PUT_ASIDE;
    was.share = 1;
    was.bytes = bytes;
    return put(d, &was, now, p);
}

enum status desk_learned(struct desk *d, const struct event_learned *piece, int n, bool replaces,
                         struct problem *problem)
{
    enum status s = STATUS_OK;
    int64_t now = wallclock_now(&d->clock);
    if (d->full)
        return desk_storage_full(problem);
    for (int i = 0; s == STATUS_OK && i < n; i++) {
        if (replaces || piece[i].part == LEARNED_PRIOR)
            s = put_aside(d, &piece[i], now, problem);
        if (s == STATUS_OK)
            s = put(d, &piece[i], now, problem);
    }
    return s;
}

/* ---- taking back ---- */

/* The records of an import, copied: what they borrow moves. */
struct found {
    const char *name;
    int learner, place;
    uint64_t first;
    struct event_learned record[RECORDS_MOST];
    uint8_t *bytes[RECORDS_MOST];
    int n;
    bool short_of_memory;
};

/* Whether the record belongs to it; then it has been copied. */
static bool keep(void *ctx, const struct event *e)
{
    struct found *f = ctx;
    const struct event_learned *l = &e->learned;
    if (e->kind != EVENT_LEARNED || f->n == RECORDS_MOST || e->seq != f->first + (uint64_t)f->n ||
        l->learner != f->learner || strcmp(l->name, f->name) != 0 ||
        (l->part == LEARNED_PRIOR ? MODELS_MAX : l->arm) != f->place)
        return false;
    uint8_t *bytes = malloc(l->len);
    f->short_of_memory = !bytes;
    if (!bytes)
        return false;
    memcpy(bytes, l->bytes, l->len);
    f->record[f->n] = *l;
    f->record[f->n].bytes = f->bytes[f->n] = bytes;
    f->n++;
    return true;
}

static bool keep_from(const struct batch *b, uint64_t seq, struct event *room, struct found *f)
{
    const uint8_t *bytes;
    size_t n;
    return batch_find_event(b, seq, &bytes, &n) &&
           event_decode(bytes, n, room, NULL) == STATUS_OK && keep(f, room);
}

/* Reads them on disk, in flight, and in the batch being filled, in which they may go on. */
static enum status find(struct desk *d, uint64_t seq, struct found *f, struct problem *p)
{
    f->first = seq; /* or what is left of them stands at the end of the log */
    enum status s = db_scan(d->db, seq, seq + RECORDS_MOST - 1, keep, f, p);
    if (s != STATUS_OK)
        return s;
    while (f->n < RECORDS_MOST && !f->short_of_memory) {
        uint64_t next = seq + (uint64_t)f->n;
        if (!keep_from(d->filling.batch, next, &d->extra, f) &&
            !(d->flying && keep_from(d->other.batch, next, &d->extra, f)))
            break;
    }
    if (f->short_of_memory)
        return problem_set(p, STATUS_UNAVAILABLE, "", "no memory for the records of the import");
    if (f->n == 0)
        return problem_set(
            p, STATUS_CONFLICT, "/import",
            "its records have left the log, so what came in cannot be told any more");
    return STATUS_OK;
}

/* What came in can be taken out of sums that have it, and only of those. */
static enum status removable(struct desk *d, const struct import *in, int place, struct problem *p)
{
    const struct imports *all = router_imports(d->router);
    if (in->seq[place] < all->reshaped)
        return problem_set(p, STATUS_CONFLICT, "/import",
                           "features or the lens have changed since it came in: it is part of what "
                           "is known and cannot be told apart any more");
    for (int k = 0; k < all->n; k++) {
        const struct import *other = &all->at[k];
        if (other->learner != in->learner || other->seq[place] <= in->seq[place])
            continue;
        enum status s = desk_read(d, other->seq[place], &d->extra, p);
        if (s != STATUS_OK)
            return s;
        if (d->extra.kind == EVENT_LEARNED && d->extra.learned.turn == LEARNED_PUT_ASIDE)
            return problem_set(p, STATUS_CONFLICT, "/import",
                               "import %s came in its place: take that back first", other->name);
    }
    return STATUS_OK;
}

enum status desk_unlearned(struct desk *d, const char *name, int learner, int place,
                           struct problem *problem)
{
    const struct import *in = imports_find(router_imports(d->router), name, learner);
    struct found *f = calloc(1, sizeof *f);
    int64_t now = wallclock_now(&d->clock);
    if (!f)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for an import");
    f->name = name;
    f->learner = learner;
    f->place = place;
    enum status s = d->full ? desk_storage_full(problem) : removable(d, in, place, problem);
    if (s == STATUS_OK)
        s = find(d, in->seq[place], f, problem);
    for (int i = f->n; s == STATUS_OK && i-- > 0;) {
        struct event_learned back = f->record[i];
        back.turn = back.turn == LEARNED_ADDED ? LEARNED_TAKEN_BACK : LEARNED_PUT_BACK;
        s = put(d, &back, now, problem);
    }
    for (int i = 0; i < f->n; i++)
        free(f->bytes[i]);
    free(f);
    return s;
}
