/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_BACKUP_H
#define PURSER_TRANSPORT_CONTROL_BACKUP_H

#include "core/json.h"
#include "transport/control.h"

/* control_backup copies the store to the folder that the message names and answers by
 * control->done. When it is not OK nothing will come. */
MUST_CHECK enum status control_backup(struct control *c, struct slot *slot, const json_t *root,
                                      struct problem *p);

#endif
