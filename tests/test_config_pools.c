/* SPDX-License-Identifier: MIT */
/* Pools and zones of a configuration document: read, refused with the place, written back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/config/config_pools.h"

static struct pool_config config;
static struct problem problem;

/* Reads {"zones": [...], "pools": [...]}. */
static enum status parse(const char *json, struct pool_config *out)
{
    json_t *root = json_loads(json, 0, NULL);
    assert_non_null(root);
    memset(out, 0, sizeof *out);
    memset(&problem, 0, sizeof problem);
    const json_t *zones = json_object_get(root, "zones"), *pools = json_object_get(root, "pools");
    enum status st = zones ? config_zones_read(out, zones, &problem) : STATUS_OK;
    if (st == STATUS_OK)
        st = config_pools_read(out, pools, &problem);
    if (st == STATUS_OK)
        st = config_pools_check(out, &problem);
    json_decref(root);
    return st;
}

static const char everything[] =
    "{\"zones\":[{\"name\":\"Europe/Berlin\",\"utc_offset_minutes\":60,\"changes\":["
    "{\"at\":\"2026-03-29T01:00:00Z\",\"utc_offset_minutes\":120},"
    "{\"at\":\"2026-10-25T01:00:00Z\",\"utc_offset_minutes\":60}]}],"
    "\"pools\":["
    "{\"name\":\"org\",\"window\":\"quarter\",\"zone\":\"Europe/Berlin\",\"usd\":1000000.25,"
    "\"tokens\":5000000000,\"soft\":0.8},"
    "{\"name\":\"tenants\",\"parent\":\"org\",\"each\":\"tenant\",\"window\":\"month\",\"usd\":0."
    "000001,"
    "\"override\":{\"for\":\"acme\",\"usd\":50,\"until\":\"2026-12-01T00:00:00Z\"},"
    "\"fuse\":{\"usd\":5,\"usd_per_hour\":0.1,\"tokens\":100000,\"tokens_per_hour\":1000,"
    "\"reset_s\":900,\"rearmed\":\"2026-11-24T16:00:00Z\"}},"
    "{\"name\":\"gold\",\"parent\":\"org\",\"match\":{\"user_tier\":\"gold\",\"group\":\"eu\"},"
    "\"share\":0.7,\"borrow\":true,\"keep\":0.1},"
    "{\"name\":\"free\",\"parent\":\"org\",\"match\":{\"user_tier\":\"free\"},\"share\":0.3,"
    "\"borrow\":true,\"keep\":0.3333333333333333},"
    "{\"name\":\"burst\",\"parent\":\"tenants\",\"each\":\"user\",\"window\":\"rolling\","
    "\"length_s\":300,\"tokens\":0,\"mode\":\"quantile\",\"risk\":0.01,\"enforce\":\"soft\"},"
    "{\"name\":\"trial\",\"window\":\"once\",\"from\":\"2026-11-01T00:00:00Z\","
    "\"until\":\"2027-01-01T00:00:00Z\",\"usd\":250},"
    "{\"name\":\"stop\",\"match\":{\"user\":\"bob\",\"model\":\"large-1\"},\"kill\":true,"
    "\"x_why\":\"runaway agent\"}]}";

static void reads_all(void **state)
{
    (void)state;
    assert_int_equal(parse(everything, &config), STATUS_OK);
    assert_int_equal(config.n, 7);
    assert_int_equal(config.n_zones, 1);
    assert_int_equal(config.zone[0].change[1].offset_ms, 3600000);
    const struct pool_spec *s = &config.spec[0];
    assert_int_equal(s->limit[POOL_NANO], 1000000250000);
    assert_int_equal(s->has, POOL_HAS_USD | POOL_HAS_TOKENS);
    s = &config.spec[1];
    assert_int_equal(s->limit[POOL_NANO], 1);
    assert_int_equal(s->each, POOL_TENANT);
    assert_string_equal(s->zone, "Europe/Berlin"); /* its parent's */
    assert_string_equal(s->over.value, "acme");
    assert_int_equal(s->fuse.reset_ms, 900000);
    s = &config.spec[2];
    assert_int_equal(s->window.kind, WINDOW_QUARTER); /* its parent's */
    assert_string_equal(s->match[POOL_GROUP], "eu");
    s = &config.spec[4];
    assert_int_equal(s->parent, 1);
    assert_int_equal(s->window.length_ms, 300000);
    assert_int_equal(s->has, POOL_HAS_TOKENS); /* nothing, not unlimited */
    assert_true(s->quantile && s->soft_only);
    assert_true(config.spec[6].kill);
}

static void renders_back(void **state)
{
    static char text[65536], twice[65536];
    static struct pool_config again;
    (void)state;
    assert_int_equal(parse(everything, &config), STATUS_OK);
    for (int round = 0; round < 2; round++) {
        const struct pool_config *c = round == 0 ? &config : &again;
        struct text t = text_over(round == 0 ? text : twice, sizeof text);
        text_put(&t, "{\"zones\":[");
        config_zones_render(c, &t);
        text_put(&t, "],\"pools\":[");
        config_pools_render(c, &t);
        text_put(&t, "]}");
        assert_false(t.full);
        if (round == 0)
            assert_int_equal(parse(text, &again), STATUS_OK);
    }
    assert_memory_equal(&config, &again, sizeof config);
    assert_string_equal(text, twice);
}

/* One document with its pools (and zones) for each refusal: where, and a word of why. */
static void refuses(void **state)
{
#define ORG "{\"name\":\"org\",\"usd\":10}"
    static const struct {
        const char *pools, *path, *text;
    } cases[] = {
        {"{}", "/pools/0/name", "missing"},
        {"{\"name\":\"a b\",\"usd\":1}", "/pools/0/name", "expected a name"},
        {"{\"name\":\"a\"}", "/pools/0", "limits nothing"},
        {"{\"name\":\"a\",\"usd\":-1}", "/pools/0/usd", "expected US dollars"},
        {"{\"name\":\"a\",\"usd\":1e10}", "/pools/0/usd", "expected US dollars"},
        {"{\"name\":\"a\",\"tokens\":1.5}", "/pools/0/tokens", "expected an integer"},
        {"{\"name\":\"a\",\"budget\":1}", "/pools/0/budget", "unknown field"},
        {ORG ",{\"name\":\"org\",\"usd\":1}", "/pools/1/name", "twice"},
        {"{\"name\":\"a\",\"parent\":\"b\",\"usd\":1}", "/pools/0/parent", "no pool \"b\""},
        {"{\"name\":\"a\",\"parent\":\"a\",\"usd\":1}", "/pools/0/parent", "parents come first"},
        {"{\"name\":\"a\",\"parent\":\"b\",\"usd\":1},{\"name\":\"b\",\"parent\":\"a\",\"usd\":1}",
         "/pools/0/parent", "parents come first"},
        {"{\"name\":\"a\",\"usd\":1,\"match\":{\"tenant\":\"x\"}},"
         "{\"name\":\"b\",\"parent\":\"a\",\"usd\":1,\"match\":{\"tenant\":\"y\"}}",
         "/pools/1/match/tenant", "never matches"},
        {"{\"name\":\"a\",\"usd\":1,\"each\":\"planet\"}", "/pools/0/each", "expected one of"},
        {"{\"name\":\"a\",\"usd\":1,\"window\":\"fortnight\"}", "/pools/0/window", "expected one"},
        {"{\"name\":\"a\",\"usd\":1,\"window\":\"rolling\"}", "/pools/0/length_s", "required"},
        {"{\"name\":\"a\",\"usd\":1,\"length_s\":60}", "/pools/0/length_s", "only a rolling"},
        {"{\"name\":\"a\",\"usd\":1,\"until\":\"2026-01-01T00:00:00Z\"}", "/pools/0/until", "only"},
        {"{\"name\":\"a\",\"usd\":1,\"window\":\"once\",\"until\":\"tomorrow\"}", "/pools/0/until",
         "expected a time"},
        {"{\"name\":\"a\",\"usd\":1,\"window\":\"once\",\"from\":\"2026-02-01T00:00:00Z\","
         "\"until\":\"2026-01-01T00:00:00Z\"}",
         "/pools/0/until", "later than from"},
        {"{\"name\":\"a\",\"usd\":1,\"zone\":\"Mars\"}", "/pools/0/zone", "no such zone"},
        {"{\"name\":\"a\",\"share\":0.5}", "/pools/0/share", "needs a parent"},
        {ORG ",{\"name\":\"a\",\"parent\":\"org\",\"share\":1.5}", "/pools/1/share", "expected"},
        {ORG ",{\"name\":\"a\",\"parent\":\"org\",\"share\":0.5,\"usd\":1}", "/pools/1/share",
         "either"},
        {ORG ",{\"name\":\"a\",\"parent\":\"org\",\"share\":0.5,\"window\":\"day\"}",
         "/pools/1/share", "the parent's window"},
        {ORG ",{\"name\":\"a\",\"parent\":\"org\",\"share\":0.6},"
             "{\"name\":\"b\",\"parent\":\"org\",\"share\":0.6}",
         "/pools/1/share", "more than 1"},
        {"{\"name\":\"org\",\"kill\":true},{\"name\":\"a\",\"parent\":\"org\",\"share\":0.6}",
         "/pools/1/share", "needs a parent with a cap"},
        {ORG ",{\"name\":\"a\",\"parent\":\"org\",\"share\":0.6,\"borrow\":true}",
         "/pools/1/borrow", "no sibling"},
        {"{\"name\":\"a\",\"usd\":1,\"borrow\":true}", "/pools/0/borrow", "needs a parent"},
        {ORG ",{\"name\":\"a\",\"parent\":\"org\",\"usd\":1,\"each\":\"user\",\"keep\":0}",
         "/pools/1/keep", "needs a parent, and no each"},
        {"{\"name\":\"a\",\"usd\":1,\"override\":{\"usd\":2}}", "/pools/0/override/until",
         "required"},
        {"{\"name\":\"a\",\"usd\":1,\"override\":{\"until\":\"2027-01-01T00:00:00Z\"}}",
         "/pools/0/override", "give usd or tokens"},
        {"{\"name\":\"a\",\"usd\":1,\"override\":{\"for\":\"x\",\"usd\":2,"
         "\"until\":\"2027-01-01T00:00:00Z\"}}",
         "/pools/0/override/for", "only for pools with each"},
        {"{\"name\":\"a\",\"fuse\":{\"usd\":2}}", "/pools/0/fuse/usd_per_hour", "go together"},
        {"{\"name\":\"a\",\"kill\":true,\"fuse\":{\"tokens_per_hour\":2}}", "/pools/0/fuse/tokens",
         "go together"},
        {"{\"name\":\"a\",\"usd\":1,\"fuse\":{\"reset_s\":2}}", "/pools/0/fuse", "give usd"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[1024] = "{\"pools\":[";
        strcat(strcat(json, cases[i].pools), "]}");
        enum status st = parse(json, &config);
        if (st == STATUS_OK || strcmp(problem.path, cases[i].path) != 0 ||
            !strstr(problem.text, cases[i].text))
            fail_msg("%s: %s %s", json, problem.path, problem.text);
    }
}

static void refuses_deep(void **state)
{
    char json[2048];
    struct text t = text_over(json, sizeof json);
    (void)state;
    text_put(&t, "{\"pools\":[{\"name\":\"p0\",\"usd\":1}");
    for (int i = 1; i < 9; i++)
        text_printf(&t, ",{\"name\":\"p%d\",\"parent\":\"p%d\",\"usd\":1}", i, i - 1);
    text_put(&t, "]}");
    assert_int_equal(parse(json, &config), STATUS_BAD_REQUEST);
    assert_string_equal(problem.path, "/pools/8/parent");
}

static void refuses_zones(void **state)
{
#define ZONE(rest) "{\"zones\":[{\"name\":\"z\"" rest "}],\"pools\":[]}"
#define CHANGE(when) "{\"at\":\"" when "\",\"utc_offset_minutes\":0}"
    static const char *const cases[][3] = {
        {"{\"zones\":[{}],\"pools\":[]}", "/zones/0/name", "missing"},
        {"{\"zones\":[{\"name\":\"z\"},{\"name\":\"z\"}],\"pools\":[]}", "/zones/1/name", "twice"},
        {ZONE(",\"utc_offset_minutes\":2000"), "/zones/0/utc_offset_minutes", "expected"},
        {ZONE(",\"changes\":[{\"at\":\"2026-01-01T00:00:00Z\"}]"),
         "/zones/0/changes/0/utc_offset_minutes", "missing"},
        {ZONE(",\"changes\":[{\"utc_offset_minutes\":0}]"), "/zones/0/changes/0/at", "a time"},
        {ZONE(",\"changes\":[" CHANGE("2026-01-01T00:00:00Z") "," CHANGE(
             "2026-01-01T00:00:00Z") "]"),
         "/zones/0/changes/1/at", "later"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_not_equal(parse(cases[i][0], &config), STATUS_OK);
        assert_string_equal(problem.path, cases[i][1]);
        assert_non_null(strstr(problem.text, cases[i][2]));
    }
}

/* Each field has a help text: the reference is printed from the table. */
static void described(void **state)
{
    const struct field_table tables[] = {config_pool_table(), config_zone_table(),
                                         config_zone_change_table()};
    (void)state;
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < tables[k].n; i++)
            assert_true(tables[k].row[i].help && strlen(tables[k].row[i].help) > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all),     cmocka_unit_test(renders_back),
        cmocka_unit_test(refuses),       cmocka_unit_test(refuses_deep),
        cmocka_unit_test(refuses_zones), cmocka_unit_test(described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
