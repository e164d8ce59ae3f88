/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPE_COMMAND_H
#define PURSER_SIM_OPE_COMMAND_H

/* purser-sim ope and purser-sim convert, which have options of their own; argv[0] is the command.
 * They give the exit status; of ope 3 says that the gate does not let the target through. */
int ope_command(int argc, char **argv);
int convert_command(int argc, char **argv);

#endif
