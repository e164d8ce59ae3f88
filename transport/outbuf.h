/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_OUTBUF_H
#define PURSER_TRANSPORT_OUTBUF_H

#include <stdbool.h>
#include <stddef.h>
#include "core/encoding/text.h"

/*
 * The bytes of one reply: a text that grows between items, never within one, so that renderers stay
 * free of allocation. Bounded: OUTBUF_MAX for a batch of replies, OUTBUF_ITEM for one.
 */
enum {
    OUTBUF_ITEM = 48 * 1024,              /* the longest single answer: 64 arms explained */
    OUTBUF_KEEP = 2 * OUTBUF_ITEM,        /* what an idle slot keeps */
    OUTBUF_MAX = 256 * OUTBUF_ITEM + 4096 /* the longest batch */
};

struct outbuf {
    struct text text; /* text.at is heap memory, NULL before the first reserve */
};

/* outbuf_reserve makes room for n more bytes; false when memory is short or OUTBUF_MAX is hit. */
bool outbuf_reserve(struct outbuf *o, size_t n);
/* outbuf_clear empties it, keeping at most OUTBUF_KEEP bytes of memory. */
void outbuf_clear(struct outbuf *o);
void outbuf_fini(struct outbuf *o);
/* outbuf_pack turns JSON into MessagePack; empties it when memory is short. */
void outbuf_pack(struct outbuf *o);

#endif
