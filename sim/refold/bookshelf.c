/* SPDX-License-Identifier: MIT */
/* A hash table with linear probing; books are never taken off, so nothing has to be shifted back.
 */
#include "sim/refold/bookshelf.h"

#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"

struct shelf_slot {
    uint64_t seq; /* 0 = free */
    uint16_t len;
    uint8_t *bytes;
};

static struct shelf_slot *find(const struct bookshelf *s, uint64_t seq)
{
    uint64_t i = mix64(seq) & (s->cap - 1);
    while (s->slot[i].seq != 0 && s->slot[i].seq != seq)
        i = (i + 1) & (s->cap - 1);
    return &s->slot[i];
}

static bool grow(struct bookshelf *s)
{
    struct bookshelf next = {.cap = s->cap ? 2 * s->cap : 1024, .n = s->n, .failed = s->failed};
    next.slot = calloc(next.cap, sizeof *next.slot);
    if (!next.slot)
        return false;
    for (uint64_t i = 0; i < s->cap; i++)
        if (s->slot[i].seq != 0)
            *find(&next, s->slot[i].seq) = s->slot[i];
    free(s->slot);
    *s = next;
    return true;
}

void bookshelf_put(struct bookshelf *s, uint64_t seq, const struct label_book *book)
{
    uint8_t bytes[BOOK_BYTES_MAX];
    size_t n = book_encode(book, bytes, sizeof bytes);
    uint8_t *copy = n ? malloc(n) : NULL;
    if (!copy || (2 * s->n >= s->cap && !grow(s))) {
        free(copy);
        s->failed = true;
        return;
    }
    memcpy(copy, bytes, n);
    struct shelf_slot *at = find(s, seq);
    s->n += at->seq == 0;
    free(at->bytes);
    *at = (struct shelf_slot){.seq = seq, .len = (uint16_t)n, .bytes = copy};
}

bool bookshelf_get(const struct bookshelf *s, uint64_t seq, struct label_book *out)
{
    const struct shelf_slot *at = s->cap ? find(s, seq) : NULL;
    return at && at->seq == seq && book_decode(at->bytes, at->len, out) == STATUS_OK;
}

void bookshelf_fini(struct bookshelf *s)
{
    for (uint64_t i = 0; i < s->cap; i++)
        free(s->slot[i].bytes);
    free(s->slot);
    memset(s, 0, sizeof *s);
}
