/* SPDX-License-Identifier: MIT */
/*
 * A score as JSON for programs and as a table for people; nothing is computed here but percents.
 * Savings are against the dearest model for every request, on the same requests. The oracle is
 * shown as a limit only: it knows each outcome in advance, luck included.
 */
#include "sim/score.h"

#include <stdio.h>
#include <string.h>

enum { COLUMN = 12 };

static double saved(const struct score_part *p)
{
    return 1 - p->purser.at.cost / p->largest.at.cost;
}

static double monthly_usd(const struct score *s, const struct score_part *p)
{
    return (p->largest.at.cost - p->purser.at.cost) * s->monthly;
}

/* ---- JSON */

static void number(struct text *t, const char *name, double v)
{
    text_printf(t, "%s\"%s\":", t->at[t->len - 1] == '{' ? "" : ",", name);
    text_json_number(t, v, 9);
}

static void point(struct text *t, const char *name, struct point p)
{
    text_printf(t, ",\"%s\":{", name);
    number(t, "quality", p.quality);
    number(t, "usd_per_request", p.cost);
}

static void shares(struct text *t, const struct table *table, const double *share)
{
    text_put(t, ",\"share\":{");
    for (int m = 0; m < table->n_models; m++) {
        text_put(t, m > 0 ? "," : "");
        text_json_string(t, table->model[m].name);
        text_put(t, ":");
        text_json_number(t, share[m], 6);
    }
    text_put(t, "}}");
}

static void fixed(struct text *t, const char *name, const struct table *table, struct pick p)
{
    point(t, name, p.at);
    text_put(t, ",\"model\":");
    if (p.model < 0)
        text_put(t, "null");
    else
        text_json_string(t, table->model[p.model].name);
    text_put(t, "}");
}

static void part_json(struct text *t, const struct score *s, const struct score_part *p)
{
    text_put(t, "{");
    number(t, "n", (double)p->n);
    if (p->n > 0) {
        point(t, "purser", p->purser.at);
        shares(t, s->table, p->purser.share);
        fixed(t, "always_largest", s->table, p->largest);
        fixed(t, "always_smallest", s->table, p->smallest);
        if (s->has_rules) {
            point(t, "rules", p->rules.at);
            shares(t, s->table, p->rules.share);
        }
        point(t, "hull_at_spend", p->hull.at);
        shares(t, s->table, p->hull.share);
        fixed(t, "oracle", s->table, p->oracle);
        number(t, "saved", saved(p));
        number(t, "saved_usd_per_month", monthly_usd(s, p));
        number(t, "gain_over_hull", p->purser.at.quality - p->hull.at.quality);
    }
    text_put(t, "}");
}

void score_json(struct text *t, const struct score *s)
{
    static const char *const name[SCORE_PARTS] = {"all", "first_half", "second_half"};
    text_put(t, "{");
    number(t, "monthly_requests", s->monthly);
    for (int i = 0; i < SCORE_PARTS; i++) {
        text_printf(t, ",\"%s\":", name[i]);
        part_json(t, s, &s->part[i]);
    }
    text_put(t, "}\n");
}

/* ---- table */

static void row(struct text *t, const char *name, struct point p)
{
    text_printf(t, "  %-34.34s %8.3f %12.3f ", name, p.quality, p.cost * 1000);
}

/* A name without the maker's. */
static const char *short_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : name;
}

/* With many models only those with a share worth telling are told, in words. */
static void share_cells(struct text *t, const struct table *table, const double *share)
{
    bool wide = table->n_models > 5;
    const char *comma = "   ";
    for (int m = 0; m < table->n_models; m++) {
        if (wide && share[m] >= 0.01) {
            text_printf(t, "%s%.0f%% %s", comma, 100 * share[m], short_name(table->model[m].name));
            comma = ", ";
        } else if (!wide) {
            text_printf(t, "%*.0f%%", COLUMN - 1, 100 * share[m]);
        }
    }
    text_put(t, "\n");
}

static void pick_row(struct text *t, const char *name, const struct table *table, struct pick p)
{
    double share[MODELS_MAX] = {0};
    row(t, name, p.at);
    if (p.model < 0) {
        text_put(t, "\n");
        return;
    }
    share[p.model] = 1;
    share_cells(t, table, share);
}

static void line_row(struct text *t, const char *name, const struct table *table,
                     const struct score_line *l)
{
    row(t, name, l->at);
    share_cells(t, table, l->share);
}

static void head(struct text *t, const struct score *s, const char *title, size_t n)
{
    text_printf(t, "%s, %zu requests\n", title, n);
    text_printf(t, "  %-34s %8s %12s ", "", "quality", "$ per 1000");
    for (int m = 0; s->table->n_models <= 5 && m < s->table->n_models; m++)
        text_printf(t, " %*.*s", COLUMN - 1, COLUMN - 1, short_name(s->table->model[m].name));
    text_put(t, s->table->n_models > 5 ? "   share of requests\n" : "\n");
}

static void part_table(struct text *t, const struct score *s, const char *title,
                       const struct score_part *p)
{
    if (p->n == 0)
        return;
    head(t, s, title, p->n);
    line_row(t, "purser", s->table, &p->purser);
    pick_row(t, "always the largest model", s->table, p->largest);
    pick_row(t, "always the smallest model", s->table, p->smallest);
    if (s->has_rules)
        line_row(t, "keyword rules", s->table, &p->rules);
    line_row(t, "best blind mix for purser's money", s->table, &p->hull);
    pick_row(t, "oracle (knows all answers)", s->table, p->oracle);
    text_put(t, "\n");
}

/* 1234567.8 as 1,234,568. */
static const char *thousands(char out[32], double v)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%.0f", v < 0 ? -v : v), k = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[k++] = ',';
        out[k++] = digits[i];
    }
    out[k] = '\0';
    return out;
}

void score_table(struct text *t, const struct score *s)
{
    const struct score_part *second = &s->part[SCORE_SECOND];
    const struct score_part *p = second->n > 0 ? second : &s->part[SCORE_ALL];
    char money[32], requests[32];
    part_table(t, s, "First half, while it learns", &s->part[SCORE_FIRST]);
    part_table(t, s, "Second half, with what it has learned", second);
    part_table(t, s, "All", &s->part[SCORE_ALL]);
    double usd = monthly_usd(s, p), against = p->purser.at.quality - p->largest.at.quality;
    text_printf(t, "In the second half purser %s %.0f%% of what the largest model costs: $%s a\n",
                usd >= 0 ? "saved" : "cost more by", 100 * (usd >= 0 ? saved(p) : -saved(p)),
                thousands(money, usd));
    text_printf(t, "month at %s requests, with quality %.3f instead of %.3f (%+.3f).\n",
                thousands(requests, s->monthly), p->purser.at.quality, p->largest.at.quality,
                against);
    text_printf(t, "For the same money a mix that ignores the request would reach %.3f (%+.3f).\n",
                p->hull.at.quality, p->hull.at.quality - p->purser.at.quality);
}
