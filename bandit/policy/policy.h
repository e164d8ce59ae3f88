/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_POLICY_POLICY_H
#define PURSER_BANDIT_POLICY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* What can be tuned; a policy reads its own fields only. policy_defaults has the values named. */
struct policy_params {
    double gamma0;      /* igw: gamma = gamma0 sqrt(labels), >= 0; 10 */
    double beta;        /* linucb, regcb_*: deviations in a confidence bound, >= 0; 1 */
    double temperature; /* softmax: in points of quality; 0: so that 5% go to the lesser arms; 0 */
    int64_t first_n;    /* first: labels until it turns greedy; 100 */
    int heads;          /* bag: posterior draws per decision, >= 1; 8 */
    uint64_t seed;      /* bag: key of these draws, another one for each decision; 0 */
    const double *mix;  /* static_mix: [n] weights >= 0; NULL = from the overall arrays; NULL */
};
extern const struct policy_params policy_defaults;

/*
 * A policy turns predictions over the eligible arms into a probability for each. Everything common
 * (floor, draw, logging) is done by the caller once, after the policy: see router.c.
 */
struct policy_view {
    int n;              /* eligible arms, 1..PMF_MAX */
    const double *mean; /* [n] utility of each arm, finite */
    const double *sd;   /* [n] posterior standard deviation of the utility, >= 0 */
    int64_t labels;     /* rows learned so far, all arms */
    int preferred;      /* index that rules or configuration name; -1: none */
    double width;       /* scale of sd: 1 = the posterior as it is */
    double unit;        /* utility of one point of quality, see policy_unit; 0 = 1 */
    /* What static_mix sees instead of mean: averages over many contexts. NULL: as if the context at
     * hand were all there is, and all arms cost the same. */
    const double *overall;      /* [n] mean utility */
    const double *overall_cost; /* [n] mean cost */
    double rate;                /* mean cost that a mix may reach; 0 = any */
    /* What beta_ts sees instead: quality summed up and missed, whatever the context (NULL: none),
     * and utility = gain * quality + base. */
    const double *wins, *losses, *base; /* [n] wins and losses >= 0 */
    double gain;
    struct policy_params params;
};

struct policy_ops {
    const char *name;
    /* pmf writes n probabilities summing to 1. Pure; ties are shared evenly. */
    void (*pmf)(const struct policy_view *v, double *p);
    bool explores; /* the caller mixes in its floor; false: the pmf is used as it is */
    bool bonus;    /* sd widens a confidence bound and is scaled by beta alone: width stays 1 */
    bool overall;  /* reads the overall arrays */
    bool counts;   /* reads wins, losses, base and gain */
    bool noisy;    /* its choice follows one posterior draw: whoever predicts it must draw too */
};

/* policy_find gives the policy of that name, NULL if unknown. policy_at gives the i-th, NULL past
 * the end; the order never changes, so an index may be stored. policy_index is its inverse (-1 if
 * unknown). */
const struct policy_ops *policy_find(const char *name);
const struct policy_ops *policy_at(int index);
int policy_index(const char *name);

/* The entries of the table that have a file of their own. */
void policy_lints_pmf(const struct policy_view *v, double *p);
void policy_igw_pmf(const struct policy_view *v, double *p);
void policy_linucb_pmf(const struct policy_view *v, double *p);
void policy_softmax_pmf(const struct policy_view *v, double *p);
void policy_regcb_elim_pmf(const struct policy_view *v, double *p);
void policy_regcb_opt_pmf(const struct policy_view *v, double *p);
void policy_bag_pmf(const struct policy_view *v, double *p);
void policy_static_mix_pmf(const struct policy_view *v, double *p);
void policy_beta_ts_pmf(const struct policy_view *v, double *p);

/* For the entries: policy_best gives the largest of n values, policy_share_best shares 1 evenly
 * among those that reach it, policy_unit gives v->unit or 1. */
double policy_best(const double *value, int n);
void policy_share_best(const double *value, int n, double *p);
double policy_unit(const struct policy_view *v);

#endif
