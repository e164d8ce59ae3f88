/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_DESK_DESK_H
#define PURSER_TRANSPORT_DESK_DESK_H

#include <stdbool.h>
#include <stdint.h>
#include "core/learn/suspicion.h"
#include "core/request.h"
#include "core/router/router.h"
#include "core/wire/wire.h"
#include "store/batch.h"
#include "store/db.h"
#include "transport/alert.h"
#include "transport/audit.h"
#include "transport/leases.h"
#include "transport/notes.h"
#include "transport/outbuf.h"
#include "transport/pool_watch.h"
#include "transport/usage.h"
#include "transport/wallclock.h"

/*
 * The desk: the engine and its paperwork, without sockets. It asks the router, writes what happened
 * into the batch being filled, and renders the answer. Whoever brought the message holds the answer
 * until that batch is durable. Loop thread.
 */
enum {
    DESK_EVENTS_MAX = 8192,            /* a filling batch with more takes no more messages */
    DESK_BYTES_MAX = 16 * 1024 * 1024, /* likewise; a message in hand may exceed both a little */
    DESK_FOLLOW_MOST = 64              /* events that follow, at a stretch: a millisecond or two */
};

/* A batch, how many of those that wait for it were answered early (full disk, failure), and what is
 * to be told when it is durable. */
struct tray {
    struct batch *batch;
    size_t answered;
    struct alert_queue *alerts;
};

struct desk {
    struct db *db;         /* borrowed */
    struct router *router; /* borrowed */
    struct tray filling, other;
    bool flying; /* other is with the writer, or waits to be tried again */
    bool full;   /* the store is full: decide without recording, refuse what must be recorded */
    bool broken; /* memory and log have parted: stop and restart from disk */
    bool behind; /* more follows from what has happened than was put into the batch so far */
    bool ahead;  /* the reply to the message in hand may leave ahead of the disk, as far as
                    budgets go; see desk_ahead_begin */
    struct leases *leases; /* NULL: no reply does */
    uint64_t snapshot_seq; /* of the last snapshot put into a batch */
    int64_t begun;         /* items of the next one that are written */
    struct wallclock clock;
    int64_t routed, refused, retried, fed, unknown; /* items answered, for stats */
    /* Of the latest requests of each model: what an invoice will say against what we reckon. */
    struct invoice {
        double reported, computed; /* nanodollars */
        int64_t n, unpriced;
        bool off; /* alarm */
    } invoice[MODELS_MAX];
    struct notes notes;       /* lately */
    struct audit *audit;      /* NULL: none is kept */
    const char *who, *why;    /* of the message in hand, for the audit; NULL = nobody's */
    struct usage usage;       /* since the start, for metrics */
    double invoice_tolerance; /* share; of the settings */
    int64_t invoice_alarms;
    struct pool_watch *watch;
    struct suspicion *suspicion; /* of reports since the start */
    bool unpriced[MODELS_MAX];   /* told of */
    struct alert_past told;
    int64_t meter_other, meter_other_before; /* when last looked at, and the time before */
    bool repeated;                           /* the teach message in hand was learned before */
    /* Scratch: too big for the stack. */
    struct request request;
    struct feedback feedback;
    struct lesson {
        char model[NAME_CAP];
        struct feedback outcome;
    } lesson[MODELS_MAX];
    struct event event, extra, metered;
    struct recalled recalled;
    char json[CONFIG_MAX];
};

/* desk_new borrows both; NULL when memory is short. The router's evicted books go to the desk from
 * here on, so call it after recovery. */
struct desk *desk_new(struct db *db, struct router *router);
void desk_free(struct desk *d);

/* desk_answer handles a route, feedback or teach message of one item or many and writes the reply.
 */
void desk_answer(struct desk *d, const struct message *m, struct outbuf *out);
/* desk_feedback handles one item without a reply (unacknowledged feedback). */
void desk_feedback(struct desk *d, const struct message *m, int item);
/* desk_error writes an error as the whole reply. */
void desk_error(struct outbuf *out, const struct problem *problem);

/* desk_start begins an epoch; desk_configure changes the engine's configuration, with the words of
 * router_configure; desk_tick lets time pass. */
void desk_start(struct desk *d);
/* desk_lend records that replies leave ahead of the disk from here on, or no longer: before the
 * first does, and once all that has happened is in the batch. */
void desk_lend(struct desk *d, bool on);
MUST_CHECK enum status desk_configure(struct desk *d, const struct params *params,
                                      const char *origin, uint64_t file_hash,
                                      struct problem *problem);
void desk_tick(struct desk *d);
/* desk_follow goes on, while the desk is behind, with what follows: a bounded piece a call. */
void desk_follow(struct desk *d);
/* desk_lens sets the lens, with the words of router_set_lens. */
MUST_CHECK enum status desk_lens(struct desk *d, const uint8_t *bytes, size_t n, const char *origin,
                                 struct problem *problem);
/* desk_rename gives a model another name, with the words of router_rename. */
MUST_CHECK enum status desk_rename(struct desk *d, const char *old_name, const char *new_name,
                                   const char *origin, struct problem *problem);
/* desk_snapshot writes the state as generation g into the filling batch. */
void desk_snapshot(struct desk *d, int g);
/* desk_snapshot_ahead writes up to `most` pages of the snapshot that will be due in `left` records:
 * else all of it would be made between two requests and hold up one commit. */
void desk_snapshot_ahead(struct desk *d, int g, int64_t left, int most);
/* desk_prune asks for records older than retention, and covered by both snapshots, to go. */
void desk_prune(struct desk *d, int64_t retention_ms, int64_t most);

/* desk_meter_keep asks for the oldest hour of the rollups to become part of its day, if it is older
 * than hour_days, and for days older than day_days to be forgotten. desk_meter_stats writes what is
 * seen of invoices, as members of an object. */
void desk_meter_keep(struct desk *d, double hour_days, double day_days);
void desk_meter_stats(const struct desk *d, struct text *out);

/* desk_audit_open begins to keep the audit, which desk_free ends: after recovery, before anything
 * happens. desk_audit_note adds an entry of what is not a configuration (changes are taken);
 * desk_audit_keys says what keys there are, NULL = none are asked for. desk_document gives the
 * configuration in force (gives: json_decref). */
MUST_CHECK enum status desk_audit_open(struct desk *d, struct problem *p);
void desk_audit_note(struct desk *d, const char *op, json_t *changes);
void desk_audit_keys(struct desk *d, const struct keyring *r);
json_t *desk_document(const struct desk *d, struct problem *p);

/* desk_find reads the record of a decision, wherever it is: filling, in flight, on disk. */
MUST_CHECK enum status desk_find(struct desk *d, uint64_t seq, struct event *out,
                                 struct problem *problem);

/* desk_read reads any record likewise; of a configuration without its document. */
MUST_CHECK enum status desk_read(struct desk *d, uint64_t seq, struct event *out,
                                 struct problem *problem);

/* What the operator takes back or puts back. correct gets the answer; of a dry run (nothing is
 * applied) result says nothing. */
struct corrected {
    enum feedback_result result;
    int arm;      /* catalog slot of the model it is about */
    bool learned; /* false: beyond router_reaches, so the weights keep it */
};
/* desk_correct does item i of a message of feedback items, by router_correct; desk_unteach the
 * record `seq` of history, by router_unteach, under its conditions. */
MUST_CHECK enum status desk_correct(struct desk *d, const struct message *m, int i, bool dry,
                                    struct corrected *out, struct problem *problem);
MUST_CHECK enum status desk_unteach(struct desk *d, uint64_t seq, bool dry, struct corrected *out,
                                    struct problem *problem);

/* desk_learned has pieces of learned state come in (router_learned), `n` of them in the same
 * transaction; rows of a piece that `replaces` go into the place of what is known. desk_unlearned
 * takes an import out again, of one model or (MODELS_MAX) of the prior, by its records in the log.
 */
MUST_CHECK enum status desk_learned(struct desk *d, const struct event_learned *piece, int n,
                                    bool replaces, struct problem *problem);
MUST_CHECK enum status desk_unlearned(struct desk *d, const char *name, int learner, int place,
                                      struct problem *problem);

/* desk_alert_start tells what is wrong with the configuration that the service starts with. */
void desk_alert_start(struct desk *d);

/* desk_ahead_begin, before a message whose reply may leave ahead of the disk; d->ahead then tells
 * whether it does. False when memory is short: it does not. */
bool desk_ahead_begin(struct desk *d);

/* desk_crowded: the filling batch is full. */
bool desk_crowded(const struct desk *d);
/* desk_launch makes the filling batch the flying one and gives it; desk_landed empties it again. */
struct batch *desk_launch(struct desk *d);
void desk_landed(struct desk *d);

#endif
