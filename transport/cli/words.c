/* SPDX-License-Identifier: MIT */
/*
 * Why this model, for people. The numbers are those of the explanation beside it, rounded; a
 * sentence is there only if it says something of this decision. Considered: a text made by whoever
 * shows it. Then the dashboard, the command line and an auditor would each tell it differently.
 */
#include "transport/cli/words.h"

#include <stdarg.h>
#include <stdio.h>
#include "bandit/policy/policy.h"

enum { SENTENCE_CAP = 512 };

struct words {
    struct text *out;
    int n;
};

static void say(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct words *w, const char *fmt, ...)
{
    char sentence[SENTENCE_CAP];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    text_put(w->out, w->n++ > 0 ? "," : "");
    text_json_string(w->out, sentence);
}

static const char *name_of(const struct catalog *c, int slot)
{
    return slot >= 0 && slot < c->n ? c->model[slot].name : "a model that is gone";
}

static double usd(int64_t nano)
{
    return (double)nano * 1e-9;
}

static void say_choice(struct words *w, const struct event_decided *d, const struct catalog *c)
{
    const struct arm_view *v = &d->view[d->arm];
    const struct policy_ops *policy = policy_at(d->policy);
    say(w, "%s was drawn with probability %.1f%% by policy %s.", name_of(c, d->arm), 100 * v->pmf,
        policy ? policy->name : "unknown");
    say(w,
        "It was expected to reach quality %.3f (deviation %.3f) at $%.6f, in %.0f ms, failing in "
        "%.1f%% of cases.",
        (double)v->mean[TARGET_QUALITY], (double)v->sd[TARGET_QUALITY], usd(v->cost_nano),
        (double)v->mean[TARGET_LATENCY], 100 * (double)v->mean[TARGET_FAILURE]);
}

/* The eligible model of the highest utility. */
static int best_of(const struct event_decided *d)
{
    int best = d->arm;
    for (int i = 0; i < d->n_arms && i < MODELS_MAX; i++)
        if ((d->eligible >> i & 1) && decided_utility(d, i) > decided_utility(d, best))
            best = i;
    return best;
}

static void say_best(struct words *w, const struct event_decided *d, const struct catalog *c)
{
    int best = best_of(d);
    double gap = decided_utility(d, best) - decided_utility(d, d->arm);
    if (best == d->arm)
        say(w, "No eligible model promised a higher utility than its %.3f.",
            decided_utility(d, d->arm));
    else
        say(w,
            "%s promised %.3f more utility (%.3f against %.3f, deviation %.3f): the draw gives the "
            "others a chance in proportion to how likely they are to be better.",
            name_of(c, best), gap, decided_utility(d, best), decided_utility(d, d->arm),
            (double)d->view[best].merit_sd);
}

static void say_excluded(struct words *w, const struct event_decided *d, const struct catalog *c)
{
    char names[SENTENCE_CAP / 2];
    struct text t = text_over(names, sizeof names);
    int n = 0, eligible = 0;
    for (int i = 0; i < d->n_arms && i < MODELS_MAX; i++) {
        if (d->eligible >> i & 1)
            eligible++;
        else
            text_printf(&t, "%s%s", n++ > 0 ? ", " : "", name_of(c, i));
    }
    if (n > 0)
        say(w,
            "%d of %d models were eligible; ruled out by constraints, rules, budgets or because "
            "they are not active: %s%s.",
            eligible, eligible + n, names, t.full ? " ..." : "");
}

static void say_money(struct words *w, const struct event_decided *d)
{
    double scaled = d->multiplier * d->cost_scale_usd;
    say(w,
        "Utility was %.3g x value %.3g x quality, minus %.3g for $%.6f of cost, %.3g for latency "
        "and "
        "%.3g for failure.",
        d->weight_quality, d->value, scaled > d->weight_cost ? scaled : d->weight_cost,
        d->cost_scale_usd, d->weight_latency, d->weight_failure);
    if (scaled > d->weight_cost)
        say(w,
            "The budget made money dearer than the cost weight of %.3g says: its multiplier is "
            "%.4g points per dollar.",
            d->weight_cost, d->multiplier);
    if (d->charge.pool[0])
        say(w, "Pool %s paid for it%s.", d->charge.pool,
            d->charge.strict ? ", with the worst case reserved" : "");
}

static void say_reasons(struct words *w, uint32_t reasons, const char *baseline)
{
    static const struct {
        enum reason bit;
        const char *text;
    } told[] = {
        {REASON_COLD_START, "Little is known of some models yet, so the draw is wide."},
        {REASON_EXPLORED, "This draw explores: it was made to learn, not to earn."},
        {REASON_RULE, "A rule of the configuration decided."},
        {REASON_ONLY_MODEL, "It was the only eligible model."},
        {REASON_APPRENTICE, "The policy is an apprentice: the baseline was served."},
        {REASON_SOFT_LIMIT, "A pool is above its soft limit, so cheaper models were preferred."},
        {REASON_CANARY, "Settings on trial decided, not those in force."},
        {REASON_SESSION, "The conversation keeps the model it has."},
        {REASON_HULL, "The guard serves the best mix of fixed models instead of the policy."}};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (reasons & told[i].bit)
            say(w, "%s", told[i].text);
    if (reasons & REASON_GUARDED)
        say(w, "The guard served the baseline %s: the policy has not earned this risk.", baseline);
}

void words_decision(struct text *t, const struct event_decided *d, const struct catalog *c)
{
    struct words w = {.out = t};
    text_put(t, "[");
    say_choice(&w, d, c);
    say_best(&w, d, c);
    say_excluded(&w, d, c);
    say_money(&w, d);
    say_reasons(&w, d->reasons, name_of(c, d->baseline));
    text_put(t, "]");
}
