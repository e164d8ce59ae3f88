/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_COMMANDS_H
#define PURSER_SIM_COMMANDS_H

#include "core/status.h"
#include "sim/options.h"
#include "sim/run/crew.h"

/* Commands of purser-sim that play experiments and scenarios, and what all commands share. Each
 * gives the exit status. */

/* command_sheets says where rows go: a folder, or nowhere. */
struct sheet_place command_sheets(const struct options *o);
/* command_run plays an experiment, or (journal not NULL) merges n journals of its shards. */
int command_run(const struct options *o, const char *experiment, char **journal, int n);
/* command_scenario plays a shipped scenario, or lists them. */
int command_scenario(const struct options *o, const char *name);

/* command_crew gives the processes asked for, with progress where somebody looks. */
struct crew command_crew(const struct options *o);
/* command_memory has the trees of JSON end the program when there is no memory for them: a member
 * that is missing would be a wrong answer that looks right. */
void command_memory(void);
/* command_fail says what went wrong. */
int command_fail(const struct problem *p);

#endif
