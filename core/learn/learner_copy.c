/* SPDX-License-Identifier: MIT */
/* A learner to ask while the one it was copied from goes on learning. */
#include <stdlib.h>
#include "core/learn/learner.h"

static struct ridge *copy_ridge(const struct ridge *from, double *work)
{
    struct ridge *to = ridge_new(ridge_dim(from), 0, 1, 1);
    ridge_save(from, work);
    if (to && !ridge_load(to, work)) { /* not finite: what it last knew cannot be read either */
        ridge_free(to);
        to = NULL;
    }
    return to;
}

struct learner *learner_copy(const struct learner *l)
{
    struct learner *copy = calloc(1, sizeof *copy);
    double *work = malloc(ridge_state_len(l->d > 0 ? l->d : 1) * sizeof *work);
    bool ok = copy && work;
    if (ok) {
        *copy = *l;
        copy->parent = NULL;
        copy->room = NULL;
        for (int a = 0; a < MODELS_MAX; a++)
            for (int t = 0; t < TARGETS; t++)
                copy->ridge[a][t] = NULL;
        ok = l->room == NULL || learner_room(copy, l->d);
    }
    for (int a = 0; ok && a < l->n_arms; a++)
        for (int t = 0; ok && t < TARGETS; t++) {
            copy->ridge[a][t] = copy_ridge(l->ridge[a][t], work);
            ok = copy->ridge[a][t] != NULL;
        }
    free(work);
    if (ok)
        return copy;
    learner_drop(copy);
    return NULL;
}

void learner_drop(struct learner *l)
{
    if (l)
        learner_free(l);
    free(l);
}
