/* SPDX-License-Identifier: MIT */
/* purser pools: what budgets have used, and changing one while the service runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "transport/cli/cli.h"

/* Money to six digits, tokens whole; "-" without a cap. */
static const char *cell(char out[32], const json_t *o, const char *what, bool usd)
{
    char key[32];
    snprintf(key, sizeof key, "%s_%s", what, usd ? "usd" : "tokens");
    if (json_object_get(o, key))
        snprintf(out, 32, usd ? "%.6f" : "%.0f", cli_real(o, key));
    else
        strcpy(out, "-");
    return out;
}

static void show_row(const json_t *o, bool usd)
{
    char name[160], used[32], reserved[32], cap[32], left[32];
    const char *value = cli_text(o, "value");
    snprintf(name, sizeof name, "%s%s%s", cli_text(o, "pool"), *value ? "=" : "", value);
    const json_t *pace = json_object_get(o, "pace");
    printf("%-28.60s %-7s %14s %14s %14s %14s %9.0f %10s%s%s%s%s\n", name,
           usd ? "dollars" : "tokens", cell(used, o, "used", usd),
           cell(reserved, o, "reserved", usd), cell(cap, o, "cap", usd), cell(left, o, "left", usd),
           cli_real(o, "refusals"), pace ? cli_text(pace, "step") : "-",
           json_is_true(json_object_get(o, "fused")) ? "  FUSE TRIPPED" : "",
           json_is_true(json_object_get(o, "kill")) ? "  KILLED" : "",
           json_is_true(json_object_get(o, "exhausted")) ? "  EXHAUSTED" : "",
           json_is_true(json_object_get(o, "soft")) ? "  ABOVE SOFT LIMIT" : "");
}

static int list(struct cli *c, const char *pool)
{
    int code;
    json_int_t next = 0;
    if (!c->json)
        printf("%-28s %-7s %14s %14s %14s %14s %9s %10s\n", "pool", "unit", "used", "reserved",
               "cap", "left", "refused", "pace");
    do {
        json_t *m = json_pack("{s:i,s:s,s:I}", "v", 1, "op", "pools.list", "from", next);
        if (m && pool)
            json_object_set_new(m, "pool", json_string(pool));
        json_t *reply = cli_call(c, PURSER_CLIENT_CONTROL, m, &code), *o;
        if (!reply)
            return code;
        size_t i;
        if (c->json)
            cli_print_json(reply);
        json_array_foreach(json_object_get(reply, "pools"), i, o)
        {
            if (c->json)
                continue;
            show_row(o, true);
            if (json_object_get(o, "cap_tokens"))
                show_row(o, false);
        }
        next = json_integer_value(json_object_get(reply, "next"));
        json_decref(reply);
    } while (next > 0);
    return CLI_OK;
}

/* NAME=VALUE, or GROUP/NAME=VALUE for a member of match, override and fuse. */
static bool put_field(json_t *set, const char *arg)
{
    char name[80];
    const char *eq = strchr(arg, '=');
    if (!eq || eq == arg || eq - arg >= (int)sizeof name)
        return false;
    snprintf(name, sizeof name, "%.*s", (int)(eq - arg), arg);
    char *slash = strchr(name, '/');
    if (!slash)
        return json_object_set_new(set, name, cli_value(eq + 1)) == 0;
    *slash = '\0';
    if (!json_object_get(set, name))
        json_object_set_new(set, name, json_object());
    return json_object_set_new(json_object_get(set, name), slash + 1, cli_value(eq + 1)) == 0;
}

/* The fields of set and add: FIELD=VALUE ..., or an object. */
static json_t *fields(struct cli *c)
{
    const char *arg = cli_operand(c);
    bool object = arg && arg[0] == '{', ok = arg != NULL;
    json_t *set = object ? json_loads(arg, JSON_REJECT_DUPLICATES, NULL) : json_object();
    for (arg = object ? NULL : arg; arg && ok; arg = cli_operand(c))
        ok = put_field(set, arg);
    if (ok)
        return set;
    json_decref(set);
    return NULL;
}

static int change(struct cli *c, const char *verb)
{
    bool sets = strcmp(verb, "set") == 0 || strcmp(verb, "add") == 0;
    const char *reason = cli_option(c, "--reason"), *pool = cli_operand(c);
    json_t *m = json_pack("{s:i,s:s,s:s*}", "v", 1, "op", "pools.set", "pool", pool);
    json_t *set = pool && sets ? fields(c) : NULL;
    bool ok = pool && (!sets || set);
    int code;
    if (set)
        json_object_set_new(m, "set", set);
    if (strcmp(verb, "set") != 0) /* add, remove and rearm are members of these names */
        json_object_set_new(m, verb, json_true());
    if (reason)
        json_object_set_new(m, "reason", json_string(reason));
    if (!ok || !cli_end(c)) {
        json_decref(m);
        return ok ? CLI_USAGE : cli_usage(c, "a POOL and FIELD=VALUE or a JSON object are needed");
    }
    json_t *reply = cli_call(c, PURSER_CLIENT_CONTROL, m, &code);
    if (!reply)
        return code;
    if (c->json)
        cli_print_json(reply);
    json_decref(reply);
    return c->json ? CLI_OK : list(c, strcmp(verb, "remove") == 0 ? NULL : pool);
}

int cli_pools(struct cli *c)
{
    const char *verb = cli_operand(c);
    static const char *const changes[] = {"set", "add", "remove", "rearm"};
    if (verb && strcmp(verb, "set") == 0 && (cli_asks(c, "--preview") || cli_asks(c, "--apply")))
        return cli_element_set(c, "pools");
    if (verb && strcmp(verb, "history") == 0)
        return cli_part_history(c, "pools");
    if (verb && strcmp(verb, "rollback") == 0)
        return cli_part_rollback(c, "pools");
    for (size_t i = 0; verb && i < sizeof changes / sizeof changes[0]; i++)
        if (strcmp(verb, changes[i]) == 0)
            return change(c, verb);
    if (verb && strcmp(verb, "list") != 0)
        return cli_usage(c, "list, set, add, remove, rearm, history, rollback or import?");
    const char *pool = cli_operand(c);
    return cli_end(c) ? list(c, pool) : CLI_USAGE;
}
