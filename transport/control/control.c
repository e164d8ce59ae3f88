/* SPDX-License-Identifier: MIT */
/*
 * What operators ask and change while the service runs. A change is a patch of the configuration in
 * force, becomes an event like everything that shapes decisions, and is answered when it is
 * durable. Ops are a table: name, the fields it takes, the function. A field that is not in the
 * table's row is refused. What reads the store at length (backup, spend.get, whatif) runs in
 * libuv's thread pool over read transactions. Beside config.set there are weights.set, policy.set
 * and the like: who changes weights should not have to know the shape of the whole document.
 */
#include "transport/control/control_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "core/event/decision_id.h"
#include "core/router/snapshot.h"
#include "transport/cli/words.h"
#include "transport/control/control_alerts.h"
#include "transport/control/control_decisions.h"
#include "transport/control/control_learned.h"
#include "transport/control/control_lens.h"
#include "transport/control/control_log.h"
#include "transport/control/control_pools.h"
#include "transport/control/control_spend.h"
#include "transport/control/control_stats.h"
#include "transport/control/control_unlearn.h"

typedef enum status (*handler)(struct call *c, struct problem *p);

bool control_room(struct call *c, size_t n)
{
    struct outbuf *o = slot_out(c->slot);
    bool ok = outbuf_reserve(o, n);
    c->out = &o->text;
    return ok;
}

void control_over(struct control *c, struct slot *slot, bool cancelled, enum status s,
                  struct problem *p)
{
    if (cancelled)
        s = problem_set(p, STATUS_UNAVAILABLE, "", "the service is stopping");
    if (s != STATUS_OK)
        desk_error(slot_out(slot), p);
    c->jobs--;
    c->done(c->ctx, slot);
}

static enum status pools_list(struct call *c, struct problem *p)
{
    return control_pools_list(c->control->desk, c->root, slot_out(c->slot), p);
}

static enum status stats(struct call *c, struct problem *p)
{
    if (!control_stats(c->control->desk->router, slot_out(c->slot)))
        return problem_set(p, STATUS_UNAVAILABLE, "", "no memory for the answer");
    text_put(c->out, ",\"service\":{");
    c->control->gauges(c->control->ctx, c->out);
    text_put(c->out, "}}");
    return STATUS_OK;
}

static enum status state_of(struct call *c, struct problem *p)
{
    static struct router_stats st; /* loop thread only; too big for the stack */
    struct desk *d = c->control->desk;
    (void)p;
    router_stats(d->router, &st);
    text_printf(c->out,
                "{\"v\":1,\"status\":\"%s\",\"seq\":%" PRIu64 ",\"epoch\":%" PRIu32
                ",\"config_seq\":%" PRIu64 ",\"snapshot_seq\":%" PRIu64
                ",\"durability\":\"%s\",\"store_id\":\"%s\",\"policy\":\"%s\",\"role\":\"%s\","
                "\"data\":",
                d->broken ? "failed"
                : d->full ? "storage_full"
                          : "serving",
                router_seq(d->router), router_epoch(d->router), router_config_seq(d->router),
                d->snapshot_seq, c->control->settings->relaxed ? "relaxed" : "full",
                db_store_id(d->db), router_params(d->router)->policy.name,
                c->role ? c->role : "open");
    text_json_string(c->out, c->control->data_dir);
    control_canary(c->out, router_params(d->router)->canary.share, &st);
    if (json_is_true(json_object_get(c->root, "digest")))
        text_printf(c->out, ",\"digest\":\"%016" PRIx64 "\"", snapshot_digest(d->router));
    text_put(c->out, ",");
    alert_past_put(&d->told, c->out);
    text_put(c->out, "}");
    return STATUS_OK;
}

static enum status snapshot(struct call *c, struct problem *p)
{
    struct desk *d = c->control->desk;
    if (d->full)
        return problem_set(p, STATUS_STORAGE_FULL, "", "the store is full");
    c->control->snapshot(c->control->ctx);
    text_printf(c->out, "{\"v\":1,\"snapshot_seq\":%" PRIu64 "}", router_seq(d->router));
    return STATUS_OK;
}

static enum status explain(struct call *c, struct problem *p)
{
    struct desk *d = c->control->desk;
    const char *id = json_string_value(json_object_get(c->root, "decision_id"));
    uint32_t epoch;
    uint64_t seq, mac;
    if (!id || !decision_id_parse(id, &epoch, &seq, &mac))
        return problem_set(p, STATUS_BAD_REQUEST, "/decision_id",
                           "decision_id is needed, as the route reply gave it");
    if (decision_mac(epoch, seq, router_mac_key(d->router)) != mac)
        return problem_set(p, STATUS_UNKNOWN_DECISION, "/decision_id",
                           "this service gave no decision this id");
    enum status s = desk_find(d, seq, &d->event, p);
    if (s != STATUS_OK)
        return s;
    if (d->event.decided.epoch != epoch)
        return problem_set(p, STATUS_UNKNOWN_DECISION, "/decision_id",
                           "this decision was lost with a crash before it was recorded");
    if (c->tenant[0] && strcmp(c->tenant, d->event.decided.labels.tenant) != 0)
        return problem_set(p, STATUS_UNKNOWN_DECISION, "/decision_id",
                           "this service gave no decision this id");
    text_put(c->out, "{\"v\":1,\"decision\":");
    reply_decision(c->out, &d->event, &router_params(d->router)->catalog, router_mac_key(d->router),
                   &(struct reply_ask){.explain = true});
    text_put(c->out, ",\"words\":");
    words_decision(c->out, &d->event.decided, &router_params(d->router)->catalog);
    text_put(c->out, ",\"record\":");
    event_describe(&d->event, c->out);
    text_put(c->out, "}");
    return STATUS_OK;
}

static enum status log_range(struct call *c, struct problem *p)
{
    return control_log(c->control->desk, c->root, slot_out(c->slot), p);
}

static enum status labels_range(struct call *c, struct problem *p)
{
    return control_labels(c->control->desk, c->root, slot_out(c->slot), p);
}

static enum status unlearn(struct call *c, struct problem *p)
{
    return control_unlearn(c->control->desk, c->message, c->root, slot_out(c->slot), p);
}

static enum status lens(struct call *c, struct problem *p)
{
    return control_lens(c->control->desk, c->root, c->out, p);
}

static enum status learned(struct call *c, struct problem *p)
{
    struct desk *d = c->control->desk;
    const char *verb = strchr(c->message->op_name, '.');
    if (verb && strcmp(verb, ".set") == 0)
        return control_learned_set(d, c->root, c->out, p);
    if (verb && strcmp(verb, ".undo") == 0)
        return control_learned_undo(d, c->root, c->out, p);
    return control_learned_get(d->router, db_store_id(d->db), c->root, slot_out(c->slot), p);
}

static enum status spend(struct call *c, struct problem *p)
{
    enum status s = control_spend(c->control, c->slot, c->root, p);
    c->later = s == STATUS_OK;
    return s;
}

static enum status decisions(struct call *c, struct problem *p)
{
    return control_decisions(c->control->desk, c->root, c->tenant, slot_out(c->slot), p);
}

static enum status alerts(struct call *c, struct problem *p)
{
    return control_alerts(c->control->desk, slot_out(c->slot), p);
}

static const struct {
    const char *op;
    handler run;
    const char *fields; /* beside v, op, key, reason */
} ops[] = {
    {"stats", stats, ""},
    {"status", state_of, " digest "},
    {"models.list", control_part_get, ""},
    {"models.set", control_part_set, " models "},
    {"models.rename", control_models_rename, " model to "},
    {"lens.get", lens, ""},
    {"lens.set", lens, " lens_b64 "},
    {"learned.get", learned, " tenant model "},
    {"learned.set", learned, " import tenant model schema as_of_ms share replace parts prior "},
    {"learned.undo", learned, " import tenant model "},
    {"weights.get", control_part_get, ""},
    {"weights.set", control_part_set, " weights "},
    {"policy.get", control_part_get, ""},
    {"policy.set", control_part_set, " policy "},
    {"learners.get", control_part_get, ""},
    {"learners.set", control_part_set, " learners "},
    {"pools.list", pools_list, " pool from limit "},
    {"pools.set", control_pools_set, " pool set add remove rearm "},
    {"config.get", control_config_get, ""},
    {"config.set", control_config_set, " change config config_seq "},
    {"config.at", control_config_at, " entry "},
    {"audit", control_audit, " from limit about "},
    {"whatif", control_whatif, " change config config_seq days decisions "},
    {"snapshot", snapshot, ""},
    {"backup", control_backup, " to "},
    {"explain", explain, " decision_id "},
    {"decisions", decisions, " limit "},
    {"alerts", alerts, ""},
    {"log", log_range, " from to limit "},
    {"labels", labels_range, " from source tenant batch history "},
    {"spend.get", spend, " from to by bucket where "},
    {"unlearn", unlearn, " items seen_to dry_run settle "},
};

static enum status unknown_field(struct problem *p, const char *key, const char *common,
                                 const char *fields)
{
    char path[NAME_CAP + 1];
    snprintf(path, sizeof path, "/%s", key);
    return problem_set(p, STATUS_UNKNOWN_FIELD, path, "unknown field %.40s; known:%s%s", key,
                       common, fields);
}

static enum status check_fields(const json_t *root, const char *fields, struct problem *p)
{
    static const char common[] = " v op key reason ";
    /* jansson's iterators take no const, though nothing is changed. */
    json_t *doc = (json_t *)(uintptr_t)root;
    for (void *i = json_object_iter(doc); i; i = json_object_iter_next(doc, i)) {
        const char *key = json_object_iter_key(i);
        char word[NAME_CAP + 2];
        if (strncmp(key, "x_", 2) == 0)
            continue;
        bool fits = snprintf(word, sizeof word, " %s ", key) < (int)sizeof word;
        if (!fits || strchr(key, ' ') || (!strstr(common, word) && !strstr(fields, word)))
            return unknown_field(p, key, common, fields);
    }
    const json_t *reason = json_object_get(root, "reason");
    if (reason && (!json_is_string(reason) || json_string_length(reason) > AUDIT_WHY_MAX))
        return problem_set(p, STATUS_BAD_REQUEST, "/reason", "expected a text of 0 to %d bytes",
                           AUDIT_WHY_MAX);
    return STATUS_OK;
}

static enum status run(struct call *c, const char *op, struct problem *p)
{
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(op, ops[i].op) != 0)
            continue;
        enum status s = check_fields(c->root, ops[i].fields, p);
        return s == STATUS_OK ? ops[i].run(c, p) : s;
    }
    return problem_set(
        p, STATUS_BAD_REQUEST, "/op",
        "unknown op %.40s; control knows stats, status, audit, whatif, snapshot, backup, "
        "explain, decisions, alerts, log, labels, unlearn, teach, spend.get and what begins with "
        "models. lens. learned. weights. policy. learners. pools. config.",
        op);
}

const char *control_op(size_t i)
{
    return i < sizeof ops / sizeof ops[0] ? ops[i].op : NULL;
}

bool control_answer(struct control *c, const struct message *m, struct slot *slot)
{
    struct problem p = {0};
    json_t *root = json_tree(m->doc.value);
    struct call call = {.control = c,
                        .slot = slot,
                        .message = m,
                        .root = root,
                        .role = m->role,
                        .tenant = m->tenant};
    slot_out(slot)->text.packed = false; /* what is written here is JSON */
    outbuf_clear(slot_out(slot));
    if (!root || !control_room(&call, OUTBUF_ITEM)) {
        json_decref(root);
        return true; /* an empty reply: no memory even to say so */
    }
    c->desk->who = m->caller[0] ? m->caller : "loopback";
    c->desk->why = json_string_value(json_object_get(root, "reason"));
    enum status s = run(&call, m->op_name, &p);
    c->desk->who = c->desk->why = NULL;
    json_decref(root);
    if (s == STATUS_OK && call.out->full)
        s = problem_set(&p, STATUS_INTERNAL, "", "the answer is too long");
    if (s != STATUS_OK)
        desk_error(slot_out(slot), &p);
    return !call.later;
}
