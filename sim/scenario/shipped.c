/* SPDX-License-Identifier: MIT */
/* Scenarios that need no code of their own: an experiment from sim/worlds, asked for other rows and
 * seeds, and the table that all of them share. */
#include "sim/scenario/shipped.h"

#include "sim/run/run.h"
#include "sim/scenario/show.h"
#include "sim/spec.h"

#include <stdlib.h>

enum status shipped_load(const char *name, const struct scenario_ask *ask, struct experiment *e,
                         struct problem *problem)
{
    enum status s = experiment_load(name, (int64_t)ask->rows, e, problem);
    if (s != STATUS_OK)
        return s;
    e->seeds = ask->seeds;
    e->first_seed = (int64_t)ask->first_seed;
    return STATUS_OK;
}

enum status shipped_run(const struct scenario *s, const struct scenario_ask *ask, struct text *out,
                        struct problem *problem)
{
    struct experiment *e = calloc(1, sizeof *e);
    struct run_report *r = calloc(1, sizeof *r);
    enum status st = e != NULL && r != NULL
                         ? shipped_load(s->name, ask, e, problem)
                         : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (st == STATUS_OK) {
        st = run_experiment(e, &ask->crew, r, problem);
        if (st == STATUS_OK)
            (ask->json ? show_json : show_report)(out, s, ask, e, r);
        run_free(r);
        experiment_free(e);
    }
    free(r);
    free(e);
    return st;
}
