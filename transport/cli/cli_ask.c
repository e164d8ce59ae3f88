/* SPDX-License-Identifier: MIT */
/*
 * purser route, escalate, feedback, demo: what an application does, by hand. Everything goes
 * through the same client library that applications link, so these commands are also its first
 * test.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "transport/cli/cli.h"

enum { PROMPT_MAX = 1024 * 1024 };

static void show_interval(const json_t *expected, const char *name, const char *format)
{
    const json_t *o = json_object_get(expected, name);
    if (!o)
        return;
    printf("  %-14s ", name);
    printf(format, cli_real(o, "mean"));
    printf("  (");
    printf(format, cli_real(o, "low"));
    printf(" .. ");
    printf(format, cli_real(o, "high"));
    printf(")\n");
}

static void show_names(const char *title, const json_t *names)
{
    size_t i;
    json_t *name;
    if (json_array_size(names) == 0)
        return;
    printf("%-10s", title);
    json_array_foreach(names, i, name) printf("%s%s", i ? ", " : "", json_string_value(name));
    putchar('\n');
}

static void show_decision(const json_t *d)
{
    const json_t *expected = json_object_get(d, "expected");
    printf("model     %s (%s), drawn with probability %.3f by %s\n", cli_text(d, "model"),
           cli_text(d, "tier"), cli_real(d, "propensity"), cli_text(d, "policy"));
    printf("decision  %s\n",
           *cli_text(d, "decision_id") ? cli_text(d, "decision_id") : "(not recorded)");
    if (json_object_get(d, "attempt"))
        printf("attempt   %lld\n", (long long)json_integer_value(json_object_get(d, "attempt")));
    printf("expected\n");
    show_interval(expected, "quality", "%.3f");
    show_interval(expected, "cost_usd", "%.6f");
    show_interval(expected, "latency_ms", "%.0f");
    show_interval(expected, "output_tokens", "%.0f");
    show_names("fallbacks", json_object_get(d, "fallbacks"));
    show_names("reasons", json_object_get(d, "reasons"));
}

/* The prompt from --prompt, or from --prompt-file (- = stdin). False when the file cannot be read.
 */
static bool put_prompt(struct cli *c, json_t *message)
{
    const char *text = cli_option(c, "--prompt"), *path = cli_option(c, "--prompt-file");
    if (text && path) {
        cli_usage(c, "--prompt or --prompt-file, not both");
        return false;
    }
    if (text) {
        json_object_set_new(message, "prompt", json_string(text));
        return true;
    }
    if (!path)
        return true;
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *bytes = f ? malloc(PROMPT_MAX) : NULL;
    size_t n = bytes ? fread(bytes, 1, PROMPT_MAX, f) : 0;
    bool ok = bytes && !ferror(f) && n < PROMPT_MAX;
    json_t *prompt = ok ? json_stringn(bytes, n) : NULL;
    if (prompt)
        json_object_set_new(message, "prompt", prompt);
    else
        fprintf(stderr, "purser %s: %s: cannot be read, is longer than 1 MiB, or is not UTF-8\n",
                c->command, path);
    free(bytes);
    if (f && f != stdin)
        fclose(f);
    return prompt != NULL;
}

static bool put_numbers(struct cli *c, json_t *message, const char *const (*names)[2],
                        bool integers)
{
    for (; (*names)[0]; names++) {
        double v;
        bool present;
        if (!cli_number(c, (*names)[0], &v, &present))
            return false;
        if (present && integers && !(fabs(v) < 9e15 && floor(v) == v)) {
            char what[64];
            snprintf(what, sizeof what, "%.40s is a whole number", (*names)[0]);
            return cli_usage(c, what), false;
        }
        if (present)
            json_object_set_new(message, (*names)[1],
                                integers ? json_integer((json_int_t)v) : json_real(v));
    }
    return true;
}

static void put_strings(struct cli *c, json_t *message, const char *const (*names)[2])
{
    for (; (*names)[0]; names++) {
        const char *s = cli_option(c, (*names)[0]);
        if (s)
            json_object_set_new(message, (*names)[1], json_string(s));
    }
}

/* A message given as JSON on the command line; NULL and told when it is none. */
static json_t *literal(struct cli *c, const char *text, const char *op)
{
    json_error_t e;
    json_t *m = json_loads(text, JSON_REJECT_DUPLICATES, &e);
    if (!json_is_object(m)) {
        fprintf(stderr, "purser %s: not a JSON object: column %d: %s\n", c->command, e.column,
                e.text);
        json_decref(m);
        return NULL;
    }
    if (!json_object_get(m, "v"))
        json_object_set_new(m, "v", json_integer(1));
    if (!json_object_get(m, "op"))
        json_object_set_new(m, "op", json_string(op));
    return m;
}

static int send_and_show(struct cli *c, enum purser_client_door door, json_t *m,
                         void (*show)(const json_t *))
{
    int code;
    json_t *reply = cli_call(c, door, m, &code);
    if (!reply)
        return code;
    if (c->json || json_object_get(reply, "items"))
        cli_print_json(reply);
    else
        show(reply);
    json_decref(reply);
    return CLI_OK;
}

/* The message of a route or escalate request from the options; NULL: one is wrong, and was told. */
static json_t *request_message(struct cli *c)
{
    static const char *const strings[][2] = {{"--tenant", "tenant"},   {"--task", "task"},
                                             {"--domain", "domain"},   {"--user-tier", "user_tier"},
                                             {"--group", "group"},     {"--session", "session"},
                                             {"--id", "request_id"},   {"--user", "user"},
                                             {"--outcome", "outcome"}, {NULL, NULL}};
    static const char *const reals[][2] = {{"--value", "value"}, {NULL, NULL}};
    static const char *const integers[][2] = {{"--prompt-tokens", "prompt_tokens"},
                                              {"--max-output-tokens", "max_output_tokens"},
                                              {NULL, NULL}};
    static const char *const limits[][2] = {{"--min-quality", "min_quality"},
                                            {"--max-cost-usd", "max_cost_usd"},
                                            {"--max-latency-ms", "max_latency_ms"},
                                            {NULL, NULL}};
    static const char *const tiers[][2] = {{"--min-tier", "min_tier"}, {NULL, NULL}};
    json_t *m = json_pack("{s:i,s:s}", "v", 1, "op", c->command), *k = json_object();
    put_strings(c, m, strings);
    put_strings(c, k, tiers);
    bool ok = put_prompt(c, m) && put_numbers(c, m, reals, false) &&
              put_numbers(c, m, integers, true) && put_numbers(c, k, limits, false);
    if (json_object_size(k) > 0)
        json_object_set(m, "constraints", k);
    json_decref(k);
    if (cli_flag(c, "--explain"))
        json_object_set_new(m, "explain", json_true());
    if (cli_flag(c, "--batch"))
        json_object_set_new(m, "batch", json_true());
    if (cli_flag(c, "--dry-run"))
        json_object_set_new(m, "dry_run", json_true());
    if (ok)
        return m;
    json_decref(m);
    return NULL;
}

int cli_route(struct cli *c)
{
    json_t *m = request_message(c);
    const char *text = cli_operand(c);
    if (!m || !cli_end(c)) {
        json_decref(m);
        return CLI_USAGE;
    }
    if (text) {
        json_decref(m);
        if (!(m = literal(c, text, "route")))
            return CLI_USAGE;
    }
    return send_and_show(c, PURSER_CLIENT_ROUTE, m, show_decision);
}

int cli_escalate(struct cli *c)
{
    json_t *m = request_message(c);
    const char *id = cli_operand(c);
    if (!m || !cli_end(c) || !id) {
        json_decref(m);
        return id || !m ? CLI_USAGE : cli_usage(c, "DECISION_ID is needed, as route gave it");
    }
    if (id[0] == '{') {
        json_decref(m);
        if (!(m = literal(c, id, "escalate")))
            return CLI_USAGE;
    } else {
        json_object_set_new(m, "decision_id", json_string(id));
    }
    return send_and_show(c, PURSER_CLIENT_ROUTE, m, show_decision);
}

static void show_status(const json_t *reply)
{
    printf("%s\n", cli_text(reply, "status"));
}

int cli_feedback(struct cli *c)
{
    static const char *const strings[][2] = {
        {"--source", "source"}, {"--feedback-id", "feedback_id"}, {NULL, NULL}};
    static const char *const reals[][2] = {{"--quality", "quality"},
                                           {"--cost-usd", "cost_usd"},
                                           {"--latency-ms", "latency_ms"},
                                           {NULL, NULL}};
    static const char *const integers[][2] = {{"--prompt-tokens", "prompt_tokens"},
                                              {"--cached-tokens", "cached_tokens"},
                                              {"--output-tokens", "output_tokens"},
                                              {"--reasoning-tokens", "reasoning_tokens"},
                                              {"--version", "version"},
                                              {NULL, NULL}};
    json_t *m = json_pack("{s:i,s:s}", "v", 1, "op", "feedback");
    put_strings(c, m, strings);
    bool ok = put_numbers(c, m, reals, false) && put_numbers(c, m, integers, true);
    bool failed = cli_flag(c, "--failed"), succeeded = cli_flag(c, "--succeeded");
    if (ok && failed && succeeded)
        ok = cli_usage(c, "--failed or --succeeded, not both") == CLI_OK;
    if (failed || succeeded)
        json_object_set_new(m, "failed", json_boolean(failed));
    if (cli_flag(c, "--retract"))
        json_object_set_new(m, "retract", json_true());
    const char *id = cli_operand(c);
    if (!ok || !cli_end(c) || !id) {
        json_decref(m);
        return id ? CLI_USAGE : cli_usage(c, "DECISION_ID is needed, as route gave it");
    }
    if (id[0] == '{') {
        json_decref(m);
        if (!(m = literal(c, id, "feedback")))
            return CLI_USAGE;
    } else {
        json_object_set_new(m, "decision_id", json_string(id));
    }
    return send_and_show(c, PURSER_CLIENT_FEEDBACK, m, show_status);
}

/* A pretended answer: dearer models do better on hard tasks. Only a demonstration. */
static double pretended_quality(const char *tier, bool hard)
{
    if (!hard)
        return strcmp(tier, "small") == 0 ? 0.90 : 0.93;
    return strcmp(tier, "large") == 0 ? 0.90 : strcmp(tier, "medium") == 0 ? 0.70 : 0.35;
}

int cli_demo(struct cli *c)
{
    static const struct {
        const char *task, *prompt;
        bool hard;
    } samples[] = {
        {"classify", "Is this e-mail spam? 'You have won a prize, click here'", false},
        {"extract", "Extract the total from: 'Invoice 118, due 1 May, total EUR 1,250.00'", false},
        {"summary", "Summarise in one sentence: the meeting moved to Tuesday at ten.", false},
        {"contract_analysis",
         "Which clause of this loan agreement limits our liability, and how "
         "does it interact with the indemnity in section 9?",
         true},
        {"code_review", "Find the race in this lock-free queue and prove your fix correct.", true},
        {"classify", "Positive or negative: 'I would buy it again'", false},
    };
    if (!cli_end(c))
        return CLI_USAGE;
    printf("%-18s %-14s %-8s %10s %12s  %s\n", "task", "model", "tier", "propensity", "cost_usd",
           "feedback");
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct purser_client_error e;
        struct purser_client_decision d;
        struct purser_client_request q = {.tenant = "demo",
                                          .task = samples[i].task,
                                          .prompt = samples[i].prompt,
                                          .max_output_tokens = 300};
        char status[16] = "";
        if (purser_client_route(c->client, &q, &d, &e) == 0) {
            struct purser_client_report r = {
                .decision_id = d.decision_id,
                .source = "demo",
                .has = PURSER_CLIENT_QUALITY | PURSER_CLIENT_OUTPUT_TOKENS | PURSER_CLIENT_LATENCY,
                .quality = pretended_quality(d.tier, samples[i].hard),
                .output_tokens = 120,
                .latency_ms = 700};
            if (purser_client_feedback(c->client, &r, status, &e) == 0) {
                printf("%-18s %-14s %-8s %10.3f %12.6f  quality %.2f %s\n", samples[i].task,
                       d.model, d.tier, d.propensity, d.cost_usd.mean, r.quality, status);
                continue;
            }
        }
        fprintf(stderr, "purser demo: %s: %s\n", e.code, e.message);
        return strcmp(e.code, "timeout") == 0 || strcmp(e.code, "connection") == 0 ? CLI_UNREACHABLE
                                                                                   : CLI_REFUSED;
    }
    return CLI_OK;
}
