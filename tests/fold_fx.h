/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TESTS_FOLD_FX_H
#define PURSER_TESTS_FOLD_FX_H

#include "core/config/config.h"
#include "core/router/router.h"
#include "core/router/snapshot.h"

/* A host that keeps the log in memory, as encoded records, and can fold it again. */
enum { FOLD_LOG_MAX = 40000 };
struct fold {
    struct router *router;
    uint8_t *record[FOLD_LOG_MAX];
    size_t len[FOLD_LOG_MAX];
    uint64_t n;
    int64_t now; /* Unix milliseconds, moved by the test */
    struct label_book evicted[FOLD_LOG_MAX];
    char json[CONFIG_MAX];
    struct event ev; /* the last one */
    enum feedback_result result;
    enum route_result routed; /* of fold_escalate */
    struct problem problem;
    int drifted;              /* alarms so far */
    struct fold_items *items; /* of the snapshot, by key: each writes what changed since */
};

/* fold_new starts a router of three models (small, mid, big) with a patch of the configuration. */
struct fold *fold_new(const char *patch, int64_t max_open);
void fold_free(struct fold *f);
void fold_configure(struct fold *f, const char *patch);
void fold_rename(struct fold *f, const char *old_name, const char *new_name);
/* fold_route decides for a tenant and a task and gives the decision's sequence number; what follows
 * is left to the test. */
uint64_t fold_route(struct fold *f, const char *tenant, const char *task);
/* fold_request gives such a request to be changed, valid until the next call; fold_ask decides it;
 * fold_try decides and gives what router_route gave. */
struct request *fold_request(const char *tenant, const char *task);
uint64_t fold_ask(struct fold *f, const struct request *request);
enum status fold_try(struct fold *f, const struct request *r);
/* fold_escalate asks again for what decision seq was asked with, and gives what router_escalate
 * gave; f->ev is the new decision. */
enum status fold_escalate(struct fold *f, uint64_t seq, struct request *r);
/* fold_report makes a report of quality from a source ("" = default); each is another message.
 * fold_feed takes one; it must be accepted. */
struct feedback fold_report(const struct fold *f, uint64_t seq, const char *source, double quality);
void fold_feed(struct fold *f, const struct feedback *report);
/* fold_teach tells what a model made of a request elsewhere; fold_teach_of, of a tenant's. */
void fold_teach(struct fold *f, const char *task, const char *model,
                const struct feedback *outcome);
void fold_teach_of(struct fold *f, const char *tenant, const char *task, const char *model,
                   const struct feedback *outcome);
/* fold_correct is the operator's fold_feed; fold_unteach takes out again what a record taught. Both
 * give the refusal, if any. */
enum status fold_correct(struct fold *f, const struct feedback *report);
enum status fold_unteach(struct fold *f, uint64_t taught);
/* fold_follow takes what follows, until nothing does, and gives the number of labels by silence. */
int fold_follow(struct fold *f);
void fold_tick(struct fold *f);
/* fold_keep logs f->ev, which the router has applied, unless nothing happened. */
void fold_keep(struct fold *f);
/* fold_labels gives the quality labels held of all models, fold_sum their sum. */
int64_t fold_labels(const struct fold *f);
double fold_sum(const struct fold *f);
/* fold_predict gives the quality predicted of a model, or its output tokens, for a request. */
double fold_predict(struct fold *f, const char *tenant, const char *task, int arm, enum target t);
/* fold_check replays the log, and loads a snapshot, and requires the live state of both. */
void fold_check(struct fold *f);
/* fold_restart goes on with a router made from a snapshot. */
void fold_restart(struct fold *f);

#endif
