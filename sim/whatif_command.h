/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_WHATIF_COMMAND_H
#define PURSER_SIM_WHATIF_COMMAND_H

#include "sim/options.h"

/* whatif_command is `purser-sim whatif`: gives the exit status. */
int whatif_command(const struct options *o);

#endif
