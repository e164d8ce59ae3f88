/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_FEATURES_FEATURES_H
#define PURSER_CORE_FEATURES_FEATURES_H

#include <stdint.h>
#include "core/config/params.h"
#include "core/features/lens.h"
#include "core/request.h"

/*
 * From a request to a context vector x, without any model: bias, shape of the text, declared
 * task/domain/user tier, hashed words and characters, what a lens says of the text, the caller's
 * own features or embedding through a fixed sign projection. Pure; may run in any thread.
 */
enum feature_block {
    BLOCK_BIAS,
    BLOCK_SHAPE,
    BLOCK_DECLARED,
    BLOCK_TEXT,
    BLOCK_LENS,
    BLOCK_CALLER,
    BLOCKS
};
/* How x is made up: entries of each block, in this order, and whose lens block it is (0: none). */
struct layout {
    int n[BLOCKS];
    uint64_t lens;
};
/* features_layout gives the layout under these parameters and lens (NULL: none), features_dim the
 * length of its x. */
struct layout features_layout(const struct params *p, const struct lens *lens);
int features_dim(const struct layout *l);
/* features_schema identifies a layout: vectors of different schemas never mix. */
uint64_t features_schema(const struct layout *l);
/* features_map writes for each entry of `to` the entry of `from` that means the same, -1 = none. */
void features_map(const struct layout *from, const struct layout *to, int *map);
/* features_build writes the entries of x, and to view (may be NULL) what the lens said; without one
 * only cluster 0, label -1 and complexity -1. */
void features_build(const struct params *p, const struct lens *lens, const struct request *r,
                    float *x, struct lens_view *view);
/* features_precision writes the prior precision of each entry (one double each), in units
 * of the target's noise: how many observations it takes to move a weight. scale multiplies the
 * configured precisions of quality: `declared` its own block, `text` shape, text, lens and
 * caller's blocks. */
struct precision_scale {
    double declared, text;
    double shared; /* of what all models have in common, relative to what sets one apart */
};
void features_precision(const struct params *p, const struct layout *l, enum target t,
                        const struct precision_scale *scale, double *precision);
/* features_tokens estimates input tokens from the prompt when the caller does not say. */
int64_t features_tokens(const struct request *r);

#endif
