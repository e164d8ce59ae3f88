/* SPDX-License-Identifier: MIT */
/*
 * The configuration over the operators' door. Whatever the op, a change is a partial document that
 * config_patch lays over what is in force, so all of them are checked alike, take effect entirely
 * or not at all, and are one kind of event. Numbers leave with the digits they need.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "transport/control/control_inside.h"
#include "transport/control/control_pools.h"
#include "transport/log.h"

/* The parts that have ops of their own, PART.get and PART.set: the member of the message, and of
 * the document. */
static const struct {
    const char *field, *key;
} parts[] = {
    {"weights", "objective"}, {"policy", "policy"}, {"models", "models"}, {"learners", "learners"}};

static const char *op_of(const struct call *c)
{
    return json_string_value(json_object_get(c->root, "op"));
}

static int part_of(const struct call *c)
{
    const char *op = op_of(c);
    size_t n = strcspn(op, "."), i = 0;
    while (i + 1 < sizeof parts / sizeof parts[0] &&
           !(strlen(parts[i].field) == n && strncmp(op, parts[i].field, n) == 0))
        i++;
    return (int)i;
}

enum status control_put(struct call *c, const char *name, const json_t *value, struct problem *p)
{
    char *s = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    if (!s || !control_room(c, strlen(s) + 256)) {
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
    json_t *doc = desk_document(c->control->desk, p);
    if (!doc)
        return STATUS_INTERNAL;
    enum status s = control_put(c, name, key ? json_object_get(doc, key) : doc, p);
    json_decref(doc);
    return s;
}

/* Tells a place in the document (/objective/cost) as one in the message (/weights/cost); key NULL:
 * the document is the message's member `field`. */
static void rename_root(struct problem *p, const char *key, const char *field)
{
    char path[sizeof p->path];
    size_t n = key ? strlen(key) + 1 : 0;
    if (p->path[0] != '/' ||
        (key && (strncmp(p->path + 1, key, n - 1) != 0 || (p->path[n] != '/' && p->path[n]))))
        return;
    int fits = snprintf(path, sizeof path, "/%s%s", field, p->path + n);
    if (fits < (int)sizeof path)
        strcpy(p->path, path);
}

static void log_configured(const struct call *c)
{
    const char *reason = json_string_value(json_object_get(c->root, "reason"));
    log_event(LOG_LEVEL_INFO, "configured", "origin", op_of(c), "config_seq",
              LOG_NUMBER(router_config_seq(c->control->desk->router)), "reason",
              reason ? reason : "", NULL);
}

/* What would be in force: with a patch of what is, or a whole document in its place. Heap memory;
 * NULL: the problem says why. */
static struct params *patched(const struct call *c, const json_t *document, bool whole,
                              struct problem *p)
{
    const struct router *r = c->control->desk->router;
    char *bytes = document ? json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    struct params *params = malloc(sizeof *params), *read = whole ? malloc(sizeof *read) : NULL;
    enum status s = STATUS_OK;
    if (!bytes || !params || (whole && !read)) {
        s = problem_set(p, STATUS_UNAVAILABLE, "", "no memory for the change");
    } else if (whole) {
        s = config_parse(bytes, strlen(bytes), read, NULL, p);
        if (s == STATUS_OK)
            s = router_merge(r, read, params, p);
    } else {
        *params = *router_params(r);
        s = config_patch(params, bytes, strlen(bytes), p);
    }
    free(bytes);
    free(read);
    if (s == STATUS_OK)
        return params;
    free(params);
    return NULL;
}

/* Puts params (taken; NULL: there is a problem) in force. */
static enum status adopt(struct call *c, struct params *params, struct problem *p)
{
    struct desk *d = c->control->desk;
    if (!params)
        return p->code;
    enum status s = desk_configure(d, params, op_of(c), router_file_hash(d->router), p);
    free(params);
    if (s == STATUS_OK)
        log_configured(c);
    return s;
}

/* Applies {"key": value} (value is taken) and answers with that part. Problems name `field` of the
 * message in its stead. */
static enum status apply_part(struct call *c, const char *field, const char *key, json_t *value,
                              struct problem *p)
{
    json_t *patch = json_pack("{s:o}", key, value);
    enum status s = adopt(c, patched(c, patch, false, p), p);
    json_decref(patch);
    if (s != STATUS_OK) {
        rename_root(p, key, field);
        return s;
    }
    return get_part(c, field, key, p);
}

enum status control_part_get(struct call *c, struct problem *p)
{
    int i = part_of(c);
    return get_part(c, parts[i].field, parts[i].key, p);
}

enum status control_part_set(struct call *c, struct problem *p)
{
    int i = part_of(c);
    const json_t *value = json_object_get(c->root, parts[i].field);
    char path[NAME_CAP + 1] = "/";
    strncat(path, parts[i].field, NAME_LEN);
    if (!value)
        return problem_set(p, STATUS_BAD_REQUEST, path, "%s is needed", parts[i].field);
    /* A copy: the message stays as it is. */
    return apply_part(c, parts[i].field, parts[i].key, json_deep_copy(value), p);
}

enum status control_models_rename(struct call *c, struct problem *p)
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

enum status control_pools_set(struct call *c, struct problem *p)
{
    json_t *doc = desk_document(c->control->desk, p);
    if (!doc)
        return STATUS_INTERNAL;
    json_t *list = control_pools_patch(doc, c->root, router_clock(c->control->desk->router), p);
    json_decref(doc);
    return list ? apply_part(c, "pools", "pools", list, p) : p->code;
}

enum status control_config_get(struct call *c, struct problem *p)
{
    return get_part(c, "config", NULL, p);
}

/* Whether the change still fits what is in force. */
static bool timely(const struct call *c, struct problem *p)
{
    const json_t *seen = json_object_get(c->root, "config_seq");
    if (!seen ||
        json_integer_value(seen) == (json_int_t)router_config_seq(c->control->desk->router))
        return true;
    problem_set(p, STATUS_CONFLICT, "/config_seq",
                "the configuration has changed since it was read: read it again, and decide again");
    return false;
}

struct params *control_change(struct call *c, struct problem *p)
{
    const json_t *change = json_object_get(c->root, "change"),
                 *config = json_object_get(c->root, "config");
    if (json_is_object(change) == json_is_object(config)) {
        problem_set(p, STATUS_BAD_REQUEST, "/change",
                    "change is needed, an object: as much of the configuration as is to be "
                    "different; or config, all of it. config.get shows it");
        return NULL;
    }
    if (!timely(c, p))
        return NULL;
    struct params *params = patched(c, change ? change : config, config != NULL, p);
    if (!params)
        rename_root(p, NULL, change ? "change" : "config");
    return params;
}

enum status control_config_set(struct call *c, struct problem *p)
{
    struct params *params = control_change(c, p);
    enum status s = adopt(c, params, p);
    return s == STATUS_OK ? get_part(c, "config", NULL, p) : s;
}
