/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_AUDIT_H
#define PURSER_TRANSPORT_AUDIT_H

#include <stdbool.h>
#include <stdint.h>
#include "core/encoding/json.h"
#include "core/encoding/text.h"
#include "store/audit.h"
#include "transport/keyring.h"

/*
 * Who changed what, when, from what, to what, and why. An entry is a JSON object
 *     {"n":7,"at_ms":..,"who":"KEY-ID","op":"weights.set","why":"..","seq":LOG-RECORD,
 *      "changes":[{"path":"/objective/cost","from":0.1,"to":0.4}]}
 * `from` or `to` absent: it was not there, is not there any more. who is a key's id, "loopback"
 * (the service asks for no keys), "file" (configuration or key file), "clock" (prices whose day has
 * come) or "canary". An element of a list whose elements have names is told by its name.
 *
 * Stored is BLAKE2b-256(hash of the entry before, object) and the object; before the first stands
 * the hash of the store's id. So a changed, lost or inserted entry breaks the chain where it is.
 * What no chain inside a store can show is that its newest entries are gone, or that all of it was
 * made anew: for that each entry's hash is in the process log too.
 */
enum { AUDIT_HASH = 32, AUDIT_HEX = 2 * AUDIT_HASH + 1, AUDIT_PAGE = 100, AUDIT_WHY_MAX = 200 };

struct audit;
struct audit_hand { /* on whose behalf */
    const char *who, *op, *why;
};

/* audit_open goes on where the store's audit ends; document is the configuration in force (taken;
 * an empty object when there is none). */
MUST_CHECK enum status audit_open(struct db *db, json_t *document, struct audit **out,
                                  struct problem *problem);
void audit_free(struct audit *a);

/* What happened, into the batch with the change itself; OK also when nothing differs. seq: the log
 * record, 0 = none. audit_note takes changes. audit_config takes document, the configuration that
 * is in force from now on. audit_keys compares with the keys that were known before, also by
 * another start. */
MUST_CHECK enum status audit_note(struct audit *a, struct batch *b, int64_t at_ms,
                                  const struct audit_hand *hand, uint64_t seq, json_t *changes);
MUST_CHECK enum status audit_config(struct audit *a, struct batch *b, int64_t at_ms,
                                    const struct audit_hand *hand, uint64_t seq, json_t *document);
MUST_CHECK enum status audit_keys(struct audit *a, struct batch *b, int64_t at_ms,
                                  const struct keyring *r);

/* audit_page writes entries from..from+limit-1 as members of an object that is left open:
 * "entries":[..],"last":N, with "next":M when there are more, and, where the chain does not hold,
 * "broken":{"n":..,"text":".."}; of the entries whose path or op begins with `about` (NULL = all).
 */
struct outbuf;
MUST_CHECK enum status audit_page(struct db *db, uint64_t from, int limit, const char *about,
                                  struct outbuf *out, struct problem *problem);

/* audit_document gives the configuration as entry n left it: document, what is in force (taken),
 * with everything behind taken back. NULL: the problem says why. */
json_t *audit_document(struct db *db, json_t *document, uint64_t n, struct problem *problem);

#endif
