/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_RUN_JOURNAL_H
#define PURSER_SIM_RUN_JOURNAL_H

#include "core/encoding/text.h"
#include "sim/run/run_job.h"

/*
 * Jobs that have been played, a JSON object a line, each known by a digest of all that it depends
 * on. Order, repetitions and a line that was cut off do not matter, so journals may be written by
 * several processes at once, joined with cat, and gone on with after a stop.
 */

/* journal_line writes a job as one line; journal_read takes the numbers of a line back, to the last
 * bit; false when it is not whole or of another experiment. */
void journal_line(struct text *t, const struct experiment *e, int policy, uint64_t seed,
                  const struct run_job *job);
enum { JOURNAL_LINE_MAX = 1 << 18 };

/* journal_recall fills what of e's jobs [policies * seeds] is in the file and not known yet. A file
 * that is not there has none; other trouble is an error. */
MUST_CHECK enum status journal_recall(const char *path, const struct experiment *e,
                                      struct run_job *job, struct problem *problem);
/* journal_open opens for appending, made if absent, at the beginning of a line; -1 on error. */
int journal_open(const char *path, struct problem *problem);
/* journal_append adds a job. Of any process: one write, which the system does not interleave. */
MUST_CHECK enum status journal_append(int fd, const struct experiment *e, int policy, uint64_t seed,
                                      const struct run_job *job, struct problem *problem);

#endif
