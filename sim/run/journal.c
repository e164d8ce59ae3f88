/* SPDX-License-Identifier: MIT */
/*
 * Numbers are written so that they are read back exactly: integers as they are, reals with 17
 * digits. Sums stand in arrays in the order of struct run_sum; members are the contract
 * (docs/worlds.md), arrays are as long as there is something in them.
 */
#include "sim/run/journal.h"

#include "sim/series/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- writing ---- */

static void put_sum(struct text *t, const struct run_sum *s)
{
    text_printf(t, "[%lld,%lld,%lld,%lld,%lld,%lld,%.17g,%.17g]", (long long)s->n,
                (long long)s->right, (long long)s->refused, (long long)s->cost_nano,
                (long long)s->tokens, (long long)s->timed, s->quality, s->latency_ms);
}

static void put_sums(struct text *t, const char *name, const struct run_sum *s, int n)
{
    text_printf(t, ",\"%s\":[", name);
    for (int i = 0; i < n; i++) {
        text_put(t, i > 0 ? "," : "");
        put_sum(t, &s[i]);
    }
    text_put(t, "]");
}

static void put_points(struct text *t, const char *name, const struct point *p, int n)
{
    text_printf(t, ",\"%s\":[", name);
    for (int i = 0; i < n; i++)
        text_printf(t, "%s[%.17g,%.17g]", i > 0 ? "," : "", p[i].cost, p[i].quality);
    text_put(t, "]");
}

static void put_chosen(struct text *t, const struct run_job *job, int n_stretches, int n_models)
{
    text_put(t, ",\"chosen\":[");
    for (int k = 0; k < n_stretches; k++) {
        text_put(t, k > 0 ? ",[" : "[");
        for (int m = 0; m < n_models; m++)
            text_printf(t, "%s%lld", m > 0 ? "," : "", (long long)job->chosen[k][m]);
        text_put(t, "]");
    }
    text_put(t, "]");
}

/* Reals, of which some may not be defined. */
static void put_reals(struct text *t, const char *name, const double *v, int n)
{
    text_printf(t, ",\"%s\":[", name);
    for (int i = 0; i < n; i++) {
        text_put(t, i > 0 ? "," : "");
        if (isnan(v[i]))
            text_put(t, "null");
        else
            text_printf(t, "%.17g", v[i]);
    }
    text_put(t, "]");
}

/* How long the arrays of a job of e are. */
struct sizes {
    int windows, stretches, groups, models;
    size_t requests;
};

static struct sizes sizes_of(const struct experiment *e)
{
    size_t end[RUN_WINDOWS_MAX], from[STRETCHES_MAX];
    return (struct sizes){run_windows(e->n, end), course_stretches(&e->disturbances, e->n, from),
                          e->n_groups, e->world.table.n_models, e->n};
}

void journal_line(struct text *t, const struct experiment *e, int policy, uint64_t seed,
                  const struct run_job *job)
{
    struct sizes n = sizes_of(e);
    uint64_t digest = experiment_job_digest(e, policy, seed);
    t->full = t->full || digest == 0;
    text_printf(t, "{\"digest\":\"%016llx\",\"policy\":", (unsigned long long)digest);
    text_json_string(t, e->policy[policy].name);
    text_printf(t, ",\"seed\":%llu", (unsigned long long)seed);
    put_sums(t, "whole", &job->whole, 1);
    put_sums(t, "last", &job->last, 1);
    put_sums(t, "windows", job->window, n.windows);
    put_sums(t, "stretches", job->stretch, n.stretches);
    put_sums(t, "groups", job->group, n.groups);
    put_chosen(t, job, n.stretches, n.models);
    put_points(t, "fixed", job->fixed, n.models);
    put_points(t, "oracle", &job->oracle, 1);
    put_points(t, "adequate", &job->adequate, 1);
    series_put(t, &job->series, e->n, n.models);
    put_reals(t, "measures", job->measured.value, MEASURES);
    put_points(t, "curve", job->measured.curve, MEASURE_POINTS);
    put_reals(t, "bins", &job->measured.bin[0].n, 3 * MEASURE_BINS);
    put_reals(t, "recovered", job->recovered, n.stretches);
    put_reals(t, "adopted", job->adopted, n.stretches);
    text_put(t, "}\n");
}

/* ---- reading ---- */

static bool get_sums(const json_t *line, const char *name, struct run_sum *out, int n)
{
    const json_t *list = json_object_get(line, name);
    for (int i = 0; i < n; i++) {
        const json_t *s = json_array_get(list, (size_t)i);
        if (json_array_size(s) != 8)
            return false;
        int64_t *whole[] = {&out[i].n,         &out[i].right,  &out[i].refused,
                            &out[i].cost_nano, &out[i].tokens, &out[i].timed};
        for (size_t k = 0; k < 6; k++)
            *whole[k] = json_integer_value(json_array_get(s, k));
        out[i].quality = json_number_value(json_array_get(s, 6));
        out[i].latency_ms = json_number_value(json_array_get(s, 7));
    }
    return json_array_size(list) == (size_t)n;
}

static bool get_points(const json_t *line, const char *name, struct point *out, int n)
{
    const json_t *list = json_object_get(line, name);
    for (int i = 0; i < n; i++) {
        const json_t *p = json_array_get(list, (size_t)i);
        out[i].cost = json_number_value(json_array_get(p, 0));
        out[i].quality = json_number_value(json_array_get(p, 1));
    }
    return json_array_size(list) == (size_t)n;
}

static bool get_reals(const json_t *line, const char *name, double *out, int n)
{
    const json_t *list = json_object_get(line, name);
    for (int i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, (size_t)i);
        out[i] = json_is_number(v) ? json_number_value(v) : (double)NAN;
    }
    return json_array_size(list) == (size_t)n;
}

static bool get_chosen(const json_t *line, struct run_job *out, int n_stretches, int n_models)
{
    const json_t *list = json_object_get(line, "chosen");
    for (int k = 0; k < n_stretches; k++)
        for (int m = 0; m < n_models; m++)
            out->chosen[k][m] =
                json_integer_value(json_array_get(json_array_get(list, (size_t)k), (size_t)m));
    return json_array_size(list) == (size_t)n_stretches;
}

static bool get_job(const json_t *line, struct sizes n, struct run_job *out)
{
    memset(out, 0, sizeof *out);
    out->known = get_sums(line, "whole", &out->whole, 1) && get_sums(line, "last", &out->last, 1) &&
                 get_sums(line, "windows", out->window, n.windows) &&
                 get_sums(line, "stretches", out->stretch, n.stretches) &&
                 get_sums(line, "groups", out->group, n.groups) &&
                 get_chosen(line, out, n.stretches, n.models) &&
                 get_points(line, "fixed", out->fixed, n.models) &&
                 get_points(line, "oracle", &out->oracle, 1) &&
                 get_points(line, "adequate", &out->adequate, 1) &&
                 series_get(line, n.requests, n.models, &out->series) &&
                 get_reals(line, "measures", out->measured.value, MEASURES) &&
                 get_points(line, "curve", out->measured.curve, MEASURE_POINTS) &&
                 get_reals(line, "bins", &out->measured.bin[0].n, 3 * MEASURE_BINS) &&
                 get_reals(line, "recovered", out->recovered, n.stretches) &&
                 get_reals(line, "adopted", out->adopted, n.stretches);
    return out->known;
}

/* Finds the job of a line's digest and takes it, unless it is known. */
static void take_line(const char *line, const struct experiment *e, const uint64_t *digest,
                      struct run_job *job)
{
    struct run_job *read = NULL;
    json_t *root = json_loads(line, 0, NULL);
    const char *hex = json_string_value(json_object_get(root, "digest"));
    uint64_t want = hex != NULL ? strtoull(hex, NULL, 16) : 0;
    int n = e->n_policies * (int)e->seeds;
    for (int i = 0; want != 0 && i < n; i++) {
        if (digest[i] != want || job[i].known)
            continue;
        if (read == NULL && (read = malloc(sizeof *read)) == NULL)
            break;
        if (get_job(root, sizes_of(e), read))
            job[i] = *read;
    }
    free(read);
    json_decref(root);
}

enum status journal_recall(const char *path, const struct experiment *e, struct run_job *job,
                           struct problem *problem)
{
    int seeds = (int)e->seeds, n = e->n_policies * seeds;
    FILE *f = fopen(path, "rb");
    if (f == NULL && errno == ENOENT)
        return STATUS_OK;
    if (f == NULL)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", path, strerror(errno));
    uint64_t *digest = malloc((size_t)n * sizeof *digest);
    char *line = NULL;
    size_t cap = 0;
    bool known = digest != NULL;
    for (int i = 0; known && i < n; i++) {
        digest[i] = experiment_job_digest(e, i / seeds, (uint64_t)(e->first_seed + i % seeds));
        known = digest[i] != 0;
    }
    while (known && getline(&line, &cap, f) > 0)
        take_line(line, e, digest, job);
    enum status s = !known ? problem_set(problem, STATUS_INTERNAL, "", "out of memory")
                    : !feof(f)
                        ? problem_set(problem, STATUS_BAD_REQUEST, "", "%s: cannot be read", path)
                        : STATUS_OK;
    free(digest);
    free(line);
    fclose(f);
    return s;
}

int journal_open(const char *path, struct problem *problem)
{
    char last = '\n';
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) {
        (void)problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", path, strerror(errno));
        return -1;
    }
    off_t end = lseek(fd, 0, SEEK_END);
    if (end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n' && write(fd, "\n", 1) != 1) {
        (void)problem_set(problem, STATUS_BAD_REQUEST, "", "%s: cannot be written", path);
        close(fd);
        return -1;
    }
    return fd;
}

enum status journal_append(int fd, const struct experiment *e, int policy, uint64_t seed,
                           const struct run_job *job, struct problem *problem)
{
    char *room = malloc(JOURNAL_LINE_MAX);
    if (room == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    struct text t = text_over(room, JOURNAL_LINE_MAX);
    journal_line(&t, e, policy, seed, job);
    errno = t.full ? ENOMEM : ENOSPC; /* of a write that was too short */
    bool ok = !t.full && write(fd, t.at, t.len) == (ssize_t)t.len;
    free(room);
    return ok ? STATUS_OK
              : problem_set(problem, STATUS_BAD_REQUEST, "", "the journal: %s", strerror(errno));
}
