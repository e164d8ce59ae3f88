/* SPDX-License-Identifier: MIT */
/*
 * The desk's teach messages: labelled history. All outcomes of an item are decoded before the first
 * is learned, so an item that is refused has taught nothing.
 */
#include <stdio.h>
#include <string.h>
#include "transport/desk/desk_inside.h"

/* Reads all outcomes of an item: it is learned as a whole or not at all. */
static enum status read_lesson(struct desk *d, const struct message *m, int i, double *weight,
                               struct problem *p)
{
    const struct catalog *catalog = &router_params(d->router)->catalog;
    enum status s = wire_teach(m, i, &d->request, weight, p);
    for (int j = 0; s == STATUS_OK && j < wire_teach_count(m, i); j++) {
        struct lesson *l = &d->lesson[j];
        char path[96];
        s = wire_teach_outcome(m, i, j, l->model, &l->outcome, p);
        if (s != STATUS_OK)
            return s;
        memcpy(l->outcome.feedback_id, m->batch_id, NAME_CAP);
        snprintf(path, sizeof path, "/items/%d/outcomes/%d/model", i, j);
        if (catalog_find(catalog, l->model) < 0)
            return problem_set(p, STATUS_UNKNOWN_MODEL, path,
                               "there is no model %s; models.list names those there are", l->model);
    }
    return s;
}

static enum status teach(struct desk *d, const struct message *m, int i, struct problem *p)
{
    double weight;
    enum status s = read_lesson(d, m, i, &weight, p);
    int64_t now = wallclock_now(&d->clock);
    for (int j = 0; s == STATUS_OK && !d->repeated && j < wire_teach_count(m, i); j++) {
        const struct lesson *l = &d->lesson[j];
        s = router_teach(d->router, now, &d->request, l->model, &l->outcome, weight, &d->event, p);
        if (s != STATUS_OK)
            return s;
        desk_record(d, now);
    }
    return s;
}

void desk_teach_item(struct desk *d, const struct message *m, int i, struct text *t)
{
    struct problem p = {0};
    if (teach(d, m, i, &p) == STATUS_OK) {
        reply_taught(t, d->repeated, wire_teach_count(m, i));
        return;
    }
    d->refused++;
    reply_error(t, &p);
}
