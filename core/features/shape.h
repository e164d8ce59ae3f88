/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_FEATURES_SHAPE_H
#define PURSER_CORE_FEATURES_SHAPE_H

#include <stddef.h>
#include <stdint.h>

/* What a prompt looks like, in numbers: length, words, digits, code, questions, script. */
enum { SHAPE_DIM = 28 };

/* The part of a prompt that is looked at: all of it, or its first and last PROMPT_HASHED_MAX bytes.
 */
struct excerpt {
    const char *part[2]; /* borrowed */
    size_t len[2];
};
struct excerpt excerpt_of(const char *prompt, size_t n);

/* shape_build writes SHAPE_DIM entries, each within 3/sqrt(24). prompt_len is the length of the
 * whole prompt in bytes, tokens its length as the model counts. An absent prompt gives lengths
 * only. */
void shape_build(const struct excerpt *e, size_t prompt_len, int64_t tokens, float *x);

#endif
