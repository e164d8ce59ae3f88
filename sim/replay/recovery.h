/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_REPLAY_RECOVERY_H
#define PURSER_SIM_REPLAY_RECOVERY_H

#include "core/encoding/text.h"
#include "sim/play/play.h"

/* A mean over seeds with its 95% t-interval; low and high are NaN for a single seed. */
struct interval {
    double mean, low, high;
};
/* interval_over gives mean and 95% t-interval of n values. */
struct interval interval_over(const double *value, int n);

enum { RECOVERY_WINDOW = 100, WINDOWS_MAX = 200 };

/* Mean quality and the changed model's share over a stretch of requests, all seeds. */
struct stretch {
    double quality, share;
};

/* What became of one change. Stretches are of up to RECOVERY_WINDOW requests. */
struct recovery {
    struct change change;
    size_t end;                         /* first request after the change */
    struct stretch before, first, last; /* ahead of the change; its first and last ones */
    bool ends;                          /* there are requests after the change: */
    struct stretch after, after_last;   /* the first, and the last ahead of another change */
    struct interval during, spend;      /* mean quality and cost of all requests under it, USD */
    double hull;                        /* quality of the static hull under it at that spend */
    double level;                       /* mean quality over its last third: what is reachable */
    /* Requests until the rolling mean stays at 95% of: the level; the quality before; and after
     * the end, of the quality before. -1 = not within the phase. */
    int64_t to_level, to_before, after_to_before;
    double detected;  /* share of seeds with an alarm for the model in time */
    double detection; /* median requests until it, over all seeds; -1 = never */
    int n_windows;    /* the whole run in pieces of `width` requests */
    size_t width;
    struct stretch window[WINDOWS_MAX];
};
/* Requests between two changes. */
enum { SWITCH_WINDOW = 50, MOVE_WINDOW = 20 };
struct shock_phase {
    size_t from, until;
    struct interval quality, spend; /* means of a request; USD */
    struct interval budget_ratio;   /* spend over the budget; NaN without one */
    /* Share of requests that go to other models than in the SWITCH_WINDOW ahead of the phase: over
     * its first SWITCH_WINDOW, and over its last; NaN in the first phase. */
    double moved, settled;
    /* Requests until nine tenths of the way is made from the shares ahead of the phase to those of
     * its second half, by the latest MOVE_WINDOW requests of all seeds: at least so many. NaN in
     * the first phase, and where less than a twentieth of the requests move; -1 = not in this
     * phase. */
    double to_move;
};
struct shocks {
    int n;
    struct recovery change[CHANGES_MAX];
    int n_phases;
    struct shock_phase phase[PHASES_MAX];
    double budget_usd;   /* per request; 0 = none */
    double false_alarms; /* a seed: for a model that nothing has happened to yet */
};

/* What was played: step is [seeds * n], seed by seed, result [seeds]. Borrowed. */
struct traces {
    const struct change *change;
    int n_changes;
    const struct phases *phases;
    const uint32_t *row; /* counted ones, in their order if given_order */
    bool given_order;
    const struct play_step *step;
    const struct play_result *result;
    int seeds;
    size_t n;
    double budget_usd; /* per request; 0 = none */
};

/* recovery_measure fills out. INTERNAL when memory is short. */
MUST_CHECK enum status recovery_measure(const struct traces *t, struct shocks *out,
                                        struct problem *problem);
/* recovery_json writes the keys "changes" and "false_alarms" with a comma ahead; recovery_table
 * tells people. */
void recovery_json(struct text *t, const struct shocks *s);
void recovery_table(struct text *t, const struct shocks *s);

#endif
