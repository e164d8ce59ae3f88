/* SPDX-License-Identifier: MIT */
/* Configuration: what is read, what is refused and with which words, and that writing it back and
 * reading it again gives the same bits, which replay depends on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>
#include "core/config/config.h"

#define M_A                                                                                        \
    "{\"name\":\"a\",\"tier\":\"small\",\"usd_per_mtok_in\":0.0375,\"usd_per_mtok_out\":0.15}"
#define M_B                                                                                        \
    "{\"name\":\"v/b\",\"tier\":\"large\",\"usd_per_mtok_in\":3,\"usd_per_mtok_cached_in\":0.3,"   \
    "\"usd_per_mtok_out\":15,\"context_tokens\":200000,\"capabilities\":[\"vision\",\"tools\"]}"
#define MODELS "\"models\":[" M_A "," M_B "]"

static struct params params, other;
static struct settings settings;
static struct problem problem;
static char rendered[CONFIG_MAX], again[CONFIG_MAX];

static enum status parse(const char *json)
{
    memset(&problem, 0, sizeof problem);
    return config_parse(json, strlen(json), &params, &settings, &problem);
}

static enum status patch(const char *json)
{
    memset(&problem, 0, sizeof problem);
    return config_patch(&params, json, strlen(json), &problem);
}

static void must_parse(const char *json)
{
    enum status st = parse(json);
    if (st != STATUS_OK)
        fail_msg("%s: %s %s", json, problem.path, problem.text);
}

static void must_patch(const char *json)
{
    enum status st = patch(json);
    if (st != STATUS_OK)
        fail_msg("%s: %s %s", json, problem.path, problem.text);
}

static void defaults(void **state)
{
    (void)state;
    must_parse("{" MODELS "}");
    assert_int_equal(params.catalog.n, 2);
    assert_int_equal(params.catalog.n_tiers, 3);
    const struct model *a = &params.catalog.model[0], *b = &params.catalog.model[1];
    assert_int_equal(a->price.in, 37500);
    assert_int_equal(a->price.cached, 37500);
    assert_int_equal(a->price.out, 150000);
    assert_int_equal(b->price.cached, 300000);
    assert_true(a->typical_quality < 0); /* by price */
    assert_true(a->typical_output_tokens > 0 && a->typical_latency_ms > 0);
    assert_true(a->active);
    assert_int_equal(b->needs, 3);
    assert_int_equal(b->tier, 2);
    assert_true(params.objective.quality == 1);
    assert_string_equal(params.policy.name, "lints");
    assert_true(params.learner.half_life_hours == 168);
    assert_true(params.features.declared && params.features.caller);
    assert_string_equal(settings.listen_intake, "tcp://127.0.0.1:7605");
    assert_string_equal(settings.data_dir, "purser-data");
    assert_int_equal(settings.max_open, 65536);
    assert_true(settings.retention_days == 45);
    assert_false(settings.relaxed);
}

static void everything_is_read(void **state)
{
    (void)state;
    must_parse("{\"v\":1,\"x_note\":[{}],\"listen\":{\"route\":\"tls+tcp://0.0.0.0:1\",\"intake\":"
               "\"\",\"tls\":{\"cert\":\"c\",\"key\":\"k\",\"ca\":\"a\",\"require_client_cert\":"
               "true}},\"store\":{\"dir\":\"d\",\"durability\":\"relaxed\",\"map_gib\":2,"
               "\"seed\":9},\"tiers\":[\"large\",\"small\"]," MODELS ",\"policy\":{\"name\":"
               "\"fixed\",\"model\":\"v/b\"},\"learner\":{\"precision\":{\"bias\":2}},"
               "\"features\":{\"text\":false},\"rules\":[{\"words\":[\"legal\",\"contract\"],"
               "\"task\":\"t\",\"tier\":\"large\"},{\"model\":\"a\",\"min_prompt_tokens\":5.0}],"
               "\"budget\":{\"usd_per_request\":0.002},\"baseline\":\"a\"}");
    assert_string_equal(settings.listen_route, "tls+tcp://0.0.0.0:1");
    assert_string_equal(settings.listen_intake, "");
    assert_true(settings.tls_require_client && settings.relaxed);
    assert_int_equal(settings.seed, 9);
    assert_int_equal(params.catalog.model[0].tier, 1);
    assert_true(params.learner.precision_bias == 2);
    assert_false(params.features.text);
    assert_int_equal(params.n_rules, 2);
    assert_int_equal(params.rule[0].n_words, 2);
    assert_int_equal(params.rule[0].tier, 0);
    assert_int_equal(params.rule[1].tier, -1);
    assert_int_equal(params.rule[1].min_prompt_tokens, 5);
    assert_true(params.budget.usd_per_request == 0.002);
    assert_string_equal(params.baseline, "a");
}

/* Each refusal names the place and what is allowed; outputs stay as they were. */
static const struct refusal {
    const char *name, *json, *path, *words;
    enum status code;
} refusals[] = {
    {"C1 empty", "", "", "empty", STATUS_BAD_JSON},
    {"C1 syntax", "{\n\n \"models\": [}", "", "not valid JSON", STATUS_BAD_JSON},
    {"C1 no models", "{}", "/models", "missing", STATUS_BAD_REQUEST},
    {"C1 no model", "{\"models\":[]}", "/models", "1 to 64", STATUS_BAD_REQUEST},
    {"C1 version", "{\"v\":2," MODELS "}", "/v", "expected 1", STATUS_UNSUPPORTED_VERSION},
    {"C2 unknown key", "{" MODELS ",\"objektive\":{}}", "/objektive", "did you mean \"objective\"",
     STATUS_UNKNOWN_FIELD},
    {"C2 nested unknown key", "{" MODELS ",\"learner\":{\"precision\":{\"bais\":1}}}",
     "/learner/precision/bais", "did you mean \"bias\"", STATUS_UNKNOWN_FIELD},
    {"C2 unknown model key", "{\"models\":[{\"name\":\"a\",\"usd_per_mtok_inn\":1}]}",
     "/models/0/usd_per_mtok_inn", "did you mean \"usd_per_mtok_in\"", STATUS_UNKNOWN_FIELD},
    {"C2 far key", "{" MODELS ",\"zzzzzzzz\":{}}", "/zzzzzzzz", "x_", STATUS_UNKNOWN_FIELD},
    {"C3 range", "{" MODELS ",\"policy\":{\"floor\":1.5}}", "/policy/floor",
     "a number from 0 to 1, found 1.5", STATUS_BAD_REQUEST},
    {"C3 type", "{" MODELS ",\"objective\":{\"cost\":\"0.1\"}}", "/objective/cost",
     "found a string of 3 bytes", STATUS_BAD_REQUEST},
    {"C3 fraction", "{" MODELS ",\"limits\":{\"route_slots\":1.5}}", "/limits/route_slots",
     "an integer from 1", STATUS_BAD_REQUEST},
    {"C3 bool", "{" MODELS ",\"features\":{\"text\":1}}", "/features/text", "true or false",
     STATUS_BAD_REQUEST},
    {"C3 choice", "{" MODELS ",\"store\":{\"durability\":\"ful\"}}", "/store/durability",
     "full|relaxed", STATUS_BAD_REQUEST},
    {"C3 object", "{" MODELS ",\"store\":[]}", "/store", "expected an object", STATUS_BAD_REQUEST},
    {"C3 price", "{\"models\":[{\"name\":\"a\",\"tier\":\"small\",\"usd_per_mtok_in\":-1}]}",
     "/models/0/usd_per_mtok_in", "from 0 to 100000", STATUS_BAD_REQUEST},
    {"C4 no price", "{\"models\":[{\"name\":\"a\",\"tier\":\"small\",\"usd_per_mtok_in\":1}]}",
     "/models/0/usd_per_mtok_out", "missing", STATUS_BAD_REQUEST},
    {"C4 no name", "{\"models\":[{}]}", "/models/0/name", "missing", STATUS_BAD_REQUEST},
    {"C4 twice", "{\"models\":[" M_A "," M_A "]}", "/models/1/name", "twice", STATUS_BAD_REQUEST},
    {"C4 tier",
     "{\"models\":[{\"name\":\"a\",\"tier\":\"huge\",\"usd_per_mtok_in\":1,\"usd_per_mtok_out\":"
     "1}]}",
     "/models/0/tier", "small, medium, large", STATUS_BAD_REQUEST},
    {"C4 none active",
     "{\"models\":[{\"name\":\"a\",\"tier\":\"small\",\"usd_per_mtok_in\":1,\"usd_per_mtok_out\":1,"
     "\"active\":false}]}",
     "/models", "active", STATUS_BAD_REQUEST},
    {"C4 not an object", "{\"models\":[3]}", "/models/0", "expected an object", STATUS_BAD_REQUEST},
    {"C4 capability",
     "{\"models\":[{\"name\":\"a\",\"tier\":\"small\",\"usd_per_mtok_in\":1,\"usd_per_mtok_out\":1,"
     "\"capabilities\":[\"a b\"]}]}",
     "/models/0/capabilities/0", "a name", STATUS_BAD_REQUEST},
    {"C4 tiers twice", "{" MODELS ",\"tiers\":[\"small\",\"small\"]}", "/tiers/1", "twice",
     STATUS_BAD_REQUEST},
    {"C5 policy", "{" MODELS ",\"policy\":{\"name\":\"thompson\"}}", "/policy/name",
     "lints, fixed, uniform, greedy, rules, igw", STATUS_BAD_REQUEST},
    {"C5 policy model", "{" MODELS ",\"policy\":{\"model\":\"zz\"}}", "/policy/model",
     "no model \"zz\"", STATUS_BAD_REQUEST},
    {"C5 baseline", "{" MODELS ",\"baseline\":\"zz\"}", "/baseline", "no model",
     STATUS_BAD_REQUEST},
    {"C5 floors", "{" MODELS ",\"policy\":{\"floor\":0.0001}}", "/policy/floor_min",
     "must not exceed", STATUS_BAD_REQUEST},
    {"C5 rule model", "{" MODELS ",\"rules\":[{\"model\":\"zz\"}]}", "/rules/0/model", "no model",
     STATUS_BAD_REQUEST},
    {"C5 rule tier", "{" MODELS ",\"rules\":[{\"tier\":\"zz\"}]}", "/rules/0/tier", "tiers are",
     STATUS_BAD_REQUEST},
    {"C5 rule both", "{" MODELS ",\"rules\":[{\"model\":\"a\",\"tier\":\"small\"}]}", "/rules/0",
     "found both", STATUS_BAD_REQUEST},
    {"C5 rule neither", "{" MODELS ",\"rules\":[{\"task\":\"t\"}]}", "/rules/0", "neither",
     STATUS_BAD_REQUEST},
    {"C5 rule two", "{" MODELS ",\"rules\":[{\"tier\":\"small\",\"min_tier\":\"small\"}]}",
     "/rules/0", "more", STATUS_BAD_REQUEST},
    {"C5 rule least", "{" MODELS ",\"rules\":[{\"min_tier\":\"zz\"}]}", "/rules/0/min_tier",
     "tiers are", STATUS_BAD_REQUEST},
    {"C5 rule word", "{" MODELS ",\"rules\":[{\"model\":\"a\",\"words\":[\"\"]}]}",
     "/rules/0/words/0", "1 to 64 bytes", STATUS_BAD_REQUEST},
    {"learners no tenant", "{" MODELS ",\"learners\":[{\"shares\":true}]}", "/learners/0/tenant",
     "missing", STATUS_BAD_REQUEST},
    {"learners twice", "{" MODELS ",\"learners\":[{\"tenant\":\"x\"},{\"tenant\":\"x\"}]}",
     "/learners/1/tenant", "twice", STATUS_BAD_REQUEST},
    {"learners negative", "{" MODELS ",\"learners\":[{\"tenant\":\"x\",\"borrows\":-1}]}",
     "/learners/0/borrows", "from 0", STATUS_BAD_REQUEST},
    {"learners typo", "{" MODELS ",\"learners\":[{\"tenant\":\"x\",\"share\":true}]}",
     "/learners/0/share", "\"shares\"", STATUS_UNKNOWN_FIELD},
    {"learners no list", "{" MODELS ",\"learners\":{}}", "/learners", "array", STATUS_BAD_REQUEST},
    {"C6 retention", "{" MODELS ",\"learner\":{\"join_window_hours\":1057}}",
     "/store/retention_days", "join_window_hours", STATUS_BAD_REQUEST},
    {"C6 address", "{" MODELS ",\"listen\":{\"route\":\"7601\"}}", "/listen/route", "tcp://",
     STATUS_BAD_REQUEST},
    {"C6 tls", "{" MODELS ",\"listen\":{\"route\":\"tls+tcp://h:1\"}}", "/listen/route",
     "/listen/tls/cert", STATUS_BAD_REQUEST},
    {"C6 dimension",
     "{" MODELS ",\"features\":{\"dim_text\":128,\"dim_caller\":128,\"dim_declared\":128}}",
     "/features", "at most 128", STATUS_BAD_REQUEST},
    {"C6 authority", "{" MODELS ",\"listen\":{\"tls\":{\"require_client_cert\":true}}}",
     "/listen/tls", "/listen/tls/ca", STATUS_BAD_REQUEST},
    {"C6 directory", "{" MODELS ",\"store\":{\"dir\":\"\"}}", "/store/dir", "empty",
     STATUS_BAD_REQUEST},
    {"C6 control byte", "{" MODELS ",\"store\":{\"dir\":\"a\\nb\"}}", "/store/dir", "a text of",
     STATUS_BAD_REQUEST},
    {"C6 seed", "{" MODELS ",\"store\":{\"seed\":1e16}}", "/store/seed", "found 1e+16",
     STATUS_BAD_REQUEST},
    {"C5 rules", "{" MODELS ",\"rules\":false}", "/rules", "found false", STATUS_BAD_REQUEST},
    {"silence quality", "{" MODELS ",\"silence\":[{\"after_hours\":1}]}", "/silence/0/quality",
     "missing", STATUS_BAD_REQUEST},
    {"silence hours", "{" MODELS ",\"silence\":[{\"quality\":1}]}", "/silence/0/after_hours",
     "missing", STATUS_BAD_REQUEST},
    {"silence window", "{" MODELS ",\"silence\":[{\"quality\":1,\"after_hours\":721}]}",
     "/silence/0/after_hours", "join_window_hours", STATUS_BAD_REQUEST},
    {"silence range", "{" MODELS ",\"silence\":[{\"quality\":2,\"after_hours\":1}]}",
     "/silence/0/quality", "from 0 to 1", STATUS_BAD_REQUEST},
    {"value form", "{" MODELS ",\"value\":[]}", "/value", "object", STATUS_BAD_REQUEST},
    {"value table", "{" MODELS ",\"value\":{\"task\":3}}", "/value/task", "32 factors",
     STATUS_BAD_REQUEST},
    {"value label", "{" MODELS ",\"value\":{\"tasks\":{}}}", "/value/tasks", "task",
     STATUS_UNKNOWN_FIELD},
    {"value name", "{" MODELS ",\"value\":{\"task\":{\"a b\":1}}}", "/value/task/a?b", "key",
     STATUS_BAD_REQUEST},
    {"value factor", "{" MODELS ",\"value\":{\"task\":{\"a\":0}}}", "/value/task/a",
     "from 0.01 to 100", STATUS_BAD_REQUEST},
    {"value bounds", "{" MODELS ",\"value\":{\"least\":2}}", "/value/least", "from 0.01 to 1",
     STATUS_BAD_REQUEST},
    {"silence form", "{" MODELS ",\"silence\":{}}", "/silence", "array", STATUS_BAD_REQUEST},
    {"most_off", "{" MODELS ",\"learner\":{\"most_off\":0.5}}", "/learner/most_off", "from 1 on",
     STATUS_BAD_REQUEST},
    {"no weights",
     "{" MODELS ",\"objective\":{\"quality\":0,\"cost\":0,\"latency\":0,\"failure\":0}}",
     "/objective", "all weights are 0", STATUS_BAD_REQUEST},
    {"no trial weights",
     "{" MODELS ",\"canary\":{\"share\":0.1,\"objective\":{\"quality\":0,\"cost\":0,\"latency\":0,"
     "\"failure\":0}}}",
     "/canary/objective", "all weights are 0", STATUS_BAD_REQUEST},
    {"throttle", "{" MODELS ",\"budget\":{\"throttle\":1}}", "/budget/throttle",
     "only with usd_per_request", STATUS_BAD_REQUEST},
    {"lease", "{" MODELS ",\"budget\":{\"lease\":1.5}}", "/budget/lease", "from 0 to 1",
     STATUS_BAD_REQUEST},
    {"expiry",
     "{" MODELS ",\"learner\":{\"join_window_hours\":1},\"budget\":{"
     "\"expire_after_s\":3601},\"pools\":[{\"name\":\"p\",\"usd\":1}]}",
     "/budget/expire_after_s", "join_window_hours", STATUS_BAD_REQUEST},
    {"pool of no model",
     "{" MODELS ",\"pools\":[{\"name\":\"p\",\"usd\":1,\"match\":{"
     "\"model\":\"zz\"}}]}",
     "/pools/0/match/model", "no model", STATUS_BAD_REQUEST},
    {"pool of no use", "{" MODELS ",\"pools\":[{\"name\":\"p\"}]}", "/pools/0", "limits nothing",
     STATUS_BAD_REQUEST},
    {"C5 words", "{" MODELS ",\"rules\":[{\"model\":\"a\",\"words\":3}]}", "/rules/0/words",
     "at most 8", STATUS_BAD_REQUEST},
    {"C5 sources", "{" MODELS ",\"feedback\":{\"ignore_sources\":\"bot\"}}",
     "/feedback/ignore_sources", "at most 16 names", STATUS_BAD_REQUEST},
    {"C5 source", "{" MODELS ",\"feedback\":{\"ignore_sources\":[\"a\",\"b c\"]}}",
     "/feedback/ignore_sources/1", "a name of", STATUS_BAD_REQUEST},
    {"C5 source near", "{" MODELS ",\"feedback\":{\"ignore_source\":[]}}",
     "/feedback/ignore_source", "did you mean", STATUS_UNKNOWN_FIELD},
    {"J5 duplicate", "{" MODELS ",\"baseline\":\"a\",\"baseline\":\"a\"}", "", "duplicate key",
     STATUS_BAD_JSON},
    {"J9 depth", "{\"x_\":[[[[[[[[]]]]]]]]}", "", "deeper", STATUS_TOO_LARGE},
};

static void refused(void **state)
{
    (void)state;
    static struct params before;
    must_parse("{" MODELS "}");
    memcpy(&before, &params, sizeof before);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *r = &refusals[i];
        enum status st = parse(r->json);
        if (st != r->code || strcmp(problem.path, r->path) != 0 || !strstr(problem.text, r->words))
            fail_msg("%s: got %s %s \"%s\"", r->name, status_code(st), problem.path, problem.text);
        assert_memory_equal(&before, &params, sizeof before);
    }
    assert_int_equal(parse("{\n\n \"models\": [}"), STATUS_BAD_JSON);
    assert_int_equal(problem.line, 3);
    memset(rendered, ' ', sizeof rendered);
    char *big = malloc(CONFIG_MAX + 1);
    memset(big, ' ', CONFIG_MAX + 1);
    assert_int_equal(config_parse(big, CONFIG_MAX + 1, &params, NULL, &problem), STATUS_TOO_LARGE);
    free(big);
}

static void check_round_trip(void)
{
    size_t n = config_render(&params, rendered, sizeof rendered);
    assert_true(n > 0);
    if (config_parse(rendered, n, &other, NULL, &problem) != STATUS_OK)
        fail_msg("%s %s in %s", problem.path, problem.text, rendered);
    assert_memory_equal(&params, &other, sizeof params);
    assert_int_equal(config_render(&other, again, sizeof again), n);
    assert_string_equal(rendered, again);
    assert_int_equal(config_render(&params, again, n), 0); /* one byte short */
    assert_int_equal(config_render(&params, again, n + 1), n);
}

static void render_reads_back(void **state)
{
    (void)state;
    must_parse("{" MODELS "}");
    check_round_trip();
    must_parse("{\"tiers\":[\"t1\",\"small\",\"large\"]," MODELS ",\"objective\":{\"cost\":"
               "0.3333333333333333,\"quality\":1e-300},\"policy\":{\"model\":\"a\"},\"rules\":[{"
               "\"words\":[\"\xc3\xa9\\\"\",\"b\"],\"tier\":\"large\",\"domain\":\"d\"},{\"model\":"
               "\"a\"}],\"learner\":{\"join_window_hours\":0.1},\"baseline\":\"v/b\","
               "\"silence\":[{\"task\":\"t\",\"tenant\":\"n\",\"quality\":0.1,\"after_hours\":"
               "0.03},{\"quality\":1,\"after_hours\":0.05}]}");
    check_round_trip();
    assert_int_equal(params.n_silence, 2);
    must_patch("{\"silence\":[]}");
    check_round_trip();
    must_parse("{" MODELS ",\"value\":{\"task\":{\"t\":3.3333333333333335,\"u/v\":0.1},"
               "\"outcome\":{\"renewal\":2},\"least\":0.1}}");
    check_round_trip();
    assert_true(params.value.n[VALUE_TASK] == 2 && params.value.most == 5);
    must_patch("{\"value\":{\"task\":{},\"most\":7}}");
    check_round_trip();
    assert_true(params.value.n[VALUE_TASK] == 0 && params.value.n[VALUE_OUTCOME] == 1);
    assert_true(params.value.least == 0.1 && params.value.most == 7);
    must_parse("{" MODELS ",\"feedback\":{\"ignore_sources\":[\"bot\",\"default\"]}}");
    assert_int_equal(params.feedback.n_ignore, 2);
    assert_string_equal(params.feedback.ignore[1], "default");
    check_round_trip();
    /* Longer than the default retention allows: a logged document has no settings to ask. */
    must_parse("{" MODELS ",\"store\":{\"retention_days\":100},\"learner\":{\"join_window_hours\":"
               "2000}}");
    check_round_trip();
}

static void largest_document_fits(void **state)
{
    (void)state;
    static char doc[CONFIG_MAX];
    static const char pad[] = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
    size_t n = (size_t)snprintf(doc, sizeof doc, "{\"models\":[");
    for (int i = 0; i < MODELS_MAX; i++) {
        n += (size_t)snprintf(doc + n, sizeof doc - n,
                              "%s{\"name\":\"%s%d\",\"tier\":\"small\",\"usd_per_mtok_in\":"
                              "12345.678901,\"usd_per_mtok_out\":1,\"typical_quality\":"
                              "0.33333333333333331,\"capabilities\":[",
                              i > 0 ? "," : "", pad, i);
        for (int k = 0; k < NEEDS_MAX; k++)
            n += (size_t)snprintf(doc + n, sizeof doc - n, "%s\"%s%d\"", k > 0 ? "," : "", pad, k);
        n += (size_t)snprintf(doc + n, sizeof doc - n, "]}");
    }
    n += (size_t)snprintf(doc + n, sizeof doc - n, "]}");
    must_parse(doc);
    check_round_trip();
}

static void patch_changes_only_what_it_names(void **state)
{
    (void)state;
    must_parse("{" MODELS ",\"baseline\":\"a\"}");
    must_patch("{\"objective\":{\"cost\":0.4}}");
    assert_true(params.objective.cost == 0.4);
    assert_true(params.objective.quality == 1);
    assert_string_equal(params.baseline, "a");
    must_patch("{\"models\":[{\"name\":\"a\",\"usd_per_mtok_in\":1},{\"name\":\"n\",\"tier\":"
               "\"medium\",\"usd_per_mtok_in\":1,\"usd_per_mtok_out\":2,\"capabilities\":"
               "[\"json\",\"vision\"]}]}");
    assert_int_equal(params.catalog.n, 3);
    assert_int_equal(params.catalog.model[0].price.in, 1000000);
    assert_int_equal(params.catalog.model[0].price.cached, 1000000); /* was not said: follows */
    assert_int_equal(params.catalog.model[0].price.out, 150000);
    check_round_trip();
    must_patch("{\"models\":[{\"name\":\"v/b\",\"active\":false,\"capabilities\":[]}]}");
    assert_false(params.catalog.model[1].active);
    assert_int_equal(params.catalog.model[1].price.cached, 300000);
    assert_int_equal(params.catalog.n_needs, 2); /* nobody has "tools" any more */
    check_round_trip();
    must_patch("{\"feedback\":{\"ignore_sources\":[\"a\",\"b\"]}}");
    must_patch("{\"feedback\":{\"ignore_sources\":[\"c\"]}}");
    assert_int_equal(params.feedback.n_ignore, 1);
    must_patch("{\"baseline\":\"\",\"rules\":[{\"tier\":\"medium\"},{\"min_tier\":\"small\"}]}");
    must_patch("{\"tiers\":[\"medium\",\"small\",\"x\",\"y\"]}");
    must_patch("{\"tiers\":[\"medium\",\"small\"]}"); /* v/b is retired, its tier may go */
    assert_int_equal(params.rule[0].tier, 0);
    assert_int_equal(params.rule[1].min_tier, 1);
    assert_int_equal(params.catalog.model[0].tier, 1);
    check_round_trip();
}

static void patch_refusals_change_nothing(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"settings", "{\"limits\":{\"drain_ms\":1}}", "/limits", "restart", STATUS_BAD_REQUEST},
        {"typo", "{\"objective\":{\"cots\":1}}", "/objective/cots", "\"cost\"",
         STATUS_UNKNOWN_FIELD},
        {"half a model", "{\"models\":[{\"name\":\"n\",\"active\":false}]}", "/models/0/tier",
         "missing", STATUS_BAD_REQUEST},
        {"last model",
         "{\"models\":[{\"name\":\"a\",\"active\":false},{\"name\":\"v/b\","
         "\"active\":false}]}",
         "/models", "active", STATUS_BAD_REQUEST},
        {"tier in use", "{\"tiers\":[\"small\"]}", "/models", "no longer in tiers",
         STATUS_BAD_REQUEST},
        {"tier of a rule", "{\"tiers\":[\"small\",\"large\"],\"rules\":[{\"tier\":\"medium\"}]}",
         "/rules/0/tier", "no tier", STATUS_BAD_REQUEST},
        {"second half bad", "{\"objective\":{\"cost\":0.9,\"latency\":-1}}", "/objective/latency",
         "from 0", STATUS_BAD_REQUEST},
    };
    must_parse("{" MODELS "}");
    memcpy(&other, &params, sizeof params);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum status st = patch(cases[i].json);
        if (st != cases[i].code || strcmp(problem.path, cases[i].path) != 0 ||
            !strstr(problem.text, cases[i].words))
            fail_msg("%s: got %s %s \"%s\"", cases[i].name, status_code(st), problem.path,
                     problem.text);
        assert_memory_equal(&params, &other, sizeof params);
    }
}

/* A patch names the learners it changes; slots never move, not even by a file that forgets one. */
static void learners_keep_their_slots(void **state)
{
    (void)state;
    must_parse("{" MODELS "}");
    assert_int_equal(params.learners.n, 0);
    must_parse("{" MODELS ",\"learners\":[{\"tenant\":\"acme\"},{\"tenant\":\"globex\","
               "\"shares\":false,\"borrows\":2.5}]}");
    const struct learner_spec *acme = &params.learners.spec[0], *globex = &params.learners.spec[1];
    assert_true(acme->active && acme->shares && acme->borrows == 100);
    assert_true(globex->active && !globex->shares && globex->borrows == 2.5);
    assert_int_equal(learners_find(&params.learners, "globex"), 2);
    assert_int_equal(learners_find(&params.learners, "initech"), 0);
    check_round_trip();
    must_patch("{\"learners\":[{\"tenant\":\"initech\"},{\"tenant\":\"globex\",\"borrows\":0}]}");
    assert_int_equal(params.learners.n, 3);
    assert_true(!globex->shares && globex->borrows == 0);
    static struct learner_list was;
    was = params.learners;
    must_parse("{" MODELS ",\"learners\":[{\"tenant\":\"new\"},{\"tenant\":\"initech\",\"borrows\":"
               "7}]}");
    assert_true(learners_merge(&was, &params.learners));
    params.learners = was;
    assert_int_equal(params.learners.n, 4);
    assert_true(!acme->active && !globex->active && !globex->shares);
    assert_true(params.learners.spec[2].active && params.learners.spec[2].borrows == 7);
    assert_string_equal(params.learners.spec[3].tenant, "new");
    check_round_trip();
}

/* What the engine logs after a merge must read back as well: slots and bits in the merged order. */
static void merged_catalog_reads_back(void **state)
{
    (void)state;
    static struct params configured;
    must_parse("{\"models\":[{\"name\":\"z\",\"tier\":\"medium\",\"usd_per_mtok_in\":1,"
               "\"usd_per_mtok_out\":1,\"capabilities\":[\"json\",\"tools\"]}," M_A "]}");
    memcpy(&configured, &params, sizeof params);
    must_parse("{" MODELS "}");
    struct catalog merged = params.catalog;
    assert_true(catalog_merge(&merged, &configured.catalog));
    params.catalog = merged;
    assert_int_equal(params.catalog.n, 3);
    check_round_trip();
}

static void reference_lists_every_field(void **state)
{
    (void)state;
    size_t n = config_reference(rendered, sizeof rendered);
    assert_true(n > 1000);
    static const char *const rows[] = {"| `/objective/cost` | a number from 0 to 1000 | 0",
                                       "| `/models/*/usd_per_mtok_in` |", "| `/rules/*/words` |",
                                       "| `/store/durability` | one of full/relaxed | full |",
                                       "| `/listen/tls/cert` |"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_non_null(strstr(rendered, rows[i]));
    assert_int_equal(config_reference(rendered, 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(refused),
        cmocka_unit_test(render_reads_back),
        cmocka_unit_test(largest_document_fits),
        cmocka_unit_test(patch_changes_only_what_it_names),
        cmocka_unit_test(patch_refusals_change_nothing),
        cmocka_unit_test(learners_keep_their_slots),
        cmocka_unit_test(merged_catalog_reads_back),
        cmocka_unit_test(reference_lists_every_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
