/* SPDX-License-Identifier: MIT */
/*
 * The engine without transport and disk, in microseconds a call:
 *   decide   what a route request costs before anything is recorded (a dry run)
 *   route    the same and applied
 *   learn    feedback with quality, tokens and latency, applied; refreshes and pooling included
 * at (d=26, K=3), (64, 8) and (128, 32), trained on a few thousand decisions first. Their limit is
 * the arithmetic that no exact method avoids, as plain loops: for decide 4 K quadratic forms of
 * half a matrix and as many dot products, for learn 4 rank-1 updates (that the call did not fail is
 * implied). All in CPU time of the thread, so that other load of the machine counts little. Kernels
 * beside a plain loop or GSL.
 */
#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/ridge/ridge.h"
#include "bandit/rng.h"
#include "core/config/config.h"
#include "core/event/decision_id.h"
#include "core/features/features.h"
#include "core/router/router.h"
#include "core/wire/wire.h"
#include "tests/bench/bench.h"

enum { REQUESTS = 64, MESSAGE = 406, D_MOST = 128, K_MOST = 32 };

static struct text_of {
    char json[MESSAGE + 1];
    struct message message;
    struct request request;
} requests[REQUESTS];
static const struct router_init INIT = {.seed = 42, .mac_key = {1, 2, 3}, .max_open = 65536};
static volatile double sink; /* keeps results alive */

struct engine {
    char name[32]; /* of the figures: lints/d26K3 */
    struct router *router;
    struct event ev;
    struct problem problem;
    int64_t now_ms;
    uint64_t next; /* request id */
    int d, k;
};

static void must(const struct engine *e, enum status s)
{
    if (s != STATUS_OK)
        bench_fail("%s: %s %s", e->name, e->problem.path, e->problem.text);
}

/* ---- set-up ---- */

static void requests_make(void)
{
    struct problem p;
    for (uint64_t i = 0; i < REQUESTS; i++) {
        struct text_of *t = &requests[i];
        bench_route(t->json, MESSAGE, i);
        if (wire_open(&t->message, t->json, MESSAGE, &p) != STATUS_OK ||
            wire_request(&t->message, 0, &t->request, &p) != STATUS_OK)
            bench_fail("request: %s %s", p.path, p.text);
    }
}

/* The switches that give d: 26 = 1 + 17 declared + 8 text, 64 = 1 + 28 shape + 19 + 8 + 8, 128 = 1
 * + 28 + 35 + 32 + 32. */
static void configure(struct engine *e, const char *policy)
{
    static char json[16384], scratch[CONFIG_MAX];
    static struct params params;
    struct text t = text_over(json, sizeof json);
    text_printf(&t, "{\"policy\":{\"name\":\"%s\"},\"features\":%s,\"models\":[", policy,
                e->d == 26 ? "{\"shape\":false,\"caller\":false,\"dim_declared\":17,\"dim_text\":8}"
                : e->d == 64 ? "{\"dim_declared\":19,\"dim_text\":8,\"dim_caller\":8}"
                             : "{\"dim_declared\":35,\"dim_text\":32,\"dim_caller\":32}");
    for (int a = 0; a < e->k; a++)
        text_printf(&t,
                    "%s{\"name\":\"m%d\",\"tier\":\"%s\",\"usd_per_mtok_in\":%g,"
                    "\"usd_per_mtok_out\":%g}",
                    a ? "," : "", a,
                    a < e->k / 3       ? "small"
                    : a < e->k * 2 / 3 ? "medium"
                                       : "large",
                    0.1 * (1 << a % 8), 0.4 * (1 << a % 8));
    text_put(&t, "]}");
    must(e, config_parse(json, t.len, &params, NULL, &e->problem));
    must(e, router_configure(e->router, e->now_ms, &params, "bench", 0, scratch, sizeof scratch,
                             &e->ev, &e->problem));
    struct layout layout = features_layout(&params, NULL);
    if (features_dim(&layout) != e->d)
        bench_fail("%s: d is %d", e->name, features_dim(&layout));
}

static void engine_new(struct engine *e, const char *policy, int d, int k)
{
    (void)snprintf(e->name, sizeof e->name, "%s/d%dK%d", policy, d, k);
    e->d = d;
    e->k = k;
    e->now_ms = 1700000000000;
    e->router = router_new(&INIT);
    if (!e->router)
        bench_fail("no memory");
    router_start(e->router, e->now_ms, &e->ev);
    configure(e, policy);
}

/* ---- decide, route, learn ---- */

static struct request *dry_request(uint64_t i)
{
    struct request *r = &requests[i % REQUESTS].request;
    r->request_id[0] = '\0'; /* or it would be taken for a repetition */
    r->dry_run = true;
    return r;
}

/* The same request under an id of its own, a little later. */
static struct request *fresh_request(struct engine *e, uint64_t i)
{
    struct request *r = &requests[i % REQUESTS].request;
    (void)snprintf(r->request_id, sizeof r->request_id, "b%016llx", (unsigned long long)e->next);
    r->digest = e->next++;
    r->dry_run = false;
    e->now_ms += 10;
    return r;
}

static void decide_one(struct engine *e, const struct request *r)
{
    enum route_result result;
    must(e, router_route(e->router, e->now_ms, r, &e->ev, &result, &e->problem));
}

/* Dearer models are better and slower, the same at each run. */
static struct feedback report_on(const struct engine *e)
{
    uint64_t seq = e->ev.seq;
    struct rng g = rng_stream(7, 1, seq);
    double quality = rng_uniform(&g) < 0.4 + 0.5 * e->ev.decided.arm / e->k ? 1 : 0;
    struct feedback f = {.epoch = router_epoch(e->router),
                         .seq = seq,
                         .has = FB_QUALITY | FB_PROMPT_TOKENS | FB_OUTPUT_TOKENS | FB_LATENCY,
                         .quality = quality,
                         .prompt_tokens = 80,
                         .output_tokens = 50 + (int64_t)rng_below(&g, 300),
                         .latency_ms = 300 + 200.0 * e->ev.decided.arm,
                         .version = -1,
                         .digest = seq};
    f.mac = decision_mac(f.epoch, seq, INIT.mac_key);
    return f;
}

static void figure(int round, const struct engine *e, const char *what, double us)
{
    bench_figure(round, us, "engine/%s/%s", what, e->name);
}

/* Up to REQUESTS decisions, with a report on each; gives their CPU time. */
static int64_t route_some(struct engine *e, int n, struct feedback *f)
{
    int64_t busy = 0;
    for (int i = 0; i < n; i++)
        (void)fresh_request(e, (uint64_t)i);
    for (int i = 0; i < n; i++) {
        int64_t start = bench_cpu_ns();
        decide_one(e, &requests[i % REQUESTS].request);
        busy += bench_cpu_ns() - start;
        f[i] = report_on(e);
    }
    return busy;
}

static void learn_one(struct engine *e, const struct feedback *f)
{
    enum feedback_result result;
    must(e, router_feedback(e->router, e->now_ms, f, NULL, &e->ev, &result, &e->problem));
}

/* The clock is a system call: it is read around many calls where only their mean is wanted. */
static double clock_cost(void)
{
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < 100; i++)
        (void)bench_cpu_ns();
    return (double)(bench_cpu_ns() - start) / 101;
}

static void measure_learn(struct engine *e, int round, const struct feedback *f, int n)
{
    double *us = calloc((size_t)n, sizeof *us);
    int64_t start = bench_cpu_ns();
    if (!us)
        bench_fail("no memory");
    for (int i = 0; i < n / 2; i++)
        learn_one(e, &f[i]);
    figure(round, e, "learn", (double)(bench_cpu_ns() - start) / 1000 / (n / 2));
    for (int i = n / 2; i < n; i++) {
        start = bench_cpu_ns();
        learn_one(e, &f[i]);
        us[i - n / 2] = (double)(bench_cpu_ns() - start) / 1000;
    }
    figure(round, e, "learn_p99", bench_quantile(us, (size_t)(n - n / 2), 0.99));
    figure(round, e, "learn_max", us[n - n / 2 - 1]);
    free(us);
}

static void measure_engine(struct engine *e, int round, int n)
{
    struct feedback *f = calloc((size_t)n, sizeof *f);
    double clock = clock_cost();
    int64_t busy = 0, start = bench_cpu_ns();
    if (!f)
        bench_fail("no memory");
    for (int i = 0; i < n; i++)
        decide_one(e, dry_request((uint64_t)i));
    figure(round, e, "decide", (double)(bench_cpu_ns() - start) / 1000 / n);
    for (int i = 0; i < n; i += REQUESTS)
        busy += route_some(e, n - i < REQUESTS ? n - i : REQUESTS, f + i);
    figure(round, e, "route", ((double)busy / n - clock) / 1000);
    measure_learn(e, round, f, n);
    free(f);
}

static void train(struct engine *e, int n)
{
    struct feedback f[REQUESTS];
    for (int done = 0; done < n; done += REQUESTS) { /* reports come soon after, as they do */
        (void)route_some(e, REQUESTS, f);
        for (int i = 0; i < REQUESTS; i++)
            learn_one(e, &f[i]);
    }
}

/* ---- plain loops: the limits ---- */

static double plain_dot(const double *a, const double *b, int d)
{
    double s = 0;
    for (int i = 0; i < d; i++)
        s += a[i] * b[i];
    return s;
}

/* x'Lx over a packed lower triangle, column by column, which vectorises. */
static double plain_form(const double *restrict l, const double *restrict x, double *restrict out,
                         int d)
{
    memset(out, 0, (size_t)d * sizeof *out);
    for (int j = 0; j < d; l += d - j, j++)
        for (int i = 0; i < d - j; i++)
            out[j + i] += l[i] * x[j];
    return plain_dot(out, x, d);
}

static void plain_rank1(double *restrict l, const double *restrict x, double w, int d)
{
    for (int j = 0; j < d; l += d - j, j++)
        for (int i = 0; i < d - j; i++)
            l[i] += w * x[j] * x[j + i];
}

/* A matrix for each model and target, as the engine has: they share the cache alike. */
static struct plain {
    double l[K_MOST][TARGETS][D_MOST * (D_MOST + 1) / 2], theta[K_MOST][TARGETS][D_MOST], x[D_MOST];
} plain;

static void plain_decide(int d, int k)
{
    double out[D_MOST];
    for (int a = 0; a < k; a++)
        for (int t = 0; t < TARGETS; t++)
            sink = plain_dot(plain.theta[a][t], plain.x, d) +
                   plain_form(plain.l[a][t], plain.x, out, d);
}

static void measure_plain(int round, const struct engine *e, int n)
{
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < n; i++)
        plain_decide(e->d, e->k);
    bench_figure(round, (double)(bench_cpu_ns() - start) / 1000 / n, "plain/decide/d%dK%d", e->d,
                 e->k);
    start = bench_cpu_ns();
    for (int i = 0; i < n; i++)
        for (int t = 0; t < TARGETS; t++)
            plain_rank1(plain.l[i % e->k][t], plain.x, 1e-9, e->d);
    bench_figure(round, (double)(bench_cpu_ns() - start) / 1000 / n, "plain/learn/d%dK%d", e->d,
                 e->k);
}

/* ---- kernels ---- */

struct kernels {
    int d;
    struct ridge *ridge;
    float row[D_MOST];
    double x[D_MOST], work[D_MOST + RIDGE_SPARE];
    gsl_matrix *gram, *factor;
};

static void kernel_dot(struct kernels *k)
{
    sink = ridge_mean(k->ridge, k->x);
}
static void kernel_dot_plain(struct kernels *k)
{
    sink = plain_dot(plain.theta[0][0], k->x, k->d);
}
static void kernel_form(struct kernels *k)
{
    sink = ridge_width(k->ridge, k->x, k->work);
}
static void kernel_form_plain(struct kernels *k)
{
    sink = plain_form(plain.l[0][0], k->x, k->work, k->d);
}
static void kernel_add(struct kernels *k)
{
    ridge_add(k->ridge, k->row, 0.5, 1700000000000, 1e-6);
}
static void kernel_add_plain(struct kernels *k)
{
    plain_rank1(plain.l[0][0], k->x, 1e-9, k->d);
}
static void kernel_refresh(struct kernels *k)
{
    if (!ridge_refresh(k->ridge, 1700000000000))
        bench_fail("ridge_refresh failed");
}
static void kernel_refresh_gsl(struct kernels *k)
{
    gsl_matrix_memcpy(k->factor, k->gram);
    if (gsl_linalg_cholesky_decomp1(k->factor) != 0)
        bench_fail("gsl_linalg_cholesky_decomp1 failed");
}

static void kernels_new(struct kernels *k, int d)
{
    struct rng g = rng_stream(3, 3, (uint64_t)d);
    k->d = d;
    k->ridge = ridge_new(d, 0, 0.1, 20);
    k->gram = gsl_matrix_alloc((size_t)d, (size_t)d);
    k->factor = gsl_matrix_alloc((size_t)d, (size_t)d);
    if (!k->ridge || !k->gram || !k->factor)
        bench_fail("no memory");
    gsl_matrix_set_identity(k->gram);
    for (int n = 0; n < 500; n++) {
        for (int i = 0; i < d; i++)
            k->row[i] = (float)((rng_uniform(&g) - 0.5) / 4), k->x[i] = (double)k->row[i];
        ridge_add(k->ridge, k->row, rng_uniform(&g), 1700000000000, 1);
        for (int i = 0; i < d; i++)
            for (int j = 0; j < d; j++)
                *gsl_matrix_ptr(k->gram, (size_t)i, (size_t)j) += k->x[i] * k->x[j];
    }
    kernel_refresh(k);
}

static void time_kernel(int round, const char *what, int d, void (*step)(struct kernels *),
                        struct kernels *k, int n)
{
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < n; i++)
        step(k);
    bench_figure(round, (double)(bench_cpu_ns() - start) / 1000 / n, "kernel/%s/d%d", what, d);
}

static void measure_kernels(struct kernels *k, int round, int n)
{
    static const struct {
        const char *name;
        void (*step)(struct kernels *);
        int share; /* of n: dear ones run less often */
    } kernel[] = {
        {"ridge_mean", kernel_dot, 1},         {"plain_dot", kernel_dot_plain, 1},
        {"ridge_width", kernel_form, 1},       {"plain_form", kernel_form_plain, 1},
        {"ridge_add", kernel_add, 1},          {"plain_rank1", kernel_add_plain, 1},
        {"ridge_refresh", kernel_refresh, 20}, {"gsl_cholesky", kernel_refresh_gsl, 20},
    };
    for (size_t i = 0; i < sizeof kernel / sizeof *kernel; i++)
        time_kernel(round, kernel[i].name, k->d, kernel[i].step, k, 20 * n / kernel[i].share);
}

/* ---- features and records ---- */

static void measure_features(const struct engine *e, int round, int n)
{
    float x[DIM_MAX];
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < n; i++) {
        features_build(router_params(e->router), NULL, &requests[i % REQUESTS].request, x, NULL);
        sink = (double)x[1];
    }
    bench_figure(round, (double)(bench_cpu_ns() - start) / 1000 / n, "features/build/d%d", e->d);
    start = bench_cpu_ns();
    for (int i = 0; i < n; i++) {
        const struct request *r = &requests[i % REQUESTS].request;
        sink = (double)hash64(r->prompt, r->prompt_len, (uint64_t)i);
    }
    bench_figure(round, (double)(bench_cpu_ns() - start) / 1000 / n, "features/hash64/d%d", e->d);
}

/* A lens of the size that `purser-sim lens fit` makes by default (24 dims), or with --labels (48
 * dims, at most 32 labels), filled at random. */
static void make_lens(struct lens *l, int dims, int labels)
{
    struct rng g = rng_stream(8, 1, 1);
    *l = (struct lens){
        .buckets = 4096, .dims = dims, .clusters = 12, .labels = labels, .temperature = 1};
    for (int i = 0; i < l->buckets * l->dims; i++)
        l->projection[i] = (int8_t)(rng_below(&g, 255) - 127);
    for (int i = 0; i < l->buckets; i++)
        l->idf[i] = (float)(1 + rng_uniform(&g));
    for (int k = 0; k < l->dims; k++)
        l->scale[k] = 1;
    for (int i = 0; i < l->labels * LENS_INPUTS_MAX; i++)
        l->label_weight[i / LENS_INPUTS_MAX][i % LENS_INPUTS_MAX] = (float)rng_normal(&g);
}

enum { TEXTS = 16, TEXT_MOST = 4096 };
static char texts[TEXTS][TEXT_MOST + 1];

static void measure_lens(int round, const struct lens *l, const char *name, size_t bytes, int n)
{
    struct lens_view v;
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < n; i++) {
        struct excerpt e = excerpt_of(texts[i % TEXTS], bytes);
        lens_apply(l, &e, &v);
        sink = (double)v.x[1];
    }
    bench_figure(round, (double)(bench_cpu_ns() - start) / n, "lens/%s/%zu", name, bytes);
}

/* Beside one hash over the same bytes: whatever looks at a text reads it once. */
static void measure_lenses(int round, int n)
{
    static struct lens by_default, labelled;
    static const size_t sizes[] = {300, TEXT_MOST};
    make_lens(&by_default, 24, 0);
    make_lens(&labelled, 48, 32);
    for (uint64_t i = 0; i < TEXTS; i++)
        bench_words(texts[i], TEXT_MOST, i);
    for (int k = 0; k < 2; k++) {
        measure_lens(round, &by_default, "default", sizes[k], n);
        measure_lens(round, &labelled, "labelled", sizes[k], n);
        int64_t start = bench_cpu_ns();
        for (int i = 0; i < 8 * n; i++)
            sink = (double)hash64(texts[i % TEXTS], sizes[k], (uint64_t)i);
        bench_figure(round, (double)(bench_cpu_ns() - start) / (8 * n), "lens/hash64/%zu",
                     sizes[k]);
    }
}

/* The record that is logged; its checksum is the part that no encoding avoids. */
static void measure_event(struct engine *e, int round, int n)
{
    static uint8_t out[EVENT_BYTES_MAX];
    size_t bytes = 0;
    decide_one(e, fresh_request(e, 0));
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < n; i++)
        bytes = event_encode(&e->ev, out, sizeof out);
    bench_figure(round, (double)(bench_cpu_ns() - start) / 1000 / n, "event/encode/d%dK%d", e->d,
                 e->k);
    start = bench_cpu_ns();
    for (int i = 0; i < n; i++)
        sink = crc32c(out, bytes, (uint32_t)i);
    bench_figure(round, (double)(bench_cpu_ns() - start) / 1000 / n, "event/crc32c/d%dK%d", e->d,
                 e->k);
    bench_figure(round, (double)bytes, "event/bytes/d%dK%d", e->d, e->k);
}

/* Random factors near the identity: no loop may meet denormal numbers or zeros only. */
static void plain_fill(void)
{
    struct rng g = rng_stream(5, 5, 5);
    for (int i = 0; i < D_MOST; i++)
        plain.x[i] = rng_uniform(&g) - 0.5;
    for (int a = 0; a < K_MOST; a++)
        for (int t = 0; t < TARGETS; t++) {
            for (int i = 0; i < D_MOST; i++)
                plain.theta[a][t][i] = rng_uniform(&g) - 0.5;
            for (int i = 0; i < D_MOST * (D_MOST + 1) / 2; i++)
                plain.l[a][t][i] = rng_uniform(&g) - 0.5;
        }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *policy;
        int d, k;
    } kinds[] = {
        {"lints", 26, 3}, {"igw", 26, 3}, {"lints", 64, 8}, {"igw", 64, 8}, {"lints", 128, 32}};
    enum { ENGINES = sizeof kinds / sizeof *kinds };
    static struct engine engine[ENGINES];
    static struct kernels kernels[2];
    int rounds = (int)bench_number(argc, argv, "--rounds", 9);
    int n = (int)bench_number(argc, argv, "--calls", 2000);
    int trained = (int)bench_number(argc, argv, "--train", 6000);
    const char *only = bench_text(argc, argv, "--only", NULL); /* lints/d26K3: for a profile */
    gsl_set_error_handler_off();
    requests_make();
    plain_fill();
    for (int i = 0; i < ENGINES; i++) {
        engine_new(&engine[i], kinds[i].policy, kinds[i].d, kinds[i].k);
        if (!only || strcmp(only, engine[i].name) == 0)
            train(&engine[i], trained);
    }
    kernels_new(&kernels[0], 26);
    kernels_new(&kernels[1], 64);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < ENGINES; i++) {
            if (only && strcmp(only, engine[i].name) != 0)
                continue;
            measure_engine(&engine[i], round, i == ENGINES - 1 ? (n + 9) / 10 : n);
            if (strcmp(kinds[i].policy, "lints") == 0)
                measure_plain(round, &engine[i], n / (1 + i * i));
        }
        if (only)
            continue;
        for (int i = 0; i < 2; i++) {
            measure_features(&engine[2 * i], round, n);
            measure_kernels(&kernels[i], round, n);
            measure_event(&engine[2 * i], round, n);
        }
        measure_lenses(round, n);
    }
    for (int i = 0; i < ENGINES; i++)
        router_free(engine[i].router);
    return 0;
}
