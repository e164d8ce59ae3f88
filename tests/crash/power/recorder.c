/* SPDX-License-Identifier: MIT */
/*
 * LD_PRELOAD: writes down, in the order in which they happened, what a store does to its data file
 * and what the service tells its clients, so that the disk's content after a power cut at any
 * moment can be made from it (power/run). A sync is written down when it has returned, a reply
 * before it is sent: so nothing counts as durable, or as unheard, that might not have been.
 *
 * An entry: kind (1 byte), offset (8), length (4), then the bytes, in the machine's order.
 *   W  a write that a later sync makes durable     D  one that is durable when the next entry comes
 *   S  a sync of the data file                     T  its new length, in offset
 *   A  bytes that were sent to a client
 * With PURSER_POWER_LIE set, syncs return without being done or written down, as on a disk that
 * lies.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
#define REAL(name, ...) *(void **)&real = dlsym(RTLD_NEXT, #name)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal = -2; /* not opened yet */

static int is_data(int fd)
{
    char link[64], path[4096];
    static const char name[] = "/data.mdb";
    strcpy(link, "/proc/self/fd/");
    char digits[16], *d = digits + sizeof digits;
    *--d = '\0';
    for (int v = fd; d == digits + sizeof digits - 1 || v > 0; v /= 10)
        *--d = (char)('0' + v % 10);
    strcat(link, d);
    ssize_t n = fd >= 0 ? readlink(link, path, sizeof path - 1) : -1;
    return n >= (ssize_t)sizeof name - 1 &&
           memcmp(path + n - (sizeof name - 1), name, sizeof name - 1) == 0;
}

/* Under the lock. */
static void note(char kind, uint64_t offset, const struct iovec *v, int n)
{
    ssize_t (*real)(int, const struct iovec *, int);
    struct iovec all[66];
    uint8_t head[13];
    uint32_t length = 0;
    REAL(writev);
    if (journal == -2) {
        const char *path = getenv("PURSER_POWER_JOURNAL");
        journal = path ? open(path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600) : -1;
    }
    if (journal < 0 || n > 64)
        return;
    for (int i = 0; i < n; i++)
        length += (uint32_t)(all[i + 1] = v[i]).iov_len;
    head[0] = (uint8_t)kind;
    memcpy(head + 1, &offset, 8);
    memcpy(head + 9, &length, 4);
    all[0] = (struct iovec){head, sizeof head};
    if (real(journal, all, n + 1) != (ssize_t)(sizeof head + length))
        abort(); /* half a journal proves nothing */
}

static char kind_of(int fd)
{
    return fcntl(fd, F_GETFL) & O_DSYNC ? 'D' : 'W';
}

API ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    ssize_t (*real)(int, const void *, size_t, off_t);
    REAL(pwrite);
    if (!is_data(fd))
        return real(fd, bytes, n, at);
    pthread_mutex_lock(&lock);
    note(kind_of(fd), (uint64_t)at, &(struct iovec){(void *)(uintptr_t)bytes, n}, 1);
    ssize_t done = real(fd, bytes, n, at);
    pthread_mutex_unlock(&lock);
    return done;
}

API ssize_t writev(int fd, const struct iovec *v, int n)
{
    ssize_t (*real)(int, const struct iovec *, int);
    REAL(writev);
    if (!is_data(fd))
        return real(fd, v, n);
    pthread_mutex_lock(&lock);
    note(kind_of(fd), (uint64_t)lseek(fd, 0, SEEK_CUR), v, n);
    ssize_t done = real(fd, v, n);
    pthread_mutex_unlock(&lock);
    return done;
}

API int ftruncate(int fd, off_t n)
{
    int (*real)(int, off_t);
    REAL(ftruncate);
    if (!is_data(fd))
        return real(fd, n);
    pthread_mutex_lock(&lock);
    note('T', (uint64_t)n, NULL, 0);
    int e = real(fd, n);
    pthread_mutex_unlock(&lock);
    return e;
}

static int sync_with(int fd, int (*real)(int))
{
    if (!is_data(fd))
        return real(fd);
    if (getenv("PURSER_POWER_LIE"))
        return 0;
    int e = real(fd);
    pthread_mutex_lock(&lock);
    if (e == 0)
        note('S', 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return e;
}

API int fdatasync(int fd)
{
    int (*real)(int);
    REAL(fdatasync);
    return sync_with(fd, real);
}

API int fsync(int fd)
{
    int (*real)(int);
    REAL(fsync);
    return sync_with(fd, real);
}

API ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    ssize_t (*real)(int, const struct msghdr *, int);
    REAL(sendmsg);
    pthread_mutex_lock(&lock);
    note('A', 0, m->msg_iov, (int)m->msg_iovlen);
    pthread_mutex_unlock(&lock);
    return real(fd, m, flags);
}
