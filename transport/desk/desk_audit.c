/* SPDX-License-Identifier: MIT */
/*
 * What the desk tells the audit: every configuration that comes into force, whatever brought it
 * about, and what operators do besides. The entry stands in the batch of the event, so neither is
 * ever on disk without the other.
 */
#include <stdlib.h>
#include <string.h>
#include "core/config/config.h"
#include "core/guard/canary.h"
#include "transport/desk/desk_inside.h"

json_t *desk_document(const struct desk *d, struct problem *p)
{
    char *bytes = malloc(CONFIG_MAX);
    size_t n = bytes ? config_render(router_params(d->router), bytes, CONFIG_MAX) : 0;
    json_t *doc = n ? json_loadb(bytes, n, 0, NULL) : NULL;
    free(bytes);
    if (!doc)
        problem_set(p, STATUS_INTERNAL, "", "the configuration cannot be rendered");
    return doc;
}

enum status desk_audit_open(struct desk *d, struct problem *p)
{
    json_t *doc = router_config_seq(d->router) > 0 ? desk_document(d, p) : json_object();
    return audit_open(d->db, doc, &d->audit, p);
}

/* Nobody asked for what time brought about. */
static const char *who_of(const struct desk *d, const char *origin)
{
    if (strcmp(origin, "file") == 0)
        return "file";
    if (strcmp(origin, "prices") == 0)
        return "clock";
    if (canary_why(origin))
        return "canary";
    return d->who ? d->who : "loopback";
}

void desk_audit_event(struct desk *d, const struct event *ev)
{
    enum status s = STATUS_OK;
    if (!d->audit)
        return;
    if (ev->kind == EVENT_CONFIGURED) {
        const char *origin = ev->configured.origin;
        const char *verdict = canary_why(origin);
        bool clock = strcmp(origin, "prices") == 0; /* that a price was due is nobody's reason */
        struct audit_hand hand = {who_of(d, origin), origin,
                                  verdict ? verdict
                                  : clock ? NULL
                                          : d->why};
        s = audit_config(d->audit, d->filling.batch, ev->time_ms, &hand, ev->seq,
                         json_loadb(ev->configured.json, ev->configured.len, 0, NULL));
    } else if (ev->kind == EVENT_LENS) {
        struct audit_hand hand = {d->who ? d->who : "loopback", "lens.set", d->why};
        s = audit_note(
            d->audit, d->filling.batch, ev->time_ms, &hand, ev->seq,
            json_pack("[{s:s,s:{s:I}}]", "path", "/lens", "to", "bytes", (json_int_t)ev->lens.len));
    }
    if (s != STATUS_OK)
        desk_break(d, "no memory for the audit");
}

void desk_audit_note(struct desk *d, const char *op, json_t *changes)
{
    struct audit_hand hand = {d->who ? d->who : "loopback", op, d->why};
    if (!d->audit)
        json_decref(changes);
    else if (audit_note(d->audit, d->filling.batch, d->clock.last_ms, &hand, router_seq(d->router),
                        changes) != STATUS_OK)
        desk_break(d, "no memory for the audit");
}

void desk_audit_keys(struct desk *d, const struct keyring *r)
{
    if (d->audit && r &&
        audit_keys(d->audit, d->filling.batch, wallclock_now(&d->clock), r) != STATUS_OK)
        desk_break(d, "no memory for the audit");
}
