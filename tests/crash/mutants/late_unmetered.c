/* SPDX-License-Identifier: MIT */
/*
 * Mutant: what changes a label that is already there is not metered. The sums are then those of the
 * first reports. Linked with --wrap=meter_feedback.
 */
#include "core/meter/meter.h"

bool __real_meter_feedback(struct meter *m, const struct event *decided,
                           const struct label_book *before, const struct label_book *after,
                           int64_t most, struct meter_sums *delta);
bool __wrap_meter_feedback(struct meter *m, const struct event *decided,
                           const struct label_book *before, const struct label_book *after,
                           int64_t most, struct meter_sums *delta);

bool __wrap_meter_feedback(struct meter *m, const struct event *decided,
                           const struct label_book *before, const struct label_book *after,
                           int64_t most, struct meter_sums *delta)
{
    if (before->n_seen == 0)
        return __real_meter_feedback(m, decided, before, after, most, delta);
    *delta = (struct meter_sums){{0}};
    return true;
}
