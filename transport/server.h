/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_SERVER_H
#define PURSER_TRANSPORT_SERVER_H

#include "core/config/config.h"
#include "core/status.h"

/* Exit codes of purserd (sysexits.h where it has a word for it). */
enum {
    EXIT_CODE_OK = 0,
    EXIT_CODE_USAGE = 64,    /* command line */
    EXIT_CODE_FAILED = 70,   /* a commit failed, or an internal error: restart folds from disk */
    EXIT_CODE_NO_STORE = 73, /* the store cannot be opened or created */
    EXIT_CODE_IO = 74,    /* the store is damaged, or was still full when the service had to stop */
    EXIT_CODE_CONFIG = 78 /* configuration file, or an address that cannot be used */
};

struct server_options {
    const char *config_path;
    const char *data_dir; /* overrides the configuration; NULL = as configured */
};

/* server_load reads and checks a configuration file; hash identifies its content. */
MUST_CHECK enum status server_load(const char *path, struct params *params,
                                   struct settings *settings, uint64_t *hash,
                                   struct problem *problem);
/* server_run serves until told to stop by a signal and gives the exit code. With an NNG that may
 * hang in nng_close (before 1.7.3) it ends the process itself once everything is safe. */
int server_run(const struct server_options *options);

#endif
