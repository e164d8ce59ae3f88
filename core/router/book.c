/* SPDX-License-Identifier: MIT */
/*
 * Label books at rest. A book is stored alone (outcome table) or inside a feedback event whose
 * decision had left memory; both use the same body, [u8 sources][u8 seen][u8 applied], sums, hold,
 * labels then the sources with the cells that were ever set, then the messages seen. Alone it is
 * framed as [u32 crc32c of what follows][u8 version]. A typical book is 140 bytes, the largest
 * about 1080. Rejected: dumping the struct (padding, byte order, and 1200 bytes for what is mostly
 * "never set").
 */
#include "core/router/book.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { BOOK_VERSION = 1, CRC_LEN = 4 };

void book_init(struct label_book *b)
{
    memset(b, 0, sizeof *b);
}

static void cells_put(struct filler *w, const struct label_cell *cell)
{
    uint8_t mask = 0;
    for (int c = 0; c < CELLS; c++)
        if (cell[c].set)
            mask |= (uint8_t)(1u << c);
    put_u8(w, mask);
    for (int c = 0; c < CELLS; c++) {
        if (!(mask >> c & 1))
            continue;
        put_i64(w, cell[c].version);
        put_f64(w, cell[c].value);
        put_bool(w, cell[c].present);
    }
}

static void cells_get(struct reader *r, struct label_cell *cell)
{
    uint8_t mask = get_u8(r);
    if (mask >> CELLS)
        r->bad = true;
    for (int c = 0; c < CELLS; c++) {
        if (!(mask >> c & 1))
            continue;
        cell[c].set = true;
        cell[c].version = get_i64(r);
        cell[c].value = get_f64(r);
        cell[c].present = get_bool(r);
        if (!isfinite(cell[c].value))
            r->bad = true;
    }
}

static void hold_put(struct filler *w, const struct pool_hold *h)
{
    put_u8(w, h->n);
    if (h->n == 0)
        return;
    put_u8(w, h->strict);
    put_bool(w, h->open);
    for (int i = 0; i < h->n; i++)
        put_u32(w, h->at[i]);
    for (int m = 0; m < POOL_MODES; m++)
        for (int u = 0; u < POOL_UNITS; u++) {
            put_i64(w, h->reserved[m][u]);
            put_i64(w, h->booked[m][u]);
        }
}

static int64_t get_amount(struct reader *r)
{
    int64_t v = get_i64(r);
    if (v < 0 || v > POOL_AMOUNT_MAX)
        r->bad = true;
    return v;
}

static void hold_get(struct reader *r, struct pool_hold *h)
{
    h->n = get_u8(r);
    if (h->n == 0)
        return;
    h->strict = get_u8(r);
    h->open = get_bool(r);
    if (h->n > POOL_PATH_MAX || h->strict >> h->n != 0)
        r->bad = true;
    for (int i = 0; !r->bad && i < h->n; i++)
        h->at[i] = get_u32(r);
    for (int m = 0; m < POOL_MODES; m++)
        for (int u = 0; u < POOL_UNITS; u++) {
            h->reserved[m][u] = get_amount(r);
            h->booked[m][u] = get_amount(r);
        }
}

void book_put(struct filler *w, const struct label_book *b)
{
    assert(b->n_sources <= SOURCES_MAX && b->n_seen <= SEEN_MAX && b->applied >> TARGETS == 0);
    put_u8(w, b->n_sources);
    put_u8(w, b->n_seen);
    put_u8(w, b->applied);
    put_bool(w, b->has_cost);
    put_i64(w, b->cost_nano);
    put_i64(w, b->learned_nano);
    put_i64(w, b->priced_nano);
    hold_put(w, &b->hold);
    for (int t = 0; t < TARGETS; t++)
        put_f64(w, b->label[t]);
    for (int s = 0; s < b->n_sources; s++) {
        put_u64(w, b->source[s]);
        cells_put(w, b->cell[s]);
    }
    for (int i = 0; i < b->n_seen; i++) {
        put_u64(w, b->seen_id[i]);
        put_u64(w, b->seen_digest[i]);
    }
}

void book_get(struct reader *r, struct label_book *b)
{
    book_init(b);
    b->n_sources = get_u8(r);
    b->n_seen = get_u8(r);
    b->applied = get_u8(r);
    if (b->n_sources > SOURCES_MAX || b->n_seen > SEEN_MAX || b->applied >> TARGETS)
        r->bad = true;
    b->has_cost = get_bool(r);
    b->cost_nano = get_i64(r);
    b->learned_nano = get_i64(r);
    b->priced_nano = get_i64(r);
    hold_get(r, &b->hold);
    for (int t = 0; t < TARGETS; t++) {
        b->label[t] = get_f64(r);
        if (!isfinite(b->label[t]))
            r->bad = true;
    }
    for (int s = 0; !r->bad && s < b->n_sources; s++) {
        b->source[s] = get_u64(r);
        cells_get(r, b->cell[s]);
    }
    for (int i = 0; !r->bad && i < b->n_seen; i++) {
        b->seen_id[i] = get_u64(r);
        b->seen_digest[i] = get_u64(r);
    }
}

size_t book_encode(const struct label_book *b, uint8_t *out, size_t cap)
{
    struct filler w = filler_over(out, cap);
    put_u32(&w, 0);
    put_u8(&w, BOOK_VERSION);
    book_put(&w, b);
    if (w.full)
        return 0;
    size_t n = (size_t)(w.at - out);
    struct filler head = filler_over(out, CRC_LEN);
    put_u32(&head, crc32c(out + CRC_LEN, n - CRC_LEN, 0));
    return n;
}

enum status book_decode(const uint8_t *bytes, size_t n, struct label_book *out)
{
    struct reader r = reader_over(bytes, n);
    uint32_t crc = get_u32(&r);
    if (r.bad || crc != crc32c(r.at, reader_left(&r), 0) || get_u8(&r) != BOOK_VERSION)
        return STATUS_INTERNAL;
    struct label_book b;
    book_get(&r, &b);
    if (!reader_done(&r))
        return STATUS_INTERNAL;
    *out = b;
    return STATUS_OK;
}
