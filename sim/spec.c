/* SPDX-License-Identifier: MIT */
/*
 * Where the simulator's documents come from. Shipped ones lie in share/purser/worlds beside the
 * program's folder when installed and inside it in a build tree (a link to the source); both are
 * found from the program's own place, so that neither a prefix nor an environment variable has to
 * be right. Reading goes through the same gate as messages and configurations.
 */
#include "sim/spec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct doc_bounds bounds = {
    .bytes = SPEC_MAX, .item_bytes = SPEC_MAX, .elements = 65536, .items = 4096};

void spec_folder(const char *path, char folder[SPEC_PATH_CAP])
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        snprintf(folder, SPEC_PATH_CAP, ".");
    else
        snprintf(folder, SPEC_PATH_CAP, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static bool take_file(char path[SPEC_PATH_CAP], const char *folder, const char *name,
                      const char *suffix)
{
    struct stat about;
    int n = snprintf(path, SPEC_PATH_CAP, "%s%s%s%s", folder, folder[0] != '\0' ? "/" : "", name,
                     suffix);
    return n < SPEC_PATH_CAP && stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

/* Writes the folder of the program; "." when the system does not tell. */
static void own_folder(char folder[SPEC_PATH_CAP])
{
    char self[SPEC_PATH_CAP];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    spec_folder(self, folder);
}

enum status spec_find(const char *name, const char *near, const char *suffix,
                      char path[SPEC_PATH_CAP], struct problem *problem)
{
    char own[SPEC_PATH_CAP], inside[SPEC_PATH_CAP + 32], beside[SPEC_PATH_CAP + 32];
    own_folder(own);
    snprintf(inside, sizeof inside, "%s/share/purser/worlds", own);
    snprintf(beside, sizeof beside, "%s/../share/purser/worlds", own);
    const char *const folder[] = {"", near, inside, beside};
    for (size_t i = 0; i < sizeof folder / sizeof *folder; i++) {
        if ((i == 1 && near[0] == '\0') || (i > 0 && name[0] == '/'))
            continue;
        if (take_file(path, folder[i], name, "") || take_file(path, folder[i], name, suffix))
            return STATUS_OK;
    }
    return problem_set(problem, STATUS_BAD_REQUEST, "",
                       "no file %s, none beside the document that names it, and nothing of that "
                       "name is shipped",
                       name);
}

enum status spec_open(const char *path, json_t **root, struct problem *problem)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", path, strerror(errno));
    char *json = malloc(SPEC_MAX + 1);
    enum status s = STATUS_OK;
    size_t n = json == NULL ? 0 : fread(json, 1, SPEC_MAX + 1, f);
    if (json == NULL)
        s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    else if (ferror(f))
        s = problem_set(problem, STATUS_BAD_REQUEST, "", "%s: cannot be read", path);
    else
        s = spec_blame(problem, path, json_open(json, n, &bounds, root, problem));
    free(json);
    fclose(f);
    return s;
}

enum status spec_blame(struct problem *problem, const char *path, enum status s)
{
    if (s == STATUS_OK || problem == NULL)
        return s;
    struct problem inner = *problem;
    problem_set(problem, s, "", "%s: %s%s%s", path, inner.path, inner.path[0] != '\0' ? ": " : "",
                inner.text);
    problem->line = inner.line;
    return s;
}

enum status spec_list(const json_t *v, const struct json_at *at, size_t low, size_t high,
                      struct problem *problem)
{
    char found[FOUND_CAP];
    if (json_is_array(v) && json_array_size(v) >= low && json_array_size(v) <= high)
        return STATUS_OK;
    return json_fail(problem, STATUS_BAD_REQUEST, at, "expected an array of %zu to %zu, found %s",
                     low, high, v == NULL ? "nothing" : json_found(found, v));
}

enum status spec_reals(const json_t *v, const struct json_at *at, int n, double low, double high,
                       double *out, struct problem *problem)
{
    const struct field number = {.kind = FIELD_REAL, .min = low, .max = high};
    enum status s = spec_list(v, at, (size_t)n, (size_t)n, problem);
    for (int i = 0; s == STATUS_OK && i < n; i++) {
        struct json_at here = {.up = at, .index = i};
        s = field_read(&number, json_array_get(v, (size_t)i), &here, &out[i], problem);
    }
    return s;
}
