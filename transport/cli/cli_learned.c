/* SPDX-License-Identifier: MIT */
/*
 * purser learned: what the models were found to be, out of one store and into another, as a file
 * that anybody can read. A model at a time, so a service goes on deciding meanwhile; each is whole,
 * and says when it was so. An import that stopped half-way is repeated under its name: what is in
 * already does not come in again.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/encoding/json.h"
#include "core/router/router.h"
#include "store/db.h"
#include "store/whole.h"
#include "transport/cli/cli.h"
#include "transport/control/control_learned.h"
#include "transport/learned_doc.h"

#ifndef PURSER_VERSION
#define PURSER_VERSION "0.1.0"
#endif

enum { MAPS_MAX = MODELS_MAX };

/* Whom learned.get is asked of: a service, or a store that was folded. */
struct source {
    struct cli *cli;
    struct router *router; /* NULL: the service */
    struct db *db;
};

static json_t *ask_store(const struct source *s, json_t *message, int *code)
{
    struct outbuf out = {0};
    struct problem p = {0};
    json_t *reply = NULL;
    enum status st = control_learned_get(s->router, db_store_id(s->db), message, &out, &p);
    if (st == STATUS_OK)
        reply = json_loadb(out.text.at, out.text.len, 0, NULL);
    *code = reply ? CLI_OK : cli_problem(s->cli, "store", &p, CLI_REFUSED);
    outbuf_fini(&out);
    json_decref(message);
    return reply;
}

static json_t *ask(const struct source *s, const char *tenant, const char *model, int *code)
{
    json_t *m = json_pack("{s:i,s:s}", "v", 1, "op", "learned.get");
    if (tenant)
        json_object_set_new(m, "tenant", json_string(tenant));
    if (model)
        json_object_set_new(m, "model", json_string(model));
    return s->router ? ask_store(s, m, code) : cli_call(s->cli, PURSER_CLIENT_CONTROL, m, code);
}

static int open_source(struct source *s, const char *dir)
{
    struct problem p = {0};
    struct db_options o = {.read_only = true};
    struct router_init init;
    if (!dir)
        return cli_connect(s->cli);
    if (db_open(dir, &o, &s->db, &p) != STATUS_OK)
        return cli_problem(s->cli, dir, &p, CLI_REFUSED);
    db_init(s->db, &init);
    init.max_open = 1; /* the log says how many */
    s->router = router_new(&init);
    enum status st = s->router ? db_recover(s->db, GENERATION_CURRENT, 0, s->router, NULL, NULL, &p)
                               : problem_set(&p, STATUS_UNAVAILABLE, "", "out of memory");
    return st == STATUS_OK ? CLI_OK : cli_problem(s->cli, dir, &p, CLI_REFUSED);
}

static void close_source(struct source *s)
{
    router_free(s->router);
    if (s->db)
        db_close(s->db);
}

/* ---- export ---- */

static int gather(struct source *s, const char *tenant, json_t **doc)
{
    int code;
    json_t *summary = ask(s, tenant, NULL, &code);
    if (!summary)
        return code;
    *doc = learned_doc_new(summary, "purser " PURSER_VERSION);
    const json_t *names = json_object_get(summary, "models");
    bool ok = *doc != NULL;
    for (size_t i = 0; ok && code == CLI_OK && i < json_array_size(names); i++) {
        json_t *model = ask(s, tenant, json_string_value(json_array_get(names, i)), &code);
        ok = !model || learned_doc_add(*doc, model);
        json_decref(model);
    }
    json_decref(summary);
    if (!ok)
        fprintf(stderr, "purser learned: the answer cannot be read: the service is another version "
                        "of purser, or memory is short\n");
    return ok ? code : CLI_REFUSED;
}

static int write_out(const struct cli *c, const char *path, const json_t *doc)
{
    bool to_stdout = !path || strcmp(path, "-") == 0;
    struct whole file = {.f = NULL};
    struct problem problem = {0};
    enum status s = to_stdout ? STATUS_OK : whole_begin(&file, path, &problem);
    FILE *f = to_stdout ? stdout : file.f;
    if (s == STATUS_OK && (json_dumpf(doc, f, JSON_COMPACT) != 0 || fputc('\n', f) == EOF))
        s = problem_set(&problem, STATUS_INTERNAL, "", "%s: cannot be written: %s",
                        to_stdout ? "standard output" : path, strerror(errno));
    s = whole_end(&file, s, &problem);
    if (s != STATUS_OK)
        fprintf(stderr, "purser %s: %s\n", c->command, problem.text);
    else if (!to_stdout)
        fprintf(stderr, "%s: %zu models as of record %" PRId64 "\n", path,
                json_array_size(json_object_get(doc, "models")),
                (int64_t)json_integer_value(json_object_get(doc, "seq")));
    return s == STATUS_OK ? CLI_OK : CLI_REFUSED;
}

static int export(struct cli *c)
{
    const char *dir = cli_option(c, "--data"), *out = cli_option(c, "--out"),
               *tenant = cli_option(c, "--tenant");
    struct source s = {.cli = c};
    json_t *doc = NULL;
    int code = dir ? CLI_OK : cli_connect(c);
    if (code != CLI_OK)
        return code;
    if (!cli_end(c))
        return CLI_USAGE;
    if (dir)
        code = open_source(&s, dir);
    if (code == CLI_OK)
        code = gather(&s, tenant, &doc);
    if (code == CLI_OK)
        code = write_out(c, out, doc);
    json_decref(doc);
    close_source(&s);
    return code;
}

/* ---- import ---- */

struct taking {
    struct cli *cli;
    json_t *doc, *terms; /* of every message */
    const char *old_name[MAPS_MAX], *new_name[MAPS_MAX];
    int n_map;
    bool replace, dry;
    int taken, duplicate, skipped;
};

static const char *mapped(const struct taking *t, const char *name)
{
    for (int i = 0; i < t->n_map; i++)
        if (strcmp(t->old_name[i], name) == 0)
            return t->new_name[i];
    return name;
}

static bool add_map(struct taking *t, char *map)
{
    char *eq = strchr(map, '=');
    if (!eq || eq == map || eq[1] == '\0' || t->n_map == MAPS_MAX)
        return cli_usage(t->cli, "--map needs NAME_IN_FILE=NAME"), false;
    *eq = '\0';
    t->old_name[t->n_map] = map;
    t->new_name[t->n_map++] = eq + 1;
    return true;
}

/* What of the features' configuration is not the same, in the words of the configuration. */
static int same_features(const struct taking *t, const json_t *summary)
{
    const json_t *theirs = json_object_get(t->doc, "features"),
                 *ours = json_object_get(summary, "features");
    const char *a = json_string_value(json_object_get(t->doc, "schema")),
               *b = json_string_value(json_object_get(summary, "schema"));
    if (json_equal(theirs, ours) && b && strcmp(a, b) == 0)
        return CLI_OK;
    fprintf(stderr, "purser learned: the file is about other features than those in force\n");
    json_t *walk = (json_t *)(uintptr_t)theirs; /* jansson's iterators take no const */
    for (void *i = json_object_iter(walk); i; i = json_object_iter_next(walk, i)) {
        const char *key = json_object_iter_key(i);
        const json_t *here = json_object_get(ours, key), *there = json_object_iter_value(i);
        if (json_equal(there, here))
            continue;
        char *x = json_dumps(there, JSON_ENCODE_ANY), *y = json_dumps(here, JSON_ENCODE_ANY);
        fprintf(stderr, "  /features/%s: %s in the file, %s here\n", key, x ? x : "none",
                y ? y : "none");
        free(x);
        free(y);
    }
    if (json_equal(theirs, ours))
        fprintf(stderr, "  the lens: %s in the file, %s here\n",
                cli_text(t->doc, "lens")[0] ? cli_text(t->doc, "lens") : "none",
                cli_text(summary, "lens")[0] ? cli_text(summary, "lens") : "none");
    fprintf(stderr, "Make them the same (purser config set features/..., purser lens set) and "
                    "import before it decides.\n");
    return CLI_REFUSED;
}

static bool has(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0)
            return true;
    return false;
}

/* Sends one message that is terms and what is given (takes). */
static int send_one(struct taking *t, json_t *what, const char *name)
{
    int code = CLI_OK;
    json_object_update(what, t->terms);
    json_t *reply = cli_call(t->cli, PURSER_CLIENT_CONTROL, what, &code);
    bool twice = strcmp(cli_text(reply, "status"), "duplicate") == 0;
    t->taken += reply && !twice;
    t->duplicate += twice;
    if (reply && !t->cli->json)
        printf("%s: %s\n", name, twice ? "was in already" : "taken in");
    json_decref(reply);
    return code;
}

static const json_t *model_of(const struct taking *t, size_t i)
{
    return json_array_get(json_object_get(t->doc, "models"), i);
}

static int take_model(struct taking *t, size_t i, const json_t *names)
{
    const char *name;
    json_t *parts;
    struct problem p = {0};
    if (learned_doc_model(t->doc, i, &name, &parts, &p) != STATUS_OK)
        return cli_problem(t->cli, "file", &p, CLI_REFUSED);
    const char *here = mapped(t, name);
    int code = CLI_OK;
    if (!has(names, here)) {
        fprintf(stderr, "%s: there is no model of this name here: skipped (--map %s=NAME)\n", here,
                name);
        t->skipped++;
    } else if (t->dry) {
        printf("%s: %.0f graded answers\n", here,
               cli_real(json_object_get(model_of(t, i), "quality"), "rows"));
    } else {
        json_t *m = json_pack("{s:s,s:O}", "model", here, "parts", parts);
        json_object_set(m, "as_of_ms", json_object_get(model_of(t, i), "time_ms"));
        code = send_one(t, m, here);
    }
    json_decref(parts);
    return code;
}

/* Graded answers that are known from this very import: it stopped half-way, and is repeated. */
static double rows_in(const struct taking *t, const json_t *summary)
{
    const json_t *imports = json_object_get(summary, "imports"), *one;
    double share = cli_real(t->terms, "share"), rows = 0;
    for (size_t k = 0; (one = json_array_get(imports, k)) != NULL; k++) {
        if (strcmp(cli_text(one, "import"), cli_text(t->terms, "import")) != 0)
            continue;
        for (size_t i = 0; model_of(t, i); i++)
            if (has(json_object_get(one, "models"), mapped(t, cli_text(model_of(t, i), "name"))))
                rows += floor(share * cli_real(json_object_get(model_of(t, i), "quality"), "rows") +
                              0.5);
    }
    return rows;
}

/* The prior that all models share comes along where nothing else is known. */
static int take_prior(struct taking *t, const json_t *summary)
{
    json_t *prior;
    struct problem p = {0};
    bool empty = cli_real(summary, "labels") <= rows_in(t, summary);
    if (learned_doc_prior(t->doc, &prior, &p) != STATUS_OK)
        return cli_problem(t->cli, "file", &p, CLI_REFUSED);
    if (!prior || t->dry || cli_text(summary, "tenant")[0] || !(empty || t->replace)) {
        json_decref(prior);
        return CLI_OK;
    }
    json_t *m = json_pack("{s:o}", "prior", prior);
    json_object_set(m, "as_of_ms", json_object_get(t->doc, "time_ms"));
    return send_one(t, m, "what models have in common");
}

static int take_all(struct taking *t)
{
    struct source s = {.cli = t->cli};
    int code;
    json_t *summary = ask(&s, json_string_value(json_object_get(t->terms, "tenant")), NULL, &code);
    if (!summary)
        return code;
    const json_t *names = json_object_get(summary, "models");
    size_t n = json_array_size(json_object_get(t->doc, "models"));
    code = same_features(t, summary);
    for (size_t i = 0; code == CLI_OK && i < n; i++)
        code = take_model(t, i, names);
    if (code == CLI_OK && t->skipped == (int)n) {
        fprintf(stderr, "purser learned: no model of the file is here: nothing was taken in\n");
        code = CLI_REFUSED;
    }
    if (code == CLI_OK)
        code = take_prior(t, summary);
    if (code == CLI_OK && !t->dry && t->cli->json)
        printf("{\"taken\":%d,\"duplicate\":%d,\"skipped\":%d}\n", t->taken, t->duplicate,
               t->skipped);
    json_decref(summary);
    return code;
}

static int read_doc(struct taking *t, const char *path)
{
    json_error_t e;
    struct problem p = {0};
    t->doc = strcmp(path, "-") == 0 ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &e)
                                    : json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    if (!t->doc) {
        fprintf(stderr, "purser %s: %s: line %d: %s\n", t->cli->command, path, e.line, e.text);
        return CLI_REFUSED;
    }
    if (learned_doc_check(t->doc, &p) != STATUS_OK)
        return cli_problem(t->cli, path, &p, CLI_REFUSED);
    return CLI_OK;
}

static int set_terms(struct taking *t, const char *name, const char *tenant, const char *reason,
                     double share)
{
    char made[NAME_CAP];
    (void)snprintf(made, sizeof made, "%.32s-%" PRId64, cli_text(t->doc, "store_id"),
                   (int64_t)json_integer_value(json_object_get(t->doc, "seq")));
    t->terms =
        json_pack("{s:i,s:s,s:s,s:O,s:f}", "v", 1, "op", "learned.set", "import",
                  name ? name : made, "schema", json_object_get(t->doc, "schema"), "share", share);
    if (tenant)
        json_object_set_new(t->terms, "tenant", json_string(tenant));
    if (t->replace)
        json_object_set_new(t->terms, "replace", json_true());
    if (reason)
        json_object_set_new(t->terms, "reason", json_string(reason));
    if (!t->dry && !t->cli->json)
        printf("import %s (purser learned undo takes it back)\n", name ? name : made);
    return t->terms ? CLI_OK : CLI_REFUSED;
}

static int import(struct cli *c)
{
    const char *name = cli_option(c, "--name"), *tenant = cli_option(c, "--tenant"),
               *reason = cli_option(c, "--reason");
    struct taking t = {
        .cli = c, .replace = cli_flag(c, "--replace"), .dry = cli_flag(c, "--dry-run")};
    double share = 1;
    bool present;
    for (const char *map = cli_option(c, "--map"); map; map = cli_option(c, "--map"))
        if (!add_map(&t, (char *)(uintptr_t)map)) /* an argument of ours */
            return CLI_USAGE;
    if (!cli_number(c, "--share", &share, &present))
        return CLI_USAGE;
    int code = cli_connect(c);
    if (code != CLI_OK)
        return code;
    const char *path = cli_operand(c);
    if (!path)
        return cli_usage(c, "a FILE that purser learned export wrote is needed");
    if (!cli_end(c))
        return CLI_USAGE;
    if (!(share > 0 && share <= 1))
        return cli_usage(c, "--share is above 0, at most 1: what a row of the file counts");
    if (name && !json_name_ok(name))
        return cli_usage(c, "--name is 1 to 64 of A-Z a-z 0-9 . _ : / @ -");
    code = read_doc(&t, path);
    if (code == CLI_OK)
        code = set_terms(&t, name, tenant, reason, share);
    if (code == CLI_OK)
        code = take_all(&t);
    json_decref(t.terms);
    json_decref(t.doc);
    return code;
}

/* ---- what is in, and out again ---- */

static int undo_one(struct cli *c, json_t *terms, const char *model, int *undone)
{
    int code = CLI_OK;
    json_t *m = json_copy(terms);
    if (model)
        json_object_set_new(m, "model", json_string(model));
    json_t *reply = cli_call(c, PURSER_CLIENT_CONTROL, m, &code);
    if (reply && strcmp(cli_text(reply, "status"), "taken_back") == 0) {
        ++*undone;
        printf("%s: taken back\n", model ? model : "what models have in common");
    }
    json_decref(reply);
    return code;
}

static int undo(struct cli *c)
{
    const char *tenant = cli_option(c, "--tenant"), *reason = cli_option(c, "--reason");
    int code = cli_connect(c), undone = 0;
    if (code != CLI_OK)
        return code;
    const char *name = cli_operand(c);
    if (!name)
        return cli_usage(c, "the name of an import is needed: purser learned lists them");
    if (!cli_end(c))
        return CLI_USAGE;
    struct source s = {.cli = c};
    json_t *summary = ask(&s, tenant, NULL, &code);
    json_t *terms = json_pack("{s:i,s:s,s:s}", "v", 1, "op", "learned.undo", "import", name);
    if (tenant)
        json_object_set_new(terms, "tenant", json_string(tenant));
    if (reason)
        json_object_set_new(terms, "reason", json_string(reason));
    const json_t *names = json_object_get(summary, "models");
    for (size_t i = 0; code == CLI_OK && i < json_array_size(names); i++)
        code = undo_one(c, terms, json_string_value(json_array_get(names, i)), &undone);
    if (code == CLI_OK && !tenant)
        code = undo_one(c, terms, NULL, &undone);
    if (code == CLI_OK && undone == 0) {
        fprintf(stderr, "purser learned: nothing of an import %s is in\n", name);
        code = CLI_REFUSED;
    }
    json_decref(terms);
    json_decref(summary);
    return code;
}

static int show(struct cli *c)
{
    const char *tenant = cli_option(c, "--tenant");
    struct source s = {.cli = c};
    int code = cli_connect(c);
    if (code != CLI_OK)
        return code;
    if (!cli_end(c))
        return CLI_USAGE;
    json_t *summary = ask(&s, tenant, NULL, &code);
    if (!summary)
        return code;
    if (c->json) {
        cli_print_json(summary);
    } else {
        const json_t *in = json_object_get(summary, "imports"), *one;
        printf("%.0f graded answers learned, %.0f features (%s)\n", cli_real(summary, "labels"),
               cli_real(summary, "entries"), cli_text(summary, "schema"));
        for (size_t i = 0; (one = json_array_get(in, i)) != NULL; i++)
            printf("import %s: %zu models in\n", cli_text(one, "import"),
                   json_array_size(json_object_get(one, "models")));
    }
    json_decref(summary);
    return CLI_OK;
}

int cli_learned(struct cli *c)
{
    static const struct {
        const char *verb;
        int (*run)(struct cli *c);
    } verbs[] = {{"show", show}, {"export", export}, {"import", import}, {"undo", undo}};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (cli_flag(c, verbs[i].verb))
            return verbs[i].run(c);
    return show(c);
}
