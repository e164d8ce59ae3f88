/* SPDX-License-Identifier: MIT */
/*
 * What a record must satisfy to be folded without harm, the same in both directions: slots within
 * the catalog, numbers finite, shares within [0,1]. Whether it fits the state is the fold's
 * question.
 */
#include "core/event/event_valid.h"

#include <math.h>
#include "core/features/lens.h"
#include "core/learn/learned.h"

enum { REASONS_ALL = 32767, HAS_ALL = 255 };

static bool in_unit(double v)
{
    return v >= 0 && v <= 1; /* false for NaN */
}

static bool view_valid(const struct arm_view *v)
{
    bool number = !isnan(v->merit) && !isnan(v->merit_sd);
    for (int t = 0; t < TARGETS; t++)
        number = number && !isnan(v->mean[t]) && !isnan(v->sd[t]);
    return number && in_unit(v->pmf);
}

static bool slots_valid(const struct event_decided *d)
{
    if (d->n_arms < 1 || d->n_arms > MODELS_MAX || d->arm >= d->n_arms ||
        d->baseline >= d->n_arms || d->learner > LEARNERS_MAX || d->shadow >= d->n_arms)
        return false;
    if (d->n_arms < MODELS_MAX && d->eligible >> d->n_arms != 0)
        return false;
    if (!(d->eligible >> d->arm & 1) || d->n_fallbacks > FALLBACKS_MAX)
        return false;
    for (int i = 0; i < d->n_fallbacks; i++)
        if (d->fallback[i] >= d->n_arms)
            return false;
    return true;
}

/* What both a decision and its row say of how it is learned from. */
static bool terms_valid(float weight, int64_t silence_due_ms, float silence_quality)
{
    return weight > 0 && weight <= 1 && silence_due_ms >= 0 && in_unit((double)silence_quality);
}

static bool amounts_valid(const int64_t amount[POOL_MODES][POOL_UNITS])
{
    for (int m = 0; m < POOL_MODES; m++)
        for (int u = 0; u < POOL_UNITS; u++)
            if (amount[m][u] < 0 || amount[m][u] > POOL_AMOUNT_MAX)
                return false;
    return true;
}

static bool charge_valid(const struct charge *c)
{
    return c->n <= POOL_PATH_MAX && c->strict >> c->n == 0 && amounts_valid(c->ask.amount) &&
           (c->ask.bounded || c->strict == 0) && c->left[POOL_NANO] >= -1 &&
           c->left[POOL_TOKENS] >= -1;
}

static bool edge_valid(const struct hull_edge *e)
{
    return isfinite(e->direct) && isfinite(e->ratio) && e->reach >= 0 &&
           e->reach <= HULL_REACH_MAX + 1;
}

static bool hull_valid(const struct event_hull *h)
{
    double sum = 0;
    for (int a = 0; a < MODELS_MAX; a++) {
        if (!in_unit(h->mix[a]))
            return false;
        sum += h->mix[a];
    }
    return h->turn <= HULL_RETURNED && sum > 0.999 && sum < 1.001 && isfinite(h->spend_usd) &&
           isfinite(h->policy) && isfinite(h->lower) && isfinite(h->upper);
}

/* A first attempt comes from nowhere. */
static bool attempt_valid(const struct attempt *a, uint64_t seq)
{
    if (a->from == 0)
        return a->tier == 0 && a->earlier == 0;
    return a->from < seq && a->tier < TIERS_MAX && a->earlier > 0;
}

static bool decided_valid(const struct event_decided *d)
{
    if (!slots_valid(d) || d->reasons > REASONS_ALL || d->d < 0 || d->d > DIM_MAX)
        return false;
    const double finite[] = {d->value,          d->weight_quality,  d->weight_cost,
                             d->weight_latency, d->weight_failure,  d->cost_scale_usd,
                             d->multiplier,     d->token_multiplier};
    for (size_t i = 0; i < sizeof finite / sizeof *finite; i++)
        if (!isfinite(finite[i]))
            return false;
    if (!isfinite(d->tokens_raw) || !isfinite(d->latency_raw) || !isfinite(d->complexity))
        return false;
    if (!terms_valid(d->weight, d->silence_due_ms, d->silence_quality) ||
        !charge_valid(&d->charge) || !edge_valid(&d->edge))
        return false;
    for (int i = 0; i < d->d; i++)
        if (!isfinite(d->x[i]))
            return false;
    for (int i = 0; i < d->n_arms; i++)
        if ((d->eligible >> i & 1) && !view_valid(&d->view[i]))
            return false;
    return in_unit(d->floor) && in_unit(d->quota) && in_unit(d->u) && d->u < 1;
}

static bool row_valid(const struct event_feedback *f)
{
    const struct decision_row *row = &f->row;
    if (row->arm >= MODELS_MAX || row->learner > LEARNERS_MAX || row->d > DIM_MAX)
        return false;
    for (int i = 0; i < row->d; i++)
        if (!isfinite(f->x[i]))
            return false;
    return isfinite(row->value) && edge_valid(&row->edge) && isfinite(row->tokens_raw) &&
           isfinite(row->latency_raw) && isfinite(row->quality_mean) && isfinite(row->quality_sd) &&
           terms_valid(row->weight, row->silence_due_ms, row->silence_quality);
}

static bool feedback_valid(const struct event_feedback *e, bool taught)
{
    const struct feedback *f = &e->feedback;
    if (taught ? (f->seq != 0) != f->retract || !e->recalled || e->row.seq != 0
               : f->seq == 0 || (e->recalled && e->row.seq == 0))
        return false;
    if (f->has > HAS_ALL || ((f->has & FB_QUALITY) && !in_unit(f->quality)))
        return false;
    if ((f->has & FB_LATENCY) && !(isfinite(f->latency_ms) && f->latency_ms >= 0))
        return false;
    return !e->recalled || row_valid(e);
}

/* Finite, not negative. */
static bool amount_valid(double v)
{
    return v >= 0 && isfinite(v);
}

static bool paced_valid(const struct event_paced *p)
{
    return p->pool >= -1 && p->pool < POOL_SPECS_MAX && p->unit < POOL_UNITS &&
           amount_valid(p->multiplier) && amount_valid(p->rate) && amount_valid(p->least) &&
           amount_valid(p->wanted);
}

static bool learned_valid(const struct event_learned *l)
{
    return l->name[0] != '\0' && l->turn <= LEARNED_PUT_BACK && l->part < LEARNED_PARTS &&
           l->learner <= LEARNERS_MAX && l->arm < MODELS_MAX && l->as_of_ms >= 0 &&
           l->added_ms >= l->as_of_ms && l->share > 0 && l->share <= 1 &&
           learned_numbers(l->bytes, l->len);
}

bool event_valid(const struct event *e)
{
    if (e->seq == 0)
        return false;
    switch (e->kind) {
    case EVENT_STARTED:
    case EVENT_TICKED:
    case EVENT_LENT:
        return true;
    case EVENT_CONFIGURED:
        return e->configured.len <= CONFIG_MAX;
    case EVENT_LENS:
        return e->lens.len <= LENS_BYTES_MAX;
    case EVENT_DECIDED:
        return attempt_valid(&e->decided.attempt, e->seq) && decided_valid(&e->decided);
    case EVENT_FEEDBACK:
    case EVENT_TAUGHT:
        return feedback_valid(&e->feedback, e->kind == EVENT_TAUGHT);
    case EVENT_PACED:
        return paced_valid(&e->paced);
    case EVENT_DRIFTED:
        return e->drifted.arm < MODELS_MAX && e->drifted.target < TARGETS &&
               e->drifted.learner <= LEARNERS_MAX;
    case EVENT_EXPIRED:
        return e->expired.decision > 0 && e->expired.decision < e->seq;
    case EVENT_HULL:
        return hull_valid(&e->hull);
    case EVENT_LEARNED:
        return learned_valid(&e->learned);
    case EVENT_NONE:
        break;
    }
    return false;
}
