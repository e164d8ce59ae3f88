/* SPDX-License-Identifier: MIT */
/* What the outside may read of a router: nothing here changes it. */
#include "core/router/router.h"

#include <math.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/router/router_state.h"

uint64_t router_seq(const struct router *r)
{
    return r->seq;
}

int64_t router_clock(const struct router *r)
{
    return r->clock_ms;
}

uint32_t router_epoch(const struct router *r)
{
    return r->epoch;
}

uint64_t router_file_hash(const struct router *r)
{
    return r->file_hash;
}

uint64_t router_config_seq(const struct router *r)
{
    return r->config_seq;
}

const struct params *router_params(const struct router *r)
{
    return &r->params;
}

const struct lens *router_lens(const struct router *r)
{
    return r->lens->id ? r->lens : NULL;
}

const uint8_t *router_mac_key(const struct router *r)
{
    return r->init.mac_key;
}

bool router_reaches(const struct router *r, const struct decision_row *row)
{
    const struct learner *l = router_learner(r, row->learner);
    return l && row->schema == r->learner.schema && row->time_ms > l->since_ms[row->arm];
}

const double *router_weights(const struct router *r, int arm, enum target t, int *d)
{
    *d = r->learner.d;
    return ridge_theta(r->learner.ridge[arm][t]);
}

bool router_has(const struct router *r, uint64_t seq)
{
    return pending_find(&r->pending, seq) >= 0;
}

uint64_t router_batch_hash(const char *id)
{
    return hash64(id, strlen(id), 1);
}

bool router_taught(const struct router *r, const char *batch_id)
{
    const struct counters *c = &r->counters;
    uint64_t hash = router_batch_hash(batch_id);
    for (int64_t i = 0; batch_id[0] != '\0' && i < c->batches && i < TEACH_BATCHES; i++)
        if (c->batch[i] == hash)
            return true;
    return false;
}

static void model_stats(const struct router *r, int a, const double *average, struct model_stats *m)
{
    const struct model_counters *c = &r->counters.model[a];
    m->decisions = c->decisions;
    m->feedbacks = c->feedbacks;
    m->spent_nano = c->spent_nano;
    memcpy(m->labels, c->labels, sizeof m->labels);
    m->quality_sum = c->quality_sum;
    m->quality_mean = learner_quality(&r->learner, a, average);
    m->cost_ratio = learner_cost_ratio(&r->learner, a);
}

bool router_learner_stats(const struct router *r, int index, struct learner_stats *out)
{
    if (index < 0 || index > r->params.learners.n)
        return false;
    const struct learner *l = router_learner(r, index);
    double average[DIM_MAX];
    memset(out, 0, sizeof *out);
    learner_average(l, r->clock_ms, average);
    for (int a = 0; a < l->n_arms; a++) {
        out->quality_labels[a] = l->arm_labels[a];
        out->quality_mean[a] = learner_quality(l, a, average);
    }
    return true;
}

static void hull_stats(const struct router *r, struct router_stats *out)
{
    struct hull_guard_view v;
    hull_guard_look(&r->hull, &r->params, &v);
    out->hull.on = r->params.guard.hull;
    out->hull.guarded = out->hull.on && r->hull.guarded;
    out->hull.trips = r->hull.trips;
    out->hull.labels = v.labels;
    out->hull.policy = v.mean;
    out->hull.lower = v.lower;
    out->hull.upper = v.upper;
}

/* What bills came to, over what was expected of them, corrects what a request is expected to cost.
 */
static void month_stats(const struct router *r, struct router_stats *out)
{
    static const struct window_spec month = {.kind = WINDOW_MONTH};
    const int64_t hour_ms = 3600000;
    const struct forecast *f = &r->pool_pacers.all;
    struct window w = window_at(&month, NULL, r->clock_ms);
    double billed = r->pacer.predicted_usd > 0 ? r->pacer.billed_usd / r->pacer.predicted_usd : 1;
    out->month.start_ms = w.start;
    out->month.end_ms = w.end;
    out->month.requests = out->month.usd = NAN;
    if (f->begun_ms == 0 || r->clock_ms - f->begun_ms < hour_ms)
        return;
    out->month.requests = forecast_requests(f, NULL, r->clock_ms, w.end);
    out->month.usd = out->month.requests * r->booked_usd * billed;
}

void router_stats(const struct router *r, struct router_stats *out)
{
    double average[DIM_MAX];
    learner_average(&r->learner, r->clock_ms, average);
    memset(out, 0, sizeof *out);
    out->seq = r->seq;
    out->clock_ms = r->clock_ms;
    out->decisions = r->counters.decisions;
    out->feedbacks = r->counters.feedbacks;
    out->taught = r->counters.taught;
    out->duplicates = r->duplicates;
    out->open = pending_count(&r->pending);
    out->spent_nano = r->counters.spent_nano;
    out->baseline_nano = r->counters.baseline_nano;
    out->guard_ledger = r->guard_ledger;
    hull_stats(r, out);
    out->canary_on = r->canary.since > 0;
    canary_look(&r->canary, &r->params, &out->canary);
    out->agreed = r->counters.agreed;
    out->shadow_gain = r->counters.shadow_gain;
    out->value = r->counters.value;
    out->value_labelled = r->counters.value_labelled;
    out->value_quality = r->counters.value_quality;
    out->multiplier = r->pacer.mu;
    month_stats(r, out);
    out->n_models = r->params.catalog.n;
    for (int a = 0; a < out->n_models; a++)
        model_stats(r, a, average, &out->model[a]);
}

struct learner *router_known(const struct router *r)
{
    return learner_copy(&r->learner);
}

const struct pools *router_pools(const struct router *r)
{
    return &r->pools;
}

const int64_t *router_refusals(const struct router *r)
{
    return r->refusals;
}

double router_value_per_usd(const struct router_stats *s)
{
    if (!(s->value_labelled > 0) || s->spent_nano <= 0)
        return NAN;
    return s->value_quality / s->value_labelled * s->value / ((double)s->spent_nano * 1e-9);
}

bool router_reprices(const struct router *r, int64_t now_ms)
{
    return now_ms >= r->reprice_ms;
}

void router_on_evict(struct router *r,
                     void (*sink)(void *ctx, uint64_t seq, const struct label_book *book),
                     void *ctx)
{
    r->evict = sink;
    r->evict_ctx = ctx;
}

void router_on_meter(struct router *r, meter_sink sink, void *ctx)
{
    r->meter = sink;
    r->meter_ctx = ctx;
}
