/* SPDX-License-Identifier: MIT */
#include "sim/play/steps.h"

#include <math.h>

void steps_columns(struct sheet *s)
{
    static const char *const name[] = {
        "policy", "seed",         "request",           "row",
        "task",   "model",        "propensity",        "quality",
        "usd",    "best_quality", "predicted_quality", "expected_usd"};
    sheet_columns(s, name, sizeof name / sizeof *name);
}

static double best_quality(const struct table *t, uint32_t row)
{
    double best = 0;
    for (int m = 0; m < t->n_models; m++)
        best = fmax(best, t->q[table_cell(t, row, m)]);
    return best;
}

void step_put(const struct step_row *r, const struct table *judged, const struct choice *c)
{
    struct sheet *s = r->sheet;
    if (s == NULL)
        return;
    bool served = c->model >= 0;
    size_t cell = served ? table_cell(judged, c->row, c->model) : 0;
    sheet_text(s, r->policy);
    sheet_count(s, (int64_t)r->seed);
    sheet_count(s, (int64_t)c->i + 1);
    sheet_text(s, table_id(judged, c->row));
    sheet_text(s, table_task(judged, c->row));
    sheet_text(s, served ? judged->model[c->model].name : "");
    sheet_number(s, served ? c->propensity : (double)NAN);
    sheet_number(s, served ? judged->q[cell] : 0);
    sheet_number(s, served ? (double)judged->cost_nano[cell] * 1e-9 : 0);
    sheet_number(s, best_quality(judged, c->row));
    sheet_number(s, served ? c->quality[c->model] : (double)NAN);
    sheet_number(s, served ? c->cost_usd[c->model] : (double)NAN);
}
