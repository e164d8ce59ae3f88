/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_LOG_H
#define PURSER_TRANSPORT_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO };

enum { LOG_NUMBER_CAP = 24 };

/* log_number writes v in decimal into buf and gives buf back. LOG_NUMBER(v) is for arguments of
 * log_event: its buffer lives as long as the enclosing block. */
const char *log_number(char buf[LOG_NUMBER_CAP], int64_t v);
#define LOG_NUMBER(v) log_number((char[LOG_NUMBER_CAP]){0}, (int64_t)(v))

/* log_as_json chooses the form of lines from here on. At the start, and on the loop thread. */
void log_as_json(bool json);
/* log_event writes one line to stderr: "level event=E key=value ...". Pairs of strings follow, then
 * NULL; an odd count is the caller's mistake. Values are escaped: whatever they hold, the line
 * stays one line and its keys stay what they are. Any thread. */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

#endif
