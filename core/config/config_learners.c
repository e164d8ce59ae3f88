/* SPDX-License-Identifier: MIT */
/*
 * The learners of a configuration document: tenants that have one of their own. A patch names what
 * it changes and the rest stays, as with models: slots never move, and what a tenant's learner
 * knows is not lost by a list that forgot to name it.
 */
#include "core/config/config_fields.h"

#include <string.h>

enum learner_bit { HAS_TENANT = 1 };
#define L(member) .offset = offsetof(struct learner_spec, member)

static const struct field rows[] = {
    {.path = "tenant",
     .kind = FIELD_NAME,
     .min = 1,
     .max = NAME_LEN,
     L(tenant),
     .bit = HAS_TENANT,
     .other = "required",
     .help = "whose requests it decides and learns from"},
    {.path = "shares",
     .kind = FIELD_BOOL,
     L(shares),
     .number = 1,
     .help =
         "its labels teach the shared learner too; false = nothing it reports moves what others "
         "are served"},
    {.path = "borrows",
     .kind = FIELD_REAL,
     L(borrows),
     .max = 1e9,
     .number = 100,
     .help = "labels that the shared learner's evidence is worth to it; 0 = it starts from the "
             "typical_ values alone"},
    {.path = "active",
     .kind = FIELD_BOOL,
     L(active),
     .number = 1,
     .help = "false = keep what was learned, decide by the shared learner"},
};

struct field_table config_learner_table(void)
{
    return (struct field_table){rows, sizeof rows / sizeof rows[0]};
}

/* Reads one entry over what its slot holds. */
static enum status learner_read(struct learner_list *l, json_t *object, const struct json_at *at,
                                uint64_t *touched, struct problem *problem)
{
    struct json_at tenant_at = {.up = at, .key = "tenant"};
    const char *tenant = json_string_value(json_object_get(object, "tenant"));
    int slot = tenant ? learners_find(l, tenant) - 1 : -1;
    struct learner_spec spec;
    memset(&spec, 0, sizeof spec);
    fields_default(config_learner_table(), 0, &spec);
    if (slot >= 0)
        spec = l->spec[slot];
    unsigned seen = 0;
    void *base[] = {&spec};
    enum status st = fields_read(config_learner_table(), object, at, base, &seen, problem);
    if (st != STATUS_OK)
        return st;
    if (!(seen & HAS_TENANT))
        return json_fail(problem, STATUS_BAD_REQUEST, &tenant_at, "missing");
    if (slot < 0 && l->n == LEARNERS_MAX)
        return json_fail(problem, STATUS_BAD_REQUEST, at, "more than %d learners in all",
                         LEARNERS_MAX);
    slot = slot >= 0 ? slot : l->n++;
    if (*touched >> slot & 1)
        return json_fail(problem, STATUS_BAD_REQUEST, &tenant_at, "the same tenant twice");
    *touched |= (uint64_t)1 << slot;
    l->spec[slot] = spec;
    return STATUS_OK;
}

enum status config_learners_read(struct params *p, const json_t *array, struct problem *problem)
{
    struct json_at list = {.key = "learners"};
    char found[FOUND_CAP];
    uint64_t touched = 0;
    enum status st = STATUS_OK;
    if (!json_is_array(array) || json_array_size(array) > LEARNERS_MAX)
        return json_fail(problem, STATUS_BAD_REQUEST, &list,
                         "expected an array of at most %d learners, found %s", LEARNERS_MAX,
                         json_found(found, array));
    for (size_t i = 0; st == STATUS_OK && i < json_array_size(array); i++) {
        struct json_at at = {.up = &list, .index = (int)i};
        st = learner_read(&p->learners, json_array_get(array, i), &at, &touched, problem);
    }
    return st;
}

void config_learners_render(const struct learner_list *l, struct text *out)
{
    for (int i = 0; i < l->n; i++) {
        text_put(out, i > 0 ? ",{" : "{");
        fields_render(config_learner_table(), 0, &l->spec[i], out);
        text_put(out, "}");
    }
}
