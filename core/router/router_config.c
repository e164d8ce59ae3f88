/* SPDX-License-Identifier: MIT */
/*
 * The fold's configuration: taking effect, changing, a model's new name. The event keeps the whole
 * document as it will be in force, models in the order of their slots, so replay needs to know
 * nothing of how it came about: a renamed model stands where it stood.
 *
 * Considered: a field "was" in the configuration file. It would have to be taken out again after
 * one start, or it would say every time that a model is renamed that no longer exists.
 */
#include <stdlib.h>
#include <string.h>
#include "core/config/config.h"
#include "core/encoding/json.h"
#include "core/router/router_state.h"

enum status router_adopt_config(struct router *r, const char *json, size_t n,
                                struct problem *problem)
{
    struct params next;
    enum status s = config_parse(json, n, &next, NULL, problem);
    if (s != STATUS_OK)
        return s;
    if (n > CONFIG_MAX)
        return problem_set(problem, STATUS_TOO_LARGE, "", "the configuration exceeds %d bytes",
                           (int)CONFIG_MAX);
    s = router_fits(&next, r->lens, problem);
    if (s != STATUS_OK)
        return s;
    for (int i = 0; i < r->params.catalog.n && i < next.catalog.n; i++)
        pools_rename(&r->pools, r->params.catalog.model[i].name, next.catalog.model[i].name);
    if (!pools_configure(&r->pools, &next.pools))
        return problem_set(problem, STATUS_UNAVAILABLE, "/budget/pool_instances",
                           "out of memory for %lld pools", (long long)next.pools.instances);
    memset(r->refusals, 0, sizeof r->refusals);
    router_resettle(r, &next.learners);
    router_pace_configure(r, &next);
    if (catalog_has_news(&next.catalog, &r->params.catalog))
        r->dearest_n = 0;
    r->params = next;
    canary_settings(&next, &r->other);
    r->reprice_ms = catalog_next_ms(&next.catalog);
    memmove(r->json, json, n);
    r->json_len = n;
    s = router_shape(r, problem);
    if (s == STATUS_OK)
        sessions_bound(&r->sessions, r->params.session.most);
    return s;
}

/* Makes params, whose catalog has its final slots, an event and applies it. Prices whose time has
 * come are in force then. */
static enum status change(struct router *r, int64_t now_ms, struct params *params,
                          const char *origin, uint64_t file_hash, char *json_buffer, size_t cap,
                          struct event *ev, struct problem *problem)
{
    router_begin(r, now_ms, EVENT_CONFIGURED, ev);
    (void)catalog_reprice(&params->catalog, ev->time_ms);
    size_t n = config_render(params, json_buffer, cap);
    if (n == 0)
        return problem_set(problem, STATUS_TOO_LARGE, "", "the configuration exceeds %d bytes",
                           (int)CONFIG_MAX);
    (void)strncpy(ev->configured.origin, origin, NAME_CAP - 1);
    ev->configured.origin[NAME_CAP - 1] = '\0';
    ev->configured.file_hash = file_hash;
    ev->configured.json = json_buffer;
    ev->configured.len = (uint32_t)n;
    return router_apply(r, ev, problem);
}

enum status router_merge(const struct router *r, const struct params *params, struct params *merged,
                         struct problem *problem)
{
    *merged = *params;
    merged->catalog = r->params.catalog;
    if (!catalog_merge(&merged->catalog, &params->catalog))
        return problem_set(problem, STATUS_BAD_REQUEST, "/models",
                           "this store has seen more than %d models, retired ones included",
                           MODELS_MAX);
    merged->learners = r->params.learners;
    if (!learners_merge(&merged->learners, &params->learners))
        return problem_set(problem, STATUS_BAD_REQUEST, "/learners",
                           "this store has seen more than %d tenants with a learner of their own, "
                           "former ones included",
                           LEARNERS_MAX);
    return STATUS_OK;
}

enum status router_configure(struct router *r, int64_t now_ms, const struct params *params,
                             const char *origin, uint64_t file_hash, char *json_buffer, size_t cap,
                             struct event *ev, struct problem *problem)
{
    struct params merged;
    enum status s = router_merge(r, params, &merged, problem);
    return s != STATUS_OK
               ? s
               : change(r, now_ms, &merged, origin, file_hash, json_buffer, cap, ev, problem);
}

bool router_reprice(struct router *r, int64_t now_ms, struct event *ev)
{
    struct params next;
    if (now_ms < r->reprice_ms)
        return false;
    next = r->params;
    if (change(r, now_ms, &next, "prices", 0, r->next_json, CONFIG_MAX, ev, NULL) == STATUS_OK)
        return true;
    r->reprice_ms = INT64_MAX; /* memory is short: with the next configuration again */
    ev->kind = EVENT_NONE;
    return false;
}

bool router_conclude(struct router *r, int64_t now_ms, struct event *ev)
{
    enum canary_turn turn = canary_turn(&r->canary, &r->params);
    struct params next;
    if (turn == CANARY_OPEN)
        return false;
    next = r->params;
    canary_settle(&next, turn);
    bool ok = change(r, now_ms, &next, canary_origin(turn), 0, r->next_json, CONFIG_MAX, ev,
                     NULL) == STATUS_OK;
    if (!ok)
        ev->kind = EVENT_NONE;
    return ok;
}

/* A name stands in the catalog and wherever the configuration refers to a model. */
static void rename_in(char name[NAME_CAP], const char *old_name, const char *new_name)
{
    if (strcmp(name, old_name) != 0)
        return;
    memset(name, 0, NAME_CAP);
    memcpy(name, new_name, strlen(new_name));
}

static void rename_pool(struct pool_spec *s, const char *old_name, const char *new_name)
{
    rename_in(s->match[POOL_MODEL], old_name, new_name);
    if (s->each == POOL_MODEL)
        rename_in(s->over.value, old_name, new_name);
}

enum status router_rename(struct router *r, int64_t now_ms, const char *old_name,
                          const char *new_name, const char *origin, char *json_buffer, size_t cap,
                          struct event *ev, struct problem *problem)
{
    struct params next = r->params;
    if (catalog_find(&next.catalog, old_name) < 0)
        return problem_set(problem, STATUS_UNKNOWN_MODEL, "/model",
                           "there is no model of this name; models.list names those there are");
    if (!json_name_ok(new_name))
        return problem_set(problem, STATUS_BAD_REQUEST, "/to",
                           "expected a name of 1 to %d of [A-Za-z0-9._:/@-]", NAME_LEN);
    if (catalog_find(&next.catalog, new_name) >= 0)
        return problem_set(problem, STATUS_CONFLICT, "/to",
                           "another model has this name, or had it and is retired: rename that one "
                           "first, or choose another name");
    for (int i = 0; i < next.catalog.n; i++)
        rename_in(next.catalog.model[i].name, old_name, new_name);
    for (int i = 0; i < next.n_rules; i++)
        rename_in(next.rule[i].model, old_name, new_name);
    for (int i = 0; i < next.pools.n; i++)
        rename_pool(&next.pools.spec[i], old_name, new_name);
    rename_in(next.policy.model, old_name, new_name);
    rename_in(next.canary.policy.model, old_name, new_name);
    rename_in(next.baseline, old_name, new_name);
    return change(r, now_ms, &next, origin, 0, json_buffer, cap, ev, problem);
}
