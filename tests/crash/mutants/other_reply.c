/* SPDX-License-Identifier: MIT */
/*
 * Mutant: one route reply in fifty tells another propensity than the one recorded. Linked with
 * --wrap=reply_decision. Loop thread only.
 */
#include "core/wire/wire.h"

void __wrap_reply_decision(struct text *t, const struct event *decided,
                           const struct catalog *catalog, const uint8_t mac_key[16],
                           const struct reply_ask *ask);
void __real_reply_decision(struct text *t, const struct event *decided,
                           const struct catalog *catalog, const uint8_t mac_key[16],
                           const struct reply_ask *ask);

void __wrap_reply_decision(struct text *t, const struct event *decided,
                           const struct catalog *catalog, const uint8_t mac_key[16],
                           const struct reply_ask *ask)
{
    static unsigned replies;
    static struct event told; /* too big for the stack */
    told = *decided;
    if (++replies % 50 == 0)
        told.decided.view[told.decided.arm].pmf /= 2;
    __real_reply_decision(t, &told, catalog, mac_key, ask);
}
