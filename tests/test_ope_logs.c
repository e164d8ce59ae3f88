/* SPDX-License-Identifier: MIT */
/*
 * Off-policy evaluation of whole logs. The Open Bandit Dataset's small files are looked for in the
 * folder obd_small below $PURSER_TEST_DATA, else skipped; what they must give is here.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "bandit/rng.h"
#include "sim/ope/convert.h"
#include "sim/ope/evaluate.h"
#include "sim/ope/fit.h"
#include "sim/ope/read.h"

static void near(double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("%.15g, not %.15g", got, want);
}

/* Answers what a target and a bound on weights come to on a log. */
static void evaluate(const char *path, const char *target, struct ope_rows *rows,
                     struct ope_report *report)
{
    struct ope_question q = {.alpha = .05, .seed = 1, .candidates = 1, .tuning = {.clip = 10}};
    struct ope_source source = {.path = path, .format = FORMAT_CSV};
    struct problem p = {0};
    assert_true(target_parse(target, &q.target) && target_parse("logged", &q.against));
    memset(rows, 0, sizeof *rows);
    source.target = &q.target;
    if (ope_read(&source, rows, &p) != STATUS_OK)
        fail_msg("%s: %s", path, p.text);
    assert_int_equal(fit_crossed(rows, &p), STATUS_OK);
    static const double quality[AIM_UTILITY] = {1, 0, 0, 0};
    rows_weigh(rows, quality);
    assert_int_equal(ope_evaluate(rows, &q, 0, report, &p), STATUS_OK);
}

static double value(const struct ope_report *r, enum ope_estimator e)
{
    return r->aim[AIM_QUALITY].side[SIDE_TARGET].estimate[e].value;
}

/* The uniform policy from logs of Bernoulli Thompson sampling, and its own logs beside. */
static void open_bandit(void **state)
{
    static const struct {
        const char *name;
        size_t arms;
        double ips, snips, ess, most, clip10;
    } known[] = {{"men", 34, .0030086263272565, .0031894231622774, 655.71, NAN, NAN},
                 {"women", 46, .0074375775419232, .0023730461434477, 2.08, 21740, .00438366918613}};
    const char *data = getenv("PURSER_TEST_DATA");
    char path[4096];
    (void)state;
    snprintf(path, sizeof path, "%s/obd_small/bts_men.csv", data ? data : "");
    if (data == NULL || access(path, R_OK) != 0) {
        print_message("skipped: PURSER_TEST_DATA names no folder with obd_small\n");
        skip();
    }
    for (int k = 0; k < 2; k++) {
        struct ope_rows rows;
        struct ope_report r;
        snprintf(path, sizeof path, "%s/obd_small/bts_%s.csv", data, known[k].name);
        evaluate(path, "uniform", &rows, &r);
        assert_int_equal(rows.n, 10000);
        assert_int_equal(rows.arms.n, known[k].arms);
        near(value(&r, OPE_IPS), known[k].ips, 1e-12);
        near(value(&r, OPE_SNIPS), known[k].snips, 1e-12);
        near(r.health[SIDE_TARGET].ess, known[k].ess, .005);
        if (!isnan(known[k].most)) {
            near(r.health[SIDE_TARGET].max_weight, known[k].most, 1);
            near(value(&r, OPE_CLIPPED), known[k].clip10, 1e-12);
        }
        assert_true(r.faults != 0); /* nothing to promote on two effective rows */
        ope_report_fini(&r);
        rows_fini(&rows);
        snprintf(path, sizeof path, "%s/obd_small/random_%s.csv", data, known[k].name);
        evaluate(path, "logged", &rows, &r);
        near(r.aim[AIM_QUALITY].logged, .0046, 1e-12);
        near(value(&r, OPE_IPS), .0046, 1e-12);
        ope_report_fini(&r);
        rows_fini(&rows);
    }
}

/* A log of one's own; the writer gives the file's name to whoever evaluates. */
static FILE *begin(char path[])
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    return f;
}

/* ---- Bernoulli Thompson sampling from uniform logs ---- */

enum { PLACES = 3, ARMS = 64, GRID = 4000 };

/* The policy that made the data set's other logs, as published with it: a Beta posterior of each
 * item's clicks; three items are shown in the order of a draw from each. */
static const struct posterior {
    const char *name;
    int n;
    int clicks[ARMS], others[ARMS];
    double ips, low, high; /* by 100,000 draws; high 0 = not known */
} posterior[] = {
    {"men",
     34,
     {47, 8, 62, 142, 3,  6,  100, 48, 23, 71, 61, 13, 16, 518, 30, 7, 4,
      23, 8, 10, 11,  11, 18, 121, 11, 4,  32, 30, 9,  22, 6,   23, 5, 54},
     {12198, 3566,   15993, 35522, 2367, 3100, 24665, 13210, 7061, 18061, 17449, 5644,
      6787,  111326, 8776,  3334,  2271, 7389, 2659,  3665,  4724, 3561,  5085,  27407,
      4601,  2923,   8897,  8654,  4000, 6580, 3174,  6766,  2602, 14506},
     .00453356,
     .002450,
     .007084},
    {"women",
     46,
     {12,  7,  984, 13, 15,  15, 11,  14, 9,  200, 72,  3,  14, 49, 1278, 3,
      325, 14, 27,  14, 169, 48, 47,  18, 40, 12,  447, 46, 5,  3,  5,    7,
      35,  34, 99,  30, 880, 51, 182, 6,  45, 39,  10,  24, 72, 229},
     {3612,   3173,  204484, 4517,  4765,  5331,  4131, 4728, 4028,  44280, 17918, 2309,
      4339,   12922, 270771, 2480,  68475, 5129,  7367, 5819, 38026, 13047, 11604, 5394,
      10912,  4439,  94485,  10700, 2679,  2319,  2578, 3288, 9566,  9775,  20120, 7317,
      172026, 13673, 37329,  3365,  10911, 10734, 4278, 7574, 16826, 47462},
     .006813474,
     0,
     0},
};

/* With which probability an item is in a place: exactly, over its own draw and how many others are
 * above it. */
static void places(const struct posterior *b, double p[PLACES][ARMS])
{
    static double density[ARMS][GRID], below[ARMS][GRID];
    const double step = .02 / GRID;
    for (int a = 0; a < b->n; a++) {
        double k = b->clicks[a], m = b->others[a], c = lgamma(k + m) - lgamma(k) - lgamma(m);
        double sum = 0;
        for (int g = 0; g < GRID; g++) {
            double x = (g + .5) * step, f = step * exp(c + (k - 1) * log(x) + (m - 1) * log1p(-x));
            density[a][g] = f;
            below[a][g] = fmin(1, sum + f / 2);
            sum += f;
        }
        near(sum, 1, 1e-4);
    }
    memset(p, 0, PLACES * sizeof *p);
    for (int a = 0; a < b->n; a++)
        for (int g = 0; g < GRID; g++) {
            double above[PLACES] = {1, 0, 0}; /* that 0, 1, 2 others are */
            for (int o = 0; o < b->n && density[a][g] > 1e-12; o++) {
                double f = below[o][g];
                for (int i = PLACES - 1; o != a && i >= 0; i--)
                    above[i] = above[i] * f + (i > 0 ? above[i - 1] * (1 - f) : 0);
            }
            for (int i = 0; i < PLACES; i++)
                p[i][a] += density[a][g] > 1e-12 ? density[a][g] * above[i] : 0;
        }
}

/* A uniform log with the policy's probabilities beside each row, as --target given takes it. */
static void write_given(FILE *from, FILE *to, const struct posterior *b, double p[PLACES][ARMS])
{
    char line[512];
    fputs("arm,p,quality", to);
    for (int a = 0; a < b->n; a++)
        fprintf(to, ",pi_%d", a);
    assert_non_null(fgets(line, sizeof line, from));
    while (fgets(line, sizeof line, from) != NULL) {
        int arm = -1, place = 0, click = 0;
        double propensity = 0;
        char *rest = strchr(line, ',');
        assert_true(rest && sscanf(rest, ",%d,%d,%d,%lf", &arm, &place, &click, &propensity) == 4);
        assert_true(place >= 1 && place <= PLACES);
        fprintf(to, "\n%d,%.15g,%d", arm, propensity, click);
        for (int a = 0; a < b->n; a++)
            fprintf(to, ",%.9g", p[place - 1][a]);
    }
    fputc('\n', to);
    assert_int_equal(fclose(to), 0);
}

static void thompson(void **state)
{
    const char *data = getenv("PURSER_TEST_DATA");
    char from[4096];
    (void)state;
    for (size_t k = 0; k < sizeof posterior / sizeof *posterior; k++) {
        const struct posterior *b = &posterior[k];
        double p[PLACES][ARMS];
        char path[] = "/tmp/purser-ope-XXXXXX";
        struct ope_rows rows;
        struct ope_report r;
        snprintf(from, sizeof from, "%s/obd_small/random_%s.csv", data ? data : "", b->name);
        FILE *f = data ? fopen(from, "r") : NULL;
        if (f == NULL) {
            print_message("skipped: PURSER_TEST_DATA names no folder with obd_small\n");
            skip();
        }
        places(b, p);
        write_given(f, begin(path), b, p);
        fclose(f);
        evaluate(path, "given", &rows, &r);
        unlink(path);
        near(value(&r, OPE_IPS), b->ips, .003 * b->ips); /* theirs draws, ours integrates */
        struct ope_interval i = r.aim[AIM_QUALITY].side[SIDE_TARGET].bootstrap[OPE_IPS];
        if (b->high > 0) {
            near(i.low, b->low, 1e-4);
            near(i.high, b->high, 1e-4);
        }
        ope_report_fini(&r);
        rows_fini(&rows);
    }
}

static void read_log(const char *path, bool lost, const char *kinds, struct ope_rows *rows,
                     struct ope_report *report)
{
    struct ope_question q = {.alpha = .05, .seed = 1, .candidates = 1};
    struct ope_source source = {.path = path, .format = FORMAT_CSV, .lost = lost};
    struct problem p = {0};
    static const double quality[AIM_UTILITY] = {1, 0, 0, 0};
    assert_true(target_parse("uniform", &q.target) && target_parse("logged", &q.against));
    source.target = &q.target;
    memset(rows, 0, sizeof *rows);
    if (ope_read(&source, rows, &p) != STATUS_OK)
        fail_msg("%s", p.text);
    assert_true(kinds == NULL || rows_kinds(rows, kinds));
    assert_int_equal(fit_crossed(rows, &p), STATUS_OK);
    rows_weigh(rows, quality);
    assert_int_equal(ope_evaluate(rows, &q, 0, report, &p), STATUS_OK);
}

/* Four arms of two kinds, and only the kind matters: weights by kind are right, and far smaller. */
static void kinds(void **state)
{
    enum { N = 20000 };
    static const double mu[4] = {.02, .48, .1, .4}, rate[2] = {.3, .6};
    char path[] = "/tmp/purser_ope_XXXXXX";
    struct ope_rows rows;
    struct ope_report r;
    FILE *f = begin(path);
    (void)state;
    fputs("arm,quality,pmf_a,pmf_b,pmf_c,pmf_d\n", f);
    for (int i = 0; i < N; i++) {
        struct rng g = rng_stream(5, 1, (uint64_t)i);
        double u = rng_uniform(&g);
        int a = u < .02 ? 0 : u < .5 ? 1 : u < .6 ? 2 : 3;
        fprintf(f, "%c,%d,%g,%g,%g,%g\n", "abcd"[a], rng_uniform(&g) < rate[a / 2], mu[0], mu[1],
                mu[2], mu[3]);
    }
    fclose(f);
    read_log(path, false, "a=x,b=x,c=y,d=y", &rows, &r);
    const struct ope_estimate *e = r.aim[AIM_QUALITY].side[SIDE_TARGET].estimate;
    near(e[OPE_MIPS].value, .45, .01);
    near(e[OPE_MIPS].value, r.aim[AIM_QUALITY].logged, 1e-12); /* both kinds at .5 in either */
    assert_true(e[OPE_MIPS].variance < e[OPE_IPS].variance / 4);
    assert_false(rows_kinds(&rows, "a=x,nobody=y"));
    ope_report_fini(&r);
    rows_fini(&rows);
    read_log(path, false, NULL, &rows, &r);
    assert_false(r.aim[AIM_QUALITY].side[SIDE_TARGET].estimate[OPE_MIPS].valid);
    ope_report_fini(&r);
    rows_fini(&rows);
    unlink(path);
}

/* Nobody has kept probabilities, which followed a feature that quality follows as well. */
static void lost_probabilities(void **state)
{
    enum { N = 20000 };
    char path[] = "/tmp/purser_ope_XXXXXX";
    struct ope_rows rows;
    struct ope_report r;
    double truth = 0, worst = 0;
    FILE *f = begin(path);
    (void)state;
    fputs("arm,quality,x_0\n", f);
    for (int i = 0; i < N; i++) {
        struct rng g = rng_stream(6, 1, (uint64_t)i);
        double x = rng_normal(&g), p = 1 / (1 + exp(-1.5 * x)), good = 1 / (1 + exp(-2 * x));
        int a = rng_uniform(&g) < p;
        truth += .5 * (good + .5 * good) / N;
        fprintf(f, "%c,%d,%.6f\n", "ab"[a], rng_uniform(&g) < (a ? good : .5 * good), x);
    }
    fclose(f);
    read_log(path, true, NULL, &rows, &r);
    worst = fabs(r.aim[AIM_QUALITY].logged - truth);
    assert_true(worst > .03);
    near(value(&r, OPE_IPS), truth, worst / 4);
    near(value(&r, OPE_SNIPS), truth, worst / 4);
    assert_true(r.faults != 0);
    ope_report_fini(&r);
    rows_fini(&rows);
    unlink(path);
}

/* A target that is as good for all and sinks one group below the floor does not pass, for that; one
 * whose groups were below before and do not sink does. */
static void floor_of_groups(void **state)
{
    enum { N = 8000 };
    char path[] = "/tmp/purser_ope_XXXXXX";
    struct ope_rows rows = {.floor_by = SEG_GROUP};
    struct ope_source source = {.path = path, .format = FORMAT_CSV};
    struct ope_question q = {.alpha = .05,
                             .seed = 1,
                             .candidates = 1,
                             .cost_allowed = (double)INFINITY,
                             .quality_margin = .1,
                             .segment_margin = 1};
    struct problem p = {0};
    static const double quality[AIM_UTILITY] = {1, 0, 0, 0}, floors[] = {0, .5, .95};
    FILE *f = begin(path);
    (void)state;
    fputs("arm,p,quality,group,pmf_a,pmf_b,q_a,q_b\n", f);
    for (int i = 0; i < N; i++) { /* b: better for most, and worse for few */
        struct rng g = rng_stream(9, 1, (uint64_t)i);
        bool few = i % 4 == 0, b = rng_uniform(&g) < .5;
        double good = b ? (few ? .3 : .9) : (few ? .7 : .6);
        fprintf(f, "%c,.5,%d,%s,.5,.5,.5,.5\n", b ? 'b' : 'a', rng_uniform(&g) < good,
                few ? "few" : "most");
    }
    fclose(f);
    assert_int_equal(ope_read(&source, &rows, &p), STATUS_OK);
    unlink(path);
    rows_weigh(&rows, quality);
    for (int target = 0; target < 2; target++)
        for (int k = 0; k < 3; k++) {
            struct ope_report r;
            q.floor = floors[k];
            assert_true(target_parse(target ? "always:b" : "logged", &q.target));
            assert_true(target_parse("logged", &q.against));
            assert_int_equal(ope_evaluate(&rows, &q, 0, &r, &p), STATUS_OK);
            assert_int_equal(r.n_parts, k > 0 ? 2 : 0);
            assert_int_equal(r.faults & ~(unsigned)GATE_UTILITY, target && k > 0 ? GATE_FLOOR : 0);
            ope_report_fini(&r);
        }
    rows_fini(&rows);
}

/* Reads a log, writes it, reads that again. */
static void round_trip(const struct ope_rows *from, enum ope_format format, bool obp,
                       struct ope_rows *back)
{
    char path[] = "/tmp/purser_ope_XXXXXX";
    struct problem p = {0};
    struct ope_source source = {.path = path, .format = format};
    FILE *f = begin(path);
    assert_int_equal(convert_write(from, format, obp, f, &p), STATUS_OK);
    fclose(f);
    memset(back, 0, sizeof *back);
    if (ope_read(&source, back, &p) != STATUS_OK)
        fail_msg("%s", p.text);
    unlink(path);
}

static void converts(void **state)
{
    char path[] = "/tmp/purser_ope_XXXXXX";
    struct ope_rows rows = {0}, back;
    struct problem p = {0};
    struct ope_source source = {.path = path, .format = FORMAT_CSV};
    FILE *f = begin(path);
    (void)state;
    fputs("arm,quality,cost_usd,session,time,tenant,task,pmf_a,pmf_b,pmf_c,q_a,q_b,q_c,x_0,x_1\n"
          "b,0.1,0.002,s1,2026-11-24T16:05:07.250,t,\"a, b\",0.2,0.7,0.1,0.5,0.25,0,1.5,-2\n"
          "a,,0.001,s1,2026-11-24T16:05:08.000,t,c,0.5,0.25,0.25,0,0,0,0,0\n"
          "c,1,,s2,2026-11-24T16:06:00.000,u,c,0.25,0.25,0.5,0,0,1,3,4\n",
          f);
    fclose(f);
    assert_int_equal(ope_read(&source, &rows, &p), STATUS_OK);
    unlink(path);
    for (int k = 0; k < 2; k++) { /* all of it, to the same bits */
        round_trip(&rows, k ? FORMAT_JSONL : FORMAT_CSV, false, &back);
        assert_int_equal(back.n, 3);
        assert_int_equal(back.d, 2);
        assert_memory_equal(back.p, rows.p, 3 * sizeof *rows.p);
        assert_memory_equal(back.x, rows.x, 6 * sizeof *rows.x);
        for (size_t i = 0; i < 3; i++) {
            assert_string_equal(back.arms.name[back.arm[i]], rows.arms.name[rows.arm[i]]);
            assert_int_equal(back.unit[i] == back.unit[0], i < 2);
            assert_string_equal(back.segment[SEG_TASK].name[back.seg[SEG_TASK][i]],
                                rows.segment[SEG_TASK].name[rows.seg[SEG_TASK][i]]);
            assert_true(llabs(back.time_ms[i] - rows.time_ms[i]) < 1000); /* read to the second */
            for (int a = 0; a < AIM_UTILITY; a++)
                assert_true((isnan(back.label[a][i]) && isnan(rows.label[a][i])) ||
                            memcmp(&back.label[a][i], &rows.label[a][i], sizeof(double)) == 0);
            for (size_t a = 0; a < 3; a++) {
                size_t at = 0;
                while (strcmp(back.arms.name[at], rows.arms.name[a]) != 0)
                    at++;
                near(back.pmf[i * (size_t)back.k + at], rows.pmf[i * (size_t)rows.k + a], 0);
                near((double)back.q[AIM_QUALITY][i * (size_t)back.k + at],
                     (double)rows.q[AIM_QUALITY][i * (size_t)rows.k + a], 0);
            }
        }
        rows_fini(&back);
    }
    for (int k = 0; k < 2; k++) { /* quality alone */
        round_trip(&rows, k ? FORMAT_DSJSON : FORMAT_CSV, !k, &back);
        assert_int_equal(back.n, 2);
        near(back.label[AIM_QUALITY][0], 0.1, 0);
        near(back.label[AIM_QUALITY][1], 1, 0);
        near(back.p[0], 0.7, 0);
        near(back.p[1], 0.5, 0);
        assert_int_equal(back.time_ms[0] / 1000, rows.time_ms[0] / 1000);
        assert_string_equal(back.arms.name[back.arm[0]], k ? "2" : "1");
        rows_fini(&back);
    }
    rows_fini(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_bandit), cmocka_unit_test(thompson),
        cmocka_unit_test(kinds),       cmocka_unit_test(lost_probabilities),
        cmocka_unit_test(converts),    cmocka_unit_test(floor_of_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
