/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CLI_CLI_SPEND_H
#define PURSER_TRANSPORT_CLI_CLI_SPEND_H

#include <inttypes.h>
#include <stdio.h>
#include "core/encoding/json.h"
#include "transport/cli/cli.h"

/* What purser spend and purser export share: a question to the op spend.get. Times are Unix
 * milliseconds. */
enum { SPEND_DIMENSIONS = 8 };
extern const char *const spend_dimension[SPEND_DIMENSIONS];

struct spend_query {
    int64_t from_ms, to_ms; /* -1 = unbounded */
    json_t *by, *where;
    const char *bucket;
};
/* spend_query_read reads --since, --until, --where ...; false after telling what is wrong. The
 * caller sets by and bucket; spend_query_fini lets go of all of it. */
bool spend_query_read(struct cli *c, struct spend_query *q);
void spend_query_fini(struct spend_query *q);
/* spend_message gives the message for a range of time. */
json_t *spend_message(const struct spend_query *q, int64_t from_ms, int64_t to_ms);
int64_t spend_now_ms(void);
/* spend_int reads an integer member, 0 when absent. */
int64_t spend_int(const json_t *row, const char *name);
/* spend_usd writes nanodollars as dollars, all nine places. spend_time writes a time of UTC. */
void spend_usd(FILE *f, int64_t nano);
void spend_time(FILE *f, int64_t ms);

#endif
