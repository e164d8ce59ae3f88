/* SPDX-License-Identifier: MIT */
/*
 * Shocks: what a model does changes in the middle of a replay. A phase is the table with other
 * outcomes, so whoever reads outcomes (feedback, sums, hull, oracle) needs not know of changes.
 * Quality is shifted row by row, not drawn anew: a model keeps its strong and weak rows. Clipping
 * loses part of a shift, the more the closer outcomes lie to 0 and 1 (of labels 0 and 1, a shift by
 * d moves the mean by d times a share only); the amount is therefore solved for, by bisection,
 * since the clipped mean is monotone in it.
 */
#include "sim/replay/change.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"

static bool read_real(const char *s, double low, double high, double *out)
{
    char *end;
    double v = strtod(s, &end);
    if (end == s || *end != '\0' || !(v >= low && v <= high))
        return false;
    *out = v;
    return true;
}

static bool read_factor(const char *s, double *out)
{
    return s[0] == 'x' && read_real(s + 1, 1e-6, 1e6, out);
}

static bool read_place(const char *s, int64_t *out)
{
    char *end;
    long long v = strtoll(s, &end, 10);
    *out = v;
    return end != s && *end == '\0' && v >= 0;
}

static bool take(struct change *c, const char *key, const char *value)
{
    if (strcmp(key, "model") == 0 && strlen(value) < sizeof c->name) {
        strcpy(c->name, value);
        return true;
    }
    if (strcmp(key, "at") == 0)
        return read_place(value, &c->at);
    if (strcmp(key, "until") == 0)
        return read_place(value, &c->until);
    if (strcmp(key, "quality") == 0)
        return read_real(value, -1, 1, &c->quality);
    if (strcmp(key, "cost") == 0)
        return read_factor(value, &c->cost);
    if (strcmp(key, "price") == 0)
        return read_factor(value, &c->price);
    if (strcmp(key, "failure") == 0)
        return read_real(value, 0, 1, &c->failure);
    if (strcmp(key, "active") == 0)
        return c->withdrawn = strcmp(value, "false") == 0;
    return false;
}

bool change_parse(const char *text, struct change *out)
{
    char item[TABLE_NAME_CAP + 16];
    *out = (struct change){.at = -1, .cost = 1, .price = 1};
    for (;;) {
        size_t n = strcspn(text, ",");
        if (n >= sizeof item)
            return false;
        memcpy(item, text, n);
        item[n] = '\0';
        char *equals = strchr(item, '=');
        if (equals == NULL)
            return false;
        *equals = '\0';
        if (!take(out, item, equals + 1))
            return false;
        if (text[n] == '\0')
            break;
        text += n + 1;
    }
    bool changes = out->quality < 0 || out->quality > 0 || out->failure > 0 || out->withdrawn ||
                   fabs(out->cost - 1) > 0 || fabs(out->price - 1) > 0;
    return out->name[0] != '\0' && out->at >= 0 && (out->until == 0 || out->until > out->at) &&
           changes;
}

size_t change_end(const struct change *c, size_t n_rows)
{
    return c->until > 0 && (size_t)c->until < n_rows ? (size_t)c->until : n_rows;
}

void phases_free(struct phases *p)
{
    for (int i = 0; i < p->n; i++) {
        if (p->phase[i].owns) {
            free(p->phase[i].table.q);
            free(p->phase[i].table.cost_nano);
        }
        free(p->phase[i].failed);
    }
    *p = (struct phases){0};
}

/* ---- outcomes of a phase ---- */

static double clip(double q)
{
    return q < 0 ? 0 : q > 1 ? 1 : q;
}

static double mean_shifted(const struct table *t, int model, const uint32_t *row, size_t n,
                           double by)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += clip(t->q[table_cell(t, row[i], model)] + by);
    return sum / (double)n;
}

/* What to add to every outcome so that the clipped mean moves by shift. */
static double solve_shift(const struct table *t, int model, const uint32_t *row, size_t n,
                          double shift)
{
    double want = mean_shifted(t, model, row, n, 0) + shift, lo = -1, hi = 1;
    for (int i = 0; i < 50; i++) {
        double mid = lo + (hi - lo) / 2;
        if (mean_shifted(t, model, row, n, mid) < want)
            lo = mid;
        else
            hi = mid;
    }
    return lo + (hi - lo) / 2;
}

static bool fails(const struct table *t, size_t row, int model, double rate)
{
    const char *id = table_id(t, row);
    return (double)hash64(id, strlen(id), 0x6661696c + (uint64_t)model) < rate * 0x1p64;
}

static enum status fail_some(struct phase *p, int model, double rate)
{
    struct table *t = &p->table;
    if (p->failed == NULL)
        p->failed = calloc(t->n * (size_t)t->n_models, 1);
    if (p->failed == NULL)
        return STATUS_INTERNAL;
    p->may_fail[model] = true;
    for (size_t i = 0; i < t->n; i++) {
        size_t cell = table_cell(t, i, model);
        if (!fails(t, i, model, rate))
            continue;
        p->failed[cell] = 1;
        t->q[cell] = 0;
    }
    return STATUS_OK;
}

/* What hulls and oracles then see cannot be worth choosing. */
static void withdraw(struct phase *p, int model)
{
    p->absent[model] = true;
    for (size_t i = 0; i < p->table.n; i++) {
        size_t cell = table_cell(&p->table, i, model);
        p->table.q[cell] = 0;
        p->table.cost_nano[cell] = 0;
    }
}

static enum status apply(struct phase *p, const struct change *c, int model, const uint32_t *row,
                         size_t n)
{
    struct table *t = &p->table;
    if (p->absent[model])
        return STATUS_OK;
    double by = c->quality < 0 || c->quality > 0 ? solve_shift(t, model, row, n, c->quality) : 0;
    for (size_t i = 0; i < t->n; i++) {
        size_t cell = table_cell(t, i, model);
        t->q[cell] = clip(t->q[cell] + by);
        t->cost_nano[cell] = llround((double)t->cost_nano[cell] * c->cost * c->price);
    }
    p->price[model] *= c->price;
    if (c->withdrawn)
        withdraw(p, model);
    return c->failure > 0 ? fail_some(p, model, c->failure) : STATUS_OK;
}

/* Gives the phase outcomes of its own. */
static enum status copy_outcomes(struct phase *p, const struct table *t)
{
    size_t cells = t->n * (size_t)t->n_models;
    p->owns = true;
    p->table.q = malloc(cells * sizeof *t->q);
    p->table.cost_nano = malloc(cells * sizeof *t->cost_nano);
    if (p->table.q == NULL || p->table.cost_nano == NULL)
        return STATUS_INTERNAL;
    memcpy(p->table.q, t->q, cells * sizeof *t->q);
    memcpy(p->table.cost_nano, t->cost_nano, cells * sizeof *t->cost_nano);
    return STATUS_OK;
}

/* ---- when ---- */

static int by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Writes where phases begin and gives their number. */
static int boundaries(const struct change *change, int n, size_t n_rows, size_t *out)
{
    size_t all[PHASES_MAX] = {0};
    int len = 1, unique = 0;
    for (int i = 0; i < n; i++) {
        all[len++] = (size_t)change[i].at;
        all[len++] = change_end(&change[i], n_rows);
    }
    qsort(all, (size_t)len, sizeof *all, by_size);
    for (int i = 0; i < len; i++) {
        if (all[i] < n_rows && (unique == 0 || all[i] > out[unique - 1]))
            out[unique++] = all[i];
    }
    return unique;
}

static enum status find_models(struct phases *p, const struct change *change, int n,
                               const struct table *t, size_t n_rows, struct problem *problem)
{
    for (int i = 0; i < n; i++) {
        p->model[i] = -1;
        for (int m = 0; m < t->n_models; m++) {
            if (strcmp(change[i].name, t->model[m].name) == 0 ||
                strcmp(change[i].name, t->model[m].engine_name) == 0)
                p->model[i] = m;
        }
        if (p->model[i] < 0)
            return problem_set(problem, STATUS_UNKNOWN_MODEL, "--change",
                               "the table has no model %s", change[i].name);
        if ((size_t)change[i].at >= n_rows)
            return problem_set(problem, STATUS_BAD_REQUEST, "--change",
                               "at=%lld, but only %zu requests are counted",
                               (long long)change[i].at, n_rows);
    }
    return STATUS_OK;
}

enum status phases_build(struct phases *out, const struct change *change, int n,
                         const struct table *t, const uint32_t *row, size_t n_rows,
                         struct problem *problem)
{
    size_t from[PHASES_MAX];
    assert(n >= 0 && n <= CHANGES_MAX && n_rows > 0);
    *out = (struct phases){0};
    enum status s = find_models(out, change, n, t, n_rows, problem);
    if (s != STATUS_OK)
        return s;
    int n_phases = boundaries(change, n, n_rows, from);
    for (int i = 0; i < n_phases; i++) {
        struct phase *p = &out->phase[i];
        size_t end = i + 1 < n_phases ? from[i + 1] : n_rows;
        *p = (struct phase){.from = from[i], .n = end - from[i], .table = *t};
        for (int m = 0; m < t->n_models; m++)
            p->price[m] = 1;
        out->n = i + 1;
        s = n > 0 ? copy_outcomes(p, t) : STATUS_OK;
        for (int c = 0; s == STATUS_OK && c < n; c++) {
            if ((size_t)change[c].at <= p->from && p->from < change_end(&change[c], n_rows))
                s = apply(p, &change[c], out->model[c], row, n_rows);
        }
        if (s != STATUS_OK)
            return problem_set(problem, s, "", "out of memory");
    }
    return STATUS_OK;
}

void phase_announce(const struct phase *p, const struct table *t, struct catalog *c)
{
    for (int m = 0; m < t->n_models; m++) {
        int slot = catalog_find(c, t->model[m].engine_name);
        if (slot < 0)
            continue;
        struct model *model = &c->model[slot];
        struct rates *const rates[] = {&model->price, &model->batch};
        for (size_t k = 0; k < 2; k++) {
            rates[k]->in = llround((double)rates[k]->in * p->price[m]);
            rates[k]->cached = llround((double)rates[k]->cached * p->price[m]);
            rates[k]->out = llround((double)rates[k]->out * p->price[m]);
            rates[k]->reasoning = llround((double)rates[k]->reasoning * p->price[m]);
        }
        model->active = model->active && !p->absent[m];
    }
}

void phases_fixed(const struct phases *p, const uint32_t *row, bool given, size_t from, size_t to,
                  struct point *out)
{
    const struct phase *last = &p->phase[p->n - 1];
    struct point fixed[MODELS_MAX];
    memset(out, 0, (size_t)last->table.n_models * sizeof *out);
    for (int i = 0; i < p->n; i++) {
        const struct phase *h = &p->phase[i];
        double weight = (double)h->n / (double)(to - from);
        if (h->from < from || h->from >= to)
            continue;
        hull_fixed(&h->table, given ? row + h->from : row, given ? h->n : last->from + last->n,
                   fixed);
        for (int m = 0; m < h->table.n_models; m++) {
            out[m].cost += weight * fixed[m].cost;
            out[m].quality += weight * fixed[m].quality;
        }
    }
}
