/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_NOTES_H
#define PURSER_TRANSPORT_NOTES_H

#include <stdbool.h>
#include <stdint.h>
#include "core/event/event.h"

/*
 * What happened lately that somebody may want to know: changes of the configuration, models found
 * to have changed, turns of a guard. The latest NOTES_MOST since the service started; the log has
 * all of them.
 */
enum { NOTES_MOST = 64 };
struct note {
    int64_t time_ms;
    uint64_t seq;
    enum event_kind kind; /* DRIFTED, HULL, CONFIGURED, LENS */
    uint8_t arm, target;
    bool up;   /* of drifted */
    bool gone; /* of hull: the policy was put aside; of lens: there is none any more */
    char origin[NAME_CAP];
};
struct notes {
    struct note note[NOTES_MOST]; /* a ring */
    size_t n;                     /* all told */
    int64_t drifts;               /* of these: models found to have changed */
};
/* notes_take keeps an event if it is notable. notes_at gives the i-th newest, NULL past the end. */
void notes_take(struct notes *n, const struct event *ev);
const struct note *notes_at(const struct notes *n, size_t i);

#endif
