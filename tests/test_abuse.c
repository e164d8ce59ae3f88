/* SPDX-License-Identifier: MIT */
/*
 * Peers that misbehave below the protocol: raw TCP sockets against the real purserd. After each
 * abuse an honest client must be served within a second, and the service must still be the same
 * process. Codes: docs/faults.md.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/service.h"

enum { REQ = 0x30, PUSH = 0x50, SUB = 0x21, LIMIT = 8 * 1024 * 1024 };

static int start(void **state, const char *limits)
{
    struct service *s = calloc(1, sizeof *s);
    service_new(s, limits, "");
    service_start(s);
    *state = s;
    return 0;
}

static int setup(void **state)
{
    return start(state, "");
}

static int setup_small(void **state)
{
    return start(state, "\"route_slots\":4,\"connections\":8,\"send_timeout_ms\":200");
}

static int teardown(void **state)
{
    struct service *s = *state;
    assert_int_equal(waitpid(s->pid, NULL, WNOHANG), 0); /* alive */
    assert_int_equal(service_stop(s, SIGTERM), 0);
    service_remove(s);
    free(s);
    return 0;
}

static int dial(const struct service *s, int door)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)s->port[door])};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static bool put(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

/* Reads n bytes within five seconds; false at the end of the stream. */
static bool get(int fd, void *bytes, size_t n)
{
    char *p = bytes;
    while (n > 0) {
        struct pollfd in = {.fd = fd, .events = POLLIN};
        if (poll(&in, 1, 5000) != 1)
            fail_msg("the peer neither answers nor closes");
        ssize_t k = recv(fd, p, n, 0);
        if (k <= 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static bool closed(int fd)
{
    char c;
    return !get(fd, &c, 1);
}

/* The SP handshake as `protocol`; a connection of our own speaks it first. */
static int handshake(const struct service *s, int door, int protocol)
{
    int fd = dial(s, door);
    char theirs[8];
    const char ours[8] = {0, 'S', 'P', 0, 0, (char)protocol, 0, 0};
    assert_true(put(fd, ours, sizeof ours) && get(fd, theirs, sizeof theirs));
    return fd;
}

static bool put_length(int fd, uint64_t n)
{
    unsigned char b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)(n >> (56 - 8 * i));
    return put(fd, b, sizeof b);
}

static bool put_request(int fd, uint32_t id, const void *body, size_t n)
{
    unsigned char b[4] = {(unsigned char)(id >> 24 | 0x80), (unsigned char)(id >> 16),
                          (unsigned char)(id >> 8), (unsigned char)id};
    return put_length(fd, n + 4) && put(fd, b, 4) && put(fd, body, n);
}

/* Reads a reply into out (n bytes, terminated); gives its id. */
static uint32_t get_reply(int fd, char *out, size_t n)
{
    unsigned char h[12];
    assert_true(get(fd, h, sizeof h));
    uint64_t len = 0;
    for (int i = 0; i < 8; i++)
        len = len << 8 | h[i];
    assert_true(len >= 4 && len - 4 < n);
    assert_true(get(fd, out, (size_t)len - 4));
    out[len - 4] = '\0';
    return (uint32_t)(h[8] & 0x7f) << 24 | (uint32_t)h[9] << 16 | (uint32_t)h[10] << 8 | h[11];
}

static void honest(struct service *s)
{
    int64_t began = service_ms();
    const char *reply = service_call(s, PURSER_CLIENT_ROUTE, "{\"v\":1,\"op\":\"route\"}");
    if (!strstr(reply, "decision_id"))
        fail_msg("not served: %s", reply);
    assert_true(service_ms() - began < 1000);
}

/* covers: P1 P2 P3 */
static void test_connect_and_go(void **state)
{
    struct service *s = *state;
    for (int i = 0; i < 1000; i++)
        close(dial(s, 0));
    honest(s);
    for (int i = 0; i < 1000; i++) {
        int fd = dial(s, 0);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        close(fd);
    }
    honest(s);
    for (int i = 0; i < 100; i++) {
        int fd = dial(s, 0);
        put(fd, "\0SP", 3);
        close(fd);
    }
    honest(s);
}

/* Sockets that say nothing cost nobody else anything. */
static void test_silence(void **state)
{
    struct service *s = *state;
    int fd[400];
    for (int i = 0; i < 400; i++)
        fd[i] = dial(s, 0);
    honest(s);
    for (int i = 0; i < 400; i++)
        close(fd[i]);
}

/* covers: P5 P6 */
static void test_wrong_protocol(void **state)
{
    struct service *s = *state;
    static const int protocols[] = {PUSH, SUB, 0x7f};
    int fd = dial(s, 0);
    char theirs[8];
    put(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    if (get(fd, theirs, 8)) /* it introduces itself, then hangs up */
        assert_true(closed(fd));
    close(fd);
    for (int i = 0; i < 3; i++) {
        fd = handshake(s, 0, protocols[i]);
        assert_true(closed(fd));
        close(fd);
    }
    honest(s);
}

/* covers: P7 P8 P9 */
static void test_lengths(void **state)
{
    struct service *s = *state;
    static const uint64_t bad[] = {(uint64_t)1 << 62, UINT64_MAX, LIMIT + 1};
    for (int i = 0; i < 3; i++) {
        int fd = handshake(s, 0, REQ);
        put_length(fd, bad[i]);
        assert_true(closed(fd));
        close(fd);
    }
    char reply[1024], *body = malloc(LIMIT);
    memset(body, ' ', LIMIT);
    int fd = handshake(s, 0, REQ);
    assert_true(put_request(fd, 7, body, LIMIT - 4)); /* exactly the limit: read and answered */
    assert_int_equal(get_reply(fd, reply, sizeof reply), 7);
    assert_non_null(strstr(reply, "\"error\""));
    close(fd);
    free(body);
    honest(s);
}

/* covers: P10 P11 */
static void test_short_bodies(void **state)
{
    struct service *s = *state;
    char reply[1024];
    int fd = handshake(s, 0, REQ);
    put_length(fd, 0);
    assert_true(closed(fd)); /* less than a request id */
    close(fd);
    fd = handshake(s, 0, REQ);
    put_length(fd, 3);
    put(fd, "abc", 3);
    assert_true(closed(fd));
    close(fd);
    fd = handshake(s, 0, REQ);
    assert_true(put_request(fd, 1, "", 0));
    get_reply(fd, reply, sizeof reply);
    assert_non_null(strstr(reply, "bad_json"));
    const unsigned char hops[40] = {0}; /* ten words of a backtrace that never ends */
    put_length(fd, sizeof hops);
    put(fd, hops, sizeof hops);
    close(fd);
    honest(s);
}

static const char dry[] = "{\"v\":1,\"op\":\"route\",\"dry_run\":true}";

/* covers: P13 clients that never read their replies lose them, and no one else anything. */
static void test_never_reads(void **state)
{
    struct service *s = *state;
    enum { RUDE = 5 };
    int fd[RUDE], small = 1024;
    for (int i = 0; i < RUDE; i++) {
        fd[i] = handshake(s, 0, REQ);
        setsockopt(fd[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        struct timeval t = {0, 100000};
        setsockopt(fd[i], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
        for (uint32_t k = 0; k < 4000 && put_request(fd[i], k, dry, sizeof dry - 1); k++)
            ;
    }
    int64_t began = service_ms();
    const char *reply = service_call(s, PURSER_CLIENT_ROUTE, dry);
    assert_non_null(strstr(reply, "model"));
    assert_true(service_ms() - began < 3000);
    for (int i = 0; i < RUDE; i++)
        close(fd[i]);
    honest(s);
}

/* covers: P14 gone right after asking; the request is executed once all the same. */
static void test_ask_and_go(void **state)
{
    struct service *s = *state;
    for (uint32_t i = 0; i < 50; i++) {
        char json[128];
        int n = snprintf(json, sizeof json, "{\"v\":1,\"op\":\"route\",\"request_id\":\"g%u\"}", i);
        int fd = handshake(s, 0, REQ);
        assert_true(put_request(fd, i, json, (size_t)n));
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    honest(s);
    int64_t n = service_int(service_call(s, PURSER_CLIENT_CONTROL, "{\"v\":1,\"op\":\"stats\"}"),
                            "decisions");
    assert_in_range(n, 1, 51); /* NNG may drop what the peer did not wait for; never more */
}

/* covers: P15 X5 10,000 requests down one connection: each is answered once. */
static void test_pipeline(void **state)
{
    struct service *s = *state;
    enum { N = 10000 };
    static unsigned char seen[N];
    char reply[4096];
    int fd = handshake(s, 0, REQ), got = 0;
    for (uint32_t i = 0; i < N; i++) {
        assert_true(put_request(fd, i, dry, sizeof dry - 1));
        if (i >= 64) { /* keep 64 under way */
            uint32_t id = get_reply(fd, reply, sizeof reply);
            assert_true(id < N && !seen[id]++);
            got++;
        }
    }
    while (got < N) {
        uint32_t id = get_reply(fd, reply, sizeof reply);
        assert_true(id < N && !seen[id]++);
        got++;
    }
    close(fd);
    honest(s);
}

/* covers: P16 beyond the cap connections are closed; those inside do not notice; places come free.
 */
static void test_connection_cap(void **state)
{
    struct service *s = *state;
    int fd[7], extra;
    char reply[4096];
    honest(s); /* the honest client's connection is the first of eight */
    for (int i = 0; i < 7; i++) {
        fd[i] = handshake(s, 0, REQ);
        put_request(fd[i], 1, dry, sizeof dry - 1);
        get_reply(fd[i], reply, sizeof reply);
    }
    for (int i = 0; i < 20; i++) {
        extra = handshake(s, 0, REQ);
        assert_true(closed(extra));
        close(extra);
    }
    honest(s);
    close(fd[0]);
    for (int i = 0;; i++) { /* the place comes free when the service has noticed */
        extra = handshake(s, 0, REQ);
        put_request(extra, 2, dry, sizeof dry - 1);
        char length[8];
        bool served = get(extra, length, 8);
        close(extra);
        if (served)
            break;
        assert_true(i < 500);
    }
    for (int i = 1; i < 7; i++)
        close(fd[i]);
}

/* Bytes of all kinds in honest envelopes. */
static void test_garbage(void **state)
{
    struct service *s = *state;
    uint64_t r = 88172645463325252u;
    for (int door = 0; door < 3; door++) {
        int fd = handshake(s, door, REQ);
        for (uint32_t i = 0; i < 500; i++) {
            unsigned char body[256];
            char reply[4096];
            for (size_t k = 0; k < sizeof body; k++) {
                r ^= r << 13, r ^= r >> 7, r ^= r << 17;
                body[k] = i % 2 ? (unsigned char)r : (unsigned char)"{}[]\",:\\0e-v"[r % 12];
            }
            memset(reply, 0, sizeof reply); /* some bytes begin MessagePack, and so the reply */
            assert_true(put_request(fd, i, body, r % sizeof body));
            assert_int_equal(get_reply(fd, reply, sizeof reply), i);
            assert_non_null(memmem(reply, sizeof reply, "error", 5));
        }
        close(fd);
    }
    honest(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_connect_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_protocol, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_short_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_reads, setup_small, teardown),
        cmocka_unit_test_setup_teardown(test_ask_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipeline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connection_cap, setup_small, teardown),
        cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
    };
    cmocka_set_test_filter(getenv("PURSER_TEST")); /* one test by name */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
