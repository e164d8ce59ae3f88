/* SPDX-License-Identifier: MIT */
/* What a seed's router hears of outcomes: when, in which words, and of other models too when a
 * history is full. */
#include "sim/play/game.h"

#include "bandit/rng.h"
#include "core/event/decision_id.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* When the next request comes. */
static int64_t next_ms(const struct game *g)
{
    const int64_t *clock = g->now != NULL ? g->play->clock_ms : NULL;
    size_t next = g->at + (g->at + 1 < g->play->count.n);
    return game_now_ms(g) + (clock != NULL ? clock[next] - clock[g->at] : STEP_MS);
}

static void fill_feedback(const struct game *g, const struct outcome *o, struct feedback *f)
{
    const struct table *t = o->phase != NULL ? &o->phase->table : g->table;
    size_t cell = table_cell(t, o->row, o->model);
    *f = (struct feedback){.epoch = o->epoch, .seq = o->seq, .version = -1, .attempt = 1};
    f->mac = decision_mac(o->epoch, o->seq, router_mac_key(g->router));
    snprintf(f->feedback_id, sizeof f->feedback_id, "f%llu", (unsigned long long)o->seq);
    f->digest = hash64(f->feedback_id, strlen(f->feedback_id), 0);
    f->has = FB_QUALITY | FB_COST;
    f->quality = t->q[cell];
    f->cost_nano = t->cost_nano[cell];
    if (o->phase != NULL && o->phase->may_fail[o->model]) {
        f->has |= FB_FAILED;
        f->failed = o->phase->failed[cell] != 0;
    }
    if (t->out[cell] != TABLE_UNKNOWN) {
        f->has |= FB_PROMPT_TOKENS | FB_OUTPUT_TOKENS;
        f->prompt_tokens = t->in[cell];
        f->output_tokens = t->out[cell];
    }
    if (t->lat_ms[cell] >= 0) {
        f->has |= FB_LATENCY;
        f->latency_ms = (double)t->lat_ms[cell];
    }
}

/* What is heard of an outcome, where a channel changes it. */
static void tell(const struct outcome *o, struct feedback *f)
{
    f->quality = o->quality;
    if (o->untold)
        f->has &= ~(unsigned)FB_QUALITY;
}

enum status game_teach(struct game *g, const struct outcome *known, struct problem *problem)
{
    enum status s = STATUS_OK;
    const struct request *r = game_ask(g, known->row);
    for (int i = 0; s == STATUS_OK && i < g->table->n_models; i++) {
        struct outcome o = {.row = known->row, .model = i, .phase = known->phase};
        struct feedback f;
        bool gone = (known->phase != NULL ? known->phase : g->play->phase)->absent[i];
        if (g->slot[i] < 0 || i == known->model || gone)
            continue;
        fill_feedback(g, &o, &f);
        s = router_teach(g->router, game_now_ms(g), r, g->table->model[i].engine_name, &f, 1, g->ev,
                         problem);
    }
    return s;
}

enum status game_deliver(struct game *g, bool everything, struct problem *problem)
{
    struct outcome o;
    bool seconds = g->play->delay.seconds;
    int64_t by = everything ? INT64_MAX : seconds ? next_ms(g) : g->step;
    while (flight_pop(&g->flight, by, &o)) {
        struct feedback f;
        enum feedback_result result;
        fill_feedback(g, &o, &f);
        if (g->play->channel != NULL && o.phase != NULL)
            tell(&o, &f);
        if (f.has == 0 || !router_has(g->router, o.seq)) /* lost, or it has left memory */
            continue;
        enum status s = router_feedback(g->router, seconds ? o.due : game_now_ms(g), &f, NULL,
                                        g->ev, &result, problem);
        if (s != STATUS_OK)
            return s;
        assert(result == FEEDBACK_APPLIED || g->play->channel != NULL);
        game_follow(g);
        if (g->reveal)
            s = game_teach(g, &o, problem);
        if (s != STATUS_OK)
            return s;
    }
    return STATUS_OK;
}

void game_expect(struct game *g, uint32_t row, int model)
{
    const struct table *told = g->now != NULL ? &g->now->table : g->table;
    int64_t due = delay_due(g->play->delay, g->seed, g->step, game_now_ms(g),
                            (double)told->lat_ms[table_cell(told, row, model)]);
    struct letters letters = {.n = 1, .told = true};
    if (g->play->channel != NULL && g->now != NULL) {
        const struct table *t = &g->now->table;
        channel_carry(g->play->channel,
                      &(struct parcel){.i = g->at,
                                       .model = model,
                                       .tenant = g->request->labels.tenant,
                                       .quality = t->q[table_cell(t, row, model)]},
                      &letters);
    }
    for (int k = 0; k < letters.n; k++)
        flight_push(&g->flight, &(struct outcome){.seq = g->ev->seq,
                                                  .epoch = g->ev->decided.epoch,
                                                  .phase = g->now,
                                                  .row = row,
                                                  .model = model,
                                                  .due = due + letters.delay[k],
                                                  .untold = !letters.told,
                                                  .quality = letters.quality});
}
