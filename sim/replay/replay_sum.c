/* SPDX-License-Identifier: MIT */
/* From what each seed came to, to means and intervals over seeds. */
#include "sim/replay/replay_sum.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>

struct interval interval_over(const double *value, int n)
{
    double mean = 0, square = 0;
    for (int i = 0; i < n; i++)
        mean += value[i] / n;
    for (int i = 0; i < n; i++)
        square += (value[i] - mean) * (value[i] - mean);
    if (n < 2)
        return (struct interval){mean, NAN, NAN};
    double half = gsl_cdf_tdist_Pinv(0.975, n - 1) * sqrt(square / (n - 1) / n);
    return (struct interval){mean, mean - half, mean + half};
}

/* A quantity of one seed's result. */
typedef double (*quantity)(const struct play_result *p, const struct replay_report *r);

static double quality_of(const struct play_result *p, const struct replay_report *r)
{
    (void)r;
    return p->quality;
}

static double value_of_play(const struct play_result *p, const struct replay_report *r)
{
    (void)r;
    return p->value;
}

static double value_per_usd_of(const struct play_result *p, const struct replay_report *r)
{
    (void)r;
    return p->spend_usd > 0 ? p->value / p->spend_usd : 0;
}

static double spend_of(const struct play_result *p, const struct replay_report *r)
{
    (void)r;
    return p->spend_usd;
}

static double accuracy_of(const struct play_result *p, const struct replay_report *r)
{
    (void)r;
    return p->accuracy;
}

static double accuracy_last_of(const struct play_result *p, const struct replay_report *r)
{
    (void)r;
    return p->accuracy_last;
}

static double regret_of(const struct play_result *p, const struct replay_report *r)
{
    (void)r;
    return p->regret;
}

static double multiplier_of(const struct play_result *p, const struct replay_report *r)
{
    (void)r;
    return p->multiplier;
}

static double hull_of(const struct play_result *p, const struct replay_report *r)
{
    return hull_value(r->hull, r->n_hull, p->spend_usd);
}

static double refused_of(const struct play_result *p, const struct replay_report *r)
{
    return (double)p->refused / (double)r->n;
}

static double gain_of(const struct play_result *p, const struct replay_report *r)
{
    return p->quality - hull_of(p, r);
}

static double budget_ratio_of(const struct play_result *p, const struct replay_report *r)
{
    return p->spend_usd / r->budget;
}

static double worst_window_of(const struct play_result *p, const struct replay_report *r)
{
    return p->worst_window / r->budget;
}

static double booked_p99_of(const struct play_result *p, const struct replay_report *r)
{
    return p->booked_p99 / r->budget;
}

static double booked_worst_of(const struct play_result *p, const struct replay_report *r)
{
    return p->booked_worst / r->budget;
}

/* Over the seeds that have the quantity; none: NaN. */
static struct interval over(quantity what, const struct play_result *result, int seeds,
                            double *work, const struct replay_report *r)
{
    int n = 0;
    for (int i = 0; i < seeds; i++) {
        work[n] = what(&result[i], r);
        n += !isnan(work[n]);
    }
    return n > 0 ? interval_over(work, n) : (struct interval){NAN, NAN, NAN};
}

static void sum_up_trips(struct replay_report *out, const struct play_result *result, int seeds,
                         double *work)
{
    size_t n = 0;
    for (int i = 0; i < seeds; i++) {
        out->trips += (double)result[i].n_trips / seeds;
        if (result[i].n_trips > 0)
            work[n++] = (double)result[i].trip_labels;
    }
    out->tripped = (double)n / seeds;
    if (n > 0) {
        gsl_sort(work, 1, n);
        out->trip_labels = gsl_stats_median_from_sorted_data(work, 1, n);
    }
}

void replay_sum_up(struct replay_report *out, const struct play_result *result, int seeds,
                   double *work)
{
    out->quality = over(quality_of, result, seeds, work, out);
    out->value = over(value_of_play, result, seeds, work, out);
    out->value_per_usd = over(value_per_usd_of, result, seeds, work, out);
    out->spend = over(spend_of, result, seeds, work, out);
    out->regret = over(regret_of, result, seeds, work, out);
    out->accuracy = over(accuracy_of, result, seeds, work, out);
    out->accuracy_last = over(accuracy_last_of, result, seeds, work, out);
    out->multiplier = over(multiplier_of, result, seeds, work, out);
    out->hull_at_spend = over(hull_of, result, seeds, work, out);
    out->refused = over(refused_of, result, seeds, work, out);
    out->gain = over(gain_of, result, seeds, work, out);
    for (int i = 0; i < seeds; i++)
        out->alarms += (double)result[i].n_alarms / seeds;
    sum_up_trips(out, result, seeds, work);
    for (int m = 0; m < out->n_models; m++) {
        for (int i = 0; i < seeds; i++)
            work[i] = (double)result[i].chosen[m] / (double)out->n;
        out->share[m] = interval_over(work, seeds);
    }
    if (!out->has_budget)
        return;
    out->budget_ratio = over(budget_ratio_of, result, seeds, work, out);
    out->worst_window_ratio = over(worst_window_of, result, seeds, work, out);
    out->booked_p99 = over(booked_p99_of, result, seeds, work, out);
    out->booked_worst = over(booked_worst_of, result, seeds, work, out);
    for (int i = 0; i < seeds; i++)
        out->binding += result[i].binding / seeds;
    out->hull_at_budget = hull_value(out->hull, out->n_hull, out->budget);
    int met = 0;
    for (int i = 0; i < seeds; i++)
        met += result[i].spend_usd <= BUDGET_MET * out->budget;
    out->met = (double)met / seeds;
}
