/* SPDX-License-Identifier: MIT */
#include "sim/ope/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "sim/ope/odds.h"
#include "sim/ope/slice.h"

enum { JUDGED_ESS = 300 };           /* a smaller segment cannot show that it loses nothing */
enum { FLOOR_ESS = 50 };             /* nor does a smaller one show where it stands */
static const double SUPPORT = 0.005; /* logged probabilities below are next to none */

struct job {
    const struct ope_rows *r;
    const struct ope_question *q;
    double *pi[2], *weight[2];
    struct ope_report *out;
};

/* ---- what is known beforehand ---- */

/* Weights are bounded by what could have been drawn, not by what was. */
static double weight_bound(const struct job *k)
{
    const struct ope_rows *r = k->r;
    double most = 0;
    for (size_t i = 0; i < r->n; i++) {
        const double *pi = k->pi[0] + i * (size_t)r->k, *p = r->pmf + i * (size_t)r->k;
        for (size_t a = 0; r->has_pmf && a < r->arms.n; a++)
            if (pi[a] > 0)
                most = fmax(most, p[a] > 0 ? pi[a] / p[a] : (double)INFINITY);
    }
    return k->q->weight_high > 0 ? k->q->weight_high : r->has_pmf ? most : (double)INFINITY;
}

static double weight_most(const struct ope_log *log)
{
    double most = 1;
    for (size_t i = 0; i < log->n; i++)
        most = fmax(most, log->weight[i]);
    return most;
}

static void set_bounds(const struct job *k, enum ope_aim aim, const struct ope_log *log,
                       struct ope_aim_answer *out)
{
    double low = (double)INFINITY, high = -(double)INFINITY;
    for (size_t i = 0; i < log->n; i++) {
        low = fmin(low, log->label[i]);
        high = fmax(high, log->label[i]);
        out->logged += log->label[i] / (double)log->n;
    }
    bool unit = (aim == AIM_QUALITY || aim == AIM_FAILURE) && low >= 0 && high <= 1;
    out->high_known = unit || k->q->high[aim] > 0;
    if (k->q->high[aim] > 0)
        high = k->q->high[aim];
    out->bounds = (struct ope_bounds){0, weight_bound(k), unit ? 0 : fmin(low, 0),
                                      unit ? 1 : fmax(high, low + 1e-12)};
}

/* ---- an aim ---- */

static void fill_intervals(const struct job *k, const struct ope_log *log,
                           const struct ope_bounds *b, struct ope_answer *a)
{
    a->clopper_pearson = ope_clopper_pearson(log, b, k->q->alpha);
    a->cressie_read = ope_cressie_read(log, b, k->q->alpha);
    a->bernstein = ope_bernstein(log, b, k->q->alpha);
    a->anytime = ope_anytime(log, b, k->q->alpha);
}

static bool estimate_all(const struct job *k, const struct ope_slice *s, struct ope_aim_answer *out)
{
    const struct ope_log *log = s->log;
    size_t n = log[0].n;
    double *psi = malloc(2 * n * sizeof *psi);
    if (!psi)
        return false;
    for (int e = 0; e < OPE_ESTIMATORS; e++) {
        enum ope_estimator kind = (enum ope_estimator)e;
        struct ope_answer *a = out->side;
        a[0].estimate[e] = ope_estimate(&log[0], kind, &out->tuning, psi);
        a[1].estimate[e] = ope_estimate(&log[1], kind, &out->tuning, psi + n);
        a[2].estimate[e] = ope_difference(log, &a[1].estimate[e], psi + n, &a[0].estimate[e], psi);
        for (int side = 0; side < SIDES; side++)
            a[side].student[e] = ope_student(&a[side].estimate[e], k->q->alpha);
        for (int side = 0; side < 2; side++)
            a[side].claims[e] = !k->r->lost && ope_claims(kind, &k->out->health[side]);
        a[SIDE_DIFFERENCE].claims[e] = a[SIDE_TARGET].claims[e] && a[SIDE_AGAINST].claims[e];
    }
    free(psi);
    struct ope_bootstrap boot;
    if (!ope_bootstrap(&log[1], &log[0], &out->tuning, k->q->alpha, k->q->seed, &boot))
        return false;
    memcpy(out->side[SIDE_TARGET].bootstrap, boot.b, sizeof boot.b);
    memcpy(out->side[SIDE_AGAINST].bootstrap, boot.a, sizeof boot.a);
    memcpy(out->side[SIDE_DIFFERENCE].bootstrap, boot.difference, sizeof boot.difference);
    return true;
}

static void tune(const struct job *k, const struct ope_slice *s, struct ope_tuning *t)
{
    const struct ope_tuning *said = &k->q->tuning;
    *t = ope_tune(&s->log[0], k->q->seed);
    t->clip = said->clip > 0 ? said->clip : t->clip;
    t->tau = said->tau > 0 ? said->tau : t->tau;
    t->dros = said->dros > 0 ? said->dros : t->dros;
    t->sg = said->sg > 0 ? said->sg : t->sg;
    t->reject = fmax(t->reject, weight_most(&s->log[1]));
}

/* The estimate to go by: doubly robust where there is a model. */
static enum ope_estimator main_estimator(const struct ope_answer *a)
{
    return a->estimate[OPE_DR].valid ? OPE_DR : OPE_SNIPS;
}

static bool answer(const struct job *k, enum ope_aim aim)
{
    struct ope_slice s;
    struct ope_aim_answer *out = &k->out->aim[aim];
    bool ok = slice_take(k->r, k->pi, k->weight, aim, NULL, 0, &s);
    if (ok && s.log[0].n > 0) {
        double judged = k->q->alpha / k->q->candidates;
        out->n = s.log[0].n;
        set_bounds(k, aim, s.log, out);
        tune(k, &s, &out->tuning);
        ok = estimate_all(k, &s, out);
        for (int side = 0; side < 2; side++)
            fill_intervals(k, &s.log[side], &out->bounds, &out->side[side]);
        out->side[2].anytime = ope_anytime_difference(&s.log[1], &s.log[0], &out->bounds,
                                                      weight_most(&s.log[1]), judged);
        const struct ope_estimate *d = &out->side[2].estimate[main_estimator(&out->side[2])];
        out->needed = ope_needed(d->variance * (double)out->n, d->value);
    }
    slice_fini(&s);
    return ok;
}

/* ---- segments ---- */

static double floor_of(const struct job *k)
{
    return k->q->floor < 0 ? k->r->floor : k->q->floor;
}

static bool answer_part(const struct job *k, struct ope_part *p, int parts)
{
    struct ope_slice s;
    const struct ope_tuning *t = &k->out->aim[AIM_QUALITY].tuning;
    bool ok = slice_take(k->r, k->pi, k->weight, AIM_QUALITY, k->r->seg[p->by], p->which, &s);
    p->n = s.log[0].n;
    double *psi = ok && p->n > 0 ? malloc(2 * p->n * sizeof *psi) : NULL;
    if (psi) {
        enum ope_estimator e = s.log[0].q_logged ? OPE_DR : OPE_SNIPS;
        struct ope_estimate against = ope_estimate(&s.log[1], e, t, psi + p->n);
        p->target = ope_estimate(&s.log[0], e, t, psi);
        p->difference = ope_difference(s.log, &against, psi + p->n, &p->target, psi);
        p->interval = ope_student(&p->target, k->q->alpha);
        p->difference_interval = ope_student(&p->difference, k->q->alpha / parts);
        p->ess = ope_health(&s.log[0]).ess;
        p->judged = p->ess >= JUDGED_ESS;
        double before = p->target.value - p->difference.value;
        p->below = p->by == k->r->floor_by && p->ess >= FLOOR_ESS &&
                   p->target.value < floor_of(k) &&
                   (before >= floor_of(k) || p->target.value < before);
    }
    ok = ok && (p->n == 0 || psi);
    free(psi);
    slice_fini(&s);
    return ok;
}

static bool answer_parts(const struct job *k, unsigned by)
{
    struct ope_report *out = k->out;
    size_t parts = 0;
    for (int s = 0; s < SEGS; s++)
        parts += by >> s & 1 ? k->r->segment[s].n : 0;
    out->part = calloc(parts + 1, sizeof *out->part);
    bool ok = out->part != NULL;
    for (int s = 0; ok && s < SEGS; s++) {
        for (uint32_t w = 0; ok && by >> s & 1 && w < k->r->segment[s].n; w++) {
            struct ope_part *p = &out->part[out->n_parts++];
            p->by = (enum ope_segment)s;
            p->which = w;
            ok = answer_part(k, p, (int)parts);
        }
    }
    return ok;
}

/* ---- rows as a whole ---- */

static bool describe_arms(const struct job *k)
{
    const struct ope_rows *r = k->r;
    struct ope_arm *arm = k->out->arm = calloc(r->arms.n + 1, sizeof *arm);
    if (!arm)
        return false;
    for (size_t i = 0; i < r->n; i++) {
        struct ope_arm *a = &arm[r->arm[i]];
        double y = r->label[AIM_QUALITY][i];
        a->n++;
        a->missing += isnan(y);
        if (!isnan(y)) {
            a->label_mean += y;
            a->q_mean += (double)r->q[AIM_QUALITY][i * (size_t)r->k + r->arm[i]];
        }
        for (size_t j = 0; j < r->arms.n; j++)
            arm[j].target += k->pi[0][i * (size_t)r->k + j] / (double)r->n;
    }
    for (size_t j = 0; j < r->arms.n; j++) {
        double labelled = (double)arm[j].n - arm[j].missing;
        arm[j].logged = (double)arm[j].n / (double)r->n;
        arm[j].label_mean /= labelled;
        arm[j].q_mean /= labelled;
        arm[j].missing /= (double)arm[j].n;
    }
    return true;
}

static void describe_rows(const struct job *k)
{
    const struct ope_rows *r = k->r;
    struct ope_report *out = k->out;
    uint32_t units = 0;
    out->rows = r->n;
    for (size_t i = 0; i < r->n; i++) {
        const double *pi = k->pi[0] + i * (size_t)r->k, *p = r->pmf + i * (size_t)r->k;
        double least = 1;
        units = r->unit[i] + 1 > units ? r->unit[i] + 1 : units;
        out->forced += r->forced[i];
        for (size_t a = 0; r->has_pmf && a < r->arms.n; a++) {
            out->unsupported += p[a] < SUPPORT ? pi[a] / (double)r->n : 0;
            least = p[a] > 0 ? fmin(least, p[a]) : least;
        }
        out->floor_hits += r->has_pmf && !r->forced[i] && r->p[i] <= least ? 1 : 0;
    }
    out->units = units;
    out->floor_hits = r->has_pmf ? out->floor_hits / (double)r->n : (double)NAN;
    if (!r->has_pmf)
        out->unsupported = (double)NAN;
    for (int s = 0; s < 2; s++) {
        struct ope_log all = {
            .n = r->n, .weight = k->weight[s], .cluster = r->unit, .n_clusters = units};
        out->health[s] = ope_health(&all);
    }
}

static void judge(const struct job *k)
{
    struct ope_report *out = k->out;
    const struct ope_aim_answer *quality = &out->aim[AIM_QUALITY], *cost = &out->aim[AIM_COST],
                                *utility = &out->aim[AIM_UTILITY];
    const struct ope_answer *target = &quality->side[SIDE_TARGET];
    struct ope_gate *g = &out->gate;
    double nan = (double)NAN;
    *g = (struct ope_gate){
        .quality_low = quality->n ? quality->side[SIDE_DIFFERENCE].anytime.low : nan,
        .utility_low = utility->n ? utility->side[SIDE_DIFFERENCE].anytime.low : nan,
        .cost_high = cost->n ? cost->side[SIDE_DIFFERENCE].anytime.high : nan,
        .cost_allowed = k->q->cost_allowed,
        .quality_margin = k->q->quality_margin,
        .segment_margin = k->q->segment_margin,
        .health = out->health[SIDE_TARGET],
        .unsupported = out->unsupported,
        .dr = target->estimate[OPE_DR],
        .snips = target->estimate[OPE_SNIPS],
        .segment_low = nan};
    for (size_t i = 0; i < out->n_parts; i++) {
        g->below_floor = g->below_floor || out->part[i].below;
        if (out->part[i].judged)
            g->segment_low = fmin(g->segment_low, out->part[i].difference_interval.low);
    }
    out->faults = ope_gate(g);
    if (k->r->lost) /* estimated weights cannot test themselves */
        out->faults |= GATE_PROPENSITY;
}

enum status ope_evaluate(const struct ope_rows *rows, const struct ope_question *q, unsigned by,
                         struct ope_report *out, struct problem *problem)
{
    struct job k = {.r = rows, .q = q, .out = out};
    size_t cells = rows->n * (size_t)rows->k + 1;
    memset(out, 0, sizeof *out);
    enum status s = STATUS_OK;
    for (int i = 0; i < 2 && s == STATUS_OK; i++) {
        k.pi[i] = malloc(cells * sizeof *k.pi[i]);
        k.weight[i] = malloc((rows->n + 1) * sizeof *k.weight[i]);
        if (!k.pi[i] || !k.weight[i])
            s = problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
        else
            s = target_fill(i == 0 ? &q->target : &q->against, rows, k.pi[i], k.weight[i], problem);
        const struct ope_target *t = i == 0 ? &q->target : &q->against;
        if (s == STATUS_OK && rows->lost && t->kind != TARGET_LOGGED)
            s = odds_fill(rows, k.pi[i], k.weight[i], problem);
    }
    if (s == STATUS_OK) {
        bool ok = describe_arms(&k);
        describe_rows(&k);
        for (int aim = 0; ok && aim < AIMS; aim++)
            ok = answer(&k, (enum ope_aim)aim);
        if (floor_of(&k) > 0)
            by |= 1u << rows->floor_by;
        if (!ok || !answer_parts(&k, by))
            s = problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
        else
            judge(&k);
    }
    for (int i = 0; i < 2; i++) {
        free(k.pi[i]);
        free(k.weight[i]);
    }
    return s;
}

void ope_report_fini(struct ope_report *r)
{
    free(r->arm);
    free(r->part);
    memset(r, 0, sizeof *r);
}
