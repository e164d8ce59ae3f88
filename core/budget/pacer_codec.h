/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_BUDGET_PACER_CODEC_H
#define PURSER_CORE_BUDGET_PACER_CODEC_H

#include "core/budget/pacer.h"
#include "core/event/bytes.h"

/* The pacer's window in a snapshot: what was predicted of each context, from which pacer_get_window
 * derives the rest under params. */
void pacer_put_window(struct filler *w, const struct pacer *p);
void pacer_get_window(struct reader *r, struct pacer *p, const struct params *params);

#endif
