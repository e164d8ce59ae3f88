/* SPDX-License-Identifier: MIT */
/* The configuration document as JSON Schema, from the tables by which it is read. */
#include "core/config/config_fields.h"
#include "core/config/config_pools.h"
#include "core/limits.h"

#define NAME_SCHEMA "{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9._:/@-]{1,64}$\"}"
#define NAMES(least, most)                                                                         \
    "\"type\":\"array\",\"minItems\":" #least ",\"maxItems\":" #most ",\"items\":" NAME_SCHEMA
#define FACTORS                                                                                    \
    "\"type\":\"object\",\"maxProperties\":32,\"additionalProperties\":{\"type\":\"number\","      \
    "\"minimum\":0.01,\"maximum\":100}"

size_t config_schema(char *out, size_t cap)
{
    /* By path, in whichever table it stands. */
    const struct field_shape shapes[] = {
        {.path = "v", .json = "\"const\":1"},
        {.path = "tiers", .json = NAMES(1, 8) ",\"uniqueItems\":true"},
        {.path = "models", .table = config_model_table(), .most = MODELS_MAX},
        {.path = "capabilities", .json = NAMES(0, 32)},
        {.path = "rules", .table = config_rule_table(), .most = 64},
        {.path = "words",
         .json = "\"type\":\"array\",\"maxItems\":8,\"items\":{\"type\":\"string\","
                 "\"minLength\":1,\"maxLength\":64}"},
        {.path = "learners", .table = config_learner_table(), .most = 64},
        {.path = "silence", .table = config_silence_table(), .most = 16},
        {.path = "zones", .table = config_zone_table(), .most = 8},
        {.path = "changes", .table = config_zone_change_table(), .most = 64},
        {.path = "pools", .table = config_pool_table(), .most = 64},
        {.path = "value", .table = config_value_table()},
        {.path = "task", .json = FACTORS},
        {.path = "user_tier", .json = FACTORS},
        {.path = "domain", .json = FACTORS},
        {.path = "outcome", .json = FACTORS},
        {.path = "feedback/ignore_sources", .json = NAMES(0, 16)},
        {0}};
    if (cap == 0)
        return 0;
    struct text t = text_over(out, cap);
    text_put(&t, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\n"
                 "\"$id\":\"urn:purser:configuration:1\",\n"
                 "\"title\":\"Configuration of purser, version 1\",\n");
    fields_schema(config_table(), shapes, &t);
    text_put(&t, "}\n");
    return t.full ? 0 : t.len;
}
