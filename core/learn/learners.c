/* SPDX-License-Identifier: MIT */
#include "core/learn/learners.h"

#include <string.h>

int learners_find(const struct learner_list *l, const char *tenant)
{
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->spec[i].tenant, tenant) == 0)
            return i + 1;
    return 0;
}

bool learners_merge(struct learner_list *into, const struct learner_list *configured)
{
    int total = into->n;
    for (int i = 0; i < configured->n; i++)
        total += learners_find(into, configured->spec[i].tenant) == 0;
    if (total > LEARNERS_MAX)
        return false;
    for (int i = 0; i < into->n; i++)
        if (learners_find(configured, into->spec[i].tenant) == 0)
            into->spec[i].active = false;
    for (int i = 0; i < configured->n; i++) {
        int at = learners_find(into, configured->spec[i].tenant);
        into->spec[at > 0 ? at - 1 : into->n++] = configured->spec[i];
    }
    return true;
}
