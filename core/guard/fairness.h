/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_GUARD_FAIRNESS_H
#define PURSER_CORE_GUARD_FAIRNESS_H

#include <stdbool.h>
#include "core/config/params.h"
#include "core/request.h"

/* fairness_knows tells whether requests have a label of this name. */
bool fairness_knows(const char *dimension);
/* fairness_label gives the label by which outcomes are told apart, "" when the request declared
 * none. */
const char *fairness_label(const struct params *p, const struct labels *l);

#endif
