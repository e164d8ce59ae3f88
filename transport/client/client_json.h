/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CLIENT_JSON_H
#define PURSER_CLIENT_JSON_H

#include <jansson.h>
#include "transport/client/client.h"

/* The client library's structs to JSON and back. Private to it. */
/* client_request_json gives the message of a route request, or of one that escalates a decision,
 * without its embedding; NULL when the prompt is not UTF-8. client_embedding_json adds that.
 * client_report_json gives the message of a report. */
json_t *client_request_json(const struct purser_client_request *q, const char *escalates);
void client_embedding_json(json_t *o, const struct purser_client_request *q);
json_t *client_report_json(const struct purser_client_report *r);
void client_decision_read(const json_t *o, struct purser_client_decision *d);
/* client_copy copies a string member, "" when there is none. */
void client_copy(char *out, size_t cap, const json_t *o, const char *name);

#endif
