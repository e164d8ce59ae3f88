/* SPDX-License-Identifier: MIT */
/*
 * purser log, check, verify, backup, restore: what works on files, with or without a running
 * service. The store is opened read-only, in short transactions, so a service is not disturbed.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core/encoding/text.h"
#include "core/event/event.h"
#include "store/db.h"
#include "store/maintain.h"
#include "transport/cli/cli.h"
#include "transport/server.h"

enum { LINE_CAP = 256 * 1024 };

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

struct log_print {
    uint64_t next;
    char line[LINE_CAP];
};

static bool print_event(void *ctx, const struct event *e)
{
    struct log_print *p = ctx;
    struct text t = text_over(p->line, sizeof p->line);
    event_describe(e, &t);
    p->next = e->seq + 1;
    return puts(p->line) >= 0 && !stopped;
}

static bool read_seq(struct cli *c, const char *name, uint64_t *out)
{
    double v = 0;
    bool present;
    if (!cli_number(c, name, &v, &present))
        return false;
    *out = present && v > 0 ? (uint64_t)v : 0;
    return true;
}

static int scan(struct cli *c, const char *dir, struct db *db, uint64_t from, uint64_t to,
                bool follow)
{
    struct problem p = {0};
    struct log_print *print = calloc(1, sizeof *print);
    enum status s = print ? STATUS_OK : STATUS_UNAVAILABLE;
    if (print)
        print->next = from ? from : 1;
    while (s == STATUS_OK) {
        s = db_scan(db, print->next, to, print_event, print, &p);
        fflush(stdout);
        if (!follow || stopped)
            break;
        nanosleep(&(struct timespec){0, 200000000}, NULL); /* the store has no bell to ring */
    }
    free(print);
    return s == STATUS_OK ? CLI_OK : cli_problem(c, dir, &p, CLI_REFUSED);
}

int cli_log(struct cli *c)
{
    const char *dir = cli_option(c, "--data");
    uint64_t from, to;
    bool follow = cli_flag(c, "--follow");
    struct problem p = {0};
    struct db *db;
    if (!read_seq(c, "--from", &from) || !read_seq(c, "--to", &to) || !cli_end(c))
        return CLI_USAGE;
    if (!dir)
        return cli_usage(c, "--data DIR is needed: the directory of the store");
    struct db_options o = {.read_only = true};
    if (db_open(dir, &o, &db, &p) != STATUS_OK)
        return cli_problem(c, dir, &p, CLI_REFUSED);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    int code = scan(c, dir, db, from, to, follow);
    db_close(db);
    return code;
}

int cli_check(struct cli *c)
{
    const char *path = cli_operand(c);
    if (!path)
        return cli_usage(c, "FILE is needed: a configuration");
    if (!cli_end(c))
        return CLI_USAGE;
    struct params *params = calloc(1, sizeof *params);
    struct settings settings;
    struct problem p = {0};
    uint64_t hash;
    enum status s = params ? server_load(path, params, &settings, &hash, &p) : STATUS_UNAVAILABLE;
    int n = params ? params->catalog.n : 0;
    free(params);
    if (s != STATUS_OK)
        return cli_problem(c, path, &p, CLI_CONFIG);
    if (c->json)
        printf("{\"ok\":true,\"models\":%d,\"hash\":\"%016" PRIx64 "\"}\n", n, hash);
    else
        printf("%s: ok, %d models\n", path, n);
    return CLI_OK;
}

static void progress(void *ctx, uint64_t done, uint64_t of)
{
    (void)ctx;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 "%s", done, of, done >= of ? "\n" : "");
}

static int show_report(const struct cli *c, const struct verify_report *r)
{
    char rollups[64] = "the log no longer reaches back to check the rollups";
    if (r->rollups >= 0)
        snprintf(rollups, sizeof rollups, "%" PRId64 " rollups added up again", r->rollups);
    if (c->json)
        printf("{\"seq\":%" PRIu64 ",\"from_seq\":%" PRIu64 ",\"records\":%" PRIu64
               ",\"rollups\":%" PRId64 ",\"digest\":\"%016" PRIx64 "\",\"ok\":%s}\n",
               r->seq, r->from_seq, r->records, r->rollups, r->digest, r->ok ? "true" : "false");
    else
        printf("%s: seq %" PRIu64 ", %" PRIu64 " records replayed from %" PRIu64
               ", digest %016" PRIx64 ", %s\n",
               r->ok ? "ok" : "DAMAGED", r->seq, r->records, r->from_seq, r->digest, rollups);
    return r->ok ? CLI_OK : CLI_DAMAGED;
}

int cli_verify(struct cli *c)
{
    const char *dir = cli_option(c, "--data");
    struct verify_report r = {0};
    struct problem p = {0};
    if (!dir)
        return cli_usage(c, "--data DIR is needed: the directory of the store");
    if (!cli_end(c))
        return CLI_USAGE;
    enum status s = store_verify(dir, progress, NULL, &r, &p);
    if (s == STATUS_OK)
        return show_report(c, &r);
    return cli_problem(c, dir, &p, s == STATUS_INTERNAL ? CLI_DAMAGED : CLI_REFUSED);
}

int cli_backup(struct cli *c)
{
    const char *dir = cli_option(c, "--data"), *to = cli_option(c, "--to");
    struct verify_report r = {0};
    struct problem p = {0};
    if (!dir || !to)
        return cli_usage(c, "--data DIR and --to NEW_DIR are needed");
    if (!cli_end(c))
        return CLI_USAGE;
    if (store_backup(dir, to, &r, &p) != STATUS_OK)
        return cli_problem(c, to, &p, CLI_REFUSED);
    return show_report(c, &r);
}

int cli_restore(struct cli *c)
{
    const char *from = cli_option(c, "--from"), *dir = cli_option(c, "--data");
    struct verify_report r = {0};
    struct problem p = {0};
    if (!dir || !from)
        return cli_usage(c, "--from BACKUP and --data DIR (without a store) are needed");
    if (!cli_end(c))
        return CLI_USAGE;
    if (store_restore(from, dir, &r, &p) != STATUS_OK)
        return cli_problem(c, dir, &p, CLI_REFUSED);
    return show_report(c, &r);
}
