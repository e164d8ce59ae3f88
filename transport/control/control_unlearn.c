/* SPDX-License-Identifier: MIT */
/*
 * Unlearning is feedback: each correction becomes a record like the message it corrects, so nothing
 * here keeps a state. What must not happen twice is kept apart by kind. A correction of a label has
 * a feedback_id of the sender's, and the label book of its decision knows it again. A row of
 * history has no book: the records that take rows out name them, and the sender has read the log;
 * only what came after that (his own message, sent again; somebody else's) is looked up here.
 *
 * Considered: the service walking the log by itself. A walk takes minutes on a long log; the sender
 * can do it in steps, stop, and begin again.
 */
#include "transport/control/control_unlearn.h"

#include <inttypes.h>
#include <stdlib.h>
#include "transport/log.h"

enum { UNSEEN_MOST = 20000, ANSWER_ROOM = 1024 };

/* Rows of history that have been taken out since the sender looked. */
struct undone {
    uint64_t *seq;
    size_t n, cap;
};

static bool note(struct undone *u, uint64_t seq)
{
    if (u->n == u->cap) {
        size_t cap = u->cap ? 2 * u->cap : 256;
        uint64_t *more = realloc(u->seq, cap * sizeof *more);
        if (!more)
            return false;
        u->seq = more;
        u->cap = cap;
    }
    u->seq[u->n++] = seq;
    return true;
}

static bool noted(const struct undone *u, uint64_t seq)
{
    for (size_t i = 0; i < u->n; i++)
        if (u->seq[i] == seq)
            return true;
    return false;
}

/* Reads the log from seen_to to the end, also what is not on disk yet. */
static enum status read_undone(struct desk *d, const json_t *seen_to, struct undone *u,
                               struct problem *p)
{
    uint64_t seen = json_is_integer(seen_to) && json_integer_value(seen_to) > 0
                        ? (uint64_t)json_integer_value(seen_to)
                        : 0;
    if (seen == 0 || seen > router_seq(d->router))
        return problem_set(p, STATUS_BAD_REQUEST, "/seen_to",
                           "needed for history: the last record of the log that was read");
    if (router_seq(d->router) - seen > UNSEEN_MOST)
        return problem_set(p, STATUS_CONFLICT, "/seen_to",
                           "the log has grown by more than %d records since: read on and repeat",
                           UNSEEN_MOST);
    for (uint64_t seq = seen + 1; seq <= router_seq(d->router); seq++) {
        const struct event *e = &d->extra;
        enum status s = desk_read(d, seq, &d->extra, p);
        if (s != STATUS_OK)
            return s;
        if (e->kind == EVENT_TAUGHT && e->feedback.feedback.retract &&
            !note(u, e->feedback.feedback.seq))
            return problem_set(p, STATUS_UNAVAILABLE, "", "no memory");
    }
    return STATUS_OK;
}

static enum status unteach(struct desk *d, uint64_t seq, bool dry, struct undone *u,
                           struct corrected *c, struct problem *p)
{
    bool again = noted(u, seq);
    if (!again && !note(u, seq))
        return problem_set(p, STATUS_UNAVAILABLE, "", "no memory");
    enum status s = desk_unteach(d, seq, dry || again, c, p);
    if (again)
        c->result = FEEDBACK_DUPLICATE;
    return s;
}

static void answer(struct text *t, const struct desk *d, const struct corrected *c, bool dry)
{
    static const char *const name[] = {
        [FEEDBACK_APPLIED] = "applied",     [FEEDBACK_AMENDED] = "amended",
        [FEEDBACK_RETRACTED] = "retracted", [FEEDBACK_SUPERSEDED] = "superseded",
        [FEEDBACK_DUPLICATE] = "duplicate", [FEEDBACK_LATE] = "late"};
    text_printf(t, "{\"status\":\"%s\",\"model\":", dry ? "dry_run" : name[c->result]);
    text_json_string(t, router_params(d->router)->catalog.model[c->arm].name);
    text_printf(t, ",\"learned\":%s}", c->learned ? "true" : "false");
}

static bool has_history(const json_t *items)
{
    for (size_t i = 0; i < json_array_size(items); i++)
        if (json_object_get(json_array_get(items, i), "taught"))
            return true;
    return false;
}

static enum status do_items(struct desk *d, const struct message *all, const json_t *root,
                            struct undone *u, struct outbuf *out, struct problem *problem)
{
    const json_t *items = json_object_get(root, "items");
    const struct message m = {.op = WIRE_FEEDBACK_MANY, /* as the wire's readers know items */
                              .items = (int)json_array_size(items),
                              .corrects = true,
                              .doc = all->doc};
    bool dry = json_is_true(json_object_get(root, "dry_run"));
    for (int i = 0; i < m.items; i++) {
        const json_t *taught = json_object_get(json_array_get(items, (size_t)i), "taught");
        struct corrected c = {.learned = false};
        struct problem p = {0};
        if (!outbuf_reserve(out, ANSWER_ROOM))
            return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the answer");
        text_put(&out->text, i ? "," : "");
        enum status s = taught ? unteach(d, (uint64_t)json_integer_value(taught), dry, u, &c, &p)
                               : desk_correct(d, &m, i, dry, &c, &p);
        if (s == STATUS_OK)
            answer(&out->text, d, &c, dry);
        else
            reply_error(&out->text, &p);
    }
    return STATUS_OK;
}

enum status control_unlearn(struct desk *d, const struct message *m, const json_t *root,
                            struct outbuf *out, struct problem *problem)
{
    const json_t *items = json_object_get(root, "items");
    const char *reason = json_string_value(json_object_get(root, "reason"));
    bool settle = json_is_true(json_object_get(root, "settle"));
    struct undone u = {.n = 0};
    if (!json_is_array(items) || json_array_size(items) > BATCH_ITEMS_MAX)
        return problem_set(problem, STATUS_BAD_REQUEST, "/items", "expected an array of 0 to %d",
                           BATCH_ITEMS_MAX);
    enum status s = has_history(items)
                        ? read_undone(d, json_object_get(root, "seen_to"), &u, problem)
                        : STATUS_OK;
    if (s == STATUS_OK) {
        text_put(&out->text, "{\"v\":1,\"items\":[");
        s = do_items(d, m, root, &u, out, problem);
        if (settle)
            desk_tick(d);
        text_printf(&out->text, "],\"seq\":%" PRIu64 "}", router_seq(d->router));
    }
    free(u.seq);
    if (s == STATUS_OK && !d->full && json_array_size(items) > 0 &&
        !json_is_true(json_object_get(root, "dry_run"))) {
        desk_audit_note(d, "unlearn",
                        json_pack("[{s:s,s:{s:I,s:b}}]", "path", "/unlearn", "to", "items",
                                  (json_int_t)json_array_size(items), "history",
                                  has_history(items)));
        log_event(LOG_LEVEL_INFO, "unlearn", "items", LOG_NUMBER(json_array_size(items)), "reason",
                  reason ? reason : "", NULL);
    }
    return s;
}
