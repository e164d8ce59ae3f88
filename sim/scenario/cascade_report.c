/* SPDX-License-Identifier: MIT */
/* What the cascade came to, as a table and as JSON. */
#include "sim/report_key.h"
#include "sim/scenario/cascade.h"

#include <math.h>

static const struct {
    const char *key, *title;
} ways[CASCADE_WAYS] = {
    [CASCADE_ALWAYS_LARGE] = {"always_large", "always the large model"},
    [CASCADE_ALWAYS_SMALL] = {"always_small", "always the small model"},
    [CASCADE_NAIVE] = {"naive_cascade", "naive cascade: small, medium, large"},
    [CASCADE_PURSER] = {"purser", "purser, from the first document"},
    [CASCADE_ORACLE] = {"oracle", "oracle: one call, the cheapest sound one"},
};

static double half(struct interval v)
{
    return isnan(v.low) ? 0 : (v.high - v.low) / 2;
}

static void row(struct text *t, const char *title, const struct cascade_side *s)
{
    text_printf(t, "%-41s %7.4f +-%.4f %9.4f  %7.4f %+9.4f +-%.4f %8.2f", title, s->cost_usd.mean,
                half(s->cost_usd), s->last_cost_usd.mean, s->quality.mean,
                s->quality_less_large.mean, half(s->quality_less_large), s->attempts.mean);
    for (int m = 0; m < CASCADE_MODELS; m++)
        text_printf(t, "%s%3.0f%%", m ? " /" : "  ", 100 * s->begun[m].mean);
    text_put(t, "\n");
}

static void put_table(struct text *t, const struct cascade_report *r)
{
    text_printf(t,
                "%zu documents, %d seed%s, mean and half of the 95%% interval\n\n"
                "%-41s %16s %10s %8s %17s %8s  %s\n",
                r->documents, r->seeds, r->seeds == 1 ? "" : "s", "", "$/document", "last half",
                "quality", "less large's", "attempts", "begun with small/medium/large");
    for (int w = 0; w < CASCADE_WAYS; w++)
        row(t, ways[w].title, &r->way[w]);
}

static void put_side(struct text *t, const struct cascade_side *s)
{
    text_put(t, "{");
    report_interval(t, "usd_per_document", s->cost_usd);
    report_interval(t, "usd_per_document_last_half", s->last_cost_usd);
    report_interval(t, "quality", s->quality);
    report_interval(t, "quality_less_large", s->quality_less_large);
    report_interval(t, "attempts", s->attempts);
    for (int ends = 0; ends < 2; ends++) {
        text_printf(t, ",\"%s\":{", ends ? "ended" : "begun");
        for (int m = 0; m < CASCADE_MODELS; m++) {
            text_printf(t, "%s\"%s\":", m ? "," : "", cascade_model(m));
            text_json_number(t, ends ? s->ended[m].mean : s->begun[m].mean, 6);
        }
        text_put(t, "}");
    }
    text_put(t, "}");
}

static void put_json(struct text *t, const struct cascade_report *r)
{
    text_printf(t, "{\"scenario\":\"cascade\",\"documents\":%zu,\"seeds\":%d", r->documents,
                r->seeds);
    for (int w = 0; w < CASCADE_WAYS; w++) {
        text_printf(t, ",\"%s\":", ways[w].key);
        put_side(t, &r->way[w]);
    }
    text_put(t, "}\n");
}

enum status cascade_scenario(const struct scenario_ask *ask, struct text *out,
                             struct problem *problem)
{
    struct cascade_report r;
    enum status s = cascade_measure(ask, &r, problem);
    if (s == STATUS_OK)
        (ask->json ? put_json : put_table)(out, &r);
    return s;
}
