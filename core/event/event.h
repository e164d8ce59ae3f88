/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_EVENT_EVENT_H
#define PURSER_CORE_EVENT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/budget/pools.h"
#include "core/limits.h"
#include "core/request.h"
#include "core/status.h"

/* Facts, in the order they happened. The log is a sequence of these; the state is their fold. */
enum event_kind {
    EVENT_NONE = 0,       /* nothing happened; never stored */
    EVENT_STARTED = 1,    /* the service (re)started under a new epoch */
    EVENT_CONFIGURED = 2, /* the engine's configuration became this document */
    EVENT_DECIDED = 3,    /* a model was drawn for a request */
    EVENT_FEEDBACK = 4,   /* somebody reported on a decision */
    EVENT_TICKED = 5,     /* time passed */
    EVENT_PACED = 6,      /* the pacer's multiplier was re-solved */
    EVENT_TAUGHT = 8,     /* an outcome from elsewhere was learned: history, not a decision */
    EVENT_LENS = 9,       /* prompts are looked at through this lens from here on, or none */
    EVENT_DRIFTED = 7,    /* a model was found to have changed: its older evidence fades */
    EVENT_EXPIRED = 10,   /* a decision's reservation counts as spent: nobody reported in time */
    EVENT_HULL = 11,      /* the best mix of fixed models was solved, or the policy put aside for it
                             or brought back */
    EVENT_LENT = 12,      /* from here on replies leave ahead of the disk, or no longer */
    EVENT_LEARNED = 13    /* what another store has learned came in, or left again */
};
enum { EVENT_KINDS = 14 }; /* numbers from 0 */
/* event_kind_name gives what a kind is called in JSON. */
const char *event_kind_name(enum event_kind kind);

enum reason {
    REASON_COLD_START = 1,      /* fewer than 20 quality labels for the chosen model */
    REASON_EXPLORED = 2,        /* the draw was not the model of highest utility */
    REASON_BUDGET_PRESSURE = 4, /* the pacer's multiplier exceeds the objective's weight */
    REASON_CONSTRAINED = 8,     /* constraints or limits removed at least one model */
    REASON_RULE = 16,           /* a keyword rule named the model, or kept lower tiers out */
    REASON_ONLY_MODEL = 32,     /* one model was eligible */
    REASON_GUARDED = 64,        /* the guard had the baseline served */
    REASON_APPRENTICE = 128,    /* the baseline was served, the policy only watched */
    REASON_BUDGET = 256,        /* a pool had too little left for at least one model */
    REASON_SOFT_LIMIT = 512,    /* a pool is above its soft limit */
    REASON_SESSION = 1024,      /* the session kept its model, or surely gained by another */
    REASON_HULL = 2048,      /* the policy was shown to be below the static hull: that is served */
    REASON_ESCALATED = 4096, /* an earlier answer was found wanting: a higher tier was asked for */
    REASON_DEGRADED = 8192,  /* without budgets another model would have looked best */
    REASON_CANARY = 16384    /* decided by the settings on trial: core/guard/canary.h */
};

/* What an eligible model looked like at the decision: off-policy questions need it as it was. */
struct arm_view {
    double pmf;          /* logged probability */
    float mean[TARGETS]; /* predictions: quality, output tokens, latency ms, failure probability */
    float sd[TARGETS];   /* posterior standard deviations of the means */
    float merit;         /* utility before its cost term: see decided_utility */
    float merit_sd;      /* its deviation, already scaled by the policy's width */
    int64_t cost_nano;   /* expected cost at the prices of the moment */
};

/* What a decision is charged with, and what a pool had left behind it, for the reply. */
struct charge {
    uint8_t n;                /* pools on its path; 0 = none, the rest is zero then */
    uint8_t strict;           /* bit per pool */
    uint64_t paced;           /* bit per configured pool on the path that is paced */
    struct pool_ask ask;      /* of the chosen model */
    char pool[NAME_CAP];      /* that has least left, or warns; "" = none has a cap */
    int64_t left[POOL_UNITS]; /* the least over the path, with this decision charged; -1 = no cap */
    /* Of a refusal, which leaves no record: what the pool is short of, and whose it is. */
    int64_t missing; /* 0 = refused for another reason */
    enum pool_unit unit;
    int32_t at; /* -1 = it has no instance yet */
    char value[NAME_CAP];
};

/* The policy against the static hull, or the canary against what is in force, in one decision: what
 * its quality label will say. See core/guard/hull_guard.h, core/guard/canary.h. */
struct hull_edge {
    float direct; /* predicted merit of policy minus mix, quality points, [-1,1] */
    float ratio;  /* (pi - m) / mu of the chosen arm */
    float reach;  /* bound on the ratio; 0 = says nothing */
};

enum { CLUSTER_NONE = 255 };
struct event_decided {
    char request_id[NAME_CAP];
    struct attempt attempt;
    struct labels labels;
    uint64_t request_digest;
    uint64_t schema;     /* feature schema of x */
    uint64_t config_seq; /* log sequence of the configuration in force */
    uint32_t epoch;
    uint8_t policy;                               /* policy_index */
    uint8_t n_arms;                               /* catalog slots at the time */
    uint8_t arm;                                  /* chosen slot */
    uint8_t baseline;                             /* slot that savings are told against */
    uint8_t learner;                              /* whose predictions; 0 = shared: learners.h */
    uint8_t n_fallbacks, fallback[FALLBACKS_MAX]; /* slots, best first */
    uint8_t shadow;     /* what the policy drew; the arm unless apprentice */
    uint32_t reasons;   /* bits of enum reason */
    uint64_t eligible;  /* bit per slot */
    double floor;       /* exploration mass that was mixed in */
    double quota;       /* mass mixed in for new and changed models, after the floor */
    int64_t quota_nano; /* its expected cost */
    double u;           /* the uniform draw */
    double value;       /* multiplier of quality */
    double weight_quality, weight_cost, weight_latency, weight_failure, cost_scale_usd;
    double multiplier;       /* of all budgets: quality points per dollar */
    double token_multiplier; /* of budgets in tokens: quality points per token */
    int64_t prompt_tokens, cached_tokens, max_output_tokens;
    bool batch;                                /* asked at batch prices */
    int64_t price_in, price_cached, price_out; /* chosen arm: picodollars per token */
    int64_t price_reasoning;                   /* of output tokens that were reasoning */
    int64_t booked_nano;                       /* expected cost charged to the pacer */
    int64_t policy_nano;   /* expected cost of the policy's own pmf, before any guard */
    int64_t baseline_nano; /* expected cost of the baseline model on this request */
    int64_t dearest_nano;  /* of the dearest active model: feeds the automatic cost scale */
    uint8_t cluster;       /* of the lens, nearest to the prompt; CLUSTER_NONE without a lens */
    float complexity;      /* inferred, [0,1]; -1 = not known */
    char domain[NAME_CAP]; /* inferred for a request that declares no task; "" = not known */
    float tokens_raw;      /* chosen arm: exp(theta'x) - 1 before the smearing ratio */
    float latency_raw;
    float weight; /* importance of what is learned from it, (0,1] */
    struct hull_edge edge;
    int64_t silence_due_ms; /* when its quality is taken to be silence_quality; 0 = never */
    float silence_quality;
    struct charge charge;
    int d;
    float x[DIM_MAX];
    struct arm_view view[MODELS_MAX]; /* valid where eligible has the bit */
};

/* Labels of one decision so far: enough to amend, retract and recognise repetitions in any order.
 */
struct label_cell {
    int64_t version; /* of the value held, if set */
    double value;
    bool set;     /* a message has spoken of it */
    bool present; /* set and not retracted */
};
enum { CELLS = 8 }; /* one per bit of enum feedback_field */
struct label_book {
    uint8_t n_sources, n_seen;
    uint64_t source[SOURCES_MAX]; /* hash of the name */
    struct label_cell cell[SOURCES_MAX][CELLS];
    uint64_t seen_id[SEEN_MAX],
        seen_digest[SEEN_MAX]; /* of every message taken, id 0 = by content */
    uint8_t applied;           /* bit per target now in the regressions */
    double label[TARGETS];     /* what is in them (transformed) */
    bool has_cost;
    int64_t cost_nano;     /* what is counted as spent, if has_cost */
    int64_t learned_nano;  /* what is in the cost ratio of the model: reported ... */
    int64_t priced_nano;   /* ... and computed from tokens */
    struct pool_hold hold; /* what it holds in its budgets */
};

/* What the fold needs to know of a decision to learn from it later. */
struct decision_row {
    uint64_t seq; /* 0 = no row */
    int64_t time_ms;
    uint32_t epoch;
    uint8_t arm;
    uint8_t learner; /* that decided: 0 = the shared one, core/learn/learners.h */
    uint8_t d;
    uint64_t request_hash; /* of (tenant, request_id); 0 = none */
    uint64_t request_digest;
    uint64_t schema;
    int64_t prompt_tokens, cached_tokens;
    int64_t price_in, price_cached, price_out; /* picodollars per token at the decision */
    int64_t price_reasoning;                   /* of output tokens that were reasoning */
    int64_t booked_nano;                       /* expected cost charged to the pacer */
    int64_t predicted_nano;                    /* the same as the learner alone has it */
    float tokens_raw, latency_raw;
    float quality_mean, quality_sd; /* predicted for the chosen model */
    float weight;                   /* importance of what is learned from it, (0,1] */
    double value;                   /* multiplier of quality */
    struct hull_edge edge;          /* as in event_decided */
    int64_t silence_due_ms;         /* as in event_decided */
    float silence_quality;
};

struct event_feedback {
    struct feedback feedback;
    bool recalled;           /* the row below came from the log: it had left memory */
    struct decision_row row; /* valid if recalled, with x and book */
    float x[DIM_MAX];
    struct label_book book;
};

/* A budget's multiplier, and what it was solved for. A unit is a dollar or a token. */
struct event_paced {
    int8_t pool;       /* configured pool; -1 = the average budget.usd_per_request */
    uint8_t unit;      /* enum pool_unit of the rest */
    double multiplier; /* quality points per unit, >= 0 */
    double rate;       /* units that a request may use, >= 0 */
    double least;      /* units that one uses when nothing but the budget counts ... */
    double wanted;     /* ... and when it does not count */
};

enum hull_turn { HULL_SOLVED, HULL_TRIPPED, HULL_RETURNED };
struct event_hull {
    uint8_t turn;                /* enum hull_turn */
    double spend_usd;            /* mean cost a request that the mix may reach */
    double mix[MODELS_MAX];      /* by slot, summing to 1 */
    int64_t labels;              /* that the following comes from */
    double policy, lower, upper; /* policy minus hull in quality points: mean and bounds */
};

/* A part of what is known of a model: the rows of a target, or what it cost over what it should
 * have; or what is known of all models together. */
enum learned_part { LEARNED_COST = TARGETS, LEARNED_PRIOR, LEARNED_PARTS };
/* What becomes of it: what is put aside makes room for what comes in, and is put back with it. */
enum learned_turn { LEARNED_ADDED, LEARNED_TAKEN_BACK, LEARNED_PUT_ASIDE, LEARNED_PUT_BACK };
struct event_learned {
    char name[NAME_CAP]; /* of the import */
    uint8_t turn;        /* enum learned_turn */
    uint8_t part;        /* enum learned_part, or enum target */
    uint8_t learner, arm;
    int64_t as_of_ms;     /* when the numbers were what they are */
    int64_t added_ms;     /* when they came in, or were put aside */
    double share;         /* what a row counts, (0,1] */
    uint64_t schema;      /* of the features that the numbers are about: features_schema */
    const uint8_t *bytes; /* the numbers, as core/learn/learned.h has them; borrowed like json */
    uint32_t len;
};

struct event {
    uint64_t seq;    /* position in the log, from 1 */
    int64_t time_ms; /* the fold's clock, Unix milliseconds, never going back */
    enum event_kind kind;
    union {
        struct {
            uint32_t epoch;
            int64_t max_open; /* decisions kept in memory from here on */
        } started;
        struct {
            char origin[NAME_CAP]; /* "file", "weights.set", ... */
            uint64_t file_hash;    /* hash64 of the configuration file, 0 if not from it */
            const char *json;      /* borrowed: from the bytes decoded or the caller's buffer */
            uint32_t len;
        } configured;
        struct {
            char origin[NAME_CAP];
            const uint8_t *bytes; /* lens_save's; borrowed like json. len 0: no lens any more */
            uint32_t len;
        } lens;
        struct event_decided decided;
        struct event_feedback
            feedback; /* of EVENT_TAUGHT too: recalled, row.seq 0; feedback.seq 0, or with
                         retract the TAUGHT record that is taken out again */
        struct event_paced paced;
        struct {
            uint8_t arm, target; /* slot; enum target */
            bool up;             /* the residuals lay above the prediction */
            uint8_t learner;     /* that found it */
        } drifted;
        struct {
            uint64_t decision; /* its sequence number */
        } expired;
        struct event_hull hull;
        struct {
            bool on;
        } lent;
        struct event_learned learned;
    };
};

/*
 * Binary form: little-endian, [u32 crc32c of what follows][u8 version][u8 kind][u16 0][u64 seq]
 * [i64 time] then the fields of the kind. Only eligible arms and d entries of x are stored.
 */
/* event_encode gives the length written, 0 when cap (EVENT_BYTES_MAX always suffices) is too small.
 */
size_t event_encode(const struct event *e, uint8_t *out, size_t cap);
/* event_decode refuses wrong checksums, versions, lengths and values outside their ranges. */
MUST_CHECK enum status event_decode(const uint8_t *bytes, size_t n, struct event *out,
                                    struct problem *problem);
/* book_init gives a book without labels: all zeros. */
void book_init(struct label_book *b);
/* label_book codec, for the outcome table; same conventions, checksummed. */
enum { BOOK_BYTES_MAX = 1376 };
size_t book_encode(const struct label_book *b, uint8_t *out, size_t cap);
MUST_CHECK enum status book_decode(const uint8_t *bytes, size_t n, struct label_book *out);
/* decided_price gives what a dollar counted in the decision, in quality points: the greater of the
 * objective's cost weight and the budgets' multiplier. decided_utility gives an eligible model's
 * utility = merit - price * expected cost - token multiplier * expected tokens; decided_plain what
 * it would be without budgets. */
double decided_price(const struct event_decided *d);
/* decided_binds tells whether the budget made a dollar count for more than the objective does. */
bool decided_binds(const struct event_decided *d);
double decided_utility(const struct event_decided *d, int arm);
double decided_plain(const struct event_decided *d, int arm);
/* row_from_decided gives the row of a decision from its record; x stays in the record. */
void row_from_decided(const struct event *e, struct decision_row *row);
/* event_describe writes one line of JSON for people and tools (`purser log`). */
struct text;
void event_describe(const struct event *e, struct text *out);

uint32_t crc32c(const void *bytes, size_t n, uint32_t seed);

#endif
