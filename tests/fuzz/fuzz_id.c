/* SPDX-License-Identifier: MIT */
/* Decision ids: a text is one in one spelling only, and a key vouches for what it made alone.
 * covers: S8 */
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <string.h>
#include "core/event/decision_id.h"

size_t fuzz_seed(int i, uint8_t *out, size_t cap)
{
    static const char *const texts[] = {"6553f100-3-852750bcd7e91e11",
                                        "1-1-0000000000000000",
                                        "ffffffff-ffffffffffffffff-ffffffffffffffff",
                                        "0-0-0123456789abcdef",
                                        "1-2-3",
                                        NULL};
    return fuzz_text(texts, i, out, cap);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const uint8_t key[16] = {1, 2, 3};
    char text[128], again[128], made[DECISION_ID_CAP];
    uint32_t epoch;
    uint64_t seq, mac;
    if (n >= sizeof text)
        n = sizeof text - 1;
    memcpy(text, bytes, n);
    text[n] = '\0';
    if (!decision_id_parse(text, &epoch, &seq, &mac))
        return 0;
    snprintf(again, sizeof again, "%" PRIx32 "-%" PRIx64 "-%016" PRIx64, epoch, seq, mac);
    PROMISE(strcmp(again, text) == 0);
    decision_id_format(made, epoch, seq, key);
    PROMISE((strcmp(made, text) == 0) == (mac == decision_mac(epoch, seq, key)));
    PROMISE(decision_id_parse(made, &epoch, &seq, &mac) && mac == decision_mac(epoch, seq, key));
    return 0;
}
