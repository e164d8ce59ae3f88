/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SCENARIO_FINTECH_H
#define PURSER_SIM_SCENARIO_FINTECH_H

#include <stddef.h>
#include <stdint.h>
#include "sim/tables/table.h"

/*
 * The shipped scenario: a fintech's assistant. Three models (small, medium, large), three tasks
 * (support, dispute, fraud), requests written from templates, every model's outcome known.
 */
enum { FINTECH_ROWS = 6000, FINTECH_SEED = 1, FINTECH_ROWS_MAX = 1000000 };
#define FINTECH_BUDGET_USD 0.0007 /* per request: under half of what the large model costs */

/* fintech_table generates n rows from a seed: the same rows on every call. The caller frees out
 * with table_free. */
MUST_CHECK enum status fintech_table(uint64_t seed, size_t n, struct table *out,
                                     struct problem *problem);
/* fintech_config gives the scenario's own part of a configuration: the keyword rules that such a
 * team would write, reasonable and imperfect. */
const char *fintech_config(void);
/* fintech_values gives what its requests are worth, as a part of a configuration. */
const char *fintech_values(void);
#define FINTECH_VALUES_BUDGET 0.4 /* of what the largest model costs, for the comparison */
/* fintech_write writes a generated table and fintech_config to dir (made if absent): models.json
 * and prompts.jsonl as any full-information table, and purser.json. */
MUST_CHECK enum status fintech_write(const char *dir, const struct table *t,
                                     struct problem *problem);

#endif
