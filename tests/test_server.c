/* SPDX-License-Identifier: MIT */
/*
 * The service as its clients, operators and vandals see it: the real purserd in a process of its
 * own. Codes (R1 and the like) are those of docs/faults.md.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>
#include <nng/nng.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/sub.h>
#include "core/status.h"
#include "store/maintain.h"
#include "tests/service.h"

static const enum purser_client_door R = PURSER_CLIENT_ROUTE, F = PURSER_CLIENT_FEEDBACK,
                                     C = PURSER_CLIENT_CONTROL;

static int setup(void **state)
{
    struct service *s = calloc(1, sizeof *s);
    service_new(s, "", "");
    service_start(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    service_remove(*state);
    free(*state);
    return 0;
}

static void test_lap(void **state)
{
    struct service *s = *state;
    char id[64];
    service_route(s, "q1", id);
    assert_string_equal(service_feed(s, id, "\"quality\":0.8,\"output_tokens\":50"), "applied");
    assert_string_equal(service_feed(s, id, "\"quality\":0.8,\"output_tokens\":50"), "duplicate");
    assert_string_equal(service_feed(s, id, "\"quality\":0.6,\"version\":5"), "amended");
    assert_string_equal(service_feed(s, id, "\"quality\":0.9,\"version\":3"), "superseded");
    assert_string_equal(service_feed(s, id, "\"retract\":true,\"version\":6"), "retracted");
    assert_int_equal(service_stat(s, "decisions"), 1);
}

static void test_struct_api(void **state)
{
    struct service *s = *state;
    struct purser_client_error e;
    struct purser_client_decision d;
    struct purser_client_request q = {.tenant = "acme", .task = "chat", .prompt = "hello"};
    assert_int_equal(purser_client_route(s->client, &q, &d, &e), 0);
    assert_true(d.propensity > 0 && d.propensity <= 1 && d.model[0] && d.decision_id[0]);
    assert_true(d.quality.mean >= -1 && d.quality.low <= d.quality.high);
    char status[16];
    struct purser_client_report r = {.decision_id = d.decision_id,
                                     .has = PURSER_CLIENT_QUALITY | PURSER_CLIENT_COST,
                                     .quality = 0.5,
                                     .cost_usd = 0.001};
    assert_int_equal(purser_client_feedback(s->client, &r, status, &e), 0);
    assert_string_equal(status, "applied");
    q.dry_run = true;
    assert_int_equal(purser_client_route(s->client, &q, &d, &e), 0);
    assert_string_equal(d.decision_id, "");
    q.max_cost_usd = 1e-9;
    assert_int_equal(purser_client_route(s->client, &q, &d, &e), -1);
    assert_string_equal(e.code, "no_eligible_model");
}

/* covers: R5 R2 a retry is the same decision; another body under the same id is not a retry. */
static void test_retry(void **state)
{
    struct service *s = *state;
    char a[64], b[64];
    service_route(s, "same", a);
    service_route(s, "same", b);
    assert_string_equal(a, b);
    assert_int_equal(service_stat(s, "decisions"), 1);
    assert_string_equal(service_call(s, R,
                                     "{\"v\":1,\"op\":\"route\",\"request_id\":\"same\","
                                     "\"tenant\":\"acme\",\"prompt\":\"another\"}"),
                        "error:conflict");
    assert_string_equal(service_feed(s, a, "\"feedback_id\":\"f1\",\"quality\":1"), "applied");
    assert_string_equal(service_feed(s, a, "\"feedback_id\":\"f1\",\"quality\":0"),
                        "error:conflict");
}

static const char *escalate(struct service *s, const char *id, const char *members)
{
    char json[512];
    snprintf(json, sizeof json, "{\"v\":1,\"op\":\"escalate\",\"decision_id\":\"%s\"%s}", id,
             members);
    return service_call(s, R, json);
}

/* Many at once: each has its own answer, one that is wrong does not hurt the others, a decision is
 * escalated once; the same message again gets the same bytes. */
static void test_escalate_many(void **state)
{
    struct service *s = *state;
    char id[2][64], json[1024], reply[8192];
    for (int i = 0; i < 2; i++)
        assert_true(service_string(
            service_call(s, R,
                         "{\"v\":1,\"op\":\"route\",\"constraints\":{\"allow\":[\"small-1\"]}}"),
            "decision_id", id[i], sizeof id[i]));
    snprintf(json, sizeof json,
             "{\"v\":1,\"op\":\"escalate_many\",\"items\":["
             "{\"decision_id\":\"%s\",\"request_id\":\"a\"},"
             "{\"decision_id\":\"%s\",\"request_id\":\"b\"},"
             "{\"decision_id\":\"%s\",\"request_id\":\"c\"},{\"request_id\":\"d\"}]}",
             id[0], id[1], id[0]);
    snprintf(reply, sizeof reply, "%s", service_call(s, R, json));
    const char *second = strstr(reply, "\"attempt\":2");
    assert_non_null(second);
    assert_non_null(strstr(second + 1, "\"attempt\":2"));
    assert_non_null(strstr(reply, "\"code\":\"conflict\""));
    assert_non_null(strstr(reply, "\"path\":\"/items/3/decision_id\""));
    assert_int_equal(service_stat(s, "decisions"), 4);
    assert_int_equal(service_stat(s, "feedbacks"), 2);
    assert_string_equal(service_call(s, R, json), reply);
    assert_int_equal(service_stat(s, "decisions"), 4);
}

/* The answer was found wanting: by the wire, by the client, after a kill. */
static void test_escalate(void **state)
{
    struct service *s = *state;
    struct purser_client_error e;
    struct purser_client_decision a, b, c;
    struct purser_client_request q = {.tenant = "acme", .prompt = "a contract"};
    const char *const small[] = {"small-1", NULL};
    char reply[2048];
    q.allow = small;
    assert_int_equal(purser_client_route(s->client, &q, &a, &e), 0);
    assert_int_equal(a.attempt, 1);
    q.allow = NULL;
    assert_int_equal(purser_client_escalate(s->client, a.decision_id, &q, &b, &e), 0);
    assert_true(b.attempt == 2 && strcmp(b.model, a.model) != 0);
    assert_int_equal(purser_client_escalate(s->client, a.decision_id, &q, &c, &e), -1);
    assert_string_equal(e.code, "conflict");
    q.tenant = "other";
    assert_int_equal(purser_client_escalate(s->client, a.decision_id, &q, &c, &e), -1);
    assert_string_equal(e.code, "unknown_decision");
    q = (struct purser_client_request){.tenant = "acme", .allow = small};
    assert_int_equal(purser_client_route(s->client, &q, &a, &e), 0);
    static const char more[] = ",\"tenant\":\"acme\",\"request_id\":\"e2\"";
    snprintf(reply, sizeof reply, "%s", escalate(s, a.decision_id, more));
    assert_non_null(strstr(reply, "\"attempt\":2,"));
    assert_non_null(strstr(reply, "\"escalated\""));
    service_stop(s, SIGKILL);
    service_start(s);
    assert_string_equal(escalate(s, a.decision_id, more), reply); /* the same bytes */
    assert_int_equal(service_stat(s, "decisions"), 4);
    assert_int_equal(service_stat(s, "feedbacks"), 2); /* each label once */
    assert_string_equal(escalate(s, "1-1-0000000000000000", more), "error:conflict");
    assert_string_equal(escalate(s, "1-1-0000000000000000", ",\"request_id\":\"e3\""),
                        "error:unknown_decision");
    assert_string_equal(service_feed(s, a.decision_id, "\"source\":\"escalation\",\"quality\":1"),
                        "error:bad_request");
    assert_string_equal(service_feed(s, a.decision_id, "\"quality\":1"), "applied");
}

/* covers: S8 forged, truncated, bit-flipped. */
static void test_forged(void **state)
{
    struct service *s = *state;
    char id[64];
    service_route(s, "q", id);
    size_t n = strlen(id);
    id[n - 1] = id[n - 1] == '0' ? '1' : '0';
    assert_string_equal(service_feed(s, id, "\"quality\":1"), "error:unknown_decision");
    id[n - 1] = '\0';
    assert_memory_equal(service_feed(s, id, "\"quality\":1"), "error:", 6);
    assert_string_equal(service_feed(s, "1-1-0000000000000000", "\"quality\":1"),
                        "error:unknown_decision");
    assert_int_equal(service_stat(s, "feedbacks"), 0);
}

/* covers: A4 */
static void test_errors(void **state)
{
    static const struct {
        enum purser_client_door door;
        const char *json, *error;
    } cases[] = {
        {PURSER_CLIENT_ROUTE, "{\"v\":1,\"op\":\"routes\"}", "error:bad_request"},
        {PURSER_CLIENT_ROUTE, "{\"v\":1,\"op\":\"feedback\",\"decision_id\":\"1\"}",
         "error:bad_request"},
        {PURSER_CLIENT_FEEDBACK, "{\"v\":1,\"op\":\"route\"}", "error:bad_request"},
        {PURSER_CLIENT_ROUTE, "{\"v\":999,\"op\":\"route\"}", "error:unsupported_version"},
        {PURSER_CLIENT_ROUTE, "{\"v\":1,\"op\":\"route\",\"max_cst\":1}", "error:unknown_field"},
        {PURSER_CLIENT_ROUTE, "{\"v\":1,\"op\":\"route\",\"constraints\":{\"allow\":[\"gpt-9\"]}}",
         "error:unknown_model"},
        {PURSER_CLIENT_CONTROL, "{\"v\":1,\"op\":\"stat\"}", "error:bad_request"},
        {PURSER_CLIENT_CONTROL, "{\"v\":1,\"op\":\"stats\",\"limt\":1}", "error:unknown_field"},
        {PURSER_CLIENT_CONTROL, "{\"v\":1,\"op\":\"weights.set\"}", "error:bad_request"},
        {PURSER_CLIENT_CONTROL, "{\"v\":1,\"op\":\"weights.set\",\"weights\":{\"quality\":-1}}",
         "error:bad_request"},
        {PURSER_CLIENT_CONTROL, "{\"v\":1,\"op\":\"explain\",\"decision_id\":\"7\"}",
         "error:bad_request"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = service_call(*state, cases[i].door, cases[i].json);
        if (strcmp(got, cases[i].error) != 0)
            fail_msg("%s: got %s, expected %s", cases[i].json, got, cases[i].error);
    }
    assert_int_equal(service_stat(*state, "decisions"), 0);
}

static void test_batches(void **state)
{
    struct service *s = *state;
    enum { N = 256 };
    char *json = calloc(1, 1 << 20), *p = json;
    p += sprintf(p, "{\"v\":1,\"op\":\"route_many\",\"items\":[");
    for (int i = 0; i < N; i++)
        p += sprintf(p, "%s{\"request_id\":\"m%d\",\"task\":\"t\",\"prompt\":\"n %d\"%s}",
                     i ? "," : "", i, i, i == 7 ? ",\"typo\":1" : "");
    sprintf(p, "]}");
    char *reply = strdup(service_call(s, R, json));
    assert_int_equal(service_stat(s, "decisions"), N - 1);
    assert_non_null(strstr(reply, "unknown_field"));
    p = json + sprintf(json, "{\"v\":1,\"op\":\"feedback_many\",\"items\":[");
    int n = 0;
    for (const char *at = reply; (at = strstr(at, "\"decision_id\":\"")) != NULL; n++) {
        char id[64];
        service_string(at, "decision_id", id, sizeof id);
        p += sprintf(p, "%s{\"decision_id\":\"%s\",\"quality\":0.5}", n ? "," : "", id);
        at += 10;
    }
    sprintf(p, "]}");
    assert_int_equal(n, N - 1);
    assert_non_null(strstr(service_call(s, F, json), "applied"));
    assert_int_equal(service_stat(s, "feedbacks"), N - 1);
    free(reply);
    free(json);
}

struct same {
    struct service *s;
    const char *id;
    int applied, other;
    char decision[64];
};

static void *send_same(void *arg)
{
    struct same *j = arg;
    for (int i = 0; i < 50; i++) {
        const char *a = service_feed(j->s, j->id, "\"quality\":0.7");
        if (strcmp(a, "applied") == 0)
            j->applied++;
        else if (strcmp(a, "duplicate") != 0)
            j->other++;
    }
    service_route(j->s, "parallel", j->decision);
    return NULL;
}

/* covers: R1 R4 the same things said by eight at once count once, and all get the same answer. */
static void test_parallel_same(void **state)
{
    struct service *s = *state;
    char id[64];
    service_route(s, "q", id);
    struct same job[8];
    pthread_t thread[8];
    int applied = 0;
    for (int i = 0; i < 8; i++) {
        job[i] = (struct same){.s = s, .id = id};
        pthread_create(&thread[i], NULL, send_same, &job[i]);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(thread[i], NULL);
        applied += job[i].applied;
        assert_int_equal(job[i].other, 0);
        assert_string_equal(job[i].decision, job[0].decision);
    }
    assert_int_equal(applied, 1);
    assert_int_equal(service_stat(s, "decisions"), 2);
    assert_int_equal(service_stat(s, "feedbacks"), 1);
}

static void test_control(void **state)
{
    struct service *s = *state;
    char text[192], json[400], id[64];
    assert_non_null(strstr(service_call(s, C,
                                        "{\"v\":1,\"op\":\"weights.set\",\"reason\":\"test\","
                                        "\"weights\":{\"cost\":0.25}}"),
                           "0.25"));
    assert_non_null(strstr(service_call(s, C,
                                        "{\"v\":1,\"op\":\"models.set\",\"models\":[{\"name\":"
                                        "\"mid-1\",\"usd_per_mtok_out\":1.25}]}"),
                           "1.25"));
    assert_non_null(strstr(
        service_call(s, C, "{\"v\":1,\"op\":\"policy.set\",\"policy\":{\"name\":\"uniform\"}}"),
        "uniform"));
    service_route(s, "q", id);
    snprintf(json, sizeof json, "{\"v\":1,\"op\":\"explain\",\"decision_id\":\"%s\"}", id);
    assert_non_null(strstr(service_call(s, C, json), "\"record\""));
    assert_non_null(strstr(service_call(s, C, "{\"v\":1,\"op\":\"log\"}"), "configured"));
    assert_true(service_int(service_call(s, C, "{\"v\":1,\"op\":\"snapshot\"}"), "snapshot_seq") >
                0);
    snprintf(json, sizeof json, "{\"v\":1,\"op\":\"backup\",\"to\":\"%s/copy\"}", s->dir);
    assert_non_null(strstr(service_call(s, C, json), "\"ok\":true"));
    assert_memory_equal(service_call(s, C, json), "error:", 6); /* the target exists now */
    /* Live changes survive a restart: the file's content has not changed. */
    assert_int_equal(service_stop(s, SIGTERM), 0);
    service_start(s);
    assert_non_null(strstr(service_call(s, C, "{\"v\":1,\"op\":\"weights.get\"}"), "0.25"));
    assert_true(service_string(service_call(s, C, "{\"v\":1,\"op\":\"policy.get\"}"), "name", text,
                               sizeof text));
    assert_string_equal(text, "uniform");
}

static void load(struct service *s, int n)
{
    for (int i = 0; i < n; i++) {
        char name[32], id[64];
        snprintf(name, sizeof name, "l%d", i);
        service_route(s, name, id);
        assert_string_equal(service_feed(s, id, i % 3 ? "\"quality\":0.9" : "\"quality\":0.2"),
                            "applied");
    }
}

/* What was learned is there after kill -9, bit for bit, and after a graceful stop. */
/* What is not a lens is refused and changes nothing; none is a lens that is always there. */
static void test_lens_op(void **state)
{
    struct service *s = *state;
    const char *r = service_call(s, C, "{\"v\":1,\"op\":\"lens.get\"}");
    assert_non_null(strstr(r, "\"lens\":null"));
    r = service_call(s, C, "{\"v\":1,\"op\":\"lens.set\"}");
    assert_string_equal(r, "error:bad_request");
    r = service_call(s, C, "{\"v\":1,\"op\":\"lens.set\",\"lens_b64\":\"AAAA\"}");
    assert_string_equal(r, "error:bad_request");
    r = service_call(s, C, "{\"v\":1,\"op\":\"lens.set\",\"lens_b64\":\"A\"}");
    assert_string_equal(r, "error:bad_request");
    r = service_call(s, C, "{\"v\":1,\"op\":\"lens.set\",\"lens_b64\":\"\"}");
    assert_non_null(strstr(r, "\"lens\":null"));
}

/* Relaxed: replies do not wait for the disk; a graceful stop still loses nothing. covers: R6 */
static void test_relaxed(void **state)
{
    struct service *s = *state;
    char id[64], again[64];
    assert_int_equal(service_stop(s, SIGTERM), 0);
    s->store = "\"map_gib\":1,\"durability\":\"relaxed\"";
    service_configure(s, "", "");
    service_start(s);
    load(s, 100);
    service_route(s, "kept", id);
    assert_int_equal(service_stop(s, SIGTERM), 0);
    service_start(s);
    assert_int_equal(service_stat(s, "decisions"), 101);
    assert_int_equal(service_stat(s, "feedbacks"), 100);
    service_route(s, "kept", again);
    assert_string_equal(id, again);
}

static void test_restart(void **state)
{
    struct service *s = *state;
    char before[64], id[64], again[64];
    load(s, 60);
    service_route(s, "kept", id);
    const char *status = service_call(s, C, "{\"v\":1,\"op\":\"status\",\"digest\":true}");
    int64_t seq = service_int(status, "seq");
    assert_true(service_string(status, "digest", before, sizeof before));
    service_stop(s, SIGKILL);
    struct verify_report report;
    struct problem p = {0};
    if (store_verify(s->data, NULL, NULL, &report, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    if ((int64_t)report.seq == seq) { /* a tick may have come between */
        char digest[64];
        snprintf(digest, sizeof digest, "%016llx", (unsigned long long)report.digest);
        assert_string_equal(digest, before);
    }
    service_start(s);
    assert_int_equal(service_stat(s, "decisions"), 61);
    assert_int_equal(service_stat(s, "feedbacks"), 60);
    service_route(s, "kept", again);
    assert_string_equal(id, again);
    assert_string_equal(service_feed(s, id, "\"quality\":1"), "applied");
    assert_int_equal(service_stop(s, SIGTERM), 0);
    if (store_verify(s->data, NULL, NULL, &report, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    assert_true(report.ok);
    service_start(s);
    assert_int_equal(service_stat(s, "feedbacks"), 61);
}

/* covers: R14 C3 a second service on the same directory is refused; so is an address in use, and
 * ipc. */
static void test_refused_starts(void **state)
{
    struct service *s = *state;
    struct service other;
    assert_int_equal(service_try(s, s->config), 73);
    service_new(&other, "", "");
    snprintf(other.url[0], sizeof other.url[0], "%s", s->url[0]);
    service_configure(&other, "", "");
    assert_int_equal(service_try(&other, other.config), 78);
    assert_true(service_logged(&other, "cannot listen on"));
    snprintf(other.url[0], sizeof other.url[0], "ipc:///tmp/purser-test.sock");
    service_configure(&other, "", "");
    assert_int_equal(service_try(&other, other.config), 78);
    assert_true(service_logged(&other, "NNG 1.6"));
    assert_int_equal(service_try(&other, "/nowhere.json"), 78);
    service_remove(&other);
}

/* covers: C6 C7 */
static void test_reload(void **state)
{
    struct service *s = *state;
    service_configure(s, "", "\"objective\":{\"cost\":0.5}");
    kill(s->pid, SIGHUP);
    assert_true(service_logged(s, "event=reloaded"));
    assert_non_null(strstr(service_call(s, C, "{\"v\":1,\"op\":\"weights.get\"}"), "\"cost\":0.5"));
    service_configure(s, "", "\"objctive\":{}");
    kill(s->pid, SIGHUP);
    assert_true(service_logged(s, "event=reload_refused"));
    service_configure(s, "\"route_slots\":3", "");
    kill(s->pid, SIGHUP);
    assert_true(service_logged(s, "at=/limits/route_slots"));
    assert_true(service_logged(s, "/limits/route_slots changes only with a restart"));
    assert_string_equal(
        service_call(s, C, "{\"v\":1,\"op\":\"weights.set\",\"weights\":{},\"reason\":7}"),
        "error:bad_request"); /* the log would lack it */
    assert_non_null(strstr(service_call(s, C, "{\"v\":1,\"op\":\"weights.get\"}"), "\"cost\":0.5"));
}

/* A tenant gets a learner of its own while the service runs; it is named wherever it decides, and
 * there after a restart. */
static void test_learners(void **state)
{
    struct service *s = *state;
    char id[64], json[200];
    assert_non_null(strstr(service_call(s, C,
                                        "{\"v\":1,\"op\":\"learners.set\",\"learners\":[{"
                                        "\"tenant\":\"acme\",\"borrows\":7}]}"),
                           "\"borrows\":7"));
    assert_string_equal(service_call(s, C,
                                     "{\"v\":1,\"op\":\"learners.set\",\"learners\":[{"
                                     "\"tenant\":\"acme\",\"borrows\":-7}]}"),
                        "error:bad_request");
    for (int i = 0; i < 2; i++) {
        service_route(s, i ? "r2" : "r1", id); /* of tenant acme */
        assert_string_equal(service_feed(s, id, "\"quality\":1"), "applied");
        const char *stats = service_call(s, C, "{\"v\":1,\"op\":\"stats\"}");
        assert_non_null(strstr(stats, "\"learners\":[{\"tenant\":\"acme\",\"active\":true,"
                                      "\"shares\":true,\"borrows\":7,\"models\":["));
        assert_true(i > 0 || strstr(stats, "\"quality_labels\":1"));
        snprintf(json, sizeof json, "{\"v\":1,\"op\":\"explain\",\"decision_id\":\"%s\"}", id);
        const char *told = service_call(s, C, json);
        assert_true(strstr(told, "\"learner\":\"acme\"") && strstr(told, "\"learner\":1"));
        if (i == 0) {
            assert_int_equal(service_stop(s, SIGTERM), 0);
            service_start(s);
        }
    }
    service_call(s, C,
                 "{\"v\":1,\"op\":\"learners.set\",\"learners\":[{\"tenant\":\"acme\",\"active\":"
                 "false}]}");
    service_route(s, "r3", id);
    snprintf(json, sizeof json, "{\"v\":1,\"op\":\"explain\",\"decision_id\":\"%s\"}", id);
    assert_non_null(strstr(service_call(s, C, json), "\"learner\":\"shared\""));
}

/* covers: S10 */
static void test_late(void **state)
{
    struct service *s = calloc(1, sizeof *s);
    (void)state;
    service_new(s, "\"open_decisions\":1", "\"learner\":{\"join_window_hours\":0.001}");
    service_start(s);
    char a[64], b[64], c[64];
    service_route(s, "a", a);
    service_route(s, "b", b);
    service_route(s, "c", c);
    assert_string_equal(service_feed(s, a, "\"quality\":1"),
                        "applied"); /* recalled from the store */
    assert_string_equal(service_feed(s, a, "\"quality\":1"), "duplicate");
    assert_string_equal(service_feed(s, a, "\"quality\":0.5,\"version\":9"), "amended");
    for (int64_t end = service_ms() + 4200; service_ms() < end;)
        (void)service_stat(s, "seq");
    assert_string_equal(service_feed(s, b, "\"quality\":1"), "late");
    assert_int_equal(service_stop(s, SIGTERM), 0);
    service_remove(s);
    free(s);
}

/* What nobody reports on is labelled when its deadline passes, on a service that is otherwise
 * quiet, also when it was down at that time; a report displaces the label; callers cannot speak as
 * it. */
static void test_silence(void **state)
{
    (void)state;
    struct service *s = calloc(1, sizeof *s);
    char a[64], b[64];
    service_new(s, "", "\"silence\":[{\"quality\":0.75,\"after_hours\":0.0005}]"); /* 1.8 s */
    service_start(s);
    service_route(s, "a", a);
    assert_string_equal(service_feed(s, a, "\"source\":\"silence\",\"quality\":1"),
                        "error:bad_request");
    assert_int_equal(service_stat(s, "feedbacks"), 0);
    for (int64_t end = service_ms() + 10000;
         service_ms() < end && service_stat(s, "feedbacks") == 0;)
        ;
    assert_int_equal(service_stat(s, "feedbacks"), 1);
    service_route(s, "b", b);
    assert_int_equal(service_stop(s, SIGKILL), -SIGKILL);
    service_start(s);
    for (int64_t end = service_ms() + 10000;
         service_ms() < end && service_stat(s, "feedbacks") == 1;)
        ;
    const char *stats = service_call(s, C, "{\"v\":1,\"op\":\"stats\"}");
    int64_t labels = 0;
    for (const char *p = stats; (p = strstr(p, "\"labels\":{\"quality\":")) != NULL; p++)
        labels += service_int(p, "quality");
    assert_int_equal(labels, 2);
    assert_string_equal(service_feed(s, a, "\"quality\":0.25"), "applied");
    assert_string_equal(service_feed(s, a, "\"quality\":0.25"), "duplicate");
    assert_int_equal(service_stop(s, SIGTERM), 0);
    service_remove(s);
    free(s);
}

/* Many deadlines at one time are worked off in pieces, and requests are answered meanwhile. */
static void test_silence_many(void **state)
{
    (void)state;
    enum { BATCHES = 20, EACH = 250 };
    struct service *s = calloc(1, sizeof *s);
    static char json[EACH * 64];
    service_new(s, "", "\"silence\":[{\"quality\":1,\"after_hours\":0.001}]"); /* 3.6 s */
    service_start(s);
    for (int k = 0; k < BATCHES; k++) {
        size_t n =
            (size_t)snprintf(json, sizeof json, "{\"v\":1,\"op\":\"route_many\",\"items\":[");
        for (int i = 0; i < EACH; i++)
            n += (size_t)snprintf(json + n, sizeof json - n, "%s{\"task\":\"t%d\"}", i ? "," : "",
                                  i % 5);
        snprintf(json + n, sizeof json - n, "]}");
        assert_non_null(strstr(service_call(s, R, json), "decision_id"));
    }
    assert_int_equal(service_stop(s, SIGTERM), 0);
    for (int64_t end = service_ms() + 3600; service_ms() < end;)
        usleep(10000);
    service_start(s); /* all are due by now */
    int64_t slowest = 0, start = service_ms();
    for (int64_t end = start + 20000;
         service_ms() < end && service_stat(s, "feedbacks") < (int64_t)BATCHES * EACH;) {
        int64_t before = service_ms();
        const char *dry = "{\"v\":1,\"op\":\"route\",\"dry_run\":true}"; /* brings nothing about */
        assert_non_null(strstr(service_call(s, R, dry), "propensity"));
        int64_t took = service_ms() - before;
        slowest = took > slowest ? took : slowest;
    }
    print_message("%d labels by silence in %d ms, the slowest request meanwhile %d ms\n",
                  BATCHES * EACH, (int)(service_ms() - start), (int)slowest);
    assert_int_equal(service_stat(s, "feedbacks"), BATCHES * EACH);
    assert_int_equal(service_stop(s, SIGTERM), 0);
    service_remove(s);
    free(s);
}

static void test_intake_and_events(void **state)
{
    struct service *s = *state;
    nng_socket sub, push;
    char id[64], json[256];
    assert_int_equal(nng_sub0_open(&sub), 0);
    nng_socket_set(sub, NNG_OPT_SUB_SUBSCRIBE, "", 0);
    nng_socket_set_ms(sub, NNG_OPT_RECVTIMEO, 5000);
    assert_int_equal(nng_dial(sub, s->url[3], NULL, 0), 0);
    assert_int_equal(nng_push0_open(&push), 0);
    assert_int_equal(nng_dial(push, s->url[4], NULL, 0), 0);
    /* The service may take the subscriber in after its dialling has ended: until it hears
     * something. */
    char *first = NULL;
    size_t len;
    nng_socket_set_ms(sub, NNG_OPT_RECVTIMEO, 200);
    for (int i = 0; nng_recv(sub, &first, &len, NNG_FLAG_ALLOC) != 0; i++) {
        assert_true(i < 100);
        (void)snprintf(json, sizeof json, "before-%d", i);
        service_route(s, json, id);
    }
    nng_free(first, len);
    nng_socket_set_ms(sub, NNG_OPT_RECVTIMEO, 5000);
    service_route(s, "q", id);
    int n = snprintf(json, sizeof json,
                     "{\"v\":1,\"op\":\"feedback\",\"decision_id\":\"%s\",\"quality\":0.25}", id);
    assert_int_equal(nng_send(push, json, (size_t)n, 0), 0);
    assert_int_equal(nng_send(push, (char[]){"garbage"}, 7, 0), 0);
    bool decided = false, fed = false;
    for (int i = 0; !fed; i++) {
        char *line = NULL;
        assert_true(i < 200); /* each second has a line of its own */
        assert_int_equal(nng_recv(sub, &line, &len, NNG_FLAG_ALLOC), 0);
        decided |= memmem(line, len, "decided", 7) != NULL;
        fed |= memmem(line, len, "0.25", 4) != NULL;
        nng_free(line, len);
    }
    assert_true(decided);
    assert_int_equal(service_stat(s, "feedbacks"), 1);
    nng_close(sub);
    nng_close(push);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_struct_api, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escalate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escalate_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parallel_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_control, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lens_op, setup, teardown),
        cmocka_unit_test_setup_teardown(test_relaxed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_starts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_learners, setup, teardown),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_silence_many),
        cmocka_unit_test_setup_teardown(test_intake_and_events, setup, teardown),
    };
    cmocka_set_test_filter(getenv("PURSER_TEST")); /* one test by name */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
