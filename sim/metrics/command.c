/* SPDX-License-Identifier: MIT */
/*
 * purser-sim metrics: the field's numbers for curves that somebody else has measured. A file with
 * columns score, weak, strong is a router between two models, row by row; one with cost, quality a
 * router that can be turned, a point a line.
 */
#include "sim/metrics/command.h"

#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/encoding/text.h"
#include "sim/metrics/curve.h"
#include "sim/sheet.h"
#include "sim/tables/csv.h"

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
    "  --json                one JSON object\n"
    "  --csv DIR, --jsonl DIR   also DIR/numbers and DIR/curve, as rows\n";

enum { COLUMNS = 5 };
static const char *const column_name[COLUMNS] = {"score", "weak", "strong", "cost", "quality"};

struct columns {
    double *at[COLUMNS]; /* NULL: not in the file */
    size_t n, cap;
};

struct wish {
    const char *path;
    double low, high, unit, quality; /* NAN: of the file */
    bool json;
    struct sheet_place sheets;
};

static int fail(const char *path, size_t line, const char *what)
{
    fprintf(stderr, "purser-sim metrics: %s:%zu: %s\n", path, line, what);
    return EXIT_FAILURE;
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

static const char *read_row(const struct csv *csv, struct columns *c, int *wrong)
{
    if (!grow(c))
        return "no memory";
    for (int k = 0; k < COLUMNS; k++) {
        *wrong = csv_find(csv, column_name[k]);
        if (c->at[k] && !csv_number(csv->cell[*wrong], &c->at[k][c->n]))
            return "expected a finite number";
    }
    c->n++;
    return NULL;
}

static enum status read_all(struct csv *csv, struct columns *c)
{
    enum status s = STATUS_OK;
    int wrong = -1;
    for (int k = 0; k < COLUMNS; k++)
        if (csv_find(csv, column_name[k]) >= 0 && !(c->at[k] = malloc(sizeof *c->at[k])))
            return csv_fault(csv, -1, "no memory");
    while (s == STATUS_OK && csv_next(csv, &s)) {
        const char *what = read_row(csv, c, &wrong);
        s = what ? csv_fault(csv, wrong, what) : STATUS_OK;
    }
    return s == STATUS_OK && c->n == 0 ? csv_fault(csv, -1, "has no rows") : s;
}

static int read_columns(const char *path, struct columns *c)
{
    struct csv csv;
    struct problem problem = {0};
    enum status s = csv_open(&csv, path, &problem);
    if (s == STATUS_OK)
        s = read_all(&csv, c);
    csv_close(&csv);
    if (s == STATUS_OK)
        return EXIT_SUCCESS;
    fprintf(stderr, "purser-sim metrics: %s\n", problem.text);
    return EXIT_FAILURE;
}

/* What is told: text, and rows of numbers and of the curve. */
struct told {
    struct text text;
    struct sheet numbers, curve;
};

/* A number with its name, as a member or a line, and as a row. */
static void put(struct told *to, bool json, const char *name, const char *means, double v)
{
    struct text *t = &to->text;
    sheet_text(&to->numbers, name);
    sheet_number(&to->numbers, v);
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

static bool tell_deferral(const struct wish *w, const struct columns *c, struct told *to)
{
    struct text *t = &to->text;
    struct deferral curve[DEFERRAL_POINTS];
    int n = deferral_curve(c->at[0], c->at[1], c->at[2], c->n, curve);
    double weak = mean(c->at[1], c->n), strong = mean(c->at[2], c->n);
    if (n < 0)
        return false;
    put(to, w->json, "weak", "mean quality of the weak model", weak);
    put(to, w->json, "strong", "mean quality of the strong model", strong);
    put(to, w->json, "apgr", "mean share of that gap recovered, over shares of strong calls",
        deferral_apgr(curve, n, weak, strong));
    put(to, w->json, "cpt50", "share of strong calls that recovers half of it",
        deferral_cpt(curve, n, weak, strong, .5));
    put(to, w->json, "cpt80", "share of strong calls that recovers 80% of it",
        deferral_cpt(curve, n, weak, strong, .8));
    text_put(t, w->json ? ",\"curve\":[" : "\nstrong calls   quality       PGR\n");
    for (int i = 0; i < n; i++) {
        double pgr = metric_pgr(curve[i].quality, weak, strong);
        sheet_number(&to->curve, curve[i].share);
        sheet_number(&to->curve, curve[i].quality);
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

static bool tell_curve(const struct wish *w, const struct columns *c, struct told *to)
{
    struct text *t = &to->text;
    struct point *p = calloc(3 * c->n, sizeof *p), *hull = p ? p + c->n : NULL;
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
        put(to, w->json, "aiq", "mean quality of the hull over the range of costs",
            curve_aiq(p, n, isnan(w->low) ? p[0].cost : w->low,
                      isnan(w->high) ? p[n - 1].cost : w->high, hull + n));
        put(to, w->json, "audc", "area under quality over cost / unit", curve_area(p, n, unit));
        put(to, w->json, "qnc", "least cost / unit at which that quality is reached",
            curve_neutral_cost(p, n, quality, unit));
        text_put(t, w->json ? ",\"hull\":[" : "\nhull: cost   quality\n");
        for (int i = 0; i < vertices; i++) {
            sheet_number(&to->curve, hull[i].cost);
            sheet_number(&to->curve, hull[i].quality);
            text_printf(t, w->json ? "%s{\"cost\":%.9g,\"quality\":%.9g}" : "%s%10.6g %9.4f\n",
                        w->json && i ? "," : "", hull[i].cost, hull[i].quality);
        }
        text_put(t, w->json ? "]" : "");
    }
    free(p);
    return vertices > 0;
}

static enum status begin_sheets(const struct wish *w, bool pair, struct told *to,
                                struct problem *problem)
{
    static const char *const numbers[] = {"name", "value"};
    enum status s = sheet_place_ready(&w->sheets, problem);
    if (s == STATUS_OK)
        s = sheet_begin(&to->numbers, &w->sheets, "numbers", problem);
    if (s == STATUS_OK)
        s = sheet_begin(&to->curve, &w->sheets, "curve", problem);
    sheet_columns(&to->numbers, numbers, 2);
    sheet_column(&to->curve, pair ? "share" : "cost");
    sheet_column(&to->curve, "quality");
    return s;
}

static enum status end_sheets(struct told *to, enum status s, struct problem *problem)
{
    s = sheet_end(&to->numbers, s, problem);
    return sheet_end(&to->curve, s, problem);
}

static int tell(const struct wish *w, const struct columns *c)
{
    enum { ROOM = 1 << 20 };
    char *room = malloc(ROOM);
    struct told to = {0};
    struct problem problem = {0};
    if (!room)
        return fail(w->path, 0, "no memory");
    to.text = text_over(room, ROOM);
    text_put(&to.text, w->json ? "{" : "");
    bool pair = c->at[0] && c->at[1] && c->at[2], curve = c->at[3] && c->at[4];
    enum status s = STATUS_OK;
    if (!pair && !curve)
        s = problem_set(&problem, STATUS_BAD_REQUEST, "",
                        "expected columns score,weak,strong or cost,quality");
    if (s == STATUS_OK)
        s = begin_sheets(w, pair, &to, &problem);
    if (s == STATUS_OK && (pair ? !tell_deferral(w, c, &to) : !tell_curve(w, c, &to)))
        s = problem_set(&problem, STATUS_INTERNAL, "", "no memory");
    text_put(&to.text, w->json ? "}\n" : "");
    if (s == STATUS_OK && to.text.full)
        s = problem_set(&problem, STATUS_BAD_REQUEST, "", "more points than can be told");
    s = end_sheets(&to, s, &problem);
    if (s == STATUS_OK)
        fputs(to.text.at, stdout);
    free(room);
    return s == STATUS_OK ? EXIT_SUCCESS : fail(w->path, !pair && !curve ? 1 : 0, problem.text);
}

/* False: told on stderr. */
static bool read_wish(int argc, char **argv, struct wish *w, bool *helped)
{
    static const struct option options[] = {{"low", required_argument, NULL, 'l'},
                                            {"high", required_argument, NULL, 'h'},
                                            {"unit", required_argument, NULL, 'u'},
                                            {"quality", required_argument, NULL, 'q'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"csv", required_argument, NULL, 'c'},
                                            {"jsonl", required_argument, NULL, 'l' + 256},
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
        else if (key == 'c' || key == 'l' + 256)
            w->sheets = (struct sheet_place){optarg, key != 'c'};
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
