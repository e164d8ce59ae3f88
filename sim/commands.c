/* SPDX-License-Identifier: MIT */
#include "sim/commands.h"

#include "sim/run/run.h"
#include "sim/scenario/scenario.h"
#include "store/whole.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int command_fail(const struct problem *p)
{
    fprintf(stderr, "purser-sim: %s%s%s\n", p->path, p->path[0] != '\0' ? ": " : "", p->text);
    return EXIT_FAILURE;
}

/* Workers share what their parent has not yet written to stdout: hence no exit(). */
static void *tree_memory(size_t n)
{
    static const char what[] = "purser-sim: out of memory\n";
    void *p = malloc(n);
    if (p != NULL)
        return p;
    whole_abandon();
    (void)!write(STDERR_FILENO, what, sizeof what - 1);
    _exit(EXIT_FAILURE);
}

void command_memory(void)
{
    json_set_alloc_funcs(tree_memory, free);
}

/* Time left: jobs are taken to last alike. The first call starts the clock. */
static void show_progress(void *ctx, int done, int jobs)
{
    static struct timespec started;
    const char *end = ctx;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (started.tv_sec == 0 || done == 0)
        started = now;
    double s =
        (double)(now.tv_sec - started.tv_sec) + (double)(now.tv_nsec - started.tv_nsec) / 1e9;
    fprintf(stderr, "%s%d of %d", end[0] == '\r' ? "\r" : "", done, jobs);
    if (done > 0 && done < jobs)
        fprintf(stderr, ", %.0f s left", s / done * (jobs - done));
    fputs(end[0] == '\r' && done < jobs ? "    " : "\n", stderr);
}

struct crew command_crew(const struct options *o)
{
    static char on_line[] = "\r", below[] = "\n";
    bool tty = isatty(STDERR_FILENO);
    return (struct crew){.workers = o->workers > 0 ? (int)o->workers : crew_cores(),
                         .progress = tty || o->progress ? show_progress : NULL,
                         .progress_ctx = tty ? on_line : below};
}

/* A name that ends with .csv is the one file of run that there was before there were folders. */
struct sheet_place command_sheets(const struct options *o)
{
    size_t n = o->csv != NULL ? strlen(o->csv) : 0;
    bool file = n >= 4 && strcmp(o->csv + n - 4, ".csv") == 0;
    if (o->jsonl != NULL)
        return (struct sheet_place){o->jsonl, true};
    return (struct sheet_place){file ? NULL : o->csv, false};
}

int command_run(const struct options *o, const char *experiment, char **journal, int n)
{
    struct problem problem = {0};
    bool merge = journal != NULL;
    struct run_command command = {.experiment = experiment,
                                  .csv = command_sheets(o).dir == NULL ? o->csv : NULL,
                                  .seeds = o->seeds_given ? (int)o->seeds : 0,
                                  .first_seed = o->seed_given ? o->first_seed : -1,
                                  .json = o->json,
                                  .check = o->check,
                                  .plan = {.crew = command_crew(o),
                                           .shard = o->shards > 0 ? o->shard - 1 : 0,
                                           .shards = o->shards > 0 ? o->shards : 1,
                                           .journal = o->resume,
                                           .also = journal,
                                           .n_also = n,
                                           .read_only = merge,
                                           .sheets = command_sheets(o)}};
    if (merge && (o->shards > 0 || o->resume != NULL))
        return options_refuse("merge only reads: --shard and --resume are of run", NULL);
    if (o->shards > 1 && o->resume == NULL)
        return options_refuse("--shard needs --resume FILE to keep what it plays", NULL);
    enum status s = run_command_run(&command, &problem);
    return s == STATUS_OK ? EXIT_SUCCESS : command_fail(&problem);
}

int command_scenario(const struct options *o, const char *name)
{
    struct problem problem = {0};
    struct scenario_ask ask = {.seeds = (int)o->seeds,
                               .first_seed = (uint64_t)o->first_seed,
                               .rows = o->rows_given ? o->rows : 0,
                               .monthly = (double)o->monthly,
                               .json = o->json,
                               .crew = command_crew(o)};
    enum status s = scenario_run(name, &ask, &problem);
    return s == STATUS_OK ? EXIT_SUCCESS : command_fail(&problem);
}
