/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_FEATURES_H
#define PURSER_CORE_FEATURES_H

#include <stdint.h>
#include "core/params.h"
#include "core/request.h"

/*
 * From a request to a context vector x, without any model: bias, shape of the text, declared
 * task/domain/user tier, hashed words and characters, the caller's own features or embedding
 * through a fixed sign projection. Pure; may run in any thread.
 */
/* features_dim gives the length of x under these parameters (<= DIM_MAX). */
int features_dim(const struct params *p);
/* features_schema identifies the layout: vectors of different schemas never mix. */
uint64_t features_schema(const struct params *p);
/* features_build writes features_dim(p) entries. */
void features_build(const struct params *p, const struct request *r, float *x);
/* features_precision writes the prior precision of each entry (features_dim(p) doubles), in units
 * of the target's noise: how many observations it takes to move a weight. scale multiplies the
 * configured precisions of quality: `declared` its own block, `text` shape, text and caller's
 * blocks. */
struct precision_scale {
    double declared, text;
    double shared; /* of what all models have in common, relative to what sets one apart */
};
void features_precision(const struct params *p, enum target t, const struct precision_scale *scale,
                        double *precision);
/* features_tokens estimates input tokens from the prompt when the caller does not say. */
int64_t features_tokens(const struct request *r);

#endif
