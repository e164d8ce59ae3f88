/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "tests/fuzz/fuzz.h"

size_t fuzz_text(const char *const *texts, int i, uint8_t *out, size_t cap)
{
    for (int j = 0; j < i; j++)
        if (!texts[j])
            return 0;
    size_t n = texts[i] ? strlen(texts[i]) : 0;
    if (n > cap)
        return 0;
    memcpy(out, texts[i] ? texts[i] : "", n);
    return n;
}
