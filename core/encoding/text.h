/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ENCODING_TEXT_H
#define PURSER_CORE_ENCODING_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A bounded output buffer over the caller's memory. On overflow nothing more is written and `full`
 * is set; the content stays terminated. JSON replies are rendered with it, without a tree. */
struct text {
    char *at;
    size_t len, cap; /* cap includes the terminating zero */
    bool full;
    bool packed; /* what emit.h writes here is MessagePack, not JSON */
};

/* text_over gives an empty text over cap >= 1 bytes at `at` (borrowed). */
struct text text_over(char *at, size_t cap);
/* text_room appends n bytes for the caller to write at once, and gives where; NULL if they do not
 * fit. */
char *text_room(struct text *t, size_t n);
void text_put(struct text *t, const char *s);
void text_put_n(struct text *t, const char *s, size_t n);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* text_json_string writes s as a JSON string: control bytes, quotes, backslash, DEL, U+0085,
 * U+2028/9 and bidirectional controls escaped; s must be valid UTF-8 (what is not is written as
 * U+FFFD). */
void text_json_string(struct text *t, const char *s);
/* text_json_number writes a finite double in the shortest of %.6g .. %.17g that is exact to
 * `digits` significant digits (1..17); null when not finite. text_usd writes nanodollars as an
 * exact decimal. */
void text_json_number(struct text *t, double v, int digits);
void text_usd(struct text *t, int64_t nano);
void text_int(struct text *t, int64_t v);
/* text_mend puts a question mark for each byte of s that is part of no valid UTF-8. */
void text_mend(char *s);

#endif
