/* SPDX-License-Identifier: MIT */
/*
 * The service's own log: one line a record, key=value or JSON, to stderr, where systemd or a
 * container picks it up. Nothing per request, no prompt text, no bodies. A line is built on the
 * stack and written with one write(2), so lines of several threads never mix and nothing is
 * allocated. Considered: JSON lines only. People read this one; a machine-readable record of what
 * was decided is the log in the store.
 */
#include "transport/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core/encoding/text.h"

static atomic_bool as_json;

void log_as_json(bool json)
{
    atomic_store(&as_json, json);
}

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

static void put_pair(struct text *t, bool json, const char *key, const char *value)
{
    text_printf(t, json ? ",\"%s\":" : " %s=", key);
    if (!json && bare(value))
        text_put(t, value);
    else
        text_json_string(t, value);
}

/* The beginning of a line; whoever collects the other form adds the time itself. */
static void put_head(struct text *t, bool json, const char *level, const char *event)
{
    struct timespec now;
    struct tm tm;
    char time[32] = "";
    if (!json) {
        text_printf(t, "%s event=%s", level, event);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &tm);
    text_printf(t, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"event\":\"%s\"", time,
                now.tv_nsec / 1000000, level, event);
}

/* Ends the line. What did not fit is cut off; in JSON that would leave no object, so it is said
 * instead. */
static size_t finish(struct text *t, bool json, const char *level, const char *event)
{
    if (json && t->full) {
        *t = text_over(t->at, t->cap);
        put_head(t, json, level, event);
        put_pair(t, json, "log", "the rest is too long for a line");
    }
    size_t n = strlen(t->at);
    if (json)
        t->at[n++] = '}';
    t->at[n++] = '\n';
    return n;
}

void log_event(enum log_level level, const char *event, ...)
{
    static const char *const names[] = {"error", "warn", "info"};
    bool json = atomic_load(&as_json);
    char line[2048];
    struct text t = text_over(line, sizeof line - 2); /* kept for a brace and the newline */
    put_head(&t, json, names[level], event);
    va_list ap;
    va_start(ap, event);
    for (const char *key; (key = va_arg(ap, const char *)) != NULL;) {
        const char *value = va_arg(ap, const char *);
        put_pair(&t, json, key, value ? value : "");
    }
    va_end(ap);
    size_t n = finish(&t, json, names[level], event);
    ssize_t sent = write(STDERR_FILENO, line, n);
    (void)sent; /* nobody to tell */
}
