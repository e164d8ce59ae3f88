/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_LENS_LENS_COMMAND_H
#define PURSER_SIM_LENS_LENS_COMMAND_H

#include <stdbool.h>
#include "core/features/lens.h"
#include "sim/lens/lens_fit.h"

/* What `purser-sim lens fit` is asked for. Borrowed. */
struct lens_command {
    char **path;
    int n_paths;
    const char *out; /* file to write; NULL = only tell */
    double split;    /* rows whose id does not hash below it are held out; 0 = none */
    struct lens_fit fit;
    bool json;
};

/* lens_command_run reads, learns, writes and tells; lens_read reads a lens file (gives *bytes and
 * n: free). */
MUST_CHECK enum status lens_command_run(const struct lens_command *command,
                                        struct problem *problem);
MUST_CHECK enum status lens_read(const char *path, uint8_t **bytes, size_t *n,
                                 struct problem *problem);

#endif
