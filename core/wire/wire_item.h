/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_WIRE_WIRE_ITEM_H
#define PURSER_CORE_WIRE_WIRE_ITEM_H

#include <stdint.h>
#include "core/encoding/json.h"
#include "core/wire/wire.h"

/* What wire.c, wire_request.c and wire_teach.c share. Private to them. */

/* One operation inside a message, and where it stands. `items` is the middle of the path. */
struct wire_item {
    const struct doc_value *object;
    struct json_at items, item;
    const struct json_at *at; /* NULL when the message is the operation */
};

/* What every operation may have beside its own fields; the rows that take them are of part 1. */
struct wire_head {
    const struct doc_value *v, *op, *key, *decision_id;
};
#define WIRE_HEAD(name)                                                                            \
    {                                                                                              \
        .path = #name, .kind = FIELD_VALUE, .part = 1, .offset = offsetof(struct wire_head, name)  \
    }

/* wire_item_open finds item i of a message of op `single` or `many`. Call wire_item_head after the
 * fields have been read: it checks key, and v and op, which an item may repeat. */
MUST_CHECK enum status wire_item_open(const struct message *m, int i, struct wire_item *out,
                                      struct problem *problem);
MUST_CHECK enum status wire_item_head(const struct wire_item *it, const struct wire_head *head,
                                      const char *op, struct problem *problem);

/* wire_request_read and wire_outcome_read decode what it->object holds: a route request, or what a
 * model made of one (the values of a feedback message and "model"). wire_decision_read decodes its
 * decision_id v, which must be there. */
MUST_CHECK enum status wire_request_read(const struct wire_item *it, struct request *out,
                                         struct problem *problem);
MUST_CHECK enum status wire_decision_read(const struct wire_item *it, const struct doc_value *v,
                                          struct decision_ref *out, struct problem *problem);
MUST_CHECK enum status wire_outcome_read(const struct wire_item *it, char model[NAME_CAP],
                                         struct feedback *out, struct problem *problem);
/* wire_teach_bound checks that a message does not teach too much at once: the loop is busy with it
 * as a whole. */
MUST_CHECK enum status wire_teach_bound(const struct doc_value *items, struct problem *problem);

/* Digests: a chain of hashes over decoded fields in a fixed order, so neither key order nor the
 * spelling of a number matters. */
uint64_t digest_int(uint64_t h, int64_t v);
uint64_t digest_real(uint64_t h, double v);
uint64_t digest_text(uint64_t h, const char *s, size_t n);

#endif
