/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_VALUE_H
#define PURSER_CORE_ROUTER_VALUE_H

#include "core/limits.h"
#include "core/request.h"

/*
 * What an answer of full quality is worth, beside an ordinary request's: the multiplier of the
 * quality term. Each table gives factors for the values of one label; the product of those that
 * apply, kept within [least, most], is the request's value unless it names its own. Money is not
 * multiplied: a valuable request may cost more because its quality counts for more.
 */
enum value_label { VALUE_TASK, VALUE_USER_TIER, VALUE_DOMAIN, VALUE_OUTCOME, VALUE_LABELS };

struct value_entry {
    char name[NAME_CAP];
    double factor; /* > 0 */
};

struct value_tables {
    int n[VALUE_LABELS];
    struct value_entry entry[VALUE_LABELS][VALUE_ENTRIES_MAX];
    double least, most; /* 0 < least <= 1 <= most */
};

/* value_of gives what the tables say of a request; 1 when none of them knows it. */
double value_of(const struct value_tables *v, const struct labels *labels);

#endif
