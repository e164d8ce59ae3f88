/* SPDX-License-Identifier: MIT */
/*
 * How often intervals of off-policy evaluation hold what is true, on logs that purser's own
 * policies make over a table with every outcome. A run draws its requests at random, with
 * replacement, from the table, so that the truth is the target's mean over the table; it plays them
 * through the engine, learning as it goes, and evaluates targets from what was logged: the
 * probability of the model drawn, its outcome, and the predictions made before. `coverage --runs
 * 1000` makes the table of docs/ope.md; the suite runs a short one, which fails when a share is too
 * far from what is claimed.
 */
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bandit/ope/anytime.h"
#include "bandit/ope/ope.h"
#include "bandit/rng.h"
#include "core/config/config.h"
#include "sim/play/play.h"
#include "sim/run/crew.h"
#include "sim/setup.h"
#include "sim/world/world.h"

enum { TARGETS_N = 2, INTERVALS = 5, ROWS_PURPOSE = 0x636f76 };
static const double ALPHA = 0.05;

/* exact: the intervals that need bounds are claimed too, since neither probabilities nor weights
 * follow the labels. */
static const struct logger {
    const char *name, *config;
    bool exact;
} logger[] = {
    {"uniform", "{\"policy\":{\"name\":\"uniform\"}}", true},
    {"lints, frozen",
     "{\"policy\":{\"name\":\"lints\",\"floor\":0.2,\"floor_min\":0.2},"
     "\"learner\":{\"frozen\":true}}",
     true},
    {"lints", "{\"policy\":{\"name\":\"lints\",\"floor\":0.2,\"floor_min\":0.2}}", false},
    {"igw", "{\"policy\":{\"name\":\"igw\",\"floor\":0.2,\"floor_min\":0.2}}", false},
    {"greedy", "{\"policy\":{\"name\":\"greedy\",\"floor\":0.2,\"floor_min\":0.2}}", false},
    {"lints, low floor", "{\"policy\":{\"name\":\"lints\",\"floor\":0.02,\"floor_min\":0.02}}",
     false},
};
enum { LOGGERS = sizeof logger / sizeof *logger };
static const char *const target_name[TARGETS_N] = {"uniform", "by task"};
static const char *const interval_name[INTERVALS] = {"bootstrap dr", "Clopper-P.", "Bernstein",
                                                     "Cressie-R.", "any time"};

/* What runs share. */
struct study {
    const struct world *world;
    struct params *params; /* of the logger in hand */
    const struct logger *logger;
    size_t rows;
    int first; /* number of the first run: other numbers, other logs */
    bool boot;
    int best[64]; /* model of a cluster that the second target prefers */
    double truth[TARGETS_N];
};

struct verdict {
    bool failed;
    bool covers[TARGETS_N][OPE_ESTIMATORS], holds[TARGETS_N][INTERVALS];
    double width[TARGETS_N][OPE_ESTIMATORS], wide[TARGETS_N][INTERVALS], ess[TARGETS_N];
    bool claims[TARGETS_N][OPE_ESTIMATORS];
};

/* The log of a run, for both targets at once. */
struct log {
    const struct study *s;
    size_t n;
    double *weight[TARGETS_N], *value[TARGETS_N], *label, *q;
};

/* The target's probability of a model on a row of the table. */
static double pi(const struct study *s, int target, uint32_t row, int model)
{
    int k = s->world->table.n_models;
    if (target == 0)
        return 1.0 / k;
    return s->best[s->world->cluster[row]] == model ? 0.8 : 0.2 / (k - 1);
}

static void chose(void *ctx, const struct choice *c)
{
    struct log *l = ctx;
    size_t i = l->n++;
    l->label[i] = c->table->q[table_cell(c->table, c->row, c->model)];
    l->q[i] = c->quality[c->model];
    for (int t = 0; t < TARGETS_N; t++) {
        l->weight[t][i] = pi(l->s, t, c->row, c->model) / c->propensity;
        l->value[t][i] = 0;
        for (int m = 0; m < c->table->n_models; m++)
            l->value[t][i] += pi(l->s, t, c->row, m) * c->quality[m];
    }
}

static bool within(struct ope_interval i, double truth)
{
    return i.low <= truth && truth <= i.high;
}

/* Whether the confidence sequence holds at every row of the log; what it says at the end. */
static bool never_false(const struct ope_log *log, double truth, struct ope_interval *end)
{
    struct anytime low = {.scale = 1, .alpha = ALPHA / 2}, high = low;
    bool holds = true;
    for (size_t i = 0; i < log->n; i++) {
        anytime_add(&low, log->weight[i] * log->label[i]);
        anytime_add(&high, log->weight[i] * (1 - log->label[i]));
        *end = (struct ope_interval){anytime_lower(&low), 1 - anytime_lower(&high)};
        holds = holds && within(*end, truth);
    }
    return holds;
}

static void judge(const struct study *s, const struct log *l, int t, uint64_t seed,
                  struct verdict *out)
{
    double truth = s->truth[t];
    struct ope_log log = {l->n, l->weight[t], l->label, l->q, l->value[t], NULL, NULL, l->n};
    struct ope_tuning tuning = ope_tune(&log, seed);
    /* What can be known of weights: 1/3 each, or else only that they are finite. */
    struct ope_bounds b = {0, t == 0 ? 1 : 2.4, 0, 1};
    if (strcmp(s->logger->name, "uniform") != 0)
        b.weight_high = INFINITY;
    struct ope_interval end = {0, 1};
    struct ope_bootstrap boot;
    for (int e = 0; e < OPE_ESTIMATORS; e++) {
        struct ope_estimate x = ope_estimate(&log, (enum ope_estimator)e, &tuning, NULL);
        struct ope_interval i = ope_student(&x, ALPHA);
        out->covers[t][e] = x.valid && within(i, truth);
        out->width[t][e] = i.high - i.low;
    }
    bool booted = s->boot && ope_bootstrap(&log, NULL, &tuning, ALPHA, seed, &boot);
    bool holds = never_false(&log, truth, &end);
    const struct ope_interval all[INTERVALS] = {
        booted ? boot.a[OPE_DR] : (struct ope_interval){0, 1}, ope_clopper_pearson(&log, &b, ALPHA),
        ope_bernstein(&log, &b, ALPHA), ope_cressie_read(&log, &b, ALPHA), end};
    for (int k = 0; k < INTERVALS; k++) {
        out->holds[t][k] = k == INTERVALS - 1 ? holds : within(all[k], truth);
        out->wide[t][k] = all[k].high - all[k].low;
    }
    struct ope_health health = ope_health(&log);
    out->ess[t] = health.ess / (double)l->n;
    for (int e = 0; e < OPE_ESTIMATORS; e++)
        out->claims[t][e] = ope_claims((enum ope_estimator)e, &health);
}

static void run(void *ctx, int number, void *result)
{
    const struct study *s = ctx;
    struct verdict *out = result;
    struct play_result *played = malloc(sizeof *played);
    double *room = calloc(6 * s->rows, sizeof *room);
    uint32_t *row = calloc(s->rows, sizeof *row);
    struct log l = {.s = s};
    number += s->first;
    out->failed = true;
    if (played && room && row) {
        struct rng g = rng_stream((uint64_t)number, ROWS_PURPOSE, 0);
        struct phase phase = {.n = s->rows, .table = s->world->table};
        for (int t = 0; t < TARGETS_N; t++) {
            l.weight[t] = room + (size_t)t * s->rows;
            l.value[t] = room + (size_t)(2 + t) * s->rows;
        }
        l.label = room + 4 * s->rows;
        l.q = room + 5 * s->rows;
        for (size_t i = 0; i < s->rows; i++)
            row[i] = (uint32_t)rng_below(&g, s->world->table.n);
        for (int m = 0; m < s->world->table.n_models; m++)
            phase.price[m] = 1;
        struct play play = {.count = {&s->world->table, row, s->rows},
                            .learn_params = s->params,
                            .count_params = s->params,
                            .phase = &phase,
                            .n_phases = 1,
                            .given_order = true,
                            .chose = chose,
                            .ctx = &l};
        play_seed(&play, (uint64_t)number, played, NULL);
        out->failed = played->status != STATUS_OK || l.n != s->rows;
        for (int t = 0; !out->failed && t < TARGETS_N; t++)
            judge(s, &l, t, (uint64_t)number, out);
    }
    free(row);
    free(room);
    free(played);
}

/* What the table says: the second target's models, and the truths. */
static void survey(struct study *s)
{
    const struct table *t = &s->world->table;
    double sum[64][MODELS_MAX] = {{0}};
    for (uint32_t i = 0; i < t->n; i++)
        for (int m = 0; m < t->n_models; m++)
            sum[s->world->cluster[i]][m] += t->q[table_cell(t, i, m)];
    for (int c = 0; c < 64; c++)
        for (int m = 1; m < t->n_models; m++)
            s->best[c] = sum[c][m] > sum[c][s->best[c]] ? m : s->best[c];
    for (int k = 0; k < TARGETS_N; k++)
        for (uint32_t i = 0; i < t->n; i++)
            for (int m = 0; m < t->n_models; m++)
                s->truth[k] += pi(s, k, i, m) * t->q[table_cell(t, i, m)] / (double)t->n;
}

static int told; /* lines that say something is wrong */

static void claim(bool ok, const char *who, const char *target, const char *what, double share)
{
    if (ok)
        return;
    told++;
    fprintf(stderr, "not as claimed: %s, %s, %s: %.1f%%\n", who, target, what, 100 * share);
}

/* A line for each target; ~ marks an interval that claims nothing there. slack: three standard
 * deviations of a share of so many runs. */
static void tell(const struct study *s, const struct verdict *o, int runs)
{
    double slack;
    static const enum ope_estimator shown[] = {OPE_IPS, OPE_SNIPS, OPE_DR, OPE_SNDR, OPE_SWITCH};
    for (int t = 0; t < TARGETS_N; t++) {
        double ess = 0;
        for (int r = 0; r < runs; r++)
            ess += o[r].ess[t] / runs;
        printf("| %-16s | %-7s | %3.0f%% |", s->logger->name, target_name[t], 100 * ess);
        for (size_t k = 0; k < sizeof shown / sizeof *shown; k++) {
            double covers = 0, width = 0, claims = 0, kept = 0;
            for (int r = 0; r < runs; r++) {
                bool c = o[r].claims[t][shown[k]];
                covers += (double)o[r].covers[t][shown[k]] / runs;
                width += o[r].width[t][shown[k]] / runs;
                claims += c;
                kept += c && o[r].covers[t][shown[k]];
            }
            printf(" %5.1f%s (%.3f) |", 100 * covers, claims < 0.5 * runs ? "~" : "", width);
            slack = 3 * sqrt(0.95 * 0.05 / fmax(claims, 1));
            if (claims > 0.5 * runs)
                claim(fabs(kept / claims - 0.95) <= 0.02 + slack, s->logger->name, target_name[t],
                      ope_name(shown[k]), kept / claims);
        }
        slack = 3 * sqrt(0.95 * 0.05 / runs);
        for (int k = s->boot ? 0 : 1; k < INTERVALS; k++) {
            double holds = 0, width = 0;
            bool says = k == 0 || k >= 3 || strcmp(s->logger->name, "uniform") == 0;
            for (int r = 0; r < runs; r++) {
                holds += (double)o[r].holds[t][k] / runs;
                width += o[r].wide[t][k] / runs;
            }
            if (says)
                printf(" %5.1f (%.3f) |", 100 * holds, width);
            else
                printf(" - |");
            /* Clopper-Pearson takes w r for draws of 0 or the greatest weight: it claims nothing.
             */
            if (k >= 4 || (k > 1 && s->logger->exact))
                claim(holds >= 0.95 - slack - (k == 3 ? 0.02 : 0), s->logger->name, target_name[t],
                      interval_name[k], holds);
        }
        printf("\n");
    }
}

static enum status set_up(struct study *s, struct problem *problem)
{
    params_default(s->params);
    enum status status = setup_pool(s->params, &s->world->table, problem);
    if (status == STATUS_OK)
        status = setup_text(s->params, "{\"features\":{\"text\":false,\"shape\":false}}", problem);
    return status == STATUS_OK ? setup_text(s->params, s->logger->config, problem) : status;
}

static enum status study(struct study *s, int runs, struct problem *problem)
{
    const struct crew crew = {.workers = crew_cores()};
    struct verdict *o = calloc((size_t)runs, sizeof *o);
    enum status status = o ? STATUS_OK : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    for (int k = 0; status == STATUS_OK && k < LOGGERS; k++) {
        s->logger = &logger[k];
        status = set_up(s, problem);
        if (status == STATUS_OK)
            status = crew_run(&crew, runs, run, s, o, sizeof *o, problem);
        for (int r = 0; status == STATUS_OK && r < runs; r++)
            if (o[r].failed)
                status = problem_set(problem, STATUS_INTERNAL, "", "run %d failed", r);
        if (status == STATUS_OK)
            tell(s, o, runs);
    }
    free(o);
    return status;
}

static void head(bool boot)
{
    printf("| logged by | target | eff. rows | ips | snips | dr | sndr | switch-dr |");
    for (int k = boot ? 0 : 1; k < INTERVALS; k++)
        printf(" %s |", interval_name[k]);
    printf("\n|");
    for (int k = 0; k < (boot ? 8 : 7) + INTERVALS; k++)
        printf("---|");
    printf("\n");
}

int main(int argc, char **argv)
{
    struct problem problem = {0};
    struct world world = {0};
    struct study s = {.world = &world, .rows = 1000};
    int runs = 200;
    gsl_set_error_handler_off();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bootstrap") == 0)
            s.boot = true;
        else if (i + 1 < argc && strcmp(argv[i], "--runs") == 0)
            runs = atoi(argv[++i]);
        else if (i + 1 < argc && strcmp(argv[i], "--rows") == 0)
            s.rows = (size_t)atoi(argv[++i]);
        else if (i + 1 < argc && strcmp(argv[i], "--first") == 0)
            s.first = atoi(argv[++i]);
    }
    json_t *root = json_pack("{s:s,s:s,s:i}", "base", "specialists", "outcome", "bernoulli",
                             "requests", 20000);
    struct world_spec *spec = calloc(1, sizeof *spec);
    s.params = malloc(sizeof *s.params);
    enum status status = root && spec && s.params && runs > 0 && s.rows > 1
                             ? world_read(root, NULL, "", spec, &problem)
                             : problem_set(&problem, STATUS_BAD_REQUEST, "", "bad arguments");
    if (status == STATUS_OK)
        status = world_make(spec, 0, &world, &problem);
    if (status == STATUS_OK) {
        survey(&s);
        printf("%d runs of %zu rows, 95%% intervals: coverage in percent (mean width)\n\n", runs,
               s.rows);
        head(s.boot);
        status = study(&s, runs, &problem);
    }
    if (status != STATUS_OK)
        fprintf(stderr, "coverage: %s%s\n", problem.path, problem.text);
    json_decref(root);
    free(spec);
    free(s.params);
    world_free(&world);
    return status == STATUS_OK && told == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
