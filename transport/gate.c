/* SPDX-License-Identifier: MIT */
/*
 * The table of ops and roles, the key file watched by its identity, and a token bucket a key. A
 * batch takes as many tokens as it has items, and may go into debt by one message: so a batch that
 * is larger than the bucket is late, never refused for ever. Buckets are the gate's, not the
 * file's: they survive its being read again, by id.
 */
#include "transport/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "transport/log.h"

enum { APP = 1 << ROLE_APP, READER = 1 << ROLE_READER, OPERATOR = 1 << ROLE_OPERATOR };

static const struct {
    const char *op;
    int roles;
} allowed[] = {
    {"route", APP},
    {"route_many", APP},
    {"escalate", APP},
    {"feedback", APP},
    {"feedback_many", APP},
    {"explain", APP | READER | OPERATOR}, /* an app's key of a tenant: its own decisions */
    {"stats", READER | OPERATOR},
    {"status", READER | OPERATOR},
    {"models.list", READER | OPERATOR},
    {"weights.get", READER | OPERATOR},
    {"policy.get", READER | OPERATOR},
    {"learners.get", READER | OPERATOR},
    {"pools.list", READER | OPERATOR},
    {"config.get", READER | OPERATOR},
    {"whatif",
     READER | OPERATOR}, /* shows what spend.get and config.get show, and changes nothing */
    {"spend.get", READER | OPERATOR},
    {"decisions", READER | OPERATOR},
    {"alerts", READER | OPERATOR},
    {"events.read", READER | OPERATOR}, /* over HTTP */
    {"lens.get", OPERATOR},
    {"audit", OPERATOR},
    {"config.at", OPERATOR},
    {"log", OPERATOR}, /* contexts are features of prompts */
    {"labels", OPERATOR},
    {"models.set", OPERATOR},
    {"models.rename", OPERATOR},
    {"lens.set", OPERATOR},
    {"weights.set", OPERATOR},
    {"policy.set", OPERATOR},
    {"learners.set", OPERATOR},
    {"pools.set", OPERATOR},
    {"config.set", OPERATOR},
    {"snapshot", OPERATOR},
    {"backup", OPERATOR},
    {"unlearn", OPERATOR},
    {"teach", OPERATOR},
    {"learned.get", OPERATOR}, /* sums over features of prompts */
    {"learned.set", OPERATOR},
    {"learned.undo", OPERATOR},
};

struct bucket {
    double level; /* items that may come now */
    int64_t at_ms;
};

struct gate {
    char path[256];
    struct keyring *ring;           /* NULL: open */
    struct stat seen;               /* the file as it was read */
    struct bucket bucket[KEYS_MAX]; /* beside the ring's keys */
};

bool gate_allows(enum role role, const char *op)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (strcmp(op, allowed[i].op) == 0)
            return allowed[i].roles >> role & 1;
    return false;
}

const struct keyring *gate_keys(const struct gate *g)
{
    return g->ring;
}

bool gate_is_open(const struct gate *g)
{
    return g->ring == NULL;
}

/* Buckets follow their keys into a new ring; new ones are full. */
static void take_ring(struct gate *g, struct keyring *ring)
{
    struct bucket *fresh = calloc(KEYS_MAX, sizeof *fresh);
    for (int i = 0; fresh && i < keyring_count(ring); i++) {
        int old = g->ring ? keyring_find(g->ring, keyring_at(ring, i)->id) : -1;
        fresh[i] = old >= 0 ? g->bucket[old] : (struct bucket){keyring_at(ring, i)->rate, 0};
    }
    if (fresh)
        memcpy(g->bucket, fresh, sizeof g->bucket);
    free(fresh);
    keyring_free(g->ring);
    g->ring = ring;
}

enum status gate_open(const char *key_file, struct gate **out, struct problem *problem)
{
    struct gate *g = calloc(1, sizeof *g);
    struct keyring *ring = NULL;
    if (!g)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the gate");
    snprintf(g->path, sizeof g->path, "%s", key_file);
    if (g->path[0] != '\0') {
        (void)stat(g->path, &g->seen); /* before reading: what changes meanwhile is read again */
        enum status s = keyring_load(g->path, &ring, problem);
        if (s != STATUS_OK) {
            free(g);
            return s;
        }
        take_ring(g, ring);
    }
    *out = g;
    return STATUS_OK;
}

void gate_close(struct gate *g)
{
    if (!g)
        return;
    keyring_free(g->ring);
    free(g);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool gate_refresh(struct gate *g)
{
    struct stat now;
    struct keyring *ring = NULL;
    struct problem p = {0};
    if (!g->ring || stat(g->path, &now) != 0 || same_file(&now, &g->seen))
        return false;
    g->seen = now;
    if (keyring_load(g->path, &ring, &p) != STATUS_OK) {
        log_event(LOG_LEVEL_ERROR, "keys_refused", "path", g->path, "at", p.path, "text", p.text,
                  "action", "the keys of before stay in force: correct the file", NULL);
        return false;
    }
    take_ring(g, ring);
    log_event(LOG_LEVEL_INFO, "keys", "path", g->path, "keys", LOG_NUMBER(keyring_count(ring)),
              NULL);
    return true;
}

/* Takes `items` from the bucket of key i. */
static enum status draw(struct gate *g, int i, int items, int64_t now_ms, struct problem *problem)
{
    double rate = keyring_at(g->ring, i)->rate;
    struct bucket *b = &g->bucket[i];
    if (!(rate > 0))
        return STATUS_OK;
    double passed = b->at_ms == 0 || now_ms < b->at_ms ? 0 : (double)(now_ms - b->at_ms) / 1000;
    b->level += passed * rate;
    if (b->level > rate)
        b->level = rate; /* a second's worth */
    b->at_ms = now_ms;
    if (b->level >= 1 || (rate < 1 && b->level >= rate)) {
        b->level -= items;
        return STATUS_OK;
    }
    problem_set(problem, STATUS_THROTTLED, "/key",
                "this key may send %g items a second: slow down, or ask the operator for more",
                rate);
    if (problem)
        problem->retry_after_ms = (long)((1 - b->level) / rate * 1000) + 1;
    return STATUS_THROTTLED;
}

/* Gives the index of a key that may do the op, -1 with the problem set. */
static int find_allowed(const struct gate *g, const char *shown, const char *op, int64_t now_ms,
                        struct problem *problem)
{
    int i = keyring_open(g->ring, shown ? shown : "", now_ms);
    if (i < 0)
        problem_set(problem, STATUS_UNAUTHORIZED, "/key",
                    "a key is needed that opens this service: ask its operator for one "
                    "(purser keys create)");
    else if (!gate_allows(keyring_at(g->ring, i)->role, op))
        problem_set(problem, STATUS_FORBIDDEN, "/op", "a key of role %s may not do this",
                    role_names[keyring_at(g->ring, i)->role]);
    else
        return i;
    return -1;
}

static void name_key(const struct gate *g, int i, const struct key **by)
{
    if (by)
        *by = g->ring ? keyring_at(g->ring, i) : NULL;
}

enum status gate_may(const struct gate *g, const char *key, const char *op, int64_t now_ms,
                     const struct key **by, struct problem *problem)
{
    struct problem p = {0};
    int i = g->ring ? find_allowed(g, key, op, now_ms, &p) : 0;
    if (i >= 0) {
        name_key(g, i, by);
        return STATUS_OK;
    }
    if (problem)
        *problem = p;
    return p.code;
}

enum status gate_admit(struct gate *g, struct message *m, const char *key, int64_t now_ms,
                       const struct key **by, struct problem *problem)
{
    struct problem p = {0};
    if (by)
        *by = NULL;
    if (!g->ring)
        return STATUS_OK;
    int i = find_allowed(g, key, m->op_name, now_ms, &p);
    if (i < 0) {
        if (problem)
            *problem = p;
        return p.code;
    }
    strcpy(m->tenant, keyring_at(g->ring, i)->tenant);
    strcpy(m->caller, keyring_at(g->ring, i)->id);
    m->role = role_names[keyring_at(g->ring, i)->role];
    name_key(g, i, by);
    return draw(g, i, m->items, now_ms, problem);
}
