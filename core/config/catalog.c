/* SPDX-License-Identifier: MIT */
/*
 * The catalog. Slots are for ever: what was learned of a model hangs on its slot, and a log written
 * last year names slots. So a merge appends and retires, and never moves.
 *
 * Capability bits are numbered by first appearance over the slots, so that a catalog written as a
 * document and read again is the same to the bit.
 *
 * Costs are integers in a 128-bit product, rounded once: doubles would lose nanodollars in sums and
 * two engines could disagree about a budget.
 */
#include "core/config/catalog.h"

#include <string.h>

__extension__ typedef __int128 wide; /* 1e9 tokens at 1e11 picodollars do not fit 64 bits */

static int find_name(const char (*names)[NAME_CAP], int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

int catalog_find(const struct catalog *c, const char *name)
{
    for (int i = 0; i < c->n; i++) {
        if (strcmp(c->model[i].name, name) == 0)
            return i;
    }
    return -1;
}

int catalog_tier(const struct catalog *c, const char *name)
{
    return find_name(c->tier, c->n_tiers, name);
}

int catalog_need(const struct catalog *c, const char *name)
{
    return find_name(c->need, c->n_needs, name);
}

/* Translates the bits of a model of `from` to the table of c, which grows as names appear. Names
 * that `known` lacks are dropped: only retired models have such, and there must be room. */
static uint32_t needs_adopt(struct catalog *c, uint32_t needs, const struct catalog *from,
                            const struct catalog *known)
{
    uint32_t bits = 0;
    for (int i = 0; i < from->n_needs; i++) {
        if (!(needs >> i & 1) || catalog_need(known, from->need[i]) < 0)
            continue;
        int bit = catalog_need(c, from->need[i]);
        if (bit < 0) {
            bit = c->n_needs++;
            memcpy(c->need[bit], from->need[i], NAME_CAP);
        }
        bits |= (uint32_t)1 << bit;
    }
    return bits;
}

/* A retired model stays in a tier that exists, by name if it can. */
static struct model retire(const struct model *m, const struct catalog *old,
                           const struct catalog *configured)
{
    struct model out = *m;
    int last = configured->n_tiers > 0 ? configured->n_tiers - 1 : 0;
    int tier = m->tier < old->n_tiers ? catalog_tier(configured, old->tier[m->tier]) : -1;
    out.active = false;
    out.tier = tier >= 0 ? tier : m->tier < last ? m->tier : last;
    return out;
}

static void append(struct catalog *c, struct model m, const struct catalog *from,
                   const struct catalog *known)
{
    m.needs = needs_adopt(c, m.needs, from, known);
    c->model[c->n++] = m;
}

bool catalog_merge(struct catalog *into, const struct catalog *configured)
{
    int total = into->n;
    for (int i = 0; i < configured->n; i++)
        total += catalog_find(into, configured->model[i].name) < 0;
    if (total > MODELS_MAX)
        return false;
    struct catalog next;
    memset(&next, 0, sizeof next);
    next.n_tiers = configured->n_tiers;
    memcpy(next.tier, configured->tier, sizeof next.tier);
    for (int i = 0; i < into->n; i++) {
        int at = catalog_find(configured, into->model[i].name);
        if (at >= 0)
            append(&next, configured->model[at], configured, configured);
        else
            append(&next, retire(&into->model[i], into, configured), into, configured);
    }
    for (int i = 0; i < configured->n; i++) {
        if (catalog_find(into, configured->model[i].name) < 0)
            append(&next, configured->model[i], configured, configured);
    }
    *into = next;
    return true;
}

const struct rates *model_rates(const struct model *m, bool batch)
{
    return batch ? &m->batch : &m->price;
}

bool model_unpriced(const struct model *m)
{
    return !m->free && m->price.in == 0 && m->price.out == 0;
}

static bool same_rates(const struct rates *a, const struct rates *b)
{
    return a->in == b->in && a->cached == b->cached && a->out == b->out &&
           a->reasoning == b->reasoning;
}

bool catalog_has_news(const struct catalog *now, const struct catalog *was)
{
    for (int i = 0; i < now->n; i++) {
        const struct model *is = &now->model[i], *before = &was->model[i];
        if (is->active &&
            (i >= was->n || !before->active || !same_rates(&is->price, &before->price) ||
             !same_rates(&is->batch, &before->batch)))
            return true;
    }
    return false;
}

int64_t catalog_next_ms(const struct catalog *c)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < c->n; i++) {
        const struct model *m = &c->model[i];
        if (m->n_later > 0 && m->later[0].from_ms < next)
            next = m->later[0].from_ms;
    }
    return next;
}

bool catalog_reprice(struct catalog *c, int64_t now_ms)
{
    bool any = false;
    for (int i = 0; i < c->n; i++) {
        struct model *m = &c->model[i];
        int due = 0;
        while (due < m->n_later && m->later[due].from_ms <= now_ms)
            due++;
        if (due == 0)
            continue;
        m->price = m->later[due - 1].price;
        m->batch = m->later[due - 1].batch;
        m->n_later -= due;
        memmove(m->later, m->later + due, (size_t)m->n_later * sizeof *m->later);
        memset(m->later + m->n_later, 0, (size_t)due * sizeof *m->later);
        any = true;
    }
    return any;
}

int64_t model_cost_nano(const struct model *m, int64_t input_tokens, int64_t cached_tokens,
                        int64_t output_tokens)
{
    int64_t input = input_tokens > 0 ? input_tokens : 0;
    int64_t cached = cached_tokens > 0 ? cached_tokens : 0;
    cached = cached < input ? cached : input; /* reports may disagree; no token is free */
    int64_t output = output_tokens > 0 ? output_tokens : 0;
    wide pico = (wide)(input - cached) * m->price.in + (wide)cached * m->price.cached +
                (wide)output * m->price.out;
    wide nano = (pico + 500) / 1000;
    return nano < INT64_MAX ? (int64_t)nano : INT64_MAX;
}
