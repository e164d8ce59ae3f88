/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_WHOLE_H
#define PURSER_STORE_WHOLE_H

#include <limits.h>
#include <stdio.h>
#include "core/status.h"

/*
 * A file that appears whole or not at all: it is written beside its place, under a name with
 * .PID.part behind, and moved there when nothing has failed. What was there before stays until
 * then. Pipes and devices are written to directly. For a process that dies the draft stays behind.
 */
struct whole {
    FILE *f; /* NULL: not begun */
    struct whole *next;
    long process;
    char path[PATH_MAX], draft[PATH_MAX + 32];
};

/* whole_begin opens the draft of path; w->f is then written to. */
MUST_CHECK enum status whole_begin(struct whole *w, const char *path, struct problem *problem);
/* whole_end closes it. When so_far is OK and all was written, the file is in its place; else it is
 * not, and the answer is so_far, or that it cannot be written. Of what was not begun it gives
 * so_far. */
MUST_CHECK enum status whole_end(struct whole *w, enum status so_far, struct problem *problem);
/* whole_abandon removes the drafts that this process has begun, for one that ends at once. Only
 * programs of one thread may use it. */
void whole_abandon(void);

#endif
