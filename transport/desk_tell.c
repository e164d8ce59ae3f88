/* SPDX-License-Identifier: MIT */
/* What the process log says of events, for whoever watches the machine. */
#include <stdio.h>
#include "core/canary.h"
#include "transport/desk_inside.h"
#include "transport/log.h"

/* The guard against the static hull has put the policy aside, or brought it back. */
static void tell_turn(const struct event *ev)
{
    char upper[32], lower[32];
    bool tripped = ev->hull.turn == HULL_TRIPPED;
    (void)snprintf(lower, 32, "%.4f", ev->hull.lower);
    (void)snprintf(upper, 32, "%.4f", ev->hull.upper);
    log_event(tripped ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "hull", "turn",
              tripped ? "tripped" : "returned", "seq", LOG_NUMBER(ev->seq), "labels",
              LOG_NUMBER(ev->hull.labels), "lower", lower, "upper", upper, NULL);
}

void desk_tell(struct desk *d, const struct event *ev)
{
    notes_take(&d->notes, ev);
    if (ev->kind == EVENT_CONFIGURED && canary_why(ev->configured.origin))
        log_event(LOG_LEVEL_INFO, "canary", "verdict", ev->configured.origin, "why",
                  canary_why(ev->configured.origin), "config_seq", LOG_NUMBER(ev->seq), NULL);
    if (ev->kind == EVENT_HULL && ev->hull.turn != HULL_SOLVED)
        tell_turn(ev);
}
