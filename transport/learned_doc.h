/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_LEARNED_DOC_H
#define PURSER_TRANSPORT_LEARNED_DOC_H

#include <jansson.h>
#include "core/status.h"

/*
 * The open form of learned state (docs/schemas/learned-state.schema.json) from and to the pieces of
 * core/learn/learned.h in base64. Doubles are written with 17 digits, so nothing is lost on the
 * way.
 */
enum { LEARNED_DOC_VERSION = 1 };

/* learned_doc_new begins a document from the answer of learned.get without a model; learned_doc_add
 * adds one with (takes both). False or NULL: the answer is not of this form, or memory is short. */
json_t *learned_doc_new(const json_t *summary, const char *made_by);
bool learned_doc_add(json_t *doc, const json_t *model);

/* learned_doc_check refuses what is no such document, or of another version; learned_doc_model
 * gives the name and pieces ("parts" of learned.set) of entry i of its models, learned_doc_prior
 * the prior in base64, NULL where it has none. */
MUST_CHECK enum status learned_doc_check(const json_t *doc, struct problem *p);
MUST_CHECK enum status learned_doc_model(const json_t *doc, size_t i, const char **name,
                                         json_t **parts, struct problem *p);
MUST_CHECK enum status learned_doc_prior(const json_t *doc, json_t **prior, struct problem *p);

#endif
