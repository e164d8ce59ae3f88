/* SPDX-License-Identifier: MIT */
#include "core/budget/pacer_codec.h"

void pacer_put_window(struct filler *w, const struct pacer *p)
{
    int64_t n = p->total < PACE_WINDOW ? p->total : PACE_WINDOW;
    for (const struct pace_entry *e = p->window; e < p->window + n; e++) {
        put_u64(w, e->eligible);
        put_u64(w, e->active);
        put_u64(w, e->pools);
        put_f32(w, e->value);
        put_f32(w, e->fresh);
        put_f32(w, e->cached);
        put_bool(w, e->batch);
        put_f32(w, e->floor);
        for (uint64_t m = e->eligible; m; m &= m - 1) {
            int a = __builtin_ctzll(m);
            put_f32(w, e->quality[a]);
            put_f32(w, e->latency_ms[a]);
            put_f32(w, e->failure[a]);
            put_f32(w, e->tokens[a]);
            put_f32(w, e->cost_usd[a]);
        }
    }
}

void pacer_get_window(struct reader *r, struct pacer *p, const struct params *params)
{
    for (struct pace_entry *e = p->window; e < p->window + PACE_WINDOW && reader_left(r) > 0; e++) {
        e->eligible = get_u64(r);
        e->active = get_u64(r);
        e->pools = get_u64(r);
        e->value = get_f32(r);
        e->fresh = get_f32(r);
        e->cached = get_f32(r);
        e->batch = get_bool(r);
        e->floor = get_f32(r);
        for (uint64_t m = e->eligible; m; m &= m - 1) {
            int a = __builtin_ctzll(m);
            e->quality[a] = get_f32(r);
            e->latency_ms[a] = get_f32(r);
            e->failure[a] = get_f32(r);
            e->tokens[a] = get_f32(r);
            e->cost_usd[a] = get_f32(r);
        }
    }
    pacer_derive(p, params);
}
