/* SPDX-License-Identifier: MIT */
/* The forgetting of a learner's quotients; its regressions see to their own. And its memory. */
#include "core/learn/learner.h"

#include <stdlib.h>
#include "bandit/pool.h"

bool learner_room(struct learner *l, int d)
{
    double *room = realloc(l->room, ridge_pool_room(d) * sizeof *room);
    if (room)
        l->room = room;
    return room != NULL;
}

void learner_free(struct learner *l)
{
    for (int a = 0; a < MODELS_MAX; a++)
        for (int t = 0; t < TARGETS; t++) {
            ridge_free(l->ridge[a][t]);
            l->ridge[a][t] = NULL;
        }
    free(l->room);
    l->room = NULL;
}

void learner_forget(struct learner *l, const struct params *p, bool first, int64_t now_ms)
{
    int64_t half_life_ms = (int64_t)(p->learner.half_life_hours * 3600e3);
    if (first)
        l->forgets.half_life_ms = half_life_ms;
    if (l->forgets.half_life_ms == half_life_ms)
        return;
    for (int a = 0; a < MODELS_MAX; a++) {
        for (int t = 0; t < TARGETS; t++)
            ratio_rebase(&l->smear[a][t], &l->forgets, now_ms);
        ratio_rebase(&l->cost[a], &l->forgets, now_ms);
    }
    forgetting_change(&l->forgets, half_life_ms, now_ms);
}
