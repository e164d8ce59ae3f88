/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_PLAY_GAME_H
#define PURSER_SIM_PLAY_GAME_H

#include "core/event/event.h"
#include "core/router/router.h"
#include "sim/play/play.h"

/* A seed being played: for play.c, which decides, and play_told.c, which lets the router hear. */
enum { STEP_MS = 1000 }; /* between two requests without a clock */
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
    const struct phase *now;                         /* NULL while learning */
    size_t at;                                       /* counted request */
    bool bound;                                      /* of the last decision: the budget counted; */
    double booked_usd;                               /* expected cost of the model chosen */
    double said_q[MODELS_MAX], said_usd[MODELS_MAX]; /* predicted then, by the table's models */
    double propensity;                               /* of the model chosen */
    struct params *priced;                           /* the counted params under a phase's prices */
    struct play_step *step_of;                       /* [counted rows]; NULL = not asked for */
    bool reveal;           /* feedback brings the other models' outcomes with it */
    int slot[MODELS_MAX];  /* table model -> catalog slot, -1 = not in the pool */
    int model[MODELS_MAX]; /* and back */
    int n_usable;
    const char *usable[MODELS_MAX]; /* names of the models with a slot */
};

/* game_now_ms gives the virtual time, of the request in hand. */
int64_t game_now_ms(const struct game *g);
/* game_follow lets happen what follows from the last decision, feedback or tick. */
void game_follow(struct game *g);
/* game_ask gives the row as an application would send it. */
struct request *game_ask(struct game *g, uint32_t row);

/* game_teach tells the router what every model made of a row, but for the one of a known outcome
 * (model -1: none is). */
MUST_CHECK enum status game_teach(struct game *g, const struct outcome *known,
                                  struct problem *problem);
/* game_deliver delivers the feedback that is due; all of it when everything is asked for. */
MUST_CHECK enum status game_deliver(struct game *g, bool everything, struct problem *problem);
/* game_expect sends what comes of the decision just made on its way, as the channel has it. */
void game_expect(struct game *g, uint32_t row, int model);

#endif
