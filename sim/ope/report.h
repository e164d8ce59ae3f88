/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPE_REPORT_H
#define PURSER_SIM_OPE_REPORT_H

#include <stdio.h>
#include "sim/ope/evaluate.h"
#include "sim/sheet.h"

/* What a report says, for people and for programs. Members of the JSON are a contract:
 * docs/ope.md. */
struct ope_told {
    const char *source, *target, *against;
    const struct ope_rows *rows;
    const struct ope_question *question;
    const struct ope_report *report;
};
void ope_report_table(FILE *f, const struct ope_told *t);
/* ope_report_sheets writes estimates, intervals, models and segments as rows. */
MUST_CHECK enum status ope_report_sheets(const struct sheet_place *to, const struct ope_told *t,
                                         struct problem *problem);
/* ope_report_json gives false when memory is short. */
bool ope_report_json(FILE *f, const struct ope_told *t);

#endif
