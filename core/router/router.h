/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_ROUTER_H
#define PURSER_CORE_ROUTER_ROUTER_H

#include <stdint.h>
#include "core/config/params.h"
#include "core/event/event.h"
#include "core/guard/canary.h"
#include "core/request.h"
#include "core/router/parallel.h"
#include "core/status.h"

/*
 * THE FOLD: a deterministic state machine over events, hosted alike by the service, the simulator
 * and the tests. It does no I/O, reads no clock, holds no lock and allocates nothing per request.
 *
 * router_route, router_feedback, router_configure, router_start and router_tick decide what
 * happened, write it to *ev and apply it; router_apply alone changes state, and is all that replay
 * uses. The caller must log ev before anyone outside learns of it. `now_ms` is Unix milliseconds;
 * the fold's clock is max(now_ms, what it was).
 */
struct router;

struct router_init {
    uint64_t seed;       /* of the draws */
    uint8_t mac_key[16]; /* of decision ids */
    int64_t max_open;    /* decisions kept in memory for feedback (ring), >= 1 */
};

/* router_new gives an engine without models. NULL when memory is short. router_free accepts NULL.
 */
struct router *router_new(const struct router_init *init);
void router_free(struct router *r);

/* router_parallel has threads (borrowed; NULL: none) share in work that is worth it. */
void router_parallel(struct router *r, struct parallel *parallel);

/* router_on_evict sets the sink for label books that leave memory (or belong to rows not in
 * memory): the host stores them under the decision's sequence number. Called from within
 * router_apply. */
void router_on_evict(struct router *r,
                     void (*sink)(void *ctx, uint64_t seq, const struct label_book *book),
                     void *ctx);

/* router_on_meter sets the sink for what is metered: called from within router_apply for a decision
 * (ev holds it; before and after NULL) and for feedback, with the label book of the decision that
 * it is about before and after. All are borrowed for the call. Not set while the host replays,
 * since what it stored is in step with the log. */
typedef void (*meter_sink)(void *ctx, const struct event *ev, const struct label_book *before,
                           const struct label_book *after);
void router_on_meter(struct router *r, meter_sink sink, void *ctx);

/* router_on_pool sets the sink for the slots of budgets that change: called from within
 * router_apply, perhaps more than once for a slot, when it may be looked at. Not set while the host
 * replays. */
void router_on_pool(struct router *r, void (*sink)(void *ctx, int64_t slot), void *ctx);

enum route_result {
    ROUTE_DECIDED, /* ev holds a new decision, applied */
    ROUTE_DRY,     /* ev holds what would be decided; nothing was applied, seq is 0 */
    ROUTE_RETRY    /* this (tenant, request_id) was decided before: answer from record ev->seq */
};
MUST_CHECK enum status router_route(struct router *r, int64_t now_ms, const struct request *req,
                                    struct event *ev, enum route_result *result,
                                    struct problem *problem);

/* router_has tells whether the decision is in memory. If not, the host reads its record and book
 * from the store and passes them to router_feedback as `recalled` (NULL: no such record). */
bool router_has(const struct router *r, uint64_t seq);
struct recalled {
    struct event decided;
    struct label_book book; /* zeroed (book_init) when none was stored */
};
/* router_escalate decides again for a request whose answer was found wanting: a decision of its
 * own, on a higher tier than that of the decision req->escalates names. `from` is that decision's
 * record, NULL when there is none, and its book if it is not in memory. Fills req->attempt.
 * UNKNOWN_DECISION: it is not the tenant's, not known, or too old to be labelled. CONFLICT: it was
 * escalated before, under another request_id: its successor is what can be escalated.
 * When the result is ROUTE_DECIDED the host feeds router_wanting's report on the earlier decision,
 * by router_feedback, and logs both at once. */
MUST_CHECK enum status router_escalate(struct router *r, int64_t now_ms, struct request *req,
                                       const struct recalled *from, struct event *ev,
                                       enum route_result *result, struct problem *problem);
void router_wanting(const struct router *r, const struct request *req, struct feedback *out);

/* router_feedback: ev->kind is EVENT_NONE when nothing changed (duplicate, late, superseded). */
MUST_CHECK enum status router_feedback(struct router *r, int64_t now_ms, const struct feedback *f,
                                       const struct recalled *recalled, struct event *ev,
                                       enum feedback_result *result, struct problem *problem);

/* router_correct is router_feedback for the operator who takes back, or puts back, what a source
 * said: never late, and not refused for a source that is ignored. */
MUST_CHECK enum status router_correct(struct router *r, int64_t now_ms, const struct feedback *f,
                                      const struct recalled *recalled, struct event *ev,
                                      enum feedback_result *result, struct problem *problem);

/* router_teach learns an outcome that was not decided here: labelled history. outcome says what
 * model did on the request; its feedback_id names the batch it came with ("" = none), other ids are
 * ignored; weight in (0,1] is what it counts beside a
 * decision of our own, n_eff / rows for a history that is to be worth n_eff rows. */
MUST_CHECK enum status router_teach(struct router *r, int64_t now_ms, const struct request *req,
                                    const char *model, const struct feedback *outcome,
                                    double weight, struct event *ev, struct problem *problem);
/* router_unteach takes out again what the record `taught` taught. The event names that record, so
 * the log tells what has been taken out; the fold does not remember: the caller must have looked.
 * CONFLICT: it teaches nothing, or was learned under other features than those in force. */
MUST_CHECK enum status router_unteach(struct router *r, int64_t now_ms, const struct event *taught,
                                      struct event *ev, struct problem *problem);
/* router_taught tells whether a batch of this name is among the TEACH_BATCHES latest: whoever
 * repeats it for want of an answer must not have it learned twice. */
bool router_taught(const struct router *r, const char *batch_id);

/* Learned state of another store (router_learned.c). router_learned_by gives the learner of a
 * tenant
 * ("" = the shared one, 0), -1 if it has none; router_learned_schema what its features are, and how
 * many; router_learned_rows the quality labels in it; router_learned_take its numbers
 * (learned.h), as of the fold's clock; router_imports what has come in. */
struct imports;
int router_learned_by(const struct router *r, const char *tenant);
uint64_t router_learned_schema(const struct router *r, int *d);
int64_t router_learned_rows(const struct router *r, int learner);
void router_learned_take(const struct router *r, int learner, int part, int arm, uint8_t *out);
const struct imports *router_imports(const struct router *r);
/* router_learned has a piece come in or leave, as an event that borrows its bytes. schema and, of
 * what is added or put aside, added_ms are filled in; the learner and model must exist.
 * BAD_REQUEST, and nothing happened: the numbers are no learner's. */
MUST_CHECK enum status router_learned(struct router *r, int64_t now_ms,
                                      const struct event_learned *what, struct event *ev,
                                      struct problem *problem);

/* router_configure makes the engine run under params rendered as JSON (config_render), kept by the
 * event as borrowed bytes. origin is who changed it; file_hash is that of the file it came from or
 * 0. */
MUST_CHECK enum status router_configure(struct router *r, int64_t now_ms,
                                        const struct params *params, const char *origin,
                                        uint64_t file_hash, char *json_buffer, size_t cap,
                                        struct event *ev, struct problem *problem);
/* router_merge gives what router_configure would put in force: models and learners that params do
 * not have keep their slots, inactive. */
MUST_CHECK enum status router_merge(const struct router *r, const struct params *params,
                                    struct params *merged, struct problem *problem);
/* router_rescore chooses anew for a logged decision, with what this router has learned so far and
 * under its params: predictions, probabilities by slot and weights go into *d, a copy of the record
 * otherwise; pmf is by slot, 0 where not eligible. The price of a dollar stays the logged one, as
 * do sessions and who may be chosen; guards, quotas and rules have no say. Pure. False: the record
 * is of other features, or none of its models is there. */
bool router_rescore(const struct router *r, const struct event *decided, struct event_decided *d,
                    double *pmf);
/* router_rename gives a model another name. It keeps its slot and all that was learned, and the
 * configuration follows wherever it names the model; the old name is free again. Refused: a name
 * that nobody has (UNKNOWN_MODEL), a new one that somebody has, retired or not (CONFLICT). */
MUST_CHECK enum status router_rename(struct router *r, int64_t now_ms, const char *old_name,
                                     const char *new_name, const char *origin, char *json_buffer,
                                     size_t cap, struct event *ev, struct problem *problem);
/* router_set_lens makes the engine look at prompts through a lens (lens_save's bytes; n 0: none any
 * more). What was learned of everything else stays. The router keeps a copy. */
MUST_CHECK enum status router_set_lens(struct router *r, int64_t now_ms, const uint8_t *bytes,
                                       size_t n, const char *origin, struct event *ev,
                                       struct problem *problem);
/* router_start begins a new epoch: the greater of the last + 1 and now in seconds. */
void router_start(struct router *r, int64_t now_ms, struct event *ev);
/* router_lend notes that replies leave ahead of the disk from here on, or no longer; NONE when that
 * is known. Each start ends it; router_lends tells. See pools.h, leases. */
void router_lend(struct router *r, int64_t now_ms, bool on, struct event *ev);
bool router_lends(const struct router *r);
/* router_hold gives what an open decision holds in its budgets; false when it has left memory. */
bool router_hold(const struct router *r, uint64_t seq, struct pool_hold *out);
/* router_tick lets time pass. ev->kind is EVENT_NONE when nothing has happened since the last tick.
 */
void router_tick(struct router *r, int64_t now_ms, struct event *ev);
/* router_reprices tells whether prices are to take effect by now_ms: hosts that decide call
 * router_follow before, so that no decision is made at a price that is over. */
bool router_reprices(const struct router *r, int64_t now_ms);
/* router_follow gives what follows from what has happened: prices whose time has come (a
 * configuration of origin "prices", its bytes borrowed until the next one), a new solution of the
 * pacer when it is due, the fading of evidence when a model was found to have changed, the label of
 * a decision that nobody has reported on in time, the end of a reservation. ev->kind is EVENT_NONE
 * when nothing does. Hosts call it after each decision, feedback and tick, until then, or, since
 * many deadlines may pass at once, a bounded number of times at a stretch. */
void router_follow(struct router *r, int64_t now_ms, struct event *ev);

/* router_apply folds one event. It must carry seq = router_seq() + 1. Total: an event that does not
 * fit the state (a corrupt log) is refused and changes nothing. */
MUST_CHECK enum status router_apply(struct router *r, const struct event *ev,
                                    struct problem *problem);

uint64_t router_seq(const struct router *r);
int64_t router_clock(const struct router *r);
uint32_t router_epoch(const struct router *r);
uint64_t router_file_hash(const struct router *r);
uint64_t router_config_seq(const struct router *r);
const struct params *router_params(const struct router *r);
/* router_lens gives the lens in force, NULL without one. */
struct lens;
const struct lens *router_lens(const struct router *r);
/* How an instance of a pool that paces stands: see router_pace. */
enum pace_step { PACE_FREE, PACE_PACED, PACE_THROTTLING, PACE_REFUSING };
struct pace_state {
    bool unit[POOL_UNITS];         /* it has a cap in it; of those: */
    double multiplier[POOL_UNITS]; /* quality points per dollar, per token */
    double rate[POOL_UNITS];       /* what a request may use: dollars, tokens */
    double least[POOL_UNITS];      /* what one uses of the cheapest models; 0 = not known yet */
    double requests;               /* expected until its window ends */
    double shortage;               /* 1 - rate / least, of the unit that is shortest; <= 0: none */
    enum pace_step step;
};
/* router_pace gives it of the last instance of a path; false when its pool does not pace. */
bool router_pace(const struct router *r, const struct pool_path *path, struct pace_state *out);
/* router_pools gives the budgets' books; router_refusals how often each configured pool has refused
 * since the configuration took effect (not part of the folded state). */
const struct pools *router_pools(const struct router *r);
const int64_t *router_refusals(const struct router *r);
const uint8_t *router_mac_key(const struct router *r);
/* router_reaches tells whether what the labels of a decision taught can still be changed: not under
 * other features, nor when an import has come in the place of what was known. */
struct decision_row;
bool router_reaches(const struct router *r, const struct decision_row *row);
/* router_weights gives the weights of a model (catalog slot) for a target, *d of them, as of the
 * last refresh; valid until the next event. */
const double *router_weights(const struct router *r, int arm, enum target t, int *d);
/* router_known gives what the shared learner predicts by, as a copy of its own: learner_drop frees
 * it. NULL when memory is short. */
struct learner;
struct learner *router_known(const struct router *r);
/* router_settle chooses the scales of the shared prior, it and all weights anew as of the fold's
 * clock, whether or not that is due, so that two folds can be compared. Not an event: the state is
 * no longer that of the log, so do not go on with it. */
void router_settle(struct router *r);

/* Counters of the fold, for status and reports. Sums since the store began, by catalog slot. */
struct model_stats {
    int64_t decisions;
    int64_t feedbacks;  /* messages applied */
    int64_t spent_nano; /* reported or computed cost, booked estimate where none came yet */
    int64_t labels[TARGETS];
    double quality_sum;  /* of the quality labels now held */
    double quality_mean; /* predicted for the average judged request, whoever answered it */
    double cost_ratio;   /* learned: reported / computed cost */
};
struct router_stats {
    uint64_t seq;
    int64_t clock_ms;
    int64_t decisions, feedbacks, duplicates, open;
    int64_t taught; /* outcomes learned from history */
    int64_t spent_nano,
        baseline_nano;   /* baseline: expected cost of the baseline model, same requests */
    double guard_ledger; /* sure gains over the guarded line, quality points */
    struct {
        bool on, guarded;            /* guarded: the static hull is served, not the policy */
        int64_t trips, labels;       /* times the policy was put aside; labels of what follows */
        double policy, lower, upper; /* policy minus hull, quality points, and its bounds */
    } hull;                          /* core/guard/hull_guard.h */
    bool canary_on;                  /* settings are on trial: */
    struct canary_view canary;       /* core/guard/canary.h */
    int64_t agreed;                  /* decisions where the policy drew what was served */
    double value;                    /* sum over decisions of what they were worth */
    double value_labelled;           /* of those with a learned quality label */
    double value_quality;            /* sum of value x label */
    double shadow_gain; /* utility the policy's draws promised beyond what was served */
    double multiplier;  /* of the pacer, quality points per dollar */
    struct {            /* of this calendar month, UTC; NaN before there is an hour to tell from */
        int64_t start_ms, end_ms;
        double requests,
            usd; /* still to come, by the hours of the week and what one costs lately */
    } month;
    int n_models;
    struct model_stats model[MODELS_MAX];
};
void router_stats(const struct router *r, struct router_stats *out);
/* router_value_per_usd gives the value delivered per dollar: value x quality, what has no label
 * taken to be as good as what has, over what was spent. NaN before anything is known. */
double router_value_per_usd(const struct router_stats *s);
/* What the learner of an index (0 = shared, core/learn/learners.h) holds, by catalog slot. */
struct learner_stats {
    int64_t quality_labels[MODELS_MAX];
    double quality_mean[MODELS_MAX]; /* as in model_stats */
};
/* router_learner_stats is false when there is no such learner. */
bool router_learner_stats(const struct router *r, int index, struct learner_stats *out);

#endif
