/* SPDX-License-Identifier: MIT */
/*
 * A regression under another choice of features. The sums of a subset of features are entries of
 * the sums of all, so leaving features out is exact, whenever it is done; a new feature has seen
 * nothing yet and starts at its prior. Nothing that was learned of the others is lost, which is why
 * a new lens or block need not start the learner again.
 */
#include "bandit/ridge/packed.h"
#include "bandit/ridge/ridge_inside.h"

#include <string.h>

/* Entry (i, k) of a packed symmetric matrix. */
static double packed_at(const double *s, int d, int i, int k)
{
    int row = i > k ? i : k, column = i > k ? k : i;
    return s[packed_column(d, column) + (size_t)(row - column)];
}

struct ridge *ridge_reshape(const struct ridge *from, int d, const int *map)
{
    struct ridge *r = ridge_new(d, from->forgets.half_life_ms, from->sigma2_0, from->nu_0);
    if (r == NULL)
        return NULL;
    for (int j = 0; j < d; j++) {
        if (map[j] < 0)
            continue;
        r->b[j] = from->b[map[j]];
        for (int i = j; i < d; i++)
            if (map[i] >= 0)
                r->s[packed_column(d, j) + (size_t)(i - j)] =
                    packed_at(from->s, from->d, map[i], map[j]);
    }
    r->forgets = from->forgets;
    r->epoch_ms = from->epoch_ms;
    r->count = from->count;
    r->stale = from->count;
    r->yy = from->yy;
    r->w = from->w;
    r->w2 = from->w2;
    r->label_rate = from->label_rate;
    r->loan_share = from->loan_share;
    memcpy(r->fade_ms, from->fade_ms, sizeof r->fade_ms);
    memcpy(r->fade, from->fade, sizeof r->fade);
    ridge_identify(r);
    return r;
}
