/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPE_CONVERT_H
#define PURSER_SIM_OPE_CONVERT_H

#include <stdio.h>
#include "sim/ope/read.h"

/* The command `purser-sim convert`; gives the exit status. */
int convert_command(int argc, char **argv);

/* convert_write writes rows in a format: what ope_read reads back (docs/ope.md says what a format
 * cannot hold). obp: of CSV, the columns of Open Bandit Pipeline. */
MUST_CHECK enum status convert_write(const struct ope_rows *r, enum ope_format format, bool obp,
                                     FILE *f, struct problem *problem);

#endif
