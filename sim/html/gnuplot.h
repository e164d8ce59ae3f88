/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_HTML_GNUPLOT_H
#define PURSER_SIM_HTML_GNUPLOT_H

#include <stddef.h>
#include "core/status.h"

/* gnuplot_run gives what the program wrote for a script (*out, zero-terminated; the caller frees).
 * It is started as a child without a shell and without anybody's start-up files. A problem names
 * the package when there is no such program, and what it said when it failed. */
MUST_CHECK enum status gnuplot_run(const char *script, size_t len, char **out,
                                   struct problem *problem);

#endif
