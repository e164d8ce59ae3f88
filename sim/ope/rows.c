/* SPDX-License-Identifier: MIT */
#include "sim/ope/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *ope_aim_name(enum ope_aim a)
{
    static const char *const name[AIMS] = {"quality", "cost", "latency", "failure", "utility"};
    return name[a];
}

const char *ope_segment_name(enum ope_segment s)
{
    static const char *const name[SEGS] = {"tenant", "task", "group", "week"};
    return name[s];
}

static bool resize(void *at, size_t cap, size_t size)
{
    void **p = at, *more = realloc(*p, cap * size + 1);
    if (more)
        *p = more;
    return more != NULL;
}

static bool reserve(struct ope_rows *r, size_t cap)
{
    size_t k = (size_t)r->k;
    bool ok =
        resize(&r->arm, cap, sizeof *r->arm) && resize(&r->unit, cap, sizeof *r->unit) &&
        resize(&r->time_ms, cap, sizeof *r->time_ms) && resize(&r->seq, cap, sizeof *r->seq) &&
        resize(&r->p, cap, sizeof *r->p) && resize(&r->eligible, cap, sizeof *r->eligible) &&
        resize(&r->forced, cap, sizeof *r->forced) && resize(&r->pmf, cap * k, sizeof *r->pmf) &&
        resize(&r->given, cap * k, sizeof *r->given) && resize(&r->scale, cap, sizeof *r->scale) &&
        resize(&r->x, cap * (size_t)r->d, sizeof *r->x);
    for (int i = 0; ok && i < AIMS; i++)
        ok = resize(&r->label[i], cap, sizeof *r->label[i]) &&
             resize(&r->q[i], cap * k, sizeof *r->q[i]);
    for (int i = 0; ok && i < SEGS; i++)
        ok = resize(&r->seg[i], cap, sizeof *r->seg[i]);
    if (ok)
        r->cap = cap;
    return ok;
}

int64_t rows_add(struct ope_rows *r)
{
    if (r->k == 0)
        r->k = 4;
    if (r->n == r->cap && !reserve(r, r->cap ? r->cap + r->cap / 2 : 1024))
        return -1;
    size_t i = r->n++, k = (size_t)r->k;
    r->arm[i] = 0;
    r->unit[i] = NAMES_NONE;
    r->time_ms[i] = 0;
    r->seq[i] = i + 1;
    r->p[i] = 0;
    r->eligible[i] = 0;
    r->forced[i] = false;
    memset(r->pmf + i * k, 0, k * sizeof *r->pmf);
    memset(r->given + i * k, 0, k * sizeof *r->given);
    memset(r->scale[i], 0, sizeof r->scale[i]);
    memset(r->x + i * (size_t)r->d, 0, (size_t)r->d * sizeof *r->x);
    for (int j = 0; j < AIMS; j++) {
        r->label[j][i] = (double)NAN;
        memset(r->q[j] + i * k, 0, k * sizeof *r->q[j]);
    }
    for (int j = 0; j < SEGS; j++)
        r->seg[j][i] = NAMES_NONE;
    return (int64_t)i;
}

/* From the last row to the first, so that no row is overwritten before it has moved. */
static bool widen(void *at, const struct ope_rows *r, size_t from, size_t to, size_t size)
{
    if (!resize(at, r->cap * to, size))
        return false;
    char *p = *(char **)at;
    for (size_t i = r->n; i-- > 0;) {
        memmove(p + i * to * size, p + i * from * size, from * size);
        memset(p + (i * to + from) * size, 0, (to - from) * size);
    }
    return true;
}

int64_t rows_arm(struct ope_rows *r, const char *name)
{
    uint32_t arm = names_add(&r->arms, name);
    size_t from = (size_t)(r->k ? r->k : 4), to = from;
    while (arm != NAMES_NONE && to <= arm)
        to *= 2;
    bool ok = arm != NAMES_NONE;
    if (ok && to > from) {
        ok = widen(&r->pmf, r, from, to, sizeof *r->pmf) &&
             widen(&r->given, r, from, to, sizeof *r->given);
        for (int j = 0; ok && j < AIMS; j++)
            ok = widen(&r->q[j], r, from, to, sizeof *r->q[j]);
    }
    r->k = (int)to;
    return ok ? (int64_t)arm : -1;
}

bool rows_kind(struct ope_rows *r, size_t arm, const char *kind)
{
    if (r->kind == NULL) {
        r->kind = malloc((r->arms.n + 1) * sizeof *r->kind);
        for (size_t a = 0; r->kind != NULL && a < r->arms.n; a++)
            r->kind[a] = NAMES_NONE; /* of a kind of its own */
    }
    return r->kind != NULL && arm < r->arms.n &&
           (r->kind[arm] = names_add(&r->kinds, kind)) != NAMES_NONE;
}

bool rows_kinds(struct ope_rows *r, const char *list)
{
    char item[2 * NAME_CAP];
    while (*list != '\0') {
        size_t n = strcspn(list, ","), arm = 0;
        if (n == 0 || n >= sizeof item)
            return false;
        memcpy(item, list, n);
        item[n] = '\0';
        char *kind = strchr(item, '=');
        if (kind == NULL || kind[1] == '\0')
            return false;
        *kind++ = '\0';
        while (arm < r->arms.n && strcmp(r->arms.name[arm], item) != 0)
            arm++;
        if (!rows_kind(r, arm, kind))
            return false;
        list += n + (list[n] == ',');
    }
    return true;
}

void rows_fini(struct ope_rows *r)
{
    free(r->kind);
    names_fini(&r->kinds);
    free(r->arm);
    free(r->unit);
    free(r->time_ms);
    free(r->seq);
    free(r->p);
    free(r->eligible);
    free(r->forced);
    free(r->pmf);
    free(r->given);
    free(r->scale);
    free(r->x);
    for (int j = 0; j < AIMS; j++) {
        free(r->label[j]);
        free(r->q[j]);
    }
    for (int j = 0; j < SEGS; j++) {
        free(r->seg[j]);
        names_fini(&r->segment[j]);
    }
    names_fini(&r->arms);
    names_fini(&r->units);
    memset(r, 0, sizeof *r);
}

bool rows_weigh(struct ope_rows *r, const double scale[AIM_UTILITY])
{
    size_t k = (size_t)r->k;
    bool all = true;
    for (int j = 0; j < AIM_UTILITY; j++)
        all = all && (r->has_q[j] || (scale && scale[j] == 0) || j == AIM_FAILURE);
    r->has_q[AIM_UTILITY] = all;
    for (size_t i = 0; i < r->n; i++) {
        double utility = 0;
        memset(r->q[AIM_UTILITY] + i * k, 0, k * sizeof(float));
        for (int j = 0; j < AIM_UTILITY; j++) {
            double s = scale ? scale[j] : (double)r->scale[i][j];
            if (s == 0) /* whose label may be missing */
                continue;
            utility += s * r->label[j][i];
            for (size_t a = 0; a < k; a++)
                r->q[AIM_UTILITY][i * k + a] += (float)(s * (double)r->q[j][i * k + a]);
        }
        r->label[AIM_UTILITY][i] = utility;
    }
    return true;
}

bool rows_week(struct ope_rows *r)
{
    enum { DAY = 86400, MONDAY = 3 }; /* 1970 began on a Thursday */
    for (size_t i = 0; i < r->n; i++) {
        if (r->time_ms[i] <= 0)
            continue;
        int64_t day = r->time_ms[i] / 1000 / DAY;
        time_t monday = (time_t)((day - (day + MONDAY) % 7) * DAY);
        struct tm tm;
        char name[16];
        gmtime_r(&monday, &tm);
        strftime(name, sizeof name, "%Y-%m-%d", &tm);
        r->seg[SEG_WEEK][i] = names_add(&r->segment[SEG_WEEK], name);
        if (r->seg[SEG_WEEK][i] == NAMES_NONE)
            return false;
    }
    return true;
}
