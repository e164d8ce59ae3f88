/* SPDX-License-Identifier: MIT */
/*
 * JSON as we read it beside JSON as jansson does: the same documents are valid, with the same
 * values in the same order; the others have the same fault in the same line.
 */
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <string.h>
#include "core/encoding/json.h"

static const struct doc_bounds bounds = {
    .bytes = 1 << 16, .item_bytes = 1 << 16, .elements = 1 << 16, .items = 1 << 16};

/* Sequences at the edges of UTF-8, and numbers at the edges of what one rounding gives. */
static size_t edge(int i, uint8_t *out, size_t cap)
{
    static const uint8_t lead[] = {0x80, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5},
                         second[] = {0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0};
    enum { LEADS = sizeof lead, SECONDS = sizeof second, SCALES = 50 };
    int k = i - LEADS * SECONDS, n = 0;
    if (i < LEADS * SECONDS) {
        uint8_t a = lead[i / SECONDS], b = second[i % SECONDS];
        n = snprintf((char *)out, cap, "{\"s\":\"%c%c%s\"}", a, b,
                     a < 0xe0   ? ""
                     : a < 0xf0 ? "\x80"
                                : "\x80\x80");
    } else if (k < 2 * SCALES) {
        n = snprintf((char *)out, cap, "{\"n\":[%s0e%d,-3e%d]}",
                     k % 2 ? "900719925474099" : "900719925474100", k / 2 - SCALES / 2,
                     k / 2 - SCALES / 2);
    }
    return (size_t)n;
}

size_t fuzz_seed(int i, uint8_t *out, size_t cap)
{
    static const char *const texts[] = {
        "{\"v\":1,\"op\":\"route\",\"request_id\":\"r-1\",\"prompt\":\"sum the bill \\u00e9\\n "
        "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\",\"value\":2.5,\n\"constraints\":{\"allow\":"
        "[\"a\"],\r\n\"max_cost_usd\":0.01,\"max_latency_ms\":1500},\t\"explain\":true}",
        "{\"a\":[1,-1,0,-0,0.0,-0.0,1e3,1E-3,1.5e+7,9223372036854775807,-9223372036854775808]}",
        "{\"a\":[9223372036854775808,-9223372036854775809,1e309,-1e309,1e-400,123456789012345678]}",
        "{\"a\":[0.1,0.30000000000000004,1.7976931348623157e308,5e-324,2.2250738585072014e-308,"
        "123456789.123456789,9007199254740993.0,1e22,1e23,12345678901234567890.5]}",
        "{\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u20ac\\ud83d\\ude00\\u007f\"}",
        "{\"s\":\"\\ud800\",\"t\":\"\\udc00\",\"u\":\"\\ud800\\u0041\",\"w\":\"\\u0000\"}",
        "{\"a\":{\"b\":{\"c\":{\"d\":[[[]]]}}},\"t\":true,\"f\":false,\"n\":null}",
        "{\"a\":1,\"b\":2,\"a\":3}",
        "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":"
        "11,"
        "\"l\":12,\"m\":13,\"n\":14,\"o\":15,\"p\":16,\"q\":17,\"r\":18,\"s\":{\"a\":1},\"t\":20}",
        "[1,2]",
        "\n\n {} \n x",
        "{\"a\" \"b\"}",
        "{\"a\":tru,\"b\":01,\"c\":1.,\"d\":.5,\"e\":-,\"f\":1e,\"g\":+1}",
        NULL};
    const int n = sizeof texts / sizeof *texts - 1;
    return i < n ? fuzz_text(texts, i, out, cap) : edge(i - n, out, cap);
}

static bool equal(const struct doc_value *v, json_t *j);

static bool equal_object(const struct doc_value *v, json_t *j)
{
    const char *name;
    json_t *member;
    const struct doc_value *key = v + 1;
    if (!json_is_object(j) || v->n != json_object_size(j))
        return false;
    json_object_foreach(j, name, member)
    {
        if (key->kind != DOC_STRING || strcmp(key->text, name) != 0 || strlen(name) != key->n ||
            doc_get(v, name) != key + 1 || !equal(key + 1, member))
            return false;
        key = doc_next(key + 1);
    }
    return key == v + v->span;
}

static bool equal_array(const struct doc_value *v, json_t *j)
{
    if (!json_is_array(j) || v->n != json_array_size(j))
        return false;
    for (size_t i = 0; i < v->n; i++)
        if (!equal(doc_at(v, i), json_array_get(j, i)))
            return false;
    return doc_at(v, v->n) == NULL;
}

static bool equal(const struct doc_value *v, json_t *j)
{
    double real = json_real_value(j);
    switch (v->kind) {
    case DOC_OBJECT:
        return equal_object(v, j);
    case DOC_ARRAY:
        return equal_array(v, j);
    case DOC_STRING:
        return json_is_string(j) && json_string_length(j) == v->n &&
               memcmp(json_string_value(j), v->text, v->n + 1) == 0;
    case DOC_INT:
        return json_is_integer(j) && json_integer_value(j) == v->integer;
    case DOC_REAL: /* to the bit, so that -0 is not 0 */
        return json_is_real(j) && memcmp(&real, &v->real, sizeof real) == 0;
    case DOC_TRUE:
        return json_is_true(j);
    case DOC_FALSE:
        return json_is_false(j);
    case DOC_NULL:
        return json_is_null(j);
    case DOC_BYTES:
        break;
    }
    return false;
}

static const char *fault_of(const json_error_t *e, const json_t *top)
{
    switch (top ? json_error_unknown : json_error_code(e)) {
    case json_error_unknown:
        return "expected an object";
    case json_error_invalid_utf8:
        return "not valid UTF-8";
    case json_error_premature_end_of_input:
        return "the document ends too early";
    case json_error_end_of_input_expected:
        return "something follows the end of the document";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "\\u0000 is not allowed";
    case json_error_duplicate_key:
        return "duplicate key in an object";
    case json_error_numeric_overflow:
        return "a number that is too large";
    default:
        return "not valid JSON";
    }
}

/* What is refused before it is read: too deep, a zero byte, a number of too many bytes. */
static bool refused_before(const struct problem *p)
{
    return p->code != STATUS_BAD_JSON || strcmp(p->text, "a zero byte") == 0 ||
           strncmp(p->text, "a number of more", 16) == 0 || strncmp(p->text, "empty", 5) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct doc d;
    struct problem p = {0};
    json_error_t error = {.line = 0};
    if (doc_is_packed(bytes, n))
        return 0;
    json_t *tree = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, &error);
    enum status s = doc_open(&d, bytes, n, &bounds, &p);
    if (s == STATUS_OK) {
        PROMISE(tree && equal(d.value, tree));
        json_t *again = json_tree(d.value);
        PROMISE(json_equal(again, tree));
        json_decref(again);
        doc_close(&d);
    } else if (!refused_before(&p)) {
        const char *fault = fault_of(&error, tree);
        PROMISE(!json_is_object(tree) && strncmp(p.text, fault, strlen(fault)) == 0);
        PROMISE(tree ? p.line == 0 : p.line == error.line);
    }
    json_decref(tree);
    return 0;
}
