/* SPDX-License-Identifier: MIT */
/*
 * purser status, top, models, weights, policy, learners, explain, snapshot: the operator's side,
 * over the control address.
 */
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "transport/cli/cli.h"

/* Calls an op and prints the reply, or what show makes of it. */
static int call_and_show(struct cli *c, json_t *message, void (*show)(const json_t *))
{
    int code;
    json_t *reply = cli_call(c, PURSER_CLIENT_CONTROL, message, &code);
    if (!reply)
        return code;
    if (c->json || !show)
        cli_print_json(reply);
    else
        show(reply);
    json_decref(reply);
    return CLI_OK;
}

static json_t *op(const char *name)
{
    return json_pack("{s:i,s:s}", "v", 1, "op", name);
}

/* The last alerts, one a line, oldest first. */
static void show_alerts(const json_t *alerts)
{
    size_t i;
    json_t *a;
    json_array_foreach(json_object_get(alerts, "last"), i, a)
    {
        time_t at = (time_t)(json_integer_value(json_object_get(a, "time_ms")) / 1000);
        char when[32];
        struct tm tm;
        gmtime_r(&at, &tm);
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
        const char *pool = cli_text(a, "pool"), *value = cli_text(a, "value");
        printf("alert     %s %s %s%s%s\n", when, cli_text(a, "alert"),
               *pool ? pool : cli_text(a, "model"), *value ? "=" : "", value);
    }
}

static void show_bounds(const char *what, const json_t *b)
{
    printf("  %s %+.4f, within %+.4f and %+.4f\n", what, cli_real(b, "mean"), cli_real(b, "lower"),
           cli_real(b, "upper"));
}

/* Only while settings are on trial. */
static void show_canary(const json_t *c)
{
    if (!c)
        return;
    const json_t *n = json_object_get(c, "decisions");
    printf("canary on %.3g%% of requests: %.0f decided, %.0f by what is in force, %.0f labels; "
           "canary minus what is in force:\n",
           100 * cli_real(c, "share"), json_number_value(json_array_get(n, 1)),
           json_number_value(json_array_get(n, 0)), cli_real(c, "labels"));
    show_bounds("reward, in points of quality", json_object_get(c, "reward"));
    show_bounds("quality", json_object_get(c, "quality"));
}

static void show_state(const json_t *r)
{
    printf("%s: seq %lld, epoch %lld, policy %s, durability %s\n", cli_text(r, "status"),
           (long long)json_integer_value(json_object_get(r, "seq")),
           (long long)json_integer_value(json_object_get(r, "epoch")), cli_text(r, "policy"),
           cli_text(r, "durability"));
    printf("store %s in %s, snapshot at seq %lld\n", cli_text(r, "store_id"), cli_text(r, "data"),
           (long long)json_integer_value(json_object_get(r, "snapshot_seq")));
    if (*cli_text(r, "digest"))
        printf("digest %s\n", cli_text(r, "digest"));
    show_alerts(json_object_get(r, "alerts"));
    show_canary(json_object_get(r, "canary"));
}

int cli_status(struct cli *c)
{
    json_t *m = op("status");
    if (cli_flag(c, "--digest"))
        json_object_set_new(m, "digest", json_true());
    if (!cli_end(c)) {
        json_decref(m);
        return CLI_USAGE;
    }
    return call_and_show(c, m, show_state);
}

static double member(const json_t *o, const char *group, const char *name)
{
    return cli_real(json_object_get(o, group), name);
}

/* Only while guard.hull is set. */
static void show_hull(const json_t *h)
{
    if (!h)
        return;
    printf("policy minus static hull %+.4f, within %+.4f and %+.4f after %.0f labels%s\n",
           cli_real(h, "policy_minus_hull"), cli_real(h, "lower"), cli_real(h, "upper"),
           cli_real(h, "labels"),
           json_is_true(json_object_get(h, "guarded"))
               ? ": GUARDED, the best mix of fixed models is served"
               : "");
}

static void show_rates(const json_t *now, const json_t *before, double seconds)
{
    double d = cli_real(now, "decisions"), f = cli_real(now, "feedbacks");
    printf("decisions %.0f  feedback %.0f  open %.0f  duplicates %.0f", d, f, cli_real(now, "open"),
           cli_real(now, "duplicates"));
    if (before && seconds > 0)
        printf("   %.0f/s routed  %.0f/s fed", (d - cli_real(before, "decisions")) / seconds,
               (f - cli_real(before, "feedbacks")) / seconds);
    double spent = cli_real(now, "spent_usd"), baseline = cli_real(now, "baseline_usd");
    printf("\nspent $%.6f  baseline $%.6f", spent, baseline);
    if (baseline > 0)
        printf("  saved %.1f%%", 100 * (1 - spent / baseline));
    printf("  budget multiplier %.4g\n", cli_real(now, "multiplier"));
    double delivered = cli_real(now, "value_quality_per_usd");
    if (!isnan(delivered))
        printf("value per $ %.4g (value x quality, of requests worth %.4g)\n", delivered,
               cli_real(now, "value"));
    show_hull(json_object_get(now, "hull"));
    show_canary(json_object_get(now, "canary"));
}

static void show_models(const json_t *now)
{
    size_t i;
    json_t *m;
    double total = cli_real(now, "decisions");
    printf("%-24s %-8s %9s %6s %9s %8s %8s %12s\n", "model", "tier", "chosen", "share", "labels",
           "observed", "learned", "spent_usd");
    json_array_foreach(json_object_get(now, "models"), i, m)
    {
        double n = cli_real(m, "decisions");
        double seen = cli_real(m, "quality_observed");
        char observed[32] = "-";
        if (!isnan(seen))
            snprintf(observed, sizeof observed, "%.3f", seen);
        printf("%-24.24s %-8.8s %9.0f %5.1f%% %9.0f %8s %8.3f %12.6f%s\n", cli_text(m, "model"),
               cli_text(m, "tier"), n, total > 0 ? 100 * n / total : 0,
               member(m, "labels", "quality"), observed, cli_real(m, "quality_learned"),
               cli_real(m, "spent_usd"),
               json_is_false(json_object_get(m, "active")) ? "  retired" : "");
    }
}

/* What the tenants' own learners make of the models, where there are any. */
static void show_tenants(const json_t *now)
{
    size_t i, k;
    json_t *l, *m;
    const json_t *learners = json_object_get(now, "learners");
    if (json_array_size(learners) == 0)
        return;
    printf("\n%-24s %-24s %9s %8s\n", "learner of", "model", "labels", "learned");
    json_array_foreach(learners, i, l) json_array_foreach(json_object_get(l, "models"), k, m)
        printf("%-24.24s %-24.24s %9.0f %8.3f%s%s\n", cli_text(l, "tenant"), cli_text(m, "model"),
               cli_real(m, "quality_labels"), cli_real(m, "quality_learned"),
               json_is_false(json_object_get(l, "shares")) ? "  isolated" : "",
               json_is_false(json_object_get(l, "active")) ? "  dormant" : "");
}

static void show_service(const json_t *now)
{
    const json_t *s = json_object_get(now, "service"), *r = json_object_get(s, "route"),
                 *f = json_object_get(s, "feedback");
    printf("commits %.0f (mean %.2f ms)  refused %.0f  connections %.0f+%.0f  busy %.0f+%.0f%s\n",
           cli_real(s, "commits"), cli_real(s, "commit_us_mean") / 1000, cli_real(s, "refused"),
           cli_real(r, "connections"), cli_real(f, "connections"), cli_real(r, "busy"),
           cli_real(f, "busy"),
           json_is_true(json_object_get(s, "storage_full")) ? "  STORAGE FULL" : "");
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* Waits a second; true when the user has had enough. */
static bool enough(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char key;
    if (!isatty(STDIN_FILENO)) {
        nanosleep(&(struct timespec){1, 0}, NULL);
        return interrupted;
    }
    return interrupted || (poll(&in, 1, 1000) > 0 &&
                           (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q'));
}

static int top_loop(struct cli *c)
{
    json_t *before = NULL;
    int code = CLI_OK;
    do {
        json_t *now = cli_control(c, "stats", &code);
        if (!now)
            break;
        printf("\033[H\033[2Jpurser top - q quits\n\n");
        show_rates(now, before, 1);
        show_service(now);
        putchar('\n');
        show_models(now);
        show_tenants(now);
        fflush(stdout);
        json_decref(before);
        before = now;
    } while (!enough());
    json_decref(before);
    return code;
}

int cli_top(struct cli *c)
{
    bool once = cli_flag(c, "--once") || c->json;
    int code;
    if (!cli_end(c))
        return CLI_USAGE;
    if (once) {
        json_t *now = cli_control(c, "stats", &code);
        if (!now)
            return code;
        if (c->json) {
            cli_print_json(now);
        } else {
            show_rates(now, NULL, 0);
            show_service(now);
            show_models(now);
            show_tenants(now);
        }
        json_decref(now);
        return CLI_OK;
    }
    struct termios was, raw;
    bool tty = tcgetattr(STDIN_FILENO, &was) == 0;
    if (tty) {
        raw = was;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    signal(SIGINT, on_interrupt);
    code = top_loop(c);
    if (tty)
        tcsetattr(STDIN_FILENO, TCSANOW, &was);
    return code;
}

static void show_catalog(const json_t *r)
{
    size_t i;
    json_t *m;
    printf("%-24s %-10s %10s %10s %8s\n", "model", "tier", "$/Mtok in", "$/Mtok out", "active");
    json_array_foreach(json_object_get(r, "models"), i, m)
        printf("%-24s %-10s %10g %10g %8s\n", cli_text(m, "name"), cli_text(m, "tier"),
               cli_real(m, "usd_per_mtok_in"), cli_real(m, "usd_per_mtok_out"),
               json_is_false(json_object_get(m, "active")) ? "no" : "yes");
}

static void show_learners(const json_t *r)
{
    size_t i;
    json_t *l;
    printf("%-24s %-8s %10s %8s\n", "tenant", "shares", "borrows", "active");
    json_array_foreach(json_object_get(r, "learners"), i, l)
        printf("%-24s %-8s %10g %8s\n", cli_text(l, "tenant"),
               json_is_false(json_object_get(l, "shares")) ? "no" : "yes", cli_real(l, "borrows"),
               json_is_false(json_object_get(l, "active")) ? "no" : "yes");
}

/* Reads NAME=VALUE into the object; numbers stay numbers. */
static bool put_assignment(json_t *o, const char *s)
{
    const char *eq = strchr(s, '=');
    char name[80], *end;
    if (!eq || eq == s || eq - s >= (int)sizeof name)
        return false;
    snprintf(name, sizeof name, "%.*s", (int)(eq - s), s);
    double v = strtod(eq + 1, &end);
    bool number = end != eq + 1 && *end == '\0';
    return json_object_set_new(o, name, number ? json_real(v) : json_string(eq + 1)) == 0;
}

/* `weights set a=1 b=2`, or one JSON value, under the member's name. */
static int set_part(struct cli *c, const char *op_name, const char *field, bool array,
                    void (*show)(const json_t *))
{
    json_t *m = op(op_name), *value = NULL;
    const char *reason = cli_option(c, "--reason"), *arg = cli_operand(c);
    bool ok = arg != NULL;
    if (arg && (arg[0] == '{' || arg[0] == '[')) {
        value = json_loads(arg, JSON_REJECT_DUPLICATES, NULL);
        ok = value != NULL;
        if (array && json_is_object(value)) {
            json_t *one = json_pack("[o]", value);
            value = one;
        }
    } else {
        value = json_object();
        for (; arg && ok; arg = cli_operand(c))
            ok = !array && put_assignment(value, arg);
    }
    json_object_set_new(m, field, value);
    if (reason)
        json_object_set_new(m, "reason", json_string(reason));
    if (!ok || !cli_end(c)) {
        json_decref(m);
        return ok ? CLI_USAGE
                  : cli_usage(c, array ? "a JSON object or array is needed"
                                       : "NAME=VALUE or a JSON object is needed");
    }
    return call_and_show(c, m, show);
}

static int get_or_set(struct cli *c, const char *verb, const char *get, const char *set,
                      const char *field, const char *part, bool array, void (*show)(const json_t *))
{
    if (!verb || strcmp(verb, "get") == 0 || strcmp(verb, "list") == 0)
        return cli_end(c) ? call_and_show(c, op(get), show) : CLI_USAGE;
    if (strcmp(verb, "set") == 0)
        return set_part(c, set, field, array, show);
    if (strcmp(verb, "history") == 0)
        return cli_part_history(c, part);
    if (strcmp(verb, "rollback") == 0)
        return cli_part_rollback(c, part);
    return cli_usage(c, "get, set, history or rollback?");
}

static void show_members(const json_t *o)
{
    const char *key;
    json_t *v;
    /* The iteration macro takes no const, though nothing is changed. */
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        printf("%-20s ", key);
        json_dumpf(v, stdout, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
        putchar('\n');
    }
}

static void show_weights(const json_t *r)
{
    show_members(json_object_get(r, "weights"));
}

static void show_policy(const json_t *r)
{
    show_members(json_object_get(r, "policy"));
}

static int rename_model(struct cli *c)
{
    const char *reason = cli_option(c, "--reason"), *from = cli_operand(c), *to = cli_operand(c);
    if (!from || !to)
        return cli_usage(c, "OLD and NEW name are needed");
    if (!cli_end(c))
        return CLI_USAGE;
    json_t *m =
        json_pack("{s:i,s:s,s:s,s:s}", "v", 1, "op", "models.rename", "model", from, "to", to);
    if (m && reason)
        json_object_set_new(m, "reason", json_string(reason));
    return call_and_show(c, m, show_catalog);
}

/* A change that is looked at, or said to be meant, goes by way of the whole configuration. */
static bool deliberate(const struct cli *c)
{
    return cli_asks(c, "--preview") || cli_asks(c, "--apply");
}

int cli_element_set(struct cli *c, const char *list)
{
    static const char *const none[] = {NULL};
    char part[2 * NAME_CAP + 16], *out = part + snprintf(part, 16, "%.14s/", list);
    const char *s = cli_operand(c);
    if (!s || strchr(s, '=') || strlen(s) > NAME_LEN)
        return cli_usage(c, "which one? its name, then FIELD=VALUE");
    for (; *s; s++) { /* in a path a slash is another step */
        if (*s == '~' || *s == '/')
            *out++ = '~';
        *out++ = *s == '~' ? '0' : *s == '/' ? '1' : *s;
    }
    *out = '\0';
    return cli_part_set(c, part, none);
}

int cli_models(struct cli *c)
{
    const char *verb = cli_operand(c);
    if (verb && strcmp(verb, "rename") == 0)
        return rename_model(c);
    if (verb && strcmp(verb, "set") == 0 && deliberate(c))
        return cli_element_set(c, "models");
    return get_or_set(c, verb, "models.list", "models.set", "models", "models", true, show_catalog);
}

int cli_weights(struct cli *c)
{
    static const char *const options[] = {"quality", "cost", "latency", "failure", NULL};
    const char *verb = cli_operand(c);
    if (verb && strcmp(verb, "set") == 0 && deliberate(c))
        return cli_part_set(c, "objective", options);
    return get_or_set(c, verb, "weights.get", "weights.set", "weights", "objective", false,
                      show_weights);
}

int cli_policy(struct cli *c)
{
    static const char *const none[] = {NULL};
    const char *verb = cli_operand(c);
    if (verb && strcmp(verb, "set") == 0 && deliberate(c))
        return cli_part_set(c, "policy", none);
    return get_or_set(c, verb, "policy.get", "policy.set", "policy", "policy", false, show_policy);
}

int cli_learners(struct cli *c)
{
    return get_or_set(c, cli_operand(c), "learners.get", "learners.set", "learners", "learners",
                      true, show_learners);
}

int cli_explain(struct cli *c)
{
    const char *id = cli_operand(c);
    if (!id)
        return cli_usage(c, "DECISION_ID is needed, as route gave it");
    if (!cli_end(c))
        return CLI_USAGE;
    json_t *m = op("explain");
    json_object_set_new(m, "decision_id", json_string(id));
    return call_and_show(c, m, NULL);
}

int cli_snapshot(struct cli *c)
{
    return cli_end(c) ? call_and_show(c, op("snapshot"), NULL) : CLI_USAGE;
}
