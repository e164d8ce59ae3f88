/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_EVENT_EVENT_VALID_H
#define PURSER_CORE_EVENT_EVENT_VALID_H

#include "core/event/event.h"

/* event_valid tells whether an event may be written to a log or taken from one. */
bool event_valid(const struct event *e);

#endif
