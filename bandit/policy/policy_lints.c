/* SPDX-License-Identifier: MIT */
/*
 * Linear Thompson sampling with its probabilities computed instead of sampled: with independent
 * utilities U_a ~ N(m_a, s_a^2),
 *     P_a = integral f_a(u) prod_{j != a} F_j(u) du
 *         ~ sum_i (F_a(u_{i+1}) - F_a(u_i)) prod_{j != a} (F_j(u_i) + F_j(u_{i+1})) / 2
 * over the union of 17 nodes per arm, m_a + s_a z with z even on [-6, 6]. Placing nodes per arm is
 * what makes widths .001 and .2 work side by side; a common even grid is wrong by .21 there, and
 * Monte Carlo puts noise into a logged propensity. The error left (about 5e-4, at worst 6e-3 over
 * random fields of 2-12 arms; 33 points: a quarter of it at twice the price) is harmless, because
 * the arm is drawn from the very numbers that are logged. It comes from the spacing: two Gauss
 * points per interval instead of the midpoint product change nothing.
 *
 * Two cuts, both below 1e-9: nodes under the best lower end max_k(m_k - 6 s_k) add nothing, because
 * some F_k is 0 there, and arms whose upper end lies under it get probability 0.
 *
 * The normal CDF is a rational approximation instead of libm's erfc: it has no branches, so the
 * loop over nodes vectorises, and as it is + - * / only the pmf does not depend on the C library.
 */
#include "bandit/policy/policy.h"

#include "bandit/policy/pmf.h"
#include "bandit/ridge/clones.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { POINTS = 17, NODES_MAX = POINTS * PMF_MAX };

static const double reach = 6.0;
static const double cdf_reach = 7.07; /* the normal CDF is held constant outside */

/* The arms that take part, centred on the best mean so that small widths keep their digits. */
struct field {
    int n;
    int arm[PMF_MAX]; /* index in the view */
    double mean[PMF_MAX];
    double sd[PMF_MAX];
    double per_sd[PMF_MAX]; /* 1 / sd */
    double low;             /* max (mean - 6 sd): the integral starts here */
};

/* e^-t for t in [0, 25]: 2^k 2^f with k from the magic-number addition (round to nearest). */
static inline double exp_minus(double t)
{
    const double magic = 0x1.8p52;
    union {
        double x;
        uint64_t bits;
    } shifted, power;
    double y = t * -0x1.71547652b82fep+0;
    shifted.x = y + magic;
    double r = (y - (shifted.x - magic)) * 0x1.62e42fefa39efp-1;
    power.bits = (shifted.bits + 1023) << 52; /* the magic number's own bits are shifted out */
    double p = 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    return (p * r + 1.0) * power.x;
}

/* Phi(z) to 1e-14 absolute: Hart (1968) no. 5666 as given by West, "Better approximations to
 * cumulative normal functions" (2005), for |z| <= cdf_reach. */
static inline double normal_cdf(double z)
{
    double x = fabs(z);
    double a = 3.52624965998911e-02;
    a = a * x + 0.700383064443688;
    a = a * x + 6.37396220353165;
    a = a * x + 33.912866078383;
    a = a * x + 112.079291497871;
    a = a * x + 221.213596169931;
    a = a * x + 220.206867912376;
    double b = 8.83883476483184e-02;
    b = b * x + 1.75566716318264;
    b = b * x + 16.064177579207;
    b = b * x + 86.7807322029461;
    b = b * x + 296.564248779674;
    b = b * x + 637.333633378831;
    b = b * x + 793.826512519948;
    b = b * x + 440.413735824752;
    double tail = exp_minus(0.5 * x * x) * a / b;
    return 0.5 + copysign(0.5 - tail, z);
}

/* Smallest deviation told apart from none, relative to the spread of the whole field: arms without
 * uncertainty become narrow steps, and equal ones share. 0 when there is nothing to tell apart. */
static double least_sd(const struct policy_view *v, double best)
{
    double scale = 0;
    for (int i = 0; i < v->n; i++) {
        double spread = fmax(best - v->mean[i], v->width * v->sd[i]);
        scale = spread > scale ? spread : scale;
    }
    return 1e-9 * scale;
}

static bool field_fill(struct field *f, const struct policy_view *v)
{
    double best = v->mean[0];
    for (int i = 1; i < v->n; i++)
        best = fmax(best, v->mean[i]);
    double least = least_sd(v, best);
    if (!(least > 0))
        return false;
    f->low = -HUGE_VAL;
    for (int i = 0; i < v->n; i++) {
        double sd = fmax(v->width * v->sd[i], least);
        f->low = fmax(f->low, v->mean[i] - best - reach * sd);
    }
    f->n = 0;
    for (int i = 0; i < v->n; i++) {
        double mean = v->mean[i] - best;
        double sd = fmax(v->width * v->sd[i], least);
        if (mean + reach * sd < f->low)
            continue;
        f->arm[f->n] = i;
        f->mean[f->n] = mean;
        f->sd[f->n] = sd;
        f->per_sd[f->n++] = 1 / sd;
    }
    return true;
}

/* Merges the ascending runs a[0..na) and b[0..nb) into out. */
static void merge(const double *a, int na, const double *b, int nb, double *out)
{
    int i = 0, j = 0;
    while (i < na && j < nb) {
        bool left = a[i] <= b[j];
        *out++ = left ? a[i] : b[j];
        i += left;
        j += !left;
    }
    memcpy(out, a + i, sizeof *a * (size_t)(na - i));
    memcpy(out + (na - i), b + j, sizeof *b * (size_t)(nb - j));
}

/* Writes the nodes of all arms ascending into u (bottom-up merge of one sorted run per arm) and
 * gives their number. */
static int nodes_fill(const struct field *f, double *u)
{
    double other[NODES_MAX];
    int total = f->n * POINTS;
    for (int a = 0; a < f->n; a++) {
        for (int i = 0; i < POINTS; i++)
            u[a * POINTS + i] = f->mean[a] + f->sd[a] * (2 * reach * i / (POINTS - 1) - reach);
    }
    double *from = u, *to = other;
    for (int run = POINTS; run < total; run *= 2) {
        for (int at = 0; at < total; at += 2 * run) {
            int na = total - at < run ? total - at : run;
            int nb = total - at - na < run ? total - at - na : run;
            merge(from + at, na, from + at + na, nb, to + at);
        }
        double *swap = from;
        from = to;
        to = swap;
    }
    if (from != u)
        memcpy(u, from, sizeof *u * (size_t)total);
    return total;
}

/* A stretch of nodes, and what each arm makes of it: loops run over nodes, of which there are many
 * even for few arms. The last node of a stretch is the first of the next. */
enum { STRETCH = 32 };
struct stretch {
    int n; /* intervals */
    double cdf[PMF_MAX][STRETCH + 1], middle[PMF_MAX][STRETCH], before[PMF_MAX][STRETCH];
};

static inline void cdf_nodes(const double *restrict u, int n, double mean, double per_sd,
                             double *restrict cdf)
{
    double z[STRETCH + 1];
    for (int i = 0; i < n; i++) { /* a loop of its own: gcc does not vectorise the clamping */
        double plain = (u[i] - mean) * per_sd;
        double capped = plain < cdf_reach ? plain : cdf_reach;
        z[i] = capped > -cdf_reach ? capped : -cdf_reach;
    }
    for (int i = 0; i < n; i++)
        cdf[i] = normal_cdf(z[i]);
}

/* Adds the intervals: prefix products times suffix products give every leave-one-out product. */
static inline void add_intervals(struct stretch *s, int arms, double *p)
{
    double product[STRETCH];
    for (int i = 0; i < s->n; i++)
        product[i] = 1;
    for (int a = 0; a < arms; a++) {
        const double *restrict cdf = s->cdf[a];
        double *restrict middle = s->middle[a], *restrict before = s->before[a];
        for (int i = 0; i < s->n; i++) {
            middle[i] = 0.5 * (cdf[i] + cdf[i + 1]);
            before[i] = product[i];
            product[i] *= middle[i];
        }
    }
    for (int i = 0; i < s->n; i++)
        product[i] = 1;
    for (int a = arms - 1; a >= 0; a--) {
        const double *restrict cdf = s->cdf[a], *restrict middle = s->middle[a];
        double *restrict term = s->before[a];
        for (int i = 0; i < s->n; i++) {
            term[i] = (cdf[i + 1] - cdf[i]) * (term[i] * product[i]);
            product[i] *= middle[i];
        }
        double sum = p[a];
        for (int i = 0; i < s->n; i++)
            sum += term[i];
        p[a] = sum;
    }
}

WIDE_CLONES static void integrate(const struct field *f, double *p)
{
    double u[NODES_MAX];
    struct stretch s;
    assert(f->n > 0); /* the arm that sets low is always in, and low is one of its nodes */
    int total = nodes_fill(f, u), i = 0;
    while (i < total - 1 && u[i] < f->low)
        i++;
    for (; i < total - 1; i += STRETCH) {
        s.n = total - 1 - i < STRETCH ? total - 1 - i : STRETCH;
        for (int a = 0; a < f->n; a++)
            cdf_nodes(u + i, s.n + 1, f->mean[a], f->per_sd[a], s.cdf[a]);
        add_intervals(&s, f->n, p);
    }
}

void policy_lints_pmf(const struct policy_view *v, double *p)
{
    for (int i = 0; i < v->n; i++)
        p[i] = 0;
    struct field f;
    if (field_fill(&f, v)) {
        double share[PMF_MAX] = {0};
        integrate(&f, share);
        for (int a = 0; a < f.n; a++)
            p[f.arm[a]] = fmax(share[a], 0);
    }
    pmf_normalise(p, v->n); /* nothing to tell apart: all zero becomes even */
}
