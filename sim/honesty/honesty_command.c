/* SPDX-License-Identifier: MIT */
/* purser-sim honesty: previews held against what came of the changes. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "core/config/config.h"
#include "sim/commands.h"
#include "sim/honesty/honesty.h"
#include "sim/setup.h"
#include "sim/world/world.h"

enum { CHANGES = 40, ROWS = 5000, PARTS = 5 }; /* of five parts the first three are learned */

static const char *const metric_name[HONEST_METRICS] = {"quality", "cost_usd"};
static const char *const shown[HONEST_METRICS] = {"quality", "$ per 1000 requests"};
static const double scale[HONEST_METRICS] = {1, 1000};

static void tell_json(const struct honest_change *c, int n)
{
    printf("{\"changes\":[");
    for (int i = 0; i < n; i++) {
        printf("%s{\"cost\":[%.6g,%.6g],\"failure\":[%.6g,%.6g],\"moved\":%.6g,\"ess\":%.6g",
               i ? "," : "", c[i].cost[0], c[i].cost[1], c[i].failure[0], c[i].failure[1],
               c[i].moved, c[i].ess);
        for (int m = 0; m < HONEST_METRICS; m++) {
            const struct honest_line *l = &c[i].line[m];
            printf(",\"%s\":{\"predicted\":%.9g,\"low\":%.9g,\"high\":%.9g,\"realised\":%.9g,"
                   "\"enough\":%s}",
                   metric_name[m], l->predicted, l->low, l->high, l->realised,
                   l->enough ? "true" : "false");
        }
        printf("}");
    }
    printf("]}\n");
}

static void tell_table(const struct honest_change *c, int n)
{
    printf("%9s %9s %7s %7s | %9s %9s %9s %9s | %9s %9s %9s %9s\n", "cost was", "is", "moved",
           "ess", "quality", "low", "high", "realised", "$/1000", "low", "high", "realised");
    for (int i = 0; i < n; i++) {
        printf("%9.4f %9.4f %6.1f%% %7.0f", c[i].cost[0], c[i].cost[1], 100 * c[i].moved, c[i].ess);
        for (int m = 0; m < HONEST_METRICS; m++) {
            const struct honest_line *l = &c[i].line[m];
            bool in = l->low <= l->realised && l->realised <= l->high;
            printf(" | %+9.4f %+9.4f %+9.4f %+9.4f%s", l->predicted * scale[m], l->low * scale[m],
                   l->high * scale[m], l->realised * scale[m],
                   !l->enough ? "?"
                   : in       ? " "
                              : "!");
        }
        putchar('\n');
    }
    printf("\n");
    for (int m = 0; m < HONEST_METRICS; m++)
        for (int all = 0; all < 2; all++) {
            struct honest_score s = honesty_score(c, n, m, all);
            printf("%-20s %-28s %3d of %3d within the interval, error %.4f, width %.4f\n", shown[m],
                   all ? "all" : "where there was evidence", s.within, s.n, s.error * scale[m],
                   s.width * scale[m]);
        }
}

/* A table of a folder, or a world of this name with as many rows as are needed. */
static enum status get_table(const char *where, size_t rows, struct world *w,
                             struct problem *problem)
{
    struct stat st;
    if (stat(where, &st) == 0 && S_ISDIR(st.st_mode))
        return table_load(where, &w->table, problem);
    struct world_spec *spec = malloc(sizeof *spec);
    enum status s = spec ? world_load(where, "", spec, problem)
                         : problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    if (s == STATUS_OK) {
        spec->requests = (int64_t)(PARTS * rows);
        s = world_make(spec, 0, w, problem);
    }
    free(spec);
    return s;
}

static enum status set_up(const struct options *o, const struct table *t, struct params *p,
                          struct problem *problem)
{
    params_default(p);
    enum status s = setup_pool(p, t, problem);
    if (s == STATUS_OK && o->config)
        s = setup_file(p, o->config, problem);
    for (int i = 0; s == STATUS_OK && i < o->n_sets; i++)
        s = setup_set(p, o->set[i], problem);
    return s == STATUS_OK ? setup_check(p, t, problem) : s;
}

int honesty_command(const struct options *o, const char *where)
{
    struct problem problem = {0};
    struct world w = {0};
    struct params *p = calloc(1, sizeof *p);
    int n = o->seeds_given ? (int)o->seeds : CHANGES;
    struct honest_change *c = calloc((size_t)n, sizeof *c);
    size_t rows = o->rows_given ? (size_t)o->rows : ROWS;
    enum status s = p && c ? get_table(where, rows, &w, &problem)
                           : problem_set(&problem, STATUS_UNAVAILABLE, "", "out of memory");
    if (s == STATUS_OK && !o->rows_given && w.table.n < PARTS * rows)
        rows = w.table.n / PARTS;
    if (s == STATUS_OK)
        s = set_up(o, &w.table, p, &problem);
    struct honesty h = {.table = &w.table,
                        .params = p,
                        .warm = (PARTS - 2) * rows,
                        .rows = rows,
                        .labelled = o->split > 0 ? o->split : 1,
                        .changes = n,
                        .seed = (uint64_t)o->first_seed,
                        .crew = command_crew(o)};
    if (s == STATUS_OK)
        s = honesty_run(&h, c, &problem);
    if (s == STATUS_OK)
        (o->json ? tell_json : tell_table)(c, n);
    world_free(&w);
    free(c);
    free(p);
    return s == STATUS_OK ? EXIT_SUCCESS : command_fail(&problem);
}
