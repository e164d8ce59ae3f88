/* SPDX-License-Identifier: MIT */
/*
 * What the desk has metered: each decision and message into the batch that records it, so that sums
 * and log become durable together. For a message the record of its decision is read again, from the
 * batch or the store: it has the labels, the value and the prices (core/meter/meter.c says why).
 * Two things that an invoice would show are watched: costs that are reported differ from what the
 * tokens cost at our prices, and models that have no price and whose cost nobody reports. Both over
 * the latest requests of a model since the start, told when they begin and end, and in stats.
 */
#include <inttypes.h>
#include "core/meter/meter.h"
#include "store/rollup.h"
#include "transport/desk/desk_inside.h"
#include "transport/log.h"

enum { INVOICE_WINDOW = 1000, INVOICE_ENOUGH = 30 };

static int64_t keys_most(const struct desk *d)
{
    return router_params(d->router)->meter.keys;
}

/* The record of the decision that a message is about; NULL: it cannot be read. */
static const struct event *decision_of(struct desk *d, uint64_t seq)
{
    const struct event *recalled = &d->recalled.decided;
    if (recalled->kind == EVENT_DECIDED && recalled->seq == seq)
        return recalled;
    return desk_find(d, seq, &d->metered, NULL) == STATUS_OK ? &d->metered : NULL;
}

/* ---- invoices ---- */

static struct alert *tell(struct desk *d, enum alert_kind kind, int arm)
{
    return alert_add(d->filling.alerts, kind, router_params(d->router)->catalog.model[arm].name,
                     router_seq(d->router), router_clock(d->router));
}

static bool off(const struct desk *d, const struct invoice *v)
{
    double ratio = v->computed > 0 ? v->reported / v->computed : v->reported > 0 ? 1e9 : 1;
    double most = 1 + d->invoice_tolerance;
    return v->n >= INVOICE_ENOUGH && (ratio > most || ratio * most < 1);
}

static void watch_drift(struct desk *d, int arm, struct invoice *v)
{
    bool now = off(d, v);
    if (now == v->off)
        return;
    v->off = now;
    d->invoice_alarms += now;
    struct alert *a = tell(d, now ? ALERT_INVOICE_DRIFT : ALERT_INVOICE_AGREES, arm);
    a->ratio = v->computed > 0 ? v->reported / v->computed : 0;
    a->tolerance = d->invoice_tolerance;
}

/* Older requests weigh less: everything is halved when the window is full. */
static void watch(struct desk *d, int arm, const struct meter_sums *delta)
{
    struct invoice *v = &d->invoice[arm];
    const int64_t *s = delta->v;
    bool unpriced = model_unpriced(&router_params(d->router)->catalog.model[arm]);
    if (unpriced && s[METER_UNPRICED] > 0 && s[METER_ATTEMPTS] > 0 &&
        v->unpriced++ == INVOICE_ENOUGH)
        tell(d, ALERT_COST_UNKNOWN, arm)->count = v->unpriced;
    if (s[METER_UNPRICED] < 0 && v->unpriced > 0)
        v->unpriced--;
    if (s[METER_REPORTED] == 0 && s[METER_COMPUTED] == 0)
        return;
    v->reported += (double)s[METER_REPORTED];
    v->computed += (double)s[METER_COMPUTED];
    if (++v->n >= INVOICE_WINDOW) {
        v->reported /= 2;
        v->computed /= 2;
        v->n /= 2;
    }
    watch_drift(d, arm, v);
}

/* ---- the sink ---- */

static void on_meter(void *ctx, const struct event *ev, const struct label_book *before,
                     const struct label_book *after)
{
    struct desk *d = ctx;
    struct meter *m = batch_meter(d->filling.batch);
    struct meter_sums delta;
    const struct event *decided =
        ev->kind == EVENT_DECIDED ? ev : decision_of(d, ev->feedback.feedback.seq);
    bool ok = decided != NULL;
    if (ok && ev != decided)
        desk_suspect(d, ev, decided, before, after);
    if (ok && ev == decided)
        ok = meter_decided(m, ev, keys_most(d), &delta);
    else if (ok)
        ok = meter_feedback(m, decided, before, after, keys_most(d), &delta);
    if (ok) {
        usage_add(&d->usage, &decided->decided, &delta);
        watch(d, decided->decided.arm, &delta);
    }
    if (!ok)
        desk_break(d, decided ? "no memory to meter" : "a decision's record cannot be read");
}

void desk_meter(struct desk *d)
{
    d->invoice_tolerance = 0.1;
    router_on_meter(d->router, on_meter, d);
}

void desk_meter_refused(struct desk *d, enum status s)
{
    if (s != STATUS_NO_ELIGIBLE_MODEL && s != STATUS_BUDGET_EXHAUSTED && s != STATUS_THROTTLED)
        return;
    if (!d->request.dry_run && !d->full &&
        !meter_refused(batch_meter(d->filling.batch), wallclock_now(&d->clock), &d->request.labels,
                       keys_most(d)))
        desk_break(d, "no memory to meter");
}

/* Hours since 1970 before which what is older than `days` ends; at least 1. */
static uint32_t hours_before(const struct desk *d, double days)
{
    double hours = (double)d->clock.last_ms / HOUR_MS - days * 24;
    return hours < 1 ? 1 : (uint32_t)hours;
}

void desk_meter_keep(struct desk *d, double hour_days, double day_days)
{
    int64_t other = rollup_other(d->db);
    if (other > d->meter_other && d->meter_other == d->meter_other_before)
        log_event(LOG_LEVEL_WARN, "meter_full", "other", LOG_NUMBER(other), "action",
                  "more combinations of labels an hour than meter.keys: raise it, or send fewer "
                  "distinct tenants, tasks, groups and domains",
                  NULL);
    d->meter_other_before = d->meter_other;
    d->meter_other = other;
    if (!d->full && !d->broken)
        batch_meter_keep(d->filling.batch, hours_before(d, hour_days), hours_before(d, day_days));
}

void desk_meter_stats(const struct desk *d, struct text *out)
{
    const struct catalog *k = &router_params(d->router)->catalog;
    int n = 0;
    text_put(out, "\"invoice\":[");
    for (int i = 0; i < k->n; i++) {
        const struct invoice *v = &d->invoice[i];
        if (v->n == 0 && v->unpriced == 0)
            continue;
        text_put(out, n++ ? ",{\"model\":" : "{\"model\":");
        text_json_string(out, k->model[i].name);
        text_printf(out, ",\"unpriced\":%" PRId64 ",\"reported_over_computed\":", v->unpriced);
        if (v->computed > 0)
            text_json_number(out, v->reported / v->computed, 6);
        else
            text_put(out, "null");
        text_printf(out, ",\"alarm\":%s}",
                    v->off || v->unpriced > INVOICE_ENOUGH ? "true" : "false");
    }
    text_printf(out, "],\"invoice_alarms\":%" PRId64 ",\"meter_other\":%" PRId64, d->invoice_alarms,
                rollup_other(d->db));
}
