/* SPDX-License-Identifier: MIT */
/*
 * Budgets in the fold. A decision's record has what it may cost; that its pools are charged with
 * it, settled by what is reported, or by the reservation when nothing is, happens here and only
 * here. The hold stands in the decision's label book, so it leaves memory, is recalled and is
 * logged with late feedback together with the labels.
 *
 * A cost that was reported and taken back leaves the reservation: what is not known is taken to be
 * what it may be.
 *
 * Which reservation runs out next needs no heap: all have the same time to live, so it is the
 * oldest that is still open. The place of the search is a cache; holds never open again.
 */
#include <string.h>
#include "core/router/credit.h"
#include "core/router/router_state.h"

bool router_charge(struct router *r, const struct event *ev, struct pool_hold *hold)
{
    const struct event_decided *d = &ev->decided;
    struct pool_path path;
    memset(hold, 0, sizeof *hold);
    if (r->params.pools.n == 0)
        return d->charge.n == 0;
    router_path(r, ev->time_ms, d, d->arm, &path);
    if (path.n != d->charge.n || path.crowded)
        return false;
    return path.n == 0 || pools_reserve(&r->pools, &path, &d->charge.ask, ev->seq, hold);
}

static int64_t most(const int64_t amount[POOL_MODES][POOL_UNITS], enum pool_unit u)
{
    int64_t a = amount[POOL_STRICT][u], b = amount[POOL_QUANTILE][u];
    return a > b ? a : b;
}

/* Output that was not counted is implied by the cost, but no more than what was reserved. */
static int64_t tokens_of(const struct credit *c, const struct pool_hold *hold)
{
    int64_t reserved = most(hold->reserved, POOL_TOKENS);
    bool implied = !c->counted && (c->tokens < 0 || c->tokens > reserved);
    return implied ? reserved : c->tokens;
}

bool router_settle_pools(struct router *r, const struct decision_row *row, struct label_book *book,
                         const struct credit *c)
{
    struct pool_hold *hold = &book->hold;
    int64_t now = r->clock_ms;
    if (hold->n == 0)
        return true;
    if (!c->has_cost)
        return hold->open || pools_expire(&r->pools, hold, row->seq, row->time_ms, now);
    int64_t actual[POOL_UNITS] = {[POOL_NANO] = c->cost_nano, [POOL_TOKENS] = tokens_of(c, hold)};
    return pools_settle(&r->pools, hold, row->seq, row->time_ms, actual, now);
}

/* Whether the reservation of a decision is open. */
static bool holds(const struct pending *p, int64_t slot)
{
    struct label_book book;
    pending_book(p, slot, &book);
    return book.hold.open;
}

/* A sum that would overflow (nine thousand million dollars) leaves the reservation standing. */
void router_expire(struct router *r, int64_t slot)
{
    const struct decision_row *row = &r->pending.row[slot];
    struct label_book book;
    pending_book(&r->pending, slot, &book);
    if (!book.hold.open ||
        !pools_expire(&r->pools, &book.hold, row->seq, row->time_ms, r->clock_ms))
        return;
    pending_set_book(&r->pending, slot, &book);
    pending_touch(&r->pending, slot);
}

enum status router_apply_expired(struct router *r, const struct event *ev, struct problem *problem)
{
    int64_t slot = pending_find(&r->pending, ev->expired.decision);
    if (slot < 0 || !holds(&r->pending, slot))
        return problem_set(problem, STATUS_INTERNAL, "", "decision %llu holds no reservation",
                           (unsigned long long)ev->expired.decision);
    router_expire(r, slot);
    return STATUS_OK;
}

bool router_expiry_due(struct router *r, int64_t now_ms, uint64_t *seq)
{
    const struct pending *p = &r->pending;
    int64_t ttl_ms = r->params.budget.expire_after_s * 1000;
    if (r->oldest_hold < p->first)
        r->oldest_hold = p->first;
    if (r->params.pools.n == 0)
        return false;
    while (r->oldest_hold < p->total && !holds(p, r->oldest_hold % p->cap))
        r->oldest_hold++;
    if (r->oldest_hold == p->total)
        return false;
    const struct decision_row *row = &p->row[r->oldest_hold % p->cap];
    if (row->time_ms > now_ms - ttl_ms)
        return false;
    *seq = row->seq;
    return true;
}

void router_unlend(struct router *r)
{
    if (router_lends(r))
        (void)pools_strand(&r->pools, r->lent_ms, r->clock_ms);
    r->lent_ms = 0;
}

void router_lend(struct router *r, int64_t now_ms, bool on, struct event *ev)
{
    router_begin(r, now_ms, router_lends(r) == on ? EVENT_NONE : EVENT_LENT, ev);
    ev->lent.on = on;
    if (ev->kind != EVENT_NONE && router_apply(r, ev, NULL) != STATUS_OK)
        ev->kind = EVENT_NONE;
}

bool router_lends(const struct router *r)
{
    return r->lent_ms > 0;
}

bool router_hold(const struct router *r, uint64_t seq, struct pool_hold *out)
{
    struct label_book book;
    int64_t slot = pending_find(&r->pending, seq);
    if (slot < 0)
        return false;
    pending_book(&r->pending, slot, &book);
    *out = book.hold;
    return true;
}

void router_on_pool(struct router *r, void (*sink)(void *ctx, int64_t slot), void *ctx)
{
    r->pools.watch = sink;
    r->pools.watch_ctx = ctx;
}

void router_count_refusal(struct router *r, const struct event_decided *d)
{
    for (int i = 0; i < r->params.pools.n && d->charge.pool[0]; i++)
        r->refusals[i] += strcmp(r->params.pools.spec[i].name, d->charge.pool) == 0;
}
