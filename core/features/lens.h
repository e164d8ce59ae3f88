/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_FEATURES_LENS_H
#define PURSER_CORE_FEATURES_LENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/features/shape.h"
#include "core/limits.h"
#include "core/status.h"

/*
 * A lens: what was learned from a corpus of prompts about how texts differ. It maps a text to a
 * few numbers that keep what its words and characters say, without a model: hashed n-grams, idf,
 * a projection (the corpus' principal directions, whitened), cluster centres; and, when the corpus
 * had labels, classifiers of the task and of how hard a request is.
 */
enum {
    LENS_BUCKETS_MAX = 8192, /* a power of two */
    LENS_DIMS_MAX = 48,
    LENS_CELLS_MAX = 200704, /* buckets * dims */
    LENS_CLUSTERS_MAX = 32,
    LENS_LABELS_MAX = 32,
    LENS_INPUTS_MAX = LENS_DIMS_MAX + LENS_CLUSTERS_MAX + 1, /* of the classifiers: bias last */
    LENS_BYTES_MAX = 262143,
    LENS_CODE = 16,      /* entries of a context vector that stand for the labels */
    LENS_TEXT_MAX = 4096 /* bytes of each part of a text that are looked at */
};

struct lens {
    uint64_t id; /* of its bytes; 0 = no lens */
    int buckets, dims, clusters, labels;
    bool has_complexity;
    float idf[LENS_BUCKETS_MAX];
    int8_t projection[LENS_CELLS_MAX];              /* [bucket][dim] */
    float scale[LENS_DIMS_MAX];                     /* of each column of the projection */
    float offset[LENS_DIMS_MAX];                    /* the corpus' mean, projected */
    float centre[LENS_CLUSTERS_MAX][LENS_DIMS_MAX]; /* unit length */
    char label[LENS_LABELS_MAX][NAME_CAP];
    float label_weight[LENS_LABELS_MAX][LENS_INPUTS_MAX];
    float temperature; /* > 0; divides the classifier's scores */
    float complexity_weight[LENS_INPUTS_MAX];
};

/* What a lens says of a text. */
struct lens_view {
    float x[LENS_DIMS_MAX];              /* unit length, or zero for a text without n-grams */
    float similarity[LENS_CLUSTERS_MAX]; /* cosine to each centre */
    int cluster;                         /* nearest centre */
    int label;                           /* likeliest, -1 = none is known */
    float posterior[LENS_LABELS_MAX];
    float complexity; /* [0,1], -1 = not known */
};

/* lens_entries gives how many entries of a context vector a lens fills: LENS_CODE for what it
 * takes the task to be, or, without labels, its dims. */
int lens_entries(const struct lens *l);
/* lens_counts fills counts[buckets] with the signed hashed n-grams of a text and gives how many
 * there were: words, pairs of words, 3- to 5-grams of characters. */
int lens_counts(const struct excerpt *e, int buckets, int32_t *counts);
/* lens_project writes the projection of a text (dims entries), before it is scaled to unit length.
 * False, and zeros, when it has no n-grams. */
bool lens_project(const struct lens *l, const struct excerpt *e, float *x);
/* lens_apply looks at a text. Pure, allocates nothing. */
void lens_apply(const struct lens *l, const struct excerpt *e, struct lens_view *out);
/* lens_inputs gives the length of the classifiers' input and fills it from x and similarity. */
int lens_inputs(const struct lens *l, const struct lens_view *v, float *input);
/* lens_judge fills label, posterior and complexity from x and similarity. */
void lens_judge(const struct lens *l, struct lens_view *v);

/* lens_save gives the number of bytes written, 0 when cap (LENS_BYTES_MAX) is too small. Little-
 * endian, versioned, checksummed. lens_load refuses what lens_save would not have written and
 * derives id; out is valid only on OK. */
size_t lens_save(const struct lens *l, uint8_t *out, size_t cap);
MUST_CHECK enum status lens_load(const uint8_t *bytes, size_t n, struct lens *out,
                                 struct problem *problem);

#endif
