/* SPDX-License-Identifier: MIT */
/*
 * The desk's part of unlearning. A correction is feedback in every respect but two: it is not late
 * while the record of its decision can be read, and its source may be one that is ignored. So it is
 * logged, replayed and recognised when repeated like any feedback.
 */
#include "core/event/decision_id.h"
#include "transport/desk/desk_inside.h"

/* Of a decision in memory or recalled: the model, and whether its labels are still within reach. */
static enum status look(struct desk *d, uint64_t seq, struct corrected *out, struct problem *p)
{
    enum status s = desk_find(d, seq, &d->event, p);
    if (s != STATUS_OK)
        return s;
    struct decision_row row;
    row_from_decided(&d->event, &row);
    out->arm = row.arm;
    out->learned = router_reaches(d->router, &row);
    return STATUS_OK;
}

enum status desk_correct(struct desk *d, const struct message *m, int i, bool dry,
                         struct corrected *out, struct problem *problem)
{
    const struct recalled *recalled;
    struct feedback *f = &d->feedback;
    enum status s = wire_feedback(m, i, f, problem);
    if (s == STATUS_OK && decision_mac(f->epoch, f->seq, router_mac_key(d->router)) != f->mac)
        s = problem_set(problem, STATUS_UNKNOWN_DECISION, "/decision_id",
                        "this service gave no decision this id");
    if (s == STATUS_OK)
        s = look(d, f->seq, out, problem);
    if (s != STATUS_OK || dry)
        return s;
    if (d->full)
        return desk_storage_full(problem);
    s = desk_recall(d, f, &recalled, problem);
    if (s != STATUS_OK)
        return s;
    int64_t now = wallclock_now(&d->clock);
    s = router_correct(d->router, now, f, recalled, &d->event, &out->result, problem);
    if (s != STATUS_OK)
        return s;
    out->learned = router_reaches(d->router, &d->event.feedback.row);
    desk_record(d, now);
    return STATUS_OK;
}

enum status desk_unteach(struct desk *d, uint64_t seq, bool dry, struct corrected *out,
                         struct problem *problem)
{
    struct event *taught = &d->recalled.decided; /* room for a record */
    enum status s = desk_read(d, seq, taught, problem);
    if (s != STATUS_OK || taught->kind != EVENT_TAUGHT || taught->feedback.feedback.retract)
        return problem_set(problem, STATUS_UNKNOWN_DECISION, "/taught",
                           "record %llu teaches nothing, or is gone", (unsigned long long)seq);
    out->result = FEEDBACK_RETRACTED;
    out->arm = taught->feedback.row.arm;
    out->learned = router_reaches(d->router, &taught->feedback.row);
    if (dry || !out->learned)
        return STATUS_OK;
    if (d->full)
        return desk_storage_full(problem);
    int64_t now = wallclock_now(&d->clock);
    s = router_unteach(d->router, now, taught, &d->event, problem);
    if (s == STATUS_OK)
        desk_record(d, now);
    return s;
}
