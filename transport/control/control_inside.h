/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_CONTROL_INSIDE_H
#define PURSER_TRANSPORT_CONTROL_CONTROL_INSIDE_H

#include "core/encoding/json.h"
#include "transport/control/control.h"

/* What the files of the operators' ops share. Private to them. */
struct call {
    struct control *control;
    struct slot *slot;
    const struct message *message;
    const json_t *root; /* the message as a tree */
    const char *role;   /* of the caller; NULL: the service is open */
    const char *tenant; /* whom the caller speaks for; "" = the service's operator */
    struct text *out;
    bool later; /* the reply comes by control->done */
};

/* control_room makes room for n more bytes of the reply; false without memory. */
bool control_room(struct call *c, size_t n);
/* control_put writes {"v":1,"config_seq":N,"<name>":value}. */
MUST_CHECK enum status control_put(struct call *c, const char *name, const json_t *value,
                                   struct problem *p);

/* control_config.c: the configuration in force, whole or by part, and its changes. */
MUST_CHECK enum status control_config_get(struct call *c, struct problem *p);
/* control_part_get and control_part_set serve ops named PART.get, PART.list and PART.set. */
MUST_CHECK enum status control_part_get(struct call *c, struct problem *p);
MUST_CHECK enum status control_part_set(struct call *c, struct problem *p);
MUST_CHECK enum status control_config_set(struct call *c, struct problem *p);
MUST_CHECK enum status control_models_rename(struct call *c, struct problem *p);
MUST_CHECK enum status control_pools_set(struct call *c, struct problem *p);
/* control_change gives what would be in force with the message's `change` or `config`; the caller
 * frees. NULL: the problem says why. */
struct params *control_change(struct call *c, struct problem *p);

/* control_audit.c */
MUST_CHECK enum status control_audit(struct call *c, struct problem *p);
MUST_CHECK enum status control_config_at(struct call *c, struct problem *p);

/* control_over gives back a slot that a thread of the pool has worked for; unless s is OK the reply
 * is the problem. */
void control_over(struct control *c, struct slot *slot, bool cancelled, enum status s,
                  struct problem *p);

/* control_backup.c, control_whatif.c: in libuv's thread pool, one at a time each. */
MUST_CHECK enum status control_backup(struct call *c, struct problem *p);
MUST_CHECK enum status control_whatif(struct call *c, struct problem *p);

#endif
