/* SPDX-License-Identifier: MIT */
/*
 * purser-sim report: a page of figures from what other commands told with --json. What a result is
 * follows from its members. The page appears at once or not at all.
 */
#include "sim/html/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "sim/html/draw.h"
#include "sim/options.h"
#include "store/whole.h"

enum { RESULTS_MAX = 4096 };

static const char help[] =
    "usage: purser-sim report RESULT.json... --out FILE.html [--title TEXT]\n"
    "\n"
    "A page of figures, with the numbers behind them, of what run, merge, scenario, replay, "
    "compare,\n"
    "ope, metrics and tune told with --json. It is one file that needs nothing else, right on "
    "paper\n"
    "and on dark screens. Several results on policies of the same names also give a matrix of "
    "wins\n"
    "and losses. The drawings are gnuplot's (Debian: gnuplot-nox).\n";

struct results {
    json_t *item[RESULTS_MAX];
    const char *path[RESULTS_MAX];
    int n;
};

static int fail(const char *path, const char *what)
{
    fprintf(stderr, "purser-sim report: %s: %s\n", path, what);
    return EXIT_FAILURE;
}

/* A scenario has its experiment inside. */
static json_t *unwrapped(json_t *o)
{
    json_t *inside = json_object_get(o, "experiment");
    if (!json_is_object(inside))
        return o;
    json_incref(inside);
    json_decref(o);
    return inside;
}

/* A file holds one object, or one after another. */
static int read_results(const char *path, struct results *r)
{
    json_error_t error;
    FILE *f = fopen(path, "re");
    int before = r->n;
    if (f == NULL)
        return fail(path, strerror(errno));
    while (r->n < RESULTS_MAX) {
        int c = fgetc(f);
        while (c == ' ' || c == '\n' || c == '\r' || c == '\t')
            c = fgetc(f);
        if (c == EOF)
            break;
        ungetc(c, f);
        json_t *o = json_loadf(f, JSON_DISABLE_EOF_CHECK, &error);
        if (!json_is_object(o)) {
            json_decref(o);
            fclose(f);
            return fail(path, o == NULL ? error.text : "expected objects, as --json prints them");
        }
        r->path[r->n] = path;
        r->item[r->n++] = unwrapped(o);
    }
    fclose(f);
    return r->n > before ? EXIT_SUCCESS : fail(path, "has no result");
}

enum kind {
    KIND_RUN,
    KIND_BANDITS,
    KIND_REPLAY,
    KIND_COMPARE,
    KIND_OPE,
    KIND_METRICS,
    KIND_TUNE,
    KIND_OTHER
};

static enum kind kind_of(const json_t *o)
{
    if (json_is_array(json_object_get(o, "settings")))
        return KIND_BANDITS;
    if (json_is_array(json_object_get(o, "policies")))
        return KIND_RUN;
    if (json_object_get(o, "aims") != NULL)
        return KIND_OPE;
    if (json_object_get(o, "digest") != NULL && json_object_get(o, "asked") != NULL)
        return KIND_COMPARE;
    if (json_object_get(o, "gain_over_hull") != NULL)
        return KIND_REPLAY;
    if (json_object_get(o, "apgr") != NULL || json_object_get(o, "aiq") != NULL)
        return KIND_METRICS;
    if (json_is_array(json_object_get(o, "trials")))
        return KIND_TUNE;
    return KIND_OTHER;
}

static void add_worlds(struct matrix *m, const json_t *o, enum kind kind, const char *name)
{
    const json_t *settings = json_object_get(o, "settings");
    for (size_t i = 0; kind == KIND_BANDITS && i < json_array_size(settings); i++) {
        const json_t *s = json_array_get(settings, i), *all = json_object_get(s, "policies");
        for (size_t k = 0; k < json_array_size(all); k++)
            matrix_put(m, page_string(s, "setting"), page_string(json_array_get(all, k), "policy"),
                       page_span(json_array_get(all, k), "utility"));
    }
    const json_t *all = json_object_get(o, "policies");
    for (size_t k = 0; kind == KIND_RUN && k < json_array_size(all); k++)
        matrix_put(m, name, page_string(json_array_get(all, k), "name"),
                   page_span(json_array_get(all, k), "utility"));
}

static void draw_all(struct page *p, const struct results *r, struct matrix *m)
{
    const json_t *cell[RESULTS_MAX];
    int cells = 0;
    for (int i = 0; i < r->n; i++) {
        const json_t *o = r->item[i];
        enum kind kind = kind_of(o);
        char name[64];
        draw_name(r->path[i], name, sizeof name);
        add_worlds(m, o, kind, name);
        if (kind == KIND_RUN)
            draw_run(p, o, name);
        else if (kind == KIND_REPLAY)
            draw_replay(p, o);
        else if (kind == KIND_OPE)
            draw_ope(p, o);
        else if (kind == KIND_METRICS)
            draw_metrics(p, o, name);
        else if (kind == KIND_TUNE)
            draw_tune(p, o);
        else if (kind == KIND_COMPARE)
            cell[cells++] = o;
    }
    draw_matrix(p, m, "Utility (quality less the price of the money spent)");
    if (cells > 0)
        draw_compare(p, cell, cells);
}

static int unknown(const struct results *r)
{
    for (int i = 0; i < r->n; i++)
        if (kind_of(r->item[i]) == KIND_OTHER)
            return fail(r->path[i], "is no result of run, merge, scenario, replay, compare, ope, "
                                    "metrics or tune, told with --json");
    return EXIT_SUCCESS;
}

static int write_page(const char *out, const char *title, const struct results *r)
{
    struct problem problem = {0};
    struct matrix *m = calloc(1, sizeof *m);
    struct whole file;
    if (m == NULL)
        return fail(out, "out of memory");
    enum status s = whole_begin(&file, out, &problem);
    if (s == STATUS_OK) {
        struct page page = {.out = file.f, .problem = &problem};
        matrix_init(m);
        page_begin(&page, title);
        draw_all(&page, r, m);
        page_end(&page);
        s = page.status;
    }
    free(m);
    s = whole_end(&file, s, &problem);
    return s == STATUS_OK ? EXIT_SUCCESS : fail("--out", problem.text);
}

int report_command(int argc, char **argv)
{
    static const struct option options[] = {{"out", required_argument, NULL, 'o'},
                                            {"title", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *out = NULL, *title = "What purser-sim found";
    struct results *r = calloc(1, sizeof *r);
    int code = r != NULL ? EXIT_SUCCESS : fail("results", "out of memory");
    optind = 1;
    for (int key;
         code == EXIT_SUCCESS && (key = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (key == 'o')
            out = optarg;
        else if (key == 't')
            title = optarg;
        else if (key == 'h') {
            fputs(help, stdout);
            free(r);
            return EXIT_SUCCESS;
        } else
            code = options_refuse("report: wrong option", NULL);
    }
    if (code == EXIT_SUCCESS && (out == NULL || optind == argc))
        code = options_refuse("report takes RESULT.json... and --out FILE.html", NULL);
    for (int i = optind; code == EXIT_SUCCESS && i < argc; i++)
        code = read_results(argv[i], r);
    if (code == EXIT_SUCCESS)
        code = unknown(r);
    if (code == EXIT_SUCCESS)
        code = write_page(out, title, r);
    for (int i = 0; r != NULL && i < r->n; i++)
        json_decref(r->item[i]);
    free(r);
    return code;
}
