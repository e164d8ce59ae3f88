/* SPDX-License-Identifier: MIT */
/* Ops audit and config.at: who changed what, and what was in force after a change. Read on the
 * loop: pages are short. */
#include <inttypes.h>
#include "transport/audit.h"
#include "transport/control/control_inside.h"
#include "transport/desk/desk_inside.h"

enum status control_audit(struct call *c, struct problem *p)
{
    const json_t *from = json_object_get(c->root, "from"),
                 *limit = json_object_get(c->root, "limit"),
                 *about = json_object_get(c->root, "about");
    int64_t first = from ? json_integer_value(from) : 1,
            most = limit ? json_integer_value(limit) : AUDIT_PAGE;
    if (first < 1 || most < 1 || most > AUDIT_PAGE)
        return problem_set(p, STATUS_BAD_REQUEST, first < 1 ? "/from" : "/limit",
                           "expected from 1 on, and a limit of 1 to %d", AUDIT_PAGE);
    if (about && !json_is_string(about))
        return problem_set(p, STATUS_BAD_REQUEST, "/about",
                           "expected the beginning of a path such as /objective, or of an op");
    text_put(c->out, "{\"v\":1,");
    enum status s = audit_page(c->control->desk->db, (uint64_t)first, (int)most,
                               json_string_value(about), slot_out(c->slot), p);
    text_put(c->out, "}");
    return s;
}

enum status control_config_at(struct call *c, struct problem *p)
{
    int64_t n = json_integer_value(json_object_get(c->root, "entry"));
    if (c->control->desk->full) /* the audit on disk does not yet have what is in force */
        return desk_storage_full(p);
    json_t *doc = desk_document(c->control->desk, p);
    if (doc)
        doc = audit_document(c->control->desk->db, doc, n > 0 ? (uint64_t)n : 0, p);
    if (!doc)
        return p->code;
    enum status s = control_put(c, "config", doc, p);
    json_decref(doc);
    return s;
}
