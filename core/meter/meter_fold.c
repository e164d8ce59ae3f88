/* SPDX-License-Identifier: MIT */
/*
 * What the fold of the engine and its host do to the sums, done again with the least that this
 * takes: the label books of open decisions, in a ring of the size that the log says, and the bound
 * on keys of the configuration in force. Records of decisions are looked up, not kept.
 */
#include "core/meter/meter_fold.h"

#include <stdlib.h>
#include "core/config/config.h"
#include "core/router/credit.h"
#include "core/router/pending.h"

struct meter_fold {
    struct ledger ledger;
    struct meter one; /* of the event in hand */
    struct pending pending;
    struct params params;
    struct event decided;
};

struct meter_fold *meter_fold_new(void)
{
    struct meter_fold *f = calloc(1, sizeof *f);
    if (f && !pending_init(&f->pending, 1, 0)) {
        free(f);
        return NULL;
    }
    if (f)
        params_default(&f->params);
    return f;
}

void meter_fold_free(struct meter_fold *f)
{
    if (!f)
        return;
    ledger_fini(&f->ledger);
    meter_fini(&f->one);
    pending_fini(&f->pending);
    free(f);
}

const struct ledger *meter_fold_ledger(const struct meter_fold *f)
{
    return &f->ledger;
}

static enum status no_memory(struct problem *problem)
{
    return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory to add up the log");
}

static enum status on_decided(struct meter_fold *f, const struct event *e, struct problem *problem)
{
    struct decision_row row;
    struct meter_sums delta;
    static const float none[1] = {0};
    row_from_decided(e, &row);
    row.d = 0; /* the vector is not kept */
    pending_insert(&f->pending, &row, none);
    return meter_decided(&f->one, e, f->params.meter.keys, &delta) ? STATUS_OK : no_memory(problem);
}

static enum status on_feedback(struct meter_fold *f, const struct event_feedback *said,
                               struct problem *problem)
{
    enum feedback_result result;
    struct meter_sums delta;
    struct label_book before, after;
    int64_t slot = pending_find(&f->pending, said->feedback.seq);
    if (slot < 0 && !said->recalled)
        return problem_set(problem, STATUS_INTERNAL, "", "feedback for decision %llu, not open",
                           (unsigned long long)said->feedback.seq);
    if (slot >= 0)
        pending_book(&f->pending, slot, &before);
    else
        before = said->book;
    after = before;
    enum status s = book_take(&after, &said->feedback, &result, problem);
    if (s != STATUS_OK)
        return s;
    if (slot >= 0)
        pending_set_book(&f->pending, slot, &after);
    return meter_feedback(&f->one, &f->decided, &before, &after, f->params.meter.keys, &delta)
               ? STATUS_OK
               : no_memory(problem);
}

enum status meter_fold_event(struct meter_fold *f, const struct event *e,
                             enum status (*recall)(void *ctx, uint64_t seq, struct event *out,
                                                   struct problem *problem),
                             void *ctx, struct problem *problem)
{
    enum status s = STATUS_OK;
    meter_clear(&f->one);
    if (e->kind == EVENT_STARTED) {
        if (!pending_resize(&f->pending, e->started.max_open))
            s = no_memory(problem);
    } else if (e->kind == EVENT_CONFIGURED) {
        s = config_parse(e->configured.json, e->configured.len, &f->params, NULL, problem);
    } else if (e->kind == EVENT_DECIDED) {
        s = on_decided(f, e, problem);
    } else if (e->kind == EVENT_FEEDBACK) {
        s = recall(ctx, e->feedback.feedback.seq, &f->decided, problem);
        if (s == STATUS_OK)
            s = on_feedback(f, &e->feedback, problem);
    }
    if (s == STATUS_OK && !ledger_post(&f->ledger, &f->one))
        s = no_memory(problem);
    return s;
}
