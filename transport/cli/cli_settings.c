/* SPDX-License-Identifier: MIT */
/*
 * purser config, and what weights and policy share with it: a change is made here, in a copy of the
 * whole configuration, shown, previewed if wished, and sent with the number of the configuration it
 * was made from, so two operators cannot overwrite each other unseen. Going back is the same: the
 * document as an entry of the audit left it, all of it or one part.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "transport/audit_diff.h"
#include "transport/cli/cli.h"

struct change {
    json_t *before, *after; /* whole documents */
    json_int_t config_seq;
    bool preview, apply;
    const char *reason;
    double days, decisions; /* of the preview; 0 = as the service has it */
    double share;           /* of requests that are to try it; 0 = all have it at once */
};

static int no_memory(const struct cli *c)
{
    fprintf(stderr, "purser %s: no memory\n", c->command);
    return CLI_REFUSED;
}

static json_t *ask(struct cli *c, json_t *message, int *code)
{
    return cli_call(c, PURSER_CLIENT_CONTROL, message, code);
}

/* 5% or 0.05; false: told. */
static bool read_share(struct cli *c, double *share)
{
    const char *s = cli_option(c, "--canary");
    char *end;
    if (!s)
        return true;
    *share = strtod(s, &end);
    *share /= *end == '%' ? 100 : 1;
    if (end != s && (*end == '\0' || strcmp(end, "%") == 0) && *share >= 0.005 && *share <= 0.5)
        return true;
    cli_usage(c, "--canary takes a share of the requests, 0.5% to 50%");
    return false;
}

/* Reads what all changes take; false: told. */
static bool read_options(struct cli *c, struct change *x)
{
    bool present;
    x->preview = cli_flag(c, "--preview");
    x->apply = cli_flag(c, "--apply");
    x->reason = cli_option(c, "--reason");
    if (!cli_number(c, "--days", &x->days, &present) ||
        !cli_number(c, "--decisions", &x->decisions, &present))
        return false;
    if (!read_share(c, &x->share))
        return false;
    if (x->apply && !x->reason) {
        cli_usage(c, "--apply needs --reason WHY: the audit keeps it");
        return false;
    }
    if (!x->preview && !x->apply)
        cli_usage(c, "--preview or --apply?");
    return x->preview || x->apply;
}

static int fetch(struct cli *c, struct change *x)
{
    int code;
    json_t *reply = cli_control(c, "config.get", &code);
    if (!reply)
        return code;
    x->config_seq = json_integer_value(json_object_get(reply, "config_seq"));
    x->before = json_incref(json_object_get(reply, "config"));
    x->after = json_deep_copy(x->before);
    json_decref(reply);
    return x->after ? CLI_OK : no_memory(c);
}

static void forget(struct change *x)
{
    json_decref(x->before);
    json_decref(x->after);
}

/* ---- shown ---- */

static json_t *message_of(const struct change *x, const char *op)
{
    return json_pack("{s:i,s:s,s:O,s:I}", "v", 1, "op", op, "config", x->after, "config_seq",
                     x->config_seq);
}

static int preview(struct cli *c, const struct change *x)
{
    int code;
    json_t *m = message_of(x, "whatif");
    if (m && x->days > 0)
        json_object_set_new(m, "days", json_real(x->days));
    if (m && x->decisions > 0)
        json_object_set_new(m, "decisions", json_integer((json_int_t)x->decisions));
    json_t *reply = ask(c, m, &code);
    if (!reply)
        return code;
    if (c->json)
        cli_print_json(reply);
    else
        printf("\n%s", cli_text(reply, "table"));
    json_decref(reply);
    return CLI_OK;
}

/* Why a share of the requests cannot have another value of it than the rest. */
static const char *why_not_tried(const char *part)
{
    static const struct {
        const char *part, *why;
    } reasons[] = {
        {"models",
         "a price is a fact of the world, the same for every request, and a new or changed "
         "model is on trial by itself (learner.quota); use --preview, then --apply"},
        {"pools", "a cap is on all that it matches, and kept by half of it would be no cap; use "
                  "--preview, then --apply; soft_only only warns"},
        {"budget", "it is an average over all requests; use --preview, then --apply"},
        {"rules", "a rule is an order that holds for every request it fits; use --apply, and "
                  "policy.apprentice to watch"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(part, reasons[i].part) == 0)
            return reasons[i].why;
    return "this is no choice between models; use --preview, then --apply";
}

/* The first part that is to change beside what is on trial, NULL when there is none. */
static const char *beside_trial(const struct change *x)
{
    for (void *i = json_object_iter(x->after); i; i = json_object_iter_next(x->after, i)) {
        const char *key = json_object_iter_key(i);
        if (strcmp(key, "canary") != 0 &&
            !json_equal(json_object_iter_value(i), json_object_get(x->before, key)))
            return key;
    }
    return NULL;
}

/* Weights and policy as they were, and as they are to be on trial. False: told. */
static bool put_on_trial(struct cli *c, const struct change *x)
{
    static const char *const parts[] = {"objective", "policy"};
    json_t *canary = json_object_get(x->after, "canary");
    for (int i = 0; i < 2; i++) {
        json_object_set(canary, parts[i], json_object_get(x->after, parts[i]));
        json_object_set(x->after, parts[i], json_object_get(x->before, parts[i]));
    }
    json_object_set_new(canary, "share", json_real(x->share));
    const char *other = beside_trial(x);
    if (!other)
        return true;
    char text[300];
    (void)snprintf(text, sizeof text, "--canary tries weights and policy, nothing else: %s",
                   why_not_tried(other));
    cli_usage(c, text);
    return false;
}

static int apply(struct cli *c, const struct change *x)
{
    int code;
    if (x->share > 0 && !put_on_trial(c, x))
        return CLI_USAGE;
    json_t *m = message_of(x, "config.set");
    if (m)
        json_object_set_new(m, "reason", json_string(x->reason));
    json_t *reply = ask(c, m, &code);
    if (!reply)
        return code;
    if (c->json)
        cli_print_json(reply);
    else
        printf("\n%s, as configuration %" JSON_INTEGER_FORMAT "\n",
               x->share > 0 ? "on trial" : "in force",
               json_integer_value(json_object_get(reply, "config_seq")));
    json_decref(reply);
    return CLI_OK;
}

/* What was asked for, once x->after says what. */
static int carry_out(struct cli *c, const struct change *x)
{
    json_t *changes = diff_documents(x->before, x->after);
    int code = changes ? CLI_OK : no_memory(c);
    bool none = code == CLI_OK && json_array_size(changes) == 0;
    if (none && !c->json)
        printf("nothing would change\n");
    else if (code == CLI_OK && !c->json)
        cli_show_changes(changes, "");
    json_decref(changes);
    if (code == CLI_OK && x->preview && !none)
        code = preview(c, x);
    if (code == CLI_OK && x->apply && !none)
        code = apply(c, x);
    return code;
}

/* ---- set ---- */

/* [PART/]PATH=VALUE into the document; false: told. */
static bool assign(struct cli *c, json_t *document, const char *part, const char *arg)
{
    char path[512], text[600];
    const char *eq = strchr(arg, '=');
    int n = eq ? snprintf(path, sizeof path, "%s%s%.*s", part ? part : "", part ? "/" : "",
                          (int)(eq - arg), arg)
               : -1;
    json_t *v = eq ? cli_value(eq + 1) : NULL;
    bool ok =
        n > 0 && n < (int)sizeof path && v && diff_set(document, path, json_is_null(v) ? NULL : v);
    json_decref(v);
    if (!ok) {
        snprintf(text, sizeof text, "%.400s is no place in the configuration with a =VALUE", arg);
        cli_usage(c, text);
    }
    return ok;
}

static bool assign_all(struct cli *c, struct change *x, const char *part,
                       const char *const options[])
{
    int n = 0;
    for (int i = 0; options && options[i]; i++) {
        char name[40], text[160];
        snprintf(name, sizeof name, "--%s", options[i]);
        const char *v = cli_option(c, name);
        snprintf(text, sizeof text, "%s=%.100s", options[i], v ? v : "");
        n += v != NULL;
        if (v && !assign(c, x->after, part, text))
            return false;
    }
    for (const char *arg = cli_operand(c); arg; arg = cli_operand(c), n++)
        if (!assign(c, x->after, part, arg))
            return false;
    if (n == 0)
        cli_usage(c, "what is to change? NAME=VALUE");
    return n > 0;
}

int cli_part_set(struct cli *c, const char *part, const char *const options[])
{
    struct change x = {0};
    int code = read_options(c, &x) ? fetch(c, &x) : CLI_USAGE;
    if (code == CLI_OK && part && !diff_get(x.before, part)) {
        fprintf(stderr, "purser %s: there is no %s\n", c->command, part);
        code = CLI_REFUSED; /* a misspelt name must not make a new pool */
    }
    if (code == CLI_OK && !(assign_all(c, &x, part, options) && cli_end(c)))
        code = CLI_USAGE;
    if (code == CLI_OK)
        code = carry_out(c, &x);
    forget(&x);
    return code;
}

/* ---- history ---- */

/* Calls visit for each entry about a path, page by page. */
static int each_entry(struct cli *c, const char *about, void (*visit)(void *ctx, const json_t *e),
                      void *ctx)
{
    int code = CLI_OK;
    size_t i;
    json_t *e;
    for (json_int_t from = 1; from > 0;) {
        json_t *reply = ask(
            c, json_pack("{s:i,s:s,s:I,s:s}", "v", 1, "op", "audit", "from", from, "about", about),
            &code);
        if (!reply)
            return code;
        json_array_foreach(json_object_get(reply, "entries"), i, e) visit(ctx, e);
        from = json_integer_value(json_object_get(reply, "next"));
        json_decref(reply);
    }
    return code;
}

struct history {
    const char *about; /* of an entry the changes there are shown */
    json_t *entries;   /* all of them, or NULL */
    json_int_t last;   /* the newest of a configuration */
};

static void on_entry(void *ctx, const json_t *e)
{
    struct history *h = ctx;
    const char *op = cli_text(e, "op");
    if (strncmp(op, "keys.", 5) == 0 || strncmp(op, "lens.", 5) == 0 ||
        strncmp(op, "learned.", 8) == 0 || strcmp(op, "unlearn") == 0)
        return; /* not of the configuration */
    h->last = json_integer_value(json_object_get(e, "n"));
    if (h->entries)
        json_array_append(h->entries, (json_t *)(uintptr_t)e);
    else
        cli_show_entry(e, h->about);
}

/* "/objective" of objective; "/" of NULL: paths, not ops. */
static const char *about_of(char room[512], const char *part)
{
    snprintf(room, 512, "%s%s", part && part[0] == '/' ? "" : "/", part ? part : "");
    return room;
}

int cli_part_history(struct cli *c, const char *part)
{
    char about[512];
    struct history h = {.about = about_of(about, part), .entries = c->json ? json_array() : NULL};
    if (!cli_end(c))
        return CLI_USAGE;
    int code = each_entry(c, h.about, on_entry, &h);
    if (code == CLI_OK && c->json)
        cli_print_json(h.entries);
    json_decref(h.entries);
    return code;
}

static json_t *config_at(struct cli *c, json_int_t n, int *code)
{
    json_t *reply = ask(c, json_pack("{s:i,s:s,s:I}", "v", 1, "op", "config.at", "entry", n), code);
    json_t *doc = json_incref(json_object_get(reply, "config"));
    json_decref(reply);
    return doc;
}

/* The entry to go back to: as said, or the one before the last that changed the part. */
static int target(struct cli *c, const char *part, double to, json_int_t *n)
{
    char about[512];
    struct history h = {.entries = json_array()};
    *n = (json_int_t)to;
    if (to > 0) {
        json_decref(h.entries);
        return CLI_OK;
    }
    int code = each_entry(c, about_of(about, part), on_entry, &h);
    json_decref(h.entries);
    *n = h.last - 1;
    if (code != CLI_OK || *n > 0)
        return code;
    fprintf(stderr, "purser %s: nothing has changed since the beginning\n", c->command);
    return CLI_REFUSED;
}

int cli_part_rollback(struct cli *c, const char *part)
{
    struct change x = {0};
    double to = 0;
    bool present;
    json_int_t n = 0;
    if (!read_options(c, &x) || !cli_number(c, "--to", &to, &present) || !cli_end(c))
        return CLI_USAGE;
    if (present && !(to >= 1))
        return cli_usage(c, "--to N is an entry of history, from 1");
    int code = target(c, part, to, &n);
    json_t *then = code == CLI_OK ? config_at(c, n, &code) : NULL;
    if (then)
        code = fetch(c, &x);
    if (then && code == CLI_OK && !part) {
        json_decref(x.after);
        x.after = json_incref(then);
    } else if (then && code == CLI_OK) {
        json_object_set(x.after, part, json_object_get(then, part));
    }
    if (then && code == CLI_OK) {
        if (!c->json)
            printf("back to entry %" JSON_INTEGER_FORMAT "\n", n);
        code = carry_out(c, &x);
    }
    json_decref(then);
    forget(&x);
    return code;
}

static int show_difference(struct cli *c, double n)
{
    struct change x = {0};
    json_int_t to = 0;
    int code = target(c, NULL, n, &to);
    json_t *then = code == CLI_OK ? config_at(c, to, &code) : NULL;
    if (then)
        code = fetch(c, &x);
    json_t *changes = then && code == CLI_OK ? diff_documents(then, x.before) : NULL;
    if (changes && c->json)
        cli_print_json(changes);
    else if (changes)
        cli_show_changes(changes, "");
    json_decref(changes);
    json_decref(then);
    forget(&x);
    return code;
}

static int config_diff(struct cli *c)
{
    const char *arg = cli_operand(c);
    char *end = NULL;
    double n = arg ? strtod(arg, &end) : 0;
    if (arg && (*end != '\0' || !(n >= 1)))
        return cli_usage(c, "N is an entry of history, from 1");
    return cli_end(c) ? show_difference(c, n) : CLI_USAGE;
}

/* ---- get ---- */

static int config_get(struct cli *c)
{
    const char *path = cli_operand(c);
    struct change x = {0};
    if (!cli_end(c))
        return CLI_USAGE;
    int code = fetch(c, &x);
    const json_t *v = code != CLI_OK ? NULL : path ? diff_get(x.before, path) : x.before;
    if (v) {
        json_dumpf(v, stdout, JSON_ENCODE_ANY | JSON_INDENT(2) | JSON_REAL_PRECISION(15));
        putchar('\n');
    } else if (code == CLI_OK) {
        fprintf(stderr, "purser config: there is no %s\n", path);
        code = CLI_REFUSED;
    }
    forget(&x);
    return code;
}

int cli_config(struct cli *c)
{
    const char *verb = cli_operand(c);
    if (!verb || strcmp(verb, "get") == 0)
        return config_get(c);
    if (strcmp(verb, "set") == 0)
        return cli_part_set(c, NULL, NULL);
    if (strcmp(verb, "history") == 0)
        return cli_part_history(c, cli_operand(c));
    if (strcmp(verb, "diff") == 0)
        return config_diff(c);
    if (strcmp(verb, "rollback") == 0)
        return cli_part_rollback(c, cli_option(c, "--part"));
    return cli_usage(c, "get, set, history, diff or rollback?");
}
