/* SPDX-License-Identifier: MIT */
/*
 * Bagging: the share of B heads that name an arm. VW's heads are regressors trained on Poisson(1)
 * resamples of the rows. That cannot be had here: a ridge keeps sums, not rows, so no row can be
 * weighted a second time. Instead a head is one pseudo-draw U_a ~ N(m_a, s_a^2) of every arm's
 * utility, the Gaussian limit of a bootstrap replicate of a linear fit.
 *
 * What differs from bagging: heads have no memory (with another seed for each decision they are
 * drawn afresh, so no head stays in love with an arm, and none keeps an error either); the spread
 * comes from the model of the noise, not from the rows, so misspecification is not felt; arms are
 * independent given the context, though so are rows of disjoint arms. What does not: the pmf is a
 * multiple of 1/B (but for ties) and often 0, which is why the floor matters more than elsewhere.
 * Given the seed the pmf is exact, and averaged over seeds it is that of lints, which is the better
 * choice where deviations are to be had: this entry is here to compare with.
 */
#include "bandit/policy/policy.h"

#include "bandit/policy/pmf.h"

#include <math.h>
#include "bandit/repro.h"
#include "bandit/rng.h"

static const uint64_t purpose = 0x626167; /* "bag" */

/* Two standard normal draws by the polar method (Marsaglia and Bray 1964): sqrt and repro_log only,
 * so the pmf does not depend on the C library. */
static void normal_pair(struct rng *g, double z[2])
{
    double x, y, s;
    do {
        x = 2 * rng_uniform(g) - 1;
        y = 2 * rng_uniform(g) - 1;
        s = x * x + y * y;
    } while (s >= 1 || s < 1e-300);
    double scale = sqrt(-2 * repro_log(s) / s);
    z[0] = x * scale;
    z[1] = y * scale;
}

void policy_bag_pmf(const struct policy_view *v, double *p)
{
    int heads = v->params.heads > 0 ? v->params.heads : 1;
    for (int i = 0; i < v->n; i++)
        p[i] = 0;
    for (int h = 0; h < heads; h++) {
        double drawn[PMF_MAX], vote[PMF_MAX], z[2] = {0};
        struct rng g = rng_stream(v->params.seed, purpose, (uint64_t)h);
        for (int i = 0; i < v->n; i++) {
            if (i % 2 == 0)
                normal_pair(&g, z);
            drawn[i] = v->mean[i] + v->width * v->sd[i] * z[i % 2];
        }
        policy_share_best(drawn, v->n, vote);
        for (int i = 0; i < v->n; i++)
            p[i] += vote[i] / heads;
    }
}
