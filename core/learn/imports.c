/* SPDX-License-Identifier: MIT */
#include "core/learn/imports.h"

#include <string.h>
#include "core/event/bytes.h"

static int place(const struct imports *i, const char *name, int learner)
{
    for (int k = 0; k < i->n; k++)
        if (i->at[k].learner == learner && strcmp(i->at[k].name, name) == 0)
            return k;
    return -1;
}

const struct import *imports_find(const struct imports *i, const char *name, int learner)
{
    int k = place(i, name, learner);
    return k >= 0 ? &i->at[k] : NULL;
}

struct import *imports_note(struct imports *i, const char *name, int learner)
{
    int k = place(i, name, learner);
    if (k >= 0)
        return &i->at[k];
    if (i->n == IMPORTS_MAX) {
        i->n--;
        memmove(i->at, i->at + 1, (size_t)i->n * sizeof i->at[0]);
    }
    struct import *at = &i->at[i->n++];
    memset(at, 0, sizeof *at);
    (void)strncpy(at->name, name, NAME_CAP - 1);
    at->learner = (uint8_t)learner;
    return at;
}

void imports_put(struct filler *w, const struct imports *i)
{
    put_u8(w, (uint8_t)i->n);
    for (int k = 0; k < i->n; k++) {
        put_str(w, i->at[k].name);
        put_u8(w, i->at[k].learner);
        for (int a = 0; a <= MODELS_MAX; a++)
            put_u64(w, i->at[k].seq[a]);
    }
    put_u64(w, i->reshaped);
}

void imports_get(struct reader *r, struct imports *i)
{
    memset(i, 0, sizeof *i);
    if (reader_left(r) == 0)
        return;
    int n = get_u8(r);
    if (n > IMPORTS_MAX)
        r->bad = true;
    for (int k = 0; k < n && !r->bad; k++) {
        get_str(r, i->at[k].name, sizeof i->at[k].name);
        i->at[k].learner = get_u8(r);
        for (int a = 0; a <= MODELS_MAX; a++)
            i->at[k].seq[a] = get_u64(r);
    }
    i->n = r->bad ? 0 : n;
    i->reshaped = reader_left(r) > 0 ? get_u64(r) : 0;
}
