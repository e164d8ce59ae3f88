/* SPDX-License-Identifier: MIT */
/* The register of scenarios: a row each, in the order of the list. */
#include "sim/scenario/scenario.h"

#include "sim/scenario/bandits.h"
#include "sim/scenario/cascade.h"
#include "sim/scenario/shipped.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_CAP = 1 << 22 };

static const struct scenario scenario[] = {
    {"strategies", "one large model, one small, keyword rules, a trained classifier, purser", NULL},
    {"fintech", "three tiers and 10,000 labelled examples: how much less, at what satisfaction",
     NULL},
    {"cascade", "legal documents, checked, and escalated when found wanting: where to begin",
     cascade_scenario},
    {"price-shock", "the large model gets ten times cheaper, then as dear as before", NULL},
    {"withdrawal", "the provider withdraws the large model half way", NULL},
    {"new-model", "a model as good as the large one at a fifth of its price appears", NULL},
    {"poisoned-tenant", "the largest of four tenants reports the opposite of what it sees", NULL},
    {"fairness", "who is served worse when money is saved: two groups, two-tier service", NULL},
    {"bandits", "static and context-free routers against contextual bandits in ten settings",
     bandits_run},
};

const struct scenario *scenario_at(int i)
{
    return i >= 0 && (size_t)i < sizeof scenario / sizeof *scenario ? &scenario[i] : NULL;
}

const struct scenario *scenario_find(const char *name)
{
    const struct scenario *s = NULL;
    for (int i = 0; (s = scenario_at(i)) != NULL && strcmp(s->name, name) != 0;)
        i++;
    return s;
}

void scenario_list(struct text *out, bool json)
{
    const struct scenario *s = NULL;
    text_put(out, json ? "[" : "");
    for (int i = 0; (s = scenario_at(i)) != NULL; i++) {
        if (!json) {
            text_printf(out, "%-16s %s\n", s->name, s->summary);
            continue;
        }
        text_put(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        text_json_string(out, s->name);
        text_put(out, ",\"summary\":");
        text_json_string(out, s->summary);
        text_put(out, "}");
    }
    text_put(out, json ? "]\n" : "");
}

static enum status unknown(const char *name, struct problem *problem)
{
    char known[200];
    struct text t = text_over(known, sizeof known);
    for (int i = 0; scenario_at(i) != NULL; i++)
        text_printf(&t, "%s%s", i > 0 ? ", " : "", scenario_at(i)->name);
    return problem_set(problem, STATUS_BAD_REQUEST, "", "no scenario %s; there are: %s", name,
                       known);
}

enum status scenario_play(const struct scenario *s, const struct scenario_ask *ask,
                          struct text *out, struct problem *problem)
{
    return s->run != NULL ? s->run(ask, out, problem) : shipped_run(s, ask, out, problem);
}

enum status scenario_run(const char *name, const struct scenario_ask *ask, struct problem *problem)
{
    const struct scenario *s = scenario_find(name);
    bool list = strcmp(name, "list") == 0;
    if (s == NULL && !list)
        return unknown(name, problem);
    char *room = malloc(REPORT_CAP);
    if (room == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    struct text out = text_over(room, REPORT_CAP);
    enum status st = STATUS_OK;
    if (list)
        scenario_list(&out, ask->json);
    else
        st = scenario_play(s, ask, &out, problem);
    if (st == STATUS_OK)
        fputs(out.at, stdout);
    free(room);
    return st;
}
