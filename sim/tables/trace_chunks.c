/* SPDX-License-Identifier: MIT */
/*
 * ServeGen's files as they are published, a pair for each client N:
 *   chunk-N-trace.csv     start of the window in seconds, requests a second, coefficient of
 *                         variation of the gaps, and a fitted distribution, which is not read; no
 *                         header. A window without a distribution had no requests.
 *   chunk-N-dataset.json  by the second from which they hold, the distributions of "input_tokens"
 *                         and "output_tokens": text "{tokens: share, ...}"
 * Lengths in and out are drawn apart: what they have to do with each other is not told. A client's
 * distributions are held only while its requests are drawn, for a file has a megabyte.
 */
#include "sim/tables/rates.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "bandit/rng.h"

enum { LENGTHS = 0x6c656e67, CHUNK_PATH = 4096, CHUNK_NAME = 64, TRACE_CELLS = 6 };
#define TRACE_END "-trace.csv"
#define DATASET_END "-dataset.json"
static const char needs_cells[] = "expected start,rate,cv,distribution and its two parameters";

struct chunks {
    char dir[CHUNK_PATH];
    uint32_t *client; /* [n], owned */
    size_t n;
    uint64_t seed;
};

/* The number in a name like chunk-12-trace.csv. */
static bool chunk_number(const char *name, const char *end, uint32_t *out)
{
    char *rest;
    if (strncmp(name, "chunk-", 6) != 0 || name[6] < '0' || name[6] > '9')
        return false;
    unsigned long n = strtoul(name + 6, &rest, 10);
    *out = (uint32_t)n;
    return n <= CLIENTS_MAX && strcmp(rest, end) == 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool chunks_are(const char *path)
{
    struct stat st;
    uint32_t client;
    return stat(path, &st) == 0 &&
           (S_ISDIR(st.st_mode) || chunk_number(base_name(path), TRACE_END, &client));
}

static enum status no_memory(struct problem *problem)
{
    return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
}

static int by_number(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static enum status add_client(struct chunks *c, uint32_t client, struct problem *problem)
{
    uint32_t *more = reallocarray(c->client, c->n + 1, sizeof *more);
    if (more == NULL)
        return no_memory(problem);
    c->client = more;
    c->client[c->n++] = client;
    return STATUS_OK;
}

/* The clients of a folder, or the one of a file. */
static enum status find(const char *path, struct chunks *c, struct problem *problem)
{
    uint32_t client;
    const char *name = base_name(path);
    bool one = chunk_number(name, TRACE_END, &client);
    size_t n = one ? (size_t)(name - path) : strlen(path);
    if (n + CHUNK_NAME > sizeof c->dir)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "the path is too long");
    snprintf(c->dir, sizeof c->dir, "%.*s%s", (int)n, path, one ? "" : "/");
    if (one)
        return add_client(c, client, problem);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", path, strerror(errno));
    enum status s = STATUS_OK;
    errno = 0;
    for (const struct dirent *e; s == STATUS_OK && (e = readdir(dir)) != NULL;)
        if (chunk_number(e->d_name, TRACE_END, &client))
            s = add_client(c, client, problem);
    if (s == STATUS_OK && errno != 0)
        s = problem_set(problem, STATUS_INTERNAL, "", "%s: %s", path, strerror(errno));
    closedir(dir);
    if (s == STATUS_OK && c->n == 0)
        s = problem_set(problem, STATUS_BAD_REQUEST, "", "%s: no chunk-N-trace.csv in this folder",
                        path);
    if (s == STATUS_OK)
        qsort(c->client, c->n, sizeof *c->client, by_number);
    return s;
}

static void chunk_path(const struct chunks *c, uint32_t client, const char *end,
                       char out[CHUNK_PATH])
{
    snprintf(out, CHUNK_PATH, "%.*schunk-%u%s", CHUNK_PATH - CHUNK_NAME, c->dir, client, end);
}

/* ---- windows ---- */

/* Cells of a line in place; their number, at most one more than there should be. */
static int split(char *line, char *cell[TRACE_CELLS + 1])
{
    int n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *at = line; at != NULL && n <= TRACE_CELLS; n++) {
        cell[n] = at;
        at = strchr(at, ',');
        if (at != NULL)
            *at++ = '\0';
    }
    return n;
}

/* What is wrong with a line, NULL = nothing; *full says that memory was short. */
static const char *read_window(char *line, uint32_t client, uint64_t number, struct rate_list *r,
                               bool *full)
{
    char *cell[TRACE_CELLS + 1];
    double v[RATE_CELLS] = {client};
    if (line[strspn(line, " \t\r\n")] == '\0')
        return NULL;
    if (split(line, cell) != TRACE_CELLS)
        return needs_cells;
    for (int i = RATE_AT; i < RATE_CELLS; i++) {
        const char *expected = i == RATE_CV && cell[i][0] == '\0' && v[RATE_RPS] <= 0
                                   ? NULL /* nothing was sent: nothing varies */
                                   : rates_cell(i, cell[i - RATE_AT], &v[i]);
        if (expected != NULL)
            return expected;
    }
    if (cell[TRACE_CELLS - 3][0] == '\0')
        v[RATE_RPS] = 0;
    *full = !rates_add(r, v, number);
    return NULL;
}

static enum status read_windows(const struct chunks *c, uint32_t client, struct rate_list *r,
                                struct problem *problem)
{
    char path[CHUNK_PATH], *line = NULL;
    size_t cap = 0;
    bool full = false;
    enum status s = STATUS_OK;
    chunk_path(c, client, TRACE_END, path);
    FILE *in = fopen(path, "r");
    if (in == NULL)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", path, strerror(errno));
    errno = 0;
    for (uint64_t n = 1; s == STATUS_OK && getline(&line, &cap, in) >= 0; n++) {
        const char *wrong = read_window(line, client, n, r, &full);
        if (wrong != NULL)
            s = problem_set(problem, STATUS_BAD_REQUEST, "", "chunk-%u%s:%llu: %s", client,
                            TRACE_END, (unsigned long long)n, wrong);
        else if (full)
            s = no_memory(problem);
    }
    if (s == STATUS_OK && !feof(in))
        s = problem_set(problem, STATUS_INTERNAL, "", "%s: %s", path, strerror(errno));
    free(line);
    fclose(in);
    return s;
}

/* ---- lengths ---- */

struct lengths {
    int32_t *tokens; /* [n], owned */
    double *sum;     /* [n] shares up to and with this one, owned */
    size_t n;
};
enum { SIDE_IN, SIDE_OUT, SIDES };
struct epoch {
    double from_s;
    struct lengths side[SIDES];
};
struct epochs {
    struct epoch *item; /* [n], by time */
    size_t n;
};

static void epochs_free(struct epochs *e)
{
    for (size_t i = 0; i < e->n; i++)
        for (int k = 0; k < SIDES; k++) {
            free(e->item[i].side[k].tokens);
            free(e->item[i].side[k].sum);
        }
    free(e->item);
}

/* "{12: 0.5, 80: 0.5}"; false when it is not that, or memory is short (*full). */
static bool read_lengths(const char *text, struct lengths *out, bool *full)
{
    size_t most = 1;
    double sum = 0;
    for (const char *at = text; *at != '\0'; at++)
        most += *at == ',';
    out->tokens = malloc(most * sizeof *out->tokens);
    out->sum = malloc(most * sizeof *out->sum);
    *full = out->tokens == NULL || out->sum == NULL;
    text += strspn(text, " ");
    if (*full || *text++ != '{')
        return false;
    for (text += strspn(text, " "); *text != '}'; text += strspn(text, " ")) {
        char *end;
        double tokens = strtod(text, &end);
        if (end == text || *end != ':' || !(tokens >= 0 && tokens <= 1e9))
            return false;
        text = end + 1;
        double share = strtod(text, &end);
        if (end == text || !(share >= 0 && share <= 1e9) || out->n == most)
            return false;
        out->tokens[out->n] = (int32_t)lround(tokens);
        out->sum[out->n++] = sum += share;
        text = end + strspn(end, " ");
        text += *text == ',';
    }
    return out->n == 0 || sum > 0;
}

/* A client's epochs in which both sides are told. */
static enum status read_epoch(const char *key, const json_t *v, struct epochs *e,
                              const char **wrong, struct problem *problem)
{
    static const char *const name[SIDES] = {"input_tokens", "output_tokens"};
    struct epoch *at = &e->item[e->n];
    bool full = false;
    *at = (struct epoch){0};
    e->n++; /* what is read of it is freed with the rest */
    if (rates_cell(RATE_AT, key, &at->from_s) != NULL)
        *wrong = "the name of each member must be seconds";
    for (int k = 0; *wrong == NULL && k < SIDES; k++) {
        const char *text = json_string_value(json_object_get(v, name[k]));
        if (text == NULL || !read_lengths(text, &at->side[k], &full))
            *wrong = "needs \"input_tokens\" and \"output_tokens\", each text like "
                     "\"{12: 0.5, 80: 0.5}\"";
        if (full)
            return no_memory(problem);
    }
    if (*wrong == NULL && (at->side[SIDE_IN].n == 0 || at->side[SIDE_OUT].n == 0)) {
        for (int k = 0; k < SIDES; k++) {
            free(at->side[k].tokens);
            free(at->side[k].sum);
        }
        e->n--;
    }
    return STATUS_OK;
}

static int by_from(const void *a, const void *b)
{
    const struct epoch *x = a, *y = b;
    return x->from_s < y->from_s ? -1 : x->from_s > y->from_s;
}

static enum status read_epochs(const struct chunks *c, uint32_t client, struct epochs *e,
                               struct problem *problem)
{
    char path[CHUNK_PATH];
    json_error_t error;
    const char *key, *wrong = NULL;
    json_t *v;
    enum status s = STATUS_OK;
    chunk_path(c, client, DATASET_END, path);
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "chunk-%u%s:%d: %s", client,
                           DATASET_END, error.line, error.text);
    e->item = calloc(json_object_size(root) + 1, sizeof *e->item);
    if (e->item == NULL)
        s = no_memory(problem);
    json_object_foreach(root, key, v)
    {
        if (s == STATUS_OK && wrong == NULL)
            s = read_epoch(key, v, e, &wrong, problem);
        if (s == STATUS_OK && wrong != NULL)
            s = problem_set(problem, STATUS_BAD_REQUEST, "", "chunk-%u%s: \"%s\": %s", client,
                            DATASET_END, key, wrong);
    }
    if (s == STATUS_OK && e->n == 0)
        s = problem_set(problem, STATUS_BAD_REQUEST, "", "chunk-%u%s: no lengths of requests",
                        client, DATASET_END);
    json_decref(root);
    if (s == STATUS_OK)
        qsort(e->item, e->n, sizeof *e->item, by_from);
    return s;
}

static int32_t draw(const struct lengths *l, struct rng *g)
{
    double u = rng_uniform(g) * l->sum[l->n - 1];
    size_t low = 0, high = l->n - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->sum[middle] > u)
            high = middle;
        else
            low = middle + 1;
    }
    return l->tokens[low];
}

/* Each request has a length of the last epoch that had begun, or of the first there is. */
static enum status lengthen(void *ctx, struct arrival *of, size_t n, struct problem *problem)
{
    const struct chunks *c = ctx;
    struct epochs e = {0};
    struct rng g = rng_stream(c->seed, LENGTHS, of->client);
    enum status s = read_epochs(c, of->client, &e, problem);
    for (size_t i = 0, k = 0; s == STATUS_OK && i < n; i++) {
        while (k + 1 < e.n && e.item[k + 1].from_s <= of[i].at_s)
            k++;
        of[i].in = draw(&e.item[k].side[SIDE_IN], &g);
        of[i].out = draw(&e.item[k].side[SIDE_OUT], &g);
    }
    epochs_free(&e);
    return s;
}

/* Whether lengths are there: of all clients or of none, for a trace has tokens or has not. */
static enum status has_lengths(const struct chunks *c, bool *out, struct problem *problem)
{
    size_t have = 0, lacks = 0;
    for (size_t i = 0; i < c->n; i++) {
        char path[CHUNK_PATH];
        struct stat st;
        chunk_path(c, c->client[i], DATASET_END, path);
        if (stat(path, &st) == 0)
            have++;
        else
            lacks = i;
    }
    *out = have > 0;
    return have == 0 || have == c->n ? STATUS_OK
                                     : problem_set(problem, STATUS_BAD_REQUEST, "",
                                                   "chunk-%u%s is missing, and others have theirs",
                                                   c->client[lacks], DATASET_END);
}

enum status chunks_load(const char *path, size_t n, uint64_t seed, struct trace *out,
                        struct problem *problem)
{
    struct chunks *c = calloc(1, sizeof *c);
    struct rate_list r = {0};
    struct trace t = {0};
    bool tokens = false;
    if (c == NULL)
        return no_memory(problem);
    c->seed = seed;
    enum status s = find(path, c, problem);
    for (size_t i = 0; s == STATUS_OK && i < c->n; i++)
        s = read_windows(c, c->client[i], &r, problem);
    size_t twice = s == STATUS_OK ? rates_order(&r) : 0;
    if (twice > 0)
        s = problem_set(problem, STATUS_BAD_REQUEST, "",
                        "chunk-%u%s:%llu: has the window of line %llu again", r.item[twice].client,
                        TRACE_END, (unsigned long long)r.item[twice].line,
                        (unsigned long long)r.item[twice - 1].line);
    if (s == STATUS_OK)
        s = has_lengths(c, &tokens, problem);
    if (s == STATUS_OK)
        s = rates_draw(&r, n, seed, tokens ? lengthen : NULL, c, &t, problem);
    if (s == STATUS_OK && t.n == 0)
        s = problem_set(problem, STATUS_BAD_REQUEST, "", "%s: no requests in its windows", path);
    free(r.item);
    free(c->client);
    free(c);
    if (s == STATUS_OK)
        *out = t;
    else
        trace_free(&t);
    return s;
}
