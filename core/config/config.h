/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_CONFIG_CONFIG_H
#define PURSER_CORE_CONFIG_CONFIG_H

#include <stddef.h>
#include "core/config/params.h"
#include "core/status.h"

/* What the service itself needs: not part of the folded state, never logged. */
struct settings {
    char listen_route[256], listen_feedback[256], listen_control[256], listen_events[256],
        listen_intake[256]; /* "" = off; defaults tcp://127.0.0.1:7601, 7602, 7603, 7604, 7605 */
    /* http://HOST:PORT or unix:///PATH; "" = off; "auto" (http, metrics): 127.0.0.1:7680, 7681 if
     * free */
    char listen_http[256], listen_http_unix[256], listen_metrics[256];
    char tls_cert[256], tls_key[256], tls_ca[256]; /* PEM files, for tls+tcp:// listeners */
    bool tls_require_client;
    char key_file[256];      /* keys that open the service; "" = none is needed */
    int64_t key_connections; /* open at once of a key that says nothing of it, 0 = any */
    char data_dir[256];      /* store; default "purser-data"; --data overrides */
    bool relaxed;            /* durability: "full" (default) or "relaxed" */
    int64_t map_gib;         /* address space of the store, default 64 */
    int64_t snapshot_events; /* events between snapshots, default 20000 */
    double retention_days;   /* of log records, default 45; >= join window + 1 day */
    int64_t max_open;        /* decisions kept in memory for feedback, default 65536 */
    int64_t route_slots, feedback_slots; /* requests inside at once, default 256 each */
    int64_t max_connections;             /* per listener, default 1024 */
    int64_t engine_threads;              /* that a decision may use, default 0: by the machine */
    int64_t idle_ms;                     /* of an NNG connection, default 120000 */
    int64_t drain_ms;                    /* bound on a graceful stop, default 10000 */
    int64_t send_timeout_ms;             /* for a client that does not read, default 500 */
    double meter_hour_days;              /* hours older than this become days, default 40 */
    double meter_day_days;               /* days older than this are forgotten, default 1100 */
    double invoice_tolerance; /* reported / computed cost - 1 without alarm, default 0.1 */
    int64_t http_connections, http_per_address; /* per door, defaults 1024 and 512 */
    int64_t http_streams;                       /* readers of events, default 32 */
    int64_t http_head_bytes, http_body_bytes;   /* of a request, defaults 8 KiB and 8 MiB */
    int64_t http_idle_ms, http_request_ms;      /* defaults 60000 and 10000 */
    int64_t metrics_tenants;                    /* told apart in /metrics, default 0 */
    bool log_json;                              /* the process log as lines of JSON */
    int64_t seed;                               /* of the draws; 0 = chosen once per store */
};

/*
 * config_parse reads a whole configuration document (strict: unknown and duplicate keys are
 * refused, keys beginning with x_ ignored). Both outputs are filled with defaults first and written
 * only on OK. settings may be NULL (replay of a logged document). Errors: BAD_JSON with the line,
 * BAD_REQUEST or UNKNOWN_FIELD with the path and what is allowed.
 */
MUST_CHECK enum status config_parse(const char *json, size_t n, struct params *params,
                                    struct settings *settings, struct problem *problem);

/* config_render writes params back as the engine part of a configuration document (JSON object, no
 * settings): parse(render(p)) == p. This is what is logged. Returns the length, 0 when cap is too
 * small. */
size_t config_render(const struct params *params, char *out, size_t cap);

/* config_patch applies a partial document of the engine part (same keys; objects merge key by key,
 * arrays replace, except "models" which merges by name) onto params in place. Unchanged on error.
 */
MUST_CHECK enum status config_patch(struct params *params, const char *json, size_t n,
                                    struct problem *problem);

/* config_reference writes the table of all fields (name, type, bounds, default, meaning), as
 * Markdown. */
size_t config_reference(char *out, size_t cap);

/* config_schema writes the JSON Schema of a configuration document; 0 when cap is too small. */
size_t config_schema(char *out, size_t cap);

/* params_default gives the defaults, with an empty catalog. */
void params_default(struct params *p);

#endif
