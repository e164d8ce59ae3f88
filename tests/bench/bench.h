/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TESTS_BENCH_H
#define PURSER_TESTS_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What the benchmarks share. Each prints one line a figure, "round<TAB>name<TAB>value"; the script
 * `run` pairs a figure with its limit of the same round, and takes medians over rounds.
 */
int64_t bench_ns(void);
/* bench_cpu_ns gives the CPU time of this thread: what others take away is not counted. */
int64_t bench_cpu_ns(void);
/* bench_figure prints a figure; fmt makes its name. */
void bench_figure(int round, double value, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* bench_quantile sorts v (n >= 1 values) and gives the value at q in [0,1]. */
double bench_quantile(double *v, size_t n, double q);
/* bench_text and bench_number give the value behind --name, or the default. */
const char *bench_text(int argc, char **argv, const char *name, const char *otherwise);
long bench_number(int argc, char **argv, const char *name, long otherwise);
_Noreturn void bench_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* bench_route writes the i-th route request: n bytes (200..2000) of JSON with task, domain, user
 * tier, tenant and a prompt of English words that fills it up; no two i are alike. */
void bench_route(char *out, size_t n, uint64_t i);
/* bench_words writes the i-th text: n bytes of English words, terminated. */
void bench_words(char *out, size_t n, uint64_t i);
/* bench_feedback writes a report of n bytes on a decision (an x_ field fills it up). */
void bench_feedback(char *out, size_t n, const char *decision_id, uint64_t i);

#endif
