/* SPDX-License-Identifier: MIT */
/* The command line of purser-sim. Names are a contract: docs/man/purser-sim.1. */
#include "sim/options.h"

#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/policy/policy.h"
#include "core/features/lens.h"
#include "sim/replay/replay.h"
#include "sim/scenario/fintech.h"

static const char commands[] =
    "usage: purser-sim replay DIR|FILE.csv [options]   play a full-information table\n"
    "       purser-sim replay --scenario fintech [options]\n"
    "       purser-sim compare DIR... [options]        tables x histories x budgets x policies\n"
    "       purser-sim scenario list                   what questions ship with answers\n"
    "       purser-sim scenario NAME [--seeds N] [--rows N] [--json]\n"
    "       purser-sim scenario fintech --out DIR [--rows N] [--scenario-seed S]\n"
    "       purser-sim scenario fintech --values       what knowing values is worth\n"
    "       purser-sim run EXPERIMENT [--seeds N] [--json] [--csv FILE]\n"
    "                                                  policies over time, on a made world\n"
    "       purser-sim run EXPERIMENT --check          only say whether it is right\n"
    "       purser-sim run EXPERIMENT --shard I/N --resume FILE\n"
    "       purser-sim merge EXPERIMENT FILE...        what all shards come to\n"
    "       purser-sim config DIR [options]            a configuration of purserd for a table\n"
    "       purser-sim score DIR --choices FILE [--monthly N] [--json]\n"
    "                                                  weigh what purser play recorded\n"
    "       purser-sim lens fit FILE_OR_DIR... [--out lens.bin] [options]\n"
    "                                                  learn from prompts how texts differ\n"
    "       purser-sim refold --store DIR [options]    what a store has learned, and would have\n"
    "       purser-sim metrics FILE.csv [options]      PGR, APGR, CPT, AIQ, AUDC, QNC of a curve\n"
    "       purser-sim tune DIR|--store DIR [options]  look for a better configuration\n"
    "       purser-sim report RESULT.json... --out FILE.html   figures of what was found\n"
    "       purser-sim ope --help                      another policy, judged on logged decisions\n"
    "       purser-sim convert --help                  logs of decisions into other formats\n"
    "       purser-sim whatif --store DIR [options]    what other settings would do, from the log\n"
    "       purser-sim honesty DIR|WORLD [options]     such previews against what came of it\n"
    "\n";
static const char choices[] =
    "what is learned before counting\n"
    "  --split P             the rows whose id hashes below P are learned first (0 <= P < 1)\n"
    "  --learn-from DIR2     learn from this table, count all rows of DIR\n"
    "  --history full|bandit every model's outcome is learned, or the chosen one's (default)\n"
    "                        cold: nothing is, the learned half of --split is left out\n"
    "how it is played\n"
    "  --budget USD          average spend per request that the router is to hold\n"
    "  --policy NAME         lints, greedy, uniform, fixed, rules, beta_ts, ...\n"
    "  --features LIST       declared,text,shape,lens (text includes shape) or none\n"
    "  --lens FILE           look at prompts through this lens\n"
    "  --delay N|exp:N       feedback arrives N requests late (default 0), or randomly so:\n"
    "                        exponentially distributed with mean N; as Ns, seconds after the\n"
    "                        answer\n"
    "  --trace FILE          when requests arrive and how long they are: see docs/traces.md\n"
    "  --max-output-tokens N the limit that each request has (strict pools need one)\n"
    "  --prices LIST         of a CSV table: NAME=IN:OUT,..., USD per million tokens\n"
    "  --order given|seed    rows in the table's order, or in one each seed decides\n"
    "                        (default)\n"
    "  --change model=NAME,at=N[,until=N][,quality=-D][,cost=xF][,price=xF][,failure=R]\n"
    "           [,active=false]\n"
    "                        from counted request N on the model is another, or not there;\n"
    "                        nobody tells the router (but of price and active).\n"
    "                        May be repeated\n"
    "  --seeds N             orders and draws to average over (default 20; run: as\n"
    "                        the experiment says)\n"
    "  --seed S              the first of them (default 1)\n"
    "  --config FILE         engine part of a configuration, over the table's prices\n"
    "  --set a.b=VALUE       one field of it; may be repeated\n"
    "  --rows N, --scenario-seed S   of a scenario (default 6000, 1)\n"
    "  --values              with the scenario's values\n"
    "of compare            (--split is 0.5 unless given)\n"
    "  --policies LIST|all   default lints,greedy,uniform\n"
    "  --budgets LIST        none, USD per request, or N% of what the best fixed model\n"
    "                        costs; default none,50%,25%,10%\n"
    "  --history LIST        default cold,bandit,full\n"
    "  --csv FILE            also write a line per cell (run: policy and window)\n"
    "  --resume FILE         append each cell; do not play again what is there (run: jobs)\n"
    "of run\n"
    "  --shard I/N           play the I-th of N parts into the file of --resume, for merge\n"
    "of lens fit\n"
    "  --dims N, --clusters N, --buckets N   size of the lens (default 24, with\n"
    "                        --labels 48; 12; 4096)\n"
    "  --labels              also learn task and complexity, where the rows tell them\n"
    "  --split P             hold out the rows whose id does not hash below P, to score them\n"
    "  --seed S, --whiten W  W from 0 (default) to 1: how far directions are\n"
    "                        made to count alike\n"
    "of refold: what to leave out; a live store is only read\n"
    "  --without-source S, --without-tenant T   feedback of a source, on a tenant's decisions\n"
    "  --without-batch B     history taught under this name (purser log shows it)\n"
    "  --until TIME|SEQ      feedback and history recorded after it; TIME as\n"
    "                        2026-11-24T16:05:07, UTC\n"
    "of whatif: what is changed; a live store is only read. Also --policy, --budget, --set,\n"
    "--config\n"
    "  --weights LIST        such as quality=1,cost=0.4; also latency, failure\n"
    "  --prices LIST         NAME=IN:OUT,..., USD per million tokens\n"
    "  --withdraw LIST       models that are no longer to be chosen\n"
    "  --days N              look at the decisions of the last N days (default: all)\n"
    "  --rows N              at most the newest N (default 50000)\n"
    "of tune               (--split is 0.7, --seeds 2 unless given)\n"
    "  --trials N            configurations to try, the present one among them (default 32)\n"
    "  --write FILE          write the better one, if there is one\n";
static const char running[] =
    "of honesty\n"
    "  --seeds N             random changes of weights (default 40)\n"
    "  --rows N              requests before a change, and after it (default 5000)\n"
    "  --split P             share of decisions whose quality is told (default: all)\n"
    "how it is run and told\n"
    "  --workers N           processes (default: one per core); changes no result\n"
    "  --json                one JSON object instead of a table\n"
    "  --csv DIR, --jsonl DIR   of run and replay: also every step, seed, window and\n"
    "                        stretch, a file each in DIR, see docs/sheets.md\n"
    "  --full-speed          of refold, whatif, tune --store: as fast as it goes, for no service\n"
    "                        has to be spared. Else they are of idle priority, and rest 4/5 of\n"
    "                        the time while the store is being written to\n"
    "  --monthly N           requests a month, for sums of money (default 50000000)\n"
    "  --progress            on stderr, even when that is no terminal\n"
    "  --help, --version\n";

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
    OPT_VALUES,
    OPT_JSON,
    OPT_CONFIG,
    OPT_SET,
    OPT_PROGRESS,
    OPT_FULL_SPEED,
    OPT_WORKERS,
    OPT_SCENARIO,
    OPT_ROWS,
    OPT_SCENARIO_SEED,
    OPT_OUT,
    OPT_CHOICES,
    OPT_CSV,
    OPT_MONTHLY,
    OPT_LENS,
    OPT_DIMS,
    OPT_CLUSTERS,
    OPT_BUCKETS,
    OPT_LABELS,
    OPT_WHITEN,
    OPT_POLICIES,
    OPT_BUDGETS,
    OPT_RESUME,
    OPT_SHARD,
    OPT_CHANGE,
    OPT_ORDER,
    OPT_STORE,
    OPT_WITHOUT_SOURCE,
    OPT_WITHOUT_TENANT,
    OPT_WITHOUT_BATCH,
    OPT_UNTIL,
    OPT_WEIGHTS,
    OPT_PRICES,
    OPT_WITHDRAW,
    OPT_DAYS,
    OPT_TRACE,
    OPT_JSONL,
    OPT_CHECK,
    OPT_MAX_OUTPUT_TOKENS,
    OPT_TRIALS,
    OPT_WRITE,
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
    {"full-speed", no_argument, NULL, OPT_FULL_SPEED},
    {"workers", required_argument, NULL, OPT_WORKERS},
    {"scenario", required_argument, NULL, OPT_SCENARIO},
    {"rows", required_argument, NULL, OPT_ROWS},
    {"scenario-seed", required_argument, NULL, OPT_SCENARIO_SEED},
    {"out", required_argument, NULL, OPT_OUT},
    {"csv", required_argument, NULL, OPT_CSV},
    {"choices", required_argument, NULL, OPT_CHOICES},
    {"monthly", required_argument, NULL, OPT_MONTHLY},
    {"values", no_argument, NULL, OPT_VALUES},
    {"lens", required_argument, NULL, OPT_LENS},
    {"dims", required_argument, NULL, OPT_DIMS},
    {"clusters", required_argument, NULL, OPT_CLUSTERS},
    {"buckets", required_argument, NULL, OPT_BUCKETS},
    {"labels", no_argument, NULL, OPT_LABELS},
    {"whiten", required_argument, NULL, OPT_WHITEN},
    {"policies", required_argument, NULL, OPT_POLICIES},
    {"budgets", required_argument, NULL, OPT_BUDGETS},
    {"resume", required_argument, NULL, OPT_RESUME},
    {"shard", required_argument, NULL, OPT_SHARD},
    {"change", required_argument, NULL, OPT_CHANGE},
    {"order", required_argument, NULL, OPT_ORDER},
    {"store", required_argument, NULL, OPT_STORE},
    {"without-source", required_argument, NULL, OPT_WITHOUT_SOURCE},
    {"without-tenant", required_argument, NULL, OPT_WITHOUT_TENANT},
    {"without-batch", required_argument, NULL, OPT_WITHOUT_BATCH},
    {"until", required_argument, NULL, OPT_UNTIL},
    {"weights", required_argument, NULL, OPT_WEIGHTS},
    {"prices", required_argument, NULL, OPT_PRICES},
    {"withdraw", required_argument, NULL, OPT_WITHDRAW},
    {"check", no_argument, NULL, OPT_CHECK},
    {"jsonl", required_argument, NULL, OPT_JSONL},
    {"trace", required_argument, NULL, OPT_TRACE},
    {"max-output-tokens", required_argument, NULL, OPT_MAX_OUTPUT_TOKENS},
    {"days", required_argument, NULL, OPT_DAYS},
    {"trials", required_argument, NULL, OPT_TRIALS},
    {"write", required_argument, NULL, OPT_WRITE},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

int options_refuse(const char *what, const char *value)
{
    fprintf(stderr, "purser-sim: %s%s%s; see purser-sim --help\n", what, value != NULL ? ": " : "",
            value != NULL ? value : "");
    return EXIT_USAGE;
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

/* "i/n" with 1 <= i <= n. */
static bool read_shard(const char *s, int *shard, int *shards)
{
    char *end;
    long i = strtol(s, &end, 10);
    if (end == s || *end != '/')
        return false;
    const char *rest = end + 1;
    long n = strtol(rest, &end, 10);
    *shard = (int)i;
    *shards = (int)n;
    return end != rest && *end == '\0' && i >= 1 && i <= n && n <= 100000;
}

static bool add_change(struct options *o, const char *s)
{
    return o->n_changes < CHANGES_MAX && change_parse(s, &o->change[o->n_changes++]);
}

static bool read_order(const char *s, bool *given)
{
    *given = strcmp(s, "given") == 0;
    return *given || strcmp(s, "seed") == 0;
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
    case OPT_BUDGET:
        return read_real(v, 1e-9, 1e6, &o->budget);
    case OPT_POLICY:
        o->policy = v;
        return policy_find(v) != NULL;
    case OPT_DELAY:
        return delay_parse(v, &o->delay);
    case OPT_SEEDS:
        o->seeds_given = true;
        return read_int(v, 1, SEEDS_MAX, &o->seeds);
    case OPT_SEED:
        o->seed_given = true;
        return read_int(v, 0, INT64_MAX / 2, &o->first_seed);
    case OPT_TRIALS:
        return read_int(v, 2, 1000, &o->trials);
    case OPT_WORKERS:
        return read_int(v, 1, 256, &o->workers);
    case OPT_ROWS:
        o->rows_given = true;
        return read_int(v, 1, FINTECH_ROWS_MAX, &o->rows);
    case OPT_SCENARIO_SEED:
        return read_int(v, 0, INT64_MAX, &o->scenario_seed);
    case OPT_MONTHLY:
        return read_int(v, 1, 1000000000000000, &o->monthly);
    case OPT_SET:
        return add_set(o, v);
    case OPT_CHANGE:
        return add_change(o, v);
    case OPT_ORDER:
        return read_order(v, &o->given_order);
    case OPT_SHARD:
        return read_shard(v, &o->shard, &o->shards);
    case OPT_DIMS:
        return read_int(v, 1, LENS_DIMS_MAX, &o->dims);
    case OPT_CLUSTERS:
        return read_int(v, 1, LENS_CLUSTERS_MAX, &o->clusters);
    case OPT_BUCKETS:
        return read_int(v, 16, LENS_BUCKETS_MAX, &o->buckets) &&
               (o->buckets & (o->buckets - 1)) == 0;
    case OPT_DAYS:
        return read_real(v, 1e-6, 36500, &o->days);
    case OPT_MAX_OUTPUT_TOKENS:
        return read_int(v, 1, 1000000000, &o->max_output_tokens);
    case OPT_WHITEN:
        return read_real(v, 0, 1, &o->whiten);
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
    case OPT_JSONL:
        o->jsonl = v;
        return true;
    case OPT_TRACE:
        o->trace = v;
        return true;
    case OPT_CSV:
        o->csv = v;
        return true;
    case OPT_LENS:
        o->lens = v;
        return true;
    case OPT_HISTORY:
        o->history = v;
        return true;
    case OPT_POLICIES:
        o->policies = v;
        return true;
    case OPT_BUDGETS:
        o->budgets = v;
        return true;
    case OPT_RESUME:
        o->resume = v;
        return true;
    case OPT_LABELS:
        o->labels = true;
        return true;
    case OPT_VALUES:
        o->values = true;
        return true;
    case OPT_JSON:
        o->json = true;
        return true;
    case OPT_CHECK:
        o->check = true;
        return true;
    case OPT_PROGRESS:
        o->progress = true;
        return true;
    case OPT_FULL_SPEED:
        o->full_speed = true;
        return true;
    default:
        return false;
    }
}

/* Of a store: what refold leaves out, what whatif changes; false when it is none of these. */
static bool take_store(struct options *o, int key, const char *v)
{
    const char **to = key == OPT_STORE            ? &o->store
                      : key == OPT_WITHOUT_SOURCE ? &o->without_source
                      : key == OPT_WITHOUT_TENANT ? &o->without_tenant
                      : key == OPT_WITHOUT_BATCH  ? &o->without_batch
                      : key == OPT_UNTIL          ? &o->until
                      : key == OPT_WEIGHTS        ? &o->weights
                      : key == OPT_PRICES         ? &o->prices
                      : key == OPT_WITHDRAW       ? &o->withdraw
                      : key == OPT_WRITE          ? &o->write
                                                  : NULL;
    if (to)
        *to = v;
    return to != NULL;
}

int options_read(int argc, char **argv, struct options *o)
{
    for (;;) {
        int key = getopt_long(argc, argv, "", long_options, NULL);
        if (key == -1)
            return -1;
        if (key == '?')
            return options_refuse("wrong option", NULL);
        if (key == OPT_HELP) {
            fputs(commands, stdout);
            fputs(choices, stdout);
            fputs(running, stdout);
            return EXIT_SUCCESS;
        }
        if (key == OPT_VERSION) {
            puts("purser-sim " PURSER_VERSION);
            return EXIT_SUCCESS;
        }
        if (!take_plain(o, key, optarg) && !take_store(o, key, optarg) &&
            !take_value(o, key, optarg))
            return options_refuse("an option has a value that is not allowed", optarg);
    }
}
