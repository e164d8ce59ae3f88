/* SPDX-License-Identifier: MIT */
/*
 * Playing an experiment. Orders, courses and draws are keyed by the seed alone, so policies that
 * are compared meet the same requests in the same order with the same luck. A job's number says
 * which shard it belongs to; policies lie far apart in it, so that shards last alike.
 */
#include "sim/run/run.h"

#include "sim/play/steps.h"
#include "sim/run/journal.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

struct jobs {
    const struct experiment *e;
    int *todo; /* numbers of the jobs to be played */
    int n_todo;
    int journal; /* -1 = none */
    const struct sheet_place *sheets;
};

/* Plays a job, its steps into a part of their sheet if there is to be one. */
static void play_steps(const struct jobs *j, int number, int policy, uint64_t seed,
                       struct run_job *out)
{
    struct sheet steps;
    enum status s = sheet_part(&steps, j->sheets, "steps", number, &out->problem);
    steps_columns(&steps);
    if (s == STATUS_OK)
        run_job_play(j->e, policy, seed, j->sheets->dir != NULL ? &steps : NULL, out);
    else
        out->status = s;
    out->status = sheet_end(&steps, out->status, &out->problem);
}

/* May run in another process: the journal is told from there. */
static void play(void *ctx, int i, void *result)
{
    const struct jobs *j = ctx;
    struct run_job *out = result;
    int seeds = (int)j->e->seeds, policy = j->todo[i] / seeds;
    uint64_t seed = (uint64_t)(j->e->first_seed + j->todo[i] % seeds);
    play_steps(j, j->todo[i], policy, seed, out);
    if (out->known && j->journal >= 0)
        out->status = journal_append(j->journal, j->e, policy, seed, out, &out->problem);
}

static enum status recall(const struct experiment *e, const struct run_plan *plan,
                          struct run_job *job, struct problem *problem)
{
    enum status s = STATUS_OK;
    if (plan->journal != NULL)
        s = journal_recall(plan->journal, e, job, problem);
    for (int i = 0; s == STATUS_OK && i < plan->n_also; i++) {
        if (access(plan->also[i], R_OK) != 0)
            s = problem_set(problem, STATUS_BAD_REQUEST, "", "%s: cannot be read", plan->also[i]);
        else
            s = journal_recall(plan->also[i], e, job, problem);
    }
    return s;
}

static enum status first_failure(const struct run_job *job, int n, struct problem *problem)
{
    for (int i = 0; i < n; i++) {
        if (job[i].status == STATUS_OK)
            continue;
        if (problem != NULL)
            *problem = job[i].problem;
        return job[i].status;
    }
    return STATUS_OK;
}

/* Plays the jobs that are to do and puts them in their places. */
static enum status play_all(struct jobs *j, const struct run_plan *plan, struct run_job *job,
                            struct problem *problem)
{
    struct run_job *played = calloc((size_t)j->n_todo + 1, sizeof *played);
    enum status s = STATUS_OK;
    j->journal = -1;
    if (played == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (plan->journal != NULL && (j->journal = journal_open(plan->journal, problem)) < 0)
        s = STATUS_BAD_REQUEST;
    if (s == STATUS_OK && j->n_todo > 0)
        s = crew_run(&plan->crew, j->n_todo, play, j, played, sizeof *played, problem);
    if (s == STATUS_OK)
        s = first_failure(played, j->n_todo, problem);
    for (int i = 0; s == STATUS_OK && i < j->n_todo; i++)
        job[j->todo[i]] = played[i];
    if (j->journal >= 0)
        close(j->journal);
    free(played);
    return s;
}

static bool all_known(const struct run_job *job, int n)
{
    bool known = true;
    for (int i = 0; i < n; i++)
        known = known && job[i].known;
    return known;
}

enum status run_plan_play(const struct experiment *e, const struct run_plan *plan,
                          struct run_report *out, bool *complete, struct problem *problem)
{
    int n = (int)e->seeds * e->n_policies;
    struct jobs jobs = {
        .e = e, .todo = calloc((size_t)n, sizeof *jobs.todo), .sheets = &plan->sheets};
    struct run_job *job = calloc((size_t)n, sizeof *job);
    assert(n > 0 && e->n > 0 && plan->shards >= 1);
    enum status s = jobs.todo != NULL && job != NULL
                        ? recall(e, plan, job, problem)
                        : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s == STATUS_OK)
        s = sheet_place_ready(&plan->sheets, problem);
    for (int i = 0; s == STATUS_OK && i < n; i++)
        if (!job[i].known && !plan->read_only && i % plan->shards == plan->shard)
            jobs.todo[jobs.n_todo++] = i;
    if (s == STATUS_OK && !plan->read_only)
        s = play_all(&jobs, plan, job, problem);
    *complete = s == STATUS_OK && all_known(job, n);
    if (*complete)
        s = run_sum_up(e, job, out, problem);
    if (*complete && s == STATUS_OK)
        s = run_sheets(e, job, &plan->sheets, problem);
    if (s == STATUS_OK ? *complete : plan->journal == NULL) /* else for those who go on with it */
        sheet_clear(&plan->sheets, "steps", n);
    free(job);
    free(jobs.todo);
    return s;
}

enum status run_experiment(const struct experiment *e, const struct crew *crew,
                           struct run_report *out, struct problem *problem)
{
    const struct run_plan plan = {.crew = *crew, .shards = 1};
    bool complete;
    return run_plan_play(e, &plan, out, &complete, problem);
}
