/* SPDX-License-Identifier: MIT */
/*
 * Whose decision it is: a sender that speaks for one tenant reports on that tenant's decisions
 * alone. The answer for another's is that for none, so nobody learns which ids there are.
 */
#include <string.h>
#include "transport/desk/desk_inside.h"

enum status desk_owned(struct desk *d, const struct message *m, uint64_t seq, struct problem *p)
{
    if (m->tenant[0] == '\0')
        return STATUS_OK;
    if (desk_find(d, seq, &d->extra, NULL) == STATUS_OK &&
        strcmp(d->extra.decided.labels.tenant, m->tenant) == 0)
        return STATUS_OK;
    return problem_set(p, STATUS_UNKNOWN_DECISION, "/decision_id",
                       "this service gave no decision this id");
}
