/* SPDX-License-Identifier: MIT */
/*
 * Configuration documents: read whole, patched, written back, described. A document takes effect
 * entirely or not at all: everything is read into a copy and checked there.
 *
 * What config_render writes is what the log keeps, so reading it back must give the same parameters
 * to the bit; replay depends on it. Therefore numbers are written with as many digits as they need,
 * prices as exact decimals, and retired models too: their slots count.
 */
#include "core/config/config_fields.h"

#include <string.h>
#include "bandit/policy/policy.h"
#include "core/config/config_pools.h"
#include "core/features/features.h"
#include "core/guard/fairness.h"

static const struct doc_bounds bounds = {
    .bytes = CONFIG_MAX, .item_bytes = CONFIG_MAX, .elements = 16384, .items = 128};

static enum status fail_at(struct problem *p, const char *group, const char *key, const char *text)
{
    struct json_at up = {.key = group}, at = {.up = &up, .key = key};
    return json_fail(p, STATUS_BAD_REQUEST, key ? &at : &up, "%s", text);
}

static enum status check_model(const struct params *p, const char *name, const struct json_at *at,
                               struct problem *problem)
{
    char quoted[QUOTE_CAP];
    if (name[0] == '\0' || catalog_find(&p->catalog, name) >= 0)
        return STATUS_OK;
    return json_fail(problem, STATUS_BAD_REQUEST, at, "no model \"%s\" in models",
                     json_quote(quoted, name));
}

static enum status check_fairness(const struct params *p, struct problem *problem)
{
    if (fairness_knows(p->fairness.dimension))
        return STATUS_OK;
    struct json_at fair = {.key = "fairness"}, at = {.up = &fair, .key = "dimension"};
    return json_fail(problem, STATUS_BAD_REQUEST, &at,
                     "requests have no such label; it is one of group, tenant, task, domain, "
                     "user_tier, user, outcome");
}

static enum status check_policy(const struct params *p, const struct policy_settings *policy,
                                const struct json_at *up, struct problem *problem)
{
    struct json_at name_at = {.up = up, .key = "name"}, model_at = {.up = up, .key = "model"},
                   floor_at = {.up = up, .key = "floor_min"};
    if (!policy_find(policy->name)) {
        char quoted[QUOTE_CAP], known[NAMES_CAP];
        struct text t = text_over(known, sizeof known);
        for (int i = 0; policy_at(i); i++)
            text_printf(&t, "%s%s", i > 0 ? ", " : "", policy_at(i)->name);
        return json_fail(problem, STATUS_BAD_REQUEST, &name_at,
                         "no policy \"%s\"; policies are: %s", json_quote(quoted, policy->name),
                         known);
    }
    if (policy->floor_min > policy->floor)
        return json_fail(problem, STATUS_BAD_REQUEST, &floor_at, "must not exceed floor");
    return check_model(p, policy->model, &model_at, problem);
}

static enum status check_policies(const struct params *p, struct problem *problem)
{
    struct json_at policy = {.key = "policy"}, canary = {.key = "canary"},
                   its = {.up = &canary, .key = "policy"};
    enum status st = check_policy(p, &p->policy, &policy, problem);
    if (st == STATUS_OK)
        st = check_policy(p, &p->canary.policy, &its, problem);
    if (st == STATUS_OK && p->canary.share > 0 && p->canary.share < 1.0 / HULL_REACH_MAX)
        st = fail_at(problem, "canary", "share", "expected 0 or a number from 0.005 on");
    if (st == STATUS_OK && p->canary.share > 0 &&
        (p->guard.hull || p->guard.alpha > 0 || p->policy.apprentice ||
         p->canary.policy.apprentice))
        st = fail_at(problem, "canary", "share",
                     "not beside /guard/hull, /guard/alpha or an apprentice: they compare with "
                     "something else, and one draw cannot be for both");
    return st;
}

static enum status check_catalog(const struct catalog *c, struct problem *problem)
{
    int active = 0;
    char quoted[QUOTE_CAP];
    struct json_at at = {.key = "models"};
    for (int i = 0; i < c->n; i++) {
        active += c->model[i].active;
        if (c->model[i].tier < 0)
            return json_fail(problem, STATUS_BAD_REQUEST, &at,
                             "the tier of \"%s\" is no longer in tiers: name a new one",
                             json_quote(quoted, c->model[i].name));
    }
    if (active == 0)
        return fail_at(problem, "models", NULL, "at least one model must be active");
    return STATUS_OK;
}

static enum status check_rules(const struct params *p, struct problem *problem)
{
    struct json_at list = {.key = "rules"};
    for (int i = 0; i < p->n_rules; i++) {
        struct json_at at = {.up = &list, .index = i}, model_at = {.up = &at, .key = "model"};
        if (p->rule[i].model[0] == '\0' && p->rule[i].tier < 0 && p->rule[i].min_tier < 0)
            return json_fail(problem, STATUS_BAD_REQUEST, &at, "its tier is no longer in tiers");
        enum status st = check_model(p, p->rule[i].model, &model_at, problem);
        if (st != STATUS_OK)
            return st;
    }
    return STATUS_OK;
}

/* Whether only programs of this machine reach an address. */
static bool is_local(const char *url)
{
    static const char *const local[] = {"127.", "localhost:", "[::1]:", NULL};
    const char *host = strstr(url, "://");
    if (!host || strncmp(url, "ipc", 3) == 0 || strncmp(url, "unix", 4) == 0 ||
        strncmp(url, "abstract", 8) == 0 || strncmp(url, "inproc", 6) == 0)
        return true;
    for (int i = 0; local[i]; i++)
        if (strncmp(host + 3, local[i], strlen(local[i])) == 0)
            return true;
    return false;
}

/* Without keys, or a client's certificate, only this machine may come in. Subscribers cannot show a
 * key: it is a certificate for them or this machine. */
static enum status check_doors(const struct settings *s, const char *const listen[5][2],
                               struct problem *problem)
{
    if (!is_local(s->listen_http) && !s->key_file[0])
        return fail_at(problem, "listen", "http",
                       "others than this machine reach it: name a /keys/file (purser keys create), "
                       "or use 127.0.0.1");
    for (int i = 0; i < 5; i++) {
        bool subscribers = strcmp(listen[i][0], "events") == 0;
        bool certified = strncmp(listen[i][1], "tls+", 4) == 0 && s->tls_require_client;
        if (is_local(listen[i][1]) || certified || (s->key_file[0] && !subscribers))
            continue;
        return fail_at(problem, "listen", listen[i][0],
                       subscribers ? "others than this machine reach it, and subscribers cannot "
                                     "show a key: use 127.0.0.1, or tls+tcp:// with "
                                     "/listen/tls/require_client_cert"
                                   : "others than this machine reach it: name a /keys/file (purser "
                                     "keys create), or use 127.0.0.1, or tls+tcp:// with "
                                     "/listen/tls/require_client_cert");
    }
    return STATUS_OK;
}

static enum status check_settings(const struct params *p, const struct settings *s,
                                  struct problem *problem)
{
    const char *const listen[][2] = {{"route", s->listen_route},
                                     {"feedback", s->listen_feedback},
                                     {"control", s->listen_control},
                                     {"events", s->listen_events},
                                     {"intake", s->listen_intake}};
    for (int i = 0; i < 5; i++) {
        if (listen[i][1][0] != '\0' && !strstr(listen[i][1], "://"))
            return fail_at(problem, "listen", listen[i][0],
                           "expected an address such as tcp://127.0.0.1:7601, or \"\" for none");
        if (strncmp(listen[i][1], "tls+", 4) == 0 && (!s->tls_cert[0] || !s->tls_key[0]))
            return fail_at(problem, "listen", listen[i][0],
                           "needs /listen/tls/cert and /listen/tls/key");
    }
    if (s->tls_require_client && !s->tls_ca[0])
        return fail_at(problem, "listen", "tls", "require_client_cert needs /listen/tls/ca");
    if (!s->data_dir[0])
        return fail_at(problem, "store", "dir", "must not be empty");
    enum status st = check_doors(s, listen, problem);
    if (st != STATUS_OK)
        return st;
    if (s->retention_days < p->learner.join_window_hours / 24 + 1)
        return fail_at(problem, "store", "retention_days",
                       "must be at least /learner/join_window_hours and a day: late feedback needs "
                       "the record of its decision");
    return STATUS_OK;
}

static enum status check_pools(const struct params *p, struct problem *problem)
{
    struct json_at list = {.key = "pools"};
    enum status st = config_pools_check(&p->pools, problem);
    for (int i = 0; st == STATUS_OK && i < p->pools.n; i++) {
        struct json_at at = {.up = &list, .index = i}, match = {.up = &at, .key = "match"},
                       model = {.up = &match, .key = "model"};
        st = check_model(p, p->pools.spec[i].match[POOL_MODEL], &model, problem);
    }
    if (st == STATUS_OK && p->pools.n > 0 &&
        (double)p->budget.expire_after_s > p->learner.join_window_hours * 3600)
        st = fail_at(problem, "budget", "expire_after_s",
                     "longer than /learner/join_window_hours: what is reported after that window "
                     "is not taken, so nothing can wait for it");
    return st;
}

static bool weighs(const struct objective *o)
{
    return o->quality > 0 || o->cost > 0 || o->latency > 0 || o->failure > 0;
}

/* With all weights 0 every model is worth the same: nobody means that. */
static enum status check_weights(const struct params *p, struct problem *problem)
{
    static const char *const text =
        "all weights are 0, so that no model would be better than another: give one";
    if (!weighs(&p->objective))
        return fail_at(problem, "objective", NULL, text);
    if (p->canary.share > 0 && !weighs(&p->canary.objective))
        return fail_at(problem, "canary", "objective", text);
    if (p->budget.throttle > 0 && !(p->budget.usd_per_request > 0))
        return fail_at(problem, "budget", "throttle", "only with usd_per_request");
    return STATUS_OK;
}

/* Checks what concerns more than one field. settings may be NULL. */
static enum status check_all(const struct params *p, const struct settings *settings,
                             struct problem *problem)
{
    struct json_at baseline_at = {.key = "baseline"}, features_at = {.key = "features"};
    enum status st = check_catalog(&p->catalog, problem);
    if (st == STATUS_OK)
        st = check_weights(p, problem);
    if (st == STATUS_OK)
        st = check_policies(p, problem);
    if (st == STATUS_OK)
        st = check_rules(p, problem);
    if (st == STATUS_OK)
        st = check_fairness(p, problem);
    if (st == STATUS_OK)
        st = config_silence_check(p, problem);
    if (st == STATUS_OK)
        st = check_pools(p, problem);
    if (st == STATUS_OK && p->learner.most_off > 0 && p->learner.most_off < 1)
        st = fail_at(problem, "learner", "most_off", "expected 0 or a number from 1 on");
    if (st == STATUS_OK)
        st = check_model(p, p->baseline, &baseline_at, problem);
    struct layout layout = features_layout(p, NULL);
    if (st == STATUS_OK && features_dim(&layout) > DIM_MAX)
        st = json_fail(problem, STATUS_BAD_REQUEST, &features_at,
                       "%d entries in all, at most %d are possible: make a dim_ smaller",
                       features_dim(&layout), DIM_MAX);
    if (st == STATUS_OK && settings)
        st = check_settings(p, settings, problem);
    return st;
}

/* Retired models do not hold up a change of tiers. */
static void settle_retired(struct catalog *c)
{
    for (int i = 0; i < c->n; i++) {
        if (!c->model[i].active && c->model[i].tier < 0)
            c->model[i].tier = 0;
    }
}

/* Numbers capabilities anew, without those that nobody has: merging into nothing does that. */
static void renumber(struct catalog *c)
{
    struct catalog fresh;
    memset(&fresh, 0, sizeof fresh);
    if (catalog_merge(&fresh, c))
        *c = fresh;
}

/* Reads a document over what params and settings hold (NULL: the document must not have such). */
static enum status read_document(json_t *root, struct params *p, struct settings *s,
                                 struct problem *problem)
{
    void *base[PARTS] = {[PART_PARAMS] = p, [PART_SETTINGS] = s};
    enum status st = fields_read(config_table(), root, NULL, base, NULL, problem);
    const json_t *v = json_object_get(root, "v"), *tiers = json_object_get(root, "tiers");
    const json_t *models = json_object_get(root, "models"), *rules = json_object_get(root, "rules");
    const json_t *learners = json_object_get(root, "learners");
    const json_t *silence = json_object_get(root, "silence");
    const json_t *zones = json_object_get(root, "zones"), *pools = json_object_get(root, "pools");
    json_t *value = json_object_get(root, "value");
    const json_t *ignore = json_object_get(json_object_get(root, "feedback"), "ignore_sources");
    if (st == STATUS_OK && v && !(json_is_number(v) && json_number_value(v) == 1))
        st = problem_set(problem, STATUS_UNSUPPORTED_VERSION, "/v", "expected 1");
    if (st == STATUS_OK && tiers)
        st = config_tiers_read(p, tiers, problem);
    if (st == STATUS_OK && models)
        st = config_models_read(p, models, problem);
    if (st == STATUS_OK && rules)
        st = config_rules_read(p, rules, problem);
    if (st == STATUS_OK && learners)
        st = config_learners_read(p, learners, problem);
    if (st == STATUS_OK && silence)
        st = config_silence_read(p, silence, problem);
    if (st == STATUS_OK && zones)
        st = config_zones_read(&p->pools, zones, problem);
    if (st == STATUS_OK && pools)
        st = config_pools_read(&p->pools, pools, problem);
    if (st == STATUS_OK && value)
        st = config_value_read(p, value, problem);
    if (st == STATUS_OK && ignore)
        st = config_ignore_read(p, ignore, problem);
    if (st != STATUS_OK)
        return st;
    settle_retired(&p->catalog);
    renumber(&p->catalog);
    return STATUS_OK;
}

enum status config_parse(const char *json, size_t n, struct params *params,
                         struct settings *settings, struct problem *problem)
{
    json_t *root = NULL;
    struct params p;
    struct settings s;
    enum status st = json_open(json, n, &bounds, &root, problem);
    if (st != STATUS_OK)
        return st;
    params_default(&p);
    config_tiers_default(&p.catalog);
    settings_default(&s);
    if (!json_object_get(root, "models"))
        st = fail_at(problem, "models", NULL, "missing: name at least one model");
    else
        st = read_document(root, &p, &s, problem);
    json_decref(root);
    if (st == STATUS_OK)
        st = check_all(&p, settings ? &s : NULL, problem);
    if (st != STATUS_OK)
        return st;
    memcpy(params, &p, sizeof p);
    if (settings)
        memcpy(settings, &s, sizeof s);
    return STATUS_OK;
}

enum status config_patch(struct params *params, const char *json, size_t n, struct problem *problem)
{
    json_t *root = NULL;
    struct params p;
    enum status st = json_open(json, n, &bounds, &root, problem);
    if (st != STATUS_OK)
        return st;
    memcpy(&p, params, sizeof p);
    st = read_document(root, &p, NULL, problem);
    json_decref(root);
    if (st == STATUS_OK)
        st = check_all(&p, NULL, problem);
    if (st == STATUS_OK)
        memcpy(params, &p, sizeof p);
    return st;
}

size_t config_render(const struct params *params, char *out, size_t cap)
{
    if (cap == 0)
        return 0;
    struct text t = text_over(out, cap);
    text_put(&t, "{\"v\":1,");
    fields_render(config_table(), PART_PARAMS, params, &t);
    text_put(&t, ",\"feedback\":{\"ignore_sources\":[");
    config_ignore_render(params, &t);
    text_put(&t, "]},\"tiers\":[");
    for (int i = 0; i < params->catalog.n_tiers; i++) {
        text_put(&t, i > 0 ? "," : "");
        text_json_string(&t, params->catalog.tier[i]);
    }
    text_put(&t, "],\"models\":[");
    config_models_render(&params->catalog, &t);
    text_put(&t, "],\"rules\":[");
    config_rules_render(params, &t);
    text_put(&t, "],\"learners\":[");
    config_learners_render(&params->learners, &t);
    text_put(&t, "],\"silence\":[");
    config_silence_render(params, &t);
    text_put(&t, "],\"zones\":[");
    config_zones_render(&params->pools, &t);
    text_put(&t, "],\"pools\":[");
    config_pools_render(&params->pools, &t);
    text_put(&t, "],\"value\":{");
    config_value_render(params, &t);
    text_put(&t, "}}");
    return t.full ? 0 : t.len;
}

size_t config_reference(char *out, size_t cap)
{
    static const char head[] =
        "| field | type and bounds | default | meaning |\n|---|---|---|---|\n";
    if (cap == 0)
        return 0;
    struct text t = text_over(out, cap);
    text_put(&t, head);
    fields_reference(config_table(), "/", &t);
    fields_reference(config_model_table(), "/models/*/", &t);
    fields_reference(config_rule_table(), "/rules/*/", &t);
    fields_reference(config_learner_table(), "/learners/*/", &t);
    fields_reference(config_silence_table(), "/silence/*/", &t);
    fields_reference(config_zone_table(), "/zones/*/", &t);
    fields_reference(config_zone_change_table(), "/zones/*/changes/*/", &t);
    fields_reference(config_pool_table(), "/pools/*/", &t);
    fields_reference(config_value_table(), "/value/", &t);
    return t.full ? 0 : t.len;
}
