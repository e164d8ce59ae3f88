/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SERIES_JOURNAL_H
#define PURSER_SIM_SERIES_JOURNAL_H

#include <jansson.h>
#include "sim/series/series.h"

/* Series in a journal's line (sim/run/journal.h), read back exactly. */

/* series_put writes the members of a job of n requests; series_get gives false when they are not
 * there. */
void series_put(struct text *t, const struct series *s, size_t n, int n_models);
bool series_get(const json_t *line, size_t n, int n_models, struct series *out);

#endif
