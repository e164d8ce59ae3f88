/* SPDX-License-Identifier: MIT */
/*
 * CSV with a header, a decision per line. Columns are found by name; those of Open Bandit Pipeline
 * are other names for the same. Its user_feature_N are categories: each pair of column and value
 * falls into one of a fixed number of features by its hash.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"
#include "sim/ope/read.h"
#include "sim/tables/csv.h"

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
enum { CATEGORIES = 32 };

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

struct sheet {
    struct csv csv;
    const struct ope_source *s;
    struct ope_rows *r;
    enum column column[CSV_COLUMNS_MAX];
    int which[CSV_COLUMNS_MAX]; /* aim, segment, arm, feature */
};

/* Columns that are one per arm: prefix_ARM. */
static bool arm_column(struct sheet *c, int i, const char *name, bool *memory)
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
        *memory = *memory && c->which[i] >= 0;
        return true;
    }
    return false;
}

static enum status read_header(struct sheet *c)
{
    bool seen[COL_CATEGORY + 1] = {false}, memory = true;
    char text[64];
    for (int i = 0; i < c->csv.n; i++) {
        const char *name = c->csv.name[i];
        for (size_t k = 0; k < sizeof alias / sizeof *alias; k++) {
            if (strcmp(name, alias[k].name) == 0) {
                c->column[i] = alias[k].column;
                c->which[i] = alias[k].which;
            }
        }
        if (c->column[i] == COL_SKIP && !arm_column(c, i, name, &memory)) {
            if (strncmp(name, "x_", 2) == 0)
                c->column[i] = COL_X;
            else if (strncmp(name, "user_feature_", 13) == 0)
                c->column[i] = COL_CATEGORY;
        }
        if (c->column[i] == COL_X)
            c->which[i] = c->r->d++;
        seen[c->column[i]] = true;
    }
    if (!memory)
        return problem_set(c->csv.problem, STATUS_UNAVAILABLE, "", "out of memory");
    if (c->r->d == 0 && seen[COL_CATEGORY])
        c->r->d = CATEGORIES;
    c->r->lost = c->s->lost;
    c->r->has_pmf = seen[COL_PMF] && !c->s->lost;
    c->r->has_given = seen[COL_PI];
    c->r->has_q[AIM_QUALITY] = seen[COL_Q];
    snprintf(text, sizeof text, "more than %d columns x_", DIM_MAX);
    if (c->r->d > DIM_MAX)
        return csv_fault(&c->csv, -1, text);
    if (!seen[COL_ARM] || !(seen[COL_P] || seen[COL_PMF] || c->s->lost) || !seen[COL_LABEL])
        return csv_fault(&c->csv, -1,
                         "columns arm, p (or pmf_ARM) and quality, cost_usd, latency_ms or "
                         "failure are needed");
    return STATUS_OK;
}

static bool take_name(struct sheet *c, size_t row, int i)
{
    struct ope_rows *r = c->r;
    const char *s = c->csv.cell[i];
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

static void take_number(struct sheet *c, size_t row, int i, double v)
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

static enum status read_row(struct sheet *c)
{
    double v;
    int64_t row = rows_add(c->r);
    bool ok = row >= 0;
    for (int i = 0; ok && i < c->csv.n; i++) {
        if (!is_number(c->column[i])) {
            ok = take_name(c, (size_t)row, i);
        } else if (c->csv.cell[i][0] != '\0') {
            if (!csv_number(c->csv.cell[i], &v))
                return csv_fault(&c->csv, i, "not a number");
            take_number(c, (size_t)row, i, v);
        }
    }
    if (!ok)
        return problem_set(c->csv.problem, STATUS_UNAVAILABLE, "", "out of memory");
    size_t at = (size_t)row;
    c->r->seq[at] = c->csv.line;
    if (c->r->p[at] == 0 && c->r->has_pmf)
        c->r->p[at] = c->r->pmf[at * (size_t)c->r->k + c->r->arm[at]];
    if (c->s->lost) {
        c->r->p[at] = 1;
        return STATUS_OK;
    }
    return read_checked(c->r, at, c->csv.problem);
}

enum status read_csv(const struct ope_source *s, struct ope_rows *rows, struct problem *problem)
{
    struct sheet *c = calloc(1, sizeof *c);
    if (!c)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    c->s = s;
    c->r = rows;
    enum status status = csv_open(&c->csv, s->path, problem);
    if (status == STATUS_OK)
        status = read_header(c);
    while (status == STATUS_OK && csv_next(&c->csv, &status)) {
        status = read_row(c);
        if (s->progress && c->csv.line % 65536 == 0)
            s->progress(s->path, c->csv.line, 0);
    }
    csv_close(&c->csv);
    free(c);
    return status;
}
