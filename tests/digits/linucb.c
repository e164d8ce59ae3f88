/* SPDX-License-Identifier: MIT */
/*
 * LinUCB with disjoint arms (Li, Chu, Langford, Schapire 2010, algorithm 1) on a table of examples,
 * over bandit/ridge/ridge.h: the known answer for the second-order statistics that every policy
 * stands on.
 *
 *     linucb FILE ALPHA...
 *
 * Each line of FILE has a class 0..9 and 64 pixels 0..16. In order of the lines: x = pixels/16 and
 * a bias, choose argmax_a theta_a'x + alpha sqrt(x'A_a^-1 x), the lowest index among equals; reward
 * 1 if that is the class, else 0; only the chosen arm learns. Prints one line an alpha: alpha,
 * mistakes, rows, mistakes/rows (the progressive loss).
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "bandit/ridge/ridge.h"

enum { ARMS = 10, PIXELS = 64, D = PIXELS + 1, ROWS_MAX = 4096 };

struct example {
    int class;
    float x[D];
};

static int read_examples(const char *path, struct example *out)
{
    FILE *f = fopen(path, "r");
    int n = 0, pixel;
    if (!f)
        return 0;
    while (n < ROWS_MAX && fscanf(f, "%d", &out[n].class) == 1) {
        bool whole = out[n].class >= 0 && out[n].class < ARMS;
        for (int i = 0; i < PIXELS && whole; i++) {
            whole = fscanf(f, ",%d", &pixel) == 1;
            out[n].x[i] = (float)pixel / 16; /* exact */
        }
        if (!whole) {
            n = 0;
            break;
        }
        out[n++].x[PIXELS] = 1;
    }
    (void)fclose(f);
    return n;
}

static int choose(struct ridge *const *arm, const float *row, double alpha)
{
    double x[D], work[D + RIDGE_SPARE], most = -HUGE_VAL;
    int best = 0;
    for (int i = 0; i < D; i++)
        x[i] = (double)row[i];
    for (int a = 0; a < ARMS; a++) {
        double bound = ridge_mean(arm[a], x) + alpha * sqrt(ridge_width(arm[a], x, work));
        if (bound > most) {
            most = bound;
            best = a;
        }
    }
    return best;
}

/* Mistakes over all rows; -1 when memory is short or a matrix cannot be factored. */
static int run(const struct example *rows, int n, double alpha)
{
    struct ridge *arm[ARMS] = {NULL};
    int mistakes = 0;
    bool good = true;
    for (int a = 0; a < ARMS; a++) { /* unit prior precision and no decay: ridge 1 */
        arm[a] = ridge_new(D, 0, 1, 1);
        good = good && arm[a] && ridge_refresh(arm[a], 0);
    }
    for (int i = 0; i < n && good; i++) {
        int a = choose(arm, rows[i].x, alpha);
        mistakes += a != rows[i].class;
        ridge_add(arm[a], rows[i].x, a == rows[i].class, 0, 1);
        good = ridge_refresh(arm[a], 0);
    }
    for (int a = 0; a < ARMS; a++)
        ridge_free(arm[a]);
    return good ? mistakes : -1;
}

int main(int argc, char **argv)
{
    static struct example rows[ROWS_MAX];
    int n = argc > 2 ? read_examples(argv[1], rows) : 0;
    if (n == 0) {
        (void)fprintf(stderr, "usage: linucb FILE ALPHA...; FILE: class and 64 pixels a line\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        int mistakes = run(rows, n, strtod(argv[i], NULL));
        if (mistakes < 0)
            return 1;
        printf("%s %d %d %.6f\n", argv[i], mistakes, n, (double)mistakes / n);
    }
    return 0;
}
