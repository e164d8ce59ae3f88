/* SPDX-License-Identifier: MIT */
/*
 * The objective says what a wanting answer costs: with cost 1 a quality point is worth one call of
 * the dearest model, which is about what an escalation takes. So choosing the first tier for the
 * moment alone comes close to choosing it for the whole cascade.
 * The application reports tokens, cost and latency of every attempt, and the quality only of
 * summaries that its checker let pass, or that nothing stands above of; those it found wanting are
 * labelled by the escalation itself. The true grades are never told.
 */
#include "sim/scenario/cascade.h"

#include "bandit/rng.h"
#include "core/config/config.h"
#include "core/event/decision_id.h"
#include "core/router/router.h"
#include "sim/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_MS = 1000, TICK_EVERY = 100 };
static const int64_t epoch_ms = 1700000000000;

/* The engine and what an application holds between its calls. */
struct desk {
    struct router *router;
    struct request request;
    struct recalled from; /* the last decision */
    struct event ev;
    int64_t now_ms;
    char json[CONFIG_MAX];
    const struct cascade_document *document;
};

static void follow(struct desk *k)
{
    do
        router_follow(k->router, k->now_ms, &k->ev);
    while (k->ev.kind != EVENT_NONE);
}

static struct desk *open_desk(uint64_t seed, struct problem *problem)
{
    struct rng g = rng_stream(seed, 100, 0);
    struct router_init init = {.seed = rng_next(&g), .max_open = 256};
    struct desk *k = calloc(1, sizeof *k);
    struct params *p = malloc(sizeof *p);
    enum status s = STATUS_UNAVAILABLE;
    if (k && p && (k->router = router_new(&init)) != NULL) {
        k->now_ms = epoch_ms;
        router_start(k->router, k->now_ms, &k->ev);
        params_default(p);
        s = setup_text(p, cascade_config(), problem);
        if (s == STATUS_OK)
            s = router_configure(k->router, k->now_ms, p, "cascade", 0, k->json, sizeof k->json,
                                 &k->ev, problem);
    }
    free(p);
    if (s == STATUS_OK)
        return k;
    if (s == STATUS_UNAVAILABLE)
        problem_set(problem, s, "", "out of memory");
    if (k)
        router_free(k->router);
    free(k);
    return NULL;
}

static void close_desk(struct desk *k)
{
    router_free(k->router);
    free(k);
}

static void fill_request(struct desk *k, const struct cascade_document *d)
{
    struct request *r = &k->request;
    *r = (struct request){.prompt = d->prompt,
                          .prompt_len = strlen(d->prompt),
                          .prompt_tokens = d->tokens,
                          .value = d->tokens / 75500.0,
                          .n_features = 1};
    snprintf(r->labels.tenant, NAME_CAP, "firm");
    snprintf(r->labels.task, NAME_CAP, "%s", d->kind);
    snprintf(r->feature[0].name, NAME_CAP, "risky");
    r->feature[0].hash = hash64("risky", 5, 0);
    r->feature[0].value = d->risky;
    k->document = d;
}

/* Asks again for what the last decision was asked for. */
static enum status escalate(struct desk *k, struct problem *problem)
{
    const struct event *e = &k->from.decided;
    struct decision_ref *of = &k->request.escalates;
    struct feedback wanting;
    enum route_result result;
    enum feedback_result learned;
    *of = (struct decision_ref){.epoch = e->decided.epoch, .seq = e->seq};
    of->mac = decision_mac(of->epoch, of->seq, router_mac_key(k->router));
    enum status s =
        router_escalate(k->router, k->now_ms, &k->request, &k->from, &k->ev, &result, problem);
    if (s != STATUS_OK)
        return s;
    k->from.decided = k->ev;
    router_wanting(k->router, &k->request, &wanting);
    return router_feedback(k->router, k->now_ms, &wanting, NULL, &k->ev, &learned, problem);
}

static enum status decide(struct desk *k, struct problem *problem)
{
    enum route_result result;
    enum status s = router_route(k->router, k->now_ms, &k->request, &k->ev, &result, problem);
    if (s == STATUS_OK)
        k->from.decided = k->ev;
    return s;
}

/* Decides, anew or after the last answer was found wanting. The model, -1 when nothing stands
 * above, -2 with *problem when it cannot be. */
static int choose(struct desk *k, bool again, struct problem *problem)
{
    k->now_ms += STEP_MS;
    enum status s = again ? escalate(k, problem) : decide(k, problem);
    if (s != STATUS_OK)
        return again && s == STATUS_NO_ELIGIBLE_MODEL ? -1 : -2;
    follow(k);
    if (k->from.decided.seq % TICK_EVERY == 0) {
        router_tick(k->router, k->now_ms, &k->ev);
        follow(k);
    }
    return k->from.decided.decided.arm;
}

static enum status report(struct desk *k, struct feedback *f, struct problem *problem)
{
    const struct event *e = &k->from.decided;
    enum feedback_result result;
    f->epoch = e->decided.epoch;
    f->seq = e->seq;
    f->mac = decision_mac(f->epoch, f->seq, router_mac_key(k->router));
    f->version = -1;
    f->digest = hash64(f->feedback_id, strlen(f->feedback_id), f->seq);
    enum status s = router_feedback(k->router, k->now_ms, f, NULL, &k->ev, &result, problem);
    if (s == STATUS_OK)
        follow(k);
    return s;
}

static enum status report_done(struct desk *k, const struct cascade_answer *a,
                               struct problem *problem)
{
    struct feedback f = {.feedback_id = "done",
                         .has = FB_PROMPT_TOKENS | FB_OUTPUT_TOKENS | FB_COST | FB_LATENCY,
                         .prompt_tokens = k->document->tokens,
                         .output_tokens = a->out,
                         .cost_nano = a->cost_nano,
                         .latency_ms = a->latency_ms};
    return report(k, &f, problem);
}

static enum status report_checked(struct desk *k, bool passed, struct problem *problem)
{
    struct feedback f = {
        .feedback_id = "checked", .source = "checker", .has = FB_QUALITY, .quality = passed};
    return report(k, &f, problem);
}

/* ---- ways to go ---- */

/* Takes down an attempt. */
static void count(struct cascade_run *run, const struct cascade_document *d, int m, bool first,
                  bool late)
{
    double usd = (double)d->answer[m].cost_nano * 1e-9;
    run->cost_usd += usd;
    run->last_cost_usd += late ? usd : 0;
    run->attempts++;
    run->begun[m] += first;
}

static void finish(struct cascade_run *run, const struct cascade_document *d, int m)
{
    run->quality += d->answer[m].quality;
    run->ended[m]++;
}

static enum status by_engine(struct desk *k, const struct cascade_document *d, bool late,
                             struct cascade_run *run, struct problem *problem)
{
    int last = -1;
    enum status s = STATUS_OK;
    fill_request(k, d);
    for (bool flagged = true; flagged;) {
        int m = choose(k, last >= 0, problem);
        if (m == -2)
            return problem->code;
        if (m < 0) /* the best there is, wanting or not */
            return finish(run, d, last), report_checked(k, false, problem);
        count(run, d, m, last < 0, late);
        last = m;
        flagged = d->answer[m].flagged;
        s = report_done(k, &d->answer[m], problem);
        if (s != STATUS_OK)
            return s;
    }
    finish(run, d, last);
    return report_checked(k, true, problem);
}

static int oracle(const struct cascade_document *d)
{
    int best = CASCADE_LARGE;
    for (int m = 0; m < CASCADE_MODELS; m++) {
        if (d->answer[m].quality >= d->answer[CASCADE_LARGE].quality - 0.1)
            return m; /* they stand in order of cost */
        best = d->answer[m].quality > d->answer[best].quality ? m : best;
    }
    return best;
}

static void by_rule(enum cascade_way way, const struct cascade_document *d, bool late,
                    struct cascade_run *run)
{
    int m = way == CASCADE_ALWAYS_LARGE ? CASCADE_LARGE : way == CASCADE_ORACLE ? oracle(d) : 0;
    count(run, d, m, true, late);
    while (way == CASCADE_NAIVE && d->answer[m].flagged && m < CASCADE_LARGE)
        count(run, d, ++m, false, late);
    finish(run, d, m);
}

enum status cascade_play(enum cascade_way way, uint64_t seed, size_t documents,
                         struct cascade_run *out, struct problem *problem)
{
    struct desk *k = NULL;
    struct cascade_document d;
    enum status s = STATUS_OK;
    double n = (double)documents, half = (double)(documents - documents / 2);
    *out = (struct cascade_run){.cost_usd = 0};
    if (way == CASCADE_PURSER && !(k = open_desk(seed, problem)))
        return problem->code;
    for (size_t i = 0; s == STATUS_OK && i < documents; i++) {
        cascade_document(seed, i, &d);
        if (k)
            s = by_engine(k, &d, i >= documents / 2, out, problem);
        else
            by_rule(way, &d, i >= documents / 2, out);
    }
    if (k)
        close_desk(k);
    out->cost_usd /= n;
    out->quality /= n;
    out->attempts /= n;
    out->last_cost_usd /= half;
    for (int m = 0; m < CASCADE_MODELS; m++) {
        out->begun[m] /= n;
        out->ended[m] /= n;
    }
    return s;
}

/* ---- over seeds ---- */

struct jobs {
    const struct scenario_ask *ask;
    size_t documents;
};
struct job_result {
    struct cascade_run run;
    enum status status;
    struct problem problem;
};

static void job(void *ctx, int i, void *result)
{
    const struct jobs *j = ctx;
    struct job_result *r = result;
    r->status = cascade_play((enum cascade_way)(i / j->ask->seeds),
                             j->ask->first_seed + (uint64_t)(i % j->ask->seeds), j->documents,
                             &r->run, &r->problem);
}

/* The interval of one number over the seeds; at is where it stands in a cascade_run. less: of its
 * difference from those of another way, NULL = of itself. */
static struct interval over(const struct job_result *r, const struct job_result *less, int seeds,
                            size_t at, double *work)
{
    for (int i = 0; i < seeds; i++) {
        work[i] = *(const double *)((const char *)&r[i].run + at);
        work[i] -= less ? *(const double *)((const char *)&less[i].run + at) : 0;
    }
    return interval_over(work, seeds);
}

static void sum_up(const struct job_result *r, const struct job_result *large, int seeds,
                   double *work, struct cascade_side *out)
{
#define OVER(member) over(r, NULL, seeds, offsetof(struct cascade_run, member), work)
    out->cost_usd = OVER(cost_usd);
    out->last_cost_usd = OVER(last_cost_usd);
    out->quality = OVER(quality);
    out->attempts = OVER(attempts);
    out->quality_less_large = over(r, large, seeds, offsetof(struct cascade_run, quality), work);
    for (int m = 0; m < CASCADE_MODELS; m++) {
        size_t step = (size_t)m * sizeof(double);
        out->begun[m] = over(r, NULL, seeds, offsetof(struct cascade_run, begun) + step, work);
        out->ended[m] = over(r, NULL, seeds, offsetof(struct cascade_run, ended) + step, work);
    }
#undef OVER
}

enum status cascade_measure(const struct scenario_ask *ask, struct cascade_report *out,
                            struct problem *problem)
{
    int seeds = ask->seeds, n = CASCADE_WAYS * seeds;
    struct jobs jobs = {ask, ask->rows > 0 ? (size_t)ask->rows : CASCADE_DOCUMENTS};
    struct job_result *r = calloc((size_t)n, sizeof *r);
    double *work = calloc((size_t)seeds, sizeof *work);
    enum status s = STATUS_OK;
    if (!r || !work)
        s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s == STATUS_OK)
        s = crew_run(&ask->crew, n, job, &jobs, r, sizeof *r, problem);
    for (int i = 0; s == STATUS_OK && i < n; i++) {
        s = r[i].status;
        if (s != STATUS_OK)
            *problem = r[i].problem;
    }
    *out = (struct cascade_report){.seeds = seeds, .documents = jobs.documents};
    for (int w = 0; s == STATUS_OK && w < CASCADE_WAYS; w++)
        sum_up(r + w * seeds, r + CASCADE_ALWAYS_LARGE * seeds, seeds, work, &out->way[w]);
    free(work);
    free(r);
    return s;
}
