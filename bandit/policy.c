/* SPDX-License-Identifier: MIT */
/*
 * The table of policies and the ones that need no arithmetic. A policy sees means and deviations of
 * a utility, nothing else: no prices, budgets or floors, so each of those is written once, outside.
 */
#include "bandit/policy.h"

#include <stddef.h>
#include <string.h>

static void uniform_pmf(const struct policy_view *v, double *p)
{
    for (int i = 0; i < v->n; i++)
        p[i] = 1.0 / v->n;
}

static void greedy_pmf(const struct policy_view *v, double *p)
{
    double best = v->mean[0];
    for (int i = 1; i < v->n; i++)
        best = v->mean[i] > best ? v->mean[i] : best;
    int ties = 0;
    for (int i = 0; i < v->n; i++)
        ties += v->mean[i] >= best;
    for (int i = 0; i < v->n; i++)
        p[i] = v->mean[i] >= best ? 1.0 / ties : 0.0;
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

/* Append only: logs and snapshots store the index. */
static const struct policy_ops table[] = {
    {"lints", policy_lints_pmf}, {"fixed", preferred_pmf}, {"uniform", uniform_pmf},
    {"greedy", greedy_pmf},      {"rules", preferred_pmf},
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
