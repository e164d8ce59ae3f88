/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_METER_METER_FOLD_H
#define PURSER_CORE_METER_METER_FOLD_H

#include "core/event/event.h"
#include "core/meter/meter.h"

/*
 * The sums from the log alone, without an engine: to check those that were kept while it ran. Takes
 * the whole log, from its first record on.
 */
struct meter_fold;
struct meter_fold *meter_fold_new(void); /* NULL: no memory. free accepts NULL. */
void meter_fold_free(struct meter_fold *f);
/* meter_fold_event folds one record. recall gives the record of an earlier decision. INTERNAL: the
 * log does not fit together; UNAVAILABLE: no memory. */
MUST_CHECK enum status meter_fold_event(struct meter_fold *f, const struct event *e,
                                        enum status (*recall)(void *ctx, uint64_t seq,
                                                              struct event *out,
                                                              struct problem *problem),
                                        void *ctx, struct problem *problem);
const struct ledger *meter_fold_ledger(const struct meter_fold *f);

#endif
