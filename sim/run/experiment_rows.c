/* SPDX-License-Identifier: MIT */
/* Which rows of an experiment count, and which are taught. */
#include "sim/run/experiment.h"

#include "bandit/rng.h"

#include <stdlib.h>
#include <string.h>

struct ranked {
    uint64_t hash;
    uint32_t row;
};

static int by_hash(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Writes all rows so that those to be taught come last. */
static bool rank_rows(const struct experiment *e, uint32_t *row)
{
    const struct table *t = &e->world.table;
    for (uint32_t i = 0; i < t->n; i++)
        row[i] = i;
    if (e->world.mean != NULL || e->n_reserve == 0) /* a world has made them last */
        return true;
    struct ranked *rank = malloc(t->n * sizeof *rank);
    if (rank == NULL)
        return false;
    for (uint32_t i = 0; i < t->n; i++)
        rank[i] = (struct ranked){hash64(table_id(t, i), strlen(table_id(t, i)), 0), i};
    qsort(rank, t->n, sizeof *rank, by_hash);
    for (size_t i = 0; i < t->n; i++)
        row[t->n - 1 - i] = rank[i].row;
    free(rank);
    return true;
}

enum status experiment_part(struct experiment *e, struct problem *problem)
{
    size_t all = e->world.table.n;
    if (e->n_reserve >= all)
        return problem_set(problem, STATUS_BAD_REQUEST, "/policies",
                           "%zu labelled of %zu requests leave none to count", e->n_reserve, all);
    uint32_t *row = malloc(all * sizeof *row);
    e->n = all - e->n_reserve;
    e->count = malloc(e->n * sizeof *e->count);
    e->reserve = calloc(e->n_reserve + 1, sizeof *e->reserve);
    bool ok = row != NULL && e->count != NULL && e->reserve != NULL && rank_rows(e, row);
    if (ok) {
        memcpy(e->count, row, e->n * sizeof *row);
        memcpy(e->reserve, row + e->n, e->n_reserve * sizeof *row);
    }
    free(row);
    return ok ? STATUS_OK : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
}
