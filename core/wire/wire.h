/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_WIRE_WIRE_H
#define PURSER_CORE_WIRE_WIRE_H

#include <stddef.h>
#include "core/config/params.h"
#include "core/encoding/doc.h"
#include "core/encoding/text.h"
#include "core/event/event.h"
#include "core/request.h"
#include "core/status.h"

/*
 * The protocol's bytes: JSON or MessagePack, told apart by the first byte, version 1, one object a
 * message, the same over every door, answered in the encoding it came in. Strict: an
 * unknown field is refused (a typo in max_cost_usd must not cost money) unless it begins with x_.
 * Depth (8), elements (4096; batches 4096 per item) and size are bounded before a value is read.
 */
enum wire_op {
    WIRE_ROUTE,
    WIRE_ROUTE_MANY,
    WIRE_FEEDBACK,
    WIRE_FEEDBACK_MANY,
    WIRE_TEACH,
    WIRE_ESCALATE,
    WIRE_ESCALATE_MANY,
    WIRE_CONTROL
};

struct message {
    enum wire_op op;
    char op_name[NAME_CAP];  /* as sent, e.g. "weights.get" */
    char batch_id[NAME_CAP]; /* of a teach message; "" = none: a repetition is learned again */
    int items;               /* 1, or the batch's length */
    bool corrects;           /* the operator's: may speak for silence */
    char tenant[NAME_CAP];   /* whom the sender speaks for; "" = the message says */
    char caller[NAME_CAP];   /* the key that it came with; "" = none was needed */
    const char *role;        /* of the key that was shown; NULL: the service is open. Static */
    struct doc doc;
};

/* wire_is_many tells whether a message of this op holds items. */
bool wire_is_many(enum wire_op op);
/* wire_routes: its items ask for a model; wire_escalates: for one of a higher tier. */
bool wire_routes(enum wire_op op);
bool wire_escalates(enum wire_op op);
/* wire_open parses a message and finds its op: any op that is not one of those before it is
 * WIRE_CONTROL.
 * On error nothing needs closing. wire_close frees; accepts a closed message. */
MUST_CHECK enum status wire_open(struct message *m, const void *bytes, size_t n,
                                 struct problem *problem);
void wire_close(struct message *m);
/* wire_key gives the key that a message shows, NULL if none; lives until wire_close. Never told to
 * anybody. */
const char *wire_key(const struct message *m);
/* wire_request and wire_feedback decode item i (0 when single). An escalation is a route request
 * that also names a decision. Borrowed strings live until wire_close. A request is of the message's
 * tenant if that is set; one that names another is FORBIDDEN. */
MUST_CHECK enum status wire_request(const struct message *m, int i, struct request *out,
                                    struct problem *problem);
MUST_CHECK enum status wire_feedback(const struct message *m, int i, struct feedback *out,
                                     struct problem *problem);
/* Items of a teach message: a request, how much it counts, and what models made of it.
 * wire_teach_count gives the outcomes of item i, 0 when it cannot be read; wire_teach decodes the
 * rest of it, wire_teach_outcome its outcome j with the model's name. Of the request only what
 * describes it is used; constraints and such are checked and without effect. */
int wire_teach_count(const struct message *m, int i);
MUST_CHECK enum status wire_teach(const struct message *m, int i, struct request *out,
                                  double *weight, struct problem *problem);
MUST_CHECK enum status wire_teach_outcome(const struct message *m, int i, int j,
                                          char model[NAME_CAP], struct feedback *out,
                                          struct problem *problem);

/* Replies; rendered without a tree, in the text's encoding. The text may be continued: batches
 * write {"v":1,"items":[...]}. reply_decision renders from the record alone (retries are answered
 * from the log), names from the catalog; seq 0 leaves decision_id out (dry run). */
struct reply_ask {
    bool explain;      /* adds the arms' numbers */
    bool not_recorded; /* the store is full: says so */
};
void reply_decision(struct text *t, const struct event *decided, const struct catalog *catalog,
                    const uint8_t mac_key[16], const struct reply_ask *ask);
void reply_answer(struct text *t, enum feedback_result result, const char *decision_id);
/* reply_taught answers one item of a teach message; repeated: it was learned before. */
void reply_taught(struct text *t, bool repeated, int outcomes);
void reply_error(struct text *t, const struct problem *problem);
/* reply_batch_begin / next / end frame the n items of a batch. */
void reply_batch_begin(struct text *t, int n);
void reply_batch_next(struct text *t, int i);
void reply_batch_end(struct text *t);

#endif
