/* SPDX-License-Identifier: MIT */
/*
 * Price lists and budgets of others. What is taken of a price list is within its bounds, and
 * whoever is not taken is told of; pools that come out have names and caps.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <unistd.h>
#include "transport/cli/cli_import_pools.h"

size_t fuzz_seed(int i, uint8_t *out, size_t cap)
{
    static const char *const texts[] = {
        "{\"vendor/plain\":{\"mode\":\"chat\",\"litellm_provider\":\"vendor\","
        "\"input_cost_per_token\":1.5e-07,\"output_cost_per_token\":6e-07,"
        "\"cache_read_input_token_cost\":7.5e-08,\"max_input_tokens\":128000,"
        "\"supports_vision\":true,\"input_cost_per_token_batches\":1e-8}}",
        "[{\"id\":\"north\",\"name\":\"North\",\"models\":[{\"id\":\"flat\",\"match\":{\"equals\":"
        "\"flat\"},\"context_window\":200000,\"prices\":{\"input_mtok\":0.15,\"output_mtok\":0.6}},"
        "{\"id\":\"t\",\"prices\":[{\"prices\":{\"input_mtok\":{\"base\":3,\"tiers\":[{\"start\":9,"
        "\"price\":6}]}}},{\"constraint\":{\"start_date\":\"2026-01-01\"},\"prices\":{\"input_"
        "mtok\""
        ":1,\"output_mtok\":2}}]}]}]",
        "{\"governance\":{\"budgets\":[{\"id\":\"b\",\"max_limit\":1000,\"reset_duration\":\"1M\","
        "\"calendar_aligned\":true}],\"teams\":[{\"id\":\"t\",\"name\":\"T\",\"budget_id\":\"b\"}],"
        "\"rate_limits\":[{\"id\":\"r\",\"token_max_limit\":5,\"token_reset_duration\":\"1h\"}]}}",
        "{\"teams\":[{\"team_id\":\"acme\",\"max_budget\":250,\"budget_duration\":\"1mo\","
        "\"soft_budget\":200}],\"users\":[{\"user_id\":\"u\",\"max_budget\":\"1.5\",\"teams\":["
        "\"acme\"]}],\"general_settings\":{},\"litellm_settings\":{\"max_budget\":1}}",
        NULL};
    return fuzz_text(texts, i, out, cap);
}

static const char *file(const uint8_t *bytes, size_t n)
{
    static char path[64];
    if (path[0] == '\0') {
        strcpy(path, "/dev/shm/purser-fuzz-XXXXXX");
        PROMISE(mkdtemp(path));
        strcat(path, "/list");
    }
    FILE *f = fopen(path, "wb");
    PROMISE(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
    return path;
}

static void prices(const char *path)
{
    struct import_report report;
    struct price_list l = {0};
    struct problem p = {0};
    PROMISE(import_report_init(&report));
    if (price_list_open(path, PRICES_AUTO, &l, &report, &p) == STATUS_OK) {
        for (int i = 0; i < l.n; i++) {
            struct price_row *row = &l.row[i];
            price_row_read(&l, row, "2026-06-01", false, &report);
            PROMISE(!row->usable || (row->in >= 0 && row->out >= 0 && row->context >= 0));
        }
        PROMISE(price_list_agree(&l, &report));
    } else {
        PROMISE(p.text[0] != '\0');
    }
    price_list_close(&l);
    import_report_free(&report);
}

static void pools(const char *path, void (*read)(struct import_pools *, const json_t *))
{
    struct import_file f;
    struct problem p = {0};
    if (import_open(path, &f, &p) != STATUS_OK) {
        PROMISE(p.text[0] != '\0');
        return;
    }
    struct import_pools all = {
        .pool = json_array(), .owner = json_object(), .above = json_object()};
    PROMISE(import_report_init(&all.report));
    read(&all, f.root);
    size_t i;
    const json_t *pool;
    json_array_foreach(all.pool, i, pool)
    {
        PROMISE(json_string_length(json_object_get(pool, "name")) > 0);
        PROMISE(json_object_get(pool, "usd") || json_object_get(pool, "tokens"));
    }
    import_report_free(&all.report);
    json_decref(all.pool);
    json_decref(all.owner);
    json_decref(all.above);
    import_close(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const char *path = file(bytes, n);
    prices(path);
    pools(path, import_litellm);
    pools(path, import_bifrost);
    return 0;
}
