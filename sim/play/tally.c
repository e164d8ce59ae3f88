/* SPDX-License-Identifier: MIT */
#include "sim/play/tally.h"

#include <math.h>
#include <stdlib.h>

static const double ADEQUATE = 0.01;

bool tally_init(struct tally *a, size_t rows)
{
    *a = (struct tally){.rows = rows, .booked = malloc(rows * sizeof *a->booked)};
    return a->booked != NULL;
}

void tally_fini(struct tally *a)
{
    free(a->booked);
    *a = (struct tally){0};
}

/* Gives the best quality of a row. */
static double best_quality(const struct table *t, uint32_t row)
{
    double best = 0;
    for (int m = 0; m < t->n_models; m++)
        best = fmax(best, t->q[table_cell(t, row, m)]);
    return best;
}

bool play_cheapest_adequate(const struct table *t, uint32_t row, int model)
{
    double least = best_quality(t, row) - ADEQUATE;
    size_t mine = table_cell(t, row, model);
    if (t->q[mine] < least)
        return false;
    for (int m = 0; m < t->n_models; m++) {
        size_t cell = table_cell(t, row, m);
        if (t->q[cell] >= least && t->cost_nano[cell] < t->cost_nano[mine])
            return false;
    }
    return true;
}

void tally_add(struct tally *a, const struct table *t, uint32_t row, int model, size_t i)
{
    bool served = model >= 0;
    int64_t cost = served ? t->cost_nano[table_cell(t, row, model)] : 0;
    bool right = served && play_cheapest_adequate(t, row, model);
    a->quality += served ? t->q[table_cell(t, row, model)] : 0;
    a->best += best_quality(t, row);
    a->right += right;
    a->right_last += right && i >= a->rows - a->rows / 5;
    a->cost_nano += cost;
    a->window_nano += cost - a->window[i % PLAY_WINDOW];
    a->window[i % PLAY_WINDOW] = cost;
    if (i + 1 >= PLAY_WINDOW && a->window_nano > a->worst_nano)
        a->worst_nano = a->window_nano;
}

void tally_book(struct tally *a, double usd)
{
    a->booked[a->binding++] = usd;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Mean booked cost of windows of PLAY_WINDOW binding requests, in place of those requests; gives
 * the number of windows. */
static size_t roll(struct tally *a)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < a->binding; i++) {
        sum += a->booked[i];
        if (i + 1 < PLAY_WINDOW)
            continue;
        double oldest = a->booked[i + 1 - PLAY_WINDOW];
        a->booked[n++] = sum / PLAY_WINDOW; /* n <= the oldest's place */
        sum -= oldest;
    }
    return n;
}

static void booked_windows(struct tally *a, struct play_result *out)
{
    size_t n = roll(a);
    out->booked_p99 = out->booked_worst = NAN;
    if (n == 0)
        return;
    qsort(a->booked, n, sizeof *a->booked, by_value);
    out->booked_p99 = a->booked[(n - 1) * 99 / 100];
    out->booked_worst = a->booked[n - 1];
}

void tally_result(struct tally *a, struct play_result *out)
{
    double n = (double)a->rows;
    out->quality = a->quality / n;
    out->value = a->value / n;
    out->regret = (a->best - a->quality) / n;
    out->accuracy = (double)a->right / n;
    out->accuracy_last =
        a->rows < 5 ? out->accuracy : (double)a->right_last / (double)(a->rows / 5);
    out->spend_usd = (double)a->cost_nano / 1e9 / n;
    out->worst_window = (double)a->worst_nano / 1e9 / PLAY_WINDOW;
    out->binding = (double)a->binding / n;
    booked_windows(a, out);
}
