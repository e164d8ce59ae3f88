/* SPDX-License-Identifier: MIT */
#include "transport/slot.h"

#include "core/encoding/doc.h"

void arrival_read(struct arrival *r, const void *bytes, size_t n)
{
    r->status = wire_open(&r->message, bytes, n, &r->problem);
    r->done = true;
}

void arrival_close(struct arrival *r)
{
    if (r->done && r->status == STATUS_OK)
        wire_close(&r->message);
    r->done = false;
}

void slot_asked(struct slot *s, const void *bytes, size_t n)
{
    s->packed = s->out.text.packed = doc_is_packed(bytes, n);
}

struct outbuf *slot_out(struct slot *s)
{
    return &s->out;
}

void slot_hold(struct slot *s)
{
    s->door->hold(s);
}

void slot_reply(struct slot *s)
{
    if (s->packed && !s->out.text.packed)
        outbuf_pack(&s->out);
    s->door->reply(s);
}
