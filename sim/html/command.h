/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_HTML_COMMAND_H
#define PURSER_SIM_HTML_COMMAND_H

/* report_command is `purser-sim report`: argv[0] is its name. Gives the exit status. */
int report_command(int argc, char **argv);

#endif
