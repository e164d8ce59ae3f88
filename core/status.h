/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_STATUS_H
#define PURSER_CORE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>

#define MUST_CHECK __attribute__((warn_unused_result))

/*
 * Every way a call can fail: one closed list, by fault domain. The second column is the code on the
 * wire, the third the HTTP status, the fourth says whether the same request may succeed later.
 */
#define STATUS_LIST(X)                                                                             \
    X(OK, "ok", 200, false)                                                                        \
    X(BAD_REQUEST, "bad_request", 400, false)                                                      \
    X(BAD_JSON, "bad_json", 400, false)                                                            \
    X(UNSUPPORTED_VERSION, "unsupported_version", 400, false)                                      \
    X(TOO_LARGE, "too_large", 413, false)                                                          \
    X(UNKNOWN_FIELD, "unknown_field", 400, false)                                                  \
    X(UNAUTHORIZED, "unauthorized", 401, false)                                                    \
    X(FORBIDDEN, "forbidden", 403, false)                                                          \
    X(UNKNOWN_MODEL, "unknown_model", 404, false)                                                  \
    X(UNKNOWN_DECISION, "unknown_decision", 404, false)                                            \
    X(CONFLICT, "conflict", 409, false)                                                            \
    X(NO_ELIGIBLE_MODEL, "no_eligible_model", 422, false)                                          \
    X(BUDGET_EXHAUSTED, "budget_exhausted", 429, true)                                             \
    X(THROTTLED, "throttled", 429, true)                                                           \
    X(OVERLOADED, "overloaded", 503, true)                                                         \
    X(STORAGE_FULL, "storage_full", 503, true)                                                     \
    X(UNAVAILABLE, "unavailable", 503, true)                                                       \
    X(INTERNAL, "internal", 500, false)

enum status {
#define STATUS_ENUM(name, code, http, retry) STATUS_##name,
    STATUS_LIST(STATUS_ENUM)
#undef STATUS_ENUM
        STATUS_COUNT
};

/* status_code gives the wire code, status_http the HTTP status, status_retryable the fourth column.
 */
const char *status_code(enum status s);
int status_http(enum status s);
bool status_retryable(enum status s);

/*
 * What went wrong, for people: filled once, where it happened. path is a JSON path such as
 * /models/2/usd_per_mtok_in ("" = the whole document). text says what and what to do.
 */
struct problem {
    enum status code;
    int line; /* 1-based; 0 = not known */
    char path[96];
    char text[240];
    long retry_after_ms; /* 0 = not said */
};

/* problem_set fills p (may be NULL) and gives s back, so that callers can `return
 * problem_set(...)`. Control bytes in the text are replaced by '?': it may quote input. */
enum status problem_set(struct problem *p, enum status s, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
