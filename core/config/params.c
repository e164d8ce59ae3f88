/* SPDX-License-Identifier: MIT */
/*
 * What can be configured: one row a field, with bounds, default and meaning. Nothing else in the
 * project knows a default or a bound; the reference in docs/ is printed from here.
 *
 * Bounds are what keeps the arithmetic finite and the memory bounded, not what is wise.
 * Fields of params are logged with each change and shape replay; settings never are.
 */
#include "core/config/config_fields.h"

#include <string.h>

#define P(member) .part = PART_PARAMS, .offset = offsetof(struct params, member)
#define S(member) .part = PART_SETTINGS, .offset = offsetof(struct settings, member)

#define REAL(path_, where, lo, hi, def, help_)                                                     \
    {                                                                                              \
        .path = path_, .kind = FIELD_REAL, where, .min = lo, .max = hi, .number = def,             \
        .help = help_                                                                              \
    }
#define INT(path_, where, lo, hi, def, help_)                                                      \
    {                                                                                              \
        .path = path_, .kind = FIELD_INT, where, .min = lo, .max = hi, .number = def,              \
        .help = help_                                                                              \
    }
#define BOOL(path_, where, def, help_)                                                             \
    {                                                                                              \
        .path = path_, .kind = FIELD_BOOL, where, .number = def, .help = help_                     \
    }
#define NAME(path_, where, lo, def, help_)                                                         \
    {                                                                                              \
        .path = path_, .kind = FIELD_NAME, where, .min = lo, .max = NAME_LEN, .text = def,         \
        .help = help_                                                                              \
    }
#define TEXT(path_, where, def, help_)                                                             \
    {                                                                                              \
        .path = path_, .kind = FIELD_TEXT, where, .max = 255, .text = def, .help = help_           \
    }
#define OTHER(path_, what, help_)                                                                  \
    {                                                                                              \
        .path = path_, .kind = FIELD_OTHER, .other = what, .help = help_                           \
    }

/* Weights and policy stand twice: in force, and on trial. */
#define OBJECTIVE(prefix, at)                                                                      \
    REAL(prefix "quality", P(at.quality), 0, 1000, 1, "weight of quality"),                        \
        REAL(prefix "cost", P(at.cost), 0, 1000, 0.03,                                             \
             "quality points one gives for the price of the dearest model"),                       \
        REAL(prefix "latency", P(at.latency), 0, 1000, 0, "quality points per latency_scale_ms"),  \
        REAL(prefix "failure", P(at.failure), 0, 1000, 0.5,                                        \
             "quality points for a certain failure"),                                              \
        REAL(prefix "latency_scale_ms", P(at.latency_scale_ms), 1, 1e7, 1000,                      \
             "unit of the latency weight"),                                                        \
        REAL(prefix "cost_scale_usd", P(at.cost_scale_usd), 0, 1e6, 0,                             \
             "unit of the cost weight; 0 = what the dearest model costs on average at the "        \
             "prices in force")
#define POLICY(prefix, at)                                                                         \
    NAME(                                                                                          \
        prefix "name", P(at.name), 1, "lints",                                                     \
        "lints, fixed, uniform, greedy, rules, igw, linucb, softmax, regcb_elim, regcb_opt, bag, " \
        "first, static_mix, trained or beta_ts"),                                                  \
        NAME(prefix "model", P(at.model), 0, "", "for fixed: the model; \"\" = the dearest"),      \
        BOOL(prefix "apprentice", P(at.apprentice), 0,                                             \
             "serve the baseline and note what the policy would have done"),                       \
        REAL(prefix "width", P(at.width), 0, 100, 0.6,                                             \
             "scale of posterior deviations in lints and bag"),                                    \
        REAL(prefix "floor", P(at.floor), 0, 1, 0.02, "exploration mass at the start"),            \
        REAL(prefix "floor_scale", P(at.floor_scale), 0, 1e6, 0.2,                                 \
             "c: the mass is min(floor, c/sqrt(labels)), not below floor_min"),                    \
        REAL(prefix "floor_min", P(at.floor_min), 0, 1, 0.001, "at most floor"),                   \
        REAL(prefix "gamma", P(at.gamma), 0, 1e9, 10,                                              \
             "igw: how fast gaps count, times the root of the labels; 10 to 1000"),                \
        REAL(prefix "beta", P(at.beta), 0, 100, 1,                                                 \
             "linucb, regcb_elim, regcb_opt: deviations in a confidence bound"),                   \
        REAL(prefix "temperature", P(at.temperature), 0, 1e6, 0,                                   \
             "softmax: in points of quality; 0 = so that 5% go to the lesser models"),             \
        INT(prefix "first", P(at.first), 0, 1e9, 100, "first: labels until it turns greedy"),      \
        INT(prefix "heads", P(at.heads), 1, 64, 8, "bag: posterior draws per decision")

static const struct field table[] = {
    OTHER("v", "1", "version of the document's form; may be left out"),
    TEXT("listen/route", S(listen_route), "tcp://127.0.0.1:7601", "route requests; \"\" = off"),
    TEXT("listen/feedback", S(listen_feedback), "tcp://127.0.0.1:7602", "acknowledged feedback"),
    TEXT("listen/control", S(listen_control), "tcp://127.0.0.1:7603", "operators"),
    TEXT("listen/events", S(listen_events), "tcp://127.0.0.1:7604", "published events"),
    TEXT("listen/intake", S(listen_intake), "tcp://127.0.0.1:7605", "unacknowledged feedback"),
    TEXT("listen/http", S(listen_http), "auto",
         "HTTP: http://HOST:PORT; auto = http://127.0.0.1:7680, or off where that is taken"),
    TEXT("listen/http_unix", S(listen_http_unix), "", "HTTP by a Unix socket too: unix:///PATH"),
    TEXT("listen/metrics", S(listen_metrics), "auto",
         "/healthz, /readyz, /metrics; auto = http://127.0.0.1:7681, or off where that is taken"),
    TEXT("listen/tls/cert", S(tls_cert), "", "PEM file, for tls+tcp:// addresses"),
    TEXT("listen/tls/key", S(tls_key), "", "PEM file"),
    TEXT("listen/tls/ca", S(tls_ca), "", "PEM file: who signs client certificates"),
    BOOL("listen/tls/require_client_cert", S(tls_require_client), 0,
         "refuse clients without a certificate of that authority"),
    TEXT("keys/file", S(key_file), "",
         "file of keys (purser keys): nobody is let in without one; \"\" = loopback only"),
    INT("keys/connections", S(key_connections), 0, 1000000, 0,
        "open at once by one key that has no --connections of its own; 0 = not limited"),
    TEXT("store/dir", S(data_dir), "purser-data", "directory; --data overrides"),
    {.path = "store/durability",
     .kind = FIELD_CHOICE,
     S(relaxed),
     .text = "full|relaxed",
     .help = "relaxed answers routes before the disk has them: a crash may forget the last "
             "moments; strict "
             "pools hold by leases"},
    INT("store/map_gib", S(map_gib), 1, 65536, 64, "address space of the store, not memory"),
    INT("store/snapshot_events", S(snapshot_events), 1, 1e9, 20000, "events between snapshots"),
    REAL("store/retention_days", S(retention_days), 1, 36500, 45,
         "age of log records; at least the join window and a day"),
    INT("store/seed", S(seed), 0, 9e15, 0, "of the draws; 0 = chosen once per store"),
    INT("limits/open_decisions", S(max_open), 1, 16777216, 65536,
        "decisions kept in memory for feedback; older ones are read from the store"),
    INT("limits/route_slots", S(route_slots), 1, 65536, 256, "route requests inside at once"),
    INT("limits/feedback_slots", S(feedback_slots), 1, 65536, 256, "feedback inside at once"),
    INT("limits/connections", S(max_connections), 1, 1e6, 1024, "per address"),
    INT("limits/idle_ms", S(idle_ms), 1000, 86400000, 120000,
        "of a connection (NNG) without a request, or half-way through one: then it is closed"),
    INT("limits/engine_threads", S(engine_threads), 0, 16, 0,
        "threads that share out a decision among many models and numbers; 0 = all processors but "
        "two, 4 at most"),
    INT("limits/drain_ms", S(drain_ms), 0, 600000, 10000, "bound on a graceful stop"),
    INT("limits/send_timeout_ms", S(send_timeout_ms), 1, 600000, 500,
        "for a client that does not read"),
    INT("http/connections", S(http_connections), 1, 65536, 1024, "per address served"),
    INT("http/connections_per_client", S(http_per_address), 0, 65536, 512,
        "of one client address; 0 = no bound of its own"),
    INT("http/streams", S(http_streams), 0, 1024, 32, "readers of /v1/events at once"),
    INT("http/head_bytes", S(http_head_bytes), 1024, 65536, 8192, "request line and headers"),
    INT("http/body_bytes", S(http_body_bytes), 1024, 8388608, 8388608, "of a request"),
    INT("http/idle_ms", S(http_idle_ms), 1000, 3600000, 60000,
        "from one request to the end of the next one's headers"),
    INT("http/request_ms", S(http_request_ms), 1000, 3600000, 10000,
        "for the body to arrive, and for the reply to be read"),
    INT("metrics/tenants", S(metrics_tenants), 0, 256, 0,
        "tenants told apart in /metrics, the first that come; 0 = none"),
    {.path = "log/format",
     .kind = FIELD_CHOICE,
     S(log_json),
     .text = "text|json",
     .help = "of the process log on stderr: key=value, or an object a line with the time"},
    OTHER("tiers", "1 to 8 names, smallest first", "default: small, medium, large"),
    OTHER("models", "1 to 64 objects", "see below"),
    OBJECTIVE("objective/", objective),
    POLICY("policy/", policy),
    REAL(
        "canary/share", P(canary.share), 0, 0.5, 0,
        "of requests that canary/objective and canary/policy decide, until one side is shown to be "
        "better; 0 = none"),
    REAL("canary/quality_margin", P(canary.quality_margin), 0, 1, 0.02,
         "quality points that the canary may be worse by"),
    INT("canary/decisions", P(canary.decisions), 1, 1e12, 100000,
        "until it is given up for want of a verdict"),
    OBJECTIVE("canary/objective/", canary.objective),
    POLICY("canary/policy/", canary.policy),
    REAL("learner/half_life_hours", P(learner.half_life_hours), 0, 1e6, 168,
         "of evidence; 0 = nothing is forgotten"),
    REAL("learner/precision/bias", P(learner.precision_bias), 1e-6, 1e9, 6,
         "prior precision of the bias weight"),
    REAL("learner/precision/shape", P(learner.precision_shape), 1e-6, 1e9, 64,
         "of the shape of the text"),
    REAL("learner/precision/declared", P(learner.precision_declared), 1e-6, 1e9, 8,
         "of declared task, domain and user tier"),
    REAL("learner/precision/text", P(learner.precision_text), 1e-6, 1e9, 256, "of hashed text"),
    REAL("learner/precision/lens", P(learner.precision_lens), 1e-6, 1e9, 64,
         "of what a lens says of the text"),
    REAL("learner/precision/caller", P(learner.precision_caller), 1e-6, 1e9, 64,
         "of the caller's features and embedding"),
    INT("learner/refresh_labels", P(learner.refresh_labels), 1, 1e6, 32,
        "labels of a model and target between refreshes"),
    INT("learner/pool_labels", P(learner.pool_labels), 0, 1e9, 32,
        "labels between estimates of the shared prior; 0 = never"),
    REAL("learner/join_window_hours", P(learner.join_window_hours), 0.001, 87600, 720,
         "later feedback is answered late"),
    REAL("learner/drift_slack", P(learner.drift_slack), 0, 10, 0.25,
         "deviations that residuals may lie off without alarm"),
    REAL("learner/drift_threshold", P(learner.drift_threshold), 0, 1e6, 30,
         "summed deviations that raise the alarm; 0 = never"),
    REAL("learner/drift_keep", P(learner.drift_keep), 0.001, 1, 0.2,
         "what older evidence counts after an alarm"),
    REAL("learner/quota", P(learner.quota), 0, 0.5, 0.02,
         "exploration share of new and changed models"),
    INT("learner/quota_labels", P(learner.quota_labels), 0, 1e6, 200,
        "quality labels until a model is no longer new"),
    REAL("learner/quota_spend", P(learner.quota_spend), 0, 1, 0.02,
         "most of all spending that such exploration may be"),
    REAL("learner/most_off", P(learner.most_off), 0, 1e9, 50,
         "one report teaches at most this factor off its prediction (tokens, latency, cost); 1 or "
         "more, 0 = no bound"),
    REAL("learner/tenant_share", P(learner.tenant_share), 0.01, 1, 1,
         "decisions of a tenant that makes up more of the recent ones weigh this / its share in "
         "learning; 1 = all weigh the same"),
    BOOL("learner/frozen", P(learner.frozen), 0, "keep labels without learning them until thawed"),
    BOOL("features/declared", P(features.declared), 1, "use task, domain and user tier"),
    BOOL("features/text", P(features.text), 1, "use hashed words and characters"),
    BOOL("features/shape", P(features.shape), 1, "use the shape of the text"),
    BOOL("features/lens", P(features.lens), 1, "use the lens, if the store has one"),
    BOOL("features/caller", P(features.caller), 1, "use the caller's features and embedding"),
    INT("features/dim_declared", P(features.dim_declared), 1, DIM_MAX, 24, "entries of the block"),
    INT("features/dim_text", P(features.dim_text), 1, DIM_MAX, 8, "entries of the block"),
    INT("features/dim_caller", P(features.dim_caller), 1, DIM_MAX, 16, "entries of the block"),
    OTHER("learners", "0 to 64 objects", "tenants with a learner of their own, see below"),
    OTHER("rules", "0 to 64 objects", "see below; the first that matches names a model"),
    OTHER("silence", "0 to 16 objects",
          "see below; the first that matches says what a missing quality label means"),
    REAL("escalation/quality", P(escalation.quality), 0, 1, 0,
         "label of a decision whose answer was found wanting, until a report says otherwise"),
    REAL("escalation/share", P(escalation.share), 0, 1, 0,
         "of wanting answers that applications escalate: a model's utility has what follows; 0 = "
         "choose as if every answer were the last"),
    INT("session/most", P(session.most), 0, SESSIONS_MAX, SESSIONS_MAX,
        "sessions whose model is remembered and kept; 0 = requests of a session are like others"),
    REAL("session/inertia", P(session.inertia), 0, 1000, 0.02,
         "utility that another model must offer beyond the session's, costs of switching included"),
    REAL("session/deviations", P(session.deviations), 0, 100, 2,
         "and deviations of that difference, scaled by policy/width"),
    OTHER("value", "an object",
          "see below; what requests are worth: factors of the quality weight"),
    REAL("budget/usd_per_request", P(budget.usd_per_request), 0, 1e6, 0,
         "average spend that the pacer holds; 0 = no pacing"),
    REAL(
        "budget/throttle", P(budget.throttle), 0, 100, 0,
        "when even the cheapest models cost more than usd_per_request, requests worth less than up "
        "to this are put off, those of least value first; 0 = none"),
    INT("budget/expire_after_s", P(budget.expire_after_s), 1, 3e8, 3600,
        "until a reservation whose completion is not reported counts as spent"),
    INT("budget/pool_instances", P(pools.instances), 1, POOL_INSTANCES_MAX, 16384,
        "pools in use at once, counting those that each makes; about 1 kB each"),
    REAL("budget/lease", P(pools.lease), 0, 1, 0.01,
         "with store.durability relaxed: share of each strict pool that may be spent ahead of the "
         "disk, and so the most of it that a crash can strand; in millionths"),
    OTHER("zones", "0 to 8 objects", "time zones of pools, see below"),
    OTHER("pools", "0 to 64 objects", "budgets that are never exceeded, see below"),
    REAL("guard/alpha", P(guard.alpha), 0, 1, 0,
         "quality may fall this share below the baseline's; 0 = no guard"),
    BOOL("guard/hull", P(guard.hull), 0,
         "serve the best mix of fixed models once labels show that the policy is worse"),
    REAL("guard/hull_margin", P(guard.hull_margin), 0, 1, 0,
         "quality points that the policy may be below that mix"),
    REAL("guard/hull_near", P(guard.hull_near), 0, 1, 0.02,
         "it comes back when shown to be at most this much below the margin"),
    REAL("guard/hull_control", P(guard.hull_control), 1 / (double)HULL_REACH_MAX, 0.5, 0.02,
         "share of the mix in the decisions of a policy, at most, for the comparison"),
    REAL("guard/hull_trial", P(guard.hull_trial), 1 / (double)HULL_REACH_MAX, 0.5, 0.05,
         "share of a policy that was put aside"),
    NAME("fairness/dimension", P(fairness.dimension), 1, "group",
         "label by which outcomes are told apart: group, tenant, task, domain, user_tier, user or "
         "outcome"),
    REAL("fairness/quality_floor", P(fairness.quality_floor), 0, 1, 0,
         "mean quality that a change must leave each of them; 0 = none"),
    REAL("fairness/max_gap", P(fairness.max_gap), 0, 1, 1,
         "most that the mean qualities of two of them may differ after a change"),
    OTHER("feedback/ignore_sources", "0 to 16 names",
          "sources whose feedback is refused as forbidden; \"default\" is whoever names none"),
    INT("meter/keys", P(meter.keys), 1, 1e6, 4096,
        "combinations of labels and model that an hour is metered by; more are summed up as other"),
    REAL("meter/hour_days", S(meter_hour_days), 1, 36500, 40,
         "age at which hours become days; at least the join window"),
    REAL("meter/day_days", S(meter_day_days), 2, 36500, 1100, "age at which days are forgotten"),
    REAL("meter/invoice_tolerance", S(invoice_tolerance), 0.001, 100, 0.1,
         "share by which reported costs may differ from computed ones without alarm"),
    NAME("baseline", P(baseline), 0, "", "model that savings are told against; \"\" = the dearest"),
};

struct field_table config_table(void)
{
    return (struct field_table){table, sizeof table / sizeof table[0]};
}

void params_default(struct params *p)
{
    memset(p, 0, sizeof *p);
    fields_default(config_table(), PART_PARAMS, p);
    config_value_default(&p->value);
}

void settings_default(struct settings *s)
{
    memset(s, 0, sizeof *s);
    fields_default(config_table(), PART_SETTINGS, s);
}

void config_tiers_default(struct catalog *c)
{
    static const char names[][NAME_CAP] = {"small", "medium", "large"};
    memcpy(c->tier, names, sizeof names);
    c->n_tiers = 3;
}
