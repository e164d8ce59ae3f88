/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_WORLD_WORLD_H
#define PURSER_SIM_WORLD_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include "bandit/rng.h"
#include "core/encoding/json.h"
#include "core/encoding/text.h"
#include "sim/tables/table.h"

/*
 * Synthetic worlds: requests and every model's outcome from a specification, with the true mean of
 * each outcome. A row is a function of (specification, index) alone.
 */
enum {
    WORLD_CLUSTERS_MAX = 64,
    WORLD_LATENTS_MAX = 16,
    WORLD_ROWS_MAX = 1000000,
    WORLD_WORDS_MAX = 512 /* of a prompt */
};

struct world_model {
    char name[NAME_CAP], tier[NAME_CAP];
    double usd_in, usd_out;          /* per million tokens */
    double output_tokens;            /* of a typical answer */
    double latency_ms, ms_per_token; /* until an answer begins, and each token; both 0 = not told */
    double intercept;                /* of latents: quality = intercept + weights.z + squares.z^2 */
    double weight[WORLD_LATENTS_MAX], square[WORLD_LATENTS_MAX];
};

struct world_cluster {
    char name[NAME_CAP];
    char group[NAME_CAP];       /* of people who ask this, "" = not told */
    double share;               /* of requests, relative to the others */
    double length;              /* of answers, relative to the models' output_tokens */
    double quality[MODELS_MAX]; /* mean, by model */
};

struct world_spec {
    char family[NAME_CAP];
    int64_t seed, requests;
    bool declared;                    /* the cluster's name goes along as the request's task */
    bool bernoulli;                   /* outcomes are 0 or 1 with the mean as probability */
    double noise;                     /* half width of graded outcomes around their mean */
    int64_t prompt_words, vocabulary; /* words in a mean prompt, in a vocabulary */
    double topical;                   /* share of words that tell what a request is about */
    double context_tokens;            /* sent along with each prompt */
    double tokens_spread;             /* deviation of the logarithm of answer lengths */
    int n_models, n_clusters;
    int64_t latents;
    struct world_model model[MODELS_MAX];
    struct world_cluster cluster[WORLD_CLUSTERS_MAX];
};

struct world {
    struct table table;
    double *mean;     /* true mean quality, laid out as table.q */
    int16_t *cluster; /* of each row, index in the specification; -1 = none */
};

/* world_read reads an object over the defaults, or over the world its "base" names (looked for in
 * folder `near`). Strict, with JSON paths below at. spec is written only on OK. */
MUST_CHECK enum status world_read(json_t *object, const struct json_at *at, const char *near,
                                  struct world_spec *spec, struct problem *problem);
/* world_load finds and reads a specification by name or path; problems name the file. */
MUST_CHECK enum status world_load(const char *name, const char *near, struct world_spec *spec,
                                  struct problem *problem);
/* world_make generates spec->requests rows and `more` behind them. The caller frees with
 * world_free. */
MUST_CHECK enum status world_make(const struct world_spec *spec, size_t more, struct world *out,
                                  struct problem *problem);
void world_free(struct world *w);
/* world_outcome gives what a model makes of a row when its mean is another: the same luck. */
double world_outcome(const struct world_spec *spec, size_t row, int m, double mean);

/* A request before anybody answers it. */
struct world_request {
    const char *task; /* declared, "" = none; borrowed from the spec */
    int cluster;      /* -1 = none */
    double length;    /* of answers, relative */
    double mean[MODELS_MAX];
};
/* A family of worlds: how it is checked, and how a request comes about. */
struct world_family {
    const char *name;
    /* refuses what the family cannot use or lacks */
    enum status (*check)(const struct world_spec *s, const struct json_at *at, struct problem *p);
    /* writes the prompt's text and what models make of it, drawing from rng alone */
    void (*draw)(const struct world_spec *s, struct rng *rng, struct text *prompt,
                 struct world_request *out);
};
/* world_family gives the family of a name, NULL if there is none; world_family_at the i-th. */
const struct world_family *world_family(const char *name);
const struct world_family *world_family_at(int i);

/* world_schema writes the members of a JSON Schema of specifications. */
struct text;
void world_schema(struct text *out);

#endif
