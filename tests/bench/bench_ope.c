/* SPDX-License-Identifier: MIT */
/*
 * Off-policy evaluation of a log of many rows (d=26, K=3, probabilities of all models given), in
 * microseconds a row and MiB at the most: reading it as CSV; the cross-fitted model; every
 * estimator with every interval for quality, cost, latency and utility, of two policies and their
 * difference. In CPU time of the thread. `run` holds each against one pass over the same numbers.
 */
#include <gsl/gsl_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "bandit/rng.h"
#include "sim/ope/evaluate.h"
#include "sim/ope/fit.h"
#include "sim/ope/read.h"
#include "tests/bench/bench.h"

enum { FEATURES = 26 };

static void write_log(const char *path, long rows)
{
    static const double pmf[4][3] = {{.6, .3, .1}, {.2, .3, .5}, {.1, .1, .8}, {.34, .33, .33}};
    FILE *f = fopen(path, "w");
    if (f == NULL)
        bench_fail("%s cannot be written", path);
    fputs("arm,p,quality,cost_usd,latency_ms,session,pmf_a,pmf_b,pmf_c", f);
    for (int j = 0; j < FEATURES; j++)
        fprintf(f, ",x_%d", j);
    for (long i = 0; i < rows; i++) {
        struct rng g = rng_stream(1, 7, (uint64_t)i);
        const double *p = pmf[rng_below(&g, 4)];
        double u = rng_uniform(&g);
        int a = u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2;
        fprintf(f, "\n%c,%g,%d,%.6f,%.2f,s%ld,%g,%g,%g", "abc"[a], p[a],
                rng_uniform(&g) < .5 + .1 * a, .001 * (a + 1) * rng_uniform(&g),
                100 * rng_uniform(&g), i / 3, p[0], p[1], p[2]);
        for (int j = 0; j < FEATURES; j++)
            fprintf(f, ",%.4f", rng_normal(&g));
    }
    fputc('\n', f);
    if (fclose(f) != 0)
        bench_fail("%s cannot be written", path);
}

/* What no evaluation does without: each number looked at once. */
static double one_pass(const struct ope_rows *r)
{
    double sum = 0;
    for (size_t i = 0; i < r->n * (size_t)r->k; i++)
        sum += r->pmf[i] * (double)r->q[AIM_QUALITY][i];
    for (size_t i = 0; i < r->n * (size_t)r->d; i++)
        sum += (double)r->x[i];
    for (size_t i = 0; i < r->n; i++)
        sum += r->label[AIM_QUALITY][i] / r->p[i];
    return sum;
}

static double us_since(int64_t start, long rows)
{
    return (double)(bench_cpu_ns() - start) / 1e3 / (double)rows;
}

static void measure(int round, const char *path, long rows)
{
    struct ope_question q = {.alpha = .05, .seed = 1, .candidates = 1};
    struct ope_source source = {.path = path, .format = FORMAT_CSV, .target = &q.target};
    struct ope_rows log = {0};
    struct ope_report report = {0};
    struct problem p = {0};
    static const double quality[AIM_UTILITY] = {1, 0, 0, 0};
    int64_t start = bench_cpu_ns(), all = start;
    if (!target_parse("uniform", &q.target) || !target_parse("logged", &q.against) ||
        ope_read(&source, &log, &p) != STATUS_OK)
        bench_fail("%s: %s", path, p.text);
    bench_figure(round, us_since(start, rows), "ope/read/d26K3");
    start = bench_cpu_ns();
    if (fit_crossed(&log, &p) != STATUS_OK || !rows_weigh(&log, quality))
        bench_fail("fit: %s", p.text);
    bench_figure(round, us_since(start, rows), "ope/fit/d26K3");
    start = bench_cpu_ns();
    if (ope_evaluate(&log, &q, 0, &report, &p) != STATUS_OK)
        bench_fail("evaluate: %s", p.text);
    bench_figure(round, us_since(start, rows), "ope/evaluate/d26K3");
    bench_figure(round, us_since(all, rows), "ope/all/d26K3");
    start = bench_cpu_ns();
    volatile double sink = one_pass(&log);
    (void)sink;
    bench_figure(round, us_since(start, rows), "ope/pass/d26K3");
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    bench_figure(round, (double)use.ru_maxrss / 1024, "ope/memory/d26K3");
    ope_report_fini(&report);
    rows_fini(&log);
}

int main(int argc, char **argv)
{
    int rounds = (int)bench_number(argc, argv, "--rounds", 3);
    long rows = bench_number(argc, argv, "--rows", 1000000);
    char path[] = "/tmp/purser_bench_XXXXXX";
    int fd = mkstemp(path);
    gsl_set_error_handler_off();
    if (fd < 0)
        bench_fail("no temporary file");
    close(fd);
    write_log(path, rows);
    for (int round = 0; round < rounds; round++)
        measure(round, path, rows);
    unlink(path);
    return EXIT_SUCCESS;
}
