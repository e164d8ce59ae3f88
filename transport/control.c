/* SPDX-License-Identifier: MIT */
/*
 * What operators ask and change while the service runs. A change is a patch of the configuration in
 * force, becomes an event like everything that shapes decisions, and is answered when it is
 * durable. Ops are a table: name, the fields it takes, the function. A field that is not in the
 * table's row is refused. Considered: one op "config.set" instead of weights.set, policy.set,
 * models.set. Operators who change weights should not have to know the shape of the whole document;
 * config.get shows it.
 */
#include "transport/control.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/decision_id.h"
#include "core/snapshot.h"
#include "transport/control_alerts.h"
#include "transport/control_backup.h"
#include "transport/control_decisions.h"
#include "transport/control_lens.h"
#include "transport/control_log.h"
#include "transport/control_pools.h"
#include "transport/control_spend.h"
#include "transport/control_stats.h"
#include "transport/control_unlearn.h"
#include "transport/log.h"
#include "transport/words.h"

struct call {
    struct control *control;
    struct slot *slot;
    const json_t *root;
    const char *role;   /* of the caller; NULL: the service is open */
    const char *tenant; /* whom the caller speaks for; "" = the service's operator */
    struct text *out;
    bool later;
};

typedef enum status (*handler)(struct call *c, struct problem *p);

/* The document of the configuration in force. */
static json_t *config_document(const struct desk *d, struct problem *p)
{
    char *bytes = malloc(CONFIG_MAX);
    size_t n = bytes ? config_render(router_params(d->router), bytes, CONFIG_MAX) : 0;
    json_t *doc = n ? json_loadb(bytes, n, 0, NULL) : NULL;
    free(bytes);
    if (!doc)
        problem_set(p, STATUS_INTERNAL, "", "the configuration cannot be rendered");
    return doc;
}

static bool reserve(struct call *c, size_t n)
{
    struct outbuf *o = slot_out(c->slot);
    bool ok = outbuf_reserve(o, n);
    c->out = &o->text;
    return ok;
}

/* Writes {"v":1,"config_seq":N,"<name>":value}. */
static enum status put_value(struct call *c, const char *name, const json_t *value,
                             struct problem *p)
{
    char *s = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    if (!s || !reserve(c, strlen(s) + 256)) {
        free(s);
        return problem_set(p, STATUS_UNAVAILABLE, "", "no memory for the answer");
    }
    text_printf(c->out, "{\"v\":1,\"config_seq\":%" PRIu64 ",\"%s\":",
                router_config_seq(c->control->desk->router), name);
    text_put(c->out, s);
    text_put(c->out, "}");
    free(s);
    return STATUS_OK;
}

static enum status get_part(struct call *c, const char *name, const char *key, struct problem *p)
{
    json_t *doc = config_document(c->control->desk, p);
    if (!doc)
        return STATUS_INTERNAL;
    enum status s = put_value(c, name, key ? json_object_get(doc, key) : doc, p);
    json_decref(doc);
    return s;
}

/* Tells a place in the document (/objective/cost) as one in the message (/weights/cost). */
static void rename_root(struct problem *p, const char *key, const char *field)
{
    char path[sizeof p->path];
    size_t n = strlen(key);
    if (p->path[0] != '/' || strncmp(p->path + 1, key, n) != 0 ||
        (p->path[n + 1] != '/' && p->path[n + 1] != '\0'))
        return;
    int fits = snprintf(path, sizeof path, "/%s%s", field, p->path + n + 1);
    if (fits < (int)sizeof path)
        strcpy(p->path, path);
}

static void log_configured(const struct call *c)
{
    const char *reason = json_string_value(json_object_get(c->root, "reason"));
    log_event(LOG_LEVEL_INFO, "configured", "origin",
              json_string_value(json_object_get(c->root, "op")), "config_seq",
              LOG_NUMBER(router_config_seq(c->control->desk->router)), "reason",
              reason ? reason : "", NULL);
}

/* Applies {"key": value} (value is taken) as a patch and makes it an event. Problems name `field`
 * of the message in its stead. */
static enum status apply_part(struct call *c, const char *field, const char *key, json_t *value,
                              struct problem *p)
{
    struct desk *d = c->control->desk;
    json_t *patch = json_object();
    char *bytes = NULL;
    if (patch && value && json_object_set_new(patch, key, value) == 0)
        bytes = json_dumps(patch, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(patch);
    struct params *params = malloc(sizeof *params);
    enum status s = STATUS_UNAVAILABLE;
    if (!bytes || !params) {
        problem_set(p, s, "", "no memory for the change");
    } else {
        *params = *router_params(d->router);
        s = config_patch(params, bytes, strlen(bytes), p);
        if (s == STATUS_OK && c->control->settings->relaxed && config_pools_strict(&params->pools))
            s = problem_set(p, STATUS_BAD_REQUEST, "/store/durability", CONFIG_POOLS_RELAXED);
        if (s == STATUS_OK) {
            const char *op = json_string_value(json_object_get(c->root, "op"));
            s = desk_configure(d, params, op ? op : "control", router_file_hash(d->router), p);
        }
    }
    free(params);
    free(bytes);
    if (s != STATUS_OK) {
        rename_root(p, key, field);
        return s;
    }
    log_configured(c);
    return get_part(c, field, key, p);
}

static enum status set_part(struct call *c, const char *field, const char *key, struct problem *p)
{
    const json_t *value = json_object_get(c->root, field);
    char path[NAME_CAP + 1] = "/";
    strncat(path, field, NAME_LEN);
    if (!value)
        return problem_set(p, STATUS_BAD_REQUEST, path, "%s is needed", field);
    /* A copy: the message stays as it is. */
    return apply_part(c, field, key, json_deep_copy(value), p);
}

static enum status models_list(struct call *c, struct problem *p)
{
    return get_part(c, "models", "models", p);
}

static enum status models_set(struct call *c, struct problem *p)
{
    return set_part(c, "models", "models", p);
}

static enum status models_rename(struct call *c, struct problem *p)
{
    const char *from = json_string_value(json_object_get(c->root, "model")),
               *to = json_string_value(json_object_get(c->root, "to"));
    if (!from || !to)
        return problem_set(p, STATUS_BAD_REQUEST, from ? "/to" : "/model",
                           "model and to are needed: the name it has and the name it gets");
    enum status s = desk_rename(c->control->desk, from, to, "models.rename", p);
    if (s != STATUS_OK)
        return s;
    log_configured(c);
    return get_part(c, "models", "models", p);
}

static enum status weights_get(struct call *c, struct problem *p)
{
    return get_part(c, "weights", "objective", p);
}

static enum status weights_set(struct call *c, struct problem *p)
{
    return set_part(c, "weights", "objective", p);
}

static enum status policy_get(struct call *c, struct problem *p)
{
    return get_part(c, "policy", "policy", p);
}

static enum status policy_set(struct call *c, struct problem *p)
{
    return set_part(c, "policy", "policy", p);
}

static enum status learners_get(struct call *c, struct problem *p)
{
    return get_part(c, "learners", "learners", p);
}

static enum status learners_set(struct call *c, struct problem *p)
{
    return set_part(c, "learners", "learners", p);
}

static enum status pools_list(struct call *c, struct problem *p)
{
    return control_pools_list(c->control->desk, c->root, slot_out(c->slot), p);
}

static enum status pools_set(struct call *c, struct problem *p)
{
    json_t *doc = config_document(c->control->desk, p);
    if (!doc)
        return STATUS_INTERNAL;
    json_t *list = control_pools_patch(doc, c->root, router_clock(c->control->desk->router), p);
    json_decref(doc);
    return list ? apply_part(c, "pools", "pools", list, p) : p->code;
}

static enum status config_get(struct call *c, struct problem *p)
{
    return get_part(c, "config", NULL, p);
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
    struct desk *d = c->control->desk;
    (void)p;
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
    if (json_is_true(json_object_get(c->root, "digest")))
        text_printf(c->out, ",\"digest\":\"%016" PRIx64 "\"", snapshot_digest(d->router));
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
                   true);
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
    return control_unlearn(c->control->desk, c->root, slot_out(c->slot), p);
}

static enum status lens(struct call *c, struct problem *p)
{
    return control_lens(c->control->desk, c->root, c->out, p);
}

static enum status spend(struct call *c, struct problem *p)
{
    enum status s = control_spend(c->control, c->slot, c->root, p);
    c->later = s == STATUS_OK;
    return s;
}

static enum status backup(struct call *c, struct problem *p)
{
    enum status s = control_backup(c->control, c->slot, c->root, p);
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
    {"models.list", models_list, ""},
    {"models.set", models_set, " models "},
    {"models.rename", models_rename, " model to "},
    {"lens.get", lens, ""},
    {"lens.set", lens, " lens_b64 "},
    {"weights.get", weights_get, ""},
    {"weights.set", weights_set, " weights "},
    {"policy.get", policy_get, ""},
    {"policy.set", policy_set, " policy "},
    {"learners.get", learners_get, ""},
    {"learners.set", learners_set, " learners "},
    {"pools.list", pools_list, " pool from limit "},
    {"pools.set", pools_set, " pool set rearm "},
    {"config.get", config_get, ""},
    {"snapshot", snapshot, ""},
    {"backup", backup, " to "},
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

enum { REASON_MAX = 200 };

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
    if (reason && (!json_is_string(reason) || json_string_length(reason) > REASON_MAX))
        return problem_set(p, STATUS_BAD_REQUEST, "/reason", "expected a text of 0 to %d bytes",
                           REASON_MAX);
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
    return problem_set(p, STATUS_BAD_REQUEST, "/op",
                       "unknown op %.40s; control knows stats, status, models.list, models.set, "
                       "models.rename, lens.get, lens.set, "
                       "weights.get, weights.set, policy.get, policy.set, learners.get, "
                       "learners.set, pools.list, pools.set, config.get, snapshot, backup, "
                       "explain, decisions, alerts, log, labels, unlearn, spend.get, teach",
                       op);
}

const char *control_op(size_t i)
{
    return i < sizeof ops / sizeof ops[0] ? ops[i].op : NULL;
}

bool control_answer(struct control *c, const struct message *m, struct slot *slot)
{
    struct problem p = {0};
    struct call call = {
        .control = c, .slot = slot, .root = m->root, .role = m->role, .tenant = m->tenant};
    outbuf_clear(slot_out(slot));
    if (!reserve(&call, OUTBUF_ITEM))
        return true;
    enum status s = run(&call, m->op_name, &p);
    if (s == STATUS_OK && call.out->full)
        s = problem_set(&p, STATUS_INTERNAL, "", "the answer is too long");
    if (s != STATUS_OK)
        desk_error(slot_out(slot), &p);
    return !call.later;
}
