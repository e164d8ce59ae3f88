/* SPDX-License-Identifier: MIT */
/* Configurations: what is accepted is written back and read again to the same bytes, since that is
 * what the log replays; what is refused leaves everything as it was. */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include "core/config/config.h"

#define MODELS                                                                                     \
    "\"models\":[{\"name\":\"a\",\"tier\":\"small\",\"usd_per_mtok_in\":0.1,"                      \
    "\"usd_per_mtok_out\":0.4},{\"name\":\"b\",\"tier\":\"large\",\"usd_per_mtok_in\":3,"          \
    "\"usd_per_mtok_out\":15,\"capabilities\":[\"vision\"],\"active\":true}]"

size_t fuzz_seed(int i, uint8_t *out, size_t cap)
{
    static const char *const texts[] = {
        "{\"v\":1," MODELS "}",
        "{" MODELS ",\"rules\":[{\"words\":[\"court\"],\"domain\":\"legal\",\"tier\":\"large\"},"
        "{\"task\":\"t\",\"min_prompt_tokens\":9,\"model\":\"a\"}],\"objective\":{\"cost\":0.5}}",
        "{" MODELS ",\"zones\":[{\"name\":\"z\",\"utc_offset_minutes\":60,\"changes\":[{\"at\":"
        "\"2026-03-29T01:00:00Z\",\"utc_offset_minutes\":120}]}],\"pools\":[{\"name\":\"org\","
        "\"usd\":10,\"window\":\"day\",\"zone\":\"z\"},{\"name\":\"t\",\"parent\":\"org\","
        "\"match\":{\"tenant\":\"acme\"},\"each\":\"user\",\"tokens\":1000,\"mode\":\"quantile\","
        "\"override\":{\"for\":\"ann\",\"usd\":20,\"until\":\"2026-12-01T00:00:00Z\"},"
        "\"fuse\":{\"usd_per_hour\":5}}]}",
        "{" MODELS ",\"silence\":[{\"task\":\"t\",\"quality\":0.5,\"after_hours\":2}],"
        "\"learners\":[{\"tenant\":\"x\",\"shares\":false}],\"value\":{\"task\":{\"a\":2},\"most\":"
        "3}}",
        "{" MODELS ",\"listen\":{\"route\":\"tcp://127.0.0.1:1\",\"events\":\"\"},"
        "\"store\":{\"durability\":\"relaxed\"},\"keys\":{\"file\":\"k\"},\"policy\":{\"name\":"
        "\"igw\"},"
        "\"baseline\":\"b\",\"x_note\":1}",
        NULL};
    return fuzz_text(texts, i, out, cap);
}

static void comes_back(const struct params *p)
{
    static struct params again;
    static char a[CONFIG_MAX], b[CONFIG_MAX];
    struct problem problem = {0};
    size_t n = config_render(p, a, sizeof a);
    if (n == 0)
        return; /* too long to be logged: router_configure refuses it */
    if (config_parse(a, n, &again, NULL, &problem) != STATUS_OK)
        fprintf(stderr, "%s: %s\n%s\n", problem.path, problem.text, a);
    PROMISE(problem.code == STATUS_OK);
    PROMISE(config_render(&again, b, sizeof b) == n && memcmp(a, b, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char base[] = "{" MODELS "}";
    static struct params p, before;
    static struct settings settings;
    struct problem problem = {0};
    enum status s = config_parse((const char *)bytes, n, &p, &settings, &problem);
    PROMISE(s == STATUS_OK || (problem.code == s && problem.text[0] != '\0'));
    if (s == STATUS_OK)
        comes_back(&p);
    PROMISE(config_parse(base, sizeof base - 1, &p, NULL, NULL) == STATUS_OK);
    before = p;
    s = config_patch(&p, (const char *)bytes, n, &problem);
    if (s == STATUS_OK)
        comes_back(&p);
    else
        PROMISE(memcmp(&before, &p, sizeof p) == 0);
    return 0;
}
