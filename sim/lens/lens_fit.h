/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_LENS_LENS_FIT_H
#define PURSER_SIM_LENS_LENS_FIT_H

#include "core/features/lens.h"
#include "sim/lens/lens_corpus.h"

struct lens_fit {
    int dims, clusters, buckets;
    bool labels;   /* also learn task and complexity, where rows say them */
    double whiten; /* 1: directions count alike, 0: as much as they vary */
    uint64_t seed;
    void (*progress)(void *ctx, const char *what); /* may be NULL */
    void *progress_ctx;
};

/* How well the classifiers do on rows they have not seen (the held-out ones, else the part that
 * calibrated them); n 0 = nothing to say. */
struct lens_score {
    size_t n, n_hard;
    double accuracy, majority; /* of the likeliest label; of always saying the commonest */
    double ece, ece_raw;       /* expected calibration error in 15 bins, after and before */
    double complexity_r2, complexity_error; /* share of variance explained, mean |error| */
    double complexity_ece;                  /* mean |said - found| over 15 bins of what was said */
};
struct lens_report {
    size_t n, held_out;
    double variance; /* share explained by the directions kept */
    double cosine;   /* mean, to the nearest centre */
    struct lens_score score;
};

/* lens_fit_run learns a lens from the rows that are not held out. */
MUST_CHECK enum status lens_fit_run(const struct lens_fit *fit, const struct corpus *c,
                                    struct lens *out, struct lens_report *report,
                                    struct problem *problem);

/* lens_fit_labels fills the classifiers of a lens whose projection and centres are done; view[i]
 * is what it says of row i. */
MUST_CHECK enum status lens_fit_labels(const struct corpus *c, const struct lens_view *view,
                                       struct lens *l, struct lens_score *score,
                                       struct problem *problem);

#endif
