/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_COUNTERS_CODEC_H
#define PURSER_CORE_ROUTER_COUNTERS_CODEC_H

#include "core/event/bytes.h"
#include "core/router/router_state.h"

/* The counters in a snapshot's header, n: models. */
void counters_put(struct filler *w, const struct counters *c, int n);
void counters_get(struct reader *r, struct counters *c, int n);

#endif
