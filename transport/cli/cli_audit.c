/* SPDX-License-Identifier: MIT */
/* purser audit: the audit of the service, or of a store's files, and whether it is whole. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "transport/audit.h"
#include "transport/cli/cli.h"
#include "transport/outbuf.h"

struct seen {
    json_int_t entries;
    char hash[AUDIT_HEX]; /* of the last */
};

/* Prints a page. Gives where to go on, 0 = no more; *code is CLI_DAMAGED where the chain breaks. */
static json_int_t show_page(struct cli *c, const json_t *page, const char *about, bool quiet,
                            struct seen *seen, int *code)
{
    size_t i;
    json_t *e;
    const json_t *broken = json_object_get(page, "broken");
    json_array_foreach(json_object_get(page, "entries"), i, e)
    {
        seen->entries = json_integer_value(json_object_get(e, "n"));
        snprintf(seen->hash, sizeof seen->hash, "%s", cli_text(e, "hash"));
        if (c->json && !quiet)
            cli_print_json(e);
        else if (!quiet)
            cli_show_entry(e, about ? about : "");
    }
    if (broken) {
        fprintf(stderr, "purser audit: %s\n", cli_text(broken, "text"));
        *code = CLI_DAMAGED;
    }
    return broken ? 0 : json_integer_value(json_object_get(page, "next"));
}

static json_t *page_of_store(struct cli *c, struct db *db, json_int_t from, const char *about,
                             int *code)
{
    struct outbuf o = {0};
    struct problem p = {0};
    enum status s = outbuf_reserve(&o, OUTBUF_ITEM) ? STATUS_OK : STATUS_UNAVAILABLE;
    if (s == STATUS_OK)
        text_put(&o.text, "{");
    if (s == STATUS_OK)
        s = audit_page(db, (uint64_t)from, AUDIT_PAGE, about, &o, &p);
    if (s == STATUS_OK)
        text_put(&o.text, "}");
    json_t *page = s == STATUS_OK ? json_loads(o.text.at, 0, NULL) : NULL;
    *code = page ? CLI_OK : cli_problem(c, "--data", &p, CLI_REFUSED);
    outbuf_fini(&o);
    return page;
}

static json_t *page_of_service(struct cli *c, json_int_t from, const char *about, int *code)
{
    json_t *m = json_pack("{s:i,s:s,s:I}", "v", 1, "op", "audit", "from", from);
    if (m && about)
        json_object_set_new(m, "about", json_string(about));
    return cli_call(c, PURSER_CLIENT_CONTROL, m, code);
}

static int show(struct cli *c, struct db *db, const char *about, bool verify)
{
    struct seen seen = {0};
    int code = CLI_OK;
    for (json_int_t from = 1; from > 0 && code == CLI_OK;) {
        json_t *page =
            db ? page_of_store(c, db, from, about, &code) : page_of_service(c, from, about, &code);
        if (!page)
            return code;
        from = show_page(c, page, about, verify, &seen, &code);
        json_decref(page);
    }
    if (code == CLI_OK && verify && c->json)
        printf("{\"ok\":true,\"entries\":%" JSON_INTEGER_FORMAT ",\"hash\":\"%s\"}\n", seen.entries,
               seen.hash);
    else if (code == CLI_OK && verify)
        printf("ok: %" JSON_INTEGER_FORMAT " entries, each follows from the one before; the last "
               "has hash %s\n",
               seen.entries, seen.entries ? seen.hash : "-");
    return code;
}

int cli_audit(struct cli *c)
{
    const char *dir = cli_option(c, "--data");
    bool verify = cli_flag(c, "--verify");
    struct problem p = {0};
    struct db *db = NULL;
    int code = dir ? CLI_OK : cli_connect(c);
    if (code != CLI_OK)
        return code;
    const char *about = cli_operand(c);
    if (!cli_end(c))
        return CLI_USAGE;
    if (verify && about)
        return cli_usage(c, "--verify is of the whole audit");
    if (dir && db_open(dir, &(struct db_options){.read_only = true}, &db, &p) != STATUS_OK)
        return cli_problem(c, dir, &p, CLI_REFUSED);
    code = show(c, db, about, verify);
    db_close(db);
    return code;
}
