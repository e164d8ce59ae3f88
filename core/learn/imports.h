/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_LEARN_IMPORTS_H
#define PURSER_CORE_LEARN_IMPORTS_H

#include <stdint.h>
#include "core/limits.h"

/* Which imports of learned state are in: the latest few, a model at a time. It is part of the fold,
 * so that nothing comes in twice or is taken back twice. */
struct import {
    char name[NAME_CAP];
    uint8_t learner;
    uint64_t seq[MODELS_MAX + 1]; /* first record, by model, then of the shared prior; 0 = not in */
};
struct imports {
    int n; /* in use, oldest first */
    struct import at[IMPORTS_MAX];
    uint64_t reshaped; /* record of the last change of features or lens: what came in before it has
                          lost entries since, and cannot be taken out any more */
};

/* imports_find gives an import into a learner, NULL when it is not known; imports_note gives it, in
 * the place of the oldest if need be. */
const struct import *imports_find(const struct imports *i, const char *name, int learner);
struct import *imports_note(struct imports *i, const char *name, int learner);

struct filler;
struct reader;
void imports_put(struct filler *w, const struct imports *i);
/* imports_get leaves nothing known where the bytes end before. */
void imports_get(struct reader *r, struct imports *i);

#endif
