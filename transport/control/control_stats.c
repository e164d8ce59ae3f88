/* SPDX-License-Identifier: MIT */
/* The answer to the op stats, as far as it is told by the fold. */
#include "transport/control/control_stats.h"

#include <inttypes.h>
#include "transport/control/control_pools.h"
#include <math.h>

static void put_model(struct text *t, const struct catalog *k, int i, const struct model_stats *m)
{
    const struct model *model = &k->model[i];
    int64_t quality = m->labels[TARGET_QUALITY];
    text_printf(t, "%s{\"model\":", i ? "," : "");
    text_json_string(t, model->name);
    text_printf(t, ",\"tier\":");
    text_json_string(t, k->tier[model->tier]);
    text_printf(t,
                ",\"active\":%s,\"decisions\":%" PRId64 ",\"feedbacks\":%" PRId64
                ",\"labels\":{\"quality\":%" PRId64 ",\"tokens\":%" PRId64 ",\"latency\":%" PRId64
                ",\"failure\":%" PRId64 "},\"spent_usd\":",
                model->active ? "true" : "false", m->decisions, m->feedbacks, quality,
                m->labels[TARGET_TOKENS], m->labels[TARGET_LATENCY], m->labels[TARGET_FAILURE]);
    text_usd(t, m->spent_nano);
    text_put(t, ",\"quality_observed\":");
    if (quality)
        text_json_number(t, m->quality_sum / (double)quality, 6);
    else
        text_put(t, "null");
    text_put(t, ",\"quality_learned\":");
    text_json_number(t, m->quality_mean, 6);
    text_put(t, ",\"cost_ratio\":");
    text_json_number(t, m->cost_ratio, 6);
    text_put(t, "}");
}

static void put_bounds(struct text *t, const char *name, const struct canary_bounds *b)
{
    text_printf(t, ",\"%s\":{\"mean\":", name);
    text_json_number(t, b->mean, 6);
    text_put(t, ",\"lower\":");
    text_json_number(t, b->lower, 6);
    text_put(t, ",\"upper\":");
    text_json_number(t, b->upper, 6);
    text_put(t, "}");
}

void control_canary(struct text *t, double share, const struct router_stats *st)
{
    if (!st->canary_on)
        return;
    text_put(t, ",\"canary\":{\"share\":");
    text_json_number(t, share, 6);
    text_printf(t, ",\"decisions\":[%" PRId64 ",%" PRId64 "],\"labels\":%" PRId64,
                st->canary.decisions[0], st->canary.decisions[1], st->canary.labels);
    put_bounds(t, "reward", &st->canary.reward);
    put_bounds(t, "quality", &st->canary.quality);
    text_put(t, "}");
}

static void put_totals(struct text *t, const struct router_stats *st)
{
    text_printf(t,
                "{\"v\":1,\"seq\":%" PRIu64 ",\"clock_ms\":%" PRId64 ",\"decisions\":%" PRId64
                ",\"feedbacks\":%" PRId64 ",\"taught\":%" PRId64 ",\"duplicates\":%" PRId64
                ",\"open\":%" PRId64 ",\"spent_usd\":",
                st->seq, st->clock_ms, st->decisions, st->feedbacks, st->taught, st->duplicates,
                st->open);
    text_usd(t, st->spent_nano);
    text_put(t, ",\"baseline_usd\":");
    text_usd(t, st->baseline_nano);
    text_put(t, ",\"value\":");
    text_json_number(t, st->value, 9);
    text_put(t, ",\"value_labelled\":");
    text_json_number(t, st->value_labelled, 9);
    text_put(t, ",\"value_quality\":");
    text_json_number(t, st->value_quality, 9);
    double delivered = router_value_per_usd(st);
    text_put(t, ",\"value_quality_per_usd\":");
    if (isfinite(delivered))
        text_json_number(t, delivered, 6);
    else
        text_put(t, "null");
    text_put(t, ",\"multiplier\":");
    text_json_number(t, st->multiplier, 6);
    if (!st->hull.on)
        return;
    text_printf(t, ",\"hull\":{\"guarded\":%s,\"trips\":%" PRId64 ",\"labels\":%" PRId64,
                st->hull.guarded ? "true" : "false", st->hull.trips, st->hull.labels);
    text_put(t, ",\"policy_minus_hull\":");
    text_json_number(t, st->hull.policy, 6);
    text_put(t, ",\"lower\":");
    text_json_number(t, st->hull.lower, 6);
    text_put(t, ",\"upper\":");
    text_json_number(t, st->hull.upper, 6);
    text_put(t, "}");
}

/* What a tenant's learner has learned of each model, to hold against the models' own figures. */
static void put_learner(struct text *t, const struct router *r, int index)
{
    const struct params *p = router_params(r);
    const struct learner_spec *spec = &p->learners.spec[index - 1];
    struct learner_stats st;
    if (!router_learner_stats(r, index, &st))
        return;
    text_put(t, index > 1 ? ",{\"tenant\":" : "{\"tenant\":");
    text_json_string(t, spec->tenant);
    text_printf(t, ",\"active\":%s,\"shares\":%s,\"borrows\":", spec->active ? "true" : "false",
                spec->shares ? "true" : "false");
    text_json_number(t, spec->borrows, 6);
    text_put(t, ",\"models\":[");
    for (int i = 0; i < p->catalog.n; i++) {
        text_put(t, i > 0 ? ",{\"model\":" : "{\"model\":");
        text_json_string(t, p->catalog.model[i].name);
        text_printf(t,
                    ",\"quality_labels\":%" PRId64 ",\"quality_learned\":", st.quality_labels[i]);
        text_json_number(t, st.quality_mean[i], 6);
        text_put(t, "}");
    }
    text_put(t, "]}");
}

/* What is still to come of the month: with what spend.get tells of it so far, all of it. */
static void put_month(struct text *t, const struct router_stats *st)
{
    text_printf(t,
                ",\"month\":{\"start_ms\":%" PRId64 ",\"end_ms\":%" PRId64 ",\"requests_to_come\":",
                st->month.start_ms, st->month.end_ms);
    text_json_number(t, st->month.requests, 6);
    text_put(t, ",\"usd_to_come\":");
    text_json_number(t, st->month.usd, 6);
    text_put(t, "}");
}

bool control_stats(const struct router *r, struct outbuf *out)
{
    static struct router_stats st; /* loop thread only; too big for the stack */
    const struct params *p = router_params(r);
    if (!outbuf_reserve(out, OUTBUF_ITEM))
        return false;
    router_stats(r, &st);
    put_totals(&out->text, &st);
    put_month(&out->text, &st);
    control_canary(&out->text, p->canary.share, &st);
    text_put(&out->text, ",\"models\":[");
    for (int i = 0; i < st.n_models && i < p->catalog.n; i++)
        put_model(&out->text, &p->catalog, i, &st.model[i]);
    text_put(&out->text, "],\"learners\":[");
    for (int i = 1; i <= p->learners.n; i++) {
        if (!outbuf_reserve(out, OUTBUF_ITEM))
            return false;
        put_learner(&out->text, r, i);
    }
    text_put(&out->text, "]");
    control_pools_totals(r, &out->text);
    return outbuf_reserve(out, OUTBUF_ITEM);
}
