/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_REPORT_H
#define PURSER_SIM_REPORT_H

#include "core/encoding/text.h"
#include "sim/replay/replay.h"

/* report_json writes one JSON object; the keys are a contract (docs/man/purser-sim.1). base and
 * shocks may be NULL. */
void report_json(struct text *t, const struct replay *r, const struct replay_report *report,
                 const struct baselines *base, const struct shocks *shocks);
/* report_table writes the same for people. */
void report_table(struct text *t, const struct replay *r, const struct replay_report *report,
                  const struct baselines *base, const struct shocks *shocks);

#endif
