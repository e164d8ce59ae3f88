/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_ALERT_H
#define PURSER_TRANSPORT_ALERT_H

#include <stdbool.h>
#include <stdint.h>
#include "core/budget/pool_spec.h"
#include "core/encoding/text.h"

/*
 * What somebody should know at once: one line in the process log and one to everybody who reads
 * events, when what brought it about is durable. An alert is told when something begins or ends,
 * not for each request that meets it. Loop thread.
 */
enum alert_kind {
    ALERT_POOL_SOFT,      /* above the soft limit */
    ALERT_POOL_EXHAUSTED, /* a request was refused for want of room */
    ALERT_POOL_OVERRUN,   /* a decision of a strict pool cost more than the worst case */
    ALERT_FUSE_TRIPPED,
    ALERT_FUSE_RESET,
    ALERT_KILL_ON,
    ALERT_KILL_OFF,
    ALERT_UNPRICED,     /* a model that may be chosen has no prices */
    ALERT_COST_UNKNOWN, /* and nobody reports what it costs */
    ALERT_INVOICE_DRIFT,
    ALERT_INVOICE_AGREES,
    ALERT_REPORTS_UNLIKE, /* a tenant's reports have parted from what they were */
    ALERT_REPORTS_AGREE,
    ALERT_HULL_TRIPPED,
    ALERT_HULL_RETURNED,
    ALERT_KINDS
};

struct alert {
    enum alert_kind kind;
    uint64_t seq; /* the engine's last record then */
    int64_t time_ms;
    char name[NAME_CAP];  /* pool or model; "" = the policy */
    char value[NAME_CAP]; /* of a pool's `each` label, "" without; the tenant of reports */
    enum pool_unit unit;
    int64_t used, cap, missing; /* pools; cap -1 = none */
    int64_t count;              /* overruns, trips, labels, so far */
    double ratio, tolerance;    /* invoices; ratio: by how much reports have moved */
    bool odd;                   /* of reports: not in quality, in the share of those far off */
    double lower, upper;        /* hull */
};

enum {
    ALERTS_MOST = 64, /* in one batch; more are counted */
    ALERTS_KEPT = 16, /* the last ones, to show */
    ALERT_BYTES = 1024
};

/* Those of one batch. */
struct alert_queue {
    int n;
    int64_t lost; /* that found no room */
    struct alert at[ALERTS_MOST];
};
/* Those told since the start. */
struct alert_past {
    int64_t told[ALERT_KINDS], lost;
    struct alert at[ALERTS_KEPT]; /* a ring */
};

/* alert_add gives a place in the queue, zeroed but for what is said; what finds none goes to a
 * place that is not told. */
struct alert *alert_add(struct alert_queue *q, enum alert_kind kind, const char *name, uint64_t seq,
                        int64_t time_ms);
const char *alert_name(enum alert_kind kind);
/* alert_describe writes one as a line of JSON, alert_log one to the process log. */
void alert_describe(const struct alert *a, struct text *out);
void alert_log(const struct alert *a);
/* alert_told remembers one. alert_past_put writes the kept ones, oldest first, as members of an
 * object. */
void alert_told(struct alert_past *past, const struct alert *a);
void alert_past_put(const struct alert_past *past, struct text *out);

#endif
