/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SCENARIO_FINTECH_TEXT_H
#define PURSER_SIM_SCENARIO_FINTECH_TEXT_H

#include "bandit/rng.h"
#include "core/encoding/text.h"

/* The words of the fintech scenario: what customers and analysts write. */
enum fintech_task { FINTECH_SUPPORT, FINTECH_DISPUTE, FINTECH_FRAUD, FINTECH_TASKS };

const char *fintech_text_task(enum fintech_task task);
/* fintech_text_write composes one request and gives how hard it reads, in [0,1]. */
double fintech_text_write(enum fintech_task task, struct rng *rng, struct text *out);

#endif
