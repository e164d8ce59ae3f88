/* SPDX-License-Identifier: MIT */
/*
 * CSV with a header, a decision per line. Columns are found by name; those of Open Bandit Pipeline
 * are other names for the same. Its user_feature_N are categories: each pair of column and value
 * falls into one of a fixed number of features by its hash.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"
#include "sim/ope/read.h"

enum column {
    COL_SKIP,
    COL_ARM,
    COL_P,
    COL_LABEL,
    COL_UNIT,
    COL_TIME,
    COL_SEGMENT,
    COL_PMF,
    COL_PI,
    COL_Q,
    COL_X,
    COL_CATEGORY
};
enum { COLUMNS_MAX = 4096, CATEGORIES = 32 };

static const struct alias {
    const char *name;
    enum column column;
    int which;
    double unit;
} alias[] = {
    {"arm", COL_ARM, 0, 1},
    {"model", COL_ARM, 0, 1},
    {"item_id", COL_ARM, 0, 1},
    {"action", COL_ARM, 0, 1},
    {"p", COL_P, 0, 1},
    {"propensity_score", COL_P, 0, 1},
    {"pscore", COL_P, 0, 1},
    {"quality", COL_LABEL, AIM_QUALITY, 1},
    {"reward", COL_LABEL, AIM_QUALITY, 1},
    {"click", COL_LABEL, AIM_QUALITY, 1},
    {"cost_usd", COL_LABEL, AIM_COST, 1},
    {"latency_ms", COL_LABEL, AIM_LATENCY, 1},
    {"failure", COL_LABEL, AIM_FAILURE, 1},
    {"session", COL_UNIT, 0, 1},
    {"cluster", COL_UNIT, 0, 1},
    {"time", COL_TIME, 0, 1},
    {"timestamp", COL_TIME, 0, 1},
    {"tenant", COL_SEGMENT, SEG_TENANT, 1},
    {"task", COL_SEGMENT, SEG_TASK, 1},
    {"group", COL_SEGMENT, SEG_GROUP, 1},
};

struct csv {
    const struct ope_source *s;
    struct ope_rows *r;
    FILE *in;
    char *line, *cell[COLUMNS_MAX];
    size_t room;
    uint64_t number;
    int n;
    enum column column[COLUMNS_MAX];
    int which[COLUMNS_MAX]; /* aim, segment, arm, feature */
    struct problem *problem;
};

/* Splits in place; quotes may hold commas, doubled ones a quote. Gives the number of cells. */
static int split(char *line, char **cell)
{
    int n = 0;
    for (char *p = line; n < COLUMNS_MAX;) {
        char *to = p, *from = p;
        cell[n++] = p;
        for (bool quoted = false; *from != '\0' && (quoted || *from != ','); from++) {
            if (*from == '"' && quoted && from[1] == '"')
                *to++ = *from++;
            else if (*from == '"')
                quoted = !quoted;
            else
                *to++ = *from;
        }
        bool more = *from == ',';
        *to = '\0';
        if (!more)
            break;
        p = from + 1;
    }
    return n;
}

static bool next_line(struct csv *c)
{
    ssize_t len = getline(&c->line, &c->room, c->in);
    if (len < 0)
        return false;
    while (len > 0 && (c->line[len - 1] == '\n' || c->line[len - 1] == '\r'))
        c->line[--len] = '\0';
    c->number++;
    return true;
}

/* Columns that are one per arm: prefix_ARM. */
static bool arm_column(struct csv *c, int i, const char *name)
{
    static const struct {
        const char *prefix;
        enum column column;
    } per_arm[] = {{"pmf_", COL_PMF}, {"pi_", COL_PI}, {"q_", COL_Q}};
    for (int k = 0; k < 3; k++) {
        size_t len = strlen(per_arm[k].prefix);
        if (strncmp(name, per_arm[k].prefix, len) != 0)
            continue;
        c->column[i] = per_arm[k].column;
        c->which[i] = (int)rows_arm(c->r, name + len);
        return true;
    }
    return false;
}

static enum status read_header(struct csv *c)
{
    bool seen[COL_CATEGORY + 1] = {false};
    if (!next_line(c))
        return problem_set(c->problem, STATUS_BAD_REQUEST, "", "line 1: no header");
    c->n = split(c->line, c->cell);
    for (int i = 0; i < c->n; i++) {
        const char *name = c->cell[i];
        for (size_t k = 0; k < sizeof alias / sizeof *alias; k++) {
            if (strcmp(name, alias[k].name) == 0) {
                c->column[i] = alias[k].column;
                c->which[i] = alias[k].which;
            }
        }
        if (c->column[i] == COL_SKIP && !arm_column(c, i, name)) {
            if (strncmp(name, "x_", 2) == 0)
                c->column[i] = COL_X;
            else if (strncmp(name, "user_feature_", 13) == 0)
                c->column[i] = COL_CATEGORY;
        }
        if (c->column[i] == COL_X)
            c->which[i] = c->r->d++;
        seen[c->column[i]] = true;
    }
    if (c->r->d == 0 && seen[COL_CATEGORY])
        c->r->d = CATEGORIES;
    c->r->has_pmf = seen[COL_PMF];
    c->r->has_given = seen[COL_PI];
    c->r->has_q[AIM_QUALITY] = seen[COL_Q];
    if (c->r->d > DIM_MAX)
        return problem_set(c->problem, STATUS_BAD_REQUEST, "", "line 1: more than %d columns x_",
                           DIM_MAX);
    if (!seen[COL_ARM] || !(seen[COL_P] || seen[COL_PMF]) || !seen[COL_LABEL])
        return problem_set(c->problem, STATUS_BAD_REQUEST, "",
                           "line 1: columns arm, p (or pmf_ARM) and quality, cost_usd, latency_ms "
                           "or failure are needed");
    return STATUS_OK;
}

static bool number(const char *s, double *out)
{
    char *end;
    *out = strtod(s, &end);
    return end != s && *end == '\0' && isfinite(*out);
}

static bool take_name(struct csv *c, size_t row, int i)
{
    struct ope_rows *r = c->r;
    const char *s = c->cell[i];
    if (*s == '\0')
        return true;
    if (c->column[i] == COL_ARM) {
        int64_t arm = rows_arm(r, s);
        r->arm[row] = arm < 0 ? 0 : (uint32_t)arm;
        return arm >= 0;
    }
    if (c->column[i] == COL_UNIT)
        return (r->unit[row] = names_add(&r->units, s)) != NAMES_NONE;
    if (c->column[i] == COL_SEGMENT)
        return (r->seg[c->which[i]][row] = names_add(&r->segment[c->which[i]], s)) != NAMES_NONE;
    if (c->column[i] == COL_TIME)
        r->time_ms[row] = read_time(s);
    if (c->column[i] == COL_CATEGORY)
        r->x[row * (size_t)r->d + hash64(s, strlen(s), (uint64_t)i) % (uint64_t)r->d] = 1;
    return true;
}

static bool is_number(enum column c)
{
    return c == COL_P || c == COL_LABEL || c == COL_PMF || c == COL_PI || c == COL_Q || c == COL_X;
}

static void take_number(struct csv *c, size_t row, int i, double v)
{
    struct ope_rows *r = c->r;
    size_t at = row * (size_t)r->k + (size_t)c->which[i];
    switch (c->column[i]) {
    case COL_P:
        r->p[row] = v;
        break;
    case COL_LABEL:
        r->label[c->which[i]][row] = v;
        break;
    case COL_PMF:
        r->pmf[at] = v;
        break;
    case COL_PI:
        r->given[at] = v;
        break;
    case COL_Q:
        r->q[AIM_QUALITY][at] = (float)v;
        break;
    default:
        r->x[row * (size_t)r->d + (size_t)c->which[i]] = (float)v;
    }
}

static enum status read_row(struct csv *c)
{
    double v;
    int n = split(c->line, c->cell);
    if (n != c->n)
        return problem_set(c->problem, STATUS_BAD_REQUEST, "",
                           "line %llu: %d cells, the header has %d", (unsigned long long)c->number,
                           n, c->n);
    int64_t row = rows_add(c->r);
    bool ok = row >= 0;
    for (int i = 0; ok && i < n; i++) {
        if (!is_number(c->column[i])) {
            ok = take_name(c, (size_t)row, i);
        } else if (c->cell[i][0] != '\0') {
            if (!number(c->cell[i], &v))
                return problem_set(c->problem, STATUS_BAD_REQUEST, "",
                                   "line %llu, column %d: not a number",
                                   (unsigned long long)c->number, i + 1);
            take_number(c, (size_t)row, i, v);
        }
    }
    if (!ok)
        return problem_set(c->problem, STATUS_UNAVAILABLE, "", "out of memory");
    size_t at = (size_t)row;
    c->r->seq[at] = c->number;
    if (c->r->p[at] == 0 && c->r->has_pmf)
        c->r->p[at] = c->r->pmf[at * (size_t)c->r->k + c->r->arm[at]];
    return read_checked(c->r, at, c->problem);
}

enum status read_csv(const struct ope_source *s, struct ope_rows *rows, struct problem *problem)
{
    struct csv *c = calloc(1, sizeof *c);
    if (!c)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    *c = (struct csv){.s = s, .r = rows, .problem = problem};
    c->in = fopen(s->path, "re");
    enum status status = c->in
                             ? read_header(c)
                             : problem_set(problem, STATUS_BAD_REQUEST, "", "%s", strerror(errno));
    while (status == STATUS_OK && next_line(c)) {
        if (c->line[0] != '\0')
            status = read_row(c);
        if (s->progress && c->number % 65536 == 0)
            s->progress(s->path, c->number, 0);
    }
    if (c->in)
        fclose(c->in);
    free(c->line);
    free(c);
    return status;
}
