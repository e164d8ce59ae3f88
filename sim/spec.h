/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SPEC_H
#define PURSER_SIM_SPEC_H

#include "core/encoding/fields.h"
#include "core/status.h"

/* Documents of the simulator: worlds and experiments. Found by name or path, read strictly. */
enum { SPEC_PATH_CAP = 4096, SPEC_MAX = 1 << 20 /* bytes */ };

/* spec_find writes the path of a document: name itself, then name with and without suffix in the
 * folder `near` ("" = none) and among what is installed with the program. BAD_REQUEST if there is
 * none. */
MUST_CHECK enum status spec_find(const char *name, const char *near, const char *suffix,
                                 char path[SPEC_PATH_CAP], struct problem *problem);
/* spec_folder writes the folder part of a path, "." without one. */
void spec_folder(const char *path, char folder[SPEC_PATH_CAP]);
/* spec_open reads a file; the caller frees *root with json_decref. */
MUST_CHECK enum status spec_open(const char *path, json_t **root, struct problem *problem);
/* spec_blame puts file and JSON path in front of a problem's text, and gives s back. */
enum status spec_blame(struct problem *problem, const char *path, enum status s);

/* spec_list tells whether v (NULL = absent) is an array of low to high entries. */
MUST_CHECK enum status spec_list(const json_t *v, const struct json_at *at, size_t low, size_t high,
                                 struct problem *problem);
/* spec_reals reads an array of exactly n numbers within [low, high]. */
MUST_CHECK enum status spec_reals(const json_t *v, const struct json_at *at, int n, double low,
                                  double high, double *out, struct problem *problem);

#endif
