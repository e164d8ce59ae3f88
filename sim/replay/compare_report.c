/* SPDX-License-Identifier: MIT */
/*
 * Cells of a grid as JSON (read back by a run that resumes), as CSV, and as a table for people. The
 * table shows what decides between policies: the gain over the hull with half its interval, marked
 * when it is a fault, and how the budget was held; the rest is in the JSON.
 */
#include "sim/replay/compare.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool cell_below(const struct cell *c)
{
    double tolerance = strcmp(c->history, "cold") == 0 ? BELOW_COLD : BELOW_WARM;
    double high = isnan(c->gain.high) ? c->gain.mean : c->gain.high; /* a single seed */
    return c->done && high < -tolerance;
}

/* The numbers of a cell by name: one list for writing, reading and the columns. */
struct number {
    const char *name;
    size_t offset;
};
#define AT(field) offsetof(struct cell, field)
static const struct number number[] = {
    {"budget", AT(budget)},
    {"cheapest", AT(least)},
    {"quality", AT(quality.mean)},
    {"quality_low", AT(quality.low)},
    {"quality_high", AT(quality.high)},
    {"spend", AT(spend.mean)},
    {"spend_low", AT(spend.low)},
    {"spend_high", AT(spend.high)},
    {"spend_over_budget", AT(ratio.mean)},
    {"spend_over_budget_low", AT(ratio.low)},
    {"spend_over_budget_high", AT(ratio.high)},
    {"budget_met", AT(met)},
    {"gain", AT(gain.mean)},
    {"gain_low", AT(gain.low)},
    {"gain_high", AT(gain.high)},
    {"best_single_quality", AT(single.quality)},
    {"best_single_cost", AT(single.cost)},
    {"hull_at_budget", AT(hull)},
    {"oracle_quality", AT(oracle.quality)},
    {"oracle_cost", AT(oracle.cost)},
};
enum { NUMBERS = sizeof number / sizeof *number };

static double get(const struct cell *c, int i)
{
    double v;
    memcpy(&v, (const char *)c + number[i].offset, sizeof v);
    return v;
}

static void put(struct cell *c, int i, double v)
{
    memcpy((char *)c + number[i].offset, &v, sizeof v);
}

/* Numbers that a cell has not: of what was not played, and of a budget that is none. */
static bool lacks(const struct cell *c, int i)
{
    size_t at = number[i].offset;
    bool played = at >= AT(quality) && at < AT(single);
    bool budget = at == AT(budget) || at == AT(met) || (at >= AT(ratio) && at < AT(met));
    return (played && !c->done) || (budget && !(c->budget > 0)) || isnan(get(c, i));
}

static void key_string(struct text *t, const char *name, const char *value)
{
    text_printf(t, ",\"%s\":", name);
    text_json_string(t, value);
}

void cell_json(struct text *t, const struct cell *c)
{
    text_printf(t, "{\"digest\":\"%016llx\"", (unsigned long long)c->digest);
    key_string(t, "table", c->table);
    key_string(t, "history", c->history);
    key_string(t, "policy", c->policy);
    key_string(t, "asked", c->asked);
    text_printf(t, ",\"counts\":%s,\"n\":%zu,\"learned\":%zu", c->done ? "true" : "false", c->n,
                c->learned);
    for (int i = 0; i < NUMBERS; i++) {
        text_printf(t, ",\"%s\":", number[i].name);
        if (lacks(c, i))
            text_put(t, "null");
        else
            text_json_number(t, get(c, i), 17);
    }
    text_printf(t, ",\"below_hull\":%s}", cell_below(c) ? "true" : "false");
}

bool cell_read(struct cell *c, const char *line)
{
    json_t *o = json_loadb(line, strcspn(line, "\n"), 0, NULL);
    const char *digest = json_string_value(json_object_get(o, "digest"));
    bool ok = digest != NULL && strtoull(digest, NULL, 16) == c->digest;
    if (ok) {
        c->done = json_is_true(json_object_get(o, "counts"));
        c->n = (size_t)json_integer_value(json_object_get(o, "n"));
        c->learned = (size_t)json_integer_value(json_object_get(o, "learned"));
    }
    for (int i = 0; ok && i < NUMBERS; i++) {
        json_t *v = json_object_get(o, number[i].name);
        bool of_run = number[i].offset >= AT(quality) && number[i].offset < AT(single);
        if (of_run)
            put(c, i, json_is_number(v) ? json_number_value(v) : (double)NAN);
    }
    json_decref(o);
    return ok;
}

static void csv_string(struct text *t, const char *s)
{
    text_put(t, "\"");
    for (; *s != '\0'; s++) {
        text_put_n(t, s, 1);
        if (*s == '"')
            text_put(t, "\"");
    }
    text_put(t, "\",");
}

void cell_csv(struct text *t, const struct cell *c)
{
    if (c == NULL) {
        text_put(t, "table,history,policy,asked,counts,n,learned");
        for (int i = 0; i < NUMBERS; i++)
            text_printf(t, ",%s", number[i].name);
        text_put(t, ",below_hull\n");
        return;
    }
    csv_string(t, c->table);
    csv_string(t, c->history);
    csv_string(t, c->policy);
    csv_string(t, c->asked);
    text_printf(t, "%d,%zu,%zu", c->done, c->n, c->learned);
    for (int i = 0; i < NUMBERS; i++) {
        text_put(t, ",");
        if (!lacks(c, i))
            text_json_number(t, get(c, i), 9);
    }
    text_printf(t, ",%d\n", cell_below(c));
}

/* ---- for people ---- */

enum { NAME_WIDTH = 14, CELL_WIDTH = 28 };

static void cell_brief(struct text *t, const struct cell *c)
{
    char gain[32], held[32] = "";
    if (!c->done) {
        text_printf(t, "  %-*s", CELL_WIDTH, "below 1.1 x cheapest");
        return;
    }
    double half = c->gain.high - c->gain.mean;
    int n = snprintf(gain, sizeof gain, "%+.4f", c->gain.mean);
    if (!isnan(half))
        snprintf(gain + n, sizeof gain - (size_t)n, " %.4f", half);
    if (c->budget > 0)
        snprintf(held, sizeof held, "%4.0f%% %3.0f%%", 100 * c->ratio.mean, 100 * c->met);
    text_printf(t, "  %-14s%c %.4f%-*s", gain, cell_below(c) ? '*' : ' ', c->quality.mean,
                CELL_WIDTH - 22, held);
}

static void line(struct text *t, const char *name, const struct cell *cell, int n,
                 double (*of)(const struct cell *))
{
    text_printf(t, "%-*s", NAME_WIDTH, name);
    for (int b = 0; b < n; b++)
        text_printf(t, "  %15s %.4f%*s", "", of(&cell[b]), CELL_WIDTH - 22, "");
    text_put(t, "\n");
}

static double single_of(const struct cell *c)
{
    return c->single.quality;
}

static double hull_of(const struct cell *c)
{
    return c->hull;
}

static double oracle_of(const struct cell *c)
{
    return c->oracle.quality;
}

static void row(struct text *t, const char *name, const struct cell *cell, int n)
{
    text_printf(t, "%-*s", NAME_WIDTH, name);
    for (int b = 0; b < n; b++)
        cell_brief(t, &cell[b]);
    text_put(t, "\n");
}

static void head(struct text *t, const struct cell *cell, int n, const struct replay *r)
{
    size_t counted = 0, learned = 0; /* unknown when no budget counts */
    for (int b = 0; b < n; b++) {
        counted = cell[b].done ? cell[b].n : counted;
        learned = cell[b].done ? cell[b].learned : learned;
    }
    text_printf(t, "\n%s, history %s: %zu requests counted, %zu learned from first; %d seed%s",
                cell->table, cell->history, counted, learned, r->seeds, r->seeds == 1 ? "" : "s");
    if (r->delay.mean > 0)
        text_printf(t, ", feedback %lld late%s", (long long)r->delay.mean,
                    r->delay.random ? " on average" : "");
    text_printf(t, "\n%-*s", NAME_WIDTH, "budget");
    for (int b = 0; b < n; b++) {
        char name[48];
        if (cell[b].budget > 0)
            snprintf(name, sizeof name, "%s = $%.3g", cell[b].asked, cell[b].budget);
        else
            snprintf(name, sizeof name, "%s", cell[b].asked);
        text_printf(t, "  %-*s", CELL_WIDTH, name);
    }
    text_printf(t, "\n%-*s", NAME_WIDTH, "");
    for (int b = 0; b < n; b++)
        text_printf(t, "  %-16s%-*s", "gain  +-", CELL_WIDTH - 16,
                    cell[b].budget > 0 ? "quality used met" : "quality");
    text_put(t, "\n");
}

void cells_table(struct text *t, const struct cell *cell, int n_policies, int n_budgets,
                 const struct cell *ceiling, const struct replay *r)
{
    head(t, cell, n_budgets, r);
    bool below = false;
    for (int i = 0; i < n_policies * n_budgets; i++)
        below = below || cell_below(&cell[i]);
    for (int i = 0; i < n_policies; i++)
        row(t, cell[i * n_budgets].policy, &cell[i * n_budgets], n_budgets);
    row(t, "ceiling", ceiling, n_budgets);
    line(t, "best single", cell, n_budgets, single_of);
    line(t, "hull", cell, n_budgets, hull_of);
    line(t, "oracle", cell, n_budgets, oracle_of);
    if (below)
        text_printf(t, "* the whole interval lies more than %g below the hull\n",
                    strcmp(cell->history, "cold") == 0 ? BELOW_COLD : BELOW_WARM);
}
