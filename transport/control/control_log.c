/* SPDX-License-Identifier: MIT */
/*
 * Reading the log through the service. Both ops are bounded, since the loop decides nothing while
 * it reads: log by the records it writes, labels by those it looks at, most of which are decisions
 * that it passes over. Only what is on disk is seen; whoever has an answer finds its record.
 */
#include "transport/control/control_log.h"

#include <inttypes.h>
#include <string.h>
#include "core/event/decision_id.h"
#include "core/router/credit.h"

enum { LOG_MOST = 1000, LABELS_MOST = 500, LABELS_LOOKED_AT = 4000, LABEL_ROOM = 1024 };

struct scan {
    struct desk *desk;
    struct outbuf *out;
    int64_t n, most, looked_at;
    uint64_t next;
    const char *source, *tenant, *batch; /* of labels; NULL = any, batch NULL: feedback */
    bool history;                        /* what was taught, too */
    bool more;                           /* stopped before the end */
};

static bool on_record(void *ctx, const struct event *e)
{
    struct scan *scan = ctx;
    if (scan->n >= scan->most || !outbuf_reserve(scan->out, OUTBUF_ITEM))
        return false;
    text_put(&scan->out->text, scan->n++ ? "," : "");
    event_describe(e, &scan->out->text);
    scan->next = e->seq + 1;
    return true;
}

enum status control_log(struct desk *d, const json_t *root, struct outbuf *out,
                        struct problem *problem)
{
    const json_t *from = json_object_get(root, "from"), *to = json_object_get(root, "to"),
                 *limit = json_object_get(root, "limit");
    struct scan scan = {.desk = d, .out = out, .most = limit ? json_integer_value(limit) : 100};
    if ((from && json_integer_value(from) < 1) || (to && json_integer_value(to) < 1) ||
        scan.most < 1 || scan.most > LOG_MOST)
        return problem_set(problem, STATUS_BAD_REQUEST, "/limit",
                           "from and to are sequence numbers from 1, limit is 1 to %d", LOG_MOST);
    scan.next = from ? (uint64_t)json_integer_value(from) : 1;
    text_put(&out->text, "{\"v\":1,\"items\":[");
    enum status s = db_scan(d->db, scan.next, to ? (uint64_t)json_integer_value(to) : 0, on_record,
                            &scan, problem);
    text_printf(&out->text, "],\"next\":%" PRIu64 "}", scan.next);
    return s;
}

/* ---- labels ---- */

static bool of_tenant(struct scan *scan, uint64_t decision)
{
    struct event *e = &scan->desk->recalled.decided; /* room for a record */
    return desk_find(scan->desk, decision, e, NULL) == STATUS_OK &&
           strcmp(e->decided.labels.tenant, scan->tenant) == 0;
}

static bool wanted(struct scan *scan, const struct event *e)
{
    const struct feedback *f = &e->feedback.feedback;
    if (e->kind == EVENT_TAUGHT)
        return scan->batch ? batch_named(f->feedback_id, scan->batch) : scan->history;
    return e->kind == EVENT_FEEDBACK && !scan->batch &&
           (!scan->source || strcmp(source_name(f), scan->source) == 0) &&
           (!scan->tenant || of_tenant(scan, f->seq));
}

static void put_values(struct text *t, const struct feedback *f)
{
    const struct {
        const char *name;
        unsigned bit;
        double value;
    } values[] = {{"quality", FB_QUALITY, f->quality},
                  {"prompt_tokens", FB_PROMPT_TOKENS, (double)f->prompt_tokens},
                  {"cached_tokens", FB_CACHED_TOKENS, (double)f->cached_tokens},
                  {"output_tokens", FB_OUTPUT_TOKENS, (double)f->output_tokens},
                  {"reasoning_tokens", FB_REASONING_TOKENS, (double)f->reasoning_tokens},
                  {"cost_nano", FB_COST, (double)f->cost_nano},
                  {"latency_ms", FB_LATENCY, f->latency_ms},
                  {"failed", FB_FAILED, f->failed}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (!(f->has & values[i].bit))
            continue;
        text_printf(t, ",\"%s\":", values[i].name);
        text_json_number(t, values[i].value, 17);
    }
}

static void put_label(struct scan *scan, const struct event *e)
{
    struct text *t = &scan->out->text;
    const struct feedback *f = &e->feedback.feedback;
    text_printf(t, "%s{\"seq\":%" PRIu64 ",\"time_ms\":%" PRId64, scan->n++ ? "," : "", e->seq,
                e->time_ms);
    if (e->kind == EVENT_TAUGHT) {
        text_printf(t, ",\"%s\":%" PRIu64 "}", f->retract ? "undoes" : "taught",
                    f->retract ? f->seq : e->seq);
        return;
    }
    char id[DECISION_ID_CAP];
    decision_id_format(id, f->epoch, f->seq, router_mac_key(scan->desk->router));
    text_printf(t,
                ",\"of\":%" PRIu64 ",\"decision_id\":\"%s\",\"source\":\"%s\",\"version\":%" PRId64
                ",\"retract\":%s",
                f->seq, id, source_name(f), f->version, f->retract ? "true" : "false");
    put_values(t, f);
    text_printf(t, ",\"has\":%u}", f->has);
}

static bool on_label(void *ctx, const struct event *e)
{
    struct scan *scan = ctx;
    scan->more = scan->n >= LABELS_MOST || scan->looked_at++ >= LABELS_LOOKED_AT ||
                 !outbuf_reserve(scan->out, LABEL_ROOM);
    if (scan->more)
        return false;
    scan->next = e->seq + 1;
    if (wanted(scan, e))
        put_label(scan, e);
    return true;
}

enum status control_labels(struct desk *d, const json_t *root, struct outbuf *out,
                           struct problem *problem)
{
    const json_t *from = json_object_get(root, "from");
    struct scan scan = {.desk = d,
                        .out = out,
                        .source = json_string_value(json_object_get(root, "source")),
                        .tenant = json_string_value(json_object_get(root, "tenant")),
                        .batch = json_string_value(json_object_get(root, "batch")),
                        .history = json_is_true(json_object_get(root, "history"))};
    if (from && json_integer_value(from) < 1)
        return problem_set(problem, STATUS_BAD_REQUEST, "/from", "a sequence number from 1");
    scan.next = from ? (uint64_t)json_integer_value(from) : 1;
    text_put(&out->text, "{\"v\":1,\"items\":[");
    enum status s = db_scan(d->db, scan.next, 0, on_label, &scan, problem);
    text_printf(&out->text, "],\"next\":%" PRIu64 ",\"more\":%s}", scan.next,
                scan.more ? "true" : "false");
    return s;
}
