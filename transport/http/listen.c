/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets, made here and handed to libmicrohttpd: it would know TCP only, and would not
 * say which address is wrong. Considered: to fail when the address of `auto` is taken. A second
 * service on a machine, started for a trial beside the first, has the five sockets of its
 * configuration; it should not need to know of HTTP too. It is logged.
 */
#include "transport/http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024, HOST_CAP = 256 };

static const char http_scheme[] = "http://", unix_scheme[] = "unix://";

static const char *after(const char *url, const char *scheme)
{
    size_t n = strlen(scheme);
    return strncmp(url, scheme, n) == 0 ? url + n : NULL;
}

static bool automatic(const struct http_address *a)
{
    return a->usual && strcmp(a->url, "auto") == 0;
}

/* Splits HOST:PORT or [HOST]:PORT. */
static bool split(const char *at, char host[HOST_CAP], char port[8])
{
    const char *colon = strrchr(at, ':');
    size_t n = colon ? (size_t)(colon - at) : 0;
    if (n > 1 && at[0] == '[' && colon[-1] == ']') {
        at++;
        n -= 2;
    }
    if (!colon || n == 0 || n >= HOST_CAP || strlen(colon + 1) == 0 || strlen(colon + 1) > 5 ||
        colon[1 + strspn(colon + 1, "0123456789")] != '\0')
        return false;
    memcpy(host, at, n);
    host[n] = '\0';
    strcpy(port, colon + 1);
    return true;
}

enum status http_address_check(const struct http_address *a, struct problem *problem)
{
    char host[HOST_CAP], port[8];
    struct sockaddr_un u;
    const char *tcp = after(a->url, http_scheme), *path = after(a->url, unix_scheme);
    if (a->url[0] == '\0' || automatic(a) || (tcp && split(tcp, host, port)))
        return STATUS_OK;
    if (path && path[0] == '/' && strlen(path) < sizeof u.sun_path)
        return STATUS_OK;
    return problem_set(problem, STATUS_BAD_REQUEST, a->where,
                       "%s is no address: write http://HOST:PORT, unix:///PATH (at most %zu bytes) "
                       "or \"\" for none",
                       a->url, sizeof u.sun_path - 1);
}

static enum status fail(const struct http_address *a, const char *why, struct problem *problem)
{
    return problem_set(problem, STATUS_BAD_REQUEST, a->where,
                       "cannot listen on %s: %s (is it in use, or not an address of this host?)",
                       a->url, why);
}

static int open_tcp(const struct addrinfo *i)
{
    int on = 1, fd = socket(i->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* Connections of the process before this one may still be closing. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, i->ai_addr, i->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int e = errno;
    close(fd);
    errno = e;
    return -1;
}

static enum status listen_tcp(const struct http_address *a, const char *at, int *fd,
                              struct problem *problem)
{
    char host[HOST_CAP], port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *info = NULL;
    int e = split(at, host, port) ? getaddrinfo(host, port, &hints, &info) : EAI_NONAME;
    if (e != 0)
        return fail(a, gai_strerror(e), problem);
    *fd = open_tcp(info);
    int error = errno;
    freeaddrinfo(info);
    if (*fd < 0 && !(automatic(a) && error == EADDRINUSE))
        return fail(a, strerror(error), problem);
    return STATUS_OK;
}

/* Whether somebody answers at the path. */
static bool alive(const struct sockaddr_un *u)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok =
        fd >= 0 && (connect(fd, (const struct sockaddr *)u, sizeof *u) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return ok;
}

static enum status listen_unix(const struct http_address *a, const char *path, int *fd,
                               struct problem *problem)
{
    struct sockaddr_un u = {.sun_family = AF_UNIX};
    struct stat st;
    strncpy(u.sun_path, path, sizeof u.sun_path - 1);
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && !alive(&u))
        unlink(path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode is set before the file appears, so that it is never open to more; the umask may have
     * left less. */
    if (*fd >= 0 && fchmod(*fd, 0660) == 0 && bind(*fd, (struct sockaddr *)&u, sizeof u) == 0 &&
        chmod(path, 0660) == 0 && listen(*fd, BACKLOG) == 0)
        return STATUS_OK;
    int error = errno;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return fail(a, strerror(error), problem);
}

const char *http_address_url(const struct http_address *a)
{
    return automatic(a) ? a->usual : a->url;
}

enum status http_listen(const struct http_address *a, int *fd, struct problem *problem)
{
    const char *url = http_address_url(a);
    const char *tcp = after(url, http_scheme), *path = after(url, unix_scheme);
    *fd = -1;
    enum status s = http_address_check(a, problem);
    if (s != STATUS_OK || !url[0])
        return s;
    return tcp ? listen_tcp(a, tcp, fd, problem) : listen_unix(a, path, fd, problem);
}

void http_unlisten(const struct http_address *a)
{
    const char *path = after(a->url, unix_scheme);
    if (path)
        unlink(path);
}
