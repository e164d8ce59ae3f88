/* SPDX-License-Identifier: MIT */
/*
 * Which policy wins where. A policy is level with a world's best when its interval reaches the best
 * one's mean: what cannot be told apart is no loss.
 */
#include "sim/html/draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BEST, LEVEL, LOSES, ABSENT };

void matrix_init(struct matrix *m)
{
    m->worlds = m->policies = 0;
    for (int w = 0; w < WORLDS_MAX; w++)
        for (int i = 0; i < CONTESTANTS_MAX; i++)
            m->value[w][i] = (struct span){NAN, NAN, NAN};
}

static int find(char (*names)[64], int *n, int max, const char *name)
{
    int i = 0;
    while (i < *n && strncmp(names[i], name, 63) != 0)
        i++;
    if (i == max)
        return -1;
    if (i == *n)
        snprintf(names[(*n)++], 64, "%s", name);
    return i;
}

void matrix_put(struct matrix *m, const char *world, const char *policy, struct span value)
{
    int w = find(m->world, &m->worlds, WORLDS_MAX, world);
    int i = find(m->policy, &m->policies, CONTESTANTS_MAX, policy);
    if (w >= 0 && i >= 0)
        m->value[w][i] = value;
}

static double longest(const struct matrix *m)
{
    size_t most = 0;
    for (int w = 0; w < m->worlds; w++)
        most = strlen(m->world[w]) > most ? strlen(m->world[w]) : most;
    return (double)most;
}

static double best_of(const struct matrix *m, int w)
{
    struct range r = {NAN, NAN};
    for (int i = 0; i < m->policies; i++)
        range_take(&r, m->value[w][i].mean);
    return r.high;
}

static int outcome(const struct matrix *m, int w, int i)
{
    struct span v = m->value[w][i];
    double best = best_of(m, w);
    if (!isfinite(v.mean))
        return ABSENT;
    if (v.mean >= best)
        return BEST;
    return v.high >= best ? LEVEL : LOSES;
}

static int not_beaten(const struct matrix *m, int i)
{
    int n = 0;
    for (int w = 0; w < m->worlds; w++)
        n += outcome(m, w, i) <= LEVEL;
    return n;
}

static void cells(struct plot *plot, const struct matrix *m, int what, int ink)
{
    int n = 0;
    plot_block(plot);
    for (int w = 0; w < m->worlds; w++)
        for (int i = 0; i < m->policies; i++)
            if (outcome(m, w, i) == what) {
                plot_row(plot, (double[]){i, m->worlds - 1 - w, 0.46, 0.44}, 4);
                n++;
            }
    if (n == 0)
        plot_row(plot, (double[]){-9, -9, 0.1, 0.1}, 4);
    plot_item(plot, plot_end(plot),
              "using 1:2:3:4 with boxxyerror lc rgb '%s' fs transparent solid %g noborder",
              plot_ink(ink),
              what == BEST    ? 0.55
              : what == LEVEL ? 0.55
                              : 0.3);
}

static void words(struct plot *plot, const struct matrix *m)
{
    char text[64];
    double letters = 0;
    for (int i = 0; i < m->policies; i++)
        letters += (double)strlen(m->policy[i]) + 2;
    int rows = (int)fmin(1 + floor(letters * 8 / ((plot->right - plot->left) * plot->width)), 3);
    for (int i = 0; i < m->policies; i++) /* long names take turns */
        plot_name(plot, i, m->worlds - 0.35 + 0.5 * (i % rows), 0, 0, "center", INK_TEXT,
                  m->policy[i]);
    for (int w = 0; w < m->worlds; w++) {
        double y = m->worlds - 1 - w;
        plot_name(plot, -0.55, y, 0, 0, "right", INK_TEXT, m->world[w]);
        for (int i = 0; i < m->policies; i++) {
            int what = outcome(m, w, i);
            if (what == ABSENT)
                continue;
            snprintf(text, sizeof text, "%+.3f", m->value[w][i].mean - best_of(m, w));
            plot_name(plot, i, y, 0, 0, "center", INK_TEXT,
                      what == BEST                       ? "best"
                      : what == LEVEL && m->policies < 7 ? text
                                                         : text);
        }
    }
}

static void numbers(struct page *p, const struct matrix *m)
{
    static const char *const word[] = {"best", "level", "loses", ""};
    page_table(p, "_world|_policy|_outcome|value|low|high|less the best");
    for (int w = 0; w < m->worlds; w++)
        for (int i = 0; i < m->policies; i++) {
            int what = outcome(m, w, i);
            if (what == ABSENT)
                continue;
            page_row(p, m->world[w]);
            page_word(p, m->policy[i]);
            page_word(p, word[what]);
            page_cells(p, m->value[w][i], 1, "4f");
            page_cell(p, m->value[w][i].mean - best_of(m, w), "4f");
        }
    page_table_end(p);
    page_figure_end(p);
}

/* How many worlds a policy took part in. */
static int worlds_of(const struct matrix *m, int i)
{
    int n = 0;
    for (int w = 0; w < m->worlds; w++)
        n += isfinite(m->value[w][i].mean);
    return n;
}

/* What can be compared: policies of two worlds or more, in worlds that have two such. */
static void comparable(const struct matrix *m, struct matrix *out)
{
    matrix_init(out);
    for (int w = 0; w < m->worlds; w++) {
        int n = 0;
        for (int i = 0; i < m->policies; i++)
            n += isfinite(m->value[w][i].mean) && worlds_of(m, i) > 1;
        for (int i = 0; n > 1 && i < m->policies; i++)
            if (isfinite(m->value[w][i].mean) && worlds_of(m, i) > 1)
                matrix_put(out, m->world[w], m->policy[i], m->value[w][i]);
    }
}

static void draw(struct page *p, const struct matrix *m, const char *what)
{
    char read[256];
    struct plot plot;
    int first = 0;
    if (m->worlds < 2 || m->policies < 2)
        return;
    for (int i = 1; i < m->policies; i++)
        if (not_beaten(m, i) > not_beaten(m, first))
            first = i;
    snprintf(
        read, sizeof read,
        "%s, less that of the row's best policy. Dark: best. Light: its 95%% interval reaches the "
        "best, so it is level. Orange: it loses.",
        what);
    page_section(p, "Wins and losses", "Policies against worlds.");
    page_figure(p, "matrix", read, "%s is best or level in %d of %d worlds", m->policy[first],
                not_beaten(m, first), m->worlds);
    page_plot(p, &plot, 760, 100 + 34 * m->worlds, "", "");
    plot.left = fmin(24 + 8 * longest(m), 400) / 760;
    plot.right = 0.99;
    plot.bottom = 4.0 / plot.height;
    plot.top = 1 - 4.0 / plot.height;
    plot.no_y = true;
    plot_range(&plot, -0.5, m->policies - 0.5, -0.5, m->worlds);
    plot.y0 = -0.5;
    plot.y1 = m->worlds + 1.2;
    cells(&plot, m, BEST, INK_GOOD);
    cells(&plot, m, LEVEL, INK_LEVEL);
    cells(&plot, m, LOSES, INK_BAD);
    words(&plot, m);
    page_draw(p, &plot);
    numbers(p, m);
}

void draw_matrix(struct page *p, const struct matrix *m, const char *what)
{
    struct matrix *part = calloc(1, sizeof *part);
    if (part == NULL)
        return;
    comparable(m, part);
    draw(p, part, what);
    free(part);
}
