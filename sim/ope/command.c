/* SPDX-License-Identifier: MIT */
#include "sim/ope/command.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "sim/background.h"
#include "sim/ope/fit.h"
#include "sim/ope/read.h"
#include "sim/ope/report.h"
#include "sim/options.h"

static const char help[] =
    "usage: purser-sim ope --store DIR --target T [options]\n"
    "       purser-sim ope --log FILE [--format csv|obp|jsonl|dsjson] --target T [options]\n"
    "\n"
    "What another policy would have reached, from logged decisions. A live store is only read.\n"
    "Exit status: 0 the gate lets the target through, 3 it does not, 1 failed, 2 wrong usage.\n"
    "\n"
    "what is read\n"
    "  --store DIR           a store of purserd\n"
    "  --log FILE            a log of other origin; --format as its name ends (.csv, .jsonl,\n"
    "                        .dsjson or .json), or as said\n"
    "  --days N              decisions of the last N days only\n"
    "  --from SEQ, --to SEQ  records of the store\n"
    "  --full-speed          of a store that no service needs: else it is read at idle priority,\n"
    "                        with rests of 4/5 of the time while it is being written to\n"
    "what is asked\n"
    "  --target T            logged, uniform, always:MODEL, given (columns pi_MODEL of the\n"
    "                        log), or a policy, which rescores what the store has logged\n"
    "  --against T           logged (default), uniform, always:MODEL\n"
    "  --by LIST             tenant,task,group,week: quality by segment\n"
    "  --weights LIST        utility: quality=W,cost=W,latency=W,failure=W in quality points\n"
    "                        per point, dollar, ms, failure; default: a store's as decided\n"
    "  --q fit|logged        model behind dm, dr ...: cross-fitted on the log's features, or\n"
    "                        the predictions logged (default, where there are any)\n"
    "  --kinds LIST          ARM=KIND,...: what mips takes together (a store's: tiers)\n"
    "  --propensity fit      of a CSV without probabilities: weights from a classifier on its\n"
    "                        features (b-ipw); nothing is promoted by them\n"
    "how sure\n"
    "  --alpha A             1 - A is the confidence of each interval (default 0.05)\n"
    "  --candidates M        policies tried on this log: the gate asks for A/M\n"
    "  --quality-margin D    how much quality may fall (default 0.002)\n"
    "  --segment-margin D    in a segment (default 0.01)\n"
    "  --group-floor Q       mean quality that no group may fall below by the change (0: none);\n"
    "                        default: a store's fairness.quality_floor and dimension\n"
    "  --cost-allowed USD    how much a request may cost more; default: any\n"
    "  --cost-high USD, --latency-high MS, --quality-high Q\n"
    "                        greatest label there can be; default: the greatest seen\n"
    "  --weight-high W       greatest weight there can be; default: from the probabilities\n"
    "  --clip M, --tau T, --dros L, --sg L   instead of choosing them from the log\n"
    "  --seed S              of bootstrap and replay (default 1)\n"
    "how it is told\n"
    "  --json                one JSON object instead of tables\n"
    "  --csv DIR, --jsonl DIR   also rows, a file each in DIR: docs/sheets.md\n"
    "  --progress            on stderr, even when that is no terminal\n";

struct ask {
    struct ope_source source;
    struct ope_question question;
    const char *target, *against;
    double weights[AIM_UTILITY];
    double days;
    unsigned by;
    struct sheet_place sheets;
    const char *kinds;
    bool store, weighed, formatted, fit, json, progress, full_speed, help;
};

enum key {
    KEY_STORE = 256,
    KEY_LOG,
    KEY_FORMAT,
    KEY_DAYS,
    KEY_FROM,
    KEY_TO,
    KEY_TARGET,
    KEY_AGAINST,
    KEY_BY,
    KEY_WEIGHTS,
    KEY_Q,
    KEY_ALPHA,
    KEY_CANDIDATES,
    KEY_QUALITY_MARGIN,
    KEY_SEGMENT_MARGIN,
    KEY_GROUP_FLOOR,
    KEY_COST_ALLOWED,
    KEY_COST_HIGH,
    KEY_LATENCY_HIGH,
    KEY_QUALITY_HIGH,
    KEY_WEIGHT_HIGH,
    KEY_CLIP,
    KEY_TAU,
    KEY_DROS,
    KEY_SG,
    KEY_SEED,
    KEY_JSON,
    KEY_CSV,
    KEY_KINDS,
    KEY_PROPENSITY,
    KEY_JSONL,
    KEY_PROGRESS,
    KEY_FULL_SPEED,
    KEY_HELP
};

static const struct option options[] = {
    {"store", required_argument, NULL, KEY_STORE},
    {"log", required_argument, NULL, KEY_LOG},
    {"format", required_argument, NULL, KEY_FORMAT},
    {"days", required_argument, NULL, KEY_DAYS},
    {"from", required_argument, NULL, KEY_FROM},
    {"to", required_argument, NULL, KEY_TO},
    {"target", required_argument, NULL, KEY_TARGET},
    {"against", required_argument, NULL, KEY_AGAINST},
    {"by", required_argument, NULL, KEY_BY},
    {"weights", required_argument, NULL, KEY_WEIGHTS},
    {"q", required_argument, NULL, KEY_Q},
    {"alpha", required_argument, NULL, KEY_ALPHA},
    {"candidates", required_argument, NULL, KEY_CANDIDATES},
    {"quality-margin", required_argument, NULL, KEY_QUALITY_MARGIN},
    {"segment-margin", required_argument, NULL, KEY_SEGMENT_MARGIN},
    {"group-floor", required_argument, NULL, KEY_GROUP_FLOOR},
    {"cost-allowed", required_argument, NULL, KEY_COST_ALLOWED},
    {"cost-high", required_argument, NULL, KEY_COST_HIGH},
    {"latency-high", required_argument, NULL, KEY_LATENCY_HIGH},
    {"quality-high", required_argument, NULL, KEY_QUALITY_HIGH},
    {"weight-high", required_argument, NULL, KEY_WEIGHT_HIGH},
    {"clip", required_argument, NULL, KEY_CLIP},
    {"tau", required_argument, NULL, KEY_TAU},
    {"dros", required_argument, NULL, KEY_DROS},
    {"sg", required_argument, NULL, KEY_SG},
    {"seed", required_argument, NULL, KEY_SEED},
    {"kinds", required_argument, NULL, KEY_KINDS},
    {"propensity", required_argument, NULL, KEY_PROPENSITY},
    {"csv", required_argument, NULL, KEY_CSV},
    {"jsonl", required_argument, NULL, KEY_JSONL},
    {"json", no_argument, NULL, KEY_JSON},
    {"progress", no_argument, NULL, KEY_PROGRESS},
    {"full-speed", no_argument, NULL, KEY_FULL_SPEED},
    {"help", no_argument, NULL, KEY_HELP},
    {NULL, 0, NULL, 0},
};

static bool real(const char *s, double low, double high, double *out)
{
    char *end;
    *out = strtod(s, &end);
    return end != s && *end == '\0' && *out >= low && *out <= high;
}

static bool whole(const char *s, uint64_t *out)
{
    char *end;
    *out = strtoull(s, &end, 10);
    return end != s && *end == '\0' && *s != '-';
}

/* Cuts the next item off a list. */
static bool item(const char **list, char *out, size_t cap)
{
    size_t len = strcspn(*list, ",");
    if (**list == '\0' || len >= cap)
        return false;
    memcpy(out, *list, len);
    out[len] = '\0';
    *list += len + ((*list)[len] == ',');
    return true;
}

static bool take_by(const char *list, unsigned *by)
{
    char name[16];
    while (item(&list, name, sizeof name)) {
        int s = 0;
        while (s < SEGS && strcmp(ope_segment_name((enum ope_segment)s), name) != 0)
            s++;
        if (s == SEGS)
            return false;
        *by |= 1u << s;
    }
    return *list == '\0' && *by != 0;
}

/* Costs, latencies and failures count against. */
static bool take_weights(const char *list, double *weights)
{
    char name[64];
    while (item(&list, name, sizeof name)) {
        char *value = strchr(name, '=');
        int a = 0;
        if (value)
            *value++ = '\0';
        while (a < AIM_UTILITY && strcmp(ope_aim_name((enum ope_aim)a), name) != 0)
            a++;
        if (!value || a == AIM_UTILITY || !real(value, 0, 1e12, &weights[a]))
            return false;
        weights[a] = a == AIM_QUALITY ? weights[a] : -weights[a];
    }
    return *list == '\0';
}

static bool take_source(struct ask *a, int key, const char *v)
{
    switch (key) {
    case KEY_STORE:
        a->store = true;
        a->source.format = FORMAT_STORE;
        a->source.path = v;
        return true;
    case KEY_LOG:
        a->source.path = v;
        return true;
    case KEY_FORMAT:
        a->formatted = true;
        return format_parse(v, &a->source.format) && a->source.format != FORMAT_STORE;
    case KEY_DAYS:
        return real(v, 1e-3, 1e5, &a->days);
    case KEY_FROM:
        return whole(v, &a->source.from);
    case KEY_TO:
        return whole(v, &a->source.to);
    case KEY_CSV:
    case KEY_JSONL:
        a->sheets = (struct sheet_place){v, key == KEY_JSONL};
        return *v != '\0';
    case KEY_JSON:
        return (a->json = true);
    case KEY_PROGRESS:
        return (a->progress = true);
    case KEY_FULL_SPEED:
        return (a->full_speed = true);
    case KEY_HELP:
        return (a->help = true);
    default:
        return false;
    }
}

static bool take_question(struct ask *a, int key, const char *v)
{
    switch (key) {
    case KEY_TARGET:
        a->target = v;
        return target_parse(v, &a->question.target);
    case KEY_AGAINST: /* a policy is asked while the log is read: one at a time */
        a->against = v;
        return target_parse(v, &a->question.against) && a->question.against.kind < TARGET_GIVEN;
    case KEY_BY:
        return take_by(v, &a->by);
    case KEY_WEIGHTS:
        return (a->weighed = take_weights(v, a->weights));
    case KEY_KINDS:
        a->kinds = v;
        return *v != '\0';
    case KEY_PROPENSITY:
        a->source.lost = strcmp(v, "fit") == 0;
        return a->source.lost || strcmp(v, "logged") == 0;
    case KEY_Q:
        a->fit = strcmp(v, "fit") == 0;
        return a->fit || strcmp(v, "logged") == 0;
    case KEY_SEED:
        return whole(v, &a->question.seed);
    default:
        return false;
    }
}

static bool take_number(struct ope_question *q, int key, const char *v)
{
    double n = 0;
    if (key == KEY_ALPHA)
        return real(v, 1e-9, 0.5, &q->alpha);
    if (key == KEY_SG)
        return real(v, 0, 1, &q->tuning.sg);
    if (key == KEY_CANDIDATES) {
        bool ok = real(v, 1, 1e6, &n);
        q->candidates = (int)n;
        return ok;
    }
    double *to = key == KEY_QUALITY_MARGIN   ? &q->quality_margin
                 : key == KEY_SEGMENT_MARGIN ? &q->segment_margin
                 : key == KEY_GROUP_FLOOR    ? &q->floor
                 : key == KEY_COST_ALLOWED   ? &q->cost_allowed
                 : key == KEY_COST_HIGH      ? &q->high[AIM_COST]
                 : key == KEY_LATENCY_HIGH   ? &q->high[AIM_LATENCY]
                 : key == KEY_QUALITY_HIGH   ? &q->high[AIM_QUALITY]
                 : key == KEY_WEIGHT_HIGH    ? &q->weight_high
                 : key == KEY_CLIP           ? &q->tuning.clip
                 : key == KEY_TAU            ? &q->tuning.tau
                 : key == KEY_DROS           ? &q->tuning.dros
                                             : NULL;
    return to && real(v, key == KEY_COST_ALLOWED ? -1e6 : 0, 1e15, to);
}

static bool format_by_name(struct ask *a)
{
    static const struct {
        const char *end;
        enum ope_format format;
    } known[] = {{".csv", FORMAT_CSV},
                 {".jsonl", FORMAT_JSONL},
                 {".dsjson", FORMAT_DSJSON},
                 {".json", FORMAT_DSJSON}};
    size_t len = strlen(a->source.path);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i].end);
        if (len > n && strcmp(a->source.path + len - n, known[i].end) == 0) {
            a->source.format = known[i].format;
            return true;
        }
    }
    return false;
}

static int read_ask(int argc, char **argv, struct ask *a)
{
    optind = 1;
    for (int key; (key = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (key == '?')
            return options_refuse("ope: wrong option", NULL);
        if (!take_source(a, key, optarg) && !take_question(a, key, optarg) &&
            !take_number(&a->question, key, optarg))
            return options_refuse("ope: an option has a value that is not allowed", optarg);
    }
    if (a->help)
        return -1;
    if (optind < argc)
        return options_refuse("ope takes only options", argv[optind]);
    if (!a->source.path || !a->target)
        return options_refuse("ope needs --store DIR or --log FILE, and --target", NULL);
    if (a->store && a->source.lost)
        return options_refuse("a store has its probabilities: --propensity fit is of --log", NULL);
    if (!a->store && !a->formatted && !format_by_name(a))
        return options_refuse("which --format is this", a->source.path);
    if (!a->store && a->question.target.kind == TARGET_POLICY)
        return options_refuse("only a store has what a policy decides from: give columns pi_MODEL "
                              "and --target given",
                              a->target);
    return -1;
}

static void show_progress(const char *path, uint64_t done, uint64_t of)
{
    if (of > 0)
        fprintf(stderr, "\r%s: %" PRIu64 " of %" PRIu64 " records%s", path, done, of,
                done >= of ? "\n" : "");
    else
        fprintf(stderr, "\r%s: %" PRIu64 " lines", path, done);
}

/* Without predictions in the log, or by wish, a model of its own; then what all of it is worth. */
static enum status prepare(const struct ask *a, struct ope_rows *rows, struct problem *problem)
{
    static const double quality[AIM_UTILITY] = {1, 0, 0, 0};
    enum status s = STATUS_OK;
    if (a->fit || !rows->has_q[AIM_QUALITY])
        s = fit_crossed(rows, problem);
    if (s == STATUS_OK && a->kinds && !rows_kinds(rows, a->kinds))
        s = problem_set(problem, STATUS_BAD_REQUEST, "",
                        "--kinds takes ARM=KIND,... of arms in the "
                        "log");
    if (s == STATUS_OK && a->question.floor > 0 && rows->segment[rows->floor_by].n == 0)
        s = problem_set(problem, STATUS_BAD_REQUEST, "",
                        "--group-floor is of groups, and no row has a %s",
                        ope_segment_name(rows->floor_by));
    if (s == STATUS_OK)
        rows_weigh(rows, a->weighed ? a->weights : a->store ? NULL : quality);
    return s;
}

static int tell(const struct ask *a, const struct ope_rows *rows, const struct ope_report *report)
{
    struct ope_told told = {a->source.path, a->target, a->against, rows, &a->question, report};
    struct problem problem = {0};
    if (ope_report_sheets(&a->sheets, &told, &problem) != STATUS_OK) {
        fprintf(stderr, "purser-sim: %s\n", problem.text);
        return EXIT_FAILURE;
    }
    if (a->json && !ope_report_json(stdout, &told)) {
        fputs("purser-sim: out of memory\n", stderr);
        return EXIT_FAILURE;
    }
    if (!a->json)
        ope_report_table(stdout, &told);
    return report->faults == 0 ? EXIT_SUCCESS : EXIT_GATE;
}

int ope_command(int argc, char **argv)
{
    struct ask a = {.question = {.alpha = 0.05,
                                 .seed = 1,
                                 .cost_allowed = (double)INFINITY,
                                 .quality_margin = 0.002,
                                 .segment_margin = 0.01,
                                 .floor = -1,
                                 .candidates = 1},
                    .against = "logged"};
    struct ope_rows rows = {.floor_by = SEG_GROUP};
    struct ope_report report = {0};
    struct problem problem = {0};
    int code = read_ask(argc, argv, &a);
    if (a.help)
        fputs(help, stdout);
    if (code >= 0 || a.help)
        return a.help ? EXIT_SUCCESS : code;
    if (a.store && !a.full_speed)
        background_run(a.source.path); /* a live service comes first */
    a.source.target = &a.question.target;
    a.source.progress = isatty(STDERR_FILENO) || a.progress ? show_progress : NULL;
    if (a.days > 0)
        a.source.since_ms = (int64_t)time(NULL) * 1000 - (int64_t)(a.days * 86400e3);
    enum status s = ope_read(&a.source, &rows, &problem);
    if (s == STATUS_OK)
        s = prepare(&a, &rows, &problem);
    if (s == STATUS_OK)
        s = ope_evaluate(&rows, &a.question, a.by, &report, &problem);
    if (s == STATUS_OK)
        code = tell(&a, &rows, &report);
    else
        fprintf(stderr, "purser-sim: %s: %s\n", a.source.path, problem.text);
    ope_report_fini(&report);
    rows_fini(&rows);
    return s == STATUS_OK ? code : EXIT_FAILURE;
}
