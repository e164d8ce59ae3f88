/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CLI_CLI_IMPORT_MODELS_H
#define PURSER_TRANSPORT_CLI_CLI_IMPORT_MODELS_H

#include "transport/cli/cli_import.h"

/* A run of `purser models import`: what was asked, what was read, what comes of it. */
struct import {
    struct cli *cli;
    const char *path, *models, *match, *provider, *into, *tier, *reason;
    char as_of[16];
    bool apply, add, free_too, json;
    struct price_list list;
    int usable; /* rows of it that are wanted and have prices */
    struct import_report report;
    struct import_file file; /* the configuration that is changed; zeroes if there is none */
    json_t *there, *tiers;   /* its models and tiers, or the service's */
    json_t *map;             /* name in the list -> name here */
    json_t *changed;         /* new and changed models */
    json_t *told;            /* what was changed, for people and programs */
};

/* import_choose marks the rows that are wanted and reads their prices; import_merge makes of them
 * new and changed models. Both tell what stands against it.
 * import_choose: false without memory. */
MUST_CHECK bool import_choose(struct import *im);
void import_merge(struct import *im);
/* import_find_model gives (borrowed) the model of that name, NULL if there is none. */
json_t *import_find_model(const json_t *models, const char *name);
/* import_model_index gives its place, the number of models if there is none. */
size_t import_model_index(const json_t *models, const char *name);

#endif
