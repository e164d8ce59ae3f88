/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_GUARD_CANARY_H
#define PURSER_CORE_GUARD_CANARY_H

#include <stdbool.h>
#include <stdint.h>
#include "core/config/params.h"
#include "core/event/bytes.h"
#include "core/event/event.h"

/*
 * Weights and policy on trial: a seeded share s of the requests is decided under canary/objective
 * and canary/policy, the rest as ever. Which of the two decided is a fact of the record (reason
 * `canary`), and its probabilities are those of that side. Requests of a session and decisions of
 * isolated tenants are left out.
 *
 * Both sides' probabilities are known for every decision, pi of the canary and m of what is in
 * force, and the model was drawn from mu = s pi + (1-s) m, as far as the log knows before it looks
 * at the side. So every labelled decision says something of the difference, not only the canary's:
 *     reward   sum_a (pi_a - m_a) u_a / w + (pi_A - m_A) / mu_A * (y - q_A)
 *     quality  (pi_A - m_A) / mu_A * (y - 1/2)
 * in quality points: u the utility under the canary's weights, w what a point of quality is worth
 * in it, A the drawn model, y its label, q what was predicted. Their means are the differences,
 * whatever the predictions are worth (1/2 may be any number, since the weights have mean 0). The
 * first sum, the second's factor and the bound of that are facts of the record (hull_edge, which
 * the comparison with the static hull uses at other times).
 *
 * Evidence is sums of integers: exact, in any order, and a label that is amended or retracted is
 * taken out again. Bounds hold at all times together (bandit/ope/confseq.h), so the verdict may
 * come as soon as there is one; each of the four is false with probability CANARY_ALPHA / 4 at
 * most. The verdict is a configuration like any other, of origin canary.*, so replay needs no libm.
 */
#define CANARY_ALPHA 0.05
enum { CANARY_SCALES = 3 };

struct canary_sums {
    int64_t sum, squares; /* in 16384ths */
};
struct canary {
    uint64_t since;       /* decisions behind this position count; 0 = none is on trial */
    int64_t decisions[2]; /* of what is in force, and of the canary */
    double reach;         /* largest of theirs */
    int64_t labels;
    struct canary_sums reward, quality;
};

enum canary_turn {
    CANARY_OPEN,     /* no verdict yet */
    CANARY_PROMOTED, /* more reward, and no less quality than the margin allows */
    CANARY_WORSE,    /* less reward under its own weights */
    CANARY_HARMS,    /* quality below the margin */
    CANARY_UNDECIDED /* too many decisions without a verdict */
};
/* canary_origin gives the origin of the configuration that a verdict brings about. */
const char *canary_origin(enum canary_turn turn);
/* canary_why tells a verdict by its origin, in words; NULL: it is none. */
const char *canary_why(const char *origin);

/* canary_settings gives p as the canary decides under. canary_draws tells whether it decides a
 * request: a stream of its own, so the draw of the model is the same whoever asks. */
void canary_settings(const struct params *p, struct params *out);
bool canary_draws(uint64_t seed, uint32_t epoch, uint64_t seq, double share);
/* canary_edge gives what the label will say. pi, m: over n slots; d: the record under the canary's
 * settings, arm: the drawn model. */
struct hull_edge canary_edge(const struct event_decided *d, const int *slots, int n,
                             const double *pi, const double *m, int arm, double share);

/* The fold. canary_terms is a number of all that the comparison depends on: where a configuration
 * changes it, canary_begin is due. */
uint64_t canary_terms(const struct params *p);
void canary_begin(struct canary *c, const struct params *p, uint64_t seq);
void canary_decided(struct canary *c, const struct event_decided *d);
void canary_label(struct canary *c, const struct decision_row *row, bool had, double before,
                  bool has, double after);

/* Pure, by libm and GSL: not for folded state. */
struct canary_bounds {
    double mean, lower, upper;
};
struct canary_view {
    int64_t decisions[2], labels;
    struct canary_bounds reward, quality; /* canary minus what is in force, quality points */
};
void canary_look(const struct canary *c, const struct params *p, struct canary_view *out);
enum canary_turn canary_turn(const struct canary *c, const struct params *p);
/* canary_settle makes p what it is to be after a verdict. */
void canary_settle(struct params *p, enum canary_turn turn);

void canary_put(struct filler *w, const struct canary *c);
void canary_get(struct reader *r, struct canary *c);

#endif
