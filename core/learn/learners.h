/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_LEARN_LEARNERS_H
#define PURSER_CORE_LEARN_LEARNERS_H

#include <stdbool.h>
#include "core/limits.h"

/*
 * Which tenants have a learner of their own. Learners are told by index: 0 is the one that all
 * others share, k the one of spec[k - 1]. As with models, a slot never moves: a tenant that is no
 * longer configured keeps its slot and what was learned in it, but decides nothing.
 */
struct learner_spec {
    char tenant[NAME_CAP];
    bool active;    /* decides for its tenant */
    bool shares;    /* what it learns teaches the shared learner too */
    double borrows; /* rows that the shared learner's evidence counts as here, >= 0 */
};
struct learner_list {
    int n;
    struct learner_spec spec[LEARNERS_MAX];
};

/* learners_find gives the index of a tenant's learner, active or not; 0 when it has none. */
int learners_find(const struct learner_list *l, const char *tenant);
/* learners_merge makes into what is configured, every tenant in the slot it had: who is not
 * configured becomes inactive, new ones follow. False, changing nothing, when there would be more
 * than LEARNERS_MAX. */
bool learners_merge(struct learner_list *into, const struct learner_list *configured);

#endif
