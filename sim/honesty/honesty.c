/* SPDX-License-Identifier: MIT */
/*
 * Nothing is simplified: requests, feedback and records are what the service would see, and the
 * second copy of the router is the log folded again. What happens after the preview is not held
 * still either: both copies go on learning. That is part of what a preview cannot know.
 */
#include "sim/honesty/honesty.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/config/config.h"
#include "core/event/decision_id.h"
#include "core/router/router.h"
#include "core/whatif/whatif.h"
#include "sim/disturb/course.h"

enum { SETTINGS_STREAM = 11, ORDER = 12, LABELS = 13, TICK_EVERY = 100, STEP_MS = 1000 };
static const int64_t epoch_ms = 1700000000000;

/* Encoded records, one behind the other. */
struct records {
    uint8_t *at;
    size_t n, cap;
    bool on; /* they are kept */
};

struct means {
    double v[HONEST_METRICS];
};

struct trial {
    const struct honesty *h;
    uint64_t seed;
    struct router_init init;
    struct router *router;
    struct records log;
    struct event *ev;
    struct request *request;
    char *json;
    uint32_t *order;
    int64_t now;
    struct problem *problem;
};

/* ---- records ---- */

static bool keep(struct records *r, const struct event *e)
{
    size_t room = e->kind == EVENT_CONFIGURED ? EVENT_BYTES_MAX : 65536;
    if (!r->on || e->kind == EVENT_NONE)
        return true;
    if (r->n + room + sizeof(uint32_t) > r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 1 << 22;
        uint8_t *more = realloc(r->at, cap);
        if (!more)
            return false;
        r->at = more;
        r->cap = cap;
    }
    uint32_t n = (uint32_t)event_encode(e, r->at + r->n + sizeof n, room);
    memcpy(r->at + r->n, &n, sizeof n);
    r->n += sizeof n + n;
    return n > 0;
}

/* Gives each record to take, as read back. */
static enum status replay(struct trial *t, enum status (*take)(void *ctx, const struct event *e),
                          void *ctx)
{
    enum status s = STATUS_OK;
    uint32_t n;
    for (size_t at = 0; s == STATUS_OK && at < t->log.n; at += sizeof n + n) {
        memcpy(&n, t->log.at + at, sizeof n);
        s = event_decode(t->log.at + at + sizeof n, n, t->ev, t->problem);
        if (s == STATUS_OK)
            s = take(ctx, t->ev);
    }
    return s;
}

/* ---- playing ---- */

static enum status no_memory(const struct trial *t)
{
    return problem_set(t->problem, STATUS_UNAVAILABLE, "", "no memory for the records");
}

static enum status happened(struct trial *t)
{
    return keep(&t->log, t->ev) ? STATUS_OK : no_memory(t);
}

static enum status follow(struct trial *t)
{
    enum status s;
    do {
        router_follow(t->router, t->now, t->ev);
        s = happened(t);
    } while (s == STATUS_OK && t->ev->kind != EVENT_NONE);
    return s;
}

static enum status configure(struct trial *t, const struct params *p)
{
    enum status s = router_configure(t->router, t->now, p, "simulator", 0, t->json, CONFIG_MAX,
                                     t->ev, t->problem);
    return s == STATUS_OK ? happened(t) : s;
}

static enum status report(struct trial *t, uint32_t row, int model)
{
    const struct table *table = t->h->table;
    size_t cell = table_cell(table, row, model);
    enum feedback_result result;
    uint64_t seq = t->ev->seq;
    struct rng g = rng_stream(t->seed, LABELS, seq);
    struct feedback f = {.epoch = t->ev->decided.epoch, .seq = seq, .version = -1, .attempt = 1};
    f.mac = decision_mac(f.epoch, seq, router_mac_key(t->router));
    (void)snprintf(f.feedback_id, sizeof f.feedback_id, "f%llu", (unsigned long long)seq);
    f.digest = seq;
    f.has = FB_COST | (rng_uniform(&g) < t->h->labelled ? FB_QUALITY : 0u);
    f.quality = table->q[cell];
    f.cost_nano = table->cost_nano[cell];
    if (table->out[cell] != TABLE_UNKNOWN) {
        f.has |= FB_PROMPT_TOKENS | FB_OUTPUT_TOKENS;
        f.prompt_tokens = table->in[cell];
        f.output_tokens = table->out[cell];
    }
    enum status s = router_feedback(t->router, t->now, &f, NULL, t->ev, &result, t->problem);
    if (s == STATUS_OK)
        s = happened(t);
    return s == STATUS_OK ? follow(t) : s;
}

/* What the decision comes to, in expectation over its draw. Models stand in the table's order. */
static void add_expected(const struct table *table, const struct event_decided *d, uint32_t row,
                         struct means *sum)
{
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        size_t cell = table_cell(table, row, a);
        sum->v[HONEST_QUALITY] += d->view[a].pmf * table->q[cell];
        sum->v[HONEST_COST] += d->view[a].pmf * (double)table->cost_nano[cell] * 1e-9;
    }
}

static enum status play_row(struct trial *t, uint32_t row, struct means *sum)
{
    const struct table *table = t->h->table;
    struct request *r = t->request;
    enum route_result result;
    r->prompt = table_prompt(table, row);
    r->prompt_len = table->row[row].prompt_len;
    r->prompt_tokens = table_input_tokens(table, row);
    r->digest = row;
    table_identifier(r->labels.task, table_task(table, row));
    enum status s = router_route(t->router, t->now, r, t->ev, &result, t->problem);
    if (s == STATUS_OK)
        s = happened(t);
    if (s != STATUS_OK)
        return s;
    add_expected(table, &t->ev->decided, row, sum);
    s = report(t, row, t->ev->decided.arm);
    t->now += STEP_MS;
    if (s == STATUS_OK && t->now / STEP_MS % TICK_EVERY == 0) {
        router_tick(t->router, t->now, t->ev);
        s = happened(t);
    }
    return s;
}

static enum status play_rows(struct trial *t, size_t from, size_t n, struct means *mean)
{
    enum status s = STATUS_OK;
    struct means sum = {{0}};
    for (size_t i = 0; s == STATUS_OK && i < n; i++)
        s = play_row(t, t->order[from + i], &sum);
    for (int m = 0; m < HONEST_METRICS; m++)
        mean->v[m] = sum.v[m] / (double)n;
    return s;
}

/* ---- a change ---- */

/* Weights as an operator might set them: cost between a hundredth and once, log-uniformly. */
static void draw_weights(struct rng *g, struct objective *o)
{
    o->cost = exp(log(0.01) * rng_uniform(g));
    o->failure = rng_uniform(g);
}

static enum status fold(void *ctx, const struct event *e)
{
    struct trial *t = ctx;
    return router_apply(t->router, e, t->problem);
}

struct asking {
    struct whatif *w;
    struct problem *problem;
};

static enum status look(void *ctx, const struct event *e)
{
    struct asking *a = ctx;
    return whatif_take(a->w, e, a->problem);
}

static int64_t labels_of(const struct router *r)
{
    struct learner_stats known;
    int64_t n = 0;
    for (int a = 0; router_learner_stats(r, 0, &known) && a < router_params(r)->catalog.n; a++)
        n += known.quality_labels[a];
    return n;
}

static void take_line(const struct whatif_line *from, struct honest_line *to)
{
    to->predicted = from->change.value;
    to->low = from->change.low;
    to->high = from->change.high;
    to->enough = from->enough;
}

static enum status preview(struct trial *t, const struct params *then, struct honest_change *out)
{
    struct asking a = {.problem = t->problem};
    struct whatif_query q = {.now = router_params(t->router),
                             .then = then,
                             .seed = t->init.seed,
                             .labels = labels_of(t->router),
                             .rows = t->h->rows};
    struct learner *known = router_known(t->router);
    struct whatif_report *report_of = malloc(sizeof *report_of);
    q.known = known;
    enum status s = report_of && known ? whatif_new(&q, &a.w, t->problem) : no_memory(t);
    if (s == STATUS_OK)
        s = replay(t, look, &a);
    if (s == STATUS_OK)
        s = whatif_report(a.w, report_of, t->problem);
    if (s == STATUS_OK) {
        take_line(&report_of->all.metric[WHATIF_QUALITY], &out->line[HONEST_QUALITY]);
        take_line(&report_of->all.metric[WHATIF_COST], &out->line[HONEST_COST]);
        out->moved = report_of->moved;
        out->ess = report_of->ess;
    }
    whatif_free(a.w);
    learner_drop(known);
    free(report_of);
    return s;
}

static enum status run_change(struct trial *t, struct params *now, struct params *then,
                              struct honest_change *out)
{
    size_t before_it = t->h->warm + t->h->rows;
    struct means before, without, with;
    enum status s = configure(t, now);
    if (s == STATUS_OK)
        s = play_rows(t, 0, before_it, &before);
    if (s == STATUS_OK)
        s = preview(t, then, out);
    t->log.on = false;
    int64_t paused = t->now;
    if (s == STATUS_OK)
        s = play_rows(t, before_it, t->h->rows, &without);
    router_free(t->router);
    t->router = router_new(&t->init);
    t->now = paused;
    if (s == STATUS_OK)
        s = t->router ? replay(t, fold, t) : no_memory(t);
    if (s == STATUS_OK)
        s = configure(t, then);
    if (s == STATUS_OK)
        s = play_rows(t, before_it, t->h->rows, &with);
    for (int m = 0; s == STATUS_OK && m < HONEST_METRICS; m++)
        out->line[m].realised = with.v[m] - without.v[m];
    return s;
}

static void run_job(void *ctx, int i, void *result)
{
    const struct honesty *h = ctx;
    struct honest_change *out = result;
    struct trial t = {.h = h,
                      .seed = h->seed + (uint64_t)i,
                      .now = epoch_ms,
                      .log.on = true,
                      .problem = &out->problem};
    struct rng g = rng_stream(t.seed, SETTINGS_STREAM, 0);
    struct params *side = calloc(2, sizeof *side);
    t.init = (struct router_init){.seed = rng_next(&g),
                                  .max_open = (int64_t)(h->warm + 2 * h->rows + 64)};
    t.router = router_new(&t.init);
    t.ev = calloc(1, sizeof *t.ev);
    t.request = calloc(1, sizeof *t.request);
    t.json = malloc(CONFIG_MAX);
    t.order = malloc(h->table->n * sizeof *t.order);
    if (!side || !t.router || !t.ev || !t.request || !t.json || !t.order) {
        out->status = no_memory(&t);
    } else {
        for (size_t k = 0; k < h->table->n; k++)
            t.order[k] = (uint32_t)k;
        course_shuffle(t.order, h->table->n, t.seed, ORDER);
        for (int k = 0; k < 2; k++) {
            side[k] = *h->params;
            draw_weights(&g, &side[k].objective);
            out->cost[k] = side[k].objective.cost;
            out->failure[k] = side[k].objective.failure;
        }
        router_start(t.router, t.now, t.ev);
        out->status = happened(&t);
        if (out->status == STATUS_OK)
            out->status = run_change(&t, &side[0], &side[1], out);
    }
    router_free(t.router);
    free(t.log.at);
    free(t.order);
    free(t.json);
    free(t.request);
    free(t.ev);
    free(side);
}

enum status honesty_run(const struct honesty *h, struct honest_change *out, struct problem *problem)
{
    if (h->table->n < h->warm + 2 * h->rows || h->rows == 0)
        return problem_set(problem, STATUS_BAD_REQUEST, "",
                           "%zu rows: %zu are needed to learn from, %zu before a change, as many "
                           "after it",
                           h->table->n, h->warm, h->rows);
    /* The crew takes no const; a job changes nothing of it. */
    enum status s =
        crew_run(&h->crew, h->changes, run_job, (void *)(uintptr_t)h, out, sizeof *out, problem);
    for (int i = 0; s == STATUS_OK && i < h->changes; i++)
        if (out[i].status != STATUS_OK) {
            *problem = out[i].problem;
            s = out[i].status;
        }
    return s;
}

struct honest_score honesty_score(const struct honest_change *c, int n, int metric, bool all)
{
    struct honest_score s = {0};
    double squares = 0;
    for (int i = 0; i < n; i++) {
        const struct honest_line *l = &c[i].line[metric];
        if (!all && !l->enough)
            continue;
        s.n++;
        s.within += l->low <= l->realised && l->realised <= l->high;
        squares += (l->predicted - l->realised) * (l->predicted - l->realised);
        s.width += l->high - l->low;
    }
    s.error = s.n ? sqrt(squares / s.n) : 0;
    s.width = s.n ? s.width / s.n : 0;
    return s;
}
