/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TESTS_SERVICE_H
#define PURSER_TESTS_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "transport/client/client.h"

enum { SERVICE_PORTS = 7 };

/* A purserd of one's own: in a temporary directory, on free ports, killed at the end. */
struct service {
    char dir[128]; /* holds config.json, data/, log */
    char config[192], data[192], log[192], full_flag[192];
    int port[SERVICE_PORTS]; /* route, feedback, control, events, intake, http, metrics */
    char url[SERVICE_PORTS][64];
    pid_t pid; /* 0 = not running */
    struct purser_client *client;
    const char *store; /* fields of "store"; NULL = a small map */
};

/* service_new makes the directory and writes the configuration; extra is put into it as further
 * members ("" = none) and limits as the content of "limits". */
void service_new(struct service *s, const char *limits, const char *extra);
void service_configure(const struct service *s, const char *limits, const char *extra);
/* service_start waits until it is ready. service_try gives the exit code of one that is expected
 * not to start. */
void service_start(struct service *s);
int service_try(const struct service *s, const char *config);
/* service_stop sends the signal and gives the exit code, or -signal; fails the test after 15 s. */
int service_stop(struct service *s, int signal);
void service_remove(struct service *s);
/* service_begin gives (malloc) a service that runs, service_end stops and frees it: both for
 * cmocka's fixtures. */
int service_begin(void **state, const char *extra);
int service_end(void **state);
/* service_logged tells whether the log holds the text, waiting up to two seconds for it. */
bool service_logged(const struct service *s, const char *text);

/* service_call sends JSON; the reply is static per thread, "error:<code>" for an error. */
const char *service_call(struct service *s, enum purser_client_door door, const char *json);
/* service_int reads an integer member by its first occurrence in the text; -1 if absent.
 * service_string copies a string member; false if absent. */
int64_t service_int(const char *json, const char *name);
bool service_string(const char *json, const char *name, char *out, size_t cap);
/* service_route asks under a request id and gives the decision id; fails the test without one.
 * service_feed reports (members as JSON) and gives the status, or "error:<code>". service_stat
 * reads a counter of the service. */
void service_route(struct service *s, const char *request_id, char id[64]);
const char *service_feed(struct service *s, const char *id, const char *members);
int64_t service_stat(struct service *s, const char *name);
int64_t service_ms(void);
int service_port(void);

#endif
