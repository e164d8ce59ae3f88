/* SPDX-License-Identifier: MIT */
/* LD_PRELOAD: the wall clock jumps. It is ahead by the milliseconds, signed, that the file named by
 * PURSER_TEST_CLOCK begins with as a native 64-bit integer; other clocks are as they are. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset(void)
{
    static const volatile int64_t none, *at;
    const char *path = getenv("PURSER_TEST_CLOCK");
    if (at)
        return at;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, fd, 0);
    at = map == MAP_FAILED ? &none : map;
    if (fd >= 0)
        close(fd);
    return at;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *out)
{
    int (*real)(clockid_t, struct timespec *);
    *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(clock, out);
    if (rc != 0 || clock != CLOCK_REALTIME)
        return rc;
    int64_t ns = (int64_t)out->tv_sec * 1000000000 + out->tv_nsec + *offset() * 1000000;
    out->tv_sec = ns / 1000000000;
    out->tv_nsec = ns % 1000000000;
    return 0;
}
