/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_HTML_PLOT_H
#define PURSER_SIM_HTML_PLOT_H

#include <stdbool.h>
#include <stdio.h>
#include "core/status.h"

/*
 * A plot drawn by gnuplot, as SVG that takes its colours from the page's style sheet: each role has
 * a colour of its own in gnuplot's output, which is replaced by a CSS variable. So one drawing is
 * right on paper, on a light and on a dark screen.
 */
enum plot_ink {
    INK_TEXT, /* names and numbers */
    INK_AXIS,
    INK_GRID,
    INK_GOOD,
    INK_LEVEL,
    INK_BAD,
    INK_SERIES /* and the next SERIES_INKS - 1 */
};
enum { SERIES_INKS = 8, PLOT_ITEMS_MAX = 160, PLOT_LABELS_MAX = 64 };

struct plot {
    const char *id; /* of the SVG, an identifier */
    int width, height;
    double left, right, bottom, top; /* of the frame, shares of the drawing */
    double x0, x1, y0, y1;           /* ranges: see plot_range */
    bool no_y, bare_y;               /* no axes at all; none for y */
    char *head, *data, *items;       /* text of the streams below */
    size_t n_head, n_data, n_items;
    FILE *set, *block, *item; /* settings; numbers; what is drawn from them */
    int blocks, labels;
    struct plot_label {
        double y, from_x, from_y; /* NaN: it is the line's end */
        int ink;
        char text[80];
    } label[PLOT_LABELS_MAX]; /* at the right end of lines, kept apart by plot_write */
    bool broken;              /* memory is short */
};

/* plot_open begins a drawing with axis titles (borrowed for the call); plot_range sets the axes,
 * before anything else: the range is widened a little and never empty. */
void plot_open(struct plot *p, const char *id, int width, int height, const char *x, const char *y);
void plot_range(struct plot *p, double x0, double x1, double y0, double y1);
/* plot_block begins numbers, given line by line with plot_row (NaN = missing); plot_end gives the
 * block's number. */
void plot_block(struct plot *p);
void plot_row(struct plot *p, const double *v, int n);
int plot_end(struct plot *p);
/* plot_item adds what is drawn of a block: "using ... with ..." in gnuplot's words. */
void plot_item(struct plot *p, int block, const char *how, ...)
    __attribute__((format(printf, 3, 4)));
/* plot_ink gives a colour as gnuplot takes it; static. */
const char *plot_ink(int ink);
/* plot_name writes text at a place of the axes, moved by characters; plot_beside at the right end
 * of a line that ends at y. */
void plot_name(struct plot *p, double x, double y, double dx, double dy, const char *align, int ink,
               const char *text);
void plot_beside(struct plot *p, double y, int ink, const char *text);
/* plot_beside_from does so for a point, with a thin line to it. */
void plot_beside_from(struct plot *p, double x, double y, int ink, const char *text);
/* plot_rule draws a dashed vertical line with a word at its top, row 0 being the highest. */
void plot_rule(struct plot *p, double x, int row, const char *word);
/* plot_write runs gnuplot and writes the SVG, with `title` for whoever cannot see it; frees. */
MUST_CHECK enum status plot_write(struct plot *p, FILE *out, const char *title,
                                  struct problem *problem);

#endif
