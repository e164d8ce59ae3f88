/* SPDX-License-Identifier: MIT */
/*
 * One seed of a replay: the shipped router, fed from a table in virtual time. A request is a
 * second; the engine is ticked every 100. What the chosen model did comes back as one feedback
 * message, some requests late (sim/play/flight.h); what is still out at the end of the learning
 * rows is delivered before counting starts (history is history). A full history is taught
 * (router_teach): every model's outcome, none of it decided or spent. The pacer is off while
 * learning. With reveal_all the counted rows are taught likewise, but for the chosen model, whose
 * own feedback says it: what a router could know if every answer were graded. Outcomes are those of
 * the phase (sim/replay/change.h) in which a request was decided. Silent changes reach the router
 * as feedback only; a new list price is configured when its phase begins. Randomness: the order
 * comes from streams of (seed, purpose), the draws from a router seeded by the same seed; policies
 * compared under one seed see the same requests in the same order.
 */
#include "sim/play/play.h"

#include "bandit/rng.h"
#include "core/config/config.h"
#include "sim/disturb/course.h"
#include "sim/play/game.h"
#include "sim/play/tally.h"
#include "sim/replay/restart.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_EVERY = 100 };

enum { DRAWS = 3 }; /* a stream beside those of the orders */

int64_t game_now_ms(const struct game *g)
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

void game_follow(struct game *g)
{
    do {
        router_follow(g->router, game_now_ms(g), g->ev);
        if (g->ev->kind == EVENT_DRIFTED && g->now != NULL)
            note_alarm(g);
        if (g->ev->kind == EVENT_HULL && g->ev->hull.turn == HULL_TRIPPED && g->out->n_trips++ == 0)
            g->out->trip_labels = g->ev->hull.labels;
    } while (g->ev->kind != EVENT_NONE);
}

struct request *game_ask(struct game *g, uint32_t row)
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

/* Keeps what was predicted of each model, before the next event takes its place. */
static void note_views(struct game *g)
{
    const struct event_decided *d = &g->ev->decided;
    for (int i = 0; i < g->table->n_models; i++) {
        int slot = g->slot[i];
        bool could = slot >= 0 && (d->eligible >> slot & 1) != 0;
        const struct arm_view *v = could ? &d->view[slot] : NULL;
        g->said_q[i] = could ? (double)v->mean[TARGET_QUALITY] : (double)NAN;
        g->said_usd[i] = could ? (double)v->cost_nano * 1e-9 : (double)NAN;
    }
    g->propensity = d->view[d->arm].pmf;
}

/* Decides one row among the table's models and gives the model chosen, -1 when none may be. */
static enum status decide(struct game *g, uint32_t row, int *model, struct problem *problem)
{
    enum route_result result;
    struct request *r = game_ask(g, row);
    if (g->play->dress != NULL && g->now != NULL)
        g->play->dress(g->play->ctx, g->at, r);
    *model = -1;
    enum status s = router_route(g->router, game_now_ms(g), r, g->ev, &result, problem);
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
    if (g->play->saw != NULL && g->now != NULL)
        g->play->saw(g->play->ctx, g->at, row, &g->ev->decided, g->model);
    note_views(g);
    game_expect(g, row, *model);
    game_follow(g);
    return STATUS_OK;
}

/* Time goes on: feedback that is due, then the next second. */
static enum status advance(struct game *g, struct problem *problem)
{
    enum status s = game_deliver(g, false, problem);
    g->step++;
    if (s == STATUS_OK && g->step % TICK_EVERY == 0) {
        router_tick(g->router, game_now_ms(g), g->ev);
        game_follow(g);
    }
    return s;
}

static enum status learn_row(struct game *g, uint32_t row, struct problem *problem)
{
    const struct outcome nothing = {.row = row, .model = -1};
    int model;
    enum status s =
        g->play->full_history ? game_teach(g, &nothing, problem) : decide(g, row, &model, problem);
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
    return router_configure(g->router, game_now_ms(g), p, "simulator", 0, g->json, CONFIG_MAX,
                            g->ev, problem);
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
    return s == STATUS_OK ? game_deliver(g, true, problem) : s;
}

/* Configures what a phase announces: list prices, and which models there are. */
static enum status set_catalog(struct game *g, const struct phase *p, struct problem *problem)
{
    *g->priced = *g->play->count_params;
    phase_announce(p, g->table, &g->priced->catalog);
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
        g->play->chose(g->play->ctx, &(struct choice){.i = i,
                                                      .row = row,
                                                      .model = model,
                                                      .table = t,
                                                      .propensity = g->propensity,
                                                      .quality = g->said_q,
                                                      .cost_usd = g->said_usd});
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
        router_start(g->router, game_now_ms(g), g->ev);
        if (router_seq(g->router) != g->ev->seq)
            return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
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
    return game_deliver(g, true, problem);
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
    size_t rows = p->learn.n + p->count.n, letters = p->channel != NULL ? LETTERS_MAX : 1;
    size_t late = delay_most(p->delay, rows);
    size_t models = p->full_history && p->learn.n > 0 ? (size_t)p->learn.table->n_models : 1;
    if (p->channel != NULL)
        late += channel_most(p->channel->disturbances);
    return (late < rows ? late : rows) * models * letters + models * letters;
}

static enum status open_game(struct game *g, uint64_t seed, struct problem *problem)
{
    struct rng draws = rng_stream(seed, DRAWS, 0);
    size_t cap = queue_room(g->play);
    int64_t open = g->play->max_open > 0 ? g->play->max_open : (int64_t)cap + 64;
    g->init = (struct router_init){.seed = rng_next(&draws), .max_open = open};
    bool room = flight_init(&g->flight, cap);
    g->router = router_new(&g->init);
    g->ev = calloc(1, sizeof *g->ev);
    g->request = calloc(1, sizeof *g->request);
    g->json = malloc(CONFIG_MAX);
    g->priced = malloc(sizeof *g->priced);
    if (g->router == NULL || g->ev == NULL || g->request == NULL || !room || g->json == NULL ||
        g->priced == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    router_start(g->router, game_now_ms(g), g->ev);
    if (router_seq(g->router) != g->ev->seq)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (g->play->lens)
        return router_set_lens(g->router, game_now_ms(g), g->play->lens, g->play->lens_len,
                               "simulator", g->ev, problem);
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
    assert(!play->delay.seconds || play->channel == NULL); /* its letters are late by requests */
    *out = (struct play_result){0};
    out->status = open_game(&g, seed, &out->problem);
    if (out->status == STATUS_OK)
        out->status = learn(&g, seed, &out->problem);
    if (out->status == STATUS_OK)
        out->status = count(&g, seed, &out->problem);
    close_game(&g);
}
