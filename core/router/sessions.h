/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_SESSIONS_H
#define PURSER_CORE_ROUTER_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "core/event/bytes.h"
#include "core/limits.h"
#include "core/router/generations.h"

/*
 * Conversations and the model that each was last given: a bounded table, part of the folded state.
 * When it is full the session that was quiet longest makes room.
 */
struct session {
    uint64_t key;          /* session_key */
    uint64_t used;         /* sequence number of its latest decision */
    int64_t prompt_tokens; /* of that decision: the context so far */
    uint8_t arm;           /* its model's slot */
};

struct session_link;
struct session_use;
struct sessions {
    int32_t n; /* slots 0 .. n-1 are in use */
    int32_t newest, oldest;
    struct session *slot;      /* [SESSIONS_MAX] */
    struct session_link *link; /* [SESSIONS_MAX], derived like what follows */
    int32_t *bucket;
    struct session_use *order; /* room to sort in */
    uint8_t *dirty;            /* per page, bit per snapshot generation */
};
enum { SESSION_PAGE = 1024 }; /* sessions in a snapshot item */

/* sessions_init gives an empty table; false when memory is short. */
bool sessions_init(struct sessions *s);
void sessions_fini(struct sessions *s);
/* session_key gives what is kept of a session's name; 0 for a request without one. Names are a
 * tenant's own. */
uint64_t session_key(const char *tenant, const char *session);
/* sessions_find gives a session, NULL when it is not known. */
const struct session *sessions_find(const struct sessions *s, uint64_t key);
/* sessions_note makes it the latest; at most `most` (>= 1) are kept. */
void sessions_note(struct sessions *s, int64_t most, const struct session *session);
/* sessions_bound keeps the latest `most`. */
void sessions_bound(struct sessions *s, int64_t most);
/* The codec of the snapshot: one page an item. sessions_reindex follows the last page. Pages
 * beyond n are read in vain. */
void sessions_put(struct filler *w, const struct sessions *s, int64_t page);
void sessions_get(struct reader *r, struct sessions *s, int64_t page);
/* sessions_reindex is false when what was read is no such table. */
bool sessions_reindex(struct sessions *s);

#endif
