/* SPDX-License-Identifier: MIT */
#include "transport/notes.h"

#include <string.h>

static bool notable(const struct event *ev)
{
    return ev->kind == EVENT_DRIFTED || ev->kind == EVENT_CONFIGURED || ev->kind == EVENT_LENS ||
           (ev->kind == EVENT_HULL && ev->hull.turn != HULL_SOLVED);
}

void notes_take(struct notes *n, const struct event *ev)
{
    if (!notable(ev))
        return;
    struct note *to = &n->note[n->n++ % NOTES_MOST];
    *to = (struct note){.time_ms = ev->time_ms, .seq = ev->seq, .kind = ev->kind};
    if (ev->kind == EVENT_DRIFTED) {
        to->arm = ev->drifted.arm;
        to->target = ev->drifted.target;
        to->up = ev->drifted.up;
        n->drifts++;
    } else if (ev->kind == EVENT_HULL) {
        to->gone = ev->hull.turn == HULL_TRIPPED;
    } else if (ev->kind == EVENT_LENS) {
        to->gone = ev->lens.len == 0;
        strcpy(to->origin, ev->lens.origin);
    } else {
        strcpy(to->origin, ev->configured.origin);
    }
}

const struct note *notes_at(const struct notes *n, size_t i)
{
    return i < n->n && i < NOTES_MOST ? &n->note[(n->n - 1 - i) % NOTES_MOST] : NULL;
}
