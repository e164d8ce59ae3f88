/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_BUDGET_PACE_ROOM_H
#define PURSER_CORE_BUDGET_PACE_ROOM_H

#include "core/event/bytes.h"
#include "core/event/event.h"

/*
 * What the latest requests under a budget have been booked at, and so what the next call may cost
 * if any PACE_ROOM requests in a row are to keep to the rate. The multiplier cannot see to that
 * where one call costs as much as dozens of others: it makes such calls rarer, and when they come
 * is a matter of luck.
 */
enum { PACE_ROOM = 200 };

struct pace_room {
    int64_t total;    /* requests booked at this rate; slot = ordinal % PACE_ROOM */
    int64_t sum_nano; /* of those kept; derived */
    int64_t spent_nano[PACE_ROOM];
};

void pace_room_begin(struct pace_room *r);
void pace_room_book(struct pace_room *r, int64_t spent_nano);
/* pace_room_left gives what the next request may cost; what is not booked yet is taken to be spent
 * at the rate. */
double pace_room_left(const struct pace_room *r, double rate_usd);
/* pace_room_price gives the least multiplier at which a decision whose models' views are known
 * hardly goes to one that costs more than what is left, `truth` times its prediction; 0 if any may
 * be had. Where no other is cheaper by several times the rate it may: that is for the multiplier in
 * force to see to. Calls that would not fit whenever they came may once something has been saved.
 */
double pace_room_price(const struct pace_room *r, const struct event_decided *d, double rate_usd,
                       double truth);

void pace_room_put(struct filler *w, const struct pace_room *r);
void pace_room_get(struct reader *in, struct pace_room *r);

#endif
