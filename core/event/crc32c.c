/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), the checksum of every stored record: LMDB
 * has none, and of 1,000 flipped bits it reports none. The instruction of SSE4.2 where the CPU has
 * it, slicing-by-8 (Kounavis, Berry 2008) elsewhere; both give the same number, which each start
 * checks. seed is the checksum of what came before (0 at the beginning), so
 * crc32c(b, n, crc32c(a, m, 0)) is that of a followed by b.
 * Rejected: three interleaved streams (needs a combination table for little: records are ~1 KiB).
 */
#include "core/event/event.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum { SLICES = 8 };
static const uint32_t polynomial = 0x82f63b78u;

/* Built before main, so that no thread ever races to build them. */
static uint32_t table[SLICES][256];
static bool hardware;

static uint32_t load32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t crc_table(const uint8_t *p, size_t n, uint32_t c)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t lo = load32(p) ^ c, hi = load32(p + 4);
        c = table[7][lo & 0xff] ^ table[6][(lo >> 8) & 0xff] ^ table[5][(lo >> 16) & 0xff] ^
            table[4][lo >> 24] ^ table[3][hi & 0xff] ^ table[2][(hi >> 8) & 0xff] ^
            table[1][(hi >> 16) & 0xff] ^ table[0][hi >> 24];
    }
    for (; n > 0; n--, p++)
        c = (c >> 8) ^ table[0][(c ^ *p) & 0xff];
    return c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(const uint8_t *p, size_t n, uint32_t c)
{
    unsigned long long wide = c;
    for (; n >= 8; n -= 8, p += 8) {
        unsigned long long word;
        memcpy(&word, p, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    c = (uint32_t)wide;
    for (; n > 0; n--, p++)
        c = __builtin_ia32_crc32qi(c, *p);
    return c;
}
#else
static uint32_t crc_sse42(const uint8_t *p, size_t n, uint32_t c)
{
    return crc_table(p, n, c);
}
#endif

uint32_t crc32c(const void *bytes, size_t n, uint32_t seed)
{
    return ~(hardware ? crc_sse42(bytes, n, ~seed) : crc_table(bytes, n, ~seed));
}

__attribute__((constructor)) static void tables_build(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = (c >> 1) ^ ((c & 1) ? polynomial : 0);
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int s = 1; s < SLICES; s++)
            table[s][i] = (table[s - 1][i] >> 8) ^ table[0][table[s - 1][i] & 0xff];
#if defined(__x86_64__)
    __builtin_cpu_init();
    hardware = __builtin_cpu_supports("sse4.2");
#endif
    static const uint8_t digits[] = "123456789"; /* the usual check value */
    bool right = crc_table(digits, 9, ~0u) == ~0xe3069283u && crc32c(digits, 9, 0) == 0xe3069283u;
    assert(right);
    (void)right; /* where assert is off */
}
