/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_LEARN_SILENCE_H
#define PURSER_CORE_LEARN_SILENCE_H

#include "core/config/params.h"
#include "core/event/event.h"

/*
 * What silence means. Where it is declared, a decision carries a deadline and the quality that it
 * is labelled with when nobody has reported any by then. That label is a report like any other, of
 * the reserved source SILENCE_SOURCE, and counts only while no other source has a quality label
 * (credit_of).
 *
 * A decision waits while it is in memory, has a deadline, and credit_awaits its book. One that
 * leaves memory first (limits.open_decisions) gets no label from silence.
 */
struct router;

/* silence_declare writes what the first fitting entry says into a decision made at now_ms. */
void silence_declare(const struct params *p, int64_t now_ms, struct event_decided *d);
/* silence_update brings the deadline of an open decision in line with its row and book; also that
 * of a slot that another decision has taken. */
void silence_update(struct router *r, int64_t slot);
/* silence_rebuild does so for all; false when memory is short. */
bool silence_rebuild(struct router *r);
/* silence_due gives the report on the decision whose deadline passed first; false if none did. */
bool silence_due(const struct router *r, int64_t now_ms, struct feedback *out);

#endif
