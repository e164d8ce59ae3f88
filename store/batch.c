/* SPDX-License-Identifier: MIT */
/*
 * A batch: one arena of bytes and four arrays that point into it by offset, so that growing moves
 * nothing anybody holds but what batch_find_event gave (valid until the next addition). Everything
 * is encoded when it is added: the thread that commits only copies, and an event that changes
 * afterwards cannot change what is written. A failed addition (no memory) leaves the batch as it
 * was. Owned by one thread at a time; it has no lock.
 * Rejected: a list of malloc'ed records (one allocation an event, on the path of every request);
 * a hash index of the books (the look-up is rare and a batch holds a few hundred).
 */
#include "store/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "store/batch_inside.h"

enum { EVENT_GUESS = 4096 }; /* room that most events fit in; the others are tried once more */

struct batch *batch_new(void)
{
    struct batch *b = calloc(1, sizeof *b);
    if (b != NULL)
        b->snapshot_g = -1;
    return b;
}

void batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    meter_fini(&b->meter);
    free(b->arena.at);
    free(b->event);
    free(b->book);
    free(b->item);
    free(b->audit);
    free(b->held);
    free(b);
}

void batch_reset(struct batch *b)
{
    b->arena.n = 0;
    b->n_events = b->n_books = b->n_items = b->n_held = b->n_audits = 0;
    b->first_seq = b->snapshot_seq = b->prune_below = 0;
    b->prune_most = 0;
    b->snapshot_g = -1;
    meter_clear(&b->meter);
    b->meter_due = false;
    b->keep_hours = b->keep_days = 0;
}

/* Gives an array with room for `need` elements of `size` bytes, NULL (nothing changed) if it
 * cannot.
 */
static void *grown(void *at, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return at;
    size_t to = *cap < 64 ? 64 : *cap;
    while (to < need)
        to *= 2;
    void *bigger = realloc(at, to * size);
    if (bigger != NULL)
        *cap = to;
    return bigger;
}

/* Makes room for n more bytes in the arena and gives where they start, NULL if it cannot. */
static uint8_t *arena_room(struct batch *b, size_t n)
{
    uint8_t *at = grown(b->arena.at, &b->arena.cap, b->arena.n + n, 1);
    if (at == NULL)
        return NULL;
    b->arena.at = at;
    return at + b->arena.n;
}

static struct slice arena_take(struct batch *b, size_t n)
{
    struct slice s = {b->arena.n, n};
    b->arena.n += n;
    return s;
}

/* Encodes e at the end of the arena without taking the room; 0 = no memory. */
static size_t encode_at_end(struct batch *b, const struct event *e)
{
    uint8_t *out = arena_room(b, EVENT_GUESS);
    size_t n = out != NULL ? event_encode(e, out, EVENT_GUESS) : 0;
    if (n > 0)
        return n;
    out = arena_room(b, EVENT_BYTES_MAX);
    return out != NULL ? event_encode(e, out, EVENT_BYTES_MAX) : 0;
}

enum status batch_event(struct batch *b, const struct event *e)
{
    assert(b->n_events == 0 || e->seq == b->first_seq + b->n_events);
    void *event = grown(b->event, &b->cap_events, b->n_events + 1, sizeof *b->event);
    if (event == NULL)
        return STATUS_UNAVAILABLE;
    b->event = event;
    size_t n = encode_at_end(b, e);
    if (n == 0)
        return STATUS_UNAVAILABLE;
    if (b->n_events == 0)
        b->first_seq = e->seq;
    b->event[b->n_events++] = arena_take(b, n);
    return STATUS_OK;
}

enum status batch_book(struct batch *b, uint64_t seq, const struct label_book *book)
{
    assert(seq > 0);
    void *books = grown(b->book, &b->cap_books, b->n_books + 1, sizeof *b->book);
    if (books == NULL)
        return STATUS_UNAVAILABLE;
    b->book = books;
    uint8_t *out = arena_room(b, BOOK_BYTES_MAX);
    if (out == NULL)
        return STATUS_UNAVAILABLE;
    size_t n = book_encode(book, out, BOOK_BYTES_MAX);
    assert(n > 0); /* BOOK_BYTES_MAX always suffices */
    b->book[b->n_books++] = (struct batch_book_entry){seq, arena_take(b, n)};
    return STATUS_OK;
}

enum status batch_item(struct batch *b, int g, const uint8_t *key, size_t key_len,
                       const void *bytes, size_t n)
{
    assert(g >= 0 && g < GENERATIONS && key_len == ITEM_KEY_LEN);
    void *items = grown(b->item, &b->cap_items, b->n_items + 1, sizeof *b->item);
    if (items == NULL)
        return STATUS_UNAVAILABLE;
    b->item = items;
    uint8_t *out = arena_room(b, n);
    if (out == NULL)
        return STATUS_UNAVAILABLE;
    if (n > 0)
        memcpy(out, bytes, n);
    struct batch_item_entry *item = &b->item[b->n_items++];
    item->key[0] = (uint8_t)g;
    memcpy(item->key + 1, key, key_len);
    item->bytes = arena_take(b, n);
    return STATUS_OK;
}

enum status batch_audit(struct batch *b, uint64_t number, const void *bytes, size_t n)
{
    assert(number > 0 && n > 0);
    void *audit = grown(b->audit, &b->cap_audits, b->n_audits + 1, sizeof *b->audit);
    if (audit == NULL)
        return STATUS_UNAVAILABLE;
    b->audit = audit;
    uint8_t *out = arena_room(b, n);
    if (out == NULL)
        return STATUS_UNAVAILABLE;
    memcpy(out, bytes, n);
    b->audit[b->n_audits++] = (struct batch_audit_entry){number, arena_take(b, n)};
    return STATUS_OK;
}

void batch_snapshot_end(struct batch *b, int g, uint64_t seq)
{
    assert(g >= 0 && g < GENERATIONS && b->snapshot_g == -1 && seq > 0);
    b->snapshot_g = g;
    b->snapshot_seq = seq;
}

void batch_prune(struct batch *b, uint64_t below, int64_t most)
{
    assert(most >= 0);
    b->prune_below = below;
    b->prune_most = most;
}

struct meter *batch_meter(struct batch *b)
{
    return &b->meter;
}

void batch_let_go(struct batch *b)
{
    b->n_held = 0;
}

void batch_meter_due(struct batch *b)
{
    b->meter_due = true;
}

void batch_meter_keep(struct batch *b, uint32_t hours, uint32_t days)
{
    b->keep_hours = hours;
    b->keep_days = days;
}

bool batch_find_event(const struct batch *b, uint64_t seq, const uint8_t **bytes, size_t *n)
{
    if (b->n_events == 0 || seq < b->first_seq || seq - b->first_seq >= b->n_events)
        return false;
    struct slice s = b->event[seq - b->first_seq];
    *bytes = b->arena.at + s.at;
    *n = s.n;
    return true;
}

bool batch_find_book(const struct batch *b, uint64_t seq, struct label_book *out)
{
    for (size_t i = b->n_books; i-- > 0;) {
        const struct batch_book_entry *k = &b->book[i];
        if (k->seq != seq)
            continue;
        enum status s = book_decode(b->arena.at + k->bytes.at, k->bytes.n, out);
        assert(s == STATUS_OK); /* we encoded it */
        return s == STATUS_OK;
    }
    return false;
}

enum status batch_hold(struct batch *b, void *waiter)
{
    assert(waiter != NULL);
    void *held = grown(b->held, &b->cap_held, b->n_held + 1, sizeof *b->held);
    if (held == NULL)
        return STATUS_UNAVAILABLE;
    b->held = held;
    b->held[b->n_held++] = waiter;
    return STATUS_OK;
}

void *batch_held(const struct batch *b, size_t i)
{
    return i < b->n_held ? b->held[i] : NULL;
}

size_t batch_events(const struct batch *b)
{
    return b->n_events;
}

size_t batch_bytes(const struct batch *b)
{
    return b->arena.n;
}

uint64_t batch_last_seq(const struct batch *b)
{
    return b->n_events > 0 ? b->first_seq + b->n_events - 1 : 0;
}

bool batch_empty(const struct batch *b)
{
    return b->n_events == 0 && b->n_books == 0 && b->n_items == 0 && b->n_audits == 0 &&
           b->snapshot_g < 0 && b->prune_below == 0 && !(b->meter_due && b->meter.n > 0);
}
