/* SPDX-License-Identifier: MIT */
/*
 * From rows to estimates. For each metric and side the doubly robust estimate with the residual
 * self-normalised over the rows that have a label: an unlabelled row has weight 0 there and its
 * prediction in the direct part. Labels come at different rates for different models (an app may
 * rate the answers of one only), so a labelled row stands for all rows of its model.
 *
 * Shares of tiers and refusals are sums of probabilities and need no labels. Differences are of the
 * same rows, so their intervals are narrower than those of the sides suggest.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/ope/ope.h"
#include "core/router/credit.h"
#include "core/whatif/whatif_rows.h"

static const double ALPHA = 0.05;
static const double ESS_LEAST = 300, ESS_SHARE = 0.05; /* as the promotion gate asks */
static const double UNSUPPORTED_MOST = 0.005;

/* What was observed of a row: quality, dollars at the price of its day, ms, failure. */
struct observed {
    bool has[NOTED];
    double label[NOTED];
};

struct estimating {
    const struct whatif *w;
    struct observed *observed;                            /* [w->n] */
    uint32_t *member;                                     /* rows of the segment in hand, */
    size_t n;                                             /* and their number */
    struct whatif_segment *before;                        /* by what was known then */
    double *weight, *label, *q_logged, *q_target, *other; /* [w->n] each, of one estimate */
    double *psi[WHATIF_METRICS][ALL_SIDES];               /* scores */
};

static void observe(const struct whatif_row *row, struct observed *out)
{
    struct credit c;
    double ms, failed;
    memset(out, 0, sizeof *out);
    if (!row->book)
        return;
    credit_of(row->book, &row->about, &c);
    out->has[WHATIF_QUALITY] = c.has[TARGET_QUALITY];
    out->label[WHATIF_QUALITY] = c.label[TARGET_QUALITY];
    out->has[WHATIF_COST] = c.has_cost;
    out->label[WHATIF_COST] = (double)c.cost_nano * 1e-9;
    if (credit_average(row->book, FB_LATENCY, &ms)) {
        out->has[WHATIF_LATENCY] = true;
        out->label[WHATIF_LATENCY] = ms;
    }
    if (credit_average(row->book, FB_FAILED, &failed)) {
        out->has[WHATIF_FAILURE] = true;
        out->label[WHATIF_FAILURE] = failed;
    }
}

/* ---- one metric of one side ---- */

/* A metric is one of the noted quantities, times what the request is worth for value. */
static enum whatif_metric base_of(enum whatif_metric m)
{
    return m == WHATIF_VALUE ? WHATIF_QUALITY : m;
}

/* Share of each model's rows that have the label. */
static void label_rates(const struct estimating *e, enum whatif_metric base, double *rate)
{
    double all[MODELS_MAX] = {0};
    memset(rate, 0, MODELS_MAX * sizeof *rate);
    for (size_t i = 0; i < e->n; i++) {
        int a = whatif_row_at(e->w, e->member[i])->arm;
        all[a]++;
        rate[a] += e->observed[e->member[i]].has[base];
    }
    for (int a = 0; a < MODELS_MAX; a++)
        rate[a] = all[a] > 0 ? rate[a] / all[a] : 0;
}

/* Fills the arrays of one estimate; gives the number of labels. */
static size_t fill(struct estimating *e, enum whatif_metric m, int s)
{
    enum whatif_metric base = base_of(m);
    double rate[MODELS_MAX];
    size_t labels = 0;
    label_rates(e, base, rate);
    for (size_t i = 0; i < e->n; i++) {
        const struct whatif_row *row = whatif_row_at(e->w, e->member[i]);
        const struct observed *o = &e->observed[e->member[i]];
        double unit = m == WHATIF_VALUE ? row->value : m == WHATIF_COST ? row->price[s] : 1;
        e->q_target[i] = row->target[s][base] * (m == WHATIF_VALUE ? row->value : 1);
        e->q_logged[i] = row->logged[base] * unit;
        e->label[i] = o->has[base] ? o->label[base] * unit : e->q_logged[i];
        e->weight[i] = o->has[base] ? row->weight[s] / rate[row->arm] : 0;
        labels += o->has[base];
    }
    return labels;
}

static struct ope_log log_of(const struct estimating *e)
{
    return (struct ope_log){.n = e->n,
                            .weight = e->weight,
                            .label = e->label,
                            .q_logged = e->q_logged,
                            .q_target = e->q_target,
                            .n_clusters = e->n};
}

/* The interval is of what as many requests to come will show: theirs is another sample, and as
 * uncertain. */
static struct whatif_number number(const struct ope_estimate *e)
{
    struct whatif_number out = {NAN, NAN, NAN};
    if (!e->valid)
        return out;
    struct ope_interval i = ope_student(e, ALPHA);
    return (struct whatif_number){e->value, e->value - M_SQRT2 * (e->value - i.low),
                                  e->value + M_SQRT2 * (i.high - e->value)};
}

/* What learning does is part of what is not known: an estimate moves on by about as much (by) as it
 * has moved since the decisions were made, to either side. before: the same by what was known then.
 * It was made without the label, so where its residuals are larger they are the honest ones: those
 * of rows that have been learned from are too small. */
static void widen(struct whatif_number *n, const struct whatif_number *before, double by)
{
    double up = fmax(n->high - n->value, before->high - before->value),
           down = fmax(n->value - n->low, before->value - before->low);
    n->low = n->value - down - by;
    n->high = n->value + up + by;
}

static double moved(const struct whatif_number *n, const struct whatif_number *before)
{
    double by = fabs(n->value - before->value);
    return isfinite(by) ? by : 0;
}

/* Of a difference, too, though in it most of that cancels: from the change on both sides learn
 * apart, so what each of them has moved by counts as of two independent ones. */
static void widen_line(struct whatif_line *l, const struct whatif_line *before)
{
    double apart = hypot(moved(&l->now, &before->now), moved(&l->then, &before->then));
    double change = moved(&l->change, &before->change) + apart;
    widen(&l->now, &before->now, moved(&l->now, &before->now));
    widen(&l->then, &before->then, moved(&l->then, &before->then));
    widen(&l->change, &before->change, change);
}

/* The effective sample among rows with labels. */
static double effective(const struct estimating *e)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < e->n; i++) {
        sum += e->weight[i];
        squares += e->weight[i] * e->weight[i];
    }
    return squares > 0 ? sum * sum / squares : 0;
}

/* A side's estimate, its scores kept. Without any label what is predicted, which is not enough. */
static struct ope_estimate estimate(struct estimating *e, enum whatif_metric m, int s, bool *enough)
{
    static const struct ope_tuning none = {.clip = 1, .tau = 1, .dros = 1, .reject = 1};
    size_t labels = fill(e, m, s);
    struct ope_log rows = log_of(e);
    double ess = effective(e);
    *enough = ess >= ESS_LEAST && ess >= ESS_SHARE * (double)labels;
    struct ope_estimate out = ope_estimate(&rows, OPE_SNDR, &none, e->psi[m][s]);
    return out.valid ? out : ope_estimate(&rows, OPE_DM, &none, e->psi[m][s]);
}

/* Sides from..from+1. */
static void measure_pair(struct estimating *e, enum whatif_metric m, int from,
                         struct whatif_line *out)
{
    bool enough[SIDES];
    struct ope_estimate side[SIDES];
    for (int s = 0; s < SIDES; s++)
        side[s] = estimate(e, m, from + s, &enough[s]);
    struct ope_log rows = log_of(e);
    struct ope_estimate change = ope_difference(&rows, &side[NOW], e->psi[m][from + NOW],
                                                &side[THEN], e->psi[m][from + THEN]);
    out->now = number(&side[NOW]);
    out->then = number(&side[THEN]);
    out->change = number(&change);
    out->enough = enough[NOW] && enough[THEN];
}

/* Value a dollar: a ratio of two means, by the delta method on their scores. */
static void measure_ratio(struct estimating *e, int from, struct whatif_line *metric)
{
    struct whatif_line *out = &metric[WHATIF_VALUE_PER_USD];
    const struct whatif_line *value = &metric[WHATIF_VALUE], *cost = &metric[WHATIF_COST];
    struct ope_log rows = log_of(e);
    struct ope_estimate side[SIDES];
    static const struct ope_tuning none = {.clip = 1, .tau = 1, .dros = 1, .reject = 1};
    for (int s = 0; s < SIDES; s++) {
        double usd = s == NOW ? cost->now.value : cost->then.value;
        double ratio = (s == NOW ? value->now.value : value->then.value) / usd;
        double *psi = e->psi[WHATIF_VALUE_PER_USD][from + s];
        for (size_t i = 0; i < e->n; i++) {
            psi[i] = ratio + (e->psi[WHATIF_VALUE][from + s][i] -
                              ratio * e->psi[WHATIF_COST][from + s][i]) /
                                 usd;
            e->weight[i] = 1;
            e->label[i] = psi[i];
        }
        side[s] = ope_estimate(&rows, OPE_IPS, &none, e->other);
        side[s].valid = side[s].valid && usd > 0;
        side[s].value = ratio;
    }
    struct ope_estimate change =
        ope_difference(&rows, &side[NOW], e->psi[WHATIF_VALUE_PER_USD][from + NOW], &side[THEN],
                       e->psi[WHATIF_VALUE_PER_USD][from + THEN]);
    out->now = number(&side[NOW]);
    out->then = number(&side[THEN]);
    out->change = number(&change);
    out->enough = value->enough && cost->enough;
}

/* ---- shares ---- */

/* Of what is a number in [0,1] of each row on each side: tier k, or -1 refused. */
static double share_of(const struct whatif_row *row, int s, int k)
{
    return k < 0 ? (double)row->refused[s] : (double)row->tier[s][k];
}

static struct whatif_number mean_share(struct estimating *e, int k, int plus, int minus)
{
    static const struct ope_tuning none = {.clip = 1, .tau = 1, .dros = 1, .reject = 1};
    for (size_t i = 0; i < e->n; i++) {
        const struct whatif_row *row = whatif_row_at(e->w, e->member[i]);
        e->weight[i] = 1;
        e->label[i] = share_of(row, plus, k) - (minus >= 0 ? share_of(row, minus, k) : 0);
    }
    struct ope_log rows = log_of(e);
    struct ope_estimate mean = ope_estimate(&rows, OPE_IPS, &none, e->other);
    return number(&mean);
}

static void measure_share(struct estimating *e, int k, int from, struct whatif_line *out)
{
    out->now = mean_share(e, k, from + NOW, -1);
    out->then = mean_share(e, k, from + THEN, -1);
    out->change = mean_share(e, k, from + THEN, from + NOW);
    out->enough = e->n >= (size_t)ESS_LEAST;
}

/* ---- segments ---- */

/* Shares over the rows of the segment, outcomes over those that both sides answer. */
static void measure_sides(struct estimating *e, int from, struct whatif_segment *out)
{
    size_t answered = 0, all = e->n;
    for (int k = 0; k < e->w->side[THEN].params.catalog.n_tiers; k++)
        measure_share(e, k, from, &out->tier[k]);
    measure_share(e, -1, from, &out->refused);
    for (size_t i = 0; i < e->n; i++) {
        const struct whatif_row *row = whatif_row_at(e->w, e->member[i]);
        if (!row->refused[NOW] && !row->refused[THEN]) {
            uint32_t other = e->member[answered];
            e->member[answered++] = e->member[i];
            e->member[i] = other;
        }
    }
    e->n = answered;
    out->labels = 0;
    for (size_t i = 0; i < e->n; i++)
        out->labels += e->observed[e->member[i]].has[WHATIF_QUALITY];
    for (int m = 0; m <= WHATIF_VALUE; m++)
        measure_pair(e, (enum whatif_metric)m, from, &out->metric[m]);
    measure_ratio(e, from, out->metric);
    e->n = all;
}

/* A segment, -1 = all. */
static void measure_segment(struct estimating *e, int segment, struct whatif_segment *out)
{
    const struct whatif *w = e->w;
    struct whatif_segment *before = e->before;
    e->n = 0;
    for (size_t i = 0; i < w->n; i++)
        if (segment < 0 || whatif_row_at(w, i)->segment == segment)
            e->member[e->n++] = (uint32_t)i;
    out->rows = e->n;
    if (w->sides == ALL_SIDES)
        measure_sides(e, BEFORE, before);
    measure_sides(e, 0, out);
    if (w->sides < ALL_SIDES)
        return;
    for (int m = 0; m < WHATIF_METRICS; m++)
        widen_line(&out->metric[m], &before->metric[m]);
    for (int k = 0; k < w->side[THEN].params.catalog.n_tiers; k++)
        widen_line(&out->tier[k], &before->tier[k]);
    widen_line(&out->refused, &before->refused);
}

/* Whether `then` keeps the declared floor and gap. What is below already may not sink further; what
 * too little is known of is no reason, but the verdict says so. */
static void judge(const struct params *p, struct whatif_report *r)
{
    double low[SIDES] = {INFINITY, INFINITY}, high[SIDES] = {-INFINITY, -INFINITY};
    bool declared = p->fairness.quality_floor > 0 || p->fairness.max_gap < 1, known = true;
    r->floor = declared ? WHATIF_HELD : WHATIF_NONE;
    for (int i = 0; i < r->n_segments; i++) {
        const struct whatif_segment *g = &r->segment[i];
        const struct whatif_line *q = &g->metric[WHATIF_QUALITY];
        known = known && q->enough;
        if (!q->enough)
            continue;
        low[NOW] = fmin(low[NOW], q->now.value);
        low[THEN] = fmin(low[THEN], q->then.value);
        high[NOW] = fmax(high[NOW], q->now.value);
        high[THEN] = fmax(high[THEN], q->then.value);
        double floor = p->fairness.quality_floor;
        if (q->then.value < floor && (q->now.value >= floor || q->then.value < q->now.value)) {
            r->floor = WHATIF_BROKEN;
            text_printf(&(struct text){.at = r->why, .cap = sizeof r->why},
                        "quality of %s \"%s\" would be %.4f, below the floor of %.4f",
                        p->fairness.dimension, g->name, q->then.value, floor);
        }
    }
    for (int s = 0; s < SIDES; s++)
        r->gap[s] = high[s] > low[s] ? high[s] - low[s] : 0;
    if (r->floor == WHATIF_HELD && r->gap[THEN] > p->fairness.max_gap &&
        r->gap[THEN] > r->gap[NOW]) {
        r->floor = WHATIF_BROKEN;
        text_printf(&(struct text){.at = r->why, .cap = sizeof r->why},
                    "qualities by %s would differ by %.4f, more than the %.4f allowed",
                    p->fairness.dimension, r->gap[THEN], p->fairness.max_gap);
    }
    if (r->floor == WHATIF_HELD && !known)
        r->floor = WHATIF_UNKNOWN;
}

static void describe_log(const struct whatif *w, struct whatif_report *r)
{
    double taken = w->taken > 0 ? (double)w->taken : 1;
    const struct catalog *k = &w->side[THEN].params.catalog;
    r->rows = w->n;
    r->passed_over = (size_t)w->passed_over;
    if (w->n > 0) {
        r->from_seq = whatif_row_at(w, 0)->seq;
        r->from_ms = whatif_row_at(w, 0)->time_ms;
        r->to_seq = whatif_row_at(w, w->n - 1)->seq;
        r->to_ms = whatif_row_at(w, w->n - 1)->time_ms;
    }
    r->unsupported = w->side[THEN].unsupported / taken;
    r->moved = w->moved / taken;
    for (int s = 0; s < SIDES; s++)
        r->multiplier[s] = w->side[s].multiplier / taken;
    r->n_tiers = k->n_tiers;
    memcpy(r->tier, k->tier, sizeof r->tier);
}

static bool make_room(struct estimating *e, size_t n)
{
    double **array[] = {&e->weight, &e->label, &e->q_logged, &e->q_target, &e->other};
    bool ok = true;
    n = n ? n : 1;
    e->observed = calloc(n, sizeof *e->observed);
    e->member = calloc(n, sizeof *e->member);
    e->before = calloc(1, sizeof *e->before);
    for (size_t i = 0; i < sizeof array / sizeof *array; i++)
        ok = (*array[i] = calloc(n, sizeof(double))) && ok;
    for (int m = 0; m < WHATIF_METRICS; m++)
        for (int s = 0; s < ALL_SIDES; s++)
            ok = (e->psi[m][s] = calloc(n, sizeof(double))) && ok;
    return ok && e->observed && e->member && e->before;
}

static void leave_room(struct estimating *e)
{
    double *array[] = {e->weight, e->label, e->q_logged, e->q_target, e->other};
    for (size_t i = 0; i < sizeof array / sizeof *array; i++)
        free(array[i]);
    for (int m = 0; m < WHATIF_METRICS; m++)
        for (int s = 0; s < ALL_SIDES; s++)
            free(e->psi[m][s]);
    free(e->observed);
    free(e->member);
    free(e->before);
}

enum status whatif_report(struct whatif *w, struct whatif_report *out, struct problem *problem)
{
    struct estimating e = {.w = w};
    memset(out, 0, sizeof *out);
    if (!make_room(&e, w->n)) {
        leave_room(&e);
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory to estimate");
    }
    describe_log(w, out);
    for (size_t i = 0; i < w->n; i++)
        observe(whatif_row_at(w, i), &e.observed[i]);
    measure_segment(&e, -1, &out->all);
    fill(&e, WHATIF_QUALITY, THEN);
    out->ess = effective(&e);
    if (out->unsupported > UNSUPPORTED_MOST)
        for (int m = 0; m < WHATIF_METRICS; m++)
            out->all.metric[m].enough = false;
    for (int i = 0; i < w->n_segments; i++) {
        memcpy(out->segment[i].name, w->segment[i], NAME_CAP);
        measure_segment(&e, i, &out->segment[i]);
    }
    out->n_segments = w->n_segments;
    judge(&w->side[THEN].params, out);
    leave_room(&e);
    return STATUS_OK;
}
