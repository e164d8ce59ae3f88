/* SPDX-License-Identifier: MIT */
/*
 * JSON (RFC 8259), read into a document; doc_scan.c has bounded it before. The reader takes and
 * refuses what jansson does under JSON_REJECT_DUPLICATES, with the same kind of fault in the same
 * line; a test compares the two. Why not jansson itself, which reads the configuration's like
 * elsewhere: it makes a heap object for each value and a string twice, 5 us for a request of 400
 * bytes, and its error texts quote the input, which may be a prompt. Looked at, of what Debian 12
 * has in C: yajl allocates for each escaped string and takes duplicate keys; jsmn checks neither
 * UTF-8 nor numbers nor, at places, commas; cJSON, json-c, libfastjson and json-glib build trees as
 * jansson does, and are looser.
 */
#include "core/encoding/doc_inside.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/encoding/text.h"

/* ---- tokens ---- */

enum token { TOKEN_BAD, TOKEN_END, TOKEN_STRING, TOKEN_SCALAR, TOKEN_MARK };

struct reader {
    struct doc_builder *b;
    const unsigned char *s;
    size_t n, i;
    int line;
    enum doc_fault fault; /* the first, as it is the cause of the rest */
    enum token token;
    unsigned char mark; /* of TOKEN_MARK: one of {}[]:, */
    struct doc_value value;
    bool zero; /* the string has a zero, which a place for a string refuses */
    int depth;
};

static void blame(struct reader *r, enum doc_fault fault)
{
    if (r->fault == FAULT_NONE)
        r->fault = fault;
}

/* What stands behind a number or a word has been looked at to find its end. */
static void look_ahead(struct reader *r)
{
    if (r->i < r->n && r->s[r->i] >= 0x80 && doc_utf8(r->s + r->i, r->n - r->i) == 0)
        blame(r, FAULT_UTF8);
}

static int hex_digit(const struct reader *r, size_t at)
{
    unsigned c = at < r->n ? r->s[at] : 0, low = c | 0x20;
    bool letter = low >= 'a' && low <= 'f';
    return c >= '0' && c <= '9' ? (int)(c - '0') : letter ? (int)(low - 'a' + 10) : -1;
}

/* Reads four hexadecimal digits from *at on; -1, with *at at the first that is none. */
static int hex4(const struct reader *r, size_t *at)
{
    int v = 0;
    for (int k = 0; k < 4; k++, ++*at) {
        int digit = hex_digit(r, *at);
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

static char *put_point(char *out, unsigned c)
{
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }
    if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *out++ = (char)(0xe0 | c >> 12);
        } else {
            *out++ = (char)(0xf0 | c >> 18);
            *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (c & 0x3f));
    return out;
}

/* The escape whose backslash is at r->i. A bad one blames the byte that made it so: if that begins
 * no character, or there is none, that is the fault. */
static char *bad_escape(struct reader *r, size_t at)
{
    if (at < r->n && r->s[at] >= 0x80 && doc_utf8(r->s + at, r->n - at) == 0)
        blame(r, FAULT_UTF8);
    r->line += at < r->n && r->s[at] == '\n';
    blame(r, FAULT_SYNTAX);
    return NULL;
}

/* \uXXXX, and the second half of a pair behind it. A half alone, told by *lone, is noted only when
 * the string has ended. */
static char *take_unicode(struct reader *r, char *out, bool *lone)
{
    size_t at = r->i + 2, behind;
    int c = hex4(r, &at), low = -1;
    if (c < 0)
        return bad_escape(r, at);
    r->i = behind = at;
    r->zero |= c == 0;
    if (c < 0xd800 || c > 0xdfff)
        return put_point(out, (unsigned)c);
    if (c < 0xdc00 && at + 1 < r->n && r->s[at] == '\\' && r->s[at + 1] == 'u') {
        behind = at + 2;
        low = hex4(r, &behind);
    }
    if (low < 0xdc00 || low > 0xdfff) {
        *lone = true;
        return out;
    }
    r->i = behind;
    return put_point(out, 0x10000 + (((unsigned)c - 0xd800) << 10) + ((unsigned)low - 0xdc00));
}

static char *take_escape(struct reader *r, char *out, bool *lone)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    unsigned char c = r->i + 1 < r->n ? r->s[r->i + 1] : 0;
    if (c == 'u')
        return take_unicode(r, out, lone);
    const char *which = c ? strchr(from, c) : NULL;
    if (!which)
        return bad_escape(r, r->i + 1);
    *out++ = to[which - from];
    r->i += 2;
    return out;
}

/* Bytes that stand for themselves in a string and are no part of a longer sequence. */
static bool plain(unsigned char c)
{
    return c >= ' ' && c != '"' && c != '\\' && c < 0x80;
}

static size_t plain_run(const struct reader *r)
{
    size_t i = r->i;
    for (; r->n - i >= 8; i += 8) {
        uint64_t w = doc_word(r->s + i);
        if (doc_has_high(w) || doc_has_less(w, ' ') || doc_has(w, '"') || doc_has(w, '\\'))
            break;
    }
    while (i < r->n && plain(r->s[i]))
        i++;
    return i - r->i;
}

static char *take_other(struct reader *r, char *out, bool *lone)
{
    unsigned char c = r->s[r->i];
    if (c == '\\')
        return take_escape(r, out, lone);
    size_t n = c < ' ' ? 0 : doc_utf8(r->s + r->i, r->n - r->i);
    if (n == 0) {
        blame(r, c < ' ' ? FAULT_SYNTAX : FAULT_UTF8);
        return NULL;
    }
    memcpy(out, r->s + r->i, n);
    r->i += n;
    return out + n;
}

static void take_string(struct reader *r)
{
    char *text = r->b->doc->text + r->b->doc->text_n, *out = text;
    bool lone = false;
    r->zero = false;
    r->i++;
    for (;;) {
        size_t run = plain_run(r);
        memcpy(out, r->s + r->i, run);
        r->i += run;
        out += run;
        if (r->i == r->n || r->s[r->i] == '"')
            break;
        out = take_other(r, out, &lone);
        if (!out)
            return;
    }
    if (r->i == r->n || lone) {
        blame(r, r->i == r->n ? FAULT_EARLY : FAULT_SYNTAX);
        return;
    }
    r->i++;
    *out = '\0';
    r->value = (struct doc_value){.kind = DOC_STRING, .n = (uint32_t)(out - text), .text = text};
    r->token = TOKEN_STRING;
}

/* What a number is made of. */
struct digits {
    uint64_t all; /* digits without the point, the first 19 */
    int n, scale; /* digits seen from the first that is not 0; power of ten */
    bool negative, real;
};

static bool digit_at(const struct reader *r)
{
    return r->i < r->n && r->s[r->i] >= '0' && r->s[r->i] <= '9';
}

static void take_digits(struct reader *r, struct digits *d, int scale)
{
    for (; digit_at(r); r->i++) {
        d->n += d->n > 0 || r->s[r->i] != '0';
        if (d->n <= 19)
            d->all = d->all * 10 + (uint64_t)(r->s[r->i] - '0');
        d->scale += scale;
    }
}

/* Passes over a number: false if it is none. */
static bool scan_number(struct reader *r, struct digits *d)
{
    d->negative = r->s[r->i] == '-';
    r->i += d->negative;
    bool zero = r->i < r->n && r->s[r->i] == '0';
    if (!digit_at(r))
        return false;
    if (zero)
        r->i++;
    else
        take_digits(r, d, 0);
    if (zero && digit_at(r))
        return false;
    if (r->i < r->n && r->s[r->i] == '.') {
        d->real = true;
        r->i++;
        if (!digit_at(r))
            return false;
        take_digits(r, d, -1);
    }
    if (r->i < r->n && (r->s[r->i] | 0x20) == 'e') {
        struct digits power = {0};
        d->real = true;
        r->i++;
        power.negative = r->i < r->n && r->s[r->i] == '-';
        r->i += r->i < r->n && (r->s[r->i] == '-' || r->s[r->i] == '+');
        if (!digit_at(r))
            return false;
        take_digits(r, &power, 0);
        int size = power.n > 5 ? 99999 : (int)power.all;
        d->scale += power.negative ? -size : size;
    }
    return true;
}

/* Digits that a double holds and a power of ten that is one give the nearest double by a single
 * rounding (Clinger 1990); the rest is strtod's, whose point is the locale's. */
static double number_of(const struct reader *r, size_t from, const struct digits *d)
{
    static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const uint64_t exact = 1ull << 53;
    if (d->n <= 19 && d->all <= exact && d->scale >= -22 && d->scale <= 22) {
        double v = (double)d->all;
        v = d->scale < 0 ? v / ten[-d->scale] : v * ten[d->scale];
        return d->negative ? -v : v;
    }
    char copy[DOC_SCALAR_MAX + 16];
    struct text t = text_over(copy, sizeof copy);
    for (size_t i = from; i < r->i; i++) {
        if (r->s[i] == '.')
            text_put(&t, localeconv()->decimal_point);
        else
            text_put_n(&t, (const char *)r->s + i, 1);
    }
    return strtod(copy, NULL);
}

static void take_number(struct reader *r)
{
    struct digits d = {0};
    size_t from = r->i;
    bool is = scan_number(r, &d);
    look_ahead(r);
    if (!is)
        return;
    r->token = TOKEN_SCALAR;
    if (d.real) {
        r->value = (struct doc_value){.kind = DOC_REAL, .real = number_of(r, from, &d)};
        if (isinf(r->value.real))
            blame(r, FAULT_OVERFLOW);
        return;
    }
    uint64_t most = (uint64_t)INT64_MAX + d.negative;
    if (d.n > 19 || d.all > most)
        blame(r, FAULT_OVERFLOW);
    r->value = (struct doc_value){.kind = DOC_INT,
                                  .integer = d.negative ? (int64_t)(0 - d.all) : (int64_t)d.all};
}

static void take_word(struct reader *r)
{
    static const struct {
        const char *word;
        enum doc_kind kind;
    } words[] = {{"null", DOC_NULL}, {"false", DOC_FALSE}, {"true", DOC_TRUE}};
    size_t from = r->i;
    while (r->i < r->n && (r->s[r->i] | 0x20) >= 'a' && (r->s[r->i] | 0x20) <= 'z')
        r->i++;
    look_ahead(r);
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        size_t n = strlen(words[k].word);
        if (r->i - from != n || memcmp(r->s + from, words[k].word, n) != 0)
            continue;
        r->value = (struct doc_value){.kind = words[k].kind};
        r->token = TOKEN_SCALAR;
        return;
    }
}

static void next(struct reader *r)
{
    while (r->i < r->n && (r->s[r->i] == ' ' || (r->s[r->i] >= '\t' && r->s[r->i] <= '\r' &&
                                                 r->s[r->i] != '\v' && r->s[r->i] != '\f')))
        r->line += r->s[r->i++] == '\n';
    r->token = TOKEN_BAD;
    if (r->i == r->n) {
        r->token = TOKEN_END;
        return;
    }
    unsigned char c = r->s[r->i];
    if (c == '"') {
        take_string(r);
    } else if (c == ':' || c == ',' || c == '{' || c == '}' || c == '[' || c == ']') {
        r->token = TOKEN_MARK;
        r->mark = c;
        r->i++;
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        take_number(r);
    } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') {
        take_word(r);
    } else {
        look_ahead(r);
    }
    if (r->fault != FAULT_NONE)
        r->token = TOKEN_BAD;
}

/* ---- grammar ---- */

static bool is_mark(const struct reader *r, char c)
{
    return r->token == TOKEN_MARK && r->mark == (unsigned char)c;
}

/* The token in hand stands where none like it may. */
static bool unexpected(struct reader *r)
{
    blame(r, r->token == TOKEN_END ? FAULT_EARLY : FAULT_SYNTAX);
    return false;
}

/* Adds the scalar or string in hand; gives its index, 0 on a fault. */
static uint32_t add_token(struct reader *r)
{
    uint32_t at = doc_add(r->b, r->value.kind, r->value.n);
    if (at == 0) {
        blame(r, FAULT_MEMORY);
        return 0;
    }
    r->value.span = 1;
    r->b->doc->value[at] = r->value;
    if (r->token == TOKEN_STRING) {
        r->b->doc->text_n += r->value.n + 1;
        if (r->zero)
            blame(r, FAULT_ZERO);
    }
    return r->fault == FAULT_NONE ? at : 0;
}

static bool take_value(struct reader *r);

/* The token in hand is the key. */
static bool take_member(struct reader *r, uint32_t object)
{
    if (r->token != TOKEN_STRING)
        return unexpected(r);
    uint32_t key = add_token(r);
    if (key == 0)
        return false;
    enum doc_fault fault = doc_key(r->b, object, key);
    if (fault != FAULT_NONE) {
        blame(r, fault);
        return false;
    }
    next(r);
    if (!is_mark(r, ':'))
        return unexpected(r);
    next(r);
    return take_value(r);
}

/* The token in hand has opened it. */
static bool take_container(struct reader *r, bool object)
{
    const char close = object ? '}' : ']';
    uint32_t at = doc_add(r->b, object ? DOC_OBJECT : DOC_ARRAY, 0);
    if ((at == 0 && r->b->doc->n > 1) || ++r->depth > DOC_DEPTH_OWN) {
        blame(r, r->depth > DOC_DEPTH_OWN ? FAULT_SYNTAX : FAULT_MEMORY);
        return false;
    }
    next(r);
    for (bool first = true; !(first && is_mark(r, close)); first = false) {
        if (!(object ? take_member(r, at) : take_value(r)))
            return false;
        r->b->doc->value[at].n += !object;
        next(r);
        if (!is_mark(r, ','))
            break;
        next(r);
    }
    if (!is_mark(r, close))
        return unexpected(r);
    r->depth--;
    r->b->doc->value[at].span = r->b->doc->n - at;
    return true;
}

static bool take_value(struct reader *r)
{
    if (is_mark(r, '{') || is_mark(r, '['))
        return take_container(r, r->mark == '{');
    if (r->token != TOKEN_STRING && r->token != TOKEN_SCALAR)
        return unexpected(r);
    return add_token(r) != 0;
}

enum doc_fault doc_read_json(struct doc_builder *b, const void *bytes, size_t n, int *line)
{
    struct reader r = {.b = b, .s = bytes, .n = n, .line = 1};
    next(&r);
    if (is_mark(&r, '{') || is_mark(&r, '[')) {
        if (take_value(&r)) {
            next(&r);
            if (r.token != TOKEN_END)
                blame(&r, FAULT_BEHIND);
        }
    } else {
        (void)unexpected(&r);
    }
    *line = r.line;
    return r.fault;
}
