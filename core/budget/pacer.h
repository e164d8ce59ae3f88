/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_BUDGET_PACER_H
#define PURSER_CORE_BUDGET_PACER_H

#include <stdbool.h>
#include <stdint.h>
#include "core/budget/pace_room.h"
#include "core/event/event.h"
#include "core/router/generations.h"

/*
 * Holds average spend at a rate: a multiplier in quality points per dollar is subtracted from every
 * model's utility. Costs are booked at the decision and trued up at completion, so delayed feedback
 * does not make it ring; the multiplier is re-solved on the recent window of contexts.
 */
/* Until PACE_FEW contexts are known a decision stands in for those that are missing. */
enum { PACE_WINDOW = 512, PACE_EVERY = 4, PACE_FEW = 16 };

/* A context, in what no price and no weight changes; merits and costs follow those in force. */
struct pace_entry {
    uint64_t eligible;
    uint64_t active;           /* models that there were; see pacer_contexts */
    uint64_t pools;            /* bit per paced pool that it was charged to */
    float value;               /* of the request's quality */
    float fresh, cached;       /* prompt tokens by price */
    bool batch;                /* at batch prices */
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
    double billed_usd, predicted_usd; /* fading sums over what has been billed, and its number: */
    double bills;
    /* of a request, as of the last solution; 0 = none yet */
    double wanted_usd; /* if there were no budget */
    double least_usd;  /* if nothing counted but the budget */
    double base;       /* the objective's own price of money, as of the last decision */
    int64_t since;     /* decisions since then */
    bool due;
    struct pace_room room; /* for one dear call; see there */
    int64_t total;         /* entries ever pushed; slot = ordinal % PACE_WINDOW */
    uint8_t dirty;         /* window changed, bit per snapshot generation */
    uint64_t active;       /* models that may be chosen */
    struct pace_entry window[PACE_WINDOW];
};

struct params;
struct pool_pacers;
struct filler;
struct reader;
/* pacer_put and pacer_get carry, for a snapshot, all but the room and the window. */
void pacer_put(struct filler *w, const struct pacer *p);
void pacer_get(struct reader *in, struct pacer *p);
/* pacer_configure makes the window follow prices, weights and models of a new configuration (was:
 * the one in force, now: the next) and the rate its budget; a solution is then due. The carry is
 * dropped when the rate changes. */
void pacer_configure(struct pacer *p, const struct params *was, const struct params *now);
/* pacer_derive brings merits and the cost of exploring in line with cost_usd and the rest. */
void pacer_derive(struct pacer *p, const struct params *params);
/* pacer_contexts gives the entries to solve on, newest first, at most `most`: those that know every
 * model there is now. Contexts from a time without a model say nothing of it: left in once it is
 * (back) there, they would have the others do for a whole window what it does better. */
int pacer_contexts(const struct pacer *p, const struct pace_entry **out, int most);
/* pacer_view fills what the window keeps of a decision, but for the derived cost of exploring. */
void pacer_view(const struct event_decided *d, struct pace_entry *e);
/* pacer_renumber has the window follow pools whose numbers change; to[old] = -1: no more. */
void pacer_renumber(struct pacer *p, const int8_t to[POOL_SPECS_MAX]);
/* pacer_book pushes a decision's context and charges its expected cost. noisy: the policy draws
 * from the posterior, so that the window must too. */
void pacer_book(struct pacer *p, const struct event_decided *d, uint64_t seq, bool noisy,
                const struct params *params);
/* pacer_settle replaces an amount charged before by another, in nanodollars. bill: +1 for the first
 * bill of a decision predicted to cost that much, -1 when it is retracted, 0 for another bill. */
void pacer_settle(struct pacer *p, int64_t before_nano, int64_t after_nano, int bill,
                  int64_t predicted_nano);
/* pacer_truth gives what bills have lately come to, over what was predicted of those decisions. A
 * decision is booked at its prediction times this. */
double pacer_truth(const struct pacer *p);
/* pacer_due tells whether a new solution is wanted; pacer_solve computes one without changing
 * state. pools: what other budgets ask for. */
bool pacer_due(const struct pacer *p);
struct event_paced pacer_solve(const struct pacer *p, const struct pool_pacers *pools);
/* pacer_price gives the multiplier for a decision whose models' views are known: the one in force
 * or, when a rate has just been set, a solution for it. Of contexts that are not there yet this
 * request takes the place, once for each with the policy's noise (if it is noisy): the first
 * decisions under a budget are not made as if there were none, nor by the luck of a few. If it
 * binds it is high enough for no call to be made that the latest requests have left no room for. */
double pacer_price(const struct pacer *p, const struct event_decided *d,
                   const struct pool_pacers *pools, bool noisy);
void pacer_adopt(struct pacer *p, const struct event_paced *s);
/* pacer_shortage gives the share, [0,1], of what the cheapest choices cost that the rate, with what
 * has been saved, does not pay. */
double pacer_shortage(const struct pacer *p);

#endif
