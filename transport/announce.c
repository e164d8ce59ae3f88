/* SPDX-License-Identifier: MIT */
/*
 * Called when a commit is done only, so nobody learns of what a crash could take back. Both
 * audiences drop for slow readers by design: the log in the store is the record, this is a hint
 * that it grew. Considered: rendering in the writer thread, which already has the batch. It would
 * delay the next commit.
 */
#include "transport/announce.h"

#include "core/encoding/text.h"
#include "core/event/event.h"
#include "transport/log.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

void announce_batch(const struct batch *b, struct publish *p, struct http *h)
{
    static struct event event; /* loop thread only; too big for the stack */
    static char line[LINE_MAX_BYTES];
    bool publishes = p && publish_wanted(p), streams = http_heard(h);
    uint64_t last = publishes || streams ? batch_last_seq(b) : 0;
    for (uint64_t seq = last + 1 - batch_events(b); seq <= last && last; seq++) {
        const uint8_t *bytes;
        size_t n;
        if (!batch_find_event(b, seq, &bytes, &n) ||
            event_decode(bytes, n, &event, NULL) != STATUS_OK || event.kind == EVENT_TICKED)
            continue;
        bool wanted = streams && http_wants(h, event.kind);
        if (!publishes && !wanted)
            continue;
        struct text t = text_over(line, sizeof line);
        event_describe(&event, &t);
        if (t.full)
            continue;
        if (publishes)
            publish_line(p, &t);
        if (wanted)
            http_event(h, event.kind, seq, t.at, t.len);
    }
}

static void tell(const struct alert *a, struct publish *p, struct http *h)
{
    char line[ALERT_BYTES];
    struct text t = text_over(line, sizeof line);
    alert_describe(a, &t);
    alert_log(a);
    if (p && publish_wanted(p))
        publish_line(p, &t);
    if (http_wants(h, EVENT_NONE))
        http_event(h, EVENT_NONE, a->seq, t.at, t.len);
}

void announce_alerts(struct alert_queue *q, struct alert_past *past, struct publish *p,
                     struct http *h)
{
    for (int i = 0; i < q->n; i++) {
        tell(&q->at[i], p, h);
        alert_told(past, &q->at[i]);
    }
    if (q->lost > 0)
        log_event(LOG_LEVEL_WARN, "alerts_lost", "n", LOG_NUMBER(q->lost), "action",
                  "more began at once than are told: see purser pools and purser spend", NULL);
    past->lost += q->lost;
    q->n = 0;
    q->lost = 0;
}
