/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_REFOLD_REFOLD_COMMAND_H
#define PURSER_SIM_REFOLD_REFOLD_COMMAND_H

#include "sim/options.h"

/* refold_command does `purser-sim refold` and gives the exit status. */
int refold_command(const struct options *o);

#endif
