/* SPDX-License-Identifier: MIT */
/*
 * purser-sim: plays tables and scenarios through the shipped router, off line. Exit status: 0 done,
 * 1 it could not be done, 2 the command line was wrong. Results go to stdout, everything else to
 * stderr. Option names and JSON keys are a contract: docs/man/purser-sim.1.
 */
#include "core/config/config.h"
#include "core/encoding/text.h"
#include "sim/commands.h"
#include "sim/honesty/honesty.h"
#include "sim/html/command.h"
#include "sim/lens/lens_command.h"
#include "sim/metrics/command.h"
#include "sim/ope/command.h"
#include "sim/ope/convert.h"
#include "sim/options.h"
#include "sim/options_setup.h"
#include "sim/refold/refold_command.h"
#include "sim/replay/compare.h"
#include "sim/replay/replay.h"
#include "sim/report.h"
#include "sim/scenario/fintech.h"
#include "sim/score.h"
#include "sim/series/series.h"
#include "sim/setup.h"
#include "sim/tables/trace.h"
#include "sim/tune/command.h"
#include "sim/whatif_command.h"
#include "sim/worth/worth.h"

#include <errno.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPORT_CAP = 1 << 20 };

static void show_step(void *ctx, const char *what)
{
    (void)ctx;
    fprintf(stderr, "purser-sim: %s\n", what);
}

static enum status tell(const struct options *o, const struct replay *r,
                        const struct replay_report *report, const struct baselines *base,
                        const struct shocks *shocks, struct problem *problem)
{
    char *room = malloc(REPORT_CAP);
    if (room == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    struct text text = text_over(room, REPORT_CAP);
    if (o->json)
        report_json(&text, r, report, base, shocks);
    else
        report_table(&text, r, report, base, shocks);
    fputs(text.at, stdout);
    free(room);
    return STATUS_OK;
}

/* As many requests as rows count, or as asked for. */
static enum status load_trace(const struct options *o, const struct table *t, struct trace *out,
                              struct problem *problem)
{
    size_t n = 0;
    if (o->trace == NULL)
        return STATUS_OK;
    for (size_t i = 0; i < t->n; i++)
        n += o->learn_from != NULL || !replay_learned_first(table_id(t, i), o->split);
    return trace_load(o->trace, o->rows > 0 ? (size_t)o->rows : n, (uint64_t)o->first_seed, out,
                      problem);
}

static enum status play(const struct options *o, const struct table *t, const struct table *learn,
                        const struct params *p, struct problem *problem)
{
    uint8_t *lens = NULL;
    size_t lens_len = 0;
    struct trace trace = {0};
    enum status s = o->lens ? lens_read(o->lens, &lens, &lens_len, problem) : STATUS_OK;
    if (s == STATUS_OK)
        s = load_trace(o, t, &trace, problem);
    if (s != STATUS_OK) {
        free(lens);
        return s;
    }
    struct replay r = {.table = t,
                       .learn = o->learn_from != NULL ? learn : NULL,
                       .split = o->split,
                       .params = p,
                       .full_history = o->full_history,
                       .cold = o->cold,
                       .change = o->change,
                       .n_changes = o->n_changes,
                       .given_order = o->given_order,
                       .delay = o->delay,
                       .lens = lens,
                       .lens_len = lens_len,
                       .trace = o->trace != NULL ? &trace : NULL,
                       .max_output_tokens = o->max_output_tokens,
                       .sheets = command_sheets(o),
                       .seeds = (int)o->seeds,
                       .first_seed = (uint64_t)o->first_seed,
                       .crew = command_crew(o)};
    struct replay_report report;
    struct baselines base;
    struct shocks *shocks = o->n_changes > 0 ? calloc(1, sizeof *shocks) : NULL;
    r.series = o->json ? calloc(1, sizeof *r.series) : NULL;
    s = (o->n_changes > 0 && shocks == NULL) || (o->json && r.series == NULL)
            ? problem_set(problem, STATUS_INTERNAL, "", "out of memory")
            : replay_run_shocks(&r, &report, shocks, problem);
    if (s == STATUS_OK)
        s = replay_baselines(&r, report.spend.mean, &base, problem);
    if (s == STATUS_OK)
        s = tell(o, &r, &report, &base, shocks, problem);
    free(r.series);
    free(shocks);
    free(lens);
    trace_free(&trace);
    return s;
}

static int replay_command(const struct options *o)
{
    struct problem problem = {0};
    struct table table = {0}, learn = {0};
    struct params *params = malloc(sizeof *params);
    enum status s = params == NULL ? problem_set(&problem, STATUS_INTERNAL, "", "out of memory")
                                   : options_table(o, &table, &problem);
    if (s == STATUS_OK && o->learn_from != NULL)
        s = table_load(o->learn_from, &learn, &problem);
    if (s == STATUS_OK)
        s = options_params(o, &table, params, &problem);
    if (s == STATUS_OK)
        s = play(o, &table, &learn, params, &problem);
    free(params);
    table_free(&learn);
    table_free(&table);
    return s == STATUS_OK ? EXIT_SUCCESS : command_fail(&problem);
}

static int scenario_command(const struct options *o)
{
    struct problem problem = {0};
    struct table table = {0};
    enum status s = options_table(o, &table, &problem);
    if (s == STATUS_OK)
        s = fintech_write(o->out, &table, &problem);
    if (s == STATUS_OK)
        fprintf(stderr, "purser-sim: %zu rows written to %s\n", table.n, o->out);
    table_free(&table);
    return s == STATUS_OK ? EXIT_SUCCESS : command_fail(&problem);
}

static enum status tell_worth(const struct options *o, const struct replay *r,
                              struct problem *problem)
{
    struct worth_report w;
    char *room = malloc(REPORT_CAP);
    enum status s = room == NULL ? problem_set(problem, STATUS_INTERNAL, "", "out of memory")
                                 : worth_measure(r, &w, problem);
    if (s == STATUS_OK) {
        struct text text = text_over(room, REPORT_CAP);
        (o->json ? worth_json : worth_table)(&text, r, &w);
        fputs(text.at, stdout);
    }
    free(room);
    return s;
}

/* A table, or the log of a store. */
static int tune(struct options *o, char **rest, int n)
{
    struct problem problem = {0};
    struct table table = {0};
    if (o->store != NULL)
        return n == 0 ? tune_store_command(o)
                      : options_refuse("tune takes one DIR, or --store DIR", rest[0]);
    if (n != 1)
        return options_refuse("tune takes one DIR, or --store DIR", NULL);
    struct params *params = malloc(sizeof *params);
    o->dir = rest[0];
    o->own = true;
    enum status s = params == NULL ? problem_set(&problem, STATUS_INTERNAL, "", "out of memory")
                                   : options_table(o, &table, &problem);
    if (s == STATUS_OK)
        s = options_params(o, &table, params, &problem);
    int code = s == STATUS_OK ? tune_table_command(o, &table, params) : command_fail(&problem);
    free(params);
    table_free(&table);
    return code;
}

/* The scenario with its values: known to the router, and not. */
static int worth_command(const struct options *o)
{
    struct problem problem = {0};
    struct table table = {0};
    struct params *params = malloc(sizeof *params);
    enum status s = params == NULL ? problem_set(&problem, STATUS_INTERNAL, "", "out of memory")
                                   : options_table(o, &table, &problem);
    if (s == STATUS_OK)
        s = options_params(o, &table, params, &problem);
    if (s == STATUS_OK) {
        struct replay r = {.table = &table,
                           .params = params,
                           .delay = o->delay,
                           .given_order = o->given_order,
                           .seeds = (int)o->seeds,
                           .first_seed = (uint64_t)o->first_seed,
                           .crew = command_crew(o)};
        if (o->budget < 0)
            params->budget.usd_per_request = worth_budget(&table, FINTECH_VALUES_BUDGET);
        s = tell_worth(o, &r, &problem);
    }
    free(params);
    table_free(&table);
    return s == STATUS_OK ? EXIT_SUCCESS : command_fail(&problem);
}

static enum status tell_config(const struct params *p, struct problem *problem)
{
    char *json = malloc(CONFIG_MAX);
    size_t n = json == NULL ? 0 : config_render(p, json, CONFIG_MAX);
    enum status s = n > 0 ? STATUS_OK : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s == STATUS_OK)
        puts(json);
    free(json);
    return s;
}

static enum status tell_score(const struct options *o, const struct table *t,
                              const struct params *p, struct problem *problem)
{
    struct choices choices;
    struct score score;
    enum status s = score_read(o->choices, t, &choices, problem);
    if (s != STATUS_OK)
        return s;
    score_weigh(t, &choices, p, (double)o->monthly, &score);
    score_free(&choices);
    char *room = malloc(REPORT_CAP);
    if (room == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    struct text text = text_over(room, REPORT_CAP);
    (o->json ? score_json : score_table)(&text, &score);
    fputs(text.at, stdout);
    free(room);
    return STATUS_OK;
}

/* config, or score when there are choices: both are about a table as a service sees it. */
static int service_command(struct options *o)
{
    struct problem problem = {0};
    struct table table = {0};
    struct params *params = malloc(sizeof *params);
    o->own = true;
    enum status s = params == NULL ? problem_set(&problem, STATUS_INTERNAL, "", "out of memory")
                                   : options_table(o, &table, &problem);
    if (s == STATUS_OK)
        s = options_params(o, &table, params, &problem);
    if (s == STATUS_OK)
        s = o->choices != NULL ? tell_score(o, &table, params, &problem)
                               : tell_config(params, &problem);
    free(params);
    table_free(&table);
    return s == STATUS_OK ? EXIT_SUCCESS : command_fail(&problem);
}

static int run_service_command(struct options *o, const char *command, char **rest, int n)
{
    bool score = strcmp(command, "score") == 0;
    if (n != 1 || o->scenario != NULL)
        return options_refuse("config and score take one DIR", NULL);
    if (score && o->choices == NULL)
        return options_refuse("--choices FILE is missing", NULL);
    if (!score)
        o->choices = NULL;
    o->dir = rest[0];
    return service_command(o);
}

static int lens_command(const struct options *o, char **path, int n)
{
    struct problem problem = {0};
    struct lens_command command = {.path = path,
                                   .n_paths = n,
                                   .out = o->out,
                                   .split = o->split,
                                   .json = o->json,
                                   .fit = {.dims = o->dims > 0 ? (int)o->dims
                                                   : o->labels ? 48
                                                               : 24,
                                           .clusters = (int)o->clusters,
                                           .buckets = (int)o->buckets,
                                           .labels = o->labels,
                                           .whiten = o->whiten,
                                           .seed = (uint64_t)o->first_seed}};
    if (isatty(STDERR_FILENO) || o->progress)
        command.fit.progress = show_step;
    enum status s = lens_command_run(&command, &problem);
    return s == STATUS_OK ? EXIT_SUCCESS : command_fail(&problem);
}

static enum status compare_set_up(void *ctx, const char *dir, struct table *t, struct params *p,
                                  struct problem *problem)
{
    struct options o = *(const struct options *)ctx;
    o.dir = dir;
    enum status s = options_table(&o, t, problem);
    if (s != STATUS_OK)
        return s;
    s = options_params(&o, t, p, problem);
    if (s != STATUS_OK)
        table_free(t);
    return s;
}

static void show_left(void *ctx, double done, double seconds_left)
{
    int *percent = ctx;
    bool tty = isatty(STDERR_FILENO);
    if (!tty && (int)(100 * done) == *percent)
        return;
    *percent = (int)(100 * done);
    fprintf(stderr, "%spurser-sim: %3.0f%%, %.0f s left%s", tty ? "\r" : "", 100 * done,
            seconds_left, tty && done < 1 ? "   " : "\n");
}

static int compare_command(struct options *o, char **dir, int n)
{
    struct problem problem = {0};
    struct grid g = {
        .dir = dir,
        .n_dirs = n,
        .replay = {.split = o->split > 0 ? o->split : 0.5,
                   .delay = o->delay,
                   .given_order = o->given_order,
                   .seeds = (int)o->seeds,
                   .first_seed = (uint64_t)o->first_seed,
                   .crew = {.workers = o->workers > 0 ? (int)o->workers : crew_cores()}},
        .set_up = compare_set_up,
        .ctx = o,
        .json = o->json,
        .out = stdout,
        .csv = o->csv,
        .resume = o->resume};
    if (o->n_changes > 0 || o->policy != NULL || o->budget >= 0)
        return options_refuse("compare takes --policies and --budgets, not --policy, --budget or "
                              "--change",
                              NULL);
    if (n < 1 || o->scenario != NULL || o->learn_from != NULL)
        return options_refuse("compare takes one DIR or more, and neither --scenario nor "
                              "--learn-from",
                              NULL);
    if (!grid_policies(&g, o->policies != NULL ? o->policies : "lints,greedy,uniform"))
        return options_refuse("--policies takes \"all\" or a list of policies", o->policies);
    if (!grid_budgets(&g, o->budgets != NULL ? o->budgets : "none,50%,25%,10%"))
        return options_refuse("--budgets takes a list of none, USD, or N%", o->budgets);
    if (!grid_histories(&g, o->history != NULL ? o->history : "cold,bandit,full"))
        return options_refuse("--history takes a list of cold, bandit, full", o->history);
    if (isatty(STDERR_FILENO) || o->progress)
        g.progress = show_left;
    int percent = -1;
    g.progress_ctx = &percent;
    uint8_t *lens = NULL;
    enum status s = o->lens ? lens_read(o->lens, &lens, &g.replay.lens_len, &problem) : STATUS_OK;
    g.replay.lens = lens;
    if (s == STATUS_OK)
        s = grid_run(&g, &problem);
    free(lens);
    return s == STATUS_OK ? EXIT_SUCCESS : command_fail(&problem);
}

/* A scenario is played; the table of fintech can also be written, or weighed by its values. */
static int scenario(struct options *o, const char *name)
{
    if (o->out == NULL && !o->values)
        return command_scenario(o, name);
    if (strcmp(name, "fintech") != 0)
        return options_refuse("--out and --values are of the scenario fintech, not of", name);
    o->scenario = name;
    return o->out != NULL ? scenario_command(o) : worth_command(o);
}

/* The history of a replay; compare takes a list instead. */
static bool read_history(struct options *o)
{
    o->full_history = o->history != NULL && strcmp(o->history, "full") == 0;
    o->cold = o->history != NULL && strcmp(o->history, "cold") == 0;
    return o->history == NULL || o->full_history || o->cold || strcmp(o->history, "bandit") == 0;
}

static int run(struct options *o, const char *command, char **rest, int n)
{
    if (o->trace != NULL && strcmp(command, "replay") != 0)
        return options_refuse("--trace is of replay, not of", command);
    if (strcmp(command, "config") == 0 || strcmp(command, "score") == 0)
        return run_service_command(o, command, rest, n);
    if (strcmp(command, "lens") == 0 && n > 1 && strcmp(rest[0], "fit") == 0)
        return lens_command(o, rest + 1, n - 1);
    if (strcmp(command, "run") == 0)
        return n == 1 ? command_run(o, rest[0], NULL, 0)
                      : options_refuse("run takes one EXPERIMENT", NULL);
    if (strcmp(command, "merge") == 0)
        return n >= 2
                   ? command_run(o, rest[0], rest + 1, n - 1)
                   : options_refuse("merge takes an EXPERIMENT and the files of its shards", NULL);
    if (strcmp(command, "tune") == 0)
        return tune(o, rest, n);
    if (strcmp(command, "compare") == 0)
        return compare_command(o, rest, n);
    if (strcmp(command, "refold") == 0)
        return n == 0 ? refold_command(o) : options_refuse("refold takes only options", rest[0]);
    if (strcmp(command, "whatif") == 0)
        return n == 0 ? whatif_command(o) : options_refuse("whatif takes only options", rest[0]);
    if (strcmp(command, "honesty") == 0)
        return n == 1 ? honesty_command(o, rest[0])
                      : options_refuse("honesty takes one DIR or WORLD", NULL);
    if (strcmp(command, "scenario") == 0)
        return n == 1 ? scenario(o, rest[0])
                      : options_refuse("scenario takes one name, or list", NULL);
    if (strcmp(command, "replay") != 0) {
        return options_refuse("no such command", command);
    } else if (n != (o->scenario == NULL)) {
        return options_refuse("replay takes one DIR or --scenario", NULL);
    } else if (!read_history(o)) {
        return options_refuse("--history takes full, bandit or cold", o->history);
    }
    if (o->scenario != NULL && strcmp(o->scenario, "fintech") != 0)
        return options_refuse("no such scenario", o->scenario);
    if (o->values && o->scenario == NULL)
        return options_refuse("--values are a scenario's: for a table give --set value.task=...",
                              NULL);
    if (o->rows_given && o->scenario == NULL && o->trace == NULL)
        return options_refuse("--rows is of --scenario or --trace: a table is played whole", NULL);
    if (o->trace != NULL && o->given_order)
        return options_refuse("--trace has an order of its own: --order given is not for it", NULL);
    if (o->learn_from != NULL && o->split > 0)
        return options_refuse("--learn-from and --split exclude each other", NULL);
    o->dir = n > 0 ? rest[0] : NULL;
    return replay_command(o);
}

static int dispatch(int argc, char **argv)
{
    struct options o = {.budget = -1,
                        .seeds = 20,
                        .first_seed = 1,
                        .rows = 0,
                        .scenario_seed = FINTECH_SEED,
                        .monthly = 50000000,
                        .dims = 0,
                        .clusters = 12,
                        .buckets = 4096,
                        .whiten = 0};
    if (argc > 1 && strcmp(argv[1], "metrics") == 0)
        return metrics_command(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "convert") == 0)
        return convert_command(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "ope") == 0)
        return ope_command(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "report") == 0)
        return report_command(argc - 1, argv + 1);
    int status = options_read(argc, argv, &o);
    if (status >= 0)
        return status;
    if (optind >= argc)
        return options_refuse("which command?", NULL);
    return run(&o, argv[optind], argv + optind + 1, argc - optind - 1);
}

int main(int argc, char **argv)
{
    gsl_set_error_handler_off();
    command_memory();
    int status = dispatch(argc, argv);
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || status == EXIT_FAILURE)
        return status;
    fprintf(stderr, "purser-sim: standard output cannot be written: %s\n",
            strerror(errno != 0 ? errno : ENOSPC));
    return EXIT_FAILURE;
}
