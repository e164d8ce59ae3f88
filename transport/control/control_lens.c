/* SPDX-License-Identifier: MIT */
/*
 * A lens comes as base64 in one message, well below the bound on messages, and becomes an event
 * like any change: the log holds it, so no file has to stay where it was. What was learned without
 * it stays.
 */
#include "transport/control/control_lens.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "core/encoding/base64.h"
#include "core/features/lens.h"
#include "transport/log.h"

static void show(const struct desk *d, struct text *out)
{
    const struct lens *l = router_lens(d->router);
    text_put(out, "{\"v\":1,\"lens\":");
    if (l && l->id)
        text_printf(out, "{\"id\":\"%016" PRIx64 "\",\"dims\":%d,\"clusters\":%d,\"labels\":%d}",
                    l->id, l->dims, l->clusters, l->labels);
    else
        text_put(out, "null");
    text_put(out, "}");
}

static enum status set(struct desk *d, const json_t *root, struct problem *problem)
{
    const json_t *v = json_object_get(root, "lens_b64");
    const char *b64 = json_string_value(v);
    if (!b64)
        return problem_set(problem, STATUS_BAD_REQUEST, "/lens_b64",
                           "a lens file as base64 is needed, or \"\" to look without one");
    uint8_t *bytes = malloc(LENS_BYTES_MAX);
    if (!bytes)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "no memory for a lens");
    size_t n = base64_decode(b64, json_string_length(v), bytes, LENS_BYTES_MAX);
    enum status s = n > 0 || b64[0] == '\0'
                        ? desk_lens(d, bytes, n, "lens.set", problem)
                        : problem_set(problem, STATUS_BAD_REQUEST, "/lens_b64",
                                      "not standard base64 of 1 to %d bytes", LENS_BYTES_MAX);
    free(bytes);
    if (s == STATUS_OK)
        log_event(LOG_LEVEL_INFO, "lens", "bytes", LOG_NUMBER(n), NULL);
    return s;
}

enum status control_lens(struct desk *d, const json_t *root, struct text *out,
                         struct problem *problem)
{
    const char *op = json_string_value(json_object_get(root, "op"));
    if (op && strcmp(op, "lens.set") == 0) {
        enum status s = set(d, root, problem);
        if (s != STATUS_OK)
            return s;
    }
    show(d, out);
    return STATUS_OK;
}
