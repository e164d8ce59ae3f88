/* SPDX-License-Identifier: MIT */
/*
 * Starting, in an order that makes each step safe: read the file, open the store, fold the log,
 * make the new epoch and the file's configuration durable, and only then let anybody in. The file's
 * configuration wins only when its content has changed since it was last applied; otherwise live
 * changes, which are events, survive the restart.
 * Signals are blocked while threads are made, so that NNG's and the writer's never take one.
 * Considered: serving while recovering. A decision made on half a history is worse than a second's
 * wait.
 */
#include "transport/server_state.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/router/snapshot.h"
#include "transport/hands.h"
#include "transport/log.h"

enum status server_load(const char *path, struct params *params, struct settings *settings,
                        uint64_t *hash, struct problem *problem)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "cannot read %s: %s", path,
                           strerror(errno));
    char *bytes = malloc(CONFIG_MAX + 1);
    size_t n = bytes ? fread(bytes, 1, CONFIG_MAX + 1, f) : 0;
    bool failed = !bytes || ferror(f);
    fclose(f);
    enum status s;
    if (failed)
        s = problem_set(problem, STATUS_BAD_REQUEST, "", "cannot read %s: %s", path,
                        strerror(errno));
    else if (n > CONFIG_MAX)
        s = problem_set(problem, STATUS_TOO_LARGE, "", "%s is longer than %d bytes", path,
                        CONFIG_MAX);
    else
        s = config_parse(bytes, n, params, settings, problem);
    *hash = s == STATUS_OK ? hash64(bytes, n, 0) : 0;
    if (*hash == 0)
        *hash = 1; /* 0 means "not from a file" */
    free(bytes);
    return s;
}

static void progress(void *ctx, uint64_t done, uint64_t of)
{
    (void)ctx;
    log_event(LOG_LEVEL_INFO, "recovering", "done", LOG_NUMBER(done), "of", LOG_NUMBER(of), NULL);
}

static enum status open_store(struct server *s, struct problem *problem)
{
    struct db_options o = {
        .map_gib = s->settings.map_gib, .create = true, .seed = (uint64_t)s->settings.seed};
    struct router_init init = {0};
    enum status st = db_open(s->data_dir, &o, &s->db, problem);
    if (st != STATUS_OK) {
        s->exit_code = EXIT_CODE_NO_STORE;
        return st;
    }
    db_init(s->db, &init);
    init.max_open = s->settings.max_open;
    s->router = router_new(&init);
    if (!s->router)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the engine");
    int threads = s->settings.engine_threads > 0 ? (int)s->settings.engine_threads
                                                 : hands_wanted((int)uv_available_parallelism());
    s->hands = threads > 1 ? hands_new(threads) : NULL;
    router_parallel(s->router, s->hands ? hands_parallel(s->hands) : NULL);
    st = db_recover(s->db, GENERATION_CURRENT, 0, s->router, progress, NULL, problem);
    if (st != STATUS_OK)
        s->exit_code = EXIT_CODE_IO;
    return st;
}

/* The events of a start, durable before anyone is let in. */
static enum status record_start(struct server *s, uint64_t file_hash, struct problem *problem)
{
    struct desk *d = s->desk;
    if (router_lends(s->router))
        log_event(
            LOG_LEVEL_WARN, "leases_lost", "text",
            "the last life answered ahead of the disk and did not stop in order: strict pools "
            "that were in use count their lease as spent",
            "action", "none; it comes back with the next window (purser pools)", NULL);
    desk_start(d);
    if (file_hash != router_file_hash(s->router)) {
        enum status st = desk_configure(d, &s->params, "file", file_hash, problem);
        if (st != STATUS_OK) {
            s->exit_code = EXIT_CODE_CONFIG;
            return st;
        }
        log_event(LOG_LEVEL_INFO, "configured", "origin", "file", "path", s->config_path, NULL);
    }
    desk_alert_start(d);
    if (s->settings.relaxed)
        desk_lend(d, true);
    if (d->broken)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the first batch");
    enum status st = db_commit(s->db, d->filling.batch, problem);
    if (st == STATUS_STORAGE_FULL)
        s->exit_code = EXIT_CODE_IO;
    batch_reset(d->filling.batch);
    return st;
}

enum status boot_store(struct server *s, const struct server_options *options,
                       struct problem *problem)
{
    uint64_t hash, began = uv_hrtime();
    struct db_info info;
    s->exit_code = EXIT_CODE_FAILED;
    s->config_path = options->config_path;
    enum status st = server_load(options->config_path, &s->params, &s->settings, &hash, problem);
    if (st != STATUS_OK) {
        s->exit_code = EXIT_CODE_CONFIG;
        return st;
    }
    log_as_json(s->settings.log_json);
    snprintf(s->data_dir, sizeof s->data_dir, "%s",
             options->data_dir ? options->data_dir : s->settings.data_dir);
    if ((st = open_store(s, problem)) != STATUS_OK)
        return st;
    s->desk = desk_new(s->db, s->router);
    if (!s->desk)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for two batches");
    if ((st = desk_audit_open(s->desk, problem)) != STATUS_OK)
        return st;
    if ((st = db_info(s->db, &info, problem)) != STATUS_OK)
        return st;
    s->desk->usage.most = (int)s->settings.metrics_tenants;
    if (info.current >= 0)
        s->desk->snapshot_seq = info.snapshot_seq[info.current];
    log_event(LOG_LEVEL_INFO, "recovered", "seq", LOG_NUMBER(router_seq(s->router)), "replayed",
              LOG_NUMBER(router_seq(s->router) - s->desk->snapshot_seq), "ms",
              LOG_NUMBER((uv_hrtime() - began) / 1000000), NULL);
    st = record_start(s, hash, problem);
    if (st == STATUS_OK)
        s->exit_code = EXIT_CODE_OK;
    return st;
}

static bool on_intake(void *ctx, const void *bytes, size_t n)
{
    struct server *s = ctx;
    struct message m;
    struct problem p = {0};
    if (s->desk->full || (!s->desk->broken && desk_crowded(s->desk)))
        return false;
    if (wire_open(&m, bytes, n, &p) != STATUS_OK) {
        s->desk->refused++;
        return true;
    }
    bool many = m.op == WIRE_FEEDBACK_MANY;
    if ((many || m.op == WIRE_FEEDBACK) &&
        gate_admit(s->gate, &m, wire_key(&m), wallclock_now(&s->desk->clock), NULL, &p) ==
            STATUS_OK)
        for (int i = 0; i < m.items && !s->desk->broken; i++)
            desk_feedback(s->desk, &m, i);
    else
        s->desk->refused++;
    wire_close(&m);
    return true;
}

static void gauge(struct text *t, const char *name, const struct rpc *r)
{
    struct rpc_stats st;
    rpc_stats(r, &st);
    text_printf(t,
                ",\"%s\":{\"requests\":%lld,\"replies\":%lld,\"send_failures\":%lld,\"busy\":%d,"
                "\"connections\":%d,\"refused_connections\":%d,\"idle_connections_closed\":%lld}",
                name, (long long)st.requests, (long long)st.replies, (long long)st.send_failures,
                st.busy, st.connections, st.refused, (long long)st.overstayed);
}

static void gauges(void *ctx, struct text *t)
{
    struct server *s = ctx;
    struct desk *d = s->desk;
    text_printf(t,
                "\"uptime_ms\":%lld,\"commits\":%lld,\"commit_us_mean\":%lld,\"storage_full\":%s,"
                "\"routed\":%lld,\"retried\":%lld,\"fed\":%lld,\"refused\":%lld,\"unknown\":%lld",
                (long long)(uv_now(&s->loop) - (uint64_t)s->started_ms), (long long)s->commits,
                (long long)(s->commits ? s->commit_ns_sum / s->commits / 1000 : 0),
                d->full ? "true" : "false", (long long)d->routed, (long long)d->retried,
                (long long)d->fed, (long long)d->refused, (long long)d->unknown);
    const struct rpc *rpcs[] = {s->route, s->feedback, s->control};
    static const char *const names[] = {"route", "feedback", "control"};
    for (int i = 0; i < 3; i++)
        if (rpcs[i])
            gauge(t, names[i], rpcs[i]);
    if (s->intake)
        text_printf(t, ",\"intake_messages\":%lld", (long long)intake_messages(s->intake));
    if (s->publish)
        text_printf(t, ",\"published\":%lld", (long long)publish_sent(s->publish));
    struct http_stats web;
    if (s->http) {
        http_stats(s->http, &web);
        text_printf(t,
                    ",\"http\":{\"requests\":%lld,\"busy\":%d,\"connections\":%d,"
                    "\"streams\":%d,\"streams_dropped\":%lld,\"cut_off\":%lld}",
                    (long long)web.requests, web.busy, web.connections, web.streams,
                    (long long)web.streams_dropped, (long long)web.cuts);
    }
    text_put(t, ",");
    desk_meter_stats(d, t);
}

static void on_snapshot_wanted(void *ctx)
{
    struct server *s = ctx;
    s->want_snapshot = true;
}

static void on_control_done(void *ctx, struct slot *slot)
{
    server_hold(ctx, slot);
}

static struct endpoint_options endpoint(const struct server *s, const char *url, const char *where)
{
    const struct settings *c = &s->settings;
    return (struct endpoint_options){.url = url,
                                     .where = where,
                                     .cert = c->tls_cert,
                                     .key = c->tls_key,
                                     .ca = c->tls_ca,
                                     .require_client_certificate = c->tls_require_client,
                                     .max_connections = (int)c->max_connections,
                                     .idle_ms = (int)c->idle_ms,
                                     .max_message = BATCH_MESSAGE_MAX};
}

static enum status open_rpc(struct server *s, const char *url, const char *where,
                            enum purpose purpose, int64_t slots, struct rpc **out,
                            struct problem *problem)
{
    struct rpc_options o = {.endpoint = endpoint(s, url, where),
                            .purpose = purpose,
                            .slots = (int)slots,
                            .send_timeout_ms = (int)s->settings.send_timeout_ms,
                            .on_request = server_on_request,
                            .ctx = s};
    return rpc_open(&s->loop, &o, out, problem);
}

static enum status open_sockets(struct server *s, struct problem *problem)
{
    const struct settings *c = &s->settings;
    enum status st = STATUS_OK;
    if (c->listen_route[0])
        st = open_rpc(s, c->listen_route, "/listen/route", PURPOSE_ROUTE, c->route_slots, &s->route,
                      problem);
    if (st == STATUS_OK && c->listen_feedback[0])
        st = open_rpc(s, c->listen_feedback, "/listen/feedback", PURPOSE_FEEDBACK,
                      c->feedback_slots, &s->feedback, problem);
    if (st == STATUS_OK && c->listen_control[0])
        st = open_rpc(s, c->listen_control, "/listen/control", PURPOSE_CONTROL, 16, &s->control,
                      problem);
    if (st == STATUS_OK && c->listen_events[0]) {
        struct endpoint_options o = endpoint(s, c->listen_events, "/listen/events");
        st = publish_open(&o, &s->publish, problem);
    }
    if (st == STATUS_OK && c->listen_intake[0]) {
        struct intake_options o = {.endpoint = endpoint(s, c->listen_intake, "/listen/intake"),
                                   .on_message = on_intake,
                                   .ctx = s};
        st = intake_open(&s->loop, &o, &s->intake, problem);
    }
    if (st == STATUS_OK)
        st = boot_http(s, problem);
    if (st != STATUS_OK)
        s->exit_code = EXIT_CODE_CONFIG;
    return st;
}

/* NNG makes its threads with its first socket, and threads begin with the policy of their maker. A
 * batch thread that is woken waits for the CPU: else each send by the loop, which wakes one or two
 * of NNG's, costs the loop the CPU at once, and a message costs half as much again. */
static enum status open_sockets_beside(struct server *s, struct problem *problem)
{
    const struct sched_param none = {0};
    bool plain = sched_getscheduler(0) == SCHED_OTHER; /* and not as somebody has chosen */
    if (plain)
        (void)sched_setscheduler(0, SCHED_BATCH,
                                 &none); /* where it is forbidden, all is as before */
    enum status st = open_sockets(s, problem);
    if (plain)
        (void)sched_setscheduler(0, SCHED_OTHER, &none);
    return st;
}

static enum status open_gate(struct server *s, struct problem *problem)
{
    enum status st = gate_open(s->settings.key_file, &s->gate, problem);
    if (st != STATUS_OK)
        s->exit_code = EXIT_CODE_CONFIG;
    else if (gate_is_open(s->gate))
        log_event(LOG_LEVEL_WARN, "open", "text",
                  "no key is needed: any program of this machine may route, report and change the "
                  "configuration",
                  "action", "name a /keys/file to ask for keys", NULL);
    return st;
}

static void open_handles(struct server *s)
{
    uv_prepare_init(&s->loop, &s->prepare);
    uv_timer_init(&s->loop, &s->second);
    uv_timer_init(&s->loop, &s->retry);
    uv_timer_init(&s->loop, &s->deadline);
    uv_timer_init(&s->loop, &s->linger);
    uv_signal_init(&s->loop, &s->term);
    uv_signal_init(&s->loop, &s->interrupt);
    uv_signal_init(&s->loop, &s->hup);
    s->prepare.data = s->second.data = s->retry.data = s->deadline.data = s->linger.data = s;
    s->term.data = s->interrupt.data = s->hup.data = s;
}

static void start_handles(struct server *s)
{
    uv_prepare_start(&s->prepare, server_on_prepare);
    uv_timer_start(&s->second, server_on_second, 1000, 1000);
    uv_signal_start(&s->term, drain_on_signal, SIGTERM);
    uv_signal_start(&s->interrupt, drain_on_signal, SIGINT);
    uv_signal_start(&s->hup, drain_on_signal, SIGHUP);
}

enum status boot_loop(struct server *s, struct problem *problem)
{
    sigset_t all, before;
    sigfillset(&all);
    open_handles(s);
    s->desk_control = (struct control){.desk = s->desk,
                                       .settings = &s->settings,
                                       .data_dir = s->data_dir,
                                       .loop = &s->loop,
                                       .gauges = gauges,
                                       .snapshot = on_snapshot_wanted,
                                       .done = on_control_done,
                                       .ctx = s};
    pthread_sigmask(SIG_BLOCK, &all, &before);
    enum status st = open_gate(s, problem);
    if (st == STATUS_OK)
        st = writer_start(&s->loop, s->db, server_on_commit, s, &s->writer, problem);
    s->ready = calloc((size_t)s->settings.route_slots, sizeof *s->ready);
    if (st == STATUS_OK && !s->ready)
        st = problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the route slots");
    if (st == STATUS_OK)
        st = open_sockets_beside(s, problem);
    if (st == STATUS_OK)
        desk_audit_keys(s->desk, gate_keys(s->gate)); /* what befell them since the last time */
    start_handles(s);
    s->started_ms = (int64_t)uv_now(&s->loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return st;
}

/* The first setting that differs and cannot be changed while running; NULL = none. */
static const char *fixed_change(const struct settings *a, const struct settings *b)
{
#define FIELD(f, path)                                                                             \
    {                                                                                              \
        path, offsetof(struct settings, f), sizeof a->f                                            \
    }
    static const struct {
        const char *name;
        size_t at, size;
    } text[] = {FIELD(listen_route, "/listen/route"),
                FIELD(listen_feedback, "/listen/feedback"),
                FIELD(listen_control, "/listen/control"),
                FIELD(listen_events, "/listen/events"),
                FIELD(listen_intake, "/listen/intake"),
                FIELD(listen_http, "/listen/http"),
                FIELD(listen_http_unix, "/listen/http_unix"),
                FIELD(listen_metrics, "/listen/metrics"),
                FIELD(tls_cert, "/listen/tls/cert"),
                FIELD(tls_key, "/listen/tls/key"),
                FIELD(tls_ca, "/listen/tls/ca"),
                FIELD(key_file, "/keys/file"),
                FIELD(data_dir, "/store/dir")},
      plain[] = {FIELD(tls_require_client, "/listen/tls/require_client_cert"),
                 FIELD(relaxed, "/store/durability"),
                 FIELD(map_gib, "/store/map_gib"),
                 FIELD(max_open, "/limits/open_decisions"),
                 FIELD(route_slots, "/limits/route_slots"),
                 FIELD(feedback_slots, "/limits/feedback_slots"),
                 FIELD(max_connections, "/limits/connections"),
                 FIELD(idle_ms, "/limits/idle_ms"),
                 FIELD(send_timeout_ms, "/limits/send_timeout_ms"),
                 FIELD(http_connections, "/http/connections"),
                 FIELD(http_per_address, "/http/connections_per_client"),
                 FIELD(http_streams, "/http/streams"),
                 FIELD(http_head_bytes, "/http/head_bytes"),
                 FIELD(http_body_bytes, "/http/body_bytes"),
                 FIELD(http_idle_ms, "/http/idle_ms"),
                 FIELD(http_request_ms, "/http/request_ms"),
                 FIELD(seed, "/store/seed")};
#undef FIELD
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
        if (strcmp((const char *)a + text[i].at, (const char *)b + text[i].at) != 0)
            return text[i].name;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (memcmp((const char *)a + plain[i].at, (const char *)b + plain[i].at, plain[i].size) !=
            0)
            return plain[i].name;
    return NULL;
}

void boot_reload(struct server *s)
{
    struct settings settings;
    struct problem p = {0};
    uint64_t hash;
    const char *fixed = NULL;
    enum status st = server_load(s->config_path, &s->params, &settings, &hash, &p);
    if (st == STATUS_OK && (fixed = fixed_change(&s->settings, &settings)) != NULL)
        st = problem_set(&p, STATUS_BAD_REQUEST, fixed,
                         "%s changes only with a restart; nothing was changed", fixed);
    if (st == STATUS_OK && hash != router_file_hash(s->router))
        st = desk_configure(s->desk, &s->params, "file", hash, &p);
    if (st != STATUS_OK) {
        log_event(LOG_LEVEL_ERROR, "reload_refused", "path", s->config_path, "line",
                  LOG_NUMBER(p.line), "at", p.path, "text", p.text, NULL);
        return;
    }
    s->settings = settings;
    s->desk->usage.most = (int)settings.metrics_tenants;
    log_as_json(settings.log_json);
    log_event(LOG_LEVEL_INFO, "reloaded", "path", s->config_path, "config_seq",
              LOG_NUMBER(router_config_seq(s->router)), NULL);
}
