/* SPDX-License-Identifier: MIT */
/*
 * What a list of pools must keep as a whole. A budget that is written down but cannot take effect
 * (it never matches, limits nothing, lends to nobody) is refused: its author believes in it.
 */
#include "core/config/config_pools.h"

#include <string.h>
#include "core/budget/pools.h"
#include "core/config/config.h"

typedef enum status check(const struct pool_config *c, int i, const struct json_at *at,
                          struct problem *problem);

static bool caps(const struct pool_spec *s)
{
    return s->has & (POOL_HAS_USD | POOL_HAS_TOKENS | POOL_HAS_SHARE);
}

static enum status check_match(const struct pool_config *c, int i, const struct json_at *at,
                               struct problem *problem)
{
    struct json_at match_at = {.up = at, .key = "match"};
    const struct pool_spec *s = &c->spec[i];
    int depth = 1;
    for (int up = s->parent; up >= 0; up = c->spec[up].parent, depth++) {
        for (int l = 0; l < POOL_LABELS; l++) {
            const char *mine = s->match[l], *theirs = c->spec[up].match[l];
            struct json_at here = {.up = &match_at, .key = config_pool_labels[l]};
            char quoted[QUOTE_CAP];
            if (mine[0] && theirs[0] && strcmp(mine, theirs) != 0)
                return json_fail(problem, STATUS_BAD_REQUEST, &here,
                                 "never matches: pool \"%s\" above it wants another",
                                 json_quote(quoted, c->spec[up].name));
        }
    }
    if (depth > POOL_PATH_MAX)
        return config_pools_fail(problem, at, "parent", "more than 8 pools above each other");
    return STATUS_OK;
}

static enum status check_zone(const struct pool_config *c, int i, const struct json_at *at,
                              struct problem *problem)
{
    const char *zone = c->spec[i].zone;
    bool known = zone[0] == '\0';
    for (int z = 0; z < c->n_zones; z++)
        known = known || strcmp(c->zone[z].name, zone) == 0;
    return known ? STATUS_OK : config_pools_fail(problem, at, "zone", "no such zone in zones");
}

static enum status check_purpose(const struct pool_config *c, int i, const struct json_at *at,
                                 struct problem *problem)
{
    const struct pool_spec *s = &c->spec[i];
    if (caps(s) || s->kill || (s->has & (POOL_HAS_FUSE_USD | POOL_HAS_FUSE_TOKENS)))
        return STATUS_OK;
    for (int k = i + 1; k < c->n; k++) { /* a pool may only hold others together */
        if (c->spec[k].parent == i)
            return STATUS_OK;
    }
    return json_fail(problem, STATUS_BAD_REQUEST, at,
                     "limits nothing: give usd, tokens, share, fuse or kill");
}

static enum status check_share(const struct pool_config *c, int i, const struct json_at *at,
                               struct problem *problem)
{
    const struct pool_spec *s = &c->spec[i];
    double all = 0;
    if (!(s->has & POOL_HAS_SHARE))
        return STATUS_OK;
    if (s->has & (POOL_HAS_USD | POOL_HAS_TOKENS))
        return config_pools_fail(problem, at, "share", "either a share or usd and tokens");
    if (s->parent < 0 || !caps(&c->spec[s->parent]))
        return config_pools_fail(problem, at, "share", "needs a parent with a cap to share");
    if (!pools_same_window(s, &c->spec[s->parent]))
        return config_pools_fail(problem, at, "share",
                                 "needs the parent's window and zone: leave them out");
    for (int k = 0; k < c->n; k++) {
        const struct pool_spec *other = &c->spec[k];
        if (other->parent == s->parent && other->each < 0 && (other->has & POOL_HAS_SHARE))
            all += other->share;
    }
    if (s->each < 0 && all > 1 + 1e-9)
        return config_pools_fail(problem, at, "share",
                                 "the shares of this parent come to more than 1");
    return STATUS_OK;
}

static enum status check_loans(const struct pool_config *c, int i, const struct json_at *at,
                               struct problem *problem)
{
    const struct pool_spec *s = &c->spec[i];
    bool lenders = false;
    const char *key = s->borrow ? "borrow" : "keep";
    if (!s->borrow && s->keep >= 1)
        return STATUS_OK;
    if (s->parent < 0 || s->each >= 0)
        return config_pools_fail(problem, at, key,
                                 "only between siblings: needs a parent, and no each");
    if (!caps(s))
        return config_pools_fail(problem, at, key, "needs a cap of its own: usd, tokens or share");
    for (int k = 0; k < c->n; k++) {
        const struct pool_spec *other = &c->spec[k];
        lenders |= pools_siblings(c, i, k) && caps(other) && other->keep < 1;
    }
    if (s->borrow && !lenders)
        return config_pools_fail(problem, at, key,
                                 "no sibling with the same window and a keep below 1 lends to it");
    return STATUS_OK;
}

static enum status check_override(const struct pool_config *c, int i, const struct json_at *at,
                                  struct problem *problem)
{
    struct json_at here = {.up = at, .key = "override"};
    const struct pool_spec *s = &c->spec[i];
    bool set = s->has & (POOL_HAS_OVERRIDE_USD | POOL_HAS_OVERRIDE_TOKENS);
    if (set && s->over.until_ms == 0)
        return config_pools_fail(problem, &here, "until", "required for an override, missing");
    if (!set && (s->over.until_ms != 0 || s->over.value[0]))
        return config_pools_fail(problem, at, "override", "give usd or tokens");
    if (s->over.value[0] && s->each < 0)
        return config_pools_fail(problem, &here, "for", "only for pools with each");
    return STATUS_OK;
}

/* A forecast without a burst, or a burst without a forecast, is half a fuse. */
static enum status check_fuse(const struct pool_config *c, int i, const struct json_at *at,
                              struct problem *problem)
{
    static const char *const keys[POOL_UNITS][2] = {{"usd", "usd_per_hour"},
                                                    {"tokens", "tokens_per_hour"}};
    struct json_at here = {.up = at, .key = "fuse"};
    const struct pool_spec *s = &c->spec[i];
    for (int u = 0; u < POOL_UNITS; u++) {
        bool burst = s->has & (POOL_HAS_FUSE_USD << u), rate = s->fuse.per_hour[u] > 0;
        if (burst != rate)
            return config_pools_fail(problem, &here, keys[u][burst],
                                     "burst and forecast go together, and the forecast is above 0");
    }
    if ((s->fuse.reset_ms || s->fuse.rearmed_ms) &&
        !(s->has & (POOL_HAS_FUSE_USD | POOL_HAS_FUSE_TOKENS)))
        return config_pools_fail(problem, at, "fuse",
                                 "give usd and usd_per_hour, or the same in tokens");
    return STATUS_OK;
}

/* A window that ends or rolls: else there is nothing to spread over. */
static enum status check_pace(const struct pool_config *c, int i, const struct json_at *at,
                              struct problem *problem)
{
    const struct pool_spec *s = &c->spec[i];
    const struct window_spec *w = &s->window;
    if (!s->pace)
        return s->throttle > 0 ? config_pools_fail(problem, at, "throttle", "only with pace")
                               : STATUS_OK;
    if (!caps(s))
        return config_pools_fail(problem, at, "pace", "needs a cap: usd, tokens or share");
    if (w->kind == WINDOW_ONCE && w->until_ms == 0)
        return config_pools_fail(problem, at, "pace", "needs a window that ends");
    bool model = false, each = false;
    for (int up = i; up >= 0; up = c->spec[up].parent) {
        model = model || c->spec[up].match[POOL_MODEL][0];
        each = each || c->spec[up].each == POOL_MODEL;
    }
    if (each)
        return config_pools_fail(problem, at, "pace",
                                 "not with each model, its own or of a pool above it: make a pool "
                                 "per model to be paced, with match");
    if (model && s->throttle > 0)
        return config_pools_fail(problem, at, "throttle",
                                 "not for a pool of one model: when it is short others serve");
    return STATUS_OK;
}

enum status config_pools_check(const struct pool_config *c, struct problem *problem)
{
    static check *const checks[] = {check_match, check_zone,     check_purpose, check_share,
                                    check_loans, check_override, check_fuse,    check_pace};
    struct json_at list = {.key = "pools"};
    for (int i = 0; i < c->n; i++) {
        struct json_at at = {.up = &list, .index = i};
        for (size_t k = 0; k < sizeof checks / sizeof *checks; k++) {
            enum status st = checks[k](c, i, &at, problem);
            if (st != STATUS_OK)
                return st;
        }
    }
    return STATUS_OK;
}
