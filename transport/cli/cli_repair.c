/* SPDX-License-Identifier: MIT */
/* purser repair: what is lost is told before anything is made, and made only if that is allowed. */
#include <inttypes.h>
#include <stdio.h>
#include "core/encoding/text.h"
#include "store/repair.h"
#include "transport/cli/cli.h"

static void show_json(const struct repair_report *r, bool made)
{
    char fault[800] = "";
    struct text t = text_over(fault, sizeof fault);
    text_json_string(&t, r->first_fault);
    printf("{\"made\":%s,\"faults\":%" PRIu64 ",\"first_fault\":%s,\"last_seq\":%" PRIu64
           ",\"lost_records\":%" PRIu64 ",\"lost_first\":%" PRIu64 ",\"cut_from\":%" PRIu64
           ",\"cut_decisions\":%" PRId64 ",\"cut_feedbacks\":%" PRId64 ",\"cut_others\":%" PRId64
           ",\"cut_usd\":%.9f,\"base_seq\":%" PRIu64 ",\"rebuilt\":%s,\"lost_books\":%" PRIu64
           ",\"lost_rollups\":%" PRIu64 ",\"seq\":%" PRIu64 ",\"digest\":\"%016" PRIx64 "\"}\n",
           made ? "true" : "false", r->faults, fault, r->last_seq, r->lost_records, r->lost_first,
           r->cut_from, r->cut_decisions, r->cut_feedbacks, r->cut_others,
           (double)r->cut_nano / 1e9, r->base_seq, r->rebuilt ? "true" : "false", r->lost_books,
           r->lost_rollups, r->verified.seq, r->verified.digest);
}

static void show_lost(const struct repair_report *r)
{
    if (r->faults > 0)
        printf("faults of its pages: %" PRIu64 ", the first: %s\n", r->faults, r->first_fault);
    printf("the log ends at record %" PRIu64 "; records that cannot be read: %" PRIu64, r->last_seq,
           r->lost_records);
    if (r->lost_records > 0)
        printf(", the first is %" PRIu64, r->lost_first);
    printf("\n");
    if (r->cut_from > 0)
        printf("cut off from record %" PRIu64 " on, because no snapshot covers it: %" PRId64
               " decisions (%.9f dollars expected), %" PRId64 " feedbacks, %" PRId64
               " others that can be read\n",
               r->cut_from, r->cut_decisions, (double)r->cut_nano / 1e9, r->cut_feedbacks,
               r->cut_others);
    else if (r->lost_records > 0)
        printf("nothing that was learned or spent depends on these: a snapshot covers them; they "
               "are gone from the log, and late feedback for them is refused\n");
}

static void show_made(const struct repair_report *r, const char *to)
{
    if (r->rebuilt)
        printf("%s: made again from the first record on, rollups too\n", to);
    else
        printf("%s: made from the snapshot at record %" PRIu64
               " and the log; taken over as they were: label books (%" PRIu64
               " cannot be read) and rollups (%" PRIu64 " cannot be read%s)\n",
               to, r->base_seq, r->lost_books, r->lost_rollups,
               r->cut_from > 0 ? "; they count what was cut off" : "");
    printf("%s: verified, seq %" PRIu64 ", digest %016" PRIx64 "\n", to, r->verified.seq,
           r->verified.digest);
}

int cli_repair(struct cli *c)
{
    const char *dir = cli_option(c, "--data"), *to = cli_option(c, "--to");
    bool drop = cli_flag(c, "--drop");
    struct repair_report r = {0};
    struct problem p = {0};
    if (!dir || !to)
        return cli_usage(c, "--data DIR and --to NEW_DIR are needed");
    if (!cli_end(c))
        return CLI_USAGE;
    enum status s = store_repair(dir, to, drop, &r, &p);
    bool looked = s == STATUS_OK || s == STATUS_CONFLICT;
    if (looked && c->json)
        show_json(&r, s == STATUS_OK);
    else if (looked)
        show_lost(&r);
    if (s == STATUS_OK && !c->json)
        show_made(&r, to);
    return s == STATUS_OK ? CLI_OK : cli_problem(c, dir, &p, CLI_REFUSED);
}
