/* SPDX-License-Identifier: MIT */
/*
 * purser spend: what was spent, and what for. The service adds up (control_spend.c); this asks,
 * prints a table, and says what an invoice may not agree with: costs reported that differ from what
 * the tokens cost at our prices, models without prices. Integers stay integers as far as the page:
 * a sum of the printed rows is the printed total.
 */
#include "transport/cli/cli_spend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/moment.h"

const char *const spend_dimension[SPEND_DIMENSIONS] = {"tenant", "user",  "model",   "task",
                                                       "domain", "group", "cluster", "complexity"};
static const double drift_told = 0.1; /* share from which a row's drift is flagged */
enum { DRIFT_ENOUGH = 30 };           /* requests with a cost that it takes */

int64_t spend_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t spend_int(const json_t *row, const char *name)
{
    return json_integer_value(json_object_get(row, name));
}

void spend_usd(FILE *f, int64_t nano)
{
    uint64_t n = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano;
    fprintf(f, "%s%" PRIu64 ".%09" PRIu64, nano < 0 ? "-" : "", n / 1000000000, n % 1000000000);
}

void spend_time(FILE *f, int64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char text[32];
    gmtime_r(&s, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    fputs(text, f);
}

/* ---- the question ---- */

/* 7d, 24h, 30m ago, or a moment. */
static bool read_time(struct cli *c, const char *option, int64_t *out)
{
    const char *s = cli_option(c, option);
    char *end;
    struct moment at;
    if (!s)
        return true;
    double n = strtod(s, &end);
    double unit = *end == 'd' ? 86400e3 : *end == 'h' ? 3600e3 : *end == 'm' ? 60e3 : 0;
    if (end != s && unit > 0 && end[1] == '\0' && n >= 0 && n * unit < 1e14) {
        *out = spend_now_ms() - (int64_t)(n * unit);
        *out = *out < 0 ? 0 : *out;
        return true;
    }
    if (moment_parse(s, &at) && at.seq == 0) {
        *out = at.time_ms;
        return true;
    }
    char text[160];
    snprintf(text, sizeof text,
             "%s takes 7d, 24h, 30m (ago) or a time as 2026-11-24T16:05:07 (UTC)", option);
    cli_usage(c, text);
    return false;
}

static bool read_where(struct cli *c, struct spend_query *q)
{
    const char *pair;
    while ((pair = cli_option(c, "--where")) != NULL) {
        const char *equals = strchr(pair, '=');
        char name[16];
        if (!equals || (size_t)(equals - pair) >= sizeof name) {
            cli_usage(c, "--where takes NAME=VALUE, such as task=faq; task= is requests without");
            return false;
        }
        snprintf(name, sizeof name, "%.*s", (int)(equals - pair), pair);
        json_object_set_new(q->where, name, json_string(equals + 1));
    }
    return true;
}

bool spend_query_read(struct cli *c, struct spend_query *q)
{
    q->from_ms = q->to_ms = -1;
    q->where = json_object();
    q->by = json_array();
    return read_time(c, "--since", &q->from_ms) && read_time(c, "--until", &q->to_ms) &&
           read_where(c, q);
}

void spend_query_fini(struct spend_query *q)
{
    json_decref(q->by);
    json_decref(q->where);
}

json_t *spend_message(const struct spend_query *q, int64_t from_ms, int64_t to_ms)
{
    json_t *m = json_pack("{s:i,s:s,s:O,s:s,s:O}", "v", 1, "op", "spend.get", "by", q->by, "bucket",
                          q->bucket, "where", q->where);
    if (from_ms >= 0)
        json_object_set_new(m, "from", json_integer(from_ms));
    if (to_ms >= 0)
        json_object_set_new(m, "to", json_integer(to_ms));
    return m;
}

static bool read_by(struct cli *c, struct spend_query *q)
{
    const char *by = cli_option(c, "--by");
    for (const char *s = by ? by : "model"; *s; s += *s == ',') {
        size_t n = strcspn(s, ",");
        json_array_append_new(q->by, json_stringn(s, n));
        s += n;
    }
    q->bucket = cli_option(c, "--bucket");
    q->bucket = q->bucket ? q->bucket : "all";
    return true;
}

/* ---- the table ---- */

static void dimension_text(const json_t *row, const char *name, char *out, size_t cap)
{
    const char *s = cli_text(row, name);
    snprintf(out, cap, "%s", *s == '\0' ? "-" : strcmp(s, "*") == 0 ? "(other)" : s);
}

static bool drifts(const json_t *row, double *ratio)
{
    double reported = (double)spend_int(row, "reported_nano"),
           computed = (double)spend_int(row, "computed_nano");
    *ratio = computed > 0 ? reported / computed : reported > 0 ? (double)INFINITY : 1;
    return spend_int(row, "settled") >= DRIFT_ENOUGH &&
           (*ratio > 1 + drift_told || *ratio * (1 + drift_told) < 1);
}

static void show_figures(const json_t *row)
{
    int64_t requests = spend_int(row, "requests"), cost = spend_int(row, "cost_nano"),
            baseline = spend_int(row, "baseline_nano"), labels = spend_int(row, "labels"),
            timed = spend_int(row, "latency_labels");
    char text[64];
    snprintf(text, sizeof text, "%" PRId64 ".%09" PRId64, cost / 1000000000,
             (cost < 0 ? -cost : cost) % 1000000000);
    printf("%9" PRId64 " %9" PRId64 " %16s", requests, spend_int(row, "attempts"), text);
    snprintf(text, sizeof text, "%.1f%%",
             baseline > 0 ? 100 * (1 - (double)cost / (double)baseline) : 0);
    printf(" %8s", baseline > 0 ? text : "-");
    snprintf(text, sizeof text, "%.7f", requests > 0 ? (double)cost * 1e-9 / (double)requests : 0);
    printf(" %11s", requests > 0 ? text : "-");
    printf(" %11" PRId64 " %11" PRId64, spend_int(row, "input_tokens"),
           spend_int(row, "output_tokens"));
    snprintf(text, sizeof text, "%.3f (%" PRId64 ")",
             labels > 0 ? (double)spend_int(row, "quality_e9") * 1e-9 / (double)labels : 0, labels);
    printf(" %16s", labels > 0 ? text : "-");
    const json_t *value = json_object_get(row, "value_per_usd");
    snprintf(text, sizeof text, "%.6g", json_number_value(value));
    printf(" %10s", json_is_number(value) ? text : "-");
    snprintf(text, sizeof text, "%.0f",
             timed > 0 ? (double)spend_int(row, "latency_us") * 1e-3 / (double)timed : 0);
    printf(" %8s %7" PRId64 " %7" PRId64, timed > 0 ? text : "-", spend_int(row, "failures"),
           spend_int(row, "refused"));
}

static void show_flags(const json_t *row)
{
    double ratio;
    int64_t unpriced = spend_int(row, "unpriced");
    if (drifts(row, &ratio))
        printf("  REPORTED %.2f x COMPUTED", ratio);
    if (unpriced > 0)
        printf("  UNPRICED %" PRId64, unpriced);
    putchar('\n');
}

static void show_head(const struct spend_query *q)
{
    size_t i;
    json_t *by;
    if (strcmp(q->bucket, "all") != 0)
        printf("%-20s ", "from");
    json_array_foreach(q->by, i, by) printf("%-16.16s ", json_string_value(by));
    printf("%9s %9s %16s %8s %11s %11s %11s %16s %10s %8s %7s %7s\n", "requests", "attempts",
           "cost_usd", "saved", "usd/request", "tokens_in", "tokens_out", "quality (n)",
           "value/usd", "ms", "failed", "refused");
}

static void show_row(const struct spend_query *q, const json_t *row, const char *total)
{
    size_t i;
    json_t *by;
    char text[NAME_CAP];
    if (strcmp(q->bucket, "all") != 0) {
        if (total)
            printf("%-20s", "");
        else
            spend_time(stdout, spend_int(row, "bucket_ms"));
        putchar(' ');
    }
    json_array_foreach(q->by, i, by)
    {
        dimension_text(row, json_string_value(by), text, sizeof text);
        printf("%-16.40s ", !total ? text : i == 0 ? total : "");
    }
    show_figures(row);
    show_flags(row);
}

/* One line of comma-separated values per row; CSV of everything is purser export. */
static void print_csv(const struct spend_query *q, const json_t *reply)
{
    size_t i, k;
    json_t *row, *v;
    const char *name, *separator = "";
    const json_t *rows = json_object_get(reply, "rows");
    json_t *head = json_array_get(rows, 0);
    (void)q;
    json_object_foreach(head, name, v)
    {
        printf("%s%s", separator, name);
        separator = ",";
    }
    printf("%s", head ? "\n" : "");
    json_array_foreach(rows, i, row)
    {
        k = 0;
        json_object_foreach(row, name, v)
        {
            printf("%s", k++ ? "," : "");
            if (json_is_string(v))
                printf("%s", json_string_value(v));
            else if (json_is_real(v))
                printf("%.9g", json_real_value(v));
            else if (!json_is_null(v))
                printf("%lld", (long long)json_integer_value(v));
        }
        putchar('\n');
    }
}

static void print_table(const struct spend_query *q, const json_t *reply)
{
    size_t i;
    json_t *row;
    show_head(q);
    json_array_foreach(json_object_get(reply, "rows"), i, row) show_row(q, row, NULL);
    if (json_array_size(q->by) > 0 || strcmp(q->bucket, "all") != 0)
        show_row(q, json_object_get(reply, "total"), "total");
    const json_t *savings = json_object_get(reply, "savings");
    if (!json_is_number(json_object_get(savings, "share")))
        return;
    printf("saved %.1f%% against always %s", 100 * cli_real(savings, "share"),
           cli_text(savings, "baseline"));
    if (json_is_number(json_object_get(savings, "low")))
        printf(", %.1f%% to %.1f%% by its bills", 100 * cli_real(savings, "low"),
               100 * cli_real(savings, "high"));
    else
        printf("; too few of its bills for an interval");
    putchar('\n');
    if (spend_int(reply, "since") > 1)
        printf("metered since record %" PRId64 ", records before are not in it\n",
               spend_int(reply, "since"));
}

int cli_spend(struct cli *c)
{
    struct spend_query q;
    int code = CLI_USAGE;
    bool csv = cli_flag(c, "--csv");
    bool ok = spend_query_read(c, &q) && read_by(c, &q) && cli_end(c);
    json_t *reply =
        ok ? cli_call(c, PURSER_CLIENT_CONTROL, spend_message(&q, q.from_ms, q.to_ms), &code)
           : NULL;
    if (reply && c->json)
        cli_print_json(reply);
    else if (reply && csv)
        print_csv(&q, reply);
    else if (reply)
        print_table(&q, reply);
    json_decref(reply);
    spend_query_fini(&q);
    return code;
}
