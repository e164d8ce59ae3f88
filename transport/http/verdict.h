/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_HTTP_VERDICT_H
#define PURSER_TRANSPORT_HTTP_VERDICT_H

#include "core/encoding/text.h"

/* verdict_of gives the HTTP status of a reply and when to come again (0: no hint): of the error
 * object it is, or 200. */
unsigned verdict_of(const struct text *t, long *retry_ms);

#endif
