/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_LENS_LENS_SVD_H
#define PURSER_SIM_LENS_LENS_SVD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A sparse matrix by rows: row i holds entries start[i] .. start[i + 1]. Grown by sparse_add. */
struct sparse {
    size_t n, cap, row_cap;
    int m;
    size_t *start; /* [n + 1] */
    uint16_t *column;
    float *value;
};

/* sparse_init gives an empty matrix of m <= 65536 columns; sparse_free accepts a zeroed one.
 * sparse_add appends a row of m dense values, keeping those that are not 0. False when memory is
 * short. */
bool sparse_init(struct sparse *a, int m);
bool sparse_add(struct sparse *a, const float *row);
void sparse_free(struct sparse *a);

/* svd_principal gives the k greatest singular values of the matrix less its column means, falling,
 * and their right vectors (v[j * k + c], column c belongs to s[c]; signs so that the greatest entry
 * is positive). mean gets the m column means. Where the rank is less than k the rest are zeros.
 * False when memory is short. */
bool svd_principal(const struct sparse *a, int k, uint64_t seed, double *s, double *v,
                   double *mean);

/* kmeans_unit finds k centres of unit length for n unit vectors of d floats by cosine (spherical
 * k-means, Dhillon and Modha 2001), seeded by k-means++ (Arthur and Vassilvitskii 2007). It gives
 * the mean cosine to the nearest centre; centre[c * d]. Zero vectors are ignored. */
double kmeans_unit(const float *x, size_t n, int d, int k, uint64_t seed, float *centre);

#endif
