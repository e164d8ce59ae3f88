/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SCENARIO_CASCADE_WORLD_H
#define PURSER_SIM_SCENARIO_CASCADE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Documents of a law firm, to be summarised by one of three models. Each has an outcome under every
 * model, and a checker looks at what it got: whether a summary is sound is plain after the fact
 * more often than not, but not always.
 */
enum { CASCADE_MODELS = 3, CASCADE_LARGE = CASCADE_MODELS - 1, CASCADE_PROMPT_CAP = 512 };

struct cascade_answer {
    double quality;    /* graded, [0,1] */
    bool flagged;      /* by the checker: found wanting */
    int64_t cost_nano; /* nanodollars */
    int32_t out;       /* tokens */
    double latency_ms;
};

struct cascade_document {
    const char *kind;                /* borrowed for good */
    char prompt[CASCADE_PROMPT_CAP]; /* its head: kind, pages, clauses */
    int32_t tokens;                  /* of the whole document */
    int risky;                       /* clauses that a scan for words finds risky */
    struct cascade_answer answer[CASCADE_MODELS];
};

/* cascade_document gives document i of a seed: the same on every call. */
void cascade_document(uint64_t seed, size_t i, struct cascade_document *out);
/* cascade_config gives the configuration of a service for them, as a document. Models are in the
 * order of the answers. */
const char *cascade_config(void);
/* cascade_model gives a model's name. */
const char *cascade_model(int m);

#endif
