/* SPDX-License-Identifier: MIT */
/*
 * The numeric layer against independent answers: libm, a dense GSL solve built row by row, the
 * known answers of each policy, and golden bits that pin the fold on every machine.
 */
#include "bandit/policy/pmf.h"
#include "bandit/policy/policy.h"
#include "bandit/pool.h"
#include "bandit/repro.h"
#include "bandit/ridge/ridge.h"
#include "bandit/ridge/ridge_inside.h"
#include "bandit/rng.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define assert_close(a, b, tolerance) check_close((a), (b), (tolerance), __LINE__)

static double room[4096]; /* of ridge_pool, for the d that are used here */

static void check_close(double a, double b, double tolerance, int line)
{
    if (fabs(a - b) <= tolerance)
        return;
    print_error("line %d: %.17g against %.17g\n", line, a, b);
    fail();
}

#define assert_bits(a, b) check_bits((a), (b), __LINE__)

static void check_bits(uint64_t a, uint64_t b, int line)
{
    if (a == b)
        return;
    print_error("line %d: 0x%016llxu\n", line, (unsigned long long)a);
    fail();
}

/* ---- rng ---- */

static void rng_known_answers(void **state)
{
    (void)state;
    /* The first outputs of the reference splitmix64.c for seed 1234567. */
    const uint64_t g = 0x9e3779b97f4a7c15u;
    assert_true(mix64(1234567 + g) == 6457827717110365317u);
    assert_true(mix64(1234567 + 2 * g) == 3203168211198807973u);
    struct rng r = rng_stream(1, 2, 3);
    assert_bits(rng_next(&r), 0xf9a321bac6164bd8u);
    assert_bits(hash64("purser", 6, 7), 0x461609255efd55efu);
    assert_true(hash64("a", 1, 0) != hash64("a\0", 2, 0));
    assert_true(hash64("12345678", 8, 0) != hash64("12345678", 8, 1));
}

static void rng_streams_differ(void **state)
{
    (void)state;
    struct rng a = rng_stream(0, 0, 0), again = rng_stream(0, 0, 0);
    struct rng others[3] = {rng_stream(1, 0, 0), rng_stream(0, 1, 0), rng_stream(0, 0, 1)};
    for (int i = 0; i < 1000; i++) {
        uint64_t word = rng_next(&a);
        assert_true(word == rng_next(&again));
        for (int j = 0; j < 3; j++)
            assert_true(word != rng_next(&others[j]));
    }
}

static void rng_distributions(void **state)
{
    (void)state;
    enum { N = 200000, CELLS = 7 };
    struct rng r = rng_stream(5, 0, 0);
    double sum = 0, square = 0, normal = 0, normal2 = 0;
    int cell[CELLS] = {0};
    for (int i = 0; i < N; i++) {
        double u = rng_uniform(&r), z = rng_normal(&r);
        assert_true(u >= 0 && u < 1);
        sum += u;
        square += u * u;
        normal += z;
        normal2 += z * z;
        cell[rng_below(&r, CELLS)]++;
    }
    assert_close(sum / N, 0.5, 0.003);
    assert_close(square / N, 1.0 / 3, 0.003);
    assert_close(normal / N, 0, 0.01);
    assert_close(normal2 / N, 1, 0.015);
    double chi2 = 0;
    for (int i = 0; i < CELLS; i++)
        chi2 += pow(cell[i] - (double)N / CELLS, 2) / ((double)N / CELLS);
    assert_true(chi2 < 22.5); /* 6 degrees of freedom, 99.9% */
    assert_true(rng_below(&r, 1) == 0);
}

/* ---- repro ---- */

static void repro_against_libm(void **state)
{
    (void)state;
    struct rng r = rng_stream(9, 0, 0);
    double worst[4] = {0};
    for (int i = 0; i < 300000; i++) {
        double wide = i % 3 == 0 ? 1.0 : (i % 3 == 1 ? 40.0 : 1021.9);
        double x = (2 * rng_uniform(&r) - 1) * wide;
        worst[0] = fmax(worst[0], fabs(repro_exp2(x) / exp2(x) - 1));
        worst[1] = fmax(worst[1], fabs(repro_exp(x * 0.693) / exp(x * 0.693) - 1));
        double y = exp2(x);
        worst[2] = fmax(worst[2], (double)fabsl(repro_log2(y) - log2l(y)));
        worst[3] = fmax(worst[3], (double)fabsl(repro_log(y) - logl(y)));
    }
    for (int i = 0; i < 100000; i++) { /* near 1, where log cancels: relative too */
        double y = 1 + (2 * rng_uniform(&r) - 1) * 0.3;
        worst[3] = fmax(worst[3], (double)fabsl(repro_log(y) - logl(y)));
        assert_true(fabs(repro_log(y) - log(y)) <= 1e-14 * fabs(log(y)));
    }
    for (int i = 0; i < 2; i++)
        assert_true(worst[i] < 2e-15);
    for (int i = 2; i < 4; i++)
        assert_true(worst[i] < 1e-13);
}

static void repro_edges(void **state)
{
    (void)state;
    for (int k = -1022; k <= 1023; k++) {
        assert_true(repro_exp2(k) == ldexp(1, k));
        assert_true(repro_log2(ldexp(1, k)) == k);
    }
    assert_true(repro_exp2(-1022.5) == 0 && repro_exp2(-1e300) == 0);
    assert_true(repro_exp2(1023.7) == 0x1p1023 && repro_exp2(1e300) == 0x1p1023);
    assert_true(repro_exp(-1e300) == 0 && repro_exp(1e300) == 0x1p1023);
    assert_true(repro_exp(0) == 1 && repro_log(1) == 0);
    assert_true(repro_log2(0) == -1022 && repro_log2(5e-324) == -1022);
    assert_close(repro_log(0), log(0x1p-1022), 1.2e-13);
    double most = 1.7976931348623157e308;
    assert_close(repro_log2(most), 1024, 1e-13);
}

/* covers: N18 U8 */
static void repro_golden_bits(void **state)
{
    (void)state;
    struct rng r = rng_stream(11, 0, 0);
    uint64_t digest = 0;
    for (int i = 0; i < 20000; i++) {
        double x = (2 * rng_uniform(&r) - 1) * 900;
        double out[4] = {repro_exp2(x), repro_exp(x * 0.5), repro_log2(fabs(x)),
                         repro_log(fabs(x))};
        digest = hash64(out, sizeof out, digest);
        double together[] = {x * 0.5, x, x * 2, -x, x * 1.2};
        const double apart[] = {out[1], repro_exp(x), repro_exp2(x * 2), repro_exp2(-x),
                                repro_exp2(x * 1.2)};
        repro_exps(together, 2, 5);
        assert_memory_equal(together, apart, sizeof apart);
        double logs[] = {fabs(x), 1 + x * x, 0};
        const double each[] = {out[3], repro_log(1 + x * x), repro_log(0)};
        repro_logs(logs, 3);
        assert_memory_equal(logs, each, sizeof each);
    }
    assert_bits(digest, 0x8b56efd503a7de9fu);
}

/* ---- ridge ---- */

enum { HOUR = 3600000 };

struct row {
    float x[64];
    double y;
    int64_t t_ms;
    double v;
};

/* Uniform numbers only, no libm: the rows are the same bits everywhere. */
static struct row row_at(uint64_t seed, uint64_t i, int d)
{
    struct rng r = rng_stream(seed, 1, i);
    struct row row = {.t_ms = 1700000000000 + (int64_t)rng_below(&r, 400 * HOUR)};
    row.x[0] = 1;
    row.y = 0.3;
    for (int j = 1; j < d; j++) {
        row.x[j] = (float)(2 * rng_uniform(&r) - 1);
        row.y += (double)row.x[j] / (j + 1);
    }
    row.y += 0.2 * (rng_uniform(&r) - 0.5);
    row.v = 0.5 + rng_uniform(&r);
    return row;
}

static void add_row(struct ridge *r, const struct row *row)
{
    ridge_add(r, row->x, row->y, row->t_ms, row->v);
}

static struct ridge *ridge_some(int d, int64_t half_life_ms)
{
    struct ridge *r = ridge_new(d, half_life_ms, 0.25, 2);
    double precision[64], mean[64];
    for (int j = 0; j < d; j++) {
        precision[j] = 0.5 + j;
        mean[j] = 0.1 * j - 0.2;
    }
    ridge_prior(r, precision, mean);
    return r;
}

/* What ridge.h promises, the plain way: explicit weights, full matrices, LU instead of Cholesky. */
struct dense {
    int d;
    gsl_matrix *s, *inverse;
    gsl_vector *b, *theta;
    double yy, w, sigma2;
};

static void dense_sums(struct dense *e, const struct row *rows, int n, int64_t half_life_ms,
                       int64_t now_ms)
{
    for (int i = 0; i < n; i++) {
        double halves =
            half_life_ms > 0 ? (double)(rows[i].t_ms - now_ms) / (double)half_life_ms : 0;
        double w = rows[i].v * exp2(halves);
        for (size_t j = 0; j < (size_t)e->d; j++) {
            double xj = (double)rows[i].x[j];
            *gsl_vector_ptr(e->b, j) += w * rows[i].y * xj;
            for (size_t k = 0; k < (size_t)e->d; k++)
                *gsl_matrix_ptr(e->s, j, k) += w * xj * (double)rows[i].x[k];
        }
        e->yy += w * rows[i].y * rows[i].y;
        e->w += w;
    }
}

static struct dense dense_fit(const struct row *rows, int n, int d, int64_t half_life_ms,
                              int64_t now_ms)
{
    size_t dd = (size_t)d;
    struct dense e = {d,
                      gsl_matrix_calloc(dd, dd),
                      gsl_matrix_calloc(dd, dd),
                      gsl_vector_calloc(dd),
                      gsl_vector_calloc(dd),
                      0,
                      0,
                      0};
    dense_sums(&e, rows, n, half_life_ms, now_ms);
    gsl_matrix *a = gsl_matrix_calloc(dd, dd);
    gsl_matrix_memcpy(a, e.s);
    gsl_vector *h = gsl_vector_calloc(dd);
    gsl_vector_memcpy(h, e.b);
    for (size_t j = 0; j < dd; j++) {
        double precision = 0.5 + (double)j, mean = 0.1 * (double)j - 0.2;
        *gsl_matrix_ptr(a, j, j) += precision;
        *gsl_vector_ptr(h, j) += precision * mean;
    }
    gsl_permutation *p = gsl_permutation_alloc(dd);
    int sign;
    assert_int_equal(gsl_linalg_LU_decomp(a, p, &sign), GSL_SUCCESS);
    assert_int_equal(gsl_linalg_LU_solve(a, p, h, e.theta), GSL_SUCCESS);
    assert_int_equal(gsl_linalg_LU_invert(a, p, e.inverse), GSL_SUCCESS);
    double rss = 0;
    for (int i = 0; i < n; i++) {
        double halves =
            half_life_ms > 0 ? (double)(rows[i].t_ms - now_ms) / (double)half_life_ms : 0;
        double miss = rows[i].y;
        for (size_t j = 0; j < dd; j++)
            miss -= gsl_vector_get(e.theta, j) * (double)rows[i].x[j];
        rss += rows[i].v * exp2(halves) * miss * miss;
    }
    e.sigma2 = (2 * 0.25 + rss) / (2 + e.w);
    gsl_permutation_free(p);
    gsl_vector_free(h);
    gsl_matrix_free(a);
    return e;
}

static void dense_free(struct dense *e)
{
    gsl_matrix_free(e->s);
    gsl_matrix_free(e->inverse);
    gsl_vector_free(e->b);
    gsl_vector_free(e->theta);
}

static void assert_fits(const struct ridge *r, const struct dense *e, double tolerance)
{
    double x[64], work[64 + RIDGE_SPARE], mean = 0, width = 0;
    for (int j = 0; j < e->d; j++)
        x[j] = 0.3 * j - 1;
    for (size_t j = 0; j < (size_t)e->d; j++) {
        assert_close(ridge_theta(r)[j], gsl_vector_get(e->theta, j), tolerance);
        mean += gsl_vector_get(e->theta, j) * x[j];
        for (size_t k = 0; k < (size_t)e->d; k++)
            width += x[j] * gsl_matrix_get(e->inverse, j, k) * x[k];
    }
    assert_close(ridge_mean(r, x), mean, tolerance * (1 + fabs(mean)));
    assert_close(ridge_width(r, x, work), width, tolerance * width);
    assert_close(ridge_sigma2(r), e->sigma2, tolerance);
    assert_close(ridge_weight(r), e->w, tolerance * (1 + e->w));
}

/* covers: N11 */
static void ridge_equals_dense(void **state)
{
    (void)state;
    const int dims[] = {1, 2, 3, 4, 5, 7, 8, 13, 26, 31, 64};
    const int64_t lives[] = {0, 48 * (int64_t)HOUR, HOUR};
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        for (size_t k = 0; k < 3; k++) {
            struct row rows[300];
            struct ridge *r = ridge_some(dims[i], lives[k]);
            for (int j = 0; j < 300; j++) {
                rows[j] = row_at(77 + i, (uint64_t)j, dims[i]);
                add_row(r, &rows[j]);
            }
            int64_t now = 1700000000000 + 401 * (int64_t)HOUR;
            assert_int_equal(ridge_stale(r), 300);
            assert_true(ridge_refresh(r, now));
            assert_int_equal(ridge_stale(r), 0);
            struct dense e = dense_fit(rows, 300, dims[i], lives[k], now);
            assert_fits(r, &e, 1e-9);
            dense_free(&e);
            ridge_free(r);
        }
    }
}

static double weight_of_rows(const struct row *rows, int n, int64_t half_life_ms, int64_t now_ms)
{
    double w = 0;
    for (int i = 0; i < n; i++)
        w += rows[i].v *
             (half_life_ms > 0 ? exp2((double)(rows[i].t_ms - now_ms) / (double)half_life_ms) : 1);
    return w;
}

/* A loan is a power prior: the lender's rows among the own ones, each k times its weight. */
static void ridge_borrowing_equals_dense(void **state)
{
    (void)state;
    enum { OWN = 40, LENT = 300, ALL = OWN + LENT };
    const int dims[] = {1, 7, 26, 64};
    const double loans[] = {1, 25, 1e6};
    const int64_t now = 1700000000000 + 501 * (int64_t)HOUR, lives[] = {0, 200 * (int64_t)HOUR};
    for (size_t i = 0; i < sizeof dims / sizeof dims[0] * 6; i++) {
        int d = dims[i / 6];
        int64_t life = lives[i % 2];
        double loan = loans[i / 2 % 3], work[64 + RIDGE_SPARE], x[64] = {1};
        struct row rows[ALL];
        struct ridge *r = ridge_some(d, life), *lender = ridge_some(d, life);
        for (int j = 0; j < ALL; j++) {
            rows[j] = row_at(87 + i, (uint64_t)j, d);
            if (j < OWN) /* apart in time: the epochs differ */
                rows[j].t_ms += 90 * (int64_t)HOUR;
            add_row(j < OWN ? r : lender, &rows[j]);
        }
        double weight = weight_of_rows(rows + OWN, LENT, life, now);
        for (int j = OWN; j < ALL; j++)
            rows[j].v *= fmin(1, loan / weight);
        assert_true(ridge_outdated(r, lender, now));
        assert_true(ridge_refresh_from(r, lender, loan, now, NULL));
        struct dense e = dense_fit(rows, ALL, d, life, now);
        e.w = weight_of_rows(rows, OWN, life, now);
        assert_fits(r, &e, 1e-9);
        assert_false(ridge_outdated(r, lender, now));
        double narrow = ridge_width(r, x, work);
        ridge_pend(r, (const float[64]){1}, 1,
                   1); /* pending rows narrow what the loan has narrowed */
        ridge_set_label_rate(r, 1);
        assert_true(ridge_refresh_from(r, lender, loan, now, NULL));
        assert_close(ridge_width(r, x, work), narrow / (1 + narrow), 1e-9);
        dense_free(&e);
        ridge_pend(r, (const float[64]){1}, -1, 1);
        ridge_fade(r, 0.5, now); /* what is lent fades with the own rows */
        for (int j = 0; j < ALL; j++)
            rows[j].v *= j < OWN ? 0.5 : fmin(1, loan / 2 / weight) / fmin(1, loan / weight);
        assert_true(ridge_refresh_from(r, lender, loan, now, NULL));
        e = dense_fit(rows, ALL, d, life, now);
        e.w = weight_of_rows(rows, OWN, life, now);
        assert_fits(r, &e, 1e-9);
        dense_free(&e);
        ridge_free(r);
        ridge_free(lender);
    }
}

static void ridge_borrowing_nothing(void **state)
{
    (void)state;
    enum { D = 9 };
    const int64_t now = 1700000000000 + 401 * (int64_t)HOUR;
    size_t n = ridge_state_len(D);
    double *out[3] = {malloc(n * sizeof **out), malloc(n * sizeof **out), malloc(n * sizeof **out)};
    struct ridge *r = ridge_some(D, 48 * (int64_t)HOUR), *empty = ridge_some(D, 48 * (int64_t)HOUR);
    for (uint64_t i = 0; i < 60; i++) {
        struct row row = row_at(3, i, D);
        add_row(r, &row);
    }
    assert_true(ridge_refresh(r, now));
    ridge_save(r, out[0]);
    assert_true(ridge_refresh_from(r, empty, 100, now, NULL));
    ridge_save(r, out[1]);
    assert_true(ridge_refresh_from(r, r, 0, now, NULL));
    ridge_save(r, out[2]);
    assert_memory_equal(out[0], out[1], n * sizeof **out);
    assert_memory_equal(out[0], out[2], n * sizeof **out);
    assert_false(ridge_outdated(r, empty, now));
    ridge_free(r);
    ridge_free(empty);
    for (int i = 0; i < 3; i++)
        free(out[i]);
}

static void ridge_without_data_is_the_prior(void **state)
{
    (void)state;
    const double precision[2] = {4, 100}, mean[2] = {2, -1}, x[2] = {1, 10};
    double work[2 + RIDGE_SPARE];
    struct ridge *r = ridge_new(2, 0, 0.5, 0);
    assert_true(ridge_mean(r, x) == 0 && ridge_width(r, x, work) == 101);
    ridge_prior(r, precision, mean);
    for (int i = 0; i < 2; i++) { /* before the first refresh and after it */
        assert_close(ridge_mean(r, x), -8, 1e-15);
        assert_close(ridge_width(r, x, work), 1.25, 1e-15); /* not 4 + 10000: MABWiser's bug */
        assert_true(ridge_sigma2(r) == 0.5);
        assert_true(ridge_refresh(r, 5));
    }
    const double other[2] = {0, 0};
    ridge_prior(r, precision, other);
    assert_close(ridge_mean(r, x), -8, 1e-15); /* refreshed once: changes at refreshes only */
    assert_true(ridge_refresh(r, 5));
    assert_true(ridge_mean(r, x) == 0);
    ridge_free(r);
    ridge_free(NULL);
}

static void shuffle(int *order, int n, struct rng *g)
{
    for (int i = 0; i < n; i++)
        order[i] = i;
    for (int i = n - 1; i > 0; i--) {
        int j = (int)rng_below(g, (uint64_t)i + 1);
        int swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

/* Rows arrive in any order; some with a wrong label that is amended later, some that are taken out
 * again. Every 50th step refreshes at its own time, which moves the epoch in between. */
static void ridge_any_order(void **state)
{
    (void)state;
    enum { D = 9, N = 400, EXTRA = 40 };
    const int64_t now = 1700000000000 + 401 * (int64_t)HOUR, life = 7 * HOUR; /* over 40 lives */
    struct row rows[N];
    for (int i = 0; i < N; i++)
        rows[i] = row_at(3, (uint64_t)i, D);
    struct dense e = dense_fit(rows, N, D, life, now);
    struct rng g = rng_stream(4, 0, 0);
    for (int round = 0; round < 20; round++) {
        struct ridge *r = ridge_some(D, life);
        int order[N];
        shuffle(order, N, &g);
        for (int i = 0; i < N; i++) {
            const struct row *row = &rows[order[i]];
            struct row extra = row_at(99, (uint64_t)i, D);
            double wrong = i % 5 == 0 ? 0.9 : row->y;
            if (i < EXTRA)
                add_row(r, &extra);
            ridge_add(r, row->x, wrong, row->t_ms, row->v);
            if (i % 50 == 0)
                assert_true(ridge_refresh(r, row->t_ms));
            if (i % 5 == 0)
                ridge_amend(r, row->x, wrong, row->y, row->t_ms, row->v);
        }
        for (int i = EXTRA - 1; i >= 0; i--) {
            struct row extra = row_at(99, (uint64_t)i, D);
            ridge_remove(r, extra.x, extra.y, extra.t_ms, extra.v);
        }
        assert_int_equal(ridge_count(r), N);
        assert_true(ridge_refresh(r, now));
        assert_fits(r, &e, 1e-9);
        ridge_free(r);
    }
    dense_free(&e);
}

static void ridge_merge_equals_one_stream(void **state)
{
    (void)state;
    enum { D = 12, N = 300 };
    const int64_t now = 1700000000000 + 401 * (int64_t)HOUR, life = 6 * HOUR;
    struct row rows[N];
    struct ridge *part[3], *sum = ridge_some(D, life), *back = ridge_some(D, life);
    for (int i = 0; i < 3; i++)
        part[i] = ridge_some(D, life);
    for (int i = 0; i < N; i++) {
        rows[i] = row_at(8, (uint64_t)i, D);
        add_row(part[i % 3], &rows[i]);
    }
    assert_true(ridge_refresh(part[1], now)); /* another epoch than its fellows */
    for (int i = 0; i < 3; i++) {
        ridge_merge(sum, part[i]);
        ridge_merge(back, part[2 - i]);
    }
    assert_int_equal(ridge_stale(sum), N);
    assert_int_equal(ridge_count(sum), N);
    struct dense e = dense_fit(rows, N, D, life, now);
    assert_true(ridge_refresh(sum, now) && ridge_refresh(back, now));
    assert_fits(sum, &e, 1e-9);
    assert_fits(back, &e, 1e-9);
    dense_free(&e);
    for (int i = 0; i < 3; i++)
        ridge_free(part[i]);
    ridge_free(sum);
    ridge_free(back);
}

/* a's sums, moved to b's epoch, are b's. */
static void assert_same_sums(const struct ridge *a, const struct ridge *b)
{
    double f = ridge_scale(a, b->epoch_ms), most = b->w;
    assert_int_equal(a->count, b->count);
    assert_close(f * a->w, b->w, 1e-12 * most);
    assert_close(f * f * a->w2, b->w2, 1e-12 * b->w2);
    assert_close(f * a->yy, b->yy, 1e-12 * b->yy);
    for (size_t i = 0; i < a->packed; i++)
        assert_close(f * a->s[i], b->s[i], 1e-12 * most);
    for (int i = 0; i < a->d; i++)
        assert_close(f * a->b[i], b->b[i], 1e-12 * most);
}

/* What one of two replicas goes through: rows in time and late ones, two fadings of its own, a
 * third of the labels wrong at first. */
struct fading {
    int64_t t_ms;
    double keep;
};

static void live_through(struct ridge *r, const struct row *rows, int n, int part,
                         const struct fading fading[2])
{
    bool has[400] = {false};
    for (int h = 0; h < 3; h++) {
        for (int i = part; i < n; i += 2) {
            bool late = i % 4 >= 2 || (h < 2 && rows[i].t_ms > fading[h].t_ms);
            if (has[i] || (h < 2 && late))
                continue;
            ridge_add(r, rows[i].x, i % 3 ? rows[i].y : 7, rows[i].t_ms, rows[i].v);
            has[i] = true;
        }
        if (h < 2)
            ridge_fade(r, fading[h].keep, fading[h].t_ms);
    }
    for (int i = part; i < n; i += 2)
        if (i % 3 == 0)
            ridge_amend(r, rows[i].x, 7, rows[i].y, rows[i].t_ms, rows[i].v);
}

/* Two replicas with epochs and fadings of their own: their sums add up to those of one stream in
 * which each row has the weight that fading left it, whichever is added to which. */
static void ridge_merge_keeps_what_faded(void **state)
{
    (void)state;
    enum { D = 8, N = 400 };
    const int64_t start = 1700000000000, now = start + 401 * (int64_t)HOUR;
    const int64_t lives[] = {0, 9 * (int64_t)HOUR, 3000 * (int64_t)HOUR};
    struct row rows[N];
    for (int i = 0; i < N; i++)
        rows[i] = row_at(18, (uint64_t)i, D);
    const struct fading fading[2][2] = {
        {{rows[0].t_ms, 0.5}, {rows[0].t_ms + HOUR, 0.25}}, /* a row of that very time */
        {{start + 200 * (int64_t)HOUR, 0.125}, {start + 390 * (int64_t)HOUR, 0.75}}};
    for (int k = 0; k < 3; k++) {
        struct ridge *part[2], *one = ridge_some(D, lives[k]), *sum = ridge_some(D, lives[k]);
        for (int p = 0; p < 2; p++) {
            part[p] = ridge_some(D, lives[k]);
            live_through(part[p], rows, N, p, fading[p]);
        }
        assert_true(ridge_refresh(part[1], now)); /* moves its epoch when evidence is short-lived */
        assert_true(lives[k] == 0 || part[0]->epoch_ms != part[1]->epoch_ms);
        for (int i = 0; i < N; i++) {
            double v = rows[i].v;
            for (int h = 0; h < 2; h++)
                v *= rows[i].t_ms <= fading[i % 2][h].t_ms ? fading[i % 2][h].keep : 1;
            ridge_add(one, rows[i].x, rows[i].y, rows[i].t_ms, v);
        }
        ridge_merge(sum, part[0]);
        ridge_merge(sum, part[1]);
        assert_same_sums(sum, one);
        ridge_merge(part[1], part[0]);
        assert_same_sums(part[1], one);
        ridge_free(part[0]);
        ridge_free(part[1]);
        ridge_free(one);
        ridge_free(sum);
    }
}

static void ridge_half_life_changes(void **state)
{
    (void)state;
    const float x[1] = {1};
    struct ridge *r = ridge_new(1, 1000, 1, 1);
    ridge_add(r, x, 1, 5000, 1);
    ridge_set_half_life(r, 0, 6000); /* worth 1/2 now and from here on for ever */
    ridge_add(r, x, 0.5, 6001, 1);
    assert_true(ridge_refresh(r, 1000000));
    assert_true(ridge_weight(r) == 1.5);
    ridge_set_half_life(r, 500, 2000000);
    assert_true(ridge_refresh(r, 2001000));
    assert_true(ridge_weight(r) == 1.5 / 4);
    assert_close(ridge_theta(r)[0], 0.25 / 1.375, 1e-15);
    /* A late row of the first time weighs what it would have, and so does what is taken out. */
    ridge_add(r, x, 1, 4000, 1);
    assert_true(ridge_refresh(r, 2001000));
    assert_true(ridge_weight(r) == (1.5 + 0.25) / 4);
    ridge_remove(r, x, 1, 5000, 1);
    ridge_remove(r, x, 1, 4000, 1);
    ridge_remove(r, x, 0.5, 6001, 1);
    assert_true(ridge_refresh(r, 2001000));
    assert_true(ridge_weight(r) == 0 && ridge_theta(r)[0] == 0);
    /* As many changes as are told apart. */
    for (int i = 1; i <= HALVES_MAX; i++)
        ridge_set_half_life(r, 1000 * (i % 2), 3000000 + 1000 * i);
    ridge_add(r, x, 1, 3000500, 1);
    assert_true(ridge_refresh(r, 3006000));
    assert_true(ridge_weight(r) == 0.5 * 0.5 * 0.5);
    ridge_free(r);
}

/* What siblings copy from each other is what each would have worked out alone, to the bit. */
static void ridge_siblings_equal_only_children(void **state)
{
    (void)state;
    enum { D = 19, N = 3, STEPS = 600 };
    struct rng g = rng_stream(12, 7, 0);
    struct ridge *together[N], *alone[N];
    static double a[2000], b[2000];
    double x[D], work[D + RIDGE_SPARE];
    int alike = 0;
    assert_true(ridge_state_len(D) <= sizeof a / sizeof *a);
    for (int i = 0; i < N; i++) {
        together[i] = ridge_some(D, 50000);
        alone[i] = ridge_some(D, 50000);
    }
    for (int step = 0; step < STEPS; step++) {
        struct row row = row_at(12, (uint64_t)step, D);
        struct ridge_change change[N];
        int n = 0, rows = step % 7 == 6 ? -1 : step % 5 == 4 ? 0 : 1;
        int64_t t_ms = (int64_t)step * 5000; /* the epoch moves now and then */
        for (int i = 0; i < N; i++) {        /* in stretches all get the same rows */
            if (i > 0 && step / 50 % 3 == i && rng_uniform(&g) < 0.5)
                continue;
            change[n++] = (struct ridge_change){together[i], rows, 0.3, row.y * i};
            if (rows > 0)
                ridge_add(alone[i], row.x, row.y * i, t_ms, row.v);
            else if (rows < 0)
                ridge_remove(alone[i], row.x, 0.3, t_ms, row.v);
            else
                ridge_amend(alone[i], row.x, 0.3, row.y * i, t_ms, row.v);
        }
        ridge_change(change, n, row.x, t_ms, row.v);
        for (int j = 0; j < D; j++)
            x[j] = (double)row.x[j];
        for (int i = 0; i < N; i++) {
            if (step % 100 == 60 + i)
                ridge_fade(together[i], 0.5, t_ms), ridge_fade(alone[i], 0.5, t_ms);
            if (step % 90 == 45) { /* names start anew from what is there */
                ridge_save(together[i], a);
                assert_true(ridge_load(together[i], a));
            }
            if (step % 4 == 0)
                assert_true(ridge_refresh_from(together[i], NULL, 0, t_ms,
                                               i > 0 ? together[i - 1] : NULL) ==
                            ridge_refresh(alone[i], t_ms));
            ridge_save(together[i], a);
            ridge_save(alone[i], b);
            assert_memory_equal(a, b, ridge_state_len(D) * sizeof *a);
            if (i == 0 || !ridge_like(together[i], together[i - 1]))
                continue;
            alike++;
            double width = ridge_width(together[i], x, work);
            assert_true(width == ridge_width(together[i - 1], x, work));
        }
    }
    assert_true(alike > 100 && alike < (N - 1) * STEPS);
    for (int i = 0; i < N; i++) {
        ridge_free(together[i]);
        ridge_free(alone[i]);
    }
}

static void ridge_keeps_the_old_snapshot(void **state)
{
    (void)state;
    const float x[2] = {1, 2}, bad[2] = {1, NAN};
    const double at[2] = {1, 1};
    double work[2 + RIDGE_SPARE];
    struct ridge *r = ridge_new(2, 0, 1, 1);
    ridge_add(r, x, 3, 0, 1);
    assert_true(ridge_refresh(r, 0));
    double mean = ridge_mean(r, at), width = ridge_width(r, at, work);
    ridge_remove(r, x, 0, 0, 9); /* never added: indefinite */
    assert_false(ridge_refresh(r, 0));
    ridge_add(r, bad, 3, 0, 1);
    assert_false(ridge_refresh(r, 0));
    assert_true(ridge_mean(r, at) == mean && ridge_width(r, at, work) == width);
    assert_int_equal(ridge_stale(r), 2);
    ridge_free(r);
    /* Collinear data with a prior that rounds away: jitter carries it. */
    const double tiny[2] = {1e-18, 1e-18}, zero[2] = {0, 0};
    r = ridge_new(2, 0, 1, 1);
    ridge_prior(r, tiny, zero);
    for (int i = 0; i < 50; i++)
        ridge_add(r, x, 5, 0, 1);
    assert_true(ridge_refresh(r, 0));
    const double along[2] = {1, 2};
    assert_close(ridge_mean(r, along), 5, 1e-6);
    ridge_free(r);
}

static void ridge_saves_every_bit(void **state)
{
    (void)state;
    enum { D = 17 };
    size_t n = ridge_state_len(D);
    double *one = malloc(n * sizeof *one), *two = malloc(n * sizeof *two);
    struct ridge *r = ridge_some(D, 30 * (int64_t)HOUR);
    for (uint64_t i = 0; i < 150; i++) {
        struct row row = row_at(21, i, D);
        add_row(r, &row);
        if (i == 100)
            assert_true(ridge_refresh(r, row.t_ms));
    }
    ridge_save(r, one);
    struct ridge *copy = ridge_new(D, 1, 9, 9), *other = ridge_new(D - 1, 1, 1, 1);
    assert_true(ridge_load(copy, one));
    assert_false(ridge_load(other, one));
    ridge_save(copy, two);
    assert_memory_equal(one, two, n * sizeof *one);
    for (uint64_t i = 150; i < 400; i++) {
        struct row row = row_at(21, i, D);
        add_row(r, &row);
        add_row(copy, &row);
        if (i % 60 == 0)
            assert_true(ridge_refresh(r, row.t_ms) && ridge_refresh(copy, row.t_ms));
    }
    ridge_save(r, one);
    ridge_save(copy, two);
    assert_memory_equal(one, two, n * sizeof *one);
    for (size_t i = 0; i < n; i++) { /* no damaged value gets in, and a refusal changes nothing */
        double kept = one[i];
        one[i] = NAN;
        assert_false(ridge_load(copy, one));
        one[i] = kept;
    }
    one[3] = 0.5; /* an epoch that is no integer */
    assert_false(ridge_load(copy, one));
    ridge_save(copy, one);
    assert_memory_equal(one, two, n * sizeof *one);
    ridge_free(r);
    ridge_free(copy);
    ridge_free(other);
    free(one);
    free(two);
}

/* These bits must come out on every CPU, compiler and C library, or replay lies. covers: N18 U8 */
static void ridge_golden_bits(void **state)
{
    (void)state;
    enum { D = 26 };
    size_t n = ridge_state_len(D);
    double *out = malloc(n * sizeof *out);
    struct ridge *r = ridge_some(D, 24 * (int64_t)HOUR);
    for (uint64_t i = 0; i < 500; i++) {
        struct row row = row_at(31, i, D);
        add_row(r, &row);
        if (i % 9 == 0)
            ridge_amend(r, row.x, row.y, 0.25, row.t_ms, row.v);
        if (i % 32 == 31)
            assert_true(ridge_refresh(r, row.t_ms));
    }
    struct ridge *const both[2] = {r, r};
    double x[D], work[D + RIDGE_SPARE], mean[D], ones[D];
    struct pool_prior pp = {.precision = ones, .shared = ones};
    for (int j = 0; j < D; j++) {
        x[j] = 1.0 / (j + 1);
        ones[j] = 1;
    }
    ridge_save(r, out);
    uint64_t digest = hash64(out, n * sizeof *out, 0);
    double read[2] = {ridge_mean(r, x), ridge_width(r, x, work)};
    digest = hash64(read, sizeof read, digest);
    assert_true(ridge_pool(both, 2, &pp, 1700000000000 + 401 * (int64_t)HOUR, room, mean, NULL));
    digest = hash64(mean, sizeof mean, digest);
    assert_bits(digest, 0x29ab053b21a77a7eu);
    ridge_free(r);
    free(out);
}

/* ---- pooling ---- */

static double level_of(int arm)
{
    return 0.3 * arm - 0.2;
}

/* theta_0 the long way: one joint system in (theta_0, theta_1 .. theta_n), solved by GSL. */
static void pool_reference(struct row rows[][60], int n, int d, double *mean)
{
    size_t dd = (size_t)d, all = dd * ((size_t)n + 1);
    gsl_matrix *a = gsl_matrix_calloc(all, all);
    gsl_vector *h = gsl_vector_calloc(all), *out = gsl_vector_calloc(all);
    for (size_t j = 0; j < dd; j++) {
        *gsl_matrix_ptr(a, j, j) += 2;
    }
    for (size_t m = 1; m <= (size_t)n; m++) {
        for (size_t j = 0; j < dd; j++) {
            double precision = 0.5 + (double)j;
            *gsl_matrix_ptr(a, j, j) += precision;
            *gsl_matrix_ptr(a, m * dd + j, m * dd + j) += precision;
            *gsl_matrix_ptr(a, j, m * dd + j) -= precision;
            *gsl_matrix_ptr(a, m * dd + j, j) -= precision;
        }
        for (int i = 0; i < 60; i++) {
            const struct row *row = &rows[m - 1][i];
            for (size_t j = 0; j < dd; j++) {
                double xj = row->v * (double)row->x[j];
                *gsl_vector_ptr(h, m * dd + j) +=
                    xj * (row->y - level_of((int)m - 1) * (double)row->x[0]);
                for (size_t k = 0; k < dd; k++)
                    *gsl_matrix_ptr(a, m * dd + j, m * dd + k) += xj * (double)row->x[k];
            }
        }
    }
    assert_int_equal(gsl_linalg_HH_solve(a, h, out), GSL_SUCCESS);
    for (size_t j = 0; j < dd; j++)
        mean[j] = gsl_vector_get(out, j);
    gsl_matrix_free(a);
    gsl_vector_free(h);
    gsl_vector_free(out);
}

static void ridge_pool_equals_joint_fit(void **state)
{
    (void)state;
    enum { D = 7, ARMS = 4 };
    static struct row rows[ARMS][60];
    struct ridge *arm[ARMS + 1];
    for (int m = 0; m < ARMS; m++) {
        arm[m] = ridge_some(D, 0);
        for (int i = 0; i < 60; i++) {
            rows[m][i] = row_at(50 + (uint64_t)m, (uint64_t)i, D);
            add_row(arm[m], &rows[m][i]);
        }
    }
    arm[ARMS] = ridge_some(D, 0); /* without rows: no difference */
    double precision[D], shared[D], level[ARMS + 1], got[D], want[D];
    for (int j = 0; j < D; j++) {
        precision[j] = 0.5 + j;
        shared[j] = 2;
    }
    for (int m = 0; m <= ARMS; m++)
        level[m] = level_of(m);
    struct pool_prior prior = {.level = level, .precision = precision, .shared = shared};
    assert_true(ridge_pool(arm, ARMS + 1, &prior, 0, room, got, NULL));
    pool_reference(rows, ARMS, D, want);
    for (int j = 0; j < D; j++)
        assert_close(got[j], want[j], 1e-9);
    assert_true(ridge_pool(&arm[ARMS], 1, &prior, 0, room, got, NULL));
    for (int j = 0; j < D; j++)
        assert_close(got[j], 0, 1e-15);
    shared[3] = -1e9;
    got[0] = 42;
    assert_false(ridge_pool(arm, ARMS, &prior, 0, room, got, NULL));
    assert_true(got[0] == 42);
    for (int m = 0; m <= ARMS; m++)
        ridge_free(arm[m]);
}

/* The marginal likelihood the long way: labels are jointly normal with covariance
 * I + x'(Lambda^-1 [same arm] + Lambda_0^-1) x. */
static double evidence_reference(struct row rows[][12], int arms, int d, const struct pool_prior *p)
{
    size_t n = (size_t)arms * 12;
    gsl_matrix *c = gsl_matrix_calloc(n, n);
    gsl_vector *y = gsl_vector_alloc(n), *z = gsl_vector_alloc(n);
    for (size_t i = 0; i < n; i++) {
        const struct row *a = &rows[i / 12][i % 12];
        gsl_vector_set(y, i, a->y - level_of((int)(i / 12)) * (double)a->x[0]);
        for (size_t k = 0; k < n; k++) {
            const struct row *b = &rows[k / 12][k % 12];
            double sum = i == k ? 1 : 0;
            for (int j = 0; j < d; j++)
                sum += (double)a->x[j] * (double)b->x[j] *
                       (1 / p->shared[j] + (i / 12 == k / 12 ? 1 / p->precision[j] : 0));
            gsl_matrix_set(c, i, k, sum);
        }
    }
    assert_int_equal(gsl_linalg_cholesky_decomp1(c), GSL_SUCCESS);
    assert_int_equal(gsl_linalg_cholesky_solve(c, y, z), GSL_SUCCESS);
    double log_det = 0, fit = p->nu_0 * p->sigma2_0;
    for (size_t i = 0; i < n; i++) {
        log_det += 2 * log(gsl_matrix_get(c, i, i));
        fit += gsl_vector_get(y, i) * gsl_vector_get(z, i);
    }
    gsl_matrix_free(c);
    gsl_vector_free(y);
    gsl_vector_free(z);
    return -0.5 * log_det - 0.5 * ((double)n + p->nu_0) * log(fit);
}

static void ridge_pool_evidence_equals_dense(void **state)
{
    (void)state;
    enum { D = 5, ARMS = 3 };
    static struct row rows[ARMS][12];
    struct ridge *arm[ARMS];
    double precision[D], shared[D], level[ARMS], mean[D], got;
    for (int m = 0; m < ARMS; m++) {
        arm[m] = ridge_some(D, 0);
        level[m] = level_of(m);
        for (int i = 0; i < 12; i++) {
            rows[m][i] = row_at(70 + (uint64_t)m, (uint64_t)i, D);
            rows[m][i].v = 1;
            add_row(arm[m], &rows[m][i]);
        }
    }
    for (int k = 0; k < 5; k++) {
        for (int j = 0; j < D; j++) {
            precision[j] = pow(3, k - 2) * (1 + j);
            shared[j] = 0.7 * precision[j];
        }
        struct pool_prior prior = {level, precision, shared, 0.12, 20};
        assert_true(ridge_pool(arm, ARMS, &prior, 0, room, mean, &got));
        assert_close(got, evidence_reference(rows, ARMS, D, &prior), 1e-9);
    }
    for (int m = 0; m < ARMS; m++)
        ridge_free(arm[m]);
}

/* ---- pmf ---- */

static double sum_of(const double *p, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += p[i];
    return sum;
}

static void pmf_floors(void **state)
{
    (void)state;
    struct rng g = rng_stream(60, 0, 0);
    for (int round = 0; round < 20000; round++) {
        int n = 1 + (int)rng_below(&g, PMF_MAX);
        double p[PMF_MAX], share[PMF_MAX], e = rng_uniform(&g);
        for (int i = 0; i < n; i++) {
            p[i] = rng_below(&g, 3) == 0 ? 0 : rng_uniform(&g);
            share[i] = rng_below(&g, 4) == 0 ? 0 : rng_uniform(&g);
        }
        bool even = round % 3 == 0 || sum_of(share, n) <= 0;
        pmf_normalise(p, n);
        assert_true(pmf_valid(p, n));
        pmf_floor(p, n, e, round % 3 == 0 ? NULL : share);
        assert_true(pmf_valid(p, n));
        double total = sum_of(share, n);
        for (int i = 0; i < n; i++)
            assert_true(p[i] >= (even ? e / n : e * share[i] / total));
    }
    double one[3] = {1, 0, 0}; /* VW's own test of the uniform floor */
    pmf_floor(one, 3, 0.3, NULL);
    assert_close(one[0], 0.8, 1e-15);
    assert_close(one[1], 0.1, 1e-15);
    double zero[3] = {.9, .1, 0}; /* of the one that leaves zeros: it lifts to .7, .3; ours mixes */
    pmf_floor(zero, 3, 0.6, (double[]){1, 1, 0});
    assert_close(zero[0], 0.66, 1e-15);
    assert_close(zero[1], 0.34, 1e-15);
    assert_close(zero[2], 0, 0);
}

/* covers: N10 */
static void pmf_edges(void **state)
{
    (void)state;
    double zero[4] = {0}, huge[2] = {1e308, 1e308}, bad[2] = {NAN, 1};
    pmf_normalise(zero, 4);
    assert_true(zero[0] == 0.25 && zero[3] == 0.25);
    pmf_normalise(huge, 2);
    assert_true(huge[0] == 0.5);
    assert_false(pmf_valid(bad, 2));
    pmf_normalise(bad, 2);
    assert_true(bad[0] == 0.5 && bad[1] == 0.5);
    const double off[2] = {0.5, 0.50001}, negative[2] = {-0.1, 1.1};
    assert_false(pmf_valid(off, 2));
    assert_false(pmf_valid(negative, 2));
    /* u below everything, and above a sum that rounding left short of 1. */
    const double p[5] = {0, 0.3, 0, 0.7 - 1e-12, 0};
    assert_int_equal(pmf_draw(p, 5, 0), 1);
    assert_int_equal(pmf_draw(p, 5, 0.3), 3);
    assert_int_equal(pmf_draw(p, 5, 1 - 0x1p-53), 3);
}

static void pmf_draws_what_it_says(void **state)
{
    (void)state;
    enum { N = 400000, K = 9 };
    struct rng g = rng_stream(61, 0, 0);
    double p[K] = {0.3, 0, 0.01, 0.2, 0.002, 0, 0.25, 0.2, 0.038}, chi2 = 0;
    int count[K] = {0};
    for (int i = 0; i < N; i++)
        count[pmf_draw(p, K, rng_uniform(&g))]++;
    for (int i = 0; i < K; i++) {
        if (p[i] > 0)
            chi2 += pow(count[i] - N * p[i], 2) / (N * p[i]);
        else
            assert_int_equal(count[i], 0);
    }
    assert_true(chi2 < 22.5); /* 6 degrees of freedom, 99.9% */
}

/* ---- policies ---- */

static void policies_are_listed(void **state)
{
    (void)state;
    const char *const names[] = {"lints", "fixed",  "uniform",    "greedy",     "rules",
                                 "igw",   "linucb", "softmax",    "regcb_elim", "regcb_opt",
                                 "bag",   "first",  "static_mix", "trained",    "beta_ts"};
    for (int i = 0; i < 15; i++) {
        assert_string_equal(policy_at(i)->name, names[i]);
        assert_int_equal(policy_index(names[i]), i);
        assert_ptr_equal(policy_find(names[i]), policy_at(i));
    }
    assert_null(policy_at(15));
    assert_null(policy_at(-1));
    assert_null(policy_find("thompson"));
    assert_int_equal(policy_index(""), -1);
    const char *const sure[] = {"fixed", "rules", "trained"};
    for (int i = 0; i < 15; i++) {
        bool without = false;
        for (int j = 0; j < 3; j++)
            without = without || strcmp(names[i], sure[j]) == 0;
        assert_int_equal(policy_at(i)->explores, !without);
    }
}

static void plain_policies(void **state)
{
    (void)state;
    const double mean[4] = {-3, 0.5, 0.5, 0.1}, sd[4] = {0, 1, 0, 2};
    struct policy_view v = {
        .n = 4, .mean = mean, .sd = sd, .preferred = 3, .width = 1, .params = policy_defaults};
    double p[4];
    policy_find("uniform")->pmf(&v, p);
    assert_true(p[0] == 0.25 && p[3] == 0.25);
    policy_find("greedy")->pmf(&v, p);
    assert_true(p[0] == 0 && p[1] == 0.5 && p[2] == 0.5 && p[3] == 0);
    const char *const named[] = {"fixed", "rules"};
    for (int i = 0; i < 2; i++) {
        v.preferred = 3;
        policy_find(named[i])->pmf(&v, p);
        assert_true(p[3] == 1 && sum_of(p, 4) == 1);
        v.preferred = -1;
        policy_find(named[i])->pmf(&v, p);
        assert_true(p[1] == 0.5 && p[2] == 0.5);
    }
}

static void lints(int n, const double *mean, const double *sd, double width, double *p)
{
    struct policy_view v = {.n = n, .mean = mean, .sd = sd, .preferred = -1, .width = width};
    policy_find("lints")->pmf(&v, p);
    assert_true(pmf_valid(p, n));
}

static void lints_test_vectors(void **state)
{
    (void)state;
    double p[8];
    lints(3, (double[]){.80, .78, .70}, (double[]){.03, .05, .10}, 1, p);
    assert_close(p[0], .54134324, 1.5e-3);
    assert_close(p[1], .32177661, 1.5e-3);
    assert_close(p[2], .13688015, 1.5e-3);
    lints(2, (double[]){.8, .79}, (double[]){.001, .2}, 1, p);
    assert_close(p[0], .51993856, 1e-7);
    lints(2, (double[]){.8, .79}, (double[]){.0005, .1}, 2, p); /* width scales sd */
    assert_close(p[0], .51993856, 1e-7);
    lints(2, (double[]){1e6 + .8, 1e6 + .79}, (double[]){.001, .2}, 1,
          p); /* only differences count */
    assert_close(p[0], .51993856, 1e-6);
}

static void lints_without_uncertainty(void **state)
{
    (void)state;
    double p[4];
    const double zero[4] = {0};
    lints(1, (double[]){-5}, zero, 1, p);
    assert_true(p[0] == 1);
    lints(3, (double[]){.2, .2, .2}, zero, 1, p);
    assert_true(p[0] == 1.0 / 3 && p[1] == 1.0 / 3);
    lints(4, (double[]){.1, .9, .9, -7}, zero, 1, p);
    assert_true(p[0] == 0 && p[3] == 0);
    assert_close(p[1], .5, 1e-12);
    lints(2, (double[]){.3, .2}, (double[]){1, 1}, 0, p); /* width 0: greedy */
    assert_true(p[0] == 1 && p[1] == 0);
    lints(2, (double[]){.5, .4}, (double[]){0, .1}, 1, p); /* a sure arm against a normal one */
    assert_close(p[0], 0.5 * erfc(-1 / sqrt(2)), 1e-7);
    lints(4, (double[]){.5, .5, .5, .5}, (double[]){.1, .1, .1, .1}, 1, p);
    assert_close(p[0], .25, 1e-12);
    assert_close(p[3], .25, 1e-12);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The formula of policy_lints.c as it stands, points per arm free; libm, no cuts, K^2. */
static void lints_plain(int n, const double *mean, const double *sd, int points, double *p)
{
    int total = n * points;
    double *u = malloc((size_t)total * sizeof *u);
    for (int i = 0; i < total; i++)
        u[i] = mean[i / points] + sd[i / points] * (12.0 * (i % points) / (points - 1) - 6);
    qsort(u, (size_t)total, sizeof *u, compare);
    memset(p, 0, (size_t)n * sizeof *p);
    for (int i = 0; i + 1 < total; i++) {
        double from[PMF_MAX], to[PMF_MAX];
        for (int a = 0; a < n; a++) {
            from[a] = 0.5 * erfc((mean[a] - u[i]) / sd[a] / sqrt(2));
            to[a] = 0.5 * erfc((mean[a] - u[i + 1]) / sd[a] / sqrt(2));
        }
        for (int a = 0; a < n; a++) {
            double others = 1;
            for (int j = 0; j < n; j++)
                others *= j == a ? 1 : 0.5 * (from[j] + to[j]);
            p[a] += (to[a] - from[a]) * others;
        }
    }
    double sum = sum_of(p, n);
    for (int a = 0; a < n; a++)
        p[a] /= sum;
    free(u);
}

static void lints_equals_the_formula(void **state)
{
    (void)state;
    struct rng g = rng_stream(70, 0, 0);
    double worst = 0;
    for (int round = 0; round < 60; round++) {
        int n = round < 2 ? PMF_MAX : 2 + (int)rng_below(&g, 11);
        double mean[PMF_MAX], sd[PMF_MAX], p[PMF_MAX], plain[PMF_MAX], fine[PMF_MAX];
        for (int a = 0; a < n; a++) {
            mean[a] = 0.5 * rng_uniform(&g) - 0.2;
            sd[a] = 0.001 * exp2(9 * rng_uniform(&g));
        }
        lints(n, mean, sd, 1, p);
        lints_plain(n, mean, sd, 17, plain);
        for (int a = 0; a < n; a++)
            assert_close(p[a], plain[a], 1e-8);
        if (n > 20)
            continue;
        lints_plain(n, mean, sd, 401, fine);
        for (int a = 0; a < n; a++)
            worst = fmax(worst, fabs(p[a] - fine[a]));
    }
    assert_true(worst < 8e-3); /* what 17 points leave: against P itself, not against the draw */
}

/* ---- the other policies ---- */

static struct policy_view view_over(int n, const double *mean, const double *sd, int64_t labels)
{
    return (struct policy_view){.n = n,
                                .mean = mean,
                                .sd = sd,
                                .labels = labels,
                                .preferred = -1,
                                .width = 1,
                                .params = policy_defaults};
}

static void pmf_of(const char *name, const struct policy_view *v, double *p)
{
    policy_find(name)->pmf(v, p);
    assert_true(pmf_valid(p, v->n));
}

/* A field with ties, sure arms and arms far off, every now and then. */
struct random_view {
    double mean[PMF_MAX], sd[PMF_MAX], overall[PMF_MAX], cost[PMF_MAX];
    struct policy_view v;
};

static void random_view(struct random_view *r, struct rng *g, int most)
{
    int n = 1 + (int)rng_below(g, (uint64_t)most);
    for (int i = 0; i < n; i++) {
        bool twin = i > 0 && rng_below(g, 4) == 0;
        r->mean[i] = twin ? r->mean[i - 1] : 2 * rng_uniform(g) - 1;
        r->sd[i] = twin ? r->sd[i - 1] : rng_below(g, 5) == 0 ? 0 : 0.3 * rng_uniform(g);
        r->overall[i] = twin ? r->overall[i - 1] : rng_uniform(g);
        r->cost[i] = twin ? r->cost[i - 1] : 1e-6 + rng_uniform(g);
    }
    r->v = view_over(n, r->mean, r->sd, (int64_t)rng_below(g, 5000));
    r->v.preferred = (int)rng_below(g, (uint64_t)n + 1) - 1;
    r->v.unit = rng_below(g, 2) == 0 ? 0 : 0.1 + 3 * rng_uniform(g);
    r->v.params.seed = rng_next(g);
    r->v.params.temperature = rng_below(g, 2) == 0 ? 0 : 0.01 + rng_uniform(g);
    r->v.rate = rng_below(g, 3) == 0 ? 0 : rng_uniform(g);
    if (rng_below(g, 2) == 0) {
        r->v.overall = r->overall;
        r->v.overall_cost = r->cost;
    }
}

/* Any view gives a pmf; the same view gives the same bits, and arms that are alike share. */
static void every_policy_gives_a_pmf(void **state)
{
    (void)state;
    struct rng g = rng_stream(80, 0, 0);
    static struct random_view r;
    for (int round = 0; round < 10000; round++) {
        random_view(&r, &g, round % 50 == 0 ? PMF_MAX : 8);
        for (int k = 0; policy_at(k); k++) {
            double p[PMF_MAX], again[PMF_MAX];
            pmf_of(policy_at(k)->name, &r.v, p);
            policy_at(k)->pmf(&r.v, again);
            assert_memory_equal(p, again, sizeof *p * (size_t)r.v.n);
            if (policy_at(k)->pmf == policy_bag_pmf || r.v.preferred >= 0)
                continue; /* draws and names set twins apart */
            for (int i = 1; i < r.v.n; i++) {
                bool twins = !memcmp(&r.mean[i], &r.mean[i - 1], sizeof *r.mean) &&
                             !memcmp(&r.sd[i], &r.sd[i - 1], sizeof *r.sd) &&
                             !memcmp(&r.cost[i], &r.cost[i - 1], sizeof *r.cost);
                if (twins)
                    assert_close(p[i], p[i - 1], 1e-12);
            }
        }
    }
}

/* covers: N17 */
static void every_policy_is_even_among_equals(void **state)
{
    (void)state;
    const double mean[5] = {.4, .4, .4, .4, .4}, zero[5] = {0};
    struct policy_view v = view_over(5, mean, zero, 1000), one = view_over(1, mean, zero, 1000);
    for (int k = 0; policy_at(k); k++) {
        double p[5];
        pmf_of(policy_at(k)->name, &v, p);
        for (int i = 0; i < 5; i++)
            assert_close(p[i], .2, 1e-12);
        pmf_of(policy_at(k)->name, &one, p);
        assert_true(p[0] == 1);
    }
}

/* 99.9% quantile of chi-square (Wilson and Hilferty 1931). */
static double chi_square_limit(int freedom)
{
    double a = 2.0 / (9 * freedom);
    return freedom * pow(1 - a + 3.0902 * sqrt(a), 3);
}

/* covers: S16 */
static void every_policy_draws_what_it_says(void **state)
{
    (void)state;
    enum { N = 100000 };
    const double mean[6] = {.3, .62, .6, .62, -.4, .55}, sd[6] = {.2, .01, .05, .01, .3, 0};
    const double cost[6] = {1, 2, 3, 2, .5, 4};
    struct policy_view v = view_over(6, mean, sd, 50);
    v.overall_cost = cost;
    v.rate = 1.7;
    for (int k = 0; policy_at(k); k++) {
        for (int floored = 0; floored < 2; floored++) {
            struct rng g = rng_stream(81, (uint64_t)floored, (uint64_t)k);
            double p[6], chi2 = 0;
            int count[6] = {0}, cells = 0;
            pmf_of(policy_at(k)->name, &v, p);
            pmf_floor(p, 6, floored ? 0.1 : 0, cost);
            for (int i = 0; i < N; i++)
                count[pmf_draw(p, 6, rng_uniform(&g))]++;
            for (int i = 0; i < 6; i++) {
                if (p[i] > 0 && N * p[i] < 5)
                    continue;
                cells += p[i] > 0;
                chi2 += p[i] > 0 ? pow(count[i] - N * p[i], 2) / (N * p[i]) : count[i] * 1e9;
            }
            assert_true(cells == 1 ? chi2 < 1e-9 : chi2 < chi_square_limit(cells - 1));
        }
    }
}

static void igw_equals_the_formula(void **state)
{
    (void)state;
    const double mean[3] = {.80, .78, .70};
    struct policy_view v = view_over(3, mean, mean, 0);
    double p[4];
    pmf_of("igw", &v, p);
    for (int i = 0; i < 3; i++)
        assert_close(p[i], 1.0 / 3, 1e-15); /* nothing learned: uniform */
    v.labels = 10000;                       /* gamma = 10 * 100 */
    pmf_of("igw", &v, p);
    assert_close(p[1], 1 / 23.0, 1e-12);
    assert_close(p[2], 1 / 103.0, 1e-12);
    assert_close(p[0], 1 - 1 / 23.0 - 1 / 103.0, 1e-12);
    v.unit = 2; /* gaps are worth half as much */
    v.params.gamma0 = 20;
    pmf_of("igw", &v, p);
    assert_close(p[1], 1 / 23.0, 1e-12);
    const double tied[4] = {.5, .9, .9, .5};
    v = view_over(4, tied, tied, 100); /* gamma = 100, gap .4 */
    pmf_of("igw", &v, p);
    assert_close(p[0], 1 / 44.0, 1e-12);
    assert_close(p[1], .5 - 1 / 44.0, 1e-12);
    assert_close(p[1], p[2], 0);
}

static void ucb_policies(void **state)
{
    (void)state;
    const double mean[4] = {.50, .60, .55, .20}, sd[4] = {.02, .01, .08, .05};
    struct policy_view v = view_over(4, mean, sd, 0);
    double p[4];
    pmf_of("linucb", &v, p); /* .52 .61 .63 .25 */
    assert_true(p[2] == 1);
    v.params.beta = 0.5; /* .51 .605 .59 .225 */
    pmf_of("linucb", &v, p);
    assert_true(p[1] == 1);
    v.width = 2;
    pmf_of("linucb", &v, p);
    assert_true(p[2] == 1);
    v.width = 1;
    v.params.beta = 0;
    pmf_of("linucb", &v, p);
    assert_true(p[1] == 1);
    v.params.beta = 0.5; /* ln(4 * 10^6) = 15.2: half-widths are 1.949 sd */
    v.labels = 1000000;
    pmf_of("regcb_opt", &v, p); /* .539 .619 .706 .297 */
    assert_true(p[2] == 1);
    v.params.beta = 0.25; /* .519 .610 .628 .249 */
    pmf_of("regcb_opt", &v, p);
    assert_true(p[2] == 1);
    v.params.beta = 0.1; /* .508 .604 .581 .219 */
    pmf_of("regcb_opt", &v, p);
    assert_true(p[1] == 1);
    const double level[2] = {.3, .3}, same[2] = {.1, .1};
    v = view_over(2, level, same, 10);
    pmf_of("linucb", &v, p);
    assert_true(p[0] == .5 && p[1] == .5);
}

/* VowpalWabbit shared the mass by a count taken while walking the arms, right only when survivors
 * come first: every arrangement of survivors must give the same shares. */
static void regcb_elim_survivors_anywhere(void **state)
{
    (void)state;
    enum { K = 6 };
    for (unsigned set = 1; set < 1u << K; set++) {
        double mean[K], sd[K], p[K];
        int survivors = __builtin_popcount(set);
        for (int i = 0; i < K; i++) {
            bool in = set >> i & 1;
            mean[i] = in ? .6 + .001 * i : .1 + .05 * i; /* best lower bound is above .59 */
            sd[i] = .01;
        }
        struct policy_view v = view_over(K, mean, sd, 0); /* ln 6: half-widths are .0134 */
        pmf_of("regcb_elim", &v, p);
        for (int i = 0; i < K; i++)
            assert_true(p[i] == (set >> i & 1 ? 1.0 / survivors : 0));
    }
    /* A wide arm survives although its mean is worst; a sure one is the threshold itself. */
    const double mean[3] = {.5, .1, .3}, sd[3] = {0, .5, .05};
    struct policy_view v = view_over(3, mean, sd, 0);
    double p[3];
    pmf_of("regcb_elim", &v, p);
    assert_true(p[0] == .5 && p[1] == .5 && p[2] == 0);
}

static void softmax_policy(void **state)
{
    (void)state;
    struct rng g = rng_stream(82, 0, 0);
    const double mean[3] = {.80, .78, .70};
    struct policy_view v = view_over(3, mean, mean, 0);
    double p[PMF_MAX];
    v.params.temperature = .1;
    pmf_of("softmax", &v, p);
    double sum = 1 + exp(-.2) + exp(-1);
    assert_close(p[0], 1 / sum, 1e-12);
    assert_close(p[2], exp(-1) / sum, 1e-12);
    v.unit = 2;
    v.params.temperature = .05;
    pmf_of("softmax", &v, p);
    assert_close(p[0], 1 / sum, 1e-12);
    for (int round = 0; round < 5000; round++) { /* by default the lesser arms get 5% */
        double level[PMF_MAX], scale = exp2(-40 * rng_uniform(&g)), mass = 0;
        int n = 2 + (int)rng_below(&g, 19);
        for (int i = 0; i < n; i++)
            level[i] = (i % 7 == 3 ? .5 : rng_uniform(&g)) * (i % 2 ? scale : 1);
        v = view_over(n, level, level, 0);
        pmf_of("softmax", &v, p);
        for (int i = 0; i < n; i++)
            mass += level[i] < policy_best(level, n) ? p[i] : 0;
        assert_close(mass, .05, 1e-9);
    }
    double top[PMF_MAX]; /* one below 63 best ones never gets more than its even share */
    for (int i = 0; i < PMF_MAX; i++)
        top[i] = i > 0;
    v = view_over(PMF_MAX, top, top, 0);
    pmf_of("softmax", &v, p);
    assert_close(p[0], 1.0 / PMF_MAX, 1e-12);
    const double extreme[3] = {1e3, -1e3, 1e3 - 1e-12}, close[2] = {1e-320, 0};
    v = view_over(3, extreme, extreme, 0);
    pmf_of("softmax", &v, p);
    v = view_over(2, close, close, 0);
    pmf_of("softmax", &v, p);
    v = view_over(3, mean, mean, 0);
    v.params.temperature = 1e-320;
    pmf_of("softmax", &v, p);
    assert_true(p[0] == 1);
}

/* Each head names one arm; over many seeds the mean pmf is that of lints. */
static void bag_is_lints_in_the_mean(void **state)
{
    (void)state;
    enum { SEEDS = 20000 };
    const double mean[3] = {.80, .78, .70}, sd[3] = {.03, .05, .10};
    const double want[3] = {.54134324, .32177661, .13688015};
    struct policy_view v = view_over(3, mean, sd, 0);
    double p[3], sum[3] = {0}, square = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        v.params.seed = seed;
        pmf_of("bag", &v, p);
        for (int i = 0; i < 3; i++) {
            assert_true(p[i] * 8 == rint(p[i] * 8));
            sum[i] += p[i] / SEEDS;
        }
        square += (p[0] - want[0]) * (p[0] - want[0]) / SEEDS;
    }
    for (int i = 0; i < 3; i++)
        assert_close(sum[i], want[i], 4 * sqrt(want[i] * (1 - want[i]) / 8 / SEEDS));
    assert_close(square, want[0] * (1 - want[0]) / 8, 1e-3); /* heads are independent */
    v.width = 0;
    pmf_of("bag", &v, p);
    assert_true(p[0] == 1);
    v.width = 1;
    v.params.heads = 0;
    pmf_of("bag", &v, p);
    assert_true(p[0] == 1 || p[1] == 1 || p[2] == 1);
}

static void first_and_trained(void **state)
{
    (void)state;
    const double mean[2] = {.2, .3}, sd[2] = {1, 1};
    struct policy_view v = view_over(2, mean, sd, 99);
    double p[2];
    pmf_of("first", &v, p);
    assert_true(p[0] == .5);
    v.labels = 100;
    pmf_of("first", &v, p);
    assert_true(p[1] == 1);
    v.labels = 0;
    pmf_of("trained", &v, p);
    assert_true(p[1] == 1);
    v.params.first_n = 0;
    pmf_of("first", &v, p);
    assert_true(p[1] == 1);
}

static void mix_of(const struct policy_view *base, double rate, double *p)
{
    struct policy_view v = *base;
    v.rate = rate;
    pmf_of("static_mix", &v, p);
}

/* Costs 1, 2, 4, 3 and values .2, .6, .8, .5: the hull is 0-1-2, arm 3 lies below it. */
static void static_mix_follows_the_hull(void **state)
{
    (void)state;
    const double here[4] = {9, 0, 0, 0}, value[4] = {.2, .6, .8, .5}, cost[4] = {1, 2, 4, 3};
    struct policy_view v = view_over(4, here, here, 0);
    double p[4];
    v.overall = value;
    v.overall_cost = cost;
    mix_of(&v, 0, p);
    assert_true(p[2] == 1); /* no budget: the best */
    mix_of(&v, 4, p);
    assert_true(p[2] == 1);
    mix_of(&v, 3.5, p);
    assert_close(p[1], .25, 1e-12);
    assert_close(p[2], .75, 1e-12);
    mix_of(&v, 1.25, p);
    assert_close(p[0], .75, 1e-12);
    assert_close(p[1], .25, 1e-12);
    mix_of(&v, 2, p);
    assert_true(p[1] == 1);
    mix_of(&v, .5, p);
    assert_true(p[0] == 1);                /* out of reach: the cheapest */
    const double weight[4] = {1, 0, 2, 1}; /* given weights come first */
    v.params.mix = weight;
    mix_of(&v, 1, p);
    assert_true(p[0] == .25 && p[2] == .5);
    v.params.mix = NULL;
    v.overall = v.overall_cost = NULL;
    mix_of(&v, 1, p);
    assert_true(p[0] == 1); /* nothing known but the request at hand */
}

/* No mix of any arms, found by brute force over pairs and a grid, beats it at its cost. */
/* Known answers: P(Beta(2,1) > Beta(1,1)) = 2/3; by Evan Miller's sum for whole counts
 * P(Beta(a,b) > Beta(c,d)) = sum_{i<a} B(c+i, d+b) / ((b+i) B(1+i, b) B(c,d)). */
static void beta_ts_is_exact(void **state)
{
    (void)state;
    const double none[3] = {0, 0, 0}, one[2] = {1, 0}, even[2] = {0.5, 0.5};
    double p[3];
    struct policy_view v = {.n = 2,
                            .mean = even,
                            .sd = even,
                            .preferred = -1,
                            .wins = one,
                            .losses = none,
                            .base = none,
                            .gain = 1};
    pmf_of("beta_ts", &v, p);
    assert_float_equal(p[0], 2.0 / 3, 5e-3);
    double wins[2] = {30, 70}, losses[2] = {20, 60}, want = 0;
    double b = 21, c = 71, d = 61; /* a = 31 */
    for (int i = 0; i < 31; i++)
        want += exp(lgamma(c + i) + lgamma(d + b) - lgamma(c + i + d + b) -
                    (lgamma(1.0 + i) + lgamma(b) - lgamma(1.0 + i + b)) -
                    (lgamma(c) + lgamma(d) - lgamma(c + d))) /
                (b + i);
    v.wins = wins;
    v.losses = losses;
    pmf_of("beta_ts", &v, p);
    assert_float_equal(p[0], want, 5e-3);   /* from the spacing of the nodes, as with lints */
    const double apart[3] = {0.5, 0, -0.5}; /* what they cost parts them for sure */
    v = (struct policy_view){.n = 3,
                             .mean = none,
                             .sd = none,
                             .preferred = -1,
                             .wins = none,
                             .losses = none,
                             .base = apart,
                             .gain = 0.25};
    pmf_of("beta_ts", &v, p);
    assert_float_equal(p[0], 1, 1e-9);
    v.wins = NULL; /* without counts: the best mean, ties shared */
    pmf_of("beta_ts", &v, p);
    assert_float_equal(p[1], 1.0 / 3, 1e-12);
}

static void static_mix_is_optimal(void **state)
{
    (void)state;
    struct rng g = rng_stream(83, 0, 0);
    for (int round = 0; round < 300; round++) {
        double value[6], cost[6], p[6], spent = 0, got = 0;
        int n = 1 + (int)rng_below(&g, 6);
        for (int i = 0; i < n; i++) {
            value[i] = rng_uniform(&g);
            cost[i] = 0.1 + rng_uniform(&g);
        }
        if (n > 1 && round % 2) { /* twins share one part, not take it twice */
            value[n - 1] = value[0];
            cost[n - 1] = cost[0];
        }
        struct policy_view v = view_over(n, value, value, 0);
        v.overall_cost = cost;
        double rate = .15 + rng_uniform(&g);
        mix_of(&v, rate, p);
        for (int i = 0; i < n; i++) {
            spent += p[i] * cost[i];
            got += p[i] * value[i];
        }
        bool within = false;
        for (int i = 0; i < n; i++)
            within = within || cost[i] <= rate;
        assert_true(!within || spent <= rate + 1e-12);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                for (int k = 0; k <= 50; k++) {
                    double s = k / 50.0, c = cost[i] + s * (cost[j] - cost[i]);
                    if (c <= rate)
                        assert_true(value[i] + s * (value[j] - value[i]) <= got + 1e-12);
                }
    }
}

int main(void)
{
    gsl_set_error_handler_off();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rng_known_answers),
        cmocka_unit_test(rng_streams_differ),
        cmocka_unit_test(rng_distributions),
        cmocka_unit_test(repro_against_libm),
        cmocka_unit_test(repro_edges),
        cmocka_unit_test(repro_golden_bits),
        cmocka_unit_test(ridge_equals_dense),
        cmocka_unit_test(ridge_borrowing_equals_dense),
        cmocka_unit_test(ridge_borrowing_nothing),
        cmocka_unit_test(ridge_without_data_is_the_prior),
        cmocka_unit_test(ridge_any_order),
        cmocka_unit_test(ridge_merge_equals_one_stream),
        cmocka_unit_test(ridge_merge_keeps_what_faded),
        cmocka_unit_test(ridge_half_life_changes),
        cmocka_unit_test(ridge_siblings_equal_only_children),
        cmocka_unit_test(ridge_keeps_the_old_snapshot),
        cmocka_unit_test(ridge_saves_every_bit),
        cmocka_unit_test(ridge_golden_bits),
        cmocka_unit_test(ridge_pool_equals_joint_fit),
        cmocka_unit_test(ridge_pool_evidence_equals_dense),
        cmocka_unit_test(pmf_floors),
        cmocka_unit_test(pmf_edges),
        cmocka_unit_test(pmf_draws_what_it_says),
        cmocka_unit_test(policies_are_listed),
        cmocka_unit_test(plain_policies),
        cmocka_unit_test(lints_test_vectors),
        cmocka_unit_test(lints_without_uncertainty),
        cmocka_unit_test(lints_equals_the_formula),
        cmocka_unit_test(every_policy_gives_a_pmf),
        cmocka_unit_test(every_policy_is_even_among_equals),
        cmocka_unit_test(every_policy_draws_what_it_says),
        cmocka_unit_test(igw_equals_the_formula),
        cmocka_unit_test(ucb_policies),
        cmocka_unit_test(regcb_elim_survivors_anywhere),
        cmocka_unit_test(softmax_policy),
        cmocka_unit_test(bag_is_lints_in_the_mean),
        cmocka_unit_test(first_and_trained),
        cmocka_unit_test(static_mix_follows_the_hull),
        cmocka_unit_test(static_mix_is_optimal),
        cmocka_unit_test(beta_ts_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
