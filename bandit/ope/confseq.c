/* SPDX-License-Identifier: MIT */
/*
 * With rho > 0, s and v in units of c and c^2, and P the regularised lower incomplete gamma
 * function, the mixture is
 *     rho^rho / (Gamma(rho) P(rho, rho)) * Gamma(v+rho) P(v+rho, s+v+rho) / (s+v+rho)^(v+rho)
 *     * exp(s+v).
 * rho as in Howard et al. (2021, section 3.5, one-sided): the boundary is then near its tightest at
 * v_opt. For c -> 0 it is the one-sided normal mixture.
 */
#include "bandit/ope/confseq.h"

#include <gsl/gsl_sf_gamma.h>
#include <math.h>

/* Variance process, in units of reach^2, at which bounds are tightest: hundreds to thousands of
 * numbers whose deviation is a small part of their reach. */
static const double V_OPT = 2;

double confseq_log_mixture(double s, double v, double v_opt, double alpha, double c)
{
    double most = 2 * log(1 / (2 * alpha));
    double rho = v_opt / (c * c) / (most + log1p(most));
    double a = v / (c * c) + rho, x = s / c + v / (c * c);
    return rho * log(rho) - gsl_sf_lngamma(rho) - log(gsl_sf_gamma_inc_P(rho, rho)) +
           gsl_sf_lngamma(a) + log(gsl_sf_gamma_inc_P(a, x + rho)) - a * log(x + rho) + x;
}

double confseq_boundary(double v, double alpha, double v_opt, double c)
{
    double want = log(1 / alpha), low = 0, high = 1;
    while (confseq_log_mixture(high, v, v_opt, alpha, c) < want)
        high *= 2;
    for (int i = 0; i < 60; i++) {
        double mid = low + (high - low) / 2;
        if (confseq_log_mixture(mid, v, v_opt, alpha, c) < want)
            low = mid;
        else
            high = mid;
    }
    return high;
}

/* How far the mean may lie to either side, in the numbers' own unit. */
static double width(const struct confseq_sums *x, double alpha)
{
    double v = x->squares / (x->reach * x->reach);
    return x->reach * confseq_boundary(v, alpha, V_OPT, 1) / x->n;
}

double confseq_lower(const struct confseq_sums *x, double alpha)
{
    return x->n > 0 ? fmax(x->sum / x->n - width(x, alpha), -x->reach) : -x->reach;
}

double confseq_upper(const struct confseq_sums *x, double alpha)
{
    return x->n > 0 ? fmin(x->sum / x->n + width(x, alpha), x->reach) : x->reach;
}

static bool passed(const struct confseq_sums *x, double alpha, double deviation)
{
    double s = deviation / x->reach, v = x->squares / (x->reach * x->reach);
    return s > 0 && confseq_log_mixture(s, v, V_OPT, alpha, 1) > log(1 / alpha);
}

bool confseq_above(const struct confseq_sums *x, double alpha, double bar)
{
    return passed(x, alpha, x->sum - x->n * bar);
}

bool confseq_below(const struct confseq_sums *x, double alpha, double bar)
{
    return passed(x, alpha, x->n * bar - x->sum);
}
