/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPE_NAMES_H
#define PURSER_SIM_OPE_NAMES_H

#include <stddef.h>
#include <stdint.h>
#include "core/limits.h"

/* Names to numbers 0, 1, ... in the order of first appearance. Start from all zeros. Names longer
 * than NAME_LEN bytes are cut. */
struct names {
    char (*name)[NAME_CAP];
    uint32_t *index; /* open addressing: number + 1, 0 = free */
    size_t n, cap, index_cap;
};
enum { NAMES_NONE = UINT32_MAX };
/* names_add gives the number of a name, a new one if need be; NAMES_NONE when memory is short.
 * names_find gives NAMES_NONE when it is not there. */
uint32_t names_add(struct names *k, const char *name);
uint32_t names_find(const struct names *k, const char *name);
void names_fini(struct names *k);

#endif
