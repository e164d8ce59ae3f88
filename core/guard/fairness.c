/* SPDX-License-Identifier: MIT */
#include "core/guard/fairness.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    size_t offset;
} dimensions[] = {
    {"group", offsetof(struct labels, group)},         {"tenant", offsetof(struct labels, tenant)},
    {"task", offsetof(struct labels, task)},           {"domain", offsetof(struct labels, domain)},
    {"user_tier", offsetof(struct labels, user_tier)}, {"user", offsetof(struct labels, user)},
    {"outcome", offsetof(struct labels, outcome)},
};

static const char *find(const char *dimension, const struct labels *l)
{
    for (size_t i = 0; i < sizeof dimensions / sizeof *dimensions; i++)
        if (strcmp(dimension, dimensions[i].name) == 0)
            return l ? (const char *)l + dimensions[i].offset : "";
    return NULL;
}

bool fairness_knows(const char *dimension)
{
    return find(dimension, NULL) != NULL;
}

const char *fairness_label(const struct params *p, const struct labels *l)
{
    return find(p->fairness.dimension, l);
}
