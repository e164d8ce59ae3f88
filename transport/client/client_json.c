/* SPDX-License-Identifier: MIT */
/*
 * From the client library's structs to the wire's JSON and back. What the caller did not say is not
 * sent, so the service's defaults hold. Unknown members of a reply are ignored: a newer service may
 * say more. Running out of memory here shows as a message that the service refuses, never as a
 * crash: jansson's setters accept NULL and report failure.
 */
#include "transport/client/client_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_string(json_t *o, const char *name, const char *s)
{
    if (s && *s)
        json_object_set_new(o, name, json_string(s));
}

static void put_integer(json_t *o, const char *name, int64_t v)
{
    if (v)
        json_object_set_new(o, name, json_integer(v));
}

static void put_real(json_t *o, const char *name, double v)
{
    if (v != 0)
        json_object_set_new(o, name, json_real(v));
}

static void put_names(json_t *o, const char *name, const char *const *names)
{
    json_t *a = names ? json_array() : NULL;
    for (; a && *names; names++)
        json_array_append_new(a, json_string(*names));
    if (a)
        json_object_set_new(o, name, a);
}

static json_t *constraints_of(const struct purser_client_request *q)
{
    json_t *k = json_object();
    put_names(k, "allow", q->allow);
    put_names(k, "deny", q->deny);
    put_names(k, "needs", q->needs);
    put_string(k, "min_tier", q->min_tier);
    put_real(k, "min_quality", q->min_quality);
    put_real(k, "max_cost_usd", q->max_cost_usd);
    put_real(k, "max_latency_ms", q->max_latency_ms);
    return k;
}

json_t *client_request_json(const struct purser_client_request *q, const char *escalates)
{
    json_t *o = json_pack("{s:i,s:s}", "v", 1, "op", escalates ? "escalate" : "route"),
           *k = constraints_of(q);
    if (escalates) /* also when it is empty: the service says what is wrong */
        json_object_set_new(o, "decision_id", json_string(escalates));
    put_string(o, "request_id", q->request_id);
    put_string(o, "tenant", q->tenant);
    put_string(o, "task", q->task);
    put_string(o, "domain", q->domain);
    put_string(o, "user_tier", q->user_tier);
    put_string(o, "group", q->group);
    put_string(o, "session", q->session);
    put_string(o, "user", q->user);
    put_string(o, "outcome", q->outcome);
    if (q->prompt) { /* NULL when it is not UTF-8: jansson refuses to store it */
        json_t *prompt = json_string(q->prompt);
        if (!prompt) {
            json_decref(k);
            json_decref(o);
            return NULL;
        }
        json_object_set_new(o, "prompt", prompt);
    }
    put_integer(o, "prompt_tokens", q->prompt_tokens);
    put_integer(o, "cached_tokens", q->cached_tokens);
    put_integer(o, "max_output_tokens", q->max_output_tokens);
    put_real(o, "value", q->value);
    if (q->batch)
        json_object_set_new(o, "batch", json_true());
    if (q->dry_run)
        json_object_set_new(o, "dry_run", json_true());
    if (json_object_size(k) > 0)
        json_object_set(o, "constraints", k);
    json_decref(k);
    return o;
}

void client_embedding_json(json_t *o, const struct purser_client_request *q)
{
    json_t *a = q->n_embedding ? json_array() : NULL;
    for (size_t i = 0; i < q->n_embedding; i++)
        json_array_append_new(a, json_real((double)q->embedding[i]));
    if (a)
        json_object_set_new(o, "embedding", a);
}

void client_copy(char *out, size_t cap, const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    snprintf(out, cap, "%s", s ? s : "");
}

static double number_of(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static struct purser_client_interval interval_of(const json_t *expected, const char *name)
{
    const json_t *o = json_object_get(expected, name);
    return (struct purser_client_interval){number_of(o, "mean"), number_of(o, "low"),
                                           number_of(o, "high")};
}

void client_decision_read(const json_t *o, struct purser_client_decision *d)
{
    const json_t *expected = json_object_get(o, "expected"),
                 *attempt = json_object_get(o, "attempt"), *name;
    size_t i;
    memset(d, 0, sizeof *d);
    client_copy(d->decision_id, sizeof d->decision_id, o, "decision_id");
    client_copy(d->model, sizeof d->model, o, "model");
    client_copy(d->tier, sizeof d->tier, o, "tier");
    client_copy(d->policy, sizeof d->policy, o, "policy");
    client_copy(d->baseline, sizeof d->baseline, o, "baseline");
    d->propensity = number_of(o, "propensity");
    d->attempt = json_is_integer(attempt) ? (int)json_integer_value(attempt) : 1;
    d->quality = interval_of(expected, "quality");
    d->cost_usd = interval_of(expected, "cost_usd");
    d->latency_ms = interval_of(expected, "latency_ms");
    d->output_tokens = interval_of(expected, "output_tokens");
    d->not_recorded = json_is_true(json_object_get(o, "not_recorded"));
    json_array_foreach(json_object_get(o, "fallbacks"), i,
                       name) if (d->n_fallbacks < PURSER_CLIENT_FALLBACKS && json_is_string(name))
        snprintf(d->fallback[d->n_fallbacks++], PURSER_CLIENT_NAME_CAP, "%s",
                 json_string_value(name));
}

json_t *client_report_json(const struct purser_client_report *r)
{
    json_t *o = json_pack("{s:i,s:s}", "v", 1, "op", "feedback");
    put_string(o, "decision_id", r->decision_id);
    put_string(o, "feedback_id", r->feedback_id);
    put_string(o, "source", r->source);
    if (r->has & PURSER_CLIENT_QUALITY)
        json_object_set_new(o, "quality", json_real(r->quality));
    if (r->has & PURSER_CLIENT_PROMPT_TOKENS)
        json_object_set_new(o, "prompt_tokens", json_integer(r->prompt_tokens));
    if (r->has & PURSER_CLIENT_CACHED_TOKENS)
        json_object_set_new(o, "cached_tokens", json_integer(r->cached_tokens));
    if (r->has & PURSER_CLIENT_OUTPUT_TOKENS)
        json_object_set_new(o, "output_tokens", json_integer(r->output_tokens));
    if (r->has & PURSER_CLIENT_REASONING_TOKENS)
        json_object_set_new(o, "reasoning_tokens", json_integer(r->reasoning_tokens));
    if (r->has & PURSER_CLIENT_COST)
        json_object_set_new(o, "cost_usd", json_real(r->cost_usd));
    if (r->has & PURSER_CLIENT_LATENCY)
        json_object_set_new(o, "latency_ms", json_real(r->latency_ms));
    if (r->has & PURSER_CLIENT_FAILED)
        json_object_set_new(o, "failed", json_boolean(r->failed));
    if (r->retract)
        json_object_set_new(o, "retract", json_true());
    put_integer(o, "version", r->version);
    return o;
}
