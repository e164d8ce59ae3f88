/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_HTTP_ROUTES_H
#define PURSER_TRANSPORT_HTTP_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include "core/encoding/text.h"
#include "core/limits.h"
#include "core/status.h"
#include "transport/outbuf.h"
#include "transport/slot.h"

/* Which paths there are, and what a method does there. */

enum serve {
    SERVE_MESSAGE, /* the body is a message, as over NNG */
    SERVE_ASK,     /* a message is made of path and arguments */
    SERVE_EVENTS,
    SERVE_OPENAPI,
    SERVE_PAGE,
    SERVE_HEALTH,
    SERVE_READY,
    SERVE_METRICS
};

/* route_unescape takes percent escapes and plus signs back; false: none, too long, or a zero byte.
 */
enum { VALUE_CAP = 512 };
bool route_unescape(char out[VALUE_CAP], const char *s);

struct param; /* an argument that may be given in the query */

struct act {
    const char *method; /* GET serves HEAD, too */
    enum serve serve;
    enum purpose purpose;
    const char *op; /* NULL: all of the purpose */
    const struct param *params;
    const char *fixed; /* members that the message has besides; NULL = none */
};

struct route {
    const char *path; /* a last segment {name} stands for a value, the member `name` */
    bool aside;       /* on the metrics door only */
    const char *allow;
    struct act act[2];
};

/* route_find gives the path's row, and in *value where the value begins, if it has one; NULL: there
 * is no such path at that door. */
const struct route *route_find(const char *path, bool aside, const char **value);
/* route_act gives what a method does; NULL: it does nothing there. */
const struct act *route_act(const struct route *r, const char *method);
/* route_at walks the table; NULL past its end. */
const struct route *route_at(size_t i);

/* Writes the message of a SERVE_ASK act: ask_begin, ask_argument for each argument of the query, as
 * it was sent (value may be NULL), then ask_end. */
struct ask {
    const struct act *act;
    struct text *out;  /* room for ASK_BYTES */
    unsigned seen;     /* bits of params */
    struct text where; /* members of the object "where" */
    char where_at[4096];
};
enum { ASK_BYTES = 8192 };
MUST_CHECK enum status ask_begin(struct ask *a, const struct act *act, const struct route *r,
                                 const char *value, struct text *out, struct problem *problem);
MUST_CHECK enum status ask_argument(struct ask *a, const char *name, const char *value,
                                    struct problem *problem);
MUST_CHECK enum status ask_end(struct ask *a, struct problem *problem);

#endif
