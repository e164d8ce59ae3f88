/* SPDX-License-Identifier: MIT */
/*
 * Slots never move but for sessions_bound, so a snapshot writes only pages that changed. Order of
 * use and hash chains are derived from the slots: `used` is a sequence number and therefore unique,
 * so the order after a restart is the order before. Links are slots + 1, so that memory from calloc
 * is an empty table and an unused one costs address space alone.
 */
#include "core/router/sessions.h"

#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"

struct session_link {
    int32_t next;         /* in the bucket */
    int32_t newer, older; /* in order of use */
};
/* A slot and when it was used. */
struct session_use {
    uint64_t used;
    int32_t slot;
};
enum { BUCKETS = 2 * SESSIONS_MAX, PAGES = SESSIONS_MAX / SESSION_PAGE };

bool sessions_init(struct sessions *s)
{
    memset(s, 0, sizeof *s);
    s->slot = calloc(SESSIONS_MAX, sizeof *s->slot);
    s->link = calloc(SESSIONS_MAX, sizeof *s->link);
    s->bucket = calloc(BUCKETS, sizeof *s->bucket);
    s->order = calloc(SESSIONS_MAX, sizeof *s->order);
    s->dirty = calloc(PAGES, 1);
    if (s->slot && s->link && s->bucket && s->order && s->dirty)
        return true;
    sessions_fini(s);
    return false;
}

void sessions_fini(struct sessions *s)
{
    free(s->slot);
    free(s->link);
    free(s->bucket);
    free(s->order);
    free(s->dirty);
    memset(s, 0, sizeof *s);
}

uint64_t session_key(const char *tenant, const char *session)
{
    if (session[0] == '\0')
        return 0;
    uint64_t h = hash64(session, strlen(session), hash64(tenant, strlen(tenant), 3));
    return h ? h : 1;
}

/* ---- links ---- */

static int32_t *chain(const struct sessions *s, uint64_t key)
{
    return &s->bucket[mix64(key) % BUCKETS];
}

static void unchain(struct sessions *s, int32_t i)
{
    int32_t *at = chain(s, s->slot[i].key);
    while (*at != i + 1)
        at = &s->link[*at - 1].next;
    *at = s->link[i].next;
}

static void enchain(struct sessions *s, int32_t i)
{
    int32_t *at = chain(s, s->slot[i].key);
    s->link[i].next = *at;
    *at = i + 1;
}

static void drop_from_order(struct sessions *s, int32_t i)
{
    struct session_link l = s->link[i];
    *(l.newer ? &s->link[l.newer - 1].older : &s->newest) = l.older;
    *(l.older ? &s->link[l.older - 1].newer : &s->oldest) = l.newer;
}

static void make_newest(struct sessions *s, int32_t i)
{
    s->link[i].newer = 0;
    s->link[i].older = s->newest;
    *(s->newest ? &s->link[s->newest - 1].newer : &s->oldest) = i + 1;
    s->newest = i + 1;
}

static int32_t find(const struct sessions *s, uint64_t key)
{
    int32_t at = *chain(s, key);
    while (at && s->slot[at - 1].key != key)
        at = s->link[at - 1].next;
    return at - 1;
}

/* ---- the table ---- */

const struct session *sessions_find(const struct sessions *s, uint64_t key)
{
    int32_t i = key ? find(s, key) : -1;
    return i >= 0 ? &s->slot[i] : NULL;
}

void sessions_note(struct sessions *s, int64_t most, const struct session *session)
{
    int32_t i = find(s, session->key);
    if (i >= 0) {
        drop_from_order(s, i);
    } else if (s->n < most) {
        i = s->n++;
        s->slot[i].key = session->key;
        enchain(s, i);
    } else {
        i = s->oldest - 1;
        drop_from_order(s, i);
        unchain(s, i);
        s->slot[i].key = session->key;
        enchain(s, i);
    }
    s->slot[i] = *session;
    make_newest(s, i);
    s->dirty[i / SESSION_PAGE] = DIRTY_ALL;
}

static int by_use(const void *a, const void *b)
{
    const struct session_use *x = a, *y = b;
    return x->used < y->used ? -1 : x->used > y->used;
}

static int session_by_use(const void *a, const void *b)
{
    const struct session *x = a, *y = b;
    return x->used < y->used ? -1 : x->used > y->used;
}

void sessions_bound(struct sessions *s, int64_t most)
{
    if (s->n <= most)
        return;
    qsort(s->slot, (size_t)s->n, sizeof *s->slot, session_by_use);
    memmove(s->slot, s->slot + (s->n - most), (size_t)most * sizeof *s->slot);
    s->n = (int32_t)most;
    memset(s->dirty, DIRTY_ALL, PAGES);
    (void)sessions_reindex(s); /* it was a table before */
}

bool sessions_reindex(struct sessions *s)
{
    struct session_use *order = s->order;
    bool sound = true;
    memset(s->bucket, 0, BUCKETS * sizeof *s->bucket);
    s->newest = s->oldest = 0;
    for (int32_t i = 0; sound && i < s->n; i++) {
        order[i] = (struct session_use){s->slot[i].used, i};
        sound = s->slot[i].key != 0 && find(s, s->slot[i].key) < 0;
        enchain(s, i);
    }
    if (sound)
        qsort(order, (size_t)s->n, sizeof *order, by_use);
    for (int32_t i = 0; sound && i < s->n; i++)
        make_newest(s, order[i].slot);
    return sound;
}

/* ---- snapshots ---- */

void sessions_put(struct filler *w, const struct sessions *s, int64_t page)
{
    for (int64_t i = page * SESSION_PAGE; i < (page + 1) * SESSION_PAGE && i < s->n; i++) {
        put_u64(w, s->slot[i].key);
        put_u64(w, s->slot[i].used);
        put_i64(w, s->slot[i].prompt_tokens);
        put_u8(w, s->slot[i].arm);
    }
}

void sessions_get(struct reader *r, struct sessions *s, int64_t page)
{
    s->dirty[page] = DIRTY_ALL; /* snapshot_done knows which generation has it */
    for (int64_t i = page * SESSION_PAGE;
         i < (page + 1) * SESSION_PAGE && i < SESSIONS_MAX && reader_left(r) > 0 && !r->bad; i++) {
        s->slot[i].key = get_u64(r);
        s->slot[i].used = get_u64(r);
        s->slot[i].prompt_tokens = get_i64(r);
        s->slot[i].arm = get_u8(r);
        if (s->slot[i].arm >= MODELS_MAX)
            r->bad = true;
    }
}
