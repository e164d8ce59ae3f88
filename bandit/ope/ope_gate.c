/* SPDX-License-Identifier: MIT */
#include "bandit/ope/ope_gate.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

static const double ESS_MIN = 300, ESS_SHARE = 0.05, ROW_SHARE = 0.05, MEAN_SE = 3,
                    UNSUPPORTED = 0.005, AGREE_SE = 2;

static bool disagree(const struct ope_estimate *dr, const struct ope_estimate *snips)
{
    if (!dr->valid || !snips->valid)
        return false;
    double se = sqrt(fmax(dr->variance, snips->variance));
    return fabs(dr->value - snips->value) > AGREE_SE * se + 1e-12;
}

unsigned ope_gate(const struct ope_gate *g)
{
    const struct ope_health *h = &g->health;
    unsigned faults = 0;
    if (!(g->quality_low > -g->quality_margin))
        faults |= GATE_QUALITY;
    if (!isnan(g->utility_low) && !(g->utility_low > 0))
        faults |= GATE_UTILITY;
    if (isfinite(g->cost_allowed) && !(g->cost_high <= g->cost_allowed))
        faults |= GATE_COST;
    if (h->ess < ESS_MIN || h->ess < ESS_SHARE * h->n)
        faults |= GATE_SAMPLE;
    if (h->max_share > ROW_SHARE)
        faults |= GATE_ONE_ROW;
    if (!(fabs(h->mean_z) <= MEAN_SE))
        faults |= GATE_PROPENSITY;
    if (g->unsupported > UNSUPPORTED)
        faults |= GATE_UNSUPPORTED;
    if (disagree(&g->dr, &g->snips))
        faults |= GATE_DISAGREE;
    if (g->segment_low < -g->segment_margin)
        faults |= GATE_SEGMENT;
    if (g->below_floor)
        faults |= GATE_FLOOR;
    return faults;
}

const char *ope_gate_reason(int bit)
{
    static const char *const reason[GATE_FAULTS] = {
        "quality is not shown to be as good",
        "utility is not shown to be better",
        "cost may rise by more than allowed",
        "too few effective rows (300, and 5% of all)",
        "one row has more than 5% of the weight",
        "the mean weight is not 1: propensities are wrong, or of other decisions",
        "more than 0.5% of the target lies where the log has next to nothing",
        "DR and SNIPS disagree",
        "a segment may lose more than allowed",
        "a group would be below the declared floor",
    };
    return bit >= 0 && bit < GATE_FAULTS ? reason[bit] : "";
}

double ope_needed(double row_variance, double difference)
{
    double z = gsl_cdf_ugaussian_Pinv(0.975) + gsl_cdf_ugaussian_Pinv(0.8);
    return z * z * row_variance / (difference * difference);
}
