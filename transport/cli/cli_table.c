/* SPDX-License-Identifier: MIT */
/*
 * A row of a full-information table, as `purser play` needs it: what is said with the request, and
 * what the chosen model did. The simulator has a reader of its own that checks everything; this one
 * looks only at what it sends, since the service checks that.
 */
#include "transport/cli/cli_table.h"

#include <string.h>
#include "core/encoding/json.h"
#include "transport/cli/cli.h"

/* A row's value for model m: lists have one per model, a number stands for all. */
static const json_t *cell(const json_t *row, const char *key, size_t m)
{
    const json_t *v = json_object_get(row, key);
    return json_is_array(v) ? json_array_get(v, m) : v;
}

int64_t cli_table_tokens(const json_t *row, size_t models)
{
    double sum = 0;
    for (size_t m = 0; m < models; m++)
        sum += json_number_value(cell(row, "in", m));
    return (int64_t)(sum / (double)models + 0.5);
}

int cli_table_model(const json_t *models, const char *chosen)
{
    for (size_t m = 0; m < json_array_size(models); m++) {
        char name[NAME_CAP];
        cli_identifier(name, cli_text(json_array_get(models, m), "name"));
        if (strcmp(name, chosen) == 0)
            return (int)m;
    }
    return -1;
}

struct purser_client_report cli_table_report(const json_t *row, size_t m)
{
    struct purser_client_report r = {.has = PURSER_CLIENT_COST};
    const json_t *out = cell(row, "out", m), *lat = cell(row, "lat", m);
    r.cost_usd = json_number_value(cell(row, "cost", m));
    if (json_is_number(out)) {
        r.has |= PURSER_CLIENT_PROMPT_TOKENS | PURSER_CLIENT_OUTPUT_TOKENS;
        r.prompt_tokens = (int64_t)json_number_value(cell(row, "in", m));
        r.output_tokens = (int64_t)json_number_value(out);
    }
    if (json_is_number(lat)) {
        r.has |= PURSER_CLIENT_LATENCY;
        r.latency_ms = json_number_value(lat) * 1000;
    }
    return r;
}

double cli_table_quality(const json_t *row, size_t m)
{
    return json_number_value(cell(row, "q", m));
}
