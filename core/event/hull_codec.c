/* SPDX-License-Identifier: MIT */
#include "core/event/hull_codec.h"

void hull_edge_put(struct filler *w, const struct hull_edge *e)
{
    put_f32(w, e->direct);
    put_f32(w, e->ratio);
    put_f32(w, e->reach);
}

void hull_edge_get(struct reader *r, struct hull_edge *e)
{
    e->direct = get_f32(r);
    e->ratio = get_f32(r);
    e->reach = get_f32(r);
}

void hull_event_put(struct filler *w, const struct event_hull *h)
{
    uint64_t mask = 0;
    for (int a = 0; a < MODELS_MAX; a++)
        mask |= h->mix[a] > 0 ? 1ull << a : 0;
    put_u8(w, h->turn);
    put_f64(w, h->spend_usd);
    put_u64(w, mask);
    for (uint64_t m = mask; m; m &= m - 1)
        put_f64(w, h->mix[__builtin_ctzll(m)]);
    put_i64(w, h->labels);
    put_f64(w, h->policy);
    put_f64(w, h->lower);
    put_f64(w, h->upper);
}

void hull_event_get(struct reader *r, struct event_hull *h)
{
    h->turn = get_u8(r);
    h->spend_usd = get_f64(r);
    for (uint64_t m = get_u64(r); m; m &= m - 1)
        h->mix[__builtin_ctzll(m)] = get_f64(r);
    h->labels = get_i64(r);
    h->policy = get_f64(r);
    h->lower = get_f64(r);
    h->upper = get_f64(r);
}
