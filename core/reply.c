/* SPDX-License-Identifier: MIT */
/*
 * Replies, written straight into the caller's buffer. A decision is rendered from its record and
 * the catalog's names only, never from the engine's state: a retry a day later, answered from the
 * log, reads like the first answer.
 *
 * Intervals are 95% intervals of the posterior means, not of single outcomes. Money is written as
 * exact decimals of nanodollars; probabilities with all their digits, because callers weight by
 * them.
 */
#include "core/wire.h"

#include <math.h>
#include "bandit/policy.h"
#include "core/decision_id.h"

static const double z95 = 1.959963984540054; /* 97.5% quantile of the standard normal */

static void key_number(struct text *t, const char *key, double v, int digits)
{
    text_printf(t, "\"%s\":", key);
    text_json_number(t, v, digits);
}

static void key_string(struct text *t, const char *key, const char *value)
{
    text_printf(t, "\"%s\":", key);
    text_json_string(t, value);
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

static void put_range(struct text *t, const char *key, double mean, double sd, double most)
{
    text_printf(t, "\"%s\":{", key);
    key_number(t, "mean", mean, 6);
    text_put(t, ",");
    key_number(t, "low", fmin(fmax(mean - z95 * sd, 0), most), 6);
    text_put(t, ",");
    key_number(t, "high", fmin(fmax(mean + z95 * sd, 0), most), 6);
    text_put(t, "}");
}

static int64_t to_nano(double nano)
{
    return nano >= 9e18 ? INT64_MAX : nano > 0 ? (int64_t)(nano + 0.5) : 0; /* NaN is 0 */
}

/* Cost is uncertain through the output tokens alone. */
static void put_cost(struct text *t, const struct arm_view *v, int64_t price_out)
{
    double spread = z95 * (double)v->sd[TARGET_TOKENS] * (double)price_out / 1000;
    text_put(t, "\"cost_usd\":{\"mean\":");
    text_usd(t, v->cost_nano);
    text_put(t, ",\"low\":");
    text_usd(t, to_nano((double)v->cost_nano - spread));
    text_put(t, ",\"high\":");
    text_usd(t, to_nano((double)v->cost_nano + spread));
    text_put(t, "}");
}

static void put_expected(struct text *t, const struct event_decided *d)
{
    const struct arm_view *v = &d->view[d->arm];
    text_put(t, "\"expected\":{");
    put_range(t, "quality", (double)v->mean[TARGET_QUALITY], (double)v->sd[TARGET_QUALITY], 1);
    text_put(t, ",");
    put_cost(t, v, d->price_out);
    text_put(t, ",");
    put_range(t, "latency_ms", (double)v->mean[TARGET_LATENCY], (double)v->sd[TARGET_LATENCY],
              HUGE_VAL);
    text_put(t, ",");
    put_range(t, "output_tokens", (double)v->mean[TARGET_TOKENS], (double)v->sd[TARGET_TOKENS],
              HUGE_VAL);
    text_put(t, "}");
}

static void put_budget(struct text *t, const struct event_decided *d)
{
    double points = d->multiplier * d->cost_scale_usd;
    const struct charge *c = &d->charge;
    text_put(t, "\"budget\":{");
    key_string(t, "pool", c->pool[0] ? c->pool : "default");
    text_put(t, ",");
    key_number(t, "pressure", points / (1 + points), 6);
    if (c->n > 0 && c->left[POOL_NANO] >= 0) {
        text_put(t, ",\"remaining_usd\":");
        text_usd(t, c->left[POOL_NANO]);
    }
    if (c->n > 0 && c->left[POOL_TOKENS] >= 0)
        text_printf(t, ",\"remaining_tokens\":%lld", (long long)c->left[POOL_TOKENS]);
    text_printf(t, ",\"action\":\"%s\"}",
                d->reasons & REASON_SOFT_LIMIT                   ? "soft_limit"
                : d->reasons & (REASON_DEGRADED | REASON_BUDGET) ? "degraded"
                : d->multiplier > 0 || d->token_multiplier > 0   ? "paced"
                                                                 : "none");
}

static void put_reasons(struct text *t, uint32_t reasons)
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
    int written = 0;
    text_put(t, "\"reasons\":[");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (reasons & names[i].bit)
            text_printf(t, "%s\"%s\"", written++ > 0 ? "," : "", names[i].name);
    }
    text_put(t, "]");
}

static void put_arm(struct text *t, const struct event_decided *d, const struct catalog *c,
                    int slot)
{
    const struct arm_view *v = &d->view[slot];
    bool eligible = d->eligible >> slot & 1;
    text_put(t, "{");
    key_string(t, "model", model_name(c, slot));
    text_put(t, eligible ? ",\"eligible\":true,"
                         : ",\"eligible\":false,\"propensity\":0}"); /* the rest is unknown */
    if (!eligible)
        return;
    key_number(t, "propensity", v->pmf, 17);
    text_put(t, ",");
    key_number(t, "utility", decided_utility(d, slot), 6);
    text_put(t, ",");
    key_number(t, "utility_sd", (double)v->merit_sd, 6);
    text_put(t, ",");
    key_number(t, "quality", (double)v->mean[TARGET_QUALITY], 6);
    text_put(t, ",");
    key_number(t, "quality_sd", (double)v->sd[TARGET_QUALITY], 6);
    text_put(t, ",");
    key_number(t, "output_tokens", (double)v->mean[TARGET_TOKENS], 6);
    text_put(t, ",\"cost_usd\":");
    text_usd(t, v->cost_nano);
    text_put(t, ",");
    key_number(t, "latency_ms", (double)v->mean[TARGET_LATENCY], 6);
    text_put(t, ",");
    key_number(t, "failure", (double)v->mean[TARGET_FAILURE], 6);
    text_put(t, "}");
}

static void put_weights(struct text *t, const struct event_decided *d)
{
    text_put(t, "\"weights\":{");
    key_number(t, "quality", d->weight_quality, 17);
    text_put(t, ",");
    key_number(t, "cost", d->weight_cost, 17);
    text_put(t, ",");
    key_number(t, "latency", d->weight_latency, 17);
    text_put(t, ",");
    key_number(t, "failure", d->weight_failure, 17);
    text_put(t, ",");
    key_number(t, "cost_scale_usd", d->cost_scale_usd, 17);
    text_put(t, "}");
}

/* What the lens made of the prompt, where there is one. */
static void put_view(struct text *t, const struct event_decided *d)
{
    if (d->cluster == CLUSTER_NONE)
        return;
    text_printf(t, ",\"prompt\":{\"cluster\":%u", d->cluster);
    if (d->complexity >= 0) {
        text_put(t, ",");
        key_number(t, "complexity", (double)d->complexity, 6);
    }
    if (d->domain[0]) {
        text_put(t, ",");
        key_string(t, "domain", d->domain);
    }
    text_put(t, "}");
}

static void put_explain(struct text *t, const struct event_decided *d, const struct catalog *c)
{
    text_put(t, ",\"explain\":{\"arms\":[");
    for (int i = 0; i < d->n_arms && i < MODELS_MAX; i++) {
        text_put(t, i > 0 ? "," : "");
        put_arm(t, d, c, i);
    }
    text_put(t, "],");
    put_weights(t, d);
    text_put(t, ",");
    key_string(t, "learner", d->learner > 0 ? d->labels.tenant : "shared");
    text_put(t, ",");
    key_number(t, "multiplier", d->multiplier, 17);
    text_put(t, ",");
    key_number(t, "floor", d->floor, 17);
    text_put(t, ",");
    key_number(t, "value", d->value, 17);
    text_put(t, ",");
    key_number(t, "u", d->u, 17);
    /* 64 bits do not survive JSON numbers everywhere. */
    text_printf(t, ",\"schema\":\"%016llx\",\"config_seq\":%llu", (unsigned long long)d->schema,
                (unsigned long long)d->config_seq);
    put_view(t, d);
    text_put(t, "}");
}

static void put_choice(struct text *t, const struct event_decided *d, const struct catalog *c)
{
    const struct policy_ops *policy = policy_at(d->policy);
    key_string(t, "model", model_name(c, d->arm));
    text_put(t, ",");
    key_string(t, "tier", tier_name(c, d->arm));
    text_put(t, ",");
    key_number(t, "propensity", d->view[d->arm].pmf, 17);
    text_put(t, ",\"fallbacks\":[");
    for (int i = 0; i < d->n_fallbacks && i < FALLBACKS_MAX; i++) {
        text_put(t, i > 0 ? "," : "");
        text_json_string(t, model_name(c, d->fallback[i]));
    }
    text_put(t, "],");
    key_string(t, "policy", policy ? policy->name : "unknown");
    text_put(t, ",");
    key_string(t, "baseline", model_name(c, d->baseline));
}

void reply_decision(struct text *t, const struct event *decided, const struct catalog *catalog,
                    const uint8_t mac_key[16], bool explain)
{
    const struct event_decided *d = &decided->decided;
    text_put(t, "{\"v\":1,");
    if (decided->seq > 0) {
        char id[DECISION_ID_CAP];
        decision_id_format(id, d->epoch, decided->seq, mac_key);
        key_string(t, "decision_id", id);
        text_put(t, ",");
    } else {
        text_put(t, "\"dry_run\":true,");
    }
    if (d->attempt.from > 0)
        text_printf(t, "\"attempt\":%d,", 1 + d->attempt.earlier);
    put_choice(t, d, catalog);
    text_put(t, ",");
    put_expected(t, d);
    text_put(t, ",");
    put_budget(t, d);
    text_put(t, ",");
    put_reasons(t, d->reasons);
    if (explain)
        put_explain(t, d, catalog);
    text_put(t, "}");
}

void reply_answer(struct text *t, enum feedback_result result, const char *decision_id)
{
    static const char *const names[] = {
        [FEEDBACK_APPLIED] = "applied",     [FEEDBACK_AMENDED] = "amended",
        [FEEDBACK_RETRACTED] = "retracted", [FEEDBACK_SUPERSEDED] = "superseded",
        [FEEDBACK_DUPLICATE] = "duplicate", [FEEDBACK_LATE] = "late"};
    text_put(t, "{\"v\":1,");
    key_string(t, "status", names[result]);
    text_put(t, ",");
    key_string(t, "decision_id", decision_id);
    text_put(t, "}");
}

void reply_taught(struct text *t, bool repeated, int outcomes)
{
    text_put(t, "{\"v\":1,");
    key_string(t, "status", repeated ? "duplicate" : "learned");
    text_printf(t, ",\"outcomes\":%d}", outcomes);
}

void reply_error(struct text *t, const struct problem *problem)
{
    text_put(t, "{\"v\":1,\"error\":{");
    key_string(t, "code", status_code(problem->code));
    text_put(t, ",");
    key_string(t, "message", problem->text);
    if (problem->path[0] != '\0') {
        text_put(t, ",");
        key_string(t, "path", problem->path);
    }
    if (problem->line > 0)
        text_printf(t, ",\"line\":%d", problem->line);
    if (problem->retry_after_ms > 0)
        text_printf(t, ",\"retry_after_ms\":%ld", problem->retry_after_ms);
    text_put(t, "}}");
}

void reply_batch_begin(struct text *t)
{
    text_put(t, "{\"v\":1,\"items\":[");
}

void reply_batch_next(struct text *t, int i)
{
    if (i > 0)
        text_put(t, ",");
}

void reply_batch_end(struct text *t)
{
    text_put(t, "]}");
}
