/* SPDX-License-Identifier: MIT */
/*
 * The fold's learning: what a message about a decision, or about one made elsewhere, changes. The
 * label book of the decision takes the message; the difference between what it amounted to and what
 * it amounts to now goes to the regressions, the cost sums, the pacer and the counters, so that a
 * message is learned once whatever comes before or after it.
 */
#include <limits.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/learn/silence.h"
#include "core/router/credit.h"
#include "core/router/router_state.h"

/* ---- applying ---- */

static void save_book(struct router *r, uint64_t seq, const struct label_book *book)
{
    if (r->evict && (book->n_seen > 0 || book->hold.n > 0))
        r->evict(r->evict_ctx, seq, book);
}

bool router_awaits_quality(const struct router *r, const struct decision_row *row,
                           const struct label_book *book)
{
    return row->schema == r->learner.schema && !(book->applied >> TARGET_QUALITY & 1);
}

void router_pend(struct router *r, const struct decision_row *row, const float *x, int rows)
{
    struct learner *also = router_also(r, row);
    if (also)
        learner_pend(also, &r->params, row, x, rows);
    learner_pend(router_learner(r, row->learner), &r->params, row, x, rows);
}

void router_count_usd(struct router *r, const struct event_decided *d)
{
    double booked = (double)d->booked_nano * 1e-9;
    r->dearest_n += r->dearest_n < MEAN_OF;
    r->dearest_usd += ((double)d->dearest_nano * 1e-9 - r->dearest_usd) / (double)r->dearest_n;
    r->booked_usd = r->booked_usd > 0 ? r->booked_usd + (booked - r->booked_usd) / MEAN_OF : booked;
}

/* A decision leaves memory: its labels go to the store, its label is no longer waited for, what it
 * has reserved counts as spent. */
void router_forget(struct router *r, int64_t slot)
{
    const struct decision_row *row = &r->pending.row[slot];
    struct label_book book;
    pending_book(&r->pending, slot, &book);
    if (router_awaits_quality(r, row, &book))
        router_pend(r, row, r->pending.x + slot * r->pending.stride, -1);
    if (book.hold.open) {
        router_expire(r, slot);
        pending_book(&r->pending, slot, &book);
    }
    save_book(r, row->seq, &book);
}

/* What was taught is history (row.seq 0): it delivered no value here. */
static void count_quality(struct router *r, const struct decision_row *row,
                          struct label_change change)
{
    double more = (change.has ? change.after : 0) - (change.had ? change.before : 0);
    r->counters.model[row->arm].quality_sum += more;
    if (row->seq == 0)
        return;
    r->counters.value_quality += row->value * more;
    r->counters.value_labelled += row->value * ((int)change.has - (int)change.had);
}

static void learn_targets(struct router *r, const struct decision_row *row, const float *x,
                          struct label_book *b, const struct credit *c)
{
    struct model_counters *m = &r->counters.model[row->arm];
    struct learner *own = router_learner(r, row->learner), *also = router_also(r, row);
    struct label_change change[TARGETS];
    for (int t = 0; t < TARGETS; t++)
        change[t] = (struct label_change){.had = b->applied >> t & 1,
                                          .before = b->label[t],
                                          .has = c->has[t],
                                          .after = c->label[t]};
    if (also) /* first, so that what is borrowed is up to date */
        learner_change(also, &r->params, row, x, change, r->clock_ms);
    learner_change(own, &r->params, row, x, change, r->clock_ms);
    for (int t = 0; t < TARGETS; t++) {
        m->labels[t] += (int)change[t].has - (int)change[t].had;
        b->applied = (uint8_t)((b->applied & ~(1u << t)) | (unsigned)change[t].has << t);
        b->label[t] = change[t].has ? change[t].after : 0;
    }
    const struct label_change *q = &change[TARGET_QUALITY];
    count_quality(r, row, *q);
    hull_guard_label(&r->hull, row, q->had, q->before, q->has, q->after);
    canary_label(&r->canary, row, q->had, q->before, q->has, q->after);
}

static void learn_cost(struct router *r, const struct decision_row *row, const struct label_book *b,
                       const struct credit *c)
{
    struct learner *both[] = {router_learner(r, row->learner), router_also(r, row)};
    for (int i = 0; i < 2; i++)
        if (both[i])
            learner_cost(both[i], row, b->has_cost, b->learned_nano, b->priced_nano, c->has_cost,
                         c->learned_nano, c->priced_nano);
}

static void settle(struct router *r, const struct decision_row *row, struct label_book *b,
                   const struct credit *c)
{
    int64_t before = b->has_cost ? b->cost_nano : row->booked_nano;
    int64_t after = c->has_cost ? c->cost_nano : row->booked_nano;
    learn_cost(r, row, b, c);
    pacer_settle(&r->pacer, before, after, c->has_cost - b->has_cost, row->predicted_nano);
    r->counters.spent_nano += after - before;
    r->counters.model[row->arm].spent_nano += after - before;
    b->has_cost = c->has_cost;
    b->cost_nano = c->has_cost ? c->cost_nano : 0;
    b->learned_nano = c->has_cost ? c->learned_nano : 0;
    b->priced_nano = c->has_cost ? c->priced_nano : 0;
}

/* Brings the learner and the books in line with what the book now says. A decision made under
 * another feature schema is still settled, but has nothing to teach this learner. */
static void learn(struct router *r, const struct decision_row *row, const float *x,
                  struct label_book *b)
{
    struct credit c;
    credit_of(b, row, &c);
    influence_bound(&c, row, r->params.learner.most_off);
    if (row->schema == r->learner.schema && !r->params.learner.frozen)
        learn_targets(r, row, x, b, &c);
    settle(r, row, b, &c);
}

/* After a freeze: what the books of open decisions gathered meanwhile, in the order of the
 * decisions. Labels of decisions that have left memory are learned when a later message recalls
 * them. */
void router_catch_up(struct router *r)
{
    for (int64_t k = r->pending.first; k < r->pending.total; k++) {
        int64_t slot = k % r->pending.cap;
        const struct decision_row *row = &r->pending.row[slot];
        struct label_book book;
        pending_book(&r->pending, slot, &book);
        if (book.n_seen == 0 || row->schema != r->learner.schema)
            continue;
        const float *x = r->pending.x + slot * r->pending.stride;
        bool waited = router_awaits_quality(r, row, &book);
        learn(r, row, x, &book);
        pending_set_book(&r->pending, slot, &book);
        if (waited != router_awaits_quality(r, row, &book))
            router_pend(r, row, x, waited ? -1 : 1);
        pending_touch(&r->pending, slot);
    }
}

enum status router_learn_feedback(struct router *r, const struct event *ev, struct problem *problem)
{
    const struct event_feedback *f = &ev->feedback;
    enum feedback_result result;
    int64_t slot = pending_find(&r->pending, f->feedback.seq);
    struct label_book copy, before;
    if (slot < 0 && !f->recalled)
        return problem_set(problem, STATUS_INTERNAL, "",
                           "feedback for decision %llu, not in memory",
                           (unsigned long long)f->feedback.seq);
    if (slot >= 0)
        pending_book(&r->pending, slot, &copy);
    else
        copy = f->book;
    const struct decision_row *row = slot >= 0 ? &r->pending.row[slot] : &f->row;
    const float *x = slot >= 0 ? r->pending.x + slot * r->pending.stride : f->x;
    if (row->arm >= r->params.catalog.n || !router_learner(r, row->learner))
        return problem_set(problem, STATUS_INTERNAL, "",
                           "decision names model slot %d of %d, learner %d of %d", row->arm,
                           r->params.catalog.n, row->learner, r->params.learners.n);
    before = copy;
    enum status s = book_take(&copy, &f->feedback, &result, problem);
    if (s != STATUS_OK)
        return s;
    struct credit c;
    credit_of(&copy, row, &c);
    if (!router_settle_pools(r, row, &copy, &c))
        return problem_set(problem, STATUS_BAD_REQUEST, "",
                           "this cost is more than a budget can count; check the tokens");
    if (r->meter)
        r->meter(r->meter_ctx, ev, &before, &copy);
    bool waited = slot >= 0 && router_awaits_quality(r, row, &copy);
    learn(r, row, x, &copy);
    bool waits = slot >= 0 && router_awaits_quality(r, row, &copy);
    if (waited != waits)
        router_pend(r, row, x, waits ? 1 : -1);
    r->counters.feedbacks++;
    r->counters.model[row->arm].feedbacks++;
    if (slot >= 0) {
        pending_set_book(&r->pending, slot, &copy);
        pending_touch(&r->pending, slot);
        silence_update(r, slot);
    } else {
        save_book(r, f->feedback.seq, &copy);
    }
    return STATUS_OK;
}

/* Of the latest batches of history the names are kept, so that a repetition is recognised. */
static void note_batch(struct router *r, const char *id)
{
    struct counters *c = &r->counters;
    if (id[0] == '\0' || router_taught(r, id))
        return;
    c->batch[c->batches++ % TEACH_BATCHES] = router_batch_hash(id);
}

enum status router_lesson(const struct router *r, struct event_feedback *f, struct problem *problem)
{
    struct label_book *b = &f->book;
    struct credit c;
    enum feedback_result result;
    book_init(b);
    enum status s = book_take(b, &f->feedback, &result, problem);
    if (s != STATUS_OK)
        return s;
    credit_of(b, &f->row, &c);
    influence_bound(&c, &f->row, r->params.learner.most_off);
    for (int t = 0; t < TARGETS; t++) {
        b->applied |= (uint8_t)((unsigned)c.has[t] << t);
        b->label[t] = c.label[t];
    }
    b->has_cost = c.has_cost;
    b->learned_nano = c.learned_nano;
    b->priced_nano = c.priced_nano;
    return STATUS_OK;
}

/* What the book of such an outcome says that it taught. */
static struct credit taught_by(const struct label_book *b)
{
    struct credit c = {
        .has_cost = b->has_cost, .learned_nano = b->learned_nano, .priced_nano = b->priced_nano};
    for (int t = 0; t < TARGETS; t++) {
        c.has[t] = b->applied >> t & 1;
        c.label[t] = b->label[t];
    }
    return c;
}

/* Takes out what an outcome from elsewhere taught, of the learners that it taught: as with a
 * decision, its number tells whether it was shared. The name of its batch stays known: what was
 * taken out is not to come in again by a repetition. */
static void untaught(struct router *r, const struct event_feedback *f)
{
    const struct credit nothing = {.has_cost = false};
    struct decision_row row = f->row;
    struct label_book book = f->book;
    row.seq = f->feedback.seq;
    learn_cost(r, &row, &book, &nothing);
    learn_targets(r, &row, f->x, &book, &nothing);
    r->counters.taught--;
}

/* An outcome from elsewhere: labels and cost ratio are learned, nothing is counted as spent. */
enum status router_learn_taught(struct router *r, const struct event *ev, struct problem *problem)
{
    const struct event_feedback *f = &ev->feedback;
    const struct decision_row *row = &f->row;
    struct label_book book;
    if (row->arm >= r->params.catalog.n || row->schema != r->learner.schema ||
        !router_learner(r, row->learner))
        return problem_set(problem, STATUS_INTERNAL, "", "what was taught does not fit the models");
    if (f->feedback.retract) {
        untaught(r, f);
        return STATUS_OK;
    }
    struct credit c = taught_by(&f->book);
    book_init(&book);
    learn_targets(r, row, f->x, &book, &c);
    learn_cost(r, row, &book, &c);
    r->counters.taught++;
    note_batch(r, f->feedback.feedback_id);
    return STATUS_OK;
}

void router_settle(struct router *r)
{
    enum { PASSES_MOST = 16 }; /* each knob goes at most that many steps from end to end */
    struct learner *l = &r->learner;
    struct precision_scale before;
    for (int i = 0; i < PASSES_MOST; i++) {
        before = l->scale;
        l->tuned_at = 0;
        l->since_pool[TARGET_QUALITY] = l->labels[TARGET_QUALITY] + 1; /* due, however few */
        (void)learner_refresh(l, &r->params, INT_MAX, r->clock_ms);
        if (memcmp(&before, &l->scale, sizeof before) == 0)
            break;
    }
    for (int a = 0; a < l->n_arms; a++)
        for (int t = 0; t < TARGETS; t++)
            (void)ridge_refresh(l->ridge[a][t], r->clock_ms);
    for (int i = 1; i <= LEARNERS_MAX && r->learners[i]; i++)
        (void)learner_refresh(r->learners[i], &r->params, INT_MAX, r->clock_ms);
}
