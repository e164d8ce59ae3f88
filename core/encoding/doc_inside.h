/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ENCODING_DOC_INSIDE_H
#define PURSER_CORE_ENCODING_DOC_INSIDE_H

#include <string.h>
#include "core/encoding/doc.h"

enum { DOC_SCALAR_MAX = 64 }; /* bytes of a number; no double needs more than 25 */

/* What the readers of the encodings share. Private to doc*.c. */

enum doc_fault {
    FAULT_NONE,
    FAULT_SYNTAX,
    FAULT_UTF8,
    FAULT_EARLY, /* the document ends too early */
    FAULT_BEHIND,
    FAULT_ZERO,
    FAULT_DUPLICATE,
    FAULT_OVERFLOW,
    FAULT_INFINITE,
    FAULT_BOUND, /* told apart by its status, and in the problem already */
    FAULT_MEMORY
};

/* Keys of large objects, for finding one that is there already; small ones are just looked
 * through. */
struct doc_seen {
    struct {
        uint32_t object, key; /* indices of values; key 0 = free */
    } * slot;
    uint32_t n, cap;
};

struct doc_builder {
    struct doc *doc;
    struct doc_seen seen;
};

/* doc_add appends a value (span 1) and gives its index, 0 when memory is short or it is the first
 * (which cannot fail: there is room from the start). */
uint32_t doc_add(struct doc_builder *b, enum doc_kind kind, uint32_t n);
/* doc_key notes that value `key` was just added to `object`, and counts it. */
enum doc_fault doc_key(struct doc_builder *b, uint32_t object, uint32_t key);

/* Eight bytes at once: exact about whether there is such a byte, whichever end comes first. */
static inline uint64_t doc_word(const unsigned char *s)
{
    uint64_t w;
    memcpy(&w, s, sizeof w);
    return w;
}
#define DOC_EACH(byte) (0x0101010101010101u * (uint64_t)(byte))
/* Of words whose bytes are all below 0x80: whether some byte is below `least` (1..0x80), or is c.
 */
static inline bool doc_has_less(uint64_t w, unsigned char least)
{
    return (w - DOC_EACH(least)) & ~w & DOC_EACH(0x80);
}
static inline bool doc_has(uint64_t w, unsigned char c)
{
    return doc_has_less(w ^ DOC_EACH(c), 1);
}
static inline bool doc_has_high(uint64_t w)
{
    return w & DOC_EACH(0x80);
}

/* doc_utf8 gives the bytes of the UTF-8 sequence at s, 0 when it is none (Unicode 15, table 3-7).
 */
size_t doc_utf8(const unsigned char *s, size_t n);

/* doc_scan_json checks the bounds; doc_read_json reads the whole of JSON; *line: where the fault
 * is. */
MUST_CHECK enum status doc_scan_json(const void *bytes, size_t n, const struct doc_bounds *bounds,
                                     struct problem *problem);
enum doc_fault doc_read_json(struct doc_builder *b, const void *bytes, size_t n, int *line);
/* doc_read_packed reads the whole of MessagePack, within bounds; *status: of FAULT_BOUND. */
enum doc_fault doc_read_packed(struct doc_builder *b, const void *bytes, size_t n,
                               const struct doc_bounds *bounds, struct problem *problem,
                               enum status *status);

#endif
