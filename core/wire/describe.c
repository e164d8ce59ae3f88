/* SPDX-License-Identifier: MIT */
/*
 * An event as one line of JSON, for `purser log` and for people. Models are told by slot, since a
 * record is described without the configuration it was made under; 64-bit hashes are hexadecimal
 * strings, since JSON readers round large numbers. Everything is a fact of the record: nothing is
 * computed here. Not a storage format: fields may be added.
 */
#include "core/event/event.h"

#include <inttypes.h>
#include "core/encoding/text.h"
#include "core/learn/learned.h"

enum { X_SHOWN = 16 }; /* a longer context vector is told by its length only */

static const char *const kind_name[EVENT_KINDS] = {
    "none",    "started", "configured", "decided", "feedback", "ticked", "paced",
    "drifted", "taught",  "lens",       "expired", "hull",     "lent",   "learned"};
static const char *const target_name[TARGETS] = {"quality", "output_tokens", "latency_ms",
                                                 "failure"};
static const char *const reason_name[] = {
    "cold_start", "explored", "budget_pressure", "constrained", "rule",
    "only_model", "guarded",  "apprentice",      "budget",      "soft_limit",
    "session",    "hull",     "escalated",       "degraded",    "canary"};

const char *event_kind_name(enum event_kind kind)
{
    return kind_name[kind];
}

static void number(struct text *t, const char *name, double v)
{
    text_printf(t, ",\"%s\":", name);
    text_json_number(t, v, 17);
}

static void real(struct text *t, const char *name, float v)
{
    text_printf(t, ",\"%s\":", name);
    text_json_number(t, (double)v, 9);
}

static void integer(struct text *t, const char *name, int64_t v)
{
    text_printf(t, ",\"%s\":%" PRId64, name, v);
}

static void hex(struct text *t, const char *name, uint64_t v)
{
    text_printf(t, ",\"%s\":\"%016" PRIx64 "\"", name, v);
}

static void string(struct text *t, const char *name, const char *s)
{
    if (s[0] == 0)
        return;
    text_printf(t, ",\"%s\":", name);
    text_json_string(t, s);
}

static void usd(struct text *t, const char *name, int64_t nano)
{
    text_printf(t, ",\"%s\":", name);
    text_usd(t, nano);
}

static void vector(struct text *t, const float *x, int d)
{
    integer(t, "d", d);
    if (d == 0 || d > X_SHOWN)
        return;
    text_put(t, ",\"x\":[");
    for (int i = 0; i < d; i++) {
        text_put(t, i > 0 ? "," : "");
        text_json_number(t, (double)x[i], 9);
    }
    text_put(t, "]");
}

static void arm(struct text *t, int slot, const struct arm_view *v)
{
    text_printf(t, "{\"model\":%d", slot);
    number(t, "propensity", v->pmf);
    real(t, "merit", v->merit);
    real(t, "merit_sd", v->merit_sd);
    usd(t, "cost_usd", v->cost_nano);
    for (int k = 0; k < TARGETS; k++) {
        text_printf(t, ",\"%s\":[", target_name[k]);
        text_json_number(t, (double)v->mean[k], 9);
        text_put(t, ",");
        text_json_number(t, (double)v->sd[k], 9);
        text_put(t, "]");
    }
    text_put(t, "}");
}

static void arms(struct text *t, const struct event_decided *d)
{
    const char *comma = "";
    text_put(t, ",\"arms\":[");
    for (int i = 0; i < d->n_arms; i++) {
        if (!(d->eligible >> i & 1))
            continue;
        text_put(t, comma);
        arm(t, i, &d->view[i]);
        comma = ",";
    }
    text_put(t, "]");
}

static void reasons(struct text *t, uint32_t bits)
{
    const char *comma = "";
    text_put(t, ",\"reasons\":[");
    for (size_t i = 0; i < sizeof reason_name / sizeof *reason_name; i++) {
        if (!(bits >> i & 1))
            continue;
        text_printf(t, "%s\"%s\"", comma, reason_name[i]);
        comma = ",";
    }
    text_put(t, "]");
}

static void labels(struct text *t, const struct labels *l)
{
    string(t, "tenant", l->tenant);
    string(t, "task", l->task);
    string(t, "domain", l->domain);
    string(t, "user_tier", l->user_tier);
    string(t, "group", l->group);
    string(t, "session", l->session);
    string(t, "user", l->user);
    string(t, "outcome", l->outcome);
}

static void objective(struct text *t, const struct event_decided *d)
{
    number(t, "floor", d->floor);
    number(t, "u", d->u);
    number(t, "value", d->value);
    number(t, "weight_quality", d->weight_quality);
    number(t, "weight_cost", d->weight_cost);
    number(t, "weight_latency", d->weight_latency);
    number(t, "weight_failure", d->weight_failure);
    number(t, "cost_scale_usd", d->cost_scale_usd);
    number(t, "multiplier", d->multiplier);
}

static void charge(struct text *t, const struct charge *c)
{
    static const char *const mode[POOL_MODES] = {"strict", "quantile"};
    const char *comma = "";
    if (c->n == 0)
        return;
    text_printf(t, ",\"charged\":{\"pools\":%d,\"strict\":%d,\"bounded\":%s,\"amounts\":{", c->n,
                c->strict, c->ask.bounded ? "true" : "false");
    for (int m = 0; m < POOL_MODES; m++) {
        text_printf(t, "%s\"%s\":{\"usd\":", comma, mode[m]);
        text_usd(t, c->ask.amount[m][POOL_NANO]);
        integer(t, "tokens", c->ask.amount[m][POOL_TOKENS]);
        text_put(t, "}");
        comma = ",";
    }
    text_put(t, "}");
    string(t, "pool", c->pool);
    if (c->left[POOL_NANO] >= 0)
        usd(t, "remaining_usd", c->left[POOL_NANO]);
    if (c->left[POOL_TOKENS] >= 0)
        integer(t, "remaining_tokens", c->left[POOL_TOKENS]);
    text_put(t, "}");
}

static void decided(struct text *t, const struct event_decided *d)
{
    integer(t, "epoch", d->epoch);
    string(t, "request_id", d->request_id);
    if (d->attempt.from > 0) {
        integer(t, "attempt", 1 + d->attempt.earlier);
        integer(t, "escalated_from", (int64_t)d->attempt.from);
        integer(t, "from_tier", d->attempt.tier);
    }
    labels(t, &d->labels);
    integer(t, "model", d->arm);
    integer(t, "models", d->n_arms);
    integer(t, "baseline", d->baseline);
    if (d->learner > 0)
        integer(t, "learner", d->learner);
    text_put(t, ",\"fallbacks\":[");
    for (int i = 0; i < d->n_fallbacks; i++)
        text_printf(t, "%s%d", i > 0 ? "," : "", d->fallback[i]);
    text_put(t, "]");
    reasons(t, d->reasons);
    integer(t, "policy", d->policy);
    objective(t, d);
    integer(t, "prompt_tokens", d->prompt_tokens);
    integer(t, "cached_tokens", d->cached_tokens);
    integer(t, "max_output_tokens", d->max_output_tokens);
    integer(t, "price_in_pico", d->price_in);
    integer(t, "price_cached_pico", d->price_cached);
    integer(t, "price_out_pico", d->price_out);
    integer(t, "price_reasoning_pico", d->price_reasoning);
    if (d->batch)
        text_put(t, ",\"batch\":true");
    usd(t, "booked_usd", d->booked_nano);
    usd(t, "policy_usd", d->policy_nano);
    usd(t, "baseline_usd", d->baseline_nano);
    usd(t, "dearest_usd", d->dearest_nano);
    real(t, "weight", d->weight);
    if (d->edge.reach > 0) {
        real(t, "hull_direct", d->edge.direct);
        real(t, "hull_ratio", d->edge.ratio);
    }
    if (d->silence_due_ms > 0) {
        integer(t, "silence_due_ms", d->silence_due_ms);
        real(t, "silence_quality", d->silence_quality);
    }
    charge(t, &d->charge);
    integer(t, "config_seq", (int64_t)d->config_seq);
    hex(t, "schema", d->schema);
    if (d->cluster != CLUSTER_NONE)
        integer(t, "cluster", d->cluster);
    if (d->complexity >= 0)
        real(t, "complexity", d->complexity);
    string(t, "inferred_domain", d->domain);
    vector(t, d->x, d->d);
    arms(t, d);
}

static void feedback(struct text *t, const struct event_feedback *e)
{
    const struct feedback *f = &e->feedback;
    integer(t, "epoch", f->epoch);
    integer(t, "of", (int64_t)f->seq);
    string(t, "feedback_id", f->feedback_id);
    string(t, "source", f->source);
    if (f->has & FB_QUALITY)
        number(t, "quality", f->quality);
    if (f->has & FB_PROMPT_TOKENS)
        integer(t, "prompt_tokens", f->prompt_tokens);
    if (f->has & FB_CACHED_TOKENS)
        integer(t, "cached_tokens", f->cached_tokens);
    if (f->has & FB_OUTPUT_TOKENS)
        integer(t, "output_tokens", f->output_tokens);
    if (f->has & FB_REASONING_TOKENS)
        integer(t, "reasoning_tokens", f->reasoning_tokens);
    if (f->has & FB_COST)
        usd(t, "cost_usd", f->cost_nano);
    if (f->has & FB_LATENCY)
        number(t, "latency_ms", f->latency_ms);
    if (f->has & FB_FAILED)
        text_printf(t, ",\"failed\":%s", f->failed ? "true" : "false");
    text_put(t, f->retract ? ",\"retract\":true" : "");
    if (f->version >= 0)
        integer(t, "version", f->version);
    if (f->attempt != 0)
        integer(t, "attempt", f->attempt);
    if (!e->recalled)
        return;
    text_put(t, ",\"recalled\":true");
    integer(t, "model", e->row.arm);
    if (e->row.learner > 0)
        integer(t, "learner", e->row.learner);
    integer(t, "decided_ms", e->row.time_ms);
    vector(t, e->x, e->row.d);
}

static void paced(struct text *t, const struct event_paced *p)
{
    integer(t, "pool", p->pool);
    string(t, "unit", p->unit == POOL_NANO ? "usd" : "tokens");
    number(t, "multiplier", p->multiplier);
    number(t, "rate", p->rate);
    number(t, "least", p->least);
    number(t, "wanted", p->wanted);
}

static void hull(struct text *t, const struct event_hull *h)
{
    static const char *const turn[] = {"solved", "tripped", "returned"};
    const char *comma = "";
    string(t, "turn", turn[h->turn]);
    number(t, "spend_usd", h->spend_usd);
    text_put(t, ",\"mix\":[");
    for (int a = 0; a < MODELS_MAX; a++) {
        if (!(h->mix[a] > 0))
            continue;
        text_printf(t, "%s{\"model\":%d", comma, a);
        number(t, "share", h->mix[a]);
        text_put(t, "}");
        comma = ",";
    }
    text_put(t, "]");
    integer(t, "labels", h->labels);
    number(t, "policy_minus_hull", h->policy);
    number(t, "lower", h->lower);
    number(t, "upper", h->upper);
}

static void learned(struct text *t, const struct event_learned *l)
{
    static const char *const turn_name[] = {"added", "taken_back", "put_aside", "put_back"};
    string(t, "import", l->name);
    string(t, "turn", turn_name[l->turn]);
    string(t, "part", learned_part_name(l->part));
    if (l->part != LEARNED_PRIOR)
        integer(t, "model", l->arm);
    if (l->learner > 0)
        integer(t, "learner", l->learner);
    integer(t, "as_of_ms", l->as_of_ms);
    integer(t, "added_ms", l->added_ms);
    number(t, "share", l->share);
    integer(t, "bytes", l->len);
}

void event_describe(const struct event *e, struct text *out)
{
    text_printf(out, "{\"seq\":%" PRIu64 ",\"time_ms\":%" PRId64 ",\"kind\":\"%s\"", e->seq,
                e->time_ms, kind_name[(int)e->kind < EVENT_KINDS ? e->kind : EVENT_NONE]);
    if (e->kind == EVENT_STARTED) {
        integer(out, "epoch", e->started.epoch);
        integer(out, "max_open", e->started.max_open);
    }
    if (e->kind == EVENT_CONFIGURED) {
        string(out, "origin", e->configured.origin);
        hex(out, "file_hash", e->configured.file_hash);
        integer(out, "bytes", e->configured.len);
    }
    if (e->kind == EVENT_LENS) {
        string(out, "origin", e->lens.origin);
        integer(out, "bytes", e->lens.len);
    }
    if (e->kind == EVENT_DECIDED)
        decided(out, &e->decided);
    if (e->kind == EVENT_FEEDBACK || e->kind == EVENT_TAUGHT)
        feedback(out, &e->feedback);
    if (e->kind == EVENT_TAUGHT)
        real(out, "weight", e->feedback.row.weight);
    if (e->kind == EVENT_EXPIRED)
        integer(out, "of", (int64_t)e->expired.decision);
    if (e->kind == EVENT_PACED)
        paced(out, &e->paced);
    if (e->kind == EVENT_HULL)
        hull(out, &e->hull);
    if (e->kind == EVENT_LENT)
        text_printf(out, ",\"on\":%s", e->lent.on ? "true" : "false");
    if (e->kind == EVENT_LEARNED)
        learned(out, &e->learned);
    if (e->kind == EVENT_DRIFTED) {
        integer(out, "model", e->drifted.arm);
        if (e->drifted.learner > 0)
            integer(out, "learner", e->drifted.learner);
        text_printf(out, ",\"target\":\"%s\",\"direction\":\"%s\"", target_name[e->drifted.target],
                    e->drifted.up ? "up" : "down");
    }
    text_put(out, "}");
}
