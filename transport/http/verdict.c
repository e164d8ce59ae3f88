/* SPDX-License-Identifier: MIT */
/* The status of a reply is read from the reply: see exchange.c. */
#include "transport/http/verdict.h"

#include <stdlib.h>
#include <string.h>
#include "core/encoding/doc.h"
#include "core/status.h"

enum { SECOND_MS = 1000 };

static enum status status_named(const char *code, size_t n)
{
    for (int i = 0; i < STATUS_COUNT; i++)
        if (strlen(status_code((enum status)i)) == n &&
            memcmp(status_code((enum status)i), code, n) == 0)
            return (enum status)i;
    return STATUS_INTERNAL;
}

/* Reads the error object of a reply, if it is one. */
static bool error_of(const struct text *t, enum status *code, long *retry_ms)
{
    static const char head[] = "{\"v\":1,\"error\":{\"code\":\"", retry[] = "\"retry_after_ms\":",
                      packed_head[] = "\xde\0\2\xa1v\1\xa5"
                                      "error";
    if (!t->packed && t->len >= sizeof head && memcmp(t->at, head, sizeof head - 1) == 0) {
        const char *name = t->at + sizeof head - 1, *said = strstr(name, retry);
        *code = status_named(name, strcspn(name, "\""));
        *retry_ms = said ? strtol(said + sizeof retry - 1, NULL, 10) : 0;
        return true;
    }
    struct doc d;
    if (!t->packed || t->len < sizeof packed_head ||
        memcmp(t->at, packed_head, sizeof packed_head - 1) != 0 ||
        doc_open_own(&d, t->at, t->len) != STATUS_OK)
        return false;
    const struct doc_value *error = doc_get(d.value, "error"), *name = doc_get(error, "code");
    *code = doc_is(name, DOC_STRING) ? status_named(name->text, name->n) : STATUS_INTERNAL;
    *retry_ms = (long)doc_number(doc_get(error, "retry_after_ms"));
    doc_close(&d);
    return true;
}

unsigned verdict_of(const struct text *t, long *retry_ms)
{
    enum status s;
    *retry_ms = 0;
    if (t->len == 0)
        return 503; /* without memory there is no reply at all */
    if (!error_of(t, &s, retry_ms))
        return 200;
    if (!status_retryable(s))
        *retry_ms = 0;
    else if (*retry_ms == 0)
        *retry_ms = SECOND_MS;
    return (unsigned)status_http(s);
}
