/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_KEYRING_H
#define PURSER_TRANSPORT_KEYRING_H

#include <stdbool.h>
#include <stdint.h>
#include "core/limits.h"
#include "core/status.h"

/*
 * The keys that open this service, from a file of their own, which `purser keys` writes and the
 * service reads again when it changes. A key is presented as ID.SECRET; the secret has 256 random
 * bits and is shown once, when it is made: the file holds HMAC-SHA-256(pepper, secret). So neither
 * the file nor a copy of the store lets anyone in. Considered: a table of the store. A backup would
 * carry it, and the first key would need a service that is not running yet.
 */
enum role { ROLE_APP, ROLE_READER, ROLE_OPERATOR, ROLES };
extern const char *const role_names[ROLES];

enum {
    KEYS_MAX = 4096,
    KEY_CONNECTIONS_MOST = 1000000,
    KEY_MAC_BYTES = 32,
    KEY_SECRET_BYTES = 32,
    KEY_TEXT_CAP = NAME_CAP + 1 + 48 /* ID.SECRET and its zero */
};

struct key {
    char id[NAME_CAP];
    char tenant[NAME_CAP]; /* "" = any: the message says */
    char note[NAME_CAP];   /* whose it is, for people */
    enum role role;
    double rate;         /* items per second, 0 = not limited */
    int64_t connections; /* open at once, 0 = as configured for all */
    int64_t created_ms;  /* Unix time */
    int64_t expires_ms;  /* 0 = never */
    int64_t revoked_ms;  /* 0 = not */
    uint8_t mac[KEY_MAC_BYTES];
};

struct keyring;

/* keyring_new gives an empty one with a fresh pepper; NULL without memory. keyring_load reads a
 * file: BAD_REQUEST and the like name it and the place in it; a file that others may read or write
 * is refused. keyring_save replaces the file at once or not at all, durable when it returns, mode
 * 0600. */
struct keyring *keyring_new(void);
MUST_CHECK enum status keyring_load(const char *path, struct keyring **out,
                                    struct problem *problem);
MUST_CHECK enum status keyring_save(const struct keyring *r, const char *path,
                                    struct problem *problem);
void keyring_free(struct keyring *r);

/* keyring_make adds a key like `like` (of which id and mac are made here) and writes ID.SECRET, the
 * only time that anyone sees it. OVERLOADED: there are KEYS_MAX. keyring_revoke: false when there
 * is none of this id. */
MUST_CHECK enum status keyring_make(struct keyring *r, const struct key *like,
                                    char presented[KEY_TEXT_CAP], struct problem *problem);
bool keyring_revoke(struct keyring *r, const char *id, int64_t now_ms);

/* keyring_open gives the index of the key that was presented, -1 if it opens nothing: malformed,
 * unknown, wrong, revoked or expired, with the same work for each. */
int keyring_open(const struct keyring *r, const char *presented, int64_t now_ms);
int keyring_count(const struct keyring *r);
const struct key *keyring_at(const struct keyring *r, int i);
int keyring_find(const struct keyring *r, const char *id); /* -1 = none */
/* keyring_bearer gives the number by which connections remember who has shown this key: never 0,
 * and of no other key. */
uint64_t keyring_bearer(const struct key *k);

#endif
