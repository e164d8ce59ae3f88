/* SPDX-License-Identifier: MIT */
/*
 * Mutant: the start meters again what it replays, as a sum kept beside the log would without a
 * watermark: here by metering the first decision of each life twice. Linked with
 * --wrap=meter_decided.
 */
#include "core/meter/meter.h"

bool __real_meter_decided(struct meter *m, const struct event *decided, int64_t most,
                          struct meter_sums *delta);
bool __wrap_meter_decided(struct meter *m, const struct event *decided, int64_t most,
                          struct meter_sums *delta);

bool __wrap_meter_decided(struct meter *m, const struct event *decided, int64_t most,
                          struct meter_sums *delta)
{
    static bool again = true;
    if (again && !__real_meter_decided(m, decided, most, delta))
        return false;
    again = false;
    return __real_meter_decided(m, decided, most, delta);
}
