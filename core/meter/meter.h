/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_METER_METER_H
#define PURSER_CORE_METER_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/event/bytes.h"
#include "core/event/event.h"

/*
 * Metering: what was asked for, spent and achieved, by whom and for what, in buckets of an hour. A
 * pure function of the log: a decision adds a request with its expected cost, a message about it
 * the difference between what its label book amounted to before and after, both to the hour of the
 * decision. What was taught (history) counts nowhere. All sums are integers, so they are exact in
 * any order; refused requests, which leave no record, are the one thing that is only counted live.
 */
enum meter_field {
    METER_REQUESTS,      /* what was asked for: retries are one, and so are escalations */
    METER_ATTEMPTS,      /* decisions: what follows counts each */
    METER_SETTLED,       /* of these with a cost that was reported or computed from tokens */
    METER_COST,          /* nanodollars: reported, else computed, else the expected cost */
    METER_BASELINE,      /* nanodollars: expected cost of the baseline model, once a request */
    METER_TOKENS_IN,     /* reported, else as the request had them */
    METER_TOKENS_CACHED, /* of these read from a cache */
    METER_TOKENS_OUT,    /* reported */
    METER_TOKENS_REASON, /* of these reasoning, reported */
    METER_LABELS,        /* requests with a quality: of escalated ones the last attempt's */
    METER_QUALITY,       /* their qualities, billionths */
    METER_VALUE,         /* value of the request x quality, millionths */
    METER_TIMED,         /* requests with a latency */
    METER_LATENCY,       /* their latencies, microseconds */
    METER_FAILURES,      /* requests reported as failed */
    METER_REPORTED,      /* nanodollars that were reported where tokens were reported as well ... */
    METER_COMPUTED,      /* ... and what those tokens cost at the prices of the decision */
    METER_UNPRICED,      /* requests of a model without prices, no cost reported */
    METER_REFUSED,       /* requests that no model was given; not in the log */
    METER_FIELDS
};
struct meter_sums {
    int64_t v[METER_FIELDS];
};
/* meter_field_name gives the name of a field, as replies and exports have it. */
const char *meter_field_name(int field);
void meter_sums_add(struct meter_sums *to, const struct meter_sums *from);

/* Of the inferred complexity, [0,1] in quarters. */
enum { BANDS = 4, BAND_NONE = 255 };
/* In place of a catalog slot: no model was given. */
enum { METER_NO_MODEL = 255 };
/* Tenant of requests that found no room among the keys of their hour; no identifier. */
#define METER_OTHER "*"

/* What a bucket is of. */
struct meter_key {
    uint32_t hour; /* hours since 1970, of the decision; of a day its first */
    uint8_t arm;   /* catalog slot or METER_NO_MODEL: models keep it when renamed */
    uint8_t cluster, band;
    char tenant[NAME_CAP], user[NAME_CAP], task[NAME_CAP], group[NAME_CAP];
    char domain[NAME_CAP]; /* declared, else what the lens inferred */
};
enum { METER_KEY_MAX = 7 + 5 * NAME_CAP, HOUR_MS = 3600000 };
/* meter_key_put gives the length of the key's bytes, whose order is first that of the hours.
 * meter_key_get is false when they are not a key's. */
size_t meter_key_put(const struct meter_key *k, uint8_t out[METER_KEY_MAX]);
bool meter_key_get(const uint8_t *bytes, size_t n, struct meter_key *out);
/* meter_key_of gives the key of a decision, from its record. */
void meter_key_of(const struct event *decided, struct meter_key *out);
/* meter_key_other gives the key that takes the place of k where there is no room. */
void meter_key_other(const struct meter_key *k, struct meter_key *out);
uint8_t meter_band(float complexity);

/* Sums by key, in the order of first appearance. Grows to what it has needed; meter_clear keeps
 * the memory. All zeros is an empty one. */
struct meter_entry {
    uint32_t key_at, slot;
    uint16_t key_len;
    int64_t most; /* keys that its hour may have, as configured when it appeared */
    struct meter_sums sums;
};
struct meter {
    struct meter_entry *entry;
    uint8_t *keys;
    uint32_t *index; /* open addressing: entry + 1, 0 = free; index_cap a power of two */
    size_t n, cap, keys_n, keys_cap, index_cap;
};
void meter_fini(struct meter *m);
void meter_clear(struct meter *m);
/* meter_find gives the entry of a key, NULL without one; valid until the next addition. */
struct meter_entry *meter_find(const struct meter *m, const uint8_t *key, size_t n);
/* meter_add adds sums under a key. False when memory is short: nothing changed. */
bool meter_add(struct meter *m, const uint8_t *key, size_t n, const struct meter_sums *sums,
               int64_t most);

/* meter_decided counts a decision, meter_feedback what a message changed, from the decision's
 * record and its book before and after; *delta is what was added. meter_refused counts a request
 * that was given no model. False when memory is short: nothing changed. */
bool meter_decided(struct meter *m, const struct event *decided, int64_t most,
                   struct meter_sums *delta);
bool meter_feedback(struct meter *m, const struct event *decided, const struct label_book *before,
                    const struct label_book *after, int64_t most, struct meter_sums *delta);
bool meter_refused(struct meter *m, int64_t time_ms, const struct labels *labels, int64_t most);

/* A ledger is a meter with room for a bounded number of keys per hour: ledger_post posts a meter's
 * entries to it, those of keys that find no room to the other. False when memory is short. */
struct ledger {
    struct meter rows, counts;
};
bool ledger_post(struct ledger *l, const struct meter *m);
void ledger_fini(struct ledger *l);

/* sums_put and sums_get are the codec of sums. */
enum { METER_SUMS_LEN = 8 * METER_FIELDS };
void sums_put(struct filler *w, const struct meter_sums *s);
void sums_get(struct reader *r, struct meter_sums *s);

#endif
