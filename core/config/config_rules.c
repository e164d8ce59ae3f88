/* SPDX-License-Identifier: MIT */
/*
 * Lists of a configuration document: keyword rules, and sources whose feedback is refused. A rule
 * names a model, a tier or the lowest tier, never two of them: which would win is a question nobody
 * should have to look up.
 */
#include "core/config/config_fields.h"

#include <string.h>
#include "core/request.h"
#include "core/router/credit.h"

enum { WORDS_MAX = sizeof((struct rule *)0)->words / sizeof((struct rule *)0)->words[0] };

struct rule_doc {
    struct rule rule;
    char tier[NAME_CAP], min_tier[NAME_CAP];
};
enum rule_bit { HAS_MODEL = 1, HAS_TIER = 2, HAS_MIN_TIER = 4 };

#define R(member) .offset = offsetof(struct rule_doc, member)
#define ID .kind = FIELD_NAME, .min = 1, .max = NAME_LEN

static const struct field rows[] = {
    {.path = "words",
     .kind = FIELD_OTHER,
     .other = "0 to 8 texts of 1 to 64 bytes",
     .help = "any of them as a whole word in the prompt, ASCII case ignored"},
    {.path = "task", ID, R(rule.task), .other = "any", .help = "the request's task"},
    {.path = "domain", ID, R(rule.domain), .other = "any", .help = "the request's domain"},
    {.path = "user_tier", ID, R(rule.user_tier), .other = "any", .help = "the request's user tier"},
    {.path = "min_prompt_tokens",
     .kind = FIELD_INT,
     R(rule.min_prompt_tokens),
     .max = 1e9,
     .help = "at least so many input tokens"},
    {.path = "model",
     ID,
     R(rule.model),
     .bit = HAS_MODEL,
     .other = "this or one of the next",
     .help = "the model to prefer"},
    {.path = "tier",
     ID,
     R(tier),
     .bit = HAS_TIER,
     .other = "this or model",
     .help = "the tier whose cheapest model to prefer"},
    {.path = "min_tier",
     ID,
     R(min_tier),
     .bit = HAS_MIN_TIER,
     .other = "this or one of the two before",
     .help = "the lowest tier that may be served, whatever the policy; all rules that match bind"},
};

struct field_table config_rule_table(void)
{
    return (struct field_table){rows, sizeof rows / sizeof rows[0]};
}

static enum status words_read(struct rule *r, const json_t *array, const struct json_at *up,
                              struct problem *problem)
{
    static const struct field word = {.kind = FIELD_TEXT, .min = 1, .max = NAME_LEN};
    struct json_at list = {.up = up, .key = "words"};
    char found[FOUND_CAP];
    if (!json_is_array(array) || json_array_size(array) > WORDS_MAX)
        return json_fail(problem, STATUS_BAD_REQUEST, &list,
                         "expected an array of at most %d words, found %s", WORDS_MAX,
                         json_found(found, array));
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct json_at at = {.up = &list, .index = (int)i};
        enum status st = field_read(&word, json_array_get(array, i), &at, r->words[i], problem);
        if (st != STATUS_OK)
            return st;
    }
    r->n_words = (int)json_array_size(array);
    return STATUS_OK;
}

static enum status tier_read(const struct catalog *c, const char *name, const struct json_at *up,
                             const char *key, int *out, struct problem *problem)
{
    struct json_at at = {.up = up, .key = key};
    char names[NAMES_CAP], quoted[QUOTE_CAP];
    *out = catalog_tier(c, name);
    if (*out >= 0)
        return STATUS_OK;
    return json_fail(problem, STATUS_BAD_REQUEST, &at, "no tier \"%s\"; tiers are: %s",
                     json_quote(quoted, name), config_names(names, c->tier, c->n_tiers));
}

static enum status rule_read(const struct catalog *c, struct rule *out, json_t *object,
                             const struct json_at *at, struct problem *problem)
{
    struct rule_doc doc;
    memset(&doc, 0, sizeof doc);
    doc.rule.tier = doc.rule.min_tier = -1;
    unsigned seen = 0;
    void *base[] = {&doc};
    enum status st = fields_read(config_rule_table(), object, at, base, &seen, problem);
    if (st != STATUS_OK)
        return st;
    if (seen == 0 || (seen & (seen - 1)) != 0)
        return json_fail(problem, STATUS_BAD_REQUEST, at,
                         "expected one of \"model\", \"tier\" and \"min_tier\", found %s",
                         seen == 0 ? "neither" : "both or more");
    if (seen & HAS_TIER)
        st = tier_read(c, doc.tier, at, "tier", &doc.rule.tier, problem);
    if (seen & HAS_MIN_TIER)
        st = tier_read(c, doc.min_tier, at, "min_tier", &doc.rule.min_tier, problem);
    if (st != STATUS_OK)
        return st;
    const json_t *words = json_object_get(object, "words");
    if (words)
        st = words_read(&doc.rule, words, at, problem);
    if (st == STATUS_OK)
        *out = doc.rule;
    return st;
}

enum status config_rules_read(struct params *p, const json_t *array, struct problem *problem)
{
    struct json_at list = {.key = "rules"};
    char found[FOUND_CAP];
    if (!json_is_array(array) || json_array_size(array) > RULES_MAX)
        return json_fail(problem, STATUS_BAD_REQUEST, &list,
                         "expected an array of at most %d rules, found %s", RULES_MAX,
                         json_found(found, array));
    memset(p->rule, 0, sizeof p->rule);
    p->n_rules = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct json_at at = {.up = &list, .index = (int)i};
        enum status st =
            rule_read(&p->catalog, &p->rule[i], json_array_get(array, i), &at, problem);
        if (st != STATUS_OK)
            return st;
        p->n_rules++;
    }
    return STATUS_OK;
}

static void member(struct text *out, const char *key, const char *value)
{
    if (value[0] == '\0')
        return;
    text_printf(out, "\"%s\":", key);
    text_json_string(out, value);
    text_put(out, ",");
}

static void rule_render(const struct catalog *c, const struct rule *r, struct text *out)
{
    text_put(out, "{\"words\":[");
    for (int i = 0; i < r->n_words; i++) {
        text_put(out, i > 0 ? "," : "");
        text_json_string(out, r->words[i]);
    }
    text_put(out, "],");
    member(out, "task", r->task);
    member(out, "domain", r->domain);
    member(out, "user_tier", r->user_tier);
    member(out, "model", r->model);
    if (r->tier >= 0 && r->tier < c->n_tiers)
        member(out, "tier", c->tier[r->tier]);
    if (r->min_tier >= 0 && r->min_tier < c->n_tiers)
        member(out, "min_tier", c->tier[r->min_tier]);
    text_printf(out, "\"min_prompt_tokens\":%lld}", (long long)r->min_prompt_tokens);
}

void config_rules_render(const struct params *p, struct text *out)
{
    for (int i = 0; i < p->n_rules; i++) {
        text_put(out, i > 0 ? "," : "");
        rule_render(&p->catalog, &p->rule[i], out);
    }
}

enum status config_ignore_read(struct params *p, const json_t *array, struct problem *problem)
{
    static const struct field name = {.kind = FIELD_NAME, .min = 1, .max = NAME_LEN};
    struct json_at up = {.key = "feedback"}, list = {.up = &up, .key = "ignore_sources"};
    char found[FOUND_CAP];
    if (!json_is_array(array) || json_array_size(array) > IGNORE_SOURCES_MAX)
        return json_fail(problem, STATUS_BAD_REQUEST, &list,
                         "expected an array of at most %d names of sources, found %s",
                         IGNORE_SOURCES_MAX, json_found(found, array));
    memset(&p->feedback, 0, sizeof p->feedback);
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct json_at at = {.up = &list, .index = (int)i};
        enum status st =
            field_read(&name, json_array_get(array, i), &at, p->feedback.ignore[i], problem);
        if (st != STATUS_OK)
            return st;
        if (source_reserved(p->feedback.ignore[i]))
            return json_fail(problem, STATUS_BAD_REQUEST, &at,
                             "nobody reports as \"%s\": what it means is declared in /%s",
                             p->feedback.ignore[i], p->feedback.ignore[i]);
    }
    p->feedback.n_ignore = (int)json_array_size(array);
    return STATUS_OK;
}

void config_ignore_render(const struct params *p, struct text *out)
{
    for (int i = 0; i < p->feedback.n_ignore; i++) {
        text_put(out, i > 0 ? "," : "");
        text_json_string(out, p->feedback.ignore[i]);
    }
}
