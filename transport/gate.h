/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_GATE_H
#define PURSER_TRANSPORT_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include "core/config/config.h"
#include "core/wire/wire.h"
#include "transport/keyring.h"

/*
 * Who may do what: every message passes here before anybody acts on it. Without a key file the
 * service is open, which config_parse allows on loopback addresses only. With one, an op is allowed
 * to the roles that the table in gate.c names, and to nobody if it is not there; a key of a tenant
 * speaks for that tenant alone. Loop thread.
 */
struct gate;

/* gate_open reads the key file that the settings name ("" = an open gate). gate_refresh reads it
 * again if it has changed, and then gives true; a file that cannot be used leaves the keys as they
 * are and is logged.
 */
MUST_CHECK enum status gate_open(const char *key_file, struct gate **out, struct problem *problem);
bool gate_refresh(struct gate *g);
void gate_close(struct gate *g);
bool gate_is_open(const struct gate *g);
/* gate_keys gives the keys in force, NULL for an open gate; valid until the next refresh. */
const struct keyring *gate_keys(const struct gate *g);

/* gate_admit lets a message in by a key (NULL: none was shown): OK binds it to the key's tenant and
 * names the caller, or UNAUTHORIZED (no key, or one that opens nothing: the same answer for all),
 * FORBIDDEN (the role may not), THROTTLED with when to retry. now_ms: Unix time, for expiry and
 * rates. *by, unless NULL, is then the key, valid until the next refresh; NULL for an open gate. */
MUST_CHECK enum status gate_admit(struct gate *g, struct message *m, const char *key,
                                  int64_t now_ms, const struct key **by, struct problem *problem);

/* gate_may is gate_admit for what is asked without a message; it takes nothing of the key's rate.
 */
MUST_CHECK enum status gate_may(const struct gate *g, const char *key, const char *op,
                                int64_t now_ms, const struct key **by, struct problem *problem);

/* gate_allows is the table: whether a role may do an op. */
bool gate_allows(enum role role, const char *op);

#endif
