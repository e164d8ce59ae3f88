/* SPDX-License-Identifier: MIT */
/*
 * Beta-Bernoulli Thompson sampling (Thompson 1933; Chapelle and Li 2011): an arm's quality is one
 * number, whatever the context, with posterior B_a ~ Beta(wins + 1, losses + 1). Here because it is
 * the baseline that people know: what context is worth is the distance to it. Quality between 0 and
 * 1 counts as that share of a win, which leaves the mean right and the width too large.
 *
 * As with lints the probabilities are integrated, not sampled, because they are logged: with
 * utilities U_a = gain B_a + base_a,
 *     P_a ~ sum_i (F_a(u_{i+1}) - F_a(u_i)) prod_{j != a} (F_j(u_i) + F_j(u_{i+1})) / 2
 * over the union of even nodes up to 6 deviations around each arm's mean, cut off at its ends
 * (error up to 5e-3, harmless because the arm is drawn from the very numbers that are logged).
 * The CDF is GSL's incomplete beta function; the pmf is a fact of the log, so no replay needs it.
 */
#include "bandit/policy/policy.h"

#include "bandit/policy/pmf.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

enum { POINTS = 17, NODES_MAX = POINTS * PMF_MAX };
static const double reach = 6;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* An arm's posterior, and where nearly all of its mass is. */
struct posterior {
    double a, b, low, high;
};

static struct posterior posterior_of(const struct policy_view *v, int i)
{
    double a = v->wins[i] + 1, b = v->losses[i] + 1, mean = a / (a + b);
    double sd = sqrt(a * b / ((a + b) * (a + b) * (a + b + 1)));
    return (struct posterior){a, b, fmax(mean - reach * sd, 0), fmin(mean + reach * sd, 1)};
}

/* Nodes of all arms in utility, ascending; gives their number. */
static int place_nodes(const struct policy_view *v, const struct posterior *arm, double *node)
{
    int n = 0;
    for (int i = 0; i < v->n; i++)
        for (int k = 0; k < POINTS; k++)
            node[n++] =
                v->gain * (arm[i].low + (arm[i].high - arm[i].low) * k / (POINTS - 1)) + v->base[i];
    qsort(node, (size_t)n, sizeof *node, ascending);
    return n;
}

/* P(U_i <= u) for all arms. The incomplete beta function is what takes time: none in the tails. */
static void cdf_all(const struct policy_view *v, const struct posterior *arm, double u, double *f)
{
    for (int i = 0; i < v->n; i++) {
        double q = (u - v->base[i]) / v->gain;
        f[i] = q <= arm[i].low ? 0 : q >= arm[i].high ? 1 : gsl_cdf_beta_P(q, arm[i].a, arm[i].b);
    }
}

/* Adds what the interval between two nodes gives to each arm. */
static void add_interval(const struct policy_view *v, const double *low, const double *high,
                         double *p)
{
    for (int i = 0; i < v->n; i++) {
        double mass = high[i] - low[i];
        for (int j = 0; j < v->n && mass > 0; j++)
            mass *= j == i ? 1 : (low[j] + high[j]) / 2;
        p[i] += fmax(mass, 0);
    }
}

void policy_beta_ts_pmf(const struct policy_view *v, double *p)
{
    double node[NODES_MAX], f[2][PMF_MAX];
    struct posterior arm[PMF_MAX];
    if (v->wins == NULL || !(v->gain > 0)) { /* no counts, or quality is worth nothing */
        policy_share_best(v->mean, v->n, p);
        return;
    }
    for (int i = 0; i < v->n; i++) {
        arm[i] = posterior_of(v, i);
        p[i] = 0;
    }
    int n = place_nodes(v, arm, node);
    cdf_all(v, arm, node[0], f[0]);
    for (int k = 1; k < n; k++) {
        cdf_all(v, arm, node[k], f[k % 2]);
        add_interval(v, f[(k - 1) % 2], f[k % 2], p);
    }
    pmf_normalise(p, v->n);
}
