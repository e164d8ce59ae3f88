/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SETUP_H
#define PURSER_SIM_SETUP_H

#include "core/config/params.h"
#include "core/status.h"
#include "sim/tables/table.h"

/*
 * From a table and the command line to the engine's params. Each function patches params in place,
 * through config_patch, and leaves them unchanged on error.
 */
/* setup_pool makes the table's models the catalog, in tiers: their own, or by price. */
MUST_CHECK enum status setup_pool(struct params *p, const struct table *t, struct problem *problem);
/* setup_file patches with a configuration file, whole or in part; what only the service reads
 * (listen, store, limits) is passed over. */
MUST_CHECK enum status setup_file(struct params *p, const char *path, struct problem *problem);
/* setup_text patches with a document in memory. */
MUST_CHECK enum status setup_text(struct params *p, const char *json, struct problem *problem);
/* setup_set patches with one "a.b=VALUE"; VALUE is JSON, or else taken as a string. */
MUST_CHECK enum status setup_set(struct params *p, const char *assignment, struct problem *problem);
/* setup_features uses exactly the named blocks: a comma list of declared, text (which includes
 * shape), shape and lens, or "none". */
MUST_CHECK enum status setup_features(struct params *p, const char *list, struct problem *problem);
/* setup_check refuses params whose active models are not exactly the table's. */
MUST_CHECK enum status setup_check(const struct params *p, const struct table *t,
                                   struct problem *problem);

#endif
