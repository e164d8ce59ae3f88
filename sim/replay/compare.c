/* SPDX-License-Identifier: MIT */
/*
 * The grid. Cells are played one after the other, each over all seeds by the crew, and told as
 * they come, so that what an interrupted run has found is not lost: a cell carries a digest of all
 * that its numbers depend on (the table's outcomes and texts, the configuration, seeds, history),
 * and a line with that digest in the file to resume from is taken instead of playing again.
 * All histories count the same rows, those of the split's second half, so that what stands beside
 * the cells is the same for all of them; "cold" learns nothing of the first half.
 * A budget below 1.1 times what the cheapest model costs leaves nothing to decide: such cells are
 * not played and say so. Not done: one queue of seeds over all cells; with 20 seeds a cell the
 * crew is idle for the last seed of a cell only.
 */
#include "sim/replay/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "bandit/policy/policy.h"
#include "bandit/rng.h"
#include "core/config/config.h"
#include "store/whole.h"

enum { CELL_TEXT_CAP = 4096, TABLE_TEXT_CAP = 1 << 16 };
static const double LEAST_FACTOR = 1.1;
static const char *const history_name[HISTORIES] = {"cold", "bandit", "full"};

/* A run of the grid. */
struct run {
    const struct grid *grid;
    struct table table;
    uint64_t table_digest;
    struct params *params, *work; /* of the table; of a cell */
    struct replay_report survey;
    struct cell *cell; /* of the table: the ceilings, then by history, policy and budget */
    char *known;       /* lines of the file to resume from */
    FILE *journal;
    struct whole csv;
    char *room;
    double started;       /* seconds */
    int dir, done, cells; /* of the whole grid */
    int played;
};

/* ---- lists ---- */

/* Gives the next item of a comma list in out and moves on; false at the end, or when one is empty
 * or too long (then *list is not NULL). */
static bool next_item(const char **list, char *out, size_t cap)
{
    if (*list == NULL)
        return false;
    size_t n = strcspn(*list, ",");
    if (n == 0 || n >= cap)
        return false;
    memcpy(out, *list, n);
    out[n] = '\0';
    *list = (*list)[n] == ',' ? *list + n + 1 : NULL;
    return true;
}

bool grid_policies(struct grid *g, const char *list)
{
    char item[NAME_CAP];
    g->n_policies = 0;
    for (int i = 0; strcmp(list, "all") == 0 && policy_at(i) != NULL; i++)
        g->policy[g->n_policies++] = policy_at(i)->name;
    if (g->n_policies > 0)
        return true;
    while (next_item(&list, item, sizeof item)) {
        const struct policy_ops *p = policy_find(item);
        if (p == NULL || g->n_policies == GRID_POLICIES_MAX)
            return false;
        g->policy[g->n_policies++] = p->name;
    }
    return list == NULL;
}

static bool read_budget(const char *text, struct grid_budget *b)
{
    char *end;
    *b = (struct grid_budget){0};
    snprintf(b->text, sizeof b->text, "%s", text);
    if (strcmp(text, "none") == 0)
        return true;
    double v = strtod(text, &end);
    if (end == text || !(v > 0 && v <= 1e6))
        return false;
    if (strcmp(end, "%") == 0)
        b->share = v / 100;
    else
        b->usd = v;
    return end[0] == '\0' || b->share > 0;
}

bool grid_budgets(struct grid *g, const char *list)
{
    char item[sizeof g->budget[0].text];
    g->n_budgets = 0;
    while (next_item(&list, item, sizeof item)) {
        if (g->n_budgets == GRID_BUDGETS_MAX || !read_budget(item, &g->budget[g->n_budgets++]))
            return false;
    }
    return list == NULL;
}

bool grid_histories(struct grid *g, const char *list)
{
    char item[NAME_CAP];
    g->n_histories = 0;
    while (next_item(&list, item, sizeof item)) {
        int h = 0;
        while (h < HISTORIES && strcmp(item, history_name[h]) != 0)
            h++;
        if (h == HISTORIES || g->n_histories == HISTORIES)
            return false;
        g->history[g->n_histories++] = (enum history)h;
    }
    return list == NULL;
}

/* ---- what has been found before ---- */

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t len = 0, cap = 1 << 16;
    char *text = malloc(cap);
    while (f != NULL && text != NULL) {
        size_t n = fread(text + len, 1, cap - len - 1, f);
        len += n;
        if (n == 0)
            break;
        if (len + 1 == cap) {
            char *more = realloc(text, cap *= 2);
            if (more == NULL)
                free(text);
            text = more;
        }
    }
    if (f != NULL)
        fclose(f);
    if (text != NULL)
        text[len] = '\0';
    return text;
}

/* Finds the line of a cell's digest and takes its numbers. */
static bool recall(const struct run *r, struct cell *c)
{
    char want[40];
    snprintf(want, sizeof want, "{\"digest\":\"%016llx\"", (unsigned long long)c->digest);
    const char *at = r->known == NULL ? NULL : strstr(r->known, want);
    for (; at != NULL; at = strstr(at + 1, want)) {
        if (cell_read(c, at))
            return true;
    }
    return false;
}

static enum status open_journal(struct run *r, struct problem *problem)
{
    const char *path = r->grid->resume;
    if (path == NULL)
        return STATUS_OK;
    r->known = read_all(path);
    r->journal = fopen(path, "ab");
    if (r->known == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (r->journal == NULL)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", path, strerror(errno));
    size_t n = strlen(r->known);
    if (n > 0 && r->known[n - 1] != '\n') /* a line that was cut off ends here */
        fputc('\n', r->journal);
    return STATUS_OK;
}

/* ---- one cell ---- */

static uint64_t digest_table(const struct table *t)
{
    size_t cells = t->n * (size_t)t->n_models;
    uint64_t h = hash64(t->text, t->text_len, 1);
    h = hash64(t->q, cells * sizeof *t->q, h);
    h = hash64(t->cost_nano, cells * sizeof *t->cost_nano, h);
    h = hash64(t->in, cells * sizeof *t->in, h);
    h = hash64(t->out, cells * sizeof *t->out, h);
    return hash64(t->lat_ms, cells * sizeof *t->lat_ms, h);
}

static enum status digest_cell(struct run *r, const struct replay *p, struct cell *c,
                               struct problem *problem)
{
    char how[160];
    char *json = malloc(CONFIG_MAX);
    size_t n = json == NULL ? 0 : config_render(p->params, json, CONFIG_MAX);
    uint64_t h = hash64(json, n, r->table_digest);
    free(json);
    if (n == 0)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    int len = snprintf(how, sizeof how, "%s %d %llu %lld%s %.17g %d %d %d %d", PURSER_VERSION,
                       p->seeds, (unsigned long long)p->first_seed, (long long)p->delay.mean,
                       p->delay.random ? "r" : "", p->split, p->cold, p->full_history,
                       p->reveal_all, p->given_order);
    h = hash64(how, (uint64_t)len, h);
    c->digest = hash64(p->lens, p->lens_len, h) | 1;
    return STATUS_OK;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Time left: cells are taken to last alike, those that were known already not to count. */
static void tell_progress(struct run *r, int seed, int seeds)
{
    double part = (double)seed / seeds, done = r->done + part, played = r->played + part;
    double left = played > 0 ? (seconds() - r->started) / played * (r->cells - done) : 0;
    if (r->grid->progress != NULL)
        r->grid->progress(r->grid->progress_ctx, done / r->cells, left);
}

static void seed_done(void *ctx, int done, int jobs)
{
    tell_progress(ctx, done, jobs);
}

static enum status play_cell(struct run *r, struct replay *p, struct cell *c,
                             struct problem *problem)
{
    struct replay_report report;
    p->crew.progress = r->grid->progress != NULL ? seed_done : NULL;
    p->crew.progress_ctx = r;
    enum status s = replay_run(p, &report, problem);
    if (s != STATUS_OK)
        return s;
    c->done = true;
    c->n = report.n;
    c->learned = report.learned;
    c->quality = report.quality;
    c->spend = report.spend;
    c->gain = report.gain;
    c->ratio = report.budget_ratio;
    c->met = report.met;
    r->played++;
    return STATUS_OK;
}

/* Tells a finished cell to whoever wants it now. */
static enum status tell_cell(struct run *r, const struct cell *c, bool known,
                             struct problem *problem)
{
    struct text text = text_over(r->room, CELL_TEXT_CAP);
    cell_json(&text, c);
    if (r->grid->json)
        fprintf(r->grid->out, "%s\n", text.at);
    if (r->journal != NULL && !known &&
        (fprintf(r->journal, "%s\n", text.at) < 0 || fflush(r->journal) != 0))
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", r->grid->resume,
                           strerror(errno));
    if (r->csv.f != NULL) {
        text = text_over(r->room, CELL_TEXT_CAP);
        cell_csv(&text, c);
        fputs(text.at, r->csv.f);
    }
    return STATUS_OK;
}

static enum status run_cell(struct run *r, struct replay *p, const char *policy, struct cell *c,
                            struct problem *problem)
{
    bool counts = !(c->budget > 0) || c->budget >= LEAST_FACTOR * c->least, known = true;
    enum status s = STATUS_OK;
    snprintf(r->work->policy.name, sizeof r->work->policy.name, "%s", policy);
    r->work->budget.usd_per_request = c->budget;
    p->table = &r->table;
    p->params = r->work;
    s = digest_cell(r, p, c, problem);
    if (s == STATUS_OK && !recall(r, c)) {
        known = false;
        if (counts)
            s = play_cell(r, p, c, problem);
    }
    if (s == STATUS_OK)
        s = tell_cell(r, c, known, problem);
    r->done++;
    tell_progress(r, 0, 1);
    return s;
}

/* ---- one table ---- */

/* What stands beside the cells of a budget. */
static enum status fill_beside(struct run *r, const struct grid_budget *b, struct cell *c,
                               struct problem *problem)
{
    const struct replay_report *v = &r->survey;
    struct pick oracle;
    struct replay p = r->grid->replay;
    p.table = &r->table;
    p.params = r->params;
    *c = (struct cell){.table = r->grid->dir[r->dir], .asked = b->text, .least = v->fixed[0].cost};
    c->budget = b->share > 0 ? b->share * v->best_single.at.cost : b->usd;
    double spend = c->budget > 0 ? c->budget : 1e300;
    struct point affordable[MODELS_MAX];
    int n = 0;
    for (int m = 0; m < v->n_models; m++) {
        if (v->fixed[m].cost < c->least)
            c->least = v->fixed[m].cost;
        if (v->fixed[m].cost <= spend)
            affordable[n++] = v->fixed[m];
    }
    c->single = n > 0 ? hull_best_single(affordable, n).at : v->hull[0];
    c->hull = hull_value(v->hull, v->n_hull, spend);
    enum status s = replay_oracle_within(&p, spend, &oracle, problem);
    c->oracle = oracle.at;
    return s;
}

/* The engine's own regressions, taught everything, taking the best under the same pacing. */
static enum status run_ceiling(struct run *r, struct cell *c, struct problem *problem)
{
    struct replay p = r->grid->replay;
    p.full_history = p.reveal_all = true;
    *r->work = *r->params;
    r->work->policy.floor = r->work->policy.floor_min = 0;
    r->work->policy.apprentice = false;
    r->work->guard.alpha = 0;
    r->work->guard.hull = false;
    r->work->learner.quota = 0;
    c->policy = "ceiling";
    c->history = "all";
    return run_cell(r, &p, "trained", c, problem);
}

static enum status run_history(struct run *r, enum history h, const struct cell *ceiling,
                               struct cell *cell, struct problem *problem)
{
    const struct grid *g = r->grid;
    enum status s = STATUS_OK;
    for (int i = 0; s == STATUS_OK && i < g->n_policies * g->n_budgets; i++) {
        struct replay p = g->replay;
        struct cell *c = &cell[i];
        p.cold = h == HISTORY_COLD;
        p.full_history = h == HISTORY_FULL;
        *r->work = *r->params;
        *c = ceiling[i % g->n_budgets];
        c->policy = g->policy[i / g->n_budgets];
        c->history = history_name[h];
        c->done = false;
        s = run_cell(r, &p, c->policy, c, problem);
    }
    if (s != STATUS_OK || g->json)
        return s;
    struct text text = text_over(r->room, TABLE_TEXT_CAP);
    cells_table(&text, cell, g->n_policies, g->n_budgets, ceiling, &g->replay);
    fputs(text.at, g->out);
    fflush(g->out);
    return s;
}

static enum status run_table(struct run *r, struct problem *problem)
{
    const struct grid *g = r->grid;
    enum status s = g->set_up(g->ctx, g->dir[r->dir], &r->table, r->params, problem);
    if (s != STATUS_OK)
        return s;
    struct replay p = g->replay;
    p.table = &r->table;
    p.params = r->params;
    r->table_digest = digest_table(&r->table);
    s = replay_survey(&p, &r->survey, problem);
    for (int b = 0; s == STATUS_OK && b < g->n_budgets; b++) {
        s = fill_beside(r, &g->budget[b], &r->cell[b], problem);
        if (s == STATUS_OK)
            s = run_ceiling(r, &r->cell[b], problem);
    }
    for (int h = 0; s == STATUS_OK && h < g->n_histories; h++)
        s = run_history(r, g->history[h], r->cell, r->cell + g->n_budgets, problem);
    table_free(&r->table);
    return s;
}

static enum status open_run(struct run *r, struct problem *problem)
{
    const struct grid *g = r->grid;
    int per_history = g->n_policies * g->n_budgets;
    r->cells = g->n_dirs * (g->n_budgets + g->n_histories * per_history);
    r->params = malloc(sizeof *r->params);
    r->work = malloc(sizeof *r->work);
    r->cell = calloc((size_t)(g->n_budgets + per_history), sizeof *r->cell);
    r->room = malloc(TABLE_TEXT_CAP);
    if (r->params == NULL || r->work == NULL || r->cell == NULL || r->room == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (g->csv != NULL) {
        enum status s = whole_begin(&r->csv, g->csv, problem);
        if (s != STATUS_OK)
            return s;
        struct text text = text_over(r->room, TABLE_TEXT_CAP);
        cell_csv(&text, NULL);
        fputs(text.at, r->csv.f);
    }
    r->started = seconds();
    return open_journal(r, problem);
}

enum status grid_run(const struct grid *g, struct problem *problem)
{
    struct run r = {.grid = g};
    enum status s = open_run(&r, problem);
    for (r.dir = 0; s == STATUS_OK && r.dir < g->n_dirs; r.dir++)
        s = run_table(&r, problem);
    if (r.journal != NULL)
        fclose(r.journal);
    s = whole_end(&r.csv, s, problem);
    free(r.known);
    free(r.room);
    free(r.cell);
    free(r.work);
    free(r.params);
    return s;
}
