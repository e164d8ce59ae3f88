/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPTIONS_H
#define PURSER_SIM_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>
#include "sim/play/flight.h"
#include "sim/replay/change.h"

/* The command line of purser-sim, parsed. Strings are borrowed from argv. */
/* EXIT_GATE: of ope and whatif, what was asked about may not take over, and why was told. */
enum { EXIT_USAGE = 2, EXIT_GATE = 3, SETS_MAX = 64 };

struct options {
    const char *dir, *scenario, *learn_from, *out, *config, *policy, *features, *choices, *lens;
    const char *history, *policies, *budgets, *csv, *resume; /* of compare; NULL = default */
    const char *store, *without_source, *without_tenant, *without_batch, *until; /* of refold */
    const char *weights, *prices, *withdraw; /* of whatif; prices also of CSV tables */
    const char *trace;                       /* of replay */
    const char *jsonl;                       /* of run and replay */
    long long max_output_tokens;
    const char *write; /* of tune */
    double days;       /* 0 = the whole log */
    const char *set[SETS_MAX];
    int n_sets;
    struct change change[CHANGES_MAX];
    int n_changes;
    bool given_order;
    double split, budget; /* budget < 0: as configured */
    bool values;          /* the scenario's */
    bool check;           /* of run: the experiment is read and not played */
    bool full_history, cold, json, progress, labels;
    bool full_speed; /* over a store: no service has to be spared */
    bool seeds_given, seed_given, rows_given;
    bool own; /* DIR/purser.json, if there is one, belongs to the table */
    struct delay delay;
    long long seeds, first_seed, workers, trials, rows, scenario_seed, monthly, dims, clusters,
        buckets;
    double whiten;
    int shard, shards; /* of run: shard of shards, from 1; 0 of 0 = all of it */
};

/* options_read fills o (set to its defaults first). Gives -1 to go on, else the exit status. */
int options_read(int argc, char **argv, struct options *o);
/* options_refuse says on stderr what is wrong and gives the exit status. */
int options_refuse(const char *what, const char *value);

#endif
