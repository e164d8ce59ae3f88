/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_LEARN_SUSPICION_H
#define PURSER_CORE_LEARN_SUSPICION_H

#include <stdbool.h>
#include <stdint.h>
#include "core/limits.h"

/*
 * Whose reports part from what they were. Of every tenant and model it keeps how far reported
 * qualities lie from the decisions' own predictions, and finds a tenant for whom that has changed
 * against its own past by more than it has for the others on the same model: a model that changes
 * does so for all, a tenant whose traffic is harder was so before. It is no state of the fold:
 * what it finds is told, never acted upon.
 */
enum {
    SUSPECTS = 64,      /* tenants apart; those that come later count as one */
    SUSPECT_FROM = 512, /* labels of a model that are let pass: its predictions settle */
    SUSPECT_STEP = 32,  /* labels of a model between two looks */
    FINDINGS_MOST = 8   /* of one look */
};
struct suspicion;
struct finding {
    char tenant[NAME_CAP]; /* "*" = all that found no place of their own */
    int arm;
    bool unlike;    /* false: they are again as they were */
    bool odd;       /* not the mean has moved, but the share of reports far off */
    double moved;   /* by how much, in quality or in the share */
    int64_t labels; /* of the tenant, since then */
};

/* suspicion_new gives an empty one, NULL when memory is short. */
struct suspicion *suspicion_new(void);
void suspicion_free(struct suspicion *s);
/* suspicion_add takes a reported quality less what the decision predicted, and gives how many
 * findings have begun or ended with it. */
int suspicion_add(struct suspicion *s, const char *tenant, int arm, double residual,
                  struct finding found[FINDINGS_MOST]);
/* suspicion_at gives the i-th finding that lasts; false past the end. */
bool suspicion_at(const struct suspicion *s, int i, struct finding *out);

#endif
