/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_CHOOSE_H
#define PURSER_CORE_ROUTER_CHOOSE_H

#include <stdint.h>
#include "core/budget/pacer.h"
#include "core/config/params.h"
#include "core/event/event.h"
#include "core/learn/learner.h"

/*
 * From what is predicted of the eligible models to the probabilities of drawing them: the part of a
 * decision that weights, prices, policy and budget shape and that needs neither the request nor
 * what was learned. decide.c calls it for requests, whatif.c for records of decisions under
 * settings that were not in force. Pure.
 */
struct chooser {
    const struct params *params;
    const struct pacer *pacer;
    double rate_usd;               /* what a request may cost on average; 0 = whatever it does */
    double booked_usd;             /* running mean of booked cost; 0 = none yet */
    int64_t labels;                /* quality labels that the predictions rest on */
    const struct learner *learner; /* for policies that count labels; NULL: params has none such */
    int64_t clock_ms;              /* as of when */
    uint64_t seed;                 /* of the policy's own draws, see choose_seed */
};

/* choose_weigh fills merit and merit_sd of a view at the weights of params, from means and
 * deviations by target. choose_view makes the whole view, but its probability, of a prediction. */
void choose_weigh(const struct params *p, const struct event_decided *d, const double *mean,
                  const double *sd, struct arm_view *v);
void choose_view(const struct params *p, const struct event_decided *d, const struct prediction *pr,
                 struct arm_view *v);
/* choose_slots lists the eligible slots and gives their number. */
int choose_slots(const struct event_decided *d, int *slots);
/* choose_preferred gives the slot that policy fixed serves, -1 under others. */
int choose_preferred(const struct params *p);
/* choose_seed gives a decision's seed for its policy, keyed apart from the draw. */
uint64_t choose_seed(uint64_t seed, uint32_t epoch, uint64_t seq);
/* choose_pmf fills the pmf over n eligible slots, exploration mixed in, and d->floor. The views,
 * the multipliers and all that describes the request must be complete; preferred is the slot that
 * rules or configuration name, -1 without. */
void choose_pmf(const struct chooser *c, struct event_decided *d, const int *slots, int n,
                int preferred, double *pmf);

#endif
