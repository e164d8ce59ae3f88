/* SPDX-License-Identifier: MIT */
/*
 * Tables of fields as JSON Schema (draft 2020-12): what fields_read takes, a schema validates. It
 * says less than the reader where that needs more than one field.
 */
#include <stdio.h>
#include <string.h>
#include "core/encoding/fields.h"

struct scope {
    struct field_table table;
    const struct field_shape *shape;
    const char *prefix; /* rows of this object begin with its first len bytes */
    size_t len;
};

static void put_object(const struct scope *s, struct text *out);

static const char *below(const struct scope *s, const struct field *f)
{
    return strncmp(f->path, s->prefix, s->len) == 0 ? f->path + s->len : NULL;
}

static void put_bounds(const char *low, const char *high, const struct field *f, struct text *out)
{
    text_printf(out, ",\"%s\":", low);
    text_json_number(out, f->min, 15);
    text_printf(out, ",\"%s\":", high);
    text_json_number(out, f->max, 15);
}

/* The members of a value that the reader of the whole document reads. */
static void put_shape(const struct scope *s, const char *path, struct text *out)
{
    for (const struct field_shape *h = s->shape; h && h->path; h++) {
        if (strcmp(h->path, path) != 0)
            continue;
        struct scope inner = {h->table, s->shape, "", 0};
        if (h->json) {
            text_put(out, h->json);
        } else if (h->most == 0) {
            put_object(&inner, out);
        } else {
            text_printf(out, "\"type\":\"array\",\"maxItems\":%d,\"items\":{", h->most);
            put_object(&inner, out);
            text_put(out, "}");
        }
        text_put(out, ",");
        return;
    }
}

static void put_type(const struct scope *s, const struct field *f, struct text *out)
{
    size_t first = f->kind == FIELD_CHOICE ? strcspn(f->text, "|") : 0;
    switch (f->kind) {
    case FIELD_INT: /* 812.0 is an integer in JSON Schema too */
        text_put(out, "\"type\":\"integer\"");
        put_bounds("minimum", "maximum", f, out);
        break;
    case FIELD_REAL:
    case FIELD_MONEY:
        text_put(out, "\"type\":\"number\"");
        put_bounds("minimum", "maximum", f, out);
        break;
    case FIELD_BOOL:
        text_put(out, "\"type\":\"boolean\"");
        break;
    case FIELD_NAME:
        text_put(out, "\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9._:/@-]*$\"");
        put_bounds("minLength", "maxLength", f, out);
        break;
    case FIELD_TEXT:
        text_put(out, "\"type\":\"string\"");
        put_bounds("minLength", "maxLength", f, out);
        break;
    case FIELD_CHOICE:
        text_printf(out, "\"enum\":[\"%.*s\",\"%s\"]", (int)first, f->text, f->text + first + 1);
        break;
    case FIELD_VALUE: /* not in configuration */
    case FIELD_OTHER:
        put_shape(s, f->path, out);
        return;
    }
    text_put(out, ",");
}

static void put_field(const struct scope *s, const struct field *f, struct text *out)
{
    bool simple = f->kind != FIELD_OTHER && f->kind != FIELD_CHOICE && !f->other;
    put_type(s, f, out);
    if (simple && f->kind == FIELD_BOOL)
        text_printf(out, "\"default\":%s,", f->number > 0 ? "true" : "false");
    else if (simple && (f->kind == FIELD_NAME || f->kind == FIELD_TEXT))
        text_printf(out, "\"default\":\"%s\",", f->text ? f->text : "");
    else if (simple) {
        text_put(out, "\"default\":");
        text_json_number(out, f->number, 15);
        text_put(out, ",");
    }
    text_put(out, "\"description\":");
    text_json_string(out, f->help ? f->help : "");
}

static void put_required(const struct scope *s, struct text *out)
{
    int n = 0;
    for (int i = 0; i < s->table.n; i++) {
        const struct field *f = &s->table.row[i];
        const char *rest = below(s, f);
        if (rest && !strchr(rest, '/') && f->other && strcmp(f->other, "required") == 0)
            text_printf(out, "%s\"%s\"", n++ ? "," : ",\"required\":[", rest);
    }
    text_put(out, n ? "]" : "");
}

static void put_object(const struct scope *s, struct text *out)
{
    const char *done = ""; /* the nested object last written */
    size_t done_len = 0;
    int n = 0;
    text_put(out, "\"type\":\"object\",\"properties\":{");
    for (int i = 0; i < s->table.n; i++) {
        const struct field *f = &s->table.row[i];
        const char *rest = below(s, f);
        size_t key = rest ? strcspn(rest, "/") : 0;
        if (!rest || (key == done_len && strncmp(rest, done, key) == 0))
            continue;
        text_printf(out, "%s\n\"%.*s\":{", n++ ? "," : "", (int)key, rest);
        if (rest[key] == '\0') {
            put_field(s, f, out);
        } else {
            struct scope inner = {s->table, s->shape, f->path, s->len + key + 1};
            done = rest;
            done_len = key;
            put_object(&inner, out);
        }
        text_put(out, "}");
    }
    text_put(out, "},\"patternProperties\":{\"^x_\":{}},\"additionalProperties\":false");
    put_required(s, out);
}

void fields_schema(struct field_table table, const struct field_shape *shape, struct text *out)
{
    struct scope all = {table, shape, "", 0};
    put_object(&all, out);
}
