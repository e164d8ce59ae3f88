/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_MOMENT_H
#define PURSER_CORE_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/* A place in the log as people name it: a time, or the number of a record. */
struct moment {
    bool given;
    uint64_t seq;    /* 0 = by time */
    int64_t time_ms; /* Unix milliseconds */
};

/* moment_parse reads 2026-11-24, 2026-11-24T16:05, 2026-11-24T16:05:07.250 (UTC; a Z at the end and
 * a space for the T are taken too) or a whole number, which is a record's. False if it is neither.
 */
bool moment_parse(const char *s, struct moment *out);
/* moment_before tells whether a record lies before the moment, moment_after whether behind it; a
 * record at the moment does neither. False for a moment that is not given. */
bool moment_before(const struct moment *m, uint64_t seq, int64_t time_ms);
bool moment_after(const struct moment *m, uint64_t seq, int64_t time_ms);

#endif
