/* SPDX-License-Identifier: MIT */
/*
 * Judged by realised outcomes, a request's adequate models are those that did well on it; by true
 * means, those that are expected to. With outcomes that are partly luck only the latter can be
 * learned, and quality, hull, oracle and regret are then those of the means as well. What is heard
 * of an answer never counts here: judges err, courses do not.
 */
#include "sim/run/run_job.h"

#include "sim/play/play.h"
#include "sim/play/steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A game being watched. */
struct watch {
    const struct experiment *e;
    const struct course *course;
    struct table judged; /* the course's, with true means for qualities if by_mean; borrows */
    struct run_job *out;
    struct series_watch series;
    size_t end[RUN_WINDOWS_MAX], from[STRETCHES_MAX];
    int window, stretch, n_stretches;
    double budget_usd;
    struct recorder *recorder;
    struct step_row step; /* of the sheet of steps */
};

int run_windows(size_t n, size_t end[RUN_WINDOWS_MAX])
{
    static const double step[] = {1, 1.5, 2, 3, 4, 6, 8};
    int k = 0;
    for (double scale = 10; k < RUN_WINDOWS_MAX - 8; scale *= 10) {
        for (int i = 0; i < 7; i++) {
            size_t at = (size_t)(scale * step[i]);
            if (at >= n) {
                end[k++] = n;
                return k;
            }
            end[k++] = at;
        }
    }
    end[k++] = n;
    return k;
}

/* What one request adds, served by a model or refused (-1). */
static struct run_sum one(const struct table *t, uint32_t row, int model)
{
    if (model < 0)
        return (struct run_sum){.n = 1, .refused = 1};
    size_t cell = table_cell(t, row, model);
    bool timed = t->lat_ms[cell] >= 0;
    int64_t out = t->out[cell] != TABLE_UNKNOWN ? t->out[cell] : 0;
    return (struct run_sum){.n = 1,
                            .right = play_cheapest_adequate(t, row, model),
                            .quality = t->q[cell],
                            .cost_nano = t->cost_nano[cell],
                            .tokens = t->in[cell] + out,
                            .timed = timed,
                            .latency_ms = timed ? (double)t->lat_ms[cell] : 0};
}

static void add(struct run_sum *to, const struct run_sum *s)
{
    to->n += s->n;
    to->right += s->right;
    to->refused += s->refused;
    to->quality += s->quality;
    to->cost_nano += s->cost_nano;
    to->tokens += s->tokens;
    to->timed += s->timed;
    to->latency_ms += s->latency_ms;
}

static void saw(void *ctx, size_t i, uint32_t row, const struct event_decided *d, const int *model)
{
    struct watch *w = ctx;
    series_saw(&w->series, i, row, d, model);
}

static void chose(void *ctx, const struct choice *c)
{
    struct watch *w = ctx;
    size_t n = w->e->n, i = c->i;
    int model = c->model;
    struct run_sum s = one(&w->judged, c->row, model);
    series_chose(&w->series, i, c->row, model);
    recorder_take(w->recorder, &w->judged, c);
    step_put(&w->step, &w->judged, c);
    int group = experiment_group(w->e, w->course, i);
    while (i >= w->end[w->window])
        w->window++;
    while (w->stretch + 1 < w->n_stretches && i >= w->from[w->stretch + 1])
        w->stretch++;
    add(&w->out->whole, &s);
    add(&w->out->window[w->window], &s);
    add(&w->out->stretch[w->stretch], &s);
    if (n < 5 || i >= n - n / 5)
        add(&w->out->last, &s);
    if (group >= 0)
        add(&w->out->group[group], &s);
    if (model >= 0)
        w->out->chosen[w->stretch][model]++;
}

static void dress(void *ctx, size_t i, struct request *r)
{
    const struct watch *w = ctx;
    course_tenant(w->course, i, r->labels.tenant);
    int cluster = w->e->world.cluster != NULL ? w->e->world.cluster[w->course->source[i]] : -1;
    if (cluster >= 0)
        memcpy(r->labels.group, w->e->spec->cluster[cluster].group, sizeof r->labels.group);
    r->max_output_tokens = w->e->max_output_tokens;
}

/* What choosing the cheapest adequate model every time comes to. */
static struct point adequate_point(const struct table *t, const uint32_t *rows, size_t n)
{
    double quality = 0;
    int64_t cost_nano = 0;
    for (size_t i = 0; i < n; i++) {
        int m = 0;
        while (m < t->n_models - 1 && !play_cheapest_adequate(t, rows[i], m))
            m++;
        quality += t->q[table_cell(t, rows[i], m)];
        cost_nano += t->cost_nano[table_cell(t, rows[i], m)];
    }
    return (struct point){(double)cost_nano / 1e9 / (double)n, quality / (double)n};
}

static void survey(const struct watch *w)
{
    const struct table *t = &w->judged;
    hull_fixed(t, w->course->row, t->n, w->out->fixed);
    w->out->oracle = hull_oracle(t, w->course->row, t->n).at;
    w->out->adequate = adequate_point(t, w->course->row, t->n);
}

/* The model that is there from request `from` on and was not before; -1 = none. */
static int joins_at(const struct experiment *e, size_t from)
{
    for (int i = 0; i < e->disturbances.n; i++) {
        const struct disturbance *d = &e->disturbances.item[i];
        if (d->kind == DISTURB_ABSENT && disturbance_at(d->until, e->n) == from)
            return d->model;
    }
    return -1;
}

/* Recovery after, and adoption at, what begins with each stretch. */
static bool measure(struct watch *w)
{
    struct run_job *out = w->out;
    for (int k = 0; k < STRETCHES_MAX; k++)
        out->recovered[k] = out->adopted[k] = (double)NAN;
    for (int k = 1; k < w->n_stretches; k++) {
        size_t end = k + 1 < w->n_stretches ? w->from[k + 1] : w->e->n;
        recorder_after(w->recorder, w->from[k - 1], w->from[k], end, joins_at(w->e, w->from[k]),
                       &out->recovered[k], &out->adopted[k]);
    }
    return recorder_result(w->recorder, w->budget_usd, &out->measured);
}

/* The host's disturbances, as the player takes them. */
struct host {
    size_t restart[DISTURBANCES_MAX];
    bool keeps[DISTURBANCES_MAX];
};

static void set_host(const struct experiment *e, struct host *h, struct play *play)
{
    for (int i = 0; i < e->disturbances.n; i++) {
        const struct disturbance *d = &e->disturbances.item[i];
        if (d->kind == DISTURB_MEMORY)
            play->max_open = d->n;
        if (d->kind != DISTURB_RESTART)
            continue;
        h->restart[play->n_restarts] = disturbance_at(d->at, e->n);
        h->keeps[play->n_restarts++] = d->keep;
    }
    play->restart = h->restart;
    play->restart_keeps = h->keeps;
}

static void play_job(const struct experiment *e, int policy, uint64_t seed, struct watch *w,
                     struct params *learn_params)
{
    const struct course *c = w->course;
    const struct channel channel = {&e->disturbances, e->n, seed};
    struct play_result result;
    struct host host;
    uint32_t *learn = malloc((e->n_reserve + 1) * sizeof *learn);
    if (learn == NULL || !series_open(&w->series, &w->judged, e->n, &w->out->series)) {
        free(learn);
        w->out->status = problem_set(&w->out->problem, STATUS_INTERNAL, "", "out of memory");
        return;
    }
    memcpy(learn, e->reserve, e->n_reserve * sizeof *learn);
    size_t n_learn = (size_t)e->policy[policy].labelled;
    course_shuffle(learn, n_learn, seed, ORDER_LEARN);
    struct play play = {
        .learn = {&e->world.table, learn, n_learn},
        .count = {&c->table, c->row, e->n},
        .learn_params = learn_params,
        .count_params = e->policy[policy].params,
        .phase = c->phase,
        .n_phases = c->n_phases,
        .full_history = true,
        .given_order = true, /* a course is in order */
        .delay = {.mean = e->delay},
        .channel = e->disturbances.n > 0 ? &channel : NULL,
        .clock_ms = c->clock_ms,
        .saw = saw,
        .chose = chose,
        .dress = dress,
        .ctx = w,
    };
    set_host(e, &host, &play);
    play_seed(&play, seed, &result, NULL);
    bool closed = series_close(&w->series);
    w->out->status = result.status;
    w->out->problem = result.problem;
    if (!closed && result.status == STATUS_OK)
        w->out->status = problem_set(&w->out->problem, STATUS_INTERNAL, "", "out of memory");
    free(learn);
}

void run_job_play(const struct experiment *e, int policy, uint64_t seed, struct sheet *steps,
                  struct run_job *out)
{
    const struct course_of of = {&e->world, e->spec, &e->disturbances, e->count, e->n, e->trace};
    struct course course;
    struct watch w = {.e = e,
                      .course = &course,
                      .out = out,
                      .budget_usd = e->policy[policy].params->budget.usd_per_request,
                      .step = {.sheet = steps, .policy = e->policy[policy].name, .seed = seed}};
    struct params *learn_params = malloc(sizeof *learn_params);
    memset(out, 0, sizeof *out);
    out->status = learn_params != NULL
                      ? course_make(&of, seed, &course, &out->problem)
                      : problem_set(&out->problem, STATUS_INTERNAL, "", "out of memory");
    if (out->status == STATUS_OK) {
        w.judged = course.table;
        if (e->by_mean)
            w.judged.q = course.mean;
        run_windows(e->n, w.end);
        w.n_stretches = course_stretches(&e->disturbances, e->n, w.from);
        *learn_params = *e->policy[policy].params;
        learn_params->budget.usd_per_request = 0;
        w.recorder = recorder_new(&w.judged, e->n);
        if (w.recorder != NULL)
            play_job(e, policy, seed, &w, learn_params);
        if (w.recorder == NULL || (out->status == STATUS_OK && !measure(&w)))
            out->status = problem_set(&out->problem, STATUS_INTERNAL, "", "out of memory");
        survey(&w);
        recorder_free(w.recorder);
        course_free(&course);
    }
    out->known = out->status == STATUS_OK;
    free(learn_params);
}
