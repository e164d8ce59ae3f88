/* SPDX-License-Identifier: MIT */
/*
 * How the service ends and what it does when it cannot write: SIGTERM under load, again and again,
 * and a disk that is full and freed again. Every acknowledged decision must be there afterwards.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>
#include "core/status.h"
#include "store/maintain.h"
#include "tests/service.h"

static const enum purser_client_door R = PURSER_CLIENT_ROUTE, C = PURSER_CLIENT_CONTROL;

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

struct hammer {
    struct service *s;
    int me, acked;
    atomic_bool *stop;
    char id[4096][64];
};

/* Routes and reports until the service goes away; remembers what was acknowledged. */
static void *hammer(void *arg)
{
    struct hammer *h = arg;
    for (int i = 0; i < 4096 && !*h->stop; i++) {
        char json[200], id[64];
        snprintf(json, sizeof json, "{\"v\":1,\"op\":\"route\",\"request_id\":\"h%d-%d\"}", h->me,
                 i);
        if (!service_string(service_call(h->s, R, json), "decision_id", id, sizeof id))
            break;
        snprintf(h->id[h->acked++], 64, "%s", id);
        if (strcmp(service_feed(h->s, id, "\"quality\":0.5"), "applied") != 0)
            break;
    }
    return NULL;
}

/* covers: G1 SIGTERM under load ends in time, with exit code 0, and nothing acknowledged is lost.
 */
static void test_drain(void **state)
{
    struct service *s = *state;
    enum { THREADS = 8, ROUNDS = 20 };
    static struct hammer h[THREADS];
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread[THREADS];
        atomic_bool stop = false;
        if (round > 0)
            service_start(s);
        purser_client_close(s->client);
        struct purser_client_options o = {
            .timeout_ms = 1500, .retries = -1, .control_url = s->url[2]};
        assert_int_equal(purser_client_open(s->url[0], s->url[1], &o, &s->client, NULL), 0);
        for (int i = 0; i < THREADS; i++) {
            h[i] = (struct hammer){.s = s, .me = round * THREADS + i, .stop = &stop};
            pthread_create(&thread[i], NULL, hammer, &h[i]);
        }
        usleep(50000 + (unsigned)round * 5000); /* some load first: any moment will do */
        pid_t pid = s->pid;
        int64_t began = service_ms();
        kill(pid, SIGTERM);
        stop = round % 2;
        for (int i = 0; i < THREADS; i++)
            pthread_join(thread[i], NULL);
        assert_int_equal(service_stop(s, 0), 0);
        assert_true(service_ms() - began < 10000);
        service_start(s);
        for (int i = 0; i < THREADS; i++)
            for (int k = 0; k < h[i].acked; k += 1 + h[i].acked / 5)
                assert_string_equal(
                    service_feed(s, h[i].id[k], "\"latency_ms\":1,\"source\":\"x\""), "applied");
        assert_int_equal(service_stop(s, SIGINT), 0);
    }
    struct verify_report report;
    struct problem p = {0};
    if (store_verify(s->data, NULL, NULL, &report, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    assert_true(report.ok);
    service_start(s);
}

/* The disk fills up and is freed again. covers: D7 */
static void test_full_disk(void **state)
{
    struct service *s = *state;
    char id[64], other[64];
    (void)other;
    if (!getenv("PURSER_TEST_PRELOAD"))
        skip();
    service_route(s, "before", id);
    fclose(fopen(s->full_flag, "we"));
    const char *r = service_call(s, R, "{\"v\":1,\"op\":\"route\",\"request_id\":\"during\"}");
    assert_string_equal(r, "error:storage_full");
    r = service_call(s, R, "{\"v\":1,\"op\":\"route\",\"request_id\":\"later\"}");
    assert_non_null(strstr(r, "not_recorded"));
    assert_null(strstr(r, "decision_id"));
    assert_string_equal(service_feed(s, id, "\"quality\":1"), "error:storage_full");
    assert_non_null(strstr(service_call(s, C, "{\"v\":1,\"op\":\"status\"}"), "storage_full"));
    /* Nothing is undone, and the audit says so afterwards by saying nothing. */
    char undo[256];
    snprintf(undo, sizeof undo,
             "{\"v\":1,\"op\":\"unlearn\",\"reason\":\"t\",\"items\":[{\"decision_id\":\"%s\","
             "\"quality\":0.5}]}",
             id);
    assert_non_null(strstr(service_call(s, C, undo), "storage_full"));
    assert_non_null(
        strstr(service_call(s, C, "{\"v\":1,\"op\":\"config.at\",\"entry\":1}"), "storage_full"));
    unlink(s->full_flag);
    assert_true(service_logged(s, "event=storage_back"));
    assert_string_equal(service_feed(s, id, "\"quality\":1"), "applied");
    assert_null(strstr(service_call(s, C, "{\"v\":1,\"op\":\"audit\"}"), "unlearn"));
    service_route(s, "after", other);
    int64_t n = service_stat(s, "decisions");
    r = service_call(s, R, "{\"v\":1,\"op\":\"route\",\"request_id\":\"during\"}");
    assert_non_null(strstr(r, "decision_id")); /* the decision made before the disk was full */
    assert_int_equal(service_stat(s, "decisions"), n);
    assert_int_equal(service_stop(s, SIGTERM), 0);
    service_start(s);
    assert_int_equal(service_stat(s, "decisions"), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain, setup, teardown),
    };
    cmocka_set_test_filter(getenv("PURSER_TEST")); /* one test by name */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
