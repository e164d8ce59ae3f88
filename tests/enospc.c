/* SPDX-License-Identifier: MIT */
/* LD_PRELOAD: the disk is full while the file named by PURSER_TEST_FULL exists. Small writes still
 * succeed: LMDB's meta page is overwritten in place and needs no space. Long writes end short, as
 * on a disk that fills up within one, which LMDB reports as EIO. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>
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
    return !full() ? real(fd, v, n) : n > 1 ? real(fd, v, 1) : -1;
}

API int fstatvfs(int fd, struct statvfs *out)
{
    int (*real)(int, struct statvfs *);
    *(void **)&real = dlsym(RTLD_NEXT, "fstatvfs");
    int rc = real(fd, out);
    if (rc == 0 && full())
        out->f_bavail = 0;
    return rc;
}
