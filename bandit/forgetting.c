/* SPDX-License-Identifier: MIT */
#include "bandit/forgetting.h"

#include <string.h>

double forgetting_age(const struct forgetting *f, int64_t t_ms, int64_t epoch_ms)
{
    double at = (double)t_ms, age = 0;
    for (int i = 0; i < HALVES_MAX; i++) {
        if (f->until_ms[i] <= at || f->until_ms[i] <= 0)
            continue;
        if (f->was_ms[i] > 0)
            age -= (f->until_ms[i] - at) / f->was_ms[i];
        at = f->until_ms[i];
    }
    if (f->half_life_ms > 0)
        age += (at - (double)epoch_ms) / (double)f->half_life_ms;
    return age;
}

void forgetting_change(struct forgetting *f, int64_t half_life_ms, int64_t now_ms)
{
    memmove(f->until_ms, f->until_ms + 1, (HALVES_MAX - 1) * sizeof *f->until_ms);
    memmove(f->was_ms, f->was_ms + 1, (HALVES_MAX - 1) * sizeof *f->was_ms);
    f->until_ms[HALVES_MAX - 1] = (double)now_ms;
    f->was_ms[HALVES_MAX - 1] = (double)f->half_life_ms;
    f->half_life_ms = half_life_ms;
}
