/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CLI_WORDS_H
#define PURSER_TRANSPORT_CLI_WORDS_H

#include "core/config/params.h"
#include "core/encoding/text.h"
#include "core/event/event.h"

/* words_decision tells a decision in sentences, as a JSON array of strings: which model and how
 * likely, what was expected, what the alternatives promised, what budgets and constraints did. From
 * the record alone, with the catalog's names. */
void words_decision(struct text *t, const struct event_decided *d, const struct catalog *c);

#endif
