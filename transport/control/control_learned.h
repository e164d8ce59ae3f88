/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_CONTROL_LEARNED_H
#define PURSER_TRANSPORT_CONTROL_CONTROL_LEARNED_H

#include <jansson.h>
#include "core/status.h"
#include "transport/desk/desk.h"
#include "transport/outbuf.h"

/*
 * Learned state out of and into the engine: ops learned.get, learned.set and learned.undo. Loop
 * thread, or whoever has folded a store (control_learned_get needs no more than its router).
 * Numbers go as base64 of little-endian doubles, the pieces of core/learn/learned.h; the command
 * line makes the open format of them (docs/schemas/learned-state.schema.json).
 */
/* control_learned_get tells of the learner of root's `tenant` ("" or none: the shared one) what it
 * is about, its prior and what has been imported; with `model` the pieces of that model. */
MUST_CHECK enum status control_learned_get(const struct router *r, const char *store_id,
                                           const json_t *root, struct outbuf *out,
                                           struct problem *problem);
/* control_learned_set has one model's pieces (`model`, `parts`) or the prior (`prior`) come in
 * under the name `import`; what is in already is said to be. control_learned_undo takes them out.
 */
MUST_CHECK enum status control_learned_set(struct desk *d, const json_t *root, struct text *out,
                                           struct problem *problem);
MUST_CHECK enum status control_learned_undo(struct desk *d, const json_t *root, struct text *out,
                                            struct problem *problem);

#endif
