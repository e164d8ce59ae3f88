/* SPDX-License-Identifier: MIT */
/*
 * What requests are worth, in a configuration document: an object of factors by name for each
 * label, and the bounds of their product. A patch replaces the tables that it names and leaves the
 * others; {} empties one.
 */
#include "core/config/config_fields.h"

#include <string.h>

#define V(member) .offset = offsetof(struct value_tables, member)
#define TABLE(label_)                                                                              \
    {                                                                                              \
        .path = label_, .kind = FIELD_OTHER, .other = "an object of 0 to 32 factors by name",      \
        .help = "factors by the request's " label_ ", 0.01 to 100"                                 \
    }

static const char *const label_key[VALUE_LABELS] = {"task", "user_tier", "domain", "outcome"};

static const struct field rows[] = {
    TABLE("task"),
    TABLE("user_tier"),
    TABLE("domain"),
    TABLE("outcome"),
    {.path = "least",
     .kind = FIELD_REAL,
     V(least),
     .min = 0.01,
     .max = 1,
     .number = 0.5,
     .help = "lower bound of the product"},
    {.path = "most",
     .kind = FIELD_REAL,
     V(most),
     .min = 1,
     .max = 100,
     .number = 5,
     .help = "upper bound of the product"},
};

struct field_table config_value_table(void)
{
    return (struct field_table){rows, sizeof rows / sizeof rows[0]};
}

void config_value_default(struct value_tables *v)
{
    fields_default(config_value_table(), 0, v);
}

static enum status factor_read(const char *name, const json_t *v, const struct json_at *at,
                               struct value_entry *out, struct problem *problem)
{
    static const struct field factor = {.kind = FIELD_REAL,
                                        .offset = offsetof(struct value_entry, factor),
                                        .min = 0.01,
                                        .max = 100};
    if (!json_name_ok(name))
        return json_fail(problem, STATUS_BAD_REQUEST, at,
                         "expected a key of 1 to 64 of [A-Za-z0-9._:/@-]");
    memcpy(out->name, name, strlen(name) + 1);
    return field_read(&factor, v, at, out, problem);
}

static enum status table_read(struct value_tables *out, enum value_label label, json_t *object,
                              const struct json_at *up, struct problem *problem)
{
    struct json_at at = {.up = up, .key = label_key[label]};
    char found[FOUND_CAP];
    const char *name;
    json_t *v;
    if (!json_is_object(object) || json_object_size(object) > VALUE_ENTRIES_MAX)
        return json_fail(problem, STATUS_BAD_REQUEST, &at,
                         "expected an object of at most %d factors, found %s", VALUE_ENTRIES_MAX,
                         json_found(found, object));
    memset(out->entry[label], 0, sizeof out->entry[label]);
    out->n[label] = 0;
    json_object_foreach(object, name, v)
    {
        struct json_at here = {.up = &at, .key = name};
        enum status st = factor_read(name, v, &here, &out->entry[label][out->n[label]], problem);
        if (st != STATUS_OK)
            return st;
        out->n[label]++;
    }
    return STATUS_OK;
}

enum status config_value_read(struct params *p, json_t *object, struct problem *problem)
{
    struct json_at at = {.key = "value"};
    char found[FOUND_CAP];
    void *base[] = {&p->value};
    if (!json_is_object(object))
        return json_fail(problem, STATUS_BAD_REQUEST, &at, "expected an object, found %s",
                         json_found(found, object));
    enum status st = fields_read(config_value_table(), object, &at, base, NULL, problem);
    for (int label = 0; st == STATUS_OK && label < VALUE_LABELS; label++) {
        json_t *table = json_object_get(object, label_key[label]);
        if (table)
            st = table_read(&p->value, (enum value_label)label, table, &at, problem);
    }
    return st;
}

void config_value_render(const struct params *p, struct text *out)
{
    const struct value_tables *v = &p->value;
    fields_render(config_value_table(), 0, v, out);
    for (int label = 0; label < VALUE_LABELS; label++) {
        text_printf(out, ",\"%s\":{", label_key[label]);
        for (int i = 0; i < v->n[label]; i++) {
            text_put(out, i > 0 ? "," : "");
            text_json_string(out, v->entry[label][i].name);
            text_put(out, ":");
            text_json_number(out, v->entry[label][i].factor, 17);
        }
        text_put(out, "}");
    }
}
