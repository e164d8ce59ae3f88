/* SPDX-License-Identifier: MIT */
/*
 * The chain is made here, on the loop, because batches are filled in the order in which they are
 * written; the store only keeps bytes. What is known of keys is the audit itself, read at a start:
 * so what happened to the key file while nobody was serving is noted at the next start.
 */
#include "transport/audit.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "transport/audit_diff.h"
#include "transport/log.h"
#include "transport/outbuf.h"

struct audit {
    struct db *db;
    uint64_t last; /* number of the newest entry */
    uint8_t hash[AUDIT_HASH];
    json_t *document; /* the configuration in force */
    json_t *keys;     /* id -> what the audit knows of it */
};

/* ---- the chain ---- */

struct chain {
    uint64_t next; /* number that must come */
    uint8_t hash[AUDIT_HASH];
    struct problem *problem;
    enum status status;
};

static void chain_begin(struct chain *c, struct db *db, struct problem *problem)
{
    const char *id = db_store_id(db);
    *c = (struct chain){.next = 1, .problem = problem, .status = STATUS_OK};
    crypto_generichash(c->hash, AUDIT_HASH, (const uint8_t *)id, strlen(id), NULL, 0);
}

static void link_hash(uint8_t hash[AUDIT_HASH], const uint8_t *bytes, size_t n)
{
    crypto_generichash_state s;
    crypto_generichash_init(&s, NULL, 0, AUDIT_HASH);
    crypto_generichash_update(&s, hash, AUDIT_HASH);
    crypto_generichash_update(&s, bytes, n);
    crypto_generichash_final(&s, hash, AUDIT_HASH);
}

/* Takes the next entry; false when it does not fit, which is then said. */
static bool chain_take(struct chain *c, uint64_t number, const uint8_t *bytes, size_t n)
{
    if (number != c->next) {
        c->status = problem_set(c->problem, STATUS_INTERNAL, "",
                                "entry %" PRIu64 " of the audit is missing", c->next);
        return false;
    }
    if (n > AUDIT_HASH)
        link_hash(c->hash, bytes + AUDIT_HASH, n - AUDIT_HASH);
    if (n <= AUDIT_HASH || memcmp(c->hash, bytes, AUDIT_HASH) != 0) {
        c->status = problem_set(c->problem, STATUS_INTERNAL, "",
                                "entry %" PRIu64 " of the audit is not what was written: its hash "
                                "does not follow from it and the entry before",
                                number);
        return false;
    }
    c->next++;
    return true;
}

static json_t *entry_of(const uint8_t *bytes, size_t n)
{
    return n > AUDIT_HASH ? json_loadb((const char *)bytes + AUDIT_HASH, n - AUDIT_HASH, 0, NULL)
                          : NULL;
}

/* ---- at a start ---- */

static void learn_keys(struct audit *a, const json_t *entry)
{
    static const char prefix[] = "/keys/";
    size_t i;
    json_t *change;
    json_array_foreach(json_object_get(entry, "changes"), i, change)
    {
        const char *path = json_string_value(json_object_get(change, "path"));
        json_t *to = json_object_get(change, "to");
        if (!path || strncmp(path, prefix, sizeof prefix - 1) != 0)
            continue;
        if (to)
            (void)json_object_set(a->keys, path + sizeof prefix - 1, to);
        else
            (void)json_object_del(a->keys, path + sizeof prefix - 1);
    }
}

static bool on_old(void *ctx, uint64_t number, const uint8_t *bytes, size_t n)
{
    struct audit *a = ctx;
    static const char mark[] = "\"/keys/";
    a->last = number;
    if (n >= AUDIT_HASH)
        memcpy(a->hash, bytes, AUDIT_HASH);
    if (n < AUDIT_HASH || !memmem(bytes, n, mark, sizeof mark - 1))
        return true;
    json_t *entry = entry_of(bytes, n);
    learn_keys(a, entry);
    json_decref(entry);
    return true;
}

enum status audit_open(struct db *db, json_t *document, struct audit **out, struct problem *problem)
{
    struct chain empty;
    uint64_t last;
    struct audit *a = sodium_init() < 0 ? NULL : calloc(1, sizeof *a);
    if (a)
        *a = (struct audit){.db = db, .document = document, .keys = json_object()};
    if (!a || !a->document || !a->keys) {
        if (!a)
            json_decref(document);
        audit_free(a);
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the audit");
    }
    chain_begin(&empty, db, NULL);
    memcpy(a->hash, empty.hash, AUDIT_HASH);
    enum status s = audit_scan(db, 1, 0, on_old, a, &last, problem);
    if (s != STATUS_OK)
        audit_free(a);
    else
        *out = a;
    return s;
}

void audit_free(struct audit *a)
{
    if (!a)
        return;
    json_decref(a->document);
    json_decref(a->keys);
    free(a);
}

/* ---- entries ---- */

static enum status add(struct audit *a, struct batch *b, const char *text, size_t n)
{
    uint8_t hash[AUDIT_HASH], *bytes = malloc(AUDIT_HASH + n);
    if (!bytes)
        return STATUS_UNAVAILABLE;
    memcpy(hash, a->hash, AUDIT_HASH);
    link_hash(hash, (const uint8_t *)text, n);
    memcpy(bytes, hash, AUDIT_HASH);
    memcpy(bytes + AUDIT_HASH, text, n);
    enum status s = batch_audit(b, a->last + 1, bytes, AUDIT_HASH + n);
    free(bytes);
    if (s != STATUS_OK)
        return s;
    a->last++;
    memcpy(a->hash, hash, AUDIT_HASH);
    return STATUS_OK;
}

enum status audit_note(struct audit *a, struct batch *b, int64_t at_ms,
                       const struct audit_hand *hand, uint64_t seq, json_t *changes)
{
    char hex[AUDIT_HEX];
    if (changes && json_array_size(changes) == 0) {
        json_decref(changes);
        return STATUS_OK;
    }
    json_t *entry =
        changes ? json_pack("{s:I,s:I,s:s,s:s,s:s,s:I,s:o}", "n", (json_int_t)a->last + 1, "at_ms",
                            (json_int_t)at_ms, "who", hand->who, "op", hand->op, "why",
                            hand->why ? hand->why : "", "seq", (json_int_t)seq, "changes", changes)
                : NULL;
    char *text = entry ? json_dumps(entry, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    enum status s = text ? add(a, b, text, strlen(text)) : STATUS_UNAVAILABLE;
    json_decref(entry);
    free(text);
    if (s == STATUS_OK)
        log_event(LOG_LEVEL_INFO, "audit", "n", LOG_NUMBER(a->last), "who", hand->who, "op",
                  hand->op, "hash", sodium_bin2hex(hex, sizeof hex, a->hash, AUDIT_HASH), NULL);
    return s;
}

enum status audit_config(struct audit *a, struct batch *b, int64_t at_ms,
                         const struct audit_hand *hand, uint64_t seq, json_t *document)
{
    json_t *changes = document ? diff_documents(a->document, document) : NULL;
    if (!changes) {
        json_decref(document);
        return STATUS_UNAVAILABLE;
    }
    json_decref(a->document);
    a->document = document;
    return audit_note(a, b, at_ms, hand, seq, changes);
}

/* What the audit says of a key: all but its secret. */
static json_t *key_object(const struct key *k)
{
    return json_pack("{s:s,s:s,s:s,s:f,s:I,s:I,s:I,s:I}", "role", role_names[k->role], "tenant",
                     k->tenant, "note", k->note, "rate", k->rate, "connections",
                     (json_int_t)k->connections, "created_ms", (json_int_t)k->created_ms,
                     "expires_ms", (json_int_t)k->expires_ms, "revoked_ms",
                     (json_int_t)k->revoked_ms);
}

static const char *key_op(const json_t *before, const json_t *after)
{
    if (!after)
        return "keys.removed";
    if (!before)
        return "keys.created";
    json_int_t was = json_integer_value(json_object_get(before, "revoked_ms")),
               is = json_integer_value(json_object_get(after, "revoked_ms"));
    return was == 0 && is != 0 ? "keys.revoked" : "keys.changed";
}

/* One entry a key: who made it and who took it away are told apart. after is taken. */
static enum status note_key(struct audit *a, struct batch *b, int64_t at_ms, const char *id,
                            json_t *after)
{
    const json_t *before = json_object_get(a->keys, id);
    struct audit_hand hand = {.who = "file", .op = key_op(before, after)};
    char path[NAME_CAP + 8] = "/keys/";
    strncat(path, id, NAME_LEN);
    json_t *change = json_pack("{s:s}", "path", path);
    if (before)
        (void)json_object_set_new(change, "from", json_deep_copy(before));
    if (after)
        (void)json_object_set(change, "to", after);
    enum status s = audit_note(a, b, at_ms, &hand, 0, json_pack("[o]", change));
    if (after)
        (void)json_object_set_new(a->keys, id, after);
    else
        (void)json_object_del(a->keys, id);
    return s;
}

enum status audit_keys(struct audit *a, struct batch *b, int64_t at_ms, const struct keyring *r)
{
    enum status s = STATUS_OK;
    for (int i = 0; s == STATUS_OK && i < keyring_count(r); i++) {
        const struct key *k = keyring_at(r, i);
        json_t *is = key_object(k);
        const json_t *was = json_object_get(a->keys, k->id);
        if (!is)
            s = STATUS_UNAVAILABLE;
        else if (was && json_equal(was, is))
            json_decref(is);
        else
            s = note_key(a, b, at_ms, k->id, is);
    }
    void *next;
    for (void *i = json_object_iter(a->keys); s == STATUS_OK && i; i = next) {
        const char *id = json_object_iter_key(i);
        char gone[NAME_CAP] = "";
        next = json_object_iter_next(a->keys, i);
        strncat(gone, id, NAME_LEN);
        if (keyring_find(r, gone) < 0)
            s = note_key(a, b, at_ms, gone, NULL);
    }
    return s;
}

/* ---- reading ---- */

enum { SEEN_MOST = 1000 }; /* entries looked at for a page */

struct page {
    struct chain chain;
    struct outbuf *out;
    uint64_t from;
    int limit, n, seen;
    const char *about;
    uint64_t next; /* where to go on; 0 = the end was seen */
};

static bool begins(const char *s, const char *with)
{
    return s && strncmp(s, with, strlen(with)) == 0;
}

/* Whether a path is `at`, or leads through it. An `at` that ends in a slash is a beginning. */
static bool leads(const char *path, const char *at)
{
    size_t n = strlen(at);
    return begins(path, at) && (path[n] == '\0' || path[n] == '/' || n == 0 || at[n - 1] == '/');
}

static bool is_about(const json_t *entry, const char *about)
{
    size_t i;
    json_t *change;
    if (!about || begins(json_string_value(json_object_get(entry, "op")), about))
        return true;
    json_array_foreach(json_object_get(entry, "changes"), i, change)
    {
        if (leads(json_string_value(json_object_get(change, "path")), about))
            return true;
    }
    return false;
}

static bool put_entry(struct page *p, const uint8_t *bytes, size_t n)
{
    char hex[AUDIT_HEX];
    struct text *t = &p->out->text;
    if (!outbuf_reserve(p->out, n + 256))
        return false;
    text_put(t, p->n++ ? ",{\"hash\":\"" : "{\"hash\":\"");
    text_put(t, sodium_bin2hex(hex, sizeof hex, bytes, AUDIT_HASH));
    text_put(t, "\",");
    text_put_n(t, (const char *)bytes + AUDIT_HASH + 1, n - AUDIT_HASH - 1); /* behind its brace */
    return true;
}

static bool on_page(void *ctx, uint64_t number, const uint8_t *bytes, size_t n)
{
    struct page *p = ctx;
    if (number + 1 == p->from && n >= AUDIT_HASH) { /* what the first must follow from */
        memcpy(p->chain.hash, bytes, AUDIT_HASH);
        p->chain.next = p->from;
        return true;
    }
    if (p->n == p->limit || p->seen++ == SEEN_MOST) {
        p->next = number;
        return false;
    }
    if (!chain_take(&p->chain, number, bytes, n))
        return false;
    json_t *entry = p->about ? entry_of(bytes, n) : NULL;
    bool shown = is_about(entry, p->about);
    json_decref(entry);
    if (shown && !put_entry(p, bytes, n)) {
        p->next = number;
        return false;
    }
    return true;
}

enum status audit_page(struct db *db, uint64_t from, int limit, const char *about,
                       struct outbuf *out, struct problem *problem)
{
    uint64_t last = 0;
    struct problem broken = {0};
    struct page p = {.out = out, .from = from, .limit = limit, .about = about};
    chain_begin(&p.chain, db, &broken);
    text_put(&out->text, "\"entries\":[");
    enum status s = audit_scan(db, from > 1 ? from - 1 : 1, 0, on_page, &p, &last, problem);
    if (s == STATUS_OK && !outbuf_reserve(out, OUTBUF_ITEM))
        s = problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for the answer");
    if (s != STATUS_OK)
        return s;
    text_printf(&out->text, "],\"last\":%" PRIu64, last);
    if (p.next > 0)
        text_printf(&out->text, ",\"next\":%" PRIu64, p.next);
    if (p.chain.status != STATUS_OK) {
        text_printf(&out->text, ",\"broken\":{\"n\":%" PRIu64 ",\"text\":", p.chain.next);
        text_json_string(&out->text, broken.text);
        text_put(&out->text, "}");
    }
    return STATUS_OK;
}

/* ---- back in time ---- */

struct past {
    json_t **change; /* lists of entries, in their order */
    size_t n, cap;
    bool short_of_memory;
};

static bool on_past(void *ctx, uint64_t number, const uint8_t *bytes, size_t n)
{
    struct past *p = ctx;
    json_t *entry = entry_of(bytes, n);
    (void)number;
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        json_t **more = realloc(p->change, cap * sizeof(json_t *));
        p->short_of_memory = !more;
        if (!more) {
            json_decref(entry);
            return false;
        }
        p->change = more;
        p->cap = cap;
    }
    if (entry)
        p->change[p->n++] = entry;
    return true;
}

static bool of_config(const json_t *entry)
{
    return json_integer_value(json_object_get(entry, "seq")) > 0 &&
           !begins(json_string_value(json_object_get(entry, "op")), "lens") &&
           !begins(json_string_value(json_object_get(entry, "op")), "learned") &&
           !begins(json_string_value(json_object_get(entry, "op")), "unlearn");
}

static bool renames(const json_t *entry)
{
    const char *op = json_string_value(json_object_get(entry, "op"));
    return op && strcmp(op, "models.rename") == 0;
}

json_t *audit_document(struct db *db, json_t *document, uint64_t n, struct problem *problem)
{
    struct past p = {.n = 0};
    uint64_t last;
    const char *path = "";
    enum status s = audit_scan(db, n + 1, 0, on_past, &p, &last, problem);
    if (s == STATUS_OK && p.short_of_memory)
        s = problem_set(problem, STATUS_UNAVAILABLE, "", "no memory to go back");
    if (s == STATUS_OK && (n == 0 || n > last))
        s = problem_set(problem, STATUS_BAD_REQUEST, "/entry",
                        "the audit has entries 1 to %" PRIu64 ": name one of them", last);
    for (size_t i = p.n; s == STATUS_OK && i-- > 0;) {
        if (renames(
                p.change[i])) /* by its old name a model would be a new one, with nothing learned */
            s = problem_set(problem, STATUS_CONFLICT, "/entry",
                            "cannot go back beyond the renaming of a model: purser models rename "
                            "takes that back, purser config set sets what else was different");
        else if (of_config(p.change[i]) &&
                 !diff_undo(document, json_object_get(p.change[i], "changes"), &path))
            s = problem_set(problem, STATUS_CONFLICT, "/entry",
                            "cannot go back so far: %s is not what the audit says", path);
    }
    for (size_t i = 0; i < p.n; i++)
        json_decref(p.change[i]);
    free(p.change);
    if (s == STATUS_OK)
        return document;
    json_decref(document);
    return NULL;
}
