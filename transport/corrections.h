/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CORRECTIONS_H
#define PURSER_TRANSPORT_CORRECTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What must be said so that some messages about decisions are as if they had never come. Every
 * decision concerned has two label books: one folded from all its messages, one from those that
 * stay. Where they differ, a correction puts back what the second one holds, or retracts. If they
 * do not differ there is nothing to say: a second run finds the corrections of the first among the
 * messages. Some 2 KB per decision. Start from all zeros.
 */
struct corrections {
    struct subject **subject; /* in the order in which they were concerned */
    size_t n, cap;
    uint32_t *index; /* hash table of 1 + position */
    size_t index_cap;
    uint64_t least; /* the first decision concerned, 0 = none */
};

/* corrections_concern notes that a decision has a message that is to go. False: no memory. */
bool corrections_concern(struct corrections *c, uint64_t decision);
/* corrections_fold takes an item of the op labels, in the order of the log; of decisions that are
 * not concerned nothing is kept. goes: this message is to be undone. False: it cannot be folded. */
bool corrections_fold(struct corrections *c, const json_t *label, bool goes);
/* corrections_of appends to items what must be said about subject i, as items of the op unlearn;
 * gives their number. */
int corrections_of(const struct corrections *c, size_t i, json_t *items);
void corrections_fini(struct corrections *c);

#endif
