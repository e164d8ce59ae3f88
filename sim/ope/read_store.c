/* SPDX-License-Identifier: MIT */
/*
 * The log of a store as rows. Feedback is folded into label books as the engine does it, so labels
 * that were amended, retracted, doubled or late come out as the service counts them; no engine is
 * built for it. Predictions are those logged with the decision: made before its label was known.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/config/config.h"
#include "core/router/credit.h"
#include "sim/ope/read.h"
#include "sim/refold/bookshelf.h"
#include "store/db.h"

struct log_reader {
    const struct ope_source *s;
    struct ope_rows *r;
    struct params params; /* in force, for the models' names */
    struct bookshelf shelf;
    struct decision_row *row; /* [r->cap] */
    size_t cap;
    uint64_t last;
    enum status status;
    struct problem *problem;
};

static void fail(struct log_reader *x, enum status s, const char *what, uint64_t seq)
{
    if (x->status == STATUS_OK)
        x->status = problem_set(x->problem, s, "", "record %" PRIu64 ": %s", seq, what);
}

/* Quality points per unit of each label, as they counted in the decision. What latency counted is
 * what is missing from the merit: its scale is not in the record. */
static void take_scale(const struct event_decided *d, float scale[AIM_UTILITY])
{
    const struct arm_view *v = &d->view[d->arm];
    double wq = d->weight_quality * d->value, wl = 0, ms = (double)v->mean[TARGET_LATENCY];
    if (d->weight_latency > 0 && ms > 0)
        wl = (wq * (double)v->mean[TARGET_QUALITY] -
              d->weight_failure * (double)v->mean[TARGET_FAILURE] - (double)v->merit) /
             ms;
    scale[AIM_QUALITY] = (float)wq;
    scale[AIM_COST] = (float)-decided_price(d);
    scale[AIM_LATENCY] = (float)-wl;
    scale[AIM_FAILURE] = (float)-d->weight_failure;
}

static bool take_names(struct log_reader *x, size_t i, const struct labels *l)
{
    struct ope_rows *r = x->r;
    const char *name[SEG_WEEK] = {l->tenant, l->task, l->group};
    bool ok = true;
    for (int s = 0; s < SEG_WEEK; s++)
        if (name[s][0] != '\0')
            ok = ok && (r->seg[s][i] = names_add(&r->segment[s], name[s])) != NAMES_NONE;
    if (l->session[0] != '\0')
        ok = ok && (r->unit[i] = names_add(&r->units, l->session)) != NAMES_NONE;
    return ok;
}

static void take_views(struct log_reader *x, size_t i, const struct event_decided *d)
{
    struct ope_rows *r = x->r;
    for (int a = 0; a < d->n_arms; a++) {
        const struct arm_view *v = &d->view[a];
        size_t at = i * (size_t)r->k + (size_t)a;
        if (!(d->eligible >> a & 1))
            continue;
        r->pmf[at] = v->pmf;
        r->q[AIM_QUALITY][at] = v->mean[TARGET_QUALITY];
        r->q[AIM_COST][at] = (float)((double)v->cost_nano * 1e-9);
        r->q[AIM_LATENCY][at] = v->mean[TARGET_LATENCY];
        r->q[AIM_FAILURE][at] = v->mean[TARGET_FAILURE];
    }
}

/* Slots are columns: a name keeps its slot for the life of a store, a new one gets the next. */
static bool know_models(struct log_reader *x)
{
    const struct catalog *c = &x->params.catalog;
    bool ok = true;
    for (int a = 0; ok && a < c->n; a++)
        ok = rows_arm(x->r, c->model[a].name) >= 0;
    return ok;
}

static void on_decided(struct log_reader *x, const struct event *e)
{
    const struct event_decided *d = &e->decided;
    struct ope_rows *r = x->r;
    double pmf[MODELS_MAX];
    bool asked =
        x->s->target && (x->s->target->kind == TARGET_POLICY || x->s->target->kind == TARGET_HOOK);
    if (e->time_ms < x->s->since_ms)
        return;
    if (asked && !target_decided(x->s->target, e, pmf)) {
        r->skipped++;
        return;
    }
    int64_t row = rows_add(r);
    size_t i = (size_t)row;
    if (row >= 0 && i >= x->cap) {
        struct decision_row *more = realloc(x->row, r->cap * sizeof *more);
        row = more ? row : -1;
        x->row = more ? more : x->row;
        x->cap = more ? r->cap : x->cap;
    }
    if (row < 0 || d->n_arms > r->k || !take_names(x, i, &d->labels)) {
        fail(x, STATUS_UNAVAILABLE, "out of memory", e->seq);
        return;
    }
    row_from_decided(e, &x->row[i]);
    take_views(x, i, d);
    take_scale(d, r->scale[i]);
    r->arm[i] = d->arm;
    r->p[i] = d->view[d->arm].pmf;
    r->seq[i] = e->seq;
    r->time_ms[i] = e->time_ms;
    r->eligible[i] = d->eligible;
    r->forced[i] = (d->reasons & (REASON_SESSION | REASON_ONLY_MODEL)) != 0;
    if (asked)
        memcpy(r->given + i * (size_t)r->k, pmf, (size_t)d->n_arms * sizeof *pmf);
}

static void on_feedback(struct log_reader *x, const struct event_feedback *e, uint64_t seq)
{
    struct label_book book;
    enum feedback_result result;
    uint64_t decision = e->feedback.seq;
    if (!bookshelf_get(&x->shelf, decision, &book)) {
        if (e->recalled)
            book = e->book;
        else
            book_init(&book);
    }
    if (book_take(&book, &e->feedback, &result, x->problem) != STATUS_OK)
        fail(x, STATUS_INTERNAL, "feedback that its decision cannot have taken", seq);
    else
        bookshelf_put(&x->shelf, decision, &book);
}

static bool visit(void *ctx, const struct event *e)
{
    struct log_reader *x = ctx;
    if (e->kind == EVENT_CONFIGURED) {
        if (config_parse(e->configured.json, e->configured.len, &x->params, NULL, x->problem) !=
                STATUS_OK ||
            !know_models(x))
            fail(x, STATUS_INTERNAL, "a configuration that cannot be read", e->seq);
    } else if (e->kind == EVENT_DECIDED) {
        on_decided(x, e);
    } else if (e->kind == EVENT_FEEDBACK) {
        on_feedback(x, &e->feedback, e->seq);
    }
    if (x->s->target && x->s->target->see && !x->s->target->see(x->s->target->ctx, e))
        fail(x, STATUS_INTERNAL, "the fold under other settings failed", e->seq);
    if (x->s->progress && (e->seq % 16384 == 0 || e->seq == x->last))
        x->s->progress(x->s->path, e->seq, x->last);
    return x->status == STATUS_OK;
}

static void settle(struct log_reader *x)
{
    struct ope_rows *r = x->r;
    struct label_book book;
    struct credit c;
    for (size_t i = 0; i < r->n; i++) {
        if (!bookshelf_get(&x->shelf, r->seq[i], &book))
            continue;
        credit_of(&book, &x->row[i], &c);
        if (c.has[TARGET_QUALITY])
            r->label[AIM_QUALITY][i] = c.label[TARGET_QUALITY];
        if (c.has_cost)
            r->label[AIM_COST][i] = (double)c.cost_nano * 1e-9;
        if (c.has[TARGET_LATENCY])
            r->label[AIM_LATENCY][i] = expm1(c.label[TARGET_LATENCY]);
        if (c.has[TARGET_FAILURE])
            r->label[AIM_FAILURE][i] = c.label[TARGET_FAILURE];
    }
}

/* The configuration in force where the log begins is in the snapshot, not in the log. */
static enum status first_models(struct log_reader *x, struct db *db, const struct db_info *info)
{
    struct router_init init = {.max_open = 64};
    if (info->first_seq <= 1 && x->s->from <= 1)
        return STATUS_OK;
    db_init(db, &init);
    struct router *router = router_new(&init);
    if (!router)
        return problem_set(x->problem, STATUS_UNAVAILABLE, "", "out of memory");
    enum status s = db_recover(db, GENERATION_CURRENT, 0, router, NULL, NULL, x->problem);
    if (s == STATUS_OK) {
        x->params = *router_params(router);
        if (!know_models(x))
            s = problem_set(x->problem, STATUS_UNAVAILABLE, "", "out of memory");
    }
    router_free(router);
    return s;
}

/* What is declared at the end of the log; of a dimension that rows are not told apart by it is left
 * to whatif. */
static void take_floor(struct log_reader *x)
{
    for (int s = 0; s < SEG_WEEK; s++)
        if (strcmp(x->params.fairness.dimension, ope_segment_name((enum ope_segment)s)) == 0) {
            x->r->floor = x->params.fairness.quality_floor;
            x->r->floor_by = (enum ope_segment)s;
        }
}

enum status read_store(const struct ope_source *s, struct ope_rows *rows, struct problem *problem)
{
    struct db *db = NULL;
    struct db_info info;
    struct log_reader *x = calloc(1, sizeof *x);
    if (!x)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    *x = (struct log_reader){.s = s, .r = rows, .problem = problem};
    params_default(&x->params);
    rows->has_pmf = true;
    rows->has_given = s->target && s->target->kind >= TARGET_POLICY;
    for (int i = 0; i < AIM_UTILITY; i++)
        rows->has_q[i] = true;
    enum status status = db_open(s->path, &(struct db_options){.read_only = true}, &db, problem);
    if (status == STATUS_OK)
        status = db_info(db, &info, problem);
    if (status == STATUS_OK)
        status = first_models(x, db, &info);
    if (status == STATUS_OK) {
        x->last = s->to > 0 && s->to < info.last_seq ? s->to : info.last_seq;
        status = db_scan(db, s->from > 1 ? s->from : info.first_seq, x->last, visit, x, problem);
    }
    if (status == STATUS_OK)
        status = x->status;
    if (status == STATUS_OK && x->shelf.failed)
        status = problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    if (status == STATUS_OK)
        settle(x);
    take_floor(x);
    const struct catalog *c = &x->params.catalog;
    for (int a = 0; status == STATUS_OK && a < c->n; a++)
        if (!rows_kind(rows, (size_t)a, c->tier[c->model[a].tier]))
            status = problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    db_close(db);
    bookshelf_fini(&x->shelf);
    free(x->row);
    free(x);
    return status;
}
