/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_HTML_PAGE_H
#define PURSER_SIM_HTML_PAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include "core/status.h"
#include "sim/html/plot.h"

/*
 * A page of figures: each has a title that says what is found, a drawing, and the numbers it is
 * drawn from. It holds no script and fetches nothing. After the first problem the rest does
 * nothing.
 */
struct page {
    FILE *out;
    int figures, section; /* so far */
    char id[32];          /* of the drawing at hand */
    char title[256];      /* of the figure at hand */
    enum status status;
    struct problem *problem;
};

void page_begin(struct page *p, const char *title);
void page_end(struct page *p);
/* page_section begins a part: what it is about, and a line below. */
void page_section(struct page *p, const char *heading, const char *below);
/* page_figure begins a figure; `kind` names what it shows (class of the element) and `read` how it
 * is read. page_figure_end ends it. */
void page_figure(struct page *p, const char *kind, const char *read, const char *title, ...)
    __attribute__((format(printf, 4, 5)));
void page_figure_end(struct page *p);
/* page_plot begins a drawing of the figure at hand, page_draw ends it. */
void page_plot(struct page *p, struct plot *plot, int width, int height, const char *x,
               const char *y);
void page_draw(struct page *p, struct plot *plot);
/* page_table begins the numbers behind a figure: names of columns separated by '|', with '_' ahead
 * of columns of words. Cells of a row follow one by one; what is not a number is left empty. A
 * format is the number of digits and f or g, as "4f". */
void page_table(struct page *p, const char *columns);
void page_row(struct page *p, const char *word);
void page_word(struct page *p, const char *word);
void page_cell(struct page *p, double v, const char *format);
void page_table_end(struct page *p);

/* What is read of a result. Missing and null are NaN. */
struct span {
    double mean, low, high;
};
double page_number(const json_t *o, const char *name);
struct span page_span(const json_t *o, const char *name);
const char *page_string(const json_t *o, const char *name); /* "" if it is none */
/* page_cells writes the three cells of a span, times `unit`. */
void page_cells(struct page *p, struct span v, double unit, const char *format);

/* A range of axes that grows over what is to be seen. */
struct range {
    double low, high;
};
void range_take(struct range *r, double v);

#endif
