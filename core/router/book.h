/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_BOOK_H
#define PURSER_CORE_ROUTER_BOOK_H

#include "core/event/bytes.h"
#include "core/event/event.h"

/*
 * The body of a label book, for codecs that hold one among other things and checksum the whole.
 * Alone it is stored by book_encode and book_decode (core/event/event.h); book_init is in
 * core/router/router.h.
 */
/* book_put writes the body of b. */
void book_put(struct filler *w, const struct label_book *b);
/* book_get reads what book_put wrote into *b, starting from book_init; r goes bad on what cannot
 * be a book. */
void book_get(struct reader *r, struct label_book *b);

#endif
