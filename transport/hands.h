/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_HANDS_H
#define PURSER_TRANSPORT_HANDS_H

#include "core/router/parallel.h"

/* Threads that work for the engine: the loop's own and up to HANDS_MOST - 1 more. */
struct hands;
enum { HANDS_MOST = 16 };

/* hands_new makes a loop of `threads`, the caller's own among them; NULL when memory is short.
 * Threads that are not to be had are done without. hands_free ends them; NULL is allowed. */
struct hands *hands_new(int threads);
void hands_free(struct hands *h);
/* hands_parallel gives what the engine takes; borrowed until hands_free. One thread shares at a
 * time.
 */
struct parallel *hands_parallel(struct hands *h);
/* hands_wanted gives how many threads a machine of that many processors is worth: two are left to
 * the clients' sockets and the disk. */
int hands_wanted(int processors);

#endif
