/* SPDX-License-Identifier: MIT */
#include "sim/ope/names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"

static size_t place(const struct names *k, const char *name, size_t len)
{
    size_t at = hash64(name, len, 0) & (k->index_cap - 1);
    while (k->index[at] != 0) {
        const char *there = k->name[k->index[at] - 1];
        if (strncmp(there, name, len) == 0 && there[len] == '\0')
            break;
        at = (at + 1) & (k->index_cap - 1);
    }
    return at;
}

static bool grow(struct names *k)
{
    size_t cap = k->cap ? 2 * k->cap : 64;
    char(*name)[NAME_CAP] = realloc(k->name, cap * sizeof *name);
    if (!name)
        return false;
    k->name = name;
    uint32_t *index = calloc(2 * cap, sizeof *index);
    if (!index)
        return false;
    free(k->index);
    k->index = index;
    k->cap = cap;
    k->index_cap = 2 * cap;
    for (size_t i = 0; i < k->n; i++)
        k->index[place(k, k->name[i], strlen(k->name[i]))] = (uint32_t)i + 1;
    return true;
}

uint32_t names_find(const struct names *k, const char *name)
{
    size_t at = k->index_cap ? place(k, name, strnlen(name, NAME_LEN)) : 0;
    return k->index_cap && k->index[at] ? k->index[at] - 1 : NAMES_NONE;
}

uint32_t names_add(struct names *k, const char *name)
{
    size_t len = strnlen(name, NAME_LEN);
    uint32_t found = names_find(k, name);
    if (found != NAMES_NONE)
        return found;
    if (k->n == k->cap && !grow(k))
        return NAMES_NONE;
    memcpy(k->name[k->n], name, len);
    k->name[k->n][len] = '\0';
    k->index[place(k, name, len)] = (uint32_t)++k->n;
    return (uint32_t)k->n - 1;
}

void names_fini(struct names *k)
{
    free(k->name);
    free(k->index);
    memset(k, 0, sizeof *k);
}
