/* SPDX-License-Identifier: MIT */
/*
 * The gate in front of jansson. One pass over the bytes bounds depth, elements, items, item sizes
 * and the length of numbers, so that parsing costs bounded memory and time whoever sent the bytes:
 * jansson itself allows 2048 levels and turns 1 MiB of "{}," into 77 MB.
 *
 * The scan does not validate: what it lets through jansson still checks. It only has to count right
 * for valid documents and to be an upper bound for the rest.
 *
 * jansson's own error texts quote the input, which may be a prompt; they are replaced by ours.
 * A streaming parser was considered: it would make the scan unnecessary but every reader a state
 * machine.
 */
#include "core/json.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "core/limits.h"

enum { SCALAR_MAX = 64 }; /* bytes of a number; no double needs more than 25 */

struct scan {
    const struct json_bounds *bounds;
    int depth, items;
    size_t elements, scalar, item_start;
    char last; /* last byte that is not white space */
};

/* Gives the index of the quote that ends the string beginning at i, or n. */
static size_t scan_string(const char *s, size_t n, size_t i)
{
    for (i++; i < n && s[i] != '"'; i++)
        i += s[i] == '\\';
    return i < n ? i : n;
}

static enum status scan_item_end(struct scan *sc, size_t i, struct problem *p)
{
    if (i - sc->item_start > sc->bounds->item_bytes)
        return json_fail(p, STATUS_TOO_LARGE, NULL, "%zu bytes, at most %zu are allowed",
                         i - sc->item_start, sc->bounds->item_bytes);
    if (++sc->items > sc->bounds->items)
        return json_fail(p, STATUS_TOO_LARGE, NULL, "more than %d items", sc->bounds->items);
    sc->item_start = i;
    sc->elements = 0;
    return STATUS_OK;
}

static enum status scan_byte(struct scan *sc, char c, size_t i, struct problem *p)
{
    if (c == ',' && sc->depth == 2 && sc->last == '}')
        return scan_item_end(sc, i, p);
    if (c == '{' || c == '[') {
        if (++sc->depth > JSON_DEPTH_MAX)
            return json_fail(p, STATUS_TOO_LARGE, NULL, "nested deeper than %d levels",
                             JSON_DEPTH_MAX);
    }
    sc->depth -= c == '}' || c == ']';
    sc->elements += c == '{' || c == '[' || c == ',';
    if (sc->elements > sc->bounds->elements)
        return json_fail(p, STATUS_TOO_LARGE, NULL, "more than %zu elements", sc->bounds->elements);
    sc->scalar = strchr("{}[],:\"", c) ? 0 : sc->scalar + 1;
    if (sc->scalar > SCALAR_MAX)
        return json_fail(p, STATUS_BAD_JSON, NULL, "a number of more than %d bytes", SCALAR_MAX);
    return STATUS_OK;
}

static enum status scan(const char *s, size_t n, const struct json_bounds *bounds,
                        struct problem *p)
{
    struct scan sc = {.bounds = bounds};
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
            sc.scalar = 0;
            continue;
        }
        enum status st = c == '\0' ? json_fail(p, STATUS_BAD_JSON, NULL, "a zero byte")
                                   : scan_byte(&sc, c, i, p);
        if (st != STATUS_OK)
            return st;
        if (c == '"')
            i = scan_string(s, n, i);
        sc.last = c;
    }
    return scan_item_end(&sc, n, p);
}

static const char *syntax_text(enum json_error_code code)
{
    switch (code) {
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

enum status json_open(const void *bytes, size_t n, const struct json_bounds *bounds, json_t **root,
                      struct problem *problem)
{
    if (n == 0)
        return json_fail(problem, STATUS_BAD_JSON, NULL, "empty: expected a JSON object");
    if (n > bounds->bytes)
        return json_fail(problem, STATUS_TOO_LARGE, NULL, "%zu bytes, at most %zu are allowed", n,
                         bounds->bytes);
    enum status st = scan(bytes, n, bounds, problem);
    if (st != STATUS_OK)
        return st;
    json_error_t error;
    json_t *doc = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &error);
    if (!doc && json_error_code(&error) == json_error_out_of_memory)
        return json_fail(problem, STATUS_OVERLOADED, NULL, "no memory to parse the document");
    if (!doc) {
        /* "[" expected: jansson says so of any top value that is neither object nor array. */
        st = json_fail(problem, STATUS_BAD_JSON, NULL, "%s", syntax_text(json_error_code(&error)));
        if (problem)
            problem->line = error.line > 0 ? error.line : 0;
        return st;
    }
    if (!json_is_object(doc)) {
        char found[FOUND_CAP];
        st = json_fail(problem, STATUS_BAD_JSON, NULL, "expected an object, found %s",
                       json_found(found, doc));
        json_decref(doc);
        return st;
    }
    *root = doc;
    return STATUS_OK;
}

/* Writes the outer part first; gives the length. Truncation is harmless: it is for people. */
static size_t at_render(const struct json_at *at, char *out, size_t cap)
{
    if (!at)
        return 0;
    size_t len = at_render(at->up, out, cap);
    char quoted[QUOTE_CAP];
    int more = at->key ? snprintf(out + len, cap - len, "/%s", json_quote(quoted, at->key))
                       : snprintf(out + len, cap - len, "/%d", at->index);
    size_t end = len + (more > 0 ? (size_t)more : 0);
    return end < cap ? end : cap - 1;
}

enum status json_fail(struct problem *problem, enum status s, const struct json_at *at,
                      const char *fmt, ...)
{
    if (!problem)
        return s;
    char path[sizeof problem->path] = "", text[sizeof problem->text];
    at_render(at, path, sizeof path);
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return problem_set(problem, s, path, "%s", text);
}

const char *json_quote(char out[QUOTE_CAP], const char *s)
{
    size_t i = 0;
    for (; s[i] && i < QUOTE_CAP - 4; i++) {
        bool plain = s[i] > ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\';
        out[i] = '?';
        if (plain)
            out[i] = s[i];
    }
    memcpy(out + i, s[i] ? "..." : "", s[i] ? 4 : 1);
    return out;
}

const char *json_found(char out[FOUND_CAP], const json_t *v)
{
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        snprintf(out, FOUND_CAP, "an array of %zu", json_array_size(v));
        return out;
    case JSON_STRING:
        snprintf(out, FOUND_CAP, "a string of %zu bytes", json_string_length(v));
        return out;
    case JSON_INTEGER:
        snprintf(out, FOUND_CAP, "%lld", (long long)json_integer_value(v));
        return out;
    case JSON_REAL:
        snprintf(out, FOUND_CAP, "%.10g", json_real_value(v));
        return out;
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        break;
    }
    return "null";
}

bool json_name_ok(const char *s)
{
    size_t i = 0;
    for (; s[i]; i++) {
        bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z');
        bool other = (s[i] >= '0' && s[i] <= '9') || strchr("._:/@-", s[i]);
        if (i >= NAME_LEN || (!letter && !other))
            return false;
    }
    return i > 0;
}
