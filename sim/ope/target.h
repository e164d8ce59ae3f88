/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPE_TARGET_H
#define PURSER_SIM_OPE_TARGET_H

#include "sim/ope/rows.h"

/* A policy to be evaluated on somebody else's decisions. */
struct ope_target {
    enum ope_target_kind {
        TARGET_LOGGED,  /* the policy that decided: every weight is 1 */
        TARGET_UNIFORM, /* each eligible arm alike */
        TARGET_ALWAYS,  /* one arm, where it is eligible; else as logged */
        TARGET_GIVEN,   /* probabilities that came with the log (columns pi_ARM) */
        TARGET_POLICY,  /* a policy over the means and deviations that were logged */
        TARGET_HOOK     /* whatever hook says */
    } kind;
    char name[NAME_CAP];
    /* What a decision's probabilities would be, by slot: for rescoring under other weights, prices
     * or policies. Called while the log is read. False: the row is left out. */
    bool (*hook)(void *ctx, const struct event *decided, double *pmf);
    /* Sees every record after that, in the order of the log; NULL = nobody does. False gives up. */
    bool (*see)(void *ctx, const struct event *e);
    void *ctx;
};

/* target_parse reads logged, uniform, always:MODEL, given, or the name of a policy. */
bool target_parse(const char *s, struct ope_target *out);
/* target_decided gives the probabilities by slot of TARGET_POLICY and TARGET_HOOK for a record. */
bool target_decided(const struct ope_target *t, const struct event *decided, double *pmf);
/* target_fill writes pi [n][k] and the weights of the logged arms [n]. The target has no say in
 * forced rows. */
MUST_CHECK enum status target_fill(const struct ope_target *t, const struct ope_rows *r, double *pi,
                                   double *weight, struct problem *problem);

#endif
