/* SPDX-License-Identifier: MIT */
/*
 * The log from its end: bounded by the decisions that are told and by the records that are looked
 * at, since the loop decides nothing while it reads. Considered: a ring of decisions in memory. It
 * would be empty after a start.
 */
#include "transport/control/control_decisions.h"

#include <inttypes.h>
#include <string.h>

enum { DECISIONS_DEFAULT = 20, DECISIONS_MOST = 100, LOOKED_AT_MOST = 2000 };

static void put_name(struct text *t, const char *name, const char *value)
{
    text_printf(t, ",\"%s\":", name);
    text_json_string(t, value);
}

static void put_decision(struct text *t, const struct desk *d, const struct event *e)
{
    const struct event_decided *k = &e->decided;
    text_printf(t, "{\"seq\":%" PRIu64 ",\"time_ms\":%" PRId64, e->seq, e->time_ms);
    put_name(t, "tenant", k->labels.tenant);
    put_name(t, "task", k->labels.task);
    put_name(t, "domain", k->labels.domain[0] ? k->labels.domain : k->domain);
    put_name(t, "group", k->labels.group);
    text_put(t, ",\"value\":");
    text_json_number(t, k->value, 6);
    text_put(t, ",\"decision\":");
    reply_decision(t, e, &router_params(d->router)->catalog, router_mac_key(d->router),
                   &(struct reply_ask){.explain = false});
    text_put(t, "}");
}

enum status control_decisions(struct desk *d, const json_t *root, const char *tenant,
                              struct outbuf *out, struct problem *p)
{
    const json_t *limit = json_object_get(root, "limit");
    int64_t most = limit ? json_integer_value(limit) : DECISIONS_DEFAULT, n = 0;
    uint64_t seq = router_seq(d->router), end = seq > LOOKED_AT_MOST ? seq - LOOKED_AT_MOST : 0;
    if (most < 1 || most > DECISIONS_MOST)
        return problem_set(p, STATUS_BAD_REQUEST, "/limit", "expected 1 to %d", DECISIONS_MOST);
    text_put(&out->text, "{\"v\":1,\"decisions\":[");
    for (; seq > end && n < most; seq--) {
        if (desk_read(d, seq, &d->event, NULL) != STATUS_OK || d->event.kind != EVENT_DECIDED ||
            (tenant[0] && strcmp(tenant, d->event.decided.labels.tenant) != 0))
            continue;
        if (!outbuf_reserve(out, OUTBUF_ITEM))
            return problem_set(p, STATUS_UNAVAILABLE, "", "no memory for the answer");
        text_put(&out->text, n++ > 0 ? "," : "");
        put_decision(&out->text, d, &d->event);
    }
    text_put(&out->text, "]}");
    return STATUS_OK;
}
