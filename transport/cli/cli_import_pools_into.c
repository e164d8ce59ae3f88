/* SPDX-License-Identifier: MIT */
/*
 * Imported pools into a configuration that is there: new ones behind its own, and into one of the
 * same name what was imported. All other bytes stay, but for the order of pools, where a pool has
 * got a parent that is new.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "transport/cli/cli_import_pools.h"

/* Where a pool or model of a configuration stands; behind the last: nowhere. */
static size_t index_of(const json_t *list, const char *name)
{
    size_t i = 0, n = json_array_size(list);
    while (i < n && strcmp(cli_text(json_array_get(list, i), "name"), name) != 0)
        i++;
    return i;
}

/* As it would be written: shares are told to 15 digits. */
static bool same_value(const json_t *a, const json_t *b)
{
    char x[32], y[32];
    if (!json_is_number(a) || !json_is_number(b))
        return json_equal(a, b);
    snprintf(x, sizeof x, "%.15g", json_number_value(a));
    snprintf(y, sizeof y, "%.15g", json_number_value(b));
    return strcmp(x, y) == 0;
}

/* Sets what was imported in the pool that has this name already. Its mode is its owner's choice,
 * and what is not imported stays: a fuse, a kill switch, a loan. */
static char *with_pool(char *text, size_t at, const json_t *there, const json_t *pool,
                       bool *changed)
{
    const char *key;
    json_t *v;
    struct import_span pools, one;
    json_object_foreach((json_t *)(uintptr_t)pool, key, v)
    {
        const json_t *old = json_object_get(there, key);
        bool same = same_value(old, v);
        if (same || (old && strcmp(key, POOL_MODE) == 0) || !text ||
            !import_member(text, import_whole(text), "pools", &pools) ||
            !import_item(text, pools, at, &one))
            continue;
        *changed = true;
        text = import_edit(text, one, key, v);
    }
    return text;
}

/* A pool that was there may have got a parent that is new: behind it then. Takes the text. */
static char *sorted(char *text)
{
    struct import_pools all = {.pool = json_array()};
    json_t *root = text ? json_loads(text, 0, NULL) : NULL, *p;
    size_t i, n = json_array_size(json_object_get(root, "pools"));
    size_t *order = calloc(n + 1, sizeof *order);
    bool moved = false;
    json_array_foreach(json_object_get(root, "pools"), i, p) json_array_append_new(
        all.pool, json_pack("{s:s,s:s,s:I}", POOL_NAME, cli_text(p, POOL_NAME), POOL_PARENT,
                            cli_text(p, POOL_PARENT), "at", (json_int_t)i));
    import_pools_order(&all);
    json_array_foreach(all.pool, i, p)
    {
        size_t at = (size_t)json_integer_value(json_object_get(p, "at"));
        moved = moved || at != i;
        if (order && i < n)
            order[i] = at;
    }
    if (moved && order && json_array_size(all.pool) == n)
        text = import_order(text, "pools", order, n);
    free(order);
    json_decref(all.pool);
    json_decref(root);
    return text;
}

/* A configuration knows its models: budgets of others are left out. */
static void drop_unknown(struct import_pools *all, const json_t *models)
{
    for (size_t i = json_array_size(all->pool); i-- > 0;) {
        const json_t *p = json_array_get(all->pool, i);
        const char *model = cli_text(json_object_get(p, POOL_MATCH), "model");
        if (!*model || index_of(models, model) < json_array_size(models))
            continue;
        import_tell(&all->report, IMPORT_REFUSED, "no_model", cli_text(p, POOL_NAME), "%s", model);
        json_array_remove(all->pool, i);
    }
}

int import_pools_into(struct cli *c, struct import_pools *all, const char *into)
{
    struct import_file f;
    size_t i;
    json_t *p;
    bool changed = false;
    int code = import_into_open(c, into, &f);
    if (code != CLI_OK)
        return code;
    const json_t *there = json_object_get(f.root, "pools");
    char *text = import_array(&f, "pools");
    drop_unknown(all, json_object_get(f.root, "models"));
    json_array_foreach(all->pool, i, p)
    {
        struct import_span pools;
        size_t at = index_of(there, cli_text(p, POOL_NAME));
        if (at < json_array_size(there)) {
            text = with_pool(text, at, json_array_get(there, at), p, &changed);
        } else if (text && import_member(text, import_whole(text), "pools", &pools)) {
            text = import_edit(text, pools, NULL, p);
            changed = true;
        }
    }
    code = import_into_write(c, into, changed ? sorted(text) : text, changed);
    import_close(&f);
    return code;
}
