/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_RUN_CREW_H
#define PURSER_SIM_RUN_CREW_H

#include <stddef.h>
#include "core/status.h"

/* A job writes its result (size bytes, zeroed before) for index i. It must depend on ctx and i
 * alone: it may run in another process. */
typedef void (*crew_job)(void *ctx, int i, void *result);
typedef void (*crew_progress)(void *ctx, int done, int jobs);

struct crew {
    int workers;            /* processes, >= 1; 1 = in this one */
    crew_progress progress; /* may be NULL; called in this process */
    void *progress_ctx;
};

/* crew_run runs jobs 0..jobs-1 and fills results (jobs * size bytes), the same for any number of
 * workers. INTERNAL when a worker died. */
MUST_CHECK enum status crew_run(const struct crew *crew, int jobs, crew_job job, void *ctx,
                                void *results, size_t size, struct problem *problem);

/* crew_cores gives the number of processors this process may use. */
int crew_cores(void);

#endif
