/* SPDX-License-Identifier: MIT */
/*
 * Clock, figures and messages of the benchmarks. Messages are synthetic but shaped like real ones:
 * a handful of tasks and domains, prompts of words with a skewed distribution, every id unique.
 */
#include "tests/bench/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "bandit/rng.h"

static const char *const words[] = {
    "the",       "of",    "summarise", "a",       "contract", "between", "supplier", "and",
    "customer",  "with",  "delivery",  "in",      "March",    "explain", "why",      "revenue",
    "fell",      "by",    "seven",     "percent", "quarter",  "write",   "function", "that",
    "parses",    "dates", "translate", "into",    "French",   "polite",  "reply",    "for",
    "complaint", "about", "refund",    "list",    "risks",    "given",   "table",    "below"};
static const char *const tasks[] = {"summary", "qa:finance", "qa:law",
                                    "code:c",  "translate",  "extract"};
static const char *const domains[] = {"bank", "retail", "health"};
static const char *const tiers[] = {"free", "pro"};

int64_t bench_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t bench_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void bench_figure(int round, double value, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    printf("%d\t", round);
    vprintf(fmt, args);
    printf("\t%.9g\n", value);
    fflush(stdout);
    va_end(args);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_quantile(double *v, size_t n, double q)
{
    qsort(v, n, sizeof *v, ascending);
    size_t i = (size_t)(q * (double)n);
    return v[i < n ? i : n - 1];
}

const char *bench_text(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return otherwise;
}

long bench_number(int argc, char **argv, const char *name, long otherwise)
{
    const char *s = bench_text(argc, argv, name, NULL);
    return s ? strtol(s, NULL, 10) : otherwise;
}

void bench_fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "bench: ");
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Words up to exactly n bytes; products of two uniforms make the first words frequent. */
static void fill_words(char *out, size_t n, struct rng *g)
{
    size_t at = 0;
    while (at < n) {
        size_t k = (size_t)(rng_uniform(g) * rng_uniform(g) * (double)COUNT(words));
        for (const char *c = words[k]; *c && at < n; c++)
            out[at++] = *c;
        if (at < n)
            out[at++] = ' ';
    }
}

void bench_route(char *out, size_t n, uint64_t i)
{
    struct rng g = rng_stream(1, 2, i);
    int at = snprintf(out, n + 1,
                      "{\"v\":1,\"op\":\"route\",\"request_id\":\"b%016llx\",\"tenant\":\"acme\","
                      "\"task\":\"%s\",\"domain\":\"%s\","
                      "\"user_tier\":\"%s\",\"max_output_tokens\":%d,\"prompt\":\"",
                      (unsigned long long)i, tasks[rng_below(&g, COUNT(tasks))],
                      domains[rng_below(&g, COUNT(domains))], tiers[rng_below(&g, COUNT(tiers))],
                      (int)(256 << rng_below(&g, 3)));
    if (at < 0 || (size_t)at + 2 > n)
        bench_fail("a route request needs more than %zu bytes", n);
    fill_words(out + at, n - 2 - (size_t)at, &g);
    memcpy(out + n - 2, "\"}", 3);
}

void bench_words(char *out, size_t n, uint64_t i)
{
    struct rng g = rng_stream(1, 4, i);
    fill_words(out, n, &g);
    out[n] = '\0';
}

void bench_feedback(char *out, size_t n, const char *decision_id, uint64_t i)
{
    struct rng g = rng_stream(1, 3, i);
    int at = snprintf(out, n + 1,
                      "{\"v\":1,\"op\":\"feedback\",\"decision_id\":\"%s\",\"source\":\"judge\","
                      "\"quality\":%.2f,\"prompt_tokens\":%d,\"output_tokens\":%d,"
                      "\"latency_ms\":%d,\"x_note\":\"",
                      decision_id, rng_uniform(&g), (int)(50 + rng_below(&g, 100)),
                      (int)(20 + rng_below(&g, 400)), (int)(200 + rng_below(&g, 4000)));
    if (at < 0 || (size_t)at + 2 > n)
        bench_fail("a report needs more than %zu bytes", n);
    fill_words(out + at, n - 2 - (size_t)at, &g);
    memcpy(out + n - 2, "\"}", 3);
}
