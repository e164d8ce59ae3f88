/* SPDX-License-Identifier: MIT */
/*
 * The place of a store: everything about the directory that LMDB does not look after. LMDB silently
 * makes a new environment out of an emptied file, faults (SIGBUS) on a truncated one, lets a second
 * daemon in, and never syncs the directory; so before it sees the path we check the file system,
 * the owner, the marker INITIALISED and the two meta pages, and take our own flock. Nothing here
 * changes an existing file except LOCK.
 * The size check wants the file to reach its last page. LMDB may leave pages at the end unwritten
 * that were allocated and freed in one transaction; db_grow keeps the file longer than that.
 * Rejected: a SIGBUS handler (it cannot know what was half done).
 */
#include "store/db_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

/* Where LMDB 0.9 keeps things on its first two pages (mdb.c, struct MDB_meta after the 16 bytes of
 * a page header). */
enum {
    META_MAGIC = 16,
    META_VERSION = 20,
    META_PAGE_SIZE = 40,
    META_LAST_PAGE = 136,
    META_TXN = 144,
    META_END = 152
};
static const uint32_t lmdb_magic = 0xbeefc0deu, lmdb_version = 1;

static enum status refuse(struct problem *problem, enum status s, const char *dir, const char *what,
                          const char *advice)
{
    return problem_set(problem, s, dir, "%s: %s; %s", dir, what, advice);
}

static bool join(char out[PATH_CAP], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_CAP, "%s/%s", dir, name);
    return n > 0 && n < PATH_CAP;
}

/* Names the file system if locks and shared maps do not work on it, NULL if they do. */
static const char *remote_fs(const char *dir)
{
    static const struct {
        uint32_t magic;
        const char *name;
    } remote[] = {{0x6969, "NFS"},
                  {0x517b, "SMB"},
                  {0xff534d42u, "CIFS"},
                  {0xfe534d42u, "SMB2"},
                  {0x01021997, "9p"}};
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
        if ((uint32_t)fs.f_type == remote[i].magic)
            return remote[i].name;
    return NULL;
}

static enum status check_dir(const char *dir, const struct stat *st, bool read_only,
                             struct problem *problem)
{
    const char *fs = remote_fs(dir);
    if (!S_ISDIR(st->st_mode))
        return refuse(problem, STATUS_BAD_REQUEST, dir, "not a directory",
                      "name the directory of the store");
    if (fs != NULL)
        return problem_set(
            problem, STATUS_BAD_REQUEST, dir,
            "%s: is on %s, where locks and shared maps are not reliable; use a local "
            "disk",
            dir, fs);
    if (read_only)
        return STATUS_OK;
    if (st->st_mode & S_IWOTH)
        return refuse(problem, STATUS_BAD_REQUEST, dir, "writable by everybody",
                      "chmod 0700 it first");
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return problem_set(problem, STATUS_BAD_REQUEST, dir,
                           "%s: belongs to user %ld, this process runs as %ld; run as its owner or "
                           "chown it",
                           dir, (long)st->st_uid, (long)geteuid());
    if (access(dir, R_OK | W_OK | X_OK) != 0)
        return refuse(problem, STATUS_BAD_REQUEST, dir, "not writable by this user",
                      "change its owner or mode");
    return STATUS_OK;
}

static uint64_t load(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n); /* LMDB files are in the byte order of their machine */
    return v;
}

/* Reads one meta page; false when it is not one of LMDB 0.9. */
static bool meta_read(int fd, off_t at, uint64_t *page_size, uint64_t *last_page, uint64_t *txn)
{
    uint8_t page[META_END];
    if (pread(fd, page, sizeof page, at) != (ssize_t)sizeof page)
        return false;
    *page_size = load(page + META_PAGE_SIZE, 4);
    *last_page = load(page + META_LAST_PAGE, 8);
    *txn = load(page + META_TXN, 8);
    return load(page + META_MAGIC, 4) == lmdb_magic &&
           load(page + META_VERSION, 4) == lmdb_version && *page_size >= 256 && *page_size <= 65536;
}

/* Tells what is wrong with the data file, NULL if nothing is. A transaction writes the meta page
 * that the one before it did not, so their numbers follow; else the newest is not what it says, and
 * LMDB would go on from the one before, without a word. */
static const char *data_fault_once(int fd, uint64_t size)
{
    uint64_t page_size, other_size, last[2], txn[2];
    if (size == 0)
        return "data.mdb is empty";
    if (!meta_read(fd, 0, &page_size, &last[0], &txn[0]))
        return "data.mdb does not begin with an LMDB page";
    if (!meta_read(fd, (off_t)page_size, &other_size, &last[1], &txn[1]) || other_size != page_size)
        return "data.mdb has a damaged second page";
    uint64_t newest = txn[1] > txn[0] ? last[1] : last[0];
    if (newest >= size / page_size)
        return "data.mdb is shorter than its contents";
    if (txn[0] + txn[1] > 0 && txn[0] + 1 != txn[1] && txn[1] + 1 != txn[0])
        return "data.mdb has meta pages that do not follow one another";
    return NULL;
}

/* A writer may have changed one page after the other was read: what is really wrong stays. */
static const char *data_fault(int fd, uint64_t size)
{
    const char *fault = data_fault_once(fd, size);
    for (int i = 0; fault != NULL && size > 0 && i < 3; i++)
        fault = data_fault_once(fd, size);
    return fault;
}

/* Whether the file is what an LMDB leaves whose very first write ended early: one good page. */
static bool begun_only(int fd, uint64_t size)
{
    uint64_t page_size, last, txn;
    return meta_read(fd, 0, &page_size, &last, &txn) && size < 2 * page_size;
}

/* begin: the store may be begun here; then what was only begun is no fault (place_renew). */
static enum status check_data(const char *dir, bool marked, bool begin, struct problem *problem)
{
    const char *advice = "restore a backup (purser restore); nothing was changed";
    char path[PATH_CAP];
    struct stat st;
    if (!join(path, dir, "data.mdb"))
        return refuse(problem, STATUS_BAD_REQUEST, dir, "path too long", "use a shorter one");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT && !marked)
        return STATUS_OK;
    if (fd < 0)
        return refuse(problem, errno == EACCES ? STATUS_BAD_REQUEST : STATUS_INTERNAL, dir,
                      errno == ENOENT ? "data.mdb is missing" : "data.mdb cannot be opened",
                      advice);
    const char *fault = "data.mdb is not a file";
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        fault = st.st_size == 0 && !marked ? NULL : data_fault(fd, (uint64_t)st.st_size);
    if (fault && begin && !marked && S_ISREG(st.st_mode) && begun_only(fd, (uint64_t)st.st_size))
        fault = NULL;
    close(fd);
    if (fault != NULL)
        return refuse(problem, STATUS_INTERNAL, dir, fault, advice);
    return STATUS_OK;
}

static bool exists(const char *dir, const char *name)
{
    char path[PATH_CAP];
    struct stat st;
    return join(path, dir, name) && lstat(path, &st) == 0;
}

enum status place_check(const char *dir, const struct db_options *options, struct problem *problem)
{
    struct stat st;
    if (strlen(dir) + 32 > PATH_CAP || dir[0] == 0)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "store directory: %zu bytes is no path",
                           strlen(dir));
    bool create = options->create && !options->read_only;
    if (stat(dir, &st) != 0) {
        if (errno != ENOENT || !create)
            return problem_set(problem, STATUS_BAD_REQUEST, dir,
                               "%s: no store here (%s); start purserd once to make one, or name "
                               "another directory",
                               dir, strerror(errno));
        if (mkdir(dir, 0700) != 0 || stat(dir, &st) != 0)
            return problem_set(problem, STATUS_BAD_REQUEST, dir, "%s: cannot make it: %s", dir,
                               strerror(errno));
    }
    enum status s = check_dir(dir, &st, options->read_only, problem);
    if (s != STATUS_OK)
        return s;
    bool marked = exists(dir, "INITIALISED");
    if (!marked && !create && !exists(dir, "data.mdb"))
        return refuse(problem, STATUS_BAD_REQUEST, dir, "no store here",
                      "start purserd once to make one, or name another directory");
    return check_data(dir, marked, create, problem);
}

/* Tells who holds the lock from what the holder wrote into the file. */
static enum status refuse_second(const char *dir, int fd, struct problem *problem)
{
    char text[32] = "", path[64], name[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    int comm = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (comm >= 0) {
        n = read(comm, name, sizeof name - 1);
        name[n > 0 ? n - 1 : 0] = 0; /* without the newline */
        close(comm);
    }
    if (pid <= 0)
        return refuse(problem, STATUS_UNAVAILABLE, dir, "in use by another process",
                      "stop that one first");
    return problem_set(problem, STATUS_UNAVAILABLE, dir,
                       "%s: in use by process %ld (%s); stop that one first", dir, pid,
                       name[0] != 0 ? name : "of another container or gone");
}

enum status place_lock(const char *dir, int *out, struct problem *problem)
{
    char path[PATH_CAP], text[32];
    if (!join(path, dir, "LOCK"))
        return refuse(problem, STATUS_BAD_REQUEST, dir, "path too long", "use a shorter one");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return problem_set(problem, STATUS_BAD_REQUEST, dir,
                           "%s: cannot open: %s; the store must be "
                           "writable",
                           path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum status s = refuse_second(dir, fd, problem);
        close(fd);
        return s;
    }
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        /* A full disk: the lock holds all the same, only its owner stays unnamed. */
    }
    *out = fd;
    return STATUS_OK;
}

enum status place_held(const char *dir, int *out, struct problem *problem)
{
    char path[PATH_CAP];
    *out = join(path, dir, "LOCK") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (*out < 0 || flock(*out, LOCK_EX | LOCK_NB) == 0)
        return STATUS_OK; /* without the file nobody has it */
    enum status s = refuse_second(dir, *out, problem);
    place_let_go(*out);
    *out = -1;
    return s;
}

void place_let_go(int fd)
{
    if (fd >= 0)
        close(fd);
}

void place_renew(const char *dir)
{
    char path[PATH_CAP];
    struct stat st;
    int fd = !exists(dir, "INITIALISED") && join(path, dir, "data.mdb")
                 ? open(path, O_RDWR | O_CLOEXEC)
                 : -1;
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && begun_only(fd, (uint64_t)st.st_size) && ftruncate(fd, 0) != 0) {
        /* LMDB will say what is wrong with it. */
    }
    close(fd);
}

enum status place_sync(const char *path, struct problem *problem)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int saved = errno;
        if (fd >= 0)
            close(fd);
        return problem_set(problem, STATUS_UNAVAILABLE, path, "%s: cannot sync: %s", path,
                           strerror(saved));
    }
    close(fd);
    return STATUS_OK;
}

static enum status marker_write(const char *dir, const char *store_id, struct problem *problem)
{
    char path[PATH_CAP], text[64];
    if (!join(path, dir, "INITIALISED"))
        return refuse(problem, STATUS_BAD_REQUEST, dir, "path too long", "use a shorter one");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int n = snprintf(text, sizeof text, "purser store %s\n", store_id);
    bool ok = fd >= 0 && write(fd, text, (size_t)n) == n && fsync(fd) == 0;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    if (!ok)
        return problem_set(problem, STATUS_UNAVAILABLE, dir, "%s: cannot write: %s", path,
                           strerror(saved));
    return STATUS_OK;
}

enum status place_seal(const char *dir, const char *store_id, struct problem *problem)
{
    char parent[PATH_CAP];
    if (exists(dir, "INITIALISED"))
        return STATUS_OK;
    if (!join(parent, dir, ".."))
        return refuse(problem, STATUS_BAD_REQUEST, dir, "path too long", "use a shorter one");
    enum status s =
        place_sync(dir, problem); /* data.mdb's name, before the marker vouches for it */
    if (s == STATUS_OK)
        s = marker_write(dir, store_id, problem);
    if (s == STATUS_OK)
        s = place_sync(dir, problem);
    if (s == STATUS_OK)
        s = place_sync(parent, problem);
    return s;
}
