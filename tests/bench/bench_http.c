/* SPDX-License-Identifier: MIT */
/*
 * The server that bounds what any service on libmicrohttpd can do: it takes a body, looks at
 * nothing, and answers with as many bytes as a decision has. One thread, epoll, as in the service;
 * the load is wrk, the same for both. Considered: libmicrohttpd's own thread. With epoll that of
 * 0.9.75 stands still once 128 connections are ready at the same time.
 *
 *   bench_http PORT
 */
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include "tests/bench/bench.h"

enum { REPLY_BYTES = 490, CONNECTIONS = 1024 };

static enum MHD_Result on_access(void *ctx, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_size, void **request)
{
    static char reply[REPLY_BYTES];
    static int seen;
    (void)ctx, (void)url, (void)method, (void)version, (void)upload;
    if (!*request || *upload_size > 0) {
        *request = &seen;
        *upload_size = 0;
        return MHD_YES;
    }
    if (reply[0] == '\0')
        memset(reply, ' ', sizeof reply);
    struct MHD_Response *r =
        MHD_create_response_from_buffer(sizeof reply, reply, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(r, "Content-Type", "application/json");
    enum MHD_Result done = MHD_queue_response(connection, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return done;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        bench_fail("usage: bench_http PORT");
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct MHD_Daemon *d =
        MHD_start_daemon(MHD_USE_EPOLL, (uint16_t)atoi(argv[1]), NULL, NULL, on_access, NULL,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_END);
    if (!d)
        bench_fail("libmicrohttpd does not start on port %s", argv[1]);
    struct pollfd p = {.fd = MHD_get_daemon_info(d, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                       .events = POLLIN};
    puts("ready");
    fflush(stdout);
    for (;;) {
        MHD_UNSIGNED_LONG_LONG ms;
        int wait = MHD_get_timeout(d, &ms) == MHD_YES ? (int)ms : -1;
        (void)poll(&p, 1, wait);
        MHD_run(d);
    }
}
