/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CLIENT_LINE_H
#define PURSER_CLIENT_LINE_H

#include <pthread.h>
#include <nng/nng.h>
#include "transport/client/client.h"

/* The client library's connections. Private to it. */
enum { DOORS = 3 };

struct line {
    nng_socket socket;
    int users; /* calls under way on it */
    bool ill;  /* its last attempt had no answer in time, or it was left */
    bool left; /* replaced: goes with its last user */
};

struct purser_client {
    pthread_mutex_t lock; /* of door and the lines' members */
    struct line *door[DOORS];
    char *url[DOORS];
    char *key, *tls_ca, *tls_cert;
    int timeout_ms, retries;
    bool json;
};

/* client_fail fills e (may be NULL) and gives -1. */
int client_fail(struct purser_client_error *e, const char *code, bool retryable, const char *fmt,
                ...) __attribute__((format(printf, 4, 5)));
/* client_line_open connects to a door in the background; NULL with *error filled.
 * client_line_close, when nobody uses it any more. */
struct line *client_line_open(const struct purser_client *c, const char *url,
                              struct purser_client_error *error);
void client_line_close(struct line *l);
/* client_line_take gives the line for one attempt, client_line_give takes it back; one on which an
 * attempt has timed out is replaced. */
struct line *client_line_take(struct purser_client *c, enum purser_client_door door);
void client_line_give(struct purser_client *c, enum purser_client_door door, struct line *l,
                      bool timed_out);

#endif
