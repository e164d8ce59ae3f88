/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_BUDGET_PACE_SEARCH_H
#define PURSER_CORE_BUDGET_PACE_SEARCH_H

#include <stdbool.h>
#include <stdint.h>
#include "core/budget/pacer.h"

/*
 * The search for a budget's multiplier on recent contexts: the least one at which the mean use of
 *   argmax_a u_a(x) - (prices of other budgets) - mu use_a(x)
 * meets a target. Use is dollars or tokens. Use never rises with the multiplier, so contexts on
 * which both ends of a bracket agree are settled and not looked at again.
 */
struct pace_price {
    double usd, token; /* quality points per dollar, per token; >= 0 */
};
struct pace_search {
    enum pool_unit unit;
    uint64_t active;  /* models that may be chosen */
    uint64_t counted; /* models whose use counts, and which the multiplier makes dearer */
    int n;
    const struct pace_entry *entry[PACE_WINDOW];
    struct pace_price other[PACE_WINDOW]; /* of an entry's other budgets */
    double explored[PACE_WINDOW];         /* expected use of an exploring draw */
    /* the bracket */
    double lo, hi;  /* multipliers: too low, high enough */
    double settled; /* use of the entries that lo and hi agree on */
    int n_open;     /* the others, */
    int16_t open[PACE_WINDOW];
    double at_lo[PACE_WINDOW], at_hi[PACE_WINDOW], at[PACE_WINDOW]; /* and their uses */
};

/* pace_search_begin makes the search one over no contexts; pace_search_add adds one, which is
 * borrowed. */
void pace_search_begin(struct pace_search *s, enum pool_unit unit, uint64_t active,
                       uint64_t counted);
void pace_search_add(struct pace_search *s, const struct pace_entry *e, struct pace_price other,
                     double explored);

/* pace_entry_use gives what a model would use of a unit in a context. */
double pace_entry_use(const struct pace_entry *e, enum pool_unit unit, int arm);
/* pacer_share gives the weight, in (0,1], of a model in exploration under a rate: what the rate
 * leaves above the cheapest choice (a twentieth of the rate at least) over the model's cost. Under
 * a rate that hardly pays for the cheapest model nothing would ever earn back one dear draw. */
double pacer_share(double rate_usd, double least_usd, double cost_usd);
/* pace_entry_explored gives the expected use of an exploring draw, of the models that count;
 * rate_usd 0: at no rate. */
double pace_entry_explored(const struct pace_entry *e, uint64_t active, uint64_t counted,
                           enum pool_unit unit, double rate_usd);
/* pace_search_least gives the mean use when nothing but the budget counts. */
double pace_search_least(const struct pace_search *s);
/* pace_search_find gives the least multiplier above base that meets the target, 0 if base does and
 * `most` at most, and the mean use at base. The search is quickest when guess (> base) is near. */
double pace_search_find(struct pace_search *s, double base, double meet, double guess, double most,
                        double *wanted);
/* pace_search_between gives the least multiplier in [lo, hi] that meets it, else hi. */
double pace_search_between(struct pace_search *s, double lo, double hi, double meet);

#endif
