/* SPDX-License-Identifier: MIT */
/*
 * Gathers: each decision is chosen anew as its record comes by, and only numbers of it are kept;
 * labels are folded into books of their own, since they may come any time later. Both sides are
 * rescored with the exploration of today (labels), not that of the day: what is asked is what would
 * be from here on.
 */
#include "core/whatif/whatif.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/policy/policy.h"
#include "core/budget/pool_pacer.h"
#include "core/config/config.h"
#include "core/guard/fairness.h"
#include "core/router/choose.h"
#include "core/router/credit.h"
#include "core/router/rules.h"
#include "core/whatif/whatif_pools.h"
#include "core/whatif/whatif_rows.h"

static const double HARDLY = 1e-3; /* probability below which the log says nothing of a model */

static enum status no_memory(struct problem *problem)
{
    return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory to look at so many decisions");
}

static bool by_rules(const struct params *p)
{
    return strcmp(p->policy.name, "rules") == 0;
}

static bool by_counts(const struct params *p)
{
    return policy_at(policy_index(p->policy.name))->counts;
}

/* Rules that set a lowest tier can be looked at where the record alone says whom they fit, and as
 * far as they keep models out: those that were kept out then have no predictions in the log. */
static enum status check_rules(const struct params *now, const struct params *then,
                               struct problem *problem)
{
    for (int i = 0; i < then->n_rules; i++)
        if (then->rule[i].min_tier > 0 && then->rule[i].n_words > 0 &&
            !rules_hold(now, &then->rule[i]))
            return problem_set(problem, STATUS_BAD_REQUEST, "/rules",
                               "rule %d looks at the prompt, and no log has prompts: its effect "
                               "cannot be previewed",
                               i);
    for (int i = 0; i < now->n_rules; i++)
        if (now->rule[i].min_tier > 0 && !rules_hold(then, &now->rule[i]))
            return problem_set(problem, STATUS_BAD_REQUEST, "/rules",
                               "rule %d in force has kept models out, and no longer would: the "
                               "log does not tell how those would have fared",
                               i);
    return STATUS_OK;
}

enum status whatif_new(const struct whatif_query *q, struct whatif **out, struct problem *problem)
{
    enum status ruled = check_rules(q->now, q->then, problem);
    if (ruled != STATUS_OK)
        return ruled;
    if (by_rules(q->now) || by_rules(q->then))
        return problem_set(problem, STATUS_BAD_REQUEST, "/policy/name",
                           "policy rules looks at the prompt, and no log has prompts: try it as "
                           "apprentice instead");
    if (by_counts(q->now) || by_counts(q->then))
        return problem_set(problem, STATUS_BAD_REQUEST, "/policy/name",
                           "policy %s goes by counts of labels, which decisions do not record: "
                           "look at another policy",
                           by_counts(q->now) ? q->now->policy.name : q->then->policy.name);
    struct whatif *w = calloc(1, sizeof *w);
    size_t cap = q->rows ? q->rows : WHATIF_ROWS;
    if (w)
        w->row = calloc(cap, sizeof *w->row);
    if (!w || !w->row) {
        whatif_free(w);
        return no_memory(problem);
    }
    w->cap = cap;
    w->seed = q->seed;
    w->labels = q->labels;
    w->known = q->known;
    w->logged = *q->now;
    w->sides = w->known ? ALL_SIDES : SIDES;
    for (int s = 0; s < w->sides; s++) {
        struct whatif_side *side = &w->side[s];
        side->params = s % SIDES == NOW ? *q->now : *q->then;
        side->known = s < BEFORE ? w->known : NULL;
        pacer_configure(&side->pacer, &side->params, &side->params);
        if (side->params.pools.n > 0 && !pools_init(&side->pools, &side->params.pools)) {
            whatif_free(w);
            return no_memory(problem);
        }
    }
    *out = w;
    return STATUS_OK;
}

void whatif_free(struct whatif *w)
{
    for (size_t i = 0; w && w->row && i < w->n; i++)
        free(whatif_row_at(w, i)->book);
    for (int s = 0; w && s < w->sides; s++)
        pools_fini(&w->side[s].pools);
    if (w)
        free(w->row);
    free(w);
}

/* ---- a decision, chosen anew ---- */

/* What paced pools would have asked for under other settings is not known: they are left out. */
static const struct pool_pacers no_pools;

/* Costs are linear in prices: the factor between those of two configurations for one request.
 * Without a price on either side the cost stays. */
static double price_factor(const struct event_decided *d, const struct rates *was,
                           const struct rates *now, double output_tokens)
{
    double fresh = (double)(d->prompt_tokens - d->cached_tokens), cached = (double)d->cached_tokens;
    double before =
        (double)was->in * fresh + (double)was->cached * cached + (double)was->out * output_tokens;
    double after =
        (double)now->in * fresh + (double)now->cached * cached + (double)now->out * output_tokens;
    return before > 0 && after > 0 ? after / before : 1;
}

static double factor(const struct whatif *w, const struct whatif_side *side,
                     const struct event_decided *logged, int arm)
{
    struct rates was = *model_rates(&w->logged.catalog.model[arm], logged->batch);
    if (arm == logged->arm) { /* the record itself says */
        was.in = logged->price_in;
        was.cached = logged->price_cached;
        was.out = logged->price_out;
    }
    return price_factor(logged, &was, model_rates(&side->params.catalog.model[arm], logged->batch),
                        (double)logged->view[arm].mean[TARGET_TOKENS]);
}

/* What is known today of a request of then; false: nothing that could be put beside the record. */
static bool predict_anew(const struct whatif_side *side, const struct event_decided *logged,
                         int arm, const double *x, struct arm_view *v)
{
    struct prediction pr;
    const struct learner *known = side->known;
    if (!known || logged->learner != 0 || logged->schema != known->schema || arm >= known->n_arms)
        return false;
    learner_predict(known, &side->params.catalog.model[arm], arm, x, logged, &pr);
    choose_view(&side->params, &side->d, &pr, v);
    return true;
}

/* What was predicted then, at today's prices of the side. */
static void as_logged(const struct whatif *w, const struct whatif_side *side,
                      const struct event_decided *logged, int arm, struct arm_view *v)
{
    double mean[TARGETS], sd[TARGETS];
    v->cost_nano = (int64_t)((double)v->cost_nano * factor(w, side, logged, arm) + 0.5);
    for (int t = 0; t < TARGETS; t++) {
        mean[t] = (double)v->mean[t];
        sd[t] = (double)v->sd[t];
    }
    choose_weigh(&side->params, &side->d, mean, sd, v);
}

/* Brings a copy of the record under a side's settings, all but the choice. */
static void restate(const struct whatif *w, struct whatif_side *side,
                    const struct event_decided *logged)
{
    struct event_decided *d = &side->d;
    const struct params *p = &side->params;
    const struct objective *o = &p->objective;
    *d = *logged;
    d->charge.paced = 0;
    d->policy = (uint8_t)policy_index(p->policy.name);
    d->weight_quality = o->quality;
    d->weight_cost = o->cost;
    d->weight_latency = o->latency;
    d->weight_failure = o->failure;
    if (o->cost_scale_usd > 0)
        d->cost_scale_usd = o->cost_scale_usd;
    else if (w->logged.objective.cost_scale_usd > 0 && d->dearest_nano > 0)
        d->cost_scale_usd = (double)d->dearest_nano * 1e-9;
    d->eligible = 0;
    int least = rules_min_tier_declared(p, &logged->labels, logged->prompt_tokens);
    double x[DIM_MAX];
    for (int i = 0; i < logged->d; i++)
        x[i] = (double)logged->x[i];
    for (uint64_t m = logged->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        struct arm_view *v = &d->view[a];
        if (a >= p->catalog.n || !p->catalog.model[a].active || p->catalog.model[a].tier < least)
            continue;
        d->eligible |= 1ull << a;
        if (!predict_anew(side, logged, a, x, v))
            as_logged(w, side, logged, a, v);
    }
}

static void serve_only(const int *slots, int n, int arm, double *pmf)
{
    for (int i = 0; i < n; i++)
        pmf[i] = slots[i] == arm ? 1 : 0;
}

/* The choice itself, into the views. Gives the expected cost, nanodollars; -1: no model is left. */
static double choose_anew(const struct whatif *w, struct whatif_side *side, uint64_t seq)
{
    struct event_decided *d = &side->d;
    int slots[MODELS_MAX], n = choose_slots(d, slots);
    double pmf[MODELS_MAX], nano = 0;
    struct chooser chooser = {.params = &side->params,
                              .pacer = &side->pacer,
                              .rate_usd = side->pacer.rate_usd,
                              .booked_usd =
                                  w->taken ? (double)side->spent_nano * 1e-9 / (double)w->taken : 0,
                              .labels = w->labels,
                              .seed = choose_seed(w->seed, d->epoch, seq)};
    if (n == 0)
        return -1;
    d->multiplier = pacer_price(&side->pacer, d, &no_pools, policy_at(d->policy)->noisy);
    d->token_multiplier = 0; /* of budgets in tokens: not known for other settings */
    choose_pmf(&chooser, d, slots, n, choose_preferred(&side->params), pmf);
    if (d->reasons & REASON_SESSION && d->eligible >> d->arm & 1)
        serve_only(slots, n, d->arm, pmf);
    if (side->params.policy.apprentice && d->eligible >> d->baseline & 1)
        serve_only(slots, n, d->baseline, pmf);
    for (int i = 0; i < n; i++) {
        d->view[slots[i]].pmf = pmf[i];
        nano += pmf[i] * (double)d->view[slots[i]].cost_nano;
    }
    return nano;
}

/* Time passes for the side's budget, with what the choice costs in expectation. */
static void pace(struct whatif_side *side, uint64_t seq, double nano)
{
    struct event_decided *d = &side->d;
    d->booked_nano = (int64_t)(nano + 0.5);
    side->spent_nano += d->booked_nano;
    side->multiplier += decided_price(d);
    pacer_book(&side->pacer, d, seq, policy_at(d->policy)->noisy, &side->params);
    if (!pacer_due(&side->pacer))
        return;
    struct event_paced solved = pacer_solve(&side->pacer, &no_pools);
    pacer_adopt(&side->pacer, &solved);
}

/* What is expected of the choice: by the predictions of the record, whoever chose. */
static void note_choice(const struct whatif *w, const struct whatif_side *side,
                        const struct event_decided *logged, struct whatif_row *row, int s)
{
    const struct event_decided *d = &side->d;
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        const struct arm_view *v = &logged->view[a];
        double pmf = d->view[a].pmf;
        double usd = (double)v->cost_nano * factor(w, side, logged, a) * 1e-9;
        double noted[NOTED] = {(double)v->mean[TARGET_QUALITY], usd,
                               (double)v->mean[TARGET_LATENCY], (double)v->mean[TARGET_FAILURE]};
        for (int t = 0; t < NOTED; t++)
            row->target[s][t] += pmf * noted[t];
        row->tier[s][side->params.catalog.model[a].tier] += (float)pmf;
    }
    bool left = d->eligible >> logged->arm & 1;
    row->weight[s] = left ? d->view[logged->arm].pmf / logged->view[logged->arm].pmf : 0;
}

static void rescore(struct whatif *w, int s, const struct event *e, struct whatif_row *row)
{
    const struct event_decided *logged = &e->decided;
    struct whatif_side *side = &w->side[s];
    restate(w, side, logged);
    row->price[s] = factor(w, side, logged, logged->arm);
    if (side->params.pools.n > 0)
        whatif_pools_limit(&side->pools, &side->params.catalog, e->time_ms, &side->d);
    double nano = choose_anew(w, side, e->seq);
    row->refused[s] = nano < 0;
    if (nano < 0)
        return;
    pace(side, e->seq, nano);
    if (side->params.pools.n > 0)
        whatif_pools_charge(&side->pools, &side->params.catalog, e->time_ms, e->seq, &side->d);
    note_choice(w, side, logged, row, s);
    for (uint64_t m = side->d.eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        if (logged->view[a].pmf < HARDLY)
            side->unsupported += side->d.view[a].pmf;
    }
}

/* Half the distance of the two choices: how many requests would go elsewhere. */
static double moved(const struct whatif *w)
{
    const struct event_decided *a = &w->side[NOW].d, *b = &w->side[THEN].d;
    double sum = 0;
    if (!a->eligible || !b->eligible)
        return 0; /* who is refused goes nowhere */
    for (uint64_t m = a->eligible | b->eligible; m; m &= m - 1) {
        int k = __builtin_ctzll(m);
        sum += fabs((a->eligible >> k & 1 ? a->view[k].pmf : 0) -
                    (b->eligible >> k & 1 ? b->view[k].pmf : 0));
    }
    return sum / 2;
}

/* ---- rows ---- */

/* The segment of a request; the last is of all that found no room. */
static uint8_t segment_of(struct whatif *w, const struct labels *l)
{
    const struct params *p = &w->side[THEN].params;
    const char *name = fairness_label(p, l);
    for (int i = 0; i < w->n_segments; i++)
        if (strcmp(w->segment[i], name) == 0)
            return (uint8_t)i;
    if (w->n_segments == WHATIF_SEGMENTS)
        return WHATIF_SEGMENTS - 1;
    if (w->n_segments == WHATIF_SEGMENTS - 1)
        name = "*";
    strcpy(w->segment[w->n_segments], name);
    return (uint8_t)w->n_segments++;
}

static struct whatif_row *next_row(struct whatif *w)
{
    if (w->n == w->cap) {
        free(w->row[w->first].book);
        w->first = (w->first + 1) % w->cap;
        w->n--;
    }
    struct whatif_row *row = whatif_row_at(w, w->n++);
    memset(row, 0, sizeof *row);
    return row;
}

static void on_decided(struct whatif *w, const struct event *e)
{
    const struct event_decided *d = &e->decided;
    if (d->n_arms > w->logged.catalog.n || d->n_arms > w->side[NOW].params.catalog.n ||
        !(d->view[d->arm].pmf > 0)) {
        w->passed_over++;
        return;
    }
    struct whatif_row *row = next_row(w);
    const struct arm_view *v = &d->view[d->arm];
    row->seq = e->seq;
    row->time_ms = e->time_ms;
    row->arm = d->arm;
    row->value = d->value;
    row->segment = segment_of(w, &d->labels);
    row_from_decided(e, &row->about);
    row->logged[WHATIF_QUALITY] = (double)v->mean[TARGET_QUALITY];
    row->logged[WHATIF_COST] = (double)v->cost_nano * 1e-9;
    row->logged[WHATIF_LATENCY] = (double)v->mean[TARGET_LATENCY];
    row->logged[WHATIF_FAILURE] = (double)v->mean[TARGET_FAILURE];
    for (int s = 0; s < w->sides; s++)
        rescore(w, s, e, row);
    w->taken++;
    w->moved += moved(w);
}

static struct whatif_row *find_row(const struct whatif *w, uint64_t seq)
{
    size_t low = 0, high = w->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (whatif_row_at(w, middle)->seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    struct whatif_row *row = low < w->n ? whatif_row_at(w, low) : NULL;
    return row && row->seq == seq ? row : NULL;
}

static enum status on_feedback(struct whatif *w, const struct feedback *f, struct problem *problem)
{
    enum feedback_result result;
    struct whatif_row *row = find_row(w, f->seq);
    if (!row)
        return STATUS_OK; /* of a decision that is not looked at */
    if (!row->book) {
        row->book = malloc(sizeof *row->book);
        if (!row->book)
            return no_memory(problem);
        book_init(row->book);
    }
    return book_take(row->book, f, &result, problem);
}

enum status whatif_take(struct whatif *w, const struct event *e, struct problem *problem)
{
    if (e->kind == EVENT_CONFIGURED)
        return config_parse(e->configured.json, e->configured.len, &w->logged, NULL, problem);
    if (e->kind == EVENT_DECIDED)
        on_decided(w, e);
    else if (e->kind == EVENT_FEEDBACK)
        return on_feedback(w, &e->feedback.feedback, problem);
    return STATUS_OK;
}
