/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_GUARD_HULL_GUARD_H
#define PURSER_CORE_GUARD_HULL_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include "core/budget/pacer.h"
#include "core/config/params.h"
#include "core/event/bytes.h"
#include "core/event/event.h"

/*
 * The comparison of the policy with the static hull: with the best mix of fixed models at the
 * policy's own mean spend. Each labelled decision gives the doubly robust difference
 *     psi = sum_a (pi_a - m_a) g_a / w + (pi_A - m_A) / mu_A * (y - q_A),
 * pi the policy's pmf, m the mix, mu what was drawn from, A the drawn model, y its quality label,
 * q and g predicted quality and merit, w the merit of one point of quality. Its mean is policy
 * minus hull whatever the predictions are worth. mu is a mix of pi and m with enough of either
 * that no weight exceeds the reach; so nothing is clipped and nothing is biased.
 *
 * Evidence is three sums in integers per sequence: exact, whatever the order of labels, and what an
 * amended or retracted label added is taken out again.
 *
 * A sequence counts decisions made after it began, HULL_BLOCK labels after the one before it, and
 * ends when the next but one begins: so a good past hides a present failure for 2 HULL_BLOCK labels
 * at most. Bounds are the narrower the less a number can be at most: of HULL_SCALES scales, each
 * four times the one before, a sequence uses the least that all its decisions are within, at a part
 * of the error. The k-th sequence ever may be wrong with probability HULL_ALPHA / (k (k+1)): the
 * policy is put aside without cause at any time in the life of a store with probability HULL_ALPHA
 * at most.
 */
enum { HULL_BLOCK = 4096, HULL_EVERY = 64, HULL_SEQUENCES = 2, HULL_SCALES = 3 };
#define HULL_ALPHA 0.05

struct hull_sequence {
    uint64_t since;          /* decisions behind this position count */
    int64_t ordinal;         /* k, from 1; 0 = not running */
    double reach;            /* largest of its decisions, labelled or not */
    int64_t n, sum, squares; /* of psi in 16384ths */
};

struct hull_guard {
    bool guarded;     /* the mix is served, the policy has its trial share */
    bool set;         /* the mix is known */
    int64_t unsolved; /* decisions since it was solved */
    int64_t begun;    /* sequences ever */
    int64_t trips;    /* times the policy was put aside */
    double spend_usd; /* running mean of what the policy's pmf costs in expectation */
    double mix[MODELS_MAX];
    struct hull_sequence sequence[HULL_SEQUENCES];
};

/* What is known of policy minus hull, quality points. */
struct hull_guard_view {
    int64_t labels;            /* of the longer sequence */
    double mean, lower, upper; /* 95% at any time, of the sequence that says most */
};

/* hull_guard_blend gives what is drawn from, n entries: `most` with as little of `rest` as gives
 * each model at least share times its part in rest. Gives the part of rest, <= share. */
double hull_guard_blend(const double *most, const double *rest, int n, double share, double *out);
/* hull_guard_serve replaces the policy's pmf, over the n eligible slots, by what is drawn from, and
 * notes the policy's in out; *guarded tells which side is served. False: nothing to compare. */
struct hull_sides {
    double policy[MODELS_MAX], mix[MODELS_MAX];
    double part; /* of the side that is not served, in the pmf */
};
bool hull_guard_serve(const struct hull_guard *h, const struct params *p, const int *slots, int n,
                      double *pmf, struct hull_sides *out);
/* hull_guard_edge gives what the quality label of a decision will say, its draw done. */
struct hull_edge hull_guard_edge(const struct hull_sides *sides, const struct event_decided *d,
                                 const int *slots, int n);

/* The fold. hull_guard_decided counts a decision. hull_guard_label replaces a decision's quality
 * label. hull_guard_apply takes an EVENT_HULL. hull_guard_reset gives the policy another chance: it
 * is served, and only decisions behind position seq count. */
void hull_guard_decided(struct hull_guard *h, const struct event_decided *d);
void hull_guard_label(struct hull_guard *h, const struct decision_row *row, bool had, double before,
                      bool has, double after);
void hull_guard_apply(struct hull_guard *h, const struct event_hull *e, uint64_t seq);
void hull_guard_reset(struct hull_guard *h, uint64_t seq);
/* hull_guard_terms gives a number of what the comparison depends on: where a configuration changes
 * it, hull_guard_reset is due. */
uint64_t hull_guard_terms(const struct params *p);

/* Pure. hull_guard_share gives the share of the side that is not served. hull_guard_look fills the
 * bounds. hull_guard_due tells whether the mix is to be solved anew; hull_guard_turn what evidence
 * asks for: HULL_SOLVED = nothing. */
double hull_guard_share(const struct hull_guard *h, const struct params *p);
void hull_guard_look(const struct hull_guard *h, const struct params *p,
                     struct hull_guard_view *out);
bool hull_guard_due(const struct hull_guard *h, const struct params *p);
/* hull_guard_solve fills the mix for a mean cost of what the policy spends, or of the budget if
 * that is less: merit and cost of models are the means over the pacer's window. False without one.
 */
bool hull_guard_solve(const struct hull_guard *h, const struct params *p, const struct pacer *pacer,
                      struct event_hull *out);
enum hull_turn hull_guard_turn(const struct hull_guard *h, const struct params *p);

void hull_guard_put(struct filler *w, const struct hull_guard *h);
void hull_guard_get(struct reader *r, struct hull_guard *h);

#endif
