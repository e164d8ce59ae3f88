/* SPDX-License-Identifier: MIT */
/*
 * How the cost of a decision and of a report grows: with the models (at d=26), with the entries of
 * the context (8 models), with the budgets that are held (one a user), with the decisions that are
 * open. In microseconds of CPU; memory is what the process has more of than before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bandit/rng.h"
#include "core/config/config.h"
#include "core/encoding/text.h"
#include "core/event/decision_id.h"
#include "core/router/router.h"
#include "tests/bench/bench.h"

struct point {
    const char *curve;
    int x; /* of the curve */
    int k, declared, users;
    int64_t open;
};

static struct event ev;
static struct problem problem;

static void must(enum status s)
{
    if (s != STATUS_OK)
        bench_fail("%s %s", problem.path, problem.text);
}

static double rss_mib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        bench_fail("no /proc/self/statm");
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static struct router *start(const struct point *at, const struct router_init *init)
{
    static char json[65536], scratch[CONFIG_MAX];
    static struct params params;
    struct text t = text_over(json, sizeof json);
    struct router *r = router_new(init);
    if (!r)
        bench_fail("no memory");
    router_start(r, 1700000000000, &ev);
    text_printf(
        &t,
        "{\"features\":{\"shape\":false,\"caller\":false,\"dim_declared\":%d,\"dim_text\":8},"
        "\"pools\":[%s],\"models\":[",
        at->declared,
        at->users > 0 ? "{\"name\":\"u\",\"each\":\"user\",\"usd\":1000000,\"mode\":"
                        "\"quantile\"}"
                      : "");
    for (int a = 0; a < at->k; a++)
        text_printf(&t,
                    "%s{\"name\":\"m%d\",\"tier\":\"small\",\"usd_per_mtok_in\":%g,"
                    "\"usd_per_mtok_out\":%g}",
                    a ? "," : "", a, 0.1 * (1 + a), 0.4 * (1 + a));
    text_put(&t, "]}");
    must(config_parse(json, t.len, &params, NULL, &problem));
    must(router_configure(r, 1700000000000, &params, "bench", 0, scratch, sizeof scratch, &ev,
                          &problem));
    return r;
}

/* n decisions, with a report on each that is `behind` of them old; gives CPU microseconds of each
 * kind. Those that are reported on stay open too: more may come. */
static void serve(struct router *r, const struct point *at, const struct router_init *init,
                  int64_t from, int64_t n, double us[2])
{
    enum { BEHIND = 64 };
    static uint64_t made[BEHIND];
    static struct request q;
    int64_t now = 1700000000000 + from, busy[2] = {0, 0};
    enum route_result routed;
    enum feedback_result fed;
    memset(&q, 0, sizeof q);
    strcpy(q.labels.tenant, "acme");
    q.prompt_tokens = 80;
    q.max_output_tokens = 500;
    q.value = 1;
    for (int64_t i = from; i < from + n; i++) {
        struct feedback f = {.epoch = router_epoch(r),
                             .seq = made[i % BEHIND],
                             .has = FB_QUALITY | FB_OUTPUT_TOKENS | FB_LATENCY,
                             .quality = (double)(i % 3) / 2,
                             .output_tokens = 200,
                             .latency_ms = 300,
                             .version = -1,
                             .digest = (uint64_t)i};
        snprintf(q.request_id, sizeof q.request_id, "g%lld", (long long)i);
        snprintf(q.labels.task, sizeof q.labels.task, "qa:%lld", (long long)i % 7);
        snprintf(q.labels.user, sizeof q.labels.user, "u%lld",
                 (long long)(at->users > 0 ? i % at->users : 0));
        q.digest = (uint64_t)i;
        now++;
        int64_t start_ns = bench_cpu_ns();
        must(router_route(r, now, &q, &ev, &routed, &problem));
        int64_t middle_ns = bench_cpu_ns();
        busy[0] += middle_ns - start_ns;
        made[i % BEHIND] = ev.seq;
        if (i - from < BEHIND)
            continue;
        f.mac = decision_mac(f.epoch, f.seq, init->mac_key);
        middle_ns = bench_cpu_ns();
        must(router_feedback(r, now, &f, NULL, &ev, &fed, &problem));
        busy[1] += bench_cpu_ns() - middle_ns;
    }
    us[0] = (double)busy[0] / 1000 / (double)n;
    us[1] = (double)busy[1] / 1000 / (double)(n - BEHIND);
}

static const char *only; /* a curve; NULL = all */

static void measure(const struct point *at, int round, int64_t n)
{
    if (only && strcmp(only, at->curve) != 0)
        return;
    const struct router_init init = {.seed = 42, .mac_key = {1}, .max_open = at->open};
    double us[2], before = rss_mib();
    struct router *r = start(at, &init);
    int64_t fill = at->users > at->open ? at->users : at->open;
    fill = fill < 3000 ? 3000 : fill;
    serve(r, at, &init, 0, fill, us);
    serve(r, at, &init, fill, n, us);
    bench_figure(round, us[0], "growth/%s/%d/route_us", at->curve, at->x);
    bench_figure(round, us[1], "growth/%s/%d/learn_us", at->curve, at->x);
    bench_figure(round, rss_mib() - before, "growth/%s/%d/mib", at->curve, at->x);
    router_free(r);
}

int main(int argc, char **argv)
{
    static const int models[] = {2, 4, 8, 16, 32, 64}, dims[] = {16, 26, 32, 64, 128},
                     users[] = {1, 10, 100, 1000, 10000}, open[] = {1000, 10000, 100000, 1000000};
    int rounds = (int)bench_number(argc, argv, "--rounds", 3);
    int64_t n = bench_number(argc, argv, "--calls", 4000);
    only = bench_text(argc, argv, "--only", NULL);
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < sizeof models / sizeof *models; i++)
            measure(&(struct point){"models", models[i], models[i], 17, 0, 4096}, round, n);
        for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
            measure(&(struct point){"dims", dims[i], 8, dims[i] - 9, 0, 4096}, round, n);
        for (size_t i = 0; i < sizeof users / sizeof *users; i++)
            measure(&(struct point){"pools", users[i], 3, 17, users[i], 4096}, round, n);
        for (size_t i = 0; i < sizeof open / sizeof *open && round == 0; i++)
            measure(&(struct point){"open", open[i], 3, 17, 0, open[i]}, round, n);
    }
    return 0;
}
