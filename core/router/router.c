/* SPDX-License-Identifier: MIT */
/*
 * The fold. Each entry point works out what happened, as an event, and applies it; router_apply is
 * the only function that changes state, and takes nothing but the event. What is not in the event
 * (drawn model, pmf, multiplier) is never recomputed on replay.
 *
 * The service holds every reply until its event is durable, so a state that ran ahead of the disk
 * is never seen from outside; after a failed commit the process restarts and folds from disk.
 */
#include "core/router/router.h"

#include <stdlib.h>
#include <string.h>
#include "bandit/policy/policy.h"
#include "core/config/config.h"
#include "core/event/decision_id.h"
#include "core/event/row.h"
#include "core/guard/guard.h"
#include "core/learn/silence.h"
#include "core/router/credit.h"
#include "core/router/router_state.h"
#include "core/router/sticky.h"

struct router *router_new(const struct router_init *init)
{
    struct router *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->init = *init;
    params_default(&r->params);
    r->learners[0] = &r->learner;
    pool_pacers_init(&r->pool_pacers);
    r->pacer.dirty = DIRTY_ALL; /* no generation holds it yet */
    r->json = malloc(CONFIG_MAX);
    r->next_json = malloc(CONFIG_MAX);
    r->reprice_ms = INT64_MAX;
    r->scratch = malloc(snapshot_scratch());
    r->trial = malloc(sizeof *r->trial);
    r->lens = calloc(1, sizeof *r->lens);
    r->next_lens = calloc(1, sizeof *r->next_lens);
    if (!r->json || !r->next_json || !r->scratch || !r->trial || !r->lens || !r->next_lens ||
        !pending_init(&r->pending, init->max_open, 0) || !sessions_init(&r->sessions) ||
        !silence_rebuild(r) || !pools_init(&r->pools, &r->params.pools)) {
        router_free(r);
        return NULL;
    }
    return r;
}

void router_free(struct router *r)
{
    if (!r)
        return;
    for (int i = 1; i <= LEARNERS_MAX && r->learners[i]; i++) {
        learner_free(r->learners[i]);
        free(r->learners[i]);
    }
    learner_free(&r->learner);
    pending_fini(&r->pending);
    deadlines_fini(&r->silences);
    pools_fini(&r->pools);
    sessions_fini(&r->sessions);
    free(r->json);
    free(r->next_json);
    free(r->scratch);
    free(r->trial);
    free(r->lens);
    free(r->next_lens);
    free(r);
}

void router_begin(const struct router *r, int64_t now_ms, enum event_kind kind, struct event *ev)
{
    ev->seq = r->seq + 1;
    ev->time_ms = now_ms > r->clock_ms ? now_ms : r->clock_ms;
    ev->kind = kind;
}

static void apply_decided(struct router *r, const struct event *ev, const struct pool_hold *hold)
{
    const struct event_decided *d = &ev->decided;
    struct decision_row row;
    int64_t victim = pending_victim(&r->pending);
    if (victim >= 0)
        router_forget(r, victim);
    row_from_decided(ev, &row);
    int64_t slot = pending_insert(&r->pending, &row, d->x);
    if (hold->n > 0)
        pending_hold(&r->pending, slot, hold);
    silence_update(r, slot);
    influence_count(&r->influence, influence_tenant(d->labels.tenant));
    sticky_note(r, ev);
    router_pend(r, &row, d->x, 1);
    pacer_book(&r->pacer, d, ev->seq, policy_at(d->policy)->noisy, &r->params);
    router_count_pace(r, ev, hold);
    if (!router_isolated(r, d->learner)) { /* its predictions must not be units for others */
        router_count_usd(r, d);
        hull_guard_decided(&r->hull, d);
    }
    canary_decided(&r->canary, d);
    r->counters.decisions++;
    r->counters.value += d->value;
    r->counters.explored_nano += d->quota_nano;
    r->counters.agreed += d->shadow == d->arm;
    r->counters.shadow_gain += decided_utility(d, d->shadow) - decided_utility(d, d->arm);
    if (guard_applies(d, r->params.guard.alpha))
        r->guard_ledger += guard_gain(d, d->arm, r->params.guard.alpha);
    r->counters.spent_nano += d->booked_nano;
    r->counters.baseline_nano += d->attempt.from == 0 ? d->baseline_nano : 0;
    r->counters.model[d->arm].decisions++;
    r->counters.model[d->arm].spent_nano += d->booked_nano;
    if (r->meter)
        r->meter(r->meter_ctx, ev, NULL, NULL);
}

/* The bound on open decisions is a fact of the log: what leaves memory must not depend on the host.
 */
static enum status apply_started(struct router *r, const struct event *ev, struct problem *problem)
{
    if (ev->started.max_open < 1 || ev->started.max_open > OPEN_MAX)
        return problem_set(problem, STATUS_INTERNAL, "", "start with room for %lld open decisions",
                           (long long)ev->started.max_open);
    int64_t leaving = pending_count(&r->pending) - ev->started.max_open;
    for (int64_t i = 0; i < leaving; i++) {
        int64_t slot = (r->pending.first + i) % r->pending.cap;
        router_forget(r, slot);
    }
    if (!pending_resize(&r->pending, ev->started.max_open) || !silence_rebuild(r))
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory for %lld open decisions",
                           (long long)ev->started.max_open);
    r->epoch = ev->started.epoch;
    router_unlend(r);
    return STATUS_OK;
}

static enum status apply_configured(struct router *r, const struct event *ev,
                                    struct problem *problem)
{
    bool frozen = r->params.learner.frozen,
         asked = strcmp(ev->configured.origin, "policy.set") == 0;
    uint64_t was = hull_guard_terms(&r->params), tried = canary_terms(&r->params);
    enum status s = router_adopt_config(r, ev->configured.json, ev->configured.len, problem);
    if (s == STATUS_OK && frozen && !r->params.learner.frozen)
        router_catch_up(r);
    if (s == STATUS_OK && (asked || hull_guard_terms(&r->params) != was))
        hull_guard_reset(&r->hull, ev->seq);
    if (s == STATUS_OK && canary_terms(&r->params) != tried)
        canary_begin(&r->canary, &r->params, ev->seq);
    return s;
}

static enum status apply_kind(struct router *r, const struct event *ev, struct problem *problem)
{
    enum status s = STATUS_OK;
    struct pool_hold hold;
    switch (ev->kind) {
    case EVENT_STARTED:
        s = apply_started(r, ev, problem);
        break;
    case EVENT_CONFIGURED:
        s = apply_configured(r, ev, problem);
        if (s != STATUS_OK)
            break;
        r->config_seq = ev->seq;
        if (ev->configured.file_hash)
            r->file_hash = ev->configured.file_hash;
        break;
    case EVENT_LENS:
        s = router_adopt_lens(r, ev->lens.bytes, ev->lens.len, problem);
        break;
    case EVENT_DECIDED:
        if (ev->decided.d != r->pending.stride || ev->decided.arm >= r->params.catalog.n ||
            !router_learner(r, ev->decided.learner) || !router_charge(r, ev, &hold))
            return problem_set(problem, STATUS_INTERNAL, "",
                               "decision does not fit the configuration");
        apply_decided(r, ev, &hold);
        break;
    case EVENT_FEEDBACK:
        s = router_learn_feedback(r, ev, problem);
        break;
    case EVENT_TAUGHT:
        s = router_learn_taught(r, ev, problem);
        break;
    case EVENT_TICKED:
        router_refresh_learners(r);
        (void)pools_tidy(&r->pools, ev->time_ms);
        r->ticked_seq = (int64_t)ev->seq;
        break;
    case EVENT_DRIFTED:
        if (ev->drifted.arm >= r->params.catalog.n || !router_learner(r, ev->drifted.learner))
            return problem_set(problem, STATUS_INTERNAL, "", "drift of no model");
        learner_drifted(router_learner(r, ev->drifted.learner), &r->params, ev->drifted.arm,
                        (enum target)ev->drifted.target, ev->time_ms);
        break;
    case EVENT_EXPIRED:
        s = router_apply_expired(r, ev, problem);
        break;
    case EVENT_PACED:
        s = router_apply_paced(r, ev, problem);
        break;
    case EVENT_LENT:
        r->lent_ms = ev->lent.on ? ev->time_ms : 0;
        break;
    case EVENT_HULL:
        hull_guard_apply(&r->hull, &ev->hull, ev->seq);
        break;
    case EVENT_LEARNED:
        s = router_apply_learned(r, ev, problem);
        break;
    default:
        s = problem_set(problem, STATUS_INTERNAL, "", "event of unknown kind %d", (int)ev->kind);
    }
    return s;
}

enum status router_apply(struct router *r, const struct event *ev, struct problem *problem)
{
    if (ev->seq != r->seq + 1 || ev->time_ms < r->clock_ms)
        return problem_set(problem, STATUS_INTERNAL, "",
                           "event %llu at %lld ms does not follow event %llu at %lld ms",
                           (unsigned long long)ev->seq, (long long)ev->time_ms,
                           (unsigned long long)r->seq, (long long)r->clock_ms);
    int64_t clock = r->clock_ms;
    uint64_t schema = r->learner.schema;
    r->clock_ms = r->learner.now_ms = ev->time_ms;
    enum status s = apply_kind(r, ev, problem);
    if (r->learner.schema != schema)
        r->imports.reshaped = ev->seq;
    if (s != STATUS_OK)
        r->clock_ms = r->learner.now_ms = clock;
    else
        r->seq = ev->seq;
    return s;
}

/* ---- deciding what happened ---- */

enum status router_find_retry(const struct router *r, const struct request *req, uint64_t *seq,
                              struct problem *problem)
{
    int64_t slot = pending_request(&r->pending, request_hash(req->labels.tenant, req->request_id));
    *seq = 0;
    if (slot < 0)
        return STATUS_OK;
    if (r->pending.row[slot].request_digest != req->digest)
        return problem_set(
            problem, STATUS_CONFLICT, "/request_id",
            "this request_id was used before with another body; give each request its "
            "own id, or the same body to repeat it");
    *seq = r->pending.row[slot].seq;
    return STATUS_OK;
}

enum status router_route(struct router *r, int64_t now_ms, const struct request *req,
                         struct event *ev, enum route_result *result, struct problem *problem)
{
    uint64_t seq;
    router_begin(r, now_ms, EVENT_NONE, ev);
    enum status s = router_find_retry(r, req, &seq, problem);
    if (s != STATUS_OK)
        return s;
    if (seq) {
        ev->seq = seq;
        *result = ROUTE_RETRY;
        return STATUS_OK;
    }
    if (r->params.catalog.n == 0)
        return problem_set(problem, STATUS_NO_ELIGIBLE_MODEL, "/models", "no model is configured");
    s = decide(r, ev->seq, ev->time_ms, req, &ev->decided, problem);
    if (s != STATUS_OK) {
        router_count_refusal(r, &ev->decided);
        return s;
    }
    silence_declare(&r->params, ev->time_ms, &ev->decided);
    ev->decided.weight = (float)influence_weight(
        &r->influence, influence_tenant(req->labels.tenant), r->params.learner.tenant_share);
    ev->kind = EVENT_DECIDED;
    *result = req->dry_run ? ROUTE_DRY : ROUTE_DECIDED;
    if (req->dry_run) {
        ev->seq = 0;
        return STATUS_OK;
    }
    return router_apply(r, ev, problem);
}

static enum status unknown_decision(struct problem *problem)
{
    return problem_set(problem, STATUS_UNKNOWN_DECISION, "/decision_id",
                       "no decision of this service has this id; send the decision_id of the route "
                       "reply unchanged");
}

/* Finds the decision in memory or in what the host recalled. */
static enum status locate(const struct router *r, const struct feedback *f,
                          const struct recalled *recalled, struct event_feedback *out,
                          struct problem *problem)
{
    int64_t slot = pending_find(&r->pending, f->seq);
    out->recalled = slot < 0;
    if (f->mac != decision_mac(f->epoch, f->seq, r->init.mac_key))
        return unknown_decision(problem);
    if (slot >= 0) {
        out->row = r->pending.row[slot];
        pending_book(&r->pending, slot, &out->book);
    } else if (recalled && recalled->decided.kind == EVENT_DECIDED &&
               recalled->decided.seq == f->seq) {
        row_from_decided(&recalled->decided, &out->row);
        memcpy(out->x, recalled->decided.decided.x, sizeof out->x);
        out->book = recalled->book;
    } else {
        return unknown_decision(problem);
    }
    return out->row.epoch == f->epoch ? STATUS_OK : unknown_decision(problem);
}

static enum status refuse_ignored(const struct router *r, const struct feedback *f,
                                  struct problem *problem)
{
    for (int i = 0; i < r->params.feedback.n_ignore; i++)
        if (strcmp(source_name(f), r->params.feedback.ignore[i]) == 0)
            return problem_set(problem, STATUS_FORBIDDEN, "/source",
                               "feedback of this source is not taken: the configuration names it "
                               "in feedback.ignore_sources; do not repeat it before the operator "
                               "has taken it off that list");
    return STATUS_OK;
}

/* Puts a located message into the log. */
static enum status record(struct router *r, const struct feedback *f, struct event *ev,
                          enum feedback_result *result, struct problem *problem)
{
    struct event_feedback *out = &ev->feedback;
    struct label_book trial = out->book;
    enum status s = book_take(&trial, f, result, problem);
    if (s != STATUS_OK)
        return s;
    if (*result == FEEDBACK_DUPLICATE || *result == FEEDBACK_SUPERSEDED) {
        r->duplicates++;
        return STATUS_OK;
    }
    out->feedback = *f;
    ev->kind = EVENT_FEEDBACK;
    return router_apply(r, ev, problem);
}

enum status router_feedback(struct router *r, int64_t now_ms, const struct feedback *f,
                            const struct recalled *recalled, struct event *ev,
                            enum feedback_result *result, struct problem *problem)
{
    router_begin(r, now_ms, EVENT_NONE, ev);
    enum status s = locate(r, f, recalled, &ev->feedback, problem);
    if (s == STATUS_OK)
        s = refuse_ignored(r, f, problem);
    if (s != STATUS_OK)
        return s;
    *result = FEEDBACK_LATE;
    int64_t age_ms = ev->time_ms - ev->feedback.row.time_ms;
    if ((double)age_ms > r->params.learner.join_window_hours * 3600e3)
        return STATUS_OK;
    return record(r, f, ev, result, problem);
}

enum status router_correct(struct router *r, int64_t now_ms, const struct feedback *f,
                           const struct recalled *recalled, struct event *ev,
                           enum feedback_result *result, struct problem *problem)
{
    router_begin(r, now_ms, EVENT_NONE, ev);
    enum status s = locate(r, f, recalled, &ev->feedback, problem);
    if (s == STATUS_OK && r->params.learner.frozen && ev->feedback.recalled)
        s = problem_set(problem, STATUS_CONFLICT, "",
                        "the learner is frozen and this decision has left memory, so its label "
                        "would stay learned: set learner.frozen to false first");
    return s == STATUS_OK ? record(r, f, ev, result, problem) : s;
}

enum status router_teach(struct router *r, int64_t now_ms, const struct request *req,
                         const char *model, const struct feedback *outcome, double weight,
                         struct event *ev, struct problem *problem)
{
    struct event_feedback *out = &ev->feedback;
    router_begin(r, now_ms, EVENT_NONE, ev);
    int arm = catalog_find(&r->params.catalog, model);
    if (arm < 0)
        return problem_set(problem, STATUS_UNKNOWN_MODEL, "/model",
                           "there is no model of this name; models.list names those there are");
    if (!(weight > 0 && weight <= 1))
        return problem_set(problem, STATUS_BAD_REQUEST, "/weight", "expected a number in (0,1]");
    decide_row(r, req, arm, &out->row, out->x);
    out->row.time_ms = ev->time_ms;
    out->row.weight = (float)weight;
    out->feedback = *outcome;
    out->feedback.seq = 0;
    out->recalled = true;
    enum status s = router_lesson(r, out, problem);
    if (s != STATUS_OK)
        return s;
    ev->kind = EVENT_TAUGHT;
    return router_apply(r, ev, problem);
}

enum status router_unteach(struct router *r, int64_t now_ms, const struct event *taught,
                           struct event *ev, struct problem *problem)
{
    router_begin(r, now_ms, EVENT_NONE, ev);
    if (taught->kind != EVENT_TAUGHT || taught->feedback.feedback.retract)
        return problem_set(problem, STATUS_CONFLICT, "", "record %llu teaches nothing",
                           (unsigned long long)taught->seq);
    if (taught->feedback.row.schema != r->learner.schema)
        return problem_set(problem, STATUS_CONFLICT, "",
                           "record %llu was learned under other features: it cannot be taken out",
                           (unsigned long long)taught->seq);
    ev->feedback = taught->feedback;
    ev->feedback.feedback.seq = taught->seq;
    ev->feedback.feedback.retract = true;
    ev->kind = EVENT_TAUGHT;
    return router_apply(r, ev, problem);
}

void router_start(struct router *r, int64_t now_ms, struct event *ev)
{
    router_begin(r, now_ms, EVENT_STARTED, ev);
    uint32_t seconds = (uint32_t)(ev->time_ms / 1000);
    ev->started.epoch = seconds > r->epoch ? seconds : r->epoch + 1;
    ev->started.max_open = r->init.max_open;
    enum status s = router_apply(r, ev, NULL);
    (void)s; /* a start always fits */
}

void router_tick(struct router *r, int64_t now_ms, struct event *ev)
{
    router_begin(r, now_ms, EVENT_NONE, ev);
    if (r->ticked_seq == (int64_t)r->seq)
        return;
    ev->kind = EVENT_TICKED;
    enum status s = router_apply(r, ev, NULL);
    (void)s; /* time always fits */
}

/* What the comparison with the static hull asks for, if anything. */
static bool hull_event(const struct router *r, struct event_hull *e)
{
    struct hull_guard_view v;
    enum hull_turn turn = hull_guard_turn(&r->hull, &r->params);
    if (turn == HULL_SOLVED && !hull_guard_due(&r->hull, &r->params))
        return false;
    hull_guard_look(&r->hull, &r->params, &v);
    *e = (struct event_hull){.turn = (uint8_t)turn,
                             .labels = v.labels,
                             .policy = v.mean,
                             .lower = v.lower,
                             .upper = v.upper};
    return hull_guard_solve(&r->hull, &r->params, &r->pacer, e);
}

void router_follow(struct router *r, int64_t now_ms, struct event *ev)
{
    router_begin(r, now_ms, EVENT_NONE, ev);
    if (router_reprice(r, ev->time_ms, ev))
        return;
    const struct learner *alarmed = router_alarmed(r);
    if (alarmed) {
        ev->kind = EVENT_DRIFTED;
        ev->drifted.learner = (uint8_t)alarmed->index;
        ev->drifted.arm = (uint8_t)((alarmed->alarm - 1) / TARGETS);
        ev->drifted.target = (uint8_t)((alarmed->alarm - 1) % TARGETS);
        ev->drifted.up = alarmed->alarm_up;
    } else if (pacer_due(&r->pacer)) {
        ev->kind = EVENT_PACED;
        ev->paced = pacer_solve(&r->pacer, &r->pool_pacers);
    } else if (router_pool_due(r, ev->time_ms, &ev->paced)) {
        ev->kind = EVENT_PACED;
    } else if (silence_due(r, ev->time_ms, &ev->feedback.feedback)) {
        ev->kind = EVENT_FEEDBACK;
        ev->feedback.recalled = false;
    } else if (router_expiry_due(r, ev->time_ms, &ev->expired.decision)) {
        ev->kind = EVENT_EXPIRED;
    } else if (hull_event(r, &ev->hull)) {
        ev->kind = EVENT_HULL;
    } else {
        (void)router_conclude(r, ev->time_ms, ev);
        return;
    }
    if (router_apply(r, ev, NULL) != STATUS_OK) /* what the state itself asked for always fits, */
        ev->kind = EVENT_NONE;                  /* and what was not applied must not be logged */
}
