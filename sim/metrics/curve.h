/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_METRICS_CURVE_H
#define PURSER_SIM_METRICS_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include "sim/tables/hull.h"

/*
 * What a router that can be turned (a threshold, a willingness to pay) is worth: numbers over its
 * curve of cost and quality. Costs are in any one unit, qualities in [0,1]. What is not defined (no
 * range, never reached) is NaN.
 */

/* curve_envelope writes the hull of n points at the points' own costs, up to where it stops rising,
 * by rising cost; gives their number (<= n). out may not be points. RouterBench's non-decreasing
 * convex hull. -1 when memory is short. */
int curve_envelope(const struct point *points, int n, struct point *out);
/* curve_aiq is RouterBench's AIQ: mean quality of the hull of n points over costs in [low, high];
 * hull is room for n points. */
double curve_aiq(const struct point *points, int n, double low, double high, struct point *hull);

/* curve_arena is RouterArena's score of accuracy (in [0,1], failures counted as wrong) at a cost in
 * USD per 1000 requests; costs outside 0.0044 .. 200 count as these. */
double curve_arena(double accuracy, double usd_per_1000);

/* A deferral curve: n points by rising cost, read as straight lines between them, constant outside.
 * curve_area (AUDC) is the area over cost / unit in [0,1]; unit is the cost of the dearest model.
 */
double curve_area(const struct point *points, int n, double unit);
/* curve_neutral_cost (QNC, quality-neutral cost) is the least cost / unit at which the best so far
 * reaches the quality. */
double curve_neutral_cost(const struct point *points, int n, double quality, double unit);

/* ---- two models: a share of the requests, those of highest score, goes to the strong one */

struct deferral {
    double share, quality; /* of requests sent to the strong model; mean over all */
};
enum { DEFERRAL_POINTS = 11 };

/* metric_pgr is the performance gap recovered. */
double metric_pgr(double quality, double weak, double strong);
/* deferral_curve writes RouteLLM's sweep over n rows: thresholds at the deciles of the scores
 * (linear between ranks, equal ones once), at or above = strong; above at the highest. By falling
 * share; gives the number of points, or -1 when memory is short. */
int deferral_curve(const double *score, const double *weak, const double *strong, size_t n,
                   struct deferral out[DEFERRAL_POINTS]);
/* deferral_apgr is the mean PGR over the shares that the curve covers (trapezoids). */
double deferral_apgr(const struct deferral *curve, int n, double weak, double strong);
/* deferral_cpt is the least share at which the best PGR so far is at least `pgr`. */
double deferral_cpt(const struct deferral *curve, int n, double weak, double strong, double pgr);

#endif
