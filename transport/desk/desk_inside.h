/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_DESK_DESK_INSIDE_H
#define PURSER_TRANSPORT_DESK_DESK_INSIDE_H

#include "transport/desk/desk.h"

/* What the desk's files share. Private to them. */
/* desk_record puts d->event, which the router has applied, into the batch, and what follows from
 * it.
 */
void desk_record(struct desk *d, int64_t now);
/* desk_append puts an event into the batch, and nothing behind it. */
void desk_append(struct desk *d, const struct event *ev);
/* desk_recall fetches record and labels of a decision that has left memory. *out NULL: it is in
 * memory, or there is none. */
MUST_CHECK enum status desk_recall(struct desk *d, const struct feedback *f,
                                   const struct recalled **out, struct problem *p);
/* desk_owned refuses feedback on another tenant's decision as if there were none. */
MUST_CHECK enum status desk_owned(struct desk *d, const struct message *m, uint64_t seq,
                                  struct problem *p);
/* desk_teach_item does item i of a teach message and writes its answer. */
void desk_teach_item(struct desk *d, const struct message *m, int i, struct text *t);
/* desk_break: memory and log have parted. */
void desk_break(struct desk *d, const char *what);
/* desk_meter has the router's decisions and feedback metered from here on; desk_meter_refused
 * counts d->request, refused with s. */
void desk_meter(struct desk *d);
void desk_meter_refused(struct desk *d, enum status s);
/* desk_alert finds what is to be told of an applied event; desk_alert_refused of d->request,
 * refused with s; desk_alert_tick of time that has passed. */
void desk_alert(struct desk *d, const struct event *ev);
void desk_alert_refused(struct desk *d, enum status s);
void desk_alert_tick(struct desk *d);
/* desk_suspect looks at a message about a decision, given its record and its book before and after:
 * whether its tenant's reports have parted from what they were. */
void desk_suspect(struct desk *d, const struct event *message, const struct event *decided,
                  const struct label_book *before, const struct label_book *after);
/* desk_audit_event adds what the audit says of an event. */
void desk_audit_event(struct desk *d, const struct event *ev);
/* desk_ahead_decided asks whether the reply to d->event, just applied, may leave ahead of the disk;
 * desk_ahead_repeated does so of a repetition. */
void desk_ahead_decided(struct desk *d, int64_t now);
void desk_ahead_repeated(struct desk *d);
/* desk_storage_full refuses what would have to be recorded. */
enum status desk_storage_full(struct problem *p);

#endif
