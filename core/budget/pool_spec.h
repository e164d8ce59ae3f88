/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_BUDGET_POOL_SPEC_H
#define PURSER_CORE_BUDGET_POOL_SPEC_H

#include <stdbool.h>
#include <stdint.h>
#include "core/budget/window.h"
#include "core/limits.h"

/* Configured budgets: plain data. What they mean is in pools.h, how they are written in
 * config_pools.h. */
enum pool_unit { POOL_NANO, POOL_TOKENS, POOL_UNITS };
enum pool_label {
    POOL_TENANT,
    POOL_USER,
    POOL_TASK,
    POOL_DOMAIN,
    POOL_USER_TIER,
    POOL_GROUP,
    POOL_SESSION,
    POOL_MODEL,
    POOL_LABELS
};
enum {
    POOL_SPECS_MAX = 64,          /* configured pools */
    POOL_ZONES_MAX = 8,           /* time zones they use */
    POOL_PATH_MAX = 8,            /* pools that one request is charged to */
    POOL_INSTANCES_MAX = 1 << 20, /* with those that `each` makes; about 1 kB each when in use */
};

/* Fields of a pool that may be left out, as bits of pool_spec.has. */
enum pool_has {
    POOL_HAS_USD = 1,
    POOL_HAS_TOKENS = 2, /* POOL_HAS_USD << POOL_TOKENS */
    POOL_HAS_SHARE = 4,
    POOL_HAS_OVERRIDE_USD = 8,
    POOL_HAS_OVERRIDE_TOKENS = 16,
    POOL_HAS_FUSE_USD = 32,
    POOL_HAS_FUSE_TOKENS = 64
};

/*
 * One configured pool; field table and checks: config_pools.c. Dollar limits are in microdollars,
 * so that a billion still fits and is read back exactly. Parents stand before their children.
 */
struct pool_spec {
    char name[NAME_CAP];
    int parent;                        /* index, -1 = none */
    char match[POOL_LABELS][NAME_CAP]; /* "" = any; a child's requests match its parents too */
    int each;                          /* enum pool_label: an instance per value; -1 = one */
    struct window_spec window;
    char zone[NAME_CAP];       /* "" = UTC */
    unsigned has;              /* bits of enum pool_has */
    int64_t limit[POOL_UNITS]; /* microdollars, tokens */
    double share;              /* of the parent's cap, in each unit it has; [0,1] */
    bool soft_only;            /* the cap warns and does not refuse */
    double soft;               /* share of the cap above which requests are warned of */
    bool quantile;             /* mode: strict pools reserve the worst case */
    double risk;               /* quantile: chance that a request costs more than reserved */
    bool borrow;               /* may use what its siblings lend */
    double keep;               /* share of its cap that stays free for itself; 1: no loans */
    bool kill;                 /* nothing is admitted */
    bool pace;                 /* spending is spread over the window: core/budget/pool_pacer.h */
    double throttle;           /* of a paced pool: below this value requests may be put off */
    struct {
        char value[NAME_CAP]; /* of the `each` label; "" = every instance */
        int64_t limit[POOL_UNITS];
        int64_t until_ms;
    } over;
    struct {
        int64_t burst[POOL_UNITS];    /* microdollars, tokens: spending above the forecast */
        int64_t per_hour[POOL_UNITS]; /* the forecast */
        int64_t reset_ms;             /* it closes again after this; 0 = by hand */
        int64_t rearmed_ms;           /* by hand: trips up to this moment are void */
    } fuse;
};
struct pool_config {
    struct zone zone[POOL_ZONES_MAX];
    int n_zones;
    struct pool_spec spec[POOL_SPECS_MAX];
    int n;
    int64_t instances; /* bound on the table, 1..POOL_INSTANCES_MAX */
    double lease;      /* share of a strict pool that may be spent ahead of the disk, see pools.h */
};

#endif
