/* SPDX-License-Identifier: MIT */
/*
 * New stores: made under a temporary name beside their target, verified there, synced, then
 * renamed, so the target either does not exist or is whole and proven.
 */
#include "store/copies.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store/db_inside.h"

static void remove_file(const char *dir, const char *name)
{
    char path[PATH_CAP];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (n > 0 && n < PATH_CAP)
        unlink(path);
}

static void remove_copy(const char *dir)
{
    remove_file(dir, "data.mdb");
    remove_file(dir, "lock.mdb");
    remove_file(dir, "LOCK");
    remove_file(dir, "INITIALISED");
    rmdir(dir);
}

static enum status refuse_target(const char *to, int error, struct problem *problem)
{
    bool taken = error == EEXIST || error == ENOTEMPTY || error == ENOTDIR;
    return problem_set(problem, taken ? STATUS_CONFLICT : STATUS_UNAVAILABLE, to, "%s: %s; %s", to,
                       strerror(error),
                       taken ? "name a directory that does not exist yet" : "nothing was changed");
}

/* Puts the copy in its place. Over an empty directory only if `empty_ok`. */
static enum status place_copy(const char *temp, const char *to, bool empty_ok,
                              struct problem *problem)
{
    char parent[PATH_CAP];
    int rc =
        empty_ok ? rename(temp, to) : renameat2(AT_FDCWD, temp, AT_FDCWD, to, RENAME_NOREPLACE);
    if (rc != 0)
        return refuse_target(to, errno, problem);
    int n = snprintf(parent, sizeof parent, "%s/..", to);
    return n < PATH_CAP ? place_sync(parent, problem) : STATUS_OK;
}

/* The early answer for a target that the rename would refuse, before hours of copying. */
static enum status check_target(const char *to, bool empty_ok, struct problem *problem)
{
    struct stat st;
    if (lstat(to, &st) != 0)
        return errno == ENOENT ? STATUS_OK : refuse_target(to, errno, problem);
    DIR *d = empty_ok ? opendir(to) : NULL;
    if (d == NULL)
        return refuse_target(to, empty_ok ? errno : EEXIST, problem);
    bool empty = true;
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        empty = empty && e->d_name[strspn(e->d_name, ".")] == 0;
    closedir(d);
    return empty ? STATUS_OK : refuse_target(to, ENOTEMPTY, problem);
}

enum status copies_make(enum status (*make)(void *ctx, const char *dir, struct problem *problem),
                        void *ctx, const char *to, bool empty_ok, struct verify_report *out,
                        struct problem *problem)
{
    char temp[PATH_CAP];
    size_t n = strlen(to);
    while (n > 1 && to[n - 1] == '/')
        n--;
    enum status s = check_target(to, empty_ok, problem);
    if (s != STATUS_OK)
        return s;
    int written = snprintf(temp, sizeof temp, "%.*s.partial-XXXXXX", (int)n, to);
    if (n == 0 || n > PATH_CAP - 64 || written >= PATH_CAP)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "target: path of %zu bytes", n);
    if (mkdtemp(temp) == NULL) /* mode 0700 */
        return refuse_target(temp, errno, problem);
    s = make(ctx, temp, problem);
    if (s == STATUS_OK)
        s = store_verify(temp, NULL, NULL, out, problem);
    remove_file(temp, "lock.mdb");
    remove_file(temp, "LOCK"); /* of a store that was opened to be written */
    if (s == STATUS_OK)
        s = place_sync(temp, problem);
    if (s == STATUS_OK)
        s = place_copy(temp, to, empty_ok, problem);
    if (s != STATUS_OK)
        remove_copy(temp);
    return s;
}
