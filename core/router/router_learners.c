/* SPDX-License-Identifier: MIT */
/*
 * The learners of tenants: which one decides, whom its labels reach, when they are renewed.
 *
 * A tenant that shares teaches two learners with each label. Whether it shares is settled for a
 * decision's whole life when it is made: what the shared learner took in it can amend and take
 * back, what it did not take in never reaches it. So a switch ends the sharing of all that was
 * decided before it, and an isolated tenant moves nothing, not even by amending what it once
 * shared.
 *
 * Late feedback on decisions of a learner that decides no more still lands in it: when the tenant
 * is configured again, it goes on with all that it knew.
 *
 * Common to all, isolated or not: prices, the pacer's budget with what was spent, the guard's
 * ledger.
 *
 * Considered: tenants as features of one regression. A hostile one would still move what the others
 * share with it, and 64 more entries of x would make each regression of 77 over three times as big.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "core/router/router_state.h"

enum { RENEWED_PER_TICK = 256 }; /* regressions of tenants: some ms with 64 entries of x */

struct learner *router_learner(const struct router *r, int index)
{
    return index <= r->params.learners.n ? r->learners[index] : NULL;
}

int router_learner_of(const struct router *r, const char *tenant)
{
    int index = learners_find(&r->params.learners, tenant);
    return index > 0 && r->params.learners.spec[index - 1].active ? index : 0;
}

bool router_isolated(const struct router *r, int index)
{
    return index > 0 && !r->params.learners.spec[index - 1].shares;
}

const struct learner *router_census(const struct router *r, int index)
{
    return router_isolated(r, index) ? router_learner(r, index) : &r->learner;
}

struct learner *router_also(struct router *r, const struct decision_row *row)
{
    if (row->learner == 0 || router_isolated(r, row->learner))
        return NULL;
    bool shared = row->seq == 0 || row->seq > r->learners[row->learner]->shares_since;
    return shared ? &r->learner : NULL; /* seq 0: taught just now */
}

bool router_shape_learners(struct router *r)
{
    const struct lens *lens = r->lens->id ? r->lens : NULL;
    for (int i = 1; i <= r->params.learners.n; i++) {
        struct learner **l = &r->learners[i];
        if (!*l && !(*l = calloc(1, sizeof **l)))
            return false;
        learner_attach(*l, &r->learner, &r->params.learners.spec[i - 1], i);
        if (!learner_shape(*l, &r->params, lens, r->clock_ms))
            return false;
    }
    return true;
}

/* The open decisions of learner `index` are no longer waited for in the shared one. */
static void stop_waiting(struct router *r, int index)
{
    for (int64_t k = r->pending.first; k < r->pending.total; k++) {
        int64_t slot = k % r->pending.cap;
        const struct decision_row *row = &r->pending.row[slot];
        struct label_book book;
        pending_book(&r->pending, slot, &book);
        if (row->learner == index && router_awaits_quality(r, row, &book) && router_also(r, row))
            learner_pend(&r->learner, &r->params, row, r->pending.x + slot * r->pending.stride, -1);
    }
}

void router_resettle(struct router *r, const struct learner_list *next)
{
    for (int i = 0; i < r->params.learners.n && i < next->n; i++) {
        if (r->params.learners.spec[i].shares == next->spec[i].shares)
            continue;
        stop_waiting(r, i + 1);
        r->learners[i + 1]->shares_since = r->seq;
    }
}

const struct learner *router_alarmed(const struct router *r)
{
    for (int i = 0; i <= r->params.learners.n; i++)
        if (router_learner(r, i)->alarm)
            return router_learner(r, i);
    return NULL;
}

/* Tenants take turns in going first: where the bound is met, none waits for ever. */
void router_refresh_learners(struct router *r)
{
    int n = r->params.learners.n, room = RENEWED_PER_TICK;
    (void)learner_refresh(&r->learner, &r->params, INT_MAX, r->clock_ms);
    for (int i = 0; i < n && room > 0; i++) {
        struct learner *l = r->learners[1 + (r->seq + (uint64_t)i) % (uint64_t)n];
        room = learner_refresh(l, &r->params, room, r->clock_ms);
    }
}
