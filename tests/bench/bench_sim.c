/* SPDX-License-Identifier: MIT */
/*
 * The simulator, in microseconds a round: one request decided, its outcome drawn up, fed back and
 * learned, at (d=26, K=3), one process. A course is made once before and not counted. In CPU time
 * of the thread. `run` holds it against the arithmetic of a decision and a label as plain loops.
 */
#include <gsl/gsl_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/features/features.h"
#include "sim/disturb/course.h"
#include "sim/play/play.h"
#include "sim/run/experiment.h"
#include "tests/bench/bench.h"

static const char *const policies[] = {"greedy", "igw", "lints"};
enum { POLICIES = sizeof policies / sizeof policies[0] };

static void load(long rounds, struct experiment *e)
{
    char text[2048];
    struct problem p = {0};
    int n = snprintf(text, sizeof text,
                     "{\"world\":{\"base\":\"clusters12\",\"requests\":%ld,\"noise\":0.1},"
                     "\"params\":{\"features\":{\"shape\":false,\"caller\":false,"
                     "\"dim_declared\":17,\"dim_text\":8}},\"policies\":[",
                     rounds);
    for (int i = 0; i < POLICIES; i++)
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "%s{\"name\":\"%s\",\"params\":{\"policy\":{\"name\":\"%s\"}}}",
                      i > 0 ? "," : "", policies[i], policies[i]);
    (void)snprintf(text + n, sizeof text - (size_t)n, "]}");
    json_t *root = json_loads(text, 0, NULL);
    if (root == NULL || experiment_read(root, "", e, &p) != STATUS_OK)
        bench_fail("experiment: %s %s", p.path, p.text);
    json_decref(root);
    struct layout layout = features_layout(e->policy[0].params, NULL);
    if (features_dim(&layout) != 26)
        bench_fail("d is %d", features_dim(&layout));
}

int main(int argc, char **argv)
{
    int rounds = (int)bench_number(argc, argv, "--rounds", 5);
    long requests = bench_number(argc, argv, "--requests", 10000);
    struct experiment *e = calloc(1, sizeof *e);
    struct course course;
    gsl_set_error_handler_off();
    if (e == NULL)
        bench_fail("no memory");
    load(requests, e);
    const struct course_of of = {&e->world, e->spec, &e->disturbances, e->count, e->n, NULL};
    if (course_make(&of, 1, &course, NULL) != STATUS_OK)
        bench_fail("no memory");
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < POLICIES; i++) {
            struct play_result result;
            const struct play play = {.count = {&course.table, course.row, e->n},
                                      .count_params = e->policy[i].params,
                                      .phase = course.phase,
                                      .n_phases = course.n_phases,
                                      .given_order = true};
            int64_t start = bench_cpu_ns();
            play_seed(&play, (uint64_t)round + 1, &result, NULL);
            double us = (double)(bench_cpu_ns() - start) / 1e3 / (double)requests;
            if (result.status != STATUS_OK)
                bench_fail("%s: %s", policies[i], result.problem.text);
            bench_figure(round, us, "sim/%s/d26K3", policies[i]);
        }
    }
    course_free(&course);
    experiment_free(e);
    free(e);
    return EXIT_SUCCESS;
}
