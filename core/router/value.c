/* SPDX-License-Identifier: MIT */
/*
 * Factors multiply, so that a premium user's regulatory report is worth more than either alone.
 * Only what was declared counts: a value that a lens guessed would move with the lens.
 * Considered: a table over combinations. It grows with their number, and nobody fills it.
 */
#include "core/router/value.h"

#include <string.h>

static double factor(const struct value_tables *v, enum value_label label, const char *name)
{
    for (int i = 0; name[0] && i < v->n[label]; i++)
        if (strcmp(v->entry[label][i].name, name) == 0)
            return v->entry[label][i].factor;
    return 1;
}

double value_of(const struct value_tables *v, const struct labels *labels)
{
    double value =
        factor(v, VALUE_TASK, labels->task) * factor(v, VALUE_USER_TIER, labels->user_tier) *
        factor(v, VALUE_DOMAIN, labels->domain) * factor(v, VALUE_OUTCOME, labels->outcome);
    return value < v->least ? v->least : value > v->most ? v->most : value;
}
