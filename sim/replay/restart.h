/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_REPLAY_RESTART_H
#define PURSER_SIM_REPLAY_RESTART_H

#include <stdbool.h>
#include "core/router/router.h"

/* restart_router puts another router in the place of *r, which is freed: keep: with the state that
 * its snapshot holds, bit for bit; else with nothing. The caller starts it. On error *r stays. */
MUST_CHECK enum status restart_router(struct router **r, const struct router_init *init, bool keep,
                                      struct problem *problem);

#endif
