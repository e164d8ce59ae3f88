/* SPDX-License-Identifier: MIT */
/*
 * The service's own log: one line a record, key=value, to stderr, where systemd or a container
 * picks it up. Nothing per request, no prompt text, no bodies. A line is built on the stack and
 * written with one write(2), so lines of several threads never mix and nothing is allocated.
 * Considered: JSON lines. People read this one; the machine-readable record is the log in the
 * store.
 */
#include "transport/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/text.h"

const char *log_number(char buf[LOG_NUMBER_CAP], int64_t v)
{
    snprintf(buf, LOG_NUMBER_CAP, "%lld", (long long)v);
    return buf;
}

static bool bare(const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._:/@+-,";
    return *s && s[strspn(s, plain)] == '\0';
}

void log_event(enum log_level level, const char *event, ...)
{
    static const char *const names[] = {"error", "warn", "info"};
    char line[2048];
    struct text t = text_over(line, sizeof line - 1); /* one byte kept for the newline */
    text_printf(&t, "%s event=%s", names[level], event);
    va_list ap;
    va_start(ap, event);
    for (;;) {
        const char *key = va_arg(ap, const char *);
        if (!key)
            break;
        const char *value = va_arg(ap, const char *);
        value = value ? value : "";
        text_printf(&t, " %s=", key);
        if (bare(value))
            text_put(&t, value);
        else
            text_json_string(&t, value);
    }
    va_end(ap);
    size_t n = strlen(line);
    line[n++] = '\n';
    ssize_t sent = write(STDERR_FILENO, line, n);
    (void)sent; /* nobody to tell */
}
