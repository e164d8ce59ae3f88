/* SPDX-License-Identifier: MIT */
#include "sim/ope/target.h"

#include <stdio.h>
#include <string.h>
#include "bandit/policy/policy.h"

bool target_parse(const char *s, struct ope_target *out)
{
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "%s", s);
    if (strcmp(s, "logged") == 0)
        out->kind = TARGET_LOGGED;
    else if (strcmp(s, "uniform") == 0)
        out->kind = TARGET_UNIFORM;
    else if (strcmp(s, "given") == 0)
        out->kind = TARGET_GIVEN;
    else if (strncmp(s, "always:", 7) == 0 && s[7] != '\0') {
        out->kind = TARGET_ALWAYS;
        snprintf(out->name, sizeof out->name, "%s", s + 7);
    } else {
        const struct policy_ops *p = policy_find(s);
        out->kind = TARGET_POLICY;
        return p != NULL && !p->overall && strcmp(s, "rules") != 0 && strcmp(s, "fixed") != 0;
    }
    return true;
}

/* Deviations are as the policy in force widened them; the floor is the one that was in force. */
static bool policy_decided(const struct ope_target *t, const struct event_decided *d, double *pmf)
{
    const struct policy_ops *policy = policy_find(t->name);
    struct policy_view v = {.preferred = -1, .width = 1, .unit = d->weight_quality};
    double mean[MODELS_MAX], sd[MODELS_MAX], p[MODELS_MAX];
    int slot[MODELS_MAX];
    v.params = policy_defaults;
    v.labels = 1000;
    for (int a = 0; a < d->n_arms; a++) {
        pmf[a] = 0;
        if (!(d->eligible >> a & 1))
            continue;
        slot[v.n] = a;
        mean[v.n] = decided_utility(d, a);
        sd[v.n++] = (double)d->view[a].merit_sd;
    }
    if (v.n == 0)
        return false;
    v.mean = mean;
    v.sd = sd;
    policy->pmf(&v, p);
    for (int i = 0; i < v.n; i++)
        pmf[slot[i]] = policy->explores ? (1 - d->floor) * p[i] + d->floor / v.n : p[i];
    return true;
}

bool target_decided(const struct ope_target *t, const struct event *decided, double *pmf)
{
    if (t->kind == TARGET_HOOK)
        return t->hook(t->ctx, decided, pmf);
    return policy_decided(t, &decided->decided, pmf);
}

static bool may(const struct ope_rows *r, size_t i, size_t arm)
{
    return r->eligible[i] == 0 || (arm < 64 && (r->eligible[i] >> arm & 1));
}

static void as_logged(const struct ope_rows *r, size_t i, double *pi)
{
    if (r->has_pmf)
        memcpy(pi, r->pmf + i * (size_t)r->k, (size_t)r->k * sizeof *pi);
    else
        pi[r->arm[i]] = 1; /* which its policy drew: on average the policy */
}

static void uniform(const struct ope_rows *r, size_t i, double *pi)
{
    int n = 0;
    for (size_t a = 0; a < r->arms.n; a++)
        n += may(r, i, a);
    for (size_t a = 0; a < r->arms.n; a++)
        pi[a] = may(r, i, a) ? 1.0 / n : 0;
}

enum status target_fill(const struct ope_target *t, const struct ope_rows *r, double *pi,
                        double *weight, struct problem *problem)
{
    size_t k = (size_t)r->k;
    uint32_t arm = t->kind == TARGET_ALWAYS ? names_find(&r->arms, t->name) : 0;
    if (arm == NAMES_NONE)
        return problem_set(problem, STATUS_UNKNOWN_MODEL, "",
                           "--target always:%s: the log has no such model", t->name);
    if (t->kind == TARGET_GIVEN && !r->has_given)
        return problem_set(problem, STATUS_BAD_REQUEST, "",
                           "the log gives no probabilities of a target (columns pi_MODEL)");
    memset(pi, 0, r->n * k * sizeof *pi);
    for (size_t i = 0; i < r->n; i++) {
        double *row = pi + i * k;
        bool logged = t->kind == TARGET_LOGGED || r->forced[i] ||
                      (t->kind == TARGET_ALWAYS && !may(r, i, arm));
        if (logged)
            as_logged(r, i, row);
        else if (t->kind == TARGET_UNIFORM)
            uniform(r, i, row);
        else if (t->kind == TARGET_ALWAYS)
            row[arm] = 1;
        else
            memcpy(row, r->given + i * k, k * sizeof *row);
        weight[i] = logged ? 1 : row[r->arm[i]] / r->p[i];
    }
    return STATUS_OK;
}
