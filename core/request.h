/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_REQUEST_H
#define PURSER_CORE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/limits.h"

/* Who and what a request is for: kept with the decision, so bounded and copied. */
struct labels {
    char tenant[NAME_CAP], task[NAME_CAP], domain[NAME_CAP], user_tier[NAME_CAP], group[NAME_CAP],
        session[NAME_CAP], user[NAME_CAP], outcome[NAME_CAP]; /* of business, declared: what is at
                                                                stake */
};

struct named_feature {
    char name[NAME_CAP];
    double value;  /* numbers, and 0/1 for booleans; 1 for strings, whose text is part of the name
                      hash */
    uint64_t hash; /* of name, or of name=text for strings */
};

/* Which attempt at a request this is; all zeros for the first. */
struct attempt {
    uint64_t from;   /* sequence number of the decision whose answer was found wanting */
    uint8_t tier;    /* of the model that it chose: this one chooses above */
    uint8_t earlier; /* attempts before this one, counted up to 255 */
};

/* What a decision id says; the code is checked by whoever has the key. */
struct decision_ref {
    uint32_t epoch;
    uint64_t seq, mac;
};

/* A decoded route request. Strings marked "borrowed" live as long as the message they came from. */
struct request {
    char request_id[NAME_CAP]; /* "" = none: not idempotent */
    struct labels labels;
    uint64_t digest;    /* of all fields: the same request_id with another digest is a conflict */
    const char *prompt; /* borrowed, UTF-8, NULL = none */
    size_t prompt_len;
    int n_features, n_embedding;
    int64_t prompt_tokens;     /* -1 = not said: estimated from the prompt's bytes */
    int64_t cached_tokens;     /* 0 if not said */
    int64_t max_output_tokens; /* 0 = not said */
    double value;              /* multiplier of the quality term; 0 = not said: the tables decide */
    struct {
        int n_allow, n_deny, n_needs;
        const char *allow[MODELS_MAX], *deny[MODELS_MAX], *needs[NEEDS_MAX]; /* borrowed */
        char min_tier[NAME_CAP];                                             /* "" = none */
        double min_quality;                                                  /* 0 = none */
        double max_cost_usd;                                                 /* 0 = none */
        double max_latency_ms;                                               /* 0 = none */
    } constraints;
    bool batch; /* answered at batch prices */
    bool explain, dry_run;
    struct decision_ref escalates; /* of an escalation; seq 0 = none */
    struct attempt attempt;        /* filled by router_escalate */
    /* Behind here only as many entries as are counted before have a meaning. */
    struct named_feature feature[FEATURES_MAX];
    float embedding[EMBEDDING_MAX];
};

/* What a feedback message says. A field is present when its bit is set in `has`. */
enum feedback_field {
    FB_QUALITY = 1,
    FB_PROMPT_TOKENS = 2,
    FB_CACHED_TOKENS = 4,
    FB_OUTPUT_TOKENS = 8,
    FB_COST = 16,
    FB_LATENCY = 32,
    FB_FAILED = 64,
    FB_REASONING_TOKENS = 128
};

/* Reserved sources, not for callers: of the labels that stand for missing ones, and of those that
 * an escalation gives the decision that it comes from. */
#define SILENCE_SOURCE "silence"
#define ESCALATION_SOURCE "escalation"

struct feedback {
    uint32_t epoch; /* of the decision id, MAC already checked by decision_id_parse */
    uint64_t seq;
    uint64_t mac;
    char feedback_id[NAME_CAP]; /* "" = identified by its content */
    char source[NAME_CAP];      /* "" = "default" */
    uint64_t digest;            /* of all fields */
    unsigned has;               /* bits of enum feedback_field */
    bool retract; /* take back what this source said (of `has`, or all if none is set) */
    bool failed;
    int64_t version; /* -1 = order of arrival */
    int64_t attempt;
    double quality;                                      /* [0,1] */
    int64_t prompt_tokens, cached_tokens, output_tokens; /* >= 0 */
    int64_t reasoning_tokens;                            /* of output_tokens */
    int64_t cost_nano;                                   /* nanodollars, >= 0 */
    double latency_ms;                                   /* >= 0 */
};

/* The answer to feedback. */
enum feedback_result {
    FEEDBACK_APPLIED,
    FEEDBACK_AMENDED,
    FEEDBACK_RETRACTED,
    FEEDBACK_SUPERSEDED,
    FEEDBACK_DUPLICATE,
    FEEDBACK_LATE
};

#endif
