/* SPDX-License-Identifier: MIT */
/* Every seed of a replay as sheets, nothing averaged. */
#include "sim/play/steps.h"
#include "sim/replay/replay_sum.h"

static enum status write_seeds(const struct replay *r, const struct replay_report *report,
                               const struct play_result *result, const struct measures *measured,
                               struct problem *problem)
{
    static const char *const name[] = {"policy",
                                       "seed",
                                       "requests",
                                       "quality",
                                       "usd_per_request",
                                       "hull_at_spend",
                                       "accuracy",
                                       "refused",
                                       "accuracy_last_fifth",
                                       "regret",
                                       "multiplier"};
    struct sheet s;
    enum status status = sheet_begin(&s, &r->sheets, "seeds", problem);
    sheet_columns(&s, name, sizeof name / sizeof *name);
    for (int m = 0; m < MEASURES; m++)
        sheet_column(&s, measure_name((enum measure)m));
    for (int m = 0; m < report->n_models; m++)
        sheet_column(&s, r->table->model[m].engine_name);
    for (int i = 0; status == STATUS_OK && i < r->seeds; i++) {
        const struct play_result *p = &result[i];
        sheet_text(&s, r->params->policy.name);
        sheet_count(&s, (int64_t)r->first_seed + i);
        sheet_count(&s, (int64_t)report->n);
        sheet_number(&s, p->quality);
        sheet_number(&s, p->spend_usd);
        sheet_number(&s, hull_value(report->hull, report->n_hull, p->spend_usd));
        sheet_number(&s, p->accuracy);
        sheet_number(&s, (double)p->refused / (double)report->n);
        sheet_number(&s, p->accuracy_last);
        sheet_number(&s, p->regret);
        sheet_number(&s, p->multiplier);
        for (int m = 0; m < MEASURES; m++)
            sheet_number(&s, measured[i].value[m]);
        for (int m = 0; m < report->n_models; m++)
            sheet_number(&s, (double)p->chosen[m] / (double)report->n);
    }
    return sheet_end(&s, status, problem);
}

static enum status join_steps(const struct replay *r, struct problem *problem)
{
    struct sheet s;
    enum status status = sheet_begin(&s, &r->sheets, "steps", problem);
    steps_columns(&s);
    if (status == STATUS_OK)
        status = sheet_join(&s, &r->sheets, "steps", r->seeds, problem);
    return sheet_end(&s, status, problem);
}

enum status replay_sheets(const struct replay *r, const struct replay_report *report,
                          const struct play_result *result, const struct measures *measured,
                          struct problem *problem)
{
    struct measures_rows rows = {.curve.f = NULL};
    if (r->sheets.dir == NULL)
        return STATUS_OK;
    enum status s = join_steps(r, problem);
    if (s == STATUS_OK)
        s = write_seeds(r, report, result, measured, problem);
    if (s == STATUS_OK)
        s = measures_rows_begin(&rows, &r->sheets, problem);
    for (int i = 0; s == STATUS_OK && i < r->seeds; i++)
        measures_rows_put(&rows, r->params->policy.name, (int64_t)r->first_seed + i, &measured[i]);
    return measures_rows_end(&rows, s, problem);
}
