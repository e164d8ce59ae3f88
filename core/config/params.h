/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_CONFIG_PARAMS_H
#define PURSER_CORE_CONFIG_PARAMS_H

#include <stdbool.h>
#include <stdint.h>
#include "core/budget/pool_spec.h"
#include "core/config/catalog.h"
#include "core/learn/learners.h"
#include "core/limits.h"
#include "core/router/value.h"

/* Reward weights: utility = quality*value*q - cost*c/scale - latency*l/latency_scale - failure*p.
 */
struct objective {
    double quality;          /* >= 0 */
    double cost;             /* quality points one gives for the price of the dearest model */
    double latency;          /* quality points per latency_scale_ms */
    double failure;          /* quality points for a certain failure */
    double latency_scale_ms; /* > 0 */
    double cost_scale_usd;   /* 0 = automatic: running mean of the dearest model's predicted cost */
};

/* How a model is chosen when what is predicted is known. */
struct policy_settings {
    char name[NAME_CAP];  /* one of bandit/policy/policy.c */
    char model[NAME_CAP]; /* for fixed: the model; "" = the dearest */
    bool apprentice;      /* serve the baseline, note what the policy would have done */
    double width;         /* scale of posterior deviations in lints and bag */
    double floor;         /* exploration mass at the start, [0,1] */
    double floor_scale;   /* c: mass = min(floor, c/sqrt(labels)), not below floor_min */
    double floor_min;
    double gamma;       /* igw: factor of sqrt(labels) */
    double beta;        /* linucb, regcb_*: deviations in a confidence bound */
    double temperature; /* softmax: points of quality; 0 = 5% to the lesser models */
    int64_t first;      /* first: labels until it turns greedy */
    int64_t heads;      /* bag: posterior draws */
};

/* A keyword rule: every condition that is set must hold. The first that matches and names a model
 * or a tier is what the policy `rules` goes by; those that set the least tier bind any policy. */
struct rule {
    char words[8][NAME_CAP]; /* any of these in the prompt (ASCII case ignored, whole words) */
    int n_words;
    char task[NAME_CAP]; /* "" = any */
    char domain[NAME_CAP];
    char user_tier[NAME_CAP];
    int64_t min_prompt_tokens; /* 0 = any */
    char model[NAME_CAP];      /* either a model ... */
    int tier;                  /* ... or a tier (its cheapest model); -1 = unset */
    int min_tier;              /* ... or the lowest tier that may be served; -1 = unset */
};

/* What it means when nobody reports a decision's quality: of a list of these the first whose
 * conditions hold. */
struct silence {
    char task[NAME_CAP]; /* "" = any */
    char tenant[NAME_CAP];
    double quality;     /* [0,1] */
    double after_hours; /* from the decision */
};

/*
 * Everything that shapes the engine's behaviour: the part of the configuration that is logged, so
 * that replay sees what the engine saw. Field table with bounds and defaults: config.c.
 */
struct params {
    struct catalog catalog;
    struct {
        int64_t keys; /* distinct combinations of labels metered in an hour; beyond: "other" */
    } meter;
    struct objective objective;
    struct policy_settings policy;
    struct {
        double share; /* of requests that the settings below decide, on trial; 0 = none */
        struct objective objective;
        struct policy_settings policy;
        double quality_margin; /* quality points that it may be worse by */
        int64_t decisions;     /* until it is given up for want of a verdict */
    } canary;
    struct {
        double half_life_hours;    /* of evidence; 0 = no forgetting */
        double precision_bias;     /* prior precision of the bias weight */
        double precision_shape;    /* of shape features */
        double precision_declared; /* of declared task, domain, tier features */
        double precision_text;     /* of hashed text features */
        double precision_lens;     /* of what a lens says of the text */
        double precision_caller;   /* of the caller's own features and embedding */
        int64_t refresh_labels;    /* labels of a model and target between refreshes */
        int64_t pool_labels;       /* labels between re-estimates of the shared prior; 0 = never */
        double join_window_hours;  /* feedback later than this is answered `late` */
        double drift_slack;        /* deviations that residuals may lie off without alarm */
        double drift_threshold;    /* summed deviations that raise the alarm; 0 = never */
        double drift_keep;         /* what older evidence counts after an alarm, (0,1] */
        double quota;              /* exploration share of new and changed models */
        int64_t quota_labels;      /* labels until a model is no longer new */
        bool frozen;               /* labels are kept, not learned, until this is false again */
        double quota_spend;        /* most of all spending that such exploration may be */
        double most_off;     /* factor of its prediction that a report counts within; 0 = any */
        double tenant_share; /* of recent decisions: a tenant above it weighs less; 1 = off */
    } learner;
    struct learner_list learners; /* of tenants; the merged list: slots never move */
    struct {
        int64_t dim_declared, dim_text, dim_caller; /* entries of x per block */
        bool declared, text, shape, lens, caller;   /* blocks in use */
    } features;
    struct rule rule[RULES_MAX];
    int n_rules;
    struct silence silence[SILENCE_MAX];
    int n_silence;
    struct {
        double quality; /* label of a decision that is escalated, while no report has another */
        double share;   /* of wanting answers that are escalated: what a choice looks ahead to */
    } escalation;
    struct value_tables value;
    struct {
        int64_t most;      /* sessions remembered; 0 = requests of a session are like others */
        double inertia;    /* utility that another model must have more */
        double deviations; /* and of the difference, beyond that */
    } session;
    struct {
        double usd_per_request; /* 0 = no pacing: average spend that the pacer holds */
        double throttle;        /* below this value requests may be put off for it; 0 = none */
        int64_t expire_after_s; /* until a reservation counts as spent without a report */
    } budget;
    struct pool_config pools;
    struct {
        double alpha;       /* quality may fall this share below the baseline's; 0 = no guard */
        bool hull;          /* never serve what evidence puts below the static hull: hull_guard.h */
        double hull_margin; /* quality points below it that are borne */
        double hull_near;   /* below that: the policy comes back when shown to be no worse */
        double hull_control; /* of the policy's decisions, at most, made by the mix */
        double hull_trial;   /* and by the policy while the mix is served */
    } guard;
    struct {
        char ignore[IGNORE_SOURCES_MAX][NAME_CAP]; /* sources whose labels are refused */
        int n_ignore;
    } feedback;
    struct {
        char dimension[NAME_CAP]; /* label by which outcomes are told apart: group, tenant, ... */
        double quality_floor;     /* mean quality that a change must leave each; 0 = none */
        double max_gap;           /* most that two may differ by; 1 = any */
    } fairness;
    char baseline[NAME_CAP]; /* model that savings are told against; "" = the dearest */
};

#endif
