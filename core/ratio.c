/* SPDX-License-Identifier: MIT */
#include "core/ratio.h"

#include <math.h>
#include "bandit/repro.h"

static const double PRIOR_WEIGHT = 10; /* observations at toward that a quotient starts from */
static const double LEAST = 0.01, MOST = 100;
/* All is taken out when this little of the last row's weight is left: 36 half-lives of it. */
static const double NOTHING = 0x1p-36;

static double weight_at(int64_t half_life_ms, int64_t t_ms, int64_t epoch_ms)
{
    if (half_life_ms <= 0)
        return 1;
    return repro_exp2((double)(t_ms - epoch_ms) / (double)half_life_ms);
}

void ratio_add(struct ratio *r, int64_t half_life_ms, double num, double den, int64_t t_ms,
               double sign)
{
    if (r->epoch_ms == 0)
        r->epoch_ms = t_ms;
    if (half_life_ms > 0 && t_ms - r->epoch_ms > 40 * half_life_ms) {
        double s = weight_at(half_life_ms, r->epoch_ms, t_ms);
        r->num *= s, r->den *= s, r->weight *= s;
        r->epoch_ms = t_ms;
    }
    double w = sign * weight_at(half_life_ms, t_ms, r->epoch_ms);
    r->num += w * num;
    r->den += w * den;
    r->weight += w;
    if (w < 0 && fabs(r->weight) <= NOTHING * -w) /* no quotient of rounding residues */
        r->num = r->den = r->weight = 0;
}

double ratio_value(const struct ratio *r, int64_t half_life_ms, double toward, int64_t now_ms)
{
    if (!(r->weight > 0) || !(r->den > 0))
        return toward;
    double today = weight_at(half_life_ms, r->epoch_ms, now_ms); /* from epoch units to now */
    double prior = PRIOR_WEIGHT * r->den / (r->weight * today);
    double q = (r->num + toward * prior) / (r->den + prior);
    return q < LEAST ? LEAST : q > MOST ? MOST : q;
}
