/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_AUDIT_H
#define PURSER_STORE_AUDIT_H

#include <stddef.h>
#include <stdint.h>
#include "store/db.h"

/*
 * The table of the audit: entries numbered from 1, bytes of the writer's own making
 * (transport/audit.h chains them by their hashes). They come by batch_audit and are written in the
 * transaction of the change that they tell of. Nothing ever removes one: retention is of the log.
 */
/* audit_scan visits the entries from..to (0 = the last) in one read transaction; visit returns
 * false to stop. *last gets the number of the last entry there is, 0 = none. Any thread. */
MUST_CHECK enum status audit_scan(struct db *db, uint64_t from, uint64_t to,
                                  bool (*visit)(void *ctx, uint64_t number, const uint8_t *bytes,
                                                size_t n),
                                  void *ctx, uint64_t *last, struct problem *problem);

#endif
