/* SPDX-License-Identifier: MIT */
/*
 * Bounded cursors. Every access goes through get_raw or put_room, the only two places that compare
 * with the end, so a codec that uses nothing else cannot run over. Integers are assembled byte by
 * byte: gcc and clang turn the loops into one load or store, and no alignment or byte order of the
 * machine reaches the disk. Floats travel as their bits.
 * Rejected: a table-driven codec (field descriptors with offsets). It is shorter by a third, but a
 * reader of the format must then run it in the head, and ranges still need code.
 */
#include "core/event/bytes.h"

#include <assert.h>
#include <string.h>

struct reader reader_over(const void *p, size_t n)
{
    const uint8_t *at = p;
    assert(at != NULL || n == 0);
    return (struct reader){at, n > 0 ? at + n : at, false};
}

struct filler filler_over(void *p, size_t cap)
{
    uint8_t *at = p;
    assert(at != NULL || cap == 0);
    return (struct filler){at, cap > 0 ? at + cap : at, false};
}

size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

bool reader_done(const struct reader *r)
{
    return !r->bad && r->at == r->end;
}

const uint8_t *get_raw(struct reader *r, size_t n)
{
    if (r->bad || n > reader_left(r)) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += n;
    return p;
}

/* The next n <= 8 bytes as a number, 0 when they are not there. */
static uint64_t get_uint(struct reader *r, size_t n)
{
    const uint8_t *p = get_raw(r, n);
    uint64_t v = 0;
    for (size_t i = 0; p != NULL && i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint8_t get_u8(struct reader *r)
{
    return (uint8_t)get_uint(r, 1);
}

uint16_t get_u16(struct reader *r)
{
    return (uint16_t)get_uint(r, 2);
}

uint32_t get_u32(struct reader *r)
{
    return (uint32_t)get_uint(r, 4);
}

uint64_t get_u64(struct reader *r)
{
    return get_uint(r, 8);
}

int64_t get_i64(struct reader *r)
{
    return (int64_t)get_uint(r, 8);
}

float get_f32(struct reader *r)
{
    uint32_t bits = get_u32(r);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

double get_f64(struct reader *r)
{
    uint64_t bits = get_u64(r);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

bool get_bool(struct reader *r)
{
    uint8_t v = get_u8(r);
    if (v > 1)
        r->bad = true;
    return v == 1;
}

void get_str(struct reader *r, char *out, size_t cap)
{
    assert(cap > 0);
    size_t n = get_u8(r);
    const uint8_t *p = get_raw(r, n);
    out[0] = 0;
    if (p == NULL)
        return;
    if (n >= cap || memchr(p, 0, n) != NULL) {
        r->bad = true;
        return;
    }
    memcpy(out, p, n);
    out[n] = 0;
}

/* Room for n more bytes, NULL (and full) when there is none. */
static uint8_t *put_room(struct filler *w, size_t n)
{
    if (w->full || n > (size_t)(w->end - w->at)) {
        w->full = true;
        return NULL;
    }
    uint8_t *p = w->at;
    w->at += n;
    return p;
}

static void put_uint(struct filler *w, uint64_t v, size_t n)
{
    uint8_t *p = put_room(w, n);
    for (size_t i = 0; p != NULL && i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

void put_u8(struct filler *w, uint8_t v)
{
    put_uint(w, v, 1);
}

void put_u16(struct filler *w, uint16_t v)
{
    put_uint(w, v, 2);
}

void put_u32(struct filler *w, uint32_t v)
{
    put_uint(w, v, 4);
}

void put_u64(struct filler *w, uint64_t v)
{
    put_uint(w, v, 8);
}

void put_i64(struct filler *w, int64_t v)
{
    put_uint(w, (uint64_t)v, 8);
}

void put_f32(struct filler *w, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_uint(w, bits, 4);
}

void put_f64(struct filler *w, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_uint(w, bits, 8);
}

void put_bool(struct filler *w, bool v)
{
    put_uint(w, v ? 1 : 0, 1);
}

void put_raw(struct filler *w, const void *bytes, size_t n)
{
    uint8_t *p = put_room(w, n);
    if (p != NULL && n > 0)
        memcpy(p, bytes, n);
}

void put_str(struct filler *w, const char *s)
{
    size_t n = strlen(s);
    if (n > UINT8_MAX) {
        w->full = true;
        return;
    }
    put_u8(w, (uint8_t)n);
    put_raw(w, s, n);
}
