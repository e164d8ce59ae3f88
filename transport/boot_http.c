/* SPDX-License-Identifier: MIT */
/* HTTP as configured, and what it asks the service. */
#include "transport/metrics.h"
#include "transport/server_state.h"

static enum status admit(void *ctx, const char *key, const char *op, uint64_t *bearer,
                         struct problem *problem)
{
    struct server *s = ctx;
    const struct key *by;
    enum status st = gate_may(s->gate, key, op, wallclock_now(&s->desk->clock), &by, problem);
    if (st == STATUS_OK && by && bearer)
        st = server_seat(s, by, bearer, problem);
    return st;
}

static const char *state(void *ctx, bool *healthy, bool *ready)
{
    const struct server *s = ctx;
    const struct desk *d = s->desk;
    *healthy = !d->broken;
    *ready = !d->broken && !d->full && s->phase == PHASE_SERVING;
    return d->broken                   ? "failed"
           : s->phase != PHASE_SERVING ? "draining"
           : d->full                   ? "storage_full"
                                       : "serving";
}

static bool metrics(void *ctx, struct outbuf *out)
{
    return metrics_render(ctx, out);
}

void boot_http_addresses(const struct settings *c, struct http_address a[HTTP_DOORS])
{
    a[HTTP_TCP] = (struct http_address){c->listen_http, "http://127.0.0.1:7680", "/listen/http"};
    a[HTTP_UNIX] = (struct http_address){c->listen_http_unix, NULL, "/listen/http_unix"};
    a[HTTP_METRICS] =
        (struct http_address){c->listen_metrics, "http://127.0.0.1:7681", "/listen/metrics"};
}

enum status boot_http(struct server *s, struct problem *problem)
{
    const struct settings *c = &s->settings;
    struct http_options o = {.limits = {.connections = (int)c->http_connections,
                                        .per_address = (int)c->http_per_address,
                                        .streams = (int)c->http_streams,
                                        .head_bytes = (size_t)c->http_head_bytes,
                                        .body_bytes = (size_t)c->http_body_bytes,
                                        .idle_ms = (uint64_t)c->http_idle_ms,
                                        .request_ms = (uint64_t)c->http_request_ms},
                             .open = gate_is_open(s->gate),
                             .on_request = server_on_request,
                             .admit = admit,
                             .state = state,
                             .metrics = metrics,
                             .ctx = s};
    boot_http_addresses(c, o.address);
    return http_open(&s->loop, &o, &s->http, problem);
}
