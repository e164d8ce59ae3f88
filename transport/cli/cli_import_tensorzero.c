/* SPDX-License-Identifier: MIT */
/*
 * TensorZero's rate limits: [[rate_limiting.rules]] of its configuration, as JSON. A rule caps
 * RESOURCE_per_WINDOW for the requests that its scope names by tags; a tag is the label of that
 * name here, with or without _id. What counts requests has no place in a pool. Of the rules that
 * fit a request TensorZero takes those of the highest priority, a pool always holds.
 */
#include <stdio.h>
#include <string.h>
#include "transport/cli/cli_import_pools.h"

static const char each_value[] = "tensorzero::each", total_value[] = "tensorzero::total";

/* The label that a tag is here, NULL = none. */
static const char *label_of(const char *tag)
{
    static const char *const labels[] = {"tenant",    "user",  "task",    "domain",
                                         "user_tier", "group", "session", "model"};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        size_t n = strlen(labels[i]);
        if (strncmp(tag, labels[i], n) == 0 && (!tag[n] || strcmp(tag + n, "_id") == 0))
            return labels[i];
    }
    return NULL;
}

/* Takes one entry of a scope. False: a pool cannot look at it, which is told. */
static bool scope_entry(struct import_pools *all, const json_t *entry, struct import_pool *d)
{
    const char *tag = cli_text(entry, "tag_key");
    const json_t *key = json_object_get(entry, "api_key_public_id"),
                 *of = key ? key : json_object_get(entry, "tag_value");
    const char *label = key ? "user" : label_of(tag), *value = json_string_value(of);
    int n = d->key[0] ? 1 + (d->key[1] != NULL) : 0;
    bool each = value && strcmp(value, each_value) == 0;
    bool fits = label && value && (each ? !d->each : n < MATCH_MAX);
    if (value && strcmp(value, total_value) == 0) {
        import_tell(&all->report, IMPORT_NOTE, "total", d->name, "%.80s", tag);
        return true;
    }
    if (!fits) {
        import_tell_at(&all->report, IMPORT_REFUSED, label ? "scope" : "tag", d->name, entry,
                       "%.80s", tag);
        return false;
    }
    if (each) {
        d->each = label;
    } else {
        d->key[n] = key ? "key" : label;
        d->value[n] = of;
    }
    return true;
}

/* Who a rule is for, as a name: user:intern, each:user, all. */
static void name_of(const json_t *scope, char out[160])
{
    size_t i;
    json_t *entry;
    snprintf(out, 160, "%s", json_array_size(scope) > 0 ? "" : "all");
    json_array_foreach(scope, i, entry)
    {
        const json_t *key = json_object_get(entry, "api_key_public_id");
        const char *tag = key ? "key" : cli_text(entry, "tag_key"),
                   *value = key ? json_string_value(key) : cli_text(entry, "tag_value"),
                   *label = key ? tag : label_of(tag);
        bool special = value && strncmp(value, "tensorzero::", 12) == 0;
        size_t n = strlen(out);
        snprintf(out + n, 160 - n, "%s%.30s:%.40s", i > 0 ? "/" : "",
                 special ? value + 12
                 : label ? label
                         : tag,
                 special ? (label ? label : tag) : (value ? value : ""));
    }
}

/* The cap of a window. A bucket that refills has its rate; the burst on top is told. */
static const json_t *cap_of(struct import_pools *all, const json_t *v, const char *name)
{
    if (!json_is_object(v))
        return v;
    import_tell(&all->report, IMPORT_LOST, "capacity of a bucket", name, "%g",
                cli_real(v, "capacity"));
    return json_object_get(v, "refill_rate");
}

static void resource(struct import_pools *all, const json_t *rule, const char *what,
                     const json_t *v)
{
    static const char *const windows[][2] = {{"_per_second", "1s"}, {"_per_minute", "1m"},
                                             {"_per_hour", "1h"},   {"_per_day", "1d"},
                                             {"_per_week", "1w"},   {"_per_month", "1mo"}};
    const json_t *scope = json_object_get(rule, "scope");
    struct import_pool d = {.rolls = true};
    char who[160], name[256];
    const char *per = strstr(what, "_per_");
    size_t i, n = sizeof windows / sizeof windows[0], w = 0;
    json_t *entry;
    while (per && w < n && strcmp(per, windows[w][0]) != 0)
        w++;
    if (!per || w == n)
        return;
    name_of(scope, who);
    snprintf(name, sizeof name, "%.120s.%.40s", who, what);
    import_pool_name(d.name, "", name);
    if (scope && !json_is_array(scope)) {
        import_tell_at(&all->report, IMPORT_REFUSED, "scope", d.name, scope, "%s", "not a list");
        return;
    }
    json_array_foreach(scope, i, entry) if (!scope_entry(all, entry, &d)) return;
    d.period = d.tokens_period = windows[w][1];
    if (strncmp(what, "cost_", 5) == 0)
        d.usd = cap_of(all, v, d.name);
    else if (strncmp(what, "tokens_", 7) == 0)
        d.tokens = cap_of(all, v, d.name);
    else
        import_tell(&all->report, IMPORT_LOST, "limits of requests", d.name, "%.80s", what);
    import_pool_add(all, &d);
}

void import_tensorzero(struct import_pools *all, const json_t *root)
{
    const json_t *limits = json_object_get(root, "rate_limiting"),
                 *rules = import_list(&all->report, limits, "rules");
    size_t i;
    json_t *rule, *v;
    const char *key;
    if (json_is_false(json_object_get(limits, "enabled")))
        import_tell(&all->report, IMPORT_NOTE, "disabled", "rate_limiting", "%s", "");
    json_array_foreach(rules, i, rule)
    {
        char name[32];
        snprintf(name, sizeof name, "rule %zu", i + 1);
        if (json_integer_value(json_object_get(rule, "priority")) > 0)
            import_tell(&all->report, IMPORT_NOTE, "priority", name, "%s", "");
        json_object_foreach(rule, key, v) resource(all, rule, key, v);
    }
}
