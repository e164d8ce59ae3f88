/* SPDX-License-Identifier: MIT */
#include "core/learn/ratio.h"

#include <math.h>
#include "bandit/repro.h"

static const double PRIOR_WEIGHT = 10; /* observations at toward that a quotient starts from */
static const double LEAST = 0.01, MOST = 100;
/* All is taken out when this little of the last row's weight is left: 36 half-lives of it. */
static const double NOTHING = 0x1p-36;

static double weight_at(const struct forgetting *f, int64_t t_ms, int64_t epoch_ms)
{
    return repro_exp2(forgetting_age(f, t_ms, epoch_ms));
}

void ratio_rebase(struct ratio *r, const struct forgetting *f, int64_t now_ms)
{
    double s = weight_at(f, r->epoch_ms, now_ms);
    r->num *= s, r->den *= s, r->weight *= s;
    r->epoch_ms = now_ms;
}

void ratio_add(struct ratio *r, const struct forgetting *f, double num, double den, int64_t t_ms,
               double sign)
{
    if (r->epoch_ms == 0)
        r->epoch_ms = t_ms;
    if (f->half_life_ms > 0 && t_ms - r->epoch_ms > 40 * f->half_life_ms)
        ratio_rebase(r, f, t_ms);
    double w = sign * weight_at(f, t_ms, r->epoch_ms);
    r->num += w * num;
    r->den += w * den;
    r->weight += w;
    if (w < 0 && fabs(r->weight) <= NOTHING * -w) /* no quotient of rounding residues */
        r->num = r->den = r->weight = 0;
}

struct ratio ratio_block(const struct ratio *r, const struct forgetting *f, int64_t now_ms)
{
    struct ratio b = *r;
    if (b.epoch_ms != 0)
        ratio_rebase(&b, f, now_ms);
    return b;
}

void ratio_block_add(struct ratio *r, const struct forgetting *f, const struct ratio *block,
                     int64_t as_of_ms, double v)
{
    if (block->weight > 0)
        ratio_add(r, f, block->num / block->weight, block->den / block->weight, as_of_ms,
                  v * block->weight);
}

double ratio_age(const struct ratio *r, const struct forgetting *f, int64_t now_ms)
{
    return forgetting_age(f, r->epoch_ms, now_ms);
}

double ratio_value(const struct ratio *r, const struct forgetting *f, double toward, int64_t now_ms)
{
    return ratio_value_at(r, toward, weight_at(f, r->epoch_ms, now_ms));
}

double ratio_value_at(const struct ratio *r, double toward, double today)
{
    if (!(r->weight > 0) || !(r->den > 0))
        return toward;
    double prior = PRIOR_WEIGHT * r->den / (r->weight * today);
    double q = (r->num + toward * prior) / (r->den + prior);
    return q < LEAST ? LEAST : q > MOST ? MOST : q;
}
