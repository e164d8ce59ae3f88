/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_METRICS_COMMAND_H
#define PURSER_SIM_METRICS_COMMAND_H

/* purser-sim metrics, which has options of its own; argv[0] is the command. Gives the exit status.
 */
int metrics_command(int argc, char **argv);

#endif
