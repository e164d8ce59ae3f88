/* SPDX-License-Identifier: MIT */
#include "transport/metrics.h"

bool metrics_render(const struct server *s, struct outbuf *out)
{
    (void)s;
    return outbuf_reserve(out, OUTBUF_ITEM);
}
