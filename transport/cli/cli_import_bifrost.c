/* SPDX-License-Identifier: MIT */
/*
 * Bifrost's budgets: the governance block of its config.json, or what its API returns for
 * customers, teams, virtual keys and model configurations. Budgets stand in their owner ("budget",
 * "budgets"), are named by it ("budget_id"), or name it themselves ("team_id", ...); rate limits
 * likewise. A customer is a group here, a team a tenant. Periods that are not aligned with the
 * calendar roll.
 */
#include <stdio.h>
#include <string.h>
#include "transport/cli/cli_import_pools.h"

static const struct {
    const char *list, *what, *match, *owner_id; /* owner_id: what a budget says of its owner */
    struct {
        const char *id, *what;
    } up[2];
} kinds[] = {
    {"customers", "customer", "group", "customer_id", {{NULL, NULL}, {NULL, NULL}}},
    {"teams", "team", "tenant", "team_id", {{"customer_id", "customer"}, {NULL, NULL}}},
    {"virtual_keys",
     "key",
     "key",
     "virtual_key_id",
     {{"team_id", "team"}, {"customer_id", "customer"}}},
};

struct bifrost {
    struct import_pools *all;
    const json_t *governance;
    json_t *budget, *rate; /* objects: id -> what it is */
    json_t *of;            /* object: "team_id/ID" -> array of the budgets that say so */
    json_t *used;          /* object: ids of budgets that somebody referred to */
};

static const char *const owner_ids[] = {"customer_id", "team_id", "virtual_key_id",
                                        "provider_config_id", "model_config_id"};

static const json_t *by_id(struct bifrost *b, const json_t *index, const char *id)
{
    const json_t *v = json_object_get(index, id);
    if (v)
        json_object_set_new(b->used, id, json_true());
    return v;
}

/* Notes a budget that names its owner. */
static void index_owner(struct bifrost *b, json_t *budget)
{
    for (size_t i = 0; i < sizeof owner_ids / sizeof owner_ids[0]; i++) {
        const char *id = cli_text(budget, owner_ids[i]);
        char key[200];
        if (!*id)
            continue;
        snprintf(key, sizeof key, "%s/%.150s", owner_ids[i], id);
        json_t *list = json_object_get(b->of, key);
        if (!list && json_object_set_new(b->of, key, list = json_array()) != 0)
            continue;
        json_array_append(list, budget);
        json_object_set_new(b->used, cli_text(budget, "id"), json_true());
    }
}

/* The lists that are read here: what is wrong with them is told once. */
static void check_lists(struct bifrost *b)
{
    static const char *const others[] = {"budgets", "rate_limits", "model_configs", "providers"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        (void)import_list(&b->all->report, b->governance, others[i]);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        (void)import_list(&b->all->report, b->governance, kinds[i].list);
}

static void index_all(struct bifrost *b)
{
    size_t i;
    json_t *v;
    check_lists(b);
    json_array_foreach(json_object_get(b->governance, "budgets"), i, v)
    {
        json_object_set(b->budget, cli_text(v, "id"), v);
        index_owner(b, v);
    }
    json_array_foreach(json_object_get(b->governance, "rate_limits"), i, v)
        json_object_set(b->rate, cli_text(v, "id"), v);
}

static bool calendar(const json_t *budget, const json_t *owner)
{
    const json_t *own = json_object_get(budget, "calendar_aligned");
    return json_is_true(own ? own : json_object_get(owner, "calendar_aligned"));
}

/* Fiscal quarters that do not begin with the calendar's have no window. */
static bool fiscal(struct bifrost *b, const json_t *budget, const char *name)
{
    const json_t *start =
        json_object_get(json_object_get(budget, "reset_config"), "quarter_start_month");
    json_int_t month = json_integer_value(start);
    bool other = json_is_integer(start) && month != 1 && month != 4 && month != 7 && month != 10 &&
                 strchr(cli_text(budget, "reset_duration"), 'Q');
    if (other)
        import_tell(&b->all->report, IMPORT_REFUSED, "window", name, "quarters from month %lld",
                    (long long)month);
    return other;
}

/* One budget of an owner; several of one owner get numbers. */
static void budget_add(struct bifrost *b, const json_t *budget, const json_t *owner,
                       const struct import_pool *of, int number)
{
    struct import_pool d = *of;
    if (number > 0)
        snprintf(d.name, sizeof d.name, "%.60s.%d", of->name, number % 1000);
    if (number > 0)
        d.owner[0] = '\0';
    d.usd = json_object_get(budget, "max_limit");
    d.period = import_period(d.period_at = json_object_get(budget, "reset_duration"));
    d.rolls = !calendar(budget, owner);
    d.raise = json_object_get(budget, "override_amount");
    if (json_number_value(json_object_get(budget, "current_usage")) > 0)
        import_tell(&b->all->report, IMPORT_LOST, "spend so far", d.name, "$%g",
                    cli_real(budget, "current_usage"));
    if (!fiscal(b, budget, d.name))
        import_pool_add(b->all, &d);
}

static void rate_add(struct bifrost *b, const json_t *rate, const json_t *owner,
                     const struct import_pool *of)
{
    struct import_pool d = *of;
    snprintf(d.name, sizeof d.name, "%.57s:tokens", of->name);
    d.owner[0] = '\0';
    d.tokens = json_object_get(rate, "token_max_limit");
    d.tokens_period =
        import_period(d.tokens_period_at = json_object_get(rate, "token_reset_duration"));
    d.rolls = !calendar(rate, owner);
    import_pool_add(b->all, &d);
    if (json_number_value(json_object_get(rate, "request_max_limit")) > 0)
        import_tell(&b->all->report, IMPORT_LOST, "limits of requests", of->name, "%lld in %.20s",
                    (long long)json_integer_value(json_object_get(rate, "request_max_limit")),
                    cli_text(rate, "request_reset_duration"));
}

/* All budgets and limits of an owner, wherever they stand. */
static void limits_of(struct bifrost *b, const json_t *owner, const char *owner_id,
                      const struct import_pool *of)
{
    const json_t *one = json_object_get(owner, "budget");
    char said[200];
    int n = 0;
    size_t i;
    json_t *v;
    if (json_is_object(one) || (one = by_id(b, b->budget, cli_text(owner, "budget_id"))))
        budget_add(b, one, owner, of, n++);
    json_array_foreach(json_object_get(owner, "budgets"), i, v) budget_add(b, v, owner, of, n++);
    snprintf(said, sizeof said, "%s/%.150s", owner_id, cli_text(owner, "id"));
    json_array_foreach(json_object_get(b->of, said), i, v) budget_add(b, v, owner, of, n++);
    one = json_object_get(owner, "rate_limit");
    if (json_is_object(one) || (one = by_id(b, b->rate, cli_text(owner, "rate_limit_id"))))
        rate_add(b, one, owner, of);
}

static bool has_limits(const json_t *v)
{
    return json_object_get(v, "budget") || json_object_get(v, "budget_id") ||
           json_array_size(json_object_get(v, "budgets")) > 0 || json_object_get(v, "rate_limit") ||
           json_object_get(v, "rate_limit_id");
}

/* Budgets of a key by provider: of the models that it may use there, if they are listed. */
static void provider_configs(struct bifrost *b, const json_t *key, const struct import_pool *of)
{
    size_t i, k;
    json_t *v, *m;
    json_array_foreach(json_object_get(key, "provider_configs"), i, v)
    {
        const json_t *models = json_object_get(v, "allowed_models");
        bool listed = json_array_size(models) > 0;
        char name[200];
        snprintf(name, sizeof name, "%s/%.64s", of->name, cli_text(v, "provider"));
        json_array_foreach(models, k, m) listed &=
            json_is_string(m) && strcmp(json_string_value(m), "*") != 0;
        struct import_pool d = {.key = {of->key[0], "model"}, .value = {of->value[0], models}};
        import_pool_name(d.name, "", name);
        snprintf(d.parent, sizeof d.parent, "%s", of->owner);
        if (listed)
            limits_of(b, v, "provider_config_id", &d);
        else if (by_id(b, b->budget, cli_text(v, "budget_id")) || has_limits(v))
            import_tell(&b->all->report, IMPORT_REFUSED, "provider", name, "no allowed_models");
    }
}

static void owner_read(struct bifrost *b, const json_t *v, int k)
{
    struct import_pool d = {.key = {kinds[k].match}};
    const char *id = cli_text(v, "id"), *name = cli_text(v, "name");
    d.value[0] = json_object_get(v, *name ? "name" : "id");
    if (!json_is_string(d.value[0])) {
        if (json_is_object(v))
            import_tell_at(&b->all->report, IMPORT_REFUSED, "unreadable", kinds[k].what, v,
                           "without a name or id");
        return;
    }
    import_pool_name(d.name, kinds[k].what, *name ? name : id);
    snprintf(d.owner, sizeof d.owner, "%s/%.100s", kinds[k].what, id);
    for (int i = 0; i < 2 && kinds[k].up[i].id && !d.parent[0]; i++) {
        const char *up = cli_text(v, kinds[k].up[i].id);
        if (*up)
            snprintf(d.parent, sizeof d.parent, "%s/%.100s", kinds[k].up[i].what, up);
    }
    import_pool_below(b->all, &d);
    limits_of(b, v, kinds[k].owner_id, &d);
    provider_configs(b, v, &d);
}

static void model_configs(struct bifrost *b)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(b->governance, "model_configs"), i, v)
    {
        struct import_pool d = {.key = {"model"}, .value = {json_object_get(v, "model_name")}};
        import_pool_name(d.name, "model", cli_text(v, "model_name"));
        if (json_is_string(d.value[0]))
            limits_of(b, v, "model_config_id", &d);
        else if (json_is_object(v))
            import_tell_at(&b->all->report, IMPORT_REFUSED, "unreadable", "model", v,
                           "without a model_name");
    }
    json_array_foreach(json_object_get(b->governance, "providers"), i, v) if (has_limits(v))
        import_tell(&b->all->report, IMPORT_REFUSED, "provider",
                    *cli_text(v, "name") ? cli_text(v, "name") : cli_text(v, "provider"), "%s", "");
}

static void read_all(struct bifrost *b)
{
    size_t i;
    json_t *v;
    index_all(b);
    for (int k = 0; k < (int)(sizeof kinds / sizeof kinds[0]); k++)
        json_array_foreach(json_object_get(b->governance, kinds[k].list), i, v) owner_read(b, v, k);
    model_configs(b);
    json_array_foreach(json_object_get(b->governance, "budgets"), i, v)
    {
        if (json_is_object(v) && !json_object_get(b->used, cli_text(v, "id")))
            import_tell_at(&b->all->report, IMPORT_REFUSED, "owner", cli_text(v, "id"), v, "$%g",
                           cli_real(v, "max_limit"));
    }
}

void import_bifrost(struct import_pools *all, const json_t *root)
{
    const json_t *governance = json_object_get(root, "governance");
    struct bifrost b = {.all = all,
                        .governance = governance ? governance : root,
                        .budget = json_object(),
                        .rate = json_object(),
                        .of = json_object(),
                        .used = json_object()};
    read_all(&b);
    json_decref(b.budget);
    json_decref(b.rate);
    json_decref(b.of);
    json_decref(b.used);
}
