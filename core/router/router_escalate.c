/* SPDX-License-Identifier: MIT */
/*
 * Escalation: the application found an answer wanting and asks again. The next attempt is a
 * decision like any other, so budgets, rules, constraints and sessions hold for it; what makes it
 * an escalation is that only models of a higher tier are eligible, that its record names the
 * decision it came from, and that this one gets a label. The label is an ordinary report of a
 * reserved source, a record of its own that the host logs together with the decision's: replay
 * needs nothing new, and a report of the caller's displaces it like silence. That a decision has
 * been escalated is read off its label book, so nothing else is remembered. Considered: the label
 * inside the decision's record. Then a decision that has left memory would have to travel within
 * the record of another one.
 */
#include <string.h>
#include "bandit/rng.h"
#include "core/event/decision_id.h"
#include "core/router/credit.h"
#include "core/router/router_state.h"

static enum status not_escalable(struct problem *problem, const char *why)
{
    return problem_set(problem, STATUS_UNKNOWN_DECISION, "/decision_id", "%s", why);
}

/* Whether the request may follow this decision, whose labels are those of `book`. */
static enum status check_origin(const struct router *r, int64_t time_ms, const struct request *req,
                                const struct recalled *from, struct problem *problem)
{
    const struct decision_ref *ref = &req->escalates;
    if (ref->mac != decision_mac(ref->epoch, ref->seq, r->init.mac_key) || !from ||
        from->decided.kind != EVENT_DECIDED || from->decided.seq != ref->seq ||
        from->decided.decided.epoch != ref->epoch ||
        strcmp(from->decided.decided.labels.tenant, req->labels.tenant) != 0)
        return not_escalable(problem, "no decision of this tenant has this id; send the "
                                      "decision_id of the route reply with the same tenant");
    if ((double)(time_ms - from->decided.time_ms) > r->params.learner.join_window_hours * 3600e3)
        return not_escalable(problem, "this decision is older than learner.join_window_hours; ask "
                                      "anew with route");
    int64_t slot = pending_find(&r->pending, ref->seq);
    struct label_book book;
    if (slot >= 0)
        pending_book(&r->pending, slot, &book);
    if (credit_escalated(slot >= 0 ? &book : &from->book))
        return problem_set(problem, STATUS_CONFLICT, "/decision_id",
                           "this decision was escalated before, with another request_id; repeat "
                           "that request, or escalate the decision that it gave");
    return STATUS_OK;
}

static struct attempt attempt_after(const struct router *r, const struct event *from)
{
    const struct event_decided *d = &from->decided;
    return (struct attempt){
        .from = from->seq,
        .tier = (uint8_t)r->params.catalog.model[d->arm].tier,
        .earlier = d->attempt.earlier < UINT8_MAX ? (uint8_t)(d->attempt.earlier + 1) : UINT8_MAX,
    };
}

enum status router_escalate(struct router *r, int64_t now_ms, struct request *req,
                            const struct recalled *from, struct event *ev,
                            enum route_result *result, struct problem *problem)
{
    uint64_t seq;
    router_begin(r, now_ms, EVENT_NONE, ev);
    enum status s = router_find_retry(r, req, &seq, problem);
    if (s == STATUS_OK && seq == 0) {
        s = check_origin(r, ev->time_ms, req, from, problem);
        if (s == STATUS_OK)
            req->attempt = attempt_after(r, &from->decided);
    }
    return s == STATUS_OK ? router_route(r, now_ms, req, ev, result, problem) : s;
}

void router_wanting(const struct router *r, const struct request *req, struct feedback *out)
{
    const struct decision_ref *ref = &req->escalates;
    *out = (struct feedback){.epoch = ref->epoch,
                             .seq = ref->seq,
                             .mac = ref->mac,
                             .source = ESCALATION_SOURCE,
                             .has = FB_QUALITY,
                             .quality = r->params.escalation.quality,
                             .version = -1,
                             .attempt = req->attempt.earlier};
    out->digest = hash64(out->source, strlen(out->source), out->seq);
}
