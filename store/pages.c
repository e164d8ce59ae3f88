/* SPDX-License-Identifier: MIT */
/*
 * The layout, from LMDB 0.9's mdb.c. Page: number (8 bytes), pad (2), flags (2), then the ends of
 * the offsets and of the nodes (2 each), or for a run of overflow pages their count (4); offsets of
 * nodes follow. Node: 8 bytes (a leaf's value length low, high, flags, key length; a branch's child
 * in the first three), key, value. Pages 0 and 1 are the two meta pages; transaction t writes page
 * t % 2, so their numbers differ by one. A tree's 48 bytes: pad, flags, depth, counts, root.
 * Invariant: a page is followed once, whatever it says; so a walk ends.
 */
#include "store/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 16, NODE = 8, TREE = 48, BRANCH = 1, LEAF = 2, OVERFLOW = 4, DEPTH_MAX = 32 };
enum { BIG = 1, SUB = 2, TRIES = 5, META_BYTES = 136, FREE_FLAGS = 8 };
static const uint64_t no_page = UINT64_MAX;

struct tree {
    unsigned flags, depth;
    uint64_t branch, leaf, overflow, entries, root;
};

struct pages {
    const uint8_t *map;
    size_t bytes, page;
    uint64_t last, txn;
    struct tree list, main; /* of free pages, of tables */
    uint8_t *met;           /* a bit a page: 1 in a tree, 2 free */
    uint64_t faults;
    char first[128];
};

static uint64_t load(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n); /* in the byte order of the machine */
    return v;
}

static bool fault(struct pages *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fault(struct pages *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (p->faults++ == 0)
        vsnprintf(p->first, sizeof p->first, fmt, args);
    va_end(args);
    return false;
}

/* ---- opening */

static struct tree tree_at(const uint8_t *t)
{
    return (struct tree){(unsigned)load(t + 4, 2), (unsigned)load(t + 6, 2), load(t + 8, 8),
                         load(t + 16, 8),          load(t + 24, 8),          load(t + 32, 8),
                         load(t + 40, 8)};
}

static bool meta_ok(const struct pages *p, size_t at)
{
    if (at + HEAD + META_BYTES > p->bytes)
        return false;
    const uint8_t *m = p->map + at + HEAD;
    uint64_t size = load(m + 24, 4); /* the pad of the free list's tree */
    return load(m, 4) == 0xbeefc0deu && load(m + 4, 4) == 1 && size >= 512 && size <= 32768 &&
           (size & (size - 1)) == 0 && load(m + 120, 8) < p->bytes / size;
}

/* Where the second meta page is, for all that the first may say. */
static size_t second_meta(const struct pages *p)
{
    for (size_t size = 512; size <= 32768; size *= 2)
        if (meta_ok(p, size) && load(p->map + size + HEAD + 24, 4) == size)
            return size;
    return 0;
}

static bool meta_choose(struct pages *p)
{
    size_t second = second_meta(p);
    bool ok[2] = {meta_ok(p, 0), second > 0};
    if (!ok[0] && !ok[1])
        return false;
    const uint8_t *m[2] = {p->map + HEAD, p->map + second + HEAD};
    uint64_t txn[2] = {load(m[0] + 128, 8), load(m[1] + 128, 8)};
    if (!ok[0] || !ok[1])
        fault(p, "meta page %d is damaged: the transaction before it is read", ok[0]);
    else if (txn[0] + 1 != txn[1] && txn[1] + 1 != txn[0])
        fault(p, "the meta pages' transactions, %" PRIu64 " and %" PRIu64 ", do not follow", txn[0],
              txn[1]);
    int i = !ok[0] || (ok[1] && txn[1] > txn[0]);
    if (txn[i] % 2 != (uint64_t)i)
        fault(p, "meta page %d has transaction %" PRIu64, i, txn[i]);
    p->page = (size_t)load(m[i] + 24, 4);
    p->list = tree_at(m[i] + 24);
    p->main = tree_at(m[i] + 24 + TREE);
    p->last = load(m[i] + 120, 8);
    p->txn = txn[i];
    return true;
}

static bool map(struct pages *p, const char *dir)
{
    char path[600];
    struct stat st;
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    void *at = MAP_FAILED;
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        p->bytes = (size_t)st.st_size;
        at = mmap(NULL, p->bytes, PROT_READ, MAP_SHARED, fd, 0);
    }
    close(fd);
    p->map = at == MAP_FAILED ? NULL : at;
    return p->map != NULL;
}

enum status pages_open(const char *dir, struct pages **out, struct problem *problem)
{
    struct pages *p = calloc(1, sizeof *p);
    enum status s = STATUS_OK;
    if (p == NULL)
        return problem_set(problem, STATUS_UNAVAILABLE, dir, "%s: no memory to read it", dir);
    if (!map(p, dir))
        s = problem_set(problem, STATUS_BAD_REQUEST, dir, "%s: cannot read data.mdb: %s", dir,
                        errno ? strerror(errno) : "it is empty");
    else if (!meta_choose(p))
        s = problem_set(problem, STATUS_INTERNAL, dir,
                        "%s: both meta pages of data.mdb are damaged; restore a backup", dir);
    else if ((p->met = calloc(p->last + 1, 1)) == NULL)
        s = problem_set(problem, STATUS_UNAVAILABLE, dir, "%s: no memory to read it", dir);
    if (s != STATUS_OK) {
        pages_close(p);
        return s;
    }
    *out = p;
    return STATUS_OK;
}

void pages_close(struct pages *p)
{
    if (p == NULL)
        return;
    if (p->map != NULL)
        munmap((void *)(uintptr_t)p->map, p->bytes);
    free(p->met);
    free(p);
}

uint64_t pages_faults(const struct pages *p, const char **first)
{
    *first = p->first;
    return p->faults;
}

/* ---- walking */

struct span {
    const uint8_t *at; /* NULL: no bound */
    size_t n;
};

struct walk {
    struct pages *p;
    const char *table;
    bool numbers; /* keys are numbers of the machine, not bytes */
    void (*visit)(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t n);
    void (*sub)(struct walk *w, struct span key, const struct tree *t);
    void *ctx;
    struct tree seen; /* counts */
    struct span last; /* key */
};

struct node {
    struct span key, value;
    unsigned flags;
    uint64_t child;
};

static int compare(const struct walk *w, struct span a, struct span b)
{
    if (w->numbers) {
        uint64_t x = a.n == 8 ? load(a.at, 8) : 0, y = b.n == 8 ? load(b.at, 8) : 0;
        return (x > y) - (x < y);
    }
    int c = memcmp(a.at, b.at, a.n < b.n ? a.n : b.n);
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static bool meet(struct walk *w, uint64_t first, uint64_t n, uint8_t as)
{
    struct pages *p = w->p;
    if (first < 2 || first > p->last || n > p->last - first + 1)
        return fault(p, "table %s: page %" PRIu64 " is beyond the file", w->table, first);
    for (uint64_t i = first; i < first + n; i++) {
        if (p->met[i])
            return fault(p, "table %s: page %" PRIu64 " is used twice", w->table, i);
        p->met[i] = as;
    }
    return true;
}

/* A page of a tree that has not been met; NULL: a fault. */
static const uint8_t *enter(struct walk *w, uint64_t number, unsigned flags)
{
    if (!meet(w, number, 1, 1))
        return NULL;
    const uint8_t *page = w->p->map + number * w->p->page;
    if (load(page, 8) == number && load(page + 10, 2) == flags)
        return page;
    fault(w->p, "table %s: page %" PRIu64 " says it is %" PRIu64 " of kind %u", w->table, number,
          load(page, 8), (unsigned)load(page + 10, 2));
    return NULL;
}

/* The value of a leaf's node, on this page or on pages of its own. */
static bool value_of(struct walk *w, const uint8_t *at, size_t room, uint64_t n, struct node *out)
{
    struct pages *p = w->p;
    out->value = (struct span){at, (size_t)n};
    if (!(out->flags & BIG))
        return n <= room;
    if (room < 8)
        return false;
    uint64_t first = load(at, 8), count = (HEAD - 1 + n) / p->page + 1;
    const uint8_t *page = enter(w, first, OVERFLOW);
    if (page == NULL || (count > 1 && !meet(w, first + 1, count - 1, 1)))
        return false;
    out->value.at = page + HEAD;
    w->seen.overflow += count;
    return load(page + 12, 4) == count;
}

static bool node_at(struct walk *w, const uint8_t *page, size_t i, bool leaf, struct node *out)
{
    size_t size = w->p->page, upper = (size_t)load(page + 14, 2);
    size_t at = (size_t)load(page + HEAD + 2 * i, 2);
    if (at < upper || at % 2 || at + NODE > size)
        return false;
    const uint8_t *n = page + at;
    uint64_t low = load(n, 2), high = load(n + 2, 2), flags = load(n + 4, 2);
    size_t key = (size_t)load(n + 6, 2), room = size - at - NODE;
    if (key > room)
        return false;
    *out = (struct node){.key = {n + NODE, key}, .flags = leaf ? (unsigned)flags : 0};
    out->child = low | high << 16 | flags << 32;
    return !leaf ||
           ((flags & ~3u) == 0 && value_of(w, n + NODE + key, room - key, low | high << 16, out));
}

static void leaf_item(struct walk *w, const struct node *n)
{
    w->seen.entries++;
    if (!(n->flags & SUB)) {
        if (w->visit)
            w->visit(w->ctx, n->key.at, n->key.n, n->value.at, n->value.n);
    } else if (n->value.n == TREE && w->sub) {
        struct tree t = tree_at(n->value.at);
        w->sub(w, n->key, &t);
    } else {
        fault(w->p, "table %s: an item is a table", w->table);
    }
}

static void subtree(struct walk *w, uint64_t number, unsigned depth, struct span low,
                    struct span high);

/* Node i of a page, within the bounds that the page above gives it. */
static void step(struct walk *w, const uint8_t *page, size_t i, size_t count, unsigned depth,
                 struct span low, struct span high)
{
    bool leaf = depth == 1;
    struct node n, next;
    uint64_t number = load(page, 8);
    if (!node_at(w, page, i, leaf, &n)) {
        fault(w->p, "table %s: item %zu of page %" PRIu64 " is damaged", w->table, i, number);
        return;
    }
    if (leaf ? (w->last.at && compare(w, n.key, w->last) <= 0) : i > 0 && n.key.n == 0)
        fault(w->p, "table %s: page %" PRIu64 " is not in order", w->table, number);
    if (leaf || i > 0) {
        if ((low.at && compare(w, n.key, low) < 0) || (high.at && compare(w, n.key, high) >= 0))
            fault(w->p, "table %s: item %zu of page %" PRIu64 " is under the wrong page", w->table,
                  i, number);
        low = n.key;
    }
    if (leaf) {
        w->last = n.key;
        leaf_item(w, &n);
        return;
    }
    if (i + 1 < count && node_at(w, page, i + 1, false, &next))
        high = next.key;
    subtree(w, n.child, depth - 1, low, high);
}

static void subtree(struct walk *w, uint64_t number, unsigned depth, struct span low,
                    struct span high)
{
    const uint8_t *page = enter(w, number, depth == 1 ? LEAF : BRANCH);
    if (page == NULL)
        return;
    size_t lower = (size_t)load(page + 12, 2), upper = (size_t)load(page + 14, 2);
    if (lower < HEAD || lower % 2 || upper < lower || upper > w->p->page) {
        fault(w->p, "table %s: the head of page %" PRIu64 " is damaged", w->table, number);
        return;
    }
    *(depth == 1 ? &w->seen.leaf : &w->seen.branch) += 1;
    size_t count = (lower - HEAD) / 2;
    if (count == 0 || (depth > 1 && count < 2))
        fault(w->p, "table %s: page %" PRIu64 " has %zu items", w->table, number, count);
    for (size_t i = 0; i < count; i++)
        step(w, page, i, count, depth, low, high);
}

static void tree_walk(struct walk *w, const struct tree *t, unsigned flags)
{
    const struct tree *s = &w->seen;
    if (t->flags != flags)
        fault(w->p, "table %s: it is of kind %u", w->table, t->flags);
    if (t->root == no_page || t->depth == 0 || t->depth > DEPTH_MAX) {
        if (t->root != no_page || t->depth != 0 || t->entries != 0)
            fault(w->p, "table %s: its root is damaged", w->table);
        return;
    }
    subtree(w, t->root, t->depth, (struct span){0}, (struct span){0});
    if (s->branch != t->branch || s->leaf != t->leaf || s->overflow != t->overflow ||
        s->entries != t->entries)
        fault(w->p,
              "table %s: %" PRIu64 " items on %" PRIu64 " pages instead of %" PRIu64 " on %" PRIu64,
              w->table, s->entries, s->leaf, t->entries, t->leaf);
}

/* ---- tables */

struct lookup {
    const char *name; /* NULL: each */
    void (*visit)(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t n);
    void *ctx;
    bool found;
};

static void on_table(struct walk *w, struct span key, const struct tree *t)
{
    struct lookup *l = w->ctx;
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)(key.n < 31 ? key.n : 31), (const char *)key.at);
    if (l->name && strcmp(l->name, name) != 0)
        return;
    l->found = true;
    struct walk inner = {.p = w->p, .table = name, .visit = l->visit, .ctx = l->ctx};
    tree_walk(&inner, t, 0);
}

bool pages_walk(struct pages *p, const char *table,
                void (*visit)(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                              size_t n),
                void *ctx)
{
    struct lookup l = {table, visit, ctx, false};
    struct walk w = {.p = p, .table = "of tables", .sub = on_table, .ctx = &l};
    memset(p->met, 0, p->last + 1);
    tree_walk(&w, &p->main, 0);
    return l.found;
}

/* Free pages: the transaction that freed them -> their count and numbers. */
static void on_free(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t n)
{
    struct walk *w = ctx;
    uint64_t count = n >= 8 ? load(value, 8) : no_page;
    if (key_len != 8 || load(key, 8) > w->p->txn || n % 8 || count != n / 8 - 1) {
        fault(w->p, "the list of free pages is damaged");
        return;
    }
    for (uint64_t i = 1; i <= count; i++)
        (void)meet(w, load(value + 8 * i, 8), 1, 2);
}

static void check_all(struct pages *p)
{
    pages_walk(p, NULL, NULL, NULL);
    struct walk w = {.p = p, .table = "of free pages", .numbers = true, .visit = on_free};
    w.ctx = &w;
    tree_walk(&w, &p->list, FREE_FLAGS);
}

/* Whether what transaction txn left has surely not been written over: a page that the next one
 * frees is reused by the one after it at the earliest. */
static bool still_there(const char *dir, uint64_t txn)
{
    struct pages *p;
    if (pages_open(dir, &p, NULL) != STATUS_OK)
        return true;
    bool same = p->txn <= txn + 1;
    pages_close(p);
    return same;
}

enum status pages_check(const char *dir, struct problem *problem)
{
    for (int i = 0; i < TRIES; i++) {
        struct pages *p;
        enum status s = pages_open(dir, &p, problem);
        if (s != STATUS_OK)
            return s;
        check_all(p);
        bool bad = p->faults > 0 && still_there(dir, p->txn);
        bool well = p->faults == 0;
        if (bad)
            s = problem_set(problem, STATUS_INTERNAL, dir,
                            "%s: %s; restore a backup, or see what purser repair can save", dir,
                            p->first);
        pages_close(p);
        if (bad || well)
            return s;
    }
    return STATUS_OK;
}
