/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_SALVAGE_H
#define PURSER_STORE_SALVAGE_H

#include "core/router/router.h"
#include "store/db_inside.h"
#include "store/pages.h"

/* What can still be read of a damaged store, and the state from which its log can be folded the
 * furthest. All pointers are into `pages`. */
struct salvaged_record {
    uint64_t seq;
    const uint8_t *at;
    size_t n;
};

struct salvage {
    struct pages *pages;
    struct salvaged_record *record; /* in order; each decodes */
    size_t n, cap;
    const uint8_t *identity; /* of IDENTITY_LEN bytes */
    struct head head;        /* claimed; last_seq is at least that of the last record */
    bool has_head;
    struct router *base; /* the state to begin at: that of a snapshot, or empty */
    int base_g;          /* its generation; -1 = empty */
    uint64_t base_seq;   /* 0 = empty: the log is whole from its first record on */
    uint64_t reach;      /* the last record that can be folded from there */
    uint64_t lost;       /* records the log should have from its first one to head.last_seq */
    bool no_memory, old; /* old: of another schema */
    bool snapshot_bad[GENERATIONS]; /* claimed, but not to be read */
};

/* salvage_open reads all of it. INTERNAL: not enough is left to begin with, and what is missing. */
MUST_CHECK enum status salvage_open(const char *dir, struct salvage *out, struct problem *problem);
void salvage_close(struct salvage *s);
/* salvage_record gives a record; NULL: it cannot be read. */
const struct salvaged_record *salvage_record(const struct salvage *s, uint64_t seq);

#endif
