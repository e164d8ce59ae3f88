/* SPDX-License-Identifier: MIT */
/*
 * LD_PRELOAD: the k-th call of one kind fails. PURSER_FAULT=KIND:K[:ERRNO], where KIND is alloc
 * (malloc, calloc, realloc and their like), write (pwrite, writev to files), short (such a write
 * that ends half-way), sync, open, grow (ftruncate) or thread; ERRNO a number, else what is usual
 * for the call. With KIND slow each fdatasync takes K milliseconds longer. Calls are counted from
 * the process's start, over all threads. With PURSER_FAULT_COUNT naming a file, nothing fails, and
 * the number of calls of the kind is kept in that file, as a long.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
#define REAL(name) *(void **)&real = dlsym(RTLD_NEXT, #name)

static char kind[16]; /* "" = not read yet */
static long at_call, error_number;
static atomic_long own_count, *calls = &own_count;
static int counting;

/* The count lives in the file, since the process may end without a word. */
static void share_count(const char *path)
{
    int fd = openat(AT_FDCWD, path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    if (write(fd, &own_count, sizeof own_count) == (ssize_t)sizeof own_count)
        calls = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
}

/* Constructors of other libraries call us before ours has run: so it is asked for each time. */
static void read_wish(void)
{
    const char *wish = getenv("PURSER_FAULT");
    const char *colon = wish ? strchr(wish, ':') : NULL;
    const char *count_into = getenv("PURSER_FAULT_COUNT");
    strcpy(kind, "none"); /* what follows calls us again */
    counting = count_into != NULL;
    if (counting)
        share_count(count_into);
    if (!colon || (size_t)(colon - wish) >= sizeof kind)
        return;
    memcpy(kind, wish, (size_t)(colon - wish));
    kind[colon - wish] = '\0';
    at_call = strtol(colon + 1, NULL, 10);
    const char *second = strchr(colon + 1, ':');
    error_number = second ? strtol(second + 1, NULL, 10) : 0;
}

/* Whether this call is the one. */
static int chosen_by(const char *what, int usual, const void *caller)
{
    if (kind[0] == '\0')
        read_wish();
    if (strcmp(what, kind) != 0)
        return 0;
    long n = atomic_fetch_add(calls, 1) + 1;
    if (counting || n != at_call)
        return 0;
    /* Who asked: the service's log tells ours from what a library makes of it. */
    Dl_info who = {0};
    char line[256];
    (void)dladdr(caller, &who);
    int length = snprintf(line, sizeof line, "inject: failed in %.200s\n",
                          who.dli_fname ? who.dli_fname : "?");
    if (write(STDERR_FILENO, line, (size_t)length) < 0)
        abort();
    errno = error_number ? (int)error_number : usual;
    return 1;
}

#define chosen(what, usual) chosen_by(what, usual, __builtin_return_address(0))

/* glibc's own names: dlsym itself allocates. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

API void *malloc(size_t n)
{
    return chosen("alloc", ENOMEM) ? NULL : __libc_malloc(n);
}

API void *calloc(size_t n, size_t size)
{
    return chosen("alloc", ENOMEM) ? NULL : __libc_calloc(n, size);
}

API void *realloc(void *old, size_t n)
{
    return chosen("alloc", ENOMEM) ? NULL : __libc_realloc(old, n);
}

static int is_file(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

API ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    ssize_t (*real)(int, const void *, size_t, off_t);
    REAL(pwrite);
    if (chosen("write", EIO))
        return -1;
    return real(fd, bytes, chosen("short", 0) ? n / 2 : n, at);
}

API ssize_t writev(int fd, const struct iovec *v, int n)
{
    ssize_t (*real)(int, const struct iovec *, int);
    REAL(writev);
    if (!is_file(fd))
        return real(fd, v, n);
    if (chosen("write", EIO))
        return -1;
    return real(fd, v, n > 1 && chosen("short", 0) ? 1 : n);
}

API int fdatasync(int fd)
{
    int (*real)(int);
    REAL(fdatasync);
    if (kind[0] == '\0')
        read_wish();
    if (strcmp(kind, "slow") == 0)
        usleep((useconds_t)(at_call * 1000));
    return chosen("sync", EIO) ? -1 : real(fd);
}

API int fsync(int fd)
{
    int (*real)(int);
    REAL(fsync);
    return chosen("sync", EIO) ? -1 : real(fd);
}

API int ftruncate(int fd, off_t n)
{
    int (*real)(int, off_t);
    REAL(ftruncate);
    return chosen("grow", ENOSPC) ? -1 : real(fd, n);
}

API int open(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...);
    va_list more;
    va_start(more, flags);
    unsigned mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, unsigned) : 0;
    va_end(more);
    REAL(open);
    return chosen("open", EMFILE) ? -1 : real(path, flags, mode);
}

API int pthread_create(pthread_t *out, const pthread_attr_t *a, void *(*run)(void *), void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    REAL(pthread_create);
    return chosen("thread", EAGAIN) ? errno : real(out, a, run, arg);
}
