/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_USAGE_H
#define PURSER_TRANSPORT_USAGE_H

#include "core/meter/meter.h"

/* What was metered since the start of the process, for /metrics: by model, and by tenant for as
 * many as are asked for. What the store keeps is in store/rollup.h. */
enum { USAGE_TENANTS_MAX = 256 };

struct usage {
    struct meter_sums model[MODELS_MAX]; /* by catalog slot */
    int most, tenants;                   /* tenants told apart: at most, and now */
    struct usage_tenant {
        uint64_t hash;
        char name[NAME_CAP];
        struct meter_sums sums;
    } tenant[USAGE_TENANTS_MAX];
    struct meter_sums others; /* tenants beyond these; nothing while most is 0 */
};

/* usage_add counts what a message added to the sums of a decision. */
void usage_add(struct usage *u, const struct event_decided *d, const struct meter_sums *delta);

#endif
