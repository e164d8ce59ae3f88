/* SPDX-License-Identifier: MIT */
/*
 * What silence means, in a configuration document: a list whose first entry that fits a request
 * tells with which quality it is labelled when nobody has reported any in time.
 */
#include "core/config/config_fields.h"

#include <string.h>

enum { HAS_QUALITY = 1, HAS_AFTER = 2 };

#define V(member) .offset = offsetof(struct silence, member)
#define ID .kind = FIELD_NAME, .min = 1, .max = NAME_LEN

static const struct field rows[] = {
    {.path = "task", ID, V(task), .other = "any", .help = "the request's task"},
    {.path = "tenant", ID, V(tenant), .other = "any", .help = "the request's tenant"},
    {.path = "quality",
     .kind = FIELD_REAL,
     V(quality),
     .max = 1,
     .bit = HAS_QUALITY,
     .other = "required",
     .help = "the label that silence stands for"},
    {.path = "after_hours",
     .kind = FIELD_REAL,
     V(after_hours),
     .min = 1e-6,
     .max = 87600,
     .bit = HAS_AFTER,
     .other = "required",
     .help = "from the decision; at most learner.join_window_hours"},
};

struct field_table config_silence_table(void)
{
    return (struct field_table){rows, sizeof rows / sizeof rows[0]};
}

static enum status entry_read(struct silence *out, json_t *object, const struct json_at *at,
                              struct problem *problem)
{
    unsigned seen = 0;
    void *base[] = {out};
    enum status st = fields_read(config_silence_table(), object, at, base, &seen, problem);
    struct json_at missing = {.up = at, .key = seen & HAS_QUALITY ? "after_hours" : "quality"};
    if (st == STATUS_OK && seen != (HAS_QUALITY | HAS_AFTER))
        return json_fail(problem, STATUS_BAD_REQUEST, &missing,
                         "missing: say both what silence is worth and after how many hours");
    return st;
}

enum status config_silence_read(struct params *p, const json_t *array, struct problem *problem)
{
    struct json_at list = {.key = "silence"};
    char found[FOUND_CAP];
    if (!json_is_array(array) || json_array_size(array) > SILENCE_MAX)
        return json_fail(problem, STATUS_BAD_REQUEST, &list,
                         "expected an array of at most %d entries, found %s", SILENCE_MAX,
                         json_found(found, array));
    memset(p->silence, 0, sizeof p->silence);
    p->n_silence = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct json_at at = {.up = &list, .index = (int)i};
        enum status st = entry_read(&p->silence[i], json_array_get(array, i), &at, problem);
        if (st != STATUS_OK)
            return st;
        p->n_silence++;
    }
    return STATUS_OK;
}

enum status config_silence_check(const struct params *p, struct problem *problem)
{
    struct json_at list = {.key = "silence"};
    for (int i = 0; i < p->n_silence; i++) {
        struct json_at at = {.up = &list, .index = i}, after = {.up = &at, .key = "after_hours"};
        if (p->silence[i].after_hours > p->learner.join_window_hours)
            return json_fail(problem, STATUS_BAD_REQUEST, &after,
                             "later than /learner/join_window_hours: a report that corrects "
                             "silence must still be accepted");
    }
    return STATUS_OK;
}

void config_silence_render(const struct params *p, struct text *out)
{
    for (int i = 0; i < p->n_silence; i++) {
        const struct silence *s = &p->silence[i];
        text_put(out, i > 0 ? ",{" : "{");
        if (s->task[0]) {
            text_put(out, "\"task\":");
            text_json_string(out, s->task);
            text_put(out, ",");
        }
        if (s->tenant[0]) {
            text_put(out, "\"tenant\":");
            text_json_string(out, s->tenant);
            text_put(out, ",");
        }
        text_put(out, "\"quality\":");
        text_json_number(out, s->quality, 17);
        text_put(out, ",\"after_hours\":");
        text_json_number(out, s->after_hours, 17);
        text_put(out, "}");
    }
}
