/* SPDX-License-Identifier: MIT */
/*
 * purser-sim: plays tables and scenarios through the shipped router, off line. Exit status: 0 done,
 * 1 it could not be done, 2 the command line was wrong. Results go to stdout, everything else to
 * stderr. Option names and JSON keys are a contract: docs/man/purser-sim.1.
 */
#include "core/config.h"
#include "core/text.h"
#include "bandit/policy.h"
#include "sim/fintech.h"
#include "sim/replay.h"
#include "sim/report.h"
#include "sim/score.h"
#include "sim/setup.h"

#include <getopt.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, SETS_MAX = 64, REPORT_CAP = 1 << 20 };

static const char usage[] =
    "usage: purser-sim replay DIR [options]            play a full-information table\n"
    "       purser-sim replay --scenario fintech [options]\n"
    "       purser-sim scenario fintech --out DIR [--rows N] [--scenario-seed S]\n"
    "       purser-sim config DIR [options]            a configuration of purserd for a table\n"
    "       purser-sim score DIR --choices FILE [--monthly N] [--json]\n"
    "                                                  weigh what purser play recorded\n"
    "\n"
    "what is learned before counting\n"
    "  --split P             the rows whose id hashes below P are learned first (0 <= P < 1)\n"
    "  --learn-from DIR2     learn from this table, count all rows of DIR\n"
    "  --history full|bandit every model's outcome is learned, or the chosen one's (default)\n"
    "how it is played\n"
    "  --budget USD          average spend per request that the router is to hold\n"
    "  --policy NAME         lints, greedy, uniform, fixed, rules\n"
    "  --features LIST       declared,text,shape (text includes shape) or none\n"
    "  --delay N             feedback arrives N requests late (default 0)\n"
    "  --seeds N             orders and draws to average over (default 20)\n"
    "  --seed S              the first of them (default 1)\n"
    "  --config FILE         engine part of a configuration, over the table's prices\n"
    "  --set a.b=VALUE       one field of it; may be repeated\n"
    "  --rows N, --scenario-seed S   of a scenario (default 6000, 1)\n"
    "how it is run and told\n"
    "  --workers N           processes (default: one per core); changes no result\n"
    "  --json                one JSON object instead of a table\n"
    "  --monthly N           requests a month, for sums of money (default 50000000)\n"
    "  --progress            on stderr, even when that is no terminal\n"
    "  --help, --version\n";

struct options {
    const char *dir, *scenario, *learn_from, *out, *config, *policy, *features, *choices;
    const char *set[SETS_MAX];
    int n_sets;
    double split, budget; /* budget < 0: as configured */
    bool full_history, json, progress;
    bool own; /* DIR/purser.json, if there is one, belongs to the table */
    long long delay, seeds, first_seed, workers, rows, scenario_seed, monthly;
};

enum option_key {
    OPT_LEARN_FROM = 256,
    OPT_SPLIT,
    OPT_HISTORY,
    OPT_BUDGET,
    OPT_POLICY,
    OPT_DELAY,
    OPT_SEEDS,
    OPT_SEED,
    OPT_FEATURES,
    OPT_JSON,
    OPT_CONFIG,
    OPT_SET,
    OPT_PROGRESS,
    OPT_WORKERS,
    OPT_SCENARIO,
    OPT_ROWS,
    OPT_SCENARIO_SEED,
    OPT_OUT,
    OPT_CHOICES,
    OPT_MONTHLY,
    OPT_HELP,
    OPT_VERSION
};

static const struct option long_options[] = {
    {"learn-from", required_argument, NULL, OPT_LEARN_FROM},
    {"split", required_argument, NULL, OPT_SPLIT},
    {"history", required_argument, NULL, OPT_HISTORY},
    {"budget", required_argument, NULL, OPT_BUDGET},
    {"policy", required_argument, NULL, OPT_POLICY},
    {"delay", required_argument, NULL, OPT_DELAY},
    {"seeds", required_argument, NULL, OPT_SEEDS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"features", required_argument, NULL, OPT_FEATURES},
    {"json", no_argument, NULL, OPT_JSON},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"set", required_argument, NULL, OPT_SET},
    {"progress", no_argument, NULL, OPT_PROGRESS},
    {"workers", required_argument, NULL, OPT_WORKERS},
    {"scenario", required_argument, NULL, OPT_SCENARIO},
    {"rows", required_argument, NULL, OPT_ROWS},
    {"scenario-seed", required_argument, NULL, OPT_SCENARIO_SEED},
    {"out", required_argument, NULL, OPT_OUT},
    {"choices", required_argument, NULL, OPT_CHOICES},
    {"monthly", required_argument, NULL, OPT_MONTHLY},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static int refuse(const char *what, const char *value)
{
    fprintf(stderr, "purser-sim: %s%s%s; see purser-sim --help\n", what, value != NULL ? ": " : "",
            value != NULL ? value : "");
    return EXIT_USAGE;
}

static int fail(const struct problem *p)
{
    fprintf(stderr, "purser-sim: %s%s%s\n", p->path, p->path[0] != '\0' ? ": " : "", p->text);
    return EXIT_FAILURE;
}

static bool read_int(const char *s, long long low, long long high, long long *out)
{
    char *end;
    long long v = strtoll(s, &end, 10);
    if (end == s || *end != '\0' || v < low || v > high)
        return false;
    *out = v;
    return true;
}

static bool read_real(const char *s, double low, double high, double *out)
{
    char *end;
    double v = strtod(s, &end);
    if (end == s || *end != '\0' || !(v >= low && v <= high))
        return false;
    *out = v;
    return true;
}

static bool read_history(const char *s, bool *full)
{
    *full = strcmp(s, "full") == 0;
    return *full || strcmp(s, "bandit") == 0;
}

static bool add_set(struct options *o, const char *s)
{
    if (o->n_sets == SETS_MAX)
        return false;
    o->set[o->n_sets++] = s;
    return true;
}

/* Options whose value has a form of its own; false when it is wrong. */
static bool take_value(struct options *o, int key, const char *v)
{
    switch (key) {
    case OPT_SPLIT:
        return read_real(v, 0, 0.999999, &o->split);
    case OPT_HISTORY:
        return read_history(v, &o->full_history);
    case OPT_BUDGET:
        return read_real(v, 1e-9, 1e6, &o->budget);
    case OPT_POLICY:
        o->policy = v;
        return policy_find(v) != NULL;
    case OPT_DELAY:
        return read_int(v, 0, 10000000, &o->delay);
    case OPT_SEEDS:
        return read_int(v, 1, SEEDS_MAX, &o->seeds);
    case OPT_SEED:
        return read_int(v, 0, INT64_MAX / 2, &o->first_seed);
    case OPT_WORKERS:
        return read_int(v, 1, 256, &o->workers);
    case OPT_ROWS:
        return read_int(v, 1, FINTECH_ROWS_MAX, &o->rows);
    case OPT_SCENARIO_SEED:
        return read_int(v, 0, INT64_MAX, &o->scenario_seed);
    case OPT_MONTHLY:
        return read_int(v, 1, 1000000000000000, &o->monthly);
    case OPT_SET:
        return add_set(o, v);
    default:
        return false;
    }
}

/* Options without a value or whose value is checked later; false when it is none of them. */
static bool take_plain(struct options *o, int key, const char *v)
{
    switch (key) {
    case OPT_LEARN_FROM:
        o->learn_from = v;
        return true;
    case OPT_FEATURES:
        o->features = v;
        return true;
    case OPT_CONFIG:
        o->config = v;
        return true;
    case OPT_SCENARIO:
        o->scenario = v;
        return true;
    case OPT_OUT:
        o->out = v;
        return true;
    case OPT_CHOICES:
        o->choices = v;
        return true;
    case OPT_JSON:
        o->json = true;
        return true;
    case OPT_PROGRESS:
        o->progress = true;
        return true;
    default:
        return false;
    }
}

/* Gives -1 to go on, else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
    for (;;) {
        int key = getopt_long(argc, argv, "", long_options, NULL);
        if (key == -1)
            return -1;
        if (key == '?')
            return refuse("wrong option", NULL);
        if (key == OPT_HELP) {
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        }
        if (key == OPT_VERSION) {
            puts("purser-sim " PURSER_VERSION);
            return EXIT_SUCCESS;
        }
        if (!take_plain(o, key, optarg) && !take_value(o, key, optarg))
            return refuse("an option has a value that is not allowed", optarg);
    }
}

static enum status load(const struct options *o, struct table *t, struct problem *problem)
{
    if (o->scenario != NULL)
        return fintech_table((uint64_t)o->scenario_seed, (size_t)o->rows, t, problem);
    return table_load(o->dir, t, problem);
}

/* Patches with the part of a configuration that lies beside a table, if one does. */
static enum status set_up_own(const struct options *o, struct params *p, struct problem *problem)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/purser.json", o->dir);
    if (n >= (int)sizeof path || access(path, F_OK) != 0)
        return STATUS_OK;
    return setup_file(p, path, problem);
}

/* Defaults, then the pool, the scenario's rules, the file, the sets, the named options. */
static enum status set_up(const struct options *o, const struct table *t, struct params *p,
                          struct problem *problem)
{
    params_default(p);
    enum status s = setup_pool(p, t, problem);
    if (s == STATUS_OK && o->scenario != NULL)
        s = setup_text(p, fintech_config(), problem);
    if (s == STATUS_OK && o->own)
        s = set_up_own(o, p, problem);
    if (s == STATUS_OK && o->config != NULL)
        s = setup_file(p, o->config, problem);
    for (int i = 0; s == STATUS_OK && i < o->n_sets; i++)
        s = setup_set(p, o->set[i], problem);
    if (s == STATUS_OK && o->features != NULL)
        s = setup_features(p, o->features, problem);
    if (s != STATUS_OK)
        return s;
    if (o->policy != NULL)
        snprintf(p->policy.name, sizeof p->policy.name, "%s", o->policy);
    if (o->budget >= 0)
        p->budget.usd_per_request = o->budget;
    return setup_check(p, t, problem);
}

static void show_progress(void *ctx, int done, int jobs)
{
    const char *end = ctx;
    fprintf(stderr, "%sseed %d of %d%s", end[0] == '\r' ? "\r" : "", done, jobs,
            end[0] == '\r' && done < jobs ? "" : "\n");
}

static void tell(const struct options *o, const struct replay *r,
                 const struct replay_report *report, const struct baselines *base)
{
    char *room = malloc(REPORT_CAP);
    if (room == NULL)
        return;
    struct text text = text_over(room, REPORT_CAP);
    if (o->json)
        report_json(&text, r, report, base);
    else
        report_table(&text, r, report, base);
    fputs(text.at, stdout);
    free(room);
}

static enum status play(const struct options *o, const struct table *t, const struct table *learn,
                        const struct params *p, struct problem *problem)
{
    static char on_line[] = "\r", below[] = "\n";
    bool tty = isatty(STDERR_FILENO);
    struct replay r = {.table = t,
                       .learn = o->learn_from != NULL ? learn : NULL,
                       .split = o->split,
                       .params = p,
                       .full_history = o->full_history,
                       .delay = o->delay,
                       .seeds = (int)o->seeds,
                       .first_seed = (uint64_t)o->first_seed,
                       .crew = {.workers = o->workers > 0 ? (int)o->workers : crew_cores(),
                                .progress_ctx = tty ? on_line : below}};
    if (tty || o->progress)
        r.crew.progress = show_progress;
    struct replay_report report;
    struct baselines base;
    enum status s = replay_run(&r, &report, problem);
    if (s == STATUS_OK)
        s = replay_baselines(&r, report.spend.mean, &base, problem);
    if (s == STATUS_OK)
        tell(o, &r, &report, &base);
    return s;
}

static int replay_command(const struct options *o)
{
    struct problem problem = {0};
    struct table table = {0}, learn = {0};
    struct params *params = malloc(sizeof *params);
    enum status s = params == NULL ? problem_set(&problem, STATUS_INTERNAL, "", "out of memory")
                                   : load(o, &table, &problem);
    if (s == STATUS_OK && o->learn_from != NULL)
        s = table_load(o->learn_from, &learn, &problem);
    if (s == STATUS_OK)
        s = set_up(o, &table, params, &problem);
    if (s == STATUS_OK)
        s = play(o, &table, &learn, params, &problem);
    free(params);
    table_free(&learn);
    table_free(&table);
    return s == STATUS_OK ? EXIT_SUCCESS : fail(&problem);
}

static int scenario_command(const struct options *o)
{
    struct problem problem = {0};
    struct table table = {0};
    enum status s = load(o, &table, &problem);
    if (s == STATUS_OK)
        s = fintech_write(o->out, &table, &problem);
    if (s == STATUS_OK)
        fprintf(stderr, "purser-sim: %zu rows written to %s\n", table.n, o->out);
    table_free(&table);
    return s == STATUS_OK ? EXIT_SUCCESS : fail(&problem);
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
                                   : load(o, &table, &problem);
    if (s == STATUS_OK)
        s = set_up(o, &table, params, &problem);
    if (s == STATUS_OK)
        s = o->choices != NULL ? tell_score(o, &table, params, &problem)
                               : tell_config(params, &problem);
    free(params);
    table_free(&table);
    return s == STATUS_OK ? EXIT_SUCCESS : fail(&problem);
}

static int run_service_command(struct options *o, const char *command, char **rest, int n)
{
    bool score = strcmp(command, "score") == 0;
    if (n != 1 || o->scenario != NULL)
        return refuse("config and score take one DIR", NULL);
    if (score && o->choices == NULL)
        return refuse("--choices FILE is missing", NULL);
    if (!score)
        o->choices = NULL;
    o->dir = rest[0];
    return service_command(o);
}

static int run(struct options *o, const char *command, char **rest, int n)
{
    if (strcmp(command, "config") == 0 || strcmp(command, "score") == 0)
        return run_service_command(o, command, rest, n);
    if (strcmp(command, "scenario") == 0) {
        if (n != 1)
            return refuse("scenario takes one name", NULL);
        o->scenario = rest[0];
    } else if (strcmp(command, "replay") != 0) {
        return refuse("no such command", command);
    } else if (n != (o->scenario == NULL)) {
        return refuse("replay takes one DIR or --scenario", NULL);
    }
    if (o->scenario != NULL && strcmp(o->scenario, "fintech") != 0)
        return refuse("no such scenario", o->scenario);
    if (strcmp(command, "scenario") == 0)
        return o->out != NULL ? scenario_command(o) : refuse("--out DIR is missing", NULL);
    if (o->learn_from != NULL && o->split > 0)
        return refuse("--learn-from and --split exclude each other", NULL);
    o->dir = n > 0 ? rest[0] : NULL;
    return replay_command(o);
}

int main(int argc, char **argv)
{
    struct options o = {.budget = -1,
                        .seeds = 20,
                        .first_seed = 1,
                        .rows = FINTECH_ROWS,
                        .scenario_seed = FINTECH_SEED,
                        .monthly = 50000000};
    gsl_set_error_handler_off();
    int status = read_options(argc, argv, &o);
    if (status >= 0)
        return status;
    if (optind >= argc)
        return refuse("which command?", NULL);
    status = run(&o, argv[optind], argv + optind + 1, argc - optind - 1);
    if (fflush(stdout) != 0 && status == EXIT_SUCCESS)
        status = EXIT_FAILURE;
    return status;
}
