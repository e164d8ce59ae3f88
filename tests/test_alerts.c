/* SPDX-License-Identifier: MIT */
/* Alerts, end to end: a real service, an NNG subscriber to their prefix, a reader of the HTTP
 * stream. What is compared is what each of the two was sent. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include "tests/service.h"

static const enum purser_client_door R = PURSER_CLIENT_ROUTE, C = PURSER_CLIENT_CONTROL;
static const char prefix[] = "{\"kind\":\"alert\"";

/* What was heard: alerts, a line each. */
struct heard {
    size_t n;
    char lines[1 << 16];
};
/* Chunked transfer: bytes left of this chunk, its size as far as it was read, the line so far. */
struct chunks {
    size_t left, size, n;
    bool body;
    char line[1 << 16];
};
struct ear {
    nng_socket sub;
    int http;
    bool answered;
    struct heard by_sub, by_http;
    struct chunks in;
};

static void keep(struct heard *h, const char *line, size_t n)
{
    assert_true(h->n + n + 2 < sizeof h->lines);
    memcpy(h->lines + h->n, line, n);
    h->n += n;
    h->lines[h->n++] = '\n';
}

/* A byte of the stream, past the headers: chunk sizes in hexadecimal on lines of their own. */
static void take_body(struct ear *e, char c)
{
    static const char data[] = "data: {\"kind\":\"alert\"";
    struct chunks *in = &e->in;
    if (c != '\n') {
        assert_true(in->n < sizeof in->line);
        in->line[in->n++] = c;
        return;
    }
    if (in->n > sizeof data && memcmp(in->line, data, sizeof data - 1) == 0)
        keep(&e->by_http, in->line + 6, in->n - 6);
    in->n = 0;
}

static void take(struct ear *e, char c)
{
    struct chunks *in = &e->in;
    if (in->left > 0) {
        in->left--;
        take_body(e, c);
    } else if (c >= '0' && c <= '9') {
        in->size = in->size * 16 + (size_t)(c - '0');
    } else if (c >= 'a' && c <= 'f') {
        in->size = in->size * 16 + (size_t)(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
        in->size = in->size * 16 + (size_t)(c - 'A' + 10);
    } else if (c == '\n') { /* behind a size, or behind a chunk: 0 */
        in->left = in->size;
        in->size = 0;
    }
}

static int get_events(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    static const char get[] = "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_usec = 20000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(send(fd, get, sizeof get - 1, 0), (int)sizeof get - 1);
    return fd;
}

static void hear(struct ear *e)
{
    char *line, bytes[16384];
    size_t n;
    while (nng_recv(e->sub, &line, &n, NNG_FLAG_ALLOC) == 0) {
        assert_true(n >= sizeof prefix - 1 && memcmp(line, prefix, sizeof prefix - 1) == 0);
        keep(&e->by_sub, line, n);
        nng_free(line, n);
    }
    for (ssize_t got; (got = recv(e->http, bytes, sizeof bytes, 0)) > 0; e->answered = true) {
        char *end = e->answered ? NULL : memmem(bytes, (size_t)got, "\r\n\r\n", 4);
        assert_true(e->answered || end); /* the headers come in one piece */
        for (char *at = end ? end + 4 : bytes; at < bytes + got; at++)
            take(e, *at);
    }
}

/* How often an alert was sent, with `more` in its line. */
static int count(const struct heard *h, const char *alert, const char *more)
{
    int n = 0;
    char name[64];
    snprintf(name, sizeof name, "\"alert\":\"%s\"", alert);
    for (const char *line = h->lines; line < h->lines + h->n;) {
        char one[1100];
        const char *end = strchr(line, '\n');
        snprintf(one, sizeof one, "%.*s", (int)(end - line), line);
        n += strstr(one, name) && strstr(one, more);
        line = end + 1;
    }
    return n;
}

static int told(struct ear *e, const char *alert, const char *more)
{
    hear(e);
    int n = count(&e->by_sub, alert, more), m = count(&e->by_http, alert, more);
    return n < m ? n : m;
}

static void expect(struct ear *e, const char *alert, const char *more, int times)
{
    for (int64_t end = service_ms() + 5000; told(e, alert, more) < times && service_ms() < end;)
        ;
    if (told(e, alert, more) != times)
        fail_msg("%s with %s: told %d times instead of %d:\n%s", alert, more, told(e, alert, more),
                 times, e->by_sub.lines);
    /* The same bodies in the same order; one may have heard more by now. */
    size_t n = e->by_sub.n < e->by_http.n ? e->by_sub.n : e->by_http.n;
    assert_memory_equal(e->by_sub.lines, e->by_http.lines, n);
}

static struct ear *listen_to(const struct service *s)
{
    struct ear *e = calloc(1, sizeof *e);
    assert_non_null(e);
    assert_int_equal(nng_sub0_open(&e->sub), 0);
    nng_socket_set(e->sub, NNG_OPT_SUB_SUBSCRIBE, prefix, sizeof prefix - 1);
    nng_socket_set_ms(e->sub, NNG_OPT_RECVTIMEO, 20);
    assert_int_equal(nng_dial(e->sub, s->url[3], NULL, 0), 0);
    e->http = get_events(s->port[5]);
    for (int64_t end = service_ms() + 5000; !e->answered && service_ms() < end;)
        hear(e); /* its headers: it is connected */
    assert_true(e->answered);
    usleep(100000); /* the subscription has no answer */
    return e;
}

static void stop_listening(struct ear *e)
{
    nng_close(e->sub);
    close(e->http);
    free(e);
}

/* 2000 tokens of the small model at most: 0.0002 dollars. */
static const char *ask(struct service *s, const char *labels)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"v\":1,\"op\":\"route\",\"prompt_tokens\":1000,\"max_output_tokens\":1000,"
             "\"constraints\":{\"allow\":[\"small-1\"]},%s}",
             labels);
    return service_call(s, R, json);
}

static void pay(struct service *s, const char *labels, const char *report)
{
    char id[64];
    assert_true(service_string(ask(s, labels), "decision_id", id, sizeof id));
    assert_string_equal(service_feed(s, id, report), "applied");
}

static void set_pool(struct service *s, const char *pool, const char *set)
{
    char json[256];
    snprintf(json, sizeof json, "{\"v\":1,\"op\":\"pools.set\",\"pool\":\"%s\",%s}", pool, set);
    assert_null(strstr(service_call(s, C, json), "error:"));
}

static const char pools[] =
    "\"pools\":["
    "{\"name\":\"team\",\"match\":{\"tenant\":\"a\"},\"usd\":0.001,\"soft\":0.5,\"window\":"
    "\"year\"},"
    "{\"name\":\"each\",\"match\":{\"tenant\":\"b\"},\"each\":\"user\",\"tokens\":10000,"
    "\"soft\":0.5,\"window\":\"rolling\",\"length_s\":36000},"
    "{\"name\":\"none\",\"match\":{\"tenant\":\"n\"},\"usd\":0},"
    "{\"name\":\"fused\",\"match\":{\"tenant\":\"f\"},\"usd\":100,"
    "\"fuse\":{\"usd\":0.0003,\"usd_per_hour\":0.000001,\"reset_s\":1}}]";

static int setup(void **state)
{
    return service_begin(state, pools);
}

static void test_limits(void **state)
{
    struct service *s = *state;
    struct ear *e = listen_to(s);
    for (int i = 0; i < 30; i++)
        (void)ask(s, "\"tenant\":\"a\""); /* the third is above half, the sixth does not fit */
    expect(e, "pool_soft", "\"pool\":\"team\"", 1);
    expect(e, "pool_soft", "\"used_usd\":0.0006,\"cap_usd\":0.001", 1);
    expect(e, "pool_exhausted", "\"used_usd\":0.001,\"cap_usd\":0.001,\"missing_usd\":0.0002", 1);
    for (int i = 0; i < 20; i++)
        (void)ask(s, i % 2 ? "\"tenant\":\"b\",\"user\":\"ann\""
                           : "\"tenant\":\"b\",\"user\":\"bob\"");
    expect(e, "pool_soft", "\"value\":\"ann\",\"used_tokens\":6000,\"cap_tokens\":10000", 1);
    expect(e, "pool_soft", "\"pool\":\"each\"", 2);
    expect(e, "pool_exhausted", "\"value\":\"bob\"", 1);
    for (int i = 0; i < 5; i++)
        (void)ask(s, "\"tenant\":\"n\""); /* nothing was ever charged to it */
    expect(e, "pool_exhausted", "\"pool\":\"none\"", 1);
    const char *list = service_call(s, C, "{\"v\":1,\"op\":\"pools.list\",\"pool\":\"team\"}");
    assert_non_null(strstr(list, "\"soft\":true,\"exhausted\":true"));
    set_pool(s, "team",
             "\"set\":{\"usd\":0.0022}"); /* half is 0.0011 now: use is near, not above */
    (void)ask(s, "\"tenant\":\"a\"");
    expect(e, "pool_soft", "\"pool\":\"team\"", 1);
    set_pool(s, "team", "\"set\":{\"usd\":0.0028}"); /* below nine tenths of 0.0014 */
    for (int i = 0; i < 20; i++)
        (void)ask(s, "\"tenant\":\"a\"");
    expect(e, "pool_soft", "\"pool\":\"team\"", 2);
    expect(e, "pool_exhausted", "\"pool\":\"team\"", 2);
    assert_true(service_logged(s, "warn event=pool_exhausted pool=team"));
    stop_listening(e);
}

static void test_overrun_fuse_kill(void **state)
{
    struct service *s = *state;
    struct ear *e = listen_to(s);
    pay(s, "\"tenant\":\"a\"", "\"cost_usd\":0.00025");
    pay(s, "\"tenant\":\"a\"", "\"cost_usd\":0.00025");
    expect(e, "pool_overrun", "\"pool\":\"team\"", 1); /* once a window */
    int flood = 0; /* the burst takes one and a half: the second is the last */
    for (int i = 0; i < 5; i++)
        flood += strstr(ask(s, "\"tenant\":\"f\""), "decision_id") != NULL;
    assert_int_equal(flood, 2);
    expect(e, "fuse_tripped", "\"pool\":\"fused\",\"trips\":1", 1);
    expect(e, "fuse_reset", "\"pool\":\"fused\"", 1); /* by time, nobody asks */
    for (int i = 0; i < 5; i++)
        (void)ask(s, "\"tenant\":\"f\"");
    set_pool(s, "fused", "\"rearm\":true");
    expect(e, "fuse_tripped", "\"trips\":2", 1);
    expect(e, "fuse_reset", "\"pool\":\"fused\"", 2);
    set_pool(s, "team", "\"set\":{\"kill\":true}");
    set_pool(s, "fused", "\"set\":{\"usd\":50}");
    for (int i = 0; i < 3; i++)
        (void)ask(s, "\"tenant\":\"a\"");
    set_pool(s, "team", "\"set\":{\"kill\":null}");
    expect(e, "kill_on", "\"pool\":\"team\"", 1);
    expect(e, "kill_off", "\"pool\":\"team\"", 1);
    assert_int_equal(told(e, "kill_on", ""), 1);
    assert_int_equal(told(e, "pool_exhausted", ""), 0);
    const char *status = service_call(s, C, "{\"v\":1,\"op\":\"status\"}");
    assert_non_null(strstr(status, "\"alerts\":{\"told\":7,\"lost\":0"));
    assert_non_null(strstr(status, "\"alert\":\"kill_off\""));
    assert_true(service_logged(s, "info event=fuse_reset pool=fused"));
    stop_listening(e);
}

static void set_model(struct service *s, const char *model)
{
    char json[256];
    snprintf(json, sizeof json, "{\"v\":1,\"op\":\"models.set\",\"models\":[%s]}", model);
    assert_null(strstr(service_call(s, C, json), "error:"));
}

static void test_prices(void **state)
{
    struct service *s = *state;
    struct ear *e = listen_to(s);
    set_model(s, "{\"name\":\"mystery\",\"tier\":\"small\",\"usd_per_mtok_in\":0,"
                 "\"usd_per_mtok_out\":0}");
    set_pool(s, "team", "\"set\":{\"usd\":0.01}"); /* changes nothing about the model */
    expect(e, "unpriced", "\"model\":\"mystery\"", 1);
    for (int i = 0; i < 40; i++)
        pay(s, "\"tenant\":\"x\"", "\"output_tokens\":1000,\"cost_usd\":0.0004");
    expect(e, "invoice_drift",
           "\"model\":\"small-1\",\"reported_over_computed\":2,\"tolerance\":0.1", 1);
    for (int i = 0; i < 400; i++)
        pay(s, "\"tenant\":\"x\"", "\"output_tokens\":1000,\"cost_usd\":0.0002");
    expect(e, "invoice_agrees", "\"model\":\"small-1\"", 1);
    assert_int_equal(told(e, "invoice_drift", ""), 1);
    stop_listening(e);
    assert_int_equal(service_stop(s, SIGTERM), 0);
    service_start(s); /* at a start: once more */
    assert_true(service_logged(s, "warn event=unpriced model=mystery"));
    assert_non_null(strstr(service_call(s, C, "{\"v\":1,\"op\":\"status\"}"), "\"unpriced\""));
}

/* Sixty answers, of three tenants in turn; all are good, those of x perhaps told of as bad. */
static void tell_of(struct service *s, bool x_lies)
{
    static char json[60 * 300], told_of[60 * 160];
    char *to = json, *end = json + sizeof json;
    to += snprintf(to, (size_t)(end - to), "{\"v\":1,\"op\":\"route_many\",\"items\":[");
    for (int i = 0; i < 60; i++)
        to += snprintf(to, (size_t)(end - to),
                       "%s{\"prompt_tokens\":9,\"max_output_tokens\":9,\"tenant\":\"%c\","
                       "\"constraints\":{\"allow\":[\"small-1\"]}}",
                       i ? "," : "", "xyz"[i % 3]);
    (void)snprintf(to, (size_t)(end - to), "]}");
    const char *at = service_call(s, R, json);
    to = told_of;
    end = told_of + sizeof told_of;
    to += snprintf(to, (size_t)(end - to), "{\"v\":1,\"op\":\"feedback_many\",\"items\":[");
    for (int i = 0; i < 60; i++) {
        char id[64];
        at = strstr(at, "\"decision_id\":");
        assert_non_null(at);
        assert_true(service_string(at, "decision_id", id, sizeof id));
        at++;
        to += snprintf(to, (size_t)(end - to), "%s{\"decision_id\":\"%s\",\"quality\":%s}",
                       i ? "," : "", id,
                       i % 3 == 0 && x_lies ? "0.1"
                       : i % 2              ? "0.9"
                                            : "0.8");
    }
    (void)snprintf(to, (size_t)(end - to), "]}");
    assert_null(strstr(service_call(s, PURSER_CLIENT_FEEDBACK, told_of), "error"));
}

/* One tenant begins to report what nobody else sees: it is named, the others are not. covers: S18
 */
static void test_reports(void **state)
{
    struct service *s = *state;
    struct ear *e = listen_to(s);
    for (int i = 0; i < 16; i++)
        tell_of(s, false);
    assert_int_equal(told(e, "reports_unlike", ""), 0);
    for (int i = 0; i < 4; i++)
        tell_of(s, true);
    expect(e, "reports_unlike", "\"model\":\"small-1\",\"tenant\":\"x\"", 1);
    assert_int_equal(told(e, "reports_unlike", ""), 1);
    assert_true(service_logged(s, "warn event=reports_unlike model=small-1"));
    const char *now = service_call(s, C, "{\"v\":1,\"op\":\"alerts\"}");
    assert_non_null(strstr(now, "\"kind\":\"reports_unlike\",\"about\":\"x\""));
    stop_listening(e);
}

/* What was told is not told again by a restart: the books say that the limit was passed. */
static void test_restart(void **state)
{
    struct service *s = *state;
    for (int i = 0; i < 4; i++)
        (void)ask(s, "\"tenant\":\"a\"");
    assert_true(service_logged(s, "event=pool_soft"));
    assert_int_equal(service_stop(s, SIGKILL), -SIGKILL);
    service_start(s);
    struct ear *e = listen_to(s);
    (void)ask(s, "\"tenant\":\"a\"");
    (void)ask(s, "\"tenant\":\"a\"");
    expect(e, "pool_exhausted", "\"pool\":\"team\"", 1);
    assert_int_equal(told(e, "pool_soft", ""), 0);
    stop_listening(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_limits, setup, service_end),
        cmocka_unit_test_setup_teardown(test_overrun_fuse_kill, setup, service_end),
        cmocka_unit_test_setup_teardown(test_prices, setup, service_end),
        cmocka_unit_test_setup_teardown(test_reports, setup, service_end),
        cmocka_unit_test_setup_teardown(test_restart, setup, service_end),
    };
    cmocka_set_test_filter(getenv("PURSER_TEST")); /* one test by name */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
