/* SPDX-License-Identifier: MIT */
/*
 * purser keys: the file of keys, which a running service reads again within a second or two. Works
 * on the file alone, so the first key needs no service. Two commands at once: the file is locked
 * while it is read and replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include "core/budget/window.h"
#include "core/encoding/json.h"
#include "transport/cli/cli.h"
#include "transport/keyring.h"

static int64_t unix_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Locks a file beside the keys (they are replaced, so a lock on them would not hold). -1: told. */
static int lock_beside(const struct cli *c, const char *path)
{
    char beside[4096];
    int n = snprintf(beside, sizeof beside, "%s.lock", path);
    int fd = n < (int)sizeof beside ? open(beside, O_CREAT | O_RDWR | O_CLOEXEC, 0600) : -1;
    if (fd >= 0 && flock(fd, LOCK_EX) == 0)
        return fd;
    fprintf(stderr, "purser %s: cannot lock %s: %s\n", c->command, beside, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static enum status load_or_new(const char *path, struct keyring **out, struct problem *p)
{
    if (access(path, F_OK) == 0)
        return keyring_load(path, out, p);
    *out = keyring_new();
    return *out ? STATUS_OK : problem_set(p, STATUS_UNAVAILABLE, "", "no memory for keys");
}

/* Reads, lets change do its work, and writes. */
static int edit(struct cli *c, const char *path, bool create,
                enum status (*change)(struct keyring *r, void *ctx, struct problem *p), void *ctx)
{
    struct problem p = {0};
    struct keyring *ring = NULL;
    int lock = lock_beside(c, path);
    if (lock < 0)
        return CLI_REFUSED;
    enum status s = create ? load_or_new(path, &ring, &p) : keyring_load(path, &ring, &p);
    if (s == STATUS_OK)
        s = change(ring, ctx, &p);
    if (s == STATUS_OK)
        s = keyring_save(ring, path, &p);
    keyring_free(ring);
    close(lock);
    return s == STATUS_OK ? CLI_OK : cli_problem(c, path, &p, CLI_REFUSED);
}

struct creation {
    struct key like;
    char presented[KEY_TEXT_CAP];
};

static enum status create_key(struct keyring *r, void *ctx, struct problem *p)
{
    struct creation *n = ctx;
    return keyring_make(r, &n->like, n->presented, p);
}

static bool read_name(struct cli *c, const char *option, char out[NAME_CAP])
{
    const char *s = cli_option(c, option);
    if (!s)
        return true;
    snprintf(out, NAME_CAP, "%s", s);
    if (json_name_ok(s))
        return true;
    fprintf(stderr, "purser keys: %s takes 1 to %d of letters, digits and ._:/@-\n", option,
            NAME_LEN);
    return false;
}

static bool read_role(const char *s, enum role *out)
{
    for (int i = 0; s && i < ROLES; i++)
        if (strcmp(s, role_names[i]) == 0) {
            *out = (enum role)i;
            return true;
        }
    return false;
}

static int keys_create(struct cli *c, const char *path)
{
    struct creation n = {.like.created_ms = unix_ms()};
    double days = 0, rate = 0, connections = 0;
    bool expires = false, limited = false, capped = false;
    if (!read_role(cli_option(c, "--role"), &n.like.role))
        return cli_usage(c, "--role is needed: app, reader or operator");
    if (!read_name(c, "--tenant", n.like.tenant) || !read_name(c, "--note", n.like.note) ||
        !cli_number(c, "--expires-days", &days, &expires) ||
        !cli_number(c, "--rate", &rate, &limited) ||
        !cli_number(c, "--connections", &connections, &capped) || !cli_end(c))
        return CLI_USAGE;
    if (n.like.role != ROLE_APP && n.like.tenant[0])
        return cli_usage(c, "--tenant goes with --role app: readers and operators see all tenants");
    if ((expires && !(days > 0 && days <= 36500)) || (limited && !(rate > 0 && rate <= 1e9)))
        return cli_usage(c, "--expires-days and --rate are numbers above 0");
    if (capped && !(connections >= 1 && connections <= KEY_CONNECTIONS_MOST &&
                    connections == floor(connections)))
        return cli_usage(c, "--connections is a whole number from 1 to 1000000");
    n.like.rate = rate;
    n.like.connections = (int64_t)connections;
    n.like.expires_ms = expires ? n.like.created_ms + (int64_t)(days * 86400e3) : 0;
    int code = edit(c, path, true, create_key, &n);
    if (code == CLI_OK && c->json)
        printf("{\"v\":1,\"key\":\"%s\"}\n", n.presented);
    else if (code == CLI_OK) {
        printf("%s\n", n.presented);
        fprintf(stderr,
                "This is the only time that it is shown: keep it where secrets are kept.\n"
                "Apps send it as \"key\" of each message, purser takes it from PURSER_KEY.\n");
    }
    return code;
}

static enum status revoke_key(struct keyring *r, void *ctx, struct problem *p)
{
    const char *id = ctx;
    return keyring_revoke(r, id, unix_ms())
               ? STATUS_OK
               : problem_set(p, STATUS_BAD_REQUEST, "", "there is no key %.80s", id);
}

static int keys_revoke(struct cli *c, const char *path)
{
    char id[NAME_CAP];
    const char *s = cli_operand(c);
    if (!s || !cli_end(c))
        return cli_usage(c, "which key? its ID is the part before the dot; keys list shows them");
    snprintf(id, sizeof id, "%.*s", (int)strcspn(s, "."), s); /* the whole key will do */
    int code = edit(c, path, false, revoke_key, id);
    if (code == CLI_OK)
        printf(c->json ? "{\"v\":1,\"revoked\":\"%s\"}\n" : "revoked %s\n", id);
    return code;
}

static const char *when(int64_t ms, char out[WINDOW_TIME_CAP])
{
    if (ms == 0)
        return "-";
    window_time_write(ms, out);
    return out;
}

static int keys_list(struct cli *c, const char *path)
{
    struct problem p = {0};
    struct keyring *ring = NULL;
    char created[WINDOW_TIME_CAP], expires[WINDOW_TIME_CAP], revoked[WINDOW_TIME_CAP];
    if (!cli_end(c))
        return CLI_USAGE;
    if (keyring_load(path, &ring, &p) != STATUS_OK)
        return cli_problem(c, path, &p, CLI_REFUSED);
    printf(c->json ? "{\"v\":1,\"keys\":["
                   : "id                          role      tenant            rate  conns  created "
                     "             "
                     "  expires                revoked                note\n");
    for (int i = 0; i < keyring_count(ring); i++) {
        const struct key *k = keyring_at(ring, i);
        if (c->json)
            printf("%s{\"id\":\"%s\",\"role\":\"%s\",\"tenant\":\"%s\",\"rate\":%g,\"connections\":"
                   "%lld,\"created\":\"%s\","
                   "\"expires\":\"%s\",\"revoked\":\"%s\",\"note\":\"%s\"}",
                   i ? "," : "", k->id, role_names[k->role], k->tenant, k->rate,
                   (long long)k->connections, when(k->created_ms, created),
                   when(k->expires_ms, expires), when(k->revoked_ms, revoked), k->note);
        else
            printf("%-27s %-9s %-16s %5g %6lld  %-22s %-22s %-22s %s\n", k->id, role_names[k->role],
                   k->tenant[0] ? k->tenant : "any", k->rate, (long long)k->connections,
                   when(k->created_ms, created), when(k->expires_ms, expires),
                   when(k->revoked_ms, revoked), k->note);
    }
    printf(c->json ? "]}\n" : "");
    keyring_free(ring);
    return CLI_OK;
}

int cli_keys(struct cli *c)
{
    const char *path = cli_option(c, "--file"), *what = cli_operand(c);
    if (!path)
        return cli_usage(c, "--file is needed: the configuration's /keys/file");
    if (!what || strcmp(what, "list") == 0)
        return keys_list(c, path);
    if (strcmp(what, "create") == 0)
        return keys_create(c, path);
    if (strcmp(what, "revoke") == 0)
        return keys_revoke(c, path);
    return cli_usage(c, "create, list or revoke");
}
