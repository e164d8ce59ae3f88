/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_PAGES_H
#define PURSER_STORE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/status.h"

/*
 * The data file as it lies on disk, read without LMDB: LMDB follows what a page says, so a damaged
 * one makes it fault or lead astray. Here every number is checked before it is followed, what can
 * be read is given, and what cannot is counted. Of files of LMDB 0.9 on a machine of the same byte
 * order.
 */
struct pages;

/* pages_open maps the data file of the store in dir and finds the newest transaction whose meta
 * page is whole. INTERNAL: there is none. */
MUST_CHECK enum status pages_open(const char *dir, struct pages **out, struct problem *problem);
void pages_close(struct pages *p);

/* pages_walk visits all items of a table that can be read, in order; key and value are borrowed
 * until pages_close. False: there is no such table, or no memory. */
bool pages_walk(struct pages *p, const char *table,
                void (*visit)(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                              size_t n),
                void *ctx);
/* pages_faults gives how many faults were met so far, and the first one in words. */
uint64_t pages_faults(const struct pages *p, const char **first);

/* pages_check reads every table and the list of free pages, each page once: what LMDB will follow.
 * INTERNAL: the first fault. Safe beside a writer: a fault counts only if the pages it was seen on
 * cannot have been reused meanwhile, and after some tries nothing is said. */
MUST_CHECK enum status pages_check(const char *dir, struct problem *problem);

#endif
