/* SPDX-License-Identifier: MIT */
/*
 * Script, drawing and complaints go through unnamed files: no pipe can fill up while the other end
 * waits, and nothing is left behind by a process that dies.
 */
#include "sim/html/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char *slurp(FILE *f, size_t *len)
{
    long end = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    char *text = end >= 0 ? malloc((size_t)end + 1) : NULL;
    if (text == NULL || fseek(f, 0, SEEK_SET) != 0) {
        free(text);
        return NULL;
    }
    *len = fread(text, 1, (size_t)end, f);
    text[*len] = '\0';
    return text;
}

/* 0, or an errno of not being able to start it. */
static int start(FILE *const file[3], int *exit_status)
{
    static char name[] = "gnuplot", defaults[] = "-d";
    char *argv[] = {name, defaults, NULL};
    posix_spawn_file_actions_t files;
    pid_t child;
    int error = posix_spawn_file_actions_init(&files);
    for (int fd = 0; error == 0 && fd < 3; fd++)
        error = posix_spawn_file_actions_adddup2(&files, fileno(file[fd]), fd);
    if (error == 0)
        error = posix_spawnp(&child, name, &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (error != 0)
        return error;
    while (waitpid(child, exit_status, 0) < 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

static enum status failed(FILE *said, int error, int exit_status, struct problem *problem)
{
    size_t len = 0;
    if (error == ENOENT ||
        (error == 0 && WIFEXITED(exit_status) && WEXITSTATUS(exit_status) == 127))
        return problem_set(problem, STATUS_BAD_REQUEST, "",
                           "gnuplot draws the plots and is not installed: apt-get install "
                           "gnuplot-nox");
    if (error != 0)
        return problem_set(problem, STATUS_INTERNAL, "", "gnuplot: %s", strerror(error));
    char *text = slurp(said, &len);
    if (text != NULL)
        text[strcspn(text, "\n")] = '\0';
    (void)problem_set(problem, STATUS_INTERNAL, "", "gnuplot failed: %s", text ? text : "");
    free(text);
    return STATUS_INTERNAL;
}

enum status gnuplot_run(const char *script, size_t len, char **out, struct problem *problem)
{
    FILE *file[3] = {tmpfile(), tmpfile(), tmpfile()};
    enum status s = STATUS_OK;
    int exit_status = 0;
    *out = NULL;
    bool ready = file[0] && file[1] && file[2] && fwrite(script, 1, len, file[0]) == len &&
                 fflush(file[0]) == 0 && lseek(fileno(file[0]), 0, SEEK_SET) == 0;
    if (!ready) {
        s = problem_set(problem, STATUS_INTERNAL, "", "a temporary file: %s", strerror(errno));
    } else {
        int error = start(file, &exit_status);
        if (error != 0 || !WIFEXITED(exit_status) || WEXITSTATUS(exit_status) != 0)
            s = failed(file[2], error, exit_status, problem);
    }
    if (s == STATUS_OK) {
        *out = slurp(file[1], &len);
        if (*out == NULL || strstr(*out, "</svg>") == NULL) {
            s = failed(file[2], 0, 0, problem);
            free(*out);
            *out = NULL;
        }
    }
    for (int i = 0; i < 3; i++)
        if (file[i])
            fclose(file[i]);
    return s;
}
