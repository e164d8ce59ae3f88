/* SPDX-License-Identifier: MIT */
/*
 * purser-sim metrics: the field's numbers for curves that somebody else has measured. A file with
 * columns score, weak, strong is a router between two models, row by row; one with cost, quality a
 * router that can be turned, a point a line.
 */
#include "sim/metrics/command.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/text.h"
#include "sim/metrics/curve.h"

static const char help[] =
    "usage: purser-sim metrics FILE.csv [options]\n"
    "\n"
    "FILE has a header. With columns score,weak,strong (quality of either model, a request a "
    "line)\n"
    "it tells PGR, APGR and CPT of a router that sends the highest scores to the strong model; "
    "with\n"
    "cost,quality (a setting of the router a line) its hull, AIQ, AUDC and QNC.\n"
    "\n"
    "  --low C, --high C     range of costs of AIQ; default: of the file\n"
    "  --unit C              cost of the dearest model, for AUDC and QNC; default: the greatest\n"
    "  --quality Q           that of the dearest model, for QNC; default: at the greatest cost\n"
    "  --json                one JSON object\n";

enum { COLUMNS = 5, CELLS_MAX = 64, LINE_CAP = 4096 };
static const char *const column_name[COLUMNS] = {"score", "weak", "strong", "cost", "quality"};

struct columns {
    double *at[COLUMNS]; /* NULL: not in the file */
    size_t n, cap;
};

struct wish {
    const char *path;
    double low, high, unit, quality; /* NAN: of the file */
    bool json;
};

static int fail(const char *path, size_t line, const char *what)
{
    fprintf(stderr, "purser-sim metrics: %s:%zu: %s\n", path, line, what);
    return EXIT_FAILURE;
}

static int split(char *line, char *cell[CELLS_MAX])
{
    int n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *s = line; s && n < CELLS_MAX; n++) {
        char *comma = strchr(s, ',');
        cell[n] = s;
        if (comma)
            *comma++ = '\0';
        s = comma;
    }
    return n;
}

static bool grow(struct columns *c)
{
    if (c->n < c->cap)
        return true;
    c->cap = c->cap ? c->cap * 2 : 1024;
    for (int k = 0; k < COLUMNS; k++) {
        double *more = c->at[k] ? realloc(c->at[k], c->cap * sizeof *more) : NULL;
        if (c->at[k] && !more)
            return false;
        c->at[k] = more;
    }
    return true;
}

/* Which of our columns each cell of the header is; false without memory. */
static bool read_header(char *line, struct columns *c, int of[CELLS_MAX])
{
    char *cell[CELLS_MAX];
    int n = split(line, cell);
    for (int i = 0; i < CELLS_MAX; i++)
        of[i] = -1;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < COLUMNS; k++)
            if (strcmp(cell[i], column_name[k]) == 0 && !c->at[k]) {
                of[i] = k;
                c->at[k] = malloc(sizeof *c->at[k]);
                if (!c->at[k])
                    return false;
            }
    return true;
}

static const char *read_row(char *line, struct columns *c, const int of[CELLS_MAX])
{
    char *cell[CELLS_MAX], *end;
    bool got[COLUMNS] = {false};
    int n = split(line, cell);
    if (!grow(c))
        return "no memory";
    for (int i = 0; i < n; i++) {
        if (of[i] < 0)
            continue;
        double v = strtod(cell[i], &end);
        if (end == cell[i] || *end != '\0' || !isfinite(v))
            return "expected finite numbers";
        c->at[of[i]][c->n] = v;
        got[of[i]] = true;
    }
    for (int k = 0; k < COLUMNS; k++)
        if (c->at[k] && !got[k])
            return "a cell is missing";
    c->n++;
    return NULL;
}

static int read_columns(const char *path, struct columns *c)
{
    char line[LINE_CAP];
    int of[CELLS_MAX];
    FILE *f = fopen(path, "re");
    if (!f)
        return fail(path, 0, strerror(errno));
    const char *wrong = fgets(line, sizeof line, f) ? NULL : "is empty";
    if (!wrong && !read_header(line, c, of))
        wrong = "no memory";
    size_t at = 1;
    while (!wrong && fgets(line, sizeof line, f)) {
        at++;
        if (!strchr(line, '\n') && !feof(f))
            wrong = "the line is too long";
        else if (line[0] != '\n')
            wrong = read_row(line, c, of);
    }
    fclose(f);
    if (!wrong && c->n == 0)
        wrong = "has no rows";
    return wrong ? fail(path, at, wrong) : EXIT_SUCCESS;
}

/* A number with its name, as a member or a line. */
static void put(struct text *t, bool json, const char *name, const char *means, double v)
{
    if (json) {
        text_printf(t, "%s\"%s\":", t->at[t->len - 1] == '{' ? "" : ",", name);
        text_json_number(t, v, 9);
    } else
        text_printf(t, "%-10s %12.6g   %s\n", name, v, means);
}

static double mean(const double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return sum / (double)n;
}

static bool tell_deferral(const struct wish *w, const struct columns *c, struct text *t)
{
    struct deferral curve[DEFERRAL_POINTS];
    int n = deferral_curve(c->at[0], c->at[1], c->at[2], c->n, curve);
    double weak = mean(c->at[1], c->n), strong = mean(c->at[2], c->n);
    if (n < 0)
        return false;
    put(t, w->json, "weak", "mean quality of the weak model", weak);
    put(t, w->json, "strong", "mean quality of the strong model", strong);
    put(t, w->json, "apgr", "mean share of that gap recovered, over shares of strong calls",
        deferral_apgr(curve, n, weak, strong));
    put(t, w->json, "cpt50", "share of strong calls that recovers half of it",
        deferral_cpt(curve, n, weak, strong, .5));
    put(t, w->json, "cpt80", "share of strong calls that recovers 80% of it",
        deferral_cpt(curve, n, weak, strong, .8));
    text_put(t, w->json ? ",\"curve\":[" : "\nstrong calls   quality       PGR\n");
    for (int i = 0; i < n; i++) {
        double pgr = metric_pgr(curve[i].quality, weak, strong);
        if (w->json)
            text_printf(t, "%s{\"share\":%.9g,\"quality\":%.9g}", i ? "," : "", curve[i].share,
                        curve[i].quality);
        else
            text_printf(t, "%11.1f%% %9.4f %9.4f\n", 100 * curve[i].share, curve[i].quality, pgr);
    }
    text_put(t, w->json ? "]" : "");
    return true;
}

static int by_cost(const void *a, const void *b)
{
    double x = ((const struct point *)a)->cost, y = ((const struct point *)b)->cost;
    return (x > y) - (x < y);
}

static bool tell_curve(const struct wish *w, const struct columns *c, struct text *t)
{
    struct point *p = calloc(2 * c->n, sizeof *p), *hull = p ? p + c->n : NULL;
    int n = (int)c->n, vertices = -1;
    for (int i = 0; p && i < n; i++)
        p[i] = (struct point){c->at[3][i], c->at[4][i]};
    if (p) {
        qsort(p, c->n, sizeof *p, by_cost);
        vertices = curve_envelope(p, n, hull);
    }
    if (vertices > 0) {
        double unit = isnan(w->unit) ? p[n - 1].cost : w->unit;
        double quality = isnan(w->quality) ? p[n - 1].quality : w->quality;
        put(t, w->json, "aiq", "mean quality of the hull over the range of costs",
            curve_aiq(p, n, isnan(w->low) ? p[0].cost : w->low,
                      isnan(w->high) ? p[n - 1].cost : w->high));
        put(t, w->json, "audc", "area under quality over cost / unit", curve_area(p, n, unit));
        put(t, w->json, "qnc", "least cost / unit at which that quality is reached",
            curve_neutral_cost(p, n, quality, unit));
        text_put(t, w->json ? ",\"hull\":[" : "\nhull: cost   quality\n");
        for (int i = 0; i < vertices; i++)
            text_printf(t, w->json ? "%s{\"cost\":%.9g,\"quality\":%.9g}" : "%s%10.6g %9.4f\n",
                        w->json && i ? "," : "", hull[i].cost, hull[i].quality);
        text_put(t, w->json ? "]" : "");
    }
    free(p);
    return vertices > 0;
}

static int tell(const struct wish *w, const struct columns *c)
{
    enum { ROOM = 1 << 20 };
    char *room = malloc(ROOM);
    if (!room)
        return fail(w->path, 0, "no memory");
    struct text t = text_over(room, ROOM);
    text_put(&t, w->json ? "{" : "");
    bool pair = c->at[0] && c->at[1] && c->at[2], curve = c->at[3] && c->at[4];
    int code = EXIT_FAILURE;
    if (!pair && !curve)
        fail(w->path, 1, "expected columns score,weak,strong or cost,quality");
    else if (pair ? !tell_deferral(w, c, &t) : !tell_curve(w, c, &t))
        fail(w->path, 0, "no memory");
    else if (t.full)
        fail(w->path, 0, "more points than can be told");
    else
        code = EXIT_SUCCESS;
    text_put(&t, w->json ? "}\n" : "");
    if (code == EXIT_SUCCESS)
        fputs(t.at, stdout);
    free(room);
    return code;
}

/* False: told on stderr. */
static bool read_wish(int argc, char **argv, struct wish *w, bool *helped)
{
    static const struct option options[] = {{"low", required_argument, NULL, 'l'},
                                            {"high", required_argument, NULL, 'h'},
                                            {"unit", required_argument, NULL, 'u'},
                                            {"quality", required_argument, NULL, 'q'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, '?' + 256},
                                            {0}};
    char *end;
    optind = 1;
    for (int key; (key = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        double *to = key == 'l'   ? &w->low
                     : key == 'h' ? &w->high
                     : key == 'u' ? &w->unit
                     : key == 'q' ? &w->quality
                                  : NULL;
        if (to) {
            *to = strtod(optarg, &end);
            if (end == optarg || *end != '\0' || !isfinite(*to)) {
                fprintf(stderr, "purser-sim metrics: %s is not a number\n", optarg);
                return false;
            }
        } else if (key == 'j')
            w->json = true;
        else if (key == '?' + 256)
            *helped = true;
        else
            return false;
    }
    w->path = argv[optind];
    if (*helped || (w->path && !argv[optind + 1]))
        return true;
    fprintf(stderr, "purser-sim metrics: one FILE.csv is needed; see --help\n");
    return false;
}

int metrics_command(int argc, char **argv)
{
    struct wish w = {
        .low = (double)NAN, .high = (double)NAN, .unit = (double)NAN, .quality = (double)NAN};
    struct columns c = {0};
    bool helped = false;
    if (!read_wish(argc, argv, &w, &helped))
        return 2;
    if (helped) {
        fputs(help, stdout);
        return EXIT_SUCCESS;
    }
    int code = read_columns(w.path, &c);
    if (code == EXIT_SUCCESS)
        code = tell(&w, &c);
    for (int k = 0; k < COLUMNS; k++)
        free(c.at[k]);
    return code;
}
