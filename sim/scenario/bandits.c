/* SPDX-License-Identifier: MIT */
/*
 * Every setting is an experiment on the same world with the same policies and seeds; only what
 * happens to it differs. Policies are compared by utility per request (true mean quality less the
 * objective's price of money), seed by seed: they met the same requests with the same luck, so a
 * paired t-test applies. All tests of the report share one error of 5% (Holm 1979).
 */
#include "sim/scenario/bandits.h"

#include "sim/report_key.h"
#include "sim/run/run.h"
#include "sim/scenario/show.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLICIES = 5, SETTINGS_MAX = 12, PAIRS = POLICIES * (POLICIES - 1) / 2, ROWS = 2000 };
static const double ERROR = 0.05;

static const struct {
    const char *name, *json, *what;
} policy[POLICIES] = {
    {"static", "{\"policy\":{\"name\":\"fixed\",\"model\":\"large\"}}", "always the large model"},
    {"static_mix", "{\"policy\":{\"name\":\"static_mix\"}}",
     "the best mix found, blind to requests"},
    {"beta_ts", "{\"policy\":{\"name\":\"beta_ts\"}}", "Beta-Bernoulli Thompson, context-free"},
    {"linucb", "{\"policy\":{\"name\":\"linucb\"}}", "LinUCB"},
    {"lints", "{\"policy\":{\"name\":\"lints\"}}", "contextual Thompson, purser's default"},
};

static const struct {
    const char *name, *disturbances, *what;
    double rows; /* share of the rows asked for */
} setting[] = {
    {"stationary", "", "nothing happens", 1},
    {"drifting", "{\"kind\":\"drift\",\"shape\":\"gradual\",\"at\":0.3,\"over\":0.3}",
     "each model slowly becomes as good as its neighbour was", 1},
    {"cold-start", "", "the first tenth alone", 0.1},
    {"sparse", "{\"kind\":\"missing\",\"share\":0.9}", "one quality label in ten arrives", 1},
    {"delayed", "{\"kind\":\"delay\",\"law\":\"exponential\",\"mean\":200}",
     "feedback comes 200 requests late on average", 1},
    {"censored", "{\"kind\":\"missing\",\"share\":0.7,\"high\":0.5}",
     "seven in ten bad answers are never reported", 1},
    {"poisoned",
     "{\"kind\":\"tenants\",\"n\":5,\"skew\":0},{\"kind\":\"poison\",\"tenant\":\"t1\",\"at\":0.3}",
     "from 30% on one tenant in five reports the opposite", 1},
    {"restart", "{\"kind\":\"restart\",\"at\":0.5}", "stopped and started half way, state on disk",
     1},
    {"restart-lost", "{\"kind\":\"restart\",\"at\":0.5,\"keep\":false}",
     "the same without a disk: nothing is remembered", 1},
    {"bounded-state",
     "{\"kind\":\"memory\",\"open\":64},{\"kind\":\"delay\",\"law\":\"exponential\",\"mean\":64}",
     "64 open decisions are kept; feedback 64 late on average, what comes later is lost", 1},
};
enum { SETTINGS = sizeof setting / sizeof setting[0] };

/* A setting that was played. */
struct played {
    size_t n;
    struct interval utility[POLICIES], gain[POLICIES];
    double best_fixed, adequate; /* utilities with hindsight */
};

/* A comparison of policies a < b in a setting. */
struct test {
    int setting, a, b;
    double difference, p; /* utility of b less that of a; two-sided */
    int verdict;          /* 1: b is better, -1: a is, 0: neither is shown */
};

struct matrix {
    struct played played[SETTINGS_MAX];
    struct test test[SETTINGS_MAX * PAIRS];
    int n_tests;
};

/* ---- one setting ---- */

static json_t *document(int k, const struct scenario_ask *ask)
{
    char text[4096];
    struct text t = text_over(text, sizeof text);
    int64_t rows = ask->rows > 0 ? ask->rows : ROWS, n = llround((double)rows * setting[k].rows);
    text_printf(&t,
                "{\"world\":{\"base\":\"specialists\",\"outcome\":\"bernoulli\",\"requests\":%lld},"
                "\"adequate\":\"mean\",\"seeds\":%d,\"first_seed\":%llu,"
                "\"params\":{\"objective\":{\"cost\":0.1},\"features\":{\"text\":false,\"shape\":"
                "false}},\"disturbances\":[%s],\"policies\":[",
                (long long)(n > 0 ? n : 1), ask->seeds, (unsigned long long)ask->first_seed,
                setting[k].disturbances);
    for (int i = 0; i < POLICIES; i++)
        text_printf(&t, "%s{\"name\":\"%s\",\"params\":%s}", i > 0 ? "," : "", policy[i].name,
                    policy[i].json);
    text_put(&t, "]}");
    return t.full ? NULL : json_loads(text, 0, NULL);
}

/* Paired over seeds; with one seed, or without any difference, nothing is shown. */
static struct test compare(const double *a, const double *b, int seeds)
{
    double mean = 0, square = 0;
    for (int i = 0; i < seeds; i++)
        mean += (b[i] - a[i]) / seeds;
    for (int i = 0; i < seeds; i++)
        square += (b[i] - a[i] - mean) * (b[i] - a[i] - mean);
    double se = seeds > 1 ? sqrt(square / (seeds - 1) / seeds) : (double)INFINITY;
    double p = se > 0           ? 2 * gsl_cdf_tdist_Q(fabs(mean) / se, seeds > 1 ? seeds - 1 : 1)
               : fabs(mean) > 0 ? 0
                                : 1;
    return (struct test){.difference = mean, .p = p};
}

static double utility(const struct experiment *e, const struct run_report *r, struct point p)
{
    double dearest = 0;
    for (int m = 0; m < e->world.table.n_models; m++)
        dearest = fmax(dearest, r->fixed[m].cost);
    return p.quality - e->cost_weight * p.cost / dearest;
}

static void take(struct matrix *x, int k, const struct experiment *e, const struct run_report *r)
{
    int seeds = (int)e->seeds;
    struct played *p = &x->played[k];
    *p = (struct played){.n = e->n, .best_fixed = -INFINITY};
    for (int i = 0; i < POLICIES; i++) {
        p->utility[i] = r->policy[i].utility;
        p->gain[i] = r->policy[i].gain;
    }
    for (int m = 0; m < e->world.table.n_models; m++)
        p->best_fixed = fmax(p->best_fixed, utility(e, r, r->fixed[m]));
    p->adequate = utility(e, r, r->adequate);
    for (int a = 0; a < POLICIES; a++) {
        for (int b = a + 1; b < POLICIES; b++) {
            struct test t = compare(r->utility + a * seeds, r->utility + b * seeds, seeds);
            t.setting = k;
            t.a = a;
            t.b = b;
            x->test[x->n_tests++] = t;
        }
    }
}

static enum status play(int k, const struct scenario_ask *ask, struct matrix *x,
                        struct problem *problem)
{
    struct experiment *e = calloc(1, sizeof *e);
    struct run_report *r = calloc(1, sizeof *r);
    json_t *root = document(k, ask);
    enum status s = e != NULL && r != NULL && root != NULL
                        ? experiment_read(root, "", e, problem)
                        : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s == STATUS_OK) {
        s = run_experiment(e, &ask->crew, r, problem);
        if (s == STATUS_OK)
            take(x, k, e, r);
        run_free(r);
        experiment_free(e);
    }
    json_decref(root);
    free(r);
    free(e);
    return s;
}

/* ---- all of them ---- */

static int by_p(const void *a, const void *b)
{
    const struct test *x = *(struct test *const *)a, *y = *(struct test *const *)b;
    if (x->p < y->p || x->p > y->p)
        return x->p < y->p ? -1 : 1;
    return (x > y) - (x < y);
}

/* Holm's step-down: the smallest p against ERROR / n, the next against ERROR / (n - 1), ... */
static void holm(struct matrix *x)
{
    struct test *order[SETTINGS_MAX * PAIRS];
    for (int i = 0; i < x->n_tests; i++)
        order[i] = &x->test[i];
    qsort(order, (size_t)x->n_tests, sizeof *order, by_p);
    for (int i = 0; i < x->n_tests && order[i]->p <= ERROR / (x->n_tests - i); i++)
        order[i]->verdict = order[i]->difference > 0 ? 1 : -1;
}

/* Settings in which policy a was shown to be better than b. */
static int wins(const struct matrix *x, int a, int b)
{
    int n = 0;
    for (int i = 0; i < x->n_tests; i++) {
        const struct test *t = &x->test[i];
        n += (t->a == a && t->b == b && t->verdict < 0) ||
             (t->a == b && t->b == a && t->verdict > 0);
    }
    return n;
}

static void table(struct text *t, const struct scenario_ask *ask, const struct matrix *x)
{
    text_printf(t, "bandits: utility per request in thousandths, %d seeds, 95%% intervals\n\n",
                ask->seeds);
    text_printf(t, "%-14s %8s", "", "requests");
    for (int i = 0; i < POLICIES; i++)
        text_printf(t, " %14s", policy[i].name);
    text_printf(t, " %12s %12s\n", "best fixed", "best known");
    for (int k = 0; k < SETTINGS; k++) {
        const struct played *p = &x->played[k];
        text_printf(t, "%-14s %8zu", setting[k].name, p->n);
        for (int i = 0; i < POLICIES; i++)
            show_cell(t, p->utility[i], 1000, 1, 14);
        text_printf(t, " %12.1f %12.1f\n", 1000 * p->best_fixed, 1000 * p->adequate);
    }
    text_printf(
        t,
        "\nsettings (of %d) in which the row was shown to be better than the column: paired "
        "t-tests,\nHolm's correction over all %d of them\n%-14s",
        SETTINGS, x->n_tests, "");
    for (int i = 0; i < POLICIES; i++)
        text_printf(t, " %12s", policy[i].name);
    for (int a = 0; a < POLICIES; a++) {
        text_printf(t, "\n%-14s", policy[a].name);
        for (int b = 0; b < POLICIES; b++)
            if (a == b)
                text_printf(t, " %12s", "-");
            else
                text_printf(t, " %12d", wins(x, a, b));
    }
    text_put(t, "\n\n");
    for (int i = 0; i < POLICIES; i++)
        text_printf(t, "%-14s %s\n", policy[i].name, policy[i].what);
    for (int k = 0; k < SETTINGS; k++)
        text_printf(t, "%-14s %s\n", setting[k].name, setting[k].what);
}

static void json_settings(struct text *t, const struct matrix *x)
{
    for (int k = 0; k < SETTINGS; k++) {
        const struct played *p = &x->played[k];
        text_printf(t, "%s{\"setting\":\"%s\",\"n\":%zu", k > 0 ? "," : "", setting[k].name, p->n);
        report_number(t, "best_fixed", p->best_fixed);
        report_number(t, "best_known", p->adequate);
        text_put(t, ",\"policies\":[");
        for (int i = 0; i < POLICIES; i++) {
            text_printf(t, "%s{\"policy\":\"%s\"", i > 0 ? "," : "", policy[i].name);
            report_interval(t, "utility", p->utility[i]);
            report_interval(t, "gain_over_hull", p->gain[i]);
            text_put(t, "}");
        }
        text_put(t, "]}");
    }
}

static void json(struct text *t, const struct scenario_ask *ask, const struct matrix *x)
{
    text_printf(t, "{\"scenario\":\"bandits\",\"seeds\":%d,\"settings\":[", ask->seeds);
    json_settings(t, x);
    text_put(t, "],\"comparisons\":[");
    for (int i = 0; i < x->n_tests; i++) {
        const struct test *c = &x->test[i];
        text_printf(t, "%s{\"setting\":\"%s\",\"a\":\"%s\",\"b\":\"%s\"", i > 0 ? "," : "",
                    setting[c->setting].name, policy[c->a].name, policy[c->b].name);
        report_number(t, "b_minus_a", c->difference);
        report_number(t, "p", c->p);
        text_printf(t, ",\"better\":%s}",
                    c->verdict == 0  ? "null"
                    : c->verdict > 0 ? "\"b\""
                                     : "\"a\"");
    }
    text_put(t, "]}\n");
}

enum status bandits_run(const struct scenario_ask *ask, struct text *out, struct problem *problem)
{
    struct matrix *x = calloc(1, sizeof *x);
    enum status s =
        x != NULL ? STATUS_OK : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    for (int k = 0; s == STATUS_OK && k < SETTINGS; k++)
        s = play(k, ask, x, problem);
    if (s == STATUS_OK) {
        holm(x);
        (ask->json ? json : table)(out, ask, x);
    }
    free(x);
    return s;
}
