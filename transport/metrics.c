/* SPDX-License-Identifier: MIT */
/*
 * Everything the service counts, as Prometheus reads it. Counters of the fold are of the store's
 * whole life, others of the process's. Money, tokens and requests by model can go down when a
 * report corrects an estimate, so they are gauges: a counter that falls would be read as a
 * restart. Labels are bounded: models by the catalog, pools by the configuration, tenants by
 * metrics.tenants (none by default). Where OpenTelemetry's conventions for generative AI have a
 * name it is used, with underscores (gen_ai_request_model, gen_ai_token_type).
 * Considered: histograms. What needs them, latencies of models, has an exact record in the log.
 */
#include "transport/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include "core/budget/pools.h"
#include "transport/usage.h"

enum { FAMILY_BYTES = 64 * 1024 }; /* room for any one family: 257 samples of 250 bytes */

static const double nano = 1e-9;

/* ---- the format ---- */

static void family(struct outbuf *o, const char *name, const char *type, const char *help)
{
    if (outbuf_reserve(o, FAMILY_BYTES))
        text_printf(&o->text, "# HELP purser_%s %s\n# TYPE purser_%s %s\n", name, help, name, type);
    else
        o->text.full = true; /* nothing is told rather than half */
}

/* Label values: backslash, quote and newline are escaped; names of ours have none of them, but a
 * store may hold what an older check let in. */
static void put_label(struct text *t, const char *name, const char *value, bool first)
{
    text_printf(t, "%s%s=\"", first ? "" : ",", name);
    for (const char *c = value; *c; c++) {
        if (*c == '\\' || *c == '"')
            text_put_n(t, "\\", 1);
        if (*c == '\n')
            text_put(t, "\\n");
        else
            text_put_n(t, c, 1);
    }
    text_put(t, "\"");
}

static void put_value(struct text *t, double v)
{
    if (isnan(v))
        text_put(t, " NaN\n");
    else
        text_printf(t, " %.17g\n", v);
}

static void plain(struct outbuf *o, const char *name, double v)
{
    text_printf(&o->text, "purser_%s", name);
    put_value(&o->text, v);
}

static void labelled(struct outbuf *o, const char *name, const char *label, const char *value,
                     double v)
{
    text_printf(&o->text, "purser_%s{", name);
    put_label(&o->text, label, value, true);
    text_put(&o->text, "}");
    put_value(&o->text, v);
}

static void labelled2(struct outbuf *o, const char *name, const char *const label[2],
                      const char *const value[2], double v)
{
    text_printf(&o->text, "purser_%s{", name);
    put_label(&o->text, label[0], value[0], true);
    put_label(&o->text, label[1], value[1], false);
    text_put(&o->text, "}");
    put_value(&o->text, v);
}

static void one(struct outbuf *o, const char *name, const char *type, const char *help, double v)
{
    family(o, name, type, help);
    plain(o, name, v);
}

/* ---- the process ---- */

static void put_process(const struct server *s, struct outbuf *o)
{
    const struct desk *d = s->desk;
    uv_rusage_t use;
    size_t rss = 0;
    family(o, "build_info", "gauge", "Versions, as labels; always 1.");
    labelled2(o, "build_info", (const char *const[]){"version", "nng"},
              (const char *const[]){PURSER_VERSION, nng_version()}, 1);
    one(o, "uptime_seconds", "gauge", "Since the start.",
        (double)(uv_now(&s->loop) - (uint64_t)s->started_ms) / 1e3);
    one(o, "ready", "gauge", "1 while requests are taken and recorded.",
        !d->broken && !d->full && s->phase == PHASE_SERVING);
    one(o, "storage_full", "gauge", "1 while the store has no room and nothing is recorded.",
        d->full);
    if (uv_resident_set_memory(&rss) == 0)
        one(o, "resident_memory_bytes", "gauge", "Memory of the process.", (double)rss);
    if (uv_getrusage(&use) == 0)
        one(o, "cpu_seconds_total", "counter", "CPU time of the process.",
            (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
    one(o, "commits_total", "counter", "Transactions written to disk.", (double)s->commits);
    one(o, "commit_seconds_total", "counter", "Time these took, from hand-over to durable.",
        (double)s->commit_ns_sum * nano);
}

static void put_items(const struct desk *d, struct outbuf *o)
{
    one(o, "routed_total", "counter", "Route requests answered, refusals and retries included.",
        (double)d->routed);
    one(o, "retried_total", "counter", "Of these, answered from the first decision.",
        (double)d->retried);
    one(o, "fed_total", "counter", "Feedback messages answered.", (double)d->fed);
    one(o, "refused_total", "counter", "Messages answered with an error.", (double)d->refused);
    one(o, "drifts_total", "counter", "Times a model was found to have changed, since the start.",
        (double)d->notes.drifts);
    one(o, "unknown_decisions_total", "counter", "Feedback for decisions that were never made.",
        (double)d->unknown);
}

/* ---- the doors ---- */

struct door_counts {
    const char *name;
    double requests, busy, connections, refused;
};

static int read_doors(const struct server *s, struct door_counts out[4])
{
    const struct rpc *rpc[] = {s->route, s->feedback, s->control};
    static const char *const names[] = {"route", "feedback", "control"};
    int n = 0;
    for (int i = 0; i < 3; i++) {
        struct rpc_stats st;
        if (!rpc[i])
            continue;
        rpc_stats(rpc[i], &st);
        out[n++] = (struct door_counts){names[i], (double)st.requests, st.busy, st.connections,
                                        (double)st.refused + (double)st.overstayed};
    }
    if (s->http) {
        struct http_stats st;
        http_stats(s->http, &st);
        out[n++] = (struct door_counts){"http", (double)st.requests, st.busy, st.connections,
                                        (double)st.cuts};
    }
    return n;
}

static void put_doors(const struct server *s, struct outbuf *o)
{
    struct door_counts door[4];
    int n = read_doors(s, door);
    family(o, "requests_total", "counter", "Messages that came in.");
    for (int i = 0; i < n; i++)
        labelled(o, "requests_total", "door", door[i].name, door[i].requests);
    family(o, "requests_inside", "gauge", "Messages whose reply has not left.");
    for (int i = 0; i < n; i++)
        labelled(o, "requests_inside", "door", door[i].name, door[i].busy);
    family(o, "connections", "gauge", "Connections now.");
    for (int i = 0; i < n; i++)
        labelled(o, "connections", "door", door[i].name, door[i].connections);
    family(o, "connections_refused_total", "counter",
           "Connections turned away, or cut off because they overstayed.");
    for (int i = 0; i < n; i++)
        labelled(o, "connections_refused_total", "door", door[i].name, door[i].refused);
}

static void put_http(const struct server *s, struct outbuf *o)
{
    static const char *const codes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    struct http_stats st;
    if (!s->http)
        return;
    http_stats(s->http, &st);
    family(o, "http_responses_total", "counter",
           "Responses by the hundreds of their status; none: the connection ended before.");
    for (int i = 0; i < 6; i++)
        labelled(o, "http_responses_total", "code", codes[i], (double)st.replies[i]);
    one(o, "http_event_streams", "gauge", "Readers of /v1/events now.", st.streams);
    one(o, "http_event_streams_dropped_total", "counter", "Readers cut off as too slow.",
        (double)st.streams_dropped);
}

static void put_alerts(const struct server *s, struct outbuf *o)
{
    family(o, "alerts_total", "counter", "Alerts told since the start.");
    for (int k = 0; k < ALERT_KINDS; k++)
        labelled(o, "alerts_total", "alert", alert_name((enum alert_kind)k),
                 (double)s->desk->told.told[k]);
}

/* ---- the engine ---- */

static void put_totals(const struct router_stats *st, struct outbuf *o)
{
    one(o, "log_records_total", "counter", "Sequence number of the log's last record.",
        (double)st->seq);
    one(o, "decisions_total", "counter", "Decisions recorded in this store.",
        (double)st->decisions);
    one(o, "feedbacks_total", "counter", "Feedback messages applied in this store.",
        (double)st->feedbacks);
    one(o, "duplicates_total", "counter", "Feedback messages that had been applied before.",
        (double)st->duplicates);
    one(o, "taught_total", "counter", "Outcomes learned from history.", (double)st->taught);
    one(o, "open_decisions", "gauge", "Decisions kept in memory for feedback.", (double)st->open);
    one(o, "spend_usd", "gauge", "Spent through all decisions; estimates until reported.",
        (double)st->spent_nano * nano);
    one(o, "baseline_usd", "gauge", "Expected cost of the baseline model for the same requests.",
        (double)st->baseline_nano * nano);
    one(o, "value_points", "gauge", "Value x quality of all labelled decisions.",
        st->value_quality);
    one(o, "pacer_points_per_usd", "gauge", "Price of money that the pacer asks for.",
        st->multiplier);
    if (!st->hull.on)
        return;
    one(o, "hull_guarded", "gauge", "1 while the static hull is served instead of the policy.",
        st->hull.guarded);
    one(o, "hull_trips_total", "counter", "Times the policy was put aside.",
        (double)st->hull.trips);
    one(o, "hull_difference_points", "gauge", "Policy minus static hull, quality.",
        st->hull.policy);
    one(o, "hull_difference_lower_points", "gauge", "Its lower bound at all times.",
        st->hull.lower);
    one(o, "hull_difference_upper_points", "gauge", "Its upper bound at all times.",
        st->hull.upper);
}

static const char model_label[] = "gen_ai_request_model";

/* One family with a sample for each model; of gives the sample. */
static void by_model(const struct server *s, const struct router_stats *st, struct outbuf *o,
                     const char *name, const char *type, const char *help,
                     double (*of)(const struct server *s, const struct model_stats *m, int slot))
{
    const struct catalog *k = &router_params(s->router)->catalog;
    family(o, name, type, help);
    for (int i = 0; i < st->n_models && i < k->n; i++)
        labelled(o, name, model_label, k->model[i].name, of(s, &st->model[i], i));
}

static double decisions_of(const struct server *s, const struct model_stats *m, int slot)
{
    (void)s, (void)slot;
    return (double)m->decisions;
}

static double spend_of(const struct server *s, const struct model_stats *m, int slot)
{
    (void)s, (void)slot;
    return (double)m->spent_nano * nano;
}

static double observed_of(const struct server *s, const struct model_stats *m, int slot)
{
    (void)s, (void)slot;
    return m->labels[TARGET_QUALITY] ? m->quality_sum / (double)m->labels[TARGET_QUALITY]
                                     : (double)NAN;
}

static double learned_of(const struct server *s, const struct model_stats *m, int slot)
{
    (void)s, (void)slot;
    return m->quality_mean;
}

static double labels_of(const struct server *s, const struct model_stats *m, int slot)
{
    (void)s, (void)slot;
    return (double)m->labels[TARGET_QUALITY];
}

static double ratio_of(const struct server *s, const struct model_stats *m, int slot)
{
    (void)s, (void)slot;
    return m->cost_ratio;
}

static double latency_of(const struct server *s, const struct model_stats *m, int slot)
{
    (void)m;
    return (double)s->desk->usage.model[slot].v[METER_LATENCY] / 1e6;
}

static double timed_of(const struct server *s, const struct model_stats *m, int slot)
{
    (void)m;
    return (double)s->desk->usage.model[slot].v[METER_TIMED];
}

static double failures_of(const struct server *s, const struct model_stats *m, int slot)
{
    (void)m;
    return (double)s->desk->usage.model[slot].v[METER_FAILURES];
}

static double invoice_of(const struct server *s, const struct model_stats *m, int slot)
{
    (void)m;
    return s->desk->invoice[slot].off;
}

static void put_tokens(const struct server *s, struct outbuf *o)
{
    static const char *const label[] = {model_label, "gen_ai_token_type"};
    const struct catalog *k = &router_params(s->router)->catalog;
    family(o, "model_tokens", "gauge", "Tokens since the start, estimates until reported.");
    for (int i = 0; i < k->n; i++) {
        const int64_t *v = s->desk->usage.model[i].v;
        labelled2(o, "model_tokens", label, (const char *const[]){k->model[i].name, "input"},
                  (double)v[METER_TOKENS_IN]);
        labelled2(o, "model_tokens", label, (const char *const[]){k->model[i].name, "output"},
                  (double)v[METER_TOKENS_OUT]);
    }
}

static void put_models(const struct server *s, const struct router_stats *st, struct outbuf *o)
{
    by_model(s, st, o, "model_decisions_total", "counter", "Decisions for the model.",
             decisions_of);
    by_model(s, st, o, "model_spend_usd", "gauge", "Spent on the model.", spend_of);
    by_model(s, st, o, "model_quality_ratio", "gauge", "Mean of its quality labels.", observed_of);
    by_model(s, st, o, "model_quality_learned_ratio", "gauge",
             "Predicted quality on the average judged request.", learned_of);
    by_model(s, st, o, "model_quality_labels", "gauge", "Quality labels it has.", labels_of);
    by_model(s, st, o, "model_cost_ratio", "gauge", "Reported cost over computed, as learned.",
             ratio_of);
    by_model(s, st, o, "model_latency_seconds_sum", "gauge",
             "Sum of its latencies reported since the start.", latency_of);
    by_model(s, st, o, "model_latency_seconds_count", "gauge",
             "Requests with a latency reported since the start.", timed_of);
    by_model(s, st, o, "model_failures", "gauge", "Requests reported as failed since the start.",
             failures_of);
    by_model(s, st, o, "model_invoice_alarm", "gauge",
             "1 while reported costs differ from what the prices say.", invoice_of);
    put_tokens(s, o);
}

/* ---- tenants, if they are asked for ---- */

static void put_tenants(const struct usage *u, struct outbuf *o)
{
    static const struct {
        const char *name, *help;
        int field;
        double unit;
    } families[] = {
        {"tenant_requests", "Decisions of the tenant since the start.", METER_REQUESTS, 1},
        {"tenant_spend_usd", "Spent by the tenant since the start.", METER_COST, 1e-9}};
    for (size_t f = 0; u->most > 0 && f < sizeof families / sizeof families[0]; f++) {
        family(o, families[f].name, "gauge", families[f].help);
        for (int i = 0; i < u->tenants; i++)
            labelled(o, families[f].name, "tenant", u->tenant[i].name,
                     (double)u->tenant[i].sums.v[families[f].field] * families[f].unit);
        labelled(o, families[f].name, "tenant", METER_OTHER,
                 (double)u->others.v[families[f].field] * families[f].unit);
    }
}

/* ---- pools: of each configured one, all its instances together ---- */

struct pool_sums {
    double used[POOL_UNITS], cap[POOL_UNITS]; /* cap -1: it has none */
    double overruns, trips;
    int instances;
};

static void add_instance(const struct pools *p, const struct pool_path *path, struct pool_sums *all)
{
    const struct pool_entry *e = &path->entry[path->n - 1];
    struct pool_sums *sums = &all[e->spec];
    sums->instances++;
    for (int u = 0; u < POOL_UNITS; u++) {
        sums->used[u] += (double)pools_used(p, e, (enum pool_unit)u);
        sums->cap[u] = (double)e->cap[u];
    }
    if (e->at >= 0) {
        sums->overruns += (double)p->pool[e->at].overruns;
        sums->trips += (double)p->pool[e->at].trips;
    }
}

static void put_pool_unit(const struct pools *p, const struct pool_sums *sums, enum pool_unit u,
                          struct outbuf *o)
{
    static const char *const used[] = {"pool_used_usd", "pool_used_tokens"}, *const cap[] = {
                                                                                 "pool_cap_usd",
                                                                                 "pool_cap_tokens"};
    static const double unit[] = {1e-9, 1};
    int i = u == POOL_NANO ? 0 : 1;
    family(o, used[i], "gauge", "Settled and reserved in the window, all instances together.");
    for (int k = 0; k < p->config.n; k++)
        labelled(o, used[i], "pool", p->config.spec[k].name, sums[k].used[u] * unit[i]);
    family(o, cap[i], "gauge", "Cap of one instance; pools without one are left out.");
    for (int k = 0; k < p->config.n; k++)
        if (sums[k].cap[u] >= 0)
            labelled(o, cap[i], "pool", p->config.spec[k].name, sums[k].cap[u] * unit[i]);
}

static void put_pools(const struct server *s, struct outbuf *o)
{
    static struct pool_sums sums[POOL_SPECS_MAX]; /* loop thread only */
    const struct pools *p = router_pools(s->router);
    int64_t now = router_clock(s->router);
    struct pool_path path;
    if (p->config.n == 0)
        return;
    for (int k = 0; k < p->config.n; k++)
        sums[k] = (struct pool_sums){0};
    for (int64_t i = 0; i < p->cap && p->used > 0; i++)
        if (pools_path_of(p, i, now, &path))
            add_instance(p, &path, sums);
    for (int k = 0; k < p->config.n; k++)
        if (sums[k].instances == 0 && pools_path_unused(p, k, now, &path)) {
            add_instance(p, &path, sums);
            sums[k].instances = 0;
        }
    put_pool_unit(p, sums, POOL_NANO, o);
    put_pool_unit(p, sums, POOL_TOKENS, o);
    family(o, "pool_instances", "gauge", "Instances in memory.");
    for (int k = 0; k < p->config.n; k++)
        labelled(o, "pool_instances", "pool", p->config.spec[k].name, sums[k].instances);
    family(o, "pool_refusals_total", "counter", "Requests that the pool refused.");
    for (int k = 0; k < p->config.n; k++)
        labelled(o, "pool_refusals_total", "pool", p->config.spec[k].name,
                 (double)router_refusals(s->router)[k]);
    family(o, "pool_overruns", "gauge", "Strict decisions that cost more than the worst case.");
    for (int k = 0; k < p->config.n; k++)
        labelled(o, "pool_overruns", "pool", p->config.spec[k].name, sums[k].overruns);
    family(o, "pool_fuse_trips", "gauge", "Times a fuse of the pool has opened.");
    for (int k = 0; k < p->config.n; k++)
        labelled(o, "pool_fuse_trips", "pool", p->config.spec[k].name, sums[k].trips);
}

bool metrics_render(const struct server *s, struct outbuf *o)
{
    static struct router_stats st; /* loop thread only; too big for the stack */
    router_stats(s->router, &st);
    put_process(s, o);
    put_items(s->desk, o);
    put_doors(s, o);
    put_http(s, o);
    put_alerts(s, o);
    put_totals(&st, o);
    put_models(s, &st, o);
    put_tenants(&s->desk->usage, o);
    put_pools(s, o);
    return !o->text.full;
}
