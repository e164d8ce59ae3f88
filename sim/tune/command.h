/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_TUNE_COMMAND_H
#define PURSER_SIM_TUNE_COMMAND_H

#include "core/config/params.h"
#include "sim/options.h"
#include "sim/tables/table.h"

/* tune_table_command tunes params on a table, tune_store_command those in force in a store. Both
 * give the exit status: EXIT_GATE when nothing is better. */
int tune_table_command(const struct options *o, const struct table *t, const struct params *p);
int tune_store_command(const struct options *o);

#endif
