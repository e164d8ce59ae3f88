/* SPDX-License-Identifier: MIT */
/*
 * Keys are sorted by id; a secret is compared in constant time, against a MAC that nothing matches
 * where there is no such id. The secret's randomness is what makes it unguessable, so a plain HMAC
 * does; a slow hash would only slow the service down.
 */
#include "transport/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/budget/window.h"
#include "core/encoding/fields.h"
#include "core/encoding/json.h"
#include "core/encoding/text.h"
#include "core/moment.h"

_Static_assert(KEY_MAC_BYTES == crypto_auth_hmacsha256_BYTES, "a MAC is an HMAC-SHA-256");

const char *const role_names[ROLES] = {"app", "reader", "operator"};

enum {
    PEPPER_BYTES = crypto_auth_hmacsha256_KEYBYTES,
    HEX_LEN = 2 * KEY_MAC_BYTES,
    ID_BYTES = 8,
    TIME_LEN = WINDOW_TIME_CAP - 1,
    FILE_MOST = 4 * 1024 * 1024
};

struct keyring {
    uint8_t pepper[PEPPER_BYTES];
    int n;
    struct key key[KEYS_MAX]; /* by id */
};

struct keyring *keyring_new(void)
{
    struct keyring *r = sodium_init() < 0 ? NULL : calloc(1, sizeof *r);
    if (r)
        randombytes_buf(r->pepper, sizeof r->pepper);
    return r;
}

void keyring_free(struct keyring *r)
{
    if (!r)
        return;
    sodium_memzero(r->pepper, sizeof r->pepper);
    free(r);
}

int keyring_count(const struct keyring *r)
{
    return r->n;
}

const struct key *keyring_at(const struct keyring *r, int i)
{
    return &r->key[i];
}

/* The place of an id: where it is, or where it would be. */
static int place(const struct keyring *r, const char *id)
{
    int low = 0, high = r->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (strcmp(r->key[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int keyring_find(const struct keyring *r, const char *id)
{
    int i = place(r, id);
    return i < r->n && strcmp(r->key[i].id, id) == 0 ? i : -1;
}

uint64_t keyring_bearer(const struct key *k)
{
    uint64_t first; /* of a MAC of 256 random bits: two alike will not be seen */
    memcpy(&first, k->mac, sizeof first);
    return first ? first : 1;
}

static bool add(struct keyring *r, const struct key *key)
{
    int i = place(r, key->id);
    if (r->n == KEYS_MAX || (i < r->n && strcmp(r->key[i].id, key->id) == 0))
        return false;
    memmove(&r->key[i + 1], &r->key[i], (size_t)(r->n - i) * sizeof r->key[0]);
    r->key[i] = *key;
    r->n++;
    return true;
}

static void make_mac(const struct keyring *r, const char *secret, uint8_t mac[KEY_MAC_BYTES])
{
    crypto_auth_hmacsha256(mac, (const uint8_t *)secret, strlen(secret), r->pepper);
}

int keyring_open(const struct keyring *r, const char *presented, int64_t now_ms)
{
    static const struct key nobody;
    char id[NAME_CAP] = "";
    const char *dot = strrchr(presented, '.');
    size_t n = dot ? (size_t)(dot - presented) : 0;
    if (n < sizeof id)
        memcpy(id, presented, n);
    int i = keyring_find(r, id);
    const struct key *key = i >= 0 ? &r->key[i] : &nobody;
    uint8_t mac[KEY_MAC_BYTES];
    make_mac(r, dot ? dot + 1 : presented, mac);
    bool same = sodium_memcmp(mac, key->mac, sizeof mac) == 0;
    bool alive = key->revoked_ms == 0 && (key->expires_ms == 0 || now_ms < key->expires_ms);
    return same & alive & (i >= 0) ? i : -1;
}

enum status keyring_make(struct keyring *r, const struct key *like, char presented[KEY_TEXT_CAP],
                         struct problem *problem)
{
    struct key key = *like;
    uint8_t raw[KEY_SECRET_BYTES], name[ID_BYTES];
    char secret[sodium_base64_ENCODED_LEN(KEY_SECRET_BYTES,
                                          sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
    char hex[2 * ID_BYTES + 1];
    randombytes_buf(raw, sizeof raw);
    randombytes_buf(name, sizeof name);
    sodium_bin2base64(secret, sizeof secret, raw, sizeof raw,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    snprintf(key.id, sizeof key.id, "%s-%s", role_names[key.role],
             sodium_bin2hex(hex, sizeof hex, name, sizeof name));
    make_mac(r, secret, key.mac);
    snprintf(presented, KEY_TEXT_CAP, "%s.%s", key.id, secret);
    sodium_memzero(raw, sizeof raw);
    sodium_memzero(secret, sizeof secret);
    if (add(r, &key))
        return STATUS_OK;
    return problem_set(problem, STATUS_OVERLOADED, "/keys",
                       "there are %d keys already: take revoked ones out of the file", KEYS_MAX);
}

bool keyring_revoke(struct keyring *r, const char *id, int64_t now_ms)
{
    int i = keyring_find(r, id);
    if (i < 0)
        return false;
    if (r->key[i].revoked_ms == 0)
        r->key[i].revoked_ms = now_ms;
    return true;
}

/* A key as the file has it. */
struct key_doc {
    struct key key;
    char role[NAME_CAP];
    char mac[HEX_LEN + 1];
    char created[TIME_LEN + 1], expires[TIME_LEN + 1], revoked[TIME_LEN + 1];
};

#define D(member) .offset = offsetof(struct key_doc, member)
#define TIME .kind = FIELD_TEXT, .max = TIME_LEN, .text = ""

static const struct field rows[] = {
    {.path = "id", .kind = FIELD_NAME, D(key.id), .min = 1, .max = NAME_LEN},
    {.path = "role", .kind = FIELD_NAME, D(role), .min = 1, .max = NAME_LEN},
    {.path = "tenant", .kind = FIELD_NAME, D(key.tenant), .max = NAME_LEN, .text = ""},
    {.path = "rate", .kind = FIELD_REAL, D(key.rate), .max = 1e9},
    {.path = "connections", .kind = FIELD_INT, D(key.connections), .max = KEY_CONNECTIONS_MOST},
    {.path = "created", D(created), TIME},
    {.path = "expires", D(expires), TIME},
    {.path = "revoked", D(revoked), TIME},
    {.path = "note", .kind = FIELD_TEXT, D(key.note), .max = NAME_LEN, .text = ""},
    {.path = "mac", .kind = FIELD_TEXT, D(mac), .min = HEX_LEN, .max = HEX_LEN},
};
static const struct field_table table = {rows, sizeof rows / sizeof rows[0]};

static enum status fail(struct problem *problem, const struct json_at *up, const char *key,
                        const char *text)
{
    struct json_at at = {.up = up, .key = key};
    return json_fail(problem, STATUS_BAD_REQUEST, &at, "%s", text);
}

static bool unhex(const char *hex, uint8_t *out, size_t n)
{
    size_t got = 0;
    return strlen(hex) == 2 * n && sodium_hex2bin(out, n, hex, 2 * n, NULL, &got, NULL) == 0 &&
           got == n;
}

static enum status read_time(const char *text, const struct json_at *at, const char *key,
                             int64_t *ms, struct problem *problem)
{
    struct moment m;
    *ms = 0;
    if (text[0] == '\0')
        return STATUS_OK;
    if (!moment_parse(text, &m) || m.seq != 0)
        return fail(problem, at, key, "expected a time such as 2026-11-24T16:05:07Z");
    *ms = m.time_ms;
    return STATUS_OK;
}

static enum status read_role(const char *name, const struct json_at *at, enum role *out,
                             struct problem *problem)
{
    for (int i = 0; i < ROLES; i++) {
        *out = (enum role)i;
        if (strcmp(name, role_names[i]) == 0)
            return STATUS_OK;
    }
    return fail(problem, at, "role", "expected app, reader or operator");
}

static enum status read_key(struct keyring *r, json_t *object, const struct json_at *at,
                            struct problem *problem)
{
    struct key_doc d = {0};
    void *base[] = {&d};
    fields_default(table, 0, &d);
    enum status s = fields_read(table, object, at, base, NULL, problem);
    if (s == STATUS_OK)
        s = read_role(d.role, at, &d.key.role, problem);
    if (s == STATUS_OK)
        s = read_time(d.created, at, "created", &d.key.created_ms, problem);
    if (s == STATUS_OK)
        s = read_time(d.expires, at, "expires", &d.key.expires_ms, problem);
    if (s == STATUS_OK)
        s = read_time(d.revoked, at, "revoked", &d.key.revoked_ms, problem);
    if (s == STATUS_OK && !unhex(d.mac, d.key.mac, sizeof d.key.mac))
        s = fail(problem, at, "mac", "expected 64 hexadecimal digits");
    if (s == STATUS_OK && !add(r, &d.key))
        s = fail(problem, at, "id", "another key has this id, or there are more than 4096");
    return s;
}

static enum status read_keys(struct keyring *r, const json_t *root, struct problem *problem)
{
    struct json_at list = {.key = "keys"};
    const char *pepper = json_string_value(json_object_get(root, "pepper"));
    const json_t *keys = json_object_get(root, "keys");
    enum status s = STATUS_OK;
    if (!pepper || !unhex(pepper, r->pepper, sizeof r->pepper))
        return fail(problem, NULL, "pepper", "expected 64 hexadecimal digits");
    if (!json_is_array(keys))
        return fail(problem, NULL, "keys", "expected an array");
    for (size_t i = 0; s == STATUS_OK && i < json_array_size(keys); i++) {
        struct json_at at = {.up = &list, .index = (int)i};
        json_t *object = json_array_get(keys, i);
        s = json_is_object(object)
                ? read_key(r, object, &at, problem)
                : json_fail(problem, STATUS_BAD_REQUEST, &at, "expected an object");
    }
    return s;
}

/* Reads the file whole; the caller frees. */
static char *slurp(const char *path, size_t *n, struct problem *problem)
{
    FILE *f = fopen(path, "re");
    struct stat st;
    char *bytes = NULL;
    if (!f || fstat(fileno(f), &st) != 0)
        problem_set(problem, STATUS_BAD_REQUEST, "", "cannot read %s: %s", path, strerror(errno));
    else if (st.st_mode & (S_IRWXG | S_IRWXO))
        problem_set(problem, STATUS_BAD_REQUEST, "",
                    "%s may be used by others than its owner: chmod 600 it", path);
    else if ((bytes = malloc(FILE_MOST)) == NULL)
        problem_set(problem, STATUS_UNAVAILABLE, "", "no memory to read %s", path);
    else
        *n = fread(bytes, 1, FILE_MOST, f);
    if (f)
        fclose(f);
    return bytes;
}

enum status keyring_load(const char *path, struct keyring **out, struct problem *problem)
{
    static const struct doc_bounds bounds = {FILE_MOST - 1, 4096, 64, KEYS_MAX};
    size_t n = 0;
    char *bytes = slurp(path, &n, problem);
    json_t *root = NULL;
    struct keyring *r = bytes ? keyring_new() : NULL;
    if (!bytes)
        return problem ? problem->code : STATUS_BAD_REQUEST;
    enum status s = r ? json_open(bytes, n, &bounds, &root, problem)
                      : problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for keys");
    free(bytes);
    if (s == STATUS_OK)
        s = read_keys(r, root, problem);
    json_decref(root);
    if (s == STATUS_OK)
        *out = r;
    else
        keyring_free(r);
    return s;
}

static void put_key(struct text *t, const struct key *key)
{
    struct key_doc d = {.key = *key};
    snprintf(d.role, sizeof d.role, "%s", role_names[key->role]);
    window_time_write(key->created_ms, d.created);
    if (key->expires_ms)
        window_time_write(key->expires_ms, d.expires);
    if (key->revoked_ms)
        window_time_write(key->revoked_ms, d.revoked);
    sodium_bin2hex(d.mac, sizeof d.mac, key->mac, sizeof key->mac);
    text_put(t, "{");
    fields_render(table, 0, &d, t);
    text_put(t, "}");
}

static bool write_whole(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0) {
            bytes += done;
            n -= (size_t)done;
        }
    }
    return fsync(fd) == 0;
}

static bool sync_directory(const char *path)
{
    char copy[4096];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* Beside the file, then in its place: whoever reads it finds the old one or the new one. */
static enum status replace(const char *path, const struct text *t, struct problem *problem)
{
    char beside[4096];
    int n = snprintf(beside, sizeof beside, "%s.XXXXXX", path);
    int fd = n < (int)sizeof beside ? mkstemp(beside) : -1; /* mode 0600 */
    bool ok = fd >= 0 && write_whole(fd, t->at, t->len);
    if (fd >= 0)
        close(fd);
    ok = ok && rename(beside, path) == 0 && sync_directory(path);
    if (ok)
        return STATUS_OK;
    int e = errno;
    if (fd >= 0)
        unlink(beside);
    return problem_set(problem, STATUS_UNAVAILABLE, "", "cannot write %s: %s", path, strerror(e));
}

enum status keyring_save(const struct keyring *r, const char *path, struct problem *problem)
{
    char *room = malloc(FILE_MOST), hex[2 * PEPPER_BYTES + 1];
    if (!room)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory to write %s", path);
    struct text t = text_over(room, FILE_MOST);
    text_printf(&t, "{\"v\":1,\"pepper\":\"%s\",\"keys\":[",
                sodium_bin2hex(hex, sizeof hex, r->pepper, sizeof r->pepper));
    for (int i = 0; i < r->n; i++) {
        text_put(&t, i ? ",\n" : "\n");
        put_key(&t, &r->key[i]);
    }
    text_put(&t, "\n]}\n");
    enum status s = replace(path, &t, problem);
    sodium_memzero(room, t.len);
    free(room);
    return s;
}
