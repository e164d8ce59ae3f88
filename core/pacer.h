/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_PACER_H
#define PURSER_CORE_PACER_H

#include <stdbool.h>
#include <stdint.h>
#include "core/event.h"

/*
 * Holds average spend at a rate: a multiplier in quality points per dollar is subtracted from every
 * model's utility. Costs are booked at the decision and trued up at completion, so delayed feedback
 * does not make it ring; the multiplier is re-solved on the recent window of contexts.
 */
enum { PACE_WINDOW = 512, PACE_EVERY = 4 };

/* A context, in what no price and no weight changes; merits and costs follow those in force. */
struct pace_entry {
    uint64_t eligible;
    float value;               /* of the request's quality */
    float fresh, cached;       /* prompt tokens by price */
    float floor;               /* probability of an exploring draw */
    float quality[MODELS_MAX]; /* with one draw of the policy's own noise */
    float latency_ms[MODELS_MAX];
    float failure[MODELS_MAX];
    float tokens[MODELS_MAX];   /* of output */
    float cost_usd[MODELS_MAX]; /* at the prices in force */
    float merit[MODELS_MAX];    /* at the weights in force; derived */
    float explored_usd;         /* expected cost of an exploring draw; derived */
};

struct pacer {
    double rate_usd; /* per request; 0 = off */
    double mu;
    double carry_usd; /* allowed so far minus booked, and what has come over from: */
    double owed_usd;  /* booked minus billed, not yet in the carry */
    double wanted_usd; /* a request, if money were no object; as of the last solution */
    int64_t since;     /* decisions since then */
    bool due;
    int64_t total;   /* entries ever pushed; slot = ordinal % PACE_WINDOW */
    uint8_t dirty;   /* window changed, bit per snapshot generation */
    uint64_t active; /* models that may be chosen */
    struct pace_entry window[PACE_WINDOW];
};

struct params;
/* pacer_configure makes the window follow prices, weights and models of a new configuration (was:
 * the one in force, now: the next) and the rate its budget; a solution is then due. The carry is
 * dropped when the rate changes. */
void pacer_configure(struct pacer *p, const struct params *was, const struct params *now);
/* pacer_derive brings merits and the cost of exploring in line with cost_usd and the rest. */
void pacer_derive(struct pacer *p, const struct params *params);
/* pacer_share gives the weight, in (0,1], of a model in exploration under a rate: what the rate
 * leaves above the cheapest choice (a twentieth of the rate at least) over the model's cost. Under
 * a rate that hardly pays for the cheapest model nothing would ever earn back one dear draw. */
double pacer_share(double rate_usd, double least_usd, double cost_usd);
/* pacer_book pushes a decision's context and charges its expected cost. noisy: the policy draws
 * from the posterior, so that the window must too. */
void pacer_book(struct pacer *p, const struct event_decided *d, uint64_t seq, bool noisy,
                const struct params *params);
/* pacer_settle replaces an amount charged before by another, in nanodollars. */
void pacer_settle(struct pacer *p, int64_t before_nano, int64_t after_nano);
/* pacer_due tells whether a new solution is wanted; pacer_solve computes one without changing
 * state. */
bool pacer_due(const struct pacer *p);
struct event_paced pacer_solve(const struct pacer *p);
/* pacer_price gives the multiplier for a decision whose models' views are known: the one in force
 * or, when a rate has just been set, a solution for it - on this very request if there is no window
 * yet, so that the first decision under a budget is not made as if there were none. */
double pacer_price(const struct pacer *p, const struct event_decided *d);
void pacer_adopt(struct pacer *p, const struct event_paced *s);

#endif
