/* SPDX-License-Identifier: MIT */
/*
 * Budgets for operators. Amounts are of the window that runs now: settled and over (above what was
 * reserved) and reserved come to used, what is left counts loans and the pools above. A pool that
 * nothing was charged to yet has no instance; it is told with nothing used.
 */
#include "transport/control/control_pools.h"

#include <inttypes.h>
#include <string.h>
#include "core/budget/pools.h"
#include "core/router/router.h"

enum { LIST_MOST = 1000, INSTANCE_BYTES = 2048 };

static void put_amount(struct text *t, const char *name, enum pool_unit u, int64_t v)
{
    text_printf(t, ",\"%s_%s\":", name, u == POOL_NANO ? "usd" : "tokens");
    if (u == POOL_NANO)
        text_usd(t, v);
    else
        text_printf(t, "%" PRId64, v);
}

static void put_unit(struct text *t, const struct pools *p, const struct pool_path *path,
                     enum pool_unit u)
{
    static const char *const names[BOOK_COLUMNS] = {"settled", "over", "reserved"};
    const struct pool_entry *e = &path->entry[path->n - 1];
    put_amount(t, "used", u, pools_used(p, e, u));
    for (int c = 0; c < BOOK_COLUMNS; c++)
        put_amount(t, names[c], u, pools_column(p, e, (enum pool_column)c, u));
    if (e->cap[u] < 0)
        return;
    put_amount(t, "cap", u, e->cap[u]);
    int64_t left = pools_headroom(p, path).left[u];
    if (left < INT64_MAX)
        put_amount(t, "left", u, left);
}

/* What the window will have used when it ends, if it goes on as it has so far; not told before a
 * twentieth of it has passed, nor of windows that roll or do not end. */
static void put_forecast(struct text *t, const struct pools *p, const struct pool_entry *e,
                         int64_t now)
{
    double length = (double)(e->window.end - e->window.start),
           passed = (double)(now - e->window.start);
    bool ends = e->window.end < INT64_MAX && e->window.since == e->window.start;
    for (int u = 0; u < POOL_UNITS && ends && passed > length / 20; u++) {
        double used = (double)pools_used(p, e, (enum pool_unit)u) * length / passed;
        if (e->cap[u] >= 0 && used < 9e18)
            put_amount(t, "forecast", (enum pool_unit)u, (int64_t)used);
    }
}

/* What pacing has the pool do to requests, of a paced one. */
static void put_pace(struct text *t, const struct router *r, const struct pool_path *path)
{
    static const char *const steps[] = {[PACE_FREE] = "free",
                                        [PACE_PACED] = "paced",
                                        [PACE_THROTTLING] = "throttling",
                                        [PACE_REFUSING] = "refusing"};
    static const char *const unit[POOL_UNITS] = {"usd", "token"};
    static const char *const units[POOL_UNITS] = {"usd", "tokens"};
    struct pace_state s;
    if (!router_pace(r, path, &s))
        return;
    text_printf(t, ",\"pace\":{\"step\":\"%s\",\"requests_expected\":", steps[s.step]);
    text_json_number(t, s.requests, 6);
    text_put(t, ",\"shortage\":");
    text_json_number(t, s.shortage > 0 ? s.shortage : 0, 6);
    for (int u = 0; u < POOL_UNITS; u++) {
        if (!s.unit[u])
            continue;
        text_printf(t, ",\"points_per_%s\":", unit[u]);
        text_json_number(t, s.multiplier[u], 6);
        text_printf(t, ",\"per_request_%s\":", units[u]);
        text_json_number(t, s.rate[u], 6);
        text_printf(t, ",\"least_per_request_%s\":", units[u]);
        text_json_number(t, s.least[u], 6);
    }
    text_put(t, "}");
}

static void put_instance(struct text *t, const struct desk *d, const struct pool_path *path)
{
    const struct pools *p = router_pools(d->router);
    const struct pool_entry *e = &path->entry[path->n - 1];
    const struct pool_spec *s = &p->config.spec[e->spec];
    const struct pool *pool = e->at < 0 ? NULL : &p->pool[e->at];
    text_put(t, "{\"pool\":");
    text_json_string(t, s->name);
    if (s->each >= 0) {
        text_put(t, ",\"value\":");
        text_json_string(t, e->value);
    }
    text_printf(t, ",\"mode\":\"%s\",\"window_start_ms\":%" PRId64,
                s->quantile ? "quantile" : "strict", e->window.start);
    if (e->window.end < INT64_MAX)
        text_printf(t, ",\"window_end_ms\":%" PRId64, e->window.end);
    for (int u = 0; u < POOL_UNITS; u++)
        put_unit(t, p, path, (enum pool_unit)u);
    struct pool_standing now = {false, false};
    if (pool)
        now = pool_watch_standing(d->watch, e->at, path->now_ms);
    for (int u = 0; pool && u < POOL_UNITS; u++)
        if (pool->stranded[u] > 0)
            put_amount(t, "stranded", (enum pool_unit)u, pool->stranded[u]);
    put_pace(t, d->router, path);
    put_forecast(t, p, e, path->now_ms);
    text_printf(t,
                ",\"overruns\":%" PRIu64 ",\"trips\":%" PRIu64 ",\"fused\":%s,\"kill\":%s,"
                "\"soft\":%s,\"exhausted\":%s,\"refusals\":%" PRId64 "}",
                pool ? pool->overruns : 0, pool ? pool->trips : 0,
                pools_fused(p, path, path->n - 1) ? "true" : "false", s->kill ? "true" : "false",
                now.soft ? "true" : "false", now.exhausted ? "true" : "false",
                router_refusals(d->router)[e->spec]);
}

/* Instances, and pools without one; `at` runs over the slots and then over the configured pools. */
static bool look_at(const struct pools *p, int64_t at, int64_t now, struct pool_path *path)
{
    return at < p->cap ? pools_path_of(p, at, now, path)
                       : pools_path_unused(p, (int)(at - p->cap), now, path);
}

static enum status find(const struct pools *p, const char *name, struct problem *problem)
{
    for (int i = 0; i < p->config.n; i++) {
        if (strcmp(p->config.spec[i].name, name) == 0)
            return STATUS_OK;
    }
    return problem_set(problem, STATUS_BAD_REQUEST, "/pool",
                       "there is no pool of this name; pools.list names those there are");
}

enum status control_pools_list(const struct desk *d, const json_t *root, struct outbuf *out,
                               struct problem *problem)
{
    const struct pools *p = router_pools(d->router);
    const json_t *limit = json_object_get(root, "limit"), *from = json_object_get(root, "from");
    const char *name = json_string_value(json_object_get(root, "pool"));
    int64_t at = json_integer_value(from), most = limit ? json_integer_value(limit) : LIST_MOST;
    int64_t now = router_clock(d->router), end = p->cap + p->config.n, written = 0;
    if (name && find(p, name, problem) != STATUS_OK)
        return problem->code;
    if (at < 0 || most < 1 || most > LIST_MOST)
        return problem_set(problem, STATUS_BAD_REQUEST, at < 0 ? "/from" : "/limit",
                           "expected from 0 on, and a limit of 1 to %d", LIST_MOST);
    text_printf(&out->text, "{\"v\":1,\"clock_ms\":%" PRId64 ",\"pools\":[", now);
    for (; at < end && written < most; at++) {
        struct pool_path path;
        if (!look_at(p, at, now, &path) ||
            (name && strcmp(p->config.spec[path.entry[path.n - 1].spec].name, name) != 0))
            continue;
        if (!outbuf_reserve(out, INSTANCE_BYTES))
            return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the answer");
        text_put(&out->text, written++ > 0 ? "," : "");
        put_instance(&out->text, d, &path);
    }
    text_put(&out->text, "]");
    if (at < end)
        text_printf(&out->text, ",\"next\":%" PRId64, at);
    text_put(&out->text, "}");
    return STATUS_OK;
}

/* Merges objects key by key; null takes out. */
static bool merge(json_t *into, const json_t *change)
{
    const char *key;
    json_t *v;
    /* The iteration macro takes no const, though nothing is changed. */
    json_object_foreach((json_t *)(uintptr_t)change, key, v)
    {
        json_t *there = json_object_get(into, key);
        if (json_is_null(v)) {
            json_object_del(into, key);
            continue;
        }
        if (json_is_object(v) && json_is_object(there)) {
            if (!merge(there, v))
                return false;
        } else if (json_object_set_new(into, key, json_deep_copy(v)) != 0) {
            return false;
        }
    }
    return true;
}

/* Up to the end of the second: the document counts in seconds. */
static bool rearm(json_t *pool, int64_t now_ms)
{
    char at[WINDOW_TIME_CAP];
    window_time_write(now_ms + 1000, at);
    json_t *fuse = json_object_get(pool, "fuse");
    return fuse && json_object_set_new(fuse, "rearmed", json_string(at)) == 0;
}

/* Where the pool of this name stands; behind the last: nowhere. */
static size_t index_of(const json_t *list, const char *name)
{
    size_t i = 0, n = json_array_size(list);
    const char *its;
    while (i < n && (!(its = json_string_value(json_object_get(json_array_get(list, i), "name"))) ||
                     strcmp(its, name) != 0))
        i++;
    return i;
}

/* What a message asks of a pool. */
struct change {
    const char *name;
    const json_t *set;
    bool add, remove, rearm;
};

static struct change change_of(const json_t *root)
{
    return (struct change){
        .name = json_string_value(json_object_get(root, "pool")),
        .set = json_object_get(root, "set"),
        .add = json_is_true(json_object_get(root, "add")),
        .remove = json_is_true(json_object_get(root, "remove")),
        .rearm = json_is_true(json_object_get(root, "rearm")),
    };
}

/* NULL: it can be done, to pool number `at` of n. */
static const char *objection(const struct change *c, size_t at, size_t n, const char **path)
{
    *path = "/pool";
    if (!c->name)
        return "pool is needed: the name of the one to change";
    if (c->add && at < n)
        return "there is a pool of this name already: leave add out to change it";
    if (!c->add && at == n)
        return "there is no pool of this name; pools.list names those there are, add true makes it";
    *path = "/set";
    if (c->remove)
        return c->set || c->add || c->rearm ? "not with remove" : NULL;
    if (!c->rearm && !json_is_object(c->set))
        return "set is needed: an object of the fields to change, null takes one out; or rearm or "
               "remove true";
    return NULL;
}

json_t *control_pools_patch(const json_t *document, const json_t *root, int64_t now_ms,
                            struct problem *problem)
{
    struct change c = change_of(root);
    const char *path, *no;
    json_t *list = json_deep_copy(json_object_get(document, "pools"));
    if (!list)
        list = json_array();
    size_t n = json_array_size(list), at = c.name ? index_of(list, c.name) : n;
    if ((no = objection(&c, at, n, &path)) != NULL) {
        problem_set(problem, STATUS_BAD_REQUEST, path, "%s", no);
    } else if (c.remove) {
        if (json_array_remove(list, at) == 0)
            return list;
        problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the change");
    } else {
        if (c.add)
            json_array_append_new(list, json_pack("{s:s}", "name", c.name));
        json_t *pool = json_array_get(list, at);
        if (!pool || (c.set && !merge(pool, c.set)))
            problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the change");
        else if (c.rearm && !rearm(pool, now_ms))
            problem_set(problem, STATUS_BAD_REQUEST, "/rearm", "this pool has no fuse");
        else
            return list;
    }
    json_decref(list);
    return NULL;
}

void control_pools_totals(const struct router *r, struct text *t)
{
    const struct pools *p = router_pools(r);
    uint64_t overruns = 0, trips = 0;
    int64_t refusals = 0;
    for (int64_t i = 0; i < p->cap && p->used > 0; i++) {
        overruns += p->pool[i].overruns;
        trips += p->pool[i].trips;
    }
    for (int i = 0; i < p->config.n; i++)
        refusals += router_refusals(r)[i];
    text_printf(t,
                ",\"pools\":{\"configured\":%d,\"instances\":%" PRId64 ",\"overruns\":%" PRIu64
                ",\"trips\":%" PRIu64 ",\"refusals\":%" PRId64 "}",
                p->config.n, p->used, overruns, trips, refusals);
}
