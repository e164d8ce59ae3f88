/* SPDX-License-Identifier: MIT */
/*
 * A mix of arms that ignores the request: what one has without a router, and the bar a router must
 * clear. Weights are given, or the best ones for a mean cost `rate`:
 *     max sum p_a V_a   such that   sum p_a C_a <= rate,   p a probability.
 * A linear program with one constraint besides the sum has a solution on at most two arms, and
 * these are neighbours on the convex hull of (C_a, V_a): "zero router" of RouterBench (Hu et al.
 * 2024). So every pair around the rate is tried; K is at most 64 and sorting is not worth it.
 *
 * The rate bounds the mix itself; what the caller's floor explores comes on top.
 */
#include "bandit/policy/policy.h"

#include "bandit/policy/pmf.h"

#include <stddef.h>

struct field {
    int n;
    const double *value;
    double cost[PMF_MAX];
};

/* Gives `weight` to arm a, shared with arms that equal it in cost and value. */
static void give(const struct field *f, int a, double weight, double *p)
{
    int twins = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < f->n; i++) {
            bool twin = f->cost[i] >= f->cost[a] && f->cost[i] <= f->cost[a] &&
                        f->value[i] >= f->value[a] && f->value[i] <= f->value[a];
            if (twin && pass == 0)
                twins++;
            else if (twin)
                p[i] += weight / twins;
        }
    }
}

/* The best single arm within the rate, the cheaper of equals; -1 if none is. */
static int best_within(const struct field *f, double rate)
{
    int best = -1;
    for (int i = 0; i < f->n; i++) {
        if (rate > 0 && f->cost[i] > rate)
            continue;
        if (best < 0 || f->value[i] > f->value[best] ||
            (f->value[i] >= f->value[best] && f->cost[i] < f->cost[best]))
            best = i;
    }
    return best;
}

static int cheapest(const struct field *f)
{
    int best = 0;
    for (int i = 1; i < f->n; i++) {
        if (f->cost[i] < f->cost[best] ||
            (f->cost[i] <= f->cost[best] && f->value[i] > f->value[best]))
            best = i;
    }
    return best;
}

/* Which arms of several on one line are mixed is left to rounding: the value is the same. */
static void solve(const struct field *f, double rate, double *p)
{
    int low = best_within(f, rate), high = -1;
    if (low < 0) {
        give(f, cheapest(f), 1, p);
        return;
    }
    double most = f->value[low], share = 0;
    for (int i = 0; i < f->n && rate > 0; i++) {
        for (int j = 0; j < f->n && f->cost[i] <= rate; j++) {
            if (f->cost[j] <= rate)
                continue;
            double s = (rate - f->cost[i]) / (f->cost[j] - f->cost[i]);
            double mixed = f->value[i] + s * (f->value[j] - f->value[i]);
            if (mixed > most) {
                most = mixed;
                low = i;
                high = j;
                share = s;
            }
        }
    }
    give(f, low, 1 - share, p);
    if (high >= 0)
        give(f, high, share, p);
}

void policy_static_mix_pmf(const struct policy_view *v, double *p)
{
    struct field f = {.n = v->n, .value = v->overall != NULL ? v->overall : v->mean};
    for (int i = 0; i < v->n; i++) {
        f.cost[i] = v->overall_cost != NULL ? v->overall_cost[i] : 0;
        p[i] = v->params.mix != NULL ? v->params.mix[i] : 0;
    }
    if (v->params.mix == NULL)
        solve(&f, v->rate, p);
    pmf_normalise(p, v->n); /* weights need not sum to 1; all zero becomes even */
}
