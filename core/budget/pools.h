/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_BUDGET_POOLS_H
#define PURSER_CORE_BUDGET_POOLS_H

#include <stdbool.h>
#include <stdint.h>
#include "core/budget/pool_spec.h"
#include "core/event/bytes.h"
#include "core/router/generations.h"
#include "core/status.h"

/*
 * Budgets in dollars and tokens. A request is charged to every pool whose labels it matches, all or
 * none: reserved at the decision, settled at completion, settled at the reservation if completion
 * never comes. Money is nanodollars; everything is a 64-bit integer and overflow is refused.
 * Of each pool at every moment: settled + reserved <= cap, counted over the window, whatever is
 * late, missing or repeated. Three things can lift the sum above a cap, and nothing is admitted
 * until it is below again: a cap that is lowered; a correction that raises a completed cost when
 * what had come free is given out already; costs above the reservation, which are booked apart (and
 * counted by strict pools, since a worst case cannot be exceeded).
 *
 * Memory: 1,056 bytes per instance in use, 25 to 33 per slot; 104 for a hold, 67 kB for the
 * configuration.
 */
enum pool_mode { POOL_STRICT, POOL_QUANTILE, POOL_MODES };
enum {
    POOL_BOOKS = WINDOW_PARTS + 2, /* kept per instance: a rolling window's, and all before it */
    POOL_PAGE = 16,                /* instances in a snapshot item */
    POOL_MARGIN_PART = 4,          /* of a cap, that a margin may take */
    POOL_LEASE_IDLE_MS = 60 * 1000 /* a pool not charged for so long lends nothing */
};
/* The most that one request may be charged: a million dollars, 10^15 tokens. */
#define POOL_AMOUNT_MAX INT64_C(1000000000000000)

/* What was charged in the windows from `start` on, to the start of the next book. */
enum pool_column {
    BOOK_SETTLED,  /* up to the reservations */
    BOOK_OVER,     /* above them: strict pools call it an overrun */
    BOOK_RESERVED, /* of decisions neither completed nor expired */
    BOOK_COLUMNS
};
struct pool_book {
    int64_t start;
    int64_t sum[BOOK_COLUMNS][POOL_UNITS]; /* each >= 0 */
};

/* How the pacing of an instance stands; what it means is told in core/budget/pool_pacer.h. */
struct pool_pace {
    uint32_t joined;              /* round of its first decision under pacing; 0 = none yet */
    uint32_t round[POOL_UNITS];   /* of the solution */
    int32_t since[POOL_UNITS];    /* its decisions since then */
    int64_t start_ms[POOL_UNITS]; /* of the window that it was solved in */
    double mu[POOL_UNITS];        /* quality points per unit */
    double rate[POOL_UNITS];      /* what a request may use, as of the solution; 0 = unknown */
    double least[POOL_UNITS];     /* what one does when nothing but the budget counts */
    double count, base;           /* its decisions; its pool's before them; both halved each week */
    int64_t week;                 /* as of */
};

/* An instance. Books ascend; book 0 starts at INT64_MIN and takes in those that leave, so a
 * decision's book is the last one that starts no later than it. */
struct pool {             /* what every request looks at stands together */
    uint64_t born;        /* sequence number of its first decision; 0 = a free slot */
    int32_t spec, parent; /* indices; parent -1 = none */
    int64_t last_ms;      /* of the last decision */
    int64_t tripped_ms;   /* the fuse; 0 = never */
    int64_t fuse_level[POOL_UNITS], fuse_ms; /* at that moment; drains at the forecast */
    int32_t n_books;
    char value[NAME_CAP];     /* of the `each` label, "" without */
    uint64_t trips, overruns; /* overruns: strict decisions that cost more than the worst case */
    struct pool_pace pace;
    int64_t stranded[POOL_UNITS]; /* of what has settled: leases that ended in crashes */
    struct pool_book book[POOL_BOOKS];
};
struct pools {
    struct pool_config config;
    int64_t cap;       /* slots; at least config.instances */
    struct pool *pool; /* [cap] */
    uint8_t *dirty;    /* per page of POOL_PAGE slots, bit per snapshot generation */
    /* derived from the slots */
    uint32_t *head, *next; /* chains by (spec, parent, value): slot + 1, 0 = end */
    uint32_t *tag;         /* [cap] more bits of that hash */
    int64_t heads;         /* a power of two */
    uint32_t *children;    /* [cap] instances that name it as parent */
    int64_t used, lowest;  /* slots taken; no slot below `lowest` is free */
    int32_t instances[POOL_SPECS_MAX];
    bool by_model;                 /* some pool looks at the model: a path is needed per model */
    uint8_t asked[POOL_SPECS_MAX]; /* bit per label that the pool matches */
    int8_t zone[POOL_SPECS_MAX];   /* index in config.zone, -1 = UTC */
    struct window window[POOL_SPECS_MAX]; /* the last one reserved in: spares the calendar */
    /* Told the slot of each instance that has changed; NULL: nobody looks. */
    void (*watch)(void *ctx, int64_t slot);
    void *watch_ctx;
};

/* pools_init allocates for config.instances slots, touched as they are used. False when memory is
 * short. pools_configure changes the configuration: instances follow their pool by name, `each` and
 * parent, those of pools that are gone are dropped with their books. False when memory is short,
 * nothing is changed then. A changed window goes on in the running book. */
bool pools_init(struct pools *p, const struct pool_config *config);
void pools_fini(struct pools *p);
bool pools_configure(struct pools *p, const struct pool_config *config);

/* pools_rename has the instances of a model follow its new name. Derived data must be made anew by
 * pools_configure. */
void pools_rename(struct pools *p, const char *old_name, const char *new_name);
/* pools_room makes room for `cap` slots at least; what is in use stays, what is derived
 * must be made anew (pools_reindex). False when memory is short.
 */
bool pools_room(struct pools *p, int64_t cap);

/* ---- questions: they change nothing ---- */

/* Labels of a request, NULL or "" = not said; borrowed. */
struct pool_labels {
    const char *of[POOL_LABELS];
};
/* The pools a request is charged to, parents first; valid until the next change of `pools`. */
struct pool_path {
    int n;
    bool crowded;   /* more than POOL_PATH_MAX match: nothing can be admitted */
    uint8_t strict; /* bit per entry: reserves the worst case */
    double risk;    /* the smallest of the quantile pools on it, 1 without any */
    int64_t now_ms;
    /* What quantile pools keep free beyond what is asked for: what open requests may come to above
     * their reservations. That is the most of one answer, at most `margin_share` of what is
     * reserved with this request, and never more than a quarter of the cap. 0 unless the asker sets
     * it. */
    int64_t margin[POOL_UNITS];
    double margin_share[POOL_UNITS];
    struct pool_entry {
        int32_t spec, at, up; /* configured pool; slot or -1; the parent's entry or -1 */
        const char *value;    /* borrowed from the labels */
        struct window window;
        int64_t cap[POOL_UNITS]; /* -1 = none */
    } entry[POOL_PATH_MAX];
};
void pools_path(const struct pools *p, const struct pool_labels *labels, int64_t now_ms,
                struct pool_path *out);

/* What a decision may cost: the worst case for strict pools (a token limit makes it finite), for
 * the others a quantile with its buffer. */
struct pool_ask {
    bool bounded;                           /* worst is known */
    int64_t amount[POOL_MODES][POOL_UNITS]; /* >= 0; [POOL_STRICT] the worst case */
};
enum pool_action {
    POOL_ADMIT,
    POOL_SOFT,      /* admitted, above a soft limit */
    POOL_EXHAUSTED, /* the cap, or outside of the period of a `once` pool */
    POOL_KILLED,
    POOL_FUSED,
    POOL_UNBOUNDED, /* a strict pool needs max_output_tokens */
    POOL_CROWDED,   /* too many pools on the path, or too large a request */
    POOL_FULL       /* the table has no slot for a new instance */
};
struct pool_verdict {
    enum pool_action action;
    int spec;               /* the pool that says so; -1 when none or all do */
    int32_t at;             /* the instance that says so, -1 = there is none yet, */
    const char *value;      /* of this `each` label; borrowed from the path */
    enum pool_unit unit;    /* exhausted, soft: in which unit */
    int64_t missing;        /* exhausted: this much too little */
    int64_t retry_after_ms; /* 0 = not known, or never */
};
/* pools_admit tells whether a request may be charged, and if not, the first pool that forbids it.
 */
struct pool_verdict pools_admit(const struct pools *p, const struct pool_path *path,
                                const struct pool_ask *ask);
bool pools_admitted(enum pool_action action);

/* pools_headroom gives what may still be reserved, the least over the path, and the entry that
 * has it: INT64_MAX and -1 without a cap; 0 whenever something else forbids everything. */
struct pool_room {
    int64_t left[POOL_UNITS];
    int at[POOL_UNITS];
};
struct pool_room pools_headroom(const struct pools *p, const struct pool_path *path);

/* pools_column gives one column of that; pools_fused whether an entry's fuse is open. */
int64_t pools_column(const struct pools *p, const struct pool_entry *e, enum pool_column column,
                     enum pool_unit unit);
bool pools_fused(const struct pools *p, const struct pool_path *path, int i);
/* pools_path_of gives the path down to the instance of a slot, false when it is free;
 * pools_path_unused that to a configured pool which could have an instance and has none. */
bool pools_path_of(const struct pools *p, int64_t slot, int64_t now_ms, struct pool_path *out);
bool pools_path_unused(const struct pools *p, int spec, int64_t now_ms, struct pool_path *out);

/* pools_soft_level gives what an entry may have used before requests are warned of, -1 = none. */
int64_t pools_soft_level(const struct pools *p, const struct pool_entry *e, enum pool_unit unit);
/* pools_window gives the window that runs in a configured pool. */
struct window pools_window(const struct pools *p, int spec, int64_t now_ms);
/* pools_siblings tells whether two pools may lend to each other: one parent, one window. */
bool pools_same_window(const struct pool_spec *a, const struct pool_spec *b);
bool pools_siblings(const struct pool_config *c, int a, int b);
/* pools_used gives what counts against an entry's cap: settled, over and reserved. */
int64_t pools_used(const struct pools *p, const struct pool_entry *e, enum pool_unit unit);

/* ---- changes: by the fold, from facts ---- */

/* pools_pace gives the pacing of an instance, to be changed. */
struct pool_pace *pools_pace(struct pools *p, int64_t slot);

/* What a decision holds in its pools; kept by the caller beside the decision, zeros = nothing. */
struct pool_hold {
    uint8_t n;
    uint8_t strict; /* bit per pool */
    bool open;      /* neither completed nor expired */
    uint32_t at[POOL_PATH_MAX];
    int64_t reserved[POOL_MODES][POOL_UNITS];
    int64_t booked[POOL_MODES][POOL_UNITS]; /* if not open */
};

/* pools_reserve charges every pool of the path with its reservation, making instances that are
 * missing, and fills the hold. It does not look at caps: the decision did. seq is the decision's,
 * > 0. False, and nothing changed, when a slot is missing, an amount is out of range or a sum would
 * overflow. */
MUST_CHECK bool pools_reserve(struct pools *p, const struct pool_path *path,
                              const struct pool_ask *ask, uint64_t seq, struct pool_hold *hold);

/* pools_settle books what the decision (its seq and time) came to in the windows of the decision,
 * in place of the reservation or of what was booked before: repeated, amended and late reports are
 * all the same. False, and nothing changed, when an amount is out of range or a sum would overflow.
 * pools_expire books the reservation itself. An instance forgotten since is passed over. */
MUST_CHECK bool pools_settle(struct pools *p, struct pool_hold *hold, uint64_t seq, int64_t time_ms,
                             const int64_t actual[POOL_UNITS], int64_t now_ms);
MUST_CHECK bool pools_expire(struct pools *p, struct pool_hold *hold, uint64_t seq, int64_t time_ms,
                             int64_t now_ms);

/* pools_tidy frees instances that hold nothing which still counts (no reservation, nothing spent in
 * a window that is running, no tripped fuse, no children), when the table is over three quarters
 * full. Gives their number. */
int64_t pools_tidy(struct pools *p, int64_t now_ms);

/* ---- leases ---- */

/*
 * Where replies may leave ahead of the disk, a crash forgets decisions that somebody acts on, and
 * with them what they have spent. So each strict pool lends a block, durable because it follows
 * from the configuration in the log: replies leave early only as long as what they spend, and the
 * disk does not have yet, is within the block of every strict pool they are charged to; others
 * wait. At a start that follows a crash the whole block counts as settled, in the window that runs
 * then. What was forgotten is part of it, so no cap is exceeded; the rest is stranded until that
 * window has passed. Only a pool with a durable decision of this life and of the last
 * POOL_LEASE_IDLE_MS lends: others cannot have lost anything and strand nothing, however often a
 * start fails. Overrides do not change the block: they end
 * with time, and nobody knows when the crash was.
 */
/* pools_lease gives the block, -1 where the pool promises nothing in that unit. */
int64_t pools_lease(const struct pool_config *c, int spec, enum pool_unit unit);
/* pools_promise tells whether any pool has a block: whether a reply may have to wait. */
bool pools_promise(const struct pool_config *c);
/* pools_strand settles the blocks of the instances that may have lent since lent_ms; gives their
 * number. */
int64_t pools_strand(struct pools *p, int64_t lent_ms, int64_t now_ms);

/* ---- snapshots ---- */

/* pools_put_page writes slots [page*POOL_PAGE, +POOL_PAGE), at most POOL_PAGE_BYTES_MAX bytes;
 * pools_get_page reads them back and refuses what cannot be. When all are read, pools_reindex
 * rebuilds what is derived; false when parents are wrong. */
enum { POOL_PAGE_BYTES_MAX = POOL_PAGE * 1152 };
void pools_put_page(const struct pools *p, int64_t page, struct filler *out);
MUST_CHECK bool pools_get_page(struct pools *p, int64_t page, struct reader *in);
MUST_CHECK bool pools_reindex(struct pools *p);

#endif
