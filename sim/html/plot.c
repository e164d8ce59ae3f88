/* SPDX-License-Identifier: MIT */
#include "sim/html/plot.h"

#include "sim/html/gnuplot.h"
#include "sim/html/svg.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char font[] = "sans-serif,13";
/* Between names that would lie on each other; of a letter; and the most that names may take; of a
 * number below the axis; frames for which gnuplot's own choice of numbers is too dense. */
enum { LABEL_PX = 16, LETTER_PX = 8, NAMES_PX = 250, TICK_PX = 64, NARROW_PX = 400 };

const char *plot_ink(int ink)
{
    static char text[INK_SERIES + SERIES_INKS][8];
    snprintf(text[ink], sizeof text[ink], "#0101%02x", (unsigned)ink + 1);
    return text[ink];
}

/* Inside single quotes gnuplot takes everything as it is, but for the quote itself. */
static void quoted(FILE *f, const char *text)
{
    fputc('\'', f);
    for (const char *s = text; *s != '\0'; s++)
        if ((unsigned char)*s >= ' ' && *s != 0x7f)
            fputs(*s == '\'' ? "''" : (char[]){*s, '\0'}, f);
    fputc('\'', f);
}

void plot_open(struct plot *p, const char *id, int width, int height, const char *x, const char *y)
{
    memset(p, 0, sizeof *p);
    p->id = id;
    p->width = width;
    p->height = height;
    p->left = 62.0 / width;
    p->right = 1 - 20.0 / width;
    p->bottom = 50.0 / height;
    p->top = 1 - 34.0 / height;
    p->set = open_memstream(&p->head, &p->n_head);
    p->block = open_memstream(&p->data, &p->n_data);
    p->item = open_memstream(&p->items, &p->n_items);
    p->broken = !p->set || !p->block || !p->item;
    if (p->broken)
        return;
    fprintf(p->set,
            "set terminal svg size %d,%d dynamic font '%s' rounded noenhanced name '%s'\n"
            "set encoding utf8\nset tics nomirror scale 0.4\nunset key\nset bars small\n"
            "set border 3 lc rgb '%s' lw 1\nset xtics tc rgb '%s'\nset ytics tc rgb '%s'\n",
            width, height, font, id, plot_ink(INK_AXIS), plot_ink(INK_TEXT), plot_ink(INK_TEXT));
    fprintf(p->set, "set xlabel ");
    quoted(p->set, x);
    fprintf(p->set, " tc rgb '%s' offset 0,0.3\nset label 900 ", plot_ink(INK_TEXT));
    quoted(p->set, y);
    fprintf(p->set, " at screen 0.008, screen %.4f left tc rgb '%s'\n", 1 - 14.0 / height,
            plot_ink(INK_TEXT));
}

void plot_range(struct plot *p, double x0, double x1, double y0, double y1)
{
    double pad = y1 > y0 ? 0.04 * (y1 - y0) : fmax(fabs(y1) * 0.1, 1e-6);
    if (!(x1 > x0)) {
        x0 -= fmax(fabs(x0) * 0.1, 1e-6);
        x1 += fmax(fabs(x1) * 0.1, 1e-6);
    }
    p->x0 = x0;
    p->x1 = x1;
    p->y0 = y0 >= 0 && y0 - pad < 0 ? 0 : y0 - pad;
    p->y1 = y1 + pad;
}

void plot_block(struct plot *p)
{
    if (!p->broken)
        fprintf(p->block, "$d%d << END\n", p->blocks);
}

void plot_row(struct plot *p, const double *v, int n)
{
    for (int i = 0; !p->broken && i < n; i++) {
        if (isfinite(v[i]))
            fprintf(p->block, "%s%.10g", i > 0 ? " " : "", v[i]);
        else
            fprintf(p->block, "%sNaN", i > 0 ? " " : "");
    }
    if (!p->broken)
        fputc('\n', p->block);
}

int plot_end(struct plot *p)
{
    if (!p->broken)
        fputs("END\n", p->block);
    return p->blocks++;
}

void plot_item(struct plot *p, int block, const char *how, ...)
{
    va_list args;
    if (p->broken)
        return;
    fprintf(p->item, "%s$d%d ", ftell(p->item) > 0 ? ", \\\n  " : "plot ", block);
    va_start(args, how);
    vfprintf(p->item, how, args);
    va_end(args);
}

void plot_name(struct plot *p, double x, double y, double dx, double dy, const char *align, int ink,
               const char *text)
{
    if (p->broken)
        return;
    fprintf(p->set, "set label ");
    quoted(p->set, text);
    fprintf(p->set, " at first %.10g, first %.10g %s offset %g,%g tc rgb '%s' front\n", x, y, align,
            dx, dy, plot_ink(ink));
}

void plot_beside(struct plot *p, double y, int ink, const char *text)
{
    plot_beside_from(p, NAN, y, ink, text);
}

void plot_beside_from(struct plot *p, double x, double y, int ink, const char *text)
{
    if (p->labels == PLOT_LABELS_MAX || !isfinite(y))
        return;
    struct plot_label *l = &p->label[p->labels++];
    l->from_x = x;
    l->from_y = y;
    l->y = fmin(fmax(y, p->y0), p->y1);
    l->ink = ink;
    snprintf(l->text, sizeof l->text, "%s", text);
}

void plot_rule(struct plot *p, double x, int row, const char *word)
{
    if (p->broken)
        return;
    fprintf(p->set,
            "set arrow from first %.10g, graph 0 to first %.10g, graph 1 nohead dt 2 lw 1 lc rgb "
            "'%s'\n",
            x, x, plot_ink(INK_AXIS));
    fprintf(p->set, "set label ");
    quoted(p->set, word);
    fprintf(p->set, " at first %.10g, graph %.3f left offset 0.4,0 tc rgb '%s' front\n", x,
            0.97 - 0.055 * row, plot_ink(INK_TEXT));
}

static int by_y(const void *a, const void *b)
{
    double x = ((const struct plot_label *)a)->y, y = ((const struct plot_label *)b)->y;
    return (x > y) - (x < y);
}

/* Names at the right stand where their lines end, or as near as there is room. */
static void place_labels(struct plot *p)
{
    double gap = LABEL_PX * (p->y1 - p->y0) / (p->height * (p->top - p->bottom));
    qsort(p->label, (size_t)p->labels, sizeof *p->label, by_y);
    for (int i = 1; i < p->labels; i++)
        p->label[i].y = fmax(p->label[i].y, p->label[i - 1].y + gap);
    double most = p->y1;
    for (int i = p->labels - 1; i >= 0; i--) {
        p->label[i].y = fmin(p->label[i].y, most);
        most = p->label[i].y - gap;
    }
    for (int i = 0; i < p->labels; i++) {
        const struct plot_label *l = &p->label[i];
        plot_name(p, p->x1, l->y, 0.8, 0, "left", l->ink, l->text);
        if (!p->broken && isfinite(l->from_x))
            fprintf(
                p->set,
                "set arrow from first %.10g, first %.10g to first %.10g, first %.10g nohead dt 3 "
                "lw 1 lc rgb '%s'\n",
                l->from_x, l->from_y, p->x1, l->y, plot_ink(l->ink));
    }
}

/* Bytes beyond the first of a letter take no room. */
static int letters(const char *s)
{
    int n = 0;
    for (; *s != '\0'; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static void make_room(struct plot *p)
{
    int most = 0;
    for (int i = 0; i < p->labels; i++)
        most = letters(p->label[i].text) > most ? letters(p->label[i].text) : most;
    int px = 16 + most * LETTER_PX < NAMES_PX ? 16 + most * LETTER_PX : NAMES_PX;
    if (most > 0)
        p->right = 1 - (double)px / p->width;
}

/* Numbers below a narrow frame: as many as have room, 1, 2 or 5 times a power of ten apart. */
static void space_numbers(struct plot *p)
{
    double px = p->width * (p->right - p->left), least = (p->x1 - p->x0) * TICK_PX / px;
    double step = pow(10, floor(log10(least)));
    if (px >= NARROW_PX || !(least > 0))
        return;
    step *= least <= step ? 1 : least <= 2 * step ? 2 : least <= 5 * step ? 5 : 10;
    fprintf(p->set, "set xtics %.10g\n", step);
}

static void settle(struct plot *p)
{
    make_room(p);
    place_labels(p);
    if (p->broken)
        return;
    space_numbers(p);
    fprintf(p->set, "set lmargin at screen %.4f\nset rmargin at screen %.4f\n", p->left, p->right);
    fprintf(p->set, "set bmargin at screen %.4f\nset tmargin at screen %.4f\n", p->bottom, p->top);
    fprintf(p->set, "set xrange [%.10g:%.10g]\nset yrange [%.10g:%.10g]\n", p->x0, p->x1, p->y0,
            p->y1);
    if (p->no_y)
        fputs("set border 0\nunset ytics\nunset xtics\n", p->set);
    else if (p->bare_y)
        fputs("set border 1\nunset ytics\n", p->set);
    else
        fprintf(p->set, "set grid ytics lc rgb '%s' lw 1 dt 1\n", plot_ink(INK_GRID));
}

enum status plot_write(struct plot *p, FILE *out, const char *title, struct problem *problem)
{
    char *script = NULL, *svg = NULL;
    size_t len = 0;
    settle(p);
    bool ok = !p->broken && fclose(p->set) == 0 && fclose(p->block) == 0 && fclose(p->item) == 0;
    FILE *all = ok ? open_memstream(&script, &len) : NULL;
    if (all != NULL) {
        fprintf(all, "%s%s%s\n", p->data, p->head, p->items);
        ok = fclose(all) == 0;
    }
    enum status s = all != NULL && ok ? gnuplot_run(script, len, &svg, problem)
                                      : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s == STATUS_OK)
        svg_write(out, svg, p->id, title, p->width < 600);
    free(svg);
    free(script);
    free(p->head);
    free(p->data);
    free(p->items);
    return s;
}
