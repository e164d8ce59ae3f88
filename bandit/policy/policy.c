/* SPDX-License-Identifier: MIT */
/*
 * The table of policies and the ones that need no arithmetic. A policy sees means and deviations of
 * a utility, nothing else: no prices, budgets or floors, so each of those is written once, outside.
 * The exceptions are static_mix, which is about spend and sees average costs and a rate, and
 * beta_ts, which counts.
 *
 * Utilities come in whatever unit the caller's weights make; gaps between them are compared with
 * what one point of quality is worth (unit), because that is the [0,1] the theory speaks of.
 * Dividing by the spread of the arms at hand instead would magnify noise between equal arms.
 */
#include "bandit/policy/policy.h"

#include <stddef.h>
#include <string.h>

const struct policy_params policy_defaults = {.gamma0 = 10, .beta = 1, .first_n = 100, .heads = 8};

double policy_unit(const struct policy_view *v)
{
    return v->unit > 0 ? v->unit : 1;
}

double policy_best(const double *value, int n)
{
    double best = value[0];
    for (int i = 1; i < n; i++)
        best = value[i] > best ? value[i] : best;
    return best;
}

void policy_share_best(const double *value, int n, double *p)
{
    double best = policy_best(value, n);
    int ties = 0;
    for (int i = 0; i < n; i++)
        ties += value[i] >= best;
    for (int i = 0; i < n; i++)
        p[i] = value[i] >= best ? 1.0 / ties : 0.0;
}

static void uniform_pmf(const struct policy_view *v, double *p)
{
    for (int i = 0; i < v->n; i++)
        p[i] = 1.0 / v->n;
}

static void greedy_pmf(const struct policy_view *v, double *p)
{
    policy_share_best(v->mean, v->n, p);
}

/* The named arm for sure; when none is named (or it is not eligible) the best guess. */
static void preferred_pmf(const struct policy_view *v, double *p)
{
    if (v->preferred < 0 || v->preferred >= v->n) {
        greedy_pmf(v, p);
        return;
    }
    for (int i = 0; i < v->n; i++)
        p[i] = i == v->preferred ? 1.0 : 0.0;
}

/* Explore, then commit: the labels count, not the requests, so late labels prolong the start. */
static void first_pmf(const struct policy_view *v, double *p)
{
    if (v->labels < v->params.first_n)
        uniform_pmf(v, p);
    else
        greedy_pmf(v, p);
}

/* Append only: logs and snapshots store the index. `trained` is greedy without a floor: it serves
 * what was learned elsewhere, and logs that it does. */
static const struct policy_ops table[] = {
    {"lints", policy_lints_pmf, .explores = true, .noisy = true},
    {"fixed", preferred_pmf, .explores = false},
    {"uniform", uniform_pmf, .explores = true},
    {"greedy", greedy_pmf, .explores = true},
    {"rules", preferred_pmf, .explores = false},
    {"igw", policy_igw_pmf, .explores = true},
    {"linucb", policy_linucb_pmf, .explores = true, .bonus = true},
    {"softmax", policy_softmax_pmf, .explores = true},
    {"regcb_elim", policy_regcb_elim_pmf, .explores = true, .bonus = true},
    {"regcb_opt", policy_regcb_opt_pmf, .explores = true, .bonus = true},
    {"bag", policy_bag_pmf, .explores = true, .noisy = true},
    {"first", first_pmf, .explores = true},
    {"static_mix", policy_static_mix_pmf, .explores = true, .overall = true},
    {"trained", greedy_pmf, .explores = false},
    {"beta_ts", policy_beta_ts_pmf, .explores = true, .counts = true},
};

enum { TABLE_LEN = sizeof table / sizeof table[0] };

const struct policy_ops *policy_at(int index)
{
    return index >= 0 && index < TABLE_LEN ? &table[index] : NULL;
}

int policy_index(const char *name)
{
    for (int i = 0; i < TABLE_LEN; i++) {
        if (strcmp(table[i].name, name) == 0)
            return i;
    }
    return -1;
}

const struct policy_ops *policy_find(const char *name)
{
    return policy_at(policy_index(name));
}
