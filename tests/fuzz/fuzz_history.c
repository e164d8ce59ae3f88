/* SPDX-License-Identifier: MIT */
/* Lines of history for purser train: a row of at least one outcome, or words. */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include "transport/history.h"

size_t fuzz_seed(int i, uint8_t *out, size_t cap)
{
    static const char *const texts[] = {
        "{\"prompt\":\"p\",\"task\":\"t\",\"in\":10,\"q\":[0.5,1],\"cost\":[0.1,0.2],\"out\":[1,2],"
        "\"lat\":[5,6]}",
        "{\"prompt\":\"p\",\"outcomes\":{\"a\":{\"quality\":1,\"cost_usd\":0.1},\"b\":{\"quality\":"
        "0}}}",
        "{\"prompt\":\"p\",\"model\":\"a\",\"quality\":0.5,\"cost_usd\":0.1,\"propensity\":0.25}",
        "{\"prompt\":\"p\",\"winner\":\"a\",\"loser\":\"b\"}",
        "{\"features\":{\"k\":1},\"pair\":[\"a\",\"b\"],\"preference\":0.7}",
        NULL};
    return fuzz_text(texts, i, out, cap);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct history h;
    struct history_row row;
    struct problem p = {0};
    json_t *models = json_pack("[{s:s},{s:s}]", "name", "a", "name", "b");
    history_init(&h);
    PROMISE(history_columns(&h, models, &p) == STATUS_OK);
    json_decref(models);
    enum status s = history_read(&h, (const char *)bytes, n, &row, &p);
    PROMISE(s == STATUS_OK ? row.n >= 1 && row.n <= MODELS_MAX && row.request : p.text[0] != '\0');
    if (s == STATUS_OK) {
        history_count(&h, &row);
        for (int k = 0; k < row.n; k++) {
            double w = history_weight(&h, &row, k, 100);
            PROMISE(w >= 0 && w <= 1);
        }
    }
    history_clear(&row);
    return 0;
}
