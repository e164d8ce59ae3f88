/* SPDX-License-Identifier: MIT */
/*
 * purser export: the rollups for other programs. Rows of hours (days, once they are folded) with
 * all dimensions, asked for a day at a time; money is written from integers with all nine places,
 * so that the sum of a file is the counters' to the nanodollar.
 *   focus  CSV by the columns of the FinOps Open Cost and Usage Specification 1.2; x_ are our own.
 *          There are no discounts here, so its four costs are one.
 *   otel   JSON lines with the attribute names of OpenTelemetry's conventions for generative AI.
 *   csv    what the rollups hold, field by field.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/meter/meter.h"
#include "store/whole.h"
#include "transport/cli/cli_spend.h"

enum { DAY_MS = 24 * HOUR_MS };

struct export
{
    struct cli *c;
    struct spend_query q;
    FILE *out;
    const char *account, *provider;
    void (*row)(struct export * x, const json_t *row);
    int64_t folded_ms; /* rows before are of days */
    int64_t rows, nano;
};

static int64_t end_of(const struct export *x, const json_t *row)
{
    int64_t from = spend_int(row, "bucket_ms");
    bool day = from < x->folded_ms && from % DAY_MS == 0 && from + DAY_MS <= x->folded_ms;
    return from + (day ? DAY_MS : HOUR_MS);
}

/* The month that a time is in, or the one after. */
static int64_t month_of(int64_t ms, int later)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    struct tm month = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + later, .tm_mday = 1};
    return (int64_t)timegm(&month) * 1000;
}

/* ---- formats ---- */

static const char focus_head[] =
    "BilledCost,EffectiveCost,ListCost,ContractedCost,BillingAccountId,BillingAccountName,"
    "BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,"
    "ChargeCategory,ChargeClass,ChargeDescription,ChargeFrequency,InvoiceIssuerName,"
    "PricingCategory,PricingQuantity,PricingUnit,ProviderName,PublisherName,ServiceCategory,"
    "ServiceSubcategory,"
    "ServiceName,SkuId,SubAccountId,SubAccountName,ConsumedQuantity,ConsumedUnit,x_Requests,"
    "x_Attempts,x_BaselineCost,x_InputTokens,x_CachedInputTokens,x_OutputTokens,x_ReasoningTokens,"
    "x_User,x_Task,x_Domain,x_Group,x_Cluster,x_Complexity,x_QualitySum,x_QualityCount,x_ValueSum,"
    "x_Failures\n";

static void focus_row(struct export *x, const json_t *row)
{
    FILE *f = x->out;
    int64_t from = spend_int(row, "bucket_ms"), cost = spend_int(row, "cost_nano"),
            tokens = spend_int(row, "input_tokens") + spend_int(row, "output_tokens");
    const char *model = *cli_text(row, "model") ? cli_text(row, "model") : "none";
    for (int i = 0; i < 4; i++) {
        spend_usd(f, cost);
        fputc(',', f);
    }
    fprintf(f, "%s,%s,USD,", x->account, x->account);
    const int64_t times[] = {month_of(from, 0), month_of(from, 1), from, end_of(x, row)};
    for (int i = 0; i < 4; i++) {
        spend_time(f, times[i]);
        fputc(',', f);
    }
    fprintf(f,
            "Usage,,%" PRId64 " requests to %s,Usage-Based,%s,Standard,%" PRId64 ",Tokens,%s,%s,",
            spend_int(row, "requests"), model, x->provider, tokens, x->provider, x->provider);
    fprintf(f,
            "AI and Machine Learning,Generative AI,%s,%s,%s,%s,%" PRId64 ",Tokens,%" PRId64
            ",%" PRId64 ",",
            model, model, cli_text(row, "tenant"), cli_text(row, "tenant"), tokens,
            spend_int(row, "requests"), spend_int(row, "attempts"));
    spend_usd(f, spend_int(row, "baseline_nano"));
    fprintf(f, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%s,%s,%s,%s,%s,%s,",
            spend_int(row, "input_tokens"), spend_int(row, "cached_tokens"),
            spend_int(row, "output_tokens"), spend_int(row, "reasoning_tokens"),
            cli_text(row, "user"), cli_text(row, "task"), cli_text(row, "domain"),
            cli_text(row, "group"), cli_text(row, "cluster"), cli_text(row, "complexity"));
    spend_usd(f, spend_int(row, "quality_e9"));
    fprintf(f, ",%" PRId64 ",", spend_int(row, "labels"));
    spend_usd(f, spend_int(row, "value_e6") * 1000);
    fprintf(f, ",%" PRId64 "\n", spend_int(row, "failures"));
}

static void csv_head(FILE *f)
{
    fputs("from,to", f);
    for (int i = 0; i < SPEND_DIMENSIONS; i++)
        fprintf(f, ",%s", spend_dimension[i]);
    for (int i = 0; i < METER_FIELDS; i++)
        fprintf(f, ",%s", meter_field_name(i));
    fputc('\n', f);
}

static void csv_row(struct export *x, const json_t *row)
{
    spend_time(x->out, spend_int(row, "bucket_ms"));
    fputc(',', x->out);
    spend_time(x->out, end_of(x, row));
    for (int i = 0; i < SPEND_DIMENSIONS; i++)
        fprintf(x->out, ",%s", cli_text(row, spend_dimension[i]));
    for (int i = 0; i < METER_FIELDS; i++)
        fprintf(x->out, ",%" PRId64, spend_int(row, meter_field_name(i)));
    fputc('\n', x->out);
}

/* An attribute of the conventions that is left out when it is zero. */
static void otel_count(FILE *f, const char *name, int64_t n)
{
    if (n > 0)
        fprintf(f, ",\"gen_ai.usage.%s\":%" PRId64, name, n);
}

/* Whether a field of the meters has a name in the conventions. */
static bool otel_has(int field)
{
    return field == METER_TOKENS_IN || field == METER_TOKENS_OUT || field == METER_TOKENS_CACHED ||
           field == METER_TOKENS_REASON;
}

static void otel_row(struct export *x, const json_t *row)
{
    FILE *f = x->out;
    fputs("{\"start_time\":\"", f);
    spend_time(f, spend_int(row, "bucket_ms"));
    fputs("\",\"end_time\":\"", f);
    spend_time(f, end_of(x, row));
    fprintf(f,
            "\",\"attributes\":{\"gen_ai.operation.name\":\"chat\",\"gen_ai.provider.name\":\"%s\"",
            x->provider);
    /* names need no escapes: [A-Za-z0-9._:/@-] */
    if (*cli_text(row, "model"))
        fprintf(f, ",\"gen_ai.request.model\":\"%s\"", cli_text(row, "model"));
    fprintf(f, ",\"gen_ai.usage.input_tokens\":%" PRId64 ",\"gen_ai.usage.output_tokens\":%" PRId64,
            spend_int(row, "input_tokens"), spend_int(row, "output_tokens"));
    otel_count(f, "cache_read.input_tokens", spend_int(row, "cached_tokens"));
    otel_count(f, "reasoning.output_tokens", spend_int(row, "reasoning_tokens"));
    for (int i = 0; i < SPEND_DIMENSIONS; i++)
        if (strcmp(spend_dimension[i], "model") != 0)
            fprintf(f, ",\"purser.%s\":\"%s\"", spend_dimension[i],
                    cli_text(row, spend_dimension[i]));
    for (int i = 0; i < METER_FIELDS; i++)
        if (!otel_has(i))
            fprintf(f, ",\"purser.%s\":%" PRId64, meter_field_name(i),
                    spend_int(row, meter_field_name(i)));
    fputs("}}\n", f);
}

/* ---- */

static int write_rows(struct export *x, const json_t *reply)
{
    size_t i;
    json_t *row;
    x->folded_ms = spend_int(reply, "hours_from_ms");
    json_array_foreach(json_object_get(reply, "rows"), i, row)
    {
        x->row(x, row);
        x->rows++;
        x->nano += spend_int(row, "cost_nano");
    }
    return CLI_OK;
}

static int ask(struct export *x, int64_t from, int64_t to)
{
    int code;
    json_t *reply = cli_call(x->c, PURSER_CLIENT_CONTROL, spend_message(&x->q, from, to), &code);
    if (reply)
        code = write_rows(x, reply);
    json_decref(reply);
    return code;
}

/* The hour of the first row there is, so that nobody asks for empty decades. */
static int first_time(struct export *x, int64_t *out)
{
    int code;
    struct spend_query q = {.from_ms = -1, .to_ms = -1, .bucket = "day"};
    q.by = json_array();
    q.where = json_object();
    json_t *reply = cli_call(x->c, PURSER_CLIENT_CONTROL, spend_message(&q, -1, -1), &code);
    const json_t *first = json_array_get(json_object_get(reply, "rows"), 0);
    *out = first ? spend_int(first, "bucket_ms") : spend_now_ms();
    json_decref(reply);
    spend_query_fini(&q);
    return code;
}

static int write_all(struct export *x)
{
    int64_t first = 0, to = x->q.to_ms >= 0 ? x->q.to_ms : spend_now_ms() + HOUR_MS;
    int code = first_time(x, &first);
    if (x->q.from_ms > first)
        first = x->q.from_ms;
    for (int64_t at = first; code == CLI_OK && at < to;) {
        int64_t end = at - at % DAY_MS + DAY_MS;
        code = ask(x, at, end < to ? end : to);
        at = end;
    }
    return code;
}

static bool set_format(struct export *x, const char *format)
{
    if (!format || strcmp(format, "focus") == 0)
        x->row = focus_row;
    else if (strcmp(format, "csv") == 0)
        x->row = csv_row;
    else if (strcmp(format, "otel") == 0)
        x->row = otel_row;
    return x->row != NULL;
}

static int write_file(struct export *x, const char *path)
{
    bool to_stdout = strcmp(path, "-") == 0;
    struct whole file = {.f = NULL};
    struct problem problem = {0};
    if (!to_stdout && whole_begin(&file, path, &problem) != STATUS_OK) {
        fprintf(stderr, "purser export: %s\n", problem.text);
        return CLI_REFUSED;
    }
    x->out = to_stdout ? stdout : file.f;
    if (x->row == focus_row)
        fputs(focus_head, x->out);
    else if (x->row == csv_row)
        csv_head(x->out);
    int code = write_all(x);
    enum status s = code == CLI_OK ? STATUS_OK : STATUS_UNAVAILABLE; /* told already */
    if (whole_end(&file, s, &problem) == s)
        return code;
    fprintf(stderr, "purser export: %s\n", problem.text);
    return CLI_REFUSED;
}

static void tell(const struct export *x, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stderr : stdout;
    if (x->c->json) {
        fprintf(f, "{\"rows\":%" PRId64 ",\"cost_nano\":%" PRId64 "}\n", x->rows, x->nano);
        return;
    }
    fprintf(f, "%s: %" PRId64 " rows, $", path, x->rows);
    spend_usd(f, x->nano);
    fputc('\n', f);
}

int cli_export(struct cli *c)
{
    struct export x = {.c = c};
    const char *format = cli_option(c, "--format"), *out = cli_option(c, "--out");
    x.account = cli_option(c, "--account");
    x.provider = cli_option(c, "--provider");
    x.account = x.account ? x.account : "purser";
    x.provider = x.provider ? x.provider : "purser";
    int code = CLI_USAGE;
    bool ok = spend_query_read(c, &x.q);
    if (ok && !set_format(&x, format))
        code = cli_usage(c, "--format is focus, otel or csv");
    else if (ok && strpbrk(x.account, ",\"\n\\") != NULL)
        code = cli_usage(c, "--account must be without commas, quotes and backslashes");
    else if (ok && strpbrk(x.provider, ",\"\n\\") != NULL)
        code = cli_usage(c, "--provider must be without commas, quotes and backslashes");
    else if (ok && cli_end(c)) {
        for (int i = 0; i < SPEND_DIMENSIONS; i++)
            json_array_append_new(x.q.by, json_string(spend_dimension[i]));
        x.q.bucket = "hour";
        code = write_file(&x, out ? out : "-");
        if (code == CLI_OK)
            tell(&x, out ? out : "-");
    }
    spend_query_fini(&x.q);
    return code;
}
