/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_REFOLD_BOOKSHELF_H
#define PURSER_SIM_REFOLD_BOOKSHELF_H

#include <stdbool.h>
#include <stdint.h>
#include "core/event/event.h"

/* Label books of decisions that have left memory, by sequence number: what the outcome table is to
 * a store. In memory, encoded (some 130 bytes each). Start from all zeros. */
struct bookshelf {
    struct shelf_slot *slot;
    uint64_t cap, n; /* cap a power of 2 */
    bool failed;     /* memory was short: something is missing */
};

/* bookshelf_put keeps a copy, in place of an earlier one. */
void bookshelf_put(struct bookshelf *s, uint64_t seq, const struct label_book *book);
/* bookshelf_get gives false when there is none. */
bool bookshelf_get(const struct bookshelf *s, uint64_t seq, struct label_book *out);
void bookshelf_fini(struct bookshelf *s);

#endif
