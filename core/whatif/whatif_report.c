/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include "core/whatif/whatif.h"

/* What a metric is called, in JSON and in the table, and how its numbers are shown. */
static const struct {
    const char *key, *label;
    double scale;
    const char *format;
} metrics[WHATIF_METRICS] = {
    [WHATIF_QUALITY] = {"quality", "quality", 1, "%.4f"},
    [WHATIF_COST] = {"cost_usd", "$ per 1000 requests", 1000, "%.4f"},
    [WHATIF_LATENCY] = {"latency_ms", "latency, ms", 1, "%.1f"},
    [WHATIF_FAILURE] = {"failure", "failures", 1, "%.4f"},
    [WHATIF_VALUE] = {"value", "value x quality", 1, "%.4f"},
    [WHATIF_VALUE_PER_USD] = {"value_per_usd", "value x quality per $", 1, "%.4g"},
};
static const char *const verdicts[] = {"none", "held", "broken", "not enough evidence"};

const char *whatif_metric_name(enum whatif_metric m)
{
    return metrics[m].key;
}

/* ---- JSON ---- */

static void put_number(struct text *t, const char *key, const struct whatif_number *n)
{
    text_printf(t, "\"%s\":{\"value\":", key);
    text_json_number(t, n->value, 9);
    text_put(t, ",\"low\":");
    text_json_number(t, n->low, 9);
    text_put(t, ",\"high\":");
    text_json_number(t, n->high, 9);
    text_put(t, "}");
}

static void put_line(struct text *t, const char *key, const struct whatif_line *l)
{
    text_json_string(t, key);
    text_put(t, ":{");
    put_number(t, "now", &l->now);
    text_put(t, ",");
    put_number(t, "then", &l->then);
    text_put(t, ",");
    put_number(t, "change", &l->change);
    text_printf(t, ",\"enough\":%s}", l->enough ? "true" : "false");
}

static void put_segment(struct text *t, const struct whatif_report *r,
                        const struct whatif_segment *g)
{
    text_printf(t, "\"rows\":%zu,\"labels\":%zu,\"metrics\":{", g->rows, g->labels);
    for (int m = 0; m < WHATIF_METRICS; m++) {
        text_put(t, m ? "," : "");
        put_line(t, metrics[m].key, &g->metric[m]);
    }
    text_put(t, "},\"tiers\":{");
    for (int k = 0; k < r->n_tiers; k++) {
        text_put(t, k ? "," : "");
        put_line(t, r->tier[k], &g->tier[k]);
    }
    text_put(t, "},");
    put_line(t, "refused", &g->refused);
}

static void put_real(struct text *t, const char *key, double v)
{
    text_printf(t, ",\"%s\":", key);
    text_json_number(t, v, 9);
}

void whatif_json(struct text *t, const struct whatif_report *r)
{
    text_printf(t,
                "{\"from_seq\":%" PRIu64 ",\"to_seq\":%" PRIu64 ",\"from_ms\":%" PRId64
                ",\"to_ms\":%" PRId64 ",\"passed_over\":%zu",
                r->from_seq, r->to_seq, r->from_ms, r->to_ms, r->passed_over);
    put_real(t, "coverage", r->rows ? (double)r->all.labels / (double)r->rows : (double)NAN);
    put_real(t, "ess", r->ess);
    put_real(t, "unsupported", r->unsupported);
    put_real(t, "moved", r->moved);
    put_real(t, "usd_price_now", r->multiplier[0]);
    put_real(t, "usd_price_then", r->multiplier[1]);
    text_put(t, ",");
    put_segment(t, r, &r->all);
    text_put(t, ",\"fairness\":{\"verdict\":");
    text_json_string(t, verdicts[r->floor]);
    text_put(t, ",\"why\":");
    text_json_string(t, r->why);
    put_real(t, "gap_now", r->gap[0]);
    put_real(t, "gap_then", r->gap[1]);
    text_put(t, ",\"segments\":[");
    for (int i = 0; i < r->n_segments; i++) {
        text_put(t, i ? ",{\"name\":" : "{\"name\":");
        text_json_string(t, r->segment[i].name);
        text_put(t, ",");
        put_segment(t, r, &r->segment[i]);
        text_put(t, "}");
    }
    text_put(t, "]}}");
}

/* ---- for people ---- */

static void show_value(struct text *t, const char *format, double scale, double v)
{
    char room[32];
    struct text cell = text_over(room, sizeof room);
    if (isnan(v))
        text_put(&cell, "-");
    else
        text_printf(&cell, format, v * scale); /* one of ours, see metrics */
    text_printf(t, " %12s", room);
}

static void show_line(struct text *t, const char *label, const char *format, double scale,
                      const struct whatif_line *l)
{
    text_printf(t, "%-24.24s", label);
    show_value(t, format, scale, l->now.value);
    show_value(t, format, scale, l->then.value);
    show_value(t, format, scale, l->change.value);
    show_value(t, format, scale, l->change.low);
    show_value(t, format, scale, l->change.high);
    text_put(t, l->enough ? "\n" : "  not enough evidence\n");
}

static void show_head(struct text *t, const char *what)
{
    text_printf(t, "%-24.24s %12s %12s %12s %12s %12s\n", what, "now", "then", "change", "low",
                "high");
}

static void show_segments(struct text *t, const struct whatif_report *r)
{
    if (r->n_segments < 2 && r->floor == WHATIF_NONE)
        return;
    text_put(t, "\n");
    show_head(t, "quality of");
    for (int i = 0; i < r->n_segments; i++)
        show_line(t, r->segment[i].name[0] ? r->segment[i].name : "(none declared)", "%.4f", 1,
                  &r->segment[i].metric[WHATIF_QUALITY]);
    text_printf(t, "largest difference       %12.4f %12.4f\n", r->gap[0], r->gap[1]);
    if (r->floor != WHATIF_NONE)
        text_printf(t, "fairness floor: %s%s%s\n", verdicts[r->floor], r->why[0] ? ": " : "",
                    r->why);
}

void whatif_table(struct text *t, const struct whatif_report *r)
{
    text_printf(t,
                "%zu decisions, records %" PRIu64 " to %" PRIu64
                "; %.0f%% have a quality label, worth %.0f rows under the change\n",
                r->rows, r->from_seq, r->to_seq,
                r->rows ? 100 * (double)r->all.labels / (double)r->rows : 0, r->ess);
    text_printf(t, "%.1f%% of the requests would go to another model; intervals are 95%%\n\n",
                100 * r->moved);
    show_head(t, "");
    for (int m = 0; m < WHATIF_METRICS; m++)
        show_line(t, metrics[m].label, metrics[m].format, metrics[m].scale, &r->all.metric[m]);
    for (int k = 0; k < r->n_tiers; k++) {
        char label[NAME_CAP + 16];
        struct text name = text_over(label, sizeof label);
        text_printf(&name, "share of %s", r->tier[k]);
        show_line(t, label, "%.4f", 1, &r->all.tier[k]);
    }
    show_line(t, "refused", "%.4f", 1, &r->all.refused);
    show_segments(t, r);
}
