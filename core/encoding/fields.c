/* SPDX-License-Identifier: MIT */
/*
 * Tables of fields: what a document may contain is data, so that parsing, checking, defaults,
 * rendering and the reference cannot disagree. Requests, feedback and configuration share it.
 *
 * A row's path holds the keys from the top, so nested objects need no tables of their own; a prefix
 * is the beginning of some row's path and costs no copy. Search is linear: a table has at most some
 * fifty rows and a message some twenty keys, below the cost of parsing it.
 *
 * Rejected: generated code (a build step to save microseconds), and json_unpack (it cannot say
 * which of two fields was wrong, nor bound a number).
 */
#include "core/encoding/fields.h"

#include <stdio.h>
#include <string.h>
#include "core/limits.h"

static const double exact_int_max =
    9007199254740992.0; /* 2^53: reals stand for integers up to it */

static void allowed(const struct field *f, char *out, size_t cap)
{
    switch (f->kind) {
    case FIELD_INT:
        snprintf(out, cap, "an integer from %.10g to %.10g", f->min, f->max);
        break;
    case FIELD_REAL:
        snprintf(out, cap, "a number from %.10g to %.10g", f->min, f->max);
        break;
    case FIELD_MONEY:
        snprintf(out, cap, "US dollars from %.10g to %.10g", f->min, f->max);
        break;
    case FIELD_BOOL:
        snprintf(out, cap, "true or false");
        break;
    case FIELD_NAME:
        snprintf(out, cap, "a name of %.0f to %.0f of [A-Za-z0-9._:/@-]", f->min, f->max);
        break;
    case FIELD_TEXT:
        snprintf(out, cap, "a text of %.0f to %.0f bytes", f->min, f->max);
        break;
    case FIELD_CHOICE:
        snprintf(out, cap, "one of %s", f->text);
        break;
    case FIELD_VALUE:
    case FIELD_OTHER:
        snprintf(out, cap, "%s", f->other ? f->other : "see above");
        break;
    }
}

static enum status refuse(const struct field *f, const struct doc_value *v,
                          const struct json_at *at, struct problem *p)
{
    char what[100], found[FOUND_CAP];
    allowed(f, what, sizeof what);
    return json_fail(p, STATUS_BAD_REQUEST, at, "expected %s, found %s", what, doc_found(found, v));
}

static bool take_int(const struct field *f, const struct doc_value *v, int64_t *out)
{
    int64_t i = v->kind == DOC_INT ? v->integer : 0;
    if (v->kind == DOC_REAL) {
        double r = v->real;
        if (!(r >= -exact_int_max && r <= exact_int_max))
            return false;
        i = (int64_t)r;
        if ((double)i != r)
            return false;
    }
    if (!doc_is_number(v) || (double)i < f->min || (double)i > f->max)
        return false;
    *out = i;
    return true;
}

static bool take_real(const struct field *f, const struct doc_value *v, double *out)
{
    double r = doc_number(v) + 0.0; /* -0 becomes 0 */
    if (!doc_is_number(v) || !(r >= f->min && r <= f->max))
        return false;
    *out = r;
    return true;
}

static bool take_money(const struct field *f, const struct doc_value *v, int64_t *out)
{
    double usd;
    if (!take_real(f, v, &usd))
        return false;
    *out = (int64_t)(usd * f->unit + 0.5); /* at most 1e15: exact enough for every unit */
    return true;
}

static bool take_string(const struct field *f, const struct doc_value *v, char *out)
{
    if (v->kind != DOC_STRING || (double)v->n < f->min || (double)v->n > f->max)
        return false;
    if (f->kind == FIELD_NAME && v->n > 0 && !json_name_ok(v->text))
        return false;
    for (uint32_t i = 0; f->kind == FIELD_TEXT && i < v->n; i++) {
        if ((unsigned char)v->text[i] < ' ' || v->text[i] == 0x7f)
            return false;
    }
    memset(out, 0, (size_t)f->max + 1);
    memcpy(out, v->text, v->n);
    return true;
}

/* Choices are "first|second". */
static bool take_choice(const struct field *f, const struct doc_value *v, bool *out)
{
    const char *s = v->kind == DOC_STRING ? v->text : NULL, *bar = strchr(f->text, '|');
    bool first = s && strlen(s) == (size_t)(bar - f->text) && strncmp(s, f->text, strlen(s)) == 0;
    bool second = s && strcmp(s, bar + 1) == 0;
    *out = second;
    return first || second;
}

static bool take_bool(const struct doc_value *v, bool *out)
{
    if (v->kind != DOC_TRUE && v->kind != DOC_FALSE)
        return false;
    *out = v->kind == DOC_TRUE;
    return true;
}

enum status field_take(const struct field *f, const struct doc_value *v, const struct json_at *at,
                       void *base, struct problem *problem)
{
    void *to = (char *)base + f->offset;
    bool ok = true;
    switch (f->kind) {
    case FIELD_INT:
        ok = take_int(f, v, to);
        break;
    case FIELD_REAL:
        ok = take_real(f, v, to);
        break;
    case FIELD_MONEY:
        ok = take_money(f, v, to);
        break;
    case FIELD_BOOL:
        ok = take_bool(v, to);
        break;
    case FIELD_NAME:
    case FIELD_TEXT:
        ok = take_string(f, v, to);
        break;
    case FIELD_CHOICE:
        ok = take_choice(f, v, to);
        break;
    case FIELD_VALUE:
        *(const struct doc_value **)to = v;
        break;
    case FIELD_OTHER:
        break;
    }
    return ok ? STATUS_OK : refuse(f, v, at, problem);
}

enum status field_read(const struct field *f, const json_t *v, const struct json_at *at, void *base,
                       struct problem *problem)
{
    struct doc_value view = json_view(v);
    return field_take(f, &view, at, base, problem);
}

/* The part of a table below one object: rows whose path begins with the first len bytes of prefix.
 */
struct group {
    struct field_table table;
    const char *prefix;
    size_t len;
    int last; /* row found last */
};

/* Gives what follows the prefix in a row's path, NULL if the row is elsewhere. */
static const char *below(const struct group *g, const struct field *f)
{
    return strncmp(f->path, g->prefix, g->len) == 0 ? f->path + g->len : NULL;
}

/* Gives the row of a key or a row below it; *nested tells which. Keys often come in the table's
 * order, so the search begins behind the row found last, of which *from is the index. */
static const struct field *find(const struct group *g, const char *key, bool *nested, int *from)
{
    size_t n = strlen(key);
    for (int k = 0, i = *from; k < g->table.n; k++) {
        i = i + 1 < g->table.n ? i + 1 : 0;
        if (g->len == 0 && g->table.row[i].path[0] != key[0]) /* most rows, cheap to see */
            continue;
        const char *rest = below(g, &g->table.row[i]);
        if (!rest || strncmp(rest, key, n) != 0 || (rest[n] && rest[n] != '/'))
            continue;
        *nested = rest[n] == '/';
        *from = i;
        return &g->table.row[i];
    }
    return NULL;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein distance of a and b[0..n), both at most NAME_LEN bytes. */
static size_t distance(const char *a, const char *b, size_t n)
{
    size_t row[NAME_CAP];
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t swap = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            row[j] = least(swap, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

static enum status refuse_unknown(const struct group *g, const char *key, const struct json_at *at,
                                  struct problem *p)
{
    const char *best = NULL;
    size_t best_len = 0, best_distance = 4; /* three typing errors at most, half of the word */
    for (int i = 0; i < g->table.n && strlen(key) <= NAME_LEN; i++) {
        const char *rest = below(g, &g->table.row[i]);
        size_t n = rest ? strcspn(rest, "/") : 0;
        size_t far = n > 0 ? distance(key, rest, n) : SIZE_MAX;
        if (far < best_distance && 2 * far <= n) {
            best = rest;
            best_len = n;
            best_distance = far;
        }
    }
    char quoted[QUOTE_CAP];
    json_quote(quoted, key);
    if (best)
        return json_fail(p, STATUS_UNKNOWN_FIELD, at,
                         "unknown field \"%s\"; did you mean \"%.*s\"?", quoted, (int)best_len,
                         best);
    return json_fail(p, STATUS_UNKNOWN_FIELD, at,
                     "unknown field \"%s\"; keys of your own begin with x_", quoted);
}

/* An object of either kind, and how its members are come by. */
struct source {
    json_t *tree;                 /* NULL: it is flat */
    const struct doc_value *flat; /* of a tree's member only a view */
};

static enum status read_group(struct group *g, struct source object, const struct json_at *at,
                              void *const base[], unsigned *seen, struct problem *p);

static enum status read_member(struct group *g, const char *key, struct source v,
                               const struct json_at *up, void *const base[], unsigned *seen,
                               struct problem *p)
{
    struct json_at here = {.up = up, .key = key};
    bool nested = false;
    if (strncmp(key, "x_", 2) == 0)
        return STATUS_OK;
    const struct field *f = find(g, key, &nested, &g->last);
    if (!f)
        return refuse_unknown(g, key, &here, p);
    if (!base[f->part])
        return json_fail(p, STATUS_BAD_REQUEST, &here,
                         "cannot be changed here: edit the configuration file and restart");
    if (nested) {
        struct group inner = {g->table, f->path, g->len + strlen(key) + 1, g->last};
        return read_group(&inner, v, &here, base, seen, p);
    }
    if (seen)
        *seen |= f->bit;
    return field_take(f, v.flat, &here, base[f->part], p);
}

static enum status read_group(struct group *g, struct source object, const struct json_at *at,
                              void *const base[], unsigned *seen, struct problem *p)
{
    char found[FOUND_CAP];
    if (object.flat->kind != DOC_OBJECT)
        return json_fail(p, STATUS_BAD_REQUEST, at, "expected an object, found %s",
                         doc_found(found, object.flat));
    enum status st = STATUS_OK;
    const char *name;
    json_t *v;
    const struct doc_value *key = object.flat + 1;
    for (uint32_t i = 0; !object.tree && st == STATUS_OK && i < object.flat->n; i++) {
        struct source member = {NULL, key + 1};
        st = read_member(g, key->text, member, at, base, seen, p);
        key = doc_next(key + 1);
    }
    json_object_foreach(object.tree, name, v)
    {
        struct doc_value view = json_view(v);
        struct source member = {v, &view};
        st = read_member(g, name, member, at, base, seen, p);
        if (st != STATUS_OK)
            return st;
    }
    return st;
}

enum status fields_read(struct field_table table, json_t *object, const struct json_at *at,
                        void *const base[], unsigned *seen, struct problem *problem)
{
    struct group all = {table, "", 0, -1};
    struct doc_value view = json_view(object);
    return read_group(&all, (struct source){object, &view}, at, base, seen, problem);
}

enum status fields_take(struct field_table table, const struct doc_value *object,
                        const struct json_at *at, void *const base[], unsigned *seen,
                        struct problem *problem)
{
    struct group all = {table, "", 0, -1};
    return read_group(&all, (struct source){NULL, object}, at, base, seen, problem);
}

void fields_default(struct field_table table, int part, void *base)
{
    for (int i = 0; i < table.n; i++) {
        const struct field *f = &table.row[i];
        void *to = (char *)base + f->offset;
        if (f->part != part)
            continue;
        if (f->kind == FIELD_INT)
            *(int64_t *)to = (int64_t)f->number;
        else if (f->kind == FIELD_MONEY)
            *(int64_t *)to = (int64_t)(f->number * f->unit + 0.5);
        else if (f->kind == FIELD_REAL)
            *(double *)to = f->number;
        else if (f->kind == FIELD_BOOL || f->kind == FIELD_CHOICE)
            *(bool *)to = f->number > 0;
        else if (f->kind == FIELD_VALUE)
            *(const struct doc_value **)to = NULL;
        else if (f->kind != FIELD_OTHER && f->text)
            strcpy(to, f->text); /* shorter than max: a constant of the table */
    }
}

static void render_value(const struct field *f, const void *base, struct text *out)
{
    const void *from = (const char *)base + f->offset;
    switch (f->kind) {
    case FIELD_INT:
        text_printf(out, "%lld", (long long)*(const int64_t *)from);
        break;
    case FIELD_REAL:
        text_json_number(out, *(const double *)from, 17);
        break;
    case FIELD_MONEY:
        text_usd(out, *(const int64_t *)from * (int64_t)(1e9 / f->unit));
        break;
    case FIELD_BOOL:
        text_put(out, *(const bool *)from ? "true" : "false");
        break;
    case FIELD_NAME:
    case FIELD_TEXT:
        text_json_string(out, from);
        break;
    case FIELD_CHOICE:
        if (*(const bool *)from)
            text_json_string(out, strchr(f->text, '|') + 1);
        else
            text_printf(out, "\"%.*s\"", (int)strcspn(f->text, "|"), f->text);
        break;
    case FIELD_VALUE:
    case FIELD_OTHER:
        break;
    }
}

static int render_group(const struct group *g, int part, const void *base, struct text *out)
{
    int members = 0;
    const char *done = ""; /* the nested object last written */
    size_t done_len = 0;
    for (int i = 0; i < g->table.n; i++) {
        const struct field *f = &g->table.row[i];
        const char *rest = below(g, f);
        if (!rest || f->part != part || f->kind == FIELD_OTHER)
            continue;
        size_t n = strcspn(rest, "/");
        if (n == done_len && strncmp(rest, done, n) == 0)
            continue;
        text_printf(out, "%s\"%.*s\":", members++ > 0 ? "," : "", (int)n, rest);
        if (rest[n] == '\0') {
            render_value(f, base, out);
            continue;
        }
        done = rest;
        done_len = n;
        struct group inner = {g->table, f->path, g->len + n + 1, -1};
        text_put(out, "{");
        render_group(&inner, part, base, out);
        text_put(out, "}");
    }
    return members;
}

int fields_render(struct field_table table, int part, const void *base, struct text *out)
{
    struct group all = {table, "", 0, -1};
    return render_group(&all, part, base, out);
}

static void reference_default(const struct field *f, struct text *out)
{
    if (f->other)
        text_put(out, f->kind == FIELD_OTHER ? "" : f->other);
    else if (f->kind == FIELD_BOOL)
        text_put(out, f->number > 0 ? "true" : "false");
    else if (f->kind == FIELD_CHOICE)
        text_put_n(out, f->text, strcspn(f->text, "|"));
    else if (f->kind == FIELD_NAME || f->kind == FIELD_TEXT)
        text_printf(out, "\"%s\"", f->text ? f->text : "");
    else
        text_json_number(out, f->number, 15);
}

void fields_reference(struct field_table table, const char *prefix, struct text *out)
{
    char what[100];
    for (int i = 0; i < table.n; i++) {
        const struct field *f = &table.row[i];
        allowed(f, what, sizeof what);
        for (char *bar = strchr(what, '|'); bar; bar = strchr(bar, '|'))
            *bar = '/'; /* a bar would end the cell */
        text_printf(out, "| `%s%s` | %s | ", prefix, f->path, what);
        reference_default(f, out);
        text_printf(out, " | %s |\n", f->help ? f->help : "");
    }
}
