/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_POLICY_H
#define PURSER_BANDIT_POLICY_H

#include <stdint.h>

/*
 * A policy turns predictions over the eligible arms into a probability for each. Everything common
 * (floor, draw, logging) is done by the caller once, after the policy: see router.c.
 */
struct policy_view {
    int n;              /* eligible arms, 1..PMF_MAX */
    const double *mean; /* [n] utility of each arm */
    const double *sd;   /* [n] posterior standard deviation of the utility, >= 0 */
    int64_t labels;     /* rows learned so far, all arms */
    int preferred;      /* index that rules or configuration name; -1: none */
    double width;       /* scale of sd: 1 = the posterior as it is */
};

struct policy_ops {
    const char *name;
    /* pmf writes n probabilities summing to 1. Pure; ties are shared evenly. */
    void (*pmf)(const struct policy_view *v, double *p);
};

/* policy_find gives the policy of that name, NULL if unknown. policy_at gives the i-th, NULL past
 * the end; the order never changes, so an index may be stored. policy_index is its inverse (-1 if
 * unknown). */
const struct policy_ops *policy_find(const char *name);
const struct policy_ops *policy_at(int index);
int policy_index(const char *name);

/* policy_lints_pmf is the entry "lints" of the table; it has a file of its own. */
void policy_lints_pmf(const struct policy_view *v, double *p);

#endif
