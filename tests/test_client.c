/* SPDX-License-Identifier: MIT */
/*
 * The client library against services that are absent, slow, mute, dishonest or restarted; the
 * wall clock's bounds; TLS; the command line; and the example program.
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include "tests/service.h"
#include "transport/wallclock.h"

/* A service made of a list of replies; NULL = none. Counts what it was asked. */
struct puppet {
    nng_socket socket;
    char url[64];
    const char *const *reply;
    int asked;
    char last[2048];
    pthread_t thread;
    atomic_int connections; /* that ever were */
};

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct puppet *p = arg;
    (void)pipe;
    (void)event;
    atomic_fetch_add(&p->connections, 1);
}

static void *puppet_main(void *arg)
{
    struct puppet *p = arg;
    for (;;) {
        char *bytes;
        size_t n;
        if (nng_recv(p->socket, &bytes, &n, NNG_FLAG_ALLOC) != 0)
            return NULL;
        snprintf(p->last, sizeof p->last, "%.*s", (int)n, bytes);
        nng_free(bytes, n);
        const char *answer = p->reply[p->asked++];
        if (answer && nng_send(p->socket, (void *)(uintptr_t)answer, strlen(answer), 0) != 0)
            return NULL;
    }
}

static void puppet_start(struct puppet *p, const char *const *reply)
{
    memset(p, 0, sizeof *p);
    p->reply = reply;
    snprintf(p->url, sizeof p->url, "tcp://127.0.0.1:%d", service_port());
    assert_int_equal(nng_rep0_open(&p->socket), 0);
    assert_int_equal(nng_pipe_notify(p->socket, NNG_PIPE_EV_ADD_POST, on_pipe, p), 0);
    assert_int_equal(nng_listen(p->socket, p->url, NULL, 0), 0);
    pthread_create(&p->thread, NULL, puppet_main, p);
}

static void puppet_stop(struct puppet *p)
{
    nng_close(p->socket);
    pthread_join(p->thread, NULL);
}

static int ask(const char *url, int timeout_ms, int retries, struct purser_client_decision *d,
               struct purser_client_error *e)
{
    struct purser_client *c;
    struct purser_client_options o = {.timeout_ms = timeout_ms, .retries = retries};
    struct purser_client_request q = {.task = "t"};
    assert_int_equal(purser_client_open(url, NULL, &o, &c, e), 0);
    int r = purser_client_route(c, &q, d, e);
    purser_client_close(c);
    return r;
}

static const char good[] = "{\"v\":1,\"decision_id\":\"1-2-3\",\"model\":\"m\",\"tier\":\"small\","
                           "\"propensity\":0.5,\"expected\":{\"quality\":{\"mean\":0.5,\"low\":0,"
                           "\"high\":1}},\"fallbacks\":[\"a\",\"b\"],\"new_member\":[{}]}";

static void test_absent(void **state)
{
    struct purser_client_decision d;
    struct purser_client_error e;
    char url[64];
    (void)state;
    snprintf(url, sizeof url, "tcp://127.0.0.1:%d", service_port());
    int64_t began = service_ms();
    assert_int_equal(ask(url, 100, 2, &d, &e), -1);
    assert_string_equal(e.code, "timeout");
    assert_true(e.retryable && service_ms() - began < 3000);
    struct purser_client *c;
    assert_int_equal(purser_client_open("nonsense", NULL, NULL, &c, &e), -1);
    assert_string_equal(e.code, "connection");
}

static void test_retries(void **state)
{
    static const char busy[] = "{\"v\":1,\"error\":{\"code\":\"overloaded\",\"message\":\"m\"}}";
    static const char *const replies[] = {busy, NULL, good};
    struct purser_client_decision d;
    struct purser_client_error e;
    struct puppet p;
    (void)state;
    puppet_start(&p, replies);
    assert_int_equal(ask(p.url, 300, 5, &d, &e), 0);
    assert_int_equal(p.asked, 3);
    assert_int_equal(p.connections, 2);       /* a fresh one after the timeout, and only then */
    assert_int_equal(p.last[0] & 0xf0, 0x80); /* MessagePack */
    assert_non_null(strstr(p.last, "request_id\xd9 ")); /* made once, for all three */
    assert_string_equal(d.model, "m");
    assert_int_equal(d.n_fallbacks, 2);
    assert_true(d.quality.high == 1 && d.cost_usd.mean != d.cost_usd.mean); /* not said: NaN */
    puppet_stop(&p);
}

static void test_no_retry_of_refusals(void **state)
{
    static const char *const replies[] = {
        "{\"v\":1,\"error\":{\"code\":\"budget_exhausted\",\"message\":\"m\",\"path\":\"/x\","
        "\"retry_after_ms\":5}}",
        "no json", good};
    struct purser_client_decision d;
    struct purser_client_error e;
    struct puppet p;
    (void)state;
    puppet_start(&p, replies);
    assert_int_equal(ask(p.url, 1000, 5, &d, &e), -1);
    assert_string_equal(e.code, "budget_exhausted");
    assert_string_equal(e.path, "/x");
    assert_true(e.retryable && e.retry_after_ms == 5);
    assert_int_equal(p.asked, 1);
    assert_int_equal(ask(p.url, 1000, 5, &d, &e), -1);
    assert_string_equal(e.code, "bad_reply");
    puppet_stop(&p);
}

/* covers: P8 */
static void test_local_checks(void **state)
{
    struct purser_client *c;
    struct purser_client_error e;
    struct purser_client_decision d;
    (void)state;
    assert_int_equal(purser_client_open("tcp://127.0.0.1:9", NULL, NULL, &c, &e), 0);
    struct purser_client_request q = {.prompt = "\xff\xfe"};
    assert_int_equal(purser_client_route(c, &q, &d, &e), -1);
    assert_string_equal(e.code, "bad_request");
    char *big = malloc(1100000);
    memset(big, 'a', 1099999);
    big[1099999] = '\0';
    q.prompt = big;
    assert_int_equal(purser_client_route(c, &q, &d, &e), -1);
    assert_string_equal(e.code, "too_large"); /* at once, not by a timeout */
    struct purser_client_report r = {.decision_id = "1"};
    assert_int_equal(purser_client_feedback(c, &r, NULL, &e), -1);
    assert_string_equal(e.code, "bad_request"); /* no feedback address */
    char *reply;
    assert_int_equal(purser_client_call(c, PURSER_CLIENT_ROUTE, "[1", &reply, NULL), -1);
    assert_null(reply);
    free(big);
    purser_client_close(c);
}

/* A call that is under way when the service is killed ends up with one decision. covers: R3 */
static void test_restart_under_call(void **state)
{
    struct service s;
    (void)state;
    service_new(&s, "", "");
    service_start(&s);
    struct purser_client *c;
    struct purser_client_options o = {.timeout_ms = 1000, .retries = 10};
    assert_int_equal(purser_client_open(s.url[0], s.url[1], &o, &c, NULL), 0);
    for (int i = 0; i < 5; i++) {
        char id[32];
        struct purser_client_decision d;
        struct purser_client_error e;
        snprintf(id, sizeof id, "r%d", i);
        struct purser_client_request q = {.request_id = id};
        service_stop(&s, i % 2 ? SIGTERM : SIGKILL);
        service_start(&s);
        if (purser_client_route(c, &q, &d, &e) != 0)
            fail_msg("%s: %s", e.code, e.message);
    }
    purser_client_close(c);
    assert_int_equal(
        service_int(service_call(&s, PURSER_CLIENT_CONTROL, "{\"v\":1,\"op\":\"stats\"}"),
                    "decisions"),
        5);
    assert_int_equal(service_stop(&s, SIGTERM), 0);
    service_remove(&s);
}

/* What is said in either encoding is the same: the second is known for a retry of the first. */
static void test_encodings(void **state)
{
    static const char *const some[] = {"small-1", "mid-1", "large-1", NULL};
    float embedding[384];
    struct service s;
    (void)state;
    for (int i = 0; i < 384; i++)
        embedding[i] = (float)i / 7 - 20;
    service_new(&s, "", "");
    service_start(&s);
    const struct purser_client_request q = {.request_id = "r",
                                            .tenant = "acme",
                                            .prompt = "h\xc3\xa9 \"x\"\n",
                                            .value = 2.5,
                                            .max_cost_usd = 0.1,
                                            .allow = some,
                                            .embedding = embedding,
                                            .n_embedding = 384};
    struct purser_client_decision d[2];
    for (int i = 0; i < 2; i++) {
        struct purser_client *c;
        struct purser_client_error e;
        struct purser_client_options o = {.json = i};
        char status[16];
        assert_int_equal(purser_client_open(s.url[0], s.url[1], &o, &c, NULL), 0);
        if (purser_client_route(c, &q, &d[i], &e) != 0)
            fail_msg("%s: %s", e.code, e.message);
        struct purser_client_report r = {.decision_id = d[i].decision_id,
                                         .has = PURSER_CLIENT_QUALITY | PURSER_CLIENT_COST,
                                         .quality = 0.1,
                                         .cost_usd = 0.0012};
        assert_int_equal(purser_client_feedback(c, &r, status, &e), 0);
        assert_string_equal(status, i ? "duplicate" : "applied");
        r.quality = 7;
        assert_int_equal(purser_client_feedback(c, &r, status, &e), -1);
        assert_string_equal(e.path, "/quality");
        purser_client_close(c);
    }
    assert_string_equal(d[0].decision_id, d[1].decision_id);
    assert_string_equal(d[0].model, d[1].model);
    assert_true(d[0].propensity == d[1].propensity && d[0].propensity > 0);
    double off = d[0].cost_usd.mean - d[1].cost_usd.mean;
    assert_true(off < 1e-9 && off > -1e-9 && d[0].n_fallbacks == d[1].n_fallbacks);
    assert_int_equal(service_stop(&s, SIGTERM), 0);
    service_remove(&s);
}

struct caller {
    struct purser_client *client;
    pthread_t thread;
    atomic_int *stop;
    int answered;
    struct purser_client_error failed;
};

static void *caller_main(void *arg)
{
    struct caller *k = arg;
    struct purser_client_request q = {.task = "t"};
    struct purser_client_decision d;
    while (!atomic_load(k->stop) && !k->failed.code[0])
        k->answered += purser_client_route(k->client, &q, &d, &k->failed) == 0;
    return NULL;
}

/* A service that freezes, dies frozen and comes back, again and again: timeouts meet breaking
 * connections. Every call of four threads is answered in the end, and closing does not hang.
 * covers: G5 G4 */
static void test_freeze_and_kill(void **state)
{
    struct service s;
    struct caller k[4] = {{0}};
    atomic_int stop = 0;
    struct purser_client *c;
    struct purser_client_options o = {.timeout_ms = 150, .retries = 40};
    (void)state;
    service_new(&s, "", "");
    service_start(&s);
    assert_int_equal(purser_client_open(s.url[0], NULL, &o, &c, NULL), 0);
    for (int i = 0; i < 4; i++) {
        k[i].client = c;
        k[i].stop = &stop;
        pthread_create(&k[i].thread, NULL, caller_main, &k[i]);
    }
    for (int i = 0; i < 6; i++) {
        const struct timespec frozen = {0, (130 + 20 * i) * 1000000L}; /* about the timeout */
        nanosleep(&(struct timespec){0, 100000000}, NULL);
        kill(s.pid, SIGSTOP);
        nanosleep(&frozen, NULL);
        if (i % 3 == 0)
            kill(s.pid, SIGCONT);
        else {
            service_stop(&s, SIGKILL);
            service_start(&s);
        }
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 4; i++) {
        pthread_join(k[i].thread, NULL);
        if (k[i].failed.code[0] || k[i].answered == 0)
            fail_msg("%d answered, then %s: %s", k[i].answered, k[i].failed.code,
                     k[i].failed.message);
    }
    purser_client_close(c);
    assert_int_equal(service_stop(&s, SIGTERM), 0);
    service_remove(&s);
}

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int run(const char *fmt, ...)
{
    char command[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* covers: P17 TLS with a certificate of our own authority, and without. */
static void test_tls(void **state)
{
    struct service s;
    (void)state;
    service_new(&s, "", "");
    if (run("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 "
            "-subj /CN=ca 2>/dev/null && openssl req -newkey rsa:2048 -nodes -keyout s.key -out "
            "s.csr -subj /CN=127.0.0.1 2>/dev/null && openssl x509 -req -in s.csr -CA ca.pem "
            "-CAkey ca.key -CAcreateserial -out s.pem -days 2 2>/dev/null && "
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout o.key -out o.pem -days 2 -subj "
            "/CN=o 2>/dev/null && cat s.pem s.key > client.pem && chmod 600 *.key",
            s.dir) != 0) {
        service_remove(&s);
        skip();
    }
    snprintf(s.url[0], sizeof s.url[0], "tls+tcp://127.0.0.1:%d", s.port[0]);
    char path[3][256];
    snprintf(path[0], 256, "%s/ca.pem", s.dir);
    snprintf(path[1], 256, "%s/o.pem", s.dir);
    snprintf(path[2], 256, "%s/client.pem", s.dir);
    assert_int_equal(run("sed -i 's|\"listen\":{\"route\":\"[^\"]*\"|\"listen\":{\"route\":\"%s\","
                         "\"tls\":{\"cert\":\"%s/s.pem\",\"key\":\"%s/s.key\",\"ca\":\"%s/ca.pem\","
                         "\"require_client_cert\":true}|' %s",
                         s.url[0], s.dir, s.dir, s.dir, s.config),
                     0);
    service_start(&s);
    static const struct {
        int ca, cert, result;
    } cases[] = {{0, 2, 0}, {1, 2, -1}, {0, -1, -1}};
    for (int i = 0; i < 3; i++) {
        struct purser_client_options o = {.timeout_ms = i ? 500 : 5000,
                                          .retries = -1,
                                          .tls_ca = path[cases[i].ca],
                                          .tls_cert = cases[i].cert < 0 ? NULL : path[2]};
        struct purser_client *c;
        struct purser_client_error e = {.code = ""};
        struct purser_client_request q = {.task = "t"};
        struct purser_client_decision d;
        assert_int_equal(purser_client_open(s.url[0], NULL, &o, &c, &e), 0);
        if (purser_client_route(c, &q, &d, &e) != cases[i].result)
            fail_msg("case %d: %s %s", i, e.code, e.message);
        purser_client_close(c);
    }
    assert_int_equal(service_stop(&s, SIGTERM), 0);
    assert_int_equal(run("chmod o+r %s/s.key", s.dir), 0); /* covers: C4 a key everybody may read */
    assert_int_equal(service_try(&s, s.config), 78);
    assert_true(service_logged(&s, "may be read by everybody"));
    service_remove(&s);
}

/* The commands of `purser`, as a user types them. */
static void test_command_line(void **state)
{
    struct service s;
    (void)state;
    service_new(&s, "", "");
    service_start(&s);
    char at[400];
    snprintf(at, sizeof at, "--route %s --feedback %s --control %s --timeout 5000", s.url[0],
             s.url[1], s.url[2]);
    static const struct {
        const char *arguments;
        int online, code;
    } cases[] = {
        {"demo", 1, 0},
        {"status --digest", 1, 0},
        {"top --once", 1, 0},
        {"top --json", 1, 0},
        {"models", 1, 0},
        {"models list --json", 1, 0},
        {"models set '{\"name\":\"mid-1\",\"usd_per_mtok_in\":0.4}' --reason cheaper", 1, 0},
        {"models set '{\"name\":\"new\"}'", 1, 1},
        {"weights set cost=0.3", 1, 0},
        {"weights set cost=-1", 1, 1},
        {"weights set", 1, 64},
        {"weights gte", 1, 64},
        {"policy set name=greedy", 1, 0},
        {"policy get", 1, 0},
        {"snapshot", 1, 0},
        {"route --task t --prompt hello --explain", 1, 0},
        {"route --task t --prompt-file /nowhere", 1, 64},
        {"route '{\"task\":\"t\",\"typo\":1}'", 1, 1},
        {"feedback", 1, 64},
        {"feedback 1-1-0000000000000000 --quality 1", 1, 1},
        {"feedback 1-1-0000000000000000 --quality high", 1, 64},
        {"explain 1-1-0000000000000000", 1, 1},
        {"status --timeout 100 --retries 0 --control tcp://127.0.0.1:9", 0, 2},
        {"log", 0, 64},
        {"log --data $D/data --from 1 --to 5", 0, 0},
        {"verify --data $D/data", 0, 0},
        {"verify --data $D/none", 0, 1},
        {"backup --data $D/data --to $D/copy --json", 0, 0},
        {"backup --data $D/data --to $D/copy", 0, 1},
        {"restore --from $D/copy --data $D/again", 0, 0},
        {"verify --data $D/again", 0, 0},
        {"check $D/config.json", 0, 0},
        {"check $D/log", 0, 78},
        {"check", 0, 64},
        {"nonsense", 0, 64},
        {"route --help", 0, 0},
        {"--help", 0, 0},
        {"--version", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int code = run("D=%s; %s %s %s >$D/out 2>&1", s.dir, PURSER, cases[i].arguments,
                       cases[i].online ? at : "");
        if (code != cases[i].code) {
            run("cat %s/out", s.dir);
            fail_msg("purser %s: exit %d, expected %d", cases[i].arguments, code, cases[i].code);
        }
    }
    assert_int_equal(run("%s %s %s", EXAMPLE, s.url[0], s.url[1]), 0);
    assert_int_equal(service_stop(&s, SIGTERM), 0);
    service_remove(&s);
}

/* Whether a start is told of as one after a long time. */
static bool gap_told(int64_t fold_ms, int64_t wall_ms)
{
    struct wallclock c;
    char text[1024] = {0};
    FILE *f = tmpfile();
    int kept = dup(2);
    assert_true(f && kept >= 0 && dup2(fileno(f), 2) == 2);
    wallclock_init(&c, fold_ms, wall_ms, 0);
    assert_int_equal(dup2(kept, 2), 2);
    (void)close(kept);
    rewind(f);
    (void)!fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    assert_int_equal(wallclock_at(&c, wall_ms, 0), fold_ms > wall_ms ? fold_ms : wall_ms);
    return strstr(text, "event=clock_gap") != NULL;
}

/* covers: K1 K2 K3 K4 K8 jumps of the wall clock. */
static void test_wallclock(void **state)
{
    const int64_t day = 86400000, t0 = 1700000000000;
    struct wallclock c;
    (void)state;
    wallclock_init(&c, 0, t0, 1000);
    assert_int_equal(wallclock_at(&c, t0 + 10, 1010), t0 + 10);
    assert_int_equal(wallclock_at(&c, t0 + day, 1020), t0 + 20); /* not believed */
    assert_int_equal(wallclock_at(&c, t0 + day + 1800000, 1801020), t0 + 1800020);
    assert_int_equal(wallclock_at(&c, t0 + day + 3600000, 3601020),
                     t0 + day + 3600000); /* lasted */
    /* Back by a day: time goes on at half speed, never back. */
    int64_t now = t0 + day + 3600000;
    assert_int_equal(wallclock_at(&c, t0, 3602020), now + 500);
    assert_int_equal(wallclock_at(&c, t0, 3602020), now + 500);
    int64_t last = now + 500;
    for (int i = 1; i < 1000; i++) { /* steps too short to halve are not lost */
        int64_t next = wallclock_at(&c, t0 + i, 3602020 + i);
        assert_true(next >= last);
        last = next;
    }
    assert_in_range(last - (now + 500), 490, 500);
    /* A jump that goes away again leaves no trace. */
    wallclock_init(&c, 0, t0, 0);
    assert_int_equal(wallclock_at(&c, t0 + day, 10), t0 + 10);
    assert_int_equal(wallclock_at(&c, t0 + 20, 20), t0 + 20);
    assert_int_equal(wallclock_at(&c, t0 + day, 4000000), t0 + 4000000);
    /* A store from the future: the fold's clock leads. */
    wallclock_init(&c, t0 + day, t0, 0);
    assert_int_equal(wallclock_at(&c, t0, 100), t0 + day + 50);
    /* While the service is down a jump cannot be told from time that passed. */
    assert_false(gap_told(0, t0));
    assert_false(gap_told(t0, t0 + day));
    assert_true(gap_told(t0, t0 + day + 1));
    assert_false(gap_told(t0 + day, t0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wallclock),    cmocka_unit_test(test_absent),
        cmocka_unit_test(test_retries),      cmocka_unit_test(test_no_retry_of_refusals),
        cmocka_unit_test(test_local_checks), cmocka_unit_test(test_restart_under_call),
        cmocka_unit_test(test_encodings),    cmocka_unit_test(test_freeze_and_kill),
        cmocka_unit_test(test_tls),          cmocka_unit_test(test_command_line),
    };
    cmocka_set_test_filter(getenv("PURSER_TEST")); /* one test by name */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
