/* SPDX-License-Identifier: MIT */
/*
 * NNG has neither a read deadline nor an end to silence: a connection that has greeted may stay for
 * ever, also half-way through a message, and with enough of them nobody else gets in. So the
 * service remembers of each when it last sent something whole. NNG numbers pipes in a row, so the
 * number itself spreads them over the table without a clash until it has gone once around.
 * Age is counted in sweeps of the loop, not in time: after a suspension of the process requests may
 * wait in the kernel that the loop has not seen, and nobody who asked may be closed for that.
 * Considered: the time in a structure hung on the pipe. NNG 1.x has no place for it.
 */
#include "transport/guests.h"

#include <stdlib.h>

enum status guests_init(struct guests *g, int most)
{
    uint32_t size = 16;
    while (size < 2 * (uint32_t)most)
        size *= 2;
    *g = (struct guests){.mask = size - 1, .most = most};
    if (uv_mutex_init(&g->lock) != 0)
        return STATUS_UNAVAILABLE;
    g->table = calloc(size, sizeof *g->table);
    if (g->table)
        return STATUS_OK;
    uv_mutex_destroy(&g->lock);
    return STATUS_UNAVAILABLE;
}

void guests_fini(struct guests *g)
{
    if (!g->table)
        return;
    free(g->table);
    g->table = NULL;
    uv_mutex_destroy(&g->lock);
}

/* Where id is, or the free place where it would go. */
static uint32_t place(const struct guests *g, int id)
{
    uint32_t i = (uint32_t)id & g->mask;
    while (g->table[i].id != 0 && g->table[i].id != id)
        i = (i + 1) & g->mask;
    return i;
}

bool guests_add(struct guests *g, int id)
{
    uv_mutex_lock(&g->lock);
    bool ok = g->n < g->most;
    if (ok) {
        g->table[place(g, id)] = (struct guest){.id = id, .since = g->sweeps};
        g->n++;
    }
    uv_mutex_unlock(&g->lock);
    return ok;
}

/* Empties place i and moves up whoever would no longer be found behind it. */
static void vacate(struct guests *g, uint32_t i)
{
    g->table[i] = (struct guest){0};
    for (uint32_t k = (i + 1) & g->mask; g->table[k].id != 0; k = (k + 1) & g->mask) {
        struct guest moved = g->table[k];
        g->table[k] = (struct guest){0};
        g->table[place(g, moved.id)] = moved;
    }
}

bool guests_remove(struct guests *g, int id)
{
    uv_mutex_lock(&g->lock);
    uint32_t i = place(g, id);
    bool was = g->table[i].id == id;
    if (was) {
        vacate(g, i);
        g->n--;
    }
    uv_mutex_unlock(&g->lock);
    return was;
}

static void note(struct guests *g, int id, int more)
{
    uv_mutex_lock(&g->lock);
    struct guest *at = &g->table[place(g, id)];
    if (at->id == id) {
        at->since = g->sweeps;
        at->inside += more;
    }
    uv_mutex_unlock(&g->lock);
}

void guests_begin(struct guests *g, int id)
{
    note(g, id, 1);
}

void guests_end(struct guests *g, int id)
{
    note(g, id, -1);
}

uint64_t guests_bearer(struct guests *g, int id, uint64_t who)
{
    uv_mutex_lock(&g->lock);
    struct guest *at = &g->table[place(g, id)];
    uint64_t was = at->bearer;
    if (at->id == id && who != 0)
        at->bearer = who;
    uv_mutex_unlock(&g->lock);
    return was;
}

int guests_of(struct guests *g, uint64_t who)
{
    int n = 0;
    uv_mutex_lock(&g->lock);
    for (uint32_t i = 0; i <= g->mask; i++)
        n += g->table[i].id != 0 && g->table[i].bearer == who;
    uv_mutex_unlock(&g->lock);
    return n;
}

int guests_sweep(struct guests *g, uint64_t most, int *id, int cap)
{
    int n = 0;
    uv_mutex_lock(&g->lock);
    g->sweeps++;
    for (uint32_t i = 0; i <= g->mask && n < cap; i++)
        if (g->table[i].id != 0 && g->table[i].inside == 0 &&
            g->sweeps - g->table[i].since > most) {
            id[n++] = g->table[i].id;
            g->table[i].since = g->sweeps; /* it may take a while to go: others have their turn */
        }
    uv_mutex_unlock(&g->lock);
    return n;
}
