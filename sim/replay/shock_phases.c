/* SPDX-License-Identifier: MIT */
/*
 * A run with changes, phase by phase. Averages over the whole run hide what a change does to
 * spending: a cheap phase pays for a dear one. How far the choices have moved is told as the share
 * of requests that would have to go to another model to have the shares of before again: half the
 * sum of the differences, of all seeds together.
 */
#include "sim/replay/shock_phases.h"

#include <math.h>
#include <stdio.h>
#include "sim/report_key.h"

static const double MOVED = 0.9, MOVE_LEAST = 0.05;

struct span {
    size_t from, to;
};

static void shares(const struct traces *t, struct span at, double share[MODELS_MAX])
{
    double each = 1 / ((double)(at.to - at.from) * t->seeds);
    for (int m = 0; m < MODELS_MAX; m++)
        share[m] = 0;
    for (int i = 0; i < t->seeds; i++) {
        for (size_t k = at.from; k < at.to; k++)
            share[t->step[(size_t)i * t->n + k].model] += each;
    }
}

static double moved(const struct traces *t, struct span before, struct span after)
{
    double was[MODELS_MAX], is[MODELS_MAX], sum = 0;
    shares(t, before, was);
    shares(t, after, is);
    for (int m = 0; m < MODELS_MAX; m++)
        sum += fabs(is[m] - was[m]) / 2;
    return sum;
}

/* How far along the straight way from one set of shares to another a third one is: what is not on
 * the way is luck, of which a distance would have the more the fewer the requests. */
static double progress(const double *was, const double *will, const double *is)
{
    double along = 0, all = 0;
    for (int m = 0; m < MODELS_MAX; m++) {
        along += (is[m] - was[m]) * (will[m] - was[m]);
        all += (will[m] - was[m]) * (will[m] - was[m]);
    }
    return along / all;
}

static double time_to_move(const struct traces *t, struct span before, struct span phase)
{
    double was[MODELS_MAX], is[MODELS_MAX], will[MODELS_MAX];
    struct span half = {phase.from + (phase.to - phase.from) / 2, phase.to};
    if (moved(t, before, half) < MOVE_LEAST)
        return NAN;
    shares(t, before, was);
    shares(t, half, will);
    for (size_t k = phase.from + MOVE_WINDOW; k <= phase.to; k++) {
        shares(t, (struct span){k - MOVE_WINDOW, k}, is);
        if (progress(was, will, is) >= MOVED)
            return (double)(k - phase.from);
    }
    return -1;
}

/* The last requests ahead of `end`, none before `from`. */
static struct span last_of(size_t from, size_t end)
{
    return (struct span){end - from > SWITCH_WINDOW ? end - SWITCH_WINDOW : from, end};
}

static struct interval mean_of(const struct traces *t, const struct shock_phase *p, bool cost,
                               double unit, double *work)
{
    for (int i = 0; i < t->seeds; i++) {
        const struct play_step *step = &t->step[(size_t)i * t->n];
        work[i] = 0;
        for (size_t k = p->from; k < p->until; k++)
            work[i] += (double)(cost ? step[k].cost_usd : step[k].quality);
        work[i] /= unit * (double)(p->until - p->from);
    }
    return interval_over(work, t->seeds);
}

void shock_phases_measure(const struct traces *t, struct shocks *out, double *work)
{
    out->n_phases = t->phases->n;
    out->budget_usd = t->budget_usd;
    for (int i = 0; i < out->n_phases; i++) {
        const struct phase *now = &t->phases->phase[i];
        struct shock_phase *p = &out->phase[i];
        *p = (struct shock_phase){.from = now->from, .until = now->from + now->n};
        p->quality = mean_of(t, p, false, 1, work);
        p->spend = mean_of(t, p, true, 1, work);
        p->budget_ratio =
            mean_of(t, p, true, t->budget_usd > 0 ? t->budget_usd : (double)NAN, work);
        p->moved = p->settled = p->to_move = NAN;
        if (i == 0)
            continue;
        struct span before = last_of(now->from - now[-1].n, now->from);
        size_t first = now->n < SWITCH_WINDOW ? now->n : SWITCH_WINDOW;
        p->moved = moved(t, before, (struct span){p->from, p->from + first});
        p->settled = moved(t, before, last_of(p->from, p->until));
        p->to_move = time_to_move(t, before, (struct span){p->from, p->until});
    }
}

void shock_phases_json(struct text *t, const struct shocks *s)
{
    report_key(t, "phases");
    text_put(t, "[");
    for (int i = 0; i < s->n_phases; i++) {
        const struct shock_phase *p = &s->phase[i];
        text_put(t, i > 0 ? ",{" : "{");
        report_number(t, "from", (double)p->from);
        report_number(t, "until", (double)p->until);
        report_interval(t, "quality", p->quality);
        report_interval(t, "spend_per_request", p->spend);
        report_interval(t, "budget_ratio", p->budget_ratio);
        report_number(t, "moved_within_50", p->moved);
        report_number(t, "moved_at_end", p->settled);
        report_number(t, "requests_to_move", p->to_move < 0 ? (double)NAN : p->to_move);
        text_put(t, "}");
    }
    text_put(t, "]");
}

static void percent(struct text *t, double share)
{
    if (isnan(share))
        text_printf(t, " %11s", "");
    else
        text_printf(t, " %10.1f%%", 100 * share);
}

void shock_phases_table(struct text *t, const struct shocks *s)
{
    text_printf(t, "\n%-16s %8s %14s %12s %11s %11s %11s\n", "requests", "quality", "USD/request",
                s->budget_usd > 0 ? "spend/budget" : "", "moved in 50", "at the end", "90% after");
    for (int i = 0; i < s->n_phases; i++) {
        const struct shock_phase *p = &s->phase[i];
        char span[48];
        snprintf(span, sizeof span, "%zu .. %zu", p->from, p->until - 1);
        text_printf(t, "%-16s %8.4f %14.9f", span, p->quality.mean, p->spend.mean);
        if (s->budget_usd > 0)
            text_printf(t, " %12.4f", p->budget_ratio.mean);
        else
            text_printf(t, " %12s", "");
        percent(t, p->moved);
        percent(t, p->settled);
        if (p->to_move < 0)
            text_printf(t, " %11s", "never");
        else if (!isnan(p->to_move))
            text_printf(t, " %11.0f", p->to_move);
        text_put(t, "\n");
    }
}
