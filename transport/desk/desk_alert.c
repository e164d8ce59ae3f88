/* SPDX-License-Identifier: MIT */
/*
 * What the desk tells whoever watches: it goes into the tray of the batch that records what brought
 * it about, and is told with that batch.
 */
#include <string.h>
#include "core/guard/canary.h"
#include "core/router/credit.h"
#include "transport/desk/desk_inside.h"
#include "transport/log.h"

static void models(struct desk *d, uint64_t seq, int64_t now_ms)
{
    const struct catalog *c = &router_params(d->router)->catalog;
    for (int a = 0; a < c->n; a++) {
        bool unpriced = c->model[a].active && model_unpriced(&c->model[a]);
        if (unpriced && !d->unpriced[a])
            (void)alert_add(d->filling.alerts, ALERT_UNPRICED, c->model[a].name, seq, now_ms);
        d->unpriced[a] = unpriced;
    }
}

/* The guard against the static hull has put the policy aside, or brought it back. */
static void hull_turn(struct desk *d, const struct event *ev)
{
    struct alert *a = alert_add(
        d->filling.alerts, ev->hull.turn == HULL_TRIPPED ? ALERT_HULL_TRIPPED : ALERT_HULL_RETURNED,
        router_params(d->router)->policy.name, ev->seq, ev->time_ms);
    a->count = ev->hull.labels;
    a->lower = ev->hull.lower;
    a->upper = ev->hull.upper;
}

static void log_canary(const struct event *ev)
{
    const char *why = canary_why(ev->configured.origin);
    if (why)
        log_event(LOG_LEVEL_INFO, "canary", "verdict", ev->configured.origin, "why", why,
                  "config_seq", LOG_NUMBER(ev->seq), NULL);
}

void desk_alert(struct desk *d, const struct event *ev)
{
    notes_take(&d->notes, ev);
    if (ev->kind == EVENT_CONFIGURED) {
        models(d, ev->seq, ev->time_ms);
        log_canary(ev);
    }
    if (ev->kind == EVENT_HULL && ev->hull.turn != HULL_SOLVED)
        hull_turn(d, ev);
    pool_watch_event(d->watch, ev, d->filling.alerts);
}

void desk_suspect(struct desk *d, const struct event *message, const struct event *decided,
                  const struct label_book *before, const struct label_book *after)
{
    static struct decision_row row;
    struct credit was, is;
    struct finding found[FINDINGS_MOST];
    const struct event_decided *e = &decided->decided;
    if (strcmp(message->feedback.feedback.source, SILENCE_SOURCE) == 0)
        return; /* nobody's word */
    row_from_decided(decided, &row);
    credit_of(before, &row, &was);
    credit_of(after, &row, &is);
    double label = is.label[TARGET_QUALITY];
    if (!is.has[TARGET_QUALITY] || (was.has[TARGET_QUALITY] && was.label[TARGET_QUALITY] == label))
        return;
    double off = label - (double)e->view[e->arm].mean[TARGET_QUALITY];
    int n = suspicion_add(d->suspicion, e->labels.tenant, e->arm, off, found);
    for (int i = 0; i < n; i++) {
        struct alert *a = alert_add(d->filling.alerts,
                                    found[i].unlike ? ALERT_REPORTS_UNLIKE : ALERT_REPORTS_AGREE,
                                    router_params(d->router)->catalog.model[found[i].arm].name,
                                    router_seq(d->router), router_clock(d->router));
        memcpy(a->value, found[i].tenant, sizeof a->value);
        a->count = found[i].labels;
        a->odd = found[i].odd;
        a->ratio = found[i].moved;
    }
}

void desk_alert_start(struct desk *d)
{
    models(d, router_seq(d->router), router_clock(d->router));
}

void desk_alert_refused(struct desk *d, enum status s)
{
    if (s == STATUS_BUDGET_EXHAUSTED && !d->request.dry_run)
        pool_watch_refused(d->watch, &d->event.decided, wallclock_now(&d->clock),
                           d->filling.alerts);
}

void desk_alert_tick(struct desk *d)
{
    pool_watch_tick(d->watch, wallclock_now(&d->clock), d->filling.alerts);
}
