/* SPDX-License-Identifier: MIT */
/*
 * What a policy costs: nanoseconds from a view to a pmf, for 3, 8 and 32 arms. Views differ from
 * call to call, because lints and softmax take longer where arms are close. The limit is what no
 * policy that looks at the request can do without: the predicted means, for each arm one dot
 * product of 26 entries a target, as plain loops. In CPU time of the thread.
 */
#include <stdio.h>
#include "bandit/policy/pmf.h"
#include "bandit/policy/policy.h"
#include "bandit/rng.h"
#include "tests/bench/bench.h"

enum { VIEWS = 64, D = 26, PER_ARM = 4 /* quality, tokens, latency, failure */ };
static volatile double sink; /* keeps results alive */

struct arms {
    double mean[PMF_MAX], sd[PMF_MAX], cost[PMF_MAX];
    double wins[PMF_MAX], losses[PMF_MAX], base[PMF_MAX];
};

/* Qualities within a fifth of each other, deviations from sharp to vague, prices over 2 decades. */
static void fill(struct arms *a, int n, struct rng *g)
{
    for (int i = 0; i < n; i++) {
        a->mean[i] = 0.6 + 0.2 * rng_uniform(g);
        a->sd[i] = 0.01 + 0.09 * rng_uniform(g);
        a->cost[i] = 1e-4 + 1e-2 * rng_uniform(g) * rng_uniform(g);
        a->wins[i] = 300 * a->mean[i];
        a->losses[i] = 300 - a->wins[i];
        a->base[i] = -10 * a->cost[i];
    }
}

static double measure(const struct policy_ops *policy, const struct arms *arms, int n, long calls,
                      double *sum)
{
    double p[PMF_MAX];
    int64_t start = bench_cpu_ns();
    for (long i = 0; i < calls; i++) {
        const struct arms *a = &arms[i % VIEWS];
        struct policy_view v = {.n = n,
                                .mean = a->mean,
                                .sd = a->sd,
                                .labels = 1000,
                                .preferred = (int)(i % n),
                                .width = 1,
                                .overall = a->mean,
                                .overall_cost = a->cost,
                                .rate = 2e-3,
                                .wins = a->wins,
                                .losses = a->losses,
                                .base = a->base,
                                .gain = 1,
                                .params = policy_defaults};
        v.params.seed = (uint64_t)i;
        policy->pmf(&v, p);
        *sum += p[i % n];
    }
    return (double)(bench_cpu_ns() - start) / (double)calls;
}

static double plain_dot(const double *a, const double *b)
{
    double s = 0;
    for (int i = 0; i < D; i++)
        s += a[i] * b[i];
    return s;
}

static double measure_means(int n, long calls)
{
    static double theta[PMF_MAX][PER_ARM][D], x[VIEWS][D];
    struct rng g = rng_stream(2, 0, 0);
    for (int i = 0; i < D; i++) {
        for (int v = 0; v < VIEWS; v++)
            x[v][i] = rng_uniform(&g) - 0.5;
        for (int a = 0; a < n * PER_ARM; a++)
            theta[a / PER_ARM][a % PER_ARM][i] = rng_uniform(&g) - 0.5;
    }
    int64_t start = bench_cpu_ns();
    for (long k = 0; k < calls; k++)
        for (int a = 0; a < n * PER_ARM; a++)
            sink = plain_dot(theta[a / PER_ARM][a % PER_ARM], x[k % VIEWS]);
    return (double)(bench_cpu_ns() - start) / (double)calls;
}

int main(int argc, char **argv)
{
    static const int sizes[] = {3, 8, 32};
    static struct arms arms[VIEWS];
    int rounds = (int)bench_number(argc, argv, "--rounds", 5);
    long calls = bench_number(argc, argv, "--calls", 20000);
    double sum = 0; /* used below, so that nothing is left out */
    struct rng g = rng_stream(1, 0, 0);
    for (int i = 0; i < VIEWS; i++)
        fill(&arms[i], PMF_MAX, &g);
    for (int round = 0; round < rounds; round++) {
        for (int s = 0; s < 3; s++)
            bench_figure(round, measure_means(sizes[s], calls), "policy/means/K%d", sizes[s]);
        for (int k = 0; policy_at(k); k++) {
            for (int s = 0; s < 3; s++) {
                long few = policy_at(k)->counts ? 1 + calls / 100 : calls; /* 100 times slower */
                double ns = measure(policy_at(k), arms, sizes[s], few, &sum);
                bench_figure(round, ns, "policy/%s/K%d", policy_at(k)->name, sizes[s]);
            }
        }
    }
    return sum > 0 ? 0 : 1;
}
