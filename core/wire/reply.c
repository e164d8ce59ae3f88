/* SPDX-License-Identifier: MIT */
/*
 * Replies, in either encoding, written straight into the caller's buffer. A decision is rendered
 * from its record and the catalog's names only, never from the engine's state: a retry a day later,
 * answered from the log, reads like the first answer.
 *
 * Intervals are 95% intervals of the posterior means, not of single outcomes. Money is written as
 * exact decimals of nanodollars; probabilities with all their digits, because callers weight by
 * them.
 */
#include "core/wire/wire.h"

#include <math.h>
#include <stdio.h>
#include "bandit/policy/policy.h"
#include "core/encoding/emit.h"
#include "core/event/decision_id.h"

static const double z95 = 1.959963984540054; /* 97.5% quantile of the standard normal */

static void key_number(struct emit *e, const char *key, double v, int digits)
{
    emit_key(e, key);
    emit_real(e, v, digits);
}

static void key_string(struct emit *e, const char *key, const char *value)
{
    emit_key(e, key);
    emit_string(e, value);
}

static void key_usd(struct emit *e, const char *key, int64_t nano)
{
    emit_key(e, key);
    emit_usd(e, nano);
}

static void key_int(struct emit *e, const char *key, int64_t v)
{
    emit_key(e, key);
    emit_int(e, v);
}

static void key_object(struct emit *e, const char *key)
{
    emit_key(e, key);
    emit_object(e);
}

static void key_array(struct emit *e, const char *key)
{
    emit_key(e, key);
    emit_array(e);
}

/* A record read from a log may name a slot that this catalog has not. */
static const char *model_name(const struct catalog *c, int slot)
{
    return slot >= 0 && slot < c->n ? c->model[slot].name : "";
}

static const char *tier_name(const struct catalog *c, int slot)
{
    int tier = slot >= 0 && slot < c->n ? c->model[slot].tier : -1;
    return tier >= 0 && tier < c->n_tiers ? c->tier[tier] : "";
}

static void put_range(struct emit *e, const char *key, double mean, double sd, double most)
{
    key_object(e, key);
    key_number(e, "mean", mean, 6);
    key_number(e, "low", fmin(fmax(mean - z95 * sd, 0), most), 6);
    key_number(e, "high", fmin(fmax(mean + z95 * sd, 0), most), 6);
    emit_end(e);
}

static int64_t to_nano(double nano)
{
    return nano >= 9e18 ? INT64_MAX : nano > 0 ? (int64_t)(nano + 0.5) : 0; /* NaN is 0 */
}

/* Cost is uncertain through the output tokens alone. */
static void put_cost(struct emit *e, const struct arm_view *v, int64_t price_out)
{
    double spread = z95 * (double)v->sd[TARGET_TOKENS] * (double)price_out / 1000;
    key_object(e, "cost_usd");
    key_usd(e, "mean", v->cost_nano);
    key_usd(e, "low", to_nano((double)v->cost_nano - spread));
    key_usd(e, "high", to_nano((double)v->cost_nano + spread));
    emit_end(e);
}

static void put_expected(struct emit *e, const struct event_decided *d)
{
    const struct arm_view *v = &d->view[d->arm];
    key_object(e, "expected");
    put_range(e, "quality", (double)v->mean[TARGET_QUALITY], (double)v->sd[TARGET_QUALITY], 1);
    put_cost(e, v, d->price_out);
    put_range(e, "latency_ms", (double)v->mean[TARGET_LATENCY], (double)v->sd[TARGET_LATENCY],
              HUGE_VAL);
    put_range(e, "output_tokens", (double)v->mean[TARGET_TOKENS], (double)v->sd[TARGET_TOKENS],
              HUGE_VAL);
    emit_end(e);
}

static void put_budget(struct emit *e, const struct event_decided *d)
{
    double points = d->multiplier * d->cost_scale_usd;
    const struct charge *c = &d->charge;
    key_object(e, "budget");
    key_string(e, "pool", c->pool[0] ? c->pool : "default");
    key_number(e, "pressure", points / (1 + points), 6);
    if (c->n > 0 && c->left[POOL_NANO] >= 0)
        key_usd(e, "remaining_usd", c->left[POOL_NANO]);
    if (c->n > 0 && c->left[POOL_TOKENS] >= 0)
        key_int(e, "remaining_tokens", c->left[POOL_TOKENS]);
    key_string(e, "action",
               d->reasons & REASON_SOFT_LIMIT                   ? "soft_limit"
               : d->reasons & (REASON_DEGRADED | REASON_BUDGET) ? "degraded"
               : d->multiplier > 0 || d->token_multiplier > 0   ? "paced"
                                                                : "none");
    emit_end(e);
}

static void put_reasons(struct emit *e, uint32_t reasons)
{
    static const struct {
        enum reason bit;
        const char *name;
    } names[] = {{REASON_COLD_START, "cold_start"},
                 {REASON_EXPLORED, "explored"},
                 {REASON_BUDGET_PRESSURE, "budget_pressure"},
                 {REASON_CONSTRAINED, "constrained"},
                 {REASON_RULE, "rule"},
                 {REASON_ONLY_MODEL, "only_model"},
                 {REASON_GUARDED, "guarded"},
                 {REASON_APPRENTICE, "apprentice"},
                 {REASON_BUDGET, "budget"},
                 {REASON_SOFT_LIMIT, "soft_limit"},
                 {REASON_SESSION, "session"},
                 {REASON_HULL, "hull"},
                 {REASON_ESCALATED, "escalated"},
                 {REASON_DEGRADED, "degraded"},
                 {REASON_CANARY, "canary"}};
    key_array(e, "reasons");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (reasons & names[i].bit)
            emit_string(e, names[i].name);
    }
    emit_end(e);
}

static void put_arm(struct emit *e, const struct event_decided *d, const struct catalog *c,
                    int slot)
{
    const struct arm_view *v = &d->view[slot];
    bool eligible = d->eligible >> slot & 1;
    emit_object(e);
    key_string(e, "model", model_name(c, slot));
    emit_key(e, "eligible");
    emit_bool(e, eligible);
    if (!eligible) { /* the rest is unknown */
        key_int(e, "propensity", 0);
        emit_end(e);
        return;
    }
    key_number(e, "propensity", v->pmf, 17);
    key_number(e, "utility", decided_utility(d, slot), 6);
    key_number(e, "utility_sd", (double)v->merit_sd, 6);
    key_number(e, "quality", (double)v->mean[TARGET_QUALITY], 6);
    key_number(e, "quality_sd", (double)v->sd[TARGET_QUALITY], 6);
    key_number(e, "output_tokens", (double)v->mean[TARGET_TOKENS], 6);
    key_usd(e, "cost_usd", v->cost_nano);
    key_number(e, "latency_ms", (double)v->mean[TARGET_LATENCY], 6);
    key_number(e, "failure", (double)v->mean[TARGET_FAILURE], 6);
    emit_end(e);
}

static void put_weights(struct emit *e, const struct event_decided *d)
{
    key_object(e, "weights");
    key_number(e, "quality", d->weight_quality, 17);
    key_number(e, "cost", d->weight_cost, 17);
    key_number(e, "latency", d->weight_latency, 17);
    key_number(e, "failure", d->weight_failure, 17);
    key_number(e, "cost_scale_usd", d->cost_scale_usd, 17);
    emit_end(e);
}

/* What the lens made of the prompt, where there is one. */
static void put_view(struct emit *e, const struct event_decided *d)
{
    if (d->cluster == CLUSTER_NONE)
        return;
    key_object(e, "prompt");
    key_int(e, "cluster", d->cluster);
    if (d->complexity >= 0)
        key_number(e, "complexity", (double)d->complexity, 6);
    if (d->domain[0])
        key_string(e, "domain", d->domain);
    emit_end(e);
}

static void put_explain(struct emit *e, const struct event_decided *d, const struct catalog *c)
{
    char schema[20];
    key_object(e, "explain");
    key_array(e, "arms");
    for (int i = 0; i < d->n_arms && i < MODELS_MAX; i++)
        put_arm(e, d, c, i);
    emit_end(e);
    put_weights(e, d);
    key_string(e, "learner", d->learner > 0 ? d->labels.tenant : "shared");
    key_number(e, "multiplier", d->multiplier, 17);
    key_number(e, "floor", d->floor, 17);
    key_number(e, "value", d->value, 17);
    key_number(e, "u", d->u, 17);
    /* 64 bits do not survive JSON numbers everywhere. */
    snprintf(schema, sizeof schema, "%016llx", (unsigned long long)d->schema);
    key_string(e, "schema", schema);
    key_int(e, "config_seq", (int64_t)d->config_seq);
    put_view(e, d);
    emit_end(e);
}

static void put_choice(struct emit *e, const struct event_decided *d, const struct catalog *c)
{
    const struct policy_ops *policy = policy_at(d->policy);
    key_string(e, "model", model_name(c, d->arm));
    key_string(e, "tier", tier_name(c, d->arm));
    key_number(e, "propensity", d->view[d->arm].pmf, 17);
    key_array(e, "fallbacks");
    for (int i = 0; i < d->n_fallbacks && i < FALLBACKS_MAX; i++)
        emit_string(e, model_name(c, d->fallback[i]));
    emit_end(e);
    key_string(e, "policy", policy ? policy->name : "unknown");
    key_string(e, "baseline", model_name(c, d->baseline));
}

static struct emit begin_reply(struct text *t)
{
    struct emit e = emit_over(t);
    emit_object(&e);
    key_int(&e, "v", 1);
    return e;
}

void reply_decision(struct text *t, const struct event *decided, const struct catalog *catalog,
                    const uint8_t mac_key[16], const struct reply_ask *ask)
{
    const struct event_decided *d = &decided->decided;
    struct emit e = begin_reply(t);
    if (decided->seq > 0) {
        char id[DECISION_ID_CAP];
        decision_id_format(id, d->epoch, decided->seq, mac_key);
        key_string(&e, "decision_id", id);
    } else {
        emit_key(&e, "dry_run");
        emit_bool(&e, true);
    }
    if (d->attempt.from > 0)
        key_int(&e, "attempt", 1 + d->attempt.earlier);
    put_choice(&e, d, catalog);
    put_expected(&e, d);
    put_budget(&e, d);
    put_reasons(&e, d->reasons);
    if (ask->explain)
        put_explain(&e, d, catalog);
    if (ask->not_recorded) {
        emit_key(&e, "not_recorded");
        emit_bool(&e, true);
    }
    emit_end(&e);
}

void reply_answer(struct text *t, enum feedback_result result, const char *decision_id)
{
    static const char *const names[] = {
        [FEEDBACK_APPLIED] = "applied",     [FEEDBACK_AMENDED] = "amended",
        [FEEDBACK_RETRACTED] = "retracted", [FEEDBACK_SUPERSEDED] = "superseded",
        [FEEDBACK_DUPLICATE] = "duplicate", [FEEDBACK_LATE] = "late"};
    struct emit e = begin_reply(t);
    key_string(&e, "status", names[result]);
    key_string(&e, "decision_id", decision_id);
    emit_end(&e);
}

void reply_taught(struct text *t, bool repeated, int outcomes)
{
    struct emit e = begin_reply(t);
    key_string(&e, "status", repeated ? "duplicate" : "learned");
    key_int(&e, "outcomes", outcomes);
    emit_end(&e);
}

void reply_error(struct text *t, const struct problem *problem)
{
    struct emit e = begin_reply(t);
    key_object(&e, "error");
    key_string(&e, "code", status_code(problem->code));
    key_string(&e, "message", problem->text);
    if (problem->path[0] != '\0')
        key_string(&e, "path", problem->path);
    if (problem->line > 0)
        key_int(&e, "line", problem->line);
    if (problem->retry_after_ms > 0)
        key_int(&e, "retry_after_ms", problem->retry_after_ms);
    emit_end(&e);
    emit_end(&e);
}

/* The items are written between, each on its own. */
void reply_batch_begin(struct text *t, int n)
{
    static const char head[] = "\x82\xa1v\x01\xa5items\xdc"; /* {"v":1,"items":[ */
    const char count[] = {(char)(n >> 8), (char)n};
    if (!t->packed) {
        text_put(t, "{\"v\":1,\"items\":[");
        return;
    }
    text_put_n(t, head, sizeof head - 1);
    text_put_n(t, count, sizeof count);
}

void reply_batch_next(struct text *t, int i)
{
    if (i > 0 && !t->packed)
        text_put(t, ",");
}

void reply_batch_end(struct text *t)
{
    if (!t->packed)
        text_put(t, "]}");
}
