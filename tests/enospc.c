/* SPDX-License-Identifier: MIT */
/* LD_PRELOAD: the disk is full while the file named by PURSER_TEST_FULL exists. Small writes still
 * succeed: LMDB's meta page is overwritten in place and needs no space. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))

static int full(void)
{
    const char *flag = getenv("PURSER_TEST_FULL");
    if (!flag || access(flag, F_OK) != 0)
        return 0;
    errno = ENOSPC;
    return 1;
}

API ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
    ssize_t (*real)(int, const void *, size_t, off_t);
    *(void **)&real = dlsym(RTLD_NEXT, "pwrite");
    return n >= 4096 && full() ? -1 : real(fd, buf, n, at);
}

API ssize_t writev(int fd, const struct iovec *v, int n)
{
    ssize_t (*real)(int, const struct iovec *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "writev");
    return full() ? -1 : real(fd, v, n);
}
