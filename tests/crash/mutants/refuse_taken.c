/* SPDX-License-Identifier: MIT */
/*
 * Mutant: one answer in fifty to feedback that was taken is a refusal. Linked with
 * --wrap=reply_answer. Loop thread only.
 */
#include "core/wire/wire.h"

void __wrap_reply_answer(struct text *t, enum feedback_result result, const char *decision_id);
void __real_reply_answer(struct text *t, enum feedback_result result, const char *decision_id);

void __wrap_reply_answer(struct text *t, enum feedback_result result, const char *decision_id)
{
    static unsigned answers;
    struct problem p = {.code = STATUS_CONFLICT, .text = "no"};
    if (++answers % 50 == 0)
        reply_error(t, &p);
    else
        __real_reply_answer(t, result, decision_id);
}
