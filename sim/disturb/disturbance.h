/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_DISTURB_DISTURBANCE_H
#define PURSER_SIM_DISTURB_DISTURBANCE_H

#include <stdbool.h>
#include <stdint.h>
#include "core/encoding/json.h"
#include "sim/tables/table.h"

/*
 * What happens to a world while it is played. A disturbance is a kind and its knobs; an experiment
 * has a list of them, applied one after another. Three places are touched: the course (what models
 * do, who asks, when: course.h), the channel (what is heard of it: channel.h), and the router's own
 * host (restarts, memory: sim/play/play.h). Times are shares of the counted requests, so an
 * experiment keeps its meaning at another length.
 */
enum disturbance_kind {
    /* of the course */
    DISTURB_DRIFT,      /* models do what their neighbours did */
    DISTURB_REGRESSION, /* one model's mean quality shifts, its spread stays */
    DISTURB_PRICE,      /* list prices change, and are announced */
    DISTURB_OUTAGE,     /* calls fail, the others are slow */
    DISTURB_ABSENT,     /* a model cannot be had: not yet, or no more */
    DISTURB_TOKENS,     /* heavy tails of answer lengths */
    DISTURB_TENANTS,    /* requests belong to tenants, few of which send most */
    DISTURB_ARRIVALS,   /* requests come faster by day than by night */
    /* of the channel */
    DISTURB_DELAY,   /* feedback is late */
    DISTURB_MISSING, /* quality is not told */
    DISTURB_REPEAT,  /* feedback comes twice, late and out of order */
    DISTURB_JUDGE,   /* quality is told with noise and a growing bias */
    DISTURB_POISON,  /* one tenant, or a share of reports, tells the opposite */
    /* of the host */
    DISTURB_RESTART, /* the router is stopped and started */
    DISTURB_MEMORY,  /* few open decisions are remembered, and no store has the others */
    DISTURB_KINDS
};

enum drift_shape { DRIFT_ABRUPT, DRIFT_GRADUAL, DRIFT_SEASONAL, DRIFT_ALTERNATING };
enum delay_law { DELAY_FIXED, DELAY_EXPONENTIAL, DELAY_LOGNORMAL, DELAY_REWARD, DELAY_BATCH };

struct disturbance {
    enum disturbance_kind kind;
    int model;        /* of the table; -1 = all */
    double at, until; /* shares of the counted requests, [0,1] */
    char name[NAME_CAP], form[NAME_CAP], tenant[NAME_CAP]; /* as written; tenant "" = all */
    enum drift_shape shape;
    enum delay_law law;
    double over;      /* drift: length of the transition, or a period; share of the requests */
    double weight;    /* drift: most that is taken over, [0,1] */
    int64_t turn;     /* drift: how many models on, >= 1 */
    double shift;     /* regression: added to the mean; judge: bias at the end */
    double factor;    /* price; outage: of the latency of calls that do not fail */
    double share;     /* outage, missing, repeat, poison: of calls or reports, [0,1] */
    double tail;      /* tokens: Pareto index, > 1: lengths are multiplied, by 1 on average */
    int64_t n;        /* tenants; open decisions */
    double skew;      /* tenants: exponent of Zipf's law */
    int64_t day;      /* arrivals: requests in one */
    double swing;     /* arrivals: rate between 1 - swing and 1 + swing of the mean, [0,1) */
    double gap_s;     /* arrivals: mean seconds between requests */
    int64_t mean;     /* delay, repeat: requests */
    double spread;    /* delay, lognormal: deviation of the logarithm; reward: 0 .. 1 */
    double noise;     /* judge: half width */
    double low, high; /* missing: only qualities within [low, high] are lost */
    bool keep;        /* restart: from disk; false: it has forgotten everything */
};
enum { DISTURBANCES_MAX = 16, TENANTS_MAX = 1000, DISTURBED_DELAY_MAX = 1000000 };

struct disturbances {
    int n;
    struct disturbance item[DISTURBANCES_MAX];
};

/* disturbances_read reads an array (NULL: none), strictly, each object by the fields of its "kind";
 * models are those of the table. */
MUST_CHECK enum status disturbances_read(const json_t *v, const struct json_at *at,
                                         const struct table *t, struct disturbances *out,
                                         struct problem *problem);

/* disturbance_name gives the word for a kind. */
const char *disturbance_name(enum disturbance_kind kind);
/* disturbance_on tells whether it is in force at request i of n. */
bool disturbance_on(const struct disturbance *d, size_t i, size_t n);
/* disturbance_at gives the request at a share of n. */
size_t disturbance_at(double share, size_t n);

/* disturbance_schema writes a JSON Schema of each kind, a comma between. */
struct text;
void disturbance_schema(struct text *out);

#endif
