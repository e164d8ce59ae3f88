/* SPDX-License-Identifier: MIT */
/*
 * One seed of a replay: the shipped router, fed from a table in virtual time. A request is a
 * second; the engine is ticked every 100. What the chosen model did comes back as one feedback
 * message, some requests late (sim/flight.h); what is still out at the end of the learning rows is
 * delivered before counting starts (history is history).
 * A full history is taught (router_teach): every model's outcome, none of it decided or spent. The
 * pacer is off while learning. With reveal_all the counted rows are taught likewise, but for the
 * chosen model, whose own feedback says it: what a router could know if every answer were graded.
 * Outcomes are those of the phase (sim/change.h) in which a request was decided. Silent changes
 * reach the router as feedback only; a new list price is configured when its phase begins.
 * Randomness: the order comes from streams of (seed, purpose), the draws from a router seeded by
 * the same seed; policies compared under one seed see the same requests in the same order.
 */
#include "sim/play.h"

#include "bandit/rng.h"
#include "core/config.h"
#include "core/decision_id.h"
#include "core/router.h"
#include "sim/disturb/course.h"
#include "sim/restart.h"
#include "sim/tally.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_EVERY = 100 };

enum { DRAWS = 3 }; /* a stream beside those of the orders */

struct game {
    const struct play *play;
    struct router *router;
    struct router_init init;
    struct event *ev;
    struct request *request;
    struct flight flight;
    uint64_t seed;
    int64_t step; /* requests so far */
    char *json;
    struct play_result *out;
    /* of the phase */
    const struct table *table;
    const struct phase *now;   /* NULL while learning */
    size_t at;                 /* counted request */
    bool bound;                /* of the last decision: the budget counted; */
    double booked_usd;         /* expected cost of the model chosen */
    struct params *priced;     /* the counted params under a phase's prices */
    struct play_step *step_of; /* [counted rows]; NULL = not asked for */
    bool reveal;               /* feedback brings the other models' outcomes with it */
    int slot[MODELS_MAX];      /* table model -> catalog slot, -1 = not in the pool */
    int model[MODELS_MAX];     /* and back */
    int n_usable;
    const char *usable[MODELS_MAX]; /* names of the models with a slot */
};

static int64_t now_ms(const struct game *g)
{
    if (g->now == NULL || g->play->clock_ms == NULL)
        return PLAY_EPOCH_MS + g->step * PLAY_STEP_MS;
    return PLAY_EPOCH_MS + (int64_t)g->play->learn.n * PLAY_STEP_MS + g->play->clock_ms[g->at];
}

static void note_alarm(struct game *g)
{
    struct play_result *out = g->out;
    if (out->n_alarms < ALARMS_MAX)
        out->alarm[out->n_alarms] =
            (struct play_alarm){.at = (int32_t)g->at,
                                .model = (int16_t)g->model[g->ev->drifted.arm],
                                .up = g->ev->drifted.up};
    out->n_alarms++;
}

/* What follows from the last decision, feedback or tick. */
static void follow(struct game *g)
{
    do {
        router_follow(g->router, now_ms(g), g->ev);
        if (g->ev->kind == EVENT_DRIFTED && g->now != NULL)
            note_alarm(g);
        if (g->ev->kind == EVENT_HULL && g->ev->hull.turn == HULL_TRIPPED && g->out->n_trips++ == 0)
            g->out->trip_labels = g->ev->hull.labels;
    } while (g->ev->kind != EVENT_NONE);
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

/* The row as an application would send it. */
static struct request *ask(struct game *g, uint32_t row)
{
    struct request *r = g->request;
    r->prompt = table_prompt(g->table, row);
    r->prompt_len = g->table->row[row].prompt_len;
    r->prompt_tokens = table_input_tokens(g->table, row);
    r->digest = row;
    table_identifier(r->labels.task, table_task(g->table, row));
    r->constraints.n_allow = g->n_usable;
    for (int i = 0; i < g->n_usable; i++)
        r->constraints.allow[i] = g->usable[i];
    return r;
}

/* Tells the router what every model made of a row, but for the one of a known outcome (model -1:
 * none is). */
static enum status teach_row(struct game *g, const struct outcome *known, struct problem *problem)
{
    enum status s = STATUS_OK;
    const struct request *r = ask(g, known->row);
    for (int i = 0; s == STATUS_OK && i < g->table->n_models; i++) {
        struct outcome o = {.row = known->row, .model = i, .phase = known->phase};
        struct feedback f;
        bool gone = (known->phase != NULL ? known->phase : g->play->phase)->absent[i];
        if (g->slot[i] < 0 || i == known->model || gone)
            continue;
        fill_feedback(g, &o, &f);
        s = router_teach(g->router, now_ms(g), r, g->table->model[i].engine_name, &f, 1, g->ev,
                         problem);
    }
    return s;
}

/* Delivers what is due at this step; all of it when everything is asked for. */
static enum status deliver(struct game *g, bool everything, struct problem *problem)
{
    struct outcome o;
    while (flight_pop(&g->flight, everything ? INT64_MAX : g->step, &o)) {
        struct feedback f;
        enum feedback_result result;
        fill_feedback(g, &o, &f);
        if (g->play->channel != NULL && o.phase != NULL)
            tell(&o, &f);
        if (f.has == 0 || !router_has(g->router, o.seq)) /* lost, or it has left memory */
            continue;
        enum status s = router_feedback(g->router, now_ms(g), &f, NULL, g->ev, &result, problem);
        if (s != STATUS_OK)
            return s;
        assert(result == FEEDBACK_APPLIED || g->play->channel != NULL);
        follow(g);
        if (g->reveal)
            s = teach_row(g, &o, problem);
        if (s != STATUS_OK)
            return s;
    }
    return STATUS_OK;
}

/* What comes of the decision just made goes on its way, as the channel has it. */
static void expect(struct game *g, uint32_t row, int model)
{
    int64_t late = delay_draw(g->play->delay, g->seed, (uint64_t)g->step);
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
                                                  .due = g->step + late + letters.delay[k],
                                                  .untold = !letters.told,
                                                  .quality = letters.quality});
}

/* Decides one row among the table's models and gives the model chosen, -1 when none may be. */
static enum status decide(struct game *g, uint32_t row, int *model, struct problem *problem)
{
    enum route_result result;
    struct request *r = ask(g, row);
    if (g->play->dress != NULL && g->now != NULL)
        g->play->dress(g->play->ctx, g->at, r);
    enum status s = router_route(g->router, now_ms(g), r, g->ev, &result, problem);
    *model = -1;
    if (s == STATUS_BUDGET_EXHAUSTED || s == STATUS_THROTTLED || s == STATUS_NO_ELIGIBLE_MODEL) {
        g->bound = false;
        return STATUS_OK;
    }
    if (s != STATUS_OK)
        return s;
    assert(result == ROUTE_DECIDED);
    *model = g->model[g->ev->decided.arm];
    assert(*model >= 0);
    g->bound = decided_binds(&g->ev->decided);
    g->booked_usd = (double)g->ev->decided.booked_nano * 1e-9;
    expect(g, row, *model);
    follow(g);
    return STATUS_OK;
}

/* Time goes on: feedback that is due, then the next second. */
static enum status advance(struct game *g, struct problem *problem)
{
    enum status s = deliver(g, false, problem);
    g->step++;
    if (s == STATUS_OK && g->step % TICK_EVERY == 0) {
        router_tick(g->router, now_ms(g), g->ev);
        follow(g);
    }
    return s;
}

static enum status learn_row(struct game *g, uint32_t row, struct problem *problem)
{
    const struct outcome nothing = {.row = row, .model = -1};
    int model;
    enum status s =
        g->play->full_history ? teach_row(g, &nothing, problem) : decide(g, row, &model, problem);
    return s == STATUS_OK ? advance(g, problem) : s;
}

/* Finds the phase's table in the pool: which models can be chosen for its rows. */
static enum status enter(struct game *g, const struct table *t, struct problem *problem)
{
    const struct catalog *c = &router_params(g->router)->catalog;
    g->table = t;
    g->n_usable = 0;
    for (int i = 0; i < MODELS_MAX; i++)
        g->model[i] = -1;
    for (int i = 0; i < t->n_models; i++) {
        g->slot[i] = catalog_find(c, t->model[i].engine_name);
        if (g->slot[i] < 0)
            continue;
        g->model[g->slot[i]] = i;
        g->usable[g->n_usable++] = t->model[i].engine_name;
    }
    if (g->n_usable == 0)
        return problem_set(problem, STATUS_UNKNOWN_MODEL, "",
                           "the table to learn from has none of the models to choose from");
    return STATUS_OK;
}

static enum status configure(struct game *g, const struct params *p, struct problem *problem)
{
    return router_configure(g->router, now_ms(g), p, "simulator", 0, g->json, CONFIG_MAX, g->ev,
                            problem);
}

static enum status learn(struct game *g, uint64_t seed, struct problem *problem)
{
    const struct play_rows *rows = &g->play->learn;
    if (rows->n == 0)
        return STATUS_OK;
    enum status s = configure(g, g->play->learn_params, problem);
    if (s == STATUS_OK)
        s = enter(g, rows->table, problem);
    uint32_t *order = malloc(rows->n * sizeof *order);
    if (s == STATUS_OK && order == NULL)
        s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s == STATUS_OK) {
        memcpy(order, rows->row, rows->n * sizeof *order);
        if (!g->play->given_order)
            course_shuffle(order, rows->n, seed, ORDER_LEARN);
    }
    for (size_t i = 0; s == STATUS_OK && i < rows->n; i++)
        s = learn_row(g, order[i], problem);
    free(order);
    return s == STATUS_OK ? deliver(g, true, problem) : s;
}

/* Configures what a phase announces: list prices, and which models there are. */
static enum status set_catalog(struct game *g, const struct phase *p, struct problem *problem)
{
    *g->priced = *g->play->count_params;
    for (int m = 0; m < g->table->n_models; m++) {
        int slot = catalog_find(&g->priced->catalog, g->table->model[m].engine_name);
        if (slot < 0)
            continue;
        struct model *model = &g->priced->catalog.model[slot];
        struct rates *const rates[] = {&model->price, &model->batch};
        for (size_t k = 0; k < 2; k++) {
            rates[k]->in = llround((double)rates[k]->in * p->price[m]);
            rates[k]->cached = llround((double)rates[k]->cached * p->price[m]);
            rates[k]->out = llround((double)rates[k]->out * p->price[m]);
            rates[k]->reasoning = llround((double)rates[k]->reasoning * p->price[m]);
        }
        model->active = model->active && !p->absent[m];
    }
    return configure(g, g->priced, problem);
}

/* Makes the phase of a counted request the present one. */
static enum status enter_phase(struct game *g, size_t i, struct problem *problem)
{
    const struct phase *was = g->now, *now = was == NULL ? g->play->phase : was;
    bool same = true;
    g->at = i;
    if (i >= now->from + now->n)
        now++;
    g->now = now;
    if (now == was)
        return STATUS_OK;
    for (int m = 0; m < g->table->n_models; m++)
        same = same && fabs(now->price[m] - (was == NULL ? 1 : was->price[m])) <= 0 &&
               now->absent[m] == (was != NULL && was->absent[m]);
    return same ? STATUS_OK : set_catalog(g, now, problem);
}

/* What the request that was just decided is worth. */
static double worth(const struct game *g)
{
    const struct play *p = g->play;
    return value_of(p->worth != NULL ? p->worth : &p->count_params->value, &g->request->labels);
}

/* Sums up the i-th counted request, served by a model or refused (-1). */
static void note(struct game *g, struct tally *tally, size_t i, uint32_t row, int model)
{
    const struct table *t = &g->now->table;
    tally_add(tally, t, row, model, i);
    if (g->play->chose != NULL)
        g->play->chose(g->play->ctx, i, row, model);
    if (model < 0) {
        g->out->refused++;
        return;
    }
    size_t cell = table_cell(t, row, model);
    tally->value += worth(g) * t->q[cell];
    if (g->bound)
        tally_book(tally, g->booked_usd);
    g->out->chosen[model]++;
    if (g->step_of != NULL)
        g->step_of[i] = (struct play_step){
            (float)t->q[cell], (float)((double)t->cost_nano[cell] / 1e9), (int16_t)model};
}

/* Stops and starts the router where that is due. What it forgets, nobody reports on any more. */
static enum status restart(struct game *g, size_t i, struct problem *problem)
{
    for (int k = 0; k < g->play->n_restarts; k++) {
        if (g->play->restart[k] != i)
            continue;
        bool keep = g->play->restart_keeps[k];
        enum status s = restart_router(&g->router, &g->init, keep, problem);
        if (s != STATUS_OK)
            return s;
        router_start(g->router, now_ms(g), g->ev);
        if (keep)
            continue;
        g->flight.len = 0;
        s = set_catalog(g, g->now, problem);
        if (s != STATUS_OK)
            return s;
    }
    return STATUS_OK;
}

static enum status count_rows(struct game *g, const uint32_t *order, struct tally *tally,
                              struct problem *problem)
{
    const struct play_rows *rows = &g->play->count;
    for (size_t i = 0; i < rows->n; i++) {
        int model = -1;
        enum status s = enter_phase(g, i, problem);
        if (s == STATUS_OK)
            s = restart(g, i, problem);
        if (s == STATUS_OK)
            s = decide(g, order[i], &model, problem);
        if (s != STATUS_OK)
            return s;
        note(g, tally, i, order[i], model);
        s = advance(g, problem);
        if (s != STATUS_OK)
            return s;
    }
    return deliver(g, true, problem);
}

static enum status count(struct game *g, uint64_t seed, struct problem *problem)
{
    const struct play_rows *rows = &g->play->count;
    struct tally tally;
    bool room = tally_init(&tally, rows->n);
    struct router_stats *stats = malloc(sizeof *stats);
    uint32_t *order = malloc(rows->n * sizeof *order);
    enum status s = stats == NULL || order == NULL || !room
                        ? problem_set(problem, STATUS_INTERNAL, "", "out of memory")
                        : configure(g, g->play->count_params, problem);
    if (s == STATUS_OK)
        s = enter(g, rows->table, problem);
    if (s == STATUS_OK) {
        memcpy(order, rows->row, rows->n * sizeof *order);
        if (!g->play->given_order)
            course_shuffle(order, rows->n, seed, ORDER_COUNT);
        g->reveal = g->play->reveal_all;
        s = count_rows(g, order, &tally, problem);
    }
    if (s == STATUS_OK) {
        router_stats(g->router, stats);
        tally_result(&tally, g->out);
        g->out->multiplier = stats->multiplier;
    }
    tally_fini(&tally);
    free(order);
    free(stats);
    return s;
}

/* Room for the decisions whose feedback may be out at once. */
static size_t queue_room(const struct play *p)
{
    size_t rows = p->learn.n + p->count.n;
    size_t late = (size_t)p->delay.mean * (p->delay.random ? DELAY_MOST : 1) + 1;
    size_t models = p->full_history && p->learn.n > 0 ? (size_t)p->learn.table->n_models : 1;
    if (p->channel != NULL)
        late += channel_most(p->channel->disturbances);
    size_t letters = p->channel != NULL ? LETTERS_MAX : 1;
    return (late < rows ? late : rows) * models * letters + models * letters;
}

static enum status open_game(struct game *g, uint64_t seed, struct problem *problem)
{
    struct rng draws = rng_stream(seed, DRAWS, 0);
    size_t cap = queue_room(g->play);
    g->init = (struct router_init){.seed = rng_next(&draws), .max_open = (int64_t)cap + 64};
    if (g->play->max_open > 0)
        g->init.max_open = g->play->max_open;
    bool room = flight_init(&g->flight, cap);
    g->router = router_new(&g->init);
    g->ev = calloc(1, sizeof *g->ev);
    g->request = calloc(1, sizeof *g->request);
    g->json = malloc(CONFIG_MAX);
    g->priced = malloc(sizeof *g->priced);
    if (g->router == NULL || g->ev == NULL || g->request == NULL || !room || g->json == NULL ||
        g->priced == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    router_start(g->router, now_ms(g), g->ev);
    if (g->play->lens)
        return router_set_lens(g->router, now_ms(g), g->play->lens, g->play->lens_len, "simulator",
                               g->ev, problem);
    return STATUS_OK;
}

static void close_game(struct game *g)
{
    router_free(g->router);
    free(g->ev);
    free(g->request);
    flight_fini(&g->flight);
    free(g->json);
    free(g->priced);
}

void play_seed(const struct play *play, uint64_t seed, struct play_result *out,
               struct play_step *step)
{
    struct game g = {.play = play, .seed = seed, .out = out, .step_of = step};
    assert(play->count.n > 0 && play->delay.mean >= 0 && play->n_phases >= 1);
    *out = (struct play_result){0};
    out->status = open_game(&g, seed, &out->problem);
    if (out->status == STATUS_OK)
        out->status = learn(&g, seed, &out->problem);
    if (out->status == STATUS_OK)
        out->status = count(&g, seed, &out->problem);
    close_game(&g);
}
