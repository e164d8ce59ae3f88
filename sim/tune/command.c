/* SPDX-License-Identifier: MIT */
/*
 * purser-sim tune. What is written is the file of --config with the settings that moved, or,
 * without one, the whole configuration; nothing, when nothing is better.
 */
#include "sim/tune/command.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/config/config.h"
#include "sim/background.h"
#include "sim/commands.h"
#include "sim/setup.h"
#include "sim/tune/tune.h"
#include "store/whole.h"

enum { ROOM = 1 << 22, PATCH = 4096, SEEDS = 2, TRIALS = 32, BAR = 24 };
static const double SPLIT = 0.7;

static void show(double done, double seconds_left)
{
    static int shown = -1;
    bool tty = isatty(STDERR_FILENO);
    char bar[BAR + 1] = "";
    int percent = (int)(100 * done);
    if (percent == shown)
        return;
    shown = percent;
    memset(bar, '.', BAR);
    memset(bar, '#', (size_t)(done * BAR));
    fprintf(stderr, "%s[%s] %3d%%, %.0f s left%s", tty ? "\r" : "", bar, percent, seconds_left,
            tty && done < 1 ? "   " : "\n");
}

/* ---- the configuration that is written ---- */

/* The settings that moved, over the file they came from. */
static char *patched(const char *path, const char *patch, struct problem *problem)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error), *moved = json_loads(patch, 0, NULL);
    char *out = NULL;
    if (root == NULL || moved == NULL || json_object_update_recursive(root, moved) != 0)
        (void)problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", path,
                          root == NULL ? error.text : "out of memory");
    else
        out = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    json_decref(root);
    json_decref(moved);
    return out;
}

static char *rendered(const struct params *p, struct problem *problem)
{
    char *out = malloc(CONFIG_MAX);
    if (out == NULL || config_render(p, out, CONFIG_MAX) == 0) {
        (void)problem_set(problem, STATUS_INTERNAL, "", "out of memory");
        free(out);
        return NULL;
    }
    return out;
}

static enum status write_config(const struct options *o, const struct params *current,
                                const struct tune_report *r, struct problem *problem)
{
    const struct tune_point *point = &r->trial[r->best].point;
    char patch[PATCH];
    struct text t = text_over(patch, sizeof patch);
    struct params *p = malloc(sizeof *p);
    if (p == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    *p = *current;
    tune_point_apply(point, p);
    tune_point_patch(&t, p, point, &r->trial[0].point);
    char *text = o->config ? patched(o->config, patch, problem) : rendered(p, problem);
    free(p);
    struct whole file;
    enum status s = text != NULL ? whole_begin(&file, o->write, problem) : STATUS_BAD_REQUEST;
    if (s == STATUS_OK)
        fprintf(file.f, "%s\n", text);
    if (text != NULL)
        s = whole_end(&file, s, problem);
    free(text);
    return s;
}

/* ---- the search ---- */

static enum status tell(const struct options *o, const char *source, const struct params *current,
                        const struct tune_report *r, struct problem *problem)
{
    char *room = malloc(ROOM);
    if (room == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    struct text t = text_over(room, ROOM);
    if (o->json)
        tune_json(&t, source, current, r);
    else
        tune_text(&t, source, r);
    fputs(t.at, stdout);
    free(room);
    if (o->write == NULL)
        return STATUS_OK;
    enum status s = r->better ? write_config(o, current, r, problem) : STATUS_OK;
    if (s == STATUS_OK)
        fprintf(stderr, "purser-sim: %s: %s\n", o->write, r->better ? "written" : "not written");
    return s;
}

static int search(const struct options *o, const char *name, const struct tune_source *source)
{
    struct problem problem = {0};
    struct tune_report r = {0};
    const struct tune_ask ask = {.trials = o->trials > 0 ? (int)o->trials : TRIALS,
                                 .seed = (uint64_t)o->first_seed,
                                 .crew = command_crew(o),
                                 .progress = isatty(STDERR_FILENO) || o->progress ? show : NULL};
    enum status s = tune_search(source, &ask, &r, &problem);
    if (s == STATUS_OK)
        s = tell(o, name, source->current, &r, &problem);
    int code = s != STATUS_OK ? command_fail(&problem) : r.better ? EXIT_SUCCESS : EXIT_GATE;
    tune_free(&r);
    return code;
}

int tune_table_command(const struct options *o, const struct table *t, const struct params *p)
{
    struct problem problem = {0};
    struct tune_table table = {.table = t,
                               .given_order = o->given_order,
                               .delay = o->delay,
                               .seeds = o->seeds_given ? (int)o->seeds : SEEDS,
                               .first_seed = (uint64_t)o->first_seed,
                               .current = p};
    if (table.seeds > PASSES_MAX / LATER_TIMES)
        return options_refuse("tune takes at most 100 --seeds", NULL);
    enum status s = tune_table_init(&table, o->split > 0 ? o->split : SPLIT, &problem);
    const struct tune_source source = {.current = p,
                                       .rows = t->n,
                                       .still = table.still,
                                       .passes = {table.seeds, table.seeds * LATER_TIMES},
                                       .score = tune_table_score,
                                       .ctx = &table};
    int code = s == STATUS_OK ? search(o, o->dir, &source) : command_fail(&problem);
    tune_table_fini(&table);
    return code;
}

int tune_store_command(const struct options *o)
{
    struct problem problem = {0};
    struct tune_log log;
    if (!o->full_speed)
        background_run(o->store); /* a live service comes first */
    enum status s = tune_log_init(&log, o->store, o->split > 0 ? o->split : SPLIT, &problem);
    if (s == STATUS_OK && o->config != NULL)
        s = setup_file(log.now, o->config, &problem);
    for (int i = 0; s == STATUS_OK && i < o->n_sets; i++)
        s = setup_set(log.now, o->set[i], &problem);
    const struct tune_source source = {.current = log.now,
                                       .rows = log.rows,
                                       .still = log.still,
                                       .score = tune_log_score,
                                       .ctx = &log};
    int code = s == STATUS_OK ? search(o, o->store, &source) : command_fail(&problem);
    tune_log_fini(&log);
    return code;
}
