/* SPDX-License-Identifier: MIT */
/* What worth.c measured, as a table and as JSON. */
#include <math.h>
#include <stdio.h>
#include "sim/report_key.h"
#include "sim/worth/worth.h"

static const char *const label_name[VALUE_LABELS] = {"task", "user_tier", "domain", "outcome"};

static void put_values(struct text *t, const struct value_tables *v)
{
    text_put(t, "what a request is worth\n");
    for (int label = 0; label < VALUE_LABELS; label++)
        for (int i = 0; i < v->n[label]; i++)
            text_printf(t, "  %-10s %-24s %6.2f\n", label_name[label], v->entry[label][i].name,
                        v->entry[label][i].factor);
    text_printf(t, "  product within %.2f .. %.2f\n\n", v->least, v->most);
}

static void row(struct text *t, const char *name, const struct worth_report *w,
                struct worth_point p)
{
    double extra = p.cost - w->smallest.cost;
    char more[32] = "-";
    if (extra > 1e-12)
        snprintf(more, sizeof more, "%.0f", (p.value - w->smallest.value) / extra);
    text_printf(t, "%-40s %8.4f %12.4f %11.4f %10.0f %12s\n", name, 1000 * p.cost, p.quality,
                p.value / w->mean_value, p.value / p.cost, more);
}

static struct worth_point of(const struct worth_side *s)
{
    return (struct worth_point){s->spend.mean, s->quality.mean, s->value.mean};
}

static void gain(struct text *t, const char *name, struct interval v, double most)
{
    text_printf(t, "%-52s %7.3f", name, v.mean);
    if (!isnan(v.low))
        text_printf(t, "  (%.3f .. %.3f)", v.low, v.high);
    text_printf(t, ", at most %.3f\n", most);
}

static double extra(const struct worth_report *w, struct worth_point p)
{
    return (p.value - w->smallest.value) / (p.cost - w->smallest.cost);
}

static void capped(struct text *t, const char *name, const struct worth_report *w,
                   const struct worth_capped *c)
{
    text_printf(t, "%-40s %8.4f %11.1f%% %11.4f %10.0f\n", name, 1000 * c->spend.mean,
                100 * c->served.mean, c->value.mean / w->mean_value, c->per_usd.mean);
}

static void ratio(struct text *t, const char *name, struct interval v)
{
    text_printf(t, "%-52s %7.3f", name, v.mean);
    if (!isnan(v.low))
        text_printf(t, "  (%.3f .. %.3f)", v.low, v.high);
    text_put(t, "\n");
}

static void caps_table(struct text *t, const struct worth_report *w)
{
    static const char *const of[WORTH_CAPS] = {"largest", "smallest"};
    for (int k = 0; k < WORTH_CAPS; k++) {
        const struct worth_cap *c = &w->cap[k];
        text_printf(t, "\n%.0f%% of what the %s model costs, as a cap: $%.4f per 1000\n",
                    100 * w->budget / w->largest.cost, of[k], 1000 * c->budget);
        text_printf(t, "%-40s %8s %12s %11s %10s\n", "", "$/1000", "served", "by value", "value/$");
        capped(t, "knowing values: paces, puts off the least", w, &c->aware);
        capped(t, "blind: paces", w, &c->blind);
        capped(t, "blind: first come, first served", w, &c->wall);
        ratio(t, "value per dollar, over blind and pacing", c->over_blind);
        ratio(t, "value per dollar, over first come, first served", c->over_wall);
    }
}

void worth_table(struct text *t, const struct replay *r, const struct worth_report *w)
{
    put_values(t, &r->params->value);
    text_printf(t, "%zu requests, %d seed%s, budget $%.4f per 1000\n\n", w->n, w->seeds,
                w->seeds == 1 ? "" : "s", 1000 * w->budget);
    text_printf(t, "%-40s %8s %12s %11s %10s %12s\n", "", "$/1000", "quality", "by value",
                "value/$", "beyond least");
    row(t, "purser, knowing values", w, of(&w->aware));
    row(t, "purser, blind to values", w, of(&w->blind));
    row(t, "best blind mix for that money", w, w->mix);
    row(t, "always the largest model", w, w->largest);
    row(t, "always the smallest model", w, w->smallest);
    row(t, "oracle, knowing values", w, w->oracle);
    row(t, "oracle, blind to values", w, w->blind_oracle);
    text_put(t, "\nknowing values / blind to them (95% interval over seeds)\n");
    gain(t, "value per dollar", w->gain,
         w->oracle.value / w->oracle.cost / (w->blind.value.mean / w->blind.spend.mean));
    gain(t, "value per dollar beyond the smallest model's", w->extra_gain,
         extra(w, w->oracle) / extra(w, of(&w->blind)));
    text_put(t, "at most: the oracle in place of the router that knows values\n");
    caps_table(t, w);
}

static void side(struct text *t, const char *name, const struct worth_side *s)
{
    text_printf(t, ",\"%s\":{", name);
    report_interval(t, "cost", s->spend);
    report_interval(t, "quality", s->quality);
    report_interval(t, "value_quality", s->value);
    report_interval(t, "value_quality_per_usd", s->per_usd);
    report_interval(t, "value_quality_per_usd_beyond_smallest", s->extra_per_usd);
    text_put(t, "}");
}

static void point(struct text *t, const char *name, struct worth_point p)
{
    text_printf(t, ",\"%s\":{", name);
    report_number(t, "cost", p.cost);
    report_number(t, "quality", p.quality);
    report_number(t, "value_quality", p.value);
    report_number(t, "value_quality_per_usd", p.value / p.cost);
    text_put(t, "}");
}

static void cap_side(struct text *t, const char *name, const struct worth_capped *c)
{
    text_printf(t, ",\"%s\":{", name);
    report_interval(t, "cost", c->spend);
    report_interval(t, "value_quality", c->value);
    report_interval(t, "value_quality_per_usd", c->per_usd);
    report_interval(t, "served", c->served);
    text_put(t, "}");
}

static void cap_json(struct text *t, const char *name, const struct worth_cap *c)
{
    text_printf(t, ",\"%s\":{", name);
    report_number(t, "budget", c->budget);
    cap_side(t, "knowing_values", &c->aware);
    cap_side(t, "blind_to_values", &c->blind);
    cap_side(t, "first_come", &c->wall);
    report_interval(t, "gain", c->over_blind);
    report_interval(t, "gain_over_first_come", c->over_wall);
    text_put(t, "}");
}

void worth_json(struct text *t, const struct replay *r, const struct worth_report *w)
{
    (void)r;
    text_printf(t, "{\"rows\":%zu,\"seeds\":%d", w->n, w->seeds);
    report_number(t, "budget", w->budget);
    report_number(t, "mean_value", w->mean_value);
    side(t, "knowing_values", &w->aware);
    side(t, "blind_to_values", &w->blind);
    report_interval(t, "gain", w->gain);
    report_interval(t, "gain_beyond_smallest", w->extra_gain);
    point(t, "blind_mix", w->mix);
    point(t, "always_largest", w->largest);
    point(t, "always_smallest", w->smallest);
    point(t, "oracle", w->oracle);
    point(t, "oracle_blind_to_values", w->blind_oracle);
    cap_json(t, "cap", &w->cap[WORTH_CAP_BUDGET]);
    cap_json(t, "cap_of_smallest", &w->cap[WORTH_CAP_SMALLEST]);
    text_put(t, "}\n");
}
