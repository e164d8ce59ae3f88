/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "sim/ope/report.h"

static const char *const side_name[SIDES] = {"target", "against", "difference"};
#define COUNT(list) (int)(sizeof(list) / sizeof *(list))

static void put_interval(struct sheet *s, struct ope_interval i)
{
    sheet_number(s, i.low);
    sheet_number(s, i.high);
}

static void estimates(struct sheet *s, const struct ope_told *t)
{
    static const char *const column[] = {
        "aim", "side",        "estimator",    "rows",          "value",
        "se",  "student_low", "student_high", "bootstrap_low", "bootstrap_high"};
    sheet_columns(s, column, COUNT(column));
    for (int a = 0; a < AIMS; a++) {
        const struct ope_aim_answer *aim = &t->report->aim[a];
        for (int side = 0; aim->n > 0 && side < SIDES; side++) {
            for (int e = 0; e < OPE_ESTIMATORS; e++) {
                const struct ope_estimate *x = &aim->side[side].estimate[e];
                if (!x->valid)
                    continue;
                sheet_text(s, ope_aim_name((enum ope_aim)a));
                sheet_text(s, side_name[side]);
                sheet_text(s, ope_name((enum ope_estimator)e));
                sheet_count(s, (int64_t)aim->n);
                sheet_number(s, x->value);
                sheet_number(s, sqrt(x->variance));
                put_interval(s, aim->side[side].student[e]);
                put_interval(s, aim->side[side].bootstrap[e]);
            }
        }
    }
}

static void intervals(struct sheet *s, const struct ope_told *t)
{
    static const char *const column[] = {"aim", "side", "interval", "low", "high"};
    sheet_columns(s, column, COUNT(column));
    for (int a = 0; a < AIMS; a++) {
        const struct ope_aim_answer *aim = &t->report->aim[a];
        for (int side = 0; aim->n > 0 && side < SIDES; side++) {
            const struct ope_answer *x = &aim->side[side];
            const struct {
                const char *name;
                struct ope_interval i;
            } all[] = {{"anytime", x->anytime},
                       {"clopper_pearson", x->clopper_pearson},
                       {"cressie_read", x->cressie_read},
                       {"empirical_bernstein", x->bernstein}};
            for (int k = 0; k < (side == SIDE_DIFFERENCE ? 1 : COUNT(all)); k++) {
                sheet_text(s, ope_aim_name((enum ope_aim)a));
                sheet_text(s, side_name[side]);
                sheet_text(s, all[k].name);
                put_interval(s, all[k].i);
            }
        }
    }
}

static void models(struct sheet *s, const struct ope_told *t)
{
    static const char *const column[] = {"model",           "rows",       "share_logged",
                                         "share_target",    "unlabelled", "quality_predicted",
                                         "quality_labelled"};
    sheet_columns(s, column, COUNT(column));
    for (size_t i = 0; i < t->rows->arms.n; i++) {
        const struct ope_arm *a = &t->report->arm[i];
        sheet_text(s, t->rows->arms.name[i]);
        sheet_count(s, a->n);
        sheet_number(s, a->logged);
        sheet_number(s, a->target);
        sheet_number(s, a->missing);
        sheet_number(s, a->q_mean);
        sheet_number(s, a->label_mean);
    }
}

static void segments(struct sheet *s, const struct ope_told *t)
{
    static const char *const column[] = {"by",
                                         "name",
                                         "rows",
                                         "ess",
                                         "quality",
                                         "low",
                                         "high",
                                         "difference",
                                         "difference_low",
                                         "difference_high",
                                         "judged"};
    sheet_columns(s, column, COUNT(column));
    for (size_t i = 0; i < t->report->n_parts; i++) {
        const struct ope_part *p = &t->report->part[i];
        sheet_text(s, ope_segment_name(p->by));
        sheet_text(s, t->rows->segment[p->by].name[p->which]);
        sheet_count(s, (int64_t)p->n);
        sheet_number(s, p->ess);
        sheet_number(s, p->target.value);
        put_interval(s, p->interval);
        sheet_number(s, p->difference.value);
        put_interval(s, p->difference_interval);
        sheet_count(s, p->judged);
    }
}

enum status ope_report_sheets(const struct sheet_place *to, const struct ope_told *t,
                              struct problem *problem)
{
    static const struct {
        const char *name;
        void (*write)(struct sheet *s, const struct ope_told *t);
    } all[] = {{"estimates", estimates},
               {"intervals", intervals},
               {"models", models},
               {"segments", segments}};
    struct sheet s;
    enum status status = sheet_place_ready(to, problem);
    for (int i = 0; status == STATUS_OK && to->dir != NULL && i < COUNT(all); i++) {
        status = sheet_begin(&s, to, all[i].name, problem);
        if (status == STATUS_OK)
            all[i].write(&s, t);
        status = sheet_end(&s, status, problem);
    }
    return status;
}
