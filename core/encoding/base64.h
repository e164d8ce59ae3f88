/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ENCODING_BASE64_H
#define PURSER_CORE_ENCODING_BASE64_H

#include <stddef.h>

/* RFC 4648 section 4: padding required, unused bits zero, nothing else in between. */
/* base64_decode gives the number of bytes, 0 when s is none of that or does not fit cap. */
size_t base64_decode(const char *s, size_t n, unsigned char *out, size_t cap);
/* base64_encode writes base64_length(n) characters and a terminating zero. */
size_t base64_length(size_t n);
void base64_encode(const unsigned char *bytes, size_t n, char *out);

#endif
