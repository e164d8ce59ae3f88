/* SPDX-License-Identifier: MIT */
#include "core/budget/pace_room.h"

#include <math.h>

/* Of the rate, over PACE_ROOM requests; small calls that come after a dear one may exceed what was
 * there when it was let through, hence not 1.05. */
static const double WITHIN = 1.03;
/* Times the rate, 18% of PACE_ROOM requests: what costs more does not fit whenever it comes, and a
 * budget that is never spent is no use. It has to wait until something is saved of the rate. */
static const double TOO_DEAR = 36;
static const double SAVED = 0.97;
static const double DEAR = 4; /* times the rate more than another, 2% of a window */
static const double SURE = 4; /* deviations of a difference of merits */

void pace_room_begin(struct pace_room *r)
{
    r->total = r->sum_nano = 0;
}

void pace_room_book(struct pace_room *r, int64_t spent_nano)
{
    int64_t *slot = &r->spent_nano[r->total % PACE_ROOM];
    r->sum_nano += spent_nano - (r->total >= PACE_ROOM ? *slot : 0);
    *slot = spent_nano;
    r->total++;
}

double pace_room_left(const struct pace_room *r, double rate_usd)
{
    bool full = r->total >= PACE_ROOM;
    int64_t oldest = full ? r->spent_nano[r->total % PACE_ROOM] : 0;
    double missing = full ? 0 : (double)(PACE_ROOM - 1 - r->total) * rate_usd;
    return WITHIN * PACE_ROOM * rate_usd - missing - (double)(r->sum_nano - oldest) * 1e-9;
}

static double usd_of(const struct event_decided *d, int arm)
{
    return (double)d->view[arm].cost_nano * 1e-9;
}

/* The price at which a model is worse than one that costs so much less; 0: there is none. */
static double price_out(const struct event_decided *d, int arm, double less_usd)
{
    double least = INFINITY;
    const struct arm_view *v = &d->view[arm];
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int b = __builtin_ctzll(m);
        const struct arm_view *w = &d->view[b];
        double saved = usd_of(d, arm) - usd_of(d, b);
        if (saved < less_usd)
            continue;
        double better = (double)v->merit - (double)w->merit +
                        SURE * hypot((double)v->merit_sd, (double)w->merit_sd);
        least = fmin(least, better / saved);
    }
    return isinf(least) ? 0 : fmax(1.001 * least, 0); /* not as good: worse */
}

double pace_room_price(const struct pace_room *r, const struct event_decided *d, double rate_usd,
                       double truth)
{
    double left = pace_room_left(r, rate_usd), price = 0;
    double saved = (WITHIN - SAVED) * PACE_ROOM * rate_usd;
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        double usd = truth * usd_of(d, a);
        if (usd > TOO_DEAR * rate_usd ? left < saved : usd > left)
            price = fmax(price, price_out(d, a, DEAR * rate_usd / truth));
    }
    return price;
}

void pace_room_put(struct filler *w, const struct pace_room *r)
{
    put_i64(w, r->total);
    for (int64_t i = 0; i < PACE_ROOM && i < r->total; i++)
        put_i64(w, r->spent_nano[i]);
}

void pace_room_get(struct reader *in, struct pace_room *r)
{
    pace_room_begin(r);
    int64_t total = get_i64(in);
    r->total = total > 0 ? total : 0;
    for (int64_t i = 0; i < PACE_ROOM && i < r->total; i++)
        r->sum_nano += r->spent_nano[i] = get_i64(in);
}
