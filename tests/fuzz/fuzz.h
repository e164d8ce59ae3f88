/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TESTS_FUZZ_H
#define PURSER_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A target takes any bytes. It aborts when the code under test breaks a promise, which says more
 * than not crashing: what was accepted comes back the same, what was refused says why. The same
 * function is called by drive.c and by libFuzzer or AFL++.
 */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* fuzz_seed writes the i-th input to begin with and gives its length, 0 past the last. */
size_t fuzz_seed(int i, uint8_t *out, size_t cap);

/* fuzz_text is fuzz_seed over texts; the list ends with NULL. */
size_t fuzz_text(const char *const *texts, int i, uint8_t *out, size_t cap);

#define PROMISE(what)                                                                              \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #what);             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
