/* SPDX-License-Identifier: MIT */
/*
 * The first tenants that come are told apart, the rest is one: labels of metrics must be bounded,
 * since whoever collects them keeps a series for each for ever. Considered: the busiest ones. A
 * series that comes and goes is worth less than one that stays.
 */
#include "transport/usage.h"

#include <string.h>
#include "bandit/rng.h"

static struct meter_sums *of_tenant(struct usage *u, const char *name)
{
    uint64_t hash = hash64(name, strlen(name), 0);
    for (int i = 0; i < u->tenants; i++)
        if (u->tenant[i].hash == hash && strcmp(u->tenant[i].name, name) == 0)
            return &u->tenant[i].sums;
    if (u->tenants >= u->most || u->tenants >= USAGE_TENANTS_MAX)
        return &u->others;
    struct usage_tenant *t = &u->tenant[u->tenants++];
    t->hash = hash;
    strcpy(t->name, name);
    return &t->sums;
}

void usage_add(struct usage *u, const struct event_decided *d, const struct meter_sums *delta)
{
    meter_sums_add(&u->model[d->arm], delta);
    if (u->most > 0)
        meter_sums_add(of_tenant(u, d->labels.tenant), delta);
}
