/* SPDX-License-Identifier: MIT */
/*
 * Teach messages: labelled history. An item is a route request as it was, or would have been, sent,
 * and what one model or more made of it, in the words of feedback. Both are read by the very tables
 * of route and feedback, so what is refused there is refused here, with the same paths below
 * /items/N/request and /items/N/outcomes/M.
 *
 * Considered: one model per item. A prompt whose outcome is known for every model would be sent and
 * turned into features once for each of them.
 */
#include "core/wire/wire_item.h"

#include "core/encoding/fields.h"

static const struct field rows[] = {
    {.path = "request", .kind = FIELD_OTHER},
    {.path = "outcomes", .kind = FIELD_OTHER},
    {.path = "weight", .kind = FIELD_REAL, .min = 1e-9, .max = 1, .number = 1},
};
static const struct field_table table = {rows, sizeof rows / sizeof rows[0]};

static const struct doc_value *outcomes_of(const struct doc_value *items, size_t i)
{
    return doc_get(doc_at(items, i), "outcomes");
}

enum status wire_teach_bound(const struct doc_value *items, struct problem *problem)
{
    struct json_at at = {.key = "items"};
    size_t n = 0;
    for (size_t i = 0; i < doc_size(items); i++)
        n += doc_size(outcomes_of(items, i));
    if (n <= TEACH_OUTCOMES_MAX)
        return STATUS_OK;
    return json_fail(problem, STATUS_TOO_LARGE, &at, "%zu outcomes, at most %d in a message", n,
                     TEACH_OUTCOMES_MAX);
}

int wire_teach_count(const struct message *m, int i)
{
    size_t n = doc_size(outcomes_of(doc_get(m->doc.value, "items"), (size_t)i));
    return n <= MODELS_MAX ? (int)n : 0;
}

/* What stands in one place of an item must be an object. */
static enum status need_object(const struct wire_item *it, struct problem *problem)
{
    char found[FOUND_CAP];
    if (doc_is(it->object, DOC_OBJECT))
        return STATUS_OK;
    return json_fail(problem, STATUS_BAD_REQUEST, it->at, "expected an object, found %s",
                     it->object ? doc_found(found, it->object) : "nothing");
}

enum status wire_teach(const struct message *m, int i, struct request *out, double *weight,
                       struct problem *problem)
{
    struct wire_item it, request = {.object = NULL};
    double said = 1;
    void *base[] = {&said};
    enum status st = wire_item_open(m, i, &it, problem);
    if (st == STATUS_OK)
        st = fields_take(table, it.object, it.at, base, NULL, problem);
    if (st != STATUS_OK)
        return st;
    const struct doc_value *outcomes = doc_get(it.object, "outcomes");
    struct json_at outcomes_at = {.up = it.at, .key = "outcomes"},
                   request_at = {.up = it.at, .key = "request"};
    char found[FOUND_CAP];
    if (wire_teach_count(m, i) == 0)
        return json_fail(problem, STATUS_BAD_REQUEST, &outcomes_at,
                         "expected an array of 1 to %d, found %s", MODELS_MAX,
                         outcomes ? doc_found(found, outcomes) : "nothing");
    request.object = doc_get(it.object, "request");
    request.at = &request_at;
    st = need_object(&request, problem);
    if (st == STATUS_OK)
        st = wire_request_read(&request, out, problem);
    if (st == STATUS_OK)
        *weight = said;
    return st;
}

enum status wire_teach_outcome(const struct message *m, int i, int j, char model[NAME_CAP],
                               struct feedback *out, struct problem *problem)
{
    struct wire_item it, outcome = {.object = NULL};
    enum status st = wire_item_open(m, i, &it, problem);
    if (st != STATUS_OK)
        return st;
    struct json_at list = {.up = it.at, .key = "outcomes"}, at = {.up = &list, .index = j};
    outcome.object = doc_at(doc_get(it.object, "outcomes"), (size_t)j);
    outcome.at = &at;
    st = need_object(&outcome, problem);
    return st == STATUS_OK ? wire_outcome_read(&outcome, model, out, problem) : st;
}
