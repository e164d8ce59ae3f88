/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_CREDIT_H
#define PURSER_CORE_ROUTER_CREDIT_H

#include "core/event/event.h"
#include "core/status.h"

/*
 * What feedback means: the label book of a decision takes messages in any order, knows repetitions,
 * keeps the highest version per source and field, and yields the labels to be learned.
 */

/* book_take records a message. OK: *result says what it did (DUPLICATE and SUPERSEDED change
 * nothing). CONFLICT: the same feedback_id came with another body, or the book is full; nothing
 * changed. */
MUST_CHECK enum status book_take(struct label_book *b, const struct feedback *f,
                                 enum feedback_result *result, struct problem *problem);

/* source_name gives who said it, with the name of those who gave none. */
const char *source_name(const struct feedback *f);

/* source_reserved tells whether a name is one that callers must not report under. */
bool source_reserved(const char *name);

/* batch_named tells whether a batch of history has this name, or is one of the run of this name:
 * purser train calls them RUN-LINE. */
bool batch_named(const char *batch_id, const char *name);

/* What a book amounts to, in natural units. */
struct credit {
    bool has[TARGETS];
    double label[TARGETS]; /* as the regressions take them: log(1+tokens), log(1+ms) */
    bool has_cost;
    int64_t tokens;        /* input and output, if has_cost; -1 = not known */
    bool counted;          /* output tokens were reported, not implied */
    int64_t cost_nano;     /* reported; computed from tokens when only those were reported */
    int64_t learned_nano;  /* cost_nano, as far as it may be learned (influence_bound) */
    int64_t computed_nano; /* from tokens, reasoning at its own price */
    int64_t priced_nano;   /* from tokens, all output at one price, as predictions have it; about
                              cost_nano when tokens are implied by cost */
};
/* credit_of folds the sources of a book (averages) into labels. Failed calls count as failures
 * only, not as bad answers. Silence counts only while no other source has a quality label, an
 * escalation while none but silence has. Output tokens that were not reported are implied by the
 * cost, at the prices of the decision. */
void credit_of(const struct label_book *b, const struct decision_row *row, struct credit *out);
/* credit_average gives the mean of a field over the sources that hold it; false if none does. */
bool credit_average(const struct label_book *b, enum feedback_field field, double *out);
/* credit_awaits tells whether silence may still speak: no source has a quality label, silence
 * included, and the call is not reported failed. */
bool credit_awaits(const struct label_book *b);
/* credit_escalated tells whether the decision was escalated. */
bool credit_escalated(const struct label_book *b);

#endif
