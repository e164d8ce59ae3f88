/* SPDX-License-Identifier: MIT */
#include "sim/ope/report.h"

#include <inttypes.h>
#include <math.h>

static void tell_scope(FILE *f, const struct ope_told *t)
{
    const struct ope_report *r = t->report;
    const struct ope_health *h = &r->health[SIDE_TARGET];
    fprintf(f, "%s: %zu decisions in %zu independent units; %s against %s\n", t->source, r->rows,
            r->units, t->target, t->against);
    if (t->rows->skipped > 0)
        fprintf(f, "%" PRId64 " records are no decisions with a probability and were left out\n",
                t->rows->skipped);
    if (r->forced > 0)
        fprintf(f,
                "%zu decisions had no choice (session, only model): the target has none either\n",
                r->forced);
    if (t->rows->lost)
        fputs("no probabilities: weights are odds of a classifier on the features (b-ipw); what "
              "follows\nis as good as these, and the mean weight tests nothing\n",
              f);
    fprintf(f, "\nweights       mean %.4f (se %.4f, z %.1f; must be 1)   effective rows %.1f\n",
            h->mean_weight, h->mean_se, h->mean_z, h->ess);
    fprintf(f, "              greatest %.4g (%.2f%% of all)   rows without overlap %.2f%%",
            h->max_weight, 100 * h->max_share, 100 * h->no_overlap);
    if (h->tail > 0)
        fprintf(f, "   tail index %.2f", h->tail);
    fputc('\n', f);
    if (!isnan(r->unsupported))
        fprintf(f, "              unsupported target mass %.3f%%   drawn at their floor %.2f%%\n",
                100 * r->unsupported, 100 * r->floor_hits);
}

static void tell_models(FILE *f, const struct ope_told *t)
{
    fprintf(f, "\n%-24s %8s %8s %8s %10s %9s %9s\n", "model", "rows", "logged", "target",
            "unlabelled", "predicted", "labelled");
    for (size_t i = 0; i < t->rows->arms.n; i++) {
        const struct ope_arm *a = &t->report->arm[i];
        fprintf(f, "%-24.24s %8" PRId64 " %7.1f%% %7.1f%% %9.1f%% %9.4f %9.4f\n",
                t->rows->arms.name[i], a->n, 100 * a->logged, 100 * a->target, 100 * a->missing,
                a->q_mean, a->label_mean);
    }
}

static void tell_side(FILE *f, const struct ope_aim_answer *a, int e)
{
    const struct ope_answer *x = &a->side[SIDE_TARGET], *d = &a->side[SIDE_DIFFERENCE];
    if (!x->estimate[e].valid)
        return;
    char of_x[48], of_d[48];
    snprintf(of_x, sizeof of_x, "[%.5g, %.5g]%s", x->student[e].low, x->student[e].high,
             x->claims[e] ? "" : " ~");
    snprintf(of_d, sizeof of_d, "[%+.5g, %+.5g]%s", d->student[e].low, d->student[e].high,
             d->claims[e] ? "" : " ~");
    fprintf(f, "  %-12s %11.5g %11.5g  %-26s  %+11.5g  %s\n", ope_name((enum ope_estimator)e),
            x->estimate[e].value, sqrt(x->estimate[e].variance), of_x, d->estimate[e].value, of_d);
}

static void tell_interval(FILE *f, const char *name, struct ope_interval i)
{
    fprintf(f, "  %-24s [%.5g, %.5g]\n", name, i.low, i.high);
}

static void tell_aim(FILE *f, const struct ope_told *t, enum ope_aim aim)
{
    static const char *const unit[AIMS] = {"", " (dollars)", " (ms)", "", " (quality points)"};
    const struct ope_aim_answer *a = &t->report->aim[aim];
    if (a->n == 0)
        return;
    fprintf(f, "\n%s%s: %zu labelled rows, mean as logged %.5g\n", ope_aim_name(aim), unit[aim],
            a->n, a->logged);
    fprintf(f, "  %-12s %11s %11s  %-26s  %11s  %s\n", "estimator", "value", "se", "interval",
            "difference", "interval");
    for (int e = 0; e < OPE_ESTIMATORS; e++)
        tell_side(f, a, e);
    const struct ope_answer *x = &a->side[SIDE_TARGET];
    fputs("  ~ claims nothing: biased, or too little of the log is left for the target\n", f);
    if (isfinite(a->bounds.weight_high)) {
        tell_interval(f, "Clopper-Pearson", x->clopper_pearson);
        tell_interval(f, "empirical Bernstein", x->bernstein);
    }
    tell_interval(f, "Cressie-Read", x->cressie_read);
    tell_interval(f, "at any time", x->anytime);
    tell_interval(f, "difference at any time", a->side[SIDE_DIFFERENCE].anytime);
    if (!a->high_known)
        fprintf(f, "  the last ones take the greatest label seen, %.5g, as the greatest there is\n",
                a->bounds.label_high);
    if (a->needed > (double)a->n && isfinite(a->needed))
        fprintf(f, "  a difference of this size takes some %.0f rows to show\n", a->needed);
}

static void tell_parts(FILE *f, const struct ope_told *t)
{
    if (t->report->n_parts == 0)
        return;
    fprintf(f, "\nquality by        %-20s %8s %8s %9s  %-20s %10s\n", "", "rows", "eff.", "target",
            "interval", "difference");
    for (size_t i = 0; i < t->report->n_parts; i++) {
        const struct ope_part *p = &t->report->part[i];
        fprintf(f, "  %-15s %-20.20s %8zu %8.0f %9.4f  [%.4f, %.4f]     %+.4f [%+.4f, %+.4f]%s\n",
                ope_segment_name(p->by), t->rows->segment[p->by].name[p->which], p->n, p->ess,
                p->target.value, p->interval.low, p->interval.high, p->difference.value,
                p->difference_interval.low, p->difference_interval.high,
                p->below    ? "  below the floor"
                : p->judged ? ""
                            : "  too small to judge");
    }
}

void ope_report_table(FILE *f, const struct ope_told *t)
{
    tell_scope(f, t);
    tell_models(f, t);
    for (int i = 0; i < AIMS; i++)
        tell_aim(f, t, (enum ope_aim)i);
    tell_parts(f, t);
    fprintf(f, "\ngate: %s\n", t->report->faults ? "do not promote" : "promote");
    for (int i = 0; i < GATE_FAULTS; i++)
        if (t->report->faults >> i & 1)
            fprintf(f, "  - %s\n", ope_gate_reason(i));
}
