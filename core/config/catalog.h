/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_CONFIG_CATALOG_H
#define PURSER_CORE_CONFIG_CATALOG_H

#include <stdbool.h>
#include <stdint.h>
#include "core/limits.h"

/* What tokens cost, picodollars each (1 USD per million tokens = 1,000,000). Reasoning tokens are
 * part of the output tokens. */
struct rates {
    int64_t in, cached, out, reasoning;
};
/* Prices that will be in force from a moment on. */
struct repricing {
    int64_t from_ms; /* Unix milliseconds */
    struct rates price, batch;
};

/*
 * The models that can be chosen. A model keeps its slot for the life of a store, so learned state
 * follows names, not positions; a model that leaves the configuration is retired, not removed.
 */
struct model {
    char name[NAME_CAP];
    int tier;                  /* index into tiers, 0 = smallest */
    bool active;               /* may be chosen */
    bool free;                 /* prices of 0 are meant */
    struct rates price, batch; /* in force; batch: of requests that declare it */
    int n_later;
    struct repricing later[REPRICINGS_MAX]; /* to come, ascending */
    int64_t context_tokens;                 /* input + output limit; 0 = none */
    uint32_t needs;                         /* capabilities it has, as bits of catalog.needs */
    double typical_quality;                 /* prior mean of quality, [0,1]; < 0: by price */
    double typical_output_tokens;           /* prior mean */
    double typical_latency_ms;              /* prior mean */
};

struct catalog {
    int n; /* slots in use */
    int n_tiers;
    int n_needs;
    struct model model[MODELS_MAX];
    char tier[TIERS_MAX][NAME_CAP];
    char need[NEEDS_MAX][NAME_CAP];
};

/* catalog_find gives the slot of a model, -1 if there is none; likewise for tiers and capabilities.
 */
int catalog_find(const struct catalog *c, const char *name);
int catalog_tier(const struct catalog *c, const char *name);
int catalog_need(const struct catalog *c, const char *name);

/* catalog_merge brings the configured catalog into the one in force: known names keep their slots
 * and take the new prices, unknown ones get the next free slot, absent ones become inactive. False
 * when there are more than MODELS_MAX names in all; into is then unchanged. */
bool catalog_merge(struct catalog *into, const struct catalog *configured);

/* model_rates gives the prices of a request. model_unpriced tells whether it has none and nobody
 * said that it is free: what it costs is then not known. */
const struct rates *model_rates(const struct model *m, bool batch);
bool model_unpriced(const struct model *m);

/* catalog_has_news tells whether a model can be chosen that could not be before, or for another
 * price. */
bool catalog_has_news(const struct catalog *now, const struct catalog *was);

/* catalog_next_ms gives when the next prices take effect, INT64_MAX when none are to come.
 * catalog_reprice puts those in force that are due at now_ms; false when none were. */
int64_t catalog_next_ms(const struct catalog *c);
bool catalog_reprice(struct catalog *c, int64_t now_ms);

/* model_cost_nano gives the price of a call in nanodollars, rounded half up once; saturates at
 * INT64_MAX. */
int64_t model_cost_nano(const struct model *m, int64_t input_tokens, int64_t cached_tokens,
                        int64_t output_tokens);

#endif
