/* SPDX-License-Identifier: MIT */
/*
 * purser: one command line for applications' requests, operators' questions and the store's care.
 * A table of commands; the work is in cli_*.c. Commands that need no service never connect.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "transport/cli/cli.h"

#ifndef PURSER_VERSION
#define PURSER_VERSION "0.1.0"
#endif

static const struct {
    const char *name, *what, *help;
    int (*run)(struct cli *c);
    bool online;
} commands[] = {
    {"route", "ask for a decision",
     "route [--tenant T] [--task T] [--domain D] [--user-tier U] [--group G] [--session S]\n"
     "         [--user U] [--outcome O] [--prompt TEXT | --prompt-file FILE|-]\n"
     "         [--prompt-tokens N] [--max-output-tokens N]\n"
     "         [--value V] [--min-tier T] [--min-quality Q] [--max-cost-usd C] [--max-latency-ms "
     "L]\n"
     "         [--id REQUEST_ID] [--batch] [--explain] [--dry-run]\n"
     "       purser route '{\"task\":...}'   (JSON, as on the wire)",
     cli_route, true},
    {"escalate", "ask again on a higher tier: the answer was found wanting",
     "escalate DECISION_ID [--prompt TEXT | --prompt-file FILE|-] [options of route]\n"
     "       give what the decision was asked with, at least the tenant; --id, if any, is a new "
     "one\n"
     "       purser escalate '{\"decision_id\":...}'",
     cli_escalate, true},
    {"feedback", "report on a decision",
     "feedback DECISION_ID [--quality Q] [--cost-usd C] [--latency-ms L] [--prompt-tokens N]\n"
     "         [--cached-tokens N] [--output-tokens N] [--reasoning-tokens N]\n"
     "         [--failed | --succeeded] [--source S] [--feedback-id F] [--version N] [--retract]\n"
     "       S names who reports, any name but silence and escalation\n"
     "       purser feedback '{\"decision_id\":...}'",
     cli_feedback, true},
    {"demo", "route six sample prompts and report on them", "demo", cli_demo, true},
    {"play", "play a full-information table, as an application would",
     "play DIR --choices OUT.jsonl [--parallel N] [--limit N] [--seed S]\n"
     "       DIR holds models.json and prompts.jsonl; configure the service for it with\n"
     "       purser-sim config DIR, and weigh OUT.jsonl with purser-sim score DIR",
     cli_play, true},
    {"train", "teach labelled history to the service",
     "train --from FILE.jsonl [--models MODELS.json] [--n-eff N] [--map OLD=NEW ...]\n"
     "         [--limit ROWS] [--skip LINES] [--run ID] [--dry-run]\n"
     "       a line is one of\n"
     "         "
     "{\"prompt\":..,\"task\":..,\"in\":..,\"q\":[..],\"cost\":[..],\"out\":[..],\"lat\":[..]}\n"
     "         {\"prompt\":..,\"outcomes\":{\"MODEL\":{\"quality\":..,\"cost_usd\":..},..}}\n"
     "         "
     "{\"prompt\":..,\"model\":\"MODEL\",\"quality\":..,\"cost_usd\":..,\"propensity\":..}\n"
     "         {\"prompt\":..,\"winner\":\"MODEL\",\"loser\":\"MODEL\"}\n"
     "         {\"prompt\":..,\"pair\":[\"MODEL\",\"MODEL\"],\"preference\":0..1}\n"
     "       prompt may be features or embedding; man purser says more",
     cli_train, true},
    {"unlearn", "take back what a source said, or all since a time",
     "unlearn [--source S] [--tenant T] [--since TIME|SEQ] [--until TIME|SEQ] [--dry-run] [--yes]\n"
     "         [--reason WHY]\n"
     "       purser unlearn --batch B [--dry-run] [--yes] [--reason WHY]\n"
     "       TIME is 2026-11-24T16:05:07, UTC; --since alone rolls back to that time;\n"
     "       --batch takes out the history that was taught under this name",
     cli_unlearn, true},
    {"spend", "what was spent, on what, and what it was worth",
     "spend [--by tenant,user,model,task,domain,group,cluster,complexity] [--bucket hour|day|all]\n"
     "         [--since 7d|24h|TIME] [--until TIME] [--where NAME=VALUE ...] [--csv]\n"
     "       --by is model unless given, \"\" = one row; TIME is 2026-11-24T16:05:07, UTC\n"
     "       --where task= takes requests without a task",
     cli_spend, true},
    {"export", "spending for other programs: FOCUS, OpenTelemetry, CSV",
     "export [--format focus|otel|csv] [--since 30d|TIME] [--until TIME] [--where NAME=VALUE ...]\n"
     "         [--out FILE|-] [--account NAME] [--provider NAME]\n"
     "       --account fills BillingAccountId, --provider the names of provider and issuer",
     cli_export, true},
    {"status", "whether it serves, and from which state", "status [--digest]", cli_status, true},
    {"top", "live counters, spend and models", "top [--once]", cli_top, true},
    {"models", "the catalog in force, or change it",
     "models [list]\n       purser models set '[{\"name\":...}]' [--reason WHY]\n"
     "       purser models set NAME FIELD=VALUE ... [--preview] [--apply --reason WHY]\n"
     "       purser models rename OLD NEW [--reason WHY]\n"
     "       purser models history\n"
     "       purser models rollback [--to N] [--preview] [--apply --reason WHY]\n"
     "       purser models import FILE ...   (purser models import --help)",
     cli_models, true},
    {"models import", "prices from LiteLLM's or genai-prices' list",
     "models import FILE [--format litellm|genai-prices|auto] [--models A,B] [--match GLOB]\n"
     "         [--provider P] [--map NAME_IN_LIST=NAME ...] [--as-of DAY] [--free] [--tier T]\n"
     "         [--into CONFIG.json|- | --apply [--add] [--reason WHY]]\n"
     "       FILE is LiteLLM's model_prices_and_context_window.json or genai-prices' data.json\n"
     "         --into    write new prices into a configuration (- prints it), and no more\n"
     "         --apply   send them to the service; --add: also models that it does not have\n"
     "         --models, --match   which; without, those that are there already\n"
     "         --map     what the list calls NAME; --provider: of rows of one name, this one's\n"
     "         --as-of   prices of that day, such as 2026-09-01; without, of today\n"
     "         --free    take prices of 0; --tier: of new models; without, by price",
     cli_models_import, false},
    {"pools", "what budgets have used, or change one",
     "pools [list [POOL]]\n"
     "       purser pools set POOL FIELD=VALUE ... [--preview] [--apply] [--reason WHY]\n"
     "       purser pools add POOL FIELD=VALUE ... | remove POOL | rearm POOL [--reason WHY]\n"
     "       purser pools history\n"
     "       purser pools rollback [--to N] [--preview] [--apply --reason WHY]\n"
     "       purser pools import FILE ...   (purser pools import --help)\n"
     "         fields as in the configuration: usd=5 tokens=1000000 kill=true mode=quantile\n"
     "         override/usd=20 override/until=2026-12-01T00:00:00Z; null takes one out",
     cli_pools, true},
    {"pools import", "budgets from LiteLLM's, Bifrost's or TensorZero's definitions",
     "pools import FILE [--format litellm|bifrost|tensorzero] [--into FILE]\n"
     "       prints {\"pools\":[...]}, or puts them into a configuration; what no pool can "
     "express\n"
     "       is told on standard error",
     cli_pools_import, false},
    {"weights", "the reward weights in force, or change them",
     "weights [get]\n"
     "       purser weights set quality=1 cost=0.1 [--reason WHY]\n"
     "       purser weights set [--quality Q] [--cost C] [--latency L] [--failure F]\n"
     "         [--preview [--days D] [--decisions N]]\n"
     "         [--apply [--canary SHARE] --reason WHY]\n"
     "       purser weights history\n"
     "       purser weights rollback [--to N] [--preview] [--apply --reason WHY]",
     cli_weights, true},
    {"policy", "the policy in force, or change it",
     "policy [get]\n"
     "       purser policy set name=lints width=1 [--reason WHY]\n"
     "         [--preview [--days D] [--decisions N]] [--apply [--canary SHARE]]\n"
     "       purser policy history | rollback   (as of weights)",
     cli_policy, true},
    {"config", "any part of the configuration: show, preview, change, take back",
     "config [get [PATH]]\n"
     "       purser config set PATH=VALUE ... [--preview [--days D] [--decisions N]]\n"
     "         [--apply [--canary SHARE] --reason WHY]\n"
     "       purser config history [PATH]\n"
     "       purser config diff [N]\n"
     "       purser config rollback [--to N] [--part PART] [--preview] [--apply --reason WHY]\n"
     "         PATH as objective/cost, models/NAME/usd_per_mtok_out, pools/NAME/usd, "
     "rules/0/tier;\n"
     "         a slash in a name is ~1; VALUE is JSON or text, null takes out\n"
     "         N is an entry of history: what was in force after it; PART such as objective",
     cli_config, true},
    {"audit", "who changed what, when, and why",
     "audit [PATH] [--verify] [--data DIR]\n"
     "       --verify follows the chain of hashes from the first entry to the last;\n"
     "       --data reads a store instead of asking the service",
     cli_audit, false},
    {"learners", "tenants with a learner of their own, or change them",
     "learners [get]\n"
     "       purser learners set '[{\"tenant\":\"acme\",\"shares\":true,\"borrows\":100}]' "
     "[--reason WHY]\n"
     "       (\"active\":false = decide by the shared learner, keep what was learned)",
     cli_learners, true},
    {"learned", "what was learned, out of one store and into another",
     "learned [show] [--tenant T]\n"
     "       purser learned export [--data DIR] [--tenant T] [--out FILE|-]\n"
     "         from the service, or from a store (also of a running one) with --data\n"
     "       purser learned import FILE [--replace] [--share S] [--map NAME_IN_FILE=NAME ...]\n"
     "         [--tenant T] [--name NAME] [--dry-run] [--reason WHY]\n"
     "         adds to what is known, each row of the file counting S (1); --replace puts what is\n"
     "         known of these models aside\n"
     "       purser learned undo NAME [--tenant T] [--reason WHY]",
     cli_learned, false},
    {"lens", "the lens in force, or look through another",
     "lens [get]\n       purser lens set FILE | none", cli_lens, true},
    {"explain", "everything about one decision", "explain DECISION_ID", cli_explain, true},
    {"snapshot", "take a snapshot with the next commit", "snapshot", cli_snapshot, true},
    {"keys", "who may use the service: make, list and revoke keys",
     "keys create --file FILE --role app|reader|operator [--tenant T] [--rate N]\n"
     "         [--connections N] [--expires-days D] [--note NAME]\n"
     "       purser keys list --file FILE\n"
     "       purser keys revoke ID --file FILE\n"
     "       FILE is the configuration's /keys/file, which a running service follows; --rate is "
     "items\n"
     "       a second, --connections how many it may have open. Rotation: create, give it to the\n"
     "       app, revoke the old one.",
     cli_keys, false},
    {"log", "print the log of a store, one JSON line a record",
     "log --data DIR [--from SEQ] [--to SEQ] [--follow]", cli_log, false},
    {"check", "check a configuration file", "check FILE", cli_check, false},
    {"verify", "replay a store and compare, bit for bit", "verify --data DIR", cli_verify, false},
    {"repair", "make a new store of what a damaged one still has",
     "repair --data DIR --to NEW_DIR [--drop]", cli_repair, false},
    {"backup", "copy and verify a store, also a live one", "backup --data DIR --to NEW_DIR",
     cli_backup, false},
    {"restore", "put a backup back", "restore --from BACKUP --data DIR", cli_restore, false},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int usage(FILE *f, int code)
{
    fprintf(f, "usage: purser COMMAND [OPTIONS]      (purser COMMAND --help for each)\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(f, "  %-13s %s\n", commands[i].name, commands[i].what);
    fprintf(f, "  %-13s %s\n", "completion",
            "print a script for bash: source <(purser completion)");
    fprintf(f, "\n"
               "options of all commands:\n"
               "  --json          print JSON, for programs\n"
               "options of commands that ask the service:\n"
               "  --route URL     default tcp://127.0.0.1:7601 or $PURSER_ROUTE\n"
               "  --feedback URL  default tcp://127.0.0.1:7602 or $PURSER_FEEDBACK\n"
               "  --control URL   default tcp://127.0.0.1:7603 or $PURSER_CONTROL\n"
               "  --timeout MS    of one attempt, default 2000; --retries N, default 3\n"
               "  --ca FILE       authority of the service's certificate; --cert FILE our own\n"
               "\nexit: 0 done, 1 refused, 2 no answer, 64 usage, 65 store damaged, 78 bad "
               "configuration\n");
    return code;
}

static const char letters[] = "-abcdefghijklmnopqrstuvwxyz";

/* Whether the word of n letters at `at` begins there, and for the first time in `help`. */
static bool first_of(const char *help, const char *at, size_t n)
{
    if (at > help && strchr(letters, at[-1]))
        return false;
    for (const char *w = help; w < at; w++)
        if ((w == help || !strchr(letters, w[-1])) && strspn(w, letters) == n &&
            memcmp(w, at, n) == 0)
            return false;
    return true;
}

/* The options that a command's help names, each once. */
static void put_options(const char *help)
{
    for (const char *at = strstr(help, "--"); at; at = strstr(at + 2, "--")) {
        size_t n = strspn(at, letters);
        if (n > 2 && first_of(help, at, n))
            printf(" %.*s", (int)n, at);
    }
}

static void put_verb(const char *help, const char *at)
{
    const char *verb = at + (*at == '[');
    size_t n = strspn(verb, letters + 1);
    if (n > 0 && strchr(" ]\n", verb[n]) && first_of(help, verb, n))
        printf("%.*s ", (int)n, verb);
}

/* What can follow the command by its help: at its start, and `purser pools set ... | remove ...`.
 */
static void put_verbs(const char *name, const char *help)
{
    char again[64];
    const char *first = again + strlen("purser "); /* how a help begins */
    snprintf(again, sizeof again, "purser %s ", name);
    if (strncmp(help, first, strlen(first)) == 0)
        put_verb(help, help + strlen(first));
    for (const char *at = help; *at; at++) {
        size_t n = strncmp(at, "| ", 2) == 0 ? 2 : strlen(again);
        if (n == 2 || strncmp(at, again, n) == 0)
            put_verb(help, at + n);
    }
}

/* Words in their order: commands, then what goes with the one that was typed, then files. */
static int completion(void)
{
    printf("# bash completion of purser: source <(purser completion)\n"
           "_purser() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
           "    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
    for (int i = COMMANDS - 1; i >= 0; i--) { /* names of two words before those of one */
        printf("    \"%s%s) words=\"--help --json", commands[i].name,
               strchr(commands[i].name, ' ') ? "\"*" : " \"*");
        put_options(commands[i].help);
        if (commands[i].online)
            printf(" --route --feedback --control --timeout --retries --ca --cert");
        printf("\"; [[ $COMP_CWORD -gt 2 ]] || words=\"");
        put_verbs(commands[i].name, commands[i].help);
        printf("$words\" ;;\n");
    }
    printf("    esac\n"
           "    [[ $COMP_CWORD -gt 1 ]] || words=\"");
    for (int i = 0; i < COMMANDS; i++)
        if (!strchr(commands[i].name, ' '))
            printf("%s ", commands[i].name);
    printf("--help --version\"\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
           "}\n"
           "complete -o default -F _purser purser\n");
    return CLI_OK;
}

static const char *url_of(struct cli *c, const char *option, const char *variable,
                          const char *standard)
{
    const char *s = cli_option(c, option);
    if (!s)
        s = getenv(variable);
    return s && *s ? s : standard;
}

enum { PREVIEW_MS = 60000 }; /* looks at many decisions */

int cli_connect(struct cli *c)
{
    double timeout = cli_asks(c, "--preview") ? PREVIEW_MS : 2000, retries = 3;
    bool present;
    if (!cli_number(c, "--timeout", &timeout, &present) ||
        !cli_number(c, "--retries", &retries, &present))
        return CLI_USAGE;
    if (timeout < 1 || timeout > 1e6 || retries < 0 || retries > 100)
        return cli_usage(c, "--timeout is 1 to 1000000 ms, --retries 0 to 100");
    c->options = (struct purser_client_options){
        .timeout_ms = (int)timeout,
        .retries = retries < 1 ? -1 : (int)retries,
        .tls_ca = cli_option(c, "--ca"),
        .tls_cert = cli_option(c, "--cert"),
        .key = getenv("PURSER_KEY"),
        .control_url = url_of(c, "--control", "PURSER_CONTROL", "tcp://127.0.0.1:7603")};
    struct purser_client_error e;
    c->route = url_of(c, "--route", "PURSER_ROUTE", "tcp://127.0.0.1:7601");
    c->feedback = url_of(c, "--feedback", "PURSER_FEEDBACK", "tcp://127.0.0.1:7602");
    if (purser_client_open(c->route, c->feedback, &c->options, &c->client, &e) == 0)
        return CLI_OK;
    fprintf(stderr, "purser %s: %s: %s\n", c->command, e.code, e.message);
    return CLI_UNREACHABLE;
}

static volatile sig_atomic_t closing_code;

static void leave(int number)
{
    (void)number;
    _exit(closing_code);
}

/* Closes with a bound: in NNG before 1.7.3 nng_close may wait for ever, and all is said by then. */
static void close_client(struct cli *c, int code)
{
    if (!c->client)
        return;
    closing_code = code;
    signal(SIGALRM, leave);
    alarm(2);
    purser_client_close(c->client);
    alarm(0);
}

/* What was said must have arrived. */
static int told(int code)
{
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || code != CLI_OK)
        return code;
    fprintf(stderr, "purser: standard output cannot be written: %s\n",
            strerror(errno ? errno : ENOSPC));
    return CLI_REFUSED;
}

/* Makes a store beside its place, and clears it away itself when memory is short. */
static bool copies(int (*command)(struct cli *c))
{
    return command == cli_backup || command == cli_restore || command == cli_repair;
}

static int run(struct cli *c, int which)
{
    c->command = commands[which].name;
    c->help = commands[which].help;
    if (cli_flag(c, "--help")) {
        printf("usage: purser %s\n\n%s\n", c->help, commands[which].what);
        return told(CLI_OK);
    }
    c->json = cli_flag(c, "--json");
    if (!copies(commands[which].run))
        cli_memory();
    if (commands[which].online) {
        int code = cli_connect(c);
        if (code != CLI_OK)
            return code;
    }
    int code = told(commands[which].run(c));
    close_client(c, code);
    return code;
}

/* How many arguments a command's name takes when it is the one that is asked for, else 0: names of
 * two words are more than the one that they begin with. */
static int names(const char *command, int argc, char **argv)
{
    const char *space = strchr(command, ' ');
    if (!space)
        return strcmp(argv[1], command) == 0;
    size_t n = (size_t)(space - command);
    bool same = argc > 2 && strlen(argv[1]) == n && strncmp(argv[1], command, n) == 0 &&
                strcmp(argv[2], space + 1) == 0;
    return 2 * same;
}

static int find(int argc, char **argv, int *words)
{
    int best = -1;
    *words = 0;
    for (int i = 0; i < COMMANDS; i++) {
        int n = names(commands[i].name, argc, argv);
        if (n > *words) {
            best = i;
            *words = n;
        }
    }
    return best;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return usage(stderr, CLI_USAGE);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
        return told(usage(stdout, CLI_OK));
    if (strcmp(argv[1], "completion") == 0)
        return told(completion());
    if (strcmp(argv[1], "--version") == 0) {
        printf("purser %s\n", PURSER_VERSION);
        return told(CLI_OK);
    }
    int words, which = find(argc, argv, &words);
    struct cli c = {.argc = argc - 1 - words, .argv = argv + 1 + words};
    if (c.argc > CLI_ARGS_MAX) {
        fprintf(stderr, "purser: more than %d arguments\n", CLI_ARGS_MAX);
        return CLI_USAGE;
    }
    if (which >= 0)
        return run(&c, which);
    fprintf(stderr, "purser: no command '%s'\n", argv[1]);
    return usage(stderr, CLI_USAGE);
}
