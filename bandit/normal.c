/* SPDX-License-Identifier: MIT */
#include "bandit/normal.h"

#include <gsl/gsl_cdf.h>

double normal_above(double p)
{
    return gsl_cdf_ugaussian_Qinv(p);
}
