/* SPDX-License-Identifier: MIT */
#include "transport/slot.h"

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
    s->door->reply(s);
}
