/* SPDX-License-Identifier: MIT */
/*
 * A growing reply. Invariant: text.at is NULL or holds text.cap bytes and a terminating zero.
 * Considered: one fixed 12 MiB buffer for all slots. Replies are held until their batch is durable,
 * so every slot needs its own; growing keeps 512 of them at some tens of kilobytes each.
 */
#include "transport/outbuf.h"

#include <stdlib.h>
#include "core/encoding/emit.h"

bool outbuf_reserve(struct outbuf *o, size_t n)
{
    struct text *t = &o->text;
    size_t need = t->len + n + 1;
    if (t->at && need <= t->cap)
        return true;
    if (need > OUTBUF_MAX)
        return false;
    size_t cap = t->cap < OUTBUF_ITEM ? OUTBUF_ITEM : t->cap;
    while (cap < need)
        cap *= 2;
    char *at = realloc(t->at, cap);
    if (!at)
        return false;
    if (!t->at)
        at[0] = '\0';
    t->at = at;
    t->cap = cap;
    return true;
}

void outbuf_clear(struct outbuf *o)
{
    bool packed = o->text.packed;
    if (o->text.cap > OUTBUF_KEEP)
        outbuf_fini(o);
    o->text.packed = packed;
    o->text.len = 0;
    o->text.full = false;
    if (o->text.at)
        o->text.at[0] = '\0';
}

void outbuf_fini(struct outbuf *o)
{
    free(o->text.at);
    o->text = (struct text){0};
}

void outbuf_pack(struct outbuf *o)
{
    struct doc d;
    size_t cap = 3 * o->text.len + OUTBUF_ITEM; /* "0.5," becomes 9 bytes: no more than threefold */
    if (o->text.len == 0 || doc_open_own(&d, o->text.at, o->text.len) != STATUS_OK) {
        outbuf_clear(o);
        return;
    }
    char *at = malloc(cap);
    struct text packed = {.at = at, .cap = cap, .packed = true};
    struct emit e = emit_over(&packed);
    if (at)
        emit_doc(&e, d.value);
    doc_close(&d);
    outbuf_fini(o);
    if (at)
        o->text = packed;
}
