/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPTIONS_SETUP_H
#define PURSER_SIM_OPTIONS_SETUP_H

#include "core/config/params.h"
#include "sim/options.h"
#include "sim/tables/table.h"

/* From the command line to what is played. */

/* options_table gives the table of a scenario, a folder or a CSV file; the caller frees it. */
MUST_CHECK enum status options_table(const struct options *o, struct table *t,
                                     struct problem *problem);
/* options_params gives the defaults, patched with the pool, the scenario's rules, the file, the
 * sets and the named options, in this order. */
MUST_CHECK enum status options_params(const struct options *o, const struct table *t,
                                      struct params *p, struct problem *problem);

#endif
