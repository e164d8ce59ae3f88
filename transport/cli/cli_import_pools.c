/* SPDX-License-Identifier: MIT */
/*
 * purser pools import: budgets that others define, as the "pools" of a configuration. This file
 * alone knows what a pool looks like and which windows there are; the readers of LiteLLM's,
 * Bifrost's and TensorZero's definitions say whose budget it is and what it caps.
 *
 * Money spent so far is not taken over: pools begin empty. Caps of requests per minute are told and
 * left out, a pool counts dollars and tokens.
 */
#include "transport/cli/cli_import_pools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/budget/window.h"
#include "core/encoding/json.h"

/* "30d" and the like: number and unit, of LiteLLM (s m h d w mo) and Bifrost (s m h d w M Q Y). */
static bool period_read(const char *s, long *n, char unit[4])
{
    char *end;
    *n = strtol(s, &end, 10);
    snprintf(unit, 4, "%.3s", end);
    return end != s && *n > 0 && *n < 1000000 && strlen(end) < 3;
}

static const char *const calendar_day = "day", *const calendar_week = "week",
                         *const calendar_month = "month", *const calendar_quarter = "quarter";

/* The calendar's window of that length, NULL if there is none; hours 0 = not whole hours. */
static const char *window_of(long n, const char *unit, long *hours)
{
    static const struct {
        const char *unit;
        long seconds;
    } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}};
    *hours = 0;
    if (strcmp(unit, "mo") == 0 || strcmp(unit, "M") == 0)
        return n == 1 ? calendar_month : n == 3 ? calendar_quarter : NULL;
    if (strcmp(unit, "Q") == 0)
        return n == 1 ? calendar_quarter : NULL;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].unit) != 0)
            continue;
        long s = n * units[i].seconds;
        *hours = s % 3600 == 0 ? s / 3600 : 0;
        return s == 60        ? "minute"
               : s == 3600    ? "hour"
               : s == 86400   ? calendar_day
               : s == 604800  ? calendar_week
               : s == 2592000 ? calendar_month
                              : NULL;
    }
    return NULL;
}

/* Gives the window, NULL with the reason told; *length_s > 0: it is as long and rolls. */
static const char *window(struct import_pools *all, const struct import_pool *d, const char *period,
                          long *length_s)
{
    long n, hours;
    char unit[4];
    *length_s = 0;
    if (!period)
        return "once";
    if (!period_read(period, &n, unit)) {
        const json_t *at = period == d->period ? d->period_at : d->tokens_period_at;
        char found[FOUND_CAP];
        if (json_is_string(at))
            import_tell_at(&all->report, IMPORT_REFUSED, "window", d->name, at,
                           "\"%.20s\" is no period", period);
        else
            import_tell_at(&all->report, IMPORT_REFUSED, "window", d->name, at, "%s is no period",
                           json_found(found, at));
        return NULL;
    }
    const char *calendar = window_of(n, unit, &hours);
    bool month = calendar == calendar_month || calendar == calendar_quarter;
    if (hours > 0 && (!calendar || (d->rolls && !month))) {
        if (!d->rolls)
            import_tell(&all->report, IMPORT_NOTE, "rolls", d->name, "%.20s", period);
        *length_s = hours * 3600;
        return "rolling";
    }
    if (calendar && (d->rolls || strcmp(period, "30d") == 0))
        import_tell(&all->report, IMPORT_NOTE, "calendar", d->name, "%.20s is a %s here", period,
                    calendar);
    if (calendar)
        return calendar;
    import_tell_at(&all->report, IMPORT_REFUSED, "window", d->name,
                   period == d->period ? d->period_at : d->tokens_period_at, "%.20s", period);
    return NULL;
}

/* An amount as the configuration writes it; NULL with the reason told. Dollars are kept to the
 * nanodollar. */
static json_t *amount(struct import_pools *all, const struct import_pool *d, const json_t *v,
                      int shift, const char *what)
{
    int64_t n;
    bool exact;
    if (!import_number(v, shift, &n, &exact)) {
        char found[FOUND_CAP];
        import_tell_at(&all->report, IMPORT_REFUSED, "amount", d->name, v, "%s: %s", what,
                       json_found(found, v));
        return NULL;
    }
    if (!exact)
        import_tell(&all->report, IMPORT_NOTE, "rounded", d->name, "%s", what);
    if (n == 0)
        import_tell(&all->report, IMPORT_NOTE, "zero_budget", d->name, "%s", what);
    return shift ? json_real((double)n / 1e9) : json_integer(n);
}

static bool said(const json_t *v)
{
    return v && !json_is_null(v);
}

/* Gives (new) the labels that a pool looks at, NULL with the reason told. What others know a caller
 * by, a key, a pool knows as the user of the request. */
static json_t *match_of(struct import_pools *all, const struct import_pool *d)
{
    json_t *match = json_object();
    for (int i = 0; i < MATCH_MAX && d->key[i]; i++) {
        char name[NAME_CAP];
        const json_t *v = d->value[i];
        bool key = strcmp(d->key[i], "key") == 0;
        if (json_array_size(v) == 1)
            v = json_array_get(v, 0);
        const char *value = json_string_value(v);
        if (!value) {
            import_tell_at(&all->report, IMPORT_REFUSED, "models", d->name, d->value[i],
                           "%zu models", json_array_size(v));
            json_decref(match);
            return NULL;
        }
        cli_identifier(name, value);
        if (!json_name_ok(value))
            import_tell(&all->report, IMPORT_NOTE, "identifier", d->name, "%s %.80s", d->key[i],
                        value);
        if (key)
            import_tell(&all->report, IMPORT_NOTE, "key", d->name, "%.80s", name);
        json_object_set_new(match, key ? "user" : d->key[i], json_string(name));
    }
    return match;
}

/* A warning: a share of the cap, or a cap that only warns. */
static void put_soft(json_t *p, json_t *soft)
{
    const json_t *usd = json_object_get(p, POOL_USD);
    double cap = json_number_value(usd), share = cap > 0 ? json_number_value(soft) / cap : 1;
    if (usd) {
        if (share < 1)
            json_object_set_new(p, POOL_SOFT, json_real(share));
        json_decref(soft);
        return;
    }
    json_object_set_new(p, POOL_USD, soft);
    json_object_set_new(p, POOL_ENFORCE, json_string("soft"));
}

/* A raise in the running period: an override of the cap until it ends. A window that rolls does not
 * begin when theirs does, and one that never ends has no end: there it is told and left out. */
static void put_raise(struct import_pools *all, const struct import_pool *d, json_t *p)
{
    int kind = window_kind_find(cli_text(p, POOL_WINDOW));
    double raise = json_number_value(d->raise);
    char until[WINDOW_TIME_CAP];
    if (!(raise > 0))
        return;
    if (kind < 0 || kind == WINDOW_ROLLING || kind == WINDOW_ONCE) {
        import_tell(&all->report, IMPORT_LOST, "a raise for the period", d->name, "$%g", raise);
        return;
    }
    const struct window_spec spec = {.kind = (enum window_kind)kind};
    json_t *more = amount(all, d, d->raise, 9, "a raise");
    if (!more)
        return;
    window_time_write(window_at(&spec, NULL, (int64_t)time(NULL) * 1000).end, until);
    json_object_set_new(
        p, POOL_OVERRIDE,
        json_pack("{s:f,s:s}", POOL_USD,
                  json_number_value(json_object_get(p, POOL_USD)) + json_real_value(more), "until",
                  until));
    json_decref(more);
    import_tell(&all->report, IMPORT_NOTE, "raise", d->name, "$%g until %s", raise, until);
}

/* A pool with all but its caps; NULL with the reason told. */
static json_t *begin(struct import_pools *all, const struct import_pool *d, const char *suffix,
                     const char *period)
{
    char name[NAME_CAP];
    long length_s;
    const char *w = window(all, d, period, &length_s);
    json_t *match = w ? match_of(all, d) : NULL;
    if (!match)
        return NULL;
    snprintf(name, sizeof name, "%.*s%s", (int)(NAME_LEN - strlen(suffix)), d->name, suffix);
    json_t *p = json_pack("{s:s}", POOL_NAME, name);
    if (d->parent[0])
        json_object_set_new(p, POOL_PARENT, json_string(d->parent)); /* the owner, until the end */
    if (json_object_size(match) > 0)
        json_object_set(p, POOL_MATCH, match);
    json_decref(match);
    if (d->each)
        json_object_set_new(p, POOL_EACH, json_string(d->each));
    json_object_set_new(p, POOL_WINDOW, json_string(w));
    if (length_s > 0)
        json_object_set_new(p, POOL_LENGTH, json_integer(length_s));
    return p;
}

static void end(struct import_pools *all, json_t *p)
{
    json_object_set_new(p, POOL_MODE, json_string(POOL_MODE_VALUE));
    json_array_append_new(all->pool, p);
}

static bool same_period(const struct import_pool *d)
{
    const char *a = d->period, *b = d->tokens_period;
    return a == b || (a && b && strcmp(a, b) == 0);
}

void import_pool_add(struct import_pools *all, struct import_pool *d)
{
    bool dollars = said(d->usd) || said(d->soft_usd), tokens = said(d->tokens);
    bool together = dollars && tokens && same_period(d);
    json_t *v, *p = dollars ? begin(all, d, "", d->period) : NULL;
    if (p) {
        if (said(d->usd) && (v = amount(all, d, d->usd, 9, "dollars")))
            json_object_set_new(p, POOL_USD, v);
        if (json_object_get(p, POOL_USD))
            put_raise(all, d, p);
        if (said(d->soft_usd) && (v = amount(all, d, d->soft_usd, 9, "soft dollars")))
            put_soft(p, v);
        if (together && (v = amount(all, d, d->tokens, 0, "tokens")))
            json_object_set_new(p, POOL_TOKENS, v);
        bool caps = json_object_get(p, POOL_USD) != NULL;
        if (caps && d->owner[0])
            json_object_set_new(all->owner, d->owner, json_string(d->name));
        if (caps)
            end(all, p);
        else
            json_decref(p);
    }
    if (!tokens || together)
        return;
    p = begin(all, d, dollars ? ":tokens" : "", d->tokens_period);
    v = p ? amount(all, d, d->tokens, 0, "tokens") : NULL;
    if (v) {
        json_object_set_new(p, POOL_TOKENS, v);
        end(all, p);
    } else {
        json_decref(p);
    }
}

void import_pool_name(char out[NAME_CAP], const char *what, const char *name)
{
    char both[256];
    snprintf(both, sizeof both, "%s%s%.200s", what, *what ? ":" : "", name);
    cli_identifier(out, both);
}

const char *import_period(const json_t *v)
{
    return !said(v) ? NULL : json_is_string(v) ? json_string_value(v) : "";
}

void import_pool_below(struct import_pools *all, const struct import_pool *d)
{
    if (d->owner[0] && d->parent[0])
        json_object_set_new(all->above, d->owner, json_string(d->parent));
}

/* The pool of an owner, or of the next one above that has one; NULL if none has. */
static const json_t *nearest(const struct import_pools *all, const char *owner)
{
    for (int level = 0; level < 8 && *owner; level++) {
        const json_t *pool = json_object_get(all->owner, owner);
        if (pool)
            return pool;
        owner = cli_text(all->above, owner);
    }
    return NULL;
}

void import_pools_order(struct import_pools *all)
{
    json_t *sorted = json_array(), *placed = json_object(), *p;
    for (size_t before = 1; json_array_size(all->pool) > 0 && before > 0;) {
        json_t *left = json_array();
        size_t i;
        before = json_array_size(all->pool);
        json_array_foreach(all->pool, i, p)
        {
            const char *parent = cli_text(p, POOL_PARENT);
            bool ready = !*parent || json_object_get(placed, parent);
            json_array_append(ready ? sorted : left, p);
            if (ready)
                json_object_set_new(placed, cli_text(p, POOL_NAME), json_true());
        }
        before -= json_array_size(left);
        json_decref(all->pool);
        all->pool = left;
    }
    json_array_extend(sorted, all->pool); /* none: they stand below what is there */
    json_decref(all->pool);
    json_decref(placed);
    all->pool = sorted;
}

/* Parents by name, where they have a pool. */
static void finish(struct import_pools *all)
{
    size_t i;
    json_t *p, *names = json_object();
    json_array_foreach(all->pool, i, p)
    {
        const json_t *parent = nearest(all, cli_text(p, POOL_PARENT));
        if (parent)
            json_object_set_new(p, POOL_PARENT, json_copy((json_t *)(uintptr_t)parent));
        else
            json_object_del(p, POOL_PARENT);
        if (json_object_get(names, cli_text(p, POOL_NAME)))
            import_tell(&all->report, IMPORT_NOTE, "name_twice", cli_text(p, POOL_NAME), "%s", "");
        json_object_set_new(names, cli_text(p, POOL_NAME), json_true());
    }
    json_decref(names);
    import_pools_order(all);
}

static void account(const struct cli *c, const struct import_pools *all, const char *into)
{
    json_t *out = json_pack("{s:O}", "pools", all->pool);
    if (c->json) {
        json_object_set(out, "report", all->report.line);
        cli_print_json(out);
    } else {
        if (!into) {
            json_dumpf(out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
            putchar('\n');
        }
        fprintf(stderr, "%zu pools, %d not imported\n", json_array_size(all->pool),
                all->report.count[IMPORT_REFUSED]);
        import_report_print(&all->report, stderr);
    }
    json_decref(out);
}

typedef void reader(struct import_pools *all, const json_t *root);

/* By the name of the format, or by what stands in the file. */
static reader *reader_of(const char *format, const json_t *root)
{
    bool bifrost = json_object_get(root, "governance") || json_object_get(root, "virtual_keys") ||
                   (json_object_get(root, "budgets") && !import_litellm_budgets(root));
    if (!format)
        format = bifrost                                  ? "bifrost"
                 : json_object_get(root, "rate_limiting") ? "tensorzero"
                                                          : "litellm";
    return strcmp(format, "bifrost") == 0      ? import_bifrost
           : strcmp(format, "tensorzero") == 0 ? import_tensorzero
                                               : import_litellm;
}

static int import(struct cli *c, const char *path, const char *format, const char *into)
{
    struct import_file f;
    struct problem p = {0};
    if (import_open(path, &f, &p) != STATUS_OK)
        return cli_problem(c, path, &p, CLI_REFUSED);
    struct import_pools all = {.pool = json_array(),
                               .owner = json_object(),
                               .above = json_object(),
                               .budget = json_object()};
    reader *read = reader_of(format, f.root);
    int code = CLI_REFUSED;
    if (all.pool && all.owner && all.above && all.budget && import_report_init(&all.report)) {
        import_root(&all.report, f.root, NULL);
        read(&all, f.root);
        finish(&all);
        bool some = json_array_size(all.pool) > 0;
        code = !some ? CLI_REFUSED : into ? import_pools_into(c, &all, into) : CLI_OK;
        if (code != CLI_CONFIG)
            account(c, &all, into);
        if (!some)
            fprintf(stderr, "purser pools import: %s: no budget in it that a pool can hold\n",
                    path);
    }
    import_report_free(&all.report);
    json_decref(all.pool);
    json_decref(all.owner);
    json_decref(all.above);
    json_decref(all.budget);
    import_close(&f);
    return code;
}

int cli_pools_import(struct cli *c)
{
    const char *format = cli_option(c, "--format"), *into = cli_option(c, "--into"),
               *path = cli_operand(c);
    if (format && strcmp(format, "litellm") != 0 && strcmp(format, "bifrost") != 0 &&
        strcmp(format, "tensorzero") != 0)
        return cli_usage(c, "--format is litellm, bifrost or tensorzero");
    if (!path)
        return cli_usage(c, "FILE is needed: budgets as JSON");
    if (into && c->json && strcmp(into, "-") == 0)
        return cli_usage(c, "--into - and --json both want the output");
    return cli_end(c) ? import(c, path, format, into) : CLI_USAGE;
}
