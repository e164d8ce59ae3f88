/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_ROUTER_STATE_H
#define PURSER_CORE_ROUTER_ROUTER_STATE_H

/* The body of struct router, for router*.c, decide.c and snapshot.c only. */
#include "core/budget/pacer.h"
#include "core/budget/pool_pacer.h"
#include "core/budget/pools.h"
#include "core/guard/canary.h"
#include "core/guard/hull_guard.h"
#include "core/learn/imports.h"
#include "core/learn/influence.h"
#include "core/learn/learner.h"
#include "core/router/deadlines.h"
#include "core/router/pending.h"
#include "core/router/router.h"
#include "core/router/sessions.h"

struct model_counters {
    int64_t decisions, feedbacks, spent_nano, labels[TARGETS];
    double quality_sum;
};

struct counters {
    int64_t decisions, feedbacks, spent_nano, baseline_nano;
    int64_t agreed;                /* decisions where the policy drew what was served */
    double value;                  /* sum over decisions of what they were worth */
    double value_labelled;         /* the same over those with a quality label that was learned */
    double value_quality;          /* sum of value x that label */
    double shadow_gain;            /* sum of utility(drawn by the policy) - utility(served) */
    int64_t taught;                /* outcomes learned from history */
    int64_t batches;               /* of history, as far as they had names */
    uint64_t batch[TEACH_BATCHES]; /* hashes of the latest names, a ring */
    int64_t explored_nano;         /* expected cost of the quotas of new and changed models */
    struct model_counters model[MODELS_MAX];
};

enum { MEAN_OF = 256 }; /* decisions that a running mean looks back on */

struct router {
    struct router_init init;
    struct parallel *parallel; /* NULL = none */
    uint64_t seq;
    int64_t clock_ms;
    uint32_t epoch;
    uint64_t config_seq, file_hash;
    int64_t ticked_seq;  /* seq right after the last tick */
    double dearest_usd;  /* mean of the dearest model's predicted cost, over ... */
    int64_t dearest_n;   /* decisions since prices changed or a model joined; 0 = none yet */
    double booked_usd;   /* running mean of booked cost */
    double guard_ledger; /* sure gains over the guarded line, in quality */
    struct canary canary;
    struct hull_guard hull;
    struct params params;   /* params.catalog is the merged catalog: slots never move */
    struct learner learner; /* the shared one */
    struct learner *learners[1 + LEARNERS_MAX]; /* by index: &learner, then tenants' */
    struct pending pending;
    struct deadlines silences; /* of pending's slots: a cache, see core/learn/silence.h */
    struct influence influence;
    struct pools pools;  /* of params.pools; of slots that are gone there may be more */
    int64_t lent_ms;     /* since then replies leave ahead of the disk (what a crash then takes:
                            pools.h); 0 = they do not */
    int64_t oldest_hold; /* ordinal in pending: nothing older is reserved. A cache */
    int64_t refusals[POOL_SPECS_MAX]; /* since the configuration took effect: not folded state */
    struct sessions sessions;
    struct imports imports;
    struct pacer pacer;
    struct pool_pacers pool_pacers;
    struct counters counters;
    int64_t duplicates; /* answered without an event: not part of the folded state */
    void (*evict)(void *ctx, uint64_t seq, const struct label_book *book);
    void *evict_ctx;
    meter_sink meter;
    void *meter_ctx;
    struct lens *lens, *next_lens; /* the one in force (id 0: none); room for another */
    uint8_t lens_dirty;            /* bit per snapshot generation */
    char *json; /* the configuration in force, as logged; room for CONFIG_MAX bytes */
    size_t json_len;
    char *next_json;             /* room for another: prices that take effect */
    int64_t reprice_ms;          /* when the next do; INT64_MAX = none to come. A cache */
    struct event_decided *trial; /* room for one, not state */
    struct params other;         /* params as the canary decides under: derived */
    uint8_t *scratch;            /* snapshot_scratch() bytes, for one item at a time */
};

/* router_begin starts an event that follows what happened so far. */
void router_begin(const struct router *r, int64_t now_ms, enum event_kind kind, struct event *ev);
/* router_batch_hash gives what is kept of a batch's name. */
uint64_t router_batch_hash(const char *id);
/* router_find_retry gives the open decision that a request repeats, 0 when it is new. CONFLICT: its
 * request_id was used with another body. */
MUST_CHECK enum status router_find_retry(const struct router *r, const struct request *req,
                                         uint64_t *seq, struct problem *problem);
/* decide fills *d for a request: predictions, eligible set, pmf, draw. Pure: changes nothing. */
MUST_CHECK enum status decide(const struct router *r, uint64_t seq, int64_t now_ms,
                              const struct request *req, struct event_decided *d,
                              struct problem *problem);
/* decide_row fills what learning needs to know of a request answered by model `arm`: row and x.
 * Pure. */
void decide_row(const struct router *r, const struct request *req, int arm,
                struct decision_row *row, float *x);
/* router_learners.c. router_learner gives the learner of an index, NULL when there is none.
 * router_learner_of gives the index of the one that decides for a tenant. */
struct learner *router_learner(const struct router *r, int index);
int router_learner_of(const struct router *r, const char *tenant);
/* router_isolated tells whether nothing that learner `index` learns may move what others are
 * served. router_census gives the learner whose counts say how much is known for `index`. */
bool router_isolated(const struct router *r, int index);
const struct learner *router_census(const struct router *r, int index);
/* router_also gives the shared learner when a decision of a tenant's learner teaches it as well. */
struct learner *router_also(struct router *r, const struct decision_row *row);
/* router_shape_learners makes the tenants' learners fit params and lens, after the shared one.
 * False when memory is short. */
bool router_shape_learners(struct router *r);
/* router_resettle, before next takes effect: where a tenant stops or starts sharing, what is open
 * no longer teaches the shared learner. */
void router_resettle(struct router *r, const struct learner_list *next);
/* router_alarmed gives the first learner with an alarm, NULL without one. */
const struct learner *router_alarmed(const struct router *r);
/* router_refresh_learners lets time pass for all learners, with a bound on the work. */
void router_refresh_learners(struct router *r);
/* router_learn.c. router_awaits_quality tells whether a decision's quality label may still come.
 * router_forget lets an open decision leave memory: its labels go to the store, its
 * quality is no longer waited for. router_catch_up learns, after a freeze, what the books of open
 * decisions have gathered, in the order of the decisions. */
bool router_awaits_quality(const struct router *r, const struct decision_row *row,
                           const struct label_book *book);
void router_forget(struct router *r, int64_t slot);
/* router_count_usd takes a decision into the mean costs. That of the dearest model, the unit of the
 * cost weight, starts anew, a plain mean until there is enough for one that runs, when prices
 * change or a model joins: else money would go on being worth what it was for hundreds of requests.
 * After a model has left it fades: an outage makes nobody stingy at once. */
void router_count_usd(struct router *r, const struct event_decided *d);
/* router_pend notes that a decision awaits its quality label (rows 1) or no longer does (-1). */
void router_pend(struct router *r, const struct decision_row *row, const float *x, int rows);
void router_catch_up(struct router *r);
MUST_CHECK enum status router_learn_feedback(struct router *r, const struct event *ev,
                                             struct problem *problem);
/* router_lesson fills the book of an outcome from elsewhere with what it is to teach, a fact of its
 * record: the bounds in force may be others when it is taken out again. */
MUST_CHECK enum status router_lesson(const struct router *r, struct event_feedback *f,
                                     struct problem *problem);
/* router_learned.c */
MUST_CHECK enum status router_apply_learned(struct router *r, const struct event *ev,
                                            struct problem *problem);
MUST_CHECK enum status router_learn_taught(struct router *r, const struct event *ev,
                                           struct problem *problem);
/* decide_pools.c. router_path gives the pools that a decision is charged to if `arm` is served. */
void router_path(const struct router *r, int64_t now_ms, const struct event_decided *d, int arm,
                 struct pool_path *out);
/* router_pools.c. router_charge reserves what a decision may cost; false, and nothing changed, when
 * its record does not fit the pools. */
MUST_CHECK bool router_charge(struct router *r, const struct event *ev, struct pool_hold *hold);
/* router_count_refusal counts that the pool named in a decision that failed has refused. */
void router_count_refusal(struct router *r, const struct event_decided *d);
/* router_settle_pools brings the pools in line with what a book amounts to; false, and nothing
 * changed, when that is out of range. */
struct credit;
MUST_CHECK bool router_settle_pools(struct router *r, const struct decision_row *row,
                                    struct label_book *book, const struct credit *c);
/* router_expire settles an open decision at its reservation, if it still holds one;
 * router_expiry_due gives the decision whose reservation ran out first, false if none did. */
void router_expire(struct router *r, int64_t slot);
MUST_CHECK enum status router_apply_expired(struct router *r, const struct event *ev,
                                            struct problem *problem);
bool router_expiry_due(struct router *r, int64_t now_ms, uint64_t *seq);
/* router_unlend, at a start: if the life before lent and did not stop in order, its blocks are
 * settled. */
void router_unlend(struct router *r);
/* router_pace.c. router_paced gives the paced pools that a request is charged to or may be, by the
 * model. router_price sets the multipliers of a decision, of which all is known but these, and
 * takes from merits what pools of one model ask for; router_paced_rate gives the tightest rate in
 * dollars a request that a budget of it holds, 0 without one. router_count_pace notes an applied
 * one. */
uint64_t router_paced(const struct router *r, int64_t now_ms, const struct event_decided *d);
void router_price(const struct router *r, int64_t now_ms, struct event_decided *d);
double router_paced_rate(const struct router *r, int64_t now_ms, const struct event_decided *d);
void router_count_pace(struct router *r, const struct event *ev, const struct pool_hold *hold);
/* router_shortage gives the share, [0,1], of what the cheapest choices cost that the paced pool of
 * entry i cannot pay until its window ends, and for how long nobody should ask to have it paid. */
double router_shortage(const struct router *r, const struct pool_path *path, int i,
                       int64_t *wait_ms);
/* router_pool_due gives the solution for a paced pool that is due, false when none is. */
bool router_pool_due(const struct router *r, int64_t now_ms, struct event_paced *out);
MUST_CHECK enum status router_apply_paced(struct router *r, const struct event *ev,
                                          struct problem *problem);
/* router_pace_configure has all pacers follow a configuration that is about to take effect. */
void router_pace_configure(struct router *r, const struct params *next);
/* snapshot_scratch gives the bytes that router.scratch must have. */
size_t snapshot_scratch(void);
/* router_shape makes learner and open decisions fit params and lens. */
MUST_CHECK enum status router_shape(struct router *r, struct problem *problem);
/* router_fits refuses params whose x would be too long with this lens (id 0: none). */
MUST_CHECK enum status router_fits(const struct params *p, const struct lens *lens,
                                   struct problem *problem);
/* router_adopt_lens makes a lens (n 0: none) the one in force. */
MUST_CHECK enum status router_adopt_lens(struct router *r, const uint8_t *bytes, size_t n,
                                         struct problem *problem);
/* router_reprice puts prices in force whose time has come, as an event; false when there are none.
 * The document of the event is borrowed until the next such event. */
bool router_reprice(struct router *r, int64_t now_ms, struct event *ev);
/* router_conclude ends the canary by a configuration, as an event borrowed likewise, when there is
 * a verdict; false when there is none. */
bool router_conclude(struct router *r, int64_t now_ms, struct event *ev);
/* router_adopt_config parses a rendered configuration into the router and reshapes the learner. */
MUST_CHECK enum status router_adopt_config(struct router *r, const char *json, size_t n,
                                           struct problem *problem);

#endif
