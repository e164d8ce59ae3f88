/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CLI_CLI_TABLE_H
#define PURSER_TRANSPORT_CLI_CLI_TABLE_H

#include <jansson.h>
#include <stdint.h>
#include "core/limits.h"
#include "transport/client/client.h"

/* cli_table_model gives the chosen model's place in models.json's list, -1 if it is not there. */
int cli_table_model(const json_t *models, const char *chosen);
/* cli_table_tokens gives the input tokens that a caller would say: the mean over the models. */
int64_t cli_table_tokens(const json_t *row, size_t models);
/* cli_table_report gives what can be reported when model m has answered: tokens, cost, latency.
 * cli_table_quality gives what is known later. */
struct purser_client_report cli_table_report(const json_t *row, size_t m);
double cli_table_quality(const json_t *row, size_t m);

#endif
