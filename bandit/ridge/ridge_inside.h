/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_RIDGE_RIDGE_INSIDE_H
#define PURSER_BANDIT_RIDGE_RIDGE_INSIDE_H

/* The body of struct ridge, for ridge*.c and pool.c only. */
#include "bandit/forgetting.h"
#include "bandit/ridge/packed.h"
#include "bandit/ridge/ridge.h"

#include <string.h>

struct ridge {
    int d;
    size_t packed; /* d (d+1) / 2 */
    struct forgetting forgets;
    int64_t epoch_ms;
    int64_t count;
    int64_t stale;
    bool refreshed;
    double sigma2_0, nu_0;
    double yy, w, w2;
    double sigma2, weight;                      /* snapshot */
    double lender_weight;                       /* of what was lent from, at the last refresh */
    double loan_share;                          /* of the rows asked for: falls with each fade */
    double label_rate;                          /* share of pending rows that will be labelled */
    int64_t pending;                            /* rows in P */
    bool diagonal;                              /* wide has nothing else: no row yet */
    uint64_t rows_id, prior_id, l_id, wide_id;  /* names, see ridge_rows.c; 0 = like no other */
    double fade_ms[FADES_MAX], fade[FADES_MAX]; /* newest last; 0 = none */
    /* In state[], in this order: */
    double *s, *b;         /* data */
    double *prior, *mean;  /* prior precision (diagonal) and mean */
    double *l, *theta;     /* snapshot */
    double *p;             /* rows decided on, not yet labelled: sum x x' */
    double *wide;          /* factor for widths: of A + rate P; equals l when P is empty */
    double *work;          /* packed, and PACKED_SPARE; not state */
    double *row, *product; /* d + PACKED_SPARE each, not state */
    double state[];
};

static inline uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* ridge_age gives the half-lives from the epoch to t; 0 when nothing is forgotten. As a double: it
 * cannot overflow. ridge_identify names the data by what is there. */
double ridge_age(const struct ridge *r, int64_t t_ms);
void ridge_identify(struct ridge *r);
/* ridge_scale gives 2^((E - now)/H), the factor that turns sums as of the epoch into sums as of
 * now. */
double ridge_scale(const struct ridge *r, int64_t now_ms);
/* ridge_rebase_if_old moves the epoch to now_ms when it lies more than 40 half-lives back. */
void ridge_rebase_if_old(struct ridge *r, int64_t now_ms);
/* ridge_factor factors diag(precision) + s S into out (packed), with growing jitter when need be.
 */
bool ridge_factor(const struct ridge *r, const double *precision, double s, double *out);

#endif
