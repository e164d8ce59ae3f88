/* SPDX-License-Identifier: MIT */
/*
 * JSON lines. Our own have the members that the CSV has as columns, with pmf, pi and q as objects
 * by arm and x as an array. dsjson is Vowpal Wabbit's log of decisions: the loss is what it calls
 * cost, actions are numbered from 1, and what of the context is not an action becomes features by
 * hash. Its events without a chosen action, and those to be skipped for learning, are no decisions.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"
#include "sim/ope/read.h"

enum { HASHED = 32, CONTEXT_DEPTH = 8 };

struct json_log {
    const struct ope_source *s;
    struct ope_rows *r;
    uint64_t number;
    struct problem *problem;
};

static enum status wrong(const struct json_log *j, const char *what)
{
    return problem_set(j->problem, STATUS_BAD_REQUEST, "", "line %llu: %s",
                       (unsigned long long)j->number, what);
}

static enum status no_memory(const struct json_log *j)
{
    return problem_set(j->problem, STATUS_UNAVAILABLE, "", "out of memory");
}

/* ---- our own ---- */

static bool take_text(const json_t *v, struct names *names, uint32_t *out)
{
    const char *s = json_string_value(v);
    if (s && *s)
        *out = names_add(names, s);
    return !s || !*s || *out != NAMES_NONE;
}

/* An object by arm; which: 0 pmf, 1 pi, 2 q. */
static bool take_matrix(struct json_log *j, size_t row, json_t *v, int which)
{
    const char *name;
    json_t *value;
    struct ope_rows *r = j->r;
    json_object_foreach(v, name, value)
    {
        int64_t arm = rows_arm(r, name);
        if (arm < 0 || !json_is_number(value))
            return false;
        size_t at = row * (size_t)r->k + (size_t)arm;
        double x = json_number_value(value);
        if (which == 0)
            r->pmf[at] = x;
        else if (which == 1)
            r->given[at] = x;
        else
            r->q[AIM_QUALITY][at] = (float)x;
    }
    r->has_pmf = r->has_pmf || (which == 0 && v);
    r->has_given = r->has_given || (which == 1 && v);
    r->has_q[AIM_QUALITY] = r->has_q[AIM_QUALITY] || (which == 2 && v);
    return true;
}

static bool take_features(struct ope_rows *r, size_t row, const json_t *x)
{
    bool ok = x == NULL || json_is_array(x);
    for (size_t i = 0; ok && i < json_array_size(x); i++) {
        ok = json_is_number(json_array_get(x, i));
        if (i < (size_t)r->d)
            r->x[row * (size_t)r->d + i] = (float)json_number_value(json_array_get(x, i));
    }
    return ok;
}

/* A number that may be missing, or null; false when it is something else. */
static bool take_number(const json_t *o, const char *name, double *out)
{
    const json_t *v = json_object_get(o, name);
    if (json_is_number(v))
        *out = json_number_value(v);
    return v == NULL || json_is_null(v) || json_is_number(v);
}

static void take_time(struct ope_rows *r, size_t row, const json_t *v)
{
    if (json_is_string(v))
        r->time_ms[row] = read_time(json_string_value(v));
    else if (json_is_number(v))
        r->time_ms[row] = (int64_t)(json_number_value(v) * 1000);
}

static enum status take_own(struct json_log *j, json_t *o)
{
    static const char *const label[AIM_UTILITY] = {"quality", "cost_usd", "latency_ms", "failure"};
    struct ope_rows *r = j->r;
    const char *arm = json_string_value(json_object_get(o, "arm"));
    if (!arm)
        return wrong(j, "\"arm\", a string, is missing");
    if (r->n == 0 && json_array_size(json_object_get(o, "x")) <= DIM_MAX)
        r->d = (int)json_array_size(json_object_get(o, "x"));
    int64_t row = rows_add(r), column = row < 0 ? -1 : rows_arm(r, arm);
    if (column < 0)
        return no_memory(j);
    size_t at = (size_t)row;
    r->arm[at] = (uint32_t)column;
    for (int i = 0; i < AIM_UTILITY; i++)
        if (!take_number(o, label[i], &r->label[i][at]))
            return wrong(j, "quality, cost_usd, latency_ms and failure are numbers");
    if (!take_matrix(j, at, json_object_get(o, "pmf"), 0) ||
        !take_matrix(j, at, json_object_get(o, "pi"), 1) ||
        !take_matrix(j, at, json_object_get(o, "q"), 2))
        return wrong(j, "pmf, pi and q are objects of numbers by arm");
    r->p[at] = r->pmf[at * (size_t)r->k + r->arm[at]];
    if (!take_number(o, "p", &r->p[at]))
        return wrong(j, "p is a number");
    if (!take_features(r, at, json_object_get(o, "x")))
        return wrong(j, "x is a list of numbers");
    take_time(r, at, json_object_get(o, "time"));
    bool ok = take_text(json_object_get(o, "session"), &r->units, &r->unit[at]);
    for (int i = 0; i < SEG_WEEK; i++)
        ok = ok && take_text(json_object_get(o, ope_segment_name((enum ope_segment)i)),
                             &r->segment[i], &r->seg[i][at]);
    r->forced[at] = json_is_true(json_object_get(o, "forced"));
    r->seq[at] = j->number;
    return ok ? read_checked(r, at, j->problem) : no_memory(j);
}

/* ---- dsjson ---- */

/* The context without its actions: names lead to values through objects and arrays. */
static void hash_context(struct ope_rows *r, size_t row, json_t *v, uint64_t path, int depth)
{
    const char *name;
    json_t *inner;
    size_t i;
    float *x = r->x + row * (size_t)r->d;
    if (json_is_object(v) && depth < CONTEXT_DEPTH) {
        json_object_foreach(v, name, inner) if (name[0] != '_')
            hash_context(r, row, inner, hash64(name, strlen(name), path), depth + 1);
    } else if (json_is_array(v) && depth < CONTEXT_DEPTH) {
        json_array_foreach(v, i, inner) hash_context(r, row, inner, path, depth + 1);
    } else if (json_is_string(v)) {
        x[hash64(json_string_value(v), json_string_length(v), path) % HASHED] += 1;
    } else if (json_is_number(v)) {
        x[mix64(path) % HASHED] += (float)json_number_value(v);
    }
}

static int64_t numbered_arm(struct ope_rows *r, json_int_t action)
{
    char name[24];
    snprintf(name, sizeof name, "%lld", (long long)action);
    return rows_arm(r, name);
}

static bool take_actions(struct ope_rows *r, size_t row, const json_t *a, const json_t *p)
{
    uint64_t eligible = 0;
    for (size_t i = 0; i < json_array_size(a); i++) {
        int64_t arm = numbered_arm(r, json_integer_value(json_array_get(a, i)));
        if (arm < 0)
            return false;
        r->pmf[row * (size_t)r->k + (size_t)arm] = json_number_value(json_array_get(p, i));
        eligible |= arm < 64 ? (uint64_t)1 << arm : 0;
    }
    r->eligible[row] = json_array_size(a) <= 64 ? eligible : 0;
    return true;
}

static enum status take_dsjson(struct json_log *j, json_t *o)
{
    struct ope_rows *r = j->r;
    const json_t *cost = json_object_get(o, "_label_cost"), *a = json_object_get(o, "a"),
                 *p = json_object_get(o, "p"),
                 *probability = json_object_get(o, "_label_probability"),
                 *action = json_object_get(o, "_label_Action");
    if (!json_is_number(cost) || !json_is_number(probability) || !json_is_integer(action) ||
        json_is_true(json_object_get(o, "_skipLearn"))) {
        r->skipped++;
        return STATUS_OK;
    }
    if (json_array_size(a) == 0 || json_array_size(a) != json_array_size(p))
        return wrong(j, "a and p must be arrays of the same length");
    r->d = HASHED;
    r->has_pmf = true;
    int64_t row = rows_add(r);
    if (row < 0 || !take_actions(r, (size_t)row, a, p))
        return no_memory(j);
    size_t at = (size_t)row;
    int64_t arm = numbered_arm(r, json_integer_value(action));
    if (arm < 0)
        return no_memory(j);
    r->arm[at] = (uint32_t)arm;
    r->p[at] = json_number_value(probability);
    r->label[AIM_QUALITY][at] = -json_number_value(cost);
    take_time(r, at, json_object_get(o, "Timestamp"));
    hash_context(r, at, json_object_get(o, "c"), 0, 0);
    r->seq[at] = j->number;
    return read_checked(r, at, j->problem);
}

/* ---- */

static enum status read_line(struct json_log *j, const char *line, size_t len)
{
    json_error_t error;
    json_t *o = json_loadb(line, len, 0, &error);
    if (!json_is_object(o)) {
        json_decref(o);
        return wrong(j, "not a JSON object");
    }
    enum status s = j->s->format == FORMAT_DSJSON ? take_dsjson(j, o) : take_own(j, o);
    json_decref(o);
    return s;
}

enum status read_json(const struct ope_source *s, struct ope_rows *rows, struct problem *problem)
{
    struct json_log j = {.s = s, .r = rows, .problem = problem};
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    FILE *in = fopen(s->path, "re");
    enum status status = STATUS_OK;
    if (!in)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s", strerror(errno));
    while (status == STATUS_OK && (len = getline(&line, &room, in)) >= 0) {
        j.number++;
        if (strspn(line, " \t\r\n") < (size_t)len)
            status = read_line(&j, line, (size_t)len);
        if (s->progress && j.number % 65536 == 0)
            s->progress(s->path, j.number, 0);
    }
    if (status == STATUS_OK && !feof(in)) /* getline also stops for want of memory */
        status = problem_set(problem, STATUS_BAD_REQUEST, "", "cannot be read");
    free(line);
    fclose(in);
    return status;
}
