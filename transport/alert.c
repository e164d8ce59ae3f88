/* SPDX-License-Identifier: MIT */
/*
 * Alerts as text. A line begins with its kind, so that an NNG subscriber gets alerts alone by the
 * prefix that docs/operating.md names. Considered: events of the log. Most follow from the books,
 * which replay makes again, and a refusal is no fact: the log would say the same thing twice.
 */
#include "transport/alert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "transport/log.h"

enum subject { OF_POOL, OF_MODEL, OF_POLICY };
static const struct {
    const char *name;
    enum subject of;
    bool good;
    const char *action;
} kinds[ALERT_KINDS] = {
    [ALERT_POOL_SOFT] = {"pool_soft", OF_POOL, false,
                         "raise its cap, or spend less until it rolls"},
    [ALERT_POOL_EXHAUSTED] = {"pool_exhausted", OF_POOL, false,
                              "requests are refused: raise its cap (pools set), or wait"},
    [ALERT_POOL_OVERRUN] = {"pool_overrun", OF_POOL, false,
                            "a call cost more than its worst case: compare prices and the "
                            "max_output_tokens that were sent"},
    [ALERT_FUSE_TRIPPED] = {"fuse_tripped", OF_POOL, false,
                            "spending ran ahead of its forecast: find out why, then pools rearm"},
    [ALERT_FUSE_RESET] = {"fuse_reset", OF_POOL, true, "none"},
    [ALERT_KILL_ON] = {"kill_on", OF_POOL, false, "an operator has switched it off"},
    [ALERT_KILL_OFF] = {"kill_off", OF_POOL, true, "none"},
    [ALERT_UNPRICED] = {"unpriced", OF_MODEL, false,
                        "give it prices (purser models import), or free true"},
    [ALERT_COST_UNKNOWN] = {"cost_unknown", OF_MODEL, false,
                            "give it prices (purser models import), or report cost_usd"},
    [ALERT_INVOICE_DRIFT] = {"invoice_drift", OF_MODEL, false,
                             "compare the model's prices in the configuration with the provider's"},
    [ALERT_INVOICE_AGREES] = {"invoice_agrees", OF_MODEL, true, "none"},
    [ALERT_REPORTS_UNLIKE] =
        {"reports_unlike", OF_MODEL, false,
         "this tenant's reports on the model have changed and the others' have "
         "not: check a sample of them; purser unlearn takes them out"},
    [ALERT_REPORTS_AGREE] = {"reports_agree", OF_MODEL, true, "none"},
    [ALERT_HULL_TRIPPED] = {"hull_tripped", OF_POLICY, false,
                            "a mix of fixed models is served: see what the policy gets wrong"},
    [ALERT_HULL_RETURNED] = {"hull_returned", OF_POLICY, true, "none"},
};

const char *alert_name(enum alert_kind kind)
{
    return kinds[kind].name;
}

struct alert *alert_add(struct alert_queue *q, enum alert_kind kind, const char *name, uint64_t seq,
                        int64_t time_ms)
{
    static struct alert lost;
    struct alert *a = q->n < ALERTS_MOST ? &q->at[q->n++] : &lost;
    q->lost += a == &lost;
    *a = (struct alert){.kind = kind, .seq = seq, .time_ms = time_ms, .cap = -1};
    (void)snprintf(a->name, sizeof a->name, "%s", name);
    return a;
}

static void put_amount(struct text *t, const char *name, enum pool_unit u, int64_t v)
{
    text_printf(t, ",\"%s_%s\":", name, u == POOL_NANO ? "usd" : "tokens");
    if (u == POOL_NANO)
        text_usd(t, v);
    else
        text_printf(t, "%" PRId64, v);
}

static void put_number(struct text *t, const char *name, double v)
{
    text_printf(t, ",\"%s\":", name);
    text_json_number(t, v, 6);
}

static void put_pool(const struct alert *a, struct text *t)
{
    if (a->value[0]) {
        text_put(t, ",\"value\":");
        text_json_string(t, a->value);
    }
    if (a->cap >= 0) {
        put_amount(t, "used", a->unit, a->used);
        put_amount(t, "cap", a->unit, a->cap);
    }
    if (a->missing > 0)
        put_amount(t, "missing", a->unit, a->missing);
    if (a->kind == ALERT_POOL_OVERRUN)
        text_printf(t, ",\"overruns\":%" PRId64, a->count);
    if (a->kind == ALERT_FUSE_TRIPPED)
        text_printf(t, ",\"trips\":%" PRId64, a->count);
}

/* What is special to a kind, as members. */
static void put_rest(const struct alert *a, struct text *t)
{
    if (kinds[a->kind].of == OF_POOL) {
        put_pool(a, t);
    } else if (a->kind == ALERT_INVOICE_DRIFT || a->kind == ALERT_INVOICE_AGREES) {
        put_number(t, "reported_over_computed", a->ratio);
        put_number(t, "tolerance", a->tolerance);
    } else if (a->kind == ALERT_REPORTS_UNLIKE || a->kind == ALERT_REPORTS_AGREE) {
        text_put(t, ",\"tenant\":");
        text_json_string(t, a->value);
        text_printf(t, ",\"labels\":%" PRId64, a->count);
        put_number(t, a->odd ? "far_off_moved" : "quality_moved", a->ratio);
    } else if (a->kind == ALERT_COST_UNKNOWN) {
        text_printf(t, ",\"requests\":%" PRId64, a->count);
    } else if (kinds[a->kind].of == OF_POLICY) {
        text_printf(t, ",\"labels\":%" PRId64, a->count);
        put_number(t, "lower", a->lower);
        put_number(t, "upper", a->upper);
    }
}

void alert_describe(const struct alert *a, struct text *out)
{
    static const char *const subjects[] = {",\"pool\":", ",\"model\":", ",\"policy\":"};
    text_printf(out,
                "{\"kind\":\"alert\",\"alert\":\"%s\",\"level\":\"%s\",\"seq\":%" PRIu64
                ",\"time_ms\":%" PRId64,
                kinds[a->kind].name, kinds[a->kind].good ? "info" : "warn", a->seq, a->time_ms);
    text_put(out, subjects[kinds[a->kind].of]);
    text_json_string(out, a->name);
    put_rest(a, out);
    text_put(out, ",\"action\":");
    text_json_string(out, kinds[a->kind].action);
    text_put(out, "}");
}

static void say_amount(struct text *t, enum pool_unit u, int64_t v)
{
    if (u == POOL_NANO)
        text_usd(t, v);
    else
        text_printf(t, "%" PRId64, v);
}

/* The same for people: "used 0.9 of 1 dollars". */
static void say_rest(const struct alert *a, struct text *t)
{
    const char *unit = a->unit == POOL_NANO ? "dollars" : "tokens";
    if (a->cap >= 0) {
        text_put(t, "used ");
        say_amount(t, a->unit, a->used);
        text_put(t, " of ");
        say_amount(t, a->unit, a->cap);
        text_printf(t, " %s", unit);
    }
    if (a->missing > 0) {
        text_put(t, ", short of ");
        say_amount(t, a->unit, a->missing);
    }
    if (a->count > 0)
        text_printf(t, "%s%" PRId64 " so far", t->len > 0 ? ", " : "", a->count);
    if (a->tolerance > 0)
        text_printf(t, "reported over computed %.3f, tolerance %.3f", a->ratio, a->tolerance);
    if (a->kind == ALERT_REPORTS_UNLIKE)
        text_printf(t, ", %s moved by %.3f", a->odd ? "share of reports far off" : "quality",
                    a->ratio);
    if (kinds[a->kind].of == OF_POLICY)
        text_printf(t, ", policy minus hull %.4f to %.4f", a->lower, a->upper);
}

void alert_log(const struct alert *a)
{
    static const char *const subjects[] = {"pool", "model", "policy"};
    char rest[256] = "";
    struct text t = text_over(rest, sizeof rest);
    say_rest(a, &t);
    /* A NULL for a key ends the line. */
    log_event(kinds[a->kind].good ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, kinds[a->kind].name,
              subjects[kinds[a->kind].of], a->name, "seq", LOG_NUMBER(a->seq), "facts", rest,
              "action", kinds[a->kind].action,
              !a->value[0]                   ? NULL
              : kinds[a->kind].of == OF_POOL ? "value"
                                             : "tenant",
              a->value, NULL);
}

void alert_told(struct alert_past *past, const struct alert *a)
{
    int64_t all = 0;
    for (int k = 0; k < ALERT_KINDS; k++)
        all += past->told[k];
    past->at[all % ALERTS_KEPT] = *a;
    past->told[a->kind]++;
}

void alert_past_put(const struct alert_past *past, struct text *out)
{
    int64_t all = 0;
    for (int k = 0; k < ALERT_KINDS; k++)
        all += past->told[k];
    text_printf(out, "\"alerts\":{\"told\":%" PRId64 ",\"lost\":%" PRId64 ",\"last\":[", all,
                past->lost);
    for (int64_t i = all > ALERTS_KEPT ? all - ALERTS_KEPT : 0, n = 0; i < all; i++, n++) {
        text_put(out, n > 0 ? "," : "");
        alert_describe(&past->at[i % ALERTS_KEPT], out);
    }
    text_put(out, "]}");
}
