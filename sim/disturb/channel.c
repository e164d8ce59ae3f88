/* SPDX-License-Identifier: MIT */
/* Draws are keyed by kind, place in the list and position, so adding a disturbance moves no other.
 * Missing comes last whatever the order of the list: what is lost was true or false before. */
#include "sim/disturb/channel.h"

#include "bandit/rng.h"

#include <math.h>

enum { STREAM_CHANNEL = 0x10000 };
static const double LONGEST = 50; /* means of a random delay, at most */

static struct rng stream(const struct channel *c, const struct parcel *p, int k)
{
    return rng_stream(c->seed, STREAM_CHANNEL + (uint64_t)k, p->i);
}

/* ceil to the next delivery of a batch, else a draw with the mean that is asked for. */
static int64_t draw_delay(const struct disturbance *d, const struct parcel *p, struct rng *g)
{
    double mean = (double)d->mean, u = rng_uniform(g), v = mean;
    if (d->law == DELAY_EXPONENTIAL)
        v = -mean * log(1 - u);
    else if (d->law == DELAY_LOGNORMAL)
        v = mean * exp(d->spread * rng_normal(g) - d->spread * d->spread / 2);
    else if (d->law == DELAY_REWARD) /* good news travels fast */
        v = -mean * (1 + fmin(d->spread, 1) * (0.5 - p->quality)) * log(1 - u);
    else if (d->law == DELAY_BATCH)
        v = mean - fmod((double)p->i, mean);
    return (int64_t)fmin(v, LONGEST * mean);
}

static double judge(const struct disturbance *d, const struct channel *c, const struct parcel *p,
                    double quality, struct rng *g)
{
    double done = ((double)p->i / (double)c->n - d->at) / (d->until - d->at);
    double told = quality + d->shift * done + d->noise * (2 * rng_uniform(g) - 1);
    return fmin(fmax(told, 0), 1);
}

static bool poisons(const struct disturbance *d, const struct parcel *p, struct rng *g)
{
    bool his = d->tenant[0] == '\0';
    for (size_t i = 0; !his && d->tenant[i] == p->tenant[i]; i++)
        his = d->tenant[i] == '\0';
    return his && rng_uniform(g) < d->share;
}

static void carry(const struct channel *c, const struct parcel *p, int k, struct letters *out)
{
    const struct disturbance *d = &c->disturbances->item[k];
    struct rng g = stream(c, p, k);
    bool here = disturbance_on(d, p->i, c->n) && (d->model < 0 || d->model == p->model);
    if (!here)
        return;
    if (d->kind == DISTURB_DELAY)
        out->delay[0] += draw_delay(d, p, &g);
    else if (d->kind == DISTURB_JUDGE)
        out->quality = judge(d, c, p, out->quality, &g);
    else if (d->kind == DISTURB_POISON && poisons(d, p, &g))
        out->quality = 1 - out->quality;
    else if (d->kind == DISTURB_MISSING)
        out->told = out->told &&
                    !(p->quality >= d->low && p->quality <= d->high && rng_uniform(&g) < d->share);
    else if (d->kind == DISTURB_REPEAT) {
        out->n = rng_uniform(&g) < d->share ? 2 : out->n;
        out->delay[1] = out->delay[0] + (int64_t)rng_below(&g, (uint64_t)d->mean + 1);
        out->delay[0] += (int64_t)rng_below(&g, (uint64_t)d->mean + 1);
    }
}

void channel_carry(const struct channel *c, const struct parcel *p, struct letters *out)
{
    *out = (struct letters){.n = 1, .told = true, .quality = p->quality};
    for (int k = 0; k < c->disturbances->n; k++)
        carry(c, p, k, out);
}

size_t channel_most(const struct disturbances *d)
{
    double most = 0;
    for (int k = 0; k < d->n; k++)
        if (d->item[k].kind == DISTURB_DELAY || d->item[k].kind == DISTURB_REPEAT)
            most += LONGEST * (double)d->item[k].mean;
    return (size_t)most;
}
