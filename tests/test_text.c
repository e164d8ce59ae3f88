/* SPDX-License-Identifier: MIT */
/* Text, problems, decision ids and the catalog: the parts that stand on nothing else. */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/config/catalog.h"
#include "core/encoding/decimal.h"
#include "core/encoding/text.h"
#include "core/event/decision_id.h"
#include "core/status.h"

static const uint8_t sip_key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* What printf and strtod make of it, digit by digit. */
static size_t slowly(char *out, double v, int digits)
{
    int p = digits < 6 ? digits : 6;
    for (; p < digits; p++) {
        char a[320], b[320];
        snprintf(a, sizeof a, "%.*g", p, v);
        snprintf(b, sizeof b, "%.*g", digits, v);
        if (strtod(a, NULL) == strtod(b, NULL))
            break;
    }
    return (size_t)sprintf(out, "%.*g", p, v);
}

static void decimals_are_those_of_printf(void **state)
{
    (void)state;
    struct rng g = rng_stream(11, 0, 0);
    static const int digits[] = {17, 6, 17, 15, 17, 9};
    for (int i = 0; i < 400000; i++) {
        uint64_t bits = rng_next(&g);
        double v = rng_uniform(&g);
        if (i % 8 == 0) /* any double */
            memcpy(&v, &bits, sizeof v);
        else if (i % 8 == 1) /* few digits */
            v = (double)(bits % 100000) / (double)(int64_t[]){1, 10, 1000, 100000, 1 << 20}[i % 5];
        else if (i % 8 == 2) /* powers of two, and their neighbours */
            v = nextafter(ldexp(1, (int)(bits % 200) - 100), (int)(bits >> 60) - 7);
        else if (i % 8 == 3) /* half-way between two of six digits */
            v = ((double)(bits % 1000000) + 0.5) * (i % 16 < 8 ? 1 : 0.0001);
        else
            v = (v - 0.5) * pow(10, (double)(bits % 30) - 10);
        if (!isfinite(v) || v == 0)
            continue;
        char ours[DECIMAL_CAP + 1] = "", theirs[64];
        int d = digits[i % 6];
        size_t n = decimal_write(ours, v, d), m = slowly(theirs, v, d);
        ours[n] = '\0';
        if (n != m || strcmp(ours, theirs) != 0)
            fail_msg("%a with %d digits: %s, not %s", v, d, ours, theirs);
        int64_t whole = (int64_t)bits >> (i % 64);
        ours[decimal_int(ours, whole)] = '\0';
        sprintf(theirs, "%lld", (long long)whole);
        assert_string_equal(ours, theirs);
    }
}

static void status_table_is_closed(void **state)
{
    (void)state;
    assert_string_equal(status_code(STATUS_OK), "ok");
    assert_string_equal(status_code(STATUS_NO_ELIGIBLE_MODEL), "no_eligible_model");
    assert_int_equal(status_http(STATUS_CONFLICT), 409);
    assert_true(status_retryable(STATUS_OVERLOADED));
    assert_false(status_retryable(STATUS_BAD_JSON));
    assert_string_equal(status_code((enum status)999), "internal");
}

static void problem_is_cleaned_and_bounded(void **state)
{
    (void)state;
    struct problem p;
    char big[1000];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_int_equal(problem_set(&p, STATUS_CONFLICT, "/a\n", "x\x1b[31m\n%s", big),
                     STATUS_CONFLICT);
    assert_string_equal(p.path, "/a?");
    assert_memory_equal(p.text, "x?[31m?aaa", 10);
    assert_int_equal(strlen(p.text), sizeof p.text - 1);
    assert_int_equal(problem_set(NULL, STATUS_INTERNAL, NULL, "x"), STATUS_INTERNAL);
}

static void text_overflow_keeps_whole_pieces(void **state)
{
    (void)state;
    char buffer[8];
    struct text t = text_over(buffer, sizeof buffer);
    text_put(&t, "1234");
    text_printf(&t, "%d", 567);
    assert_string_equal(buffer, "1234567");
    assert_false(t.full);
    text_put(&t, "8");
    text_put(&t, "");
    assert_true(t.full);
    assert_string_equal(buffer, "1234567");
    t = text_over(buffer, sizeof buffer);
    text_put(&t, "1");
    text_json_string(&t, "abcdef");
    assert_true(t.full);
    assert_string_equal(buffer, "1");
    t = text_over(buffer, 1);
    text_put(&t, "x");
    assert_true(t.full);
    assert_string_equal(buffer, "");
}

static void json_strings(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"plain", "\"plain\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\t\x01\x7f", "\"\\n\\u0009\\u0001\\u007f\""},
        {"\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x98\x80", "\"\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x98\x80\""},
        {"\xc2\x85\xe2\x80\xa8\xe2\x80\xa9", "\"\\u0085\\u2028\\u2029\""},
        {"\xe2\x80\xae\xe2\x81\xa6", "\"\\u202e\\u2066\""},
        {"\xff", "\"\xef\xbf\xbd\""},
        {"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xe6\xbc", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[128];
        struct text t = text_over(out, sizeof out);
        text_json_string(&t, cases[i][0]);
        assert_string_equal(out, cases[i][1]);
    }
}

static void check_number(double v, int digits, const char *expected)
{
    char out[64];
    struct text t = text_over(out, sizeof out);
    text_json_number(&t, v, digits);
    assert_string_equal(out, expected);
}

static void json_numbers(void **state)
{
    (void)state;
    check_number(0.1, 17, "0.1");
    check_number(1.0 / 3, 17, "0.3333333333333333");
    check_number(1.0 / 3, 6, "0.333333");
    check_number(2.0 / 3, 3, "0.667");
    check_number(1e21, 17, "1e+21");
    check_number(-0.0, 17, "0");
    check_number(-12.5, 17, "-12.5");
    check_number(NAN, 17, "null");
    check_number(INFINITY, 6, "null");
    check_number(DBL_MAX, 17, "1.7976931348623157e+308");
    check_number(5e-324, 17, "4.94066e-324");
}

static void json_numbers_round_trip(void **state)
{
    (void)state;
    struct rng r = rng_stream(7, 1, 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rng_next(&r);
        double v;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        char out[64];
        struct text t = text_over(out, sizeof out);
        text_json_number(&t, v, 17);
        double back = strtod(out, NULL);
        assert_memory_equal(&back, &v, sizeof v);
    }
}

static void usd(void **state)
{
    (void)state;
    static const struct {
        int64_t nano;
        const char *text;
    } cases[] = {{0, "0"},
                 {1, "0.000000001"},
                 {1500000000, "1.5"},
                 {10000000000, "10"},
                 {-1234567890, "-1.23456789"},
                 {INT64_MAX, "9223372036.854775807"},
                 {INT64_MIN, "-9223372036.854775808"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[64];
        struct text t = text_over(out, sizeof out);
        text_usd(&t, cases[i].nano);
        assert_string_equal(out, cases[i].text);
    }
}

/* The vectors of the reference implementation: key 00..0f, message 00, 01, 02, ... of n bytes; the
 * one of 15 bytes is worked through in appendix A of the paper. */
static void siphash_reference(void **state)
{
    (void)state;
    static const struct {
        uint64_t n, hash;
    } cases[] = {{0, 0x726fdb47dd0e0e31},  {1, 0x74f839c593dc67fd},  {2, 0x0d6c8009d9a94f5a},
                 {7, 0xab0200f58b01d137},  {8, 0x93f5f5799a932462},  {9, 0x9e0082df0ba9e4b0},
                 {15, 0xa129ca6149be45e5}, {16, 0x3f2acc7f57c29bdb}, {63, 0x958a324ceb064572}};
    uint8_t message[64];
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(siphash24(message, cases[i].n, sip_key), cases[i].hash);
}

static void decision_ids_round_trip(void **state)
{
    (void)state;
    static const struct {
        uint32_t epoch;
        uint64_t seq;
    } cases[] = {{0, 0}, {1, 1}, {UINT32_MAX, UINT64_MAX}, {0x65a0b1c2, 123456789}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char id[DECISION_ID_CAP];
        uint32_t epoch;
        uint64_t seq, mac;
        decision_id_format(id, cases[i].epoch, cases[i].seq, sip_key);
        assert_true(decision_id_parse(id, &epoch, &seq, &mac));
        assert_int_equal(epoch, cases[i].epoch);
        assert_int_equal(seq, cases[i].seq);
        assert_int_equal(mac, decision_mac(epoch, seq, sip_key));
        assert_int_not_equal(mac, decision_mac(epoch, seq + 1, sip_key));
    }
}

static void decision_ids_have_one_spelling(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "-",
        "1-2",
        "1-2-",
        "1-2-0123456789abcde",
        "1-2-0123456789abcdef0",
        "01-2-0123456789abcdef",
        "1-02-0123456789abcdef",
        "1-2-0123456789ABCDEF",
        "A-2-0123456789abcdef",
        " 1-2-0123456789abcdef",
        "1-2-0123456789abcdef ",
        "1--0123456789abcdef",
        "-2-0123456789abcdef",
        "123456789-2-0123456789abcdef",
        "1-12345678901234567-0123456789abcdef",
        "+1-2-0123456789abcdef",
        "0x1-2-0123456789abcdef",
    };
    uint32_t epoch = 7;
    uint64_t seq = 7, mac = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(decision_id_parse(bad[i], &epoch, &seq, &mac));
    assert_int_equal(epoch + seq + mac, 21);
    assert_true(decision_id_parse("1-2-0123456789abcdef", &epoch, &seq, &mac));
}

static void cost_arithmetic(void **state)
{
    (void)state;
    /* 0.0375 USD per Mtok in = 37500 picodollars a token: microdollars would lose it. */
    struct model m = {.price.in = 37500, .price.cached = 10000, .price.out = 150000};
    assert_int_equal(model_cost_nano(&m, 0, 0, 0), 0);
    assert_int_equal(model_cost_nano(&m, 1, 0, 0), 38); /* 37.5 rounds up */
    assert_int_equal(model_cost_nano(&m, 1000, 0, 0), 37500);
    assert_int_equal(model_cost_nano(&m, 1000, 400, 10), 600 * 37.5 + 400 * 10 + 10 * 150);
    assert_int_equal(model_cost_nano(&m, 10, 99, 0), 100); /* no more cached than there were */
    assert_int_equal(model_cost_nano(&m, -5, -5, -5), 0);
    m = (struct model){.price.in = 499};
    assert_int_equal(model_cost_nano(&m, 1, 0, 0), 0);
    m.price.in = 500;
    assert_int_equal(model_cost_nano(&m, 1, 0, 0), 1);
    m.price.in = 100000000000; /* the highest: 100000 USD per Mtok */
    assert_int_equal(model_cost_nano(&m, 1000000000, 0, 0), 100000000000000000);
    assert_int_equal(model_cost_nano(&m, INT64_MAX, 0, INT64_MAX), INT64_MAX);
}

static struct model named(const char *name, uint32_t needs, int tier)
{
    struct model m = {.needs = needs, .tier = tier, .active = true};
    snprintf(m.name, sizeof m.name, "%s", name);
    return m;
}

/* covers: C9 */
static void merge_keeps_slots(void **state)
{
    (void)state;
    static struct catalog now, configured;
    memset(&now, 0, sizeof now);
    memset(&configured, 0, sizeof configured);
    now = (struct catalog){.n = 2, .n_tiers = 2, .n_needs = 2};
    memcpy(now.tier, "low", 4);
    memcpy(now.tier[1], "high", 5);
    memcpy(now.need, "vision", 7);
    memcpy(now.need[1], "tools", 6);
    now.model[0] = named("a", 1, 1);
    now.model[1] = named("b", 3, 0);
    configured = (struct catalog){.n = 2, .n_tiers = 2, .n_needs = 1};
    memcpy(configured.tier, "high", 5);
    memcpy(configured.tier[1], "top", 4);
    memcpy(configured.need, "tools", 6);
    configured.model[0] = named("c", 1, 1);
    configured.model[1] = named("b", 0, 0);
    configured.model[1].price.in = 5;
    assert_true(catalog_merge(&now, &configured));
    assert_int_equal(now.n, 3);
    assert_int_equal(catalog_find(&now, "a"), 0);
    assert_int_equal(catalog_find(&now, "b"), 1);
    assert_int_equal(catalog_find(&now, "c"), 2);
    assert_int_equal(catalog_find(&now, "d"), -1);
    assert_false(now.model[0].active);
    assert_int_equal(now.model[0].tier, 0); /* "high" moved */
    assert_int_equal(now.model[0].needs, 0);
    assert_int_equal(now.model[1].price.in, 5);
    assert_int_equal(now.model[2].needs, 1 << catalog_need(&now, "tools"));
    assert_int_equal(catalog_need(&now, "vision"), -1);
    assert_int_equal(catalog_tier(&now, "top"), 1);
    assert_int_equal(catalog_tier(&now, "low"), -1);
}

/* covers: S1 */
static void merge_refuses_too_many(void **state)
{
    (void)state;
    static struct catalog now, before, configured;
    memset(&now, 0, sizeof now);
    memset(&configured, 0, sizeof configured);
    now.n_tiers = configured.n_tiers = 1;
    for (int i = 0; i < MODELS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        now.model[now.n++] = named(name, 0, 0);
    }
    configured.model[configured.n++] = named("m63", 0, 0);
    assert_true(catalog_merge(&now, &configured));
    configured.model[configured.n++] = named("new", 0, 0);
    memcpy(&before, &now, sizeof now);
    assert_false(catalog_merge(&now, &configured));
    assert_memory_equal(&before, &now, sizeof now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_those_of_printf),
        cmocka_unit_test(status_table_is_closed),
        cmocka_unit_test(problem_is_cleaned_and_bounded),
        cmocka_unit_test(text_overflow_keeps_whole_pieces),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(json_numbers),
        cmocka_unit_test(json_numbers_round_trip),
        cmocka_unit_test(usd),
        cmocka_unit_test(siphash_reference),
        cmocka_unit_test(decision_ids_round_trip),
        cmocka_unit_test(decision_ids_have_one_spelling),
        cmocka_unit_test(cost_arithmetic),
        cmocka_unit_test(merge_keeps_slots),
        cmocka_unit_test(merge_refuses_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
