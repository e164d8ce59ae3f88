/* SPDX-License-Identifier: MIT */
/*
 * What the pools say of a request. Nothing here changes them.
 *
 * A request's path is the set of pools it matches, not a chain: a tenant's users and the tenant's
 * tasks may both be limited. A child's request matches the parent by construction, so the parent's
 * books contain the children's and each pool can be looked at by itself.
 *
 * Loans are not bookkept. What a pool has used above its cap is what it has borrowed, what another
 * has left above its keep is what it lends; as the lender spends, it lends less. So what was lent
 * and not spent is back at once, and what was spent is limited by the parent, whose cap holds for
 * all. Rejected: explicit transfers between siblings, which need expiry and paying back.
 */
#include "core/budget/pools_inside.h"

#include <string.h>

int64_t pool_add(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

int64_t pool_native(int64_t configured, enum pool_unit unit)
{
    return unit == POOL_NANO ? configured * 1000 : configured;
}

/* A share in [0,1] of an amount, rounded down, in integers: shares count in millionths. */
static int64_t share_of(int64_t amount, double share)
{
    int64_t millionths = (int64_t)(share * 1e6 + 0.5);
    return amount / 1000000 * millionths + amount % 1000000 * millionths / 1000000;
}

/* ---- books ---- */

int64_t pool_counted(const struct pool *pool, int64_t since, enum pool_unit unit)
{
    int64_t sum = 0;
    for (int i = pool->n_books - 1; i >= 0 && pool->book[i].start >= since; i--) {
        for (int c = 0; c < BOOK_COLUMNS; c++)
            sum = pool_add(sum, pool->book[i].sum[c][unit]);
    }
    return sum;
}

static int64_t counted_at(const struct pools *p, int32_t at, int64_t since, enum pool_unit unit)
{
    return at < 0 ? 0 : pool_counted(&p->pool[at], since, unit);
}

int64_t pools_used(const struct pools *p, const struct pool_entry *e, enum pool_unit unit)
{
    return counted_at(p, e->at, e->window.since, unit);
}

int64_t pools_column(const struct pools *p, const struct pool_entry *e, enum pool_column column,
                     enum pool_unit unit)
{
    const struct pool *pool = e->at < 0 ? NULL : &p->pool[e->at];
    int64_t sum = 0;
    for (int i = pool ? pool->n_books - 1 : -1; i >= 0 && pool->book[i].start >= e->window.since;
         i--)
        sum = pool_add(sum, pool->book[i].sum[column][unit]);
    return sum;
}

struct window pools_window(const struct pools *p, int spec, int64_t now_ms)
{
    const struct window *last = &p->window[spec];
    if (last->start <= now_ms && now_ms < last->end)
        return *last;
    int zone = p->zone[spec];
    return window_at(&p->config.spec[spec].window, zone < 0 ? NULL : &p->config.zone[zone], now_ms);
}

/* The cap without overrides, -1 = none. */
static int64_t plain_cap(const struct pool_config *c, int spec, enum pool_unit unit)
{
    double share[POOL_PATH_MAX];
    int n = 0;
    const struct pool_spec *s = &c->spec[spec];
    for (; (s->has & POOL_HAS_SHARE) && s->parent >= 0 && n < POOL_PATH_MAX;
         s = &c->spec[s->parent])
        share[n++] = s->share;
    if (!(s->has & (POOL_HAS_USD << unit)))
        return -1;
    int64_t cap = pool_native(s->limit[unit], unit);
    while (n > 0)
        cap = share_of(cap, share[--n]);
    return cap;
}

int64_t pools_lease(const struct pool_config *c, int spec, enum pool_unit unit)
{
    const struct pool_spec *s = &c->spec[spec];
    if (s->quantile || s->soft_only)
        return -1;
    int64_t cap = plain_cap(c, spec, unit);
    if (cap >= 0)
        return share_of(cap, c->lease);
    return s->has & (POOL_HAS_OVERRIDE_USD << unit) ? 0 : -1;
}

bool pools_promise(const struct pool_config *c)
{
    for (int i = 0; i < c->n; i++)
        for (int u = 0; u < POOL_UNITS; u++)
            if (pools_lease(c, i, (enum pool_unit)u) >= 0)
                return true;
    return false;
}

/* ---- the path ---- */

static bool overridden(const struct pool_spec *s, const char *value, enum pool_unit unit,
                       int64_t now)
{
    return (s->has & (POOL_HAS_OVERRIDE_USD << unit)) && now < s->over.until_ms &&
           (s->over.value[0] == '\0' || strcmp(s->over.value, value) == 0);
}

/* Gives the cap of a pool, -1 = none. above: the parent's, NULL without one. */
static int64_t cap_of(const struct pool_spec *s, const char *value, const struct window *w,
                      const int64_t *above, enum pool_unit unit, int64_t now)
{
    if (s->window.kind == WINDOW_ONCE && w->start != s->window.from_ms)
        return 0;
    if (overridden(s, value, unit, now))
        return pool_native(s->over.limit[unit], unit);
    if (s->has & (POOL_HAS_USD << unit))
        return pool_native(s->limit[unit], unit);
    if ((s->has & POOL_HAS_SHARE) && above && above[unit] >= 0)
        return share_of(above[unit], s->share);
    return -1;
}

static const char *label(const struct pool_labels *labels, int i)
{
    return labels->of[i] ? labels->of[i] : "";
}

static bool matches(const struct pools *p, int i, const struct pool_labels *labels)
{
    const struct pool_spec *s = &p->config.spec[i];
    for (int l = 0; l < POOL_LABELS; l++) {
        if ((p->asked[i] >> l & 1) && strcmp(s->match[l], label(labels, l)) != 0)
            return false;
    }
    return s->each < 0 || label(labels, s->each)[0] != '\0';
}

/* Adds pool i, whose parent (if any) is entry `up`. */
static void enter(const struct pools *p, int i, int up, const char *value, struct pool_path *path)
{
    const struct pool_spec *s = &p->config.spec[i];
    struct pool_entry *e = &path->entry[path->n];
    const struct pool_entry *above = up < 0 ? NULL : &path->entry[up];
    e->spec = i;
    e->up = up;
    e->value = value;
    e->at = above && above->at < 0 ? -1 : pools_find(p, i, above ? above->at : -1, e->value);
    e->window = pools_window(p, i, path->now_ms);
    for (int u = 0; u < POOL_UNITS; u++)
        e->cap[u] = cap_of(s, e->value, &e->window, above ? above->cap : NULL, (enum pool_unit)u,
                           path->now_ms);
    if (!s->quantile)
        path->strict |= (uint8_t)(1u << path->n);
    else if (s->risk < path->risk)
        path->risk = s->risk;
    path->n++;
}

static void begin_path(struct pool_path *out, int64_t now_ms)
{
    out->n = 0;
    out->crowded = false;
    out->strict = 0;
    out->risk = 1;
    out->now_ms = now_ms;
    memset(out->margin, 0, sizeof out->margin);
    memset(out->margin_share, 0, sizeof out->margin_share);
}

void pools_path(const struct pools *p, const struct pool_labels *labels, int64_t now_ms,
                struct pool_path *out)
{
    int8_t where[POOL_SPECS_MAX]; /* entry of a pool, -1 = not on the path */
    begin_path(out, now_ms);
    for (int i = 0; i < p->config.n; i++) {
        int parent = p->config.spec[i].parent;
        where[i] = -1;
        if ((parent >= 0 && where[parent] < 0) || !matches(p, i, labels))
            continue;
        if (out->n == POOL_PATH_MAX) {
            out->crowded = true;
            return;
        }
        where[i] = (int8_t)out->n;
        int each = p->config.spec[i].each;
        enter(p, i, parent < 0 ? -1 : where[parent], each < 0 ? "" : label(labels, each), out);
    }
}

bool pools_path_of(const struct pools *p, int64_t slot, int64_t now_ms, struct pool_path *out)
{
    int64_t chain[POOL_PATH_MAX];
    int n = 0;
    begin_path(out, now_ms);
    if (p->pool[slot].born == 0)
        return false;
    for (int64_t at = slot; at >= 0 && n < POOL_PATH_MAX; at = p->pool[at].parent)
        chain[n++] = at;
    for (int i = n - 1; i >= 0; i--)
        enter(p, p->pool[chain[i]].spec, out->n - 1, p->pool[chain[i]].value, out);
    return true;
}

bool pools_path_unused(const struct pools *p, int spec, int64_t now_ms, struct pool_path *out)
{
    int chain[POOL_PATH_MAX], n = 0;
    begin_path(out, now_ms);
    for (int at = spec; at >= 0 && n < POOL_PATH_MAX; at = p->config.spec[at].parent) {
        if (p->config.spec[at].each >= 0)
            return false;
        chain[n++] = at;
    }
    for (int i = n - 1; i >= 0; i--)
        enter(p, chain[i], out->n - 1, "", out);
    return out->entry[out->n - 1].at < 0;
}

/* ---- loans ---- */

bool pools_same_window(const struct pool_spec *a, const struct pool_spec *b)
{
    return a->window.kind == b->window.kind && a->window.length_ms == b->window.length_ms &&
           a->window.from_ms == b->window.from_ms && a->window.until_ms == b->window.until_ms &&
           strcmp(a->zone, b->zone) == 0;
}

bool pools_siblings(const struct pool_config *c, int a, int b)
{
    const struct pool_spec *x = &c->spec[a], *y = &c->spec[b];
    return a != b && x->parent == y->parent && x->parent >= 0 && x->each < 0 && y->each < 0 &&
           pools_same_window(x, y);
}

/* What an entry may use above its cap: what its siblings lend, less what they have borrowed. */
static int64_t loan(const struct pools *p, const struct pool_path *path, const struct pool_entry *e,
                    enum pool_unit unit)
{
    const struct pool_entry *up = &path->entry[e->up];
    int64_t lent = 0, borrowed = 0;
    for (int i = 0; i < p->config.n; i++) {
        if (!pools_siblings(&p->config, e->spec, i))
            continue;
        const struct pool_spec *s = &p->config.spec[i];
        int64_t cap = cap_of(s, "", &e->window, up->cap, unit, path->now_ms);
        int32_t at = up->at < 0 ? -1 : pools_find(p, i, up->at, "");
        int64_t used = counted_at(p, at, e->window.since, unit);
        if (cap < 0)
            continue;
        int64_t left = cap - used, spare = left - share_of(cap, s->keep);
        lent = pool_add(lent, spare > 0 ? spare : 0);
        borrowed = pool_add(borrowed, left < 0 ? -left : 0);
    }
    return lent > borrowed ? lent - borrowed : 0;
}

/* ---- admission ---- */

/* What an entry can still take, >= 0. Without a cap, what the books can hold. */
static int64_t room_of(const struct pools *p, const struct pool_path *path,
                       const struct pool_entry *e, enum pool_unit unit)
{
    const struct pool_spec *s = &p->config.spec[e->spec];
    int64_t used = pools_used(p, e, unit), cap = e->cap[unit];
    if (cap < 0 || s->soft_only)
        cap = INT64_MAX;
    else if (s->borrow && e->up >= 0)
        cap = pool_add(cap, loan(p, path, e, unit));
    return cap > used ? cap - used : 0;
}

/* Gives the milliseconds until `missing` will have come free; 0 = never, or not known. */
static int64_t wait_of(const struct pools *p, const struct pool_path *path,
                       const struct pool_entry *e, enum pool_unit unit, int64_t missing)
{
    const struct pool_spec *s = &p->config.spec[e->spec];
    if (s->window.kind != WINDOW_ROLLING || e->at < 0)
        return e->window.end == INT64_MAX ? 0 : e->window.end - path->now_ms;
    const struct pool *pool = &p->pool[e->at];
    int64_t part = e->window.end - e->window.start;
    for (int i = 0; i < pool->n_books; i++) { /* the oldest comes free first */
        if (pool->book[i].start < e->window.since)
            continue;
        for (int c = 0; c < BOOK_COLUMNS; c++)
            missing -= pool->book[i].sum[c][unit];
        if (missing <= 0)
            return pool->book[i].start + (WINDOW_PARTS + 1) * part - path->now_ms;
    }
    return 0;
}

static bool killed(const struct pools *p, const struct pool_entry *e)
{
    return p->config.spec[e->spec].kill;
}

static bool fused(const struct pools *p, const struct pool_path *path, const struct pool_entry *e)
{
    return e->at >= 0 && pool_fused(&p->pool[e->at], &p->config.spec[e->spec], path->now_ms);
}

bool pools_fused(const struct pools *p, const struct pool_path *path, int i)
{
    return fused(p, path, &path->entry[i]);
}

int64_t pools_soft_level(const struct pools *p, const struct pool_entry *e, enum pool_unit unit)
{
    const struct pool_spec *s = &p->config.spec[e->spec];
    int64_t cap = e->cap[unit];
    return cap < 0 || s->soft_only ? cap : share_of(cap, s->soft);
}

/* Of an entry's open decisions and one more of `amount`. Windows that have ended count too: an open
 * decision is in the book of its own window. */
static int64_t margin_of(const struct pools *p, const struct pool_path *path,
                         const struct pool_entry *e, enum pool_unit unit, int64_t amount)
{
    int64_t most = e->cap[unit] / POOL_MARGIN_PART, open = amount;
    const struct pool *pool = e->at < 0 ? NULL : &p->pool[e->at];
    for (int b = 0; pool && b < pool->n_books; b++)
        open = pool_add(open, pool->book[b].sum[BOOK_RESERVED][unit]);
    double above = path->margin_share[unit] * (double)open;
    int64_t margin = path->margin[unit] < most ? path->margin[unit] : most;
    return above < (double)margin ? (int64_t)above : margin;
}

/* What a request needs of a window in which nothing else has happened. */
static int64_t alone(const struct pool_path *path, const struct pool_entry *e,
                     const struct pool_spec *s, enum pool_unit unit, int64_t amount)
{
    struct pool_entry empty = *e;
    empty.at = -1;
    return pool_add(amount, s->quantile ? margin_of(NULL, path, &empty, unit, amount) : 0);
}

/* Asks one entry for one unit. */
static struct pool_verdict ask_unit(const struct pools *p, const struct pool_path *path,
                                    const struct pool_entry *e, enum pool_unit unit, int64_t amount)
{
    const struct pool_spec *s = &p->config.spec[e->spec];
    struct pool_verdict v = {
        .action = POOL_ADMIT, .spec = e->spec, .at = e->at, .value = e->value, .unit = unit};
    int64_t room = room_of(p, path, e, unit), cap = e->cap[unit];
    int64_t needed =
        pool_add(amount, s->quantile && cap >= 0 ? margin_of(p, path, e, unit, amount) : 0);
    if (needed > room) {
        v.action = POOL_EXHAUSTED;
        v.missing = needed - room;
        v.retry_after_ms = cap > 0 && alone(path, e, s, unit, amount) > cap
                               ? 0 /* will not fit the next window either */
                               : wait_of(p, path, e, unit, v.missing);
        return v;
    }
    int64_t above = pool_add(pools_used(p, e, unit), amount);
    if (cap >= 0 && above > pools_soft_level(p, e, unit))
        v.action = POOL_SOFT;
    return v;
}

static struct pool_verdict ask_entry(const struct pools *p, const struct pool_path *path, int i,
                                     const struct pool_ask *ask)
{
    const struct pool_entry *e = &path->entry[i];
    const struct pool_spec *s = &p->config.spec[e->spec];
    struct pool_verdict v = {.action = POOL_ADMIT, .spec = e->spec};
    bool strict = path->strict >> i & 1;
    const int64_t *amount = ask->amount[strict ? POOL_STRICT : POOL_QUANTILE];
    if (killed(p, e)) {
        v.action = POOL_KILLED;
    } else if (fused(p, path, e)) {
        v.action = POOL_FUSED;
        if (s->fuse.reset_ms > 0)
            v.retry_after_ms = p->pool[e->at].tripped_ms + s->fuse.reset_ms - path->now_ms;
    } else if (strict && !ask->bounded) {
        v.action = POOL_UNBOUNDED;
    } else if (amount[POOL_NANO] < 0 || amount[POOL_NANO] > POOL_AMOUNT_MAX ||
               amount[POOL_TOKENS] < 0 || amount[POOL_TOKENS] > POOL_AMOUNT_MAX) {
        v.action = POOL_CROWDED;
    }
    struct pool_verdict softened = v;
    for (int u = 0; u < POOL_UNITS && pools_admitted(v.action); u++) {
        v = ask_unit(p, path, e, (enum pool_unit)u, amount[u]);
        softened = v.action == POOL_SOFT ? v : softened;
    }
    return v.action == POOL_ADMIT ? softened : v;
}

struct pool_verdict pools_admit(const struct pools *p, const struct pool_path *path,
                                const struct pool_ask *ask)
{
    struct pool_verdict first = {.action = POOL_ADMIT, .spec = -1};
    int missing = 0;
    if (path->crowded)
        first.action = POOL_CROWDED;
    for (int i = 0; i < path->n && pools_admitted(first.action); i++) {
        struct pool_verdict v = ask_entry(p, path, i, ask);
        if (!pools_admitted(v.action) || (v.action == POOL_SOFT && first.action == POOL_ADMIT))
            first = v;
        missing += path->entry[i].at < 0;
    }
    if (pools_admitted(first.action) && missing > pools_vacant(p))
        return (struct pool_verdict){.action = POOL_FULL, .spec = -1};
    return first;
}

bool pools_admitted(enum pool_action action)
{
    return action == POOL_ADMIT || action == POOL_SOFT;
}

struct pool_room pools_headroom(const struct pools *p, const struct pool_path *path)
{
    struct pool_room room = {.left = {INT64_MAX, INT64_MAX}, .at = {-1, -1}};
    bool closed = path->crowded;
    for (int i = 0; i < path->n; i++) {
        const struct pool_entry *e = &path->entry[i];
        closed = closed || killed(p, e) || fused(p, path, e);
        for (int u = 0; u < POOL_UNITS; u++) {
            if (e->cap[u] < 0 || p->config.spec[e->spec].soft_only)
                continue;
            int64_t left = room_of(p, path, e, (enum pool_unit)u);
            if (left >= room.left[u])
                continue;
            room.left[u] = left;
            room.at[u] = i;
        }
    }
    for (int u = 0; u < POOL_UNITS && closed; u++)
        room.left[u] = 0;
    return room;
}
