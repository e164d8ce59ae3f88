/* SPDX-License-Identifier: MIT */
/*
 * Fixture of the transport tests: the real program, real sockets, a real store. Conditions are
 * waited for with a bound, never slept for.
 */
#include "tests/service.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

enum { REPLY_CAP = 512 * 1024 }; /* a batch of 256 answers, and some */

int64_t service_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* The next one in turn of all tests on this machine, below the range of clients' ports: as and why
 * tests/ports.py says. */
static uint16_t drawn_port(void)
{
    enum { FIRST = 15000, MANY = 17000, DIGITS = 5 };
    char path[64], text[DIGITS + 1] = "";
    (void)snprintf(path, sizeof path, "/tmp/purser-test-ports-%u", (unsigned)getuid());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
    uint16_t turn;
    if (pread(fd, text, DIGITS, 0) == DIGITS)
        turn = (uint16_t)((strtoul(text, NULL, 10) + 1) % MANY);
    else
        assert_int_equal(getrandom(&turn, sizeof turn, 0), sizeof turn);
    (void)snprintf(text, sizeof text, "%05u", turn % MANY);
    assert_int_equal(pwrite(fd, text, DIGITS, 0), DIGITS);
    close(fd);
    return (uint16_t)(FIRST + turn % MANY);
}

int service_port(void)
{
    for (;;) {
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons(drawn_port())};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        bool free_now = bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
        close(fd);
        if (free_now)
            return ntohs(a.sin_port);
    }
}

void service_configure(const struct service *s, const char *limits, const char *extra)
{
    FILE *f = fopen(s->config, "we");
    assert_non_null(f);
    fprintf(f,
            "{\"v\":1,\"listen\":{\"route\":\"%s\",\"feedback\":\"%s\",\"control\":\"%s\","
            "\"events\":\"%s\",\"intake\":\"%s\",\"http\":\"%s\",\"metrics\":\"%s\"},\n"
            "\"store\":{%s},\n"
            "\"limits\":{%s},\n"
            "\"models\":["
            "{\"name\":\"small-1\",\"tier\":\"small\",\"usd_per_mtok_in\":0.1,"
            "\"usd_per_mtok_out\":0.1},"
            "{\"name\":\"mid-1\",\"tier\":\"medium\",\"usd_per_mtok_in\":0.5,"
            "\"usd_per_mtok_out\":1.5},"
            "{\"name\":\"large-1\",\"tier\":\"large\",\"usd_per_mtok_in\":2.5,"
            "\"usd_per_mtok_out\":10}]%s%s}\n",
            s->url[0], s->url[1], s->url[2], s->url[3], s->url[4], s->url[5], s->url[6],
            s->store ? s->store : "\"map_gib\":1", limits, extra[0] ? ",\n" : "", extra);
    fclose(f);
}

void service_new(struct service *s, const char *limits, const char *extra)
{
    memset(s, 0, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/purser-test-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->config, sizeof s->config, "%s/config.json", s->dir);
    snprintf(s->data, sizeof s->data, "%s/data", s->dir);
    snprintf(s->log, sizeof s->log, "%s/log", s->dir);
    snprintf(s->full_flag, sizeof s->full_flag, "%s/disk-is-full", s->dir);
    for (int i = 0; i < SERVICE_PORTS; i++) {
        s->port[i] = service_port();
        snprintf(s->url[i], sizeof s->url[i], "%s://127.0.0.1:%d", i < 5 ? "tcp" : "http",
                 s->port[i]);
    }
    service_configure(s, limits, extra);
}

static pid_t spawn(const struct service *s, const char *config)
{
    unlink(s->log); /* the last one's "ready" is not this one's */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    int fd = open(s->log, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
    dup2(fd, STDERR_FILENO);
    dup2(fd, STDOUT_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
    setenv("PURSER_TEST_FULL", s->full_flag, 1);
    if (getenv("PURSER_TEST_PRELOAD"))
        setenv("LD_PRELOAD", getenv("PURSER_TEST_PRELOAD"), 1);
    execl(PURSERD, "purserd", "--config", config, "--data", s->data, (char *)NULL);
    _exit(127);
}

static bool has_text(const char *path, const char *text)
{
    char *buf = calloc(1, 1 << 20);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool found = fd >= 0 && buf && read(fd, buf, (1 << 20) - 1) > 0 && strstr(buf, text);
    if (fd >= 0)
        close(fd);
    free(buf);
    return found;
}

bool service_logged(const struct service *s, const char *text)
{
    for (int i = 0; i < 400; i++) {
        if (has_text(s->log, text))
            return true;
        pause_ms(5);
    }
    return false;
}

void service_start(struct service *s)
{
    int status;
    s->pid = spawn(s, s->config);
    for (int i = 0; i < 4000 && !has_text(s->log, "event=ready"); i++) {
        if (waitpid(s->pid, &status, WNOHANG) == s->pid)
            fail_msg("purserd did not start: see %s", s->log);
        pause_ms(5);
    }
    assert_true(has_text(s->log, "event=ready"));
    struct purser_client_options o = {.timeout_ms = 10000, .retries = -1, .control_url = s->url[2]};
    assert_int_equal(purser_client_open(s->url[0], s->url[1], &o, &s->client, NULL), 0);
}

static int wait_exit(pid_t pid)
{
    int status;
    for (int64_t end = service_ms() + 15000; service_ms() < end; pause_ms(2))
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    kill(pid, SIGABRT); /* leaves a core if anybody wants one */
    waitpid(pid, &status, 0);
    fail_msg("purserd did not end within 15 s");
    return -1;
}

int service_try(const struct service *s, const char *config)
{
    return wait_exit(spawn(s, config));
}

int service_stop(struct service *s, int signal)
{
    kill(s->pid, signal);
    int code = wait_exit(s->pid);
    s->pid = 0;
    purser_client_close(s->client);
    s->client = NULL;
    return code;
}

void service_remove(struct service *s)
{
    char command[256];
    if (s->pid)
        service_stop(s, getenv("PURSER_TEST_GENTLE") ? SIGTERM : SIGKILL); /* gcov wants an end */
    purser_client_close(s->client);
    if (getenv("PURSER_TEST_KEEP")) {
        fprintf(stderr, "kept: %s\n", s->dir);
        return;
    }
    snprintf(command, sizeof command, "rm -rf '%s'", s->dir);
    assert_int_equal(system(command), 0);
}

const char *service_call(struct service *s, enum purser_client_door door, const char *json)
{
    static _Thread_local char text[REPLY_CAP];
    struct purser_client_error e;
    char *reply;
    if (purser_client_call(s->client, door, json, &reply, &e) == 0) {
        snprintf(text, sizeof text, "%s", reply);
        purser_client_free(reply);
    } else {
        snprintf(text, sizeof text, "error:%s", e.code);
    }
    return text;
}

static const char *find(const char *json, const char *name)
{
    char key[80];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *p = strstr(json, key);
    return p ? p + strlen(key) : NULL;
}

int64_t service_int(const char *json, const char *name)
{
    const char *p = find(json, name);
    return p ? strtoll(p, NULL, 10) : -1;
}

bool service_string(const char *json, const char *name, char *out, size_t cap)
{
    const char *p = find(json, name), *end = p && *p == '"' ? strchr(p + 1, '"') : NULL;
    if (!end)
        return false;
    snprintf(out, cap, "%.*s", (int)(end - p - 1), p + 1);
    return true;
}

void service_route(struct service *s, const char *request_id, char id[64])
{
    char json[256];
    snprintf(json, sizeof json,
             "{\"v\":1,\"op\":\"route\",\"request_id\":\"%s\",\"tenant\":\"acme\","
             "\"prompt\":\"sum the bill\"}",
             request_id);
    const char *reply = service_call(s, PURSER_CLIENT_ROUTE, json);
    if (!service_string(reply, "decision_id", id, 64))
        fail_msg("no decision: %s", reply);
}

const char *service_feed(struct service *s, const char *id, const char *rest)
{
    static _Thread_local char status[64];
    char json[512];
    snprintf(json, sizeof json, "{\"v\":1,\"op\":\"feedback\",\"decision_id\":\"%s\",%s}", id,
             rest);
    const char *reply = service_call(s, PURSER_CLIENT_FEEDBACK, json);
    if (!service_string(reply, "status", status, sizeof status))
        snprintf(status, sizeof status, "%.63s", reply);
    return status;
}

int64_t service_stat(struct service *s, const char *name)
{
    return service_int(service_call(s, PURSER_CLIENT_CONTROL, "{\"v\":1,\"op\":\"stats\"}"), name);
}

int service_begin(void **state, const char *extra)
{
    struct service *s = calloc(1, sizeof *s);
    assert_non_null(s);
    service_new(s, "", extra);
    service_start(s);
    *state = s;
    return 0;
}

int service_end(void **state)
{
    struct service *s = *state;
    if (s->pid > 0)
        assert_int_equal(service_stop(s, SIGTERM), 0);
    service_remove(s);
    free(s);
    return 0;
}
