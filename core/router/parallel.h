/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_PARALLEL_H
#define PURSER_CORE_ROUTER_PARALLEL_H

/*
 * Hands that a host lends the engine. each calls job(arg, i) once for each 0 <= i < n, on whatever
 * thread, and returns when all are done. What a job writes depends on its i alone, so that it is
 * the same whoever does it, in whatever order: that changes how soon there is an answer, never
 * the answer. The host's to own; it must outlive its use.
 */
struct parallel {
    void (*each)(struct parallel *parallel, int n, void (*job)(void *arg, int i), void *arg);
};

#endif
