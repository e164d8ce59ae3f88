/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_COPIES_H
#define PURSER_STORE_COPIES_H

#include "store/maintain.h"

/* copies_make puts a new store at `to`: make fills an empty directory with it, durably but for the
 * names in it; it is verified and then gets its name. empty_ok: `to` may be an empty directory. On
 * failure nothing is left. */
MUST_CHECK enum status
copies_make(enum status (*make)(void *ctx, const char *dir, struct problem *problem), void *ctx,
            const char *to, bool empty_ok, struct verify_report *out, struct problem *problem);

#endif
