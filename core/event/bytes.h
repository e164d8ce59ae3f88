/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_EVENT_BYTES_H
#define PURSER_CORE_EVENT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bounded cursors over the caller's memory, little-endian whatever the CPU. Both are sticky: after
 * the first access past the end nothing more is read or written, every get gives zero, and `bad`
 * or `full` stays set; so a codec is a straight list of fields with one check at its end.
 */
struct reader {
    const uint8_t *at, *end;
    bool bad;
};
struct filler {
    uint8_t *at, *end;
    bool full;
};

/* reader_over gives a reader of n bytes at p, filler_over a filler of cap bytes at p (borrowed). */
struct reader reader_over(const void *p, size_t n);
struct filler filler_over(void *p, size_t cap);
/* reader_left gives the number of bytes not yet read; reader_done that all were, and none missing.
 */
size_t reader_left(const struct reader *r);
bool reader_done(const struct reader *r);

uint8_t get_u8(struct reader *r);
uint16_t get_u16(struct reader *r);
uint32_t get_u32(struct reader *r);
uint64_t get_u64(struct reader *r);
int64_t get_i64(struct reader *r);
float get_f32(struct reader *r);
double get_f64(struct reader *r);
/* get_bool is bad for any byte but 0 and 1. */
bool get_bool(struct reader *r);
/* get_raw gives the next n bytes where they stand, NULL when there are fewer. */
const uint8_t *get_raw(struct reader *r, size_t n);
/* get_str reads what put_str wrote into out, zero-terminated; bad when it does not fit cap or holds
 * a zero byte. Nothing beyond the terminator is written. */
void get_str(struct reader *r, char *out, size_t cap);

void put_u8(struct filler *w, uint8_t v);
void put_u16(struct filler *w, uint16_t v);
void put_u32(struct filler *w, uint32_t v);
void put_u64(struct filler *w, uint64_t v);
void put_i64(struct filler *w, int64_t v);
void put_f32(struct filler *w, float v);
void put_f64(struct filler *w, double v);
void put_bool(struct filler *w, bool v);
void put_raw(struct filler *w, const void *bytes, size_t n);
/* put_str writes a length byte and the bytes of s (at most 255; longer ones make it full). */
void put_str(struct filler *w, const char *s);

#endif
