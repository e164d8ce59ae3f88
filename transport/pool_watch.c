/* SPDX-License-Identifier: MIT */
/*
 * The fold tells which slots an event has touched; they are looked at when it is applied. What was
 * told of an instance stands beside its slot, under the sequence number that the instance was born
 * with, so that a slot's next instance starts anew. More slots than the list holds: all are looked
 * at, as after a change of the configuration.
 * Considered: telling each request that is refused or warned. That is in its reply already; a flood
 * of them is what an alert must not be.
 */
#include "transport/pool_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/budget/pools.h"

enum { TOUCHED_MOST = 64 };

struct told {
    uint64_t born; /* the instance's, 0 = none */
    int64_t window, out_until_ms, over_until_ms;
    uint64_t trips, overruns;
    bool soft, fused;
};

struct pool_watch {
    struct router *router;
    struct told *told; /* [cap] */
    int64_t cap, fused;
    int64_t touched[TOUCHED_MOST];
    int n;
    bool all; /* more than that */
    struct {
        char name[NAME_CAP];
        bool kill;
        int64_t out_until_ms; /* of instances that nothing was ever charged to */
    } pool[POOL_SPECS_MAX];
    int n_pools;
};

static void on_touch(void *ctx, int64_t slot)
{
    struct pool_watch *w = ctx;
    for (int i = 0; i < w->n; i++)
        if (w->touched[i] == slot)
            return;
    if (w->n < TOUCHED_MOST)
        w->touched[w->n++] = slot;
    else
        w->all = true;
}

/* ---- one instance ---- */

/* An instance at a moment: the last entry of its path. */
struct look {
    struct pool_watch *w;
    const struct pools *pools;
    struct pool_path path;
    const struct pool_entry *e;
    const struct pool_spec *spec;
    uint64_t seq;
    struct alert_queue *q; /* NULL: it is known already */
};

static struct alert *tell(const struct look *k, enum alert_kind kind)
{
    struct alert *a = alert_add(k->q, kind, k->spec->name, k->seq, k->path.now_ms);
    (void)snprintf(a->value, sizeof a->value, "%s", k->e->value);
    return a;
}

static void tell_amounts(const struct look *k, struct alert *a, enum pool_unit u)
{
    a->unit = u;
    a->used = pools_used(k->pools, k->e, u);
    a->cap = k->e->cap[u];
}

static bool rolling(const struct look *k)
{
    return k->spec->window.kind == WINDOW_ROLLING;
}

/* Until when what is told once a window has been told. */
static int64_t quiet_until(const struct look *k)
{
    return rolling(k) ? k->path.now_ms + k->spec->window.length_ms : k->e->window.end;
}

static void watch_soft(const struct look *k, struct told *t)
{
    bool above = false, near = false;
    enum pool_unit unit = POOL_NANO;
    for (int u = 0; u < POOL_UNITS; u++) {
        int64_t level = pools_soft_level(k->pools, k->e, (enum pool_unit)u);
        int64_t used = level < 0 ? -1 : pools_used(k->pools, k->e, (enum pool_unit)u);
        near |= used > level - level / 10 && level >= 0;
        if (used <= level || above)
            continue;
        above = true;
        unit = (enum pool_unit)u;
    }
    if (above && !t->soft && k->q)
        tell_amounts(k, tell(k, ALERT_POOL_SOFT), unit);
    t->soft = above || (t->soft && near);
}

static void watch_fuse(const struct look *k, struct told *t, const struct pool *pool)
{
    bool fused = pools_fused(k->pools, &k->path, k->path.n - 1);
    if (pool->trips > t->trips && k->q)
        tell(k, ALERT_FUSE_TRIPPED)->count = (int64_t)pool->trips;
    if (!fused && (t->fused || pool->trips > t->trips) && k->q)
        (void)tell(k, ALERT_FUSE_RESET);
    k->w->fused += fused - t->fused;
    t->fused = fused;
    t->trips = pool->trips;
}

static void watch_overruns(const struct look *k, struct told *t, const struct pool *pool)
{
    if (pool->overruns > t->overruns && k->path.now_ms >= t->over_until_ms && k->q) {
        tell(k, ALERT_POOL_OVERRUN)->count = (int64_t)pool->overruns;
        t->over_until_ms = quiet_until(k);
    }
    t->overruns = pool->overruns;
}

/* False: no instance has the slot. */
static bool look_at(const struct router *r, int64_t slot, int64_t now_ms, struct look *k)
{
    k->pools = router_pools(r);
    if (!pools_path_of(k->pools, slot, now_ms, &k->path))
        return false;
    k->e = &k->path.entry[k->path.n - 1];
    k->spec = &k->pools->config.spec[k->e->spec];
    return true;
}

static void forget(struct pool_watch *w, struct told *t)
{
    w->fused -= t->fused;
    *t = (struct told){0};
}

static void watch(struct pool_watch *w, int64_t slot, uint64_t seq, int64_t now_ms,
                  struct alert_queue *q)
{
    struct look k = {.w = w, .seq = seq, .q = q};
    struct told *t = &w->told[slot];
    if (!look_at(w->router, slot, now_ms, &k)) {
        forget(w, t);
        return;
    }
    const struct pool *pool = &k.pools->pool[slot];
    if (t->born != pool->born) {
        forget(w, t);
        t->born = pool->born;
    }
    if (t->window != k.e->window.start && !rolling(&k))
        t->soft = false;
    t->window = k.e->window.start;
    watch_soft(&k, t);
    watch_fuse(&k, t, pool);
    watch_overruns(&k, t, pool);
}

/* ---- all of them ---- */

static void watch_all(struct pool_watch *w, uint64_t seq, struct alert_queue *q)
{
    const struct pools *p = router_pools(w->router);
    for (int64_t i = 0; i < w->cap && i < p->cap; i++)
        if (p->pool[i].born > 0 || w->told[i].born > 0)
            watch(w, i, seq, router_clock(w->router), q);
}

/* False: no memory; what has no room is not watched. */
static bool make_room(struct pool_watch *w)
{
    int64_t cap = router_pools(w->router)->cap;
    if (cap <= w->cap)
        return true;
    struct told *more = calloc((size_t)cap, sizeof *more);
    if (!more)
        return false;
    if (w->cap > 0)
        memcpy(more, w->told, (size_t)w->cap * sizeof *more);
    free(w->told);
    w->told = more;
    w->cap = cap;
    return true;
}

static bool kills(const struct pool_config *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (c->spec[i].kill && strcmp(c->spec[i].name, name) == 0)
            return true;
    return false;
}

static bool killed(const struct pool_watch *w, const char *name)
{
    for (int i = 0; i < w->n_pools; i++)
        if (w->pool[i].kill && strcmp(w->pool[i].name, name) == 0)
            return true;
    return false;
}

/* A pool that is gone with its switch on has let go, too. */
static void watch_kills(struct pool_watch *w, const struct event *ev, struct alert_queue *q)
{
    const struct pool_config *c = &router_params(w->router)->pools;
    for (int i = 0; q && i < w->n_pools; i++)
        if (w->pool[i].kill && !kills(c, w->pool[i].name))
            (void)alert_add(q, ALERT_KILL_OFF, w->pool[i].name, ev->seq, ev->time_ms);
    for (int i = 0; q && i < c->n; i++)
        if (c->spec[i].kill && !killed(w, c->spec[i].name))
            (void)alert_add(q, ALERT_KILL_ON, c->spec[i].name, ev->seq, ev->time_ms);
    for (int i = 0; i < c->n; i++) {
        memcpy(w->pool[i].name, c->spec[i].name, NAME_CAP);
        w->pool[i].kill = c->spec[i].kill;
        w->pool[i].out_until_ms = 0;
    }
    w->n_pools = c->n;
}

/* Limits may be others now: what was told once a window may be told again. */
static void reconfigure(struct pool_watch *w, const struct event *ev, struct alert_queue *q)
{
    (void)make_room(w);
    for (int64_t i = 0; i < w->cap; i++)
        if (w->told[i].born > 0)
            w->told[i].out_until_ms = w->told[i].over_until_ms = 0;
    watch_kills(w, ev, q);
    w->all = true;
}

struct pool_watch *pool_watch_new(struct router *r)
{
    struct pool_watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->router = r;
    if (!make_room(w)) {
        pool_watch_free(w);
        return NULL;
    }
    watch_kills(w, NULL, NULL);
    watch_all(w, 0, NULL);
    router_on_pool(r, on_touch, w);
    return w;
}

void pool_watch_free(struct pool_watch *w)
{
    if (!w)
        return;
    router_on_pool(w->router, NULL, NULL);
    free(w->told);
    free(w);
}

void pool_watch_event(struct pool_watch *w, const struct event *ev, struct alert_queue *q)
{
    if (ev->kind == EVENT_CONFIGURED)
        reconfigure(w, ev, q);
    if (w->all)
        watch_all(w, ev->seq, q);
    else
        for (int i = 0; i < w->n; i++)
            if (w->touched[i] < w->cap)
                watch(w, w->touched[i], ev->seq, ev->time_ms, q);
    w->n = 0;
    w->all = false;
}

/* An instance that nothing was charged to has no slot: a limit smaller than any request. */
static void refused_unborn(struct pool_watch *w, const struct event_decided *d, int spec,
                           int64_t now_ms, struct alert_queue *q)
{
    struct window window = pools_window(router_pools(w->router), spec, now_ms);
    if (now_ms < w->pool[spec].out_until_ms)
        return;
    w->pool[spec].out_until_ms = window.end;
    struct alert *a =
        alert_add(q, ALERT_POOL_EXHAUSTED, d->charge.pool, router_seq(w->router), now_ms);
    a->unit = d->charge.unit;
    a->missing = d->charge.missing;
    (void)snprintf(a->value, sizeof a->value, "%s", d->charge.value);
}

void pool_watch_refused(struct pool_watch *w, const struct event_decided *d, int64_t now_ms,
                        struct alert_queue *q)
{
    struct look k = {.w = w, .seq = router_seq(w->router), .q = q};
    int spec = 0;
    while (spec < w->n_pools && strcmp(w->pool[spec].name, d->charge.pool) != 0)
        spec++;
    if (d->charge.missing == 0 || spec == w->n_pools || d->charge.at >= w->cap)
        return;
    if (d->charge.at < 0) {
        refused_unborn(w, d, spec, now_ms, q);
        return;
    }
    struct told *t = &w->told[d->charge.at];
    if (now_ms < t->out_until_ms || !look_at(w->router, d->charge.at, now_ms, &k))
        return;
    struct alert *a = tell(&k, ALERT_POOL_EXHAUSTED);
    tell_amounts(&k, a, d->charge.unit);
    a->missing = d->charge.missing;
    t->out_until_ms = quiet_until(&k);
}

void pool_watch_tick(struct pool_watch *w, int64_t now_ms, struct alert_queue *q)
{
    for (int64_t i = 0; i < w->cap && w->fused > 0; i++)
        if (w->told[i].fused)
            watch(w, i, router_seq(w->router), now_ms, q);
}

struct pool_standing pool_watch_standing(const struct pool_watch *w, int64_t slot, int64_t now_ms)
{
    struct look k;
    struct pool_standing s = {false, false};
    const struct told *t = slot < w->cap ? &w->told[slot] : NULL;
    if (!t || t->born == 0 || !look_at(w->router, slot, now_ms, &k))
        return s;
    for (int u = 0; u < POOL_UNITS; u++) {
        int64_t level = pools_soft_level(k.pools, k.e, (enum pool_unit)u);
        s.soft |= level >= 0 && pools_used(k.pools, k.e, (enum pool_unit)u) > level;
    }
    s.exhausted = now_ms < t->out_until_ms;
    return s;
}
