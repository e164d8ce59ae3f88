/* SPDX-License-Identifier: MIT */
/*
 * purser models import: prices from a list into a configuration file or a running service. What
 * would not be a configuration is not written, and a file is replaced as a whole or not at all; of
 * a service's models only the prices are sent, by the op that `purser models set` uses.
 */
#include "transport/cli/cli_import_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/config/config.h"

enum { SHOWN_MAX = 200 };

/* ---- where it goes */

static json_t *standard_tiers(const json_t *config)
{
    json_t *tiers = json_object_get(config, "tiers");
    return tiers ? json_incref(tiers) : json_pack("[s,s,s]", "small", "medium", "large");
}

/* What is there: in the service, in the file, or nothing. */
static int read_there(struct import *im)
{
    int code = CLI_OK;
    struct problem p = {0};
    if (im->apply) {
        json_t *reply = cli_control(im->cli, "config.get", &code);
        const json_t *config = json_object_get(reply, "config");
        im->there = json_incref(json_object_get(config, "models"));
        im->tiers = standard_tiers(config);
        json_decref(reply);
        return code;
    }
    if (im->into && (code = import_into_open(im->cli, im->into, &im->file)) != CLI_OK)
        return code;
    im->there = json_incref(json_object_get(im->file.root, "models"));
    im->tiers = standard_tiers(im->file.root);
    if (json_array_size(im->there) <= MODELS_MAX)
        return CLI_OK;
    problem_set(&p, STATUS_TOO_LARGE, "/models", "more than %d models", MODELS_MAX);
    return cli_problem(im->cli, im->into, &p, CLI_CONFIG);
}

/* Writes the prices of model number i into the text (taken). */
static char *with_prices(char *text, size_t i, const json_t *model)
{
    for (int k = 0; text && k <= PRICE_KEYS; k++) {
        const char *key = k < PRICE_KEYS ? import_price_key[k] : "prices";
        struct import_span models, at;
        const json_t *price = json_object_get(model, key);
        if (price && import_member(text, import_whole(text), "models", &models) &&
            import_item(text, models, i, &at))
            text = import_edit(text, at, key, price);
    }
    return text;
}

/* The configuration with the changed models in it: only their prices differ from the file. */
static char *config_text(const struct import *im)
{
    size_t i;
    json_t *m;
    struct import_span models;
    char *text = import_array(&im->file, "models");
    json_array_foreach(im->changed, i, m)
    {
        size_t at = import_model_index(im->there, cli_text(m, "name"));
        if (at < json_array_size(im->there))
            text = with_prices(text, at, m);
        else if (text && import_member(text, import_whole(text), "models", &models))
            text = import_edit(text, models, NULL, m);
    }
    return text;
}

static int write_config(struct import *im)
{
    return import_into_write(im->cli, im->into, config_text(im), json_array_size(im->changed) > 0);
}

/* Of known models the prices only: what the operator set meanwhile is not put back. */
static json_t *patch_of(const struct import *im)
{
    json_t *patch = json_array(), *m;
    size_t i;
    json_array_foreach(im->changed, i, m)
    {
        json_t *one = json_object();
        json_object_set(one, "name", json_object_get(m, "name"));
        for (int k = 0; k <= PRICE_KEYS; k++) {
            const char *key = k < PRICE_KEYS ? import_price_key[k] : "prices";
            if (json_object_get(m, key))
                json_object_set(one, key, json_object_get(m, key));
        }
        bool known = import_find_model(im->there, cli_text(m, "name")) != NULL;
        json_array_append(patch, known ? one : m);
        json_decref(one);
    }
    return patch;
}

static int apply(struct import *im)
{
    int code = CLI_OK;
    char reason[200];
    if (json_array_size(im->changed) == 0)
        return CLI_OK;
    snprintf(reason, sizeof reason, "prices of %.10s from %.150s", im->as_of, im->path);
    json_t *m = json_pack("{s:i,s:s,s:o,s:s}", "v", 1, "op", "models.set", "models", patch_of(im),
                          "reason", im->reason ? im->reason : reason);
    json_decref(cli_call(im->cli, PURSER_CLIENT_CONTROL, m, &code));
    return code;
}

/* ---- the account */

static int64_t count(const struct import *im, const char *change)
{
    int64_t n = 0;
    size_t i;
    json_t *t;
    json_array_foreach(im->told, i, t) n += strcmp(cli_text(t, "change"), change) == 0;
    return n;
}

static void print_rows(const struct import *im, FILE *to)
{
    size_t i, n = json_array_size(im->told);
    json_t *t;
    if (n == 0 || n > SHOWN_MAX)
        return;
    fprintf(to, "%-40s %12s %12s %12s\n", "model", "$/Mtok in", "cached", "out");
    json_array_foreach(im->told, i, t)
    {
        char cached[32] = "-";
        if (json_object_get(t, "usd_per_mtok_cached_in"))
            snprintf(cached, sizeof cached, "%.6g", cli_real(t, "usd_per_mtok_cached_in"));
        fprintf(to, "%-40s %12.6g %12s %12.6g  %s", cli_text(t, "name"),
                cli_real(t, "usd_per_mtok_in"), cached, cli_real(t, "usd_per_mtok_out"),
                cli_text(t, "change"));
        if (strcmp(cli_text(t, "change"), "repriced") == 0)
            fprintf(to, ", was %g/%g", cli_real(t, "was_in"), cli_real(t, "was_out"));
        fputc('\n', to);
    }
}

static void account(const struct import *im)
{
    const char *format = im->list.format == PRICES_LITELLM ? "litellm" : "genai-prices";
    FILE *to = im->into && strcmp(im->into, "-") == 0 ? stderr : stdout;
    if (im->json) {
        json_t *all = json_pack("{s:s,s:s,s:i,s:O,s:O}", "format", format, "as_of", im->as_of,
                                "rows", im->list.n, "models", im->told, "report", im->report.line);
        cli_print_json(all);
        json_decref(all);
        return;
    }
    print_rows(im, to);
    fprintf(to, "%s, %d rows, prices of %s: %lld new, %lld repriced, %lld the same, %d refused%s\n",
            format, im->list.n, im->as_of, (long long)count(im, "new"),
            (long long)count(im, "repriced"), (long long)count(im, "same"),
            im->report.count[IMPORT_REFUSED],
            im->into || im->apply ? "" : " (nothing written: --into FILE or --apply)");
    import_report_print(&im->report, to);
}

/* ---- the command */

static bool read_date(struct import *im)
{
    const char *s = cli_option(im->cli, "--as-of");
    struct tm t = {0};
    time_t now = time(NULL);
    if (!s) {
        gmtime_r(&now, &t);
        return strftime(im->as_of, sizeof im->as_of, "%Y-%m-%d", &t) == 10;
    }
    const char *end = strptime(s, "%Y-%m-%d", &t);
    snprintf(im->as_of, sizeof im->as_of, "%s", s);
    return end && *end == '\0' && strlen(s) == 10;
}

static bool read_map(struct import *im)
{
    for (const char *s; (s = cli_option(im->cli, "--map"));) {
        const char *eq = strchr(s, '=');
        char name[256];
        if (!eq || eq == s || !eq[1] || eq - s >= (int)sizeof name)
            return false;
        snprintf(name, sizeof name, "%.*s", (int)(eq - s), s);
        json_object_set_new(im->map, name, json_string(eq + 1));
    }
    return true;
}

static int read_options(struct import *im, enum price_format *format)
{
    struct cli *c = im->cli;
    const char *f = cli_option(c, "--format");
    im->models = cli_option(c, "--models");
    im->match = cli_option(c, "--match");
    im->provider = cli_option(c, "--provider");
    im->into = cli_option(c, "--into");
    im->tier = cli_option(c, "--tier");
    im->reason = cli_option(c, "--reason");
    im->apply = cli_flag(c, "--apply");
    im->add = cli_flag(c, "--add");
    im->free_too = cli_flag(c, "--free");
    im->json = c->json;
    *format = !f || strcmp(f, "auto") == 0     ? PRICES_AUTO
              : strcmp(f, "litellm") == 0      ? PRICES_LITELLM
              : strcmp(f, "genai-prices") == 0 ? PRICES_GENAI
                                               : (enum price_format) - 1;
    if (*format == (enum price_format) - 1)
        return cli_usage(c, "--format is litellm, genai-prices or auto");
    if (!read_date(im))
        return cli_usage(c, "--as-of is a day, such as 2026-09-01");
    if (!read_map(im))
        return cli_usage(c, "--map is NAME_IN_LIST=NAME");
    if (im->apply && im->into)
        return cli_usage(c, "--into a file, or --apply to the service, not both");
    if (im->add && !im->apply)
        return cli_usage(c, "--add is of --apply");
    if (im->json && im->into && strcmp(im->into, "-") == 0)
        return cli_usage(c, "--into - and --json both want the output");
    return CLI_OK;
}

static int import(struct import *im, enum price_format format)
{
    struct problem p = {0};
    int code = read_there(im);
    if (code != CLI_OK)
        return code;
    if (price_list_open(im->path, format, &im->list, &im->report, &p) != STATUS_OK)
        return cli_problem(im->cli, im->path, &p, CLI_REFUSED);
    int unreadable = im->report.count[IMPORT_REFUSED]; /* rows that nobody may have asked for */
    if (!import_choose(im)) {
        (void)problem_set(&p, STATUS_UNAVAILABLE, "", "out of memory");
        return cli_problem(im->cli, im->path, &p, CLI_REFUSED);
    }
    import_merge(im);
    size_t n = json_array_size(im->there) + (size_t)count(im, "new");
    if (im->into && n > MODELS_MAX) {
        problem_set(&p, STATUS_TOO_LARGE, "/models",
                    "%zu models, at most %d are allowed: choose with --models, --match, --provider",
                    n, MODELS_MAX);
        return cli_problem(im->cli, im->into, &p, CLI_REFUSED);
    }
    code = im->apply ? apply(im) : im->into && n > 0 ? write_config(im) : CLI_OK;
    if (code != CLI_OK)
        return code;
    account(im);
    bool asked = im->models || json_object_size(im->map) > 0;
    bool all = !asked || im->report.count[IMPORT_REFUSED] == unreadable;
    return all && json_array_size(im->told) > 0 ? CLI_OK : CLI_REFUSED;
}

int cli_models_import(struct cli *c)
{
    struct import im = {
        .cli = c, .map = json_object(), .changed = json_array(), .told = json_array()};
    enum price_format format;
    int code = read_options(&im, &format);
    if (code == CLI_OK && im.apply)
        code = cli_connect(c);
    im.path = cli_operand(c);
    if (code == CLI_OK && !im.path)
        code = cli_usage(c, "FILE is needed: a price list");
    if (code == CLI_OK && !cli_end(c))
        code = CLI_USAGE;
    if (code == CLI_OK && (!im.map || !im.changed || !im.told || !import_report_init(&im.report)))
        code = CLI_REFUSED;
    if (code == CLI_OK)
        code = import(&im, format);
    json_t *own[] = {im.there, im.tiers, im.map, im.changed, im.told};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        json_decref(own[i]);
    price_list_close(&im.list);
    import_report_free(&im.report);
    import_close(&im.file);
    return code;
}
