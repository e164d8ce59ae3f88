/* SPDX-License-Identifier: MIT */
/*
 * The deadline and the label are facts of the decision's record, so that changing the configuration
 * changes nothing that was promised before. Which deadlines are out is a cache over the open
 * decisions: it is never stored, and the same after any restart. Time alone labels nothing: that a
 * deadline has passed is an event, made by router_follow.
 * Considered: deciding on reading that a label is due. Then the same log would mean something else
 * an hour later.
 */
#include "core/learn/silence.h"

#include <string.h>
#include "bandit/rng.h"
#include "core/event/decision_id.h"
#include "core/router/credit.h"
#include "core/router/router_state.h"

static bool same_or_any(const char *wanted, const char *given)
{
    return wanted[0] == '\0' || strcmp(wanted, given) == 0;
}

void silence_declare(const struct params *p, int64_t now_ms, struct event_decided *d)
{
    d->silence_due_ms = 0;
    d->silence_quality = 0;
    for (int i = 0; i < p->n_silence; i++) {
        const struct silence *s = &p->silence[i];
        if (!same_or_any(s->task, d->labels.task) || !same_or_any(s->tenant, d->labels.tenant))
            continue;
        d->silence_due_ms = now_ms + (int64_t)(s->after_hours * 3600e3 + 0.5);
        d->silence_quality = (float)s->quality;
        return;
    }
}

void silence_update(struct router *r, int64_t slot)
{
    const struct decision_row *row = &r->pending.row[slot];
    struct label_book book;
    if (row->silence_due_ms > 0)
        pending_book(&r->pending, slot, &book);
    if (row->silence_due_ms > 0 && credit_awaits(&book))
        deadlines_put(&r->silences, slot, row->silence_due_ms, row->seq);
    else
        deadlines_drop(&r->silences, slot);
}

bool silence_rebuild(struct router *r)
{
    struct deadlines fresh;
    if (!deadlines_init(&fresh, r->pending.cap))
        return false;
    deadlines_fini(&r->silences);
    r->silences = fresh;
    for (int64_t k = r->pending.first; k < r->pending.total; k++)
        silence_update(r, k % r->pending.cap);
    return true;
}

bool silence_due(const struct router *r, int64_t now_ms, struct feedback *out)
{
    const struct deadline *first = deadlines_first(&r->silences);
    if (!first || first->due_ms > now_ms)
        return false;
    const struct decision_row *row = &r->pending.row[first->holder];
    *out = (struct feedback){.epoch = row->epoch,
                             .seq = row->seq,
                             .mac = decision_mac(row->epoch, row->seq, r->init.mac_key),
                             .source = SILENCE_SOURCE,
                             .has = FB_QUALITY,
                             .quality = (double)row->silence_quality,
                             .version = -1,
                             .attempt = 1};
    out->digest = hash64(out->source, strlen(out->source), row->seq);
    return true;
}
