/* SPDX-License-Identifier: MIT */
/* Hard constraints, in a fixed order; each either keeps at least one model or is the answer. */
#include "core/router/eligible.h"

#include <stdio.h>
#include <string.h>
#include "core/router/rules.h"

struct filter {
    const struct params *p;
    const struct request *r;
    int64_t prompt_tokens;
    const struct prediction *prediction;
    int ruled; /* lowest tier by rules */
};

typedef bool (*keep_fn)(const struct filter *f, int slot);

static bool named(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool keep_active(const struct filter *f, int slot)
{
    return f->p->catalog.model[slot].active;
}

static bool keep_allowed(const struct filter *f, int slot)
{
    return f->r->constraints.n_allow == 0 ||
           named(f->r->constraints.allow, f->r->constraints.n_allow,
                 f->p->catalog.model[slot].name);
}

static bool keep_not_denied(const struct filter *f, int slot)
{
    return !named(f->r->constraints.deny, f->r->constraints.n_deny, f->p->catalog.model[slot].name);
}

static bool keep_tier(const struct filter *f, int slot)
{
    const char *least = f->r->constraints.min_tier;
    return !least[0] || f->p->catalog.model[slot].tier >= catalog_tier(&f->p->catalog, least);
}

static bool keep_ruled(const struct filter *f, int slot)
{
    return f->p->catalog.model[slot].tier >= f->ruled;
}

static bool keep_above(const struct filter *f, int slot)
{
    const struct attempt *a = &f->r->attempt;
    return a->from == 0 || f->p->catalog.model[slot].tier > a->tier;
}

static bool keep_needs(const struct filter *f, int slot)
{
    for (int i = 0; i < f->r->constraints.n_needs; i++) {
        int bit = catalog_need(&f->p->catalog, f->r->constraints.needs[i]);
        if (bit < 0 || !(f->p->catalog.model[slot].needs >> bit & 1))
            return false;
    }
    return true;
}

static bool keep_context(const struct filter *f, int slot)
{
    int64_t limit = f->p->catalog.model[slot].context_tokens;
    return limit == 0 || f->prompt_tokens + f->r->max_output_tokens <= limit;
}

static bool keep_quality(const struct filter *f, int slot)
{
    return f->prediction[slot].quality >= f->r->constraints.min_quality;
}

static bool keep_cost(const struct filter *f, int slot)
{
    double most = f->r->constraints.max_cost_usd;
    return most <= 0 || f->prediction[slot].cost_usd <= most;
}

static bool keep_latency(const struct filter *f, int slot)
{
    double most = f->r->constraints.max_latency_ms;
    return most <= 0 || f->prediction[slot].latency_ms <= most;
}

static const struct {
    keep_fn keep;
    const char *path, *what;
} filters[] = {
    {keep_active, "/models", "no model of the catalog is active; activate one"},
    {keep_allowed, "/constraints/allow", "none of the allowed models is active"},
    {keep_not_denied, "/constraints/deny", "deny removes every model that is left"},
    {keep_tier, "/constraints/min_tier", "no model that is left has this tier or a higher one"},
    {keep_ruled, "/rules", "no model that is left has the tier that a rule sets, or a higher one"},
    {keep_above, "/decision_id",
     "no model that is left has a higher tier than the one that answered: there is nothing to "
     "escalate to"},
    {keep_needs, "/constraints/needs", "no model that is left has all the capabilities needed"},
    {keep_context, "/prompt_tokens", "input and max_output_tokens exceed every model's context"},
    {keep_quality, "/constraints/min_quality", "no model that is left is expected to be this good"},
    {keep_cost, "/constraints/max_cost_usd",
     "no model that is left is expected to cost this little"},
    {keep_latency, "/constraints/max_latency_ms",
     "no model that is left is expected to be this fast"},
};

static enum status check_models(const struct catalog *c, const char *list, const char *const *names,
                                int n, struct problem *problem)
{
    for (int i = 0; i < n; i++) {
        if (catalog_find(c, names[i]) >= 0)
            continue;
        char path[64];
        (void)snprintf(path, sizeof path, "/constraints/%s/%d", list, i);
        return problem_set(problem, STATUS_UNKNOWN_MODEL, path,
                           "there is no model of this name; models.list names those there are");
    }
    return STATUS_OK;
}

static enum status check_names(const struct params *p, const struct request *r,
                               struct problem *problem)
{
    enum status s =
        check_models(&p->catalog, "allow", r->constraints.allow, r->constraints.n_allow, problem);
    if (s == STATUS_OK)
        s = check_models(&p->catalog, "deny", r->constraints.deny, r->constraints.n_deny, problem);
    if (s == STATUS_OK && r->constraints.min_tier[0] &&
        catalog_tier(&p->catalog, r->constraints.min_tier) < 0)
        s = problem_set(problem, STATUS_BAD_REQUEST, "/constraints/min_tier",
                        "there is no tier of this name; the tiers run from %s to %s",
                        p->catalog.tier[0], p->catalog.tier[p->catalog.n_tiers - 1]);
    return s;
}

enum status eligible_models(const struct params *p, const struct request *r, int64_t prompt_tokens,
                            const struct prediction *prediction, uint64_t *eligible,
                            uint32_t *reasons, struct problem *problem)
{
    struct filter f = {p, r, prompt_tokens, prediction, rules_min_tier(p, r, prompt_tokens)};
    enum status s = check_names(p, r, problem);
    if (s != STATUS_OK)
        return s;
    uint64_t left = p->catalog.n == 64 ? ~0ull : (1ull << p->catalog.n) - 1;
    *reasons |= f.ruled > 0 ? REASON_RULE : 0;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        uint64_t kept = 0;
        for (uint64_t m = left; m; m &= m - 1) {
            int slot = __builtin_ctzll(m);
            if (filters[i].keep(&f, slot))
                kept |= 1ull << slot;
        }
        if (!kept)
            return problem_set(problem, STATUS_NO_ELIGIBLE_MODEL, filters[i].path, "%s",
                               filters[i].what);
        if (i > 0 && kept != left)
            *reasons |= REASON_CONSTRAINED;
        left = kept;
    }
    *eligible = left;
    return STATUS_OK;
}
