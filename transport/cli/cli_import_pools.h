/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CLI_CLI_IMPORT_POOLS_H
#define PURSER_TRANSPORT_CLI_CLI_IMPORT_POOLS_H

#include "transport/cli/cli_import.h"

/* The keys of a pool. */
#define POOL_NAME "name"
#define POOL_PARENT "parent"
#define POOL_WINDOW "window"
#define POOL_EACH "each"
#define POOL_MATCH "match"
#define POOL_LENGTH "length_s"
#define POOL_USD "usd"
#define POOL_SOFT "soft" /* a share of the cap */
#define POOL_ENFORCE "enforce"
#define POOL_TOKENS "tokens"
#define POOL_OVERRIDE "override"
#define POOL_MODE "mode"
/* Both check before a call what was spent by earlier ones, as a pool of this mode does. */
#define POOL_MODE_VALUE "quantile"

enum { MATCH_MAX = 2 };

/* A cap as others define it, before it is written as a pool. */
struct import_pool {
    char name[NAME_CAP];
    const char *key[MATCH_MAX]; /* what it applies to: key and value; NULL = no more */
    const json_t *value[MATCH_MAX];
    const char *each;             /* a cap for each value of this label; NULL = one */
    char owner[160], parent[160]; /* "team/ID": what it is and stands below; "" = nothing */
    const json_t *usd, *soft_usd; /* NULL or null = none */
    const json_t *raise;          /* of the dollars, in the running period; NULL = none */
    const char *period;           /* of the dollars; NULL = never reset */
    const json_t *period_at;      /* where it stands; NULL = nowhere */
    const json_t *tokens;
    const char *tokens_period;
    const json_t *tokens_period_at;
    bool rolls; /* periods begin when something is spent, not with the calendar */
};

struct import_pools {
    json_t *pool;   /* array */
    json_t *owner;  /* object: "team/ID" -> name of its pool */
    json_t *above;  /* object: "team/ID" -> what it stands below, with a pool or without */
    json_t *budget; /* object: LiteLLM's budgets that others name by their id */
    struct import_report report;
};

/* import_pool_add writes it as one pool, or two if dollars and tokens have different periods. */
void import_pool_add(struct import_pools *all, struct import_pool *d);
/* import_period gives the period that a value says: NULL if it says none, "" if it is no text. */
const char *import_period(const json_t *v);
/* import_pool_below says what an owner stands below. */
void import_pool_below(struct import_pools *all, const struct import_pool *d);
/* import_pool_name makes "what:name", as an identifier. */
void import_pool_name(char out[NAME_CAP], const char *what, const char *name);
void import_tensorzero(struct import_pools *all, const json_t *root);
void import_litellm(struct import_pools *all, const json_t *root);
/* import_pools_order puts parents before their children, as a configuration needs it.
 * import_pools_into puts the pools into a configuration ("-": prints it); exit code, told. */
void import_pools_order(struct import_pools *all);
int import_pools_into(struct cli *c, struct import_pools *all, const char *into);
/* import_litellm_budgets tells whether what stands under "budgets" is LiteLLM's. */
bool import_litellm_budgets(const json_t *root);
void import_bifrost(struct import_pools *all, const json_t *root);

#endif
