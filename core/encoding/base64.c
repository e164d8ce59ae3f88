/* SPDX-License-Identifier: MIT */
/* How binary travels in JSON: embeddings and lenses. Strict, so that one text has one meaning. */
#include "core/encoding/base64.h"

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

size_t base64_decode(const char *s, size_t n, unsigned char *out, size_t cap)
{
    size_t pad = n > 1 && s[n - 1] == '=' ? 1 + (s[n - 2] == '=') : 0, len = 0;
    if (n == 0 || n % 4 != 0 || n / 4 * 3 - pad > cap)
        return 0;
    for (size_t i = 0; i < n; i += 4) {
        unsigned word = 0;
        size_t skip = i + 4 == n ? pad : 0;
        for (size_t k = 0; k < 4; k++) {
            int digit = k < 4 - skip ? base64_digit(s[i + k]) : 0;
            if (digit < 0)
                return 0;
            word = word << 6 | (unsigned)digit;
        }
        if (word & ((1u << 8 * skip) - 1))
            return 0;
        for (size_t k = 0; k < 3 - skip; k++)
            out[len++] = (unsigned char)(word >> (16 - 8 * k));
    }
    return len;
}

size_t base64_length(size_t n)
{
    return (n + 2) / 3 * 4;
}

void base64_encode(const unsigned char *bytes, size_t n, char *out)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned word = (unsigned)bytes[i] << 16 | (i + 1 < n ? (unsigned)bytes[i + 1] << 8 : 0) |
                        (i + 2 < n ? (unsigned)bytes[i + 2] : 0);
        *out++ = digit[word >> 18];
        *out++ = digit[word >> 12 & 63];
        *out++ = i + 1 < n ? digit[word >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digit[word & 63] : '=';
    }
    *out = '\0';
}
