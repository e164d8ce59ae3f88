/* SPDX-License-Identifier: MIT */
/*
 * What would have been learned without some messages: the log folded twice at once, as it is and
 * without them. The second fold gets numbers of its own, since messages fall away and since it may
 * see a drift alarm where the first saw none; so decisions are translated from old numbers to new
 * ones. A decision that had left memory comes with its label book in the record, and that book may
 * hold what is left out: books of the second fold are its own, on a shelf.
 *
 * What silence says follows anew, as alarms do: a report that is left out no longer speaks in its
 * place. Decisions whose silence is left out lose their deadline in the second fold.
 *
 * Residuals, which the drift test sees, are told against the predictions that were logged, and
 * those knew the messages. So an alarm more or less than in a life without them is possible.
 *
 * Considered and not done: putting a harmless event in the place of each message to keep the
 * numbers. There would be no place for an alarm of the second fold alone.
 */
#include "sim/refold/refold.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "core/router/credit.h"
#include "core/router/snapshot.h"
#include "sim/refold/bookshelf.h"
#include "store/db.h"

enum { OPEN_AT_FIRST = 64 }; /* the log's STARTED records say how many it really is */

struct shift { /* records from this one on have numbers greater by so much in the second fold */
    uint64_t from;
    int64_t by;
};

struct fold {
    struct refold *out;
    const struct refold_filter *filter;
    struct db *db;
    struct bookshelf shelf;
    enum status failed; /* of reading a decision */
    int64_t quiet_ms;   /* silence that falls due after this is left out */
    struct shift *shift;
    size_t n_shifts, cap;
    void (*progress)(uint64_t done, uint64_t of);
    struct problem *problem;
    enum status status;
    struct event copy, extra, decided; /* too big for the stack */
};

/* ---- numbers ---- */

static bool note_shift(struct fold *f, uint64_t seq)
{
    int64_t by = (int64_t)(router_seq(f->out->without) + 1 - seq);
    if (by == (f->n_shifts ? f->shift[f->n_shifts - 1].by : 0))
        return true;
    if (f->n_shifts == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 256;
        struct shift *more = realloc(f->shift, cap * sizeof *more);
        if (!more)
            return false;
        f->shift = more;
        f->cap = cap;
    }
    f->shift[f->n_shifts++] = (struct shift){seq, by};
    return true;
}

static uint64_t renumbered(const struct fold *f, uint64_t seq)
{
    size_t low = 0, high = f->n_shifts; /* the last shift that begins at seq or before */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (f->shift[middle].from <= seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? (uint64_t)((int64_t)seq + f->shift[low - 1].by) : seq;
}

/* ---- what is left out ---- */

static bool of_tenant(struct fold *f, uint64_t decision)
{
    enum status s = db_read_event(f->db, decision, &f->decided, f->problem);
    if (s != STATUS_OK && s != STATUS_UNKNOWN_DECISION)
        f->failed = s;
    if (s != STATUS_OK || f->decided.kind != EVENT_DECIDED) {
        f->out->unknown++;
        return false;
    }
    return strcmp(f->decided.decided.labels.tenant, f->filter->tenant) == 0;
}

static bool left_out(struct fold *f, const struct event *e)
{
    const struct refold_filter *k = f->filter;
    const struct feedback *said = &e->feedback.feedback;
    if (e->kind == EVENT_TAUGHT)
        return (k->batch && batch_named(said->feedback_id, k->batch)) ||
               moment_after(&k->until, e->seq, e->time_ms);
    if (e->kind != EVENT_FEEDBACK)
        return false;
    return (k->source && strcmp(source_name(said), k->source) == 0) ||
           moment_after(&k->until, e->seq, e->time_ms) || (k->tenant && of_tenant(f, said->seq));
}

/* Labels of silence follow by themselves; what an operator says in its name is a message. */
static bool of_silence(const struct event *e)
{
    const struct feedback *said = &e->feedback.feedback;
    return e->kind == EVENT_FEEDBACK && strcmp(said->source, SILENCE_SOURCE) == 0 &&
           said->feedback_id[0] == '\0';
}

static void silenced(const struct fold *f, struct event_decided *d)
{
    const struct refold_filter *k = f->filter;
    if ((k->source && strcmp(k->source, SILENCE_SOURCE) == 0) ||
        (k->tenant && strcmp(k->tenant, d->labels.tenant) == 0) || d->silence_due_ms > f->quiet_ms)
        d->silence_due_ms = 0;
}

/* When the last record that stays was written. */
static int64_t end_of(struct fold *f, const struct moment *until)
{
    if (!until->given || until->seq == 0)
        return until->given ? until->time_ms : INT64_MAX;
    return db_read_event(f->db, until->seq, &f->extra, NULL) == STATUS_OK ? f->extra.time_ms
                                                                          : INT64_MAX;
}

/* ---- the second fold ---- */

static void on_evict(void *ctx, uint64_t seq, const struct label_book *book)
{
    struct fold *f = ctx;
    bookshelf_put(&f->shelf, seq, book);
}

/* The first message about a decision of before the snapshot tells how its book stood there. */
static void keep_book(struct fold *f, const struct event_feedback *e)
{
    struct label_book book;
    uint64_t seq = renumbered(f, e->feedback.seq);
    if (e->recalled && e->feedback.seq <= f->out->from_seq && !bookshelf_get(&f->shelf, seq, &book))
        bookshelf_put(&f->shelf, seq, &e->book);
}

static void translate(struct fold *f, struct event_feedback *e)
{
    uint64_t old = e->feedback.seq, seq = renumbered(f, old);
    e->feedback.seq = seq;
    if (!e->recalled)
        return;
    e->row.seq = seq;
    if (!bookshelf_get(&f->shelf, seq, &e->book) && old > f->out->from_seq)
        book_init(&e->book);
}

/* Hosts ask what follows after these. */
static bool has_followers(enum event_kind k)
{
    return k == EVENT_DECIDED || k == EVENT_FEEDBACK || k == EVENT_TAUGHT;
}

static enum status follow_all(struct fold *f, int64_t time_ms)
{
    do
        router_follow(f->out->without, time_ms, &f->extra);
    while (f->extra.kind != EVENT_NONE);
    return f->shelf.failed ? problem_set(f->problem, STATUS_UNAVAILABLE, "", "out of memory")
                           : STATUS_OK;
}

static enum status fold_without(struct fold *f, const struct event *e)
{
    struct router *r = f->out->without;
    bool out = left_out(f, e);
    if (f->failed != STATUS_OK)
        return f->failed;
    if (out) {
        f->out->feedback_out += e->kind == EVENT_FEEDBACK;
        f->out->taught_out += e->kind == EVENT_TAUGHT;
        if (e->kind == EVENT_FEEDBACK)
            keep_book(f, &e->feedback);
        return STATUS_OK;
    }
    if (e->kind == EVENT_DRIFTED || e->kind == EVENT_PACED || e->kind == EVENT_HULL)
        return STATUS_OK;                          /* followed anew */
    if (of_silence(e) || e->kind == EVENT_EXPIRED) /* reservations end when these decisions say */
        return follow_all(f, e->time_ms);
    if (!note_shift(f, e->seq))
        return problem_set(f->problem, STATUS_UNAVAILABLE, "", "out of memory");
    f->copy = *e;
    f->copy.seq = router_seq(r) + 1;
    if (e->kind == EVENT_FEEDBACK)
        translate(f, &f->copy.feedback);
    if (e->kind == EVENT_DECIDED) {
        f->copy.decided.attempt.from = renumbered(f, e->decided.attempt.from);
        silenced(f, &f->copy.decided);
    }
    enum status s = router_apply(r, &f->copy, f->problem);
    return s == STATUS_OK && has_followers(e->kind) ? follow_all(f, e->time_ms) : s;
}

/* ---- both ---- */

static bool visit(void *ctx, const struct event *e)
{
    struct fold *f = ctx;
    uint64_t next = router_seq(f->out->with) + 1;
    struct problem why = {0};
    if (e->seq != next)
        f->status = problem_set(f->problem, STATUS_INTERNAL, "",
                                "records %" PRIu64 " to %" PRIu64 " are missing from the log", next,
                                e->seq - 1);
    else if (router_apply(f->out->with, e, &why) != STATUS_OK)
        f->status = problem_set(f->problem, STATUS_INTERNAL, "",
                                "record %" PRIu64 " cannot be applied: %s", e->seq, why.text);
    else if (f->out->without)
        f->status = fold_without(f, e);
    if (f->progress && (e->seq % 4096 == 0 || e->seq == f->out->last_seq))
        f->progress(e->seq, f->out->last_seq);
    return f->status == STATUS_OK;
}

/* A router of this store, at its older snapshot if the log's beginning is gone. */
static enum status begin(struct fold *f, const struct db_info *info, struct router **out,
                         struct problem *problem)
{
    struct router_init init = {.max_open = OPEN_AT_FIRST};
    db_init(f->db, &init);
    *out = router_new(&init);
    if (!*out)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    if (info->first_seq <= 1)
        return STATUS_OK;
    int older = info->base >= 0 ? info->base : info->current;
    if (older < 0)
        return problem_set(problem, STATUS_INTERNAL, "",
                           "the log begins at record %" PRIu64 " and there is no snapshot",
                           info->first_seq);
    f->out->from_seq = info->snapshot_seq[older];
    return db_recover(f->db, older == info->current ? GENERATION_CURRENT : GENERATION_BASE,
                      f->out->from_seq, *out, NULL, NULL, problem);
}

/* The state that the store itself would start with, as of now: its digest and last record. First of
 * all, since a live store's snapshots move on. */
static enum status read_own(struct fold *f, uint64_t *digest, struct problem *problem)
{
    struct router_init init = {.max_open = OPEN_AT_FIRST};
    db_init(f->db, &init);
    struct router *r = router_new(&init);
    if (!r)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    enum status s = db_recover(f->db, GENERATION_CURRENT, 0, r, NULL, NULL, problem);
    if (s == STATUS_OK) {
        f->out->last_seq = router_seq(r);
        *digest = snapshot_digest(r);
    }
    router_free(r);
    return s;
}

static enum status begin_both(struct fold *f, struct problem *problem)
{
    struct refold *out = f->out;
    const struct refold_filter *k = f->filter;
    struct db_info info;
    enum status s = db_info(f->db, &info, problem);
    if (s != STATUS_OK)
        return s;
    out->first_seq = info.first_seq;
    s = begin(f, &info, &out->with, problem);
    if (s != STATUS_OK || !(k->source || k->tenant || k->batch || k->until.given))
        return s;
    s = begin(f, &info, &out->without, problem);
    if (s == STATUS_OK)
        router_on_evict(out->without, on_evict, f);
    return s;
}

static enum status fold_all(struct fold *f, struct problem *problem)
{
    struct refold *out = f->out;
    uint64_t own = 0;
    enum status s = read_own(f, &own, problem);
    if (s == STATUS_OK)
        s = begin_both(f, problem);
    if (s == STATUS_OK && out->last_seq > out->from_seq)
        s = db_scan(f->db, out->from_seq + 1, out->last_seq, visit, f, problem);
    if (s == STATUS_OK)
        s = f->status;
    if (s != STATUS_OK)
        return s;
    out->digest = snapshot_digest(out->with);
    out->own = out->digest == own;
    router_settle(out->with);
    if (out->without) {
        router_on_evict(out->without, NULL, NULL);
        router_settle(out->without);
    }
    return STATUS_OK;
}

enum status refold_store(const char *dir, const struct refold_filter *filter,
                         void (*progress)(uint64_t done, uint64_t of), struct refold *out,
                         struct problem *problem)
{
    memset(out, 0, sizeof *out);
    struct fold *f = calloc(1, sizeof *f);
    if (!f)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    f->out = out;
    f->filter = filter;
    f->status = STATUS_OK;
    f->progress = progress;
    f->problem = problem;
    enum status s = db_open(dir, &(struct db_options){.read_only = true}, &f->db, problem);
    if (s == STATUS_OK) {
        f->quiet_ms = end_of(f, &filter->until);
        s = fold_all(f, problem);
        db_close(f->db);
    }
    bookshelf_fini(&f->shelf);
    free(f->shift);
    free(f);
    if (s != STATUS_OK)
        refold_free(out);
    return s;
}

void refold_free(struct refold *f)
{
    router_free(f->with);
    router_free(f->without);
    memset(f, 0, sizeof *f);
}
