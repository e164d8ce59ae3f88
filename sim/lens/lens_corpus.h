/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_LENS_LENS_CORPUS_H
#define PURSER_SIM_LENS_LENS_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/limits.h"
#include "core/status.h"

/* Prompts to learn a lens from, with what is known of them. */
struct corpus_row {
    size_t text, len; /* in the corpus' text */
    uint64_t hash;    /* of the prompt: splits rows reproducibly */
    int label;        /* index, -1 = none */
    float hard;       /* 1 - mean quality over models, -1 = not known */
    bool held_out;
};

struct corpus {
    struct corpus_row *row;
    size_t n, cap;
    char *text;
    size_t text_len, text_cap;
    char (*label)[NAME_CAP]; /* distinct labels, in order of appearance */
    size_t *label_count;     /* rows of each that are not held out */
    int n_labels, label_cap;
};

/* corpus_read adds the rows of a JSONL file, or of DIR/prompts.jsonl: "prompt", optional "id",
 * "task" or "domain" and "q". Rows whose id does not hash below `split` are held out (1: none).
 * corpus_free accepts a zeroed one. */
MUST_CHECK enum status corpus_read(struct corpus *c, const char *path, double split,
                                   struct problem *problem);
void corpus_free(struct corpus *c);

#endif
