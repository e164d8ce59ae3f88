/* SPDX-License-Identifier: MIT */
/*
 * Decision ids. Everything needed to find a decision is in its id, so there is no index from ids to
 * records; the MAC makes guessing one as hard as guessing 64 bits, and costs some twenty
 * nanoseconds to check. One spelling per id: an id can be compared and hashed as text.
 *
 * A random UUID was rejected: it needs a second table, written and synced with every decision.
 */
#include "core/event/decision_id.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static uint64_t load_le(const unsigned char *p, size_t n)
{
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)p[i] << (8 * i);
    return word;
}

static void store_le(unsigned char *p, uint64_t word)
{
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)(word >> (8 * i));
}

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* SipRound, figure 2.1 of Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). */
static void sip_rounds(uint64_t v[4], int n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static void sip_absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

uint64_t siphash24(const void *bytes, uint64_t n, const uint8_t key[16])
{
    const unsigned char *p = bytes;
    uint64_t k0 = load_le(key, 8), k1 = load_le(key + 8, 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    uint64_t left = n;
    for (; left >= 8; left -= 8, p += 8)
        sip_absorb(v, load_le(p, 8));
    sip_absorb(v, n << 56 | load_le(p, (size_t)left));
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t decision_mac(uint32_t epoch, uint64_t seq, const uint8_t key[16])
{
    unsigned char bytes[16];
    store_le(bytes, epoch);
    store_le(bytes + 8, seq);
    return siphash24(bytes, sizeof bytes, key);
}

/* At least `least` digits. */
static char *put_hex(char *out, uint64_t v, int least)
{
    static const char digit[] = "0123456789abcdef";
    int n = least;
    while (n < 16 && v >> 4 * n > 0)
        n++;
    for (int i = n - 1; i >= 0; i--)
        *out++ = digit[v >> 4 * i & 15];
    return out;
}

void decision_id_format(char out[DECISION_ID_CAP], uint32_t epoch, uint64_t seq,
                        const uint8_t key[16])
{
    out = put_hex(out, epoch, 1);
    *out++ = '-';
    out = put_hex(out, seq, 1);
    *out++ = '-';
    *put_hex(out, decision_mac(epoch, seq, key), 16) = '\0';
}

/* Reads one hexadecimal field up to `end`; moves *s behind it. fixed: all `digits` must be there.
 */
static bool take_hex(const char **s, char end, int digits, bool fixed, uint64_t *out)
{
    const char *p = *s;
    uint64_t word = 0;
    int n = 0;
    for (; n < digits; n++, p++) {
        bool decimal = *p >= '0' && *p <= '9';
        if (!decimal && !(*p >= 'a' && *p <= 'f'))
            break;
        word = word << 4 | (uint64_t)(decimal ? *p - '0' : *p - 'a' + 10);
    }
    bool spelling = fixed ? n == digits : n > 0 && ((*s)[0] != '0' || n == 1);
    if (!spelling || *p != end)
        return false;
    *s = p + 1;
    *out = word;
    return true;
}

bool decision_id_parse(const char *id, uint32_t *epoch, uint64_t *seq, uint64_t *mac)
{
    uint64_t e, s, m;
    if (!take_hex(&id, '-', 8, false, &e) || !take_hex(&id, '-', 16, false, &s) ||
        !take_hex(&id, '\0', 16, true, &m))
        return false;
    *epoch = (uint32_t)e;
    *seq = s;
    *mac = m;
    return true;
}
