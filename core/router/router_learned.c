/* SPDX-License-Identifier: MIT */
/*
 * Learned state that comes from another store. A model at a time, since that is what can be told
 * and taken back by name; the records hold the numbers, so replay needs no file, and taking back is
 * the same numbers with the other sign.
 *
 * Considered and not done: the other store's log. It is a thousand times larger, and half of it is
 * about a catalog and budgets that are not ours.
 */
#include "core/learn/learned.h"

#include <assert.h>
#include <string.h>
#include "core/router/router_state.h"

const struct imports *router_imports(const struct router *r)
{
    return &r->imports;
}

int router_learned_by(const struct router *r, const char *tenant)
{
    int index = tenant[0] == '\0' ? 0 : learners_find(&r->params.learners, tenant);
    return tenant[0] != '\0' && index == 0 ? -1 : index;
}

uint64_t router_learned_schema(const struct router *r, int *d)
{
    *d = r->learner.d;
    return features_schema(&r->learner.layout);
}

int64_t router_learned_rows(const struct router *r, int learner)
{
    return router_learner(r, learner)->labels[TARGET_QUALITY];
}

void router_learned_take(const struct router *r, int learner, int part, int arm, uint8_t *out)
{
    learned_take(router_learner(r, learner), part, arm, r->clock_ms, out);
}

/* Where an import notes its records: by model, the shared prior behind them. */
static int place_of(const struct event_learned *e)
{
    return e->part == LEARNED_PRIOR ? MODELS_MAX : e->arm;
}

enum status router_apply_learned(struct router *r, const struct event *ev, struct problem *problem)
{
    const struct event_learned *e = &ev->learned;
    struct learner *l = router_learner(r, e->learner);
    if (!l || e->arm >= r->params.catalog.n || e->schema != features_schema(&l->layout) ||
        e->len != learned_len(e->part, l->d) || (e->part == LEARNED_PRIOR && e->learner > 0))
        return problem_set(problem, STATUS_INTERNAL, "",
                           "what was learned elsewhere does not fit the configuration");
    learned_apply(l, &r->params, e, ev->time_ms);
    uint64_t *noted = &imports_note(&r->imports, e->name, e->learner)->seq[place_of(e)];
    if (e->turn == LEARNED_TAKEN_BACK || e->turn == LEARNED_PUT_BACK)
        *noted = 0;
    else if (*noted == 0)
        *noted = ev->seq;
    return STATUS_OK;
}

enum status router_learned(struct router *r, int64_t now_ms, const struct event_learned *what,
                           struct event *ev, struct problem *problem)
{
    struct learner *l = router_learner(r, what->learner);
    router_begin(r, now_ms, EVENT_NONE, ev);
    ev->learned = *what;
    ev->learned.schema = features_schema(&l->layout);
    if (what->turn == LEARNED_PUT_ASIDE)
        ev->learned.as_of_ms = ev->time_ms;
    if (what->turn == LEARNED_PUT_ASIDE || what->turn == LEARNED_ADDED)
        ev->learned.added_ms = ev->time_ms;
    if (ev->learned.as_of_ms > ev->learned.added_ms) /* its clock is ahead of ours */
        ev->learned.as_of_ms = ev->learned.added_ms;
    enum status s = learned_fits(what->part, l->d, what->bytes, what->len, problem);
    if (s != STATUS_OK)
        return s;
    ev->kind = EVENT_LEARNED;
    s = router_apply(r, ev, problem);
    if (s != STATUS_OK)
        ev->kind = EVENT_NONE;
    return s;
}
