/* SPDX-License-Identifier: MIT */
/*
 * LD_PRELOAD: the k-th call of one kind fails. PURSER_FAULT=KIND:K[:ERRNO], where KIND is alloc
 * (malloc, calloc, realloc and their like), write (pwrite, writev to files), short (such a write
 * that ends half-way), sync, open (files, also by fopen; folders, renaming), grow (ftruncate),
 * thread, process (fork, pipe), read (a file that was opened is read: EIO), stream (a stream that
 * is opened for writing has failed when it is asked), flush (fclose, fflush); ERRNO a number, else
 * what is usual for the call. With KIND slow each fdatasync takes K milliseconds longer. Calls are
 * counted from the process's start, over all threads. With PURSER_FAULT_COUNT naming a file,
 * nothing fails, and the number of calls of the kind is kept in that file, as a long.
 *
 * PURSER_FAULT_SITES=FILE counts only calls of the first thread, and of a process on its own behind
 * each fork. With PURSER_FAULT_COUNT too, FILE gets a line for each way through the program
 * (the calls that stand on the stack) by which a call of a kind, or with KIND all of any, came
 * first: the kind, its number, the library that called last, and the program's addresses.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
#define REAL(name) *(void **)&real = dlsym(RTLD_NEXT, #name)

static char kind[16]; /* "" = not read yet */
static long at_call, error_number;
static atomic_long own_count, *calls = &own_count;
static int counting;
static const char *sites; /* NULL: all calls count */

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
    sites = getenv("PURSER_FAULT_SITES");
    if (counting)
        share_count(count_into);
    if (!colon || (size_t)(colon - wish) >= sizeof kind)
        return;
    memcpy(kind, wish, (size_t)(colon - wish));
    kind[colon - wish] = '\0';
    at_call = strtol(colon + 1, NULL, 10);
    const char *second = strchr(colon + 1, ':');
    error_number = second ? strtol(second + 1, NULL, 10) : 0;
    unsetenv("PURSER_FAULT"); /* programs that this one starts are not meant */
}

/* ---- ways through the program ---- */

enum { DEEP = 64, SEEN_MAX = 1 << 16 };
static uintptr_t program_from, program_to, program_base;
static uint64_t seen[SEEN_MAX];
static int inside; /* what looks at a call makes calls itself */

static int find_program(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size, (void)ctx;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && p->p_flags & PF_X) {
            program_base = info->dlpi_addr;
            program_from = info->dlpi_addr + p->p_vaddr;
            program_to = program_from + p->p_memsz;
        }
    }
    return 1; /* the first is the program itself */
}

static int new_way(uint64_t way)
{
    uint64_t at = way % SEEN_MAX;
    for (int i = 0; i < SEEN_MAX && seen[at] != 0; i++, at = (at + 1) % SEEN_MAX)
        if (seen[at] == way)
            return 0;
    seen[at] = way;
    return 1;
}

/* Nothing counts any more once the program has ended: what comes then is not its own. */
static void end_count(void)
{
    strcpy(kind, "none");
}

static void note_site(const char *what, long n, const void *caller)
{
    static int fd = -1;
    void *frame[DEEP];
    char line[1024];
    Dl_info who = {0};
    uint64_t way = 14695981039346656037u ^ (uint64_t)(what[0] * 256 + what[1]);
    int own = 0, len, depth = backtrace(frame, DEEP);
    if (program_to == 0) {
        dl_iterate_phdr(find_program, NULL);
        fd = openat(AT_FDCWD, sites, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    }
    (void)dladdr(caller, &who);
    const char *lib = who.dli_fname ? strrchr(who.dli_fname, '/') : NULL;
    len = snprintf(line, sizeof line, "%s %ld %.80s", what, n, lib ? lib + 1 : "?");
    for (int i = 0; i < depth; i++) {
        uintptr_t at = (uintptr_t)frame[i];
        if (at < program_from || at >= program_to)
            continue;
        own++;
        way = (way ^ (at - program_from)) * 1099511628211u;
        if (len < 900)
            len += snprintf(line + len, sizeof line - (size_t)len, " %lx",
                            (unsigned long)(at - program_base));
    }
    line[len++] = '\n';
    if (own > 0 && new_way(way ? way : 1) && write(fd, line, (size_t)len) != len)
        abort();
}

/* The number of a call, by kind. Zero when it does not count. */
static long own_call(const char *what, const void *caller)
{
    static const char *const kinds[] = {"alloc", "write", "short",   "sync",   "open",  "grow",
                                        "read",  "flush", "process", "stream", "thread"};
    static long count[sizeof kinds / sizeof *kinds];
    static int ends;
    size_t k = 0;
    if (inside || syscall(SYS_gettid) != getpid())
        return 0;
    inside = 1;
    if (!ends) {
        ends = 1;
        atexit(end_count);
    }
    while (k + 1 < sizeof kinds / sizeof *kinds && strcmp(kinds[k], what) != 0)
        k++;
    long n = ++count[k];
    if (counting)
        note_site(what, n, caller);
    inside = 0;
    return n;
}

/* Whether this call is the one. */
static int chosen_by(const char *what, int usual, const void *caller)
{
    if (kind[0] == '\0')
        read_wish();
    if (strcmp(what, kind) != 0 && (strcmp(kind, "all") != 0 || !counting))
        return 0;
    long n = sites ? own_call(what, caller) : atomic_fetch_add(calls, 1) + 1;
    if (counting || n != at_call || n == 0)
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

/* ---- streams and folders, for programs that use them ---- */

/* glibc's mark of a stream that has failed; there is no call that sets it. */
static void spoil(FILE *f)
{
    f->_flags |= 0x20;
}

API FILE *fopen(const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *);
    REAL(fopen);
    if (chosen("open", EMFILE))
        return NULL;
    FILE *f = real(path, mode);
    if (f && strpbrk(mode, "wa+") && chosen("stream", ENOSPC))
        spoil(f);
    return f;
}

API FILE *fdopen(int fd, const char *mode)
{
    FILE *(*real)(int, const char *);
    REAL(fdopen);
    FILE *f = real(fd, mode);
    if (f && strpbrk(mode, "wa+") && chosen("stream", ENOSPC))
        spoil(f);
    return f;
}

API DIR *opendir(const char *path)
{
    DIR *(*real)(const char *);
    REAL(opendir);
    return chosen("open", EMFILE) ? NULL : real(path);
}

API int mkdir(const char *path, mode_t mode)
{
    int (*real)(const char *, mode_t);
    REAL(mkdir);
    return chosen("open", ENOSPC) ? -1 : real(path, mode);
}

API int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *);
    REAL(rename);
    return chosen("open", ENOSPC) ? -1 : real(from, to);
}

/* Only what is written: what a stream was read from does not mind. */
API int fclose(FILE *f)
{
    int (*real)(FILE *);
    REAL(fclose);
    int writes = (fcntl(fileno(f), F_GETFL) & O_ACCMODE) != O_RDONLY;
    int fails = writes && chosen("flush", ENOSPC), error = errno, result = real(f);
    if (fails)
        errno = error;
    return fails ? EOF : result;
}

API int fflush(FILE *f)
{
    int (*real)(FILE *);
    REAL(fflush);
    if (!chosen("flush", ENOSPC))
        return real(f);
    if (f)
        spoil(f);
    return EOF;
}

API ssize_t getline(char **line, size_t *room, FILE *f)
{
    ssize_t (*real)(char **, size_t *, FILE *);
    REAL(getline);
    if (!chosen("read", EIO))
        return real(line, room, f);
    spoil(f);
    return -1;
}

API size_t fread(void *to, size_t size, size_t n, FILE *f)
{
    size_t (*real)(void *, size_t, size_t, FILE *);
    REAL(fread);
    if (!chosen("read", EIO))
        return real(to, size, n, f);
    spoil(f);
    return 0;
}

API size_t __fread_chk(void *to, size_t room, size_t size, size_t n, FILE *f)
{
    return size * n <= room ? fread(to, size, n, f) : (abort(), 0);
}

API char *fgets(char *to, int n, FILE *f)
{
    char *(*real)(char *, int, FILE *);
    REAL(fgets);
    if (!chosen("read", EIO))
        return real(to, n, f);
    spoil(f);
    return NULL;
}

API ssize_t read(int fd, void *to, size_t n)
{
    ssize_t (*real)(int, void *, size_t);
    REAL(read);
    return is_file(fd) && chosen("read", EIO) ? -1 : real(fd, to, n);
}

API ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    ssize_t (*real)(int, void *, size_t, off_t);
    REAL(pread);
    return is_file(fd) && chosen("read", EIO) ? -1 : real(fd, to, n, at);
}

API ssize_t write(int fd, const void *bytes, size_t n)
{
    ssize_t (*real)(int, const void *, size_t);
    REAL(write);
    return sites && !inside && is_file(fd) && chosen("write", ENOSPC) ? -1 : real(fd, bytes, n);
}

API pid_t fork(void)
{
    pid_t (*real)(void);
    REAL(fork);
    return chosen("process", EAGAIN) ? -1 : real();
}

API int pipe(int fd[2])
{
    int (*real)(int[2]);
    REAL(pipe);
    return chosen("process", EMFILE) ? -1 : real(fd);
}
