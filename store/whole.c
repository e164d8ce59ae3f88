/* SPDX-License-Identifier: MIT */
#include "store/whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct whole *begun; /* drafts that are not in their place yet */

static void forget(const struct whole *w)
{
    struct whole **at = &begun;
    while (*at != NULL && *at != w)
        at = &(*at)->next;
    if (*at != NULL)
        *at = w->next;
}

void whole_abandon(void)
{
    for (const struct whole *w = begun; w != NULL; w = w->next)
        if (w->process == (long)getpid())
            unlink(w->draft);
}

static enum status failed(const struct whole *w, struct problem *problem)
{
    const char *why = strerror(errno);
    return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: cannot be written: %s", w->path, why);
}

/* A draft of the same process number that is there already is a dead process's. */
static int create(const char *path)
{
    const int how = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = open(path, how, 0666);
    if (fd >= 0 || errno != EEXIST)
        return fd;
    return unlink(path) == 0 ? open(path, how, 0666) : -1;
}

enum status whole_begin(struct whole *w, const char *path, struct problem *problem)
{
    struct stat st;
    w->f = NULL;
    w->draft[0] = '\0';
    int n = snprintf(w->path, sizeof w->path, "%s", path);
    bool there = stat(path, &st) == 0;
    if (n >= (int)sizeof w->path) {
        errno = ENAMETOOLONG;
        return failed(w, problem);
    }
    if (there && !S_ISREG(st.st_mode)) {
        w->f = fopen(path, "we");
        return w->f != NULL ? STATUS_OK : failed(w, problem);
    }
    if (there && access(path, W_OK) != 0)
        return failed(w, problem);
    if (there && realpath(path, w->path) == NULL) { /* a link stays one */
        snprintf(w->path, sizeof w->path, "%s", path);
        return failed(w, problem);
    }
    snprintf(w->draft, sizeof w->draft, "%s.%ld.part", w->path, (long)getpid());
    int fd = create(w->draft);
    if (fd >= 0 && there)
        (void)!fchmod(fd, st.st_mode & 07777);
    w->f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (w->f != NULL) {
        w->process = (long)getpid();
        w->next = begun;
        begun = w;
        return STATUS_OK;
    }
    enum status s = failed(w, problem);
    if (fd >= 0) {
        close(fd);
        unlink(w->draft);
    }
    return s;
}

enum status whole_end(struct whole *w, enum status so_far, struct problem *problem)
{
    if (w->f == NULL)
        return so_far;
    errno = 0;
    bool ok = fflush(w->f) == 0 && !ferror(w->f);
    if (!ok && errno == 0)
        errno = ENOSPC; /* the usual reason; what a write before said is forgotten */
    ok = fclose(w->f) == 0 && ok;
    w->f = NULL;
    if (w->draft[0] == '\0')
        return so_far == STATUS_OK && !ok ? failed(w, problem) : so_far;
    forget(w);
    ok = so_far == STATUS_OK && ok && rename(w->draft, w->path) == 0;
    if (ok)
        return STATUS_OK;
    if (so_far == STATUS_OK)
        so_far = failed(w, problem);
    unlink(w->draft);
    return so_far;
}
