/* SPDX-License-Identifier: MIT */
/*
 * LiteLLM's budgets: its configuration (config.yaml as JSON), or what its lists of keys, teams,
 * users, organizations and customers return. An item is told by the ids it has; its limits stand in
 * it or in its litellm_budget_table. A team is a tenant here, an organization a group; a key is
 * named by its alias, for its secret must not wander into a configuration.
 */
#include <stdio.h>
#include <string.h>
#include "transport/cli/cli_import_pools.h"

/* Whose budget an item is: by the ids that it has, the first that fits. */
static const struct {
    const char *what, *id, *alias, *match, *up; /* up: id of what it belongs to, as "WHAT/" */
    const char *up_id;
} kinds[] = {
    {"key", "token", "key_alias", "key", "team/", "team_id"},
    {"key", "key_alias", "key_alias", "key", "team/", "team_id"},
    {"user", "user_id", "user_alias", "user", "team/", "team_id"},
    {"team", "team_id", "team_alias", "tenant", "organization/", "organization_id"},
    {"organization", "organization_id", "organization_alias", "group", NULL, NULL},
};

/* What limits there are that no pool can hold. */
static const char *const not_held[] = {"rpm_limit",       "max_parallel_requests",
                                       "model_rpm_limit", "model_tpm_limit",
                                       "expires",         "blocked"};

/* In the item, in its budget, or in the budget that it names. */
static const json_t *limit(const struct import_pools *all, const json_t *item, const char *name)
{
    const json_t *table = json_object_get(item, "litellm_budget_table"),
                 *named = json_object_get(all->budget, cli_text(item, "budget_id"));
    const json_t *const places[] = {item, table, named};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const json_t *v = json_object_get(places[i], name);
        if (v && !json_is_null(v))
            return v;
    }
    return NULL;
}

static void tell_rest(struct import_pools *all, const json_t *item, const char *name)
{
    for (size_t i = 0; i < sizeof not_held / sizeof not_held[0]; i++) {
        const json_t *v = limit(all, item, not_held[i]);
        if (v && !json_is_false(v) && !(json_is_object(v) && json_object_size(v) == 0))
            import_tell(&all->report, IMPORT_LOST, not_held[i], name, "%s", "");
    }
    if (json_number_value(json_object_get(item, "spend")) > 0)
        import_tell(&all->report, IMPORT_LOST, "spend so far", name, "$%g",
                    cli_real(item, "spend"));
}

/* {"model": {"budget_limit" or "max_budget", "time_period" or "budget_duration"}} */
static void model_budgets(struct import_pools *all, const json_t *budgets,
                          const struct import_pool *of)
{
    const char *model;
    json_t *b;
    json_object_foreach((json_t *)(uintptr_t)budgets, model, b)
    {
        struct import_pool d = {.key = {"model", of->key[0]}, .period = NULL};
        json_t *name = json_string(model);
        char both[200];
        snprintf(both, sizeof both, "%s/%.100s", of->name, model);
        import_pool_name(d.name, of->name[0] ? "" : "model", of->name[0] ? both : model);
        snprintf(d.parent, sizeof d.parent, "%s", of->owner);
        d.value[0] = name;
        d.value[1] = of->value[0];
        const json_t *usd = json_object_get(b, "budget_limit"),
                     *period = json_object_get(b, "time_period");
        d.usd = usd ? usd : json_is_object(b) ? json_object_get(b, "max_budget") : b;
        d.period_at = period ? period : json_object_get(b, "budget_duration");
        d.period = import_period(d.period_at);
        d.tokens = json_object_get(b, "tpm_limit");
        d.tokens_period = "1m";
        import_pool_add(all, &d);
        tell_rest(all, b, d.name);
        json_decref(name);
    }
}

/* The kind of an item, -1 if it belongs to nobody. A team lists users and is none. */
static int kind_of(const json_t *item)
{
    bool team = json_object_get(item, "team_alias") || json_object_get(item, "members_with_roles");
    for (int k = 0; k < (int)(sizeof kinds / sizeof kinds[0]); k++) {
        if (strcmp(kinds[k].what, "user") == 0 && team)
            continue;
        if (json_is_string(json_object_get(item, kinds[k].id)))
            return k;
    }
    return -1;
}

static void owned(struct import_pools *all, const json_t *item, int k)
{
    struct import_pool d = {.key = {kinds[k].match}, .tokens_period = "1m"};
    const char *id = cli_text(item, kinds[k].id), *alias = cli_text(item, kinds[k].alias),
               *shown = *alias ? alias : id;
    d.value[0] = json_object_get(item, kinds[k].id);
    if (strcmp(kinds[k].match, "key") == 0 && *alias)
        d.value[0] = json_object_get(item, kinds[k].alias);
    d.usd = limit(all, item, "max_budget");
    if (!d.usd && strcmp(kinds[k].what, "user") == 0)
        d.usd = limit(all, item, "max_budget_in_team");
    d.soft_usd = limit(all, item, "soft_budget");
    d.period = import_period(d.period_at = limit(all, item, "budget_duration"));
    d.tokens = limit(all, item, "tpm_limit");
    import_pool_name(d.name, kinds[k].what, shown);
    if (strncmp(shown, "sk-", 3) == 0) {
        import_tell(&all->report, IMPORT_REFUSED, "secret", cli_text(item, "key_name"), "%s", "");
        return;
    }
    snprintf(d.owner, sizeof d.owner, "%s/%.100s", kinds[k].what, id);
    const char *up = kinds[k].up_id ? cli_text(item, kinds[k].up_id) : "";
    if (*up) {
        snprintf(d.parent, sizeof d.parent, "%s%.100s", kinds[k].up, up);
        if (strcmp(kinds[k].what, "user") == 0) { /* a member: this user in this team */
            d.key[1] = "tenant";
            d.value[1] = json_object_get(item, kinds[k].up_id);
            import_pool_name(d.name, up, shown);
            d.owner[0] = '\0';
        }
    }
    import_pool_below(all, &d);
    import_pool_add(all, &d);
    model_budgets(all, limit(all, item, "model_max_budget"), &d);
    tell_rest(all, item, d.name);
}

/* "member" of a team, or several, with a budget in it: users of this tenant. */
static bool members_read(struct import_pools *all, const json_t *item)
{
    const json_t *member = json_object_get(item, "member");
    size_t i;
    json_t *v;
    if (!member || !json_object_get(item, "max_budget_in_team"))
        return false;
    json_t *list = json_is_array(member) ? json_incref((json_t *)(uintptr_t)member)
                                         : json_pack("[O]", (json_t *)(uintptr_t)member);
    json_array_foreach(list, i, v)
    {
        json_t *one = json_pack("{s:O?,s:O?,s:O?}", "user_id", json_object_get(v, "user_id"),
                                "team_id", json_object_get(item, "team_id"), "max_budget",
                                json_object_get(item, "max_budget_in_team"));
        if (json_is_string(json_object_get(one, "user_id")))
            owned(all, one, kind_of(one));
        else
            import_tell_at(&all->report, IMPORT_REFUSED, "owner", cli_text(item, "team_id"), v,
                           "%s", "a member without user_id");
        json_decref(one);
    }
    json_decref(list);
    return true;
}

static void item_read(struct import_pools *all, const json_t *item)
{
    const json_t *usd = limit(all, item, "max_budget");
    int k = kind_of(item);
    if (members_read(all, item))
        return;
    if (k >= 0)
        owned(all, item, k);
    else if (usd && !json_object_get(all->budget, cli_text(item, "budget_id")))
        import_tell_at(&all->report, IMPORT_REFUSED, "owner", cli_text(item, "budget_id"), item,
                       "%s", "");
}

/* Budgets that somebody names by their id stand for themselves under "budgets". */
static void budgets_read(struct import_pools *all, const json_t *root)
{
    size_t i;
    json_t *b;
    json_array_foreach(json_object_get(root, "budgets"), i, b)
        json_object_set(all->budget, cli_text(b, "budget_id"), b);
}

bool import_litellm_budgets(const json_t *root)
{
    return *cli_text(json_array_get(json_object_get(root, "budgets"), 0), "budget_id") != '\0';
}

/* An item, a list of them, or an answer that has some; answers nest a few levels at most. */
static void items_read(struct import_pools *all, const json_t *v, int depth)
{
    static const char *const lists[] = {
        "keys", "teams",    "users",     "organizations",    "data",
        "info", "key_info", "team_info", "team_memberships", "user_info"};
    size_t i;
    json_t *item;
    if (depth > 4)
        return;
    json_array_foreach(v, i, item) items_read(all, item, depth + 1);
    if (!json_is_object(v))
        return;
    item_read(all, v);
    for (i = 0; i < sizeof lists / sizeof lists[0]; i++)
        items_read(all, json_object_get(v, lists[i]), depth + 1);
}

/* ---- the configuration */

/* The models of a provider, by litellm_params.model = "provider/name". */
static json_t *models_of(const json_t *root, const char *provider)
{
    size_t i, n = strlen(provider);
    json_t *m, *names = json_array();
    json_array_foreach(json_object_get(root, "model_list"), i, m)
    {
        const char *model = cli_text(json_object_get(m, "litellm_params"), "model");
        if (strncmp(model, provider, n) == 0 && model[n] == '/')
            json_array_append(names, json_object_get(m, "model_name"));
    }
    return names;
}

static void provider_budgets(struct import_pools *all, const json_t *root, const json_t *budgets)
{
    const char *provider;
    json_t *b;
    json_object_foreach((json_t *)(uintptr_t)budgets, provider, b)
    {
        const json_t *usd = json_object_get(b, "budget_limit"),
                     *period = json_object_get(b, "time_period");
        json_t *names = models_of(root, provider);
        struct import_pool d = {.key = {"model"}, .value = {names}};
        import_pool_name(d.name, "provider", provider);
        d.usd = usd ? usd : json_object_get(b, "max_budget");
        d.period_at = period ? period : json_object_get(b, "budget_duration");
        d.period = import_period(d.period_at);
        if (json_array_size(names) == 0)
            import_tell(&all->report, IMPORT_REFUSED, "provider", provider, "none in model_list");
        else
            import_pool_add(all, &d);
        json_decref(names);
    }
}

static void config_read(struct import_pools *all, const json_t *root)
{
    static const char *const defaults[] = {"max_internal_user_budget",
                                           "default_internal_user_params", "default_team_settings",
                                           "tag_budget_config"};
    const json_t *settings = json_object_get(root, "litellm_settings"),
                 *router = json_object_get(root, "router_settings"),
                 *list = import_list(&all->report, root, "model_list");
    struct import_pool d = {.name = "all", .usd = json_object_get(settings, "max_budget")};
    size_t i;
    json_t *m;
    d.period = import_period(d.period_at = json_object_get(settings, "budget_duration"));
    import_pool_add(all, &d);
    struct import_pool user = {.name = "end_user", .each = "user"};
    user.usd = json_object_get(settings, "max_end_user_budget");
    import_pool_add(all, &user);
    provider_budgets(all, root, json_object_get(router, "provider_budget_config"));
    json_array_foreach(list, i, m)
    {
        const json_t *p = json_object_get(m, "litellm_params");
        struct import_pool one = {.key = {"model"}, .value = {json_object_get(m, "model_name")}};
        import_pool_name(one.name, "model", cli_text(m, "model_name"));
        one.usd = json_object_get(p, "max_budget");
        one.period = import_period(one.period_at = json_object_get(p, "budget_duration"));
        if (json_is_string(one.value[0]))
            import_pool_add(all, &one);
        if (json_object_get(p, "tpm") || json_object_get(p, "rpm"))
            import_tell(&all->report, IMPORT_LOST, "capacity of a deployment", one.name,
                        "tpm, rpm");
    }
    for (i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        if (json_object_get(settings, defaults[i]))
            import_tell(&all->report, IMPORT_LOST, "a default for each", defaults[i], "%s", "");
}

void import_litellm(struct import_pools *all, const json_t *root)
{
    budgets_read(all, root);
    config_read(all, root);
    items_read(all, root, 0);
}
