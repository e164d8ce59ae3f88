/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>
#include "sim/ope/report.h"

/* What is not a number, or not finite, is null. */
static json_t *real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *interval(struct ope_interval i)
{
    return json_pack("[o,o]", real(i.low), real(i.high));
}

static json_t *health(const struct ope_health *h)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "ess", real(h->ess), "max_weight",
                     real(h->max_weight), "max_share", real(h->max_share), "mean_weight",
                     real(h->mean_weight), "mean_weight_se", real(h->mean_se), "mean_weight_z",
                     real(h->mean_z), "no_overlap", real(h->no_overlap), "tail_index",
                     real(h->tail));
}

static json_t *answer(const struct ope_answer *a, bool difference)
{
    json_t *all = json_object();
    for (int e = 0; e < OPE_ESTIMATORS; e++) {
        const struct ope_estimate *x = &a->estimate[e];
        if (x->valid)
            json_object_set_new(all, ope_name((enum ope_estimator)e),
                                json_pack("{s:o,s:o,s:o,s:b,s:o}", "value", real(x->value), "se",
                                          real(sqrt(x->variance)), "student",
                                          interval(a->student[e]), "claims", a->claims[e],
                                          "bootstrap", interval(a->bootstrap[e])));
    }
    json_t *o = json_pack("{s:o,s:o}", "estimators", all, "anytime", interval(a->anytime));
    if (!difference) {
        json_object_set_new(o, "clopper_pearson", interval(a->clopper_pearson));
        json_object_set_new(o, "cressie_read", interval(a->cressie_read));
        json_object_set_new(o, "empirical_bernstein", interval(a->bernstein));
    }
    return o;
}

static json_t *aim(const struct ope_aim_answer *a)
{
    const struct ope_tuning *t = &a->tuning;
    return json_pack("{s:I,s:o,s:{s:o,s:o,s:o,s:b},s:{s:o,s:o,s:o,s:o,s:o},s:o,s:o,s:o,s:o}",
                     "rows", (json_int_t)a->n, "logged_mean", real(a->logged), "bounds",
                     "label_low", real(a->bounds.label_low), "label_high",
                     real(a->bounds.label_high), "weight_high", real(a->bounds.weight_high),
                     "label_high_known", a->high_known, "tuning", "clip", real(t->clip), "tau",
                     real(t->tau), "dros", real(t->dros), "sg", real(t->sg), "reject",
                     real(t->reject), "target", answer(&a->side[SIDE_TARGET], false), "against",
                     answer(&a->side[SIDE_AGAINST], false), "difference",
                     answer(&a->side[SIDE_DIFFERENCE], true), "rows_needed", real(a->needed));
}

static json_t *arms(const struct ope_told *t)
{
    json_t *all = json_array();
    for (size_t i = 0; i < t->rows->arms.n; i++) {
        const struct ope_arm *a = &t->report->arm[i];
        json_array_append_new(
            all, json_pack("{s:s,s:I,s:o,s:o,s:o,s:o,s:o}", "model", t->rows->arms.name[i], "rows",
                           (json_int_t)a->n, "share_logged", real(a->logged), "share_target",
                           real(a->target), "unlabelled", real(a->missing), "quality_predicted",
                           real(a->q_mean), "quality_labelled", real(a->label_mean)));
    }
    return all;
}

static json_t *parts(const struct ope_told *t)
{
    json_t *all = json_array();
    for (size_t i = 0; i < t->report->n_parts; i++) {
        const struct ope_part *p = &t->report->part[i];
        json_array_append_new(
            all,
            json_pack("{s:s,s:s,s:I,s:o,s:o,s:o,s:o,s:o,s:b,s:b}", "by", ope_segment_name(p->by),
                      "name", t->rows->segment[p->by].name[p->which], "rows", (json_int_t)p->n,
                      "ess", real(p->ess), "quality", real(p->target.value), "interval",
                      interval(p->interval), "difference", real(p->difference.value),
                      "difference_interval", interval(p->difference_interval), "judged", p->judged,
                      "below_floor", p->below));
    }
    return all;
}

static json_t *gate(const struct ope_report *r)
{
    json_t *reasons = json_array();
    for (int i = 0; i < GATE_FAULTS; i++)
        if (r->faults >> i & 1)
            json_array_append_new(reasons, json_string(ope_gate_reason(i)));
    return json_pack("{s:b,s:o,s:o,s:o,s:o,s:o}", "promote", r->faults == 0, "reasons", reasons,
                     "quality_difference_low", real(r->gate.quality_low), "utility_difference_low",
                     real(r->gate.utility_low), "cost_difference_high", real(r->gate.cost_high),
                     "segment_difference_low", real(r->gate.segment_low));
}

bool ope_report_json(FILE *f, const struct ope_told *t)
{
    const struct ope_report *r = t->report;
    json_t *aims = json_object();
    for (int i = 0; i < AIMS; i++)
        if (r->aim[i].n > 0)
            json_object_set_new(aims, ope_aim_name((enum ope_aim)i), aim(&r->aim[i]));
    json_t *o = json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "source",
                          t->source, "target", t->target, "against", t->against, "rows",
                          (json_int_t)r->rows, "units", (json_int_t)r->units, "skipped",
                          (json_int_t)t->rows->skipped, "forced", (json_int_t)r->forced, "alpha",
                          real(t->question->alpha), "health", health(&r->health[SIDE_TARGET]),
                          "health_against", health(&r->health[SIDE_AGAINST]), "unsupported",
                          real(r->unsupported), "floor_hits", real(r->floor_hits), "models",
                          arms(t), "aims", aims, "segments", parts(t));
    if (o)
        json_object_set_new(o, "gate", gate(r));
    bool ok = o && json_dumpf(o, f, JSON_COMPACT | JSON_REAL_PRECISION(15)) == 0;
    json_decref(o);
    fputc('\n', f);
    return ok;
}
