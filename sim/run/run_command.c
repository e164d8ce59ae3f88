/* SPDX-License-Identifier: MIT */
/* The commands `purser-sim run` and `merge`: an experiment from its file to stdout and, if asked
 * for, CSV; or a shard of it into a journal. */
#include "sim/run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include "store/whole.h"

enum { REPORT_CAP = 1 << 24 }; /* 32 policies of 64 models with long names take 13 MB */

static enum status write_csv(const char *path, const struct text *t, struct problem *problem)
{
    struct whole file;
    enum status s = whole_begin(&file, path, problem);
    if (s == STATUS_OK)
        fputs(t->at, file.f);
    return whole_end(&file, s, problem);
}

static enum status tell(const struct run_command *c, const struct experiment *e,
                        const struct run_report *r, struct problem *problem)
{
    char *room = malloc(REPORT_CAP);
    if (room == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    struct text text = text_over(room, REPORT_CAP);
    (c->json ? run_json : run_table)(&text, e, r);
    enum status s =
        text.full ? problem_set(problem, STATUS_INTERNAL, "", "the report is too long") : STATUS_OK;
    if (s == STATUS_OK)
        fputs(text.at, stdout);
    if (s == STATUS_OK && c->csv != NULL) {
        text = text_over(room, REPORT_CAP);
        run_csv(&text, e, r);
        s = write_csv(c->csv, &text, problem);
    }
    free(room);
    return s;
}

static enum status play(const struct run_command *c, const struct experiment *e,
                        struct run_report *r, struct problem *problem)
{
    bool complete;
    enum status s = run_plan_play(e, &c->plan, r, &complete, problem);
    if (s != STATUS_OK)
        return s;
    if (complete)
        s = tell(c, e, r, problem);
    else if (c->plan.read_only)
        s = problem_set(problem, STATUS_BAD_REQUEST, "",
                        "jobs are missing: play the other shards, with the same experiment, seeds "
                        "and program, and name their files too");
    run_free(r);
    return s;
}

enum status run_command_run(const struct run_command *c, struct problem *problem)
{
    struct experiment *e = calloc(1, sizeof *e);
    struct run_report *r = calloc(1, sizeof *r);
    enum status s = e != NULL && r != NULL
                        ? experiment_load(c->experiment, 0, e, problem)
                        : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s == STATUS_OK) {
        if (c->seeds > 0)
            e->seeds = c->seeds;
        if (c->first_seed >= 0)
            e->first_seed = c->first_seed;
        if (c->check)
            printf("%s: right; %zu requests, %d policies, %lld seeds\n", c->experiment, e->n,
                   e->n_policies, (long long)e->seeds);
        else
            s = play(c, e, r, problem);
        experiment_free(e);
    }
    free(r);
    free(e);
    return s;
}
