/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_LEARN_INFLUENCE_H
#define PURSER_CORE_LEARN_INFLUENCE_H

#include <stdint.h>
#include "core/event/bytes.h"
#include "core/event/event.h"
#include "core/router/credit.h"

/*
 * How much anybody may teach. One report: its labels stay within a factor of what the decision
 * itself predicted. One tenant: where it makes up more than its share of the recent decisions, each
 * of them weighs less. Spending is counted as it was reported, whatever is learned.
 */

/* The tenants that ask most, out of any number: Space-Saving counters (Metwally, Agrawal, El Abbadi
 * 2005) that fade over about INFLUENCE_SPAN decisions. Part of the folded state. */
enum { TENANTS_COUNTED = 64, INFLUENCE_SPAN = 4096 };
struct influence {
    double total; /* faded number of all decisions */
    int n;
    struct {
        uint64_t tenant;      /* hash of its name */
        double count, excess; /* at most, and how much of that may be others' */
    } tenant[TENANTS_COUNTED];
};

/* influence_tenant gives what is kept of a tenant's name. "" is a tenant like others. */
uint64_t influence_tenant(const char *name);
/* influence_weight gives the weight in (0,1] of a decision for a tenant that is about to be made:
 * most / share where the tenant's share of the recent decisions, this one included, is above most;
 * 1 otherwise. influence_count counts it. */
double influence_weight(const struct influence *f, uint64_t tenant, double most);
void influence_count(struct influence *f, uint64_t tenant);
/* The codec of the snapshot. */
void influence_put(struct filler *w, const struct influence *f);
void influence_get(struct reader *r, struct influence *f);

/* influence_bound keeps what is learned of a report within a factor most_off (0: no bound) of the
 * row's raw predictions: the labels of tokens and latency, the computed cost, and the reported cost
 * relative to that. cost_nano stays what was reported. */
void influence_bound(struct credit *c, const struct decision_row *row, double most_off);

#endif
