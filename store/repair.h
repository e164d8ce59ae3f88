/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_REPAIR_H
#define PURSER_STORE_REPAIR_H

#include "store/maintain.h"

/* What a repair found and did. "Cut": the records from the first that cannot be read and that no
 * snapshot covers, to the end of the log; what follows it cannot be applied without it. */
struct repair_report {
    uint64_t faults;       /* met on the pages of the data file */
    char first_fault[128]; /* "" = none */
    uint64_t last_seq;     /* of the damaged store */
    uint64_t lost_records; /* of its log that cannot be read; 0 = all can */
    uint64_t lost_first;   /* the first of them */
    uint64_t cut_from;     /* 0 = nothing is cut */
    int64_t cut_decisions, cut_feedbacks, cut_others; /* of the cut, those that can be read */
    int64_t cut_nano;                                 /* expected cost of these decisions */
    uint64_t base_seq; /* the state it began at: a snapshot's, 0 = the log's beginning */
    bool rebuilt;      /* books and rollups were made again from the whole log */
    uint64_t lost_books, lost_rollups; /* else: items of these tables that cannot be read */
    struct verify_report verified;     /* of the new store */
};

/* store_repair makes a new store `to` of what is left of the one in dir, which is only read and
 * must not be in use. If records would be lost and `drop` is false nothing is made: CONFLICT, and
 * the report says what would be. */
MUST_CHECK enum status store_repair(const char *dir, const char *to, bool drop,
                                    struct repair_report *out, struct problem *problem);

#endif
