/* SPDX-License-Identifier: MIT */
/*
 * Time zones of a configuration document: tables of offsets. Whoever starts the service knows the
 * rules of named zones; the document, which is logged, has what they come to. So a new edition of
 * those rules cannot change what a log means.
 */
#include "core/config/config_pools.h"

#include <string.h>

enum status config_pools_fail(struct problem *problem, const struct json_at *at, const char *key,
                              const char *text)
{
    struct json_at here = {.up = at, .key = key};
    return json_fail(problem, STATUS_BAD_REQUEST, &here, "%s", text);
}

enum status config_pools_array(const json_t *v, const struct json_at *at, int most,
                               struct problem *problem)
{
    char found[FOUND_CAP];
    if (json_is_array(v) && json_array_size(v) <= (size_t)most)
        return STATUS_OK;
    return json_fail(problem, STATUS_BAD_REQUEST, at, "expected an array of at most %d, found %s",
                     most, json_found(found, v));
}

enum status config_pools_time(const char *text, const struct json_at *at, const char *key,
                              int64_t *ms, struct problem *problem)
{
    if (window_time_read(text, ms))
        return STATUS_OK;
    return config_pools_fail(problem, at, key, "expected a time such as 2026-01-31T00:00:00Z");
}

struct change_doc {
    char at[WINDOW_TIME_CAP];
    int64_t minutes;
};
struct zone_doc {
    char name[NAME_CAP];
    int64_t minutes;
};
enum zone_bit { HAS_ZONE_NAME = 1, HAS_AT = 2, HAS_MINUTES = 4 };
#define ID .kind = FIELD_NAME, .min = 1, .max = NAME_LEN
#define OFFSET .kind = FIELD_INT, .min = -1080, .max = 1080

static const struct field change_rows[] = {
    {.path = "at",
     .kind = FIELD_TEXT,
     .max = WINDOW_TIME_CAP - 1,
     .offset = offsetof(struct change_doc, at),
     .bit = HAS_AT,
     .other = "required",
     .help = "the first moment of the new offset, such as 2026-03-29T01:00:00Z; ascending"},
    {.path = "utc_offset_minutes",
     OFFSET,
     .offset = offsetof(struct change_doc, minutes),
     .bit = HAS_MINUTES,
     .other = "required",
     .help = "local minus UTC from then on"},
};
static const struct field zone_rows[] = {
    {.path = "name",
     ID,
     .offset = offsetof(struct zone_doc, name),
     .bit = HAS_ZONE_NAME,
     .other = "required",
     .help = "by which it is known"},
    {.path = "utc_offset_minutes",
     OFFSET,
     .offset = offsetof(struct zone_doc, minutes),
     .help = "local minus UTC, before the first change"},
    {.path = "changes",
     .kind = FIELD_OTHER,
     .other = "0 to 64 objects",
     .help = "when and to what the offset changes: summer time"},
};

struct field_table config_zone_table(void)
{
    return (struct field_table){zone_rows, sizeof zone_rows / sizeof zone_rows[0]};
}

struct field_table config_zone_change_table(void)
{
    return (struct field_table){change_rows, sizeof change_rows / sizeof change_rows[0]};
}

static enum status changes_read(struct zone *z, const json_t *array, const struct json_at *up,
                                struct problem *problem)
{
    struct json_at list = {.up = up, .key = "changes"};
    enum status st =
        array ? config_pools_array(array, &list, ZONE_CHANGES_MAX, problem) : STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && array && i < json_array_size(array); i++) {
        struct json_at at = {.up = &list, .index = (int)i};
        struct change_doc d = {.at = ""};
        void *base[] = {&d};
        unsigned seen = 0;
        int64_t ms = 0;
        st = fields_read(config_zone_change_table(), json_array_get(array, i), &at, base, &seen,
                         problem);
        if (st == STATUS_OK && !(seen & HAS_MINUTES))
            st = config_pools_fail(problem, &at, "utc_offset_minutes",
                                   "required for a change, missing");
        if (st == STATUS_OK)
            st = config_pools_time(d.at, &at, "at", &ms, problem);
        if (st == STATUS_OK && i > 0 && ms <= z->change[i - 1].at_ms)
            st = config_pools_fail(problem, &at, "at", "must be later than the change before");
        z->change[i].at_ms = ms;
        z->change[i].offset_ms = d.minutes * 60000;
        z->n = (int)i + 1;
    }
    return st;
}

enum status config_zones_read(struct pool_config *c, const json_t *array, struct problem *problem)
{
    struct json_at list = {.key = "zones"};
    enum status st = config_pools_array(array, &list, POOL_ZONES_MAX, problem);
    if (st != STATUS_OK)
        return st;
    memset(c->zone, 0, sizeof c->zone);
    c->n_zones = 0;
    for (size_t i = 0; st == STATUS_OK && i < json_array_size(array); i++) {
        struct json_at at = {.up = &list, .index = (int)i};
        struct zone_doc d = {.name = ""};
        struct zone *z = &c->zone[i];
        void *base[] = {&d};
        unsigned seen = 0;
        json_t *object = json_array_get(array, i);
        st = fields_read(config_zone_table(), object, &at, base, &seen, problem);
        if (st == STATUS_OK && !(seen & HAS_ZONE_NAME))
            st = config_pools_fail(problem, &at, "name", "required for a zone, missing");
        for (int k = 0; st == STATUS_OK && k < c->n_zones; k++) {
            if (strcmp(c->zone[k].name, d.name) == 0)
                st = config_pools_fail(problem, &at, "name", "the same name twice");
        }
        memcpy(z->name, d.name, sizeof z->name);
        z->offset_ms = d.minutes * 60000;
        if (st == STATUS_OK)
            st = changes_read(z, json_object_get(object, "changes"), &at, problem);
        c->n_zones++;
    }
    return st;
}

void config_zones_render(const struct pool_config *c, struct text *out)
{
    for (int i = 0; i < c->n_zones; i++) {
        const struct zone *z = &c->zone[i];
        text_put(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        text_json_string(out, z->name);
        text_printf(out, ",\"utc_offset_minutes\":%lld,\"changes\":[",
                    (long long)(z->offset_ms / 60000));
        for (int k = 0; k < z->n; k++) {
            char at[WINDOW_TIME_CAP];
            window_time_write(z->change[k].at_ms, at);
            text_printf(out, "%s{\"at\":\"%s\",\"utc_offset_minutes\":%lld}", k > 0 ? "," : "", at,
                        (long long)(z->change[k].offset_ms / 60000));
        }
        text_put(out, "]}");
    }
}
