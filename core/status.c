/* SPDX-License-Identifier: MIT */
/*
 * Failures and how they are told. The list in status.h is the only place where a code exists; this
 * turns it into look-ups and fills the one problem that travels back to whoever asked.
 * Texts are cleaned here, at the source, so that no log line or terminal can be forged by input.
 */
#include "core/status.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *code;
    int http;
    bool retryable;
} table[STATUS_COUNT] = {
#define STATUS_ROW(name, code, http, retry) {code, http, retry},
    STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

/* A status read from elsewhere may be none of ours. */
static enum status known(enum status s)
{
    return (unsigned)s < STATUS_COUNT ? s : STATUS_INTERNAL;
}

const char *status_code(enum status s)
{
    return table[known(s)].code;
}

int status_http(enum status s)
{
    return table[known(s)].http;
}

bool status_retryable(enum status s)
{
    return table[known(s)].retryable;
}

static void clean(char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            *s = '?';
    }
}

enum status problem_set(struct problem *p, enum status s, const char *path, const char *fmt, ...)
{
    if (!p)
        return s;
    p->code = s;
    p->line = 0;
    p->retry_after_ms = 0;
    snprintf(p->path, sizeof p->path, "%s", path ? path : "");
    va_list args;
    va_start(args, fmt);
    vsnprintf(p->text, sizeof p->text, fmt, args);
    va_end(args);
    clean(p->path);
    clean(p->text);
    return s;
}
