/* SPDX-License-Identifier: MIT */
/*
 * On a log a trial is the fold of all records under its own settings: it learns from what was
 * decided and reported, and is asked before each decision what it would have drawn. The records
 * stay what they are, but for configurations, which are those of the log with the trial's settings.
 *
 * Where retention has removed the beginning, the fold begins at the older snapshot and is
 * configured there: one record more, so that those behind it have numbers one greater.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/config/config.h"
#include "core/router/router.h"
#include "sim/ope/read.h"
#include "sim/ope/slice.h"
#include "sim/tune/tune.h"
#include "store/db.h"

enum { OPEN_AT_FIRST = 64 }; /* STARTED records say how many it really is */

struct fold {
    struct router *router;
    const struct tune_point *point;
    uint64_t from; /* snapshot it began at; 0 = none */
    struct params params;
    char json[CONFIG_MAX];
    struct event copy;
    struct event_decided again;
    struct problem problem;
};

static enum status recover(struct db *db, int generation, uint64_t until, struct router **out,
                           struct problem *problem)
{
    struct router_init init = {.max_open = OPEN_AT_FIRST};
    db_init(db, &init);
    *out = router_new(&init);
    if (*out == NULL)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    return generation < 0 ? STATUS_OK
                          : db_recover(db, generation, until, *out, NULL, NULL, problem);
}

/* ---- the log as it is ---- */

static enum status read_now(struct tune_log *l, struct problem *problem)
{
    struct db *db = NULL;
    struct router *r = NULL;
    enum status s = db_open(l->dir, &(struct db_options){.read_only = true}, &db, problem);
    if (s == STATUS_OK)
        s = recover(db, GENERATION_CURRENT, 0, &r, problem);
    if (s == STATUS_OK)
        *l->now = *router_params(r);
    router_free(r);
    db_close(db);
    return s;
}

/* Whether what was reported of an aim is not always the same. */
static bool varies(const struct ope_rows *r, enum ope_aim aim)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < r->n; i++) {
        low = fmin(low, r->label[aim][i]); /* NaN: missing, and passed over */
        high = fmax(high, r->label[aim][i]);
    }
    return high > low;
}

enum status tune_log_init(struct tune_log *l, const char *dir, double split,
                          struct problem *problem)
{
    const struct ope_source source = {.path = dir, .format = FORMAT_STORE};
    struct ope_rows rows = {0};
    *l = (struct tune_log){.dir = dir, .now = malloc(sizeof *l->now)};
    enum status s = l->now != NULL ? read_now(l, problem)
                                   : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s == STATUS_OK)
        s = ope_read(&source, &rows, problem);
    if (s == STATUS_OK) {
        l->rows = rows.n;
        l->earlier = (size_t)((double)rows.n * split);
        l->still = (varies(&rows, AIM_LATENCY) ? 0 : 1u << KNOB_LATENCY) |
                   (varies(&rows, AIM_FAILURE) ? 0 : 1u << KNOB_FAILURE);
        l->seq = malloc((rows.n + 1) * sizeof *l->seq);
        if (l->seq == NULL)
            s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
        else if (rows.n > 0)
            memcpy(l->seq, rows.seq, rows.n * sizeof *l->seq);
    }
    if (s == STATUS_OK && (l->earlier < 8 || l->rows - l->earlier < 2))
        s = problem_set(problem, STATUS_BAD_REQUEST, "",
                        "%zu decisions to search on and %zu to hold the winner against: too few",
                        l->earlier, l->rows - l->earlier);
    rows_fini(&rows);
    return s;
}

void tune_log_fini(struct tune_log *l)
{
    free(l->seq);
    free(l->now);
}

/* ---- the log under other settings ---- */

static bool reconfigured(struct fold *f, const struct event *e)
{
    f->copy = *e;
    if (config_parse(e->configured.json, e->configured.len, &f->params, NULL, &f->problem) !=
        STATUS_OK)
        return false;
    tune_point_apply(f->point, &f->params);
    f->copy.configured.json = f->json;
    f->copy.configured.len = (uint32_t)config_render(&f->params, f->json, sizeof f->json);
    return f->copy.configured.len > 0;
}

static void renumber(const struct fold *f, uint64_t *seq)
{
    *seq += *seq > f->from;
}

static void shift(struct fold *f)
{
    struct event *e = &f->copy;
    e->seq++;
    if (e->kind == EVENT_FEEDBACK || e->kind == EVENT_TAUGHT) {
        renumber(f, &e->feedback.feedback.seq);
        if (e->feedback.recalled)
            renumber(f, &e->feedback.row.seq);
    } else if (e->kind == EVENT_DECIDED) {
        renumber(f, &e->decided.attempt.from);
    } else if (e->kind == EVENT_EXPIRED) {
        renumber(f, &e->expired.decision);
    }
}

static bool see(void *ctx, const struct event *e)
{
    struct fold *f = ctx;
    if (e->seq <= f->from)
        return true;
    if (e->kind == EVENT_CONFIGURED) {
        if (!reconfigured(f, e))
            return false;
    } else if (f->from > 0) {
        f->copy = *e;
    } else {
        return router_apply(f->router, e, &f->problem) == STATUS_OK;
    }
    if (f->from > 0)
        shift(f);
    return router_apply(f->router, &f->copy, &f->problem) == STATUS_OK;
}

static bool hook(void *ctx, const struct event *decided, double *pmf)
{
    struct fold *f = ctx;
    return decided->seq > f->from && router_rescore(f->router, decided, &f->again, pmf);
}

/* A router of this store where its log begins, under the point's settings. */
static enum status begin(struct fold *f, const char *dir, struct problem *problem)
{
    struct db *db = NULL;
    struct db_info info;
    int older = -1;
    enum status s = db_open(dir, &(struct db_options){.read_only = true}, &db, problem);
    if (s == STATUS_OK)
        s = db_info(db, &info, problem);
    if (s == STATUS_OK && info.first_seq > 1) {
        older = info.current >= 0 && info.snapshot_seq[1 - info.current] > 0 ? GENERATION_BASE
                                                                             : GENERATION_CURRENT;
        f->from =
            info.current < 0
                ? 0
                : info.snapshot_seq[older == GENERATION_BASE ? 1 - info.current : info.current];
        if (f->from == 0)
            s = problem_set(problem, STATUS_INTERNAL, "",
                            "the log begins at record %" PRIu64 " and there is no snapshot",
                            info.first_seq);
    }
    if (s == STATUS_OK)
        s = recover(db, older, f->from, &f->router, problem);
    if (s == STATUS_OK && f->from > 0) {
        f->params = *router_params(f->router);
        tune_point_apply(f->point, &f->params);
        s = router_configure(f->router, router_clock(f->router), &f->params, "simulator", 0,
                             f->json, sizeof f->json, &f->copy, problem);
    }
    db_close(db);
    return s;
}

static size_t place(const struct tune_log *l, uint64_t seq)
{
    size_t low = 0, high = l->rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->seq[middle] < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Doubly robust scores of one aim over the rows of a part. */
static bool score_aim(const struct tune_log *l, const struct ope_rows *r, double *pi,
                      double *weight, const uint32_t *part, enum ope_aim aim, enum tune_aim to,
                      double *score)
{
    double *const pis[2] = {pi, pi}, *const weights[2] = {weight, weight};
    const struct ope_tuning tuning = {.clip = 1, .tau = 1, .dros = 1, .reject = 1};
    struct ope_slice s;
    bool ok = slice_take(r, pis, weights, aim, part, 1, &s);
    double *psi = ok && s.log[0].n > 0 ? malloc(s.log[0].n * sizeof *psi) : NULL;
    if (psi != NULL) {
        (void)ope_estimate(&s.log[0], OPE_DR, &tuning, psi);
        for (size_t i = 0; i < s.log[0].n; i++) {
            size_t row = place(l, r->seq[s.row[i]]);
            if (row < l->rows && l->seq[row] == r->seq[s.row[i]])
                score[row * TUNE_AIMS + (size_t)to] = psi[i];
        }
    }
    ok = ok && (s.log[0].n == 0 || psi != NULL);
    free(psi);
    slice_fini(&s);
    return ok;
}

static enum status score_rows(const struct tune_log *l, struct ope_rows *r,
                              const struct ope_target *target, uint64_t from, uint64_t to,
                              double *score, struct problem *problem)
{
    static const enum ope_aim aim[TUNE_AIMS] = {AIM_QUALITY, AIM_COST, AIM_UTILITY};
    double *pi = malloc((r->n * (size_t)r->k + 1) * sizeof *pi);
    double *weight = malloc((r->n + 1) * sizeof *weight);
    uint32_t *part = malloc((r->n + 1) * sizeof *part);
    bool ok = pi != NULL && weight != NULL && part != NULL && rows_weigh(r, NULL);
    enum status s = ok ? target_fill(target, r, pi, weight, problem) : STATUS_OK;
    for (size_t i = 0; ok && i < r->n; i++)
        part[i] = r->seq[i] >= from && r->seq[i] <= to;
    for (int a = 0; ok && s == STATUS_OK && a < TUNE_AIMS; a++)
        ok = score_aim(l, r, pi, weight, part, aim[a], (enum tune_aim)a, score);
    free(pi);
    free(weight);
    free(part);
    return ok ? s : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
}

enum status tune_log_score(const void *ctx, const struct params *p, const struct tune_point *point,
                           enum tune_part part, double share, double *score,
                           struct problem *problem)
{
    const struct tune_log *l = ctx;
    struct fold *f = calloc(1, sizeof *f);
    struct ope_rows rows = {0};
    size_t end = part == TUNE_LATER ? l->rows : (size_t)((double)l->earlier * share);
    uint64_t from = part == TUNE_LATER ? l->seq[l->earlier] : l->seq[0], to = l->seq[end - 1];
    (void)p; /* the settings that are not tuned are those of the log, which change on the way */
    if (f == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    f->point = point;
    const struct ope_target target = {.kind = TARGET_HOOK, .hook = hook, .see = see, .ctx = f};
    /* Labels come later than decisions: those of the whole log count. */
    const struct ope_source source = {.path = l->dir, .format = FORMAT_STORE, .target = &target};
    enum status s = begin(f, l->dir, problem);
    if (s == STATUS_OK && (s = ope_read(&source, &rows, problem)) != STATUS_OK &&
        f->problem.text[0])
        *problem = f->problem;
    if (s == STATUS_OK)
        s = score_rows(l, &rows, &target, from, to, score, problem);
    rows_fini(&rows);
    router_free(f->router);
    free(f);
    return s;
}
